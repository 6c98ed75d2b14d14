//! Batches, fan-out, budgets, gates and steps of the controller.

use std::num::NonZeroUsize;
use std::time::Duration;

use crate::model::{HostOutcome, Stream};
use crate::run::event::EventKind;
use crate::task::{Action, GateAt, Local, OnceFor, Quoting, RunProgram};
use crate::transport::scripted::{Act, Asked, HostScript};

use super::bed::Bed;
use super::steps::{Modified as _, run, step, text};

fn slow(seconds: u64) -> HostScript {
    HostScript::new().on("work", [Act::Waits(Duration::from_secs(seconds))])
}

fn fails() -> HostScript {
    HostScript::new().on("work", [Act::Exits(3)])
}

#[tokio::test(start_paused = true)]
async fn every_host_runs_and_the_summary_says_so() {
    let played = Bed::new(3, vec![run("work")]).play().await;
    assert_eq!(played.words(), ["ok", "ok", "ok"]);
    assert_eq!((played.exit(), played.summary.state.as_str()), (0, "done"));
    assert_eq!(played.summary.counts["ok"], 3);
    assert_eq!(played.transport.connected(), 0);
    assert_eq!(played.transport.asked().last(), Some(&Asked::Shutdown));
}

#[tokio::test(start_paused = true)]
async fn no_more_hosts_than_the_fanout_are_at_work() {
    let bed = Bed::new(20, vec![run("work")])
        .with(|bed| bed.options.fanout = NonZeroUsize::new(4).unwrap());
    let bed = bed.all(&slow(10));
    let played = bed.play().await;
    assert_eq!(played.transport.most_connected(), 4);
    assert_eq!(played.took, Duration::from_secs(50));
}

#[tokio::test(start_paused = true)]
async fn a_host_that_is_slow_keeps_only_its_own_place() {
    let bed = Bed::new(20, vec![run("work")])
        .with(|bed| bed.options.fanout = NonZeroUsize::new(2).unwrap());
    let played = bed.script("h0", slow(100)).play().await;
    assert_eq!(played.took, Duration::from_secs(100));
}

#[tokio::test(start_paused = true)]
async fn batches_come_one_after_the_other() {
    let played = Bed::new(5, vec![run("work")])
        .change(2, 0)
        .all(&slow(10))
        .play()
        .await;
    assert_eq!(played.took, Duration::from_secs(30));
    let second = played.position(|kind| matches!(kind, EventKind::BatchStarted { index: 1, .. }));
    let first_ended =
        played.position(|kind| matches!(kind, EventKind::BatchFinished { index: 0, .. }));
    assert!(first_ended.unwrap() < second.unwrap());
    let asked = played.transport.asked();
    let connections = asked.iter().filter(|it| matches!(it, Asked::Connect(_)));
    assert_eq!(connections.count(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_rollout_stops_once_more_hosts_failed_than_it_tolerates() {
    let bed = Bed::new(6, vec![run("work")]).change(1, 1);
    let played = bed.script("h1", fails()).script("h2", fails()).play().await;
    assert_eq!(
        played.words(),
        ["ok", "failed", "failed", "not_run", "not_run", "not_run"]
    );
    assert_eq!(
        (played.exit(), played.summary.state.as_str()),
        (4, "failed")
    );
    assert_eq!(
        played.cause("h5"),
        "stopped before: 2 hosts failed, the limit is 1"
    );
}

#[tokio::test(start_paused = true)]
async fn hosts_in_flight_finish_when_the_budget_is_passed() {
    let bed = Bed::new(4, vec![run("work")]).change(2, 0);
    let played = bed
        .script("h0", fails())
        .script("h1", slow(60))
        .play()
        .await;
    assert_eq!(played.words(), ["failed", "ok", "not_run", "not_run"]);
    assert_eq!(played.took, Duration::from_mins(1));
}

#[tokio::test(start_paused = true)]
async fn failures_within_the_budget_leave_the_rollout_partial() {
    let played = Bed::new(3, vec![run("work")])
        .change(1, 1)
        .script("h0", fails())
        .play()
        .await;
    assert_eq!(
        (played.exit(), played.summary.state.as_str()),
        (1, "done_partial")
    );
    assert_eq!(played.words(), ["failed", "ok", "ok"]);
}

#[tokio::test(start_paused = true)]
async fn a_read_run_goes_on_whatever_fails() {
    let played = Bed::new(40, vec![run("work")]).all(&fails()).play().await;
    assert_eq!(played.summary.counts["failed"], 40);
    assert_eq!(played.exit(), 1);
}

#[tokio::test(start_paused = true)]
async fn fail_fast_stops_at_the_first_failure() {
    let bed = Bed::new(4, vec![run("work")]).with(|bed| {
        bed.options.fail_fast = true;
        bed.options.fanout = NonZeroUsize::MIN;
    });
    let played = bed.script("h1", fails()).play().await;
    assert_eq!(played.words(), ["ok", "failed", "not_run", "not_run"]);
    assert_eq!(played.exit(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_no_at_the_start_gate_runs_nothing() {
    let bed = Bed::new(2, vec![run("work")]).change(2, 0).with(|bed| {
        bed.confirm = vec![GateAt::Start];
        bed.says = false;
    });
    let played = bed.play().await;
    assert_eq!(played.words(), ["not_run", "not_run"]);
    assert_eq!(
        (played.exit(), played.summary.state.as_str()),
        (4, "aborted")
    );
    let asked = played.transport.asked();
    let ran = asked.iter().any(|it| matches!(it, Asked::Exec(..)));
    assert!(!ran, "{asked:?}");
    assert_eq!(played.cause("h0"), "the question was answered with no");
}

#[tokio::test(start_paused = true)]
async fn a_yes_at_the_start_gate_is_told_before_the_first_host() {
    let bed = Bed::new(1, vec![run("work")]).change(1, 0);
    let played = bed
        .with(|bed| {
            bed.confirm = vec![GateAt::Start];
            // The question's text is not on the screen at once.
            bed.slow_sink = Duration::from_millis(50);
        })
        .play()
        .await;
    let answered =
        played.position(|kind| matches!(kind, EventKind::GateAnswered { yes: true, .. }));
    let started = played.position(|kind| matches!(kind, EventKind::HostStarted { .. }));
    assert!(answered.unwrap() < started.unwrap());
    assert_eq!(played.exit(), 0);
}

fn local(command: &str) -> crate::task::Step {
    let program = RunProgram::Shell(text(command, Quoting::Shell));
    step(command, Action::Local(Local { program }))
}

#[tokio::test(start_paused = true)]
async fn controller_steps_stand_around_the_rollout() {
    let bed = Bed::new(2, vec![run("work")]).change(1, 0).with(|bed| {
        bed.before = vec![local("prepare")];
        bed.after = vec![local("celebrate")];
    });
    let bed = bed.script(
        "@controller",
        HostScript::new().on(
            "prepare",
            [Act::Prints(Stream::Stdout, b"ready\n".to_vec())],
        ),
    );
    let played = bed.play().await;
    let asked = played.transport.asked();
    let position = |command: &str, host: &str| {
        let wanted = Asked::Exec(host.to_owned(), command.to_owned());
        asked.iter().position(|asked| *asked == wanted).unwrap()
    };
    assert!(position("prepare", "@controller") < position("work", "h0"));
    assert!(position("work", "h1") < position("celebrate", "@controller"));
    assert!(played.log("@controller").contains("out| ready\n"));
}

#[tokio::test(start_paused = true)]
async fn a_failed_before_step_stops_the_run_and_after_needs_success() {
    let refuses = HostScript::new().on("prepare", [Act::Exits(1)]);
    let bed = Bed::new(2, vec![run("work")])
        .change(1, 0)
        .with(|bed| bed.before = vec![local("prepare")]);
    let played = bed.script("@controller", refuses).play().await;
    assert_eq!(played.words(), ["not_run", "not_run"]);
    assert_eq!(played.exit(), 4);
    let bed = Bed::new(2, vec![run("work")]).with(|bed| bed.after = vec![local("celebrate")]);
    let played = bed.script("h1", fails()).play().await;
    assert!(played.transport.commands_on("@controller").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_once_step_runs_on_the_first_host_and_all_see_its_register() {
    let once = run("migrate").but(|modifiers| {
        modifiers.once = Some(OnceFor::Rollout);
        modifiers.register = Some("done".to_owned());
    });
    let migrate = HostScript::new().on(
        "migrate",
        [
            Act::Waits(Duration::from_secs(5)),
            Act::Prints(Stream::Stdout, b"v42\n".to_vec()),
        ],
    );
    let bed = Bed::new(4, vec![once, run("use {{ done.stdout }}")]).change(2, 0);
    let played = bed.all(&migrate).play().await;
    assert_eq!(played.words(), ["ok"; 4]);
    assert_eq!(played.transport.commands_on("h0"), ["migrate", "use 'v42'"]);
    for host in ["h1", "h2", "h3"] {
        assert_eq!(played.transport.commands_on(host), ["use 'v42'"], "{host}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_once_step_passes_over_hosts_that_cannot_be_reached() {
    let once = run("migrate").but(|modifiers| modifiers.once = Some(OnceFor::Rollout));
    let refused = crate::model::UnreachableKind::Refused;
    let fails = crate::transport::scripted::Connect::Fails(Duration::from_secs(1), refused);
    let script = HostScript::new().connects(fails);
    let bed = Bed::new(3, vec![once]).with(|bed| bed.options.attempts = 1);
    let played = bed.script("h0", script).play().await;
    assert_eq!(played.words(), ["unreachable", "ok", "ok"]);
    assert_eq!(played.transport.commands_on("h1"), ["migrate"]);
    assert!(played.transport.commands_on("h2").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_failed_once_step_stops_the_run() {
    let once = run("migrate").but(|modifiers| modifiers.once = Some(OnceFor::Rollout));
    let script = HostScript::new().on(
        "migrate",
        [Act::Waits(Duration::from_secs(1)), Act::Exits(1)],
    );
    let bed = Bed::new(4, vec![once, run("work")])
        .change(2, 3)
        .script("h0", script);
    let played = bed.play().await;
    assert_eq!(
        played.words(),
        ["failed", "cancelled", "not_run", "not_run"]
    );
    assert_eq!(played.exit(), 4);
    assert!(matches!(
        played.outcome("h1"),
        HostOutcome::Cancelled { ended: true, step: Some(step), .. } if step == "migrate"
    ));
    assert!(
        played.cause("h3").contains("`migrate`"),
        "{}",
        played.cause("h3")
    );
}
