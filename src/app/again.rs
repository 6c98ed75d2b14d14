//! `resume`, `retry`, `rollback`: goes on with what an earlier process began. What they need of it is in its journal;
//! the plan is made anew from what was typed then, and must be the same. Giving a run up is `abort`'s job.

use std::sync::Arc;

use crate::audit::Action;
use crate::cli::{AgainArgs, ResumeArgs, RollbackArgs};
use crate::model::{Diagnostic, ExitStatus, HostId};
use crate::report::RunStore;

use super::adhoc;
use super::detached;
use super::earlier::{Earlier, say_gone};
use super::entry::Context;
use super::failure::Failure;
use super::local_files;
use super::prepared::Only;
use super::prompt;
use super::run;
use super::stored::{Stored, open};
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

/// How many runs are looked through for a retry.
const RUNS_SEARCHED: usize = 50;

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
    not_taken_up(context, &stored)?;
    let undo = stored.progress.rolling_back.is_some();
    let again = stored.context(context)?;
    let only = Only {
        population: Some(stored.opening.population.clone()),
        targets: stored.opening.targets.clone(),
        include_new: args.include_new && !undo,
    };
    let mut prepared = stored.prepare(&again, only).await?;
    stored.same_task(&again, &prepared, args.accept_changed)?;
    let earlier = Earlier::new(stored, &prepared, (Action::Resume, undo));
    earlier.say_drift(&again, &prepared);
    say(&again, &earlier.outline());
    if again.settings.run.dry_run && undo {
        // It goes on with its rollback, and not forward.
        let left = Undo::of(&prepared.plan, &earlier.stored.progress);
        say(&again, &left.text(&earlier.stored.run.id));
        return Ok(ExitStatus::Ok);
    }
    if again.settings.run.dry_run {
        prepared.plan = Arc::new(earlier.left(&prepared.plan));
        adhoc::show(&again, &prepared);
        return Ok(ExitStatus::Ok);
    }
    earlier.answerable(&prepared)?;
    detached::clear(&again, &prepared.plan.population, &earlier.stored).await?;
    Box::pin(run::execute(&again, prepared, Some(earlier))).await
}

/// Refuses a run whose retry was cut off before it could say that it is over.
fn not_taken_up(context: &Context, stored: &Stored) -> Result<(), Diagnostic> {
    let id = &stored.run.id;
    let runs = RunStore::new(&context.settings.state_dir).newest(RUNS_SEARCHED);
    let mut runs = runs.unwrap_or_default().into_iter();
    let later = runs.find(|run| run.retries() == Some(id) && run.state.word() != "aborted");
    match later.filter(|_| stored.could_go_on()) {
        None => Ok(()),
        Some(later) => {
            let message = format!("run {id} was taken up by its retry {}", later.id);
            Err(Diagnostic::new(message)
                .hint(format!("`fab-rs report {}` says how that stands", later.id))
                .hint(format!("`fab-rs abort {id}` closes this one"))
                .hint("nothing was run"))
        }
    }
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
    let earlier = Earlier::new(stored, &prepared, (Action::Rollback, true));
    earlier.say_drift(&again, &prepared);
    let output = &again.settings.output;
    let is_silent = output.json || (output.quiet && again.settings.says_yes());
    if !is_silent {
        again.console.note(&undo.text(&earlier.stored.run.id));
    }
    if again.settings.run.dry_run {
        return Ok(ExitStatus::Ok);
    }
    earlier
        .questions(&prepared.plan)
        .check(&again.settings, prepared.terminal)?;
    earlier.answerable(&prepared)?;
    if !again.settings.says_yes() && !confirmed(&again, prepared.terminal, &undo)? {
        again.console.note("nothing was rolled back");
        return Ok(ExitStatus::Stopped);
    }
    Box::pin(run::execute(&again, prepared, Some(earlier))).await
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
    stored.may_be_retried()?;
    let left = stored.left();
    if left.is_empty() {
        let message = format!("run {id} is {} and left no host undone", stored.state());
        return Err(Diagnostic::new(message).hint("nothing was run").into());
    }
    detached::none_at_work(&stored, &left)?;
    let again = stored.context(context)?;
    let only = Only {
        population: None,
        targets: left.clone(),
        include_new: false,
    };
    let mut prepared = stored.prepare(&again, only).await?;
    let there = |id: &HostId| prepared.plan.targets.contains(id);
    let (left, gone): (Vec<HostId>, Vec<HostId>) = left.into_iter().partition(there);
    say_gone(&again, &stored, &gone);
    let are = if left.len() == 1 { "is" } else { "are" };
    let mut text = format!("retry of run {id}: {} of its hosts {are} left", left.len());
    if let Some(half) = stored.half_undone(&left) {
        text = format!("{text}, {half} of them half rolled back");
    }
    if stored.could_go_on() {
        let state = stored.state();
        text = format!("{text}; it is {state}, and given up once the new run has its lock");
    }
    say(&again, &text);
    local_files::check(&prepared.plan, &again.settings.environment.cwd)?;
    prepared.retries = Some(id);
    // The new run has a record of its own.
    prepared.replaces = Some(stored).filter(Stored::could_go_on);
    adhoc::finish(&again, prepared).await
}
