//! Makes a plan: a task, its params and its hosts become the very steps that each host will run. Pure: what
//! it reads comes through the request.

use std::collections::BTreeSet;
use std::sync::Arc;

use indexmap::IndexMap;

use super::batch::{FormedBatch, zone_order, zone_sizes};
use super::fleet::{Fleet, worst_out};
use super::name_cache::NameCache;
use super::outline::{Outline, outline};
use super::render::Renderer;
use super::request::PlanRequest;
use super::section::{Reads, Section};
use super::{Batch, By, HostPlan, Pace, Phase, Plan, lock, warnings};
use crate::model::{Diagnostic, Host};
use crate::task::{Engine, GateAt, Kind, MAIN, ParamValue, Rollout, Scope, Step, Task};

type Params = Arc<IndexMap<String, ParamValue>>;
type Vars = Arc<IndexMap<String, serde_json::Value>>;

/// Makes the plan.
///
/// # Errors
/// Everything that is wrong, at once: keys that are not supported yet, files that cannot be read, names that
/// are not defined, hosts that lack a tag. Nothing was run.
pub fn build(request: &PlanRequest<'_>) -> Result<Plan, Vec<Diagnostic>> {
    let outline = outline(request)?;
    let fleet = Fleet::new(request);
    let batches = fleet.batches();
    let worst_out = worst_out(&batches, &fleet.targets);
    let names = NameCache::default();
    let mut hosts = Hosts::new(request, &outline, &names);
    let places = fleet.places(request, &batches);
    let planned: Vec<Vec<HostPlan>> = batches
        .iter()
        .enumerate()
        .map(|(index, batch)| {
            let indexes = batch.hosts.iter();
            indexes
                .filter_map(|&target| {
                    hosts.plan(&fleet.targets[target], places.scope(index, target))
                })
                .collect()
        })
        .collect();
    let mut controller = Controller::new(request, &names, places.rollout());
    let before = controller.steps(&outline.before);
    let after = controller.steps(&outline.after);
    let raw_steps = std::mem::take(&mut hosts.raw_steps);
    let mut errors = hosts.into_errors();
    errors.extend(controller.renderer.errors);
    if !errors.is_empty() {
        return Err(errors);
    }
    let strategy = &request.task.phases[0].strategy;
    let mut order: Vec<(usize, HostPlan)> = Vec::new();
    for (formed, planned) in batches.iter().zip(planned) {
        order.extend(formed.hosts.iter().copied().zip(planned));
    }
    order.sort_by_key(|(target, _)| *target);
    let phase = Phase {
        name: MAIN.to_owned(),
        by: fleet.by,
        rules: Arc::new(fleet.rules()),
        pace: Pace {
            confirm: confirm(request),
            ..Pace::of(strategy)
        },
        before: Vec::new(),
        hosts: order.into_iter().map(|(_, planned)| planned).collect(),
        after: Vec::new(),
        resolved: fleet.resolved(request, &batches),
        asked: fleet.asked,
        batches: named_batches(batches, &fleet.targets, request, fleet.by),
        worst_out,
    };
    let mut plan = Plan {
        task: Arc::clone(request.task),
        kind: request.task.kind,
        params: IndexMap::clone(&request.params.values),
        population: fleet.population,
        members: Vec::new(),
        targets: fleet.targets.iter().map(|host| host.id.clone()).collect(),
        before,
        phases: vec![phase],
        after,
        warnings: request.params.notes.clone(),
        lock: lock::key(request.task, &fleet.targets),
        task_hash: outline.hash,
    };
    let found = warnings::of(&plan, request.fanout, request.now);
    plan.warnings.extend(found);
    plan.warnings.extend(warnings::unquoted(&raw_steps));
    Ok(plan)
}

fn confirm(request: &PlanRequest<'_>) -> Vec<GateAt> {
    let task = request.task;
    match &request.overrides.confirm {
        _ if task.kind == Kind::Read => Vec::new(),
        Some(gates) => gates.clone(),
        None => task.phases[0].strategy.confirm.clone(),
    }
}

/// Plans hosts, making what they have in common once.
struct Hosts<'a> {
    request: &'a PlanRequest<'a>,
    outline: &'a Outline,
    names: &'a NameCache,
    params: Section<Params>,
    vars: Section<Vars>,
    steps: Section<HostSteps>,
    /// Steps whose shell text takes a value unquoted.
    raw_steps: BTreeSet<String>,
}

/// What one host runs.
#[derive(Clone)]
struct HostSteps {
    steps: Arc<[Step]>,
    rescue: Arc<[Step]>,
    always: Arc<[Step]>,
}

impl<'a> Hosts<'a> {
    fn new(request: &'a PlanRequest<'a>, outline: &'a Outline, names: &'a NameCache) -> Self {
        let task = request.task;
        let mut params = Reads::new(names);
        for name in &request.params.per_host {
            let param = task.params.get(name);
            let default = param.and_then(|param| param.default.as_ref());
            if let Some(default) = default {
                params.text(default);
            }
        }
        // A default that reads another param differs as that one's default does.
        let mut params = params.into_names();
        params.retain(|path| !path.starts_with("params"));
        let mut vars = Reads::new(names);
        task.vars.values().for_each(|text| vars.text(text));
        let mut vars = vars.into_names();
        vars.retain(|path| !path.starts_with("vars"));
        let mut steps = Reads::new(names);
        for section in [&outline.steps, &outline.rescue, &outline.always] {
            steps.steps(section);
        }
        Self {
            request,
            outline,
            names,
            params: Section::new(params),
            vars: Section::new(vars),
            raw_steps: steps.raw_steps().clone(),
            steps: Section::new(steps.into_names()),
        }
    }

    /// The plan of one host; `None` where something is wrong, which [`Hosts::into_errors`] has.
    fn plan(&mut self, host: &Arc<Host>, scope: Scope) -> Option<HostPlan> {
        let (task, engine) = (self.request.task, self.request.engine);
        let given = self.request.params;
        let params = self.params.of((engine, &scope, &host.label), || {
            given.for_host(task, &scope, engine)
        })?;
        let scope = scope.with_params(Arc::clone(&params));
        let vars = self.vars.of((engine, &scope, &host.label), || {
            vars_of(task, &scope, engine)
        })?;
        let scope = scope.with_vars(Arc::clone(&vars));
        let (outline, request, names) = (self.outline, self.request, self.names);
        let made = self.steps.of((engine, &scope, &host.label), || {
            host_steps(outline, request, names, &scope)
        })?;
        Some(HostPlan {
            host: Arc::clone(host),
            params,
            vars,
            steps: made.steps,
            rescue: made.rescue,
            always: made.always,
            rollback: Arc::default(),
            health: Arc::default(),
            verify: Arc::default(),
        })
    }

    fn into_errors(self) -> Vec<Diagnostic> {
        let errors = self.params.into_errors().chain(self.vars.into_errors());
        errors.chain(self.steps.into_errors()).collect()
    }
}

fn vars_of(task: &Task, scope: &Scope, engine: &Engine) -> Result<Vars, Vec<Diagnostic>> {
    let mut vars = Vars::default();
    let mut errors = Vec::new();
    for (name, text) in &task.vars {
        let scope = scope.clone().with_vars(Arc::clone(&vars));
        match engine.value(text, &scope) {
            Ok(value) => {
                Arc::make_mut(&mut vars).insert(name.clone(), value);
            }
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() {
        Ok(vars)
    } else {
        Err(errors)
    }
}

fn host_steps(
    outline: &Outline,
    request: &PlanRequest<'_>,
    names: &NameCache,
    scope: &Scope,
) -> Result<HostSteps, Vec<Diagnostic>> {
    let mut renderer = Renderer {
        engine: request.engine,
        files: request.files,
        names,
        task: Arc::clone(request.task),
        scope: scope.clone(),
        later: BTreeSet::new(),
        late: BTreeSet::new(),
        errors: Vec::new(),
    };
    let made = HostSteps {
        steps: renderer.steps(&outline.steps).into(),
        rescue: renderer.steps(&outline.rescue).into(),
        always: renderer.steps(&outline.always).into(),
    };
    if renderer.errors.is_empty() {
        Ok(made)
    } else {
        Err(renderer.errors)
    }
}

/// Renders what runs on the controller.
struct Controller<'a> {
    renderer: Renderer<'a>,
}

impl<'a> Controller<'a> {
    fn new(request: &PlanRequest<'a>, names: &'a NameCache, rollout: &Arc<Rollout>) -> Self {
        let scope = Scope::new(Arc::clone(&request.params.values)).with_rollout(rollout);
        Self {
            renderer: Renderer {
                engine: request.engine,
                files: request.files,
                names,
                task: Arc::clone(request.task),
                scope,
                later: BTreeSet::new(),
                late: BTreeSet::new(),
                errors: Vec::new(),
            },
        }
    }

    fn steps(&mut self, steps: &[Step]) -> Vec<Step> {
        self.renderer.steps(steps)
    }
}

fn named_batches(
    formed: Vec<FormedBatch>,
    targets: &[Arc<Host>],
    request: &PlanRequest<'_>,
    by: By,
) -> Vec<Batch> {
    let is_all = request.task.kind == Kind::Read && request.overrides.batch.is_none();
    formed
        .into_iter()
        .enumerate()
        .map(|(index, formed)| {
            let zones = zone_sizes(formed.hosts.iter().map(|&host| &targets[host]));
            let only = zone_order(&zones).into_iter().next();
            let has_zone = !is_all && (by == By::Az || zones.len() == 1);
            Batch {
                index,
                zone: only.filter(|_| has_zone),
                canary: formed.canary,
                last: false,
                hosts: formed.hosts,
            }
        })
        .collect()
}
