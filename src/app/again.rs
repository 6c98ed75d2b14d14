//! `resume`, `retry`, `rollback`, `abort`: what is done about a run that an earlier process began. What they
//! need of it is in its journal; the plan is made anew from what was typed then, and must be the same.

use std::ffi::OsString;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;

use crate::cli::{self, AgainArgs, Command, ResumeArgs};
use crate::journal::{self, Read};
use crate::model::{Diagnostic, ExitStatus, HostId, HostOutcome};
use crate::plan::Plan;
use crate::report::{RunFolder, RunStore, StoredRun};
use crate::run::journal::{Fact, Journal as _, Opening, Part};
use crate::run::progress::{Progress, Standing, Urgency};
use crate::task::{Action, OnResume, Step};

use super::entry::Context;
use super::failure::Failure;
use super::journal::{kept_on, started, this_process};
use super::library::TaskSource;
use super::run::{self, Again, Only, Prepared, Work};
use super::settings::Settings;

/// States in which a run can be gone on with; `None` is one whose process died.
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

/// A run of which this process holds the record.
struct Stored {
    run: StoredRun,
    folder: Arc<RunFolder>,
    read: Read,
    progress: Progress,
    opening: Opening,
}

/// Goes on with a run.
///
/// # Errors
/// It is alive, it ended, its journal or task is not what it was, or a question has nobody to answer it.
pub(super) async fn resume(context: &Context, args: ResumeArgs) -> Result<ExitStatus, Failure> {
    let stored = open(context, &args.run)?;
    stored.must_be(&RESUMABLE, "resumed")?;
    let undo = stored.progress.rolling_back.is_some();
    go_on(context, stored, (undo, args.accept_changed)).await
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
    go_on(context, stored, (true, args.accept_changed)).await
}

async fn go_on(
    context: &Context,
    stored: Stored,
    (undo, accept_changed): (bool, bool),
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
    let record = Again {
        folder: stored.folder,
        journal: writer,
        progress: Arc::new(stored.progress),
        undo,
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
        crate::task::Kind::Change
    } else {
        crate::task::Kind::Read
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
    for line in half_done(&stored.progress) {
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

/// Takes hold of a run's record and reads its journal.
fn open(context: &Context, word: &str) -> Result<Stored, Failure> {
    let run = RunStore::new(&context.settings.state_dir).find(word)?;
    let console = Arc::clone(&context.console);
    let folder = RunFolder::reopen(&context.settings.state_dir, &run.id, move |text| {
        console.warn(text);
    });
    let folder = folder.context("cannot open the run's record")?;
    let Some(folder) = folder else {
        let message = format!("run {} is alive in another process", run.id);
        let error = Diagnostic::new(message)
            .hint(format!("`fab-rs abort {}` ends it", run.id))
            .hint("nothing was run");
        return Err(Failure {
            status: ExitStatus::Locked,
            diagnostics: vec![error],
        });
    };
    let bytes = match std::fs::read(run.path.join(journal::FILE)) {
        Ok(bytes) => bytes,
        Err(error) => {
            let message = format!("run {} has no journal to go on from", run.id);
            return Err(Diagnostic::new(message).cause(error.to_string()).into());
        }
    };
    let read = journal::read(&run.id, &bytes).map_err(|corrupt| untrusted(&run, &corrupt))?;
    let progress = journal::replay(read.records.iter().map(|record| &record.fact));
    let Some(opening) = progress.opening.clone() else {
        let message = format!("run {} was cut off before it began", run.id);
        return Err(Diagnostic::new(message).hint("start it anew").into());
    };
    Ok(Stored {
        run,
        folder,
        read,
        progress,
        opening,
    })
}

fn untrusted(run: &StoredRun, corrupt: &journal::Corrupt) -> Diagnostic {
    let path = run.path.join(journal::FILE);
    Diagnostic::new(format!("the journal of run {} is damaged", run.id))
        .cause(format!("{corrupt} ({})", path.display()))
        .hint("what was done on which host is in the hosts' logs beside it")
        .hint("nothing was run")
}

impl Stored {
    /// Refuses a run in a state that does not allow it.
    fn must_be(&self, states: &[&str], what: &str) -> Result<(), Diagnostic> {
        let Some((state, _)) = &self.progress.ended else {
            return Ok(());
        };
        if states.contains(&state.as_str()) {
            return Ok(());
        }
        let message = format!("run {} is {state} and cannot be {what}", self.run.id);
        let error = Diagnostic::new(message);
        let left = self
            .progress
            .hosts
            .values()
            .any(|host| host.urgency().is_some());
        let error = if left && what == "resumed" {
            error.hint(format!(
                "`fab-rs retry {}` takes the hosts that it left undone",
                self.run.id
            ))
        } else {
            error
        };
        Err(error.hint("nothing was run"))
    }

    /// The invocation of the run, as this one is to do it.
    fn context(&self, now: &Context) -> Result<Context, Failure> {
        let typed = &self.opening.typed;
        let argv = typed["argv"].as_array().into_iter().flatten();
        let argv: Vec<OsString> = argv
            .filter_map(|word| word.as_str().map(OsString::from))
            .collect();
        let cwd = typed["cwd"].as_str();
        let (Some(cwd), false) = (cwd, argv.is_empty()) else {
            let message = format!(
                "the journal of run {} does not say what was typed",
                self.run.id
            );
            return Err(Diagnostic::new(message).into());
        };
        let words = std::iter::once(OsString::from("fab-rs")).chain(argv);
        let typed = cli::parse(words.collect()).map_err(|error| {
            anyhow::anyhow!(
                "what was typed for run {} is not understood: {error}",
                self.run.id
            )
        })?;
        let mut environment = now.settings.environment.clone();
        environment.cwd = cwd.into();
        let mut settings = Settings::new(environment, &typed.cli)?;
        settings.output = now.settings.output.clone();
        settings.color = now.settings.color;
        settings.state_dir.clone_from(&now.settings.state_dir);
        settings.run.yes = now.settings.run.yes;
        settings.run.dry_run = false;
        settings.ask_sudo |= now.settings.ask_sudo;
        Ok(Context {
            settings,
            console: Arc::clone(&now.console),
            colours: now.colours,
            argv: typed.argv,
            command: Some(typed.cli.command),
        })
    }

    /// Plans the same again.
    async fn prepare(&self, again: &Context, only: Only) -> Result<Prepared, Failure> {
        let Some(Command::Task(args)) = &again.command else {
            let message = format!("run {} is of no task of the library", self.run.id);
            return Err(Diagnostic::new(message)
                .hint("run the command again on the hosts that are left")
                .hint("nothing was run")
                .into());
        };
        let source = TaskSource::load(&again.settings)?;
        let work = Work {
            task: source.library.get(&args.name)?,
            source: &source,
            words: &args.words,
            stdin_taken: false,
            rerun: None,
        };
        let params = self.opening.typed["params"].as_object().cloned();
        run::prepare_again(again, work, (&only, &params.unwrap_or_default())).await
    }

    /// Refuses a task that is another by now.
    fn same_task(&self, plan: &Plan, accepted: bool) -> Result<(), Failure> {
        if plan.task_hash == self.opening.task_hash || accepted {
            return Ok(());
        }
        let message = format!(
            "task `{}` is not what it was when run {} began",
            self.opening.task, self.run.id
        );
        let error = Diagnostic::new(message)
            .hint(format!(
                "`{}` has its steps as they were, `fab-rs show {}` as they are",
                self.run.path.join("plan.json").display(),
                self.opening.task
            ))
            .hint("`--accept-changed` goes on with the steps as they are now")
            .hint("nothing was run");
        Err(Failure::no_host([error]))
    }

    /// Says which hosts came and went; those that went.
    fn drift(&self, again: &Context, prepared: &Prepared) -> Vec<HostId> {
        let targets = self.opening.targets.iter();
        let gone: Vec<HostId> = targets
            .filter(|id| !prepared.plan.targets.contains(id))
            .cloned()
            .collect();
        let list = |hosts: &[HostId]| {
            let hosts: Vec<&str> = hosts.iter().map(HostId::as_str).collect();
            hosts.join(", ")
        };
        if !gone.is_empty() {
            let text = format!("gone since the run began: {}", list(&gone));
            again.console.warn(&text);
        }
        if !prepared.others.is_empty() {
            let others = list(&prepared.others);
            let text = format!("new since the run began, and not touched: {others}");
            again.console.warn(&text);
        }
        gone
    }

    /// Refuses a run of which somebody has to say how an interrupted step stands, where nobody can.
    fn answerable(&self, prepared: &Prepared) -> Result<(), Failure> {
        if prepared.terminal {
            return Ok(());
        }
        let phases = prepared.plan.phases.iter().enumerate();
        for (number, phase) in phases {
            for host in &phase.hosts {
                let Some(of) = self.progress.hosts.get(&host.host.id) else {
                    continue;
                };
                let is_open = of.continues() && of.urgency() != Some(Urgency::Pending);
                let mut open = of.interrupted(Part::Steps(number)).filter(|_| is_open);
                let asks = open.find(|mark| {
                    let id = mark.id.rsplit('/').next().unwrap_or(&mark.id);
                    let step = find(&host.steps, id)
                        .or_else(|| find(&host.rescue, id))
                        .or_else(|| find(&host.always, id));
                    step.is_none_or(|step| step.on_resume() == OnResume::Ask)
                });
                if let Some(mark) = asks {
                    return Err(self.nobody(&host.host.label, &mark.id));
                }
            }
        }
        Ok(())
    }

    fn nobody(&self, host: &crate::model::Label, step: &str) -> Failure {
        let message = format!(
            "step `{step}` on {host} was interrupted, and there is no terminal to ask whether it finished"
        );
        let error = Diagnostic::new(message)
            .hint(format!(
                "`fab-rs resume {}` at a terminal asks",
                self.run.id
            ))
            .hint("`resume: rerun`, or `resume: check` with a `check:`, on the step needs nobody")
            .hint("nothing was run");
        Failure {
            status: ExitStatus::Paused,
            diagnostics: vec![error],
        }
    }
}

/// The step of this id, inside others too.
fn find<'a>(steps: &'a [Step], id: &str) -> Option<&'a Step> {
    steps.iter().find_map(|step| {
        if step.id == id {
            return Some(step);
        }
        let group = match &step.action {
            Action::Group(group) => Some(group),
            Action::Task(sub) => sub.steps.as_ref(),
            _ => None,
        }?;
        let mut lists = [&group.steps, &group.rescue, &group.always].into_iter();
        lists.find_map(|steps| find(steps, id))
    })
}
