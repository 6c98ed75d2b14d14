//! A command for a host, and how it ended.

use std::path::PathBuf;
use std::time::Duration;

use crate::model::Secret;

use super::Detach;

/// What runs on the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Program {
    /// A text for a shell: `shell` is the argv that takes the text as its last argument, such as
    /// `["sh", "-euc"]`.
    Shell {
        /// The shell's argv.
        shell: Vec<String>,
        /// The text.
        text: String,
    },
    /// An argv that no shell re-reads. At least one word.
    Argv(Vec<String>),
    /// A script, written to a 0700 temporary file by the supervisor, run, and removed at every end.
    Script {
        /// The interpreter's argv, such as `["sh"]`; empty runs the file itself by its `#!` line.
        interpreter: Vec<String>,
        /// The script's bytes.
        text: Vec<u8>,
        /// Its arguments.
        args: Vec<String>,
    },
}

/// As whom a command runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Sudo {
    /// The login user.
    #[default]
    No,
    /// `sudo -n -u USER`.
    User(String),
}

/// A command with everything it needs. Neither environment nor secrets nor stdin reach an argv.
#[derive(Debug, Clone)]
pub struct RemoteCommand {
    /// What runs.
    pub program: Program,
    /// As whom.
    pub sudo: Sudo,
    /// Environment variables, exported to the program.
    pub env: Vec<(String, String)>,
    /// Secrets: each is a 0600 file on the host, named by `FAB_SECRET_<NAME>_FILE`.
    pub secrets: Vec<(String, Secret)>,
    /// Working directory.
    pub cwd: Option<String>,
    /// A shell text run before the program in the same shell environment (`before:`).
    pub before: Option<String>,
    /// What the program reads on stdin; `/dev/null` where `None`. At most 1 MiB: the caller uploads more
    /// and names the file.
    pub stdin: Option<Vec<u8>>,
    /// How long after TERM the group gets KILL.
    pub grace: Duration,
    /// The command is only started, and goes on by itself: its output and its end are asked for afterwards.
    pub detach: Option<Detach>,
}

impl RemoteCommand {
    /// A command with the defaults: the login user, no further environment, 2 s of grace.
    pub fn new(program: Program) -> Self {
        Self {
            program,
            sudo: Sudo::No,
            env: Vec::new(),
            secrets: Vec::new(),
            cwd: None,
            before: None,
            stdin: None,
            grace: Duration::from_secs(2),
            detach: None,
        }
    }
}

/// How a command's leader ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It ended with this code; 128 + n where signal n ended it.
    Code(u8),
    /// The connection died first: whether it ended, and how, is not known.
    Lost,
}

/// By what the processes of a command are found, once it was started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// The number of its process group, which is its session's too where the host has `setsid`.
    pub group: u32,
    /// The value of `FAB_MARK` in their environment, also of those that left the group.
    pub mark: String,
}

/// What is known after a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecReport {
    /// How the leader ended.
    pub exit: Exit,
    /// Whether the program was started, or may have been. Where this is false it certainly was not: even
    /// a lost connection then leaves nothing unknown, and the command may be sent again.
    pub started: bool,
    /// Something the command started still held its output: a daemon, which was left alone.
    pub left_running: bool,
    /// Where the command was stopped: whether the end of its whole group was confirmed.
    pub group_ended: bool,
    /// By what its processes are found; `None` where the host could not make it a group of its own, or did not say.
    pub trace: Option<Trace>,
    /// What the transport itself has to say: sudo's refusal, ssh's last words. One line each.
    pub notes: Vec<String>,
    /// sudo refused before the program started, with its words; `exit` is then its code.
    pub sudo_refused: Option<String>,
}

impl ExecReport {
    /// The report of a command that did not get as far as the host; 126 is a shell's "cannot execute".
    pub(super) fn never_sent(why: &dyn std::fmt::Display) -> Self {
        Self {
            exit: Exit::Code(126),
            started: false,
            left_running: false,
            group_ended: true,
            trace: None,
            notes: vec![format!("the command was not sent: {why}")],
            sudo_refused: None,
        }
    }
}

impl ExecReport {
    /// The report of a command that sudo refuses, known before it was sent; 1 is sudo's own code.
    pub(super) fn sudo_refused(cause: String) -> Self {
        Self {
            exit: Exit::Code(1),
            started: false,
            left_running: false,
            group_ended: true,
            trace: None,
            notes: Vec::new(),
            sudo_refused: Some(cause),
        }
    }
}

/// A local file on its way to a host.
#[derive(Debug, Clone)]
pub struct Upload {
    /// The local file.
    pub local: PathBuf,
    /// The remote temporary file: the caller's unique name beside the destination.
    pub remote: PathBuf,
    /// As whom it is written.
    pub sudo: Sudo,
}

/// A remote file on its way here.
#[derive(Debug, Clone)]
pub struct Fetch {
    /// The remote file.
    pub remote: PathBuf,
    /// As whom it is read.
    pub sudo: Sudo,
    /// The first byte wanted: what an earlier, interrupted transfer brought is not asked for again.
    pub offset: u64,
}
