//! From facts to how far a run had come: a fold, and nothing else. Pure.

use crate::model::{HostId, HostOutcome};
use crate::run::event::{GateAnswer, RollbackResult, StopCause};
use crate::run::journal::{Fact, FormedBatch, Gate, Kept, Mark, Opening, Part};
use crate::run::progress::{
    DetachedProgress, HostProgress, PhaseProgress, Progress, Standing, StepProgress, TakenBatch,
};

/// How far the run of these facts had come.
pub fn replay<'a>(facts: impl IntoIterator<Item = &'a Fact>) -> Progress {
    let mut progress = Progress::default();
    let mut ends = 0;
    for fact in facts {
        apply(&mut progress, fact, &mut ends);
    }
    progress
}

fn apply(progress: &mut Progress, fact: &Fact, ends: &mut usize) {
    match fact {
        Fact::RunStarted(opening) => opened(progress, opening),
        // A host that is gone stands as it stood: it may be there again when the run goes on once more.
        Fact::RunResumed { process, added, .. } => {
            progress.process = Some(process.clone());
            progress.ended = None;
            add(progress, added);
        }
        Fact::GateAnswered { gate, answer, .. } => answered(progress, gate, *answer),
        Fact::PhaseStarted { phase, .. } => {
            progress.phase = progress.phase.max(*phase);
            began(progress.phases.entry(*phase).or_default(), fact);
        }
        Fact::BatchesFormed { phase, batches } => {
            let phase = progress.phases.entry(*phase).or_default();
            phase.formed.clone_from(batches);
        }
        Fact::BatchStarted { phase, batch } => batch_started(progress, *phase, batch),
        Fact::BatchClosed { phase, batch } => {
            let phase = progress.phases.entry(*phase).or_default();
            let taken = phase.taken.iter_mut().rev();
            let mut taken = taken.filter(|taken| taken.batch.index == *batch);
            if let Some(taken) = taken.next() {
                taken.closed = true;
            }
        }
        Fact::SectionPassed { part } => {
            progress.sections.insert(*part);
        }
        Fact::OnceSettled { step, register } => {
            progress.settled.insert(step.clone(), register.clone());
        }
        Fact::Met { host, results } => {
            of_host(progress, host).results.extend(results.clone());
        }
        Fact::LockStarted { hosts } => progress.locked.clone_from(hosts),
        Fact::LockReleased => progress.locked.clear(),
        Fact::RollbackStarted { hosts } => progress.rolling_back = Some(hosts.clone()),
        Fact::RunFinished { state, exit } => finished(progress, (state.clone(), *exit)),
        Fact::Stop { because } => stopped(progress, because),
        Fact::StepStarted { .. } | Fact::StepFinished { .. } => step(progress, fact),
        Fact::Detached { host, .. }
        | Fact::DetachedBegan { host, .. }
        | Fact::DetachedGone { host, .. }
        | Fact::Attempt {
            host: Some(host), ..
        } => {
            progress.detached += usize::from(matches!(fact, Fact::Detached { .. }));
            detached(progress.hosts.entry(host.clone()).or_default(), fact);
        }
        Fact::HostStarted { .. }
        | Fact::HostPassed { .. }
        | Fact::HostFinished { .. }
        | Fact::RollbackFinished { .. } => host(progress, fact, ends),
        Fact::Preflight { .. }
        | Fact::GateAsked { .. }
        | Fact::Attempt { host: None, .. }
        | Fact::BatchFinished { .. }
        | Fact::Bake { .. } => {}
    }
}

fn opened(progress: &mut Progress, opening: &Opening) {
    for host in &opening.targets {
        progress.hosts.entry(host.clone()).or_default();
    }
    progress.process = Some(opening.process.clone());
    progress.opening = Some(opening.clone());
}

fn of_host<'a>(progress: &'a mut Progress, host: &HostId) -> &'a mut HostProgress {
    progress.hosts.entry(host.clone()).or_default()
}

/// What was cut short goes on where it was.
fn finished(progress: &mut Progress, ended: (String, u8)) {
    progress.stopping = progress
        .stopping
        .take()
        .filter(|_| ended.0 == "interrupted");
    progress.ended = Some(ended);
}

/// Hosts that the run takes from here on.
fn add(progress: &mut Progress, added: &[HostId]) {
    for host in added {
        progress.hosts.entry(host.clone()).or_default();
    }
    if let Some(opening) = &mut progress.opening {
        opening.population.extend_from_slice(added);
        opening.targets.extend_from_slice(added);
    }
    for phase in progress.phases.values_mut() {
        phase.uncounted.extend_from_slice(added);
    }
}

/// A phase begins; how many hosts were healthy is what was first found.
fn began(phase: &mut PhaseProgress, fact: &Fact) {
    if let Fact::PhaseStarted {
        baseline,
        uncounted,
        ..
    } = fact
        && phase.baseline.is_none()
    {
        phase.baseline = *baseline;
        phase.uncounted.clone_from(uncounted);
    }
}

fn answered(progress: &mut Progress, gate: &Gate, answer: GateAnswer) {
    if matches!(answer, GateAnswer::Go | GateAnswer::All) {
        progress.gates.insert(gate.clone());
    }
    progress.asks_no_more |= answer == GateAnswer::All;
}

/// Before anything was begun there is nothing to stop; what is paused goes on.
fn stopped(progress: &mut Progress, because: &StopCause) {
    let holds = match because {
        StopCause::Gate { answer, .. } => *answer != GateAnswer::Pause,
        StopCause::Preflight { .. }
        | StopCause::Locked { .. }
        | StopCause::Unlockable { .. }
        | StopCause::Journal { .. } => false,
        StopCause::Failures { .. }
        | StopCause::ZoneFailures { .. }
        | StopCause::BatchFailures { .. }
        | StopCause::Canary { .. }
        | StopCause::Health { .. }
        | StopCause::NoLeader
        | StopCause::Deadline { .. }
        | StopCause::Step { .. } => true,
    };
    if holds && !progress.phases.is_empty() {
        progress.stopping = Some(because.clone());
    }
}

/// A batch that is taken again keeps its place; what follows it is then to be done anew.
fn batch_started(progress: &mut Progress, phase: usize, batch: &FormedBatch) {
    for host in &batch.hosts {
        progress.hosts.entry(host.clone()).or_default().batch = Some(batch.index);
    }
    let phase = progress.phases.entry(phase).or_default();
    phase.formed.retain(|formed| formed.index != batch.index);
    let mut known = phase.taken.iter_mut();
    match known.find(|taken| taken.batch.index == batch.index) {
        Some(known) => {
            known.closed = false;
            for host in &batch.hosts {
                if !known.batch.hosts.contains(host) {
                    known.batch.hosts.push(host.clone());
                }
            }
        }
        None => phase.taken.push(TakenBatch {
            batch: batch.clone(),
            closed: false,
        }),
    }
}

fn step(progress: &mut Progress, fact: &Fact) {
    let (host, mark, now) = match fact {
        Fact::StepStarted { host, step, .. } => (host, step, StepProgress::Begun),
        Fact::StepFinished {
            host,
            step,
            result,
            register,
        } => {
            let ended = StepProgress::Ended {
                result: result.clone(),
                register: register.clone(),
            };
            (host, step, ended)
        }
        _ => return,
    };
    let host = host
        .as_ref()
        .map(|host| progress.hosts.entry(host.clone()).or_default());
    match host {
        Some(host) => {
            touched(host, fact, mark);
            detached(host, fact);
            host.open.remove(mark);
            if mark.once.is_some() {
                progress.shared.insert(mark.clone(), now);
            } else {
                host.steps.insert(mark.clone(), now);
            }
        }
        None => {
            progress.shared.insert(mark.clone(), now);
        }
    }
}

fn touched(host: &mut HostProgress, fact: &Fact, mark: &Mark) {
    if let (Fact::StepStarted { changes: true, .. }, Part::Steps(phase)) = (fact, mark.part) {
        host.touched.insert(phase);
    }
    if let Fact::StepFinished {
        register: Some(register),
        ..
    } = fact
        && is_worth_keeping(register)
    {
        // The first value stays.
        let kept = host.sticky.entry(mark.clone());
        kept.or_insert_with(|| register.clone());
    }
}

/// What a fact says about steps that go on by themselves.
fn detached(host: &mut HostProgress, fact: &Fact) {
    match fact {
        Fact::Detached { step, at, .. } => host.detached.push(DetachedProgress {
            step: step.clone(),
            at: at.clone(),
            began: false,
            over: false,
        }),
        Fact::DetachedBegan { folder, .. } => {
            let mut known = host.detached.iter_mut();
            if let Some(known) = known.find(|known| known.at.folder == *folder) {
                known.began = true;
            }
        }
        Fact::DetachedGone { folder, .. } => {
            host.detached.retain(|known| known.at.folder != *folder);
        }
        Fact::StepFinished { step, result, .. } if result.is_known() => over(host, step),
        Fact::Attempt { step, .. } => over(host, step),
        _ => {}
    }
}

fn over(host: &mut HostProgress, step: &Mark) {
    for known in &mut host.detached {
        known.over |= known.step == *step;
    }
}

fn is_worth_keeping(register: &Kept) -> bool {
    register.sticky && register.ok
}

fn host(progress: &mut Progress, fact: &Fact, ends: &mut usize) {
    let (Fact::HostStarted { host: id, .. }
    | Fact::HostPassed { host: id, .. }
    | Fact::HostFinished { host: id, .. }
    | Fact::RollbackFinished { host: id, .. }) = fact
    else {
        return;
    };
    let host = progress.hosts.entry(id.clone()).or_default();
    match fact {
        Fact::HostStarted { phase, afresh, .. } => {
            let part = Part::Steps(*phase);
            if *afresh {
                host.steps.retain(|mark, _| mark.part != part);
            } else if host.has_failed() {
                host.forget_failed(part);
            }
            let open = host.interrupted(part).cloned();
            host.open = open.collect();
            host.standing = Standing::Begun;
        }
        Fact::HostPassed { phase, .. } => {
            host.standing = Standing::Passed;
            host.passed.insert(*phase);
            *ends += 1;
            host.ended_at = *ends;
        }
        Fact::HostFinished { outcome, .. } => {
            let is_silent = matches!(outcome, HostOutcome::Unreachable { .. });
            let is_cut = !host.open.is_empty();
            if is_cut {
                // It is gone on with at what was interrupted: what failed on the way there is done anew.
                host.steps.retain(|_, step| !step.has_failed());
            }
            host.half_done = is_cut || is_silent && host.continues() && has_begun(host);
            host.standing = Standing::Ended(outcome.clone());
            *ends += 1;
            host.ended_at = *ends;
        }
        Fact::RollbackFinished {
            phase: Some(phase),
            result,
            ..
        } => {
            host.undone.insert(*phase, result.clone());
            // One that failed is done anew from its first step; one that was cut off, in a step or behind one, goes on
            // where it was.
            let part = Part::Rollback(*phase);
            let is_pending = matches!(result, RollbackResult::Pending { .. });
            let is_cut = is_pending || host.interrupted(part).next().is_some();
            host.steps
                .retain(|mark, step| mark.part != part || is_cut && !step.has_failed());
        }
        _ => {}
    }
}

/// Whether a step was begun of a phase of which it did not do its part yet.
fn has_begun(host: &HostProgress) -> bool {
    let mut marks = host.steps.keys();
    marks.any(|mark| matches!(mark.part, Part::Steps(phase) if !host.passed.contains(&phase)))
}

#[cfg(test)]
#[path = "replay_tests.rs"]
mod tests;
