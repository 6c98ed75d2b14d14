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

#[tokio::test(start_paused = true)]
async fn what_a_rollback_says_is_heard() {
    let said = |text: &str| vec![Act::Prints(Stream::Stdout, text.as_bytes().to_vec())];
    let bed = bed().with(|bed| bed.rollback = vec![run("undo")]);
    let script = current()
        .on("work", [Act::Exits(1)])
        .on("undo", said("restored\n"));
    let played = bed.script("h0", script).play().await;
    assert!(played.lines("h0").contains(&"restored".to_owned()));
    assert_eq!(played.summary.state, "rolled_back");
}

#[tokio::test(start_paused = true)]
async fn a_rollback_at_work_is_waited_for_when_it_is_interrupted() {
    let slow = |seconds| [Act::Waits(std::time::Duration::from_secs(seconds))];
    let bed = Bed::new(2, vec![run("work")])
        .change(2, 0)
        .with(|bed| bed.rollback = vec![run("undo")])
        .script("h0", HostScript::new().on("undo", slow(20)))
        .script(
            "h1",
            HostScript::new()
                .on("work", [Act::Exits(1)])
                .on("undo", slow(60)),
        );
    let played = bed
        .signal(10, crate::run::cancel::Signal::Interrupt)
        .play()
        .await;
    assert_eq!(played.summary.state, "rolled_back", "{:?}", played.summary);
}

/// Two steps each way; the second one back of `h1` is held.
fn held_bed() -> Bed {
    let back = |words: &str| run(words).but(|it| it.resume = Some(crate::task::OnResume::Rerun));
    Bed::new(2, vec![run("work")])
        .change(2, 0)
        .with(|bed| {
            bed.rollback = vec![back("undo"), back("finish")];
            bed.locks = true;
        })
        .script("h0", super::locks::free())
}

#[tokio::test(start_paused = true)]
async fn a_rollback_that_was_ended_is_interrupted_and_goes_on_where_it_was() {
    let held = [Act::HangsUntilStopped { confirmed: true }];
    let bed = held_bed().script(
        "h1",
        super::locks::free()
            .on("work", [Act::Exits(1)])
            .on("finish", held),
    );
    let signal = crate::run::cancel::Signal::Interrupt;
    let bed = bed.signal(10, signal).signal(11, signal);
    let (played, facts) = bed.play_kept().await;
    assert_eq!(
        (played.exit(), played.summary.state.as_str()),
        (130, "interrupted")
    );
    let rollback = |played: &super::bed::Played, host: &str| {
        let host = &played.summary.hosts[&crate::model::Label::new(host)];
        host.rollback.clone()
    };
    assert_eq!(rollback(&played, "h0").as_deref(), Some("done"));
    assert_eq!(rollback(&played, "h1").as_deref(), Some("pending"));
    let commands = played.transport.commands_on("h0");
    assert!(
        !commands.iter().any(|it| it.contains("lock release")),
        "{commands:?}"
    );

    let progress = crate::journal::replay(&facts);
    let again = held_bed().script("h1", super::locks::free()).with(|bed| {
        bed.options.progress = Some(std::sync::Arc::new(progress));
        bed.options.undo = true;
    });
    let again = again.play().await;
    assert_eq!(
        (again.exit(), again.summary.state.as_str()),
        (5, "rolled_back")
    );
    let own = |host: &str| {
        let mut commands = again.transport.commands_on(host);
        commands.retain(|it| !it.contains("fab-rs-lock"));
        commands
    };
    assert_eq!(own("h0"), [""; 0]);
    assert_eq!(own("h1"), ["finish"]);
}

/// Behind the last step, while it is asked whether the host serves.
#[tokio::test(start_paused = true)]
async fn a_rollback_that_was_ended_behind_its_steps_does_none_of_them_again() {
    let bed = || {
        let alive = super::errands::check("alive");
        held_bed().with(|bed| bed.health = vec![alive])
    };
    let held = [Act::HangsUntilStopped { confirmed: true }];
    let script = super::locks::free().on("work", [Act::Exits(1)]);
    let signal = crate::run::cancel::Signal::Interrupt;
    let cut = bed().script("h1", script.on("alive", held));
    let (played, facts) = cut.signal(10, signal).signal(11, signal).play_kept().await;
    let ended = (played.exit(), played.summary.state.as_str());
    assert_eq!(ended, (130, "interrupted"));
    let own = |played: &super::bed::Played| {
        let mut commands = played.transport.commands_on("h1");
        commands.retain(|it| !it.contains("fab-rs-lock"));
        commands
    };
    assert_eq!(own(&played), ["work", "undo", "finish", "alive"]);

    let progress = crate::journal::replay(&facts);
    let again = bed().script("h1", super::locks::free()).with(|bed| {
        bed.options.progress = Some(std::sync::Arc::new(progress));
        bed.options.undo = true;
    });
    let again = again.play().await;
    let ended = (again.exit(), again.summary.state.as_str());
    assert_eq!(ended, (5, "rolled_back"));
    let commands = own(&again);
    assert!(
        !commands.is_empty() && commands.iter().all(|it| it == "alive"),
        "{commands:?}"
    );
}
