//! `resume`, `retry`, `rollback`, `abort`: what is done about a run that an earlier process began. What they
//! need of it is in its journal; the plan is made anew from what was typed then, and must be the same.

use std::time::Duration;

use anyhow::Context as _;

use crate::cli::{AgainArgs, ResumeArgs, RollbackArgs};
use crate::journal;
use crate::model::{Diagnostic, ExitStatus, HostOutcome};
use crate::report::{RunStore, StoredRun};
use crate::run::journal::{Fact, Journal as _};
use crate::run::progress::{Progress, Standing};
use crate::task::Kind;

use super::adhoc;
use super::earlier::Earlier;
use super::entry::Context;
use super::failure::Failure;
use super::journal::{kept_on, started};
use super::prepared::Only;
use super::prompt;
use super::run;
use super::stored::{open, untrusted};
use super::undo::Undo;

/// States in which a run can be gone on with.
const RESUMABLE: [&str; 3] = ["failed", "paused", "interrupted"];
/// States in which a run can be rolled back.
const REVERSIBLE: [&str; 6] = [
    "failed",
    "paused",
    "interrupted",
    "done",
    "done_partial",
    "rollback_failed",
];
/// States in which what a run left undone can be taken by another one.
const REPEATABLE: [&str; 5] = ["failed", "done", "done_partial", "aborted", "rolled_back"];

/// Goes on with a run.
///
/// # Errors
/// It is alive, it ended, its journal or task is not what it was, or a question has nobody to answer it.
pub(super) async fn resume(context: &Context, args: ResumeArgs) -> Result<ExitStatus, Failure> {
    let stored = open(context, &args.run)?;
    stored.must_be(&RESUMABLE, "resumed")?;
    let undo = stored.progress.rolling_back.is_some();
    let again = stored.context(context)?;
    let only = Only {
        population: Some(stored.opening.population.clone()),
        targets: stored.opening.targets.clone(),
        include_new: args.include_new && !undo,
    };
    let prepared = stored.prepare(&again, only).await?;
    stored.same_task(&again, &prepared, args.accept_changed)?;
    let earlier = Earlier::new(stored, &prepared, undo);
    earlier.say_drift(&again, &prepared);
    say(&again, &earlier.outline());
    if again.settings.run.dry_run {
        adhoc::show(&again, &prepared);
        return Ok(ExitStatus::Ok);
    }
    earlier.answerable(&prepared)?;
    run::execute(&again, prepared, Some(earlier)).await
}

/// Rolls back what a run did, once somebody has said yes.
///
/// # Errors
/// As [`resume`]; nothing of it can be undone, or nobody says yes.
pub(super) async fn rollback(context: &Context, args: RollbackArgs) -> Result<ExitStatus, Failure> {
    let stored = open(context, &args.run)?;
    stored.must_be(&REVERSIBLE, "rolled back")?;
    let again = stored.context(context)?;
    let only = Only {
        population: Some(stored.opening.population.clone()),
        targets: stored.opening.targets.clone(),
        include_new: false,
    };
    let prepared = stored.prepare(&again, only).await?;
    stored.same_task(&again, &prepared, args.accept_changed)?;
    let undo = Undo::of(&prepared.plan, &stored.progress);
    undo.check(&stored.run.id)?;
    let earlier = Earlier::new(stored, &prepared, true);
    earlier.say_drift(&again, &prepared);
    say(&again, &undo.text(&earlier.stored.run.id));
    if again.settings.run.dry_run {
        return Ok(ExitStatus::Ok);
    }
    earlier
        .questions(&prepared.plan)
        .check(&again.settings, prepared.terminal)?;
    if !again.settings.says_yes() && !confirmed(&again, prepared.terminal, &undo)? {
        again.console.note("nothing was rolled back");
        return Ok(ExitStatus::Stopped);
    }
    run::execute(&again, prepared, Some(earlier)).await
}

/// Asks whether to roll back.
fn confirmed(again: &Context, terminal: bool, undo: &Undo) -> Result<bool, Failure> {
    if !terminal {
        let error =
            Diagnostic::new("a rollback asks before it starts, and there is no terminal to ask at");
        return Err(error
            .hint("`-y` answers yes; `-n` shows what would be rolled back")
            .hint("nothing was run")
            .into());
    }
    let hosts = undo.count();
    let hosts = format!("{hosts} host{}", if hosts == 1 { "" } else { "s" });
    let question = format!("roll back {hosts}?");
    Ok(prompt::confirm(&again.console, &question))
}

/// A line for whoever watches.
fn say(context: &Context, text: &str) {
    let output = &context.settings.output;
    if !output.json && !output.quiet {
        context.console.note(text);
    }
}

/// A new run over every host that the run left undone.
///
/// # Errors
/// As [`resume`]; nothing is left.
pub(super) async fn retry(context: &Context, args: AgainArgs) -> Result<ExitStatus, Failure> {
    let stored = open(context, &args.run)?;
    let id = stored.run.id.clone();
    if stored.opening.changes {
        // It keeps its lock, and what is half done is known to it alone.
        stored.must_be(&REPEATABLE, "retried")?;
    }
    let left = stored.left();
    if left.is_empty() {
        let message = format!("run {id} is {} and left no host undone", stored.state());
        return Err(Diagnostic::new(message).hint("nothing was run").into());
    }
    let again = stored.context(context)?;
    say(
        &again,
        &format!("retry of run {id}: {} of its hosts are left", left.len()),
    );
    let only = Only {
        population: None,
        targets: left,
        include_new: false,
    };
    let mut prepared = stored.prepare(&again, only).await?;
    prepared.retries = Some(id);
    // The new run has a record of its own.
    drop(stored);
    adhoc::finish(&again, prepared).await
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
        let message = format!("run {} is {state} and cannot be aborted", stored.run.id);
        let report = format!("`fab-rs report {}` says how it ended", stored.run.id);
        return Err(Diagnostic::new(message).hint(report).into());
    }
    let path = stored.run.path.join(journal::FILE);
    let records = stored.read.records.len() as u64;
    let kind = if stored.opening.changes {
        Kind::Change
    } else {
        Kind::Read
    };
    let writer = kept_on(&path, (&stored.run.id, kind), (stored.read.whole, records))?;
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
    let left = half_done(&stored.progress);
    if context.settings.output.json {
        let (run, state) = (&stored.run.id, "aborted");
        let said = serde_json::json!({"run": run, "state": state, "half_done": left});
        context.console.json(&said);
        return Ok(ExitStatus::Ok);
    }
    for line in left {
        context.console.note(&line);
    }
    context
        .console
        .note(&format!("run {} is aborted", stored.run.id));
    Ok(ExitStatus::Ok)
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
    if context.settings.output.json {
        let said = serde_json::json!({"run": run.id, "state": "ending", "half_done": []});
        context.console.json(&said);
        return Ok(ExitStatus::Ok);
    }
    context.console.note(&format!(
        "run {} was told to end what it runs (process {pid:?}); `fab-rs report {}` says how it ends",
        run.id, run.id
    ));
    Ok(ExitStatus::Ok)
}

/// What a run left neither done nor undone, a line each.
fn half_done(progress: &Progress) -> Vec<String> {
    let hosts = progress.hosts.iter();
    let hosts = hosts.filter(|(_, host)| {
        !host.touched.is_empty() && host.standing != Standing::Ended(HostOutcome::Ok)
    });
    hosts
        .map(|(id, host)| {
            let steps = host.steps.iter();
            let open: Vec<&str> = steps
                .filter(|(_, step)| !step.is_ended())
                .map(|(mark, _)| &*mark.id)
                .collect();
            match open.first() {
                Some(step) => {
                    format!("{id} is half done: whether step `{step}` finished is not known")
                }
                None => format!("{id} is half done"),
            }
        })
        .collect()
}
