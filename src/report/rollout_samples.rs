//! Facts of a rollout to render in tests: one of each kind, and of each variant within.

use indexmap::IndexMap;

use crate::model::{Label, UnreachableKind, Zone};
use crate::run::event::{
    BakeReason, EventKind, GateAnswer, GateFacts, HostRef, NextUp, PlanChange, RollbackResult,
    RolloutFact, Rule, Shortfall, StopCause, Trouble, Troubled, Unlocked,
};
use crate::task::GateAt;

use super::samples::{failed, host};

fn shortfall() -> Shortfall {
    Shortfall {
        rule: Rule::Zone {
            zone: Zone::new("us-west-2a"),
        },
        healthy: 1,
        needed: 2,
        down: vec![Label::new("app-2")],
        taking: vec![Label::new("app-1")],
    }
}

/// A gate with everything that one can show.
pub(crate) fn gate() -> GateFacts {
    GateFacts {
        at: Some(GateAt::Zone),
        offers: vec![GateAnswer::Go, GateAnswer::Retry, GateAnswer::Pause],
        timeout_ms: 3_600_000,
        counts: IndexMap::from([("ok".to_owned(), 2), ("pending".to_owned(), 1)]),
        troubled: vec![Troubled {
            host: Label::new("app-1"),
            outcome: Some(failed(1)),
            trouble: None,
        }],
        next: Some(NextUp {
            phase: "main".into(),
            batch: 1,
            of: 3,
            zone: Some(Zone::new("us-west-2a")),
            hosts: vec![Label::new("app-2")],
        }),
    }
}

fn stops() -> Vec<StopCause> {
    let zone = || Zone::new("us-west-2a");
    vec![
        StopCause::Failures {
            failed: 2,
            limit: 1,
        },
        StopCause::ZoneFailures {
            zone: zone(),
            failed: 1,
            limit: 0,
        },
        StopCause::BatchFailures {
            batch: 3,
            failed: 1,
            limit: 0,
        },
        StopCause::Canary {
            host: Label::new("app-1"),
        },
        StopCause::Health {
            shortfall: shortfall(),
        },
        StopCause::NoLeader,
        StopCause::Deadline {
            limit_ms: 1_800_000,
        },
        StopCause::Step {
            step: "migrate".into(),
            on: "app-1".into(),
        },
        StopCause::Gate {
            answer: GateAnswer::Stop,
            by: "terminal".into(),
        },
        StopCause::Locked {
            holder: Box::new(found()),
        },
        StopCause::Unlockable {
            hosts: vec![unlocked()],
        },
        StopCause::Preflight {
            silent: vec![Label::new("app-1")],
            unfit: vec![],
        },
        StopCause::Journal {
            cause: "the run's journal cannot be written: No space left on device".into(),
        },
    ]
}

/// A lock of somebody else.
fn found() -> crate::lock::Found {
    crate::lock::Found {
        host: Label::new("app-1"),
        folder: "restart%2Fapi%2Fprod".into(),
        owner: "deploy".into(),
        age_ms: Some(192_000),
        silent_ms: None,
        note: None,
    }
}

fn unlocked() -> Unlocked {
    Unlocked {
        host: Label::new("app-3"),
        cause: "it does not answer".into(),
    }
}

/// Every fact of a rollout, and the gate's events.
pub(crate) fn kinds() -> Vec<EventKind> {
    let facts = [of_the_preflight(), of_the_way(), of_hosts(), of_its_end()].concat();
    let mut kinds: Vec<EventKind> = facts.into_iter().map(EventKind::Rollout).collect();
    kinds.push(EventKind::GateAsked {
        question: "go on?".into(),
        gate: Some(Box::new(gate())),
    });
    kinds.push(EventKind::GateAnswered {
        yes: true,
        by: "terminal".into(),
        answer: Some(GateAnswer::Go),
    });
    kinds
}

fn app() -> HostRef {
    host("app-1")
}

fn labels() -> Vec<Label> {
    vec![Label::new("app-1")]
}

fn cause() -> String {
    "exit 1".to_owned()
}

fn of_the_preflight() -> Vec<RolloutFact> {
    let mut facts = vec![RolloutFact::PreflightStarted { hosts: labels() }];
    facts.push(RolloutFact::LockWaited {
        holder: Box::new(found()),
    });
    facts.push(RolloutFact::LockTaken {
        key: "restart/api/prod".into(),
        anchor: Label::new("app-1"),
        hosts: 2,
        without: vec![unlocked()],
    });
    facts.push(RolloutFact::PreflightFinished {
        healthy: 2,
        sick: labels(),
        silent: vec![],
        unfit: vec![],
    });
    facts.push(RolloutFact::PlanChanged {
        phase: "main".into(),
        first: 0,
        batches: vec![labels()],
        why: PlanChange::Health,
    });
    facts
}

/// What is found of a host while the rollout goes on.
fn of_hosts() -> Vec<RolloutFact> {
    let troubles = [
        Some(Trouble::Sick {
            check: "http".into(),
            cause: cause(),
        }),
        Some(Trouble::Unfit { cause: cause() }),
        Some(Trouble::Silent {
            unreachable_kind: UnreachableKind::Refused,
            causes: vec![cause()],
            hints: vec![cause()],
        }),
        None,
    ];
    let found = troubles.map(|trouble| RolloutFact::HostFound {
        host: app(),
        trouble,
    });
    found.into()
}

fn of_the_way() -> Vec<RolloutFact> {
    let phase = || "main".to_owned();
    vec![
        RolloutFact::PhaseStarted {
            phase: phase(),
            index: 0,
            count: 1,
            batches: 3,
        },
        RolloutFact::PhaseFinished {
            phase: phase(),
            index: 0,
        },
        RolloutFact::HostPassed {
            host: app(),
            phase: phase(),
            duration_ms: 1500,
        },
        RolloutFact::HostReopened { host: app() },
        RolloutFact::HostTurned {
            host: app(),
            check: "http".into(),
            cause: cause(),
        },
        RolloutFact::HealthWaited {
            phase: phase(),
            shortfall: shortfall(),
            limit_ms: 300_000,
        },
        RolloutFact::HealthRegained {
            phase: phase(),
            waited_ms: 4000,
        },
        RolloutFact::BakeStarted {
            length_ms: 60_000,
            why: BakeReason::Canary,
            watched: labels(),
        },
        RolloutFact::BakeFinished { waited_ms: 60_000 },
    ]
}

fn of_its_end() -> Vec<RolloutFact> {
    let results = [
        RollbackResult::Done,
        RollbackResult::Failed { cause: cause() },
        RollbackResult::Pending { cause: cause() },
    ];
    let stopped = |because| RolloutFact::RolloutStopped {
        because,
        not_started: labels(),
    };
    let mut facts: Vec<RolloutFact> = stops().into_iter().map(stopped).collect();
    facts.push(RolloutFact::RollbackStarted { hosts: labels() });
    facts.extend(results.map(|result| RolloutFact::HostRolledBack {
        host: app(),
        result,
    }));
    facts
}
