//! Rollouts told as events, and what people see of them: notices, status block, gates, summaries. Tests alone.

use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;

use crate::model::{HostOutcome, Label, UnreachableKind, Zone};
use crate::run::event::{
    BakeReason, EventKind, GateAnswer, GateFacts, NextUp, PlanChange, RollbackResult, RolloutFact,
    Rule, RunEvent, Shortfall, StopCause, Trouble, Troubled,
};
use crate::task::{GateAt, Kind};

use super::json::push_event;
use super::notice::{NoticeLook, Verbosity, notice};
use super::progress::{RowsLook, rows};
use super::replay::replayed;
use super::samples::{event, failed, finished, host, run_started, summary};
use super::style::Styles;
use super::summary::{Closing, SummaryLook, summary_text};
use super::view::RunView;

/// Events with their seconds.
#[derive(Default)]
struct Story(Vec<RunEvent>);

fn labels(names: &[&str]) -> Vec<Label> {
    names.iter().map(|name| Label::new(*name)).collect()
}

fn sick(check: &str, cause: &str) -> Trouble {
    Trouble::Sick {
        check: check.into(),
        cause: cause.into(),
    }
}

fn silent(cause: &str) -> Trouble {
    Trouble::Silent {
        unreachable_kind: UnreachableKind::Refused,
        causes: vec![cause.into()],
    }
}

impl Story {
    /// Twelve hosts in three zones, asked how they are.
    fn new() -> Self {
        let mut story = Self::default();
        let hosts = ["a", "b", "c"].map(|zone| (1..=4).map(move |n| (format!("{zone}{n}"), zone)));
        let hosts: Vec<(String, &str)> = hosts.into_iter().flatten().collect();
        let hosts: Vec<(&str, &str)> = hosts.iter().map(|(l, z)| (l.as_str(), *z)).collect();
        story.at(0, run_started(Kind::Change, &hosts));
        let names: Vec<&str> = hosts.iter().map(|(label, _)| *label).collect();
        let hosts = labels(&names);
        story.fact(0, RolloutFact::PreflightStarted { hosts });
        story
    }

    fn at(&mut self, second: u64, kind: EventKind) {
        let seq = self.0.len() as u64;
        self.0.push(event(seq, second * 1000, kind));
    }

    fn fact(&mut self, second: u64, fact: RolloutFact) {
        self.at(second, EventKind::Rollout(fact));
    }

    fn found(&mut self, second: u64, name: &str, trouble: Option<Trouble>) {
        let host = host(name);
        self.fact(second, RolloutFact::HostFound { host, trouble });
    }

    fn asked(&mut self, second: u64, sick: &[&str], silent: &[&str]) {
        let fact = RolloutFact::PreflightFinished {
            healthy: 12_usize.saturating_sub(sick.len() + silent.len()),
            sick: labels(sick),
            silent: labels(silent),
            unfit: vec![],
        };
        self.fact(second, fact);
    }

    /// A batch whose hosts all start.
    fn batch(&mut self, second: u64, index: usize, zone: &str, names: &[&str]) {
        let batch = EventKind::BatchStarted {
            phase: "main".into(),
            index,
            count: 7,
            zone: Some(Zone::new(zone)),
            canary: index == 0,
            last: false,
            hosts: labels(names),
        };
        self.at(second, batch);
        for name in names {
            self.at(second, EventKind::HostStarted { host: host(name) });
            self.at(second, EventKind::HostConnected { host: host(name) });
        }
    }

    fn ok(&mut self, second: u64, names: &[&str]) {
        for name in names {
            self.at(second, finished(name, HostOutcome::Ok, 9000, &[]));
        }
    }

    fn bake(&mut self, second: u64, minutes: u64, why: BakeReason, watched: &[&str]) {
        let fact = RolloutFact::BakeStarted {
            length_ms: minutes * 60_000,
            why,
            watched: labels(watched),
        };
        self.fact(second, fact);
    }

    fn stop(&mut self, second: u64, because: StopCause, not_started: &[&str]) {
        let not_started = labels(not_started);
        let fact = RolloutFact::RolloutStopped {
            because,
            not_started,
        };
        self.fact(second, fact);
    }

    /// Hosts that never started, and the last event.
    fn end(&mut self, second: u64, exit: u8, state: &str, not_run: &[&str]) {
        for name in not_run {
            let reason = "the rollout stopped".to_owned();
            self.at(
                second,
                finished(name, HostOutcome::NotRun { reason }, 0, &[]),
            );
        }
        let summary = Arc::new(summary(exit, state, &[]));
        self.at(second, EventKind::RunFinished { summary });
    }

    fn view(&self) -> RunView {
        let mut view = RunView::default();
        self.0.iter().for_each(|event| view.apply(event));
        view
    }

    /// What was said, in lines.
    fn said(&self, verbosity: Verbosity, width: usize, has_status: bool) -> String {
        let look = NoticeLook {
            verbosity,
            styles: Styles::plain(),
            width,
            has_status,
            terminal: has_status,
        };
        let mut view = RunView::default();
        let told = self.0.iter().filter_map(|event| {
            view.apply(event);
            notice(&event.kind, &view, look)
        });
        told.collect()
    }

    fn status(&self, second: u64, width: usize) -> String {
        let look = RowsLook {
            styles: Styles::plain(),
            width,
            rows: 20,
        };
        rows(&self.view(), Duration::from_secs(second), look).join("\n")
    }

    fn summary(&self, width: usize) -> String {
        told_at_the_end(&self.view(), width)
    }
}

fn told_at_the_end(view: &RunView, width: usize) -> String {
    let look = SummaryLook {
        styles: Styles::plain(),
        width,
        run: "last",
        skipped: &[],
        trouble: None,
    };
    let closing = Closing {
        rerun: Some("fab-rs rolling_restart".into()),
        ..Closing::default()
    };
    summary_text(view, &closing, &look)
}

const LATER: [&str; 8] = ["b1", "b2", "b3", "b4", "c1", "c2", "c3", "c4"];

fn shortfall() -> Shortfall {
    Shortfall {
        rule: Rule::MinHealthy,
        healthy: 8,
        needed: 9,
        down: labels(&["b2", "c4"]),
        taking: labels(&["a2", "a3"]),
    }
}

/// One sick host, the canary, a bake, a wait for health, and two hosts at work, of which one failed.
fn begun() -> Story {
    let mut story = Story::new();
    story.found(1, "a2", Some(sick("http", "status 503")));
    story.asked(2, &["a2"], &[]);
    let batches = [&["a2"][..], &["a1"], &["a3", "a4"], &["b1", "b2"]].map(labels);
    let changed = RolloutFact::PlanChanged {
        phase: "main".into(),
        first: 0,
        batches: batches.to_vec(),
        why: PlanChange::Health,
    };
    story.fact(2, changed);
    story.batch(3, 0, "a", &["a2"]);
    story.ok(12, &["a2"]);
    story.bake(12, 5, BakeReason::Canary, &["a2"]);
    story
}

fn waiting() -> Story {
    let mut story = begun();
    let waited_ms = 300_000;
    story.fact(312, RolloutFact::BakeFinished { waited_ms });
    story.batch(313, 1, "a", &["a1"]);
    story.ok(322, &["a1"]);
    story.found(323, "b2", Some(sick("http", "status 503")));
    story.found(
        323,
        "c4",
        Some(silent("connection refused by 10.0.0.9 port 22")),
    );
    let waited = RolloutFact::HealthWaited {
        phase: "main".into(),
        shortfall: shortfall(),
        limit_ms: 300_000,
    };
    story.fact(323, waited);
    story
}

fn stopped() -> Story {
    let mut story = waiting();
    story.found(330, "b2", None);
    let regained = RolloutFact::HealthRegained {
        phase: "main".into(),
        waited_ms: 8000,
    };
    story.fact(331, regained);
    story.batch(332, 2, "a", &["a3", "a4"]);
    story.at(340, finished("a4", failed(1), 8000, &["no such jar"]));
    let because = StopCause::Failures {
        failed: 1,
        limit: 0,
    };
    story.stop(340, because, &LATER);
    story
}

fn rolled_back() -> Story {
    let mut story = stopped();
    story.ok(345, &["a3"]);
    let hosts = labels(&["a4", "a3", "a1"]);
    story.fact(346, RolloutFact::RollbackStarted { hosts });
    for name in ["a4", "a3"] {
        story.at(346, EventKind::HostStarted { host: host(name) });
    }
    let failed = RollbackResult::Failed {
        cause: "exit 1 at step `restore`".into(),
    };
    let pending = RollbackResult::Pending {
        cause: "connection refused".into(),
    };
    for (name, result) in [
        ("a4", RollbackResult::Done),
        ("a3", failed),
        ("a1", pending),
    ] {
        let host = host(name);
        story.fact(360, RolloutFact::HostRolledBack { host, result });
    }
    story
}

#[test]
fn a_rollout_in_a_pipe_is_told_line_by_line() {
    insta::assert_snapshot!(rolled_back().said(Verbosity::Normal, 100, false), @r"
    preflight: 12 hosts answer, 1 sick: a2 (http: status 503)
    plan changed: sick hosts come first: a2
      from batch 1 on: a2 | a1 | a[3-4] | b[1-2]
    batch 1 of 7 in a, canary: a2
    baking 5 m after the canary: 1 host watched
    batch 2 of 7 in a: a1
    b2  sick: http: status 503
    c4  no answer: connection refused by 10.0.0.9 port 22
    waiting for health: 8 hosts would stay healthy without a[2-3], 9 must; not healthy: b2 (http: status 503), c4 (connection refused by 10.0.0.9 port 22); for 5 m at most
    b2  well again
    enough hosts are healthy again after 8.0 s
    batch 3 of 7 in a: a[3-4]
    a4  failed at step `dump`: exit 1 after 8.0 s
    stopped: 1 of 12 hosts failed, limit is 0; zones b and c not started
      out now: at work a3; failed a4; no answer c4
    rolling back 3 hosts, in this order: a4, a3, a1
    a4  rolled back
    a3  rollback failed: exit 1 at step `restore`
    a1  not rolled back: connection refused
    ");
}

#[test]
fn on_a_terminal_the_block_counts_down() {
    insta::assert_snapshot!(begun().status(300, 100), @r"
    heapdump  1/12 done: 1 succeeded; batch 1 of 7; 5 m
    baking 5 m after the canary: next batch in 12 s, 1 host watched
    a  █████░░░░░░░░░░░░░░░ 1/4
    b  ░░░░░░░░░░░░░░░░░░░░ 0/4
    c  ░░░░░░░░░░░░░░░░░░░░ 0/4
    ");
    insta::assert_snapshot!(waiting().status(333, 140), @r"
    heapdump  2/12 done: 2 succeeded; batch 2 of 7; 5 m 33 s
    waiting for health, 4 m 50 s left: 8 hosts would stay healthy without a[2-3], 9 must; not healthy: b2 (http: status 503), c4 (connection re…
    out now: sick b2; no answer c4
    a  ██████████░░░░░░░░░░ 2/4
    b  ░░░░░░░░░░░░░░░░░░░░ 0/4
    c  ░░░░░░░░░░░░░░░░░░░░ 0/4
    ");
    insta::assert_snapshot!(stopped().status(341, 100), @r"
    heapdump  3/12 done: 2 succeeded, 1 failed; 1 at work; batch 3 of 7; 5 m 41 s
    stopped: 1 of 12 hosts failed, limit is 0; hosts at work may finish
    out now: at work a3; failed a4; no answer c4
    a  ██████████xxxxx▒▒▒▒▒ 3/4  1 failed  1 out
    b  ░░░░░░░░░░░░░░░░░░░░ 0/4
    c  ░░░░░░░░░░░░░░░░░░░░ 0/4
    a3  between steps 9.0 s
    ");
    insta::assert_snapshot!(rolled_back().status(361, 100), @r"
    heapdump  4/12 done: 3 succeeded, 1 failed; batch 3 of 7; 6 m 1 s
    stopped: 1 of 12 hosts failed, limit is 0
    rolling back: 1 of 3 hosts restored, 2 not
    out now: no answer c4
    a  ███████████████xxxxx 4/4  1 failed
    b  ░░░░░░░░░░░░░░░░░░░░ 0/4
    c  ░░░░░░░░░░░░░░░░░░░░ 0/4
    ");
    assert!(
        !begun()
            .said(Verbosity::Normal, 100, true)
            .contains("baking")
    );
    assert!(
        waiting()
            .said(Verbosity::Normal, 100, true)
            .contains("baked 5 m\n")
    );
}

#[test]
fn the_block_is_as_wide_as_the_screen() {
    for story in [begun(), waiting(), stopped(), rolled_back()] {
        for row in story.status(400, 40).lines() {
            assert!(row.chars().count() <= 40, "{row}");
        }
    }
}

#[test]
fn a_stopped_rollout_names_the_rule_the_number_and_the_reach() {
    let mut story = stopped();
    story.ok(345, &["a3"]);
    story.end(346, 4, "failed", &LATER);
    insta::assert_snapshot!(story.summary(100), @r"
    a4  failed at step `dump`: exit 1 after 8.0 s, last line:
              | no such jar
    stopped: 1 of 12 hosts failed, limit is 0; zones b and c not started
    summary: 3 succeeded, 1 failed, 8 not started in 5 m 46 s
    exit 4: stopped before its end and not rolled back: what was done stays done, the rest was not begun
    record: /state/runs/20250102T030405Z-heapdump-00ff
    next: fab-rs logs last a4
    next: fab-rs -H a4,b1,b2,b3,b4,c1,c2,c3,c4 rolling_restart
    ");
}

#[test]
fn a_rollback_names_every_host_that_is_not_as_before() {
    let mut story = rolled_back();
    story.end(361, 6, "rollback_failed", &LATER);
    insta::assert_snapshot!(story.summary(100), @r"
    a4  failed at step `dump`: exit 1 after 8.0 s, last line:
              | no such jar
    stopped: 1 of 12 hosts failed, limit is 0; zones b and c not started
    rolled back: a4 (1)
    rollback failed: a3: exit 1 at step `restore`
    not rolled back: a1: connection refused
    still as the run left them: a2 (1)
    summary: 3 succeeded, 1 failed, 8 not started in 6 m 1 s
    exit 6: the rollback is incomplete: the hosts named above need a person
    record: /state/runs/20250102T030405Z-heapdump-00ff
    next: fab-rs logs last a4
    next: fab-rs -H a4,b1,b2,b3,b4,c1,c2,c3,c4 rolling_restart
    ");
}

#[test]
fn a_preflight_that_fails_names_the_hosts_and_changes_nothing() {
    let mut story = Story::new();
    for name in ["b1", "b2"] {
        story.found(1, name, Some(silent("connection refused")));
    }
    let cause = "sudo asks for a password".into();
    story.found(1, "c1", Some(Trouble::Unfit { cause }));
    story.found(1, "a1", Some(sick("http", "status 503")));
    let finished = RolloutFact::PreflightFinished {
        healthy: 8,
        sick: labels(&["a1"]),
        silent: labels(&["b1", "b2"]),
        unfit: labels(&["c1"]),
    };
    story.fact(2, finished);
    let because = StopCause::Preflight {
        silent: labels(&["b1", "b2"]),
        unfit: labels(&["c1"]),
    };
    let all = [&["a1", "a2", "a3", "a4"][..], &LATER].concat();
    story.stop(2, because, &all);
    story.end(2, 8, "aborted", &all);
    insta::assert_snapshot!(story.said(Verbosity::Normal, 100, false), @r"
    preflight: 10 of 12 hosts answer
      1 sick: a1 (http: status 503)
      2 no answer: b[1-2] (connection refused)
      1 unfit: c1 (sudo asks for a password)
    stopped: nothing was changed; 2 hosts do not answer: b[1-2] (connection refused); 1 host is unfit: c1 (sudo asks for a password)
    ");
    insta::assert_snapshot!(story.summary(100), @r"
    stopped: nothing was changed; 2 hosts do not answer: b[1-2] (connection refused); 1 host is unfit: c1 (sudo asks for a password)
    summary: 12 not started in 2.0 s
    exit 8: the preflight failed: nothing was changed on any host
    record: /state/runs/20250102T030405Z-heapdump-00ff
    next: fab-rs doctor b1
    next: fab-rs -H a1,a2,a3,a4,b1,b2,b3,b4,c1,c2,c3,c4 rolling_restart
    ");
}

#[test]
fn a_gate_shows_counts_troubles_and_what_is_next() {
    let mut story = waiting();
    let gate = GateFacts {
        at: Some(GateAt::Zone),
        offers: vec![
            GateAnswer::Go,
            GateAnswer::Retry,
            GateAnswer::Stop,
            GateAnswer::Pause,
        ],
        timeout_ms: 3_600_000,
        counts: IndexMap::from([
            ("ok".to_owned(), 2),
            ("failed".to_owned(), 1),
            ("pending".to_owned(), 9),
        ]),
        troubled: vec![
            Troubled {
                host: Label::new("a4"),
                outcome: Some(failed(1)),
                trouble: None,
            },
            Troubled {
                host: Label::new("b2"),
                outcome: None,
                trouble: Some(sick("http", "status 503")),
            },
        ],
        next: Some(NextUp {
            phase: "main".into(),
            batch: 2,
            of: 7,
            zone: Some(Zone::new("b")),
            hosts: labels(&["b1", "b2"]),
        }),
    };
    story.0.truncate(story.0.len() - 1);
    let asked = EventKind::GateAsked {
        question: "go on?".into(),
        gate: Some(Box::new(gate)),
    };
    story.at(400, asked);
    let before = waiting()
        .said(Verbosity::Normal, 100, false)
        .lines()
        .count()
        - 1;
    let answered = EventKind::GateAnswered {
        yes: false,
        by: "timeout".into(),
        answer: Some(GateAnswer::Pause),
    };
    story.at(4000, answered);
    let by = "timeout".into();
    let answer = GateAnswer::Pause;
    story.stop(4000, StopCause::Gate { answer, by }, &["a3", "a4"]);
    story.end(4000, 10, "paused", &["a3", "a4"]);
    let said = story.said(Verbosity::Normal, 100, false);
    let gate: Vec<&str> = said.lines().skip(before).collect();
    insta::assert_snapshot!(gate.join("\n"), @r"
    gate after zone a, 6 m 40 s after the start
      so far: 2 succeeded, 1 failed, 9 to come
      a4  failed at step `dump`: exit 1
      b2  sick: http: status 503
      out now: sick b2; no answer c4
      next: batch 3 of 7 in b: b[1-2]
      answers: y go on, r take the failed hosts again, s stop, p pause; paused without one in 1 h
    nobody answered in time: paused
    paused: nobody answered at a gate in time; 2 hosts not started: a[3-4]
      out now: sick b2; no answer c4
    ");
    insta::assert_snapshot!(story.summary(100), @r"
    paused: nobody answered at a gate in time; 2 hosts not started: a[3-4]
    summary: 2 succeeded, 2 not started in 1 h 6 m
    exit 10: paused: what was done stays done, the rest was not begun
    record: /state/runs/20250102T030405Z-heapdump-00ff
    next: fab-rs -H a3,a4 rolling_restart
    ");
}

/// A record read back tells the same end.
#[test]
fn a_record_tells_the_same_as_the_run() {
    let mut story = rolled_back();
    story.end(361, 6, "rollback_failed", &LATER);
    let mut text = Vec::new();
    story
        .0
        .iter()
        .for_each(|event| push_event(event, &mut text));
    let view = replayed(&String::from_utf8(text).unwrap());
    assert_eq!(told_at_the_end(&view, 100), story.summary(100));
}

#[test]
fn hostile_names_and_causes_reach_no_terminal() {
    let evil = "x\u{1b}[2J\u{7}";
    let mut story = Story::default();
    story.at(0, run_started(Kind::Change, &[(evil, evil), ("b", "z")]));
    let hosts = || labels(&[evil]);
    story.fact(0, RolloutFact::PreflightStarted { hosts: hosts() });
    story.found(1, evil, Some(sick(evil, evil)));
    story.asked(1, &[evil], &[]);
    story.found(1, evil, Some(sick(evil, evil)));
    story.batch(2, 0, evil, &[evil]);
    story.bake(2, 1, BakeReason::Zone, &[evil]);
    let because = StopCause::Health {
        shortfall: Shortfall {
            rule: Rule::Zone {
                zone: Zone::new(evil),
            },
            healthy: 1,
            needed: 2,
            down: hosts(),
            taking: hosts(),
        },
    };
    story.stop(3, because, &[evil]);
    let step = StopCause::Step {
        step: evil.into(),
        on: evil.into(),
    };
    let status = story.status(3, 200);
    story.stop(3, step, &[evil]);
    story.fact(4, RolloutFact::RollbackStarted { hosts: hosts() });
    let result = RollbackResult::Failed { cause: evil.into() };
    let evil_host = host(evil);
    story.fact(
        5,
        RolloutFact::HostRolledBack {
            host: evil_host,
            result,
        },
    );
    story.end(6, 6, "rollback_failed", &[]);
    let said = story.said(Verbosity::Verbose, 100, false);
    for text in [said, status, story.summary(100)] {
        assert!(text.contains('x'), "{text:?}");
        assert!(!text.contains(['\u{1b}', '\u{7}']), "{text:?}");
    }
}

#[test]
fn a_thousand_hosts_fold() {
    let names: Vec<String> = (1..=1000).map(|n| format!("app-{n}")).collect();
    let zones: Vec<(&str, &str)> = names
        .iter()
        .zip(["z1", "z2", "z3"].iter().cycle())
        .map(|(name, zone)| (name.as_str(), *zone))
        .collect();
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut story = Story::default();
    story.at(0, run_started(Kind::Change, &zones));
    story.fact(
        0,
        RolloutFact::PreflightStarted {
            hosts: labels(&all),
        },
    );
    for (n, name) in all[..400].iter().enumerate() {
        story.found(
            1,
            name,
            Some(sick("http", &format!("status {}", 500 + n % 9))),
        );
    }
    story.asked(2, &all[..400], &[]);
    let batches: Vec<Vec<Label>> = all.chunks(10).map(labels).collect();
    let changed = RolloutFact::PlanChanged {
        phase: "main".into(),
        first: 0,
        batches,
        why: PlanChange::Health,
    };
    story.fact(2, changed);
    story.batch(3, 0, "z1", &all[..10]);
    let because = StopCause::Canary {
        host: Label::new("app-1"),
    };
    story.stop(4, because, &all[10..]);
    let said = story.said(Verbosity::Normal, 80, false);
    assert!(said.lines().count() < 12, "{said}");
    insta::assert_snapshot!(said, @r"
    preflight: 1,000 hosts answer, 400 sick: app-1 and 44 more (http: status 500), app-2 and 44 more (http: status 501), app-3 and 44 more (http: status 502), app-4 and 44 more (http: status 503), 220 more hosts
    plan changed: sick hosts come first: app-[1-400]
      from batch 1 on: app-[1-10] | app-[11-20] | app-[21-30] | app-[31-40] | app-[41-50] | app-[51-60] and 94 more batches
    batch 1 of 7 in z1, canary: app-[1-10]
    stopped: the canary app-1 failed; 990 hosts not started: app-[11-1000]
      out now: at work app-[1-10]; sick app-[11-400]
    ");
}
