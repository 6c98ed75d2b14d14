//! A run that an earlier process began, as its record tells it: whether it may be gone on with, and how the same
//! is planned again.

use std::collections::HashMap;
use std::ffi::OsString;
use std::sync::Arc;

use anyhow::Context as _;

use crate::cli::{self, Command};
use crate::journal::{self, Read};
use crate::model::{Diagnostic, ExitStatus, Host, HostId};
use crate::plan::Plan;
use crate::report::{RunFolder, RunStore, StoredRun};
use crate::run::journal::{Opening, Part};
use crate::run::progress::{Progress, Urgency};
use crate::task::{Action, OnResume, Step};

use super::entry::Context;
use super::failure::Failure;
use super::library::TaskSource;
use super::prepared::{self, Only, Prepared, Work};
use super::settings::Settings;

/// States in which a run can be gone on with; `None` is one whose process died.
pub(super) const RESUMABLE: [&str; 3] = ["failed", "paused", "interrupted"];

/// A run of which this process holds the record.
pub(super) struct Stored {
    pub(super) run: StoredRun,
    pub(super) folder: Arc<RunFolder>,
    pub(super) read: Read,
    pub(super) progress: Progress,
    pub(super) opening: Opening,
}

/// Takes hold of a run's record and reads its journal.
///
/// # Errors
/// There is no such run, it is alive, or its journal cannot be trusted.
pub(super) fn open(context: &Context, word: &str) -> Result<Stored, Failure> {
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

/// Why a run is not gone on with whose journal is damaged.
pub(super) fn untrusted(run: &StoredRun, corrupt: &journal::Corrupt) -> Diagnostic {
    let path = run.path.join(journal::FILE);
    Diagnostic::new(format!("the journal of run {} is damaged", run.id))
        .cause(format!("{corrupt} ({})", path.display()))
        .hint("what was done on which host is in the hosts' logs beside it")
        .hint("nothing was run")
}

impl Stored {
    /// Refuses a run in a state that does not allow it.
    ///
    /// # Errors
    /// It ended in another state.
    pub(super) fn must_be(&self, states: &[&str], what: &str) -> Result<(), Diagnostic> {
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
    ///
    /// # Errors
    /// What was typed is not in the journal, or not understood.
    pub(super) fn context(&self, now: &Context) -> Result<Context, Failure> {
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
    ///
    /// # Errors
    /// It is of no task, or cannot be planned.
    pub(super) async fn prepare(&self, again: &Context, only: Only) -> Result<Prepared, Failure> {
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
            again: None,
        };
        let params = self.opening.typed["params"].as_object().cloned();
        prepared::prepare_again(again, work, (&only, &params.unwrap_or_default())).await
    }

    /// What its hosts were called when it was planned.
    pub(super) fn labels(&self) -> HashMap<HostId, String> {
        let plan = std::fs::read(self.run.path.join("plan.json"));
        let plan = plan
            .ok()
            .and_then(|text| serde_json::from_slice(&text).ok());
        let plan: serde_json::Value = plan.unwrap_or_default();
        let hosts = plan["hosts"].as_array().into_iter().flatten();
        hosts
            .filter_map(|host| {
                let label = host["label"].as_str()?.to_owned();
                let id = serde_json::from_value(host["id"].clone()).ok()?;
                Some((id, label))
            })
            .collect()
    }

    /// Hosts of the run as the inventory has them now, and the invocation by which it is asked.
    ///
    /// # Errors
    /// The inventory gives no answer, or the task is not there any more.
    pub(super) async fn hosts(
        &self,
        now: &Context,
        ids: &[HostId],
    ) -> Result<(Context, Vec<Host>), Failure> {
        let again = self.context(now)?;
        let only = Only {
            population: None,
            targets: ids.to_vec(),
        };
        let prepared = Box::pin(self.prepare(&again, only)).await?;
        let hosts = prepared.plan.population.iter();
        let hosts = hosts.filter(|host| ids.contains(&host.id));
        let hosts = hosts.map(|host| Host::clone(host)).collect();
        Ok((again, hosts))
    }

    /// Refuses a task that is another by now.
    ///
    /// # Errors
    /// Its files are others.
    pub(super) fn same_task(&self, plan: &Plan, accepted: bool) -> Result<(), Failure> {
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
    pub(super) fn drift(&self, again: &Context, prepared: &Prepared) -> Vec<HostId> {
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
    ///
    /// # Errors
    /// There is no terminal, and a step that asks.
    pub(super) fn answerable(&self, prepared: &Prepared) -> Result<(), Failure> {
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
                    step.is_none_or(|step| {
                        // One that goes on by itself is asked how it stands.
                        step.on_resume() == OnResume::Ask && !step.modifiers.detach
                    })
                });
                if let Some(mark) = asks {
                    return Err(self.nobody(host.host.label.as_str(), &mark.id));
                }
            }
        }
        let mut shared = self.progress.shared.iter();
        let asks = shared.find(|(mark, step)| {
            let found = of_all(&prepared.plan, &mark.id);
            !step.is_ended() && found.is_none_or(|step| step.on_resume() == OnResume::Ask)
        });
        match asks {
            Some((mark, _)) => Err(self.nobody("the controller, or one host for many", &mark.id)),
            None => Ok(()),
        }
    }

    fn nobody(&self, on: &str, step: &str) -> Failure {
        let message = format!(
            "step `{step}` on {on} was interrupted, and there is no terminal to ask whether it finished"
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

/// The step of this id, wherever a plan has it.
fn of_all<'a>(plan: &'a Plan, id: &str) -> Option<&'a Step> {
    let phases = plan.phases.iter();
    let lists = phases.flat_map(|phase| {
        let hosts = phase.hosts.first().into_iter();
        let hosts = hosts.flat_map(|host| [&host.steps[..], &host.rescue, &host.always]);
        hosts.chain([&phase.before[..], &phase.after])
    });
    let mut lists = lists.chain([&plan.before[..], &plan.after]);
    lists.find_map(|steps| find(steps, id))
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
