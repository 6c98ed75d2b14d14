//! Events back from the lines of an `events.jsonl`, as far as a run's view needs them. Pure.
//!
//! A line that is no event, such as the last one of a run that was killed, is passed over.

use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::model::RunId;
use crate::run::event::{EventKind, HostRef, RunEvent, StepRef};

use super::json::outcome_of;
use super::view::RunView;

/// The view of a run, from the text of its events.
pub(crate) fn replayed(events: &str) -> RunView {
    let mut view = RunView::default();
    for line in events.lines() {
        if let Some(event) = event_of(line) {
            view.apply(&event);
        }
    }
    view
}

/// The event of one line; `None` for what is no event, and for kinds that change no view.
pub(crate) fn event_of(line: &str) -> Option<RunEvent> {
    let Value::Object(fields) = serde_json::from_str(line).ok()? else {
        return None;
    };
    let fields = Fields(fields);
    Some(RunEvent {
        seq: fields.get("seq")?,
        time: fields.get("time")?,
        elapsed: fields.millis("elapsed_ms")?,
        run: RunId::from_text(fields.get::<String>("run")?),
        kind: fields.kind()?,
    })
}

struct Fields(Map<String, Value>);

impl Fields {
    fn get<T: DeserializeOwned>(&self, key: &str) -> Option<T> {
        serde_json::from_value(self.0.get(key)?.clone()).ok()
    }

    fn millis(&self, key: &str) -> Option<Duration> {
        self.get(key).map(Duration::from_millis)
    }

    fn host(&self) -> Option<HostRef> {
        Some(HostRef {
            host: self.get("host")?,
            id: self.get("id")?,
        })
    }

    fn step(&self) -> Option<StepRef> {
        Some(StepRef {
            id: self.get("step")?,
            name: self.get("step_name")?,
        })
    }

    fn whole<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_value(Value::Object(self.0.clone())).ok()
    }

    fn kind(&self) -> Option<EventKind> {
        let word: String = self.get("kind")?;
        Some(match word.as_str() {
            "run_started" => self.run_started()?,
            "batch_started" => EventKind::BatchStarted {
                phase: self.get("phase")?,
                index: self.get("index")?,
                count: self.get("count")?,
                zone: self.get("zone")?,
                // Records of the first releases have neither.
                canary: self.get("canary").unwrap_or_default(),
                last: self.get("last").unwrap_or_default(),
                hosts: self.get("hosts")?,
            },
            "gate_asked" => EventKind::GateAsked {
                question: self.get("question")?,
                gate: self.whole().map(Box::new),
            },
            "gate_answered" => EventKind::GateAnswered {
                yes: self.get("yes")?,
                by: self.get("by")?,
                // Records of the first releases have none.
                answer: self.get("answer").unwrap_or_default(),
            },
            "cancel_started" => EventKind::CancelStarted {
                reason: self.get("reason")?,
                running: self.get("running")?,
            },
            "kill_started" => EventKind::KillStarted {
                running: self.get("running")?,
            },
            "run_finished" => EventKind::RunFinished {
                summary: Arc::new(self.whole()?),
            },
            other => self.host_kind(other)?,
        })
    }

    fn run_started(&self) -> Option<EventKind> {
        let hosts: Vec<Map<String, Value>> = self.get("hosts")?;
        let hosts = hosts.into_iter().map(Fields);
        let task_kind = match self.get::<String>("task_kind")?.as_str() {
            "read" => crate::task::Kind::Read,
            _ => crate::task::Kind::Change,
        };
        Some(EventKind::RunStarted {
            task: self.get("task")?,
            task_kind,
            hosts: hosts
                .map(|host| Some((host.host()?, host.get("zone")?)))
                .collect::<Option<_>>()?,
            record: self.get("record")?,
        })
    }

    fn host_kind(&self, word: &str) -> Option<EventKind> {
        Some(match word {
            "host_started" => EventKind::HostStarted { host: self.host()? },
            "host_connected" => EventKind::HostConnected { host: self.host()? },
            "step_started" => EventKind::StepStarted {
                host: self.host(),
                step: self.step()?,
            },
            "step_finished" => EventKind::StepFinished {
                host: self.host(),
                step: self.step()?,
                result: self.whole()?,
                duration: self.millis("duration_ms")?,
            },
            "file_fetched" => EventKind::FileFetched {
                host: self.host()?,
                path: self.get("path")?,
                bytes: self.get("bytes")?,
                sha256: self.get("sha256")?,
            },
            "host_finished" => EventKind::HostFinished {
                host: self.host()?,
                outcome: outcome_of(&self.0)?,
                duration: self.millis("duration_ms")?,
                tail: self.get("tail")?,
            },
            _ => EventKind::Rollout(self.whole()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::json::{kind_word, push_event};
    use super::super::samples;
    use super::*;

    fn written(event: &RunEvent) -> String {
        let mut out = Vec::new();
        push_event(event, &mut out);
        String::from_utf8(out).unwrap()
    }

    /// What is read back is written as it was.
    #[test]
    fn events_come_back() {
        let passed_over = [
            "output_line",
            "transfer_progressed",
            "connect_retried",
            "step_retried",
            "noted",
            "batch_finished",
        ];
        for event in samples::every_kind() {
            let text = written(&event);
            match event_of(text.lines().next().unwrap()) {
                Some(back) => assert_eq!(written(&back), text),
                None => assert!(passed_over.contains(&kind_word(&event.kind)), "{text}"),
            }
        }
    }

    #[test]
    fn a_torn_line_is_passed_over() {
        let events = samples::every_kind();
        let mut text = written(&events[0]);
        text.push_str("{\"seq\":1,\"time\":\"2025-0");
        let view = replayed(&text);
        assert_eq!((view.task.as_str(), view.hosts.len()), ("heapdump", 1));
    }
}
