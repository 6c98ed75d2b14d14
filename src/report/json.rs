//! The `--json` stream and `events.jsonl`: one event a line, in the shapes that are stable from the first
//! release. Keys may be added, never renamed. `schema` describes what is written here.

use base64::Engine as _;
use serde_json::{Map, Value, json};

use crate::model::{HostOutcome, Stream};
use crate::run::event::{EventKind, HostRef, Line, Lines, RunEvent, StepRef, StepResult};

/// Appends an event as JSON lines: one line an event, but one a line of output for `Output`.
pub fn push_event(event: &RunEvent, out: &mut Vec<u8>) {
    if let EventKind::Output {
        host, step, lines, ..
    } = &event.kind
    {
        push_output(event, &Origin::new(host.as_ref(), step), lines, out);
        return;
    }
    let mut object = envelope(event, event.seq);
    object.extend(fields(&event.kind));
    push_line(&Value::Object(object), out);
}

/// The word of an event's `kind`.
pub fn kind_word(kind: &EventKind) -> &'static str {
    match kind {
        EventKind::RunStarted { .. } => "run_started",
        EventKind::BatchStarted { .. } => "batch_started",
        EventKind::HostStarted { .. } => "host_started",
        EventKind::ConnectRetried { .. } => "connect_retried",
        EventKind::HostConnected { .. } => "host_connected",
        EventKind::StepStarted { .. } => "step_started",
        EventKind::Output { .. } => "output_line",
        EventKind::TransferProgressed { .. } => "transfer_progressed",
        EventKind::StepRetried { .. } => "step_retried",
        EventKind::StepFinished { .. } => "step_finished",
        EventKind::Noted { .. } => "noted",
        EventKind::FileFetched { .. } => "file_fetched",
        EventKind::HostFinished { .. } => "host_finished",
        EventKind::BatchFinished { .. } => "batch_finished",
        EventKind::GateAsked { .. } => "gate_asked",
        EventKind::GateAnswered { .. } => "gate_answered",
        EventKind::Rollout(fact) => fact.word(),
        EventKind::CancelStarted { .. } => "cancel_started",
        EventKind::KillStarted { .. } => "kill_started",
        EventKind::RunFinished { .. } => "run_finished",
    }
}

fn envelope(event: &RunEvent, seq: u64) -> Map<String, Value> {
    let mut object = Map::new();
    object.insert("seq".into(), seq.into());
    object.insert("time".into(), event.time.to_string().into());
    object.insert("elapsed_ms".into(), millis(event.elapsed).into());
    object.insert("run".into(), event.run.as_str().into());
    object.insert("kind".into(), kind_word(&event.kind).into());
    object
}

pub(crate) fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn push_line(value: &Value, out: &mut Vec<u8>) {
    serde_json::to_writer(&mut *out, value).expect("a JSON value is written to memory");
    out.push(b'\n');
}

/// What every line of one `Output` event has in common, already written.
struct Origin(String);

impl Origin {
    fn new(host: Option<&HostRef>, step: &StepRef) -> Self {
        let mut object = host_fields(host);
        object.extend(step_fields(step));
        let text = Value::Object(object).to_string();
        Self(
            text.trim_start_matches('{')
                .trim_end_matches('}')
                .to_owned(),
        )
    }
}

/// The lines of an `Output` event. Written by hand: a run may print millions.
fn push_output(event: &RunEvent, origin: &Origin, lines: &Lines, out: &mut Vec<u8>) {
    let stream = match lines.stream() {
        Stream::Stdout => "stdout",
        Stream::Stderr => "stderr",
    };
    // seq is the first key: what follows it is the same for every line of the event.
    let head = Value::Object(envelope(event, 0)).to_string();
    let head = head
        .trim_start_matches("{\"seq\":0")
        .trim_end_matches('}')
        .to_owned();
    for (seq, line) in (event.seq..).zip(lines.iter()) {
        out.extend_from_slice(b"{\"seq\":");
        out.extend_from_slice(seq.to_string().as_bytes());
        for part in [head.as_str(), ",", &origin.0, ",\"stream\":\"", stream] {
            out.extend_from_slice(part.as_bytes());
        }
        out.extend_from_slice(b"\",\"line\":");
        push_text(line, out);
        out.extend_from_slice(if line.partial {
            b",\"partial\":true}\n"
        } else {
            b",\"partial\":false}\n"
        });
    }
}

/// The line as JSON text, and as base64 too where it is not UTF-8.
fn push_text(line: Line<'_>, out: &mut Vec<u8>) {
    let text = String::from_utf8_lossy(line.bytes);
    serde_json::to_writer(&mut *out, &text).expect("a text is written to memory");
    if let std::borrow::Cow::Owned(_) = text {
        out.extend_from_slice(b",\"raw_b64\":\"");
        let raw = base64::engine::general_purpose::STANDARD.encode(line.bytes);
        out.extend_from_slice(raw.as_bytes());
        out.push(b'"');
    }
}

fn host_fields(host: Option<&HostRef>) -> Map<String, Value> {
    let mut object = Map::new();
    object.insert(
        "host".into(),
        host.map_or(Value::Null, |host| host.host.as_str().into()),
    );
    object.insert(
        "id".into(),
        host.map_or(Value::Null, |host| host.id.as_str().into()),
    );
    object
}

fn step_fields(step: &StepRef) -> Map<String, Value> {
    let mut object = Map::new();
    object.insert("step".into(), (*step.id).into());
    object.insert("step_name".into(), (*step.name).into());
    object
}

fn on_host(host: &HostRef, rest: Value) -> Map<String, Value> {
    joined([host_fields(Some(host)), object(rest)])
}

fn in_step(host: Option<&HostRef>, step: &StepRef, rest: Value) -> Map<String, Value> {
    joined([host_fields(host), step_fields(step), object(rest)])
}

fn joined(parts: impl IntoIterator<Item = Map<String, Value>>) -> Map<String, Value> {
    parts.into_iter().flatten().collect()
}

pub(crate) fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        other => unreachable!("written as an object: {other}"),
    }
}

fn fields(kind: &EventKind) -> Map<String, Value> {
    match kind {
        EventKind::RunStarted {
            task,
            task_kind,
            hosts,
            record,
        } => {
            let hosts: Vec<Value> = hosts
                .iter()
                .map(|(host, zone)| json!({"host": host.host, "id": host.id, "zone": zone}))
                .collect();
            object(
                json!({"task": task, "task_kind": task_kind, "hosts": hosts, "record": record.to_string_lossy()}),
            )
        }
        EventKind::BatchStarted {
            phase,
            index,
            count,
            zone,
            canary,
            last,
            hosts,
        } => object(
            json!({"phase": phase, "index": index, "count": count, "zone": zone, "canary": canary,
                "last": last, "hosts": hosts}),
        ),
        EventKind::BatchFinished { phase, index } => {
            object(json!({"phase": phase, "index": index}))
        }
        EventKind::GateAsked { question, gate } => {
            let question = object(json!({"question": question}));
            let gate = gate.as_ref().map_or(json!({}), |gate| json!(gate));
            joined([question, object(gate)])
        }
        EventKind::GateAnswered { yes, by, answer } => {
            object(json!({"yes": yes, "by": by, "answer": answer}))
        }
        EventKind::Rollout(fact) => {
            let mut fields = object(serde_json::to_value(fact).expect("a fact is a JSON object"));
            // The envelope has it.
            fields.remove("kind");
            fields
        }
        EventKind::CancelStarted { reason, running } => {
            object(json!({"reason": reason, "running": running}))
        }
        EventKind::KillStarted { running } => object(json!({"running": running})),
        EventKind::RunFinished { summary } => {
            object(serde_json::to_value(&**summary).expect("a summary is a JSON object"))
        }
        _ => host_event(kind),
    }
}

fn host_event(kind: &EventKind) -> Map<String, Value> {
    match kind {
        EventKind::HostStarted { host } | EventKind::HostConnected { host } => {
            host_fields(Some(host))
        }
        EventKind::ConnectRetried {
            host,
            attempt,
            attempts,
            cause,
        } => on_host(
            host,
            json!({"attempt": attempt, "attempts": attempts, "cause": cause}),
        ),
        EventKind::Noted { host, text } => {
            joined([host_fields(host.as_ref()), object(json!({"text": text}))])
        }
        EventKind::FileFetched {
            host,
            path,
            bytes,
            sha256,
        } => on_host(
            host,
            json!({"path": path.to_string_lossy(), "bytes": bytes, "sha256": sha256}),
        ),
        EventKind::HostFinished {
            host,
            outcome,
            duration,
            tail,
        } => joined([
            host_fields(Some(host)),
            outcome_fields(outcome),
            object(json!({"duration_ms": millis(*duration), "tail": tail})),
        ]),
        _ => step_event(kind),
    }
}

fn step_event(kind: &EventKind) -> Map<String, Value> {
    match kind {
        EventKind::StepStarted { host, step } => in_step(host.as_ref(), step, json!({})),
        EventKind::TransferProgressed {
            host,
            step,
            done,
            total,
        } => in_step(Some(host), step, json!({"done": done, "total": total})),
        EventKind::StepRetried {
            host,
            step,
            attempt,
            delay,
            cause,
        } => in_step(
            host.as_ref(),
            step,
            json!({"attempt": attempt, "delay_ms": millis(*delay), "cause": cause}),
        ),
        EventKind::StepFinished {
            host,
            step,
            result,
            duration,
        } => joined([
            in_step(host.as_ref(), step, json!({})),
            result_fields(result),
            object(json!({"duration_ms": millis(*duration)})),
        ]),
        other => unreachable!("{} has no step", kind_word(other)),
    }
}

fn result_fields(result: &StepResult) -> Map<String, Value> {
    object(serde_json::to_value(result).expect("a step's result is a JSON object"))
}

/// The outcome's word as `outcome`, and its fields beside it. The `kind` of an unreachable host is called
/// `unreachable_kind` here, as an event has a `kind` of its own.
pub(crate) fn outcome_fields(outcome: &HostOutcome) -> Map<String, Value> {
    object(serde_json::to_value(outcome).expect("an outcome is a JSON object"))
        .into_iter()
        .map(|(key, value)| match key.as_str() {
            "kind" => ("unreachable_kind".to_owned(), value),
            _ => (key, value),
        })
        .collect()
}

/// The outcome that [`outcome_fields`] wrote; `None` where the object holds none.
pub(crate) fn outcome_of(fields: &Map<String, Value>) -> Option<HostOutcome> {
    let mut fields = fields.clone();
    fields.remove("kind");
    if let Some(kind) = fields.remove("unreachable_kind") {
        fields.insert("kind".into(), kind);
    }
    serde_json::from_value(Value::Object(fields)).ok()
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    fn written(event: &RunEvent) -> String {
        let mut out = Vec::new();
        push_event(event, &mut out);
        String::from_utf8(out).expect("JSON is UTF-8")
    }

    #[test]
    fn the_envelope_comes_first() {
        let event = samples::event(
            7,
            1500,
            EventKind::HostConnected {
                host: samples::host("app-1"),
            },
        );
        assert_eq!(
            written(&event),
            "{\"seq\":7,\"time\":\"2025-01-02T03:04:06.5Z\",\"elapsed_ms\":1500,\"run\":\"20250102T030405Z-heapdump-00ff\",\"kind\":\"host_connected\",\"host\":\"app-1\",\"id\":\"i-app-1\"}\n"
        );
    }

    #[test]
    fn each_line_of_output_is_an_event_with_its_own_number() {
        let event = samples::event(
            3,
            10,
            samples::output("app-1", Stream::Stderr, &[b"a \"b\"\x1b", b"\xff\xfe"]),
        );
        let text = written(&event);
        let lines: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(
            lines[0],
            json!({"seq": 3, "time": "2025-01-02T03:04:05.01Z", "elapsed_ms": 10,
                "run": "20250102T030405Z-heapdump-00ff", "kind": "output_line", "host": "app-1", "id": "i-app-1",
                "step": "dump", "step_name": "dump", "stream": "stderr",
                "line": "a \"b\"\u{1b}", "partial": false})
        );
        assert_eq!(
            (&lines[1]["seq"], &lines[1]["line"]),
            (&json!(4), &json!("\u{fffd}\u{fffd}"))
        );
        assert_eq!(lines[1]["raw_b64"], "//4=");
    }

    #[test]
    fn an_outcome_comes_back_from_its_event() {
        for outcome in samples::outcomes() {
            let event = samples::event(0, 0, samples::finished("a", outcome.clone(), 1, &[]));
            let value: Value = serde_json::from_str(&written(&event)).unwrap();
            assert_eq!(value["outcome"], outcome.word());
            assert_eq!(outcome_of(value.as_object().unwrap()), Some(outcome));
        }
    }

    #[test]
    fn the_last_event_is_the_summary() {
        let event = samples::every_kind().pop().unwrap();
        let value: Value = serde_json::from_str(&written(&event)).unwrap();
        assert_eq!(value["kind"], "run_finished");
        assert_eq!(value["counts"], json!({"failed": 1}));
        assert_eq!(value["hosts"]["app-1"]["outcome"], "failed");
        assert_eq!(value["ended"], "2025-01-02T03:04:43Z");
    }
}
