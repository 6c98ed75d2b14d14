//! Renders what each host does and is asked, making what hosts have in common once. Which hosts there are, and
//! in which batches, is `build`'s.

use std::collections::BTreeSet;
use std::sync::Arc;

use indexmap::IndexMap;

use super::name_cache::NameCache;
use super::outline::{Outline, PhaseOutline};
use super::render::Renderer;
use super::request::PlanRequest;
use super::section::{Reads, Section};
use super::{HostPlan, Member};
use crate::model::{Diagnostic, Host};
use crate::task::{Action, Check, Condition, Engine, ParamValue, Scope, Step, Task, Text};

type Params = Arc<IndexMap<String, ParamValue>>;
type Vars = Arc<IndexMap<String, serde_json::Value>>;

/// Plans hosts.
pub(super) struct Hosts<'a> {
    request: &'a PlanRequest<'a>,
    outline: &'a Outline,
    names: &'a NameCache,
    params: Section<Params>,
    vars: Section<Vars>,
    facts: Section<Arc<[Step]>>,
    phases: Vec<PhaseSections>,
    /// Errors that no host has to itself.
    errors: Vec<Diagnostic>,
    /// Steps whose shell text takes a value unquoted.
    pub(super) raw_steps: BTreeSet<String>,
}

struct PhaseSections {
    steps: Section<HostSteps>,
    health: Section<Arc<[Check]>>,
    last: Section<Condition>,
}

/// What one host runs.
#[derive(Clone)]
struct HostSteps {
    steps: Arc<[Step]>,
    rescue: Arc<[Step]>,
    always: Arc<[Step]>,
    rollback: Arc<[Step]>,
    verify: Arc<[Check]>,
}

impl<'a> Hosts<'a> {
    pub(super) fn new(
        request: &'a PlanRequest<'a>,
        outline: &'a Outline,
        names: &'a NameCache,
    ) -> Self {
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
        let mut raw_steps = BTreeSet::new();
        let phases = outline.phases.iter().zip(&task.phases);
        let phases = phases.map(|(phase, declared)| {
            let last = declared.strategy.last.as_ref();
            PhaseSections::new(phase, last, names, &mut raw_steps)
        });
        let phases = phases.collect();
        let mut facts = Reads::new(names);
        facts.steps(&outline.facts);
        raw_steps.extend(facts.raw_steps().iter().cloned());
        Self {
            errors: batch_in_vars(task, names),
            request,
            outline,
            names,
            params: Section::new(params),
            vars: Section::new(vars),
            facts: Section::new(facts.into_names()),
            phases,
            raw_steps,
        }
    }

    /// The params and vars of a host, put into its scope; `None` where something is wrong, which
    /// [`Hosts::into_errors`] has. So it is with all that follow.
    fn values(&mut self, host: &Host, scope: Scope) -> Option<(Params, Vars, Scope)> {
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
        Some((params, vars, scope))
    }

    /// What a host of the population is asked; `scopes` are its places in each phase.
    pub(super) fn member(
        &mut self,
        host: &Arc<Host>,
        scopes: impl Iterator<Item = Scope>,
    ) -> Option<Member> {
        let mut made: Option<Member> = None;
        for (phase, scope) in scopes.enumerate() {
            let (params, vars, scope) = self.values(host, scope)?;
            if made.is_none() {
                let facts = self.facts(host, &scope)?;
                made = Some(Member {
                    host: Arc::clone(host),
                    params,
                    vars,
                    facts,
                    health: Vec::new(),
                    last: Vec::new(),
                });
            }
            let health = self.health(phase, host, &scope)?;
            let member = made.as_mut()?;
            member.health.push(health);
            self.last((phase, host), &scope, &mut member.last)?;
        }
        made
    }

    fn facts(&mut self, host: &Host, scope: &Scope) -> Option<Arc<[Step]>> {
        let (outline, request, names) = (self.outline, self.request, self.names);
        let looks = (request.engine, scope, &host.label);
        self.facts.of(looks, || {
            let mut renderer = renderer(request, names, scope);
            let steps = renderer.steps(&outline.facts);
            ended(renderer, steps.into())
        })
    }

    fn health(&mut self, phase: usize, host: &Host, scope: &Scope) -> Option<Arc<[Check]>> {
        let (outline, request, names) = (&self.outline.phases[phase], self.request, self.names);
        let looks = (request.engine, scope, &host.label);
        self.phases[phase].health.of(looks, || {
            let mut renderer = renderer(request, names, scope);
            let checks = renderer.checks(&outline.health);
            ended(renderer, checks.into())
        })
    }

    /// Adds whether a host is taken last: known now, or an expression over its facts; `None` where the phase
    /// takes none last.
    fn last(
        &mut self,
        (phase, host): (usize, &Host),
        scope: &Scope,
        into: &mut Vec<Option<Condition>>,
    ) -> Option<()> {
        let declared = &self.request.task.phases[phase].strategy.last;
        let Some(declared) = declared else {
            into.push(None);
            return Some(());
        };
        let (request, names) = (self.request, self.names);
        let looks = (request.engine, scope, &host.label);
        let made = self.phases[phase].last.of(looks, || {
            let mut renderer = renderer(request, names, scope);
            let condition = renderer.condition(declared);
            ended(renderer, condition)
        })?;
        into.push(Some(made));
        Some(())
    }

    /// What one target does in a phase.
    pub(super) fn plan(
        &mut self,
        phase: usize,
        host: &Arc<Host>,
        scope: Scope,
    ) -> Option<HostPlan> {
        let (params, vars, scope) = self.values(host, scope)?;
        let (outline, request, names) = (&self.outline.phases[phase], self.request, self.names);
        let health = self.health(phase, host, &scope)?;
        let looks = (request.engine, &scope, &host.label);
        let controller = [&self.outline.before, &outline.before];
        let made = self.phases[phase].steps.of(looks, || {
            let mut renderer = renderer(request, names, &scope);
            renderer.later = controller
                .into_iter()
                .flat_map(|steps| told(steps))
                .collect();
            host_steps(outline, renderer)
        })?;
        Some(HostPlan {
            host: Arc::clone(host),
            params,
            vars,
            steps: made.steps,
            rescue: made.rescue,
            always: made.always,
            rollback: made.rollback,
            health,
            verify: made.verify,
        })
    }

    /// Whether anything went wrong so far.
    pub(super) fn into_errors(self) -> Vec<Diagnostic> {
        let errors = self.errors.into_iter();
        let errors = errors
            .chain(self.params.into_errors())
            .chain(self.vars.into_errors())
            .chain(self.facts.into_errors());
        let phases = self.phases.into_iter().flat_map(|phase| {
            let errors = phase.last.into_errors().chain(phase.steps.into_errors());
            errors.chain(phase.health.into_errors()).collect::<Vec<_>>()
        });
        errors.chain(phases).collect()
    }
}

impl PhaseSections {
    fn new(
        phase: &PhaseOutline,
        last: Option<&Condition>,
        names: &NameCache,
        raw_steps: &mut BTreeSet<String>,
    ) -> Self {
        let mut steps = Reads::new(names);
        for section in [&phase.steps, &phase.rescue, &phase.always, &phase.rollback] {
            steps.steps(section);
        }
        steps.checks(&phase.verify);
        let mut health = Reads::new(names);
        health.checks(&phase.health);
        for reads in [&steps, &health] {
            raw_steps.extend(reads.raw_steps().iter().cloned());
        }
        let mut read_by_last = Reads::new(names);
        if let Some(last) = last {
            read_by_last.condition(last);
        }
        Self {
            steps: Section::new(steps.into_names()),
            health: Section::new(health.into_names()),
            last: Section::new(read_by_last.into_names()),
        }
    }
}

/// Vars are made once, before a host has its batch.
fn batch_in_vars(task: &Task, names: &NameCache) -> Vec<Diagnostic> {
    let mut errors = Vec::new();
    for text in task.vars.values() {
        let Text::Template(template) = text else {
            continue;
        };
        let Ok(read) = names.of_template(template) else {
            continue;
        };
        for name in &read.paths {
            if name.root() == "batch" {
                let message = format!("`{}` is not known yet when `vars` are made", name.path);
                let error = Diagnostic::new(message).at(&name.span);
                errors.push(
                    error.hint("use it in a step: batches may be formed anew during the run"),
                );
            }
        }
    }
    errors
}

fn renderer<'a>(request: &PlanRequest<'a>, names: &'a NameCache, scope: &Scope) -> Renderer<'a> {
    Renderer {
        engine: request.engine,
        files: request.files,
        names,
        task: Arc::clone(request.task),
        scope: scope.clone(),
        later: BTreeSet::new(),
        late: BTreeSet::new(),
        errors: Vec::new(),
    }
}

fn ended<T>(renderer: Renderer<'_>, made: T) -> Result<T, Vec<Diagnostic>> {
    if renderer.errors.is_empty() {
        Ok(made)
    } else {
        Err(renderer.errors)
    }
}

/// What the controller's steps register or set: hosts know it once they begin.
fn told(steps: &[Step]) -> impl Iterator<Item = String> {
    steps.iter().flat_map(|step| {
        let set = match &step.action {
            Action::Set(variables) => Some(variables.keys()),
            _ => None,
        };
        let register = step.modifiers.register.iter();
        register.chain(set.into_iter().flatten()).cloned()
    })
}

fn host_steps(
    outline: &PhaseOutline,
    mut renderer: Renderer<'_>,
) -> Result<HostSteps, Vec<Diagnostic>> {
    let made = HostSteps {
        steps: renderer.steps(&outline.steps).into(),
        rescue: renderer.steps(&outline.rescue).into(),
        always: renderer.steps(&outline.always).into(),
        rollback: renderer.steps(&outline.rollback).into(),
        verify: renderer.checks(&outline.verify).into(),
    };
    ended(renderer, made)
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

/// Steps on the controller.
pub(super) struct Controller<'a> {
    pub(super) renderer: Renderer<'a>,
}

impl<'a> Controller<'a> {
    /// `scope` has no host.
    pub(super) fn new(request: &PlanRequest<'a>, names: &'a NameCache, scope: &Scope) -> Self {
        Self {
            renderer: renderer(request, names, scope),
        }
    }

    pub(super) fn steps(&mut self, steps: &[Step]) -> Vec<Step> {
        self.renderer.steps(steps)
    }
}
