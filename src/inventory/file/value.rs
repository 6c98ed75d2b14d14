//! Open values of the file, such as `vars`, as JSON; and JSON of a command as nodes.

use std::sync::Arc;

use indexmap::IndexMap;
use serde_json::{Map, Number, Value};

use crate::model::{Source, SourceSpan};
use crate::yaml::{Node, NodeKind, Scalar, Style};

/// A value of any shape. Plain `true`, `false` and decimal numbers are what they look like; everything else
/// (`no`, `010`, `1_000`) is a text.
pub(super) fn to_json(node: &Node) -> Value {
    match &node.kind {
        NodeKind::Null => Value::Null,
        NodeKind::Scalar(scalar) => scalar_to_json(scalar),
        NodeKind::Sequence(items) => items.iter().map(to_json).collect(),
        NodeKind::Mapping(pairs) => {
            let pairs = pairs
                .iter()
                .filter_map(|(key, value)| Some((key.as_text()?.to_owned(), to_json(value))));
            Value::Object(pairs.collect::<Map<_, _>>())
        }
    }
}

fn scalar_to_json(scalar: &Scalar) -> Value {
    let text = || Value::String(scalar.text.clone());
    if scalar.style != Style::Plain {
        return text();
    }
    match scalar.text.as_str() {
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        plain if is_json_number(plain) => plain
            .parse::<Number>()
            .map_or_else(|_| text(), Value::Number),
        _ => text(),
    }
}

fn is_json_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let integer = digits.split(['.', 'e', 'E']).next().unwrap_or_default();
    !integer.is_empty()
        && integer.bytes().all(|byte| byte.is_ascii_digit())
        && (integer == "0" || !integer.starts_with('0'))
}

/// A JSON value as a node without a place of its own, so that one decoder serves both. Keys without a value
/// are left out: `hosts --json` prints what a host lacks as `null`.
pub(super) fn from_json(value: &Value, source: &Arc<Source>) -> Node {
    let scalar = |text: String, style| NodeKind::Scalar(Scalar { text, style });
    let kind = match value {
        Value::Null => NodeKind::Null,
        Value::Bool(bool) => scalar(bool.to_string(), Style::Plain),
        Value::Number(number) => scalar(number.to_string(), Style::Plain),
        Value::String(text) => scalar(text.clone(), Style::Quoted),
        Value::Array(items) => {
            NodeKind::Sequence(items.iter().map(|item| from_json(item, source)).collect())
        }
        Value::Object(pairs) => NodeKind::Mapping(
            pairs
                .iter()
                .map(|(key, value)| {
                    let key = Value::String(key.clone());
                    (from_json(&key, source), from_json(value, source))
                })
                .collect(),
        ),
    };
    Node {
        span: SourceSpan::new(source, 0..0),
        kind,
    }
}

/// A map of any keys as JSON values.
pub(super) fn vars(
    node: &Node,
    what: &str,
    errors: &mut Vec<crate::model::Diagnostic>,
) -> Option<IndexMap<String, Value>> {
    let entries = node.expect_entries(what, errors)?;
    Some(
        entries
            .into_iter()
            .map(|entry| (entry.name.to_owned(), to_json(entry.value)))
            .collect(),
    )
}

/// A map of texts; numbers and booleans are texts as written.
pub(super) fn texts(
    node: &Node,
    what: &str,
    errors: &mut Vec<crate::model::Diagnostic>,
) -> Option<IndexMap<String, String>> {
    let entries = node.expect_entries(what, errors)?;
    Some(
        entries
            .into_iter()
            .filter_map(|entry| {
                let what = format!("`{}` in {what}", entry.name);
                let text = if entry.value.is_null() {
                    String::new()
                } else {
                    entry.value.expect_string(&what, errors)?
                };
                Some((entry.name.to_owned(), text))
            })
            .collect(),
    )
}
