//! The state alone: its decisions one by one, and its promises under any interleaving of messages and
//! signals, sensible or not.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use crate::model::{CancelReason, HostOutcome};
use crate::run::cancel::Signal;
use crate::run::errand::{Errand, Finding, Found};
use crate::run::event::{EventKind, GateAnswer};
use crate::run::message::{HostEnd, Reply, UnitMessage, Verdict};
use crate::run::roster::Roster;
use crate::run::state::{Order, Reaction, RunState, StateSettings};

use super::bed::Bed;

fn state(bed: &Bed) -> (RunState, EventKind) {
    let plan = Arc::new(bed.plan());
    let settings = StateSettings {
        run: bed.options.run.clone(),
        fail_fast: bed.options.fail_fast,
        record: "/record".into(),
        started: jiff::Timestamp::UNIX_EPOCH,
        progress: None,
        undo: false,
    };
    let roster = Arc::new(Roster::of(&plan));
    RunState::new(plan, roster, settings)
}

/// A state that has just handed out its first hosts, every one of which was found well.
fn begun(bed: &Bed) -> (RunState, Vec<EventKind>) {
    let (mut state, first) = state(bed);
    let mut events = vec![first];
    for _ in 0..9 {
        let reaction = state.apply(UnitMessage::Next { at: Duration::ZERO });
        events.extend(reaction.events);
        match errand(&reaction.orders) {
            Some(Errand::Look(look)) => {
                for host in look.connect {
                    let finding = Finding {
                        host,
                        state: Found::Well,
                        last: None,
                    };
                    events.extend(state.apply(UnitMessage::Found(finding)).events);
                }
            }
            Some(Errand::Start(_)) => return (state, events),
            other => panic!("{other:?}"),
        }
    }
    panic!("no host was handed out");
}

fn errand(orders: &[Order]) -> Option<Errand> {
    orders.iter().find_map(|order| match order {
        Order::Answer(Reply::Errand(errand)) => Some(errand.clone()),
        _ => None,
    })
}

fn next(state: &mut RunState) -> Option<Errand> {
    errand(&state.apply(UnitMessage::Next { at: Duration::ZERO }).orders)
}

fn failed() -> HostEnd {
    HostEnd::of(HostOutcome::Failed {
        step: "work".to_owned(),
        exit_code: Some(1),
        cause: "exit 1".to_owned(),
    })
}

fn ended(host: usize, end: HostEnd) -> UnitMessage {
    UnitMessage::HostEnded { host, end }
}

fn verdict(reaction: &Reaction) -> Option<Verdict> {
    reaction.orders.iter().find_map(|order| match order {
        Order::Answer(Reply::Verdict(verdict)) => Some(*verdict),
        _ => None,
    })
}

#[test]
fn nothing_starts_after_the_budget_is_passed() {
    let (mut state, _) = begun(&Bed::new(3, Vec::new()).change(1, 0));
    let starting = |host| UnitMessage::HostStarting { host };
    assert_eq!(verdict(&state.apply(starting(0))), Some(Verdict::Proceed));
    let reaction = state.apply(ended(0, failed()));
    assert_eq!(
        reaction.orders,
        [
            Order::StopStarting(CancelReason::HostFailed),
            Order::Answer(Reply::Verdict(Verdict::Proceed))
        ]
    );
    assert_eq!(verdict(&state.apply(starting(1))), Some(Verdict::Refuse));
    assert_eq!(next(&mut state), Some(Errand::End));
}

#[test]
fn a_host_starts_once_and_ends_once() {
    let (mut state, _) = begun(&Bed::new(1, Vec::new()));
    let starting = || UnitMessage::HostStarting { host: 0 };
    assert_eq!(state.apply(starting()).events.len(), 1);
    assert_eq!(verdict(&state.apply(starting())), Some(Verdict::Refuse));
    assert_eq!(state.apply(ended(0, failed())).events.len(), 1);
    assert_eq!(state.apply(ended(0, failed())).events.len(), 0);
    let late = UnitMessage::Noted {
        host: Some(0),
        text: "late".to_owned(),
    };
    assert!(state.apply(late).events.is_empty());
}

#[test]
fn a_host_whose_end_never_came_is_an_internal_error() {
    let (mut state, _) = begun(&Bed::new(2, Vec::new()));
    let _told = state.apply(UnitMessage::HostStarting { host: 0 });
    let (_, summary) = state.finish(jiff::Timestamp::UNIX_EPOCH);
    assert_eq!(summary.exit, 70);
    let outcomes: Vec<&str> = summary
        .hosts
        .values()
        .map(|host| host.outcome.as_str())
        .collect();
    assert_eq!(outcomes, ["failed", "not_run"]);
}

#[test]
fn a_higher_reason_is_told_again_and_a_lower_one_is_not() {
    let (mut state, _) = state(&Bed::new(1, Vec::new()));
    let terminated = state.signal(Signal::Terminate);
    assert_eq!(
        terminated.orders,
        [Order::StopStarting(CancelReason::Terminate)]
    );
    let interrupted = state.signal(Signal::Interrupt);
    assert_eq!(
        interrupted.orders,
        [
            Order::StopStarting(CancelReason::Interrupt),
            Order::EndGroups
        ]
    );
    assert!(state.signal(Signal::Hangup).orders.is_empty());
    assert!(state.deadline(true).orders.is_empty());
}

/// Whatever could reach the state, in any order.
#[derive(Debug, Clone)]
enum Input {
    Message(UnitMessage),
    Signal(Signal),
    Deadline(bool),
}

const HOSTS: usize = 5;

fn end() -> impl Strategy<Value = HostEnd> {
    let outcomes = vec![
        HostOutcome::Ok,
        HostOutcome::Gone,
        HostOutcome::Unknown {
            step: "work".to_owned(),
            doubt: crate::model::Doubt::Lost,
        },
        HostOutcome::TimedOut {
            step: "work".to_owned(),
            limit_ms: 5,
            ended: false,
        },
    ];
    let ordinary = prop::sample::select(outcomes).prop_map(HostEnd::of);
    let broken = Just(()).prop_map(|()| HostEnd::internal("broken"));
    prop_oneof![6 => ordinary, 2 => Just(()).prop_map(|()| failed()), 1 => broken]
}

fn message() -> impl Strategy<Value = UnitMessage> {
    let host = || 0..HOSTS;
    let noted = |host| UnitMessage::Noted {
        host,
        text: "said".to_owned(),
    };
    let gate = |yes: bool| UnitMessage::GateAnswered {
        answer: if yes {
            GateAnswer::Go
        } else {
            GateAnswer::Stop
        },
        by: "terminal".to_owned(),
    };
    let found = |(host, well)| {
        let state = if well {
            Found::Well
        } else {
            Found::Unfit {
                cause: "no sudo".to_owned(),
            }
        };
        UnitMessage::Found(Finding {
            host,
            state,
            last: None,
        })
    };
    prop_oneof![
        4 => host().prop_map(|host| UnitMessage::HostStarting { host }),
        4 => (host(), end()).prop_map(|(host, end)| ended(host, end)),
        2 => prop::option::of(host()).prop_map(noted),
        1 => host().prop_map(|host| UnitMessage::HostConnected { host }),
        3 => (0_u64..9).prop_map(|at| UnitMessage::Next { at: Duration::from_secs(at) }),
        2 => (host(), any::<bool>()).prop_map(found),
        1 => any::<bool>().prop_map(gate),
        1 => Just(()).prop_map(|()| UnitMessage::SharedStepFailed {
            step: "migrate".to_owned(),
            on: "h0".to_owned(),
        }),
    ]
}

fn input() -> impl Strategy<Value = Input> {
    let signals = vec![
        Signal::Interrupt,
        Signal::Terminate,
        Signal::Hangup,
        Signal::ClosedPipe,
    ];
    prop_oneof![
        12 => message().prop_map(Input::Message),
        1 => prop::sample::select(signals).prop_map(Input::Signal),
        1 => any::<bool>().prop_map(Input::Deadline),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn the_promises_hold_under_any_interleaving(
        inputs in prop::collection::vec(input(), 0..40),
        change in any::<bool>(),
    ) {
        let bed = Bed::new(HOSTS, Vec::new());
        let bed = if change { bed.change(2, 1) } else { bed };
        let (mut state, mut events) = begun(&bed);
        for input in inputs {
            let asks = matches!(
                input,
                Input::Message(
                    UnitMessage::HostStarting { .. }
                        | UnitMessage::Next { .. }
                        | UnitMessage::HostEnded { .. }
                )
            );
            let reaction = match input {
                Input::Message(message) => state.apply(message),
                Input::Signal(signal) => state.signal(signal),
                Input::Deadline(kill) => state.deadline(kill),
            };
            let is_answer = |order: &Order| matches!(order, Order::Answer(_));
            prop_assert_eq!(reaction.orders.iter().filter(|order| is_answer(order)).count(), usize::from(asks));
            events.extend(reaction.events);
        }
        let (last, summary) = state.finish(jiff::Timestamp::UNIX_EPOCH);
        events.extend(last.events);

        let mut fold: HashMap<String, usize> = HashMap::new();
        let mut ends: HashMap<String, String> = HashMap::new();
        let mut reason = None;
        for event in &events {
            match event {
                EventKind::HostFinished { host, outcome, duration, .. } => {
                    prop_assert!(*duration == Duration::ZERO);
                    *fold.entry(outcome.word().to_owned()).or_default() += 1;
                    let word = outcome.word().to_owned();
                    prop_assert_eq!(ends.insert(host.host.to_string(), word), None);
                }
                EventKind::HostStarted { host }
                | EventKind::HostConnected { host }
                | EventKind::Noted { host: Some(host), .. } => {
                    prop_assert!(!ends.contains_key(host.host.as_str()));
                }
                EventKind::CancelStarted { reason: now, .. } => {
                    prop_assert!(Some(*now) > reason);
                    reason = Some(*now);
                }
                _ => {}
            }
        }
        prop_assert_eq!(ends.len(), HOSTS);
        prop_assert_eq!(fold.values().sum::<usize>(), HOSTS);
        prop_assert_eq!(summary.counts.len(), fold.len());
        for (word, count) in &summary.counts {
            prop_assert_eq!(fold[word], *count);
        }
        let is_last = matches!(events.last(), Some(EventKind::RunFinished { .. }));
        prop_assert!(is_last);
        let is_fine = |word: &String| ["ok", "gone"].contains(&word.as_str());
        prop_assert!(summary.exit != 0 || fold.keys().all(is_fine));
    }
}
