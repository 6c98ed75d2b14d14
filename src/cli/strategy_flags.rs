//! Flags that say how a change goes through its hosts, over what the task's `strategy` says. They have the names
//! of its keys; those that are rarely typed are left out of the short help.

use std::time::Duration;

use clap::{Args, ValueEnum};

use super::values::{amount, amounts, limit, pause, quorum};
use crate::model::Amount;

/// How batches are formed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ByFlag {
    /// Zone by zone.
    Az,
    /// Proportionally over the zones.
    Spread,
    /// In order.
    Flat,
}

/// When the next host may start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ModeFlag {
    /// When the whole batch before has ended.
    Batch,
    /// When one of the batch has ended well.
    Window,
}

/// The order of hosts within a zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OrderFlag {
    /// By name.
    Name,
    /// Drawn.
    Random,
}

/// What a host that cannot be reached means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum UnreachableFlag {
    /// It counts as failed.
    Fail,
    /// It is passed over.
    Skip,
}

/// What happens to hosts at work when the rollout stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnStopFlag {
    /// They finish.
    Finish,
    /// They are ended.
    Cancel,
}

/// What becomes of zones of one host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ZonesOfOneFlag {
    /// They are counted like others.
    Refuse,
    /// They are exempt.
    Allow,
}

/// Where it asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ConfirmFlag {
    /// Nowhere.
    Never,
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

/// What is said of a consensus group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum QuorumFlag {
    /// The hosts are none.
    Off,
    /// So many members may be out at once.
    AtOnce(u32),
}

/// How a change goes through its hosts.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Rollout")]
pub(crate) struct StrategyFlags {
    /// How batches are formed: az (zone by zone), spread, flat
    #[arg(long, global = true, value_name = "HOW", value_enum)]
    pub(crate) by: Option<ByFlag>,
    /// Hosts in one batch, or several sizes in turn, such as 1,2,50%; makes an ad-hoc command a change with a
    /// start gate
    #[arg(long, global = true, value_name = "N|N%,…", value_parser = amounts)]
    pub(crate) batch: Option<Amounts>,
    /// Hosts that go first and alone
    #[arg(long, global = true, value_name = "N|N%", value_parser = amount)]
    pub(crate) canary: Option<Amount>,
    /// The most hosts out at once
    #[arg(long, global = true, value_name = "N|N%", value_parser = amount)]
    pub(crate) max_unavailable: Option<Amount>,
    /// Hosts that must be healthy while any is out; less than the task says needs --force
    #[arg(long, global = true, value_name = "N|N%", value_parser = amount)]
    pub(crate) min_healthy: Option<Amount>,
    /// The same in each zone
    #[arg(long, global = true, value_name = "N|N%", value_parser = amount, hide_short_help = true)]
    pub(crate) min_healthy_per_zone: Option<Amount>,
    /// Whether zones of one host are exempt from that
    #[arg(
        long,
        global = true,
        value_name = "WHAT",
        value_enum,
        hide_short_help = true
    )]
    pub(crate) single_host_zones: Option<ZonesOfOneFlag>,
    /// Failed hosts tolerated; one more stops the run
    #[arg(long, global = true, value_name = "N|N%", value_parser = amount)]
    pub(crate) max_failures: Option<Amount>,
    /// The same in each zone
    #[arg(long, global = true, value_name = "N|N%", value_parser = amount, hide_short_help = true)]
    pub(crate) max_failures_per_zone: Option<Amount>,
    /// The same in each batch
    #[arg(long, global = true, value_name = "N|N%", value_parser = amount, hide_short_help = true)]
    pub(crate) max_failures_per_batch: Option<Amount>,
    /// What a host that cannot be reached means: fail, skip
    #[arg(
        long,
        global = true,
        value_name = "WHAT",
        value_enum,
        hide_short_help = true
    )]
    pub(crate) unreachable: Option<UnreachableFlag>,
    /// When the next host starts: batch (all before it ended), window (one did)
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        value_enum,
        hide_short_help = true
    )]
    pub(crate) mode: Option<ModeFlag>,
    /// The order of zones: auto, name, or all zones by name
    #[arg(
        long,
        global = true,
        value_name = "ZONE,…",
        value_delimiter = ',',
        hide_short_help = true
    )]
    pub(crate) zone_order: Vec<String>,
    /// The order of hosts within a zone: name, random
    #[arg(
        long,
        global = true,
        value_name = "HOW",
        value_enum,
        hide_short_help = true
    )]
    pub(crate) order: Option<OrderFlag>,
    /// How many members of a consensus group may be out at once, or `off`: more than the task says needs --force
    #[arg(long, global = true, value_name = "N|off", value_parser = quorum, hide_short_help = true)]
    pub(crate) quorum: Option<QuorumFlag>,
    /// Pause after each batch
    #[arg(long, global = true, value_name = "PAUSE", value_parser = pause, hide_short_help = true)]
    pub(crate) bake: Option<Duration>,
    /// Pause after the canary, where there is one
    #[arg(long, global = true, value_name = "PAUSE", value_parser = pause, hide_short_help = true)]
    pub(crate) canary_bake: Option<Duration>,
    /// Pause at a zone's end
    #[arg(long, global = true, value_name = "PAUSE", value_parser = pause, hide_short_help = true)]
    pub(crate) zone_bake: Option<Duration>,
    /// Pause at the first zone's end
    #[arg(long, global = true, value_name = "PAUSE", value_parser = pause, hide_short_help = true)]
    pub(crate) first_zone_bake: Option<Duration>,
    /// Pause after the last batch
    #[arg(long, global = true, value_name = "PAUSE", value_parser = pause, hide_short_help = true)]
    pub(crate) final_bake: Option<Duration>,
    /// How long too few healthy hosts are waited for before the run stops
    #[arg(long, global = true, value_name = "LIMIT", value_parser = pause, hide_short_help = true)]
    pub(crate) health_wait: Option<Duration>,
    /// Where it asks: start, canary, zone, batch, phase, never
    #[arg(
        long,
        global = true,
        value_name = "WHERE,…",
        value_enum,
        value_delimiter = ',',
        hide_short_help = true
    )]
    pub(crate) confirm: Vec<ConfirmFlag>,
    /// How long an answer is waited for; then the run is paused
    #[arg(long, global = true, value_name = "LIMIT", value_parser = limit, hide_short_help = true)]
    pub(crate) confirm_timeout: Option<Duration>,
    /// Hosts at work when the run stops: finish, cancel
    #[arg(
        long,
        global = true,
        value_name = "WHAT",
        value_enum,
        hide_short_help = true
    )]
    pub(crate) on_stop: Option<OnStopFlag>,
    /// Limit for all steps of one host together
    #[arg(long, global = true, value_name = "LIMIT", value_parser = limit, hide_short_help = true)]
    pub(crate) host_timeout: Option<Duration>,
    /// Protect the population less than the task does (quorum, min_healthy)
    #[arg(long, global = true, hide_short_help = true)]
    pub(crate) force: bool,
    /// Touch a consensus group of one or two, which does not serve meanwhile
    #[arg(long, global = true, hide_short_help = true)]
    pub(crate) allow_quorum_loss: bool,
    /// Run the plan that `plan --out FILE` kept, or nothing if hosts, batches or the task changed since
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) plan: Option<std::path::PathBuf>,
}

/// Sizes in turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Amounts(pub(crate) Vec<Amount>);
