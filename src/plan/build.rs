//! Makes a plan: a task, its params and its hosts become the very steps that each host will run. Pure: what
//! it reads comes through the request.

use std::sync::Arc;

use indexmap::IndexMap;

use super::batch::form;
use super::fleet::{Fleet, worst_out};
use super::name_cache::NameCache;
use super::outline::outline;
use super::planned_hosts::{Controller, Hosts};
use super::request::PlanRequest;
use super::rules::{Numbers, Resolving};
use super::{Batch, Lock, Member, Pace, Phase, Plan, Situation, lock, one_path, warnings};
use crate::model::Diagnostic;
use crate::task::{Condition, Kind, OnFailure, Rollout, Scope, Strategy, Task};

/// Makes the plan.
///
/// # Errors
/// Everything that is wrong, at once: keys that are not supported yet, files that cannot be read, names that
/// are not defined, hosts that lack a tag; numbers that leave no host to be taken. Nothing was run.
pub fn build(request: &PlanRequest<'_>) -> Result<Plan, Vec<Diagnostic>> {
    let outline = outline(request)?;
    let fleet = Fleet::new(request);
    let lock = lock_of(request, &fleet)?;
    let mut passes = passes(request, &fleet)?;
    let names = NameCache::default();
    let mut hosts = Hosts::new(request, &outline, &names);
    let mut members = members(request.task, &fleet, &passes, &mut hosts);
    for (number, pass) in passes.iter_mut().enumerate() {
        pass.take_last(number, &members, &fleet);
    }
    if request.task.kind == Kind::Read {
        members.clear();
    }
    let mut errors = Vec::new();
    let mut controller = controller(request, &names, &passes[0].rollout);
    let before = controller.steps(&outline.before);
    let mut phases = Vec::new();
    let mut clamped = Vec::new();
    for (number, pass) in passes.into_iter().enumerate() {
        clamped.push(pass.numbers.clamped_from);
        let mut inner = self::controller(request, &names, &pass.rollout);
        inner.renderer.later.clone_from(&controller.renderer.later);
        let mut phase = pass.phase(number, &fleet, &mut hosts);
        let parts = &outline.phases[number];
        phase.before = inner.steps(&parts.before);
        phase.after = inner.steps(&parts.after);
        errors.append(&mut inner.renderer.errors);
        phases.push(phase);
    }
    let after = controller.steps(&outline.after);
    errors.append(&mut controller.renderer.errors);
    let raw_steps = std::mem::take(&mut hosts.raw_steps);
    let mut all = hosts.into_errors();
    all.append(&mut errors);
    all.extend(one_path::clashes(
        phases.iter().flat_map(|phase| &phase.hosts),
    ));
    if !all.is_empty() {
        return Err(all);
    }
    let mut plan = Plan {
        task: Arc::clone(request.task),
        kind: request.task.kind,
        params: IndexMap::clone(&request.params.values),
        members,
        targets: fleet.targets.iter().map(|host| host.id.clone()).collect(),
        lock,
        population: fleet.population,
        before,
        phases,
        after,
        warnings: request.params.notes.clone(),
        task_hash: outline.hash,
        sources: outline.sources,
    };
    let found = warnings::of(&plan, request, &clamped);
    plan.warnings.extend(found);
    plan.warnings.extend(warnings::unquoted(&raw_steps));
    Ok(plan)
}

/// What is locked on every host of the population.
fn lock_of(request: &PlanRequest<'_>, fleet: &Fleet) -> Result<Option<Lock>, Vec<Diagnostic>> {
    let key = request.params.lock(request.task, request.engine);
    let key = key.map_err(|error| vec![error])?;
    let key = key.as_deref();
    Ok(lock::lock(request.task, key, &fleet.population))
}

/// One pass over the targets, before anything is rendered.
struct Pass {
    name: String,
    strategy: Strategy,
    numbers: Numbers,
    batches: Vec<Batch>,
    rollout: Arc<Rollout>,
}

/// Every phase with its numbers, its batches formed as if no host were taken last.
fn passes(request: &PlanRequest<'_>, fleet: &Fleet) -> Result<Vec<Pass>, Vec<Diagnostic>> {
    let task = request.task;
    let impossible = request.overrides.impossible();
    if !impossible.is_empty() {
        return Err(impossible);
    }
    let mut errors = rollback_without_steps(task);
    let mut passes = Vec::new();
    for phase in &task.phases {
        let made = request
            .overrides
            .over(&phase.strategy, fleet.population.len())
            .and_then(|mut strategy| {
                if task.kind == Kind::Read {
                    strategy.confirm.clear();
                }
                let resolving = Resolving {
                    strategy: &strategy,
                    fleet,
                    kind: task.kind,
                    seed: request.seed,
                    allow_quorum_loss: request.overrides.allow_quorum_loss,
                };
                Ok((resolving.numbers()?, strategy))
            });
        match made {
            Ok((numbers, strategy)) => passes.push(Pass {
                name: phase.name.clone(),
                batches: form(&numbers.rules, &Situation::default()),
                rollout: fleet.rollout(request, &phase.name),
                strategy,
                numbers,
            }),
            Err(found) => {
                let mut whose = match task.phases.len() {
                    1 => format!("`strategy` of task `{}`", task.name),
                    _ => format!(
                        "`strategy` of phase `{}` of task `{}`",
                        phase.name, task.name
                    ),
                };
                let typed = request.overrides.limiting();
                if !typed.is_empty() {
                    whose = format!("{} over the {whose}", typed.join(" "));
                }
                let named = found.into_iter().map(|error| error.context(whose.clone()));
                errors.extend(named);
            }
        }
    }
    if errors.is_empty() {
        Ok(passes)
    } else {
        Err(errors)
    }
}

/// `on_failure: rollback_*` needs something to do.
fn rollback_without_steps(task: &Task) -> Vec<Diagnostic> {
    let key = match task.on_failure {
        OnFailure::Stop | OnFailure::Ask => return Vec::new(),
        OnFailure::RollbackFailed => "rollback_failed",
        OnFailure::RollbackBatch => "rollback_batch",
        OnFailure::RollbackZone => "rollback_zone",
        OnFailure::RollbackAll => "rollback_all",
    };
    if task.phases.iter().any(|phase| !phase.rollback.is_empty()) {
        return Vec::new();
    }
    let message = format!(
        "`on_failure: {key}` of task `{}` has no `rollback` steps",
        task.name
    );
    let error = Diagnostic::new(message);
    vec![error.hint("say what undoes the steps in `rollback:`, or use `on_failure: stop`")]
}

fn controller<'a>(
    request: &PlanRequest<'a>,
    names: &'a NameCache,
    rollout: &Arc<Rollout>,
) -> Controller<'a> {
    let scope = Scope::new(Arc::clone(&request.params.values)).with_rollout(rollout);
    Controller::new(request, names, &scope)
}

/// What every host of the population is asked; empty where nothing is.
fn members(task: &Task, fleet: &Fleet, passes: &[Pass], hosts: &mut Hosts<'_>) -> Vec<Member> {
    let is_asked = |phase: &crate::task::TaskPhase| {
        phase.strategy.last.is_some() || (task.kind == Kind::Change && !phase.health.is_empty())
    };
    let has_facts = task.kind == Kind::Change && !task.facts.is_empty();
    if !has_facts && !task.phases.iter().any(is_asked) {
        return Vec::new();
    }
    let places = passes
        .iter()
        .map(|pass| fleet.places(&pass.rollout, &pass.batches));
    let places: Vec<_> = places.collect();
    let population = fleet.population.iter();
    population
        .filter_map(|host| {
            let scopes = places.iter().map(|places| places.scope_of_member(host));
            hosts.member(host, scopes)
        })
        .collect()
}

impl Pass {
    /// Sets aside the hosts of which it is known already that they are taken last.
    fn take_last(&mut self, number: usize, members: &[Member], fleet: &Fleet) {
        let is_last = |host: &Arc<crate::model::Host>| {
            let at = members.binary_search_by(|member| {
                (&member.host.label, &member.host.id).cmp(&(&host.label, &host.id))
            });
            at.is_ok_and(|at| matches!(members[at].last[number], Some(Condition::Known(true))))
        };
        let last: Vec<bool> = fleet.targets.iter().map(is_last).collect();
        if last.contains(&true) {
            self.numbers.rules.last = last;
            self.batches = form(&self.numbers.rules, &Situation::default());
        }
    }

    /// The phase with what every target does.
    fn phase(self, number: usize, fleet: &Fleet, hosts: &mut Hosts<'_>) -> Phase {
        let places = fleet.places(&self.rollout, &self.batches);
        let mut batch_of = vec![0; fleet.targets.len()];
        for (index, batch) in self.batches.iter().enumerate() {
            for &host in &batch.hosts {
                batch_of[host] = index;
            }
        }
        let targets = fleet.targets.iter().zip(batch_of);
        let planned =
            targets.filter_map(|(host, batch)| hosts.plan(number, host, places.scope(batch, host)));
        let hosts = planned.collect();
        let mut resolved = self.numbers.resolved;
        let sizes = self.batches.iter().map(|batch| batch.hosts.len());
        resolved.batch = sizes.max().unwrap_or(0);
        Phase {
            name: self.name,
            by: self.numbers.by,
            rules: Arc::new(self.numbers.rules),
            resolved,
            asked: self.numbers.asked,
            pace: Pace::of(&self.strategy),
            before: Vec::new(),
            hosts,
            worst_out: worst_out(&self.batches, &fleet.targets),
            batches: self.batches,
            after: Vec::new(),
        }
    }
}
