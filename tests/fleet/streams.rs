//! What many hosts print at once: prefixes, streams, forms of output, the record.

use serde_json::Value;

use crate::desk::{Desk, Ran, by_host, json};
use crate::fleets;

const OUT_ERR_3: &str = "echo out; echo err >&2; exit 3";

fn dozen() -> Vec<String> {
    (0..12).map(|n| format!("app-{n:02}")).collect()
}

/// Prefixed lines of remote stderr among what fab-rs itself says.
fn remote_lines(ran: &Ran) -> String {
    let lines = ran.err();
    lines
        .lines()
        .filter(|line| line.contains(" │ "))
        .fold(String::new(), |text, line| text + line + "\n")
}

#[test]
fn every_line_has_its_host_and_stays_on_its_stream() {
    let Some((_, desk)) = fleets::calm() else {
        return;
    };
    let ran = desk.fab(&["run", "dozen=yes", "--", OUT_ERR_3]);
    ran.ended(1);
    let (out, err) = (ran.lines_by_host(), by_host(&remote_lines(&ran)));
    for (lines, word) in [(out, "out"), (err, "err")] {
        assert_eq!(
            lines.keys().cloned().collect::<Vec<_>>(),
            dozen(),
            "{}",
            ran.all()
        );
        assert!(lines.values().all(|said| said == &[word]), "{}", ran.all());
    }
    ran.says("app-[00-11] (12)")
        .says("exit 3")
        .says("summary: 12 failed");
    ran.says(&format!("record: {}", desk.record().display()));
    let summary = desk.summary();
    assert_eq!(summary["exit"], 1);
    assert_eq!(summary["task"], "run");
    assert_eq!(summary["counts"], serde_json::json!({"failed": 12}));
    assert_eq!(summary["record"], desk.record().to_str().unwrap());
    assert_eq!(
        Value::from(desk.record().file_name().unwrap().to_str()),
        summary["run"]
    );
    for key in ["state", "started", "ended"] {
        assert!(summary[key].is_string(), "{key}: {summary:#}");
    }
    let hosts = summary["hosts"].as_object().unwrap();
    assert_eq!(hosts.keys().cloned().collect::<Vec<_>>(), dozen());
    for (n, (label, host)) in hosts.iter().enumerate() {
        let id = host["id"].as_str().unwrap();
        assert!(id.contains('@') && id.ends_with(":2222"), "{id}");
        assert_eq!(host["outcome"], "failed");
        assert_eq!(host["rollback"], Value::Null);
        assert_eq!(
            host["zone"],
            ["us-west-2a", "us-west-2b", "us-west-2c"][n % 3]
        );
        assert_eq!(host["batch"], 0);
        assert_eq!(host["exit_code"], 3);
        assert_eq!(host["cause"], "exit 3");
        assert!(
            host["failed_step"].is_string() && host["duration_ms"].is_u64(),
            "{host}"
        );
        let log =
            std::fs::read_to_string(desk.record().join(format!("hosts/{label}.log"))).unwrap();
        assert!(log.contains("out\n") && log.contains("err\n"), "{log}");
    }
}

#[test]
fn json_is_one_event_a_line_and_the_same_as_the_record() {
    let Some((_, desk)) = fleets::calm() else {
        return;
    };
    let ran = desk.fab(&["--json", "run", "dozen=yes", "--", OUT_ERR_3]);
    ran.ended(1);
    let events: Vec<Value> = ran
        .out()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let run = desk
        .record()
        .file_name()
        .unwrap()
        .to_str()
        .unwrap()
        .to_owned();
    for (seq, event) in events.iter().enumerate() {
        assert_eq!(event["seq"], seq, "{event}");
        assert_eq!(event["run"], run.as_str());
        assert!(event["time"].as_str().unwrap().ends_with('Z'), "{event}");
        assert!(
            event["elapsed_ms"].is_u64() && event["kind"].is_string(),
            "{event}"
        );
    }
    let of = |kind: &str| -> Vec<&Value> { events.iter().filter(|e| e["kind"] == kind).collect() };
    assert_eq!(events[0]["kind"], "run_started");
    assert_eq!(events.last().unwrap()["kind"], "run_finished");
    for kind in [
        "host_started",
        "host_connected",
        "step_started",
        "step_finished",
        "host_finished",
    ] {
        let mut hosts: Vec<_> = of(kind)
            .iter()
            .map(|e| e["host"].as_str().unwrap().to_owned())
            .collect();
        hosts.sort();
        assert_eq!(hosts, dozen(), "{kind}");
    }
    assert!(of("host_finished").iter().all(|e| e["outcome"] == "failed"));
    for (stream, word) in [("stdout", "out"), ("stderr", "err")] {
        let lines: Vec<_> = of("output_line")
            .into_iter()
            .filter(|e| e["stream"] == stream)
            .collect();
        assert_eq!(lines.len(), 12);
        assert!(
            lines
                .iter()
                .all(|e| e["line"] == word && e["host"].is_string())
        );
    }
    same_as_the_record(&desk, &ran, &events);
}

/// What programs read on stdout, people and the record have too, and it is what the schema promises.
fn same_as_the_record(desk: &Desk, ran: &Ran, events: &[Value]) {
    // Everything that people are told is kept away from what programs read.
    assert!(!ran.err().contains('│'), "{}", ran.all());
    let recorded = std::fs::read_to_string(desk.record().join("events.jsonl")).unwrap();
    let recorded: Vec<Value> = recorded
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let without_output: Vec<_> = events
        .iter()
        .filter(|e| e["kind"] != "output_line")
        .cloned()
        .collect();
    assert_eq!(recorded, without_output);
    let summary = desk.summary();
    let last = &events.last().unwrap();
    assert_eq!(last["hosts"], summary["hosts"], "{last}");
    assert_eq!(last["counts"], summary["counts"]);
    // What the schema promises is what came.
    let schema: Value = serde_json::from_str(&desk.fab(&["schema", "event"]).out()).unwrap();
    let schema = jsonschema::validator_for(&schema).unwrap();
    for event in events {
        assert!(
            schema.is_valid(event),
            "{event}: {:?}",
            schema.iter_errors(event).next()
        );
    }
}

#[test]
fn gathered_bare_and_quiet_output() {
    let Some((_, desk)) = fleets::calm() else {
        return;
    };
    let odd = "[ \"$(hostname)\" = app-03 ] && echo other || echo same";
    let gathered = desk.fab(&["-b", "run", "dozen=yes", "--", odd]);
    gathered.ended(0);
    let text = gathered.out();
    assert_eq!(text.matches("same").count(), 1, "{text}");
    assert_eq!(text.matches("other").count(), 1, "{text}");
    assert!(
        text.contains("app-[00-02,04-11]") && text.contains("app-03"),
        "{text}"
    );

    let bare = desk.fab(&["-N", "run", "dozen=yes", "--", "hostname"]);
    let mut lines: Vec<_> = bare.ended(0).out().lines().map(str::to_owned).collect();
    lines.sort();
    assert_eq!(lines, dozen());

    let quiet = desk.fab(&["-q", "run", "dozen=yes", "--", "echo out; echo err >&2"]);
    assert_eq!(quiet.ended(0).lines_by_host().len(), 12);
    assert_eq!(
        by_host(&quiet.err()).len(),
        12,
        "only what hosts said: {}",
        quiet.all()
    );
    let quiet = desk.fab(&["-q", "run", "dozen=yes", "--", "exit 4"]);
    quiet.ended(1).says("12 failed");
}

#[test]
fn what_is_typed_next_does_the_same_again_on_the_hosts_that_failed() {
    let Some((_, desk)) = fleets::calm() else {
        return;
    };
    let odd = "case $(hostname) in app-03|app-04) echo again; exit 5;; esac";
    let ran = desk.fab(&["run", "dozen=yes", "--", odd]);
    ran.ended(1);
    let said = ran.err();
    let next: Vec<_> = said
        .lines()
        .filter_map(|line| line.strip_prefix("next: "))
        .collect();
    assert_eq!(next.len(), 2, "{said}");
    for (line, status) in [(next[0], 0), (next[1], 1)] {
        let mut words = shlex::split(line).unwrap();
        assert_eq!(words.remove(0), "fab-rs");
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_fab-rs"));
        desk.surround(&mut command);
        let again = crate::desk::Running::of(command.args(&words)).end();
        again.ended(status);
        assert!(!again.stdout.is_empty(), "{line}: {}", again.all());
    }
    let again = json(&desk.record().join("summary.json"));
    assert_eq!(again["counts"], serde_json::json!({"failed": 2}));
    assert_eq!(again["hosts"].as_object().unwrap().len(), 2);
}
