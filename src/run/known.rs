//! What a run keeps of its hosts from one piece of work on them to the next: how they stood, what their facts
//! said, and what their steps registered.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use indexmap::IndexMap;

use super::message::HostIndex;
use super::values::Values;
use crate::task::{RegisterValue, Scope};

/// Facts of one host: what each `facts` step registered.
pub(crate) type Facts = IndexMap<String, RegisterValue>;

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
    facts: Mutex<Vec<Option<Facts>>>,
    /// What the steps of a host left behind in a phase, for its rollback.
    left: Mutex<HashMap<(usize, HostIndex), Scope>>,
}

impl Known {
    /// Nothing is known of so many hosts.
    pub(crate) fn new(population: usize) -> Self {
        Self {
            hosts: Mutex::new((0..population).map(|_| OfHost::default()).collect()),
            facts: Mutex::new(vec![None; population]),
            left: Mutex::default(),
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

    /// Keeps what a host's facts said.
    pub(crate) fn keep_facts(&self, host: HostIndex, facts: Facts) {
        let mut kept = self.facts.lock().unwrap_or_else(PoisonError::into_inner);
        kept[host] = Some(facts);
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
