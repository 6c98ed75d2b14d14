//! The promises of a run, under any scripts and signals.

use std::collections::HashMap;
use std::time::Duration;

use proptest::prelude::*;

use crate::model::{CancelReason, Stream, UnreachableKind};
use crate::run::cancel::Signal;
use crate::run::event::EventKind;
use crate::task::{Kind, OnceFor};
use crate::transport::scripted::{Act, Connect, HostScript};

use super::bed::{Bed, Played};
use super::steps::{Modified as _, run};

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (0_u64..20).prop_map(|seconds| Act::Waits(Duration::from_secs(seconds))),
        4 => "[a-c\n]{0,12}".prop_map(|text| Act::Prints(Stream::Stdout, text.into_bytes())),
        2 => (0_u8..3).prop_map(Act::Exits),
        1 => Just(Act::IsLost),
        1 => Just(Act::WasLost),
        1 => any::<bool>().prop_map(|confirmed| Act::HangsUntilStopped { confirmed }),
        1 => Just(Act::HangsForEver),
        1 => Just(Act::Panics),
    ]
}

fn connect() -> impl Strategy<Value = Connect> {
    prop_oneof![
        6 => (0_u64..5).prop_map(|seconds| Connect::After(Duration::from_secs(seconds))),
        2 => (0_u64..5).prop_map(|seconds| Connect::Fails(Duration::from_secs(seconds), UnreachableKind::Denied)),
        1 => Just(Connect::Panics),
    ]
}

fn script() -> impl Strategy<Value = HostScript> {
    let acts = || prop::collection::vec(act(), 0..4);
    let connects = prop::collection::vec(connect(), 0..3);
    (connects, acts(), acts(), acts()).prop_map(|(connects, first, second, tidy)| {
        let script = HostScript::new()
            .on("first", first)
            .on("second", second)
            .on("tidy", tidy);
        connects.into_iter().fold(script, HostScript::connects)
    })
}

fn signals() -> impl Strategy<Value = Vec<(u64, Signal)>> {
    let one = prop::sample::select(vec![
        Signal::Interrupt,
        Signal::Terminate,
        Signal::Hangup,
        Signal::ClosedPipe,
    ]);
    prop::collection::vec((0_u64..60, one), 0..3).prop_map(|mut signals| {
        signals.sort_by_key(|(at, _)| *at);
        signals
    })
}

#[derive(Debug)]
struct Case {
    scripts: Vec<HostScript>,
    signals: Vec<(u64, Signal)>,
    change: bool,
    batch: usize,
    max_failures: usize,
    once: bool,
    fail_fast: bool,
    run_limit: Option<u64>,
}

fn case() -> impl Strategy<Value = Case> {
    let scripts = prop::collection::vec(script(), 1..7);
    let switches = (any::<bool>(), any::<bool>(), any::<bool>());
    let numbers = (1_usize..4, 0_usize..3, prop::option::of(5_u64..80));
    (scripts, signals(), switches, numbers).prop_map(
        |(scripts, signals, (change, once, fail_fast), (batch, max_failures, run_limit))| Case {
            scripts,
            signals,
            change,
            batch,
            max_failures,
            once,
            fail_fast,
            run_limit,
        },
    )
}

fn bed(case: &Case) -> Bed {
    let first =
        run("first").but(|modifiers| modifiers.once = case.once.then_some(OnceFor::Rollout));
    let mut bed = Bed::new(case.scripts.len(), vec![first, run("second")]).with(|bed| {
        bed.always = vec![run("tidy")];
        bed.options.fail_fast = case.fail_fast;
        bed.options.limits.command = Some(Duration::from_secs(30));
        bed.options.limits.run = case.run_limit.map(Duration::from_secs);
    });
    if case.change {
        bed = bed.change(case.batch, case.max_failures);
    }
    for (index, script) in case.scripts.iter().enumerate() {
        bed = bed.script(&format!("h{index}"), script.clone());
    }
    for (at, signal) in &case.signals {
        bed = bed.signal(*at, *signal);
    }
    bed
}

/// Every promise of the events of a run.
fn check(played: &Played, hosts: usize) -> Result<(), TestCaseError> {
    let kinds: Vec<&EventKind> = played.events.iter().map(|event| &event.kind).collect();
    let starts = matches!(kinds[0], EventKind::RunStarted { .. });
    prop_assert!(starts);
    let last = kinds.len() - 1;
    let finished = |kind: &&&EventKind| matches!(kind, EventKind::RunFinished { .. });
    prop_assert_eq!(kinds.iter().filter(finished).count(), 1);
    let ends_so = matches!(kinds[last], EventKind::RunFinished { .. });
    prop_assert!(ends_so);
    let mut ends: HashMap<String, String> = HashMap::new();
    let mut reason: Option<CancelReason> = None;
    for kind in &kinds {
        match kind {
            EventKind::HostFinished { host, outcome, .. } => {
                let before = ends.insert(host.host.to_string(), outcome.word().to_owned());
                prop_assert_eq!(before, None);
            }
            EventKind::Output {
                host: Some(host), ..
            }
            | EventKind::StepStarted {
                host: Some(host), ..
            }
            | EventKind::StepFinished {
                host: Some(host), ..
            }
            | EventKind::HostConnected { host } => {
                prop_assert!(!ends.contains_key(host.host.as_str()), "{:?}", kind);
            }
            EventKind::HostStarted { host } => {
                prop_assert!(reason.is_none(), "started after a stop: {host:?}");
            }
            EventKind::CancelStarted { reason: now, .. } => {
                prop_assert!(Some(*now) > reason);
                reason = Some(*now);
            }
            _ => {}
        }
    }
    prop_assert_eq!(ends.len(), hosts);
    for (label, host) in &played.summary.hosts {
        prop_assert_eq!(&ends[label.as_str()], &host.outcome);
    }
    prop_assert_eq!(played.summary.counts.values().sum::<usize>(), hosts);
    let all_ok = played
        .summary
        .hosts
        .values()
        .all(|host| host.outcome == "ok");
    prop_assert!(all_ok || played.exit() != 0);
    prop_assert_eq!(played.transport.connected(), 0);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_run_keeps_its_promises(case in case()) {
        // The scripts panic on purpose; their backtraces would drown a real failure.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        let played = runtime.block_on(bed(&case).play());
        check(&played, case.scripts.len())?;
        prop_assert_eq!(case.change, matches!(bed(&case).kind, Kind::Change));
    }
}
