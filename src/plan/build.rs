//! Makes a plan: a task, its params and its hosts become the very steps that each host will run. Pure: what
//! it reads comes through the request.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use indexmap::IndexMap;

use super::batch::{BatchRules, FormedBatch, form, zone_order, zone_sizes};
use super::name_cache::NameCache;
use super::outline::{Outline, outline};
use super::render::Renderer;
use super::request::PlanRequest;
use super::section::{Reads, Section};
use super::{Asked, Batch, By, HostPlan, Phase, Plan, Resolved, WorstOut, lock, warnings};
use crate::model::{Amount, Diagnostic, Host, HostId, Zone};
use crate::task::{BatchPlace, Kind, ParamValue, Rollout, Scope, Step, Task, ZonePlace};

type Params = Arc<IndexMap<String, ParamValue>>;
type Vars = Arc<IndexMap<String, serde_json::Value>>;
type Numbered = Arc<[(Arc<Host>, usize)]>;

/// Makes the plan.
///
/// # Errors
/// Everything that is wrong, at once: keys that are not supported yet, files that cannot be read, names that
/// are not defined, hosts that lack a tag. Nothing was run.
pub fn build(request: &PlanRequest<'_>) -> Result<Plan, Vec<Diagnostic>> {
    let outline = outline(request)?;
    let fleet = Fleet::new(request);
    let batches = fleet.batches(request);
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
    let mut errors = hosts.into_errors();
    errors.extend(controller.renderer.errors);
    if !errors.is_empty() {
        return Err(errors);
    }
    let phase = Phase {
        name: MAIN.to_owned(),
        by: fleet.by,
        resolved: fleet.resolved(request, &batches),
        asked: fleet.asked,
        batches: named_batches(batches, planned, request, fleet.by),
        worst_out,
    };
    let mut plan = Plan {
        task: Arc::clone(request.task),
        kind: request.task.kind,
        params: IndexMap::clone(&request.params.values),
        population: fleet.population,
        targets: fleet.targets.iter().map(|host| host.id.clone()).collect(),
        before,
        phases: vec![phase],
        after,
        confirm: confirm(request),
        warnings: request.params.notes.clone(),
        lock: lock::key(request.task, &fleet.targets),
        task_hash: outline.hash,
    };
    let found = warnings::of(&plan, request.fanout, request.now);
    plan.warnings.extend(found);
    Ok(plan)
}

/// The name of the only phase of a task without phases.
const MAIN: &str = "main";

fn confirm(request: &PlanRequest<'_>) -> Vec<crate::task::GateAt> {
    let task = request.task;
    match &request.overrides.confirm {
        _ if task.kind == Kind::Read => Vec::new(),
        Some(gates) => gates.clone(),
        None => task.strategy.confirm.clone(),
    }
}

/// The hosts of the plan, in their order, and how they are put into batches.
struct Fleet {
    population: Vec<Arc<Host>>,
    numbers: HashMap<HostId, usize>,
    sizes: BTreeMap<Zone, usize>,
    targets: Vec<Arc<Host>>,
    by: By,
    asked: Asked,
}

impl Fleet {
    fn new(request: &PlanRequest<'_>) -> Self {
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
        let batch = overrides.batch.or(task.strategy.batch);
        let several_zones = zone_sizes(&targets).len() > 1;
        let by = match (overrides.by, batch) {
            (Some(by), _) => by,
            (None, Some(_)) if several_zones => By::Az,
            (None, _) => By::Flat,
        };
        Self {
            sizes: zone_sizes(&population),
            by,
            asked: Asked {
                batch,
                max_failures: overrides.max_failures.unwrap_or(task.strategy.max_failures),
            },
            population,
            numbers,
            targets,
        }
    }

    fn batches(&self, request: &PlanRequest<'_>) -> Vec<FormedBatch> {
        let rules = if request.task.kind == Kind::Read {
            BatchRules::plain(By::Flat, None)
        } else {
            BatchRules::plain(self.by, self.asked.batch)
        };
        form(&self.targets, &self.sizes, &rules)
    }

    /// The numbers of the strategy. A task that only reads tolerates any number of failures.
    fn resolved(&self, request: &PlanRequest<'_>, batches: &[FormedBatch]) -> Resolved {
        let largest = batches.iter().map(|batch| batch.hosts.len()).max();
        let failures = self.asked.max_failures;
        let unlimited = request.task.kind == Kind::Read || failures == Amount::Percent(100);
        Resolved {
            batch: largest.unwrap_or(0),
            max_failures: (!unlimited).then(|| failures.floor_of(self.targets.len())),
            min_healthy: None,
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
    fn places(&self, request: &PlanRequest<'_>, batches: &[FormedBatch]) -> Places<'_> {
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
struct Places<'a> {
    fleet: &'a Fleet,
    zones: BTreeMap<Zone, Arc<ZonePlace>>,
    batches: Vec<Arc<BatchPlace>>,
    rollout: Arc<Rollout>,
}

impl Places<'_> {
    fn rollout(&self) -> &Arc<Rollout> {
        &self.rollout
    }

    /// The scope of a target, without params and vars.
    fn scope(&self, batch: usize, target: usize) -> Scope {
        let host = &self.fleet.targets[target];
        Scope::new(Params::default())
            .with_host(host, self.fleet.number(host))
            .with_place(&self.zones[&host.zone()], &self.batches[batch])
            .with_rollout(&self.rollout)
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
        })
    }

    fn into_errors(self) -> Vec<Diagnostic> {
        let errors = self.params.into_errors().chain(self.vars.into_errors());
        errors.chain(self.steps.into_errors()).collect()
    }
}

fn vars_of(
    task: &Task,
    scope: &Scope,
    engine: &crate::task::Engine,
) -> Result<Vars, Vec<Diagnostic>> {
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

/// The most hosts that one batch takes, overall and of each zone.
fn worst_out(batches: &[FormedBatch], targets: &[Arc<Host>]) -> WorstOut {
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

fn named_batches(
    formed: Vec<FormedBatch>,
    planned: Vec<Vec<HostPlan>>,
    request: &PlanRequest<'_>,
    by: By,
) -> Vec<Batch> {
    let is_all = request.task.kind == Kind::Read;
    let pairs = formed.into_iter().zip(planned).enumerate();
    pairs
        .map(|(index, (formed, hosts))| {
            let zones = zone_sizes(hosts.iter().map(|plan| &plan.host));
            let only = zone_order(&zones).into_iter().next();
            let has_zone = !is_all && (by == By::Az || zones.len() == 1);
            Batch {
                index,
                zone: only.filter(|_| has_zone),
                canary: formed.canary,
                hosts,
            }
        })
        .collect()
}
