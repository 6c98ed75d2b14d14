//! What the working half of a run tells the deciding half, and how the two talk.
//!
//! The messages are data, so that [`super::state`] stays pure; the channel ends stand beside them in
//! [`Envelope`]. Public events are another enum ([`super::event::EventKind`]): messages may hold what no
//! user should build on.

use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::lock;
use crate::model::HostOutcome;

use super::errand::{Errand, Finding, LockEnd, Section};
use super::event::{GateAnswer, Lines, RollbackResult, StepRef, StepResult};

/// A host's place in the run: its position in the plan's population.
pub(crate) type HostIndex = usize;

/// Something happened, or is about to and asks for leave.
#[derive(Debug, Clone)]
pub(crate) enum UnitMessage {
    /// The working half is idle, or something ended; answered with an [`Errand`].
    Next {
        /// Since the run's start.
        at: Duration,
    },
    /// What a look, or a watch, found of one host.
    Found(Finding),
    /// Steps on the controller ended.
    SectionEnded { section: Section, passed: bool },
    /// A gate was answered.
    GateAnswered { answer: GateAnswer, by: String },
    /// The lock was taken, or not.
    LockEnded(LockEnd),
    /// Another has the lock, and it is waited for.
    LockWaited(Box<lock::Found>),
    /// The rollback of a host ended; answered, so that nothing is started before this was counted.
    HostRolledBack {
        host: HostIndex,
        result: RollbackResult,
    },
    /// A host is about to be connected to; answered with a [`Verdict`].
    HostStarting { host: HostIndex },
    /// The host is logged in to.
    HostConnected { host: HostIndex },
    /// A step began.
    StepStarted {
        host: Option<HostIndex>,
        step: StepRef,
    },
    /// Lines of a step.
    Output {
        host: Option<HostIndex>,
        step: StepRef,
        lines: Lines,
        quiet: bool,
    },
    /// A connection attempt failed and another follows.
    ConnectRetried {
        host: HostIndex,
        attempt: u32,
        attempts: u32,
        cause: String,
    },
    /// A transfer moved on.
    Progressed {
        host: HostIndex,
        step: StepRef,
        done: u64,
        total: Option<u64>,
    },
    /// An attempt failed and another follows.
    StepRetried {
        host: Option<HostIndex>,
        step: StepRef,
        attempt: u32,
        delay: Duration,
        cause: String,
    },
    /// A step ended.
    StepFinished {
        host: Option<HostIndex>,
        step: StepRef,
        result: StepResult,
        duration: Duration,
    },
    /// Something people should read.
    Noted {
        host: Option<HostIndex>,
        text: String,
    },
    /// A file was brought here and verified.
    FileFetched {
        host: HostIndex,
        path: PathBuf,
        bytes: u64,
        sha256: String,
    },
    /// A `confirm` step asks.
    QuestionAsked { question: String },
    /// It was answered.
    QuestionAnswered { yes: bool, by: String },
    /// A step that every host depends on failed (`once`, `before`, `after`): the run stops.
    SharedStepFailed { step: String, on: String },
    /// A host ended; answered, so that nothing is started before this was counted.
    HostEnded { host: HostIndex, end: HostEnd },
}

/// The last word of a host.
#[derive(Debug, Clone)]
pub(crate) struct HostEnd {
    /// How it ended.
    pub(crate) outcome: HostOutcome,
    /// From its start.
    pub(crate) duration: Duration,
    /// Last lines of its last step.
    pub(crate) tail: Vec<String>,
    /// What it said is left of commands that were ended: `PID COMMAND` each.
    pub(crate) left: Vec<String>,
    /// A part of fab-rs itself broke.
    pub(crate) internal: bool,
}

/// The answer to a message that asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Go on.
    Proceed,
    /// Go on where an earlier process of the run was interrupted.
    Continue,
    /// Start nothing.
    Refuse,
}

/// What an answer holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reply {
    /// To a message that asks for leave.
    Verdict(Verdict),
    /// To "what next?".
    Errand(Errand),
}

/// A message on its way, with the way back where it asks.
#[derive(Debug)]
pub(crate) struct Envelope {
    pub(crate) message: UnitMessage,
    pub(crate) reply: Option<oneshot::Sender<Reply>>,
}

/// How many messages may wait. One holds at most a chunk of output with what was left of the line before
/// (about 128 KiB), so that a stalled sink holds 8 MiB at most; more would only hide the stall.
pub(crate) const CHANNEL_BOUND: usize = 64;

/// The sending end.
#[derive(Debug, Clone)]
pub(crate) struct Wire(mpsc::Sender<Envelope>);

impl Wire {
    /// Both ends.
    pub(crate) fn new() -> (Self, mpsc::Receiver<Envelope>) {
        let (sender, receiver) = mpsc::channel(CHANNEL_BOUND);
        (Self(sender), receiver)
    }

    /// Sends a message. A dispatcher that is gone takes nothing, and the run is over then.
    pub(crate) async fn tell(&self, message: UnitMessage) {
        let envelope = Envelope {
            message,
            reply: None,
        };
        // The error means that the dispatcher has gone; its own end is what gets reported.
        let _gone = self.0.send(envelope).await;
    }

    /// Sends a message if there is room now; whether there was.
    pub(crate) fn tell_now(&self, message: UnitMessage) -> bool {
        let envelope = Envelope {
            message,
            reply: None,
        };
        self.0.try_send(envelope).is_ok()
    }

    /// Sends a message and waits for leave; a dispatcher that is gone refuses.
    pub(crate) async fn ask(&self, message: UnitMessage) -> Verdict {
        match self.answered(message).await {
            Some(Reply::Verdict(verdict)) => verdict,
            Some(Reply::Errand(_)) | None => Verdict::Refuse,
        }
    }

    /// Asks what to do next, so long after the run's start; a dispatcher that is gone has nothing.
    pub(crate) async fn next(&self, at: Duration) -> Errand {
        match self.answered(UnitMessage::Next { at }).await {
            Some(Reply::Errand(errand)) => errand,
            Some(Reply::Verdict(_)) | None => Errand::End,
        }
    }

    async fn answered(&self, message: UnitMessage) -> Option<Reply> {
        let (reply, answer) = oneshot::channel();
        let envelope = Envelope {
            message,
            reply: Some(reply),
        };
        self.0.send(envelope).await.ok()?;
        answer.await.ok()
    }
}
