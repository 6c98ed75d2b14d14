//! The types of a plan. `build` makes them; nothing here decides.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;
use serde::Serialize;

use crate::model::{Amount, Host, HostId, Zone};
use crate::task::{
    Bakes, By, Check, Condition, GateAt, Kind, Mode, OnStop, ParamValue, Step, Strategy, Task,
    WhenUnreachable,
};

use super::batch::BatchRules;
use super::lock::Lock;

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
    /// What each host of the population is asked, in the same order. Empty where nothing is asked of hosts that
    /// are not touched: a task that only reads, or one without facts and health checks.
    pub members: Vec<Member>,
    /// The hosts that may be touched, in the same order.
    pub targets: Vec<HostId>,
    /// Steps on the controller before the first batch.
    pub before: Vec<Step>,
    /// The passes over the targets.
    pub phases: Vec<Phase>,
    /// Steps on the controller after the last batch, if everything succeeded.
    pub after: Vec<Step>,
    /// What the operator should know before saying yes.
    pub warnings: Vec<String>,
    /// What is locked on which host of the population; `None` for `read`.
    pub lock: Option<Lock>,
    /// SHA-256 of the task file and every file it takes in, hex.
    pub task_hash: String,
    /// Those files.
    pub sources: Vec<TakenIn>,
}

/// A file that a task is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakenIn {
    /// As users see it.
    pub path: String,
    /// Of its content, hex.
    pub sha256: String,
}

/// A host of the population, as far as it is only asked.
#[derive(Debug, Clone)]
pub struct Member {
    /// The host.
    pub host: Arc<Host>,
    /// Every param, those resolved for this host among them.
    pub params: Arc<IndexMap<String, ParamValue>>,
    /// The task's vars for this host.
    pub vars: Arc<IndexMap<String, serde_json::Value>>,
    /// Steps whose registers become `host.facts`.
    pub facts: Arc<[Step]>,
    /// Each phase's `health`, in the order of the phases.
    pub health: Vec<Arc<[Check]>>,
    /// Each phase's `last`: whether the host is taken last. `None` where the phase has none.
    pub last: Vec<Option<Condition>>,
}

/// One pass over the targets with its own strategy.
#[derive(Debug, Clone)]
pub struct Phase {
    /// Its name; `main` where the task has no phases.
    pub name: String,
    /// How hosts are put into batches.
    pub by: By,
    /// Everything that batches are formed from, with the numbers resolved: the run forms those that are left
    /// anew where facts or health say so.
    pub rules: Arc<BatchRules>,
    /// The strategy's numbers as integers of hosts.
    pub resolved: Resolved,
    /// What was asked for, shown beside the resolved number.
    pub asked: Asked,
    /// How the run goes on, waits and asks.
    pub pace: Pace,
    /// Steps on the controller before its first batch; those of a task without phases are the plan's.
    pub before: Vec<Step>,
    /// What each target does, in the order of [`Plan::targets`].
    pub hosts: Vec<HostPlan>,
    /// The batches, in order.
    pub batches: Vec<Batch>,
    /// Steps on the controller after its last batch, if everything succeeded.
    pub after: Vec<Step>,
    /// How many hosts may be out at once in the worst case.
    pub worst_out: WorstOut,
}

impl Phase {
    /// The hosts of a batch, in order.
    pub fn hosts_of<'a>(&'a self, batch: &'a Batch) -> impl Iterator<Item = &'a HostPlan> {
        batch.hosts.iter().map(|&host| &self.hosts[host])
    }

    /// Every host that has a batch, in the order of the batches.
    pub fn in_order(&self) -> impl Iterator<Item = &HostPlan> {
        let hosts = self.batches.iter().flat_map(|batch| &batch.hosts);
        hosts.map(|&host| &self.hosts[host])
    }
}

/// What of a strategy concerns time, questions and stopping.
#[derive(Debug, Clone)]
pub struct Pace {
    /// When the next host may start.
    pub mode: Mode,
    /// How long the canary is watched, and whether it asks after it; `None` without a canary.
    pub canary: Option<CanaryPace>,
    /// Pauses in which what was done is watched.
    pub bakes: Bakes,
    /// How long too few healthy hosts are waited for before the rollout stops.
    pub health_wait: Duration,
    /// Where it asks.
    pub confirm: Vec<GateAt>,
    /// How long an answer is waited for; then the run is paused.
    pub confirm_timeout: Duration,
    /// What a host that cannot be reached means.
    pub unreachable: WhenUnreachable,
    /// What happens to hosts at work when the rollout stops.
    pub on_stop: OnStop,
    /// The limit of all steps of one host together, checks after them included.
    pub host_timeout: Option<Duration>,
}

impl Pace {
    /// What a strategy says.
    pub fn of(strategy: &Strategy) -> Self {
        Self {
            mode: strategy.mode,
            canary: strategy.canary.as_ref().map(|canary| CanaryPace {
                bake: canary.bake,
                confirm: canary.confirm,
            }),
            bakes: strategy.bakes,
            health_wait: strategy.health_wait,
            confirm: strategy.confirm.clone(),
            confirm_timeout: strategy.confirm_timeout,
            unreachable: strategy.unreachable,
            on_stop: strategy.on_stop,
            host_timeout: strategy.host_timeout,
        }
    }
}

/// What follows the canary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CanaryPace {
    /// How long it is watched, at least.
    pub bake: Option<Duration>,
    /// Whether it asks.
    pub confirm: bool,
}

/// The strategy's amounts as the task or the command line wrote them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct Asked {
    /// Batch sizes in turn; empty means all.
    pub batch: Vec<Amount>,
    /// The canary's size.
    pub canary: Option<Amount>,
    /// The most hosts out at once.
    pub max_unavailable: Option<Amount>,
    /// Healthy hosts at least.
    pub min_healthy: Option<Amount>,
    /// The same within each zone.
    pub min_healthy_per_zone: Option<Amount>,
    /// Tolerated failures; `None` means any number.
    pub max_failures: Option<Amount>,
    /// The same within each zone.
    pub max_failures_per_zone: Option<Amount>,
    /// The same within each batch.
    pub max_failures_per_batch: Option<Amount>,
}

/// Amounts as whole numbers of hosts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct Resolved {
    /// Hosts in the largest batch.
    pub batch: usize,
    /// Hosts in the canary; 0 without one.
    pub canary: usize,
    /// Failures tolerated; one more stops the rollout. `None` means any number.
    pub max_failures: Option<usize>,
    /// The same for each zone of the targets.
    pub max_failures_per_zone: Option<BTreeMap<Zone, usize>>,
    /// The same within a batch: of each batch, by its number.
    pub max_failures_per_batch: Option<Amount>,
    /// The most hosts out at once, whatever asks for it; `None` means any number.
    pub cap: Option<usize>,
    /// Hosts of the population that must be healthy while a healthy one is out, as the strategy says it.
    /// `None`: not said. With health checks the run then keeps what stood at its start, less the largest
    /// batch and the failures tolerated.
    pub min_healthy: Option<usize>,
    /// The same for each zone; zones that are exempt are absent.
    pub min_healthy_per_zone: Option<BTreeMap<Zone, usize>>,
    /// The numbers of a consensus group.
    pub quorum: Option<ResolvedQuorum>,
}

/// The numbers of a consensus group: the population is its voting members.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ResolvedQuorum {
    /// How many members there are.
    pub voters: usize,
    /// `voters / 2 + 1`.
    pub majority: usize,
    /// `voters - majority`.
    pub tolerance: usize,
    /// How many may be out at once.
    pub at_once: usize,
}

/// Hosts that may be out at the same time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Its number in the phase, from 0.
    pub index: usize,
    /// The zone, where all its hosts are of one.
    pub zone: Option<Zone>,
    /// Whether it is the canary.
    pub canary: bool,
    /// Whether its host is one that is taken last.
    pub last: bool,
    /// The hosts, in order: their numbers in [`Phase::hosts`].
    pub hosts: Vec<usize>,
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
    /// Steps that undo it.
    pub rollback: Arc<[Step]>,
    /// Whether it serves, asked after its steps.
    pub health: Arc<[Check]>,
    /// Whether the change took, asked after that.
    pub verify: Arc<[Check]>,
}

/// The most hosts that can be out at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WorstOut {
    /// In all.
    pub overall: usize,
    /// In each zone.
    pub per_zone: BTreeMap<Zone, usize>,
}
