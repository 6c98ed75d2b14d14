//! What one process of a run leaves to the next, case by case: each begins with the facts that are on disk.

use std::sync::Arc;

use indexmap::IndexMap;

use crate::journal::replay;
use crate::model::{HostId, HostOutcome, Secret};
use crate::plan::Plan;
use crate::run::event::{RunSummary, StepResult};
use crate::run::journal::{Fact, Journal as _, Kept, Mark, Part, Process};
use crate::run::tests::bed::Bed;
use crate::run::tests::steps::{Modified as _, run, step, text};
use crate::task::{Action, Local, OnResume, ParamValue, Quoting, RunProgram, Step};

use super::disk::Disk;
use super::laws::{opening, resumed_with};
use super::runtime;
use super::world::{CONTROLLER, Nature, World};

fn mark(id: &str) -> Mark {
    Mark {
        part: Part::Steps(0),
        id: id.into(),
        passes: Vec::new(),
        once: None,
    }
}

fn host() -> HostId {
    HostId::new("h0")
}

fn begins() -> Fact {
    Fact::HostStarted {
        host: host(),
        phase: 0,
        afresh: true,
    }
}

fn started(id: &str) -> Fact {
    Fact::StepStarted {
        host: Some(host()),
        step: mark(id),
        changes: true,
    }
}

fn finished(id: &str, result: StepResult, register: Option<Kept>) -> Fact {
    Fact::StepFinished {
        host: Some(host()),
        step: mark(id),
        result,
        register: register.map(Box::new),
    }
}

fn ok() -> StepResult {
    StepResult::Ok {
        exit_code: Some(0),
        changed: None,
    }
}

fn failed() -> StepResult {
    StepResult::Failed {
        exit_code: Some(3),
        cause: "exit 3".to_owned(),
    }
}

/// A step whose command is its id's.
fn named(id: &str, command: &str) -> Step {
    let mut step = run(command);
    step.id = id.to_owned();
    step.name = text(id, Quoting::Plain);
    step
}

fn registers(step: Step, name: &str) -> Step {
    let name = name.to_owned();
    step.but(|modifiers| modifiers.register = Some(name))
}

/// Goes on with a run of one host that left these facts; what it came to, and what it kept.
fn goes_on(bed: Bed, facts: Vec<Fact>, world: &World) -> (Arc<RunSummary>, Vec<Fact>) {
    let bed = bed.change(1, 0);
    let plan = Arc::new(bed.plan());
    goes_on_with(&bed, plan, facts, world)
}

fn goes_on_with(
    bed: &Bed,
    plan: Arc<Plan>,
    facts: Vec<Fact>,
    world: &World,
) -> (Arc<RunSummary>, Vec<Fact>) {
    let before: Vec<Fact> = [opening(&plan)].into_iter().chain(facts).collect();
    let progress = replay(&before);
    let disk = Disk::endless(before);
    disk.note(Fact::RunResumed {
        process: Process { pid: 2, started: 1 },
        gone: Vec::new(),
        added: Vec::new(),
    });
    let playing = resumed_with((bed, plan), world, &disk, Some(progress));
    let summary = runtime().block_on(playing);
    (summary.expect("nothing kills it"), disk.facts())
}

fn sent(world: &World) -> Vec<String> {
    world
        .sent_last()
        .into_iter()
        .map(|sent| sent.text)
        .collect()
}

fn cause(summary: &RunSummary) -> String {
    let host = summary.hosts.values().next().expect("a host");
    host.cause.clone().unwrap_or_default()
}

fn sets(value: &str) -> Vec<Step> {
    let variables = IndexMap::from([("v".to_owned(), text(value, Quoting::Plain))]);
    vec![
        step("sets", Action::Set(variables)),
        named("puts", "put puts {{ v }}"),
    ]
}

#[test]
fn a_variable_keeps_the_value_that_earlier_steps_saw() {
    let world = World::new(Nature::default());
    let kept = Kept {
        ok: true,
        variables: IndexMap::from([("v".to_owned(), "first".into())]),
        ..Kept::default()
    };
    let facts = vec![
        begins(),
        started("sets"),
        finished("sets", ok(), Some(kept)),
    ];
    let (_, facts) = goes_on(Bed::new(1, sets("second")), facts, &world);
    assert_eq!(world.hosts()["h0"].values["puts"], "first");
    // Another host sets its own, and that is kept.
    let (_, whole) = goes_on(Bed::new(1, sets("second")), Vec::new(), &world);
    let kept = |facts: &[Fact]| {
        let kept = facts.iter().filter_map(|fact| match fact {
            Fact::StepFinished { register, .. } => register.clone(),
            _ => None,
        });
        kept.map(|kept| kept.variables["v"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(kept(&facts), ["first"]);
    assert_eq!(kept(&whole), ["second"]);
}

#[test]
fn a_variable_with_a_secret_in_it_is_set_again() {
    let world = World::new(Nature::default());
    let bed = || {
        Bed::new(1, sets("see-hunter22")).with(|bed| {
            let secret = ParamValue::Secret(Secret::new("hunter22"));
            bed.params.insert("password".to_owned(), secret);
        })
    };
    let (_, facts) = goes_on(bed(), Vec::new(), &world);
    let text = serde_json::to_string(&facts).unwrap();
    assert!(!text.contains("hunter22"), "{text}");
    let facts = vec![begins(), started("sets"), finished("sets", ok(), None)];
    goes_on(bed(), facts, &world);
    assert_eq!(world.hosts()["h0"].values["puts"], "see-hunter22");
}

/// What a step printed that was taken as done is not made up.
#[test]
fn output_that_was_lost_fails_who_reads_it_and_nobody_else() {
    let reads = || registers(named("reads", "add reads"), "r");
    let world = World::new(Nature::default());
    world.did("h0", "add reads");
    let facts = || vec![begins(), started("reads")];
    let steps = vec![reads(), named("puts", "put puts a{{ r.stdout }}")];
    let (summary, _) = goes_on(Bed::new(1, steps), facts(), &world);
    assert!(
        cause(&summary).contains("what `r` printed is not known"),
        "{}",
        cause(&summary)
    );
    assert!(sent(&world).is_empty());
    let steps = vec![reads(), named("puts", "put puts {{ r.ok }}")];
    let (summary, _) = goes_on(Bed::new(1, steps), facts(), &world);
    assert_eq!(summary.state, "done");
    assert_eq!(sent(&world), ["put puts true"]);
}

#[test]
fn a_quiet_step_that_only_reads_is_run_again_and_another_one_asked_about() {
    let quiet = |step: Step| registers(step.but(|modifiers| modifiers.quiet = true), "r");
    let withheld = Kept {
        name: Some("r".to_owned()),
        withheld: true,
        ok: true,
        ..Kept::default()
    };
    let facts = || {
        vec![
            begins(),
            started("q"),
            finished("q", ok(), Some(withheld.clone())),
        ]
    };
    let puts = || named("puts", "put puts {{ r.stdout }}");
    let world = World::new(Nature::default());
    let reads = quiet(named("q", "get release")).but(|modifiers| modifiers.read_only = true);
    goes_on(Bed::new(1, vec![reads, puts()]), facts(), &world);
    assert_eq!(sent(&world), ["get release", "put puts none"]);
    // Whoever is asked says that it is done: then nobody knows what it said.
    world.did("h0", "add q");
    let adds = quiet(named("q", "add q"));
    let (summary, _) = goes_on(Bed::new(1, vec![adds, puts()]), facts(), &world);
    assert!(
        cause(&summary).contains("is not known"),
        "{}",
        cause(&summary)
    );
    assert_eq!(world.hosts()["h0"].counts["q"], 1);
}

/// A failed host, and one whose task says where to go on.
#[test]
fn a_failed_host_begins_anew_or_where_it_failed() {
    let steps = || {
        let always = Bed::new(1, vec![named("one", "add one"), named("two", "add two")]);
        always.with(|bed| bed.always = vec![named("last", "add last")])
    };
    let facts = || {
        let outcome = HostOutcome::Failed {
            step: "two".to_owned(),
            exit_code: Some(3),
            cause: "exit 3".to_owned(),
        };
        vec![
            begins(),
            started("one"),
            finished("one", ok(), None),
            started("two"),
            finished("two", failed(), None),
            started("last"),
            finished("last", ok(), None),
            Fact::HostFinished {
                host: host(),
                outcome,
            },
            Fact::RunFinished {
                state: "failed".to_owned(),
                exit: 4,
            },
        ]
    };
    for (from_failed, expected) in [
        (false, &["add one", "add two", "add last"][..]),
        (true, &["add two", "add last"]),
    ] {
        let world = World::new(Nature::default());
        let bed = steps().change(1, 0);
        let mut plan = bed.plan();
        Arc::make_mut(&mut plan.task).from_failed = from_failed;
        let (summary, facts) = goes_on_with(&bed, Arc::new(plan), facts(), &world);
        assert_eq!(summary.state, "done");
        assert_eq!(sent(&world), expected);
        // A third process knows the same.
        let host = &replay(&facts).hosts[&host()];
        assert!(
            host.steps
                .values()
                .all(|step| step.is_ended() && !step.has_failed())
        );
    }
}

/// Hosts see what a step before all of them registered, whichever process ran it.
#[test]
fn what_was_registered_on_this_machine_reaches_hosts_in_a_later_process_too() {
    let program = RunProgram::Shell(text("get release", Quoting::Shell));
    let reads = registers(step("reads", Action::Local(Local { program })), "r");
    let bed = || {
        let bed = Bed::new(1, vec![named("puts", "put puts {{ r.stdout }}")]);
        bed.with(|bed| bed.before = vec![reads.clone()])
    };
    let world = World::new(Nature::default());
    world.did(CONTROLLER, "switch it v1");
    let (_, facts) = goes_on(bed(), Vec::new(), &world);
    assert_eq!(world.hosts()["h0"].values["puts"], "v1");
    let passed = |fact: &Fact| matches!(fact, Fact::SectionPassed { .. });
    let passed = facts.iter().position(passed).expect("it passed");
    world.did(CONTROLLER, "switch it v2");
    world.did("h0", "put puts nothing");
    goes_on(bed(), facts[2..=passed].to_vec(), &world);
    assert_eq!(sent(&world), ["put puts v1"]);
}

/// Nobody reads it: neither is it kept, nor missed.
#[test]
fn a_register_that_no_step_reads_is_not_kept() {
    let world = World::new(Nature::default());
    let steps = vec![
        registers(named("one", "get release"), "unread"),
        registers(named("two", "get release"), "read"),
        named("puts", "put puts {{ read.stdout }}"),
    ];
    let (_, facts) = goes_on(Bed::new(1, steps), Vec::new(), &world);
    let text = serde_json::to_string(&facts).unwrap();
    assert!(
        text.contains(r#""name":"read""#) && !text.contains("unread"),
        "{text}"
    );
}

/// Where a step runs, its check is asked.
#[test]
fn a_check_of_a_step_on_this_machine_is_asked_there() {
    let program = RunProgram::Shell(text("add here", Quoting::Shell));
    let here = step("here", Action::Local(Local { program })).but(|modifiers| {
        modifiers.resume = Some(OnResume::Check);
        modifiers.check = Some(text("has here", Quoting::Shell));
    });
    for done in [false, true] {
        let world = World::new(Nature::default());
        if done {
            world.did(CONTROLLER, "add here");
        }
        let facts = vec![begins(), started("here")];
        goes_on(Bed::new(1, vec![here.clone()]), facts, &world);
        assert_eq!(world.hosts()[CONTROLLER].counts["here"], 1);
        assert!(world.sent_last().iter().all(|sent| sent.host == CONTROLLER));
    }
}

/// A host that started over and was cut off before its first step still knows what it has to come back to.
#[test]
fn a_rollback_sees_the_first_value_after_the_host_started_over() {
    let world = World::new(Nature::default());
    let reads = registers(named("reads", "get release"), "previous");
    let reads = reads.but(|modifiers| modifiers.sticky = true);
    let bed = Bed::new(1, vec![reads, named("two", "add two")]);
    let bed = bed.with(|bed| bed.rollback = vec![named("undo", "put undo {{ previous.stdout }}")]);
    let kept = Kept {
        name: Some("previous".to_owned()),
        sticky: true,
        ok: true,
        stdout: "v1".to_owned(),
        ..Kept::default()
    };
    let outcome = HostOutcome::Failed {
        step: "two".to_owned(),
        exit_code: Some(3),
        cause: "exit 3".to_owned(),
    };
    let facts = vec![
        begins(),
        started("reads"),
        finished("reads", ok(), Some(kept)),
        started("two"),
        finished("two", failed(), None),
        Fact::HostFinished {
            host: host(),
            outcome,
        },
        begins(),
        Fact::RollbackStarted {
            hosts: vec![host()],
        },
    ];
    let (summary, _) = goes_on(bed, facts, &world);
    assert_eq!(summary.state, "rolled_back");
    assert_eq!(world.hosts()["h0"].values["undo"], "v1");
}

/// What is left as it is was no lost connection; a host that left the inventory meanwhile is half done, not well.
#[test]
fn what_was_interrupted_and_is_not_come_to_again_is_called_that() {
    let facts = vec![begins(), started("two")];
    let asks = named("two", "put two x").but(|it| it.resume = Some(OnResume::Ask));
    let bed = Bed::new(1, vec![asks]).change(1, 0).with(|bed| {
        bed.says = false;
        bed.options.progress = Some(Arc::new(replay(&facts)));
    });
    let played = runtime().block_on(bed.play());
    assert_eq!(played.words(), ["unknown"]);
    assert_eq!(
        played.cause("h0"),
        "interrupted, and left as it is; whether it finished is not known"
    );

    let mut progress = replay(&facts);
    let other = HostId::new("h9");
    let half = progress.hosts[&host()].clone();
    progress.hosts = [(other.clone(), half.clone())].into();
    progress.told.gone = vec![crate::run::progress::GoneHost {
        host: crate::run::event::HostRef {
            host: crate::model::Label::new("h9"),
            id: other,
        },
        zone: crate::model::Zone::none(),
        outcome: half.gone(),
    }];
    let bed = Bed::new(1, vec![named("one", "add one")]).change(1, 0);
    let bed = bed.with(|bed| bed.options.progress = Some(Arc::new(progress)));
    let played = runtime().block_on(bed.play());
    assert_eq!(played.words(), ["ok", "unknown"]);
    assert_eq!(
        (played.exit(), played.summary.state.as_str()),
        (1, "done_partial")
    );
    assert!(
        played
            .cause("h9")
            .starts_with("half done, and not in the inventory any more")
    );
}
