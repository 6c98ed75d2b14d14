//! Flags that say what is printed, and where files go.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// When colours are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColorChoice {
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// What is printed.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Output")]
#[expect(clippy::struct_excessive_bools, reason = "each is one flag")]
pub(crate) struct OutputFlags {
    /// Gather: hosts with equal output under one heading
    #[arg(short = 'b', long, global = true)]
    pub(crate) gather: bool,
    /// With -b, show each group against the largest one
    #[arg(long, global = true, requires = "gather")]
    pub(crate) diff: bool,
    /// No `host │` prefix
    #[arg(short = 'N', long, global = true)]
    pub(crate) no_prefix: bool,
    /// Say less: no progress, no summary of what went well
    #[arg(short = 'q', long, global = true)]
    pub(crate) quiet: bool,
    /// Say more: each step as it starts and ends
    #[arg(short = 'v', long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// One JSON event a line on stdout, and nothing else
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Colours: auto, always, never
    #[arg(long, global = true, value_name = "WHEN", value_enum)]
    pub(crate) color: Option<ColorChoice>,
    /// Let colours of remote output through to the terminal
    #[arg(long, global = true)]
    pub(crate) remote_color: bool,
    /// Where downloads go [default: the run's files/]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) outdir: Option<PathBuf>,
}
