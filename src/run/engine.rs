//! The entry: joins the deciding half and the working half of a run, and returns its summary.

use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, PoisonError};

use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;

use crate::model::HostOutcome;
use crate::plan::Plan;
use crate::task::{Kind, Reads};
use crate::transport::{Controller, Transport};

use super::cancel::Signal;
use super::detached::DetachedSteps;
use super::digest::Digests;
use super::dispatcher::{Dispatcher, Ends, Outside};
use super::event::RunSummary;
use super::executor;
use super::known::Known;
use super::meetings::{Meetings, OnceKey, OnceResult};
use super::message::Wire;
use super::options::{Parts, RunOptions};
use super::places::Places;
use super::pool::Pool;
use super::progress::{Progress, Standing, StepProgress};
use super::prompt::Prompt;
use super::record::Record;
use super::roster::Roster;
use super::shared::{Shared, World, WorldOf};
use super::sink::Sink;
use super::state::{RunState, StateSettings};
use super::stop::StopTokens;
use super::values::Rendering;

/// Runs a plan to its end and returns the summary, which the sink has got as the last event too.
///
/// The first event is `RunStarted`, the last `RunFinished`; every planned host has exactly one
/// `HostFinished`, whatever breaks. Nothing is left behind: every unit has ended and the transport is shut
/// down when this returns. Dropping the future instead abandons the run without summary; sessions then end
/// as their own drop has it.
///
/// A host stands in one batch of the plan.
pub async fn execute<T, L, S, R, P>(
    plan: Arc<Plan>,
    parts: Parts<T, L, S, R, P>,
    options: RunOptions,
    signals: mpsc::Receiver<Signal>,
) -> Arc<RunSummary>
where
    T: Transport,
    L: Controller,
    S: Sink,
    R: Record,
    P: Prompt + 'static,
{
    let roster = Arc::new(Roster::of(&plan));
    let stop = Arc::new(StopTokens::default());
    let (wire, messages) = Wire::new();
    let (shared, sink) = assemble(plan, parts, options, (wire, Arc::clone(&stop)));
    let (plan, options) = (&shared.plan, &shared.options);
    let settings = StateSettings {
        run: options.run.clone(),
        fail_fast: options.fail_fast,
        record: shared.record.folder().to_path_buf(),
        started: shared.rendering.started_at,
        progress: options.progress.clone(),
        undo: options.undo,
    };
    let state = RunState::new(Arc::clone(plan), Arc::clone(&roster), settings);
    let outside = Outside::new(signals, options.limits.run, plan.task.deadline);
    let ends = Ends {
        stop,
        journal: Arc::clone(&shared.journal),
        sink,
    };
    let dispatcher = Dispatcher::new(options.run.clone(), state, outside, ends);
    let (summary, ()) = tokio::join!(dispatcher.run(messages), executor::run(shared));
    summary
}

/// What units over these parts share.
type SharedBy<T, L, R, P> = Arc<Shared<WorldOf<T, L, R, P>>>;

/// What the units of a run share, and the sink, which is not for them.
pub(crate) fn assemble<T, L, S, R, P>(
    plan: Arc<Plan>,
    parts: Parts<T, L, S, R, P>,
    options: RunOptions,
    (wire, stop): (Wire, Arc<StopTokens>),
) -> (SharedBy<T, L, R, P>, S)
where
    T: Transport,
    L: Controller,
    R: Record,
    P: Prompt + 'static,
{
    let rendering = Rendering {
        engine: parts.engine,
        run: options.run.clone(),
        user: options.user.clone(),
        started_at: begun_at(&options),
        dir: parts.record.folder().to_string_lossy().into_owned(),
        ok: AtomicUsize::new(done_before(&options)),
        failed: AtomicUsize::new(0),
    };
    let reads = reads(&plan);
    let mut shared = Shared {
        rendering,
        places: Places::of(&plan),
        pool: Pool::new(plan.kind == Kind::Change),
        known: Known::new(plan.population.len()),
        places_at_work: Arc::new(Semaphore::new(options.fanout.get())),
        started: Instant::now(),
        plan,
        options,
        transport: parts.transport,
        local: parts.local,
        record: parts.record,
        journal: parts.journal,
        prompt: tokio::sync::Mutex::new(parts.prompt),
        wire,
        stop,
        meetings: Meetings::default(),
        past: std::sync::Mutex::default(),
        digests: Digests::default(),
        reads,
        detached: DetachedSteps::default(),
    };
    if let Some(progress) = shared.options.progress.clone() {
        shared.detached = DetachedSteps::of(&progress);
        take_over(&shared, &progress);
    }
    (Arc::new(shared), parts.sink)
}

/// What the steps of a plan read.
fn reads(plan: &Plan) -> Reads {
    let mut reads = Reads::default();
    reads.add(&plan.before);
    reads.add(&plan.after);
    for phase in &plan.phases {
        reads.add(&phase.before);
        reads.add(&phase.after);
        for host in &phase.hosts {
            for steps in [&host.steps, &host.rescue, &host.always, &host.rollback] {
                reads.add(steps);
            }
        }
    }
    reads
}

/// When the run began, whichever process that was: what is named by it keeps its name.
fn begun_at(options: &RunOptions) -> jiff::Timestamp {
    let earlier = options.progress.as_ref();
    let told = earlier.and_then(|progress| progress.told.started);
    told.unwrap_or_else(jiff::Timestamp::now)
}

/// How many hosts an earlier process of the run was done with.
fn done_before(options: &RunOptions) -> usize {
    let hosts = options.progress.iter();
    let hosts = hosts.flat_map(|progress| progress.hosts.values());
    let done = hosts.filter(|host| host.standing == Standing::Ended(HostOutcome::Ok));
    done.count()
}

/// What an earlier process of the run settled stays settled.
fn take_over<W: World>(shared: &Shared<W>, progress: &Progress) {
    for (mark, register) in &progress.settled {
        let withheld = register.as_ref().is_some_and(|register| register.withheld);
        if let (Some(key), false) = (OnceKey::of(mark), withheld) {
            let register = register.as_ref().map(|register| register.value());
            shared.meetings.settle(key, OnceResult::Passed(register));
        }
    }
    for (mark, step) in &progress.shared {
        let (None, StepProgress::Ended { register, .. }) = (&mark.once, step) else {
            continue;
        };
        if let Some(register) = register.as_ref().filter(|register| !register.withheld)
            && let Some(name) = &register.name
        {
            shared.known.keep_common(name, register.value());
        }
    }
    let there = shared.plan.population.iter();
    let there = there.map(|host| (&host.id, &host.label));
    let gone = progress.told.gone.iter();
    let gone = gone.map(|gone| (&gone.host.id, &gone.host.host));
    for (id, label) in there.chain(gone) {
        let of = progress.hosts.get(id).map(|of| of.results.iter());
        let results = of.into_iter().flatten();
        let results = results.map(|(step, kept)| (step.clone(), kept.shown()));
        shared.known.bring(label, results);
    }
    for (host, of) in shared.plan.population.iter().enumerate() {
        let sticky = progress.hosts.get(&of.id).map(|of| of.sticky.iter());
        for (mark, register) in sticky.into_iter().flatten() {
            let name = register.name.as_deref().unwrap_or_default();
            let _first = shared.known.stick(host, mark, (name, &register.value()));
        }
    }
    let mut past = shared.past.lock().unwrap_or_else(PoisonError::into_inner);
    past.clone_from(&progress.shared);
}
