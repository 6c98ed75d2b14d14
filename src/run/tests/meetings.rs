//! Hosts that wait for each other, that run a step for each other, and that run one elsewhere.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use crate::model::{CancelReason, HostOutcome, Stream, Zone};
use crate::run::errand::Errand;
use crate::run::journal::Fact;
use crate::run::message::UnitMessage;
use crate::task::{OnResume, OnceFor, Step, StepPlace};
use crate::transport::scripted::{Act, Asked, Connect, HostScript};

use super::bed::Bed;
use super::errands::{Told, hand_out, hand_out_with, look, start};
use super::steps::{Modified as _, expression, group, holds, run};

fn barrier(command: &str) -> Step {
    run(command).but(|it| it.barrier = true)
}

fn slow(seconds: u64) -> HostScript {
    HostScript::new().on("work", [Act::Waits(Duration::from_secs(seconds))])
}

/// Where a command on a host stands among all that was asked.
fn position(told: &Told, host: &str, command: &str) -> usize {
    let wanted = Asked::Exec(host.to_owned(), command.to_owned());
    let found = told.transport.asked().iter().position(|it| *it == wanted);
    found.unwrap_or_else(|| panic!("{command} on {host}"))
}

#[tokio::test(start_paused = true)]
async fn nobody_passes_a_barrier_before_all_have_come() {
    // One place: who waits gives it up.
    let bed = Bed::new(3, vec![run("work"), barrier("next")])
        .change(3, 0)
        .all(&slow(10))
        .with(|bed| bed.options.fanout = NonZeroUsize::new(1).unwrap());
    let plan = bed.plan();
    let told = hand_out(bed, plan, vec![start(0, &[0, 1, 2])]).await;
    assert_eq!(told.ends().len(), 3);
    let last = position(&told, "h2", "work");
    for host in ["h0", "h1", "h2"] {
        assert!(position(&told, host, "next") > last, "{host}");
    }
}

#[tokio::test(start_paused = true)]
async fn hosts_that_fail_or_skip_keep_nobody_at_a_barrier() {
    let steps = vec![
        run("work"),
        barrier("next").but(|it| it.when = Some(holds("host.label != 'h2'"))),
        group("inner", vec![barrier("inside")], Vec::new(), Vec::new())
            .but(|it| it.when = Some(holds("host.label == 'h0'"))),
        run("end"),
    ];
    let bed = Bed::new(3, steps)
        .change(3, 9)
        .script("h1", HostScript::new().on("work", [Act::Exits(1)]));
    let plan = bed.plan();
    let told = hand_out(bed, plan, vec![start(0, &[0, 1, 2])]).await;
    assert_eq!(
        told.transport.commands_on("h0"),
        ["work", "next", "inside", "end"]
    );
    assert_eq!(told.transport.commands_on("h1"), ["work"]);
    assert_eq!(told.transport.commands_on("h2"), ["work", "end"]);
}

#[tokio::test(start_paused = true)]
async fn results_of_all_are_there_after_a_barrier() {
    let says =
        |text: &str| HostScript::new().on("work", [Act::Prints(Stream::Stdout, text.into())]);
    let steps = vec![
        run("work").but(|it| it.register = Some("work".to_owned())),
        barrier("see {{ results.work.h0.stdout }}{{ results.work.h1.stdout }}"),
    ];
    let bed = Bed::new(2, steps)
        .change(2, 0)
        .script("h0", says("one"))
        .script("h1", says("two"));
    let plan = bed.plan();
    let told = hand_out(bed, plan, vec![start(0, &[0, 1])]).await;
    for host in ["h0", "h1"] {
        assert_eq!(told.transport.commands_on(host)[1], "see 'one''two'");
    }
}

/// What a host came to in an earlier process is there for those whose turn comes in a later one.
#[tokio::test(start_paused = true)]
async fn results_are_there_after_a_barrier_in_a_later_process_too() {
    let says = |text: &str| {
        let prints = |text: &str| [Act::Prints(Stream::Stdout, text.into())];
        HostScript::new()
            .on("work", prints(text))
            .on("hush", prints("hunter22"))
    };
    let see = |quiet: &str| {
        barrier(&format!("see {{{{ results.work.h0.stdout }}}}{quiet}"))
            .but(|it| it.resume = Some(OnResume::Rerun))
    };
    let bed = |quiet: &str| {
        let named = |name: &'static str| run(name).but(|it| it.register = Some(name.to_owned()));
        let hush = named("hush").but(|it| it.quiet = true);
        Bed::new(2, vec![named("work"), hush, see(quiet)])
            .change(1, 0)
            .script("h0", says("one"))
            .script("h1", says("two"))
    };
    let (whole, facts) = bed("").play_kept().await;
    assert_eq!(whole.transport.commands_on("h1")[2], "see 'one'");
    let text = serde_json::to_string(&facts).unwrap();
    assert!(!text.contains("hunter22"), "{text}");
    let cut = |is_last: &dyn Fn(&Fact) -> bool| {
        let last = facts.iter().position(is_last).expect("it happened");
        Some(Arc::new(crate::journal::replay(&facts[..=last])))
    };
    // The first host is done.
    let is_end = |fact: &Fact| matches!(fact, Fact::HostFinished { .. });
    let again = bed("").with(|bed| bed.options.progress = cut(&is_end));
    let again = again.play().await;
    assert_eq!(again.transport.commands_on("h0"), [""; 0]);
    assert_eq!(again.transport.commands_on("h1")[2], "see 'one'");
    // It did one step, and had not met anybody.
    let is_step = |fact: &Fact| matches!(fact, Fact::StepFinished { .. });
    let again = bed("").with(|bed| bed.options.progress = cut(&is_step));
    let again = again.play().await;
    assert_eq!(again.transport.commands_on("h0"), ["hush", "see 'one'"]);
    // What is quiet was not kept, and is not taken for empty.
    let quiet = bed("{{ results.hush.h0.stdout }}");
    let again = quiet.with(|bed| bed.options.progress = cut(&is_end));
    let again = again.play().await;
    assert_eq!(again.words(), ["ok", "failed"]);
    assert!(
        again.cause("h1").contains("not known"),
        "{}",
        again.cause("h1")
    );
}

#[tokio::test(start_paused = true)]
async fn once_for_a_zone_runs_in_each_zone_over_all_its_batches() {
    let steps = vec![run("migrate").but(|it| it.once = Some(OnceFor::Zone))];
    let bed = Bed::new(4, steps).change(2, 0);
    let mut plan = bed.plan();
    for (host, zone) in plan.population.iter_mut().zip(["a", "b", "a", "b"]) {
        Arc::make_mut(host).zone = Some(Zone::new(zone));
    }
    for (plan_of, host) in plan.phases[0].hosts.iter_mut().zip(&plan.population) {
        plan_of.host = Arc::clone(host);
    }
    let told = hand_out(bed, plan, vec![start(0, &[0, 1]), start(1, &[2, 3])]).await;
    let runs = ["h0", "h1", "h2", "h3"].map(|host| told.transport.commands_on(host).len());
    assert_eq!(runs, [1, 1, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn once_for_a_batch_runs_in_each_batch_and_in_each_pass_of_a_loop() {
    let once = run("migrate {{ item }}").but(|it| it.once = Some(OnceFor::Batch));
    let steps = vec![
        group("both", vec![once], Vec::new(), Vec::new())
            .but(|it| it.loop_over = Some(expression("[1, 2]"))),
    ];
    let bed = Bed::new(4, steps).change(2, 0);
    let plan = bed.plan();
    let told = hand_out(bed, plan, vec![start(0, &[0, 1]), start(1, &[2, 3])]).await;
    for host in ["h0", "h2"] {
        assert_eq!(
            told.transport.commands_on(host),
            ["migrate '1'", "migrate '2'"]
        );
    }
    assert!(told.transport.commands_on("h1").is_empty());
}

#[tokio::test(start_paused = true)]
async fn any_healthy_is_another_host_outside_the_batch_over_its_own_connection() {
    let steps = vec![
        run("enable").but(|it| it.place = StepPlace::AnyHealthy),
        run("work"),
    ];
    let sick = Connect::Fails(Duration::ZERO, crate::model::UnreachableKind::Refused);
    let script = (0..9).fold(HostScript::new(), |script, _| script.connects(sick.clone()));
    let bed = Bed::new(4, steps).change(2, 0).script("h2", script);
    let plan = bed.plan();
    let told = hand_out(bed, plan, vec![look(&[0, 1, 2, 3]), start(0, &[0, 1])]).await;
    assert_eq!(told.transport.commands_on("h3"), ["enable", "enable"]);
    assert_eq!(told.transport.commands_on("h0"), ["work"]);
    assert_eq!(told.connections("h3"), 1);
    assert!(told.log("h0").contains("on h3"), "{}", told.log("h0"));
}

#[tokio::test(start_paused = true)]
async fn without_a_healthy_host_the_step_fails_and_says_so() {
    let steps = vec![run("enable").but(|it| it.place = StepPlace::AnyHealthy)];
    let bed = Bed::new(2, steps).change(1, 0);
    let plan = bed.plan();
    let told = hand_out(bed, plan, vec![start(0, &[0])]).await;
    let HostOutcome::Failed { cause, .. } = told.end(0) else {
        panic!("{:?}", told.end(0));
    };
    assert_eq!(cause, "there is no healthy host to run it on");
}

#[tokio::test(start_paused = true)]
async fn a_selector_takes_the_host_itself_before_others() {
    let terms = |word: &str| StepPlace::Selected(vec![word.parse().expect("a selector word")]);
    for (word, on) in [("name=h1", "h1"), ("name=h2", "h2")] {
        let steps = vec![run("enable").but(|it| it.place = terms(word))];
        let bed = Bed::new(3, steps).change(1, 0);
        let plan = bed.plan();
        let told = hand_out(bed, plan, vec![look(&[0, 1, 2]), start(0, &[1])]).await;
        assert_eq!(told.transport.commands_on(on), ["enable"], "{word}");
        assert_eq!(told.end(1), HostOutcome::Ok);
    }
}

#[tokio::test(start_paused = true)]
async fn a_step_for_the_controller_runs_there() {
    let steps = vec![run("tell").but(|it| it.place = StepPlace::Controller)];
    let bed = Bed::new(1, steps).change(1, 0);
    let plan = bed.plan();
    let told = hand_out(bed, plan, vec![start(0, &[0])]).await;
    assert_eq!(told.transport.commands_on("@controller"), ["tell"]);
    assert!(told.transport.commands_on("h0").is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_end_of_what_runs_reaches_those_who_wait_at_a_barrier() {
    let hangs = HostScript::new().on("work", [Act::HangsUntilStopped { confirmed: true }]);
    let bed = Bed::new(2, vec![run("work"), barrier("next")])
        .change(2, 0)
        .script("h1", hangs);
    let plan = bed.plan();
    let mut waiting = 0;
    let told = hand_out_with(bed, plan, vec![start(0, &[0, 1])], |stop, message| {
        // The first host has come to the barrier, the second is at work.
        if matches!(message, UnitMessage::StepFinished { host: Some(0), .. }) {
            waiting += 1;
            stop.stop_starting(CancelReason::Interrupt);
            stop.end_groups();
        }
    })
    .await;
    assert_eq!(waiting, 1);
    for (host, outcome) in told.ends() {
        assert_eq!(outcome.word(), "cancelled", "{host}");
    }
    assert!(told.transport.commands_on("h0").len() == 1);
}

#[tokio::test(start_paused = true)]
async fn hosts_are_looked_at_while_others_are_at_work() {
    let bed = Bed::new(2, vec![run("work")])
        .change(2, 0)
        .script("h0", slow(60));
    let plan = bed.plan();
    let told = hand_out(bed, plan, vec![start(0, &[0]), look(&[1])]).await;
    let found = told.when(|it| matches!(it, UnitMessage::Found(_)));
    assert_eq!(found, Some(Duration::ZERO));
    let ended = told.when(|it| matches!(it, UnitMessage::HostEnded { .. }));
    assert_eq!(ended, Some(Duration::from_mins(1)));
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_at_a_barrier_for_a_host_that_was_not_handed_out() {
    let bed = Bed::new(3, vec![run("work"), barrier("next")]).change(3, 0);
    let plan = bed.plan();
    let Errand::Start(whole) = start(0, &[0, 1, 2]) else {
        panic!("a start");
    };
    let some = Errand::Start(crate::run::errand::Start {
        hosts: vec![0, 1],
        ..whole
    });
    let told = tokio::time::timeout(Duration::from_hours(1), hand_out(bed, plan, vec![some]));
    let told = told.await.expect("they do not wait for ever");
    assert_eq!(told.ends().len(), 2);
}
