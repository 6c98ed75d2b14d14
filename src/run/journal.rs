//! What the engine asks of a run's journal, and the facts that it writes there: enough to go on with the run
//! where it was cut off. The lines on disk and what follows from them are `journal`'s job.

use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::BoxFuture;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::model::{HostId, HostOutcome, RunId, Zone};
use crate::task::GateAt;

use super::event::{GateAnswer, RollbackResult, StepResult, StopCause};

mod kept;

pub use kept::Kept;
pub(crate) use kept::LONGEST;

/// A run's journal. Facts are kept in the order in which they are noted; what was noted before
/// [`Journal::settled`] is on disk for good when that returns.
pub trait Journal: std::fmt::Debug + Send + Sync + 'static {
    /// Takes a fact. Does not wait.
    fn note(&self, fact: Fact);

    /// Waits until every fact noted so far is kept. The error is one line for people: nothing further may be
    /// done on any host then.
    fn settled(&self) -> BoxFuture<'_, Result<(), String>>;

    /// Why nothing can be kept any more, if so.
    fn fault(&self) -> Option<String>;
}

/// A journal in memory: for tests, and for what leaves no record.
#[derive(Debug, Default)]
pub struct Memory(Mutex<Vec<Fact>>);

impl Memory {
    /// Everything that was noted.
    pub fn facts(&self) -> Vec<Fact> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Journal for Memory {
    fn note(&self, fact: Fact) {
        let mut facts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        facts.push(fact);
    }

    fn settled(&self) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn fault(&self) -> Option<String> {
        None
    }
}

/// One fact. Hosts are named by their ids: labels may change while a run is interrupted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Fact {
    /// The run began; nothing is done yet.
    RunStarted(Box<Opening>),
    /// It goes on in another process.
    RunResumed {
        /// The process.
        process: Process,
        /// Hosts of it that are not there any more.
        gone: Vec<HostId>,
        /// Hosts that it takes from here on, and did not before.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        added: Vec<HostId>,
    },
    /// The lock of the run is about to be taken on these hosts.
    LockStarted {
        /// The hosts.
        hosts: Vec<HostId>,
    },
    /// The lock was let go of.
    LockReleased,
    /// Every host was asked.
    Preflight {
        /// How many are well.
        healthy: usize,
        /// Those of which a health check failed.
        sick: Vec<HostId>,
        /// Those that do not answer.
        silent: Vec<HostId>,
    },
    /// A question was asked.
    GateAsked {
        /// Where.
        gate: Gate,
    },
    /// It was answered.
    GateAnswered {
        /// Where.
        gate: Gate,
        /// The answer.
        answer: GateAnswer,
        /// Who answered.
        by: String,
    },
    /// A pass over the hosts began.
    PhaseStarted {
        /// Its number.
        phase: usize,
        /// How many hosts were healthy before it took any, where that is asked.
        baseline: Option<usize>,
        /// Hosts of the population that are not among those.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        uncounted: Vec<HostId>,
    },
    /// The batches that are left, as they were formed last.
    BatchesFormed {
        /// The phase.
        phase: usize,
        /// The batches.
        batches: Vec<FormedBatch>,
    },
    /// A batch is taken.
    BatchStarted {
        /// The phase.
        phase: usize,
        /// The batch.
        batch: FormedBatch,
    },
    /// Work on a host begins.
    HostStarted {
        /// The host.
        host: HostId,
        /// The phase.
        phase: usize,
        /// From its first step; else where it was interrupted.
        afresh: bool,
    },
    /// A step is about to be sent.
    StepStarted {
        /// The host; `None` on the controller.
        host: Option<HostId>,
        /// Which step.
        step: Mark,
        /// Whether it may change something.
        changes: bool,
    },
    /// An attempt at it failed, and another follows.
    Attempt {
        /// The host; `None` on the controller.
        host: Option<HostId>,
        /// Which step.
        step: Mark,
        /// The attempt that failed, from 1.
        attempt: u32,
    },
    /// A step ended, or was skipped.
    StepFinished {
        /// The host; `None` on the controller.
        host: Option<HostId>,
        /// Which step.
        step: Mark,
        /// How.
        result: StepResult,
        /// What it registered.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        register: Option<Box<Kept>>,
    },
    /// A step is about to be started that goes on by itself on its host.
    Detached {
        /// The host.
        host: HostId,
        /// Which step.
        step: Mark,
        /// Where it lies there.
        at: Detached,
    },
    /// It is known to have been started.
    DetachedBegan {
        /// The host.
        host: HostId,
        /// Its folder's name.
        folder: Arc<str>,
    },
    /// Its folder on the host is gone.
    DetachedGone {
        /// The host.
        host: HostId,
        /// Its folder's name.
        folder: Arc<str>,
    },
    /// A step that is run once for many hosts has passed.
    OnceSettled {
        /// Which step, for which hosts.
        step: Mark,
        /// What it registered.
        register: Option<Box<Kept>>,
    },
    /// A host met others: what its steps came to since it met them last, by their ids, as `results` has it. Noted
    /// where a step of the plan reads that.
    Met {
        /// The host.
        host: HostId,
        /// What each step came to.
        results: IndexMap<String, Kept>,
    },
    /// Steps on the controller passed.
    SectionPassed {
        /// Which.
        part: Part,
    },
    /// A host did its part of a phase; a later phase follows.
    HostPassed {
        /// The host.
        host: HostId,
        /// The phase.
        phase: usize,
    },
    /// A host has its last word, until it is taken again.
    HostFinished {
        /// The host.
        host: HostId,
        /// How.
        outcome: HostOutcome,
    },
    /// Every host of a batch ended.
    BatchFinished {
        /// The phase.
        phase: usize,
        /// Its number.
        batch: usize,
    },
    /// Nothing is taken for a while.
    Bake {
        /// How long, milliseconds.
        length_ms: u64,
    },
    /// What follows a batch is over: its pause and its question.
    BatchClosed {
        /// The phase.
        phase: usize,
        /// Its number.
        batch: usize,
    },
    /// No more hosts are taken.
    Stop {
        /// Why.
        because: StopCause,
    },
    /// Hosts are rolled back.
    RollbackStarted {
        /// The hosts.
        hosts: Vec<HostId>,
    },
    /// A host's part of a phase was rolled back, or not.
    RollbackFinished {
        /// The host.
        host: HostId,
        /// The phase; `None` where its turn did not come.
        phase: Option<usize>,
        /// How.
        result: RollbackResult,
    },
    /// The run ended, or paused.
    RunFinished {
        /// Its state, as the summary has it.
        state: String,
        /// Its exit status.
        exit: u8,
    },
}

/// What a run is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opening {
    /// The task.
    pub task: String,
    /// SHA-256 of the task file and every file it takes in.
    pub task_hash: String,
    /// Whether it changes hosts.
    pub changes: bool,
    /// Every host that counts.
    pub population: Vec<HostId>,
    /// Those that may be touched.
    pub targets: Vec<HostId>,
    /// The run of which this one takes up what was left.
    pub retries: Option<RunId>,
    /// The process.
    pub process: Process,
    /// What was typed, as far as it takes to plan the same again; secrets are not in it.
    pub typed: serde_json::Value,
}

impl Opening {
    /// Whether what was typed can be planned again: a script that came from stdin is not there any more.
    pub fn is_repeatable(&self) -> bool {
        self.typed["stdin"] != true && self.typed["argv"].is_array()
    }
}

/// A process of this machine, told apart from a later one with its number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// When it started, in the system's ticks since boot; 0 where the system does not say.
    pub started: u64,
}

/// A batch as it was formed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FormedBatch {
    /// Its number.
    pub index: usize,
    /// Its zone, where it has one.
    pub zone: Option<Zone>,
    /// Whether it is the canary.
    pub canary: bool,
    /// Whether its host is taken last.
    pub last: bool,
    /// Its hosts.
    pub hosts: Vec<HostId>,
}

/// Where a rollout asks.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Gate {
    /// The phase.
    pub phase: usize,
    /// The batch that it follows; `None` before the first.
    pub batch: Option<usize>,
    /// Which gate; `None` where it stopped.
    pub at: Option<GateAt>,
}

/// Which list of steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// The task's `before`.
    Before,
    /// A phase's `before`.
    PhaseBefore(usize),
    /// A phase's steps on a host.
    Steps(usize),
    /// A phase's rollback on a host.
    Rollback(usize),
    /// A phase's `after`.
    PhaseAfter(usize),
    /// The task's `after`.
    After,
}

/// Which run of a step.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Mark {
    /// The list that it stands in.
    pub part: Part,
    /// Its id, with those of the `task:` steps around it.
    pub id: Arc<str>,
    /// The numbers of the loops' passes around it, outermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub passes: Vec<usize>,
    /// For whom it is run, where that is not its host alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub once: Option<Circle>,
}

/// A step that goes on by itself on its host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Detached {
    /// Its folder's name there; no other start of the run has it.
    pub folder: Arc<str>,
    /// The user that it runs as through sudo.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Which attempt it is, from 1.
    pub attempt: u32,
}

/// For whom a `once` step is run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Circle {
    /// Every host of the phase.
    Rollout,
    /// The hosts of a zone.
    Zone(Zone),
    /// The hosts of a batch.
    Batch(usize),
}
