//! A task as its file defines it: every reference checked, nothing rendered yet.

use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;
use serde::Serialize;

use crate::model::{Amount, Source};

use super::{Param, Step, Text};

/// Whether a task changes anything on its hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Only looks: no lock, no gate, all hosts at once, any number of failures tolerated.
    Read,
    /// Changes hosts: must declare a strategy, asks before it starts.
    Change,
}

/// A place where a rollout asks before it goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum GateAt {
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

/// What happens once a rollout stopped because hosts failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// Nothing: the run can be resumed.
    #[default]
    Stop,
}

/// How a change is spread over its hosts. Only what the engine honours is here; the rest of the format is
/// read, checked and refused while planning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Strategy {
    /// How many hosts at once; `None` means all of them.
    pub batch: Option<Amount>,
    /// How many failed hosts are tolerated; one more stops the rollout.
    pub max_failures: Amount,
    /// Where it asks.
    pub confirm: Vec<GateAt>,
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
    /// How it is spread over hosts.
    pub strategy: Strategy,
    /// Steps on the controller before the first batch.
    pub before: Vec<Step>,
    /// Steps on each host.
    pub steps: Vec<Step>,
    /// Steps on a host where a step failed.
    pub rescue: Vec<Step>,
    /// Steps on each host at its end, whatever happened.
    pub always: Vec<Step>,
    /// Steps on the controller after the last batch, if everything succeeded.
    pub after: Vec<Step>,
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
}
