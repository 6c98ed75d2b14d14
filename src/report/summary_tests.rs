//! The last words of runs that ended in every way.

use std::sync::Arc;

use crate::model::{CancelReason, UnreachableKind};
use crate::run::event::EventKind;
use crate::task::Kind;

use super::super::samples::{self, event, failed, finished, host, run_started, step};
use super::*;

fn view_of(hosts: &[(&str, &str)], kinds: Vec<EventKind>) -> RunView {
    let mut view = RunView::default();
    view.apply(&event(0, 0, run_started(Kind::Change, hosts)));
    for (seq, kind) in (1..).zip(kinds) {
        view.apply(&event(seq, 38_000, kind));
    }
    view
}

fn text(view: &RunView, closing: &Closing, width: usize, skipped: &[(String, u64)]) -> String {
    let look = SummaryLook {
        styles: Styles::plain(),
        width,
        run: "last",
        skipped,
        trouble: None,
    };
    summary_text(view, closing, &look)
}

fn stopped_rollout() -> RunView {
    let mut hosts: Vec<(String, &str)> = (1..=12)
        .map(|n| (format!("web-a{n}"), "eu-west-1a"))
        .collect();
    hosts.extend((1..=24).map(|n| (format!("web-b{n}"), "eu-west-1b")));
    let borrowed: Vec<(&str, &str)> = hosts.iter().map(|(l, z)| (l.as_str(), *z)).collect();
    let mut kinds = vec![EventKind::StepFinished {
        host: Some(host("web-a7")),
        step: step("migrate"),
        result: crate::run::event::StepResult::Ok {
            exit_code: Some(0),
            changed: None,
        },
        duration: Duration::from_secs(30),
    }];
    for n in 1_u64..=12 {
        let label = format!("web-a{n}");
        kinds.push(match n {
            2 => finished(
                &label,
                HostOutcome::Failed {
                    step: "migrate".into(),
                    exit_code: Some(1),
                    cause: "exit 1".into(),
                },
                4200,
                &[
                    "connecting to db-1",
                    "relation \"users\" already exists",
                    "migration 0042 aborted",
                ],
            ),
            _ => finished(&label, HostOutcome::Ok, n * 5000, &[]),
        });
    }
    for n in 1..=24 {
        let reason = "1 of 12 hosts in zone eu-west-1a failed, limit is 0".to_owned();
        kinds.push(finished(
            &format!("web-b{n}"),
            HostOutcome::NotRun { reason },
            0,
            &[],
        ));
    }
    view_of(&borrowed, kinds)
}

fn closing() -> Closing {
    Closing {
        state: Some("done_partial".into()),
        repeatable: true,
        processes: [("dump".to_owned(), "jcmd 1234 GC.heap_dump".to_owned())]
            .into_iter()
            .collect(),
        ..Closing::default()
    }
}

#[test]
fn a_stopped_rollout_says_who_failed_who_waits_and_what_to_type() {
    let closing = Closing {
        state: Some("failed".into()),
        reversible: true,
        ..closing()
    };
    insta::assert_snapshot!(text(&stopped_rollout(), &closing, 100, &[]), @r#"
    web-a2  failed at step `migrate`: exit 1 after 4.2 s, last 3 lines:
              | connecting to db-1
              | relation "users" already exists
              | migration 0042 aborted
    stopped: 1 of 12 hosts in zone eu-west-1a failed, limit is 0; 24 hosts not started: web-b[1-24]
    slowest: web-a12 1 m, web-a11 55 s, web-a10 50 s; half took 30 s or less
    summary: 11 succeeded, 1 failed, 24 not started in 38 s
    record: /state/runs/20250102T030405Z-heapdump-00ff
    next: fab-rs logs last web-a2
    next: fab-rs resume last
      or: fab-rs rollback last
    "#);
}

#[test]
fn a_narrow_screen_counts_what_it_cannot_show() {
    insta::assert_snapshot!(text(&stopped_rollout(), &Closing::default(), 30, &[]), @r#"
    web-a2  failed at step `migrate`: exit 1 after 4.2 s, last 3 lines:
              | connecting to db-1
              | relation "users" already exists
              | migration 0042 aborted
    stopped: 1 of 12 hosts in zone eu-west-1a failed, limit is 0; 24 hosts not started: web-b[1-24]
    slowest: web-a12 1 m, web-a11 55 s, web-a10 50 s; half took 30 s or less
    summary: 11 succeeded, 1 failed, 24 not started in 38 s
    record: /state/runs/20250102T030405Z-heapdump-00ff
    next: fab-rs logs last web-a2
    "#);
}

#[test]
fn a_good_run_is_short_and_lists_its_files() {
    let fetched = |label: &str, bytes| EventKind::FileFetched {
        host: host(label),
        path: format!("/state/runs/x/files/{label}/heap.hprof.gz").into(),
        bytes,
        sha256: String::new(),
    };
    let view = view_of(
        &[("app-1", "z"), ("app-2", "z")],
        vec![
            fetched("app-1", 144_000_000),
            fetched("app-2", 9_000_000),
            finished("app-1", HostOutcome::Ok, 30_000, &[]),
            finished("app-2", HostOutcome::Ok, 38_000, &[]),
        ],
    );
    insta::assert_snapshot!(text(&view, &closing(), 80, &[]), @r"
    fetched 2 files, 145.9 MiB, into /state/runs/x/files
      137.3 MiB  app-1/heap.hprof.gz  from app-1
        8.6 MiB  app-2/heap.hprof.gz  from app-2
    summary: 2 succeeded in 38 s
    record: /state/runs/20250102T030405Z-heapdump-00ff
    ");
    assert!(all_well(&view));
}

#[test]
fn what_may_still_be_running_comes_with_the_command_to_look() {
    let cancelled = |ended| HostOutcome::Cancelled {
        reason: CancelReason::Interrupt,
        step: Some("sleep 600".into()),
        ended,
    };
    let timed_out = HostOutcome::TimedOut {
        step: "dump".into(),
        limit_ms: 2000,
        ended: false,
    };
    let lost = HostOutcome::Unknown {
        step: "dump".into(),
        doubt: crate::model::Doubt::Lost,
    };
    let cancel = EventKind::CancelStarted {
        reason: CancelReason::Interrupt,
        running: vec![],
    };
    let view = view_of(
        &["app-1", "app-2", "app-3", "app-4"].map(|label| (label, "z")),
        vec![
            cancel,
            finished("app-1", timed_out, 2000, &[]),
            finished("app-2", lost, 2000, &["last words"]),
            finished("app-3", cancelled(false), 2000, &[]),
            finished("app-4", cancelled(true), 2000, &[]),
        ],
    );
    insta::assert_snapshot!(text(&view, &closing(), 80, &[]), @r"
    app-1  timed out at step `dump`: limit 2.0 s; it may still be running
    app-2  connection lost during step `dump`; whether it finished is not known, last line:
              | last words
    app-3  cancelled at step `sleep 600`: stopped by Ctrl-C; it may still be running
    app-4  cancelled at step `sleep 600`: stopped by Ctrl-C
    stopped: Ctrl-C
    may still be running on app-[1-2] (step `dump`)
      check with: fab-rs run -H app-1,app-2 -- pgrep -af '[j]cmd 1234 GC.heap_dump'
    may still be running on app-3 (step `sleep 600`)
      check with: fab-rs run -H app-3 -- pgrep -af '[s]leep 600'
    summary: 1 timed out, 1 unknown, 2 cancelled in 38 s
    record: /state/runs/20250102T030405Z-heapdump-00ff
    next: fab-rs logs last app-1
    next: fab-rs retry last
    ");
}

#[test]
fn hosts_with_one_cause_share_a_line() {
    let refused = |n: u8| HostOutcome::Unreachable {
        kind: UnreachableKind::Refused,
        causes: vec![format!("connection refused by 10.0.0.{n} port 22")],
        hints: Vec::new(),
    };
    let view = view_of(
        &[("db-1", "z"), ("db-2", "z"), ("db-3", "z"), ("db-4", "z")],
        vec![
            finished("db-1", refused(1), 10, &[]),
            finished("db-2", refused(2), 10, &[]),
            finished("db-3", failed(7), 10, &["\u{1b}[31mno space"]),
            finished("db-4", failed(7), 10, &["no space at all"]),
        ],
    );
    let skipped = [("db-3".to_owned(), 12_345), ("db-4".to_owned(), 1)];
    insta::assert_snapshot!(text(&view, &closing(), 80, &skipped), @r"
    db-[3-4] (2)  failed at step `dump`: exit 7, last line of db-3:
              | no space
    db-[1-2] (2)  unreachable: connection refused by 10.0.0.1 port 22
            hint: is sshd running there, and on this port? `fab-rs doctor HOST` looks closer
            these are the words of db-1; the others' are alike
    12,346 lines of db-[3-4] could not be shown in time; every line is in /state/runs/20250102T030405Z-heapdump-00ff/hosts
    summary: 2 failed, 2 unreachable in 38 s
    record: /state/runs/20250102T030405Z-heapdump-00ff
    next: fab-rs logs last db-3
    next: fab-rs retry last
    ");
}

#[test]
fn a_daemon_that_was_left_is_told_by_the_summary_of_the_engine() {
    let mut view = view_of(
        &[("app-1", "z")],
        vec![finished("app-1", HostOutcome::Ok, 10, &[])],
    );
    let mut summary = samples::summary(0, "done", &[("app-1", &HostOutcome::Ok)]);
    summary.hosts[0].may_still_run = true;
    view.apply(&event(
        9,
        39_000,
        EventKind::RunFinished {
            summary: Arc::new(summary),
        },
    ));
    assert!(text(&view, &Closing::default(), 80, &[]).contains("may still be running on app-1\n"));
}

#[test]
fn what_a_host_said_is_left_is_shown_and_looked_for() {
    let cancelled = HostOutcome::Cancelled {
        reason: CancelReason::Interrupt,
        step: Some("dump".to_owned()),
        ended: false,
    };
    let hosts = ["app-1", "app-2"];
    let ends = hosts.map(|host| finished(host, cancelled.clone(), 10, &[]));
    let mut view = view_of(&hosts.map(|host| (host, "z")), ends.to_vec());
    let mut summary = samples::summary(130, "failed", &hosts.map(|host| (host, &cancelled)));
    summary.hosts[1].left = vec!["4711 jcmd [x] GC.heap_dump".to_owned()];
    let summary = Arc::new(summary);
    view.apply(&event(9, 39_000, EventKind::RunFinished { summary }));
    let text = text(&view, &closing(), 80, &[]);
    let at = text.find("may still be running on").expect("it says so");
    let lines: Vec<&str> = text[at..].lines().take(3).collect();
    insta::assert_snapshot!(lines.join("\n"), @r#"
    may still be running on app-[1-2] (step `dump`)
      left on app-2: 4711 jcmd [x] GC.heap_dump
      check with: fab-rs run -H app-1,app-2 -- pgrep -af "[j]cmd \\[x\\] GC\\.heap_dump"
    "#);
}

/// However many there are, one command that means them.
#[test]
fn the_locks_of_hosts_that_went_half_done_are_let_go_of_by_one_command() {
    let gone = |label: &str| {
        let outcome = HostOutcome::Unknown {
            step: "dump".into(),
            doubt: crate::model::Doubt::Gone,
        };
        finished(label, outcome, 0, &[])
    };
    let hosts = [("app-1", "a"), ("app-2", "a"), ("app-3", "a")];
    let kinds = vec![
        gone("app-1"),
        finished("app-2", HostOutcome::Ok, 10, &[]),
        gone("app-3"),
    ];
    let closing = Closing {
        reach: Reach::new([("-I", Some("my prod.yml")), ("-J", Some("bastion"))]),
        ..closing()
    };
    let text = text(&view_of(&hosts, kinds), &closing, 100, &[]);
    let lines: Vec<&str> = text.lines().filter(|it| it.contains("lock ")).collect();
    assert_eq!(
        lines,
        [
            "next: fab-rs lock release -I 'my prod.yml' -J bastion -H app-1,app-3 --run last  # if they are still there: the \
             run's lock may lie on them"
        ]
    );
}

#[test]
fn what_goes_on_by_itself_is_looked_for_by_a_line_for_a_shell() {
    let cancelled = HostOutcome::Cancelled {
        reason: CancelReason::Interrupt,
        step: Some("dump".to_owned()),
        ended: false,
    };
    let hosts = ["app-1", "app-2"];
    let ends = hosts.map(|host| finished(host, cancelled.clone(), 10, &[]));
    let mut view = view_of(&hosts.map(|host| (host, "z")), ends.to_vec());
    let mut summary = samples::summary(130, "interrupted", &hosts.map(|host| (host, &cancelled)));
    for (number, (_, host)) in (1..).zip(summary.hosts.iter_mut()) {
        let folder = format!("/var/tmp/fab-rs-*/RUN/app-{number}-dump.{number}");
        host.left = vec![format!("dump (detached: {folder})")];
    }
    let summary = Arc::new(summary);
    view.apply(&event(9, 39_000, EventKind::RunFinished { summary }));
    let text = text(&view, &closing(), 80, &[]);
    // A host's own folder is found by no other host, and an argv reaches no shell that would know what `*` means.
    let probe = "check with: fab-rs run -H app-1,app-2 -- 'ls -l /var/tmp/fab-rs-*/RUN/'\n";
    assert!(text.contains(probe), "{text}");
}
