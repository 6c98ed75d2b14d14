//! A look without a run: what is asked, what is run, and what comes of it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::mpsc;

use crate::model::{CancelReason, HostOutcome, Stream, UnreachableKind};
use crate::plan::Plan;
use crate::run::cancel::Signal;
use crate::run::event::{EventKind, RunEvent, Trouble};
use crate::run::{Preview, preview};
use crate::transport::scripted::{Act, Asked, Connect, HostScript, Scripted};

use super::bed::Bed;
use super::errands::{asks, check};
use super::steps::{Modified as _, holds, run};

/// What was found, what was told, and what hosts were asked.
struct Seen {
    found: Preview,
    events: Vec<RunEvent>,
    transport: Scripted,
}

/// Looks at a plan, with a signal after so many seconds.
async fn looked(bed: Bed, plan: Plan, signal: Option<u64>) -> Seen {
    let folder = tempfile::tempdir().unwrap();
    let transport = Scripted::new(bed.scripts.clone());
    let events = Arc::new(Mutex::new(Vec::new()));
    let parts = bed.parts(
        transport.clone(),
        transport.clone(),
        (folder.path(), &events),
    );
    let (sender, signals) = mpsc::channel(1);
    let signalling = async {
        if let Some(seconds) = signal {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            sender.send(Signal::Interrupt).await.unwrap();
        }
    };
    let looking = preview(Arc::new(plan), parts, bed.options.clone(), signals);
    let (found, ()) = tokio::join!(looking, signalling);
    let events = std::mem::take(&mut *events.lock().unwrap());
    Seen {
        found,
        events,
        transport,
    }
}

impl Seen {
    /// The hosts of each batch, as numbers.
    fn batches(&self) -> Vec<Vec<usize>> {
        let batches = &self.found.plan.phases[0].batches;
        batches.iter().map(|batch| batch.hosts.clone()).collect()
    }

    fn shut_down(&self) -> bool {
        self.transport.connected() == 0 && self.transport.asked().contains(&Asked::Shutdown)
    }
}

#[tokio::test(start_paused = true)]
async fn steps_that_read_are_run_up_to_the_first_change_and_nothing_else() {
    let reads = |text: &str| run(text).but(|it| it.read_only = true);
    let of_h1 = reads("of h1").but(|it| it.when = Some(holds("host.label == 'h1'")));
    let steps = vec![reads("looks"), of_h1, run("changes"), reads("looks after")];
    let bed = Bed::new(2, steps).change(1, 0).with(|bed| {
        bed.before = vec![run("before")];
        bed.always = vec![run("always")];
    });
    let mut plan = bed.plan();
    asks(&mut plan, &[run("fact")], &[check("serves")]);
    let seen = looked(bed, plan, None).await;
    assert_eq!(
        seen.transport.commands_on("h0"),
        ["fact", "serves", "looks"]
    );
    assert_eq!(
        seen.transport.commands_on("h1"),
        ["fact", "serves", "looks", "of h1"]
    );
    assert_eq!(seen.batches(), [[0], [1]]);
    assert!(!seen.found.is_refused && seen.shut_down());
    let mut hosts = seen.found.hosts.iter();
    assert!(hosts.all(|host| host.steps == Some(HostOutcome::Ok) && host.trouble.is_none()));
}

#[tokio::test(start_paused = true)]
async fn sick_hosts_come_first_and_the_leader_last_as_in_a_run() {
    let says = |line: &str| vec![Act::Prints(Stream::Stdout, line.as_bytes().to_vec())];
    let leader = HostScript::new().on("mode", says("leader\n"));
    let sick = HostScript::new().on("serves", [Act::Exits(1)]);
    let bed = Bed::new(3, vec![run("changes")])
        .change(1, 0)
        .script("h0", leader)
        .script("h2", sick);
    let mut plan = bed.plan();
    let mode = run("mode").but(|it| it.register = Some("mode".to_owned()));
    asks(&mut plan, &[mode], &[check("serves")]);
    for member in &mut plan.members {
        member.last = vec![Some(holds("host.facts.mode.stdout == 'leader'"))];
    }
    let seen = looked(bed, plan, None).await;
    assert_eq!(seen.batches(), [[2], [1], [0]]);
    assert!(seen.found.plan.phases[0].batches[2].last);
    let hosts = &seen.found.hosts;
    assert!(matches!(hosts[2].trouble, Some(Trouble::Sick { .. })));
    assert_eq!(hosts[0].last, Some(true));
    assert_eq!(hosts[0].steps, None, "none of them reads");
}

#[tokio::test(start_paused = true)]
async fn where_a_run_would_not_begin_no_step_is_run() {
    let refused = Connect::Fails(Duration::ZERO, UnreachableKind::Refused);
    let silent = (0..3).fold(HostScript::new(), |script, _| {
        script.connects(refused.clone())
    });
    let reads = run("looks").but(|it| it.read_only = true);
    let bed = Bed::new(2, vec![reads]).change(1, 0).script("h1", silent);
    let plan = bed.plan();
    let seen = looked(bed, plan, None).await;
    assert!(seen.found.is_refused && seen.shut_down());
    assert!(seen.transport.commands_on("h0").is_empty());
    assert!(matches!(
        seen.found.hosts[1].trouble,
        Some(Trouble::Silent { .. })
    ));
    assert_eq!(seen.batches(), [[0], [1]], "the plan as it was");
}

#[tokio::test(start_paused = true)]
async fn a_step_that_fails_is_told_and_once_is_once() {
    let once = run("once").but(|it| {
        it.read_only = true;
        it.once = Some(crate::task::OnceFor::Rollout);
    });
    let reads = run("looks").but(|it| it.read_only = true);
    let fails = HostScript::new().on("looks", [Act::Exits(3)]);
    let bed = Bed::new(3, vec![once, reads])
        .change(1, 0)
        .script("h1", fails);
    let plan = bed.plan();
    let seen = looked(bed, plan, None).await;
    let ran = |host: &str| seen.transport.commands_on(host).len();
    assert_eq!([ran("h0"), ran("h1"), ran("h2")], [2, 1, 1]);
    let told = seen.events.iter().filter_map(|event| match &event.kind {
        EventKind::HostFinished { host, .. } => Some(host.host.as_str()),
        _ => None,
    });
    assert_eq!(told.collect::<Vec<_>>(), ["h1"]);
    assert!(matches!(
        seen.found.hosts[1].steps,
        Some(HostOutcome::Failed {
            exit_code: Some(3),
            ..
        })
    ));
}

#[tokio::test(start_paused = true)]
async fn a_signal_ends_what_is_being_asked() {
    let hangs = HostScript::new().on("looks", [Act::Waits(Duration::from_hours(1))]);
    let reads = run("looks").but(|it| it.read_only = true);
    let bed = Bed::new(2, vec![reads]).change(1, 0).all(&hangs);
    let plan = bed.plan();
    let seen = looked(bed, plan, Some(5)).await;
    assert_eq!(seen.found.stopped, Some(CancelReason::Interrupt));
    assert!(!seen.found.is_refused && seen.shut_down());
}
