//! What templates see of a host's place in the rollout while it runs: zones and rollouts are made once from
//! the plan, a batch when it is taken. Pure.

use std::collections::HashMap;
use std::sync::Arc;

use crate::model::{Host, HostId, Zone};
use crate::plan::{HostPlan, Member, Phase, Plan};
use crate::task::{BatchPlace, Rollout, Scope, ZonePlace};

use super::message::HostIndex;
use super::work::Site;

type Numbered = Arc<[(Arc<Host>, usize)]>;

/// Where hosts stand in each phase.
#[derive(Debug)]
pub(crate) struct Places {
    population: Numbered,
    /// The number among the targets of each host of the population that is one.
    targets: Vec<Option<usize>>,
    phases: Vec<PhasePlaces>,
}

#[derive(Debug)]
struct PhasePlaces {
    rollout: Arc<Rollout>,
    zones: HashMap<Zone, Arc<ZonePlace>>,
    batches: usize,
}

impl Places {
    /// The places of a plan's hosts.
    pub(crate) fn of(plan: &Plan) -> Self {
        let population: Numbered = plan.population.iter().cloned().zip(0..).collect();
        let targets: HashMap<&HostId, usize> = plan.targets.iter().zip(0..).collect();
        let target = |host: &Arc<Host>| targets.get(&host.id).copied();
        let phases = plan.phases.iter().map(|phase| PhasePlaces {
            rollout: Arc::new(Rollout {
                task: plan.task.name.clone(),
                phase: phase.name.clone(),
                total: plan.targets.len(),
                population: Arc::clone(&population),
            }),
            zones: zones(phase, &population),
            batches: phase.batches.len(),
        });
        Self {
            targets: plan.population.iter().map(target).collect(),
            phases: phases.collect(),
            population,
        }
    }

    /// The number of a host among the targets, by which [`Phase::hosts`] knows it.
    pub(crate) fn target(&self, host: HostIndex) -> Option<usize> {
        self.targets[host]
    }

    /// A batch that is being taken.
    pub(crate) fn batch(
        &self,
        (phase, number): (usize, usize),
        canary: bool,
        members: &[HostIndex],
    ) -> Arc<BatchPlace> {
        Arc::new(BatchPlace {
            index: number,
            count: self.phases[phase].batches.max(number + 1),
            canary,
            hosts: members
                .iter()
                .map(|host| self.population[*host].clone())
                .collect(),
        })
    }

    /// The scope of a host's steps.
    pub(crate) fn scope(&self, site: &Site, plan: &HostPlan) -> Scope {
        let scope = Scope::new(Arc::clone(&plan.params))
            .with_vars(Arc::clone(&plan.vars))
            .with_host(&plan.host, site.index);
        let Some(batch) = &site.batch else {
            return scope;
        };
        let phase = &self.phases[batch.phase];
        let scope = scope.with_rollout(&phase.rollout);
        match phase.zones.get(&plan.host.zone()) {
            Some(zone) => scope.with_place(zone, &batch.place),
            None => scope,
        }
    }

    /// The scope of what a host is asked in a phase, whether it is touched or not.
    pub(crate) fn member_scope(&self, phase: usize, index: HostIndex, member: &Member) -> Scope {
        let scope = Scope::new(Arc::clone(&member.params))
            .with_vars(Arc::clone(&member.vars))
            .with_host(&member.host, index)
            .with_rollout(&self.phases[phase].rollout);
        match self.phases[phase].zones.get(&member.host.zone()) {
            Some(zone) => scope.with_zone(zone),
            None => scope,
        }
    }

    /// The scope of steps on the controller, in a phase or around all of them.
    pub(crate) fn controller_scope(&self, plan: &Plan, phase: Option<usize>) -> Scope {
        let scope = Scope::new(Arc::new(plan.params.clone()));
        match self.phases.get(phase.unwrap_or(0)) {
            Some(phase) => scope.with_rollout(&phase.rollout),
            None => scope,
        }
    }
}

/// The zones of a phase in the order in which the rollout comes to them.
fn zones(phase: &Phase, population: &Numbered) -> HashMap<Zone, Arc<ZonePlace>> {
    let numbers: HashMap<&HostId, usize> = population
        .iter()
        .map(|(host, number)| (&host.id, *number))
        .collect();
    let mut order: Vec<Zone> = Vec::new();
    let mut hosts: HashMap<Zone, Vec<(Arc<Host>, usize)>> = HashMap::new();
    for plan in phase.in_order() {
        let zone = plan.host.zone();
        let number = numbers.get(&plan.host.id).copied().unwrap_or_default();
        if !hosts.contains_key(&zone) {
            order.push(zone.clone());
        }
        hosts
            .entry(zone)
            .or_default()
            .push((Arc::clone(&plan.host), number));
    }
    let count = order.len();
    // Zones that are only looked at come after those that are touched.
    for (host, _) in population.iter() {
        let zone = host.zone();
        if !order.contains(&zone) {
            order.push(zone);
        }
    }
    let place = |(index, name): (usize, Zone)| {
        let zone = ZonePlace {
            name: name.clone(),
            index,
            count,
            hosts: hosts.remove(&name).unwrap_or_default().into(),
        };
        (name, Arc::new(zone))
    };
    order.into_iter().enumerate().map(place).collect()
}
