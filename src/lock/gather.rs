//! The locks of many hosts as people think of them: one for each run and key, with the hosts that hold it.

use std::collections::BTreeMap;

use super::answer::Found;
use super::note::NoteState;

/// A lock and the hosts on which it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gathered {
    /// The host's words that say most: those of the anchor, if it is among them.
    pub best: Found,
    /// Every host.
    pub found: Vec<Found>,
}

impl Gathered {
    /// Its key.
    pub fn key(&self) -> &str {
        let note = self.best.note.as_ref();
        note.map_or(&self.best.folder, |note| &note.key)
    }

    /// Whether its holder is known to be at work no more: it paused, or its heartbeat stopped. Without the anchor,
    /// nothing is known.
    pub fn is_left(&self) -> bool {
        let paused = self
            .best
            .note
            .as_ref()
            .is_some_and(|note| note.state == NoteState::Paused);
        paused || self.best.is_stale()
    }

    /// The lock as JSON. Times are seconds by the host's own clock.
    pub fn to_json(&self) -> serde_json::Value {
        let best = &self.best;
        let note = best.note.as_ref();
        let hosts: Vec<&str> = self.found.iter().map(|found| found.host.as_str()).collect();
        serde_json::json!({
            "key": self.key(),
            "run": note.map(|note| note.run.as_str()),
            "task": note.map(|note| &note.task),
            "user": note.map(|note| &note.user),
            "controller": note.map(|note| &note.controller),
            "pid": note.map(|note| note.pid),
            "started": note.map(|note| note.started.to_string()),
            "state": note.map(|note| note.state),
            "stale": best.is_stale(),
            "age_s": best.age_ms.map(|age| age / 1000),
            "silent_s": best.silent_ms.map(|silent| silent / 1000),
            "anchor": note.map(|note| note.anchor.as_str()),
            "hosts": hosts,
        })
    }
}

/// Locks by key and run, in the order of their keys.
pub fn gather(found: Vec<Found>) -> Vec<Gathered> {
    let mut locks: BTreeMap<(String, Option<String>), Vec<Found>> = BTreeMap::new();
    for found in found {
        let run = found.note.as_ref().map(|note| note.run.to_string());
        locks
            .entry((found.folder.clone(), run))
            .or_default()
            .push(found);
    }
    let whole = |found: Vec<Found>| {
        let best = found.iter().find(|found| found.silent_ms.is_some());
        let best = best.or(found.first())?.clone();
        Some(Gathered { best, found })
    };
    locks.into_values().filter_map(whole).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::note;
    use super::*;
    use crate::model::Label;

    #[test]
    fn the_anchor_speaks_for_a_lock() {
        let at = |host: &str, number, silent_ms| Found {
            host: Label::new(host),
            folder: "k".to_owned(),
            owner: "me".to_owned(),
            age_ms: Some(100_000),
            silent_ms,
            note: Some(note("b", number)),
        };
        let locks = gather(vec![
            at("a", 1, None),
            at("b", 1, Some(90_000)),
            at("c", 2, None),
        ]);
        let told: Vec<_> = locks
            .iter()
            .map(|lock| (lock.best.host.as_str(), lock.found.len(), lock.is_left()))
            .collect();
        assert_eq!(told, [("b", 2, true), ("c", 1, false)]);
        let json = locks[0].to_json();
        assert_eq!(json["key"], "restart/api/prod");
        assert_eq!(json["stale"], true);
        assert_eq!(json["silent_s"], 90);
        assert_eq!(json["hosts"], serde_json::json!(["a", "b"]));
    }
}
