//! Connections: refused, lost under a command, lost before one, broken transports.

use std::time::Duration;

use crate::model::{HostOutcome, UnreachableKind};
use crate::run::event::EventKind;
use crate::transport::scripted::{Act, Asked, Connect, HostScript};

use super::bed::Bed;
use super::steps::{Modified as _, run};

fn refused() -> Connect {
    Connect::Fails(Duration::from_secs(1), UnreachableKind::Refused)
}

#[tokio::test(start_paused = true)]
async fn an_unreachable_host_costs_its_own_attempts_and_exit_3() {
    let script = HostScript::new()
        .connects(refused())
        .connects(refused())
        .connects(refused());
    let played = Bed::new(3, vec![run("work")])
        .script("h1", script)
        .play()
        .await;
    assert_eq!(played.words(), ["ok", "unreachable", "ok"]);
    assert_eq!(played.exit(), 3);
    assert_eq!(played.cause("h1"), "scripted: Refused");
    assert!(
        played.log("h1").contains("note| scripted hint"),
        "{}",
        played.log("h1")
    );
    assert_eq!(played.summary.hosts[1].hints, ["scripted hint"]);
    assert_eq!(
        played.outcome("h1"),
        HostOutcome::Unreachable {
            kind: UnreachableKind::Refused,
            causes: vec!["scripted: Refused".to_owned()],
            hints: vec!["scripted hint".to_owned()],
        }
    );
    assert_eq!(played.took, Duration::from_secs(3));
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_tried_again_is_told_and_logged() {
    let script = HostScript::new().connects(refused()).connects(refused());
    let played = Bed::new(1, vec![run("work")])
        .script("h0", script)
        .play()
        .await;
    assert_eq!(played.words(), ["ok"]);
    let retried: Vec<(u32, u32, &str)> = played
        .events
        .iter()
        .filter_map(|event| match &event.kind {
            EventKind::ConnectRetried {
                attempt,
                attempts,
                cause,
                ..
            } => Some((*attempt, *attempts, cause.as_str())),
            _ => None,
        })
        .collect();
    assert_eq!(
        retried,
        [(1, 3, "scripted: Refused"), (2, 3, "scripted: Refused")]
    );
    assert!(
        played
            .log("h0")
            .contains("note| connection attempt 2 of 3 failed: scripted: Refused")
    );
}

#[tokio::test(start_paused = true)]
async fn a_connection_lost_under_a_command_is_unknown() {
    let script = HostScript::new().on("work", [Act::IsLost]);
    let bed = Bed::new(2, vec![run("work"), run("more")]).script("h0", script);
    let played = bed.with(|bed| {
        bed.rescue = vec![run("collect")];
        bed.always = vec![run("tidy")];
    });
    let played = played.play().await;
    assert_eq!(
        played.outcome("h0"),
        HostOutcome::Unknown {
            step: "work".to_owned(),
            doubt: crate::model::Doubt::Lost
        }
    );
    assert!(played.summary.hosts[0].may_still_run);
    assert_eq!(played.exit(), 1);
    // Nothing is known of the step, so it is not rescued; what follows in any case does, over a new connection.
    assert_eq!(played.transport.commands_on("h0"), ["work", "tidy"]);
    let connects = played
        .transport
        .asked()
        .into_iter()
        .filter(|asked| *asked == Asked::Connect("h0".to_owned()));
    assert_eq!(connects.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_died_between_steps_is_made_again() {
    let script = HostScript::new().on("more", [Act::WasLost]).on("more", []);
    let played = Bed::new(1, vec![run("work"), run("more")])
        .script("h0", script)
        .play()
        .await;
    assert_eq!((played.words(), played.exit()), (vec!["ok"], 0));
    assert_eq!(played.transport.commands_on("h0"), ["work", "more", "more"]);
}

#[tokio::test(start_paused = true)]
async fn a_half_done_host_that_is_lost_has_failed() {
    let script = HostScript::new()
        .on("more", [Act::WasLost])
        .connects(Connect::After(Duration::ZERO))
        .connects(refused());
    let bed = Bed::new(
        1,
        vec![
            run("work"),
            run("more").but(|modifiers| modifiers.ignore_errors = true),
        ],
    );
    let bed = bed
        .script("h0", script)
        .with(|bed| bed.options.attempts = 1);
    let played = bed.play().await;
    assert!(matches!(
        played.outcome("h0"),
        HostOutcome::Failed { step, cause, .. } if step == "more" && cause.contains("scripted: Refused")
    ));
    assert_eq!(played.exit(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_its_hosts_end_and_an_internal_error() {
    let bed =
        Bed::new(3, vec![run("work")]).script("h1", HostScript::new().on("work", [Act::Panics]));
    let played = bed
        .script("h2", HostScript::new().connects(Connect::Panics))
        .play()
        .await;
    assert_eq!(played.words(), ["ok", "failed", "failed"]);
    assert_eq!(played.exit(), 70);
    assert_eq!(
        played.cause("h1"),
        "internal error: scripted panic in a command"
    );
    assert_eq!(played.transport.asked().last(), Some(&Asked::Shutdown));
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_fails_its_host_alone() {
    let played = Bed::new(3, vec![run("work")])
        .with(|bed| bed.full_log = Some("h1".to_owned()))
        .play()
        .await;
    assert_eq!(played.words(), ["ok", "failed", "ok"]);
    assert!(
        played.cause("h1").contains("No space left on device"),
        "{}",
        played.cause("h1")
    );
}

#[tokio::test(start_paused = true)]
async fn sudo_that_refuses_is_the_cause() {
    let script = HostScript::new().on(
        "work",
        [Act::SudoRefuses("a password is required".to_owned())],
    );
    let played = Bed::new(1, vec![run("work")])
        .script("h0", script)
        .play()
        .await;
    assert_eq!(played.cause("h0"), "sudo refused: a password is required");
}
