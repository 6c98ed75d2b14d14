//! A gate as events show it: what is asked, what is known, what comes next, and the answers there are.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::model::{HostOutcome, Label, Zone};
use crate::task::GateAt;

use super::Trouble;

/// An answer at a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GateAnswer {
    /// `y`: go on.
    Go,
    /// `a`: go on, and ask at no later gate.
    All,
    /// `r`: take the failed hosts again, then ask again.
    Retry,
    /// `s`: stop; the run can be resumed.
    Stop,
    /// `b`: roll back.
    Rollback,
    /// `p`: pause.
    Pause,
}

/// What a gate shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateFacts {
    /// Where the rollout stands; `None` where it stopped and asks what to do about it.
    pub at: Option<GateAt>,
    /// Answers that are taken, in the order shown.
    pub offers: Vec<GateAnswer>,
    /// How long an answer is waited for.
    pub timeout_ms: u64,
    /// How many hosts have each outcome so far; `pending` counts those that have none.
    pub counts: IndexMap<String, usize>,
    /// Hosts with an outcome that is not ok, or that were found not well.
    pub troubled: Vec<Troubled>,
    /// What comes next; `None` at the end, and where the rollout stopped.
    pub next: Option<NextUp>,
}

/// A host with problems, as a gate shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Troubled {
    /// The host.
    pub host: Label,
    /// How it ended, where it did.
    pub outcome: Option<HostOutcome>,
    /// What was found of it, where that is what is wrong.
    pub trouble: Option<Trouble>,
}

/// What comes after a gate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NextUp {
    /// The phase.
    pub phase: String,
    /// The batch's number, from 0.
    pub batch: usize,
    /// How many batches the phase has.
    pub of: usize,
    /// Its zone, where it has one.
    pub zone: Option<Zone>,
    /// Its hosts.
    pub hosts: Vec<Label>,
}
