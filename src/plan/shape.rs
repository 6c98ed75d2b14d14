//! The types of a plan. `build` makes them; nothing here decides.

use std::collections::BTreeMap;
use std::sync::Arc;

use indexmap::IndexMap;
use serde::Serialize;

use crate::model::{Amount, Host, HostId, Zone};
use crate::task::{GateAt, Kind, ParamValue, Step, Task};

/// A whole run, before it starts.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The task.
    pub task: Arc<Task>,
    /// Whether it changes hosts.
    pub kind: Kind,
    /// Params that are the same for all hosts; those resolved per host are in [`HostPlan`].
    pub params: IndexMap<String, ParamValue>,
    /// Every host the selector matches, before `--limit` and `--exclude`; sorted by label, then id.
    pub population: Vec<Arc<Host>>,
    /// The hosts that may be touched, in the same order.
    pub targets: Vec<HostId>,
    /// Steps on the controller before the first batch.
    pub before: Vec<Step>,
    /// The passes over the targets.
    pub phases: Vec<Phase>,
    /// Steps on the controller after the last batch, if everything succeeded.
    pub after: Vec<Step>,
    /// Where it asks.
    pub confirm: Vec<GateAt>,
    /// What the operator should know before saying yes.
    pub warnings: Vec<String>,
    /// The lock's key; `None` for `read`.
    pub lock: Option<String>,
    /// SHA-256 of the task file and every file it takes in, hex.
    pub task_hash: String,
}

/// One pass over the targets with its own strategy.
#[derive(Debug, Clone)]
pub struct Phase {
    /// Its name; `main` where the task has no phases.
    pub name: String,
    /// How hosts are put into batches.
    pub by: By,
    /// The strategy's numbers as integers of hosts.
    pub resolved: Resolved,
    /// What was asked for, shown beside the resolved number.
    pub asked: Asked,
    /// The batches, in order.
    pub batches: Vec<Batch>,
    /// How many hosts may be out at once in the worst case.
    pub worst_out: WorstOut,
}

/// The strategy's amounts as the task or the command line wrote them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Asked {
    /// Batch size; `None` means all.
    pub batch: Option<Amount>,
    /// Tolerated failures.
    pub max_failures: Amount,
}

/// How hosts are put into batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// Zone by zone; a batch never crosses a zone.
    Az,
    /// Proportionally over the zones.
    Spread,
    /// In order.
    Flat,
}

/// Amounts as whole numbers of hosts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Resolved {
    /// Hosts in a full batch.
    pub batch: usize,
    /// Failures tolerated; one more stops the rollout. `None` means any number.
    pub max_failures: Option<usize>,
    /// Hosts that must stay healthy; `None` without health checks.
    pub min_healthy: Option<usize>,
}

/// Hosts that may be out at the same time.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Its number in the phase, from 0.
    pub index: usize,
    /// The zone, where all its hosts are of one.
    pub zone: Option<Zone>,
    /// Whether it is the canary.
    pub canary: bool,
    /// The hosts, in order.
    pub hosts: Vec<HostPlan>,
}

/// What one host will do.
#[derive(Debug, Clone)]
pub struct HostPlan {
    /// The host.
    pub host: Arc<Host>,
    /// Every param, those resolved for this host among them.
    pub params: Arc<IndexMap<String, ParamValue>>,
    /// The task's vars for this host.
    pub vars: Arc<IndexMap<String, serde_json::Value>>,
    /// The steps, rendered as far as they can be.
    pub steps: Arc<[Step]>,
    /// Steps for when one fails.
    pub rescue: Arc<[Step]>,
    /// Steps for the end.
    pub always: Arc<[Step]>,
}

/// The most hosts that can be out at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WorstOut {
    /// In all.
    pub overall: usize,
    /// In each zone.
    pub per_zone: BTreeMap<Zone, usize>,
}
