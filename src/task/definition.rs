//! A task as its file defines it: every reference checked, nothing rendered yet.

use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;
use serde::Serialize;

use crate::model::Source;

use super::{Check, Notice, OnFailure, Param, Step, Strategy, Text};

/// Whether a task changes anything on its hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Only looks: no lock, no gate, all hosts at once, any number of failures tolerated.
    Read,
    /// Changes hosts: must declare a strategy, asks before it starts.
    Change,
}

/// A task's `lock`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum LockKey {
    /// The task's name with each host's service and environment.
    #[default]
    ByTags,
    /// No lock is taken.
    None,
    /// This key for every host; may be a template over params.
    Key(Text),
}

/// A task.
#[derive(Debug, Clone)]
pub struct Task {
    /// Its name, `[a-z][a-z0-9_]*`.
    pub name: String,
    /// One line for lists.
    pub desc: String,
    /// Long text for `show`.
    pub help: String,
    /// Hidden from lists, callable by a `task:` step.
    pub private: bool,
    /// Whether it changes hosts.
    pub kind: Kind,
    /// Declared parameters, in the order of the file.
    pub params: IndexMap<String, Param>,
    /// Derived values, evaluated per host in this order.
    pub vars: IndexMap<String, Text>,
    /// The hosts it runs on when none are selected: selector words, which may be templates over params.
    pub targets: Vec<Text>,
    /// Read-only steps on every host of the population, before batches are made and before each batch: their
    /// registers become `host.facts`.
    pub facts: Vec<Step>,
    /// Steps on the controller before the first batch.
    pub before: Vec<Step>,
    /// The passes over the hosts, one or more; a task that names none has one called `main`.
    pub phases: Vec<TaskPhase>,
    /// Steps on the controller after the last batch, if everything succeeded.
    pub after: Vec<Step>,
    /// What nobody else may do on these hosts meanwhile.
    pub lock: LockKey,
    /// What happens once the rollout stopped.
    pub on_failure: OnFailure,
    /// A failed host goes on at the step that failed where the run is resumed, instead of at its first.
    pub from_failed: bool,
    /// Commands that tell others about the run.
    pub notify: Vec<Notice>,
    /// Connections and commands at work at the same time; `None` leaves the default of 32.
    pub fanout: Option<u32>,
    /// The limit of the whole rollout.
    pub deadline: Option<Duration>,
    /// The file it stands in.
    pub source: Arc<Source>,
    /// Its folder on disk, from which `src:` paths are read; `None` for the built-in library.
    pub folder: Option<std::path::PathBuf>,
    /// Keys that are part of the format but not supported yet, with their places: planning refuses them.
    pub unsupported: Vec<crate::model::Diagnostic>,
    /// What is right and probably not meant, with its place: `check` says it.
    pub warnings: Vec<crate::model::Diagnostic>,
}

/// One pass over the hosts.
#[derive(Debug, Clone)]
pub struct TaskPhase {
    /// Its name.
    pub name: String,
    /// How it is spread over hosts.
    pub strategy: Strategy,
    /// Whether a host serves: asked of any host of the population at any time.
    pub health: Vec<Check>,
    /// Whether the change took: asked of a host just done.
    pub verify: Vec<Check>,
    /// Steps on the controller before its first batch.
    pub before: Vec<Step>,
    /// Steps on each host.
    pub steps: Vec<Step>,
    /// Steps on a host where a step failed.
    pub rescue: Vec<Step>,
    /// Steps on each host at its end, whatever happened.
    pub always: Vec<Step>,
    /// Steps on the controller after its last batch, if everything succeeded.
    pub after: Vec<Step>,
    /// Steps that undo it on a host.
    pub rollback: Vec<Step>,
}

impl TaskPhase {
    /// A phase that does nothing yet.
    pub fn new(name: &str, strategy: Strategy) -> Self {
        Self {
            name: name.to_owned(),
            strategy,
            health: Vec::new(),
            verify: Vec::new(),
            before: Vec::new(),
            steps: Vec::new(),
            rescue: Vec::new(),
            always: Vec::new(),
            after: Vec::new(),
            rollback: Vec::new(),
        }
    }
}

impl Task {
    /// Every list of steps, in the order of the file's format; checks are not among them.
    pub fn all_steps(&self) -> impl Iterator<Item = &Vec<Step>> {
        let phases = self.phases.iter().flat_map(|phase| {
            [
                &phase.before,
                &phase.steps,
                &phase.rescue,
                &phase.always,
                &phase.rollback,
                &phase.after,
            ]
        });
        let first = [&self.facts, &self.before].into_iter();
        first.chain(phases).chain([&self.after])
    }
}

impl Task {
    /// What it has that belongs to a whole rollout, so that it cannot be a step of another task; as the keys
    /// are called in messages.
    pub fn own_rollout(&self) -> Option<&'static str> {
        if !self.before.is_empty() || !self.after.is_empty() {
            Some("`before` or `after` steps")
        } else if !matches!(self.phases.as_slice(), [phase] if phase.name == MAIN) {
            Some("`phases`")
        } else if !self.facts.is_empty() {
            Some("`facts`")
        } else {
            None
        }
    }
}

/// The name of the only phase of a task that names none.
pub const MAIN: &str = "main";
