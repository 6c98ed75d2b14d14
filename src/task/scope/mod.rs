//! What templates see for one host: params, vars, the host and its place in the rollout, and what earlier
//! steps registered.

mod facts;
mod host_view;
mod known;
mod place;
mod register;
mod values;

use std::collections::BTreeMap;
use std::sync::Arc;

use indexmap::IndexMap;
use minijinja::Value;

pub use facts::{Facts, Results};
pub use place::{BatchPlace, Rollout, RunFacts, ZonePlace};
pub use register::{RegisterValue, StepError};

use super::template::{Fab, from_json};
use super::{ParamValue, SubScope};
use crate::model::{Host, Label, Secret};

use host_view::HostView;
use values::ParamsView;

/// The names that templates see beside registers, `fab` and functions.
pub(crate) const ROOTS: [&str; 6] = ["params", "vars", "host", "zone", "batch", "rollout"];

/// What templates see for one host, or on the controller. Cloning shares everything.
#[derive(Debug, Clone)]
pub struct Scope {
    params: Arc<IndexMap<String, ParamValue>>,
    vars: Arc<IndexMap<String, serde_json::Value>>,
    host: Option<(Arc<Host>, usize)>,
    zone: Option<Arc<ZonePlace>>,
    batch: Option<Arc<BatchPlace>>,
    rollout: Option<Arc<Rollout>>,
    run: Option<Arc<RunFacts>>,
    facts: Option<Arc<Facts>>,
    results: Option<Arc<Results>>,
    locals: Arc<BTreeMap<Arc<str>, Value>>,
    step: Option<Arc<str>>,
    reveals_secrets: bool,
}

impl Scope {
    /// A scope with params alone.
    pub fn new(params: Arc<IndexMap<String, ParamValue>>) -> Self {
        Self {
            params,
            vars: Arc::default(),
            host: None,
            zone: None,
            batch: None,
            rollout: None,
            run: None,
            facts: None,
            results: None,
            locals: Arc::default(),
            step: None,
            reveals_secrets: false,
        }
    }

    /// With a host, and its number in the population.
    pub fn with_host(mut self, host: &Arc<Host>, index: usize) -> Self {
        self.host = Some((Arc::clone(host), index));
        self
    }

    /// With the task's vars.
    pub fn with_vars(mut self, vars: Arc<IndexMap<String, serde_json::Value>>) -> Self {
        self.vars = vars;
        self
    }

    /// With other params.
    pub fn with_params(mut self, params: Arc<IndexMap<String, ParamValue>>) -> Self {
        self.params = params;
        self
    }

    /// With the host's zone, where it is in no batch.
    pub fn with_zone(mut self, zone: &Arc<ZonePlace>) -> Self {
        self.zone = Some(Arc::clone(zone));
        self
    }

    /// With the host's zone and batch.
    pub fn with_place(mut self, zone: &Arc<ZonePlace>, batch: &Arc<BatchPlace>) -> Self {
        self.zone = Some(Arc::clone(zone));
        self.batch = Some(Arc::clone(batch));
        self
    }

    /// With what is known of the rollout.
    pub fn with_rollout(mut self, rollout: &Arc<Rollout>) -> Self {
        self.rollout = Some(Arc::clone(rollout));
        self
    }

    /// With what only a run knows: its id, its start, its folder, its counts.
    pub fn with_run(mut self, run: &Arc<RunFacts>) -> Self {
        self.run = Some(Arc::clone(run));
        self
    }

    /// Inside a `task:` step: its params and vars in place of the task's own.
    pub(crate) fn inside(&self, sub: &SubScope) -> Self {
        let mut scope = self.clone();
        scope.params = Arc::clone(&sub.params);
        scope.vars = Arc::clone(&sub.vars);
        scope
    }

    /// The same with secrets as text, for the content of files.
    pub(crate) fn revealing_secrets(&self) -> Self {
        Self {
            reveals_secrets: true,
            ..self.clone()
        }
    }

    /// Names the step for which templates are rendered from here on, for errors.
    pub fn set_step(&mut self, name: impl Into<Arc<str>>) {
        self.step = Some(name.into());
    }

    /// Sets a register.
    pub fn set_register(&mut self, name: &str, value: RegisterValue) {
        self.set_local(name, register::view(name, value));
    }

    /// Sets a variable of a `set` step, or a loop's variable.
    pub fn set(&mut self, name: &str, value: &serde_json::Value) {
        self.set_local(name, from_json(value));
    }

    /// Sets the element of a loop and its number, from 1.
    pub fn set_item(&mut self, name: &str, value: &serde_json::Value, index: usize) {
        self.set(name, value);
        self.set("loop", &serde_json::json!({ "index": index }));
    }

    /// Sets the number of the attempt, from 1.
    pub fn set_attempt(&mut self, attempt: u32) {
        self.set("attempt", &attempt.into());
    }

    /// Sets what `rescue` steps see as `error`.
    pub fn set_error(&mut self, error: &StepError) {
        self.set_local("error", error.value());
    }

    /// Sets `host.facts`: of the host itself, and of every host that templates can reach.
    pub fn set_facts(&mut self, facts: &Arc<Facts>) {
        self.facts = Some(Arc::clone(facts));
    }

    /// Sets `results`.
    pub fn set_results(&mut self, results: &Arc<Results>) {
        self.results = Some(Arc::clone(results));
    }

    /// Removes a register or variable.
    pub fn remove(&mut self, name: &str) {
        Arc::make_mut(&mut self.locals).remove(name);
    }

    fn set_local(&mut self, name: &str, value: Value) {
        Arc::make_mut(&mut self.locals).insert(name.into(), value);
    }

    /// Whether there is a register or variable of this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.locals.contains_key(name)
    }

    /// A variable as it was set.
    pub(crate) fn value_of(&self, name: &str) -> Option<serde_json::Value> {
        serde_json::to_value(self.locals.get(name)?).ok()
    }

    /// The params.
    pub fn params(&self) -> &Arc<IndexMap<String, ParamValue>> {
        &self.params
    }

    /// The vars.
    pub fn vars(&self) -> &Arc<IndexMap<String, serde_json::Value>> {
        &self.vars
    }

    /// The host, where there is one.
    pub fn host(&self) -> Option<&Arc<Host>> {
        self.host.as_ref().map(|(host, _)| host)
    }

    /// `FAB_PARAM_<NAME>` for every param that is no secret.
    pub fn environment(&self) -> Vec<(String, String)> {
        let plain = self.params.iter();
        plain
            .filter(|(_, value)| !matches!(value, ParamValue::Secret(_)))
            .map(|(name, value)| (format!("FAB_PARAM_{}", variable(name)), value.text()))
            .collect()
    }

    /// The secrets, each with the `<NAME>` of `FAB_SECRET_<NAME>_FILE`.
    pub fn secrets(&self) -> Vec<(String, Secret)> {
        let params = self.params.iter();
        params
            .filter_map(|(name, value)| match value {
                ParamValue::Secret(secret) => Some((variable(name), secret.clone())),
                _ => None,
            })
            .collect()
    }

    pub(super) fn label(&self) -> Option<&Label> {
        self.host().map(|host| &host.label)
    }

    /// What stands at a template's root under this name.
    pub(super) fn get(&self, name: &str) -> Option<Value> {
        let facts = self.facts.as_ref();
        match name {
            "params" => Some(Value::from_object(ParamsView {
                values: Arc::clone(&self.params),
                reveals_secrets: self.reveals_secrets,
            })),
            "vars" => Some(values::vars(&self.vars)),
            "host" => {
                let (host, index) = self.host.as_ref()?;
                Some(HostView::value(host, *index, facts))
            }
            "zone" => {
                let id = self.host.as_ref()?.0.az_id.as_deref();
                Some(self.zone.as_ref()?.value(id, facts))
            }
            "batch" => Some(self.batch.as_ref()?.value(facts)),
            "rollout" => {
                let run = self.run.as_deref();
                Some(self.rollout.as_ref()?.value(run, facts))
            }
            "results" => Some(self.results.as_ref()?.value()),
            _ => self.locals.get(name).cloned(),
        }
    }

    /// `fab`, with the run's folder where there is a run.
    pub(super) fn fab(&self, fab: &Fab) -> Value {
        place::fab(fab, self.run.as_deref())
    }
}

/// A param's name as a part of an environment variable's name.
fn variable(name: &str) -> String {
    name.chars()
        .map(|c| {
            if c == '-' {
                '_'
            } else {
                c.to_ascii_uppercase()
            }
        })
        .collect()
}
