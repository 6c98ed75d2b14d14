//! The hosts of a plan: their order, their batches, and what each one sees of its place. No steps.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::batch::{BatchRules, FormedBatch, form, zone_sizes};
use super::request::PlanRequest;
use super::{Asked, By, Resolved, WorstOut};
use crate::model::{Amount, Host, HostId, Zone};
use crate::task::{BatchPlace, Kind, MAIN, Rollout, Scope, ZonePlace};

type Numbered = Arc<[(Arc<Host>, usize)]>;

/// The hosts of the plan, in their order, and how they are put into batches.
pub(super) struct Fleet {
    pub(super) population: Vec<Arc<Host>>,
    numbers: HashMap<HostId, usize>,
    sizes: BTreeMap<Zone, usize>,
    /// Those that may be touched.
    pub(super) targets: Vec<Arc<Host>>,
    pub(super) by: By,
    pub(super) asked: Asked,
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
        let (task, overrides) = (request.task, request.overrides);
        let strategy = &task.phases[0].strategy;
        // A task that only reads takes all hosts at once, unless batches were typed.
        let batch = match task.kind {
            Kind::Read => overrides.batch.clone(),
            Kind::Change => overrides
                .batch
                .clone()
                .or_else(|| Some(strategy.batch.clone())),
        };
        let several_zones = zone_sizes(&targets).len() > 1;
        let by = match (overrides.by, &batch) {
            (Some(by), _) => by,
            (None, Some(sizes)) if several_zones && !sizes.is_empty() => By::Az,
            (None, _) => By::Flat,
        };
        Self {
            sizes: zone_sizes(&population),
            by,
            asked: Asked {
                batch: batch.unwrap_or_default(),
                max_failures: Some(overrides.max_failures.unwrap_or(strategy.max_failures)),
                ..Asked::default()
            },
            population,
            numbers,
            targets,
        }
    }

    pub(super) fn rules(&self) -> BatchRules {
        BatchRules::plain(self.by, self.asked.batch.clone())
    }

    pub(super) fn batches(&self) -> Vec<FormedBatch> {
        let rules = self.rules();
        form(&self.targets, &self.sizes, &rules)
    }

    /// The numbers of the strategy. A task that only reads tolerates any number of failures, unless one was
    /// typed.
    pub(super) fn resolved(&self, request: &PlanRequest<'_>, batches: &[FormedBatch]) -> Resolved {
        let largest = batches.iter().map(|batch| batch.hosts.len()).max();
        let failures = self.asked.max_failures.unwrap_or(Amount::Percent(100));
        let typed = request.overrides.max_failures.is_some();
        let untyped_read = request.task.kind == Kind::Read && !typed;
        let unlimited = untyped_read || failures == Amount::Percent(100);
        Resolved {
            batch: largest.unwrap_or(0),
            max_failures: (!unlimited).then(|| failures.floor_of(self.targets.len())),
            ..Resolved::default()
        }
    }

    fn number(&self, host: &Host) -> usize {
        self.numbers.get(&host.id).copied().unwrap_or_default()
    }

    fn numbered<'h>(&self, hosts: impl Iterator<Item = &'h Arc<Host>>) -> Numbered {
        hosts
            .map(|host| (Arc::clone(host), self.number(host)))
            .collect()
    }

    /// What each host sees of its zone and batch.
    pub(super) fn places(&self, request: &PlanRequest<'_>, batches: &[FormedBatch]) -> Places<'_> {
        let in_order = || {
            let indexes = batches.iter().flat_map(|batch| &batch.hosts);
            indexes.map(|&index| &self.targets[index])
        };
        let mut hosts: BTreeMap<Zone, Vec<(Arc<Host>, usize)>> = BTreeMap::new();
        let mut order: Vec<Zone> = Vec::new();
        for host in in_order() {
            let zone = host.zone();
            if !order.contains(&zone) {
                order.push(zone.clone());
            }
            let entry = (Arc::clone(host), self.number(host));
            hosts.entry(zone).or_default().push(entry);
        }
        let count = order.len();
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
        let batches = batches.iter().enumerate().map(|(index, batch)| {
            let members = batch.hosts.iter().map(|&index| &self.targets[index]);
            Arc::new(BatchPlace {
                index,
                count: batches.len(),
                canary: batch.canary,
                hosts: self.numbered(members),
            })
        });
        Places {
            fleet: self,
            zones,
            batches: batches.collect(),
            rollout: Arc::new(Rollout {
                task: request.task.name.clone(),
                phase: MAIN.to_owned(),
                total: self.targets.len(),
                population: self.numbered(self.population.iter()),
            }),
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
    pub(super) fn rollout(&self) -> &Arc<Rollout> {
        &self.rollout
    }

    /// The scope of a target, without params and vars.
    pub(super) fn scope(&self, batch: usize, target: usize) -> Scope {
        let host = &self.fleet.targets[target];
        Scope::new(Arc::default())
            .with_host(host, self.fleet.number(host))
            .with_place(&self.zones[&host.zone()], &self.batches[batch])
            .with_rollout(&self.rollout)
    }
}

/// The most hosts that one batch takes, overall and of each zone.
pub(super) fn worst_out(batches: &[FormedBatch], targets: &[Arc<Host>]) -> WorstOut {
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
