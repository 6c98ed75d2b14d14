//! From a task and words to a plan, and from a plan to a run: the line that every task and every ad-hoc command
//! takes.

use std::sync::Arc;

use anyhow::Context as _;
use indexmap::IndexMap;
use tokio::sync::mpsc;

use crate::inventory::Selected;
use crate::journal::Writer;
use crate::model::selector::{Term, TermError};
use crate::model::{Diagnostic, ExitStatus, Host, HostId, RunId, Secret};
use crate::plan::{self, Plan, PlanRequest};
use crate::report::{
    self, Closing, Outlets, OutputForm, RemoteColours, RunFolder, Screen, ScreenHandle,
    ScreenOptions, Verbosity,
};
use crate::run::cancel::Signal;
use crate::run::progress::Progress;
use crate::run::{self, LockOptions, Parts, RunOptions};
use crate::signal::Signals;
use crate::task::{CommonParams, Engine, Fab, GivenParams, Kind, Task};
use crate::transport::{Local, SshTransport, TransportSettings};

use super::entry::Context;
use super::environment;
use super::failure::Failure;
use super::fleet::{self, Typed};
use super::gates::Questions;
use super::git;
use super::journal;
use super::kept_plan::{self, Kept, Selection, last_population};
use super::library::TaskSource;
use super::outside::ThisMachine;
use super::overrides::overrides;
use super::params::{self, Surroundings};
use super::password;
use super::prompt::Asker;
use super::stored::RESUMABLE;

/// What is to be done.
pub(super) struct Work<'a> {
    /// The task.
    pub(super) task: Arc<Task>,
    /// Where its files and the tasks it names come from.
    pub(super) source: &'a TaskSource,
    /// Selectors and params.
    pub(super) words: &'a [String],
    /// stdin is read for something else, so that nobody can answer there.
    pub(super) stdin_taken: bool,
    /// The command that does the same again, without its hosts.
    pub(super) rerun: Option<String>,
    /// The same with its whole population, for rollouts.
    pub(super) again: Option<String>,
}

/// A plan with what it takes to run it.
pub(super) struct Prepared {
    /// The plan.
    pub(super) plan: Arc<Plan>,
    /// Whether there is somebody to ask.
    pub(super) terminal: bool,
    /// Hosts that match, and did not when the run began that this one goes on with.
    pub(super) others: Vec<HostId>,
    /// The run that this one takes up what was left of.
    pub(super) retries: Option<RunId>,
    /// The selectors it was made for.
    pub(super) selection: Selection,
    /// Renders what waited for the hosts.
    pub(super) engine: Arc<Engine>,
    rerun: Option<String>,
    again: Option<String>,
}

impl Prepared {
    /// The plan as it is shown, and kept.
    pub(super) fn json(&self) -> serde_json::Value {
        kept_plan::json(&self.plan, &self.selection)
    }
}

/// The hosts of an earlier run: no others are taken.
pub(super) struct Only {
    /// Those that count; `None` where it is every one that matches now.
    pub(super) population: Option<Vec<HostId>>,
    /// Those that may be touched.
    pub(super) targets: Vec<HostId>,
}

impl Only {
    /// Narrows a selection; the hosts that are left out although they match.
    fn narrow(&self, selected: &mut Selected) -> Result<Vec<HostId>, Failure> {
        let counted = |id: &HostId| self.population.as_ref().is_none_or(|all| all.contains(id));
        let hosts = std::mem::take(&mut selected.population);
        let (hosts, others) = hosts.into_iter().partition(|host| counted(&host.id));
        selected.population = hosts;
        let others: Vec<Host> = others;
        let ids = selected.population.iter().map(|host| host.id.clone());
        selected.targets = ids.filter(|id| self.targets.contains(id)).collect();
        if selected.targets.is_empty() {
            let error = Diagnostic::new("none of the run's hosts is there any more");
            return Err(Failure::no_host([error.hint("nothing was run")]));
        }
        Ok(others.into_iter().map(|host| host.id).collect())
    }
}

/// A run that an earlier process began.
pub(super) struct Again {
    /// Its record.
    pub(super) folder: Arc<RunFolder>,
    /// Its journal.
    pub(super) journal: Arc<Writer>,
    /// How far it had come.
    pub(super) progress: Arc<Progress>,
    /// Roll back, and nothing else.
    pub(super) undo: bool,
}

/// Plans the work: asks the inventory, sorts the words, resolves params, renders templates. Connects to no host.
///
/// # Errors
/// Everything that is wrong with the words, the params, the task or the selection.
pub(super) async fn prepare(context: &Context, work: Work<'_>) -> Result<Prepared, Failure> {
    prepared(context, work, None).await
}

/// As [`prepare`], for hosts and with params of an earlier run.
///
/// # Errors
/// As `prepare`; none of the hosts is left.
pub(super) async fn prepare_again(
    context: &Context,
    work: Work<'_>,
    earlier: (&Only, &serde_json::Map<String, serde_json::Value>),
) -> Result<Prepared, Failure> {
    prepared(context, work, Some(earlier)).await
}

async fn prepared(
    context: &Context,
    work: Work<'_>,
    earlier: Option<(&Only, &serde_json::Map<String, serde_json::Value>)>,
) -> Result<Prepared, Failure> {
    let (settings, console) = (&context.settings, &context.console);
    let terminal = settings.has_terminal(work.stdin_taken);
    let engine = engine(settings);
    let names: Vec<&str> = work.task.params.keys().map(String::as_str).collect();
    let typed = Typed::new(settings, work.words)?;
    let for_change = work.task.kind == Kind::Change;
    let mut fleet = fleet::load(settings, typed, &names, for_change).await?;
    fleet
        .inventory
        .notes
        .iter()
        .for_each(|note| console.remark(note));
    let typed = std::mem::take(&mut fleet.params);
    let given = given(settings, typed, earlier.map(|(_, params)| params))?;
    let surroundings = Surroundings {
        console,
        terminal,
        cwd: settings.environment.cwd.clone(),
        answers: std::sync::Mutex::default(),
    };
    let common = CommonParams::resolve(&work.task, &given, &surroundings, &engine)?;
    let selection = Selection {
        terms: fleet.selection(),
        inventory: settings.inventory.clone(),
    };
    let mut selected = fleet.select(settings, targets(&work.task, &common, &engine)?)?;
    let narrowed = earlier.map(|(only, _)| only.narrow(&mut selected));
    let others = narrowed.transpose()?.unwrap_or_default();
    selected
        .warnings
        .iter()
        .for_each(|warning| console.warn(warning));
    let kept = settings.run.strategy.plan.as_deref();
    let kept = kept.map(Kept::read).transpose()?;
    let population: Vec<Arc<Host>> = selected.population.into_iter().map(Arc::new).collect();
    let plan = plan::build(&PlanRequest {
        task: &work.task,
        library: &|name| work.source.task(name),
        files: work.source,
        population,
        targets: &selected.targets,
        params: &common,
        overrides: &overrides(&settings.run.strategy)?,
        engine: &engine,
        fanout: settings.fanout(work.task.fanout).get(),
        now: jiff::Timestamp::now(),
        seed: kept.as_ref().and_then(Kept::seed).unwrap_or_else(random),
        last_population: for_change
            .then(|| last_population(&settings.state_dir, &work.task.name, &selection.list()))
            .flatten(),
    })?;
    kept.map_or(Ok(()), |kept| kept.check(&plan))?;
    Ok(Prepared {
        plan: Arc::new(plan),
        selection,
        engine: Arc::new(engine),
        terminal,
        others,
        retries: None,
        rerun: work.rerun,
        again: work.again,
    })
}

/// The params that are given now; those of an earlier run stand where none are.
fn given(
    settings: &super::settings::Settings,
    typed: IndexMap<String, String>,
    earlier: Option<&serde_json::Map<String, serde_json::Value>>,
) -> Result<GivenParams, Failure> {
    let mut given = params::given(settings, typed)?;
    for (name, value) in earlier.into_iter().flatten() {
        if !given.typed.contains_key(name) && !given.file.contains_key(name) {
            given.file.insert(name.clone(), value.clone());
        }
    }
    Ok(given)
}

/// Renders templates in this working directory.
pub(super) fn engine(settings: &super::settings::Settings) -> Engine {
    let cwd = settings.environment.cwd.clone();
    let fab = Fab {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        git_sha: git::head(&cwd),
        git_dirty: None,
        cwd: cwd.to_string_lossy().into_owned(),
    };
    let outside: Arc<dyn crate::task::Outside> = Arc::new(ThisMachine { cwd });
    Engine::new(&outside, fab)
}

fn targets(task: &Task, common: &CommonParams, engine: &Engine) -> Result<Vec<Term>, Failure> {
    let words = common.targets(task, engine)?;
    let terms: Result<Vec<Term>, TermError> = words.iter().map(|word| word.parse()).collect();
    terms.map_err(|error| {
        error
            .diagnostic()
            .context(format!("`targets` of task `{}`", task.name))
            .into()
    })
}

/// Runs the plan to its end and says how it ended.
///
/// # Errors
/// A question that nobody would answer, no sudo password, no record.
pub(super) async fn execute(
    context: &Context,
    prepared: Prepared,
    earlier: Option<Again>,
) -> Result<ExitStatus, Failure> {
    let settings = &context.settings;
    let Prepared {
        plan,
        engine,
        terminal,
        rerun,
        retries,
        again,
        selection,
        others: _,
    } = prepared;
    let progress = earlier.as_ref().map(|earlier| &*earlier.progress);
    let questions = Questions::of(&plan).after(progress);
    questions.check(settings, terminal)?;
    announce(context, &plan, questions);
    let transport_settings = transport_settings(context)?;
    let secrets = transport_settings
        .sudo_password
        .clone()
        .into_iter()
        .collect();
    let transport = SshTransport::new(transport_settings);
    let outlets = Outlets::of_process().context("stdout or stderr is closed")?;
    let screen =
        Screen::start(screen_options(context), outlets).context("cannot start the screen")?;
    let handle = screen.handle();
    let unwritten = "cannot write the run's record";
    let Again {
        folder,
        journal,
        progress,
        undo,
    } = match earlier {
        Some(earlier) => earlier,
        None => begun(context, (&plan, &selection), (&handle, retries)).await?,
    };
    let record_sink = folder.sink().context(unwritten)?;
    let (signals, received) = listen(&screen)?;
    let parts = Parts {
        transport,
        local: Local,
        engine,
        sink: (record_sink, screen.sink()),
        record: Arc::clone(&folder),
        journal,
        prompt: asker(context, terminal, handle),
    };
    let options = RunOptions {
        progress: (!progress.is_new()).then_some(progress),
        undo,
        ..options(context, folder.id().clone(), plan.task.fanout, secrets)
    };
    let processes = report::process_patterns(&plan);
    let task = Arc::clone(&plan.task);
    let summary = run::execute(plan, parts, options, received).await;
    let closing = Closing {
        rerun,
        resumable: is_resumable(&task, &summary.state),
        again,
        processes,
    };
    screen.finish(closing).await;
    drop(signals);
    Ok(ExitStatus::from_code(summary.exit).unwrap_or(ExitStatus::Internal))
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

/// Whether a run that ended in this state can be gone on with. What was typed on the spot is in no library, and
/// so cannot be planned again.
fn is_resumable(task: &Task, state: &str) -> bool {
    RESUMABLE.contains(&state) && !["run", "put", "get"].contains(&task.name.as_str())
}

/// A new run's record.
async fn begun(
    context: &Context,
    (plan, selection): (&Plan, &Selection),
    (screen, retries): (&ScreenHandle, Option<RunId>),
) -> Result<Again, Failure> {
    let folder = record(context, plan, screen)?;
    let written = folder.write_plan(&kept_plan::json(plan, selection));
    written.context("cannot write the run's record")?;
    let typed = journal::typed(plan, &context.argv, &context.settings.environment.cwd);
    Ok(Again {
        journal: journal::begin(&folder, plan, (typed, retries)).await?,
        folder,
        progress: Arc::default(),
        undo: false,
    })
}

/// Shows what is about to happen: the whole plan to whoever is asked about it, else one line.
fn announce(context: &Context, plan: &Plan, questions: Questions) {
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
            adopt: false,
        },
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

/// Makes the run's folder under an id of its own.
fn record(
    context: &Context,
    plan: &Plan,
    screen: &ScreenHandle,
) -> Result<Arc<RunFolder>, Failure> {
    let state = &context.settings.state_dir;
    let outdir = context
        .settings
        .outdir
        .as_ref()
        .map(|dir| context.settings.environment.cwd.join(dir));
    loop {
        let id = RunId::new(
            jiff::Timestamp::now(),
            &plan.task.name,
            (random() & 0xffff) as u16,
        );
        let screen = screen.clone();
        match RunFolder::create(state, &id, outdir.clone(), move |text| {
            screen.note(text.to_owned());
        }) {
            Ok(folder) => return Ok(folder),
            Err(error)
                if error.kind() == std::io::ErrorKind::AlreadyExists
                    && state.join("runs").join(id.as_str()).exists() => {}
            Err(error) => {
                let place = state.join("runs").display().to_string();
                let error = Diagnostic::new(format!("cannot make the run's record in `{place}`"))
                    .cause(error.to_string());
                return Err(error
                    .hint("`FAB_RS_STATE_DIR` names another place")
                    .hint("nothing was run")
                    .into());
            }
        }
    }
}
