//! What a run is given besides its plan: numbers, switches, and the parts that do its I/O.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::model::{Limits, RunId, Secret};
use crate::task::Engine;

use super::journal::Journal;
use super::progress::Progress;

/// Settings of one run.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// The run's id.
    pub run: RunId,
    /// Time limits. `run` ends what runs when it passes; `command` holds for one attempt of a step that
    /// sets no `timeout`.
    pub limits: Limits,
    /// Connections tried for each host, 1 or more.
    pub attempts: u32,
    /// Hosts at work at the same time; a batch may hold fewer.
    pub fanout: NonZeroUsize,
    /// `-w`: a host goes on with its later steps after a failure; its outcome stays `failed`.
    pub warn_only: bool,
    /// `-k`: the first failed host stops the run; hosts at work finish.
    pub fail_fast: bool,
    /// Who started it, as `rollout.user`.
    pub user: String,
    /// Secrets beside those among the params, such as the sudo password: hidden wherever output would show
    /// them.
    pub secrets: Vec<Secret>,
    /// How the lock of a change is taken.
    pub lock: LockOptions,
    /// The name of this machine in the line that each host which a change touched gets in its syslog; `None` leaves
    /// that out.
    pub syslog: Option<String>,
    /// The working directory; local paths of a task that are not found in its folder are relative to it.
    pub cwd: PathBuf,
    /// How far an earlier process of the run had come, which this one goes on with.
    pub progress: Option<Arc<Progress>>,
    /// Roll back what was done, and nothing else.
    pub undo: bool,
}

/// How the lock of a change is taken.
#[derive(Debug, Clone, Default)]
pub struct LockOptions {
    /// How long a lock that another run holds, and that is at work, is waited for.
    pub wait: Duration,
    /// Where the locks of this machine stand, which save the way to the hosts; `None` leaves them out.
    pub folder: Option<PathBuf>,
    /// This machine's name, for those who find the lock.
    pub controller: String,
    /// What tells this taking of the lock from every other: 128 bits that nobody draws twice.
    pub token: u128,
    /// A run whose process is over and whose lock is this one's: itself, or the one that it takes up.
    pub adopt: Option<RunId>,
}

/// The parts that do a run's I/O. `app` names the real ones, tests the scripted ones.
#[derive(Debug)]
pub struct Parts<T, L, S, R, P> {
    /// Reaches hosts; the run shuts it down at its end.
    pub transport: T,
    /// Runs `local` steps, under the same supervisor as the remote ones.
    pub local: L,
    /// Renders what waited for the run.
    pub engine: Arc<Engine>,
    /// Takes the events.
    pub sink: S,
    /// Keeps logs and files.
    pub record: Arc<R>,
    /// Keeps what is done.
    pub journal: Arc<dyn Journal>,
    /// Asks people.
    pub prompt: P,
}
