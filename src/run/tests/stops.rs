//! Signals, deadlines, closed pipes.

use std::num::NonZeroUsize;
use std::time::Duration;

use crate::model::{CancelReason, HostOutcome, Stream};
use crate::run::cancel::Signal;
use crate::run::event::{EventKind, RolloutFact, StopCause};
use crate::run::journal::Fact;
use crate::task::OnResume;
use crate::transport::scripted::{Act, Connect, HostScript};

use super::bed::Bed;
use super::steps::{Modified as _, run};

fn hangs(confirmed: bool) -> HostScript {
    HostScript::new().on("work", [Act::HangsUntilStopped { confirmed }])
}

fn slow(seconds: u64) -> HostScript {
    HostScript::new().on("work", [Act::Waits(Duration::from_secs(seconds))])
}

fn two_at_a_time(bed: &mut Bed) {
    bed.options.fanout = NonZeroUsize::new(2).unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_first_signal_lets_running_hosts_finish() {
    let bed = Bed::new(4, vec![run("work"), run("more")])
        .with(two_at_a_time)
        .all(&slow(10));
    let bed = bed.with(|bed| bed.always = vec![run("tidy")]);
    let played = bed.signal(5, Signal::Interrupt).play().await;
    assert_eq!(played.words(), ["ok", "ok", "not_run", "not_run"]);
    assert_eq!(
        (played.exit(), played.summary.state.as_str()),
        (130, "paused")
    );
    assert_eq!(played.transport.commands_on("h0"), ["work", "more", "tidy"]);
    assert_eq!(played.cause("h3"), "stopped by Ctrl-C");
    let told = played.events.iter().find_map(|event| match &event.kind {
        EventKind::CancelStarted { running, .. } => Some(running.len()),
        _ => None,
    });
    assert_eq!(told, Some(2));
}

#[tokio::test(start_paused = true)]
async fn the_second_signal_ends_the_remote_groups() {
    let bed = Bed::new(3, vec![run("work"), run("more")])
        .with(two_at_a_time)
        .all(&hangs(true));
    let bed = bed.with(|bed| {
        bed.always = vec![run("tidy")];
        bed.options.limits.command = None;
    });
    let played = bed
        .signal(5, Signal::Interrupt)
        .signal(6, Signal::Interrupt)
        .play()
        .await;
    assert_eq!(played.words(), ["cancelled", "cancelled", "not_run"]);
    assert_eq!(
        (played.exit(), played.summary.state.as_str()),
        (130, "interrupted")
    );
    assert_eq!(played.took, Duration::from_secs(6));
    // `always` steps follow the first signal, not the second.
    assert_eq!(played.transport.commands_on("h0"), ["work"]);
    assert_eq!(
        played.outcome("h0"),
        HostOutcome::Cancelled {
            reason: CancelReason::Interrupt,
            step: Some("work".to_owned()),
            ended: true,
        }
    );
    assert!(!played.summary.hosts[0].may_still_run);
}

#[tokio::test(start_paused = true)]
async fn an_end_that_is_not_proved_is_said() {
    let bed = Bed::new(1, vec![run("work")]).all(&hangs(false));
    let played = bed
        .signal(1, Signal::Terminate)
        .signal(2, Signal::Terminate)
        .play()
        .await;
    assert_eq!(played.exit(), 143);
    assert!(played.summary.hosts[0].may_still_run);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_heeds_no_stop_is_given_up() {
    let script = HostScript::new().on("work", [Act::HangsForEver]);
    let bed = Bed::new(1, vec![run("work")]).all(&script);
    let played = bed
        .signal(1, Signal::Interrupt)
        .signal(2, Signal::Interrupt)
        .play()
        .await;
    assert_eq!(played.words(), ["cancelled"]);
    assert!(played.summary.hosts[0].may_still_run);
    // The grace of 2 s and 10 s for the report.
    assert_eq!(played.took, Duration::from_secs(14));
}

#[tokio::test(start_paused = true)]
async fn a_signal_ends_connecting_since_nothing_has_begun() {
    let bed =
        Bed::new(2, vec![run("work")]).script("h0", HostScript::new().connects(Connect::Hangs));
    let played = bed.signal(3, Signal::Hangup).play().await;
    assert_eq!(played.words(), ["cancelled", "ok"]);
    assert_eq!(played.exit(), 129);
    assert_eq!(played.took, Duration::from_secs(3));
}

#[tokio::test(start_paused = true)]
async fn the_runs_limit_ends_what_runs() {
    let bed = Bed::new(2, vec![run("work")])
        .script("h0", hangs(true))
        .with(|bed| {
            bed.options.limits.run = Some(Duration::from_secs(30));
        });
    let played = bed.play().await;
    assert_eq!(played.words(), ["cancelled", "ok"]);
    assert_eq!(
        (played.exit(), played.summary.state.as_str()),
        (124, "interrupted")
    );
    assert_eq!(played.took, Duration::from_secs(30));
    assert_eq!(
        played.cause("h0"),
        "stopped because the run's time limit passed"
    );
}

#[tokio::test(start_paused = true)]
async fn a_tasks_deadline_starts_nothing_new() {
    let bed = Bed::new(3, vec![run("work")]).change(1, 0).all(&slow(40));
    let played = bed
        .with(|bed| bed.deadline = Some(Duration::from_mins(1)))
        .play()
        .await;
    assert_eq!(played.words(), ["ok", "ok", "not_run"]);
    assert_eq!(
        (played.exit(), played.summary.state.as_str()),
        (124, "failed")
    );
}

/// A process that was cut off after its deadline is followed by one that takes nobody new either; the next one does.
#[tokio::test(start_paused = true)]
async fn a_deadline_is_kept_as_a_stop() {
    let bed = || {
        let work = run("work").but(|it| it.resume = Some(OnResume::Rerun));
        let bed = Bed::new(3, vec![work]).change(1, 0);
        bed.with(|bed| bed.deadline = Some(Duration::from_mins(1)))
    };
    let (played, mut facts) = bed().all(&slow(40)).play_kept().await;
    let why = "stopped before: the task's deadline of 1 m passed";
    assert_eq!(played.cause("h2"), why);
    let because = StopCause::Deadline { limit_ms: 60_000 };
    let is_stop = |fact: &Fact| matches!(fact, Fact::Stop { because: of } if *of == because);
    let stop = facts.iter().position(is_stop).expect("a stop");
    let told = played.position(|event| {
        matches!(event, EventKind::Rollout(RolloutFact::RolloutStopped { because: of, .. })
            if *of == because)
    });
    assert!(told.is_some());

    let resumed = |facts: &[Fact]| {
        let progress = crate::journal::replay(facts);
        bed().with(|bed| bed.options.progress = Some(std::sync::Arc::new(progress)))
    };
    let whole = facts.clone();
    facts.truncate(stop + 1);
    let again = resumed(&facts).play().await;
    assert_eq!(again.words(), ["ok", "ok", "not_run"]);
    assert_eq!(
        (again.exit(), again.summary.state.as_str()),
        (124, "failed")
    );
    assert_eq!(again.cause("h2"), why);
    assert_eq!(again.transport.commands_on("h1"), ["work"]);
    let forward = resumed(&whole).play().await;
    assert_eq!((forward.words(), forward.exit()), (vec!["ok"; 3], 0));
}

#[tokio::test(start_paused = true)]
async fn a_closed_pipe_ends_a_read_at_once() {
    let played = Bed::new(1, vec![run("work")])
        .all(&hangs(true))
        .signal(1, Signal::ClosedPipe)
        .play()
        .await;
    assert_eq!(played.words(), ["cancelled"]);
    assert_eq!(played.took, Duration::from_secs(1));
    assert_eq!(played.exit(), 130);
}

#[tokio::test(start_paused = true)]
async fn a_change_goes_on_after_a_closed_pipe() {
    let bed = Bed::new(2, vec![run("work")]).change(1, 0).all(&slow(10));
    let played = bed.signal(1, Signal::ClosedPipe).play().await;
    assert_eq!((played.words(), played.exit()), (vec!["ok", "ok"], 0));
}

#[tokio::test(start_paused = true)]
async fn a_stalled_sink_keeps_no_signal_waiting() {
    let flood = Act::Floods(Stream::Stdout, b"line\n".to_vec(), 100_000);
    let script = HostScript::new().on("work", [flood]);
    let bed = Bed::new(1, vec![run("work")])
        .all(&script)
        .with(|bed| bed.slow_sink = Duration::from_secs(5));
    let bed = bed
        .signal(90, Signal::Interrupt)
        .signal(91, Signal::Interrupt);
    let played = bed.play().await;
    assert_eq!(played.words(), ["cancelled"]);
    // What nobody took is in the log, and counted.
    let told = played.lines("h0").len();
    let logged = played.log("h0").matches("out| line").count();
    assert!(told < logged && logged < 100_000, "{told} {logged}");
    let note = format!("{} more lines are in the host's log alone", logged - told);
    assert!(
        played.notes().contains(&note),
        "{note} {:?}",
        played.notes()
    );
}
