//! Undoing a host's part of a phase, also after the run was stopped.

use crate::model::{CancelReason, Stream};
use crate::plan::Plan;
use crate::run::event::RollbackResult;
use crate::run::message::UnitMessage;
use crate::transport::scripted::{Act, Connect, HostScript};

use super::bed::Bed;
use super::errands::{asks, check, hand_out, hand_out_with, roll_back, start};
use super::steps::{Modified as _, run};

fn bed() -> Bed {
    let old = run("current").but(|it| it.register = Some("old".to_owned()));
    Bed::new(1, vec![old, run("work")]).change(1, 0)
}

fn undone(bed: &Bed) -> Plan {
    let mut plan = bed.plan();
    asks(&mut plan, &[], &[check("alive")]);
    let undo = run("undo {{ old.stdout }} after {{ error.kind }}");
    plan.phases[0].hosts[0].rollback = vec![undo].into();
    plan
}

fn current() -> HostScript {
    HostScript::new().on("current", [Act::Prints(Stream::Stdout, b"v1\n".to_vec())])
}

#[tokio::test(start_paused = true)]
async fn a_rollback_sees_what_was_registered_and_what_failed() {
    let bed = bed().script("h0", current().on("work", [Act::Exits(1)]));
    let plan = undone(&bed);
    let told = hand_out(bed, plan, vec![start(0, &[0]), roll_back(&[0])]).await;
    let commands = told.transport.commands_on("h0");
    assert_eq!(
        commands,
        [
            "current",
            "work",
            "undo 'v1' after 'failed'",
            "alive",
            "alive"
        ]
    );
    assert_eq!(told.rollbacks(), [(0, RollbackResult::Done)]);
    assert_eq!(told.connections("h0"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_rollback_follows_a_stop_and_is_ended_by_its_own_token_alone() {
    let bed = bed().script("h0", current().on("alive", [Act::Exits(1)]));
    let plan = undone(&bed);
    let mut ended = 0;
    let errands = vec![start(0, &[0]), roll_back(&[0])];
    let told = hand_out_with(bed, plan, errands, |stop, message| {
        if matches!(message, UnitMessage::HostEnded { .. }) {
            ended += 1;
            stop.stop_starting(CancelReason::HostFailed);
            stop.end_groups();
        }
    })
    .await;
    let commands = told.transport.commands_on("h0");
    assert!(
        commands.contains(&"undo 'v1' after 'unhealthy'".to_owned()),
        "{commands:?}"
    );
    assert!(matches!(
        &told.rollbacks()[..],
        [(0, RollbackResult::Failed { cause })] if cause.starts_with("`alive`: not so within")
    ));
    assert_eq!(ended, 1);
}

#[tokio::test(start_paused = true)]
async fn a_host_that_cannot_be_reached_is_pending() {
    let down = Connect::Fails(
        std::time::Duration::ZERO,
        crate::model::UnreachableKind::Refused,
    );
    let script = current().connects(Connect::After(std::time::Duration::ZERO));
    let script = (0..9).fold(script, |script, _| script.connects(down.clone()));
    let bed = bed().script("h0", script.on("work", [Act::IsLost]));
    let plan = undone(&bed);
    let told = hand_out(bed, plan, vec![start(0, &[0]), roll_back(&[0])]).await;
    let cause = "scripted: Refused".to_owned();
    assert_eq!(told.end(0).word(), "unknown");
    assert_eq!(told.rollbacks(), [(0, RollbackResult::Pending { cause })]);
}
