//! What follows a host's steps: health, verify, and the limit of all of it.

use std::time::Duration;

use crate::model::HostOutcome;
use crate::transport::scripted::{Act, Connect, HostScript};

use super::bed::Bed;
use super::errands::{asks, check, hand_out, pace, start};
use super::steps::{group, run};

fn bed() -> Bed {
    Bed::new(1, vec![run("work")]).change(1, 0)
}

/// Commands that contain `alive` fail so many times, then pass.
fn recovers_after(times: usize) -> HostScript {
    let sick = |script: HostScript, _| script.on("alive", [Act::Exits(1)]);
    (0..times)
        .fold(HostScript::new(), sick)
        .on("alive", Vec::new())
}

#[tokio::test(start_paused = true)]
async fn a_host_is_ok_when_its_checks_have_passed_often_enough() {
    let bed = bed().script("h0", recovers_after(3));
    let mut plan = bed.plan();
    asks(&mut plan, &[], &[check("alive")]);
    let told = hand_out(bed, plan, vec![start(0, &[0])]).await;
    assert_eq!(told.end(0), HostOutcome::Ok);
    let commands = told.transport.commands_on("h0");
    assert_eq!(
        commands,
        ["work", "alive", "alive", "alive", "alive", "alive"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_host_whose_check_never_passes_is_unhealthy_with_the_last_answer() {
    let script = HostScript::new().on("alive", [Act::Exits(9)]);
    let bed = bed().script("h0", script);
    let mut plan = bed.plan();
    asks(&mut plan, &[], &[check("alive")]);
    let told = hand_out(bed, plan, vec![start(0, &[0])]).await;
    let HostOutcome::Unhealthy { check, cause } = told.end(0) else {
        panic!("{:?}", told.end(0));
    };
    assert_eq!(check, "alive");
    assert_eq!(cause, "not so within 20 s; the last answer was: exit 9");
}

#[tokio::test(start_paused = true)]
async fn verify_comes_after_health() {
    let script = HostScript::new().on("version", [Act::Exits(1)]);
    let bed = bed().script("h0", script);
    let mut plan = bed.plan();
    asks(&mut plan, &[], &[check("alive")]);
    plan.phases[0].hosts[0].verify = vec![check("version")].into();
    let told = hand_out(bed, plan, vec![start(0, &[0])]).await;
    assert!(matches!(
        told.end(0),
        HostOutcome::Unhealthy { check, .. } if check == "version"
    ));
    assert_eq!(
        told.transport.commands_on("h0")[..3],
        ["work", "alive", "alive"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_dies_under_a_check_is_a_bad_answer() {
    let script = HostScript::new()
        .on("alive", [Act::IsLost])
        .on("alive", Vec::new());
    let bed = bed().script("h0", script);
    let mut plan = bed.plan();
    asks(&mut plan, &[], &[check("alive")]);
    let told = hand_out(bed, plan, vec![start(0, &[0])]).await;
    assert_eq!(told.end(0), HostOutcome::Ok);
    assert_eq!(told.connections("h0"), 2);
}

#[tokio::test(start_paused = true)]
async fn checks_are_not_asked_of_a_host_whose_step_failed() {
    let script = HostScript::new().on("work", [Act::Exits(1)]);
    let bed = bed().script("h0", script);
    let mut plan = bed.plan();
    asks(&mut plan, &[], &[check("alive")]);
    let told = hand_out(bed, plan, vec![start(0, &[0])]).await;
    assert_eq!(told.end(0).word(), "failed");
    assert_eq!(told.transport.commands_on("h0"), ["work"]);
}

#[tokio::test(start_paused = true)]
async fn the_host_limit_ends_the_step_and_always_still_runs() {
    let script = HostScript::new().on("work", [Act::HangsUntilStopped { confirmed: true }]);
    let bed = bed()
        .script("h0", script)
        .with(|bed| bed.always = vec![run("undrain")]);
    let mut plan = bed.plan();
    pace(&mut plan, |pace| {
        pace.host_timeout = Some(Duration::from_secs(30));
    });
    let told = hand_out(bed, plan, vec![start(0, &[0])]).await;
    let step = "work".to_owned();
    let limit_ms = 30_000;
    assert_eq!(
        told.end(0),
        HostOutcome::TimedOut {
            step,
            limit_ms,
            ended: true
        }
    );
    assert_eq!(told.transport.commands_on("h0"), ["work", "undrain"]);
}

#[tokio::test(start_paused = true)]
async fn the_host_limit_holds_for_steps_in_groups_and_for_checks() {
    for sick in ["work", "alive"] {
        let script = HostScript::new().on(sick, [Act::HangsUntilStopped { confirmed: true }]);
        let steps = vec![group("all", vec![run("work")], Vec::new(), Vec::new())];
        let bed = Bed::new(1, steps).change(1, 0).script("h0", script);
        let mut plan = bed.plan();
        asks(&mut plan, &[], &[check("alive")]);
        pace(&mut plan, |pace| {
            pace.host_timeout = Some(Duration::from_secs(5));
        });
        let told = hand_out(bed, plan, vec![start(0, &[0])]).await;
        assert_eq!(told.end(0).word(), "timed_out", "{sick}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_host_that_cannot_be_reached_is_unreachable() {
    let refused = Connect::Fails(Duration::ZERO, crate::model::UnreachableKind::Refused);
    let script = (0..3).fold(HostScript::new(), |script, _| {
        script.connects(refused.clone())
    });
    let bed = bed().script("h0", script);
    let plan = bed.plan();
    let told = hand_out(bed, plan, vec![start(0, &[0])]).await;
    assert_eq!(told.end(0).word(), "unreachable");
}
