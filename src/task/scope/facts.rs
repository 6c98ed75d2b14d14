//! What hosts told: the registers of their fact steps (`host.facts`), and of their other steps (`results`),
//! as templates of every host see them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use minijinja::Value;
use minijinja::value::{Enumerator, Object};

use super::register::{self, RegisterValue};
use crate::model::{HostId, Label};

/// `host.facts` of every host that told any.
#[derive(Debug, Clone, Default)]
pub struct Facts(HashMap<HostId, Arc<Named>>);

impl Facts {
    /// Sets what a host's fact steps came to, in place of what they came to before.
    pub fn set(
        &mut self,
        host: &HostId,
        registers: impl IntoIterator<Item = (String, RegisterValue)>,
    ) {
        let named = registers.into_iter().map(|(name, value)| {
            let view = register::view(&name, value);
            (name, view)
        });
        let named = Named(named.collect());
        self.0.insert(host.clone(), Arc::new(named));
    }

    /// Forgets a host's facts: they could not be read again.
    pub fn forget(&mut self, host: &HostId) {
        self.0.remove(host);
    }

    /// `host.facts`; a host that told nothing has none.
    pub(super) fn of(&self, host: &HostId) -> Value {
        let named = self.0.get(host).cloned().unwrap_or_default();
        Value::from_dyn_object(named)
    }
}

/// `results`: what steps came to, by the step's id and the host's label.
#[derive(Debug, Clone, Default)]
pub struct Results(BTreeMap<String, Arc<Named>>);

impl Results {
    /// Sets what a step came to on a host.
    pub fn set(&mut self, step: &str, host: &Label, value: RegisterValue) {
        let of_step = self.0.entry(step.to_owned()).or_default();
        let view = register::view(step, value);
        Arc::make_mut(of_step)
            .0
            .insert(host.as_str().to_owned(), view);
    }

    /// `results`.
    pub(super) fn value(self: &Arc<Self>) -> Value {
        Value::from_dyn_object(Arc::clone(self))
    }
}

impl Object for Results {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let of_step = self.0.get(key.as_str()?)?;
        Some(Value::from_dyn_object(Arc::clone(of_step)))
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.0.keys().map(Value::from).collect())
    }
}

/// Registers by a name: the fact's, or the host's.
#[derive(Debug, Clone, Default)]
struct Named(BTreeMap<String, Value>);

impl Object for Named {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.0.get(key.as_str()?).cloned()
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.0.keys().map(Value::from).collect())
    }
}
