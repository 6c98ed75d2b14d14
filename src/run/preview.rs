//! A look at what a run would find, and nothing else: the preflight of [`execute`](super::execute), then the
//! steps of each target that only read, up to the first one that may change something. No question, no lock, no
//! batch is taken.

use std::pin::pin;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::model::{CancelReason, HostOutcome};
use crate::plan::{Batch, HostPlan, Plan};
use crate::task::{Action, Group, Step};
use crate::transport::{Controller, Transport};

use super::cancel::Signal;
use super::course::Course;
use super::dispatcher::Stamp;
use super::engine::assemble;
use super::errand::{Errand, Found, Look};
use super::event::{EventKind, HostRef, Trouble};
use super::executor;
use super::look::{self, Asked};
use super::message::{Envelope, HostEnd, HostIndex, Reply, UnitMessage, Verdict, Wire};
use super::options::{Parts, RunOptions};
use super::progress::Told;
use super::prompt::Prompt;
use super::record::Record;
use super::relay;
use super::roster::Roster;
use super::shared::{Shared, World};
use super::sink::Sink;
use super::stop::StopTokens;
use super::unit::{self, Leave};
use super::work::{AtWork, Site};

/// What was found.
#[derive(Debug)]
pub struct Preview {
    /// The plan as it would be taken now: the batches of its first phase are formed anew. As it was where the run
    /// would not begin.
    pub plan: Plan,
    /// Every host of the population.
    pub hosts: Vec<HostPreview>,
    /// The preflight would end the run before anything is changed.
    pub is_refused: bool,
    /// Why the look was cut short.
    pub stopped: Option<CancelReason>,
}

/// What was found of one host.
#[derive(Debug)]
pub struct HostPreview {
    /// The host.
    pub host: HostRef,
    /// Whether it may be touched.
    pub is_target: bool,
    /// What is wrong with it.
    pub trouble: Option<Trouble>,
    /// Whether it is taken last; `None` where its facts do not say.
    pub last: Option<bool>,
    /// How its reading steps ended; `None` where none were run.
    pub steps: Option<HostOutcome>,
}

/// Looks at the hosts of a plan. Events are those of a run, without a first and a last one: each look, each line
/// that a host says, and `HostFinished` of those that failed.
///
/// Nothing is left behind: the transport is shut down when this returns.
pub async fn preview<T, L, S, R, P>(
    plan: Arc<Plan>,
    parts: Parts<T, L, S, R, P>,
    options: RunOptions,
    signals: mpsc::Receiver<Signal>,
) -> Preview
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
    let limit = options.limits.run;
    let mut stamp = Stamp::new(options.run.clone(), &Told::default());
    stamp.put(EventKind::RunStarted {
        task: plan.task.name.clone(),
        task_kind: plan.kind,
        hosts: roster
            .entries()
            .iter()
            .map(|entry| (entry.host.clone(), entry.zone.clone()))
            .collect(),
        record: parts.record.folder().to_path_buf(),
    });
    let course = Course::new(Arc::clone(&plan), Arc::clone(&roster), false);
    let (shared, sink) = assemble(plan, parts, options, (wire, Arc::clone(&stop)));
    let mut listener = Listener {
        ends: vec![None; roster.entries().len()],
        course,
        roster,
        stamp,
        sink,
        messages,
        signals: Some(signals),
        limit: limit.map(|limit| Instant::now() + limit),
        stop,
        stopped: None,
    };
    let batches = listener.preflight(&shared).await;
    if let Some(batches) = batches.as_ref().filter(|_| listener.stopped.is_none()) {
        let reading = read(Arc::clone(&shared), batches.clone(), listener.fit());
        for (host, end) in listener.during(reading).await {
            listener.ended(host, end).await;
        }
    }
    executor::finish(&shared).await;
    listener.preview(&shared.plan, batches)
}

/// Hears what hosts say while they are asked.
struct Listener<S> {
    course: Course,
    roster: Arc<Roster>,
    stamp: Stamp,
    sink: S,
    messages: mpsc::Receiver<Envelope>,
    signals: Option<mpsc::Receiver<Signal>>,
    limit: Option<Instant>,
    stop: Arc<StopTokens>,
    stopped: Option<CancelReason>,
    ends: Vec<Option<HostOutcome>>,
}

impl<S: Sink> Listener<S> {
    /// Asks everybody; the batches that would be taken now, or nothing where the run would not begin.
    async fn preflight<W: World>(&mut self, shared: &Arc<Shared<W>>) -> Option<Vec<Batch>> {
        let asked: Look = match self.course.preflight_alone() {
            Some(Errand::Look(look)) => look,
            _ => Look::default(),
        };
        self.tell().await;
        self.during(look::look(Arc::clone(shared), asked)).await;
        if self.stopped.is_some() {
            return None;
        }
        let batches = self.course.after_preflight();
        self.tell().await;
        batches
    }

    /// The targets on which steps may run.
    fn fit(&self) -> Vec<bool> {
        let ledger = self.course.ledger();
        let is_fit = |host| {
            let trouble = ledger.of(host).trouble();
            matches!(trouble, None | Some(Trouble::Sick { .. }))
        };
        ledger.hosts().map(is_fit).collect()
    }

    /// Does something, and takes what is told meanwhile.
    async fn during<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        let came = loop {
            let limit = self.limit;
            tokio::select! {
                biased;
                signal = received(&mut self.signals) => self.cut_short(match signal {
                    Signal::Interrupt => CancelReason::Interrupt,
                    Signal::Terminate => CancelReason::Terminate,
                    Signal::Hangup => CancelReason::Hangup,
                    Signal::ClosedPipe => CancelReason::ClosedPipe,
                }),
                () = reached(limit) => {
                    self.limit = None;
                    self.cut_short(CancelReason::Deadline);
                }
                Some(envelope) = self.messages.recv() => self.take(envelope).await,
                came = &mut work => break came,
            }
        };
        while let Ok(envelope) = self.messages.try_recv() {
            self.take(envelope).await;
        }
        came
    }

    fn cut_short(&mut self, reason: CancelReason) {
        self.stopped.get_or_insert(reason);
        self.stop.stop_starting(reason);
        self.stop.end_groups();
    }

    async fn take(&mut self, Envelope { message, reply }: Envelope) {
        match message {
            UnitMessage::Found(finding) => self.course.found(&finding),
            message => {
                let roster = &self.roster;
                let kind = relay::event(message, &|host| Some(roster.host(host)));
                if let Some(kind) = kind {
                    self.stamp.put(kind);
                }
            }
        }
        if let Some(reply) = reply {
            // Whoever asked may have gone meanwhile.
            let _unread = reply.send(Reply::Verdict(Verdict::Proceed));
        }
        self.tell().await;
    }

    /// Hands on what happened.
    async fn tell(&mut self) {
        for kind in self.course.take_events() {
            self.stamp.put(kind);
        }
        while let Some(event) = self.stamp.take() {
            self.sink.accept(&event).await;
        }
    }

    /// Keeps how the steps of a host ended, and tells it where they failed.
    async fn ended(&mut self, host: HostIndex, end: HostEnd) {
        self.ends[host] = Some(end.outcome.clone());
        if !matches!(end.outcome, HostOutcome::Ok | HostOutcome::Cancelled { .. }) {
            self.stamp.put(EventKind::HostFinished {
                host: self.roster.host(host),
                outcome: end.outcome,
                duration: end.duration,
                tail: end.tail,
            });
        }
        self.tell().await;
    }

    fn preview(self, plan: &Plan, batches: Option<Vec<Batch>>) -> Preview {
        let ledger = self.course.ledger();
        let hosts = self.ends.into_iter().enumerate().map(|(host, steps)| {
            let entry = ledger.of(host);
            HostPreview {
                host: self.roster.host(host),
                is_target: self.roster.is_target(host),
                trouble: entry.trouble().cloned(),
                last: entry.last,
                steps,
            }
        });
        Preview {
            hosts: hosts.collect(),
            is_refused: batches.is_none() && self.stopped.is_none(),
            stopped: self.stopped,
            plan: match batches {
                Some(batches) => plan.with_batches(0, batches),
                None => plan.clone(),
            },
        }
    }
}

async fn received(signals: &mut Option<mpsc::Receiver<Signal>>) -> Signal {
    if let Some(open) = signals
        && let Some(signal) = open.recv().await
    {
        return signal;
    }
    *signals = None;
    std::future::pending().await
}

async fn reached(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Runs the reading steps of the first phase on every host of the batches that fits, all at the same time as far
/// as there are places: nothing is taken away by them.
async fn read<W: World>(
    shared: Arc<Shared<W>>,
    batches: Vec<Batch>,
    fit: Vec<bool>,
) -> Vec<(HostIndex, HostEnd)> {
    let numbers: std::collections::HashMap<_, HostIndex> = shared
        .plan
        .population
        .iter()
        .map(|host| &host.id)
        .zip(0..)
        .collect();
    let place = |target: &usize| -> HostIndex { numbers[&shared.plan.targets[*target]] };
    let takes = |target: &&usize| {
        fit[place(target)] && !reading(&shared.plan.phases[0].hosts[**target].steps).is_empty()
    };
    let targets = batches.iter().flat_map(|batch| &batch.hosts);
    // Hosts that meet, at a `once`, do so as if they were one batch.
    let together: Vec<HostIndex> = targets.filter(takes).map(place).collect();
    shared.meetings.enlist(&together);
    let mut asked = Asked::default();
    for batch in &batches {
        let members: Vec<HostIndex> = batch.hosts.iter().map(place).collect();
        let numbered = (0, batch.index);
        let at_work = Arc::new(AtWork {
            phase: 0,
            number: batch.index,
            place: shared.places.batch(numbered, batch.canary, &members),
            members: together.clone(),
        });
        for target in batch.hosts.iter().filter(takes) {
            let (shared, at_work) = (Arc::clone(&shared), Arc::clone(&at_work));
            asked.spawn(place(target), one(shared, at_work, place(target), *target));
        }
    }
    let mut ends = Vec::new();
    while let Some((host, came)) = asked.next().await {
        shared.meetings.ended(host);
        ends.push((host, came.unwrap_or_else(broken)));
    }
    ends.sort_by_key(|(host, _)| *host);
    ends
}

async fn one<W: World>(
    shared: Arc<Shared<W>>,
    batch: Arc<AtWork>,
    index: HostIndex,
    target: usize,
) -> HostEnd {
    let plan = &shared.plan.phases[0].hosts[target];
    let plan = Arc::new(HostPlan {
        steps: reading(&plan.steps).into(),
        rescue: Arc::default(),
        always: Arc::default(),
        rollback: Arc::default(),
        health: Arc::default(),
        verify: Arc::default(),
        ..plan.clone()
    });
    let leave = Leave {
        site: Site {
            index,
            host: Arc::clone(&plan.host),
            batch: Some(batch),
        },
        plan,
        permit: shared.permit().await,
        heed: shared.stop.forward(),
        continues: false,
    };
    unit::run(shared, leave).await
}

/// The end of a host whose work broke.
fn broken(found: Found) -> HostEnd {
    let cause = match found {
        Found::Unfit { cause } | Found::Sick { cause, .. } => cause,
        Found::Silent { .. } | Found::Well => String::new(),
    };
    HostEnd::of(HostOutcome::Failed {
        step: "fab-rs".to_owned(),
        exit_code: None,
        cause,
    })
}

/// The steps before the first one that may change something.
fn reading(steps: &[Step]) -> &[Step] {
    let first = steps.iter().position(|step| !only_reads(step));
    &steps[..first.unwrap_or(steps.len())]
}

/// Whether a step says that it reads, or only thinks; one that holds others does where they all do. What waits,
/// asks a person or brings files is no reading here.
fn only_reads(step: &Step) -> bool {
    let all = |group: &Group| {
        let mut lists = [&group.steps, &group.rescue, &group.always].into_iter();
        lists.all(|steps| steps.iter().all(only_reads))
    };
    match &step.action {
        Action::Group(group) => all(group),
        Action::Task(sub) => sub.steps.as_ref().is_some_and(all),
        Action::Assert { .. } | Action::Fail(_) | Action::Log(_) | Action::Set(_) => true,
        Action::Confirm(_) | Action::Download(_) | Action::Pause(_) => false,
        _ => step.modifiers.read_only,
    }
}
