//! What a host says about its locks, read as another's words: whatever is not understood is no number and no note.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::Label;

use super::note::{Note, NoteState};

/// How long after its last heartbeat a lock is shown as stale; it is never taken for that.
const STALE: u64 = 60_000;

/// A lock as it was found on a host. Times are milliseconds by that host's clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// Where.
    pub host: Label,
    /// Its folder's name.
    pub folder: String,
    /// The host's user whose folder it is.
    pub owner: String,
    /// For how long it is held, where that can be told.
    pub age_ms: Option<u64>,
    /// Since its last heartbeat; `None` where none comes: it goes to the anchor.
    pub silent_ms: Option<u64>,
    /// What its holder left there; nothing where it was just taken, or died while it took it.
    pub note: Option<Note>,
}

impl Found {
    /// Whether its holder is at work as far as it said, and does not say so any more.
    pub fn is_stale(&self) -> bool {
        let late = |since: Option<u64>| since.is_some_and(|since| since > STALE);
        match &self.note {
            Some(note) => note.state == NoteState::Live && late(self.silent_ms),
            None => late(self.age_ms),
        }
    }

    /// Whether it is worth waiting for: its holder is at work.
    pub fn is_live(&self) -> bool {
        let paused = self
            .note
            .as_ref()
            .is_some_and(|note| note.state == NoteState::Paused);
        !paused && !self.is_stale()
    }

    /// For how long it is held.
    pub fn age(&self) -> Option<Duration> {
        self.age_ms.map(Duration::from_millis)
    }
}

/// The answer to an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It is ours now, or still.
    Ours,
    /// There is no lock of ours.
    Gone,
    /// Another has it.
    Held(Box<Found>),
}

/// What a host said to an order; `None` where it is no answer.
pub fn parse(host: &Label, said: &str) -> Option<Answer> {
    match said.lines().next()?.trim_end() {
        "taken" | "ours" => Some(Answer::Ours),
        "released" | "gone" => Some(Answer::Gone),
        _ => parse_list(host, said)
            .pop()
            .map(|found| Answer::Held(Box::new(found))),
    }
}

/// The locks of a host.
pub fn parse_list(host: &Label, said: &str) -> Vec<Found> {
    let mut found = Vec::new();
    let mut lines = said.lines();
    while let Some(line) = lines.next() {
        let Some(rest) = line.strip_prefix("lock ") else {
            continue;
        };
        let note = lines.next().and_then(Note::parse);
        let mut words = rest.splitn(4, ' ');
        let mut word = || words.next().unwrap_or_default();
        let (age, silent, owner, folder) = (word(), word(), word(), word());
        found.push(Found {
            host: host.clone(),
            folder: folder.to_owned(),
            owner: owner.to_owned(),
            age_ms: millis(age),
            silent_ms: millis(silent),
            note,
        });
    }
    found
}

/// Seconds as a host counts them; a clock that was set back counts from 0.
fn millis(word: &str) -> Option<u64> {
    let seconds: i64 = word.parse().ok()?;
    u64::try_from(seconds).unwrap_or(0).checked_mul(1000)
}

#[cfg(test)]
mod tests {
    use super::super::tests::note;
    use super::*;

    fn host() -> Label {
        Label::new("app-1")
    }

    #[test]
    fn answers_are_read() {
        let answer = |said: &str| parse(&host(), said);
        assert_eq!(answer("taken\n"), Some(Answer::Ours));
        assert_eq!(answer("ours\n"), Some(Answer::Ours));
        assert_eq!(answer("gone\n"), Some(Answer::Gone));
        assert_eq!(answer("released\n"), Some(Answer::Gone));
        for nothing in ["", "\n", "sorry\n"] {
            assert_eq!(answer(nothing), None, "{nothing:?}");
        }
        let note = note("a", 1);
        let said = format!("lock 192 4 deploy k%2Fx\n{}\n", note.to_line());
        let Some(Answer::Held(found)) = answer(&said) else {
            panic!("{said}");
        };
        assert_eq!(
            (found.age_ms, found.silent_ms),
            (Some(192_000), Some(4_000))
        );
        assert_eq!(
            (found.owner.as_str(), found.folder.as_str()),
            ("deploy", "k%2Fx")
        );
        assert_eq!(found.note, Some(note));
    }

    #[test]
    fn what_others_wrote_is_no_number_and_no_note() {
        let found = parse_list(
            &host(),
            "lock - x me k\n\nlock -5 9 me l\n{\"run\":1}\nnoise\n",
        );
        let numbers: Vec<_> = found
            .iter()
            .map(|found| (found.folder.as_str(), found.age_ms, found.silent_ms))
            .collect();
        assert_eq!(numbers, [("k", None, None), ("l", Some(0), Some(9_000))]);
        assert!(found.iter().all(|found| found.note.is_none()));
    }

    #[test]
    fn only_a_live_lock_whose_heartbeat_stopped_is_stale() {
        let with = |state, silent_ms| Found {
            host: host(),
            folder: "k".to_owned(),
            owner: "me".to_owned(),
            age_ms: Some(900_000),
            silent_ms,
            note: Some(Note {
                state,
                ..note("a", 1)
            }),
        };
        let table = [
            (NoteState::Live, Some(60_000), (false, true)),
            (NoteState::Live, Some(61_000), (true, false)),
            (NoteState::Live, None, (false, true)),
            (NoteState::Paused, Some(900_000), (false, false)),
        ];
        for (state, silent, wanted) in table {
            let found = with(state, silent);
            assert_eq!((found.is_stale(), found.is_live()), wanted, "{found:?}");
        }
        let nameless = Found {
            note: None,
            ..with(NoteState::Live, None)
        };
        assert!(nameless.is_stale());
    }
}
