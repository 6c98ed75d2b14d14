//! A run whose process dies after any fact of its journal goes on in another one: no step that is known to have
//! ended runs again, none is left out, and it ends as if nothing had happened.
//!
//! `FAB_RS_CRASHES` sets at how many facts of random tasks a run is killed; 200 without it.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::future::BoxFuture;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::journal::{FORMAT, Record, read, replay};
use crate::model::{HostId, RunId};
use crate::plan::Plan;
use crate::run::event::{RunSummary, StepResult};
use crate::run::journal::{Fact, Journal, Mark, Opening, Part, Process};
use crate::run::progress::{HostProgress, Progress, Standing, StepProgress};
use crate::run::{RunOptions, execute};
use crate::task::{GateAt, OnFailure, OnResume, OnceFor, Step};
use crate::transport::scripted::{Act, HostScript, Scripted};

use super::bed::Bed;
use super::steps::{Modified as _, run};

/// A journal in memory whose process dies once it holds so many facts.
#[derive(Debug)]
pub(super) struct Mortal {
    facts: Mutex<Vec<Fact>>,
    lives: usize,
    pub(super) dead: CancellationToken,
}

impl Mortal {
    pub(super) fn new(facts: Vec<Fact>, lives: usize) -> Arc<Self> {
        let mortal = Self {
            facts: Mutex::new(facts),
            lives,
            dead: CancellationToken::new(),
        };
        Arc::new(mortal)
    }

    pub(super) fn facts(&self) -> Vec<Fact> {
        self.facts.lock().unwrap().clone()
    }
}

impl Journal for Mortal {
    fn note(&self, fact: Fact) {
        let mut facts = self.facts.lock().unwrap();
        if facts.len() < self.lives {
            facts.push(fact);
        }
        if facts.len() >= self.lives {
            self.dead.cancel();
        }
    }

    fn settled(&self) -> BoxFuture<'_, Result<(), String>> {
        if self.dead.is_cancelled() {
            return Box::pin(std::future::pending());
        }
        Box::pin(std::future::ready(Ok(())))
    }

    fn fault(&self) -> Option<String> {
        None
    }
}

/// A task, the hosts on which one of its steps fails, and how it is rolled out.
#[derive(Debug, Clone)]
struct Case {
    hosts: usize,
    batch: usize,
    max_failures: usize,
    phases: Vec<Vec<Option<OnceFor>>>,
    failing: Option<(usize, usize, usize)>,
    gates: bool,
    undoes: bool,
}

fn case() -> impl Strategy<Value = Case> {
    let once = prop_oneof![
        4 => Just(None),
        1 => Just(Some(OnceFor::Rollout)),
        1 => Just(Some(OnceFor::Batch)),
    ];
    let phases = prop::collection::vec(prop::collection::vec(once, 1..4), 1..3);
    let failing = prop::option::weighted(0.3, (0_usize..6, 0_usize..2, 0_usize..3));
    let switches = (any::<bool>(), any::<bool>());
    (
        1_usize..7,
        1_usize..4,
        0_usize..2,
        phases,
        failing,
        switches,
    )
        .prop_map(
            |(hosts, batch, max_failures, phases, failing, (gates, undoes))| Case {
                hosts,
                batch,
                max_failures,
                phases,
                failing,
                gates,
                undoes,
            },
        )
}

fn steps(phase: usize, kinds: &[Option<OnceFor>]) -> Vec<Step> {
    let step = |(number, once): (usize, &Option<OnceFor>)| {
        let name = format!("p{phase}s{number}");
        let mut step = run(&name).but(|modifiers| {
            modifiers.once = *once;
            modifiers.resume = Some(OnResume::Rerun);
            modifiers.register = Some(format!("r{phase}{number}"));
        });
        step.id = name;
        step
    };
    kinds.iter().enumerate().map(step).collect()
}

impl Case {
    fn bed(&self) -> Bed {
        Bed::new(self.hosts, Vec::new())
            .change(self.batch, self.max_failures)
            .with(|bed| {
                if self.gates {
                    bed.confirm = vec![GateAt::Start, GateAt::Batch];
                }
            })
    }

    fn plan(&self, bed: &Bed) -> Arc<Plan> {
        let mut plan = bed.plan();
        let first = plan.phases.remove(0);
        for (number, kinds) in self.phases.iter().enumerate() {
            let mut phase = first.clone();
            phase.name = format!("p{number}");
            let undo = |()| {
                let name = format!("undo{number}");
                let mut step = run(&name).but(|modifiers| modifiers.resume = Some(OnResume::Rerun));
                step.id = name;
                step
            };
            for host in &mut phase.hosts {
                host.steps = steps(number, kinds).into();
                if self.undoes {
                    host.rollback = vec![undo(())].into();
                }
            }
            plan.phases.push(phase);
        }
        if self.undoes {
            Arc::make_mut(&mut plan.task).on_failure = OnFailure::RollbackAll;
        }
        Arc::new(plan)
    }

    fn scripted(&self) -> Scripted {
        let fails = |host: usize| match self.failing {
            Some((failing, phase, step)) if failing == host => {
                HostScript::new().on(&format!("p{phase}s{step}"), [Act::Exits(3)])
            }
            _ => HostScript::new(),
        };
        let hosts = (0..self.hosts).map(|host| (format!("h{host}"), fails(host)));
        Scripted::new(hosts)
    }
}

pub(super) fn opening(plan: &Plan) -> Fact {
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

/// What a later process reads of these facts.
fn reread(run: &RunId, facts: &[Fact]) -> Progress {
    let mut bytes = Vec::new();
    for (fact, seq) in facts.iter().zip(0..) {
        let record = Record {
            v: FORMAT,
            seq,
            time: jiff::Timestamp::UNIX_EPOCH,
            run: run.clone(),
            fact: fact.clone(),
        };
        record.write(&mut bytes);
    }
    let read = read(run, &bytes).expect("what was written can be read");
    replay(read.records.iter().map(|record| &record.fact))
}

/// Plays until the end, or until the process dies.
async fn play(
    case: &Case,
    scripted: &Scripted,
    journal: &Arc<Mortal>,
    progress: Option<Progress>,
) -> Option<Arc<RunSummary>> {
    let bed = case.bed();
    let folder = tempfile::tempdir().unwrap();
    let events = Arc::new(Mutex::new(Vec::new()));
    let parts = bed.parts(scripted.clone(), scripted.clone(), (folder.path(), &events));
    let parts = crate::run::Parts {
        journal: Arc::clone(journal) as Arc<dyn Journal>,
        ..parts
    };
    let options = RunOptions {
        progress: progress.clone().map(Arc::new),
        undo: progress.is_some_and(|progress| progress.rolling_back.is_some()),
        ..bed.options.clone()
    };
    let (_sender, signals) = mpsc::channel(1);
    let running = execute(case.plan(&bed), parts, options, signals);
    tokio::select! {
        biased;
        () = journal.dead.cancelled() => None,
        summary = running => Some(summary),
    }
}

fn is_ok(step: &StepProgress) -> bool {
    matches!(
        step,
        StepProgress::Ended {
            result: StepResult::Ok { .. },
            ..
        }
    )
}

/// Steps that a second process must not run: those that passed on hosts that do not start over.
fn forbidden(before: &Progress, after: &[Fact]) -> HashSet<(Option<HostId>, Mark)> {
    let over: HashSet<&HostId> = after
        .iter()
        .filter_map(|fact| match fact {
            Fact::HostStarted {
                host, afresh: true, ..
            } => Some(host),
            _ => None,
        })
        .collect();
    let of_host = |(host, of): (&HostId, &HostProgress)| {
        let steps = of.steps.iter().filter(|(_, step)| is_ok(step));
        let host = host.clone();
        let steps: Vec<_> = steps
            .map(|(mark, _)| (Some(host.clone()), mark.clone()))
            .collect();
        steps
    };
    let hosts = before.hosts.iter();
    let own = hosts.flat_map(of_host).filter(|(host, mark)| {
        // Who starts over in a later phase leaves the earlier ones alone.
        let starts_over = host.as_ref().is_some_and(|host| over.contains(host));
        !starts_over
            || before.hosts[host.as_ref().unwrap()]
                .passed
                .contains(&phase(mark))
    });
    let once = before.settled.keys().map(|mark| (None, mark.clone()));
    own.chain(once).collect()
}

fn phase(mark: &Mark) -> usize {
    match mark.part {
        Part::Steps(phase) | Part::Rollback(phase) => phase,
        _ => 0,
    }
}

fn check_no_repetition(before: &Progress, after: &[Fact]) -> Result<(), TestCaseError> {
    let forbidden = forbidden(before, after);
    for fact in after {
        if let Fact::StepStarted { host, step, .. } = fact {
            let key = match step.once {
                Some(_) => (None, step.clone()),
                None => (host.clone(), step.clone()),
            };
            prop_assert!(!forbidden.contains(&key), "ran again: {:?}", key);
        }
    }
    Ok(())
}

/// Every step of every host that ended well is known to have passed.
fn check_nothing_left_out(case: &Case, progress: &Progress) -> Result<(), TestCaseError> {
    for (id, host) in &progress.hosts {
        if host.standing != Standing::Ended(crate::model::HostOutcome::Ok) {
            continue;
        }
        for (number, kinds) in case.phases.iter().enumerate() {
            for (step, once) in kinds.iter().enumerate() {
                let name = format!("p{number}s{step}");
                let own = host
                    .steps
                    .iter()
                    .any(|(mark, step)| *mark.id == *name && is_ok(step));
                let mut settled = progress.settled.keys();
                let shared = once.is_some() && settled.any(|mark| *mark.id == *name);
                prop_assert!(own || shared, "{} left out on {:?}", name, id);
            }
        }
    }
    Ok(())
}

fn words(summary: &RunSummary) -> Vec<(String, Option<String>)> {
    let hosts = summary.hosts.values();
    hosts
        .map(|host| (host.outcome.clone(), host.rollback.clone()))
        .collect()
}

fn check_end(whole: &RunSummary, resumed: &RunSummary) -> Result<(), TestCaseError> {
    let failed = |summary: &RunSummary| summary.counts.contains_key("failed");
    if !failed(whole) {
        prop_assert_eq!(words(whole), words(resumed));
        prop_assert_eq!(&whole.state, &resumed.state);
        prop_assert_eq!(whole.exit, resumed.exit);
        return Ok(());
    }
    // A failed host is tried again, which may stop the run before others come up.
    for ((label, before), after) in whole.hosts.iter().zip(resumed.hosts.values()) {
        let fits = match before.outcome.as_str() {
            "failed" => ["failed", "not_run"].contains(&after.outcome.as_str()),
            _ => ["ok", "not_run"].contains(&after.outcome.as_str()),
        };
        prop_assert!(fits, "{}: {} {}", label, before.outcome, after.outcome);
    }
    if whole.state == "rolled_back" {
        prop_assert_eq!(&resumed.state, "rolled_back");
    }
    Ok(())
}

async fn killed_at(case: &Case, at: usize, whole: &RunSummary) -> Result<(), TestCaseError> {
    let bed = case.bed();
    let scripted = case.scripted();
    let first = vec![opening(&case.plan(&bed))];
    let journal = Mortal::new(first, at);
    let survived = play(case, &scripted, &journal, None).await;
    prop_assert!(survived.is_none(), "it was to die at {}", at);
    let before = journal.facts();
    let progress = reread(&bed.options.run, &before);
    let resumed = Fact::RunResumed {
        process: Process { pid: 2, started: 2 },
        gone: Vec::new(),
        added: Vec::new(),
    };
    let facts: Vec<Fact> = before.iter().cloned().chain([resumed]).collect();
    let journal = Mortal::new(facts, usize::MAX);
    let summary = play(case, &scripted, &journal, Some(progress.clone())).await;
    let summary = summary.expect("nothing kills it now");
    let facts = journal.facts();
    check_no_repetition(&progress, &facts[before.len()..])?;
    check_nothing_left_out(case, &reread(&bed.options.run, &facts))?;
    check_end(whole, &summary)
}

/// Kills the run at every fact; how many there are.
async fn check(case: &Case) -> Result<usize, TestCaseError> {
    let first = vec![opening(&case.plan(&case.bed()))];
    let journal = Mortal::new(first, usize::MAX);
    let whole = play(case, &case.scripted(), &journal, None).await;
    let whole = whole.expect("nothing kills it");
    let facts = journal.facts();
    // Once it has ended there is nothing to go on with.
    for at in 2..facts.len() {
        killed_at(case, at, &whole).await.map_err(|error| {
            let last = &facts[at - 1];
            TestCaseError::fail(format!("killed after fact {at}, {last:?}: {error}"))
        })?;
    }
    Ok(facts.len() - 2)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap()
}

#[test]
fn six_hosts_in_two_phases_survive_a_crash_at_any_fact() {
    let case = Case {
        hosts: 6,
        batch: 2,
        max_failures: 0,
        phases: vec![vec![None, Some(OnceFor::Rollout)], vec![None, None]],
        failing: None,
        gates: true,
        undoes: false,
    };
    let killed = runtime().block_on(check(&case)).unwrap();
    assert!(killed > 80, "{killed}");
}

#[test]
fn a_rollback_survives_a_crash_at_any_fact() {
    let case = Case {
        hosts: 4,
        batch: 2,
        max_failures: 0,
        phases: vec![vec![None, None]],
        failing: Some((2, 0, 1)),
        gates: false,
        undoes: true,
    };
    runtime().block_on(check(&case)).unwrap();
}

/// How many crashes of random tasks are wanted.
#[expect(
    clippy::disallowed_methods,
    reason = "says how long a test may look, and nothing of what fab-rs does"
)]
fn wanted() -> u32 {
    let wanted = std::env::var("FAB_RS_CRASHES").ok();
    wanted.and_then(|text| text.parse().ok()).unwrap_or(200)
}

#[test]
fn any_task_survives_a_crash_at_any_fact() {
    let wanted = wanted();
    let killed = AtomicUsize::new(0);
    let mut runner = TestRunner::new(Config::with_cases(wanted));
    runner
        .run(&case(), |case| {
            if killed.load(Ordering::Relaxed) < wanted as usize {
                let count = runtime().block_on(check(&case))?;
                killed.fetch_add(count, Ordering::Relaxed);
            }
            Ok(())
        })
        .unwrap();
    assert!(killed.load(Ordering::Relaxed) >= wanted as usize);
}
