//! A run that dies, and the processes that go on with it: what must hold of what they did.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::prelude::*;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::journal::replay;
use crate::model::{Doubt, HostId, HostOutcome};
use crate::plan::Plan;
use crate::run::event::{RunSummary, StepResult};
use crate::run::journal::{Fact, Mark, Opening, Part, Process};
use crate::run::progress::{HostProgress, Progress, Standing, StepProgress};
use crate::run::{Parts, RunOptions, execute};

use crate::run::tests::bed::Bed;

use super::case::Case;
use super::disk::{Death, Disk};
use super::world::{Contents, World};

/// No run of these takes as long.
const FOR_EVER: Duration = Duration::from_hours(24 * 30);

/// What a run without any trouble came to.
#[derive(Debug)]
pub(super) struct Whole {
    pub(super) facts: Vec<Fact>,
    summary: Arc<RunSummary>,
    hosts: BTreeMap<String, Contents>,
}

/// Where a process dies: so many facts after those that it found.
#[derive(Debug, Clone, Copy)]
pub(super) struct Crash {
    pub(super) after: usize,
    pub(super) death: Death,
}

pub(in crate::run::tests) fn opening(plan: &Plan) -> Fact {
    Fact::RunStarted(Box::new(Opening {
        task: "work".to_owned(),
        task_hash: String::new(),
        changes: true,
        population: plan.targets.clone(),
        targets: plan.targets.clone(),
        retries: None,
        process: Process { pid: 1, started: 1 },
        typed: serde_json::Value::Null,
    }))
}

fn resumed(number: u32) -> Fact {
    Fact::RunResumed {
        process: Process {
            pid: number,
            started: 1,
        },
        gone: Vec::new(),
        added: Vec::new(),
    }
}

/// Plays until the end, or until the process dies.
async fn play(
    case: &Case,
    world: &World,
    disk: &Arc<Disk>,
    progress: Option<Progress>,
) -> Option<Arc<RunSummary>> {
    let bed = case.bed();
    let plan = case.plan(&bed);
    resumed_with((&bed, plan), world, disk, progress).await
}

/// Plays a plan, where an earlier process left it.
pub(super) async fn resumed_with(
    (bed, plan): (&Bed, Arc<Plan>),
    world: &World,
    disk: &Arc<Disk>,
    progress: Option<Progress>,
) -> Option<Arc<RunSummary>> {
    let folder = tempfile::tempdir().unwrap();
    let events = Arc::new(Mutex::new(Vec::new()));
    let scripted = crate::transport::scripted::Scripted::default();
    let parts = bed.parts(world.clone(), scripted, (folder.path(), &events));
    let parts = Parts {
        transport: parts.transport,
        local: world.clone(),
        engine: parts.engine,
        sink: parts.sink,
        record: parts.record,
        journal: Arc::clone(disk) as Arc<_>,
        prompt: world.clone(),
    };
    let options = RunOptions {
        undo: progress
            .as_ref()
            .is_some_and(|progress| progress.rolling_back.is_some()),
        progress: progress.map(Arc::new),
        ..bed.options.clone()
    };
    world.process(disk);
    let (_sender, signals) = mpsc::channel(1);
    let running = execute(plan, parts, options, signals);
    tokio::select! {
        biased;
        () = disk.dead.cancelled() => None,
        summary = timeout(FOR_EVER, running) => summary.ok(),
    }
}

pub(super) async fn whole(case: &Case) -> Whole {
    let world = World::new(case.nature());
    let first = vec![opening(&case.plan(&case.bed()))];
    let disk = Disk::endless(first);
    let summary = play(case, &world, &disk, None).await;
    Whole {
        facts: disk.facts(),
        summary: summary.expect("nothing kills it"),
        hosts: world.hosts(),
    }
}

/// Lets a run die, and each process that goes on with it, but for the last one; and compares.
pub(super) async fn check(
    case: &Case,
    crashes: &[Crash],
    whole: &Whole,
) -> Result<(), TestCaseError> {
    let world = World::new(case.nature());
    let mut facts = vec![opening(&case.plan(&case.bed()))];
    let mut progress = None;
    let mut ends = None;
    let deaths = crashes.iter().map(Some).chain([None]);
    for (crash, number) in deaths.zip(1..) {
        if let Some(progress) = &progress {
            let Progress { ended, .. } = progress;
            if ended.is_some() {
                break;
            }
            facts.push(resumed(number));
        }
        let before = facts.len();
        let disk = match crash {
            Some(crash) => Disk::new(facts, before + crash.after, crash.death),
            None => Disk::endless(facts),
        };
        ends = play(case, &world, &disk, progress.clone()).await.or(ends);
        facts = disk.facts();
        prop_assert_eq!(world.unwritten(), Vec::new(), "sent before it was kept");
        if let Some(progress) = &progress {
            no_repetition(progress, &facts[before..], &world)?;
            urgent_first(progress, &facts[before..])?;
            bakes_in_full(case, &facts[before..])?;
            if is_stopping(&facts[..before]) {
                stays_stopped(progress, &facts[before..])?;
            }
        }
        progress = Some(replay(&facts));
    }
    let progress: Progress = progress.expect("a process ran");
    nothing_left_out(case, &progress)?;
    let Some(ends) = ends else {
        // It died on its last word, after which there is nothing to go on with.
        let state = progress.ended.map(|(state, _)| state);
        prop_assert_eq!(state.as_deref(), Some(&*whole.summary.state));
        return Ok(());
    };
    same_end(case, (whole, &facts), (&ends, &world.hosts()))
}

/// Of the phase that is gone on with, hosts that are half done come first, then those that failed.
fn urgent_first(before: &Progress, after: &[Fact]) -> Result<(), TestCaseError> {
    let mut first = None;
    let mut last = None;
    let mut seen = HashSet::new();
    for fact in after {
        let Fact::HostStarted { host, phase, .. } = fact else {
            continue;
        };
        if *first.get_or_insert(*phase) != *phase {
            break;
        }
        if seen.insert(host) {
            let urgency = before.hosts[host].urgency();
            prop_assert!(
                last <= urgency,
                "{:?}: {:?} after {:?}",
                host,
                urgency,
                last
            );
            last = urgency;
        }
    }
    Ok(())
}

/// A pause that was cut short is not left out, nor is it taken as over: in each process it comes between a batch
/// that ends there and the next one.
fn bakes_in_full(case: &Case, after: &[Fact]) -> Result<(), TestCaseError> {
    let mut baked = false;
    let mut closed = None;
    for fact in after {
        match fact {
            Fact::Bake { .. } => baked = true,
            Fact::BatchClosed { phase, .. } => closed = Some((*phase, std::mem::take(&mut baked))),
            Fact::BatchStarted { phase, batch } => {
                let unbaked = closed.take() == Some((*phase, false));
                prop_assert!(!(case.bakes && unbaked), "no pause before {:?}", batch);
            }
            _ => {}
        }
    }
    Ok(())
}

/// Whether a run was stopped by one of its rules, and has not come to its end.
fn is_stopping(facts: &[Fact]) -> bool {
    let mut last = facts.iter().rev();
    let last = last.find(|fact| matches!(fact, Fact::Stop { .. } | Fact::RunFinished { .. }));
    matches!(last, Some(Fact::Stop { .. }))
}

/// A run that was stopped stays so: what was at work ends, and nothing else begins.
fn stays_stopped(before: &Progress, after: &[Fact]) -> Result<(), TestCaseError> {
    for fact in after {
        match fact {
            Fact::HostStarted { host, afresh, .. } => {
                let was_at_work = before.hosts[host].standing == Standing::Begun;
                prop_assert!(was_at_work && !afresh, "begins: {:?}", host);
            }
            Fact::RunFinished { state, .. } => {
                let ends = ["failed", "rolled_back", "rollback_failed"];
                prop_assert!(ends.contains(&state.as_str()), "ends as {}", state);
            }
            Fact::BatchClosed { .. } | Fact::Bake { .. } | Fact::GateAsked { .. } => {
                prop_assert!(false, "goes on: {:?}", fact);
            }
            _ => {}
        }
    }
    Ok(())
}

fn is_ok(step: &StepProgress) -> bool {
    matches!(
        step,
        StepProgress::Ended {
            result: StepResult::Ok { .. } | StepResult::Skipped,
            ..
        }
    )
}

/// Hosts that begin a phase from its first step.
fn starts(facts: &[Fact]) -> HashMap<(&HostId, usize), usize> {
    let mut starts = HashMap::new();
    for fact in facts {
        if let Fact::HostStarted {
            host,
            phase,
            afresh: true,
        } = fact
        {
            *starts.entry((host, *phase)).or_default() += 1;
        }
    }
    starts
}

/// Steps that passed, on hosts that do not start over in their phase, are not run by a later process: neither
/// by what it keeps, nor by what hosts see.
fn no_repetition(before: &Progress, after: &[Fact], world: &World) -> Result<(), TestCaseError> {
    let starts = starts(after);
    let of_host = |(host, of): (&HostId, &HostProgress)| -> Vec<(Option<HostId>, Mark)> {
        let steps = of.steps.iter().filter(|(mark, step)| {
            let Part::Steps(phase) = mark.part else {
                return is_ok(step);
            };
            is_ok(step) && !starts.contains_key(&(host, phase))
        });
        steps
            .map(|(mark, _)| (Some(host.clone()), mark.clone()))
            .collect()
    };
    let own = before.hosts.iter().flat_map(of_host);
    let shared = before.shared.iter().filter(|(_, step)| is_ok(step));
    let shared = shared.map(|(mark, _)| (None, mark.clone()));
    let done: HashSet<_> = own.chain(shared).collect();
    for fact in after {
        if let Fact::StepStarted {
            host,
            step,
            changes: true,
        } = fact
        {
            let host = host.clone().filter(|_| step.once.is_none());
            prop_assert!(
                !done.contains(&(host, step.clone())),
                "ran again: {:?}",
                fact
            );
        }
    }
    let is_done = |host: &str, key: &str| {
        done.iter().any(|(of, mark)| {
            let of = of.as_ref().map(HostId::as_str);
            of == Some(host) && mark.passes.is_empty() && *mark.id == *key
        })
    };
    for sent in world.sent_last() {
        let mut words = sent.text.split_whitespace();
        let (verb, key) = (words.next().unwrap(), words.next().unwrap());
        let again = !["get", "has"].contains(&verb) && is_done(&sent.host, key);
        prop_assert!(!again, "sent again: {:?}", sent);
    }
    Ok(())
}

/// Every step of every host that ended well is known to have passed.
fn nothing_left_out(case: &Case, progress: &Progress) -> Result<(), TestCaseError> {
    let bed = case.bed();
    let plan = case.plan(&bed);
    for (id, host) in &progress.hosts {
        if host.standing != Standing::Ended(HostOutcome::Ok) {
            continue;
        }
        for (number, phase) in plan.phases.iter().enumerate() {
            for step in phase.hosts[0].steps.iter() {
                let is_it = |mark: &&Mark| {
                    let inner = mark.id.strip_prefix(&step.id);
                    mark.part == Part::Steps(number) && inner.is_some_and(|rest| rest.len() < 2)
                };
                let mut own = host.steps.iter().filter(|(mark, _)| is_it(mark));
                let shared = step.modifiers.once.is_some()
                    && progress.settled.keys().any(|mark| is_it(&mark));
                let passed = own.any(|(_, step)| is_ok(step)) || shared;
                prop_assert!(passed, "{} left out on {:?}", step.id, id);
            }
        }
    }
    Ok(())
}

fn words(summary: &RunSummary) -> Vec<(&str, &str, &str)> {
    let hosts = summary.hosts.iter();
    hosts
        .map(|(label, host)| {
            let rollback = host.rollback.as_deref().unwrap_or_default();
            (label.as_str(), host.outcome.as_str(), rollback)
        })
        .collect()
}

/// What was counted on a host, but for what any other might have done in its place.
fn own_keys<'a>(case: &Case, contents: &'a Contents) -> Vec<&'a String> {
    let keys = contents.counts.keys();
    keys.filter(|key| !case.is_once(key)).collect()
}

/// What was done once for many, by whichever host.
fn once_keys<'a>(case: &Case, hosts: &'a BTreeMap<String, Contents>) -> BTreeSet<&'a String> {
    let keys = hosts.values().flat_map(|contents| contents.counts.keys());
    keys.filter(|key| case.is_once(key)).collect()
}

/// Whether the last process stopped before the turn of a host came whose batch an earlier one had begun: that host is
/// left as it is, and told so, until the run is gone on with once more. Undisturbed it would have begun beside the others.
fn a_stop_came_first(facts: &[Fact]) -> bool {
    let resumed = |fact: &Fact| matches!(fact, Fact::RunResumed { .. });
    let own = &facts[facts.iter().rposition(resumed).unwrap_or(0)..];
    let batches = facts.iter().filter_map(|fact| match fact {
        Fact::BatchStarted { phase, batch } => Some((*phase, &batch.hosts)),
        _ => None,
    });
    let last = batches.clone().map(|(phase, _)| phase).max();
    let of_last = batches.filter(|(phase, _)| Some(*phase) == last);
    let taken: HashSet<&HostId> = of_last.flat_map(|(_, hosts)| hosts).collect();
    let has_begun = |id: &HostId| {
        let mut own = own.iter();
        own.any(|fact| matches!(fact, Fact::HostStarted { host, .. } if host == id))
    };
    let is_left = |fact: &Fact| {
        let Fact::HostFinished { host, outcome } = fact else {
            return false;
        };
        let left = match outcome {
            HostOutcome::Unknown { doubt, .. } => *doubt == Doubt::Left,
            outcome => matches!(outcome, HostOutcome::NotRun { .. }),
        };
        left && taken.contains(host) && !has_begun(host)
    };
    let stops = |fact: &Fact| matches!(fact, Fact::Stop { .. });
    own.iter().any(stops) && own.iter().any(is_left)
}

/// It ends as a run that nothing happened to, and leaves the same on the hosts.
fn same_end(
    case: &Case,
    (whole, facts): (&Whole, &[Fact]),
    (ends, hosts): (&RunSummary, &BTreeMap<String, Contents>),
) -> Result<(), TestCaseError> {
    if case.is_luck() || a_stop_came_first(facts) {
        return Ok(());
    }
    prop_assert_eq!(words(&whole.summary), words(ends));
    prop_assert_eq!(&whole.summary.state, &ends.state);
    prop_assert_eq!(whole.summary.exit, ends.exit);
    prop_assert_eq!(once_keys(case, &whole.hosts), once_keys(case, hosts));
    let starts = starts(facts);
    let empty = Contents::default();
    for (name, contents) in hosts {
        let of_whole = whole.hosts.get(name).unwrap_or(&empty);
        prop_assert_eq!(&of_whole.values, &contents.values, "on {}", name);
        prop_assert_eq!(own_keys(case, of_whole), own_keys(case, contents));
        for (key, count) in &contents.counts {
            let phase = key
                .strip_prefix('p')
                .and_then(|rest| rest[..1].parse().ok());
            let starts = starts
                .iter()
                .find(|((host, of), _)| Some(*of) == phase && host.as_str() == name);
            let most = starts.map_or(1, |(_, starts)| *starts);
            prop_assert!(
                (1..=most).contains(count),
                "{} {} times on {}",
                key,
                count,
                name
            );
        }
    }
    Ok(())
}
