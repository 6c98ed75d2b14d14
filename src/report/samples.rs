//! Events of every kind, for the tests of `json`, `schema`, `record` and `summary`.

use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;

use crate::model::{
    CancelReason, HostId, HostOutcome, Label, RunId, Stream, UnreachableKind, Zone,
};
use crate::run::event::{
    EventKind, HostRef, HostSummary, Line, Lines, RunEvent, RunSummary, StepRef, StepResult,
};
use crate::task::Kind;

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
        duration_ms: 1000,
        may_still_run: matches!(
            outcome,
            HostOutcome::TimedOut { ended: false, .. } | HostOutcome::Unknown { .. }
        ),
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
        },
        HostOutcome::Unreachable {
            kind: UnreachableKind::Refused,
            causes: vec!["connection refused".into(), "ssh said so".into()],
        },
        HostOutcome::Unknown {
            step: "dump".into(),
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

/// An event of every kind, and of every variant within.
pub(crate) fn every_kind() -> Vec<RunEvent> {
    let app = || host("app-1");
    let mut kinds = vec![
        run_started(Kind::Change, &[("app-1", "us-west-2a")]),
        EventKind::GateAsked {
            question: "go on?".into(),
        },
        EventKind::GateAnswered {
            yes: true,
            by: "--yes".into(),
        },
        EventKind::BatchStarted {
            phase: "main".into(),
            index: 0,
            count: 1,
            zone: None,
            hosts: vec![Label::new("app-1")],
        },
        EventKind::HostStarted { host: app() },
        EventKind::ConnectRetried {
            host: app(),
            attempt: 1,
            cause: "refused".into(),
        },
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
