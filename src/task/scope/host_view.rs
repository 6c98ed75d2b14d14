//! A host as templates see it, read field by field: nothing is copied for a template that reads one tag.

use std::sync::Arc;

use minijinja::Value;
use minijinja::value::{Enumerator, Object};

use super::facts::Facts;
use crate::model::Host;
use crate::task::template::from_json;

/// The fields of `host`.
pub(super) const FIELDS: [&str; 14] = [
    "label",
    "name",
    "id",
    "address",
    "private_ip",
    "zone",
    "az_id",
    "region",
    "type",
    "launch_time",
    "asg",
    "tags",
    "vars",
    "facts",
];

/// `host`.
#[derive(Debug)]
pub(super) struct HostView {
    host: Arc<Host>,
    index: usize,
    facts: Option<Arc<Facts>>,
}

impl HostView {
    /// The host as a value; `index` is its number in the population. It has `facts` only where hosts were
    /// asked for theirs.
    pub(super) fn value(host: &Arc<Host>, index: usize, facts: Option<&Arc<Facts>>) -> Value {
        Value::from_object(Self {
            host: Arc::clone(host),
            index,
            facts: facts.cloned(),
        })
    }
}

impl Object for HostView {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        let host = &self.host;
        let optional = |text: &Option<String>| text.as_deref().map(Value::from);
        match key {
            "label" => Some(host.label.as_str().into()),
            "name" => Some(host.name.as_str().into()),
            "id" => Some(host.id.as_str().into()),
            "address" => Some(host.address.as_str().into()),
            "private_ip" => optional(&host.private_ip),
            "zone" => Some(host.zone().as_str().into()),
            "az_id" => optional(&host.az_id),
            "region" => optional(&host.region),
            "type" => optional(&host.instance_type),
            "launch_time" => optional(&host.launch_time),
            "asg" => host.asg().map(Value::from),
            "tags" => Some(Value::from_object(TagsView(Arc::clone(host)))),
            "vars" => Some(Value::from_object(HostVarsView(Arc::clone(host)))),
            "facts" => Some(self.facts.as_ref()?.of(&host.id)),
            "index" => Some(self.index.into()),
            "file_name" => Some(host.label.file_name().into()),
            _ => None,
        }
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        let keys: Vec<Value> = FIELDS
            .into_iter()
            .chain(["index"])
            .filter(|key| self.get_value_by_str(key).is_some())
            .map(Value::from)
            .collect();
        Enumerator::Values(keys)
    }
}

/// `host.tags`.
#[derive(Debug)]
struct TagsView(Arc<Host>);

impl Object for TagsView {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        self.0.tags.get(key).map(Value::from)
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.0.tags.iter().map(|(key, _)| key.into()).collect())
    }
}

/// `host.vars`.
#[derive(Debug)]
struct HostVarsView(Arc<Host>);

impl Object for HostVarsView {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        self.0.vars.get(key).map(from_json)
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.0.vars.keys().map(Value::from).collect())
    }
}
