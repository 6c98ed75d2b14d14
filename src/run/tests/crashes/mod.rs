//! A run whose process dies goes on in another one: no step that is known to have ended runs again, none is left
//! out, and it ends as if nothing had happened.
//!
//! `FAB_RS_CRASHES` sets how many deaths of random runs are tried; 400 without it.

mod case;
mod details;
pub(super) mod disk;
pub(super) mod laws;
mod power;
mod world;

use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::task::OnFailure;

use case::{Case, Kind, any_case};
use disk::Death;
use laws::{Crash, check, whole};

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap()
}

/// Lets a run die after every fact, in both ways, and the process that goes on with it once more; how many
/// times it died first.
fn dies_everywhere(case: &Case) -> Result<usize, TestCaseError> {
    runtime().block_on(async {
        let whole = whole(case).await;
        // Once it has ended there is nothing to go on with.
        let last = whole.facts.len() - 2;
        let mut deaths = 0;
        for after in 1..last {
            for (first, second) in [(Death::AtOnce, Death::Late), (Death::Late, Death::AtOnce)] {
                let mut crashes = vec![Crash {
                    after,
                    death: first,
                }];
                if after % 3 == 0 {
                    let after = 1 + after * 7 % 11;
                    crashes.push(Crash {
                        after,
                        death: second,
                    });
                }
                let case = Case {
                    eager: after % 2 == 0,
                    ..case.clone()
                };
                check(&case, &crashes, &whole).await.map_err(|error| {
                    let fact = &whole.facts[after];
                    TestCaseError::fail(format!("died at {crashes:?}, {fact:?}: {error}"))
                })?;
                deaths += 1;
            }
        }
        Ok(deaths)
    })
}

#[test]
fn six_hosts_in_two_phases_survive_a_crash_at_any_fact() {
    let deaths = dies_everywhere(&Case::whole()).unwrap();
    assert!(deaths > 500, "{deaths}");
}

/// A host that was cut off in the first phase is done with it after, and not begun in the second one, which stops.
#[test]
fn a_stop_in_a_later_phase_survives_a_crash_at_any_fact() {
    let case = Case {
        hosts: 4,
        batch: 1,
        failing: vec![(2, 1, 0)],
        ..Case::whole()
    };
    dies_everywhere(&case).unwrap();
}

/// The failure is known from the journal, and stops the run before the others of its batch have their turn.
#[test]
fn a_stop_within_a_batch_survives_a_crash_at_any_fact() {
    let case = Case {
        hosts: 3,
        batch: 3,
        phases: vec![vec![Kind::Put, Kind::Put]],
        failing: vec![(0, 0, 0)],
        gates: false,
        bakes: false,
        ..Case::whole()
    };
    dies_everywhere(&case).unwrap();
}

#[test]
fn a_rollback_survives_a_crash_at_any_fact() {
    let case = Case {
        hosts: 3,
        failing: vec![(2, 1, 1)],
        on_failure: OnFailure::RollbackAll,
        ..Case::whole()
    };
    dies_everywhere(&case).unwrap();
}

/// How many deaths of random runs are wanted, where others than the usual ones are looked for.
#[expect(
    clippy::disallowed_methods,
    reason = "says how long a test may look, and nothing of what fab-rs does"
)]
fn wanted() -> Option<usize> {
    let wanted = std::env::var("FAB_RS_CRASHES").ok();
    wanted.and_then(|text| text.parse().ok())
}

/// Runs that differ each time where a number of them is asked for; else the same ones, so that what fails is what changed.
fn runner(wanted: Option<usize>) -> (usize, TestRunner) {
    let deaths = wanted.unwrap_or(400);
    let config = Config::with_cases(u32::try_from(deaths).unwrap());
    let runner = if wanted.is_some() {
        TestRunner::new(config)
    } else {
        let same = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
        TestRunner::new_with_rng(config, same)
    };
    (deaths, runner)
}

#[test]
fn any_task_survives_a_crash_at_any_fact() {
    let (wanted, mut runner) = runner(wanted());
    let deaths = AtomicUsize::new(0);
    runner
        .run(&any_case(), |case| {
            if deaths.load(Ordering::Relaxed) < wanted {
                deaths.fetch_add(dies_everywhere(&case)?, Ordering::Relaxed);
            }
            Ok(())
        })
        .unwrap();
    assert!(deaths.load(Ordering::Relaxed) >= wanted);
}
