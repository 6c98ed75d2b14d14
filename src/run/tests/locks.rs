//! The lock of a run: when it is taken and let go, and what it means where another has it.

use std::time::Duration;

use crate::lock::{Note, NoteState, Token};
use crate::model::{Label, RunId, Stream};
use crate::run::cancel::Signal;
use crate::run::errand::{GateAnswer, LockEnd};
use crate::run::event::{EventKind, RolloutFact};
use crate::transport::scripted::{Act, HostScript};

use super::bed::{Bed, Played};
use super::fleet::{self, Fleet, failed};
use super::steps::run;

const TASK: &str =
    "task: t\nkind: change\nstrategy: {by: flat, batch: 1, confirm: [start]}\nsteps: [{run: x}]\n";

fn note() -> Note {
    Note {
        key: "k".to_owned(),
        run: RunId::from_text("20260730T031100Z-work-beef"),
        task: "work".to_owned(),
        user: "alice".to_owned(),
        controller: "bastion".to_owned(),
        pid: 7,
        started: jiff::Timestamp::UNIX_EPOCH,
        state: NoteState::Live,
        anchor: Label::new("h0"),
        token: Token::of(7),
    }
}

fn end(played: &fleet::Played) -> (u8, &str, String) {
    assert_eq!(played.faults, [""; 0]);
    let summary = &played.summary;
    (summary.exit, &summary.state, played.locks.join(", "))
}

#[test]
fn the_lock_is_taken_after_the_start_gate_and_let_go_at_the_end() {
    let fleet = || Fleet::of(TASK, &[("a", 3)]);
    let played = fleet().play();
    assert_eq!(end(&played), (0, "done", "lock, unlock, keep false".into()));
    assert_eq!(played.errands[..2], ["look", "ask Some(Start)"]);
    let played = fleet().ends("a1", failed()).play();
    assert_eq!(
        end(&played),
        (4, "failed", "lock, unlock, keep false".into())
    );
    let refused = fleet().with(|fleet| fleet.answers.push_back(GateAnswer::Stop));
    assert_eq!(end(&refused.play()), (4, "aborted", String::new()));
    let unfit = fleet().with(|fleet| {
        fleet.unfit.insert("a2".to_owned());
    });
    assert_eq!(end(&unfit.play()), (8, "aborted", String::new()));
    let none = Fleet::of(&format!("{TASK}lock: none\n"), &[("a", 3)]);
    assert_eq!(end(&none.play()), (0, "done", String::new()));
    let reading = "task: t\nkind: read\nsteps: [{run: x}]\n";
    assert_eq!(end(&Fleet::of(reading, &[("a", 3)]).play()).2, "");
}

#[test]
fn a_run_that_can_go_on_keeps_its_lock() {
    let fleet = || {
        Fleet::of(TASK, &[("a", 3)]).with(|fleet| {
            fleet.takes.insert("a2".to_owned(), 10);
        })
    };
    let signals = |times: &[u64]| {
        let signals = times.iter().map(|at| (*at, Signal::Interrupt));
        fleet().with(|fleet| fleet.signals.extend(signals)).play()
    };
    assert_eq!(
        end(&signals(&[3])),
        (130, "paused", "lock, unlock, keep true".into())
    );
    assert_eq!(
        end(&signals(&[3, 4])),
        (130, "interrupted", "lock, unlock, keep true".into())
    );
    let gate = TASK.replace("confirm: [start]", "confirm: [batch]");
    let paused = Fleet::of(&gate, &[("a", 3)]);
    let paused = paused.with(|fleet| fleet.answers.push_back(GateAnswer::Pause));
    assert_eq!(
        end(&paused.play()),
        (10, "paused", "lock, unlock, keep true".into())
    );
}

#[test]
fn nothing_is_changed_where_another_has_the_lock_or_nobody_can_be_locked() {
    let found = crate::lock::Found {
        host: Label::new("a1"),
        folder: "k".to_owned(),
        owner: "deploy".to_owned(),
        age_ms: Some(60_000),
        silent_ms: Some(3_000),
        note: Some(note()),
    };
    let held = LockEnd::Held(Box::new(found));
    let nowhere = LockEnd::Nowhere(vec![(Label::new("a1"), "no space".to_owned())]);
    let undone = "rollback: [{run: y}]\non_failure: rollback_all\n";
    for (lock_end, exit) in [(held, 9), (nowhere, 8)] {
        let fleet = Fleet::of(&format!("{TASK}{undone}"), &[("a", 3)]);
        let played = fleet.with(|fleet| fleet.lock_end = Some(lock_end)).play();
        assert_eq!(end(&played), (exit, "aborted", "lock".into()));
        assert_eq!(played.taken, [""; 0]);
        let causes = played.summary.hosts.values().map(|host| host.cause.clone());
        let causes: Vec<String> = causes.flatten().collect();
        assert!(
            causes
                .iter()
                .all(|cause| cause.starts_with("nothing was changed: ")),
            "{causes:?}"
        );
        assert_eq!(causes.len(), 3);
    }
}

fn bed(script: &HostScript) -> Bed {
    Bed::new(3, vec![run("work")])
        .change(3, 0)
        .with(|bed| bed.locks = true)
        .all(script)
}

/// A host on which the lock can be taken.
pub(super) fn free() -> HostScript {
    free_after(0)
}

/// The same, where letting go of it takes so many seconds.
fn free_after(seconds: u64) -> HostScript {
    let says = |text: &str| {
        vec![Act::Prints(
            Stream::Stdout,
            format!("{text}\n").into_bytes(),
        )]
    };
    let mut released = vec![Act::Waits(Duration::from_secs(seconds))];
    released.extend(says("released"));
    HostScript::new()
        .on("fab-rs-lock take", says("taken"))
        .on("fab-rs-lock beat", says("ours"))
        .on("fab-rs-lock mark", says("ours"))
        .on("fab-rs-lock release", released)
}

/// What was sent about the lock to a host.
fn orders(played: &Played, host: &str) -> Vec<String> {
    let commands = played.transport.commands_on(host);
    let order = |command: String| {
        let (_, order) = command.split_once("fab-rs-lock ")?;
        order.split(' ').next().map(str::to_owned)
    };
    commands.into_iter().filter_map(order).collect()
}

#[tokio::test(start_paused = true)]
async fn every_host_is_locked_and_the_first_hears_the_heart() {
    let slow = free().on("work", vec![Act::Waits(Duration::from_secs(40))]);
    let played = bed(&slow).play().await;
    assert_eq!(played.exit(), 0, "{:?}", played.notes());
    assert_eq!(orders(&played, "h0"), ["take", "beat", "beat", "release"]);
    assert_eq!(orders(&played, "h1"), ["take", "release"]);
    let taken = played.position(|event| {
        matches!(
            event,
            EventKind::Rollout(RolloutFact::LockTaken { hosts: 3, .. })
        )
    });
    let started = played.position(|event| matches!(event, EventKind::HostStarted { .. }));
    assert!(taken.unwrap() < started.unwrap());
}

/// Others see it as stale when it has not beaten for a minute.
#[tokio::test(start_paused = true)]
async fn a_heart_that_is_not_heard_is_told_once_and_once_that_it_is_again() {
    let says = |text: &str| vec![Act::Prints(Stream::Stdout, text.as_bytes().to_vec())];
    let mut script = HostScript::new()
        .on("fab-rs-lock take", says("taken\n"))
        .on("fab-rs-lock release", says("released\n"))
        .on("work", vec![Act::Waits(Duration::from_secs(190))]);
    // Three are lost; the fourth is heard; of six, none; then all.
    for number in 0..11 {
        script = match number {
            3 | 10 => script.on("fab-rs-lock beat", says("ours\n")),
            _ => script.on("fab-rs-lock beat", vec![Act::Exits(3)]),
        };
    }
    let played = bed(&script).play().await;
    assert_eq!(played.exit(), 0, "{:?}", played.notes());
    let notes = played.notes();
    let hearts: Vec<&String> = notes.iter().filter(|note| note.contains("heart")).collect();
    let [silent, again] = hearts[..] else {
        panic!("{hearts:?}");
    };
    assert!(
        silent.starts_with(
            "the lock's heartbeat has not reached h0 for 1 m: its `sh` ended with 3; other controllers see this run as stale"
        ),
        "{silent}"
    );
    assert_eq!(again, "the lock's heartbeat reaches h0 again");
}

#[tokio::test(start_paused = true)]
async fn who_meets_a_lock_hears_whose_it_is() {
    let said = format!("lock 192 4 deploy k\n{}\n", note().to_line());
    let held = HostScript::new().on(
        "fab-rs-lock take",
        vec![Act::Prints(Stream::Stdout, said.into_bytes())],
    );
    let played = bed(&held).play().await;
    assert_eq!(played.exit(), 9);
    assert_eq!(
        orders(&played, "h1"),
        ["release"],
        "the first decides, and what was tried is given back"
    );
    let cause = played.cause("h2");
    for words in [
        "nothing was changed: ",
        "`k` is locked on h0 by alice@bastion (run 20260730T031100Z-work-beef), held for 3 m 12 s, live",
    ] {
        assert!(cause.contains(words), "{words}: {cause}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_live_lock_is_waited_for_and_a_paused_one_is_not() {
    let said = |state| {
        let note = Note { state, ..note() };
        let said = format!("lock 192 4 deploy k\n{}\n", note.to_line());
        vec![Act::Prints(Stream::Stdout, said.into_bytes())]
    };
    let taken = vec![Act::Prints(Stream::Stdout, b"taken\n".to_vec())];
    let script = |state| {
        HostScript::new()
            .on("fab-rs-lock take", said(state))
            .on("fab-rs-lock take", said(state))
            .on("fab-rs-lock take", taken.clone())
    };
    let wait = |bed: Bed| {
        bed.with(|bed| bed.options.lock.wait = Duration::from_mins(10))
            .script("h1", free())
            .script("h2", free())
    };
    let only = |state| {
        let bed = Bed::new(3, vec![run("work")]).change(3, 0);
        wait(bed.with(|bed| bed.locks = true)).script("h0", script(state))
    };
    let played = only(NoteState::Live).play().await;
    assert_eq!(played.exit(), 0, "{:?}", played.notes());
    let waited = played.events.iter().filter(|event| {
        matches!(
            event.kind,
            EventKind::Rollout(RolloutFact::LockWaited { .. })
        )
    });
    assert_eq!(waited.count(), 1);
    let played = only(NoteState::Paused).play().await;
    assert_eq!(played.exit(), 9);
}

#[tokio::test(start_paused = true)]
async fn ctrl_c_while_waiting_leaves_nothing_behind() {
    let said = format!("lock 192 4 deploy k\n{}\n", note().to_line());
    let held = HostScript::new().on(
        "fab-rs-lock take",
        vec![Act::Prints(Stream::Stdout, said.into_bytes())],
    );
    let bed = bed(&held).with(|bed| bed.options.lock.wait = Duration::from_mins(10));
    let played = bed.signal(5, Signal::Interrupt).play().await;
    assert_eq!(played.exit(), 130);
    assert!(
        played
            .summary
            .hosts
            .values()
            .all(|host| host.outcome == "not_run")
    );
    assert_eq!(
        orders(&played, "h0").last().map(String::as_str),
        Some("release")
    );
}

#[tokio::test(start_paused = true)]
async fn two_signals_leave_the_lock_and_say_how_it_is_released() {
    let slow = free().on("work", vec![Act::HangsUntilStopped { confirmed: true }]);
    let played = bed(&slow)
        .signal(5, Signal::Interrupt)
        .signal(6, Signal::Interrupt)
        .play()
        .await;
    assert_eq!(
        (played.exit(), played.summary.state.as_str()),
        (130, "interrupted")
    );
    assert_eq!(orders(&played, "h0"), ["take", "mark"]);
    let notes = played.notes().join("\n");
    let words = "`fab-rs abort 20260730T031244Z-work-0001` lets go of it";
    assert!(notes.contains(words), "{notes}");
}

#[test]
fn a_member_that_does_not_answer_is_not_locked_and_the_next_one_is_the_anchor() {
    let plan = fleet::plan(TASK, fleet::hosts(&[("a", 3)]), |host| host != "a1").unwrap();
    let played = Fleet::new(plan).with(|fleet| {
        fleet.silent.insert("a1".to_owned());
    });
    let played = played.play();
    assert_eq!(end(&played), (0, "done", "lock, unlock, keep false".into()));
    let taken = played.events.iter().find_map(|event| match event {
        EventKind::Rollout(RolloutFact::LockTaken {
            anchor,
            hosts,
            without,
            ..
        }) => Some((anchor.to_string(), *hosts, without[0].host.to_string())),
        _ => None,
    });
    assert_eq!(taken, Some(("a2".to_owned(), 2, "a1".to_owned())));
}

/// What was asked for while there was still something to stop is all that counts.
#[tokio::test(start_paused = true)]
async fn a_signal_while_the_lock_is_let_go_of_changes_nothing_any_more() {
    let ends = |exit: u8| {
        let script = free_after(5).on("work", [Act::Exits(exit)]);
        Bed::new(2, vec![run("work")])
            .change(1, 0)
            .with(|bed| bed.locks = true)
            .script("h0", script)
            .script("h1", free())
    };
    for (exit, expected, words) in [
        (0, (0, "done"), ["ok", "ok"]),
        (1, (4, "failed"), ["failed", "not_run"]),
    ] {
        for times in [1, 2] {
            let mut bed = ends(exit);
            for time in 0..times {
                bed = bed.signal(1 + time, Signal::Interrupt);
            }
            let played = bed.play().await;
            assert!(played.took >= Duration::from_secs(5), "{:?}", played.took);
            assert_eq!(played.words(), words);
            let ended = (played.exit(), played.summary.state.as_str());
            assert_eq!(ended, expected, "{times} signals");
            assert_eq!(orders(&played, "h1").last().unwrap(), "release");
            assert!(
                played
                    .notes()
                    .iter()
                    .any(|note| note.contains("nothing is left to stop")),
                "{:?}",
                played.notes()
            );
            if exit > 0 {
                assert!(
                    played
                        .cause("h1")
                        .starts_with("stopped before: 1 host failed")
                );
            }
        }
    }
}
