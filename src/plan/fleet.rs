//! The hosts of a plan: who is counted, who is touched, and what each one sees of its place. No steps, no sizes.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::request::PlanRequest;
use super::{Batch, Plan, WorstOut};
use crate::model::{Host, HostId, Zone};
use crate::task::{BatchPlace, HostOrder, Rollout, Scope, ZonePlace};

type Numbered = Arc<[(Arc<Host>, usize)]>;

/// The hosts of the plan, in their order.
pub(super) struct Fleet {
    /// Every host that the selector matches.
    pub(super) population: Vec<Arc<Host>>,
    numbers: HashMap<HostId, usize>,
    /// How many hosts of the population each zone has.
    pub(super) sizes: BTreeMap<Zone, usize>,
    /// Those that may be touched.
    pub(super) targets: Vec<Arc<Host>>,
    /// How many of those each zone has; zones without any are absent.
    pub(super) target_sizes: BTreeMap<Zone, usize>,
}

impl Fleet {
    pub(super) fn new(request: &PlanRequest<'_>) -> Self {
        let mut population = request.population.clone();
        population.sort_by(|a, b| (&a.label, &a.id).cmp(&(&b.label, &b.id)));
        population.dedup_by(|a, b| a.id == b.id);
        let numbers: HashMap<HostId, usize> = population
            .iter()
            .enumerate()
            .map(|(number, host)| (host.id.clone(), number))
            .collect();
        let mut wanted: Vec<usize> = request
            .targets
            .iter()
            .filter_map(|id| numbers.get(id).copied())
            .collect();
        wanted.sort_unstable();
        wanted.dedup();
        let targets: Vec<Arc<Host>> = wanted
            .into_iter()
            .map(|number| Arc::clone(&population[number]))
            .collect();
        Self {
            sizes: zone_sizes(&population),
            target_sizes: zone_sizes(&targets),
            population,
            numbers,
            targets,
        }
    }

    /// A host's number in the population.
    pub(super) fn number(&self, host: &Host) -> usize {
        self.numbers.get(&host.id).copied().unwrap_or_default()
    }

    /// The targets' numbers in the order in which they are taken within a zone.
    pub(super) fn host_order(&self, order: HostOrder, seed: u64) -> Vec<usize> {
        let mut numbers: Vec<usize> = (0..self.targets.len()).collect();
        numbers.sort_by_key(|&index| (&self.targets[index].name, &self.targets[index].id));
        if order == HostOrder::Random {
            shuffle(&mut numbers, seed);
        }
        numbers
    }

    fn numbered<'h>(&self, hosts: impl Iterator<Item = &'h Arc<Host>>) -> Numbered {
        hosts
            .map(|host| (Arc::clone(host), self.number(host)))
            .collect()
    }

    /// What is known of a phase while it is planned.
    pub(super) fn rollout(&self, request: &PlanRequest<'_>, phase: &str) -> Arc<Rollout> {
        Arc::new(Rollout {
            task: request.task.name.clone(),
            phase: phase.to_owned(),
            total: self.targets.len(),
            population: self.numbered(self.population.iter()),
        })
    }

    /// What each host sees of its zone and batch.
    pub(super) fn places(&self, rollout: &Arc<Rollout>, batches: &[Batch]) -> Places<'_> {
        let in_order = || {
            let indexes = batches.iter().flat_map(|batch| &batch.hosts);
            indexes.map(|&index| &self.targets[index])
        };
        let mut hosts: BTreeMap<Zone, Vec<(Arc<Host>, usize)>> = BTreeMap::new();
        let mut order: Vec<Zone> = Vec::new();
        for host in in_order() {
            let zone = host.zone();
            if !hosts.contains_key(&zone) {
                order.push(zone.clone());
            }
            let entry = (Arc::clone(host), self.number(host));
            hosts.entry(zone).or_default().push(entry);
        }
        let count = order.len();
        // Zones that are not touched come after those that are, with no hosts of the rollout.
        let others = self.sizes.keys().filter(|zone| !hosts.contains_key(*zone));
        order.extend(others.cloned().collect::<Vec<_>>());
        let zones = order.into_iter().enumerate().map(|(index, name)| {
            let hosts: Numbered = hosts.remove(&name).unwrap_or_default().into();
            let place = ZonePlace {
                name: name.clone(),
                index,
                count,
                hosts,
            };
            (name, Arc::new(place))
        });
        let zones = zones.collect();
        let batches = batches.iter().map(|batch| {
            let members = batch.hosts.iter().map(|&index| &self.targets[index]);
            Arc::new(BatchPlace {
                index: batch.index,
                count: batches.len(),
                canary: batch.canary,
                hosts: self.numbered(members),
            })
        });
        Places {
            fleet: self,
            zones,
            batches: batches.collect(),
            rollout: Arc::clone(rollout),
        }
    }
}

/// Every host's place, shared by the hosts that share it.
pub(super) struct Places<'a> {
    fleet: &'a Fleet,
    zones: BTreeMap<Zone, Arc<ZonePlace>>,
    batches: Vec<Arc<BatchPlace>>,
    rollout: Arc<Rollout>,
}

impl Places<'_> {
    /// The scope of a target, without params and vars.
    pub(super) fn scope(&self, batch: usize, host: &Arc<Host>) -> Scope {
        let zone = &self.zones[&host.zone()];
        self.scope_of_member(host)
            .with_place(zone, &self.batches[batch])
    }

    /// The scope of a host that is only asked: it has no batch.
    pub(super) fn scope_of_member(&self, host: &Arc<Host>) -> Scope {
        let zone = &self.zones[&host.zone()];
        Scope::new(Arc::default())
            .with_host(host, self.fleet.number(host))
            .with_zone(zone)
            .with_rollout(&self.rollout)
    }
}

/// How many hosts each zone has.
pub(super) fn zone_sizes<'a>(
    hosts: impl IntoIterator<Item = &'a Arc<Host>>,
) -> BTreeMap<Zone, usize> {
    let mut sizes = BTreeMap::new();
    for host in hosts {
        *sizes.entry(host.zone()).or_insert(0) += 1;
    }
    sizes
}

/// The most hosts that one batch takes, overall and of each zone.
pub(super) fn worst_out(batches: &[Batch], targets: &[Arc<Host>]) -> WorstOut {
    let mut worst = WorstOut {
        overall: 0,
        per_zone: BTreeMap::new(),
    };
    for batch in batches {
        worst.overall = worst.overall.max(batch.hosts.len());
        for (zone, count) in zone_sizes(batch.hosts.iter().map(|&index| &targets[index])) {
            let known = worst.per_zone.entry(zone).or_insert(0);
            *known = (*known).max(count);
        }
    }
    worst
}

impl Plan {
    /// The plan with other batches in a phase.
    #[must_use]
    pub fn with_batches(&self, phase: usize, batches: Vec<Batch>) -> Self {
        let mut made = self.clone();
        let one = &mut made.phases[phase];
        let targets = one.hosts.iter().map(|planned| Arc::clone(&planned.host));
        one.worst_out = worst_out(&batches, &targets.collect::<Vec<_>>());
        let sizes = batches.iter().map(|batch| batch.hosts.len());
        one.resolved.batch = sizes.max().unwrap_or(0);
        one.batches = batches;
        made
    }
}

/// Draws an order (Fisher and Yates), the numbers by splitmix64: the same on every machine.
fn shuffle(numbers: &mut [usize], seed: u64) {
    let mut state = seed;
    for end in (1..numbers.len()).rev() {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut drawn = state;
        drawn = (drawn ^ (drawn >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        drawn = (drawn ^ (drawn >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        drawn ^= drawn >> 31;
        let below = u64::try_from(end + 1).expect("a count of hosts fits 64 bits");
        let at = usize::try_from(drawn % below).expect("smaller than a count of hosts");
        numbers.swap(end, at);
    }
}
