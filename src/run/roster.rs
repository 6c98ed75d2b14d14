//! Every planned host with its number, in the order of the batches. Pure.

use std::ops::Range;

use crate::model::Zone;
use crate::plan::{HostPlan, Plan};

use super::event::HostRef;
use super::message::HostIndex;

/// The planned hosts. A host's number is its position over all batches of all phases.
#[derive(Debug)]
pub(crate) struct Roster {
    entries: Vec<Entry>,
    /// The first host of each batch, by phase; one more than there are batches.
    starts: Vec<Vec<HostIndex>>,
}

/// One planned host.
#[derive(Debug)]
pub(crate) struct Entry {
    /// How events name it.
    pub(crate) host: HostRef,
    /// Its zone.
    pub(crate) zone: Zone,
    /// Its phase.
    pub(crate) phase: usize,
    /// Its batch in the phase.
    pub(crate) batch: usize,
}

impl Roster {
    /// The hosts of a plan.
    pub(crate) fn of(plan: &Plan) -> Self {
        let mut roster = Self {
            entries: Vec::new(),
            starts: Vec::new(),
        };
        for (phase_index, phase) in plan.phases.iter().enumerate() {
            let mut starts = Vec::with_capacity(phase.batches.len() + 1);
            for (batch_index, batch) in phase.batches.iter().enumerate() {
                starts.push(roster.entries.len());
                let entries = phase
                    .hosts_of(batch)
                    .map(|host| entry(host, phase_index, batch_index));
                roster.entries.extend(entries);
            }
            starts.push(roster.entries.len());
            roster.starts.push(starts);
        }
        roster
    }

    /// Every host in order.
    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// How events name a host.
    pub(crate) fn host(&self, index: HostIndex) -> HostRef {
        self.entries[index].host.clone()
    }

    /// The hosts of one batch.
    pub(crate) fn batch(&self, phase: usize, batch: usize) -> Range<HostIndex> {
        self.starts[phase][batch]..self.starts[phase][batch + 1]
    }
}

fn entry(plan: &HostPlan, phase: usize, batch: usize) -> Entry {
    Entry {
        host: HostRef {
            host: plan.host.label.clone(),
            id: plan.host.id.clone(),
        },
        zone: plan.host.zone(),
        phase,
        batch,
    }
}
