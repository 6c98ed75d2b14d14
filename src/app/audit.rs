//! What the audit log is told of a run: who, from where, what, and how it ended. A log that cannot be written is
//! warned of and holds up nothing: at 3 a.m. a full disk must not stand between a person and the restart.

use std::path::PathBuf;
use std::time::Duration;

use indexmap::IndexMap;
use serde::Serialize;
use serde_json::{Map, Value};
use tokio::time::Instant;

use crate::audit::{self, Action, AuditFile, Ended, Line, Started, Who};
use crate::cli::AgainArgs;
use crate::model::{ExitStatus, RunId};
use crate::report::{RunState, RunStore, ScreenHandle};
use crate::run::event::RunSummary;

use super::abort;
use super::entry::Context;
use super::environment::{self, Environment};
use super::failure::Failure;
use super::git;
use super::prepared::Prepared;
use super::run::AD_HOC;

/// One run's lines in the audit log.
pub(super) struct Audit {
    file: AuditFile,
    run: RunId,
    task: String,
    action: Action,
    user: String,
    /// A change's lines survive a crash of the machine; a run that only reads waits for no disk.
    durable: bool,
    began: Instant,
}

/// What a run is about.
pub(super) struct About<'a> {
    /// Its plan as it is kept: it holds no secret params.
    pub(super) plan: &'a Value,
    /// The run that it takes up what was left of.
    pub(super) of: Option<RunId>,
    /// The command, where it is of no task.
    pub(super) command: Option<String>,
    /// The task's folder; `None` for one that is built in or was typed.
    pub(super) folder: Option<PathBuf>,
}

/// Says that a run of this plan begins, before it does anything.
pub(super) async fn begin(
    context: &Context,
    prepared: &Prepared,
    (run, action): (&RunId, Action),
    screen: &ScreenHandle,
) -> Audit {
    let (task, plan) = (&prepared.plan.task, prepared.json());
    let audit = Audit::new(context, (run, &plan), (&task.name, action));
    let is_typed = AD_HOC.contains(&task.name.as_str());
    let about = About {
        plan: &plan,
        of: prepared.retries.clone(),
        command: is_typed.then(|| audit::command(&task.source.text)),
        folder: task.folder.clone(),
    };
    if let Some(trouble) = audit.begins(about).await {
        screen.note(format!("warning: {trouble}"));
    }
    audit
}

/// Gives a run up, and says so in the audit log, also where it is refused.
///
/// # Errors
/// As [`abort::abort`].
pub(super) async fn abort(context: &Context, args: AgainArgs) -> Result<ExitStatus, Failure> {
    if context.settings.run.dry_run {
        return Box::pin(abort::abort(context, args)).await;
    }
    let run = RunStore::new(&context.settings.state_dir).find(&args.run)?;
    let plan = std::fs::read(run.path.join("plan.json")).unwrap_or_default();
    let plan: Value = serde_json::from_slice(&plan).unwrap_or_default();
    let audit = Audit::new(context, (&run.id, &plan), (&run.task, Action::Abort));
    let about = About {
        plan: &plan,
        of: None,
        command: None,
        folder: None,
    };
    let begun = audit.begins(about).await;
    let aborted = Box::pin(abort::abort(context, args)).await;
    let (state, status) = match &aborted {
        // It was told to end, and says itself how it does.
        Ok(status) if run.state == RunState::Running => ("ending", *status),
        Ok(status) => ("aborted", *status),
        Err(failure) => ("refused", failure.status),
    };
    let ended = audit.ends_as((state, status.code()), IndexMap::new()).await;
    if let Some(trouble) = begun.or(ended) {
        context.console.warn(&trouble);
    }
    aborted
}

impl Audit {
    fn new(
        context: &Context,
        (run, plan): (&RunId, &Value),
        (task, action): (&str, Action),
    ) -> Self {
        Self {
            file: AuditFile::below(&context.settings.state_dir),
            run: run.clone(),
            task: task.to_owned(),
            action,
            user: context.settings.environment.user.clone(),
            durable: plan["kind"] == "change",
            began: Instant::now(),
        }
    }

    /// Says that the run begins, before it does anything; what kept it from being written, for people.
    async fn begins(&self, about: About<'_>) -> Option<String> {
        let who = self.who();
        let revision = git::head(about.folder.as_ref().unwrap_or(&who.cwd));
        // Where no file of a checkout is run, nobody waits for git.
        let dirty = match (&revision, &about.folder) {
            (Some(_), Some(folder)) => git::is_dirty(folder).await,
            _ => None,
        };
        let plan = about.plan;
        let text = |key: &str| plan[key].as_str().unwrap_or_default().to_owned();
        let hosts = targets(plan);
        let line = Started {
            who,
            of: about.of,
            kind: text("kind"),
            task_hash: text("task_hash"),
            git_revision: revision,
            git_dirty: dirty,
            params: params(plan),
            command: about.command,
            selection: words(&plan["selection"]),
            host_count: hosts.len(),
            hosts,
        };
        self.append("run_started", line).await
    }

    /// Says how the run ended.
    pub(super) async fn ends(&self, context: &Context, summary: &RunSummary) {
        let state = (summary.state.as_str(), summary.exit);
        if let Some(trouble) = self.ends_as(state, summary.counts.clone()).await {
            context.console.warn(&trouble);
        }
    }

    /// Says that the run ended in this state with this status; what kept it from being written, for people.
    async fn ends_as(
        &self,
        (state, exit): (&str, u8),
        counts: IndexMap<String, usize>,
    ) -> Option<String> {
        let line = Ended {
            user: self.user.clone(),
            state: state.to_owned(),
            exit,
            counts,
            duration_ms: millis(self.began.elapsed()),
        };
        self.append("run_ended", line).await
    }

    async fn append(&self, event: &'static str, of: impl Serialize) -> Option<String> {
        let line = Line {
            event,
            time: jiff::Timestamp::now(),
            run: &self.run,
            action: self.action,
            task: &self.task,
            of,
        };
        let error = self.file.append(&line, self.durable).await.err()?;
        let path = self.file.path().display();
        Some(match event {
            "run_started" => {
                format!("cannot write the audit log `{path}`: {error}; this run is not in it")
            }
            _ => {
                format!(
                    "cannot write the audit log `{path}`: {error}; the end of this run is not in it"
                )
            }
        })
    }

    fn who(&self) -> Who {
        let variable = Environment::variable;
        Who {
            user: self.user.clone(),
            uid: rustix::process::getuid().as_raw(),
            login_uid: login_uid(),
            sudo_user: variable("SUDO_USER"),
            controller: environment::machine_name(),
            ssh_client: variable("SSH_CLIENT").map(|client| address(&client).to_owned()),
            cwd: Environment::working_directory(),
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION"),
        }
    }
}

/// The params, without what looks like a secret.
fn params(plan: &Value) -> Map<String, Value> {
    let params = plan["params"].as_object().cloned().unwrap_or_default();
    let redacted = params.into_iter().map(|(name, value)| {
        let value = audit::param(&name, value);
        (name, value)
    });
    redacted.collect()
}

/// The ids of the hosts that may be touched.
fn targets(plan: &Value) -> Vec<String> {
    let hosts = plan["hosts"].as_array().into_iter().flatten();
    let targets = hosts.filter(|host| host["target"] == true);
    let ids = targets.filter_map(|host| host["id"].as_str());
    ids.map(str::to_owned).collect()
}

fn words(list: &Value) -> Vec<String> {
    let words = list.as_array().into_iter().flatten();
    let words = words.filter_map(Value::as_str);
    words.map(str::to_owned).collect()
}

/// `SSH_CLIENT` is the address and two ports (sshd(8), "ENVIRONMENT").
fn address(client: &str) -> &str {
    client.split(' ').next().unwrap_or(client)
}

/// Linux keeps the uid of the login (proc(5)); all ones where there was none.
fn login_uid() -> Option<u32> {
    let text = std::fs::read_to_string("/proc/self/loginuid").ok()?;
    text.trim().parse().ok().filter(|uid| *uid != u32::MAX)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
