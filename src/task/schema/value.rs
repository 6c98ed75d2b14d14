//! The small parts of the schema: texts, numbers, words, objects.

use serde_json::{Map, Value, json};

/// A text; numbers and booleans are texts as they are written.
pub(super) fn text() -> Value {
    json!({"type": ["string", "number", "boolean"]})
}

/// `true` or `false`.
pub(super) fn boolean() -> Value {
    json!({"type": "boolean"})
}

/// A whole number of at least `least`.
pub(super) fn whole(least: u32) -> Value {
    json!({"type": "integer", "minimum": least})
}

/// A number with a unit, or a template.
pub(super) fn duration() -> Value {
    json!({"type": "string", "pattern": r"^\s*([0-9.]+\s*[a-zA-Zµ]+\s*)+$|\{\{"})
}

/// A count or a percentage.
pub(super) fn amount() -> Value {
    json!({"anyOf": [
        {"type": "integer", "minimum": 0},
        {"type": "string", "pattern": "^[0-9]+%?$"},
    ]})
}

/// A bare expression.
pub(super) fn expression() -> Value {
    json!({"type": ["string", "number", "boolean"]})
}

/// One of a few words.
pub(super) fn words(words: &[&str]) -> Value {
    json!({"enum": words})
}

/// One value or a list of them.
pub(super) fn list_of(value: &Value) -> Value {
    json!({"anyOf": [value, {"type": "array", "items": value}]})
}

/// A map of any names.
pub(super) fn map_of(value: &Value) -> Value {
    json!({"type": "object", "additionalProperties": value})
}

/// A definition by its name.
pub(super) fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/$defs/{name}")})
}

/// A value with words for people.
pub(super) fn described(mut value: Value, words: &str) -> Value {
    value["description"] = words.into();
    value
}

/// The same keys, each with its words for people.
pub(super) fn with_words(
    properties: Vec<(&'static str, Value)>,
    words: &[(&str, &str)],
) -> Vec<(&'static str, Value)> {
    let words_of = |key: &str| words.iter().find(|(known, _)| *known == key);
    properties
        .into_iter()
        .map(|(key, value)| match words_of(key) {
            Some((_, words)) => (key, described(value, words)),
            None => (key, value),
        })
        .collect()
}

/// A map with these keys alone.
pub(super) fn object(properties: &[(&str, Value)], required: &[&str]) -> Value {
    let properties: Map<String, Value> = properties
        .iter()
        .map(|(key, value)| ((*key).to_owned(), value.clone()))
        .collect();
    json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}
