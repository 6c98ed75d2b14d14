//! `reboot`: proved by another boot id.

use std::time::Duration;

use crate::model::{HostOutcome, Stream, UnreachableKind};
use crate::task::{Action, Step};
use crate::transport::scripted::{Act, Connect, HostScript};

use super::bed::Bed;
use super::errands::{Told, hand_out, start};
use super::steps::{Modified as _, run, step};

const SENT: &str = "systemctl reboot";

fn id(text: &str) -> Vec<Act> {
    vec![Act::Prints(
        Stream::Stdout,
        format!("{text}\n").into_bytes(),
    )]
}

fn reboot() -> Step {
    step("reboot", Action::Reboot).but(|it| it.timeout = Some(Duration::from_mins(1)))
}

async fn played(script: HostScript) -> Told {
    let bed = Bed::new(1, vec![reboot(), run("work")])
        .change(1, 0)
        .script("h0", script);
    let plan = bed.plan();
    hand_out(bed, plan, vec![start(0, &[0])]).await
}

fn cause(told: &Told) -> String {
    match told.end(0) {
        HostOutcome::Failed { cause, .. } => cause,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_host_that_comes_back_with_another_boot_id_goes_on() {
    let down = Connect::Fails(Duration::from_secs(5), UnreachableKind::NoAnswer);
    let script = HostScript::new()
        .connects(Connect::After(Duration::ZERO))
        .connects(down.clone())
        .connects(down)
        .on("boot_id", id("one"))
        .on("boot_id", id("one"))
        .on("boot_id", [Act::IsLost])
        .on("boot_id", id("two"))
        .on(SENT, [Act::IsLost]);
    let told = played(script).await;
    assert_eq!(told.end(0), HostOutcome::Ok);
    let commands = told.transport.commands_on("h0");
    assert_eq!(commands.last().map(String::as_str), Some("work"));
    let sent = commands.iter().filter(|it| it.contains(SENT)).count();
    assert_eq!(sent, 1, "{commands:?}");
}

#[tokio::test(start_paused = true)]
async fn a_host_that_never_goes_down_is_told_so() {
    let told = played(HostScript::new().on("boot_id", id("one"))).await;
    assert_eq!(
        cause(&told),
        "it never went down: the boot id was the same for 1 m"
    );
}

#[tokio::test(start_paused = true)]
async fn a_host_that_does_not_come_back_fails_with_the_last_cause() {
    let down = Connect::Fails(Duration::from_secs(5), UnreachableKind::NoAnswer);
    let up = HostScript::new().connects(Connect::After(Duration::ZERO));
    let script = (0..99).fold(up, |script, _| script.connects(down.clone()));
    let script = script.on("boot_id", id("one")).on(SENT, [Act::IsLost]);
    let told = played(script).await;
    assert_eq!(
        cause(&told),
        "it did not come back within 1 m; the last try: scripted: NoAnswer"
    );
}

#[tokio::test(start_paused = true)]
async fn a_host_that_refuses_is_not_waited_for() {
    let script = HostScript::new().on("boot_id", id("one")).on(
        SENT,
        [
            Act::Prints(Stream::Stderr, b"Access denied\n".to_vec()),
            Act::Exits(1),
        ],
    );
    let told = played(script).await;
    assert_eq!(cause(&told), "it does not reboot: Access denied");
}
