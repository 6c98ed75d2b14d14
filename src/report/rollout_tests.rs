//! What people see of a rollout: notices, status block, gates, summaries, reports.

use super::history::report_text;
use super::json::push_event;
use super::notice::{NoticeLook, Verbosity, notice};
use super::reach::Reach;
use super::record::RunFolder;
use super::replay::replayed;
use super::rollout_samples;
use super::samples::{failed, host, run_id, run_started};
use super::store::RunStore;
use super::style::Styles;
use super::view::RunView;
use crate::model::{Label, Zone};
use crate::run::event::{
    BakeReason, EventKind, GateAnswer, GateFacts, NextUp, PlanChange, RollbackResult, RolloutFact,
    Rule, Shortfall, StopCause, Trouble, Troubled,
};
use crate::run::sink::Sink as _;
use crate::task::{GateAt, Kind};
use indexmap::IndexMap;

use super::rollout_story::{
    LATER, Story, begun, labels, rolled_back, sick, silent, stopped, told_at_the_end, waiting,
};

#[test]
fn a_rollout_in_a_pipe_is_told_line_by_line() {
    insta::assert_snapshot!(rolled_back().said(Verbosity::Normal, 100, false), @r"
    preflight: 12 hosts answer, 1 sick: a2 (http: status 503)
    plan changed: sick hosts come first in their zones: a2
      from batch 1 on: a2 | a1 | a[3-4] | b[1-2]
    batch 1 of 7 in a, canary: a2
    baking 5 m after the canary: 1 host watched
    batch 2 of 7 in a: a1
    b2  sick: http: status 503
    c4  no answer: connection refused by 10.0.0.9 port 22
    waiting for health: 8 hosts would stay healthy without a[2-3], 9 must; not healthy: b2 (http: status 503), c4 (connection refused by 10.0.0.9 port 22); for 5 m at most
    b2  well again
    going on after 8.0 s of waiting
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
    stopped: 1 of 12 hosts failed, limit is 0; hosts at work may finish, Ctrl-C ends their processes
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
    next: fab-rs resume last
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
    next: fab-rs logs last a3
    next: fab-rs logs last a4
    next: fab-rs rollback last
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
    next: fab-rs retry last
    ");
}

/// A gate after zone a.
fn gate() -> GateFacts {
    GateFacts {
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
    }
}

#[test]
fn a_gate_shows_counts_troubles_and_what_is_next() {
    let mut story = waiting();
    story.0.truncate(story.0.len() - 1);
    let asked = EventKind::GateAsked {
        question: "zone a is done: go on?".into(),
        gate: Some(Box::new(gate())),
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
    zone a is done: go on? (paused in 1 h without an answer)
    nobody answered in time: paused
    paused: nobody answered at a gate in time; 2 hosts not started: a[3-4]
      out now: sick b2; no answer c4
    ");
    insta::assert_snapshot!(story.summary(100), @r"
    paused: nobody answered at a gate in time; 2 hosts not started: a[3-4]
    summary: 2 succeeded, 2 not started in 1 h 6 m
    exit 10: paused: what was done stays done, the rest was not begun
    record: /state/runs/20250102T030405Z-heapdump-00ff
    next: fab-rs resume last
    ");
}

#[test]
fn what_was_not_confirmed_says_that_nothing_was_changed() {
    let mut story = Story::new();
    let (answer, by) = (GateAnswer::Stop, "terminal".into());
    story.stop(2, StopCause::Gate { answer, by }, &LATER);
    story.end(2, 4, "aborted", &LATER);
    let text = story.summary(100);
    assert!(
        text.contains("exit 4: it was not confirmed: nothing was changed on any host\n"),
        "{text}"
    );
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

/// `report` of a run whose process died says what it was waiting for, and `runs` the state in which one ended.
#[tokio::test]
async fn a_rollout_on_disk_says_how_it_stands() {
    let stand = async |story: &Story| {
        let state = tempfile::tempdir().unwrap();
        let folder = RunFolder::create(state.path(), &run_id(), None, |_| {}).unwrap();
        let mut sink = folder.sink().unwrap();
        for event in &story.0 {
            sink.accept(event).await;
        }
        drop((sink, folder));
        let run = RunStore::new(state.path()).find("last").unwrap();
        let text = report_text(&run, Reach::default(), Styles::plain(), 100).unwrap();
        (run.state.word().to_owned(), run.exit, text)
    };
    let (state, exit, text) = stand(&begun()).await;
    assert_eq!((state.as_str(), exit), ("interrupted", None));
    assert!(
        text.contains("\n  it was baking after the canary\n"),
        "{text}"
    );
    let (.., text) = stand(&waiting()).await;
    assert!(
        text.contains("\n  it was waiting for health: 8 hosts would"),
        "{text}"
    );
    let mut story = rolled_back();
    story.end(361, 6, "rollback_failed", &LATER);
    let (state, exit, text) = stand(&story).await;
    assert_eq!((state.as_str(), exit), ("rollback_failed", Some(6)));
    let row = text.lines().find(|line| line.starts_with("a1 ")).unwrap();
    assert!(row.contains(" ok ") && row.contains(" pending "), "{row}");
}

/// The first line of everything that can be said of a rollout.
#[test]
fn every_fact_has_its_words() {
    let mut story = Story::default();
    story.at(
        0,
        run_started(Kind::Change, &[("app-1", "a"), ("app-2", "b")]),
    );
    for kind in rollout_samples::kinds() {
        story.at(1, kind);
    }
    let look = NoticeLook {
        verbosity: Verbosity::Verbose,
        styles: Styles::plain(),
        width: 80,
        has_status: false,
        terminal: false,
    };
    let mut view = RunView::default();
    let said = story.0.iter().filter_map(|event| {
        view.apply(event);
        let text = notice(&event.kind, &view, look)?;
        text.lines().next().map(str::to_owned)
    });
    let said: Vec<String> = said.collect();
    insta::assert_snapshot!(said.join("\n"), @r"
    preflight: asking 1 host
    waiting for the lock: `restart%2Fapi%2Fprod` is locked on app-1, by whom is not known (the folder is deploy's), held for 3 m 12 s
    locked `restart/api/prod` on 2 hosts, first on app-1
    preflight: 1 host answers, 1 sick: app-1
    plan changed: no sick host comes first any more
    app-1  passed phase main after 1.5 s
    app-1  is taken again
    app-1  unhealthy after it was done: http: exit 1
    waiting for health: 1 host in us-west-2a would stay healthy without app-1, 2 must; not healthy: app-2; for 5 m at most
    going on after 4.0 s of waiting
    baking 1 m after the canary: 1 host watched
    app-1  sick: http: exit 1
    app-1  unfit: exit 1
    app-1  no answer: exit 1
    app-1  well again
    stopped: 2 of 2 hosts failed, limit is 1; zone a not started
    stopped: 1 host in zone us-west-2a failed, limit is 0 a zone; zone a not started
    stopped: 1 host of batch 4 failed, limit is 0 a batch; zone a not started
    stopped: the canary app-1 failed; zone a not started
    stopped: too few healthy hosts for too long: 1 host in us-west-2a would stay healthy without app-1, 2 must; not healthy: app-2; zone a not started
    stopped: no host is the one to take last (`last`), though one must be: there may be no leader; zone a not started
    stopped: the task's deadline of 30 m passed; zone a not started
    stopped: step `migrate` failed on app-1, on which every host depends; zone a not started
    stopped: answered `stop` at a gate by terminal; zone a not started
    stopped: `restart%2Fapi%2Fprod` is locked on app-1, by whom is not known (the folder is deploy's), held for 3 m 12 s
    stopped: no host could be locked: app-3 (it does not answer)
    stopped: nothing was changed; 1 host does not answer: app-1 (unhealthy)
    stopped: the run's journal cannot be written: No space left on device; zone a not started
    rolling back 1 host, in this order: app-1
    app-1  rolled back
    app-1  rollback failed: exit 1
    app-1  not rolled back: exit 1
    gate after a zone, 1.0 s after the start
    ");
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
    plan changed: sick hosts come first in their zones: app-[1-400]
      from batch 1 on: app-[1-10] | app-[11-20] | app-[21-30] | app-[31-40] | app-[41-50] | app-[51-60] and 94 more batches
    batch 1 of 7 in z1, canary: app-[1-10]
    stopped: the canary app-1 failed; 990 hosts not started: app-[11-1000]
      out now: at work app-[1-10]; sick app-[11-400]
    ");
}
