//! What a run keeps of its hosts from one piece of work on them to the next: how they stood, what their facts
//! said, and what their steps registered.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use indexmap::IndexMap;

use super::journal::{Mark, Part};
use super::message::HostIndex;
use super::values::Values;
use crate::model::{HostId, Label};
use crate::task::{Facts, RegisterValue, Results, Scope};

/// What steps of one host registered, each under its name.
pub(crate) type Registered = IndexMap<String, RegisterValue>;

/// What a step came to, for those that its host meets.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Made {
    pub(crate) value: RegisterValue,
    /// What it printed is not to be kept.
    pub(crate) quiet: bool,
}

/// What is kept of one host.
#[derive(Debug, Default)]
struct OfHost {
    well: bool,
    at_work: bool,
}

/// What is kept of every host, by its number in the population.
#[derive(Debug)]
pub(crate) struct Known {
    hosts: Mutex<Vec<OfHost>>,
    /// `host.facts` of every host.
    facts: Mutex<Arc<Facts>>,
    /// `results`, as far as hosts have met.
    results: Mutex<Arc<Results>>,
    /// What steps on the controller registered.
    common: Mutex<Registered>,
    /// What the steps of a host left behind in a phase, for its rollback.
    left: Mutex<HashMap<(usize, HostIndex), Scope>>,
    /// The first values of registers that stay.
    sticky: Mutex<HashMap<(HostIndex, Mark), (String, RegisterValue)>>,
}

impl Known {
    /// Nothing is known of so many hosts.
    pub(crate) fn new(population: usize) -> Self {
        Self {
            hosts: Mutex::new((0..population).map(|_| OfHost::default()).collect()),
            facts: Mutex::default(),
            results: Mutex::default(),
            common: Mutex::default(),
            left: Mutex::default(),
            sticky: Mutex::default(),
        }
    }

    fn hosts(&self) -> MutexGuard<'_, Vec<OfHost>> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A host was found well, or not.
    pub(crate) fn found(&self, host: HostIndex, well: bool) {
        self.hosts()[host].well = well;
    }

    /// Work on a host began.
    pub(crate) fn taken(&self, host: HostIndex) {
        self.hosts()[host].at_work = true;
    }

    /// Work on a host ended; whether it is well now.
    pub(crate) fn ended(&self, host: HostIndex, well: bool) {
        self.hosts()[host] = OfHost {
            well,
            at_work: false,
        };
    }

    /// Whether a host was well when it was last looked at, and nothing is being done to it.
    pub(crate) fn is_well(&self, host: HostIndex) -> bool {
        let hosts = self.hosts();
        hosts[host].well && !hosts[host].at_work
    }

    /// Keeps what a host's facts said; `None` where they could not be read.
    pub(crate) fn keep_facts(&self, host: &HostId, facts: Option<Registered>) {
        let mut kept = self.facts.lock().unwrap_or_else(PoisonError::into_inner);
        match facts {
            Some(facts) => Arc::make_mut(&mut kept).set(host, facts),
            None => Arc::make_mut(&mut kept).forget(host),
        }
    }

    /// Adds what a host's steps came to, by their ids, for those that it meets.
    pub(crate) fn bring(
        &self,
        host: &Label,
        registered: impl IntoIterator<Item = (String, RegisterValue)>,
    ) {
        let mut kept = self.results.lock().unwrap_or_else(PoisonError::into_inner);
        let results = Arc::make_mut(&mut kept);
        for (step, value) in registered {
            results.set(&step, host, value);
        }
    }

    /// Keeps what a step on the controller registered, for every step after it.
    pub(crate) fn keep_common(&self, name: &str, value: RegisterValue) {
        let mut common = self.common.lock().unwrap_or_else(PoisonError::into_inner);
        common.insert(name.to_owned(), value);
    }

    /// Shows a scope what steps on the controller registered, where it has nothing under the same name.
    pub(crate) fn show_common(&self, scope: &mut Scope) {
        let common = self.common.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, value) in common.iter() {
            if !scope.has(name) {
                scope.set_register(name, value.clone());
            }
        }
    }

    /// Shows a scope every host's facts, and results.
    pub(crate) fn show(&self, scope: &mut Scope) {
        scope.set_facts(&self.facts.lock().unwrap_or_else(PoisonError::into_inner));
        scope.set_results(&self.results.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// The value that a register keeps: the first that was seen.
    pub(crate) fn stick(
        &self,
        host: HostIndex,
        mark: &Mark,
        (name, value): (&str, &RegisterValue),
    ) -> RegisterValue {
        let mut sticky = self.sticky.lock().unwrap_or_else(PoisonError::into_inner);
        let first = sticky.entry((host, mark.clone()));
        let first = first.or_insert_with(|| (name.to_owned(), value.clone()));
        first.1.clone()
    }

    /// The registers of a host that stay, of a list of steps.
    pub(crate) fn stuck(&self, host: HostIndex, part: Part) -> Vec<(String, RegisterValue)> {
        let sticky = self.sticky.lock().unwrap_or_else(PoisonError::into_inner);
        let of = sticky.iter();
        let of = of.filter(|((of, mark), _)| *of == host && mark.part == part);
        of.map(|(_, first)| first.clone()).collect()
    }

    /// Keeps what a host's steps registered in a phase.
    pub(crate) fn leave(&self, phase: usize, host: HostIndex, values: &Values) {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        left.insert((phase, host), values.scope.clone());
    }

    /// What a host's steps registered in a phase.
    pub(crate) fn left(&self, phase: usize, host: HostIndex) -> Option<Scope> {
        let left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        left.get(&(phase, host)).cloned()
    }
}
