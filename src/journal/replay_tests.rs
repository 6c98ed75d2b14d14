//! The fold, case by case.

use crate::model::{HostId, HostOutcome};
use crate::run::event::StepResult;
use crate::run::journal::{Circle, Detached, Mark, Process};
use crate::run::progress::Urgency;

use super::*;

fn id() -> HostId {
    HostId::new("i-1")
}

fn mark(name: &str, once: Option<Circle>) -> Mark {
    Mark {
        part: Part::Steps(0),
        id: name.into(),
        passes: Vec::new(),
        once,
    }
}

fn started(step: Mark) -> Fact {
    Fact::StepStarted {
        host: Some(id()),
        step,
        changes: true,
    }
}

fn finished(step: Mark, result: StepResult, register: Option<Kept>) -> Fact {
    Fact::StepFinished {
        host: Some(id()),
        step,
        result,
        register: register.map(Box::new),
    }
}

fn passed() -> StepResult {
    StepResult::Ok {
        exit_code: Some(0),
        changed: None,
    }
}

fn begins(afresh: bool) -> Fact {
    Fact::HostStarted {
        host: id(),
        phase: 0,
        afresh,
    }
}

fn ends(outcome: HostOutcome) -> Fact {
    Fact::HostFinished {
        host: id(),
        outcome,
    }
}

fn batch(index: usize, hosts: &[&str]) -> FormedBatch {
    FormedBatch {
        index,
        zone: None,
        canary: false,
        last: false,
        hosts: hosts.iter().map(|host| HostId::new(*host)).collect(),
    }
}

/// Whoever takes the run up and does not reach it has done nothing on it: what ran there ran, and what is not known
/// is still to be asked.
#[test]
fn a_host_that_was_half_done_stays_so_while_it_is_not_reached() {
    let silent = || {
        ends(HostOutcome::Unreachable {
            kind: crate::model::UnreachableKind::Refused,
            causes: Vec::new(),
            hints: Vec::new(),
        })
    };
    let failed = ends(HostOutcome::Failed {
        step: "a".to_owned(),
        exit_code: None,
        cause: String::new(),
    });
    let step = || started(mark("a", None));
    let (half, anew) = (Some(Urgency::Interrupted), Some(Urgency::Failed));
    for (facts, urgency, continues) in [
        (vec![begins(true), step(), silent()], half, true),
        (vec![begins(true), step(), silent(), silent()], half, true),
        (
            vec![begins(true), step(), silent(), begins(false), silent()],
            half,
            true,
        ),
        (
            vec![begins(true), step(), begins(false), failed.clone()],
            half,
            true,
        ),
        (
            vec![begins(true), step(), begins(false), step(), failed.clone()],
            anew,
            false,
        ),
        (vec![begins(true), silent()], anew, false),
        (vec![begins(true), step(), failed, silent()], anew, false),
    ] {
        let host = &replay(&facts).hosts[&id()];
        assert_eq!(
            (host.urgency(), host.continues()),
            (urgency, continues),
            "{facts:?}"
        );
    }
}

#[test]
fn a_host_stands_where_its_last_fact_left_it() {
    let unknown = || HostOutcome::Unknown {
        step: "a".to_owned(),
        doubt: crate::model::Doubt::Lost,
    };
    let failed = HostOutcome::Failed {
        step: "a".to_owned(),
        exit_code: None,
        cause: String::new(),
    };
    for (facts, urgency, continues) in [
        (vec![begins(true)], Some(Urgency::Interrupted), true),
        (
            vec![begins(true), ends(unknown())],
            Some(Urgency::Interrupted),
            true,
        ),
        (
            vec![begins(true), ends(failed)],
            Some(Urgency::Failed),
            false,
        ),
        (vec![begins(true), ends(HostOutcome::Ok)], None, false),
        (
            vec![ends(unknown()), begins(false), ends(HostOutcome::Ok)],
            None,
            false,
        ),
    ] {
        let progress = replay(&facts);
        let host = &progress.hosts[&id()];
        assert_eq!(
            (host.urgency(), host.continues()),
            (urgency, continues),
            "{facts:?}"
        );
    }
}

#[test]
fn a_host_that_starts_over_forgets_its_steps_but_what_is_sticky() {
    let register = |stdout: &str| Kept {
        name: Some("previous".to_owned()),
        sticky: true,
        ok: true,
        stdout: stdout.to_owned(),
        ..Kept::default()
    };
    let step = || mark("a", None);
    let facts = [
        begins(true),
        started(step()),
        finished(step(), passed(), Some(register("old"))),
        begins(false),
        begins(true),
        started(step()),
        finished(step(), passed(), Some(register("new"))),
        begins(true),
    ];
    let host = &replay(&facts).hosts[&id()];
    assert!(host.steps.is_empty());
    assert_eq!(host.sticky[&step()].stdout, "old");
    assert!(host.touched.contains(&0));
}

#[test]
fn a_step_without_an_end_is_interrupted_and_one_lost_too() {
    let facts = [
        begins(true),
        started(mark("a", None)),
        finished(mark("a", None), passed(), None),
        started(mark("b", None)),
        started(mark("c", None)),
        finished(mark("c", None), StepResult::Unknown, None),
    ];
    let progress = replay(&facts);
    let steps = progress.hosts[&id()].interrupted(Part::Steps(0));
    let names: Vec<&str> = steps.map(|mark| &*mark.id).collect();
    assert_eq!(names, ["b", "c"]);
}

#[test]
fn what_is_run_for_many_is_not_the_hosts_own() {
    let step = || mark("migrate", Some(Circle::Rollout));
    let facts = [begins(true), started(step())];
    let progress = replay(&facts);
    assert_eq!(progress.shared[&step()], StepProgress::Begun);
    assert!(progress.hosts[&id()].steps.is_empty());
    let settled = Fact::OnceSettled {
        step: step(),
        register: None,
    };
    assert!(replay([&settled]).settled.contains_key(&step()));
}

#[test]
fn batches_stay_and_their_ends_are_theirs() {
    let formed = Fact::BatchesFormed {
        phase: 0,
        batches: vec![batch(0, &["i-1"]), batch(1, &["i-2"])],
    };
    let taken = |batch| Fact::BatchStarted { phase: 0, batch };
    let closed = Fact::BatchClosed { phase: 0, batch: 0 };
    let progress = replay([&formed, &taken(batch(0, &["i-1"])), &closed]);
    let phase = &progress.phases[&0];
    assert_eq!(phase.formed, [batch(1, &["i-2"])]);
    assert!(phase.taken[0].closed);
    let again = [
        formed,
        taken(batch(0, &["i-1", "i-3"])),
        closed,
        taken(batch(0, &["i-3"])),
    ];
    let phase = &replay(&again).phases[&0];
    assert_eq!(phase.taken.len(), 1);
    assert_eq!(phase.taken[0].batch.hosts.len(), 2);
    assert!(!phase.taken[0].closed);
}

#[test]
fn a_gate_that_was_passed_is_known() {
    let gate = |batch| Gate {
        phase: 0,
        batch,
        at: Some(crate::task::GateAt::Batch),
    };
    let answered = |batch, answer| Fact::GateAnswered {
        gate: gate(Some(batch)),
        answer,
        by: "terminal".to_owned(),
    };
    let progress = replay(&[
        answered(0, GateAnswer::Go),
        answered(1, GateAnswer::Pause),
        answered(2, GateAnswer::All),
    ]);
    let passed: Vec<_> = progress.gates.iter().map(|gate| gate.batch).collect();
    assert_eq!(passed, [Some(0), Some(2)]);
    assert!(progress.asks_no_more);
}

fn placed(step: Mark, folder: &str) -> Fact {
    Fact::Detached {
        host: id(),
        step,
        at: Detached {
            folder: folder.into(),
            user: None,
            attempt: 1,
        },
    }
}

fn gone(folder: &str) -> Fact {
    Fact::DetachedGone {
        host: id(),
        folder: folder.into(),
    }
}

/// What lies on a host of detached steps: open until an end of theirs is kept, there until it is known to be gone.
#[test]
fn detached_steps_stay_until_they_are_gone() {
    let dump = || mark("dump", None);
    let began = Fact::DetachedBegan {
        host: id(),
        folder: "a".into(),
    };
    let mut facts = vec![started(dump()), placed(dump(), "a"), began];
    let open = |facts: &[Fact]| {
        let progress = replay(facts);
        let host = &progress.hosts[&id()];
        let detached = host.detached.iter();
        let detached = detached.map(|of| (of.at.folder.to_string(), of.began, of.over));
        (detached.collect::<Vec<_>>(), progress.goes_on_by_itself())
    };
    facts.push(begins(false));
    assert_eq!(open(&facts), (vec![("a".to_owned(), true, false)], true));
    for result in [StepResult::Unknown, StepResult::Cancelled] {
        facts.push(finished(dump(), result, None));
        assert_eq!(open(&facts), (vec![("a".to_owned(), true, false)], true));
    }
    // A host that starts over forgets its steps, and not what lies there.
    facts.push(begins(true));
    facts.push(Fact::Attempt {
        host: Some(id()),
        step: dump(),
        attempt: 1,
    });
    facts.push(placed(dump(), "b"));
    let both = vec![("a".to_owned(), true, true), ("b".to_owned(), false, false)];
    assert_eq!(open(&facts), (both, true));
    facts.push(finished(dump(), passed(), None));
    facts.push(gone("a"));
    assert_eq!(open(&facts), (vec![("b".to_owned(), false, true)], false));
    facts.push(gone("b"));
    assert_eq!(open(&facts), (Vec::new(), false));
    assert_eq!(replay(&facts).detached, 2, "no folder's name comes twice");
}

#[test]
fn a_host_that_is_gone_stands_as_it_stood_and_one_that_is_added_is_the_runs() {
    let opening = Opening {
        task: "work".to_owned(),
        task_hash: String::new(),
        changes: true,
        population: vec![id()],
        targets: vec![id()],
        retries: None,
        process: Process { pid: 1, started: 0 },
        typed: serde_json::Value::Null,
    };
    let new = HostId::new("i-2");
    let resumed = Fact::RunResumed {
        process: Process { pid: 2, started: 0 },
        gone: vec![id()],
        added: vec![new.clone()],
    };
    let facts = [
        Fact::RunStarted(Box::new(opening)),
        begins(true),
        started(mark("a", None)),
        Fact::RunFinished {
            state: "interrupted".to_owned(),
            exit: 130,
        },
        resumed,
    ];
    let progress = replay(&facts);
    assert_eq!(progress.ended, None);
    assert_eq!(progress.hosts[&id()].urgency(), Some(Urgency::Interrupted));
    assert_eq!(progress.hosts[&new].urgency(), Some(Urgency::Pending));
    let opening = progress.opening.unwrap();
    assert_eq!(opening.targets, [id(), new.clone()]);
    assert_eq!(opening.population, [id(), new]);
}
