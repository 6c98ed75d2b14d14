//! A line of the audit log: which keys there are. They are flat, so that a `jq` filter stays short; keys may be added,
//! never renamed. Pure.

use std::path::PathBuf;

use indexmap::IndexMap;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::model::RunId;

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// A new run.
    Run,
    /// A new run over what an earlier one left undone.
    Retry,
    /// A run is gone on with.
    Resume,
    /// What a run did is undone.
    Rollback,
    /// A run is given up.
    Abort,
}

/// Who asked for it, and from where.
#[derive(Debug, Clone, Serialize)]
pub struct Who {
    /// The name in `USER` or `LOGNAME`, which anybody may set.
    pub user: String,
    /// The number that the system knows.
    pub uid: u32,
    /// The number that the session's login had, where the system keeps it: it stays through `sudo` and `su`.
    pub login_uid: Option<u32>,
    /// Who called `sudo`, where fab-rs runs under it.
    pub sudo_user: Option<String>,
    /// This machine.
    pub controller: String,
    /// Whence the person is logged in to this machine: the address in `SSH_CLIENT`.
    pub ssh_client: Option<String>,
    /// The working directory.
    pub cwd: PathBuf,
    /// fab-rs's process.
    pub pid: u32,
    /// fab-rs's version.
    pub version: &'static str,
}

/// A run began, or was taken up.
#[derive(Debug, Clone, Serialize)]
pub struct Started {
    /// Who did it.
    #[serde(flatten)]
    pub who: Who,
    /// The run that a `retry` takes up what was left of.
    pub of: Option<RunId>,
    /// `change` or `read`.
    pub kind: String,
    /// SHA-256 of the task's files, hex.
    pub task_hash: String,
    /// The commit that is checked out where the task is, or in the working directory.
    pub git_revision: Option<String>,
    /// Whether files there differ from it; `None` where that is not known, and for tasks without a folder.
    pub git_dirty: Option<bool>,
    /// Params that are the same for all hosts, redacted.
    pub params: Map<String, Value>,
    /// What `run`, `put` and `get` were given behind `--`, redacted.
    pub command: Option<String>,
    /// The selectors, and the inventory where one was named.
    pub selection: Vec<String>,
    /// How many hosts may be touched.
    pub host_count: usize,
    /// Their ids.
    pub hosts: Vec<String>,
}

/// A run came to an end, for now or for good.
#[derive(Debug, Clone, Serialize)]
pub struct Ended {
    /// The user again, so that this line tells something by itself.
    pub user: String,
    /// The run's state.
    pub state: String,
    /// The exit status.
    pub exit: u8,
    /// How many hosts have each outcome.
    pub counts: IndexMap<String, usize>,
    /// From this process's start of the run to its end, milliseconds.
    pub duration_ms: u64,
}

/// One line.
#[derive(Debug, Clone, Serialize)]
pub struct Line<'a, Of> {
    /// `run_started` or `run_ended`.
    pub event: &'static str,
    /// When it was written.
    pub time: jiff::Timestamp,
    /// The run.
    pub run: &'a RunId,
    /// What was asked for.
    pub action: Action,
    /// The task.
    pub task: &'a str,
    /// The rest.
    #[serde(flatten)]
    pub of: Of,
}
