//! The JSON Schema of the `--json` stream (`schema event`): one alternative a kind. Keys may be added in
//! later releases, so no object is closed.

use serde_json::{Map, Value, json};

use crate::model::HostOutcome;

/// The schema of one line of `--json` and of `events.jsonl`.
pub fn event_schema() -> Value {
    let kinds: Vec<Value> = kinds()
        .into_iter()
        .map(|(kind, about, fields)| alternative(kind, about, fields))
        .collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "fab-rs event",
        "description": "One line of `--json` or of a record's events.jsonl (which has no output_line and no transfer_progressed).",
        "oneOf": kinds,
    })
}

type Fields = Vec<(&'static str, Value)>;

/// An alternative: the envelope, the kind, and its own fields. A field whose name ends in `?` may be absent.
fn alternative(kind: &str, about: &str, fields: Fields) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    let envelope = [
        (
            "seq",
            said(
                "Counts from 0; every line of output has its own, also where it is not written here.",
                whole(),
            ),
        ),
        (
            "time",
            json!({"type": "string", "format": "date-time", "description": "RFC 3339, UTC, by this machine's clock."}),
        ),
        ("elapsed_ms", said("Since the run's start.", whole())),
        ("run", said("The run's id.", text())),
        ("kind", json!({"const": kind})),
    ];
    for (name, schema) in envelope.into_iter().chain(fields) {
        let plain = name.trim_end_matches('?');
        if plain == name {
            required.push(plain);
        }
        properties.insert(plain.to_owned(), schema);
    }
    json!({"type": "object", "title": kind, "description": about, "properties": properties, "required": required})
}

fn text() -> Value {
    json!({"type": "string"})
}

fn texts() -> Value {
    json!({"type": "array", "items": {"type": "string"}})
}

fn whole() -> Value {
    json!({"type": "integer", "minimum": 0})
}

fn yes_no() -> Value {
    json!({"type": "boolean"})
}

fn or_null(schema: Value) -> Value {
    json!({"anyOf": [schema, {"type": "null"}]})
}

fn said(about: &str, mut schema: Value) -> Value {
    schema["description"] = about.into();
    schema
}

fn host() -> Fields {
    vec![
        ("host", said("The host's label.", text())),
        ("id", said("The host's id.", text())),
    ]
}

fn host_or_controller() -> Fields {
    vec![
        (
            "host",
            said("The host's label; null on the controller.", or_null(text())),
        ),
        (
            "id",
            said("The host's id; null on the controller.", or_null(text())),
        ),
    ]
}

fn step() -> Fields {
    vec![
        ("step", said("The step's id.", text())),
        ("step_name", said("What people see.", text())),
    ]
}

fn with(parts: impl IntoIterator<Item = Fields>) -> Fields {
    parts.into_iter().flatten().collect()
}

fn kinds() -> Vec<(&'static str, &'static str, Fields)> {
    let mut all = run_kinds();
    all.extend(host_kinds());
    all.extend(step_kinds());
    all
}

fn run_kinds() -> Vec<(&'static str, &'static str, Fields)> {
    let planned = json!({"type": "array", "items": {"type": "object",
        "properties": {"host": text(), "id": text(), "zone": text()}, "required": ["host", "id", "zone"]}});
    let reasons = json!({"enum": ["host_failed", "deadline", "closed_pipe", "hangup", "terminate", "interrupt"]});
    vec![
        (
            "run_started",
            "The run began; always the first event.",
            vec![
                (
                    "task",
                    said(
                        "The task's name; `run`, `put` or `get` for ad-hoc work.",
                        text(),
                    ),
                ),
                ("task_kind", json!({"enum": ["read", "change"]})),
                ("hosts", said("Every host of the plan.", planned)),
                ("record", said("The record's folder.", text())),
            ],
        ),
        (
            "batch_started",
            "A batch began.",
            vec![
                ("phase", text()),
                ("index", said("From 0.", whole())),
                ("count", said("Batches of the phase.", whole())),
                ("zone", or_null(text())),
                ("hosts", said("Labels.", texts())),
            ],
        ),
        (
            "batch_finished",
            "A batch ended.",
            vec![("phase", text()), ("index", whole())],
        ),
        (
            "gate_asked",
            "A question was asked.",
            vec![("question", text())],
        ),
        (
            "gate_answered",
            "A question was answered.",
            vec![
                ("yes", yes_no()),
                (
                    "by",
                    said("`terminal`, `--yes`, `default` or `timeout`.", text()),
                ),
            ],
        ),
        (
            "cancel_started",
            "Nothing new is started from here on.",
            vec![
                ("reason", reasons),
                ("running", said("Hosts still at work.", texts())),
            ],
        ),
        (
            "kill_started",
            "The remote process groups are being ended.",
            vec![("running", said("Hosts still at work.", texts()))],
        ),
        (
            "run_finished",
            "The run ended; always the last event, and the content of summary.json.",
            summary_fields(),
        ),
    ]
}

fn summary_fields() -> Fields {
    let host = json!({"type": "object", "properties": {
        "id": text(), "outcome": outcome_words(), "rollback": or_null(json!({"enum": ["done", "failed", "pending"]})),
        "zone": text(), "batch": or_null(whole()), "failed_step": or_null(text()), "exit_code": or_null(whole()),
        "cause": or_null(text()), "duration_ms": whole(), "may_still_run": yes_no(),
    }, "required": ["id", "outcome", "rollback", "zone", "batch", "failed_step", "exit_code", "cause", "duration_ms"]});
    vec![
        ("task", text()),
        ("exit", said("The exit status.", whole())),
        (
            "state",
            said(
                "`done`, `done_partial`, `failed`, `paused`, `interrupted` or `aborted`.",
                text(),
            ),
        ),
        (
            "hosts",
            said(
                "By label.",
                json!({"type": "object", "additionalProperties": host}),
            ),
        ),
        (
            "counts",
            said(
                "Hosts of each outcome; outcomes of no host are absent.",
                json!({"type": "object", "additionalProperties": whole()}),
            ),
        ),
        ("started", json!({"type": "string", "format": "date-time"})),
        ("ended", json!({"type": "string", "format": "date-time"})),
        ("record", text()),
    ]
}

fn outcome_words() -> Value {
    json!({"enum": HostOutcome::WORDS})
}

fn host_kinds() -> Vec<(&'static str, &'static str, Fields)> {
    vec![
        (
            "host_started",
            "Work on a host began: it is connected to next.",
            host(),
        ),
        (
            "connect_retried",
            "A connection attempt failed and another follows.",
            with([
                host(),
                vec![
                    ("attempt", said("The attempt that failed, from 1.", whole())),
                    ("cause", text()),
                ],
            ]),
        ),
        ("host_connected", "The host is logged in to.", host()),
        (
            "noted",
            "Something people should read.",
            with([host_or_controller(), vec![("text", text())]]),
        ),
        (
            "file_fetched",
            "A file was brought from a host and verified.",
            with([
                host(),
                vec![
                    ("path", said("Where it is now.", text())),
                    ("bytes", whole()),
                    ("sha256", said("Hex.", text())),
                ],
            ]),
        ),
        (
            "host_finished",
            "Work on a host ended; exactly one for every planned host.",
            with([
                host(),
                vec![
                    ("outcome", outcome_words()),
                    ("step?", said("The step it ended at.", or_null(text()))),
                    ("exit_code?", or_null(whole())),
                    ("cause?", text()),
                    ("limit_ms?", said("The limit that passed.", whole())),
                    (
                        "ended?",
                        said(
                            "Whether the end of the remote process group was confirmed.",
                            yes_no(),
                        ),
                    ),
                    (
                        "check?",
                        said("The health check that did not pass.", text()),
                    ),
                    ("unreachable_kind?", text()),
                    (
                        "causes?",
                        said(
                            "From the sentence for people to the innermost cause.",
                            texts(),
                        ),
                    ),
                    (
                        "reason?",
                        said("Why it was cancelled or never started.", text()),
                    ),
                    ("duration_ms", said("From the host's start.", whole())),
                    ("tail", said("The last lines of its last step.", texts())),
                ],
            ]),
        ),
    ]
}

fn step_kinds() -> Vec<(&'static str, &'static str, Fields)> {
    let results = json!({"enum": ["ok", "skipped", "ignored", "failed", "timed_out", "unknown", "cancelled"]});
    vec![
        (
            "step_started",
            "A step began.",
            with([host_or_controller(), step()]),
        ),
        (
            "output_line",
            "A line of output.",
            with([
                host_or_controller(),
                step(),
                vec![
                    ("stream", json!({"enum": ["stdout", "stderr"]})),
                    (
                        "line",
                        said(
                            "The line without its newline, as UTF-8; what is not UTF-8 became U+FFFD.",
                            text(),
                        ),
                    ),
                    (
                        "raw_b64?",
                        said(
                            "The line's bytes in base64, where they are not UTF-8.",
                            text(),
                        ),
                    ),
                    (
                        "partial",
                        said(
                            "It goes on in the next line of this stream: it was split at 64 KiB, or the stream ended without a newline.",
                            yes_no(),
                        ),
                    ),
                ],
            ]),
        ),
        (
            "transfer_progressed",
            "A transfer moved on.",
            with([
                host(),
                step(),
                vec![
                    ("done", said("Bytes so far.", whole())),
                    (
                        "total",
                        said("Bytes in all, where known.", or_null(whole())),
                    ),
                ],
            ]),
        ),
        (
            "step_retried",
            "A step's attempt failed and another follows.",
            with([
                host_or_controller(),
                step(),
                vec![
                    ("attempt", said("The attempt that failed, from 1.", whole())),
                    ("delay_ms", said("Until the next one.", whole())),
                ],
            ]),
        ),
        (
            "step_finished",
            "A step ended.",
            with([
                host_or_controller(),
                step(),
                vec![
                    ("result", results),
                    ("exit_code?", or_null(whole())),
                    (
                        "changed?",
                        said(
                            "Whether anything changed on the host, where the action can tell.",
                            or_null(yes_no()),
                        ),
                    ),
                    ("cause?", text()),
                    ("limit_ms?", whole()),
                    ("duration_ms", whole()),
                ],
            ]),
        ),
    ]
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
                assert!(alternative["properties"].get(key).is_some(), "{kind}.{key}");
            }
            seen.insert(kind);
        }
        assert_eq!(
            seen.len(),
            kinds().len(),
            "the samples hold every kind: {seen:?}"
        );
    }
}
