//! Texts about runs that are over, or go on elsewhere: the list, and the report of one. Pure but for what
//! [`StoredRun`] reads.

use std::fmt::Write as _;
use std::io;

use serde_json::{Value, json};

use crate::model::format_duration;

use crate::run::event::RollbackResult;

use super::fold::fold;
use super::grammar::{counted, outcome_words};
use super::host_failure::short;
use super::json::{millis, outcome_fields};
use super::reach::Reach;
use super::rollout_view::Pause;
use super::rollout_words::{bake_words, shortfall_words, wait_words};
use super::sanitize::safe;
use super::store::{RunState, StoredRun};
use super::style::{Role, Styles};
use super::summary::{Closing, SummaryLook, role_of, summary_text};
use super::table::{Cell, table};
use super::view::{HostState, HostView, RunView};

/// Columns for what a run was waiting for.
const REPORT_WIDTH: usize = 100;
/// Hosts that a report lists one by one; of more it tells what the summary tells.
const MAX_LISTED: usize = 200;

/// `runs`: one line a run.
pub fn runs_table(runs: &[StoredRun], styles: Styles) -> String {
    let rows: Vec<Vec<Cell>> = runs
        .iter()
        .map(|run| {
            let role = match (&run.state, run.exit) {
                (RunState::Running, _) => Role::Strong,
                (_, Some(0)) => Role::Good,
                // Not begun, not ended, or paused: nothing is broken.
                (_, None | Some(8..=10)) => Role::Warning,
                _ => Role::Error,
            };
            let next = run.next();
            vec![
                Cell::new(run.id.as_str()),
                Cell::new(&task_words(run)),
                Cell::new(&run.started),
                Cell::of(role, &state_words(run)),
                Cell::or_dash(run.exit.map(|exit| exit.to_string()).as_deref()),
                Cell::or_dash(next.first().copied()),
                Cell::new(&hosts_words(run)),
            ]
        })
        .collect();
    table(
        &["run", "task", "started", "state", "exit", "next", "hosts"],
        &rows,
        styles,
    )
}

/// How many hosts stand where.
fn hosts_words(run: &StoredRun) -> String {
    let counts = run.counts.iter();
    let mut words: Vec<String> = counts
        .map(|(word, count)| format!("{count} {}", outcome_words(word)))
        .collect();
    let (begun, to_come) = run.open;
    let begun_words = match run.state {
        RunState::Running => "at work",
        _ => "half done",
    };
    for (count, what) in [(begun, begun_words), (to_come, "not begun")] {
        if count > 0 {
            words.push(format!("{count} {what}"));
        }
    }
    words.join(", ")
}

/// The task; of a run that takes up what another one left, the end of that one's id.
fn task_words(run: &StoredRun) -> String {
    let Some(of) = run.retries() else {
        return run.task.clone();
    };
    let end = of.as_str().rsplit('-').next().unwrap_or_default();
    format!("{} (retry of {end})", run.task)
}

/// The state, and that the journal is damaged.
fn state_words(run: &StoredRun) -> String {
    let word = run.state.word();
    match run.damage() {
        Some(damage) => format!("{word}, journal damaged at line {}", damage.line),
        None => word.to_owned(),
    }
}

fn damage_json(run: &StoredRun) -> Value {
    let damage = run.damage();
    damage.map_or(
        Value::Null,
        |damage| json!({"line": damage.line, "why": damage.why}),
    )
}

/// The commands that go on from where a run stands.
fn commands(run: &StoredRun) -> Vec<String> {
    let next = run.next();
    next.iter()
        .map(|command| format!("fab-rs {command} {}", run.id))
        .collect()
}

/// `runs --json`.
pub fn runs_json(runs: &[StoredRun]) -> Value {
    let of = |run: &StoredRun| {
        json!({"run": run.id, "task": run.task, "started": run.started, "state": run.state.word(),
            "exit": run.exit, "counts": run.counts, "retries": run.retries(), "next": commands(run), "damage": damage_json(run), "record": run.path.to_string_lossy()})
    };
    runs.iter().map(of).collect()
}

/// `report RUN`: how it stands, every host, and the summary; `reach` is what a command needs to mean its hosts.
///
/// # Errors
/// The run's events cannot be read.
pub fn report_text(
    run: &StoredRun,
    reach: Reach,
    styles: Styles,
    width: usize,
) -> io::Result<String> {
    let view = run.view()?;
    let mut out = String::new();
    let name = styles.paint(Role::Strong, safe(run.id.as_str()));
    let exit = run
        .exit
        .map(|exit| format!(", exit {exit}"))
        .unwrap_or_default();
    let _ = writeln!(out, "{name}  {}{exit}", run.state.word());
    let hosts = counted(view.hosts.len(), "host");
    let took = format_duration(view.elapsed);
    let _ = writeln!(
        out,
        "task {}, {hosts}, started {}, {took}",
        safe(&run.task),
        run.started
    );
    if let Some(of) = run.retries() {
        let _ = writeln!(out, "it takes up what run {} left", safe(of.as_str()));
    }
    out.push('\n');
    if view.hosts.len() <= MAX_LISTED {
        out.push_str(&hosts_of_run(&view, styles));
        out.push('\n');
    }
    push_unfinished(&mut out, run, &view, styles);
    let look = SummaryLook {
        styles,
        width,
        run: run.id.as_str(),
        skipped: &[],
        trouble: None,
    };
    let closing = Closing {
        state: Some(run.state.word().to_owned()),
        repeatable: run.is_repeatable(),
        reversible: run.is_reversible(),
        reach,
        ..Closing::default()
    };
    out.push_str(&summary_text(&view, &closing, &look));
    push_damaged(&mut out, run, styles);
    Ok(out)
}

fn hosts_of_run(view: &RunView, styles: Styles) -> String {
    let rows: Vec<Vec<Cell>> = view
        .hosts
        .iter()
        .map(|(label, host)| {
            let (role, word) = standing(host);
            let took = host.end().map(|end| format_duration(end.duration));
            let longest = host
                .longest
                .as_ref()
                .map(|(step, took)| format!("{} ({})", short(step), format_duration(*took)));
            vec![
                Cell::new(label.as_str()),
                Cell::new(host.zone.as_str()),
                Cell::of(role, word),
                Cell::or_dash(host.rollback.as_ref().map(RollbackResult::word)),
                Cell::or_dash(took.as_deref()),
                Cell::or_dash(longest.as_deref()),
            ]
        })
        .collect();
    table(
        &[
            "host",
            "zone",
            "outcome",
            "rollback",
            "took",
            "longest step",
        ],
        &rows,
        styles,
    )
}

fn standing(host: &HostView) -> (Role, &'static str) {
    match &host.state {
        HostState::Waiting => (Role::Dim, "waiting"),
        HostState::Connecting { .. } => (Role::Warning, "connecting"),
        HostState::Working { .. } => (Role::Warning, "at work"),
        HostState::Passed => (Role::Good, "passed"),
        HostState::Ended(end) => (role_of(end.outcome.word()), end.outcome.word()),
    }
}

/// A run whose journal is damaged: why nothing goes on from it, and what can be typed.
fn push_damaged(out: &mut String, run: &StoredRun, styles: Styles) {
    let Some(damage) = run.damage() else {
        return;
    };
    let lead = styles.paint(
        Role::Warning,
        format!("journal damaged at line {}:", damage.line),
    );
    let _ = writeln!(
        out,
        "{lead} it {}; what the run did from there on is not known for sure, so no command goes on from it",
        safe(&damage.why)
    );
    let mut lead = styles.paint(Role::Hint, "next:").to_string();
    for command in run.next().iter().filter(|command| **command != "report") {
        let _ = writeln!(out, "{lead} fab-rs {command} {}", run.id);
        lead = styles.paint(Role::Hint, "  or:").to_string();
    }
}

/// A run without an end: which hosts were at work is all that is known of them.
fn push_unfinished(out: &mut String, run: &StoredRun, view: &RunView, styles: Styles) {
    let lead = match run.state {
        RunState::Ended(_) => return,
        RunState::Running => styles.paint(Role::Strong, "running:"),
        RunState::Interrupted => styles.paint(Role::Warning, "interrupted:"),
    };
    let busy = view.busy();
    let hosts = fold(busy.iter().map(|(label, ..)| label.as_str()));
    let at_work = match busy.len() {
        0 => "no host was at work".to_owned(),
        count => format!("{} at work: {}", counted(count, "host"), safe(&hosts)),
    };
    let rest = match run.state {
        RunState::Interrupted => "; fab-rs ended before it could write its summary",
        _ => "",
    };
    let _ = writeln!(out, "{lead} {at_work}{rest}");
    let waits = match (&view.gate, &view.rollout.pause) {
        (Some(question), _) => format!("it asked: {}", safe(question)),
        (None, Some(Pause::Bake { why, .. })) => {
            format!("it was baking {}", bake_words(*why, view))
        }
        (None, Some(Pause::Health { shortfall, .. })) => {
            let missing = shortfall_words(shortfall, view, REPORT_WIDTH);
            format!("it was {}: {missing}", wait_words(&shortfall.rule))
        }
        (None, None) => return,
    };
    let _ = writeln!(out, "  {waits}");
}

/// `report RUN --json`: `summary.json`, or, where there is none, the same shape as far as it is known, with
/// `exit` null; with the state and the exit status that the journal has by now, and what can be done.
///
/// # Errors
/// The run's events cannot be read.
pub fn report_json(run: &StoredRun) -> io::Result<Value> {
    let mut value = match run.summary() {
        Some(summary) => serde_json::to_value(summary).expect("a summary is a JSON object"),
        None => unfinished_json(run)?,
    };
    value["state"] = run.state.word().into();
    value["exit"] = run.exit.into();
    value["retries"] = json!(run.retries());
    value["damage"] = damage_json(run);
    value["next"] = commands(run).into();
    Ok(value)
}

fn unfinished_json(run: &StoredRun) -> io::Result<Value> {
    let view = run.view()?;
    let hosts: serde_json::Map<String, Value> = view
        .hosts
        .iter()
        .map(|(label, host)| (label.as_str().to_owned(), host_json(host)))
        .collect();
    let ended = view.started.map(|started| started + view.elapsed);
    Ok(
        json!({"run": run.id, "task": run.task, "exit": null, "state": run.state.word(), "hosts": hosts,
        "counts": run.counts, "started": view.started, "ended": ended, "record": run.path.to_string_lossy()}),
    )
}

fn host_json(host: &HostView) -> Value {
    let rollback = host.rollback.as_ref().map(RollbackResult::word);
    let mut value =
        json!({"zone": host.zone, "outcome": null, "rollback": rollback, "duration_ms": null});
    if let Some(end) = host.end() {
        for (key, field) in outcome_fields(&end.outcome) {
            value[key] = field;
        }
        value["duration_ms"] = millis(end.duration).into();
    } else if let Some((step, _)) = &host.step {
        value["step"] = Value::from(&*step.name);
    }
    value
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::journal;
    use crate::run::event::EventKind;
    use crate::run::journal::Fact;
    use crate::run::sink::Sink as _;
    use crate::task::Kind;

    use super::super::record::RunFolder;
    use super::super::samples::{self, event, failed, finished, host, run_started, step};
    use super::super::store::RunStore;
    use super::*;

    async fn recorded(state: &Path, kinds: Vec<EventKind>) -> StoredRun {
        let folder = RunFolder::create(state, &samples::run_id(), None, |_| {}).unwrap();
        let mut sink = folder.sink().unwrap();
        for (seq, kind) in (0..).zip(kinds) {
            sink.accept(&event(seq, seq * 1000, kind)).await;
        }
        drop((sink, folder));
        RunStore::new(state).find("last").unwrap()
    }

    fn beginning() -> Vec<EventKind> {
        vec![
            run_started(
                Kind::Change,
                &[("app-1", "us-west-2a"), ("app-2", "us-west-2b")],
            ),
            EventKind::HostStarted {
                host: host("app-1"),
            },
            EventKind::HostStarted {
                host: host("app-2"),
            },
            EventKind::StepStarted {
                host: Some(host("app-2")),
                step: step("dump"),
            },
            finished("app-1", failed(3), 3000, &["no room"]),
        ]
    }

    fn shown(text: &str, state: &Path) -> String {
        text.replace(&state.display().to_string(), "STATE")
    }

    #[tokio::test]
    async fn an_ended_run_is_told_by_its_summary() {
        let state = tempfile::tempdir().unwrap();
        let mut kinds = beginning();
        kinds.push(finished("app-2", crate::model::HostOutcome::Ok, 4000, &[]));
        let summary = samples::summary(
            1,
            "done_partial",
            &[
                ("app-1", &failed(3)),
                ("app-2", &crate::model::HostOutcome::Ok),
            ],
        );
        kinds.push(EventKind::RunFinished {
            summary: std::sync::Arc::new(summary),
        });
        let run = recorded(state.path(), kinds).await;
        let text = report_text(&run, Reach::default(), Styles::plain(), 100).unwrap();
        insta::assert_snapshot!(shown(&text, state.path()), @r"
        20250102T030405Z-heapdump-00ff  done_partial, exit 1
        task heapdump, 2 hosts, started 2025-01-02 03:04:05 UTC, 6.0 s

        host   zone        outcome  took
        app-1  us-west-2a  failed   3.0 s
        app-2  us-west-2b  ok       4.0 s

        app-1  failed at step `dump`: exit 3 after 3.0 s, last line:
                  | no room
        summary: 1 succeeded, 1 failed in 6.0 s
        record: STATE/runs/20250102T030405Z-heapdump-00ff
        next: fab-rs logs 20250102T030405Z-heapdump-00ff app-1
        ");
        insta::assert_snapshot!(runs_table(std::slice::from_ref(&run), Styles::plain()), @r"
        run                             task      started                  state         exit  hosts
        20250102T030405Z-heapdump-00ff  heapdump  2025-01-02 03:04:05 UTC  done_partial  1     1 succeeded, 1 failed
        ");
        assert_eq!(report_json(&run).unwrap()["exit"], 1);
        assert_eq!(runs_json(&[run])[0]["counts"]["failed"], 1);
    }

    #[tokio::test]
    async fn of_a_damaged_journal_its_line_is_told_and_nothing_that_would_go_on_from_it() {
        let state = tempfile::tempdir().unwrap();
        let run = recorded(state.path(), beginning()).await;
        let opening = json!({"task": "heapdump", "task_hash": "", "changes": true, "population": [], "targets": [],
            "retries": null, "process": {"pid": 1, "started": 0}, "typed": {"argv": ["heapdump"]}});
        let mut bytes = Vec::new();
        let begun = Fact::RunStarted(serde_json::from_value(opening).unwrap());
        for (seq, fact) in (0..).zip([begun, Fact::Bake { length_ms: 1 }]) {
            let (v, time) = (journal::FORMAT, jiff::Timestamp::UNIX_EPOCH);
            let run = run.id.clone();
            let record = journal::Record {
                v,
                seq,
                time,
                run,
                fact,
            };
            record.write(&mut bytes);
        }
        let at = bytes.len() - 20;
        let again = |bytes: &[u8]| {
            std::fs::write(run.path.join(journal::FILE), bytes).unwrap();
            RunStore::new(state.path()).find("last").unwrap()
        };
        assert_eq!(again(&bytes).next(), ["resume"]);
        // Whoever does not ask does not read it.
        let run = again(&bytes);
        bytes[at] ^= 1;
        std::fs::write(run.path.join(journal::FILE), &bytes).unwrap();
        assert_eq!(run.next(), ["report", "logs", "lock release --run"]);
        let text = report_text(&run, Reach::default(), Styles::plain(), 100).unwrap();
        let text = text.lines().skip(12).collect::<Vec<_>>().join("\n");
        insta::assert_snapshot!(text, @r"
        next: fab-rs logs 20250102T030405Z-heapdump-00ff app-1
        journal damaged at line 2: it does not match its checksum; what the run did from there on is not known for sure, so no command goes on from it
        next: fab-rs logs 20250102T030405Z-heapdump-00ff
          or: fab-rs lock release --run 20250102T030405Z-heapdump-00ff
        ");
        let table = runs_table(std::slice::from_ref(&run), Styles::plain());
        assert!(
            table.contains("interrupted, journal damaged at line 2  "),
            "{table}"
        );
        assert_eq!(runs_json(&[run])[0]["damage"]["line"], 2);
    }

    #[tokio::test]
    async fn a_run_without_an_end_says_who_was_at_work() {
        let state = tempfile::tempdir().unwrap();
        let run = recorded(state.path(), beginning()).await;
        let text = report_text(&run, Reach::default(), Styles::plain(), 100).unwrap();
        insta::assert_snapshot!(shown(&text, state.path()), @r"
        20250102T030405Z-heapdump-00ff  interrupted
        task heapdump, 2 hosts, started 2025-01-02 03:04:05 UTC, 4.0 s

        host   zone        outcome     took
        app-1  us-west-2a  failed      3.0 s
        app-2  us-west-2b  connecting  -

        interrupted: 1 host at work: app-2; fab-rs ended before it could write its summary
        app-1  failed at step `dump`: exit 3 after 3.0 s, last line:
                  | no room
        summary: 1 failed in 4.0 s
        record: STATE/runs/20250102T030405Z-heapdump-00ff
        next: fab-rs logs 20250102T030405Z-heapdump-00ff app-1
        ");
        let table = runs_table(std::slice::from_ref(&run), Styles::plain());
        assert!(table.contains("1 failed, 1 half done"), "{table}");
        let value = report_json(&run).unwrap();
        assert_eq!(
            (&value["exit"], &value["state"]),
            (&Value::Null, &json!("interrupted"))
        );
        assert_eq!(value["hosts"]["app-1"]["outcome"], "failed");
        assert_eq!(value["hosts"]["app-2"]["step"], "dump");
    }
}
