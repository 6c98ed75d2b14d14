//! How a change is spread over its hosts, as a task's file says it: amounts as written, nothing resolved. What
//! the numbers come to for a fleet is the plan's.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::Amount;

use super::{Condition, RunProgram};

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

/// When the next host of a phase may start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// When the whole batch before has ended.
    #[default]
    Batch,
    /// When one of the batch has ended well: up to a batch's size is in flight.
    Window,
}

/// The order of hosts within a zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum HostOrder {
    /// By name, then id.
    #[default]
    Name,
    /// Drawn once, and kept in the plan.
    Random,
}

/// The order of zones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum ZoneOrder {
    /// Zones of one host last, the others by size, then by name.
    #[default]
    Auto,
    /// By name.
    Name,
    /// As listed; a zone that is not listed is an error.
    Listed(Vec<String>),
}

/// The hosts that go first and alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Canary {
    /// How many.
    pub hosts: Amount,
    /// How long they are watched before anything else is taken.
    pub bake: Option<Duration>,
    /// Whether it asks after them.
    pub confirm: bool,
}

/// Pauses after batches in which what was done is watched. The longest that applies counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bakes {
    /// After each batch.
    pub batch: Option<Duration>,
    /// At the end of a zone.
    pub zone: Option<Duration>,
    /// At the end of the first zone; `zone` where it is not set.
    pub first_zone: Option<Duration>,
    /// After the last batch.
    pub last: Option<Duration>,
}

/// The population is one consensus group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quorum {
    /// How many members may be out at once; 1 unless said.
    pub at_once: u32,
}

/// What a host that cannot be reached means for the rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum WhenUnreachable {
    /// It counts as failed; found before the start, nothing is changed anywhere.
    #[default]
    Fail,
    /// It is passed over, and still counts as out of service.
    Skip,
}

/// What happens to hosts at work when the rollout stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum OnStop {
    /// They finish their own steps.
    #[default]
    Finish,
    /// Their commands are ended.
    Cancel,
}

/// A place where a rollout asks before it goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GateAt {
    /// Before the first change.
    Start,
    /// After the canary.
    Canary,
    /// After each zone.
    Zone,
    /// After each batch.
    Batch,
    /// After each phase.
    Phase,
}

/// How a change is spread over its hosts.
#[derive(Debug, Clone)]
pub struct Strategy {
    /// How batches are formed; `None`: zone by zone where there are several zones, else in order.
    pub by: Option<By>,
    /// The size of each batch in turn, the last one repeating; `None` in it means all of its zone, or of the
    /// fleet. Empty means all hosts in one batch (`strategy: all`).
    pub batch: Vec<Amount>,
    /// When the next host may start.
    pub mode: Mode,
    /// The hosts that go first.
    pub canary: Option<Canary>,
    /// The order of zones.
    pub zone_order: ZoneOrder,
    /// The order of hosts within a zone.
    pub order: HostOrder,
    /// Which hosts are taken last, one at a time: true for those.
    pub last: Option<Condition>,
    /// The population is one consensus group.
    pub quorum: Option<Quorum>,
    /// The most hosts that may be out at once.
    pub max_unavailable: Option<Amount>,
    /// Hosts of the population that must be healthy while any healthy one is out.
    pub min_healthy: Option<Amount>,
    /// The same within each zone.
    pub min_healthy_per_zone: Option<Amount>,
    /// Zones of one host are exempt from `min_healthy_per_zone` (`single_host_zones: allow`).
    pub single_host_zones_allowed: bool,
    /// How many failed hosts are tolerated; one more stops the rollout.
    pub max_failures: Amount,
    /// The same within each zone.
    pub max_failures_per_zone: Option<Amount>,
    /// The same within each batch.
    pub max_failures_per_batch: Option<Amount>,
    /// What a host that cannot be reached means.
    pub unreachable: WhenUnreachable,
    /// Pauses in which what was done is watched.
    pub bakes: Bakes,
    /// How long too few healthy hosts are waited for before the rollout stops.
    pub health_wait: Duration,
    /// Where it asks.
    pub confirm: Vec<GateAt>,
    /// How long an answer is waited for; then the run is paused.
    pub confirm_timeout: Duration,
    /// What happens to hosts at work when the rollout stops.
    pub on_stop: OnStop,
    /// The limit of all steps of one host together, checks after them included.
    pub host_timeout: Option<Duration>,
}

impl Strategy {
    /// Five minutes.
    pub const HEALTH_WAIT: Duration = Duration::from_mins(5);
    /// An hour.
    pub const CONFIRM_TIMEOUT: Duration = Duration::from_hours(1);

    /// All hosts at once, tolerating so many failures, asking at these places.
    pub fn all(max_failures: Amount, confirm: Vec<GateAt>) -> Self {
        Self {
            by: None,
            batch: Vec::new(),
            mode: Mode::default(),
            canary: None,
            zone_order: ZoneOrder::default(),
            order: HostOrder::default(),
            last: None,
            quorum: None,
            max_unavailable: None,
            min_healthy: None,
            min_healthy_per_zone: None,
            single_host_zones_allowed: false,
            max_failures,
            max_failures_per_zone: None,
            max_failures_per_batch: None,
            unreachable: WhenUnreachable::default(),
            bakes: Bakes::default(),
            health_wait: Self::HEALTH_WAIT,
            confirm,
            confirm_timeout: Self::CONFIRM_TIMEOUT,
            on_stop: OnStop::default(),
            host_timeout: None,
        }
    }
}

/// What happens once a rollout stopped because hosts failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// Nothing: the run can be resumed.
    #[default]
    Stop,
    /// The hosts that failed are rolled back.
    RollbackFailed,
    /// The batch of the last failure is rolled back.
    RollbackBatch,
    /// The zone of the last failure is rolled back.
    RollbackZone,
    /// Every host that was started is rolled back.
    RollbackAll,
    /// It asks.
    Ask,
}

/// What a `notify` command is run for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Occasion {
    /// The first change is about to be made.
    Start,
    /// It asks.
    Gate,
    /// The rollout stopped.
    Stop,
    /// The rollout ended.
    Done,
    /// A rollback began.
    Rollback,
}

/// `notify`: a command on the controller. Its failure changes nothing.
#[derive(Debug, Clone)]
pub struct Notice {
    /// For what it is run.
    pub events: Vec<Occasion>,
    /// The command.
    pub program: RunProgram,
}
