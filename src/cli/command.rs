//! The subcommands. A task is the hidden subcommand `task NAME`, which [`super::argv`] puts in.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::{ConnectionFlags, OutputFlags, RunFlags, SelectionFlags};

/// Everything that was typed.
#[derive(Debug, Parser)]
#[command(
    name = "fab-rs",
    version,
    about = "Run tasks on many hosts over SSH: dumps, restarts, deploys, one-off commands",
    override_usage = "fab-rs [FLAGS] TASK [SELECTOR|name=value]…\n       fab-rs [FLAGS] COMMAND [ARGS]…",
    after_help = EXAMPLES,
    subcommand_required = true,
    disable_help_subcommand = true,
    max_term_width = 100
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) selection: SelectionFlags,
    #[command(flatten)]
    pub(crate) connection: ConnectionFlags,
    #[command(flatten)]
    pub(crate) run: RunFlags,
    #[command(flatten)]
    pub(crate) output: OutputFlags,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXAMPLES: &str = "\
Examples:
  fab-rs heapdump role=app                 a task of the library, on every host with tag role=app
  fab-rs run role=app az=us-west-2a -- uptime
  fab-rs plan restart role=app service=api what would happen, and in which order
  fab-rs hosts 'name=app-*'                who would be touched
  fab-rs list                              the tasks; `fab-rs show TASK` tells one whole";

/// A subcommand.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a task (the word `task` can be left out)
    #[command(hide = true)]
    Task(TaskArgs),
    /// Run a command on hosts: several words are an argv, one word is a line for `sh -c`
    #[command(
        override_usage = "fab-rs run [FLAGS] SELECTOR… -- COMMAND [ARG]…\n       fab-rs run [FLAGS] SELECTOR… -- - < SCRIPT"
    )]
    Run(AdhocArgs),
    /// Show what a task would do, and to whom, without doing it
    Plan(PlanArgs),
    /// Show which hosts a selection names
    Hosts(HostsArgs),
    /// List the tasks
    List(ListArgs),
    /// Show one task: params, steps, strategy, file
    Show(ShowArgs),
    /// Check task and inventory files
    Check(CheckArgs),
    /// Copy files to hosts: `put SELECTOR… -- SRC… DEST`
    Put(TransferArgs),
    /// Copy files from hosts: `get SELECTOR… -- SRC…`
    Get(TransferArgs),
    /// Go on with a run that was interrupted, paused or stopped
    Resume(ResumeArgs),
    /// Run a task again, the same way, on every host that a run left undone
    Retry(AgainArgs),
    /// Undo what a run did
    Rollback(RollbackArgs),
    /// Give a run up: end it if it lives, and say what it left half done
    Abort(AgainArgs),
    /// List earlier runs
    Runs(RunsArgs),
    /// Show a run's output, of all hosts or one
    Logs(LogsArgs),
    /// Show how a run ended
    Report(ReportArgs),
    /// Show who holds the locks of hosts, or release one
    #[command(subcommand)]
    Lock(LockCommand),
    /// Open a shell on one host, with the same connection settings
    Ssh(SshArgs),
    /// Find out why a host does not connect
    Doctor(DoctorArgs),
    /// Show the configuration, and where each value comes from
    Config(ConfigArgs),
    /// Print a JSON Schema for editors
    Schema(SchemaArgs),
}

/// A task's name and words.
#[derive(Debug, Args)]
pub(crate) struct TaskArgs {
    /// The task
    #[arg(value_name = "TASK")]
    pub(crate) name: String,
    /// Selectors and params
    #[arg(value_name = "WORD")]
    pub(crate) words: Vec<String>,
}

/// Selectors and a command.
#[derive(Debug, Args)]
pub(crate) struct AdhocArgs {
    /// Selectors
    #[arg(value_name = "SELECTOR")]
    pub(crate) words: Vec<String>,
    /// The command
    #[arg(last = true, value_name = "COMMAND")]
    pub(crate) command: Vec<String>,
}

/// A task to plan.
#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    /// The task
    #[arg(value_name = "TASK")]
    pub(crate) name: String,
    /// Selectors and params
    #[arg(value_name = "WORD")]
    pub(crate) words: Vec<String>,
    /// Write the plan as JSON to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Ask every host as the preflight does, run what only reads on those to touch, and show the plan as it would
    /// be now; changes nothing
    #[arg(long, conflicts_with = "out")]
    pub(crate) probe: bool,
}

/// How hosts are shown.
#[derive(Debug, Args)]
pub(crate) struct HostsArgs {
    /// Selectors; without any, every running host
    #[arg(value_name = "SELECTOR")]
    pub(crate) words: Vec<String>,
    /// The number of hosts alone
    #[arg(long)]
    pub(crate) count: bool,
    /// By role and zone
    #[arg(long)]
    pub(crate) fold: bool,
    /// A template for each host, such as '{{ host.name }} {{ host.address }}'
    #[arg(long, value_name = "TEMPLATE")]
    pub(crate) format: Option<String>,
}

/// What is listed.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Private tasks too
    #[arg(long)]
    pub(crate) all: bool,
}

/// Which task is shown.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// The task
    #[arg(value_name = "TASK")]
    pub(crate) name: String,
}

/// Which files are checked.
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// Files; without any, every task and inventory that would be found
    #[arg(value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
}

/// Selectors and files.
#[derive(Debug, Args)]
pub(crate) struct TransferArgs {
    /// Selectors
    #[arg(value_name = "SELECTOR")]
    pub(crate) words: Vec<String>,
    /// `SRC… DEST` for put, `SRC…` for get
    #[arg(last = true, value_name = "PATH", required = true)]
    pub(crate) paths: Vec<String>,
}

/// Which runs are listed.
#[derive(Debug, Args)]
pub(crate) struct RunsArgs {
    /// This one alone: its id, the start of one, its last four characters, or `last`
    #[arg(value_name = "RUN")]
    pub(crate) run: Option<String>,
}

/// Whose output is shown.
#[derive(Debug, Args)]
pub(crate) struct LogsArgs {
    /// The run's id, the start of one, its last four characters, or `last`
    #[arg(value_name = "RUN")]
    pub(crate) run: String,
    /// One host
    #[arg(value_name = "HOST")]
    pub(crate) host: Option<String>,
}

/// Which run is gone on with.
#[derive(Debug, Args)]
pub(crate) struct ResumeArgs {
    /// The run's id, the start of one, its last four characters, or `last`
    #[arg(value_name = "RUN")]
    pub(crate) run: String,
    /// Go on although the task was changed since; the difference is shown
    #[arg(long)]
    pub(crate) accept_changed: bool,
    /// Take hosts that match now and did not when the run began, after all others
    #[arg(long)]
    pub(crate) include_new: bool,
}

/// Which run is rolled back.
#[derive(Debug, Args)]
pub(crate) struct RollbackArgs {
    /// The run's id, the start of one, its last four characters, or `last`
    #[arg(value_name = "RUN")]
    pub(crate) run: String,
    /// Roll back although the task was changed since; the difference is shown
    #[arg(long)]
    pub(crate) accept_changed: bool,
}

/// Which run is taken up.
#[derive(Debug, Args)]
pub(crate) struct AgainArgs {
    /// The run's id, the start of one, its last four characters, or `last`
    #[arg(value_name = "RUN")]
    pub(crate) run: String,
}

/// Which run is reported.
#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// The run's id, the start of one, its last four characters, or `last`
    #[arg(value_name = "RUN", default_value = "last")]
    pub(crate) run: String,
}

/// What is done about locks.
#[derive(Debug, Subcommand)]
pub(crate) enum LockCommand {
    /// Show the locks of hosts: who holds them, since when, and whether that run is alive
    Status(LockStatusArgs),
    /// Release the lock of a run that is over
    Release(LockReleaseArgs),
}

/// Whose locks are shown.
#[derive(Debug, Args)]
pub(crate) struct LockStatusArgs {
    /// Selectors
    #[arg(value_name = "SELECTOR")]
    pub(crate) words: Vec<String>,
    /// This key alone
    #[arg(long, value_name = "KEY")]
    pub(crate) key: Option<String>,
}

/// Which lock is released.
#[derive(Debug, Args)]
pub(crate) struct LockReleaseArgs {
    /// Selectors
    #[arg(value_name = "SELECTOR")]
    pub(crate) words: Vec<String>,
    /// The lock with this key
    #[arg(long, value_name = "KEY")]
    pub(crate) key: Option<String>,
    /// The lock of this run
    #[arg(long = "run", value_name = "RUN")]
    pub(crate) run: Option<String>,
    /// Also another's, and one whose run is at work
    #[arg(long)]
    pub(crate) force: bool,
}

/// Which host is logged in to.
#[derive(Debug, Args)]
pub(crate) struct SshArgs {
    /// The host's name, address or id
    #[arg(value_name = "HOST")]
    pub(crate) host: String,
    /// A command instead of a shell
    #[arg(last = true, value_name = "COMMAND")]
    pub(crate) command: Vec<String>,
}

/// Which host is examined.
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// The host's name, address or id; without one, this machine's side alone
    #[arg(value_name = "HOST")]
    pub(crate) host: Option<String>,
}

/// How the configuration is shown.
#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    /// Keys that have no value too
    #[arg(long)]
    pub(crate) explain: bool,
}

/// Which schema is printed.
#[derive(Debug, Args)]
pub(crate) struct SchemaArgs {
    /// What it describes
    #[arg(value_enum, value_name = "WHAT")]
    pub(crate) what: SchemaKind,
}

/// What a schema describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SchemaKind {
    /// A task file.
    Task,
    /// An inventory file.
    Inventory,
    /// A line of `--json`.
    Event,
}
