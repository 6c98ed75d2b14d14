//! `abort`: gives a run up. One that lives is told to end first; what goes on by itself is ended, it is said what is left
//! half done, and the run's lock is let go of.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::time::Instant;

use crate::cli::AgainArgs;
use crate::journal::{self, Writer};
use crate::model::{Diagnostic, ExitStatus, HostOutcome, format_duration};
use crate::report::{self, RunStore, StoredRun, ToldStory};
use crate::run::event::RollbackResult;
use crate::run::journal::{Fact, Journal as _, Mark, Part, Process};
use crate::run::progress::{Progress, Standing};

use super::detached;
use super::entry::Context;
use super::failure::Failure;
use super::journal::started;
use super::lock;
use super::stored::{Stored, open, untrusted};

/// Between the two signals that a run's process gets: what a first Ctrl-C ends at once needs no second.
const BETWEEN_SIGNALS: Duration = Duration::from_secs(1);

/// How long a run's process may take to end: its hosts are asked what is left there.
const ENDING: Duration = Duration::from_mins(1);

/// Between two looks whether it has.
const POLL: Duration = Duration::from_millis(200);

/// Gives a run up, once its process, where it lives, has ended: what goes on by itself on hosts is ended, what is half
/// done is said, and its lock is let go of.
///
/// # Errors
/// It ended already, it does not end in time, or its record cannot be read.
pub(super) async fn abort(context: &Context, args: AgainArgs) -> Result<ExitStatus, Failure> {
    let run = RunStore::new(&context.settings.state_dir).find(&args.run)?;
    let stored = match open(context, run.id.as_str()) {
        Err(failure) if failure.status == ExitStatus::Locked => {
            let Some(stored) = ended(context, &run).await? else {
                return Ok(ExitStatus::Ok);
            };
            if let Some((state, _)) = &stored.progress.ended
                && may_be_aborted(&stored).is_err()
            {
                return Ok(over(context, &run, state));
            }
            stored
        }
        stored => stored?,
    };
    may_be_aborted(&stored)?;
    let left = half_done(&stored.progress, &stored.run.told().unwrap_or_default());
    if context.settings.run.dry_run {
        for line in &left {
            context.console.note(line);
        }
        let text = format!("run {} would be aborted", stored.run.id);
        context.console.note(&text);
        return Ok(ExitStatus::Ok);
    }
    let writer = stored.open_journal()?;
    detached::end(context, &stored, &writer).await;
    give_up(&stored, &writer).await?;
    if !context.settings.output.json {
        for line in &left {
            context.console.note(line);
        }
    }
    if !stored.progress.locked.is_empty() {
        unlock(context, &stored).await;
    }
    if context.settings.output.json {
        let said = serde_json::json!({"run": stored.run.id, "state": "aborted", "half_done": left});
        context.console.json(&said);
        return Ok(ExitStatus::Ok);
    }
    context
        .console
        .note(&format!("run {} is aborted", stored.run.id));
    Ok(ExitStatus::Ok)
}

/// Marks a run as given up.
///
/// # Errors
/// Its record cannot be written.
pub(super) async fn give_up(stored: &Stored, journal: &Writer) -> Result<(), Failure> {
    journal.note(Fact::RunFinished {
        state: "aborted".to_owned(),
        exit: ExitStatus::HostsFailed.code(),
    });
    let kept = journal.settled().await;
    kept.map_err(|fault| anyhow::anyhow!(fault))?;
    let written = stored.folder.write_state("aborted");
    written.context("cannot write the run's record")?;
    Ok(())
}

/// Refuses a run that has ended, unless a host was left with a step that goes on by itself: also by an earlier `abort`,
/// which could not reach it.
fn may_be_aborted(stored: &Stored) -> Result<(), Diagnostic> {
    let may_leave = |state: &str| matches!(state, "done_partial" | "aborted");
    if let Some((state, _)) = &stored.progress.ended
        && !(may_leave(state) && stored.progress.goes_on_by_itself())
        && ["done", "done_partial", "aborted", "rolled_back"].contains(&state.as_str())
    {
        let message = format!("run {} is {state} and cannot be aborted", stored.run.id);
        let report = format!("`fab-rs report {}` says how it ended", stored.run.id);
        return Err(Diagnostic::new(message).hint(report));
    }
    Ok(())
}

/// Lets go of the run's lock, where its hosts can still be found; else says how it is done.
async fn unlock(context: &Context, stored: &Stored) {
    let (run, locked) = (&stored.run.id, &stored.progress.locked);
    let gone = match stored.hosts(context, locked).await {
        Ok((again, hosts)) => {
            // A host that the inventory does not have any more keeps its lock, as far as is known.
            let all_there = hosts.len() == locked.len();
            let gone = lock::let_go(&again, hosts, run).await;
            gone.map(|gone| gone && all_there)
        }
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
        "the run's lock may be left on some of its hosts: {cause}; `fab-rs lock release --run {run}` releases it"
    ));
}

/// Says of a run that lived that it is over, so that nothing is left to give up.
fn over(context: &Context, run: &StoredRun, state: &str) -> ExitStatus {
    if context.settings.output.json {
        let said = serde_json::json!({"run": run.id, "state": state, "half_done": []});
        context.console.json(&said);
    } else {
        let text = format!("run {} has ended: it is {state}", run.id);
        context.console.note(&text);
    }
    ExitStatus::Ok
}

/// Tells a run's process to end what it runs and waits until it has; the run, to be given up, or `None` where this was
/// only asked about.
///
/// # Errors
/// It cannot be told, or does not end in time.
async fn ended(context: &Context, run: &StoredRun) -> Result<Option<Stored>, Failure> {
    let Some(process) = process_of(run)? else {
        // It may have ended meanwhile.
        return open(context, run.id.as_str()).map(Some).map_err(|failure| {
            let message = format!("run {} is alive, and its process cannot be found", run.id);
            match failure.status {
                ExitStatus::Locked => Diagnostic::new(message).into(),
                _ => failure,
            }
        });
    };
    if context.settings.run.dry_run {
        let text = format!(
            "run {} is alive, and would be told to end what it runs; then it would be aborted",
            run.id
        );
        context.console.note(&text);
        return Ok(None);
    }
    for pause in [BETWEEN_SIGNALS, Duration::ZERO] {
        // The first may be enough.
        if lives(&process)
            && let Some(pid) = pid_of(&process)
        {
            let sent = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
            sent.context("cannot tell the run's process to end")?;
        }
        tokio::time::sleep(pause).await;
    }
    if !context.settings.output.json {
        context.console.note(&format!(
            "run {} was told to end what it runs (process {})",
            run.id, process.pid
        ));
    }
    let until = Instant::now() + ENDING;
    loop {
        match open(context, run.id.as_str()) {
            Err(failure) if failure.status == ExitStatus::Locked => {}
            stored => return stored.map(Some),
        }
        if Instant::now() >= until {
            let message = format!(
                "run {} was told to end, and has not within {} (process {})",
                run.id,
                format_duration(ENDING),
                process.pid
            );
            let error = Diagnostic::new(message)
                .hint(format!("`fab-rs report {}` says how it stands", run.id))
                .hint(format!("`fab-rs abort {}` gives it up once it has", run.id));
            return Err(Failure {
                status: ExitStatus::Locked,
                diagnostics: vec![error],
            });
        }
        tokio::time::sleep(POLL).await;
    }
}

/// The process that a run has now, as far as its journal says.
fn process_of(run: &StoredRun) -> Result<Option<Process>, Failure> {
    let bytes = std::fs::read(run.path.join(journal::FILE)).context("cannot read the journal")?;
    let read = journal::read(&run.id, &bytes).map_err(|corrupt| untrusted(run, &corrupt))?;
    let progress = journal::replay(read.records.iter().map(|record| &record.fact));
    Ok(progress
        .process
        .filter(|process| lives(process) && pid_of(process).is_some()))
}

/// Whether this process, and no later one of its number, is there.
fn lives(process: &Process) -> bool {
    process.started != 0 && started(process.pid) == Some(process.started)
}

fn pid_of(process: &Process) -> Option<rustix::process::Pid> {
    i32::try_from(process.pid)
        .ok()
        .and_then(rustix::process::Pid::from_raw)
}

/// What a run left neither done nor undone, a line each.
fn half_done(progress: &Progress, story: &ToldStory) -> Vec<String> {
    let hosts = progress.hosts.iter();
    let hosts = hosts.filter(|(_, host)| {
        let mut undone = host.undone.values();
        let restored = !host.undone.is_empty() && undone.all(|how| *how == RollbackResult::Done);
        let is_done = host.standing == Standing::Ended(HostOutcome::Ok);
        host.is_half_undone() || !host.touched.is_empty() && !restored && !is_done
    });
    hosts
        .map(|(id, host)| {
            let told = story.hosts.get(id);
            let label = told.map_or(id.as_str(), |told| told.label.as_str());
            let named = |step: &'_ Arc<str>| {
                let name = told.map_or(&**step, |told| told.step(step));
                report::safe(name).into_owned()
            };
            let undoing = host.is_half_undone();
            // Of one whose rollback was begun, what that did.
            let is_of = |mark: &Mark| matches!(mark.part, Part::Rollback(_)) == undoing;
            let steps = host.steps.iter().filter(|(mark, _)| is_of(mark));
            let (ended, open): (Vec<_>, Vec<_>) = steps.partition(|(_, step)| step.is_ended());
            let within = if undoing { " in its rollback" } else { "" };
            let mut line = format!("{} is half done{within}", report::safe(label));
            if let Some((mark, _)) = open.first() {
                line = format!(
                    "{line}: whether step `{}` finished is not known",
                    named(&mark.id)
                );
            }
            let ran = ended.iter().map(|(mark, step)| {
                let failed = if step.has_failed() { " (failed)" } else { "" };
                format!("`{}`{failed}", named(&mark.id))
            });
            let ran: Vec<String> = ran.collect();
            if !ran.is_empty() {
                line = format!("{line}; it ran {}", ran.join(", "));
            }
            line
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use crate::model::{HostId, Label, Zone};
    use crate::report::ToldHost;
    use crate::run::progress::HostProgress;
    use crate::run::progress::StepProgress;

    use super::*;

    #[test]
    fn a_step_is_called_what_it_was_called_on_the_screen() {
        let mark = |id: &str| Mark {
            part: Part::Steps(0),
            id: id.into(),
            passes: Vec::new(),
            once: None,
        };
        let of = HostProgress {
            touched: [0].into(),
            steps: [(mark("s2/s1"), StepProgress::Begun)].into_iter().collect(),
            ..HostProgress::default()
        };
        let id = HostId::new("i-1");
        let told = ToldHost {
            label: Label::new("app-1"),
            zone: Zone::none(),
            end: None,
            steps: [("s1".into(), "stop the unit".into())].into(),
        };
        let story = ToldStory {
            hosts: [(id.clone(), told)].into(),
            ..ToldStory::default()
        };
        let progress = Progress {
            hosts: [(id, of)].into_iter().collect(),
            ..Progress::default()
        };
        let said = "app-1 is half done: whether step `stop the unit` finished is not known";
        assert_eq!(half_done(&progress, &story), [said]);
    }

    #[test]
    fn a_host_that_was_rolled_back_is_not_half_done() {
        let failed = HostOutcome::Failed {
            step: "work".to_owned(),
            exit_code: Some(1),
            cause: "exit 1".to_owned(),
        };
        let of = |undone: Vec<(usize, RollbackResult)>| HostProgress {
            standing: Standing::Ended(failed.clone()),
            touched: [0, 1].into(),
            undone: undone.into_iter().collect(),
            ..HostProgress::default()
        };
        let cause = "no route".to_owned();
        let hosts = [
            ("as-it-is", of(Vec::new())),
            ("back", of(vec![(1, RollbackResult::Done)])),
            ("not-back", of(vec![(1, RollbackResult::Pending { cause })])),
        ];
        let hosts = hosts.map(|(id, of)| (HostId::new(id), of));
        let progress = Progress {
            hosts: hosts.into_iter().collect(),
            ..Progress::default()
        };
        let lines = half_done(&progress, &ToldStory::default());
        assert_eq!(lines, ["as-it-is is half done", "not-back is half done"]);
    }
}
