//! Params and vars as templates see them. Secrets have no text here.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;
use minijinja::Value;
use minijinja::value::{Enumerator, Object, ObjectRepr};

use super::variable;
use crate::model::Size;
use crate::task::ParamValue;
use crate::task::template::{TemplateFault, from_json};

/// `params`.
#[derive(Debug)]
pub(super) struct ParamsView {
    pub(super) values: Arc<IndexMap<String, ParamValue>>,
    /// Secrets are text: only where the result is a file on a host.
    pub(super) reveals_secrets: bool,
}

impl Object for ParamsView {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        self.values.get(key).map(|value| match value {
            ParamValue::Secret(secret) if self.reveals_secrets => secret.expose().into(),
            _ => param(key, value),
        })
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        let plain = self
            .values
            .iter()
            .filter(|(_, value)| !matches!(value, ParamValue::Secret(_)));
        Enumerator::Values(plain.map(|(name, _)| name.as_str().into()).collect())
    }
}

/// `vars`.
pub(super) fn vars(vars: &Arc<IndexMap<String, serde_json::Value>>) -> Value {
    #[derive(Debug)]
    struct VarsView(Arc<IndexMap<String, serde_json::Value>>);

    impl Object for VarsView {
        fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
            self.get_value_by_str(key.as_str()?)
        }

        fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
            self.0.get(key).map(from_json)
        }

        fn enumerate(self: &Arc<Self>) -> Enumerator {
            Enumerator::Values(self.0.keys().map(Value::from).collect())
        }
    }
    Value::from_object(VarsView(Arc::clone(vars)))
}

/// A param's value; a secret is an error as soon as a template touches it.
fn param(name: &str, value: &ParamValue) -> Value {
    match value {
        ParamValue::String(text) => text.as_str().into(),
        ParamValue::Int(number) => (*number).into(),
        ParamValue::Float(number) => (*number).into(),
        ParamValue::Bool(flag) => (*flag).into(),
        ParamValue::Duration(duration) => Value::from_object(DurationView(*duration)),
        ParamValue::Size(size) => Value::from_object(SizeView(*size)),
        ParamValue::List(elements) => elements
            .iter()
            .map(|element| param(name, element))
            .collect::<Vec<Value>>()
            .into(),
        ParamValue::Secret(_) => TemplateFault {
            message: format!("`params.{name}` is a secret and cannot stand in a template"),
            hints: vec![format!(
                "on the host it is in the file named by `$FAB_SECRET_{}_FILE`",
                variable(name)
            )],
        }
        .into_error()
        .into(),
    }
}

/// A duration: prints with its unit, `.secs` and `.millis` are numbers.
#[derive(Debug)]
struct DurationView(Duration);

impl Object for DurationView {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        match key.as_str()? {
            "secs" => Some(self.0.as_secs().into()),
            "millis" => u64::try_from(self.0.as_millis()).ok().map(Value::from),
            _ => None,
        }
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&ParamValue::Duration(self.0).text())
    }
}

/// A size: prints with its unit, `.bytes` is a number.
#[derive(Debug)]
struct SizeView(Size);

impl Object for SizeView {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        (key.as_str()? == "bytes").then(|| self.0.0.into())
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&ParamValue::Size(self.0).text())
    }
}
