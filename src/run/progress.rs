//! How far a run had come when its process ended: what the engine needs to go on with it. Data and its plain
//! questions; made from a journal by `journal::replay`.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use indexmap::IndexMap;

use crate::model::{Doubt, HostId, HostOutcome, Zone};

use super::event::{HostRef, RollbackResult, StepResult, StopCause};
use super::journal::{Detached, FormedBatch, Gate, Kept, Mark, Opening, Part, Process};

/// How far a run had come.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Progress {
    /// What it is of.
    pub opening: Option<Opening>,
    /// The process that wrote last.
    pub process: Option<Process>,
    /// How it ended, where it did: the state and the exit status.
    pub ended: Option<(String, u8)>,
    /// The phase that was begun last.
    pub phase: usize,
    /// What is known of each phase that was begun.
    pub phases: BTreeMap<usize, PhaseProgress>,
    /// Every host that was heard of.
    pub hosts: BTreeMap<HostId, HostProgress>,
    /// Lists of steps on the controller that passed.
    pub sections: BTreeSet<Part>,
    /// Gates that were answered so that it went on.
    pub gates: BTreeSet<Gate>,
    /// An answer said: ask no more.
    pub asks_no_more: bool,
    /// Steps on the controller, and steps that are run once for many hosts.
    pub shared: HashMap<Mark, StepProgress>,
    /// Steps that were run once for many hosts, and passed.
    pub settled: HashMap<Mark, Option<Box<Kept>>>,
    /// Why it takes no more hosts, where it was cut off before those at work ended and what follows was done.
    pub stopping: Option<StopCause>,
    /// Hosts on which the run's lock lies, as far as is known: it was to be taken there and was not let go of.
    pub locked: Vec<HostId>,
    /// The hosts of a rollback that was begun.
    pub rolling_back: Option<Vec<HostId>>,
    /// How many steps were ever started that go on by themselves.
    pub detached: usize,
    /// What was told of it.
    pub told: Told,
}

/// What the events of a run's earlier processes told: those of the next one go on from there.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Told {
    /// When the run began; `None` where that is not known.
    pub started: Option<jiff::Timestamp>,
    /// The number of the next event.
    pub events: u64,
    /// For how long its processes were at work.
    pub elapsed: Duration,
    /// How the hosts came to their ends.
    pub ends: BTreeMap<HostId, ToldEnd>,
    /// Hosts that are not there any more.
    pub gone: Vec<GoneHost>,
}

/// A host of the run that is not there any more.
#[derive(Debug, Clone, PartialEq)]
pub struct GoneHost {
    /// The host.
    pub host: HostRef,
    /// Its zone.
    pub zone: Zone,
    /// What that makes of it: gone, or half done and not to be asked any more.
    pub outcome: HostOutcome,
}

/// How a host came to its end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ToldEnd {
    /// How long it took.
    pub duration: Duration,
    /// The last lines of its last step.
    pub tail: Vec<String>,
}

/// How far a phase had come.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PhaseProgress {
    /// How many hosts were healthy before it took any, where that is asked.
    pub baseline: Option<usize>,
    /// Hosts of the population that are not among those.
    pub uncounted: Vec<HostId>,
    /// The batches that were left, as they were formed last.
    pub formed: Vec<FormedBatch>,
    /// Those that were taken, in order.
    pub taken: Vec<TakenBatch>,
}

/// A batch that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakenBatch {
    /// The batch.
    pub batch: FormedBatch,
    /// What follows it was done: its pause and its question.
    pub closed: bool,
}

/// How far a host had come.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HostProgress {
    /// Where it stands.
    pub standing: Standing,
    /// The batch that it was last taken in.
    pub batch: Option<usize>,
    /// Phases of which it did its part.
    pub passed: BTreeSet<usize>,
    /// Phases in which a step began that may have changed it.
    pub touched: BTreeSet<usize>,
    /// Its steps.
    pub steps: IndexMap<Mark, StepProgress>,
    /// Registers that stay, whatever runs again.
    pub sticky: HashMap<Mark, Box<Kept>>,
    /// What its steps came to, by their ids, as far as it met others.
    pub results: IndexMap<String, Kept>,
    /// Steps that went on by themselves, and of which something may still lie on the host, oldest first.
    pub detached: Vec<DetachedProgress>,
    /// How its phases were rolled back.
    pub undone: BTreeMap<usize, RollbackResult>,
    /// It was half done, and ended before what was interrupted was come to again: whether that finished is as open as
    /// before.
    pub half_done: bool,
    /// Steps that were interrupted in an earlier process, and were not come to since.
    pub open: BTreeSet<Mark>,
    /// A count that rises with every end of a host.
    pub ended_at: usize,
}

/// Where a host stands.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Standing {
    /// Its turn has not come.
    #[default]
    Pending,
    /// Work on it had begun and has no end.
    Begun,
    /// It did its part of a phase.
    Passed,
    /// It had its last word.
    Ended(HostOutcome),
}

/// How far a step had come.
#[derive(Debug, Clone, PartialEq)]
pub enum StepProgress {
    /// It was begun, and has no end.
    Begun,
    /// It ended.
    Ended {
        /// How.
        result: StepResult,
        /// What it registered.
        register: Option<Box<Kept>>,
    },
}

/// A step that goes on by itself on its host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DetachedProgress {
    /// Which step.
    pub step: Mark,
    /// Where it lies.
    pub at: Detached,
    /// It is known to have been started.
    pub began: bool,
    /// Its end is in the journal.
    pub over: bool,
}

/// In which order hosts are taken again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// Half done: whether what ran on it finished is not known.
    Interrupted,
    /// It failed, or was cancelled.
    Failed,
    /// Its turn had not come.
    Pending,
}

impl Progress {
    /// Whether nothing was begun yet.
    pub fn is_new(&self) -> bool {
        self.opening.is_none()
    }

    /// Whether a host was left with a step that goes on by itself.
    pub fn goes_on_by_itself(&self) -> bool {
        let mut hosts = self.hosts.values();
        hosts.any(|host| host.continues() && host.detached.iter().any(|of| !of.over))
    }
}

impl HostProgress {
    /// How urgent it is; `None` where nothing is left to do.
    pub fn urgency(&self) -> Option<Urgency> {
        match &self.standing {
            Standing::Pending | Standing::Passed | Standing::Ended(HostOutcome::NotRun { .. }) => {
                Some(Urgency::Pending)
            }
            Standing::Begun | Standing::Ended(HostOutcome::Unknown { .. }) => {
                Some(Urgency::Interrupted)
            }
            Standing::Ended(HostOutcome::Ok | HostOutcome::Gone) => None,
            Standing::Ended(_) if self.half_done => Some(Urgency::Interrupted),
            Standing::Ended(_) => Some(Urgency::Failed),
        }
    }

    /// Whether it goes on where it was interrupted, rather than from its first step.
    pub fn continues(&self) -> bool {
        match &self.standing {
            Standing::Begun
            | Standing::Ended(HostOutcome::Unknown { .. } | HostOutcome::Cancelled { .. }) => true,
            Standing::Pending
            | Standing::Passed
            | Standing::Ended(HostOutcome::Ok | HostOutcome::Gone) => false,
            Standing::Ended(_) => self.half_done,
        }
    }

    /// Whether it had its last word, and failed.
    pub fn has_failed(&self) -> bool {
        matches!(&self.standing, Standing::Ended(outcome)
            if outcome.counts_as_failure() && !self.continues())
    }

    /// Forgets the first step of a part that failed, and everything after it.
    pub fn forget_failed(&mut self, part: Part) {
        let steps = self.steps.iter();
        let failed = steps
            .enumerate()
            .find(|(_, (mark, step))| mark.part == part && step.has_failed());
        if let Some(first) = failed.map(|(at, _)| at) {
            let mut at = 0..;
            self.steps
                .retain(|mark, _| at.next() < Some(first) || mark.part != part);
        }
    }

    /// How many phases it did, from the first on.
    pub fn ahead(&self) -> usize {
        let behind = self.passed.iter().zip(0..);
        behind
            .take_while(|(phase, number)| *phase == number)
            .count()
    }

    /// What a host is whose part of a phase was cut off, where nothing more is done about it.
    pub fn cut_off(&self, phase: usize, doubt: Doubt) -> HostOutcome {
        let step = self.interrupted(Part::Steps(phase)).next();
        let step = step.map_or_else(String::new, |mark| mark.id.to_string());
        HostOutcome::Unknown { step, doubt }
    }

    /// Whether its rollback was begun and did not pass: it is neither done nor as it was before.
    pub fn is_half_undone(&self) -> bool {
        let is_open = |phase| self.undone.get(phase) != Some(&RollbackResult::Done);
        let mut marks = self.steps.keys();
        let mut results = self.undone.values();
        marks.any(|mark| matches!(&mark.part, Part::Rollback(phase) if is_open(phase)))
            || results.any(|result| matches!(result, RollbackResult::Failed { .. }))
    }

    /// What it is to the end where it is not there any more.
    pub fn gone(&self) -> HostOutcome {
        let is_half_done = self.urgency() == Some(Urgency::Interrupted)
            || self.continues() && !self.touched.is_empty();
        if is_half_done {
            self.cut_off(self.ahead(), Doubt::Gone)
        } else {
            HostOutcome::Gone
        }
    }

    /// Its steps in a part that were begun and have no known end.
    pub fn interrupted(&self, part: Part) -> impl Iterator<Item = &Mark> {
        let steps = self.steps.iter();
        steps
            .filter(move |(mark, step)| mark.part == part && !step.is_ended())
            .map(|(mark, _)| mark)
    }
}

impl StepProgress {
    /// Whether it ended in failure.
    pub fn has_failed(&self) -> bool {
        let Self::Ended { result, .. } = self else {
            return false;
        };
        matches!(
            result,
            StepResult::Failed { .. } | StepResult::TimedOut { .. }
        )
    }

    /// Whether it is known how it ended.
    pub fn is_ended(&self) -> bool {
        match self {
            Self::Begun => false,
            Self::Ended { result, .. } => result.is_known(),
        }
    }
}
