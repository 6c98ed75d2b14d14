//! The events of a run: past facts with full data, no formatting and no channels. The JSON output and the
//! record's `events.jsonl` are this enum.

use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::model::{CancelReason, HostId, HostOutcome, Label, RunId, Zone};
use crate::task::Kind;

mod gate;
mod lines;
mod rollout;

pub use gate::{GateAnswer, GateFacts, NextUp, Troubled};
pub use lines::{Line, Lines};
pub use rollout::{
    BakeReason, PlanChange, RollbackResult, RolloutFact, Rule, Shortfall, StopCause, Trouble,
    Unlocked,
};

/// One fact. Of one run: the first is `RunStarted`, the last `RunFinished`; every planned host has exactly
/// one `HostFinished`, after which no line of it follows; a host that a rollout takes again, which
/// `HostReopened` or `RollbackStarted` says, speaks and ends anew.
#[derive(Debug, Clone)]
pub struct RunEvent {
    /// Counts from 0 without gaps; an `Output` event takes one number a line, this being the first's.
    pub seq: u64,
    /// When, by this machine's clock.
    pub time: jiff::Timestamp,
    /// Since the run's start.
    pub elapsed: Duration,
    /// The run.
    pub run: RunId,
    /// What happened.
    pub kind: EventKind,
}

/// A host as events name it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostRef {
    /// The label.
    pub host: Label,
    /// The id.
    pub id: HostId,
}

/// What happened.
#[derive(Debug, Clone)]
pub enum EventKind {
    /// The run began.
    RunStarted {
        /// The task's name; `run`, `put` or `get` for ad-hoc work.
        task: String,
        /// Whether it changes hosts.
        task_kind: Kind,
        /// Every host of the plan, with its zone.
        hosts: Vec<(HostRef, Zone)>,
        /// The record's folder.
        record: std::path::PathBuf,
    },
    /// A batch began.
    BatchStarted {
        /// The phase.
        phase: String,
        /// The batch's number, from 0.
        index: usize,
        /// How many batches the phase has.
        count: usize,
        /// Its zone, where it has one.
        zone: Option<Zone>,
        /// Whether it is the canary.
        canary: bool,
        /// Whether its host is one that is taken last.
        last: bool,
        /// Its hosts.
        hosts: Vec<Label>,
    },
    /// Work on a host began: it is connected to next.
    HostStarted {
        /// The host.
        host: HostRef,
    },
    /// A connection attempt failed and another follows.
    ConnectRetried {
        /// The host.
        host: HostRef,
        /// The attempt that failed, from 1.
        attempt: u32,
        /// How many attempts there may be.
        attempts: u32,
        /// Why.
        cause: String,
    },
    /// The host is logged in to.
    HostConnected {
        /// The host.
        host: HostRef,
    },
    /// A step began.
    StepStarted {
        /// The host; `None` on the controller.
        host: Option<HostRef>,
        /// The step.
        step: StepRef,
    },
    /// Lines of output, whole and in order.
    Output {
        /// The host; `None` on the controller.
        host: Option<HostRef>,
        /// The step.
        step: StepRef,
        /// The lines.
        lines: Lines,
        /// Not for the screen (`quiet: true`); sinks that print skip it.
        quiet: bool,
    },
    /// A transfer moved on. Not kept in the record.
    TransferProgressed {
        /// The host.
        host: HostRef,
        /// The step.
        step: StepRef,
        /// Bytes so far, those of an earlier attempt among them.
        done: u64,
        /// Bytes in all, where known.
        total: Option<u64>,
    },
    /// A step's attempt failed and another follows.
    StepRetried {
        /// The host; `None` on the controller.
        host: Option<HostRef>,
        /// The step.
        step: StepRef,
        /// The attempt that failed, from 1.
        attempt: u32,
        /// Until the next one.
        delay: Duration,
        /// Why it failed.
        cause: String,
    },
    /// A step ended.
    StepFinished {
        /// The host; `None` on the controller.
        host: Option<HostRef>,
        /// The step.
        step: StepRef,
        /// How.
        result: StepResult,
        /// How long it took.
        duration: Duration,
    },
    /// Something people should read: a `log` step, a daemon left running, a file brought back.
    Noted {
        /// The host; `None` on the controller.
        host: Option<HostRef>,
        /// The text.
        text: String,
    },
    /// A file was brought from a host and verified.
    FileFetched {
        /// The host.
        host: HostRef,
        /// Where it is now.
        path: std::path::PathBuf,
        /// Its size in bytes.
        bytes: u64,
        /// Its SHA-256, hex.
        sha256: String,
    },
    /// Work on a host ended.
    HostFinished {
        /// The host.
        host: HostRef,
        /// How; this is the only place where it travels.
        outcome: HostOutcome,
        /// How long it took, from its start.
        duration: Duration,
        /// The last lines of its last step, for the failure report.
        tail: Vec<String>,
    },
    /// A batch ended.
    BatchFinished {
        /// The phase.
        phase: String,
        /// The batch's number, from 0.
        index: usize,
    },
    /// A question was asked.
    GateAsked {
        /// What was asked.
        question: String,
        /// What a gate of the rollout shows beside it; `None` for a `confirm` step.
        gate: Option<Box<GateFacts>>,
    },
    /// A question was answered.
    GateAnswered {
        /// Whether the run goes on.
        yes: bool,
        /// Who answered: `terminal`, `--yes`, `timeout`.
        by: String,
        /// The answer at a gate; `None` for a `confirm` step.
        answer: Option<GateAnswer>,
    },
    /// Something of the rollout as a whole.
    Rollout(RolloutFact),
    /// Nothing new is started from here on.
    CancelStarted {
        /// Why.
        reason: CancelReason,
        /// Hosts still at work.
        running: Vec<Label>,
    },
    /// The remote process groups are being ended.
    KillStarted {
        /// Hosts still at work.
        running: Vec<Label>,
    },
    /// The run ended.
    RunFinished {
        /// Everything in one value: `summary.json`.
        summary: Arc<RunSummary>,
    },
}

/// A step as events name it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StepRef {
    /// The step's id.
    pub id: Arc<str>,
    /// What people see.
    pub name: Arc<str>,
}

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum StepResult {
    /// It passed.
    Ok {
        /// The exit code, where it was a command.
        exit_code: Option<u8>,
        /// Whether anything changed on the host, where the action can tell.
        changed: Option<bool>,
    },
    /// Its `when` did not hold.
    Skipped,
    /// It failed, and `ignore_errors` let the host go on.
    Ignored {
        /// The exit code, where it was a command.
        exit_code: Option<u8>,
        /// One line saying why.
        cause: String,
    },
    /// It failed.
    Failed {
        /// The exit code, where it was a command.
        exit_code: Option<u8>,
        /// One line saying why.
        cause: String,
    },
    /// It passed its limit.
    TimedOut {
        /// The limit, milliseconds.
        limit_ms: u64,
    },
    /// The connection died under it.
    Unknown,
    /// It was ended by a cancel.
    Cancelled,
}

impl StepResult {
    /// Whether it is known how the step ended.
    pub fn is_known(&self) -> bool {
        !matches!(self, Self::Unknown | Self::Cancelled)
    }
}

/// The end of a run in one value: `summary.json` and the last event.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RunSummary {
    /// The run.
    pub run: RunId,
    /// The task's name.
    pub task: String,
    /// The exit status.
    pub exit: u8,
    /// The run's state: `done`, `done_partial`, `failed`, `paused`, `interrupted`, `aborted`, `rolled_back` or
    /// `rollback_failed`.
    pub state: String,
    /// Every planned host by label.
    pub hosts: IndexMap<Label, HostSummary>,
    /// How many hosts have each outcome; outcomes of no host are absent.
    pub counts: IndexMap<String, usize>,
    /// When it began, RFC 3339 UTC.
    pub started: jiff::Timestamp,
    /// When it ended.
    pub ended: jiff::Timestamp,
    /// The record's folder.
    pub record: std::path::PathBuf,
}

/// One host's line of the summary.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HostSummary {
    /// The id.
    pub id: HostId,
    /// The outcome's word.
    pub outcome: String,
    /// `null`, `done`, `failed` or `pending`.
    pub rollback: Option<String>,
    /// The zone.
    pub zone: Zone,
    /// The batch's number; `null` where the host was in none.
    pub batch: Option<usize>,
    /// The step that failed.
    pub failed_step: Option<String>,
    /// Its exit code.
    pub exit_code: Option<u8>,
    /// One line saying why.
    pub cause: Option<String>,
    /// What to do about it on this very host; ssh's exact words where it could not be reached.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hints: Vec<String>,
    /// From the host's start, milliseconds.
    pub duration_ms: u64,
    /// Whether something of the run may still be running there.
    pub may_still_run: bool,
    /// What the host said is left, `PID COMMAND` each; empty where it could not be asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<String>,
}
