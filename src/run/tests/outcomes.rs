//! How steps end and what follows: limits, retries, rescue, always, ignored and recovered failures.

use std::time::Duration;

use crate::model::HostOutcome;
use crate::run::event::{EventKind, StepResult};
use crate::task::{Action, Retry};
use crate::transport::scripted::{Act, HostScript};

use super::bed::Bed;
use super::steps::{Modified as _, group, holds, run};

fn fails() -> HostScript {
    HostScript::new().on("work", [Act::Exits(3)])
}

#[tokio::test(start_paused = true)]
async fn a_failed_step_ends_its_host() {
    let played = Bed::new(2, vec![run("work"), run("more")])
        .script("h0", fails())
        .play()
        .await;
    assert_eq!(
        played.outcome("h0"),
        HostOutcome::Failed {
            step: "work".to_owned(),
            exit_code: Some(3),
            cause: "exit 3".to_owned(),
        }
    );
    assert_eq!(played.transport.commands_on("h0"), ["work"]);
    assert_eq!(played.transport.commands_on("h1"), ["work", "more"]);
}

#[tokio::test(start_paused = true)]
async fn a_signal_that_ended_a_command_is_named() {
    let script = HostScript::new().on("work", [Act::Exits(137)]);
    let played = Bed::new(1, vec![run("work")])
        .script("h0", script)
        .play()
        .await;
    assert_eq!(played.cause("h0"), "exit 137 (ended by signal 9)");
}

#[tokio::test(start_paused = true)]
async fn a_hung_command_costs_its_limit_and_its_host_alone() {
    let script = HostScript::new().on("work", [Act::HangsUntilStopped { confirmed: true }]);
    let bed = Bed::new(3, vec![run("work")]).script("h1", script);
    let played = bed
        .with(|bed| bed.options.limits.command = Some(Duration::from_secs(20)))
        .play()
        .await;
    assert_eq!(played.words(), ["ok", "timed_out", "ok"]);
    assert_eq!(played.took, Duration::from_secs(20));
    assert_eq!(
        played.outcome("h1"),
        HostOutcome::TimedOut {
            step: "work".to_owned(),
            limit_ms: 20_000,
            ended: true
        }
    );
}

#[tokio::test(start_paused = true)]
async fn a_steps_timeout_comes_before_the_runs_and_an_unproved_end_is_said() {
    let script = HostScript::new().on("work", [Act::HangsUntilStopped { confirmed: false }]);
    let step = run("work").but(|modifiers| modifiers.timeout = Some(Duration::from_secs(5)));
    let played = Bed::new(1, vec![step]).script("h0", script).play().await;
    assert_eq!(played.took, Duration::from_secs(5));
    assert!(played.summary.hosts[0].may_still_run);
}

#[tokio::test(start_paused = true)]
async fn a_silent_command_is_ended_and_a_talking_one_is_not() {
    let dot = || Act::Prints(crate::model::Stream::Stdout, b".".to_vec());
    let wait = |seconds| Act::Waits(Duration::from_secs(seconds));
    let talks = HostScript::new().on("work", [dot(), wait(8), dot(), wait(8), dot(), wait(8)]);
    let bed = Bed::new(2, vec![run("work")]).script("h0", talks);
    let bed = bed.script(
        "h1",
        HostScript::new().on("work", [dot(), wait(8), dot(), wait(60)]),
    );
    let played = bed
        .with(|bed| bed.options.limits.silence = Some(Duration::from_secs(10)))
        .play()
        .await;
    assert_eq!(played.words(), ["ok", "timed_out"]);
    assert_eq!(played.took, Duration::from_secs(24));
    assert!(
        played
            .notes()
            .contains(&"ended: it printed nothing for 10 s".to_owned())
    );
}

fn three_times(step: crate::task::Step) -> crate::task::Step {
    step.but(|modifiers| {
        modifiers.retry = Some(Retry {
            attempts: 3,
            delay: Duration::from_secs(10),
            backoff: 2.0,
            until: None,
        });
    })
}

#[tokio::test(start_paused = true)]
async fn a_retry_passes_with_the_attempt_that_passes() {
    let script = HostScript::new()
        .on("work", [Act::Exits(1)])
        .on("work", [Act::Exits(1)])
        .on("work", []);
    let played = Bed::new(1, vec![three_times(run("work"))])
        .script("h0", script)
        .play()
        .await;
    assert_eq!(played.words(), ["ok"]);
    assert_eq!(played.took, Duration::from_secs(30));
    let retried = played
        .events
        .iter()
        .filter(|event| matches!(event.kind, EventKind::StepRetried { .. }));
    assert_eq!(retried.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_retry_ends_with_its_attempts_and_covers_no_lost_connection() {
    let played = Bed::new(1, vec![three_times(run("work"))])
        .script("h0", fails())
        .play()
        .await;
    assert_eq!(played.words(), ["failed"]);
    assert_eq!(played.transport.commands_on("h0").len(), 3);
    let lost = HostScript::new().on("work", [Act::IsLost]);
    let played = Bed::new(1, vec![three_times(run("work"))])
        .script("h0", lost)
        .play()
        .await;
    assert_eq!(played.words(), ["unknown"]);
    assert_eq!(played.transport.commands_on("h0").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn rescue_and_always_follow_a_failure_and_the_host_stays_failed() {
    let bed = Bed::new(1, vec![run("work"), run("more")])
        .script("h0", fails())
        .with(|bed| {
            bed.rescue = vec![run(
                "collect {{ error.step }} {{ error.rc }} {{ error.kind }}",
            )];
            bed.always = vec![run("tidy")];
        });
    let played = bed.play().await;
    assert_eq!(
        played.transport.commands_on("h0"),
        ["work", "collect 'work' '3' 'failed'", "tidy"]
    );
    assert_eq!(played.words(), ["failed"]);
    assert_eq!(played.cause("h0"), "exit 3");
}

#[tokio::test(start_paused = true)]
async fn always_alone_can_fail_a_host() {
    let bed = Bed::new(1, vec![run("fine")])
        .script("h0", fails())
        .with(|bed| bed.always = vec![run("work")]);
    let played = bed.play().await;
    assert_eq!(played.cause("h0"), "exit 3");
}

#[tokio::test(start_paused = true)]
async fn a_recovered_group_lets_the_host_go_on() {
    for (recovered, words, commands) in [
        (true, "ok", vec!["work", "repair", "tidy", "more"]),
        (false, "failed", vec!["work", "repair", "tidy"]),
    ] {
        let mut guarded = group(
            "guarded",
            vec![run("work")],
            vec![run("repair")],
            vec![run("tidy")],
        );
        if let Action::Group(group) = &mut guarded.action {
            group.recovered = recovered;
        }
        let played = Bed::new(1, vec![guarded, run("more")])
            .script("h0", fails())
            .play()
            .await;
        assert_eq!(played.words(), [words]);
        assert_eq!(played.transport.commands_on("h0"), commands);
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_inside_a_group_keeps_its_own_step() {
    let played = Bed::new(
        1,
        vec![group(
            "outer",
            vec![group("inner", vec![run("work")], vec![], vec![])],
            vec![],
            vec![],
        )],
    )
    .script("h0", fails())
    .play()
    .await;
    assert!(matches!(played.outcome("h0"), HostOutcome::Failed { step, .. } if step == "work"));
}

#[tokio::test(start_paused = true)]
async fn an_ignored_failure_is_shown_and_the_host_goes_on() {
    let step = run("work").but(|modifiers| {
        modifiers.ignore_errors = true;
        modifiers.register = Some("it".to_owned());
    });
    let bed = Bed::new(
        1,
        vec![
            step,
            run("then {{ it.failed }} {{ it.ignored }} {{ it.rc }}"),
        ],
    );
    let played = bed.script("h0", fails()).play().await;
    assert_eq!((played.words(), played.exit()), (vec!["ok"], 0));
    assert_eq!(
        played.transport.commands_on("h0")[1],
        "then 'true' 'true' '3'"
    );
    assert!(
        played
            .position(|kind| matches!(
                kind,
                EventKind::StepFinished {
                    result: StepResult::Ignored {
                        exit_code: Some(3),
                        ..
                    },
                    ..
                }
            ))
            .is_some()
    );
}

#[tokio::test(start_paused = true)]
async fn warn_only_goes_on_and_the_host_stays_failed() {
    let bed = Bed::new(1, vec![run("work"), run("more")]).script("h0", fails());
    let played = bed.with(|bed| bed.options.warn_only = true).play().await;
    assert_eq!(played.transport.commands_on("h0"), ["work", "more"]);
    assert_eq!((played.words(), played.exit()), (vec!["failed"], 1));
}

#[tokio::test(start_paused = true)]
async fn warn_only_hides_no_command_that_may_still_run() {
    let script = fails().on("more", [Act::IsLost]);
    let bed = Bed::new(1, vec![run("work"), run("more")]).script("h0", script);
    let played = bed.with(|bed| bed.options.warn_only = true).play().await;
    assert_eq!((played.words(), played.exit()), (vec!["failed"], 1));
    assert_eq!(
        played.notes(),
        ["step `more`: the connection was lost; it may still be running"]
    );
}

#[tokio::test(start_paused = true)]
async fn other_exit_codes_pass_where_they_may() {
    let step = run("work").but(|modifiers| modifiers.ok_rc = vec![0, 3]);
    let played = Bed::new(1, vec![step]).script("h0", fails()).play().await;
    assert_eq!(played.words(), ["ok"]);
}

#[tokio::test(start_paused = true)]
async fn fail_when_and_until_judge_what_passed() {
    let prints = |text: &str| {
        [Act::Prints(
            crate::model::Stream::Stdout,
            text.as_bytes().to_vec(),
        )]
    };
    let step = run("work").but(|modifiers| {
        modifiers.register = Some("it".to_owned());
        modifiers.fail_when = Some(holds("'ERROR' in it.stdout"));
    });
    let script = HostScript::new().on("work", prints("an ERROR\n"));
    let played = Bed::new(1, vec![step]).script("h0", script).play().await;
    assert_eq!(
        played.cause("h0"),
        "`fail_when` holds: 'ERROR' in it.stdout"
    );

    let step = three_times(run("work")).but(|modifiers| {
        modifiers.register = Some("it".to_owned());
        modifiers.retry.as_mut().unwrap().until = Some(holds("it.stdout == 'leader'"));
    });
    let script = HostScript::new()
        .on("work", prints("looking\n"))
        .on("work", prints("leader\n"));
    let played = Bed::new(1, vec![step]).script("h0", script).play().await;
    assert_eq!(
        (played.words(), played.took),
        (vec!["ok"], Duration::from_secs(10))
    );
}
