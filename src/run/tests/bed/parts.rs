//! The parts of a test bed's run that only keep, or only answer.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::model::Host;
use crate::run::event::{EventKind, GateAnswer, RunEvent};
use crate::run::prompt::{Answer, GateQuestion, GateReply, Prompt};
use crate::run::record::Record;
use crate::run::sink::Sink;

/// Keeps every event, each after a pause.
pub(super) struct Kept(pub(super) Arc<Mutex<Vec<RunEvent>>>, pub(super) Duration);

impl Sink for Kept {
    async fn accept(&mut self, event: &RunEvent) {
        if !self.1.is_zero() {
            tokio::time::sleep(self.1).await;
        }
        self.0.lock().unwrap().push(event.clone());
    }
}

/// A record of logs alone; one host's disk may be full.
pub(super) struct Folder {
    pub(super) path: PathBuf,
    pub(super) full: Option<String>,
}

impl Folder {
    fn log(&self, name: &str) -> io::Result<std::fs::File> {
        std::fs::OpenOptions::new()
            .create(true)
            .read(true)
            .append(true)
            .open(self.path.join(format!("{name}.log")))
    }
}

impl Record for Folder {
    fn host_log(&self, host: &Host) -> io::Result<std::fs::File> {
        if self.full.as_deref() == Some(host.label.as_str()) {
            return std::fs::OpenOptions::new().write(true).open("/dev/full");
        }
        self.log(&host.label.file_name())
    }

    fn controller_log(&self) -> io::Result<std::fs::File> {
        self.log(crate::model::CONTROLLER)
    }

    fn files_of(&self, host: &Host) -> io::Result<PathBuf> {
        let folder = self.path.join("files").join(host.label.file_name());
        std::fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    fn folder(&self) -> &Path {
        &self.path
    }
}

/// Answers every question alike; at a gate, once its text was told.
pub(super) struct Says(pub(super) bool, pub(super) Arc<Mutex<Vec<RunEvent>>>);

impl Prompt for Says {
    async fn ask(
        &self,
        _question: &str,
        _default: Option<bool>,
        _timeout: Option<Duration>,
    ) -> Answer {
        Answer {
            yes: self.0,
            by: "terminal",
        }
    }

    async fn gate(&self, gate: &GateQuestion<'_>) -> GateReply {
        let told = |event: &RunEvent| matches!(&event.kind, EventKind::GateAsked { question, .. } if question == gate.question);
        let events = self.1.lock().unwrap();
        // Where errands are handed out by a test, nothing is told.
        let told = events.is_empty() || events.iter().any(told);
        drop(events);
        assert!(
            told || gate.host.is_some(),
            "{gate:?} stands before its text"
        );
        let answer = if self.0 {
            GateAnswer::Go
        } else {
            GateAnswer::Stop
        };
        GateReply {
            answer,
            by: "terminal",
        }
    }
}
