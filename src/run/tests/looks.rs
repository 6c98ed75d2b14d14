//! Questions to hosts: connections that are kept, sudo, facts, health, and watching.

use std::time::Duration;

use crate::model::{Stream, UnreachableKind};
use crate::run::errand::Found;
use crate::run::message::UnitMessage;
use crate::task::Quoting;
use crate::transport::scripted::{Act, Asked, Connect, HostScript};

use super::bed::Bed;
use super::errands::{asks, check, hand_out, hand_out_with, look, sleep, start};
use super::steps::{Modified as _, holds, run, text};

fn bed(hosts: usize) -> Bed {
    Bed::new(hosts, vec![run("work")]).change(1, 0)
}

fn prints(line: &str) -> Vec<Act> {
    vec![Act::Prints(Stream::Stdout, line.as_bytes().to_vec())]
}

#[tokio::test(start_paused = true)]
async fn one_connection_serves_questions_and_work() {
    let bed = bed(2);
    let mut plan = bed.plan();
    asks(&mut plan, &[run("fact")], &[check("alive")]);
    let errands = vec![
        look(&[0, 1]),
        start(0, &[0]),
        look(&[0, 1]),
        start(1, &[1]),
        sleep(5, &[0, 1]),
    ];
    let told = hand_out(bed, plan, errands).await;
    assert_eq!((told.connections("h0"), told.connections("h1")), (1, 1));
    assert_eq!(told.found(0), Found::Well);
    assert_eq!(told.ends().len(), 2);
    assert_eq!(told.transport.connected(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_read_run_keeps_no_connection() {
    let bed = Bed::new(1, vec![run("work")]);
    let plan = bed.plan();
    let told = hand_out(bed, plan, vec![start(0, &[0])]).await;
    let asked = told.transport.asked();
    let closed = Asked::Close("h0".to_owned());
    assert_eq!(asked[asked.len() - 2..], [closed, Asked::Shutdown]);
}

#[tokio::test(start_paused = true)]
async fn a_host_that_does_not_answer_is_silent_and_the_others_are_not() {
    let refused = Connect::Fails(Duration::ZERO, UnreachableKind::Refused);
    let script = (0..3).fold(HostScript::new(), |script, _| {
        script.connects(refused.clone())
    });
    let bed = bed(2).script("h1", script);
    let plan = bed.plan();
    let told = hand_out(bed, plan, vec![look(&[0, 1])]).await;
    assert_eq!(told.found(0), Found::Well);
    assert!(matches!(
        told.found(1),
        Found::Silent {
            kind: UnreachableKind::Refused,
            ..
        }
    ));
}

#[tokio::test(start_paused = true)]
async fn sudo_that_refuses_makes_a_host_unfit_before_anything_is_done() {
    let words = "sudo insists on a terminal (`requiretty` in its configuration)";
    let script = HostScript::new().on("true", [Act::SudoRefuses(words.to_owned())]);
    let bed = bed(2).script("h0", script).with(|bed| {
        let root = text("root", Quoting::Plain);
        bed.steps = vec![run("work").but(|it| it.sudo = Some(root))];
    });
    let plan = bed.plan();
    let told = hand_out(bed, plan, vec![look(&[0, 1])]).await;
    let Found::Unfit { cause } = told.found(0) else {
        panic!("{:?}", told.found(0));
    };
    assert!(cause.contains("requiretty"), "{cause}");
    assert_eq!(told.found(1), Found::Well);
    assert_eq!(told.transport.commands_on("h1"), ["true"]);
}

#[tokio::test(start_paused = true)]
async fn facts_are_seen_by_last_by_steps_and_by_other_hosts() {
    let leader = |says: &str| HostScript::new().on("mode", prints(says));
    let fact = run("mode").but(|it| it.register = Some("mode".to_owned()));
    let seen = "seen {{ host.facts.mode.stdout }} of \
                {{ rollout.population | map(attribute='facts.mode.stdout') | join('-') }}";
    let bed = Bed::new(2, vec![run(seen)])
        .change(1, 0)
        .script("h0", leader("leader\n"))
        .script("h1", leader("follower\n"));
    let mut plan = bed.plan();
    asks(&mut plan, &[fact], &[]);
    for member in &mut plan.members {
        member.last = vec![Some(holds("host.facts.mode.stdout == 'leader'"))];
    }
    let told = hand_out(bed, plan, vec![look(&[0, 1]), start(0, &[1])]).await;
    let last: Vec<Option<bool>> = told.findings().iter().map(|found| found.last).collect();
    assert_eq!(last, [Some(true), Some(false)]);
    let commands = told.transport.commands_on("h1");
    assert_eq!(commands[1], "seen 'follower' of 'leader-follower'");
}

#[tokio::test(start_paused = true)]
async fn a_fact_that_fails_makes_a_host_unfit() {
    let words = b"looking\nno such unit\n".to_vec();
    let speaking = [Act::Prints(Stream::Stderr, words), Act::Exits(2)];
    let bed = bed(2)
        .script("h0", HostScript::new().on("mode", [Act::Exits(2)]))
        .script("h1", HostScript::new().on("mode", speaking));
    let mut plan = bed.plan();
    asks(&mut plan, &[run("mode")], &[]);
    let told = hand_out(bed, plan, vec![look(&[0, 1])]).await;
    for (host, cause) in [
        (0, "fact `mode`: exit 2"),
        (1, "fact `mode`: exit 2: no such unit"),
    ] {
        let cause = cause.to_owned();
        assert_eq!(told.found(host), Found::Unfit { cause });
    }
}

#[tokio::test(start_paused = true)]
async fn a_sick_host_is_told_after_one_answer() {
    let script = HostScript::new().on("alive", [Act::Exits(1)]);
    let bed = bed(1).script("h0", script);
    let mut plan = bed.plan();
    asks(&mut plan, &[], &[check("alive")]);
    let told = hand_out(bed, plan, vec![look(&[0])]).await;
    let (check, cause) = ("alive".to_owned(), "exit 1".to_owned());
    assert_eq!(told.found(0), Found::Sick { check, cause });
    assert_eq!(told.transport.commands_on("h0"), ["true", "alive"][1..]);
    assert!(told.log("h0").contains("alive: exit 1"));
}

#[tokio::test(start_paused = true)]
async fn a_stop_leaves_untold_what_is_still_asked() {
    let script = HostScript::new().connects(Connect::Hangs);
    let bed = bed(1).script("h0", script);
    let plan = bed.plan();
    let mut asked = 0;
    let told = hand_out_with(
        bed,
        plan,
        vec![look(&[0]), sleep(60, &[])],
        |stop, message| {
            if matches!(message, UnitMessage::Next { .. }) {
                asked += 1;
                if asked == 1 {
                    stop.rollback.cancel();
                    stop.stop_starting(crate::model::CancelReason::Interrupt);
                }
            }
        },
    )
    .await;
    assert!(told.findings().is_empty());
    assert_eq!(told.when(|it| matches!(it, UnitMessage::Found(_))), None);
}

#[tokio::test(start_paused = true)]
async fn a_watched_host_that_falls_ill_ends_the_wait() {
    let mut script = HostScript::new();
    for _ in 0..10 {
        script = script.on("alive", Vec::new());
    }
    let bed = bed(2).script("h1", script.on("alive", [Act::Exits(7)]));
    let mut plan = bed.plan();
    asks(&mut plan, &[], &[check("alive")]);
    let told = hand_out(bed, plan, vec![sleep(600, &[0, 1])]).await;
    let (check, cause) = ("alive".to_owned(), "exit 7".to_owned());
    assert_eq!(told.found(1), Found::Sick { check, cause });
    let when = told.when(|it| matches!(it, UnitMessage::Found(_)));
    // Ten good answers, then two bad ones in a row.
    assert_eq!(when, Some(Duration::from_secs(12)));
    assert_eq!(told.findings().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn one_bad_answer_while_watching_is_forgiven() {
    let script = HostScript::new()
        .on("alive", [Act::Exits(7)])
        .on("alive", Vec::new());
    let bed = bed(1).script("h0", script);
    let mut plan = bed.plan();
    asks(&mut plan, &[], &[check("alive")]);
    let told = hand_out(bed, plan, vec![sleep(30, &[0])]).await;
    assert!(told.findings().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_session_that_died_is_replaced() {
    let script = HostScript::new()
        .on("work", [Act::WasLost])
        .on("work", Vec::new());
    let bed = bed(1).script("h0", script);
    let plan = bed.plan();
    let told = hand_out(bed, plan, vec![look(&[0]), start(0, &[0]), look(&[0])]).await;
    assert_eq!(told.end(0), crate::model::HostOutcome::Ok);
    assert_eq!(told.connections("h0"), 2);
}
