//! A run that an earlier process began, as its record tells it: whether it may be gone on with, and how the same
//! is planned again.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::Context as _;
use serde_json::Value;

use crate::cli::Command;
use crate::journal::{self, Read, Writer};
use crate::model::{Diagnostic, ExitStatus, Host, HostId};
use crate::report::{self, HeldFolder, RunStore, StoredRun};
use crate::run::event::RollbackResult;
use crate::run::journal::Opening;
use crate::run::progress::{HostProgress, Progress};
use crate::task::{Kind, Task};

use super::adhoc;
use super::entry::Context;
use super::failure::Failure;
use super::invocation;
use super::journal::kept_on;
use super::library::TaskSource;
use super::prepared::{self, Only, Prepared, Work};

/// A run of which this process holds the record.
pub(super) struct Stored {
    pub(super) run: StoredRun,
    pub(super) folder: HeldFolder,
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
    let folder = HeldFolder::take(&context.settings.state_dir, &run.id);
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
            let error = Diagnostic::new(message).cause(error.to_string());
            return Err(by_hand(error, &run).into());
        }
    };
    let read = journal::read(&run.id, &bytes).map_err(|corrupt| untrusted(&run, &corrupt))?;
    let progress = journal::replay(read.records.iter().map(|record| &record.fact));
    let Some(opening) = progress.opening.clone() else {
        let message = format!("the journal of run {} is empty", run.id);
        let error = Diagnostic::new(message)
            .cause("it was cut off before it began, or its journal was lost");
        return Err(by_hand(error, &run).into());
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
    let error = Diagnostic::new(format!("the journal of run {} is damaged", run.id))
        .cause(format!("{corrupt} ({})", path.display()));
    by_hand(error, run)
}

/// What a person does about a run that cannot be gone on with.
fn by_hand(error: Diagnostic, run: &StoredRun) -> Diagnostic {
    let id = &run.id;
    // Which hosts it had is in the first line.
    let hosts = if run.opening.is_some() {
        ""
    } else {
        " SELECTOR…"
    };
    error
        .hint(format!(
            "what was done on which host is in the hosts' logs: `fab-rs logs {id}`"
        ))
        .hint(format!(
            "`fab-rs lock release{hosts} --run {id}` lets go of a lock that it left"
        ))
        .hint("nothing was run")
}

impl Stored {
    /// The state's word.
    pub(super) fn state(&self) -> &str {
        let ended = self.progress.ended.as_ref();
        ended.map_or("interrupted", |(state, _)| state.as_str())
    }

    /// Refuses a run in a state that does not allow it.
    ///
    /// # Errors
    /// It is in another state; the hint is what can be done then.
    pub(super) fn must_be(&self, states: &[&str], what: &str) -> Result<(), Diagnostic> {
        let state = self.state();
        if states.contains(&state) {
            return Ok(());
        }
        let id = &self.run.id;
        let error = Diagnostic::new(format!("run {id} is {state} and cannot be {what}"));
        let left = !self.left().is_empty();
        let hint = match state {
            "rollback_failed" => {
                format!("`fab-rs rollback {id}` takes the hosts that are not rolled back")
            }
            "failed" | "paused" | "interrupted" => format!("`fab-rs resume {id}` goes on with it"),
            _ if left => format!("`fab-rs retry {id}` takes the hosts that it left undone"),
            _ => format!("`fab-rs report {id}` says how it ended"),
        };
        Err(error.hint(hint).hint("nothing was run"))
    }

    /// Its journal, to be gone on with.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn open_journal(&self) -> Result<Arc<Writer>, Failure> {
        let kind = if self.opening.changes {
            Kind::Change
        } else {
            Kind::Read
        };
        let path = self.run.path.join(journal::FILE);
        let records = self.read.records.len() as u64;
        kept_on(&path, (&self.run.id, kind), (self.read.whole, records))
    }

    /// Whether it is a change that could still go on itself, and so has its lock.
    pub(super) fn could_go_on(&self) -> bool {
        self.opening.changes && ["paused", "interrupted"].contains(&self.state())
    }

    /// Refuses a run that was being rolled back: whether a host is as before or not is then not known.
    ///
    /// # Errors
    /// It is half rolled back.
    pub(super) fn may_be_retried(&self) -> Result<(), Failure> {
        let id = &self.run.id;
        let (command, state) = match self.state() {
            "rollback_failed" => ("rollback", "rollback_failed"),
            "interrupted" if self.progress.rolling_back.is_some() => {
                ("resume", "interrupted in its rollback")
            }
            _ => return Ok(()),
        };
        let error = Diagnostic::new(format!("run {id} is {state} and cannot be retried"))
            .hint(format!("`fab-rs {command} {id}` goes on with it"))
            .hint(format!(
                "`fab-rs abort {id}` gives it up; then it can be retried"
            ));
        Err(error.hint("nothing was run").into())
    }

    /// The hosts that are not as the run was to make them: left undone, or rolled back, in part too.
    pub(super) fn left(&self) -> Vec<HostId> {
        let hosts = self.progress.hosts.iter();
        let left = hosts.filter(|(_, host)| {
            let restored = host.undone.values().any(|how| *how == RollbackResult::Done);
            host.urgency().is_some() || restored || host.is_half_undone()
        });
        left.map(|(id, _)| id.clone()).collect()
    }

    /// Those of these hosts whose rollback was begun and did not pass; `None` where there are none.
    pub(super) fn half_undone(&self, hosts: &[HostId]) -> Option<String> {
        let known = self.labels();
        let hosts = hosts.iter().filter(|id| {
            let of = self.progress.hosts.get(*id);
            of.is_some_and(HostProgress::is_half_undone)
        });
        let labels = hosts.map(|id| known.get(id).map_or(id.as_str(), String::as_str));
        let labels: Vec<&str> = labels.collect();
        (!labels.is_empty()).then(|| report::fold(labels.iter().copied()))
    }

    /// The invocation of the run, as this one is to do it.
    ///
    /// # Errors
    /// What was typed is not in the journal, or not understood.
    pub(super) fn context(&self, now: &Context) -> Result<Context, Failure> {
        invocation::again(&self.run, &self.opening, now)
    }

    /// Plans the same again.
    ///
    /// # Errors
    /// It cannot be planned.
    pub(super) async fn prepare(&self, again: &Context, only: Only) -> Result<Prepared, Failure> {
        let source = TaskSource::load(&again.settings)?;
        let (task, words) = self.task(again, &source)?;
        let mut again = adhoc::with_kept_words(again, &task, words)?;
        // Its hosts were the same then; who came and went since is said otherwise.
        again.settings.run.strategy.plan = None;
        let work = Work {
            task,
            source: &source,
            words,
            stdin_taken: false,
        };
        let params = self.opening.typed["params"].as_object().cloned();
        prepared::prepare_again(&again, work, (&only, &params.unwrap_or_default())).await
    }

    /// The task, and the words that select its hosts and set its params.
    fn task<'a>(
        &self,
        again: &'a Context,
        source: &TaskSource,
    ) -> Result<(Arc<Task>, &'a [String]), Failure> {
        if !self.opening.is_repeatable() {
            let message = format!(
                "the script of run {} came from stdin and is not kept",
                self.run.id
            );
            let error = Diagnostic::new(message)
                .hint(format!(
                    "`fab-rs report {}` says which hosts are left: give them with `-H`, and the script again",
                    self.run.id
                ))
                .hint("nothing was run");
            return Err(error.into());
        }
        if let Some(Command::Task(args)) = &again.command {
            return Ok((source.library.get(&args.name)?, &args.words));
        }
        let typed = again.command.as_ref();
        let typed = typed.map(|command| adhoc::typed(again, command));
        let Some((task, words)) = typed.transpose()?.flatten() else {
            let message = format!("run {} is of no command that can be repeated", self.run.id);
            return Err(Diagnostic::new(message).hint("nothing was run").into());
        };
        Ok((Arc::new(task), words))
    }

    /// What its hosts were called.
    pub(super) fn labels(&self) -> HashMap<HostId, String> {
        let told = self.run.told().unwrap_or_default();
        let hosts = told.hosts.into_iter();
        hosts
            .map(|(id, host)| (id, host.label.to_string()))
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
            include_new: false,
        };
        let prepared = Box::pin(self.prepare(&again, only)).await?;
        let hosts = prepared.plan.population.iter();
        let hosts = hosts.filter(|host| ids.contains(&host.id));
        let hosts = hosts.map(|host| Host::clone(host)).collect();
        Ok((again, hosts))
    }

    /// Shows what a task has become since, and refuses another one unless it is accepted.
    ///
    /// # Errors
    /// Its files are others.
    pub(super) fn same_task(
        &self,
        context: &Context,
        prepared: &Prepared,
        accepted: bool,
    ) -> Result<(), Failure> {
        if prepared.plan.task_hash == self.opening.task_hash {
            return Ok(());
        }
        let message = format!(
            "task `{}` is not what it was when run {} began",
            self.opening.task, self.run.id
        );
        let kept = std::fs::read(self.run.path.join("plan.json")).ok();
        let kept = kept.and_then(|text| serde_json::from_slice::<Value>(&text).ok());
        let styles = context.console.note_styles();
        match kept.map(|kept| report::plan_diff(&kept, &prepared.json(), styles)) {
            Some(diff) if !diff.is_empty() => {
                context.console.note(&format!("{message}:\n{diff}"));
            }
            Some(_) => context.console.remark("no step of it is another one"),
            None => context
                .console
                .warn("what it was then is not in the run's record"),
        }
        if accepted {
            return Ok(());
        }
        let error = Diagnostic::new(message)
            .hint("`--accept-changed` goes on with it as it is now")
            .hint("nothing was run");
        Err(Failure::drifted(error))
    }
}
