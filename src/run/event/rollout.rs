//! What happens to a rollout as a whole, beside the work on its hosts: facts with their causes, as JSON shows
//! them. No text for people is made here.

use serde::{Deserialize, Serialize};

use crate::lock::Found;
use crate::model::{Label, UnreachableKind, Zone};

use super::{GateAnswer, HostRef};

/// One fact of a rollout. Times are milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum RolloutFact {
    /// Every host of the population is asked how it is; nothing was changed so far.
    PreflightStarted {
        /// The hosts.
        hosts: Vec<Label>,
    },
    /// A host is not well, or is well again: told when a look finds it other than the look before.
    HostFound {
        /// The host.
        #[serde(flatten)]
        host: HostRef,
        /// What is wrong; `None` where it is well again.
        trouble: Option<Trouble>,
    },
    /// Every host was asked.
    PreflightFinished {
        /// How many are well.
        healthy: usize,
        /// Those of which a health check failed.
        sick: Vec<Label>,
        /// Those that do not answer.
        silent: Vec<Label>,
        /// Those on which steps would fail.
        unfit: Vec<Label>,
    },
    /// Another run has the lock; it is waited for.
    LockWaited {
        /// The lock as it was found.
        holder: Box<Found>,
    },
    /// The lock was taken.
    LockTaken {
        /// Its key; several, joined by commas, where they differ between hosts.
        key: String,
        /// The host to which the heartbeat goes.
        anchor: Label,
        /// How many hosts hold it.
        hosts: usize,
        /// Hosts of the population on which it could not be taken.
        without: Vec<Unlocked>,
    },
    /// The batches that are left are not those that were shown before.
    PlanChanged {
        /// The phase.
        phase: String,
        /// The number of the first of them, from 0.
        first: usize,
        /// Their hosts.
        batches: Vec<Vec<Label>>,
        /// Why.
        why: PlanChange,
    },
    /// A pass over the hosts began.
    PhaseStarted {
        /// Its name.
        phase: String,
        /// Its number, from 0.
        index: usize,
        /// How many the task has.
        count: usize,
        /// How many batches it is planned to have.
        batches: usize,
    },
    /// A pass over the hosts ended.
    PhaseFinished {
        /// Its name.
        phase: String,
        /// Its number, from 0.
        index: usize,
    },
    /// A host did its part of a phase; a later phase follows.
    HostPassed {
        /// The host.
        #[serde(flatten)]
        host: HostRef,
        /// The phase.
        phase: String,
        /// How long it took.
        duration_ms: u64,
    },
    /// A host that ended is taken again: what was told of its end holds no longer.
    HostReopened {
        /// The host.
        #[serde(flatten)]
        host: HostRef,
    },
    /// A host that ended well is unhealthy now: this is its outcome.
    HostTurned {
        /// The host.
        #[serde(flatten)]
        host: HostRef,
        /// The check that failed.
        check: String,
        /// The answer, for people.
        cause: String,
    },
    /// Too few hosts are healthy to take more; the rollout waits.
    HealthWaited {
        /// The phase.
        phase: String,
        /// What is missing.
        shortfall: Shortfall,
        /// How long it waits at most.
        limit_ms: u64,
    },
    /// Enough hosts are healthy again.
    HealthRegained {
        /// The phase.
        phase: String,
        /// How long it waited.
        waited_ms: u64,
    },
    /// Nothing is taken for a while, and what was done is watched.
    BakeStarted {
        /// How long.
        length_ms: u64,
        /// Which pause it is.
        why: BakeReason,
        /// The hosts that are watched.
        watched: Vec<Label>,
    },
    /// The pause is over.
    BakeFinished {
        /// How long it was.
        waited_ms: u64,
    },
    /// The rollout takes no more hosts.
    RolloutStopped {
        /// Why.
        because: StopCause,
        /// The hosts it did not come to.
        not_started: Vec<Label>,
    },
    /// Hosts are rolled back, in this order.
    RollbackStarted {
        /// The hosts.
        hosts: Vec<Label>,
    },
    /// The rollback of a host ended.
    HostRolledBack {
        /// The host.
        #[serde(flatten)]
        host: HostRef,
        /// How.
        #[serde(flatten)]
        result: RollbackResult,
    },
}

impl RolloutFact {
    /// Its word in JSON.
    pub fn word(&self) -> &'static str {
        match self {
            Self::PreflightStarted { .. } => "preflight_started",
            Self::HostFound { .. } => "host_found",
            Self::PreflightFinished { .. } => "preflight_finished",
            Self::LockWaited { .. } => "lock_waited",
            Self::LockTaken { .. } => "lock_taken",
            Self::PlanChanged { .. } => "plan_changed",
            Self::PhaseStarted { .. } => "phase_started",
            Self::PhaseFinished { .. } => "phase_finished",
            Self::HostPassed { .. } => "host_passed",
            Self::HostReopened { .. } => "host_reopened",
            Self::HostTurned { .. } => "host_turned",
            Self::HealthWaited { .. } => "health_waited",
            Self::HealthRegained { .. } => "health_regained",
            Self::BakeStarted { .. } => "bake_started",
            Self::BakeFinished { .. } => "bake_finished",
            Self::RolloutStopped { .. } => "rollout_stopped",
            Self::RollbackStarted { .. } => "rollback_started",
            Self::HostRolledBack { .. } => "host_rolled_back",
        }
    }

    /// The host it is about, where it is about one.
    pub fn host(&self) -> Option<&HostRef> {
        match self {
            Self::HostFound { host, .. }
            | Self::HostPassed { host, .. }
            | Self::HostReopened { host }
            | Self::HostTurned { host, .. }
            | Self::HostRolledBack { host, .. } => Some(host),
            _ => None,
        }
    }
}

/// What is wrong with a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Trouble {
    /// A health check failed.
    Sick {
        /// The check.
        check: String,
        /// The answer, for people.
        cause: String,
    },
    /// Steps would fail there: sudo, or a fact, does not work.
    Unfit {
        /// One line saying what.
        cause: String,
    },
    /// It does not answer.
    Silent {
        /// Which kind of trouble.
        unreachable_kind: UnreachableKind,
        /// From the sentence for people to the innermost cause.
        causes: Vec<String>,
        /// What can be done about it.
        #[serde(default)]
        hints: Vec<String>,
    },
}

/// A host that could not be locked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unlocked {
    /// The host.
    pub host: Label,
    /// One line saying why.
    pub cause: String,
}

/// Why batches are formed anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlanChange {
    /// Hosts fell ill, or recovered: sick ones come first.
    Health,
    /// Which hosts are taken last is another set.
    Last,
    /// Hosts dropped out.
    Targets,
}

/// Which rule asks for healthy hosts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "rule", rename_all = "snake_case")]
pub enum Rule {
    /// `min_healthy`, or its default.
    MinHealthy,
    /// `min_healthy_per_zone`.
    Zone {
        /// The zone.
        zone: Zone,
    },
    /// The majority of a quorum.
    Quorum,
    /// `last`: a host that is healthy is taken only while one of them all is the one to take last.
    Last,
}

/// Too few healthy hosts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shortfall {
    /// The rule that is not met.
    #[serde(flatten)]
    pub rule: Rule,
    /// How many healthy hosts there would be without those that are to be taken.
    pub healthy: usize,
    /// How many there must be.
    pub needed: usize,
    /// The hosts that are not healthy.
    pub down: Vec<Label>,
    /// The hosts that are to be taken.
    pub taking: Vec<Label>,
}

/// Which pause a bake is: the longest that applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BakeReason {
    /// After a batch.
    Batch,
    /// After the canary.
    Canary,
    /// After a zone.
    Zone,
    /// After the first zone.
    FirstZone,
    /// After the last batch.
    Last,
}

/// Why a rollout takes no more hosts. Signals and time limits are told by `CancelStarted`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "stop", rename_all = "snake_case")]
pub enum StopCause {
    /// More hosts failed than are tolerated.
    Failures {
        /// How many failed.
        failed: usize,
        /// How many are tolerated.
        limit: usize,
    },
    /// More hosts of a zone failed than are tolerated there.
    ZoneFailures {
        /// The zone.
        zone: Zone,
        /// How many failed.
        failed: usize,
        /// How many are tolerated.
        limit: usize,
    },
    /// More hosts of a batch failed than are tolerated in it.
    BatchFailures {
        /// The batch's number, from 0.
        batch: usize,
        /// How many failed.
        failed: usize,
        /// How many are tolerated.
        limit: usize,
    },
    /// A host of the canary failed.
    Canary {
        /// The host.
        host: Label,
    },
    /// Too few hosts stayed healthy for longer than `health_wait`.
    Health {
        /// What is missing.
        shortfall: Shortfall,
    },
    /// No host answers to `last`, though one must: there is no leader.
    NoLeader,
    /// What is done cannot be written down any more, so nothing more is done.
    Journal {
        /// Why not, for people.
        cause: String,
    },
    /// The task's `deadline` passed.
    Deadline {
        /// How long it was, milliseconds.
        limit_ms: u64,
    },
    /// A step on which all hosts depend failed.
    Step {
        /// The step's name.
        step: String,
        /// Where it ran: a label, or `the controller`.
        on: String,
    },
    /// A person, or nobody in time, said so at a gate.
    Gate {
        /// The answer.
        answer: GateAnswer,
        /// Who answered.
        by: String,
    },
    /// Another run has the lock; nothing was changed.
    Locked {
        /// The lock as it was found.
        holder: Box<Found>,
    },
    /// No host could be locked; nothing was changed.
    Unlockable {
        /// The hosts, and why.
        hosts: Vec<Unlocked>,
    },
    /// Hosts cannot be worked on; nothing was changed.
    Preflight {
        /// Targets that do not answer.
        silent: Vec<Label>,
        /// Targets on which steps would fail.
        unfit: Vec<Label>,
    },
}

/// How the rollback of a host ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "rollback", rename_all = "snake_case")]
pub enum RollbackResult {
    /// It is as it was before.
    Done,
    /// A step failed, or it is not healthy after it.
    Failed {
        /// One line saying why.
        cause: String,
    },
    /// It was not begun, or the host cannot be reached: a person has to.
    Pending {
        /// One line saying why.
        cause: String,
    },
}

impl RollbackResult {
    /// Its word in the summary.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed { .. } => "failed",
            Self::Pending { .. } => "pending",
        }
    }
}
