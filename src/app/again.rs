//! `resume`, `retry`, `rollback`, `abort`: what is done about a run that an earlier process began. What they
//! need of it is in its journal; the plan is made anew from what was typed then, and must be the same.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;

use crate::audit::Action;
use crate::cli::{AgainArgs, ResumeArgs};
use crate::journal;
use crate::model::{Diagnostic, ExitStatus, HostId, HostOutcome};
use crate::report::{self, RunStore, StoredRun};
use crate::run::journal::{Fact, Journal as _};
use crate::run::progress::{Progress, Standing};
use crate::task::Kind;

use super::detached;
use super::entry::Context;
use super::failure::Failure;
use super::journal::{kept_on, started, this_process};
use super::lock;
use super::prepared::Only;
use super::run::{self, Again};
use super::stored::{RESUMABLE, Stored, open, untrusted};

/// States in which a run can be rolled back.
const REVERSIBLE: [&str; 6] = [
    "failed",
    "paused",
    "interrupted",
    "done",
    "done_partial",
    "rollback_failed",
];

/// Goes on with a run.
///
/// # Errors
/// It is alive, it ended, its journal or task is not what it was, or a question has nobody to answer it.
pub(super) async fn resume(context: &Context, args: ResumeArgs) -> Result<ExitStatus, Failure> {
    let stored = open(context, &args.run)?;
    let mut states = RESUMABLE.to_vec();
    if stored.progress.goes_on_by_itself() {
        // It ended without the end of a step that its host knows by now.
        states.push("done_partial");
    }
    stored.must_be(&states, "resumed")?;
    let undo = stored.progress.rolling_back.is_some();
    let how = (Action::Resume, undo);
    Box::pin(go_on(context, stored, (how, args.accept_changed))).await
}

/// Rolls back what a run did.
///
/// # Errors
/// As [`resume`].
pub(super) async fn rollback(context: &Context, args: ResumeArgs) -> Result<ExitStatus, Failure> {
    let mut stored = open(context, &args.run)?;
    stored.must_be(&REVERSIBLE, "rolled back")?;
    let is_cut = stored.progress.ended.is_none();
    if !is_cut {
        // Its own rollback, if it had one, is over: this one is of everything.
        stored.progress.rolling_back = None;
    }
    let how = (Action::Rollback, true);
    Box::pin(go_on(context, stored, (how, args.accept_changed))).await
}

async fn go_on(
    context: &Context,
    stored: Stored,
    ((action, undo), accept_changed): ((Action, bool), bool),
) -> Result<ExitStatus, Failure> {
    let again = stored.context(context)?;
    let only = Only {
        population: Some(stored.opening.population.clone()),
        targets: stored.opening.targets.clone(),
    };
    let prepared = stored.prepare(&again, only).await?;
    stored.same_task(&prepared.plan, accept_changed)?;
    let gone = stored.drift(&again, &prepared);
    if !undo {
        stored.answerable(&prepared)?;
    }
    let path = stored.run.path.join(journal::FILE);
    let records = stored.read.records.len() as u64;
    let writer = kept_on(
        &path,
        (&stored.run.id, prepared.plan.kind),
        (stored.read.whole, records),
    )?;
    writer.note(Fact::RunResumed {
        process: this_process(),
        gone,
    });
    let kept = writer.settled().await;
    kept.map_err(|fault| anyhow::anyhow!("{fault}; nothing was run"))?;
    stored
        .folder
        .begin_again()
        .context("cannot write the run's record")?;
    detached::clear(&again, &prepared.plan.population, &stored, &writer).await?;
    let record = Again {
        folder: stored.folder,
        journal: writer,
        progress: Arc::new(stored.progress),
        undo,
        action,
    };
    run::execute(&again, prepared, Some(record)).await
}

/// A new run over every host that the run left undone.
///
/// # Errors
/// As [`resume`]; nothing is left.
pub(super) async fn retry(context: &Context, args: AgainArgs) -> Result<ExitStatus, Failure> {
    let stored = open(context, &args.run)?;
    let hosts = stored.progress.hosts.iter();
    let left: Vec<HostId> = hosts
        .filter(|(_, host)| host.urgency().is_some())
        .map(|(id, _)| id.clone())
        .collect();
    if left.is_empty() {
        let message = format!("run {} left no host undone", stored.run.id);
        return Err(Diagnostic::new(message).hint("nothing was run").into());
    }
    detached::none_at_work(&stored, &left)?;
    let again = stored.context(context)?;
    let only = Only {
        population: None,
        targets: left,
    };
    let mut prepared = stored.prepare(&again, only).await?;
    prepared.retries = Some(stored.run.id.clone());
    // The new run has a record of its own.
    drop(stored);
    run::execute(&again, prepared, None).await
}

/// Gives a run up: one that lives is told to end, of another it is said what it left half done.
///
/// # Errors
/// It ended already, or its record cannot be read.
pub(super) async fn abort(context: &Context, args: AgainArgs) -> Result<ExitStatus, Failure> {
    let run = RunStore::new(&context.settings.state_dir).find(&args.run)?;
    let stored = match open(context, &args.run) {
        Err(failure) if failure.status == ExitStatus::Locked => {
            return end_process(context, &run).await;
        }
        stored => stored?,
    };
    if let Some((state, _)) = &stored.progress.ended
        && ["done", "done_partial", "aborted", "rolled_back"].contains(&state.as_str())
    {
        let message = format!("run {} has ended: it is {state}", stored.run.id);
        return Err(Diagnostic::new(message).into());
    }
    let path = stored.run.path.join(journal::FILE);
    let records = stored.read.records.len() as u64;
    let kind = if stored.opening.changes {
        Kind::Change
    } else {
        Kind::Read
    };
    let writer = kept_on(&path, (&stored.run.id, kind), (stored.read.whole, records))?;
    detached::end(context, &stored, &writer).await;
    writer.note(Fact::RunFinished {
        state: "aborted".to_owned(),
        exit: ExitStatus::HostsFailed.code(),
    });
    let kept = writer.settled().await;
    kept.map_err(|fault| anyhow::anyhow!(fault))?;
    stored
        .folder
        .write_state("aborted")
        .context("cannot write the run's record")?;
    let labels = stored.labels();
    for line in half_done(&stored.progress, &labels) {
        context.console.note(&line);
    }
    if !stored.progress.locked.is_empty() {
        unlock(context, &stored).await;
    }
    context
        .console
        .note(&format!("run {} is aborted", stored.run.id));
    Ok(ExitStatus::Ok)
}

/// Lets go of the run's lock, where its hosts can still be found; else says how it is done.
async fn unlock(context: &Context, stored: &Stored) {
    let (run, hosts) = (&stored.run.id, &stored.progress.locked);
    let gone = match stored.hosts(context, hosts).await {
        Ok((again, hosts)) => lock::let_go(&again, hosts, run).await,
        Err(failure) => Err(failure),
    };
    let cause = match gone {
        Ok(true) => return,
        Ok(false) => "not every host could be asked".to_owned(),
        Err(failure) => failure
            .diagnostics
            .first()
            .map_or_else(String::new, |first| first.message.clone()),
    };
    context.console.warn(&format!(
        "the run's lock may be left on some of its hosts: {cause}; `fab-rs lock release SELECTOR… --run {run}` releases it"
    ));
}

/// Tells a run's process to end what it runs, as two Ctrl-C do.
async fn end_process(context: &Context, run: &StoredRun) -> Result<ExitStatus, Failure> {
    let bytes = std::fs::read(run.path.join(journal::FILE)).context("cannot read the journal")?;
    let read = journal::read(&run.id, &bytes).map_err(|corrupt| untrusted(run, &corrupt))?;
    let progress = journal::replay(read.records.iter().map(|record| &record.fact));
    let process = progress
        .process
        .filter(|process| process.started != 0 && started(process.pid) == Some(process.started));
    let pid = process.and_then(|process| i32::try_from(process.pid).ok());
    let Some(pid) = pid.and_then(rustix::process::Pid::from_raw) else {
        let message = format!("run {} is alive, and its process cannot be found", run.id);
        return Err(Diagnostic::new(message).into());
    };
    for pause in [Duration::from_secs(1), Duration::ZERO] {
        let sent = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        sent.context("cannot tell the run's process to end")?;
        tokio::time::sleep(pause).await;
    }
    context.console.note(&format!(
        "run {} was told to end what it runs (process {pid:?}); `fab-rs report {}` says how it ends",
        run.id, run.id
    ));
    Ok(ExitStatus::Ok)
}

/// What a run left neither done nor undone, a line each.
fn half_done(progress: &Progress, labels: &HashMap<HostId, String>) -> Vec<String> {
    let hosts = progress.hosts.iter();
    let hosts = hosts.filter(|(_, host)| {
        !host.touched.is_empty() && host.standing != Standing::Ended(HostOutcome::Ok)
    });
    hosts
        .map(|(id, host)| {
            let label = labels.get(id).map_or(id.as_str(), String::as_str);
            let steps = host.steps.iter();
            let (ended, open): (Vec<_>, Vec<_>) = steps.partition(|(_, step)| step.is_ended());
            let mut line = format!("{} is half done", report::safe(label));
            if let Some((mark, _)) = open.first() {
                line = format!("{line}: whether step `{}` finished is not known", mark.id);
            }
            let ran = ended.iter().map(|(mark, step)| {
                let failed = if step.has_failed() { " (failed)" } else { "" };
                format!("`{}`{failed}", mark.id)
            });
            let ran: Vec<String> = ran.collect();
            if !ran.is_empty() {
                line = format!("{line}; it ran {}", ran.join(", "));
            }
            line
        })
        .collect()
}
