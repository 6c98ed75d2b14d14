//! Flags that say how a run goes: params, gates, limits, batches.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::StrategyFlags;
use super::values::{Bound, assignment, at_least_one, bound, limit};

/// Which gates `--yes` answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Yes {
    /// The start gate alone.
    Start,
    /// Every gate and question.
    All,
}

/// How a run goes.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Run")]
#[expect(clippy::struct_excessive_bools, reason = "each is one flag")]
pub(crate) struct RunFlags {
    /// Task file to take before all others
    #[arg(short = 'f', long = "file", global = true, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// Answer the start gate with yes; `--yes=all` answers every gate
    #[arg(
        short = 'y', long, global = true, value_name = "WHICH", value_enum,
        num_args = 0..=1, require_equals = true, default_missing_value = "start"
    )]
    pub(crate) yes: Option<Yes>,
    /// Show the plan and stop, as `fab-rs plan` does
    #[arg(short = 'n', long, global = true)]
    pub(crate) dry_run: bool,
    /// A value that is always a param, never a selector
    #[arg(long, global = true, value_name = "NAME=VALUE", value_parser = assignment)]
    pub(crate) set: Vec<(String, String)>,
    /// YAML or JSON file of params
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) params_file: Option<PathBuf>,
    /// Hosts at work at the same time [default: 32]
    #[arg(short = 'z', long, global = true, value_name = "N", value_parser = at_least_one)]
    pub(crate) fanout: Option<NonZeroUsize>,
    /// Stop at the first failure
    #[arg(short = 'k', long, global = true)]
    pub(crate) fail_fast: bool,
    /// Warn only: a host goes on with its later steps after a failure; the status is still 1
    #[arg(short = 'w', long, global = true)]
    pub(crate) warn_only: bool,
    /// Parallel: accepted for Fabric's sake, it is the default
    #[arg(short = 'P', global = true, hide = true)]
    pub(crate) parallel: bool,
    /// Run the ad-hoc command through sudo, as root
    #[arg(long, global = true)]
    pub(crate) sudo: bool,
    /// Wait this long for a lock that another run holds; a bare number is seconds [default: do not wait]
    #[arg(long, global = true, value_name = "LIMIT", value_parser = limit)]
    pub(crate) lock_wait: Option<Duration>,
    /// Limit for one command; a bare number is seconds, `none` is no limit [default: 1h]
    #[arg(short = 'T', long, global = true, value_name = "LIMIT", value_parser = bound)]
    pub(crate) command_timeout: Option<Bound>,
    /// End a command that prints nothing for this long [default: none]
    #[arg(long, global = true, value_name = "LIMIT", value_parser = bound)]
    pub(crate) silence: Option<Bound>,
    /// Limit for the whole run [default: none]
    #[arg(long, global = true, value_name = "LIMIT", value_parser = bound)]
    pub(crate) run_limit: Option<Bound>,
    /// How it goes through its hosts.
    #[command(flatten)]
    pub(crate) strategy: StrategyFlags,
}
