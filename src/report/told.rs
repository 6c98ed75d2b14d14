//! What the events of a run told, for a process that goes on with it: where their numbers and times end, and how
//! each host came to its end. Pure but for the reading.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::model::{HostId, Label, Zone};
use crate::run::event::EventKind;

use super::replay::event_of;
use super::store::StoredRun;

/// What was told of a run.
#[derive(Debug, Clone, Default)]
pub struct ToldStory {
    /// When it began.
    pub started: Option<jiff::Timestamp>,
    /// The number of the next event.
    pub events: u64,
    /// For how long its processes were at work.
    pub elapsed: Duration,
    /// Its hosts.
    pub hosts: BTreeMap<HostId, ToldHost>,
}

/// What was told of a host.
#[derive(Debug, Clone)]
pub struct ToldHost {
    /// How people see it.
    pub label: Label,
    /// Its zone.
    pub zone: Zone,
    /// How long it took to its end, and its last lines; `None` where it has none.
    pub end: Option<(Duration, Vec<String>)>,
    /// What people saw of the steps that were begun there, by their ids.
    pub steps: BTreeMap<Arc<str>, Arc<str>>,
}

impl ToldHost {
    /// What people saw of a step: its name, where it was told, else its id.
    ///
    /// Ids of steps within other tasks have those tasks' before them in a journal, and not so in events.
    pub fn step<'a>(&'a self, id: &'a str) -> &'a str {
        let own = id.rsplit('/').next().unwrap_or(id);
        let told = self.steps.get(id).or_else(|| self.steps.get(own));
        told.map_or(id, |name| name)
    }
}

impl StoredRun {
    /// What was told of the run so far.
    ///
    /// # Errors
    /// The run's events cannot be read; where there are none, nothing was told.
    pub fn told(&self) -> io::Result<ToldStory> {
        match std::fs::read(self.path.join("events.jsonl")) {
            Ok(bytes) => Ok(story(&String::from_utf8_lossy(&bytes))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(ToldStory::default()),
            Err(error) => Err(error),
        }
    }
}

fn story(events: &str) -> ToldStory {
    let mut story = ToldStory::default();
    for line in events.lines() {
        let Some(number) = number_of(line) else {
            continue;
        };
        story.events = story.events.max(number + 1);
        let Some(event) = event_of(line) else {
            continue;
        };
        story.elapsed = event.elapsed;
        match event.kind {
            EventKind::RunStarted { hosts, .. } => {
                story.started.get_or_insert(event.time);
                for (host, zone) in hosts {
                    let before = story.hosts.remove(&host.id);
                    let (end, steps) =
                        before.map_or_else(Default::default, |host| (host.end, host.steps));
                    let label = host.host;
                    let told = ToldHost {
                        label,
                        zone,
                        end,
                        steps,
                    };
                    story.hosts.insert(host.id, told);
                }
            }
            EventKind::StepStarted {
                host: Some(host),
                step,
            } => {
                if let Some(told) = story.hosts.get_mut(&host.id) {
                    told.steps.insert(step.id, step.name);
                }
            }
            EventKind::HostFinished {
                host,
                duration,
                tail,
                ..
            } => {
                if let Some(told) = story.hosts.get_mut(&host.id) {
                    told.end = Some((duration, tail));
                }
            }
            _ => {}
        }
    }
    story
}

/// The number of an event; `None` for what is none.
fn number_of(line: &str) -> Option<u64> {
    let event: Value = serde_json::from_str(line).ok()?;
    event["seq"].as_u64()
}

#[cfg(test)]
mod tests {
    use crate::model::HostOutcome;
    use crate::run::event::StepRef;
    use crate::task::Kind;

    use super::super::json::push_event;
    use super::super::samples::{self, event, finished};
    use super::*;

    #[test]
    fn the_next_process_goes_on_where_the_last_line_ends() {
        let kinds = [
            samples::run_started(Kind::Change, &[("a", "z1"), ("b", "z2")]),
            EventKind::StepStarted {
                host: Some(samples::host("b")),
                step: StepRef {
                    id: "s2".into(),
                    name: "stop the unit".into(),
                },
            },
            finished("a", HostOutcome::Ok, 800, &["x"]),
            samples::connect_retried("b"),
        ];
        let mut text = Vec::new();
        for (seq, kind) in (3..).zip(kinds) {
            push_event(&event(seq, seq * 1000, kind), &mut text);
        }
        text.extend_from_slice(b"{\"seq\":99,\"time\":\"2025-0");
        let story = story(&String::from_utf8(text).unwrap());
        assert_eq!(story.events, 7);
        assert_eq!(
            story.started,
            Some(samples::start() + Duration::from_secs(3))
        );
        assert_eq!(story.elapsed, Duration::from_secs(5));
        let end = |label: &str| story.hosts[&samples::host(label).id].end.clone();
        assert_eq!(
            end("a"),
            Some((Duration::from_millis(800), vec!["x".to_owned()]))
        );
        assert_eq!(end("b"), None);
        let host = &story.hosts[&samples::host("b").id];
        assert_eq!(host.zone, Zone::new("z2"));
        let named = ["s2", "s1/s2", "s9"].map(|id| host.step(id));
        assert_eq!(named, ["stop the unit", "stop the unit", "s9"]);
    }
}
