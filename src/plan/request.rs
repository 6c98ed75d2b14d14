//! What a plan is made from.

use std::sync::Arc;

use crate::model::{Host, HostId};
use crate::task::{CommonParams, Engine, Task};

use super::Overrides;

/// Reads the files that a task takes in while it is planned; `app` implements it.
pub trait TaskFiles {
    /// The bytes of a file: in the task's folder, else in the working directory, as the run finds the files
    /// that it uploads.
    ///
    /// # Errors
    /// Why it cannot be read, in words.
    fn read(&self, task: &Task, path: &str) -> Result<Arc<[u8]>, String>;
}

/// What a plan is made from.
pub struct PlanRequest<'a> {
    /// The task.
    pub task: &'a Arc<Task>,
    /// Finds the tasks that `task:` steps name.
    pub library: &'a dyn Fn(&str) -> Option<Arc<Task>>,
    /// Reads scripts and templates.
    pub files: &'a dyn TaskFiles,
    /// Every host the selector matches.
    pub population: Vec<Arc<Host>>,
    /// Those of them that may be touched.
    pub targets: &'a [HostId],
    /// The params, as far as they are the same for all hosts.
    pub params: &'a CommonParams,
    /// What the command line says over the strategy.
    pub overrides: &'a Overrides,
    /// Renders.
    pub engine: &'a Engine,
    /// Connections and commands at work at the same time.
    pub fanout: usize,
    /// The time, for what is said of hosts that are just starting.
    pub now: jiff::Timestamp,
    /// What `order: random` is drawn from: the same seed draws the same order.
    pub seed: u64,
    /// How many hosts the last run of this task with these words counted; `None` where none is known.
    pub last_population: Option<usize>,
}
