//! What is known of a run, and every decision that follows from it. Pure: messages, signals and limits go
//! in, events and orders come out; [`super::dispatcher`] carries them out.

use std::path::PathBuf;
use std::sync::Arc;

use crate::model::{CancelReason, HostOutcome, Label, RunId};
use crate::plan::Plan;

use super::cancel::{Ladder, Rung, Signal};
use super::event::{EventKind, GateAnswer, HostRef, RunSummary};
use super::exit::Ending;
use super::message::{HostEnd, HostIndex, Reply, UnitMessage, Verdict};
use super::relay;
use super::roster::Roster;
use super::summary;

/// What the loop has to do after a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Order {
    /// Answer the message that asked.
    Answer(Reply),
    /// Start nothing new, for this reason; also sent where only the reason rose.
    StopStarting(CancelReason),
    /// End the remote groups of every host at work.
    EndGroups,
}

/// What follows from a message: facts to tell, and things to do.
#[derive(Debug, Default)]
#[must_use]
pub(crate) struct Reaction {
    pub(crate) events: Vec<EventKind>,
    pub(crate) orders: Vec<Order>,
}

impl Reaction {
    fn event(kind: EventKind) -> Self {
        Self {
            events: vec![kind],
            orders: Vec::new(),
        }
    }

    fn answer(verdict: Verdict) -> Self {
        Self {
            events: Vec::new(),
            orders: vec![Order::Answer(Reply::Verdict(verdict))],
        }
    }

    fn and(mut self, other: Self) -> Self {
        self.events.extend(other.events);
        self.orders.extend(other.orders);
        self
    }
}

/// What a run's state needs besides the plan.
#[derive(Debug, Clone)]
pub(crate) struct StateSettings {
    /// The run.
    pub(crate) run: RunId,
    /// The first failure stops the run.
    pub(crate) fail_fast: bool,
    /// The record's folder.
    pub(crate) record: PathBuf,
    /// When the run began.
    pub(crate) started: jiff::Timestamp,
}

/// Where one host is.
#[derive(Debug)]
enum Stage {
    Waiting,
    AtWork,
    Ended(HostEnd),
}

/// The state of a run.
#[derive(Debug)]
pub(crate) struct RunState {
    plan: Arc<Plan>,
    roster: Arc<Roster>,
    settings: StateSettings,
    stages: Vec<Stage>,
    ladder: Ladder,
    /// A gate said no.
    refused: bool,
    /// A budget was passed, or a step of all hosts failed.
    stopped: bool,
    /// Why hosts that were not started were not.
    because: Option<String>,
}

impl RunState {
    /// The state before the first message, and the first event.
    pub(crate) fn new(
        plan: Arc<Plan>,
        roster: Arc<Roster>,
        settings: StateSettings,
    ) -> (Self, EventKind) {
        let hosts = roster.entries().iter();
        let started = EventKind::RunStarted {
            task: plan.task.name.clone(),
            task_kind: plan.kind,
            hosts: hosts
                .map(|entry| (entry.host.clone(), entry.zone.clone()))
                .collect(),
            record: settings.record.clone(),
        };
        let stages = roster.entries().iter().map(|_| Stage::Waiting).collect();
        let state = Self {
            plan,
            roster,
            settings,
            stages,
            ladder: Ladder::default(),
            refused: false,
            stopped: false,
            because: None,
        };
        (state, started)
    }

    /// Takes a message in.
    pub(crate) fn apply(&mut self, message: UnitMessage) -> Reaction {
        match message {
            UnitMessage::BatchStarting { phase, batch } => self.batch_starting(phase, batch),
            UnitMessage::BatchEnded { phase, batch } => Reaction::event(EventKind::BatchFinished {
                phase: self.plan.phases[phase].name.clone(),
                index: batch,
            }),
            UnitMessage::HostStarting { host } => self.host_starting(host),
            UnitMessage::HostEnded { host, end } => self.host_ended(host, end),
            UnitMessage::SharedStepFailed { step, on } => {
                self.stopped = true;
                self.because.get_or_insert_with(|| {
                    format!("step `{step}`, on which all hosts depend, failed on {on}")
                });
                self.raise(self.ladder.raised(CancelReason::HostFailed, Rung::Drain))
            }
            UnitMessage::GateAnswered { answer, by } => {
                if answer == GateAnswer::Stop {
                    self.refused = true;
                    self.because
                        .get_or_insert_with(|| format!("not confirmed (answered by {by})"));
                }
                Reaction::default()
            }
            fact => {
                let event = relay::event(fact, &|host| self.speaking(host));
                event.map_or_else(Reaction::default, Reaction::event)
            }
        }
    }

    /// Takes a signal in.
    pub(crate) fn signal(&mut self, signal: Signal) -> Reaction {
        self.raise(self.ladder.signalled(signal, self.plan.kind))
    }

    /// The run's limit passed (`kill`), or the task's deadline, after which hosts at work still finish.
    pub(crate) fn deadline(&mut self, kill: bool) -> Reaction {
        let rung = if kill { Rung::Kill } else { Rung::Drain };
        self.raise(self.ladder.raised(CancelReason::Deadline, rung))
    }

    /// The last events: the hosts that never started, and the summary.
    pub(crate) fn finish(&mut self, ended: jiff::Timestamp) -> (Vec<EventKind>, Arc<RunSummary>) {
        let reason = self.why_not_run();
        let mut events = Vec::new();
        for host in 0..self.stages.len() {
            let end = match self.stages[host] {
                Stage::Ended(_) => continue,
                Stage::Waiting => HostEnd::of(HostOutcome::NotRun {
                    reason: reason.clone(),
                }),
                Stage::AtWork => HostEnd::internal("its work ended without a word"),
            };
            events.push(self.finished(host, end));
        }
        let summary = Arc::new(self.summary(ended));
        events.push(EventKind::RunFinished {
            summary: Arc::clone(&summary),
        });
        (events, summary)
    }

    fn batch_starting(&mut self, phase: usize, batch: usize) -> Reaction {
        if self.is_stopping() {
            return Reaction::answer(Verdict::Refuse);
        }
        let planned = &self.plan.phases[phase];
        let started = EventKind::BatchStarted {
            phase: planned.name.clone(),
            index: batch,
            count: planned.batches.len(),
            zone: planned.batches[batch].zone.clone(),
            canary: planned.batches[batch].canary,
            last: planned.batches[batch].last,
            hosts: self
                .roster
                .batch(phase, batch)
                .map(|host| self.label(host))
                .collect(),
        };
        Reaction::event(started).and(Reaction::answer(Verdict::Proceed))
    }

    fn host_starting(&mut self, host: HostIndex) -> Reaction {
        if self.is_stopping() || !matches!(self.stages[host], Stage::Waiting) {
            return Reaction::answer(Verdict::Refuse);
        }
        self.stages[host] = Stage::AtWork;
        Reaction::event(EventKind::HostStarted {
            host: self.roster.host(host),
        })
        .and(Reaction::answer(Verdict::Proceed))
    }

    fn host_ended(&mut self, host: HostIndex, end: HostEnd) -> Reaction {
        let answer = Reaction::answer(Verdict::Proceed);
        if matches!(self.stages[host], Stage::Ended(_)) {
            return answer;
        }
        let counts = end.outcome.counts_as_failure();
        let told = Reaction::event(self.finished(host, end));
        let stop = if counts {
            self.count_failures(self.roster.entries()[host].phase)
        } else {
            Reaction::default()
        };
        told.and(stop).and(answer)
    }

    /// Stops where more hosts of the phase failed than it tolerates.
    fn count_failures(&mut self, phase: usize) -> Reaction {
        let allowed = if self.settings.fail_fast {
            Some(0)
        } else {
            self.plan.phases[phase].resolved.max_failures
        };
        let failed = self.failed_of(phase);
        let Some(allowed) = allowed.filter(|allowed| failed > *allowed) else {
            return Reaction::default();
        };
        self.stopped = true;
        self.because.get_or_insert_with(|| {
            let noun = if failed == 1 { "host" } else { "hosts" };
            format!("stopped before: {failed} {noun} failed, the limit is {allowed}")
        });
        self.raise(self.ladder.raised(CancelReason::HostFailed, Rung::Drain))
    }

    fn failed_of(&self, phase: usize) -> usize {
        let hosts = self.roster.entries().iter().zip(&self.stages);
        hosts
            .filter(|(entry, stage)| {
                entry.phase == phase
                    && matches!(stage, Stage::Ended(end) if end.outcome.counts_as_failure())
            })
            .count()
    }

    /// A host's end, as state and as event.
    fn finished(&mut self, host: HostIndex, end: HostEnd) -> EventKind {
        let event = EventKind::HostFinished {
            host: self.roster.host(host),
            outcome: end.outcome.clone(),
            duration: end.duration,
            tail: end.tail.clone(),
        };
        self.stages[host] = Stage::Ended(end);
        event
    }

    fn raise(&mut self, to: Ladder) -> Reaction {
        let from = std::mem::replace(&mut self.ladder, to);
        let mut reaction = Reaction::default();
        let Some(reason) = to.reason().filter(|_| from != to) else {
            return reaction;
        };
        let running = self.at_work();
        if from.reason() != to.reason() {
            reaction.events.push(EventKind::CancelStarted {
                reason,
                running: running.clone(),
            });
            reaction.orders.push(Order::StopStarting(reason));
        }
        if from.rung() != to.rung() && to.rung() == Some(Rung::Kill) {
            reaction.events.push(EventKind::KillStarted { running });
            reaction.orders.push(Order::EndGroups);
        }
        reaction
    }

    fn at_work(&self) -> Vec<Label> {
        let hosts = 0..self.stages.len();
        hosts
            .filter(|&host| matches!(self.stages[host], Stage::AtWork))
            .map(|host| self.label(host))
            .collect()
    }

    fn is_stopping(&self) -> bool {
        self.refused || self.ladder.rung().is_some()
    }

    fn label(&self, host: HostIndex) -> Label {
        self.roster.entries()[host].host.host.clone()
    }

    fn why_not_run(&self) -> String {
        let signal = self
            .ladder
            .reason()
            .filter(|reason| *reason != CancelReason::HostFailed);
        match (signal, &self.because) {
            (None, Some(because)) => because.clone(),
            (Some(reason), _) => summary::cancelled(reason).to_owned(),
            (None, None) => "the run ended before its turn".to_owned(),
        }
    }

    /// A host at work, as events name it. What comes of a host that has not begun, or has had its last
    /// word, is dropped.
    fn speaking(&self, host: HostIndex) -> Option<HostRef> {
        matches!(self.stages[host], Stage::AtWork).then(|| self.roster.host(host))
    }

    fn summary(&self, ended: jiff::Timestamp) -> RunSummary {
        let ends: Vec<&HostEnd> = self.stages.iter().filter_map(Stage::end).collect();
        let ending = Ending {
            kind: self.plan.kind,
            internal: ends.iter().any(|end| end.internal),
            refused: self.refused,
            stopped: self.stopped,
            reason: self.ladder.reason(),
            rung: self.ladder.rung(),
        };
        let status = ending.status(ends.iter().map(|end| &end.outcome));
        let entries = self.roster.entries().iter();
        let hosts = entries
            .zip(&ends)
            .map(|(entry, end)| (entry.host.host.clone(), summary::of_host(entry, end)))
            .collect();
        RunSummary {
            run: self.settings.run.clone(),
            task: self.plan.task.name.clone(),
            exit: status.code(),
            state: ending.state(status).to_owned(),
            hosts,
            counts: summary::counts(ends.iter().map(|end| &end.outcome)),
            started: self.settings.started,
            ended,
            record: self.settings.record.clone(),
        }
    }
}

impl Stage {
    fn end(&self) -> Option<&HostEnd> {
        match self {
            Self::Ended(end) => Some(end),
            Self::Waiting | Self::AtWork => None,
        }
    }
}
