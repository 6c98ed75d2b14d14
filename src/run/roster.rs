//! Every host of the population with its number, and which of them are targets. Pure.

use crate::model::Zone;
use crate::plan::Plan;

use super::event::HostRef;
use super::message::HostIndex;

/// The population. A host's number is its place in [`Plan::population`]; it stays whatever batches are formed.
#[derive(Debug)]
pub(crate) struct Roster {
    entries: Vec<Entry>,
    /// The number of each target, in the order of [`Plan::targets`].
    targets: Vec<HostIndex>,
    /// The targets in the order in which the plan takes them.
    order: Vec<HostIndex>,
}

/// One host.
#[derive(Debug)]
pub(crate) struct Entry {
    /// How events name it.
    pub(crate) host: HostRef,
    /// Its zone.
    pub(crate) zone: Zone,
    /// Its place in [`Plan::targets`]; `None` where it is no target.
    pub(crate) target: Option<usize>,
    /// The number of the batch that the plan has it in.
    pub(crate) batch: Option<usize>,
}

impl Roster {
    /// The hosts of a plan.
    pub(crate) fn of(plan: &Plan) -> Self {
        let places: std::collections::HashMap<_, _> = plan
            .targets
            .iter()
            .enumerate()
            .map(|(place, id)| (id, place))
            .collect();
        let entries = plan.population.iter().map(|host| Entry {
            host: HostRef {
                host: host.label.clone(),
                id: host.id.clone(),
            },
            zone: host.zone(),
            target: places.get(&host.id).copied(),
            batch: None,
        });
        let mut roster = Self {
            entries: entries.collect(),
            targets: vec![0; plan.targets.len()],
            order: Vec::with_capacity(plan.targets.len()),
        };
        for (host, entry) in roster.entries.iter().enumerate() {
            if let Some(target) = entry.target {
                roster.targets[target] = host;
            }
        }
        let batches = plan.phases.first().map_or(&[][..], |phase| &phase.batches);
        for batch in batches {
            for &target in &batch.hosts {
                let host = roster.targets[target];
                roster.entries[host].batch = Some(batch.index);
                roster.order.push(host);
            }
        }
        let planned: std::collections::HashSet<_> = roster.order.iter().copied().collect();
        let rest = roster.targets.iter().copied();
        let rest: Vec<_> = rest.filter(|host| !planned.contains(host)).collect();
        roster.order.extend(rest);
        roster
    }

    /// Every host of the population in order.
    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// How events name a host.
    pub(crate) fn host(&self, index: HostIndex) -> HostRef {
        self.entries[index].host.clone()
    }

    /// The host of this place among the targets: its number in a phase's hosts.
    pub(crate) fn of_target(&self, target: usize) -> HostIndex {
        self.targets[target]
    }

    /// A host's place among the targets, where it is one.
    pub(crate) fn target(&self, host: HostIndex) -> Option<usize> {
        self.entries[host].target
    }

    /// Whether a host may be touched.
    pub(crate) fn is_target(&self, host: HostIndex) -> bool {
        self.entries[host].target.is_some()
    }

    /// The targets in the order in which the plan takes them.
    pub(crate) fn order(&self) -> &[HostIndex] {
        &self.order
    }

    /// How people see hosts.
    pub(crate) fn labels<'a>(
        &self,
        hosts: impl IntoIterator<Item = &'a HostIndex>,
    ) -> Vec<crate::model::Label> {
        let hosts = hosts.into_iter();
        hosts
            .map(|&host| self.entries[host].host.host.clone())
            .collect()
    }
}
