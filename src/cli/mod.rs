//! What can be typed: flags, subcommands and words. Says what was typed, never what it means; that is
//! `app::settings`.

mod argv;
mod command;
mod connection_flags;
mod hints;
mod output_flags;
mod run_flags;
mod selection_flags;
mod strategy_flags;
mod values;

pub(crate) use argv::{Typed, parse};
pub(crate) use command::{
    AdhocArgs, AgainArgs, CheckArgs, Cli, Command, ConfigArgs, DoctorArgs, HostsArgs, ListArgs,
    LockCommand, LockReleaseArgs, LockStatusArgs, LogsArgs, PlanArgs, ReportArgs, ResumeArgs,
    RollbackArgs, RunsArgs, SchemaArgs, SchemaKind, ShowArgs, SshArgs, TaskArgs, TransferArgs,
};
pub(crate) use connection_flags::ConnectionFlags;
pub(crate) use output_flags::{ColorChoice, OutputFlags};
pub(crate) use run_flags::{RunFlags, Yes};
pub(crate) use selection_flags::SelectionFlags;
pub(crate) use strategy_flags::{
    Amounts, ByFlag, ConfirmFlag, ModeFlag, OnStopFlag, OrderFlag, QuorumFlag, StrategyFlags,
    UnreachableFlag, ZonesOfOneFlag,
};
pub(crate) use values::Bound;
