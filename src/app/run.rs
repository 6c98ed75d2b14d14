//! From a plan to a run: its record, its screen, its signals, and how it ends.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use tokio::sync::mpsc;

use crate::audit::Action;
use crate::journal::Writer;
use crate::model::{Diagnostic, ExitStatus, RunId, Secret};
use crate::plan::Plan;
use crate::report::{
    self, Closing, Outlets, OutputForm, RemoteColours, RunFolder, Screen, ScreenHandle,
    ScreenOptions, Verbosity,
};
use crate::run::cancel::Signal;
use crate::run::progress::Progress;
use crate::run::record::Record as _;
use crate::run::{self, LockOptions, Parts, RunOptions};
use crate::signal::Signals;
use crate::transport::{Local, SshTransport, TransportSettings};

use super::abort;
use super::audit;
use super::earlier::Earlier;
use super::entry::Context;
use super::environment;
use super::failure::Failure;
use super::gates::Questions;
use super::invocation;
use super::journal;
use super::password;
use super::prepared::Prepared;
use super::prompt::Asker;

/// Tasks of what was typed on the spot; no library has one of these names.
pub(super) const AD_HOC: [&str; 3] = ["run", "put", "get"];

/// A run of which this process has the record.
pub(super) struct Going {
    /// Its record.
    pub(super) folder: Arc<RunFolder>,
    /// Its journal.
    pub(super) journal: Arc<Writer>,
    /// How far an earlier process of it had come.
    pub(super) progress: Option<Arc<Progress>>,
    /// Roll back, and nothing else.
    pub(super) undo: bool,
    /// What was asked for.
    pub(super) action: Action,
}

/// Runs the plan to its end and says how it ended; of an earlier run, goes on with that.
///
/// Whatever refuses it does so before anything of a record is made or touched.
///
/// # Errors
/// A question that nobody would answer, no sudo password, no record.
pub(super) async fn execute(
    context: &Context,
    prepared: Prepared,
    earlier: Option<Earlier>,
) -> Result<ExitStatus, Failure> {
    let questions = match &earlier {
        None => Questions::of(&prepared.plan),
        Some(earlier) => earlier.questions(&prepared.plan),
    };
    questions.check(&context.settings, prepared.terminal)?;
    announce(context, &prepared.plan, &questions);
    let transport_settings = transport_settings(context)?;
    let secrets = transport_settings.sudo_password.clone();
    let screen = screen(context)?;
    let handle = screen.handle();
    let (signals, received) = listen(&screen)?;
    let going = match earlier {
        None => begun(context, &prepared, &handle).await?,
        Some(earlier) => {
            let kind = prepared.plan.kind;
            earlier.go_on(kind, outdir(context), &handle).await?
        }
    };
    let record_sink = going
        .folder
        .sink()
        .context("cannot write the run's record")?;
    let of = (going.folder.id(), going.action);
    let audit = audit::begin(context, &prepared, of, &handle).await;
    let parts = Parts {
        transport: SshTransport::new(transport_settings),
        local: Local,
        engine: prepared.engine,
        sink: (record_sink, screen.sink()),
        record: Arc::clone(&going.folder),
        journal: going.journal,
        prompt: asker(context, prepared.terminal, handle),
    };
    let (plan, replaced) = (prepared.plan, prepared.replaces);
    let id = going.folder.id().clone();
    let mut options = options(context, id, plan.task.fanout, secrets.into_iter().collect());
    let left = replaced.as_ref();
    let left = left.filter(|stored| !stored.progress.locked.is_empty());
    options.lock.adopt = left.map(|stored| stored.run.id.clone());
    let options = going_on(options, (going.progress, going.undo));
    let closing = Closing {
        state: None,
        repeatable: !prepared.stdin_taken,
        reversible: is_reversible(&plan),
        reach: invocation::reach(&context.settings, &prepared.selection.terms),
        processes: report::process_patterns(&plan),
    };
    let summary = run::execute(plan, parts, options, received).await;
    screen.finish(closing).await;
    audit.ends(context, &summary).await;
    drop(signals);
    if let Some(stored) = replaced.filter(|_| summary.state != "aborted") {
        abort::give_up(&stored, &*stored.open_journal()?).await?;
    }
    Ok(ExitStatus::from_code(summary.exit).unwrap_or(ExitStatus::Internal))
}

/// The options of a run that has a record: it goes on, where there was a process before, and has that one's lock, if it
/// was not let go of.
fn going_on(options: RunOptions, (progress, undo): (Option<Arc<Progress>>, bool)) -> RunOptions {
    let mut options = RunOptions {
        undo,
        syslog: Some(environment::machine_name()),
        ..options
    };
    if let Some(progress) = progress {
        options.lock.adopt = (!progress.locked.is_empty()).then(|| options.run.clone());
        options.progress = Some(progress);
    }
    options
}

/// Whether any phase has steps that roll back.
fn is_reversible(plan: &Plan) -> bool {
    let mut hosts = plan.phases.iter().flat_map(|phase| &phase.hosts);
    hosts.any(|host| !host.rollback.is_empty())
}

fn screen(context: &Context) -> Result<Screen, Failure> {
    let outlets = Outlets::of_process().context("stdout or stderr is closed")?;
    Ok(Screen::start(screen_options(context), outlets).context("cannot start the screen")?)
}

/// Listens for signals, which reach the screen too.
fn listen(screen: &Screen) -> Result<(Signals, mpsc::Receiver<Signal>), Failure> {
    let handle = screen.handle();
    let (stop, left) = (handle.clone(), handle);
    let listening = Signals::listen(
        screen.closed_pipe(),
        move || stop.stop_waiting(),
        move || left.leave(),
    );
    Ok(listening.context("cannot listen for signals")?)
}

/// A new run's record.
async fn begun(
    context: &Context,
    prepared: &Prepared,
    screen: &ScreenHandle,
) -> Result<Going, Failure> {
    let (plan, retries) = (&prepared.plan, prepared.retries.clone());
    let folder = record(context, plan, screen)?;
    let typed = (&context.argv[..], prepared.stdin_taken);
    let typed = journal::typed(plan, typed, &context.settings.environment.cwd);
    let writing = async {
        let written = folder.write_plan(&prepared.json());
        written.map_err(|error| error.to_string())?;
        journal::begin(&folder, plan, (typed, retries)).await
    };
    let journal = writing.await.map_err(|cause| {
        // Nothing was begun: a record of nothing would look like a run that was cut off.
        let _left_behind = std::fs::remove_dir_all(folder.folder());
        unwritten(&context.settings.state_dir, cause)
    })?;
    Ok(Going {
        journal,
        folder,
        progress: None,
        undo: false,
        action: match &prepared.retries {
            Some(_) => Action::Retry,
            None => Action::Run,
        },
    })
}

/// Shows what is about to happen: the whole plan to whoever is asked about it, else one line.
fn announce(context: &Context, plan: &Plan, questions: &Questions) {
    let output = &context.settings.output;
    if !questions.start || output.json || output.quiet {
        return;
    }
    if context.settings.says_yes() && output.verbose == 0 {
        context.console.note(&report::plan_line(plan));
    } else {
        context
            .console
            .note(&report::plan_text(plan, context.console.note_styles()));
    }
}

/// How hosts are reached; asks for the sudo password where that was wished.
///
/// # Errors
/// There is no terminal to ask at, or no safe place for control sockets.
pub(super) fn transport_settings(context: &Context) -> Result<TransportSettings, Failure> {
    let settings = &context.settings;
    let sudo_password = if settings.ask_sudo {
        Some(password::ask(&context.console, "sudo password")?)
    } else {
        None
    };
    Ok(TransportSettings {
        connect: settings.limits.connect,
        login: settings.limits.login,
        transfer_stall: settings.limits.transfer_stall,
        known_hosts: settings.state_dir.join("known_hosts"),
        socket_dir: environment::socket_dir()?,
        sudo_password,
    })
}

fn asker(context: &Context, terminal: bool, screen: ScreenHandle) -> Asker {
    let settings = &context.settings;
    if settings.says_yes_to_all() || !terminal {
        return Asker::Yes;
    }
    Asker::Terminal {
        screen,
        yes_to_start: settings.says_yes(),
    }
}

/// The numbers and switches of a run.
pub(super) fn options(
    context: &Context,
    run: RunId,
    task_fanout: Option<u32>,
    secrets: Vec<Secret>,
) -> RunOptions {
    let settings = &context.settings;
    RunOptions {
        run,
        limits: settings.limits.clone(),
        attempts: settings.attempts,
        fanout: settings.fanout(task_fanout),
        warn_only: settings.run.warn_only,
        fail_fast: settings.run.fail_fast,
        user: settings.environment.user.clone(),
        secrets,
        lock: LockOptions {
            wait: settings.run.lock_wait.unwrap_or_default(),
            folder: Some(settings.state_dir.join("locks")),
            controller: environment::machine_name(),
            token: u128::from(random()) << 64 | u128::from(random()),
            adopt: None,
        },
        syslog: None,
        cwd: settings.environment.cwd.clone(),
        progress: None,
        undo: false,
    }
}

/// How a run is shown.
pub(super) fn screen_options(context: &Context) -> ScreenOptions {
    let output = &context.settings.output;
    ScreenOptions {
        form: if output.json {
            OutputForm::Json
        } else if output.gather {
            OutputForm::Gathered { diff: output.diff }
        } else {
            OutputForm::Lines {
                prefixed: !output.no_prefix,
            }
        },
        verbosity: match (output.quiet, output.verbose) {
            (true, _) => Verbosity::Quiet,
            (false, 0) => Verbosity::Normal,
            (false, _) => Verbosity::Verbose,
        },
        colours: context.colours,
        remote_colours: if output.remote_color {
            RemoteColours::Kept
        } else {
            RemoteColours::Removed
        },
    }
}

/// A number that nobody foresees, as the seed of a hash map: enough to draw an order of hosts and to keep runs of
/// one second apart.
pub(super) fn random() -> u64 {
    use std::hash::{BuildHasher as _, Hasher as _};
    std::hash::RandomState::new().build_hasher().finish()
}

/// Where files from hosts go, if somebody said.
fn outdir(context: &Context) -> Option<PathBuf> {
    let dir = context.settings.outdir.as_ref()?;
    Some(context.settings.environment.cwd.join(dir))
}

/// Makes the run's folder under an id of its own.
fn record(
    context: &Context,
    plan: &Plan,
    screen: &ScreenHandle,
) -> Result<Arc<RunFolder>, Failure> {
    let state = &context.settings.state_dir;
    loop {
        let id = RunId::new(
            jiff::Timestamp::now(),
            &plan.task.name,
            (random() & 0xffff) as u16,
        );
        let screen = screen.clone();
        match RunFolder::create(state, &id, outdir(context), move |text| {
            screen.note(text.to_owned());
        }) {
            Ok(folder) => return Ok(folder),
            Err(error)
                if error.kind() == std::io::ErrorKind::AlreadyExists
                    && state.join("runs").join(id.as_str()).exists() => {}
            Err(error) => {
                return Err(unwritten(state, error.to_string()).into());
            }
        }
    }
}

/// A record that cannot be written.
fn unwritten(state: &Path, cause: String) -> Diagnostic {
    let place = state.join("runs").display().to_string();
    let error = Diagnostic::new(format!("cannot make the run's record in `{place}`")).cause(cause);
    error
        .hint("`FAB_RS_STATE_DIR` names another place")
        .hint("nothing was run")
}
