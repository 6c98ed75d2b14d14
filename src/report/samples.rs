//! Events of every kind, a task and a plan, for the tests of this module.

use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;

use crate::model::{
    Amount, CancelReason, Host, HostId, HostOutcome, Label, RunId, Secret, Source, Stream,
    UnreachableKind, Zone,
};
use crate::plan::{Asked, Batch, BatchRules, By, HostPlan, Pace, Phase, Plan, Resolved, WorstOut};
use crate::run::event::{
    EventKind, HostRef, HostSummary, Line, Lines, RunEvent, RunSummary, StepRef, StepResult,
};
use crate::task::{Kind, NoFiles, ParamValue, Strategy, Task};

use super::rollout_samples;

/// A first connection attempt that failed.
pub(crate) fn connect_retried(label: &str) -> EventKind {
    EventKind::ConnectRetried {
        host: host(label),
        attempt: 1,
        attempts: 3,
        cause: "refused".into(),
    }
}

/// The run of every sample.
pub(crate) fn run_id() -> RunId {
    RunId::from_text("20250102T030405Z-heapdump-00ff")
}

/// When every sample run starts.
pub(crate) fn start() -> jiff::Timestamp {
    "2025-01-02T03:04:05Z".parse().expect("a timestamp")
}

/// An event `ms` after the start.
pub(crate) fn event(seq: u64, ms: u64, kind: EventKind) -> RunEvent {
    let elapsed = Duration::from_millis(ms);
    RunEvent {
        seq,
        time: start() + elapsed,
        elapsed,
        run: run_id(),
        kind,
    }
}

/// A host of this label.
pub(crate) fn host(label: &str) -> HostRef {
    HostRef {
        host: Label::new(label),
        id: HostId::new(format!("i-{label}")),
    }
}

/// A step of this name.
pub(crate) fn step(name: &str) -> StepRef {
    StepRef {
        id: Arc::from(name.replace(' ', "_")),
        name: Arc::from(name),
    }
}

/// Lines of one stream, none of them partial.
pub(crate) fn lines(stream: Stream, texts: &[&[u8]]) -> Lines {
    Lines::new(
        stream,
        texts.iter().map(|bytes| Line {
            bytes,
            partial: false,
        }),
    )
}

/// `RunStarted` over these hosts and zones.
pub(crate) fn run_started(task_kind: Kind, hosts: &[(&str, &str)]) -> EventKind {
    EventKind::RunStarted {
        task: "heapdump".into(),
        task_kind,
        hosts: hosts
            .iter()
            .map(|(label, zone)| (host(label), Zone::new(*zone)))
            .collect(),
        record: "/state/runs/20250102T030405Z-heapdump-00ff".into(),
    }
}

/// Output of a host in step `dump`.
pub(crate) fn output(label: &str, stream: Stream, texts: &[&[u8]]) -> EventKind {
    EventKind::Output {
        host: Some(host(label)),
        step: step("dump"),
        lines: lines(stream, texts),
        quiet: false,
    }
}

/// A host's end after `ms`.
pub(crate) fn finished(label: &str, outcome: HostOutcome, ms: u64, tail: &[&str]) -> EventKind {
    EventKind::HostFinished {
        host: host(label),
        outcome,
        duration: Duration::from_millis(ms),
        tail: tail.iter().map(|line| (*line).to_owned()).collect(),
    }
}

/// A failure at step `dump`.
pub(crate) fn failed(exit_code: u8) -> HostOutcome {
    HostOutcome::Failed {
        step: "dump".into(),
        exit_code: Some(exit_code),
        cause: format!("exit {exit_code}"),
    }
}

/// A summary over hosts and their outcomes.
pub(crate) fn summary(exit: u8, state: &str, hosts: &[(&str, &HostOutcome)]) -> RunSummary {
    let mut counts = IndexMap::new();
    for word in HostOutcome::WORDS {
        let count = hosts.iter().filter(|(_, o)| o.word() == word).count();
        if count > 0 {
            counts.insert(word.to_owned(), count);
        }
    }
    let of = |outcome: &HostOutcome| HostSummary {
        id: HostId::new("i-1"),
        outcome: outcome.word().to_owned(),
        rollback: None,
        zone: Zone::new("us-west-2a"),
        batch: Some(0),
        failed_step: None,
        exit_code: None,
        cause: None,
        hints: Vec::new(),
        duration_ms: 1000,
        may_still_run: matches!(
            outcome,
            HostOutcome::TimedOut { ended: false, .. } | HostOutcome::Unknown { .. }
        ),
        left: Vec::new(),
    };
    RunSummary {
        run: run_id(),
        task: "heapdump".into(),
        exit,
        state: state.to_owned(),
        hosts: hosts
            .iter()
            .map(|(label, outcome)| (Label::new(*label), of(outcome)))
            .collect(),
        counts,
        started: start(),
        ended: start() + Duration::from_secs(38),
        record: "/state/runs/20250102T030405Z-heapdump-00ff".into(),
    }
}

/// One outcome of each class.
pub(crate) fn outcomes() -> Vec<HostOutcome> {
    vec![
        HostOutcome::Ok,
        failed(3),
        HostOutcome::TimedOut {
            step: "dump".into(),
            limit_ms: 2000,
            ended: false,
        },
        HostOutcome::Unhealthy {
            check: "http".into(),
            cause: "status 503".into(),
        },
        HostOutcome::Unreachable {
            kind: UnreachableKind::Refused,
            causes: vec!["connection refused".into(), "ssh said so".into()],
            hints: Vec::new(),
        },
        HostOutcome::Unknown {
            step: "dump".into(),
            doubt: crate::model::Doubt::Lost,
        },
        HostOutcome::Cancelled {
            reason: CancelReason::Interrupt,
            step: None,
            ended: true,
        },
        HostOutcome::NotRun {
            reason: "the run stopped".into(),
        },
        HostOutcome::Gone,
    ]
}

fn step_kinds() -> Vec<EventKind> {
    let results = [
        StepResult::Ok {
            exit_code: Some(0),
            changed: None,
        },
        StepResult::Skipped,
        StepResult::Ignored {
            exit_code: Some(1),
            cause: "exit 1".into(),
        },
        StepResult::Failed {
            exit_code: None,
            cause: "no room".into(),
        },
        StepResult::TimedOut { limit_ms: 2000 },
        StepResult::Unknown,
        StepResult::Cancelled,
    ];
    let mut kinds = vec![
        EventKind::StepStarted {
            host: None,
            step: step("check the artifact"),
        },
        EventKind::StepRetried {
            host: Some(host("app-1")),
            step: step("dump"),
            attempt: 1,
            delay: Duration::from_secs(2),
            cause: "exit 1".into(),
        },
        EventKind::TransferProgressed {
            host: host("app-1"),
            step: step("fetch"),
            done: 5,
            total: Some(10),
        },
    ];
    kinds.extend(results.map(|result| EventKind::StepFinished {
        host: Some(host("app-1")),
        step: step("dump"),
        result,
        duration: Duration::from_millis(1500),
    }));
    kinds
}

fn question_asked() -> EventKind {
    EventKind::GateAsked {
        question: "go on?".into(),
        gate: None,
    }
}

fn question_answered() -> EventKind {
    EventKind::GateAnswered {
        yes: true,
        by: "--yes".into(),
        answer: None,
    }
}

/// An event of every kind, and of every variant within.
pub(crate) fn every_kind() -> Vec<RunEvent> {
    let app = || host("app-1");
    let mut kinds = vec![
        run_started(Kind::Change, &[("app-1", "us-west-2a")]),
        question_asked(),
        question_answered(),
        EventKind::BatchStarted {
            phase: "main".into(),
            index: 0,
            count: 1,
            zone: None,
            canary: false,
            last: false,
            hosts: vec![Label::new("app-1")],
        },
        EventKind::HostStarted { host: app() },
        connect_retried("app-1"),
        EventKind::HostConnected { host: app() },
        output("app-1", Stream::Stdout, &[b"one", b"two \"\\ \xff"]),
        EventKind::Noted {
            host: None,
            text: "a daemon was left running".into(),
        },
        EventKind::FileFetched {
            host: app(),
            path: "/state/files/app-1/heap.hprof.gz".into(),
            bytes: 10,
            sha256: "00".into(),
        },
        EventKind::BatchFinished {
            phase: "main".into(),
            index: 0,
        },
        EventKind::CancelStarted {
            reason: CancelReason::ClosedPipe,
            running: vec![],
        },
        EventKind::KillStarted {
            running: vec![Label::new("app-1")],
        },
    ];
    kinds.extend(step_kinds());
    kinds.extend(rollout_samples::kinds());
    kinds.extend(
        outcomes()
            .into_iter()
            .map(|outcome| finished("app-1", outcome, 9000, &["last"])),
    );
    kinds.push(EventKind::RunFinished {
        summary: Arc::new(summary(1, "failed", &[("app-1", &failed(1))])),
    });
    (0..)
        .zip(kinds)
        .map(|(seq, kind)| event(seq, seq * 10, kind))
        .collect()
}

/// A task with a bit of everything.
const TASK: &str = r#"
task: deploy
desc: Put a version live
help: |
  Long text
  of two lines.
params:
  version: {type: version, required: true, desc: "what to install", example: 1.4.2}
  port: {type: int, default: 8080, min: 1, max: 65535}
  mode: {type: enum, choices: [fast, safe], default: safe}
  token: {type: string, secret: true, from: "env:TOKEN"}
targets: "role=app"
strategy: {batch: 2, max_failures: 0, confirm: [start]}
before:
  - local: [git, fetch]
steps:
  - name: unpack
    run: |
      tar xf /tmp/app.tar
      ln -sfn app live
    sudo: true
  - name: restart
    group:
      - run: [systemctl, restart, api]
        retry: {attempts: 3, delay: 2s}
      - wait_for: {tcp: "8080", consecutive: 2}
always:
  - run: rm -f /tmp/app.tar
    ignore_errors: true
"#;

/// The task of [`TASK`].
pub(crate) fn task() -> Task {
    let source = Arc::new(Source {
        path: "tasks/deploy.yml".into(),
        text: TASK.to_owned(),
    });
    crate::task::read(&source, None, &NoFiles).expect("the sample is a task")
}

/// A plan of the sample task: three hosts in two zones, the last of which skips nothing but has other steps.
pub(crate) fn plan() -> Plan {
    let task = Arc::new(task());
    let host = |label: &str, zone: &str| {
        Arc::new(Host {
            zone: Some(Zone::new(zone)),
            ..Host::named(label, label)
        })
    };
    let hosts = [
        host("app-1", "us-west-2a"),
        host("app-2", "us-west-2a"),
        host("app-3", "us-west-2b"),
    ];
    let value = |text: &str| ParamValue::String(text.to_owned());
    let params: IndexMap<String, ParamValue> = [
        ("version".to_owned(), value("1.4.2 beta")),
        (
            "token".to_owned(),
            ParamValue::Secret(Secret::new("hunter22")),
        ),
    ]
    .into_iter()
    .collect();
    let mut own = params.clone();
    own.insert("port".into(), ParamValue::Int(9090));
    let steps: Arc<[_]> = task.phases[0].steps.clone().into();
    let other: Arc<[_]> = task.phases[0].steps[..1]
        .iter()
        .chain(&task.phases[0].always)
        .cloned()
        .collect();
    let planned = |host: &Arc<Host>, steps: &Arc<[crate::task::Step]>| HostPlan {
        host: Arc::clone(host),
        params: Arc::new(own.clone()),
        vars: Arc::default(),
        steps: Arc::clone(steps),
        rescue: Arc::default(),
        always: task.phases[0].always.clone().into(),
        rollback: Arc::default(),
        health: Arc::default(),
        verify: Arc::default(),
    };
    let first = vec![planned(&hosts[0], &steps), planned(&hosts[1], &steps)];
    let strategy = &task.phases[0].strategy;
    let phase = phase(strategy, first, vec![planned(&hosts[2], &other)]);
    let population = [&hosts[..], &[host("app-4", "us-west-2b")]].concat();
    Plan {
        kind: Kind::Change,
        params,
        population,
        members: Vec::new(),
        targets: hosts.iter().map(|host| host.id.clone()).collect(),
        before: task.before.clone(),
        phases: vec![phase],
        after: Vec::new(),
        warnings: vec!["us-west-2b has one host".into()],
        lock: None,
        task_hash: "00".into(),
        sources: Vec::new(),
        task,
    }
}

/// Two batches, one in each zone.
fn phase(strategy: &Strategy, first: Vec<HostPlan>, last: Vec<HostPlan>) -> Phase {
    let batch = |index, zone: &str, hosts: Vec<usize>| Batch {
        index,
        zone: Some(Zone::new(zone)),
        canary: index == 0,
        last: false,
        hosts,
    };
    Phase {
        name: "main".into(),
        by: By::Az,
        resolved: Resolved {
            batch: 2,
            max_failures: Some(0),
            ..Resolved::default()
        },
        asked: Asked {
            batch: vec![Amount::Percent(50)],
            max_failures: Some(Amount::Count(0)),
            ..Asked::default()
        },
        rules: Arc::new(BatchRules::plain(
            By::Az,
            2,
            &["us-west-2a", "us-west-2a", "us-west-2b"].map(Zone::new),
        )),
        pace: Pace::of(strategy),
        before: Vec::new(),
        after: Vec::new(),
        batches: vec![
            batch(0, "us-west-2a", (0..first.len()).collect()),
            batch(
                1,
                "us-west-2b",
                (first.len()..first.len() + last.len()).collect(),
            ),
        ],
        hosts: first.into_iter().chain(last).collect(),
        worst_out: WorstOut {
            overall: 2,
            per_zone: [(Zone::new("us-west-2a"), 2), (Zone::new("us-west-2b"), 1)].into(),
        },
    }
}
