//! The JSON Schema of the `--json` stream (`schema event`): one alternative a kind. Keys may be added in
//! later releases, so no object is closed.

use serde_json::Value;

/// The schema's text, as `schema event` prints it.
pub const EVENT_SCHEMA: &str = include_str!("event.schema.json");

/// The schema of one line of `--json` and of `events.jsonl`.
pub fn event_schema() -> Value {
    serde_json::from_str(EVENT_SCHEMA).expect("the schema in this crate is JSON")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::super::json::push_event;
    use super::super::samples;
    use super::*;

    fn lines_of_every_kind() -> Vec<Value> {
        let mut out = Vec::new();
        for event in samples::every_kind() {
            push_event(&event, &mut out);
        }
        out.split(|&byte| byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| serde_json::from_slice(line).expect("every line is JSON"))
            .collect()
    }

    #[test]
    fn every_event_fits_the_schema() {
        let validator = jsonschema::validator_for(&event_schema()).expect("the schema is one");
        for line in lines_of_every_kind() {
            let errors: Vec<String> = validator
                .iter_errors(&line)
                .map(|e| e.to_string())
                .collect();
            assert!(errors.is_empty(), "{line}: {errors:?}");
        }
    }

    #[test]
    fn what_is_no_event_does_not_fit() {
        let validator = jsonschema::validator_for(&event_schema()).expect("the schema is one");
        let mut line = lines_of_every_kind().swap_remove(0);
        line["kind"] = "run_begun".into();
        assert!(!validator.is_valid(&line));
    }

    #[test]
    fn every_kind_and_every_key_is_described() {
        let mut seen = HashSet::new();
        for line in lines_of_every_kind() {
            let kind = line["kind"].as_str().unwrap().to_owned();
            let schema = event_schema();
            let alternative = schema["oneOf"]
                .as_array()
                .unwrap()
                .iter()
                .find(|one| one["title"] == kind.as_str())
                .expect("the kind is described")
                .clone();
            for key in line.as_object().unwrap().keys() {
                let known = [&alternative, &schema]
                    .iter()
                    .any(|place| place["properties"].get(key).is_some());
                assert!(known, "{kind}.{key}");
            }
            seen.insert(kind);
        }
        assert_eq!(
            seen.len(),
            event_schema()["oneOf"].as_array().map_or(0, Vec::len),
            "the samples hold every kind: {seen:?}"
        );
    }
}
