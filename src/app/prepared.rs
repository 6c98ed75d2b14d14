//! From a task and words to a plan: the line that every task and every ad-hoc command takes. Running it is
//! `run`'s job.

use std::sync::Arc;

use indexmap::IndexMap;
use serde_json::{Map, Value};

use crate::inventory::Selected;
use crate::model::selector::{Term, TermError};
use crate::model::{Diagnostic, Host, HostId, RunId};
use crate::plan::{self, Plan, PlanRequest};
use crate::task::{CommonParams, Engine, Fab, GivenParams, Kind, Task};

use super::entry::Context;
use super::failure::Failure;
use super::fleet::{self, Fleet, Typed};
use super::git;
use super::kept_plan::{self, Kept, Selection, last_population};
use super::library::TaskSource;
use super::local_files;
use super::outside::ThisMachine;
use super::overrides::overrides;
use super::params::{self, Surroundings};
use super::run::random;
use super::settings::Settings;
use super::stored::Stored;

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
}

/// A plan with what it takes to run it.
pub(super) struct Prepared {
    /// The plan.
    pub(super) plan: Arc<Plan>,
    /// Whether there is somebody to ask.
    pub(super) terminal: bool,
    /// Hosts that match, and did not when the run began that this one goes on with.
    pub(super) others: Vec<Arc<Host>>,
    /// The run that this one takes up what was left of.
    pub(super) retries: Option<RunId>,
    /// That run, where it could still go on itself: it is over once this one has its lock.
    pub(super) replaces: Option<Stored>,
    /// The selectors it was made for.
    pub(super) selection: Selection,
    /// Renders what waited for the hosts.
    pub(super) engine: Arc<Engine>,
    /// A script came from stdin: nothing of it is left for another run.
    pub(super) stdin_taken: bool,
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
    /// Hosts that match now and did not then are counted too, and touched where they were typed to be.
    pub(super) include_new: bool,
}

impl Only {
    /// Narrows a selection; the hosts that match and did not then.
    fn narrow(&self, selected: &mut Selected) -> Result<Vec<Arc<Host>>, Failure> {
        let known = |id: &HostId| self.population.as_ref().is_none_or(|all| all.contains(id));
        let others = selected.population.iter().filter(|host| !known(&host.id));
        let others: Vec<Arc<Host>> = others.cloned().map(Arc::new).collect();
        let new = |id: &HostId| self.include_new && !known(id);
        selected
            .population
            .retain(|host| known(&host.id) || new(&host.id));
        let wished = std::mem::take(&mut selected.targets);
        let ids = selected.population.iter().map(|host| host.id.clone());
        let is_target = |id: &HostId| self.targets.contains(id) || (new(id) && wished.contains(id));
        selected.targets = ids.filter(is_target).collect();
        if selected.targets.is_empty() {
            let error = Diagnostic::new("none of the run's hosts is there any more");
            return Err(Failure::no_host([error.hint("nothing was run")]));
        }
        Ok(others)
    }
}

/// Plans the work: asks the inventory, sorts the words, resolves params, renders templates. Connects to no host.
///
/// # Errors
/// Everything that is wrong with the words, the params, the task or the selection, and files to be sent that cannot be
/// read.
pub(super) async fn prepare(context: &Context, work: Work<'_>) -> Result<Prepared, Failure> {
    let prepared = prepared(context, work, None).await?;
    local_files::check(&prepared.plan, &context.settings.environment.cwd)?;
    Ok(prepared)
}

/// As [`prepare`], for hosts and with params of an earlier run.
///
/// # Errors
/// As `prepare`; none of the hosts is left.
pub(super) async fn prepare_again(
    context: &Context,
    work: Work<'_>,
    earlier: (&Only, &Map<String, Value>),
) -> Result<Prepared, Failure> {
    prepared(context, work, Some(earlier)).await
}

async fn prepared(
    context: &Context,
    work: Work<'_>,
    earlier: Option<(&Only, &Map<String, Value>)>,
) -> Result<Prepared, Failure> {
    let (settings, console) = (&context.settings, &context.console);
    let terminal = settings.has_terminal(work.stdin_taken);
    let engine = engine(settings);
    let mut fleet = loaded(context, &work).await?;
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
        last_population: (work.task.kind == Kind::Change)
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
        replaces: None,
        stdin_taken: work.stdin_taken,
    })
}

/// The inventory, and which of the words are selectors.
async fn loaded(context: &Context, work: &Work<'_>) -> Result<Fleet, Failure> {
    let (settings, console) = (&context.settings, &context.console);
    let names: Vec<&str> = work.task.params.keys().map(String::as_str).collect();
    let typed = Typed::new(settings, work.words)?;
    let for_change = work.task.kind == Kind::Change;
    let fleet = fleet::load(settings, typed, &names, for_change).await?;
    let notes = fleet.inventory.notes.iter();
    notes.for_each(|note| console.remark(note));
    Ok(fleet)
}

/// The params that are given now; those of an earlier run stand where none are typed, whatever a file says by now.
fn given(
    settings: &Settings,
    typed: IndexMap<String, String>,
    earlier: Option<&Map<String, Value>>,
) -> Result<GivenParams, Failure> {
    let mut given = params::given(settings, typed)?;
    for (name, value) in earlier.into_iter().flatten() {
        if !given.typed.contains_key(name) {
            given.file.insert(name.clone(), value.clone());
        }
    }
    Ok(given)
}

/// Renders templates in this working directory.
pub(super) fn engine(settings: &Settings) -> Engine {
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
