//! What templates see of a host's place in the rollout while it runs: made once a run from the plan. Pure.

use std::collections::HashMap;
use std::sync::Arc;

use crate::model::{Host, HostId, Zone};
use crate::plan::{HostPlan, Phase, Plan};
use crate::task::{BatchPlace, Rollout, Scope, ZonePlace};

use super::message::HostIndex;

type Numbered = Arc<[(Arc<Host>, usize)]>;

/// Every host's place, by its number in the run; and the rollout as the controller sees it.
#[derive(Debug)]
pub(crate) struct Places {
    numbers: HashMap<HostId, usize>,
    hosts: Vec<Place>,
    rollouts: Vec<Arc<Rollout>>,
}

#[derive(Debug)]
struct Place {
    zone: Arc<ZonePlace>,
    batch: Arc<BatchPlace>,
    rollout: Arc<Rollout>,
}

impl Places {
    /// The places of a plan's hosts.
    pub(crate) fn of(plan: &Plan) -> Self {
        let population = plan.population.iter().enumerate();
        let numbers: HashMap<HostId, usize> = population
            .map(|(index, host)| (host.id.clone(), index))
            .collect();
        let mut places = Self {
            numbers,
            hosts: Vec::new(),
            rollouts: Vec::new(),
        };
        let population: Numbered = plan.population.iter().cloned().zip(0..).collect();
        for phase in &plan.phases {
            let rollout = Arc::new(Rollout {
                task: plan.task.name.clone(),
                phase: phase.name.clone(),
                total: plan.targets.len(),
                population: Arc::clone(&population),
            });
            places.add_phase(phase, &rollout);
            places.rollouts.push(rollout);
        }
        places
    }

    /// The scope of a host's steps.
    pub(crate) fn scope(&self, index: HostIndex, plan: &HostPlan) -> Scope {
        let place = &self.hosts[index];
        Scope::new(Arc::clone(&plan.params))
            .with_vars(Arc::clone(&plan.vars))
            .with_host(&plan.host, self.number(&plan.host))
            .with_place(&place.zone, &place.batch)
            .with_rollout(&place.rollout)
    }

    /// The scope of steps on the controller.
    pub(crate) fn controller_scope(&self, plan: &Plan) -> Scope {
        let scope = Scope::new(Arc::new(plan.params.clone()));
        match self.rollouts.first() {
            Some(rollout) => scope.with_rollout(rollout),
            None => scope,
        }
    }

    fn number(&self, host: &Host) -> usize {
        self.numbers.get(&host.id).copied().unwrap_or_default()
    }

    fn numbered<'a>(&self, hosts: impl Iterator<Item = &'a HostPlan>) -> Numbered {
        hosts
            .map(|plan| (Arc::clone(&plan.host), self.number(&plan.host)))
            .collect()
    }

    fn add_phase(&mut self, phase: &Phase, rollout: &Arc<Rollout>) {
        let zones = self.zones(phase);
        for batch in &phase.batches {
            let place = Arc::new(BatchPlace {
                index: batch.index,
                count: phase.batches.len(),
                canary: batch.canary,
                hosts: self.numbered(phase.hosts_of(batch)),
            });
            for plan in phase.hosts_of(batch) {
                let zone = plan.host.zone();
                let found = zones.iter().find(|known| known.name == zone);
                if let Some(zone) = found {
                    self.hosts.push(Place {
                        zone: Arc::clone(zone),
                        batch: Arc::clone(&place),
                        rollout: Arc::clone(rollout),
                    });
                }
            }
        }
    }

    /// The zones of a phase in the order in which the rollout comes to them.
    fn zones(&self, phase: &Phase) -> Vec<Arc<ZonePlace>> {
        let hosts = || phase.in_order();
        let mut names: Vec<Zone> = Vec::new();
        for plan in hosts() {
            let zone = plan.host.zone();
            if !names.contains(&zone) {
                names.push(zone);
            }
        }
        let count = names.len();
        let place = |(index, name): (usize, Zone)| {
            let hosts = self.numbered(hosts().filter(|plan| plan.host.zone() == name));
            Arc::new(ZonePlace {
                name,
                index,
                count,
                hosts,
            })
        };
        names.into_iter().enumerate().map(place).collect()
    }
}
