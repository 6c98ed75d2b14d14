//! What is known of a run, and every decision that follows from it. Pure: messages, signals and limits go
//! in, events and orders come out; [`super::dispatcher`] carries them out.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use crate::model::{CancelReason, ExitStatus, HostOutcome, Label, RunId};
use crate::plan::{HostPlan, Plan};
use crate::task::{Action, Step};

use super::cancel::{Ladder, Rung, Signal};
use super::course::{Brake, Course};
use super::errand::Errand;
use super::event::{EventKind, HostRef, RunSummary};
use super::exit::Ending;
use super::journal::Fact;
use super::message::{HostIndex, Reply, UnitMessage, Verdict};
use super::progress::{Progress, Told};
use super::relay;
use super::roster::Roster;
use super::summary;

/// What is said to a signal that comes at the very end.
const TOO_LATE: &str = "nothing is left to stop: the run is over, and only lets go of its hosts";

/// What the loop has to do after a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Order {
    /// Answer the message that asked.
    Answer(Reply),
    /// Start nothing new, for this reason; also sent where only the reason rose.
    StopStarting(CancelReason),
    /// End the remote groups of every host at work.
    EndGroups,
    /// End what follows a stop: a question about it, or a rollback.
    EndRollback,
}

/// What follows from a message: facts to tell, and things to do.
#[derive(Debug, Default)]
#[must_use]
pub(crate) struct Reaction {
    pub(crate) events: Vec<EventKind>,
    /// What the journal has to have before anything follows from it.
    pub(crate) facts: Vec<Fact>,
    pub(crate) orders: Vec<Order>,
}

impl Reaction {
    fn event(kind: EventKind) -> Self {
        Self {
            events: vec![kind],
            ..Self::default()
        }
    }

    fn answered(mut self, reply: Reply) -> Self {
        self.orders.push(Order::Answer(reply));
        self
    }

    fn and(mut self, other: Self) -> Self {
        self.events.extend(other.events);
        self.facts.extend(other.facts);
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
    /// How far an earlier process of the run had come.
    pub(crate) progress: Option<Arc<Progress>>,
    /// Roll back, and nothing else.
    pub(crate) undo: bool,
}

/// The state of a run.
#[derive(Debug)]
pub(crate) struct RunState {
    plan: Arc<Plan>,
    roster: Arc<Roster>,
    settings: StateSettings,
    ladder: Ladder,
    /// The ladder as it was when nothing was left to do but to let go: how the run ended is decided by that.
    last: Option<Ladder>,
    course: Course,
    /// Steps that change nothing, by id.
    harmless: HashSet<String>,
}

impl RunState {
    /// The state before the first message, and the first event.
    pub(crate) fn new(
        plan: Arc<Plan>,
        roster: Arc<Roster>,
        settings: StateSettings,
    ) -> (Self, EventKind) {
        let targets = roster.order().iter();
        let entry = |&host: &HostIndex| {
            let entry = &roster.entries()[host];
            (entry.host.clone(), entry.zone.clone())
        };
        let told = settings.progress.as_ref().map(|progress| &progress.told);
        let gone = told.map_or(&[][..], |told| &told.gone);
        let started = EventKind::RunStarted {
            task: plan.task.name.clone(),
            task_kind: plan.kind,
            hosts: targets
                .map(entry)
                .chain(
                    gone.iter()
                        .map(|gone| (gone.host.clone(), gone.zone.clone())),
                )
                .collect(),
            record: settings.record.clone(),
        };
        let (fail_fast, of) = (settings.fail_fast, (Arc::clone(&plan), Arc::clone(&roster)));
        let mut course = match &settings.progress {
            None => Course::new(of.0, of.1, fail_fast),
            Some(progress) => Course::resumed(of.0, of.1, fail_fast, (progress, settings.undo)),
        };
        for gone in gone {
            course.tell_gone(gone);
        }
        let state = Self {
            harmless: harmless(&plan),
            plan,
            roster,
            settings,
            ladder: Ladder::default(),
            last: None,
            course,
        };
        (state, started)
    }

    /// What earlier processes of the run told.
    pub(crate) fn told(&self) -> Told {
        let progress = self.settings.progress.as_ref();
        progress
            .map(|progress| progress.told.clone())
            .unwrap_or_default()
    }

    /// Takes a message in.
    pub(crate) fn apply(&mut self, message: UnitMessage) -> Reaction {
        match message {
            UnitMessage::Next { at } => {
                let errand = self.course.next(at);
                if self.course.is_over() {
                    self.last.get_or_insert(self.ladder);
                }
                let errand = match errand {
                    Errand::Unlock { .. } => Errand::Unlock {
                        keep: self.keeps_lock(),
                    },
                    errand => errand,
                };
                self.reaction().answered(Reply::Errand(errand))
            }
            UnitMessage::Found(finding) => {
                self.course.found(&finding);
                self.reaction()
            }
            UnitMessage::SectionEnded { section, passed } => {
                self.course.section_ended(section, passed);
                self.reaction()
            }
            UnitMessage::LockEnded(end) => {
                self.course.lock_ended(end);
                self.reaction()
            }
            UnitMessage::LockWaited(found) => {
                self.course.lock_waited(*found);
                self.reaction()
            }
            UnitMessage::GateAnswered { answer, by } => {
                self.course.gate_answered(answer, by);
                self.reaction()
            }
            UnitMessage::HostStarting { host } => self.host_starting(host),
            UnitMessage::HostEnded { host, end } => {
                self.course.host_ended(host, end);
                self.reaction().answered(Reply::Verdict(Verdict::Proceed))
            }
            UnitMessage::HostRolledBack { host, result } => {
                self.course.rolled_back(host, result);
                self.reaction().answered(Reply::Verdict(Verdict::Proceed))
            }
            UnitMessage::SharedStepFailed { step, on } => {
                self.course.shared_step_failed(step, on);
                self.reaction()
            }
            fact => self.relayed(fact),
        }
    }

    /// Takes a signal in.
    pub(crate) fn signal(&mut self, signal: Signal) -> Reaction {
        let to = self.ladder.signalled(signal, self.plan.kind);
        self.interrupted(to, to.ends(self.ladder))
    }

    /// The journal cannot be written: nothing more is begun.
    pub(crate) fn unrecorded(&mut self, cause: String) -> Reaction {
        self.course.unrecorded(cause);
        self.reaction()
    }

    /// The run's limit passed (`kill`), or the task's deadline, after which hosts at work still finish.
    pub(crate) fn deadline(&mut self, kill: bool) -> Reaction {
        let rung = if kill { Rung::Kill } else { Rung::Drain };
        self.interrupted(self.ladder.raised(CancelReason::Deadline, rung), kill)
    }

    /// The last events: the hosts that never started, and the summary.
    pub(crate) fn finish(&mut self, ended: jiff::Timestamp) -> (Reaction, Arc<RunSummary>) {
        let reason = self.why_not_run();
        self.course.finish(&reason);
        let mut last = Reaction {
            events: self.course.take_events(),
            facts: self.course.take_facts(),
            orders: Vec::new(),
        };
        let summary = Arc::new(self.summary(ended));
        last.facts.push(Fact::RunFinished {
            state: summary.state.clone(),
            exit: summary.exit,
        });
        last.events.push(EventKind::RunFinished {
            summary: Arc::clone(&summary),
        });
        (last, summary)
    }

    fn host_starting(&mut self, host: HostIndex) -> Reaction {
        let verdict = self.course.host_starting(host);
        if verdict == Verdict::Refuse {
            return Reaction::default().answered(Reply::Verdict(verdict));
        }
        Reaction::event(EventKind::HostStarted {
            host: self.roster.host(host),
        })
        .and(self.reaction())
        .answered(Reply::Verdict(verdict))
    }

    /// What only tells something.
    fn relayed(&mut self, fact: UnitMessage) -> Reaction {
        if let UnitMessage::StepStarted {
            host: Some(host),
            step,
        } = &fact
            && !self.harmless.contains(&*step.id)
        {
            self.course.touched(*host);
        }
        let event = relay::event(fact, &|host| self.speaking(host));
        event.map_or_else(Reaction::default, Reaction::event)
    }

    /// What the course says about what it was just told.
    fn reaction(&mut self) -> Reaction {
        let told = Reaction {
            events: self.course.take_events(),
            facts: self.course.take_facts(),
            orders: Vec::new(),
        };
        let rung = match self.course.take_brake() {
            None => return told,
            Some(Brake::Finish) => Rung::Drain,
            Some(Brake::Cancel) => Rung::Kill,
        };
        let raised = self.ladder.raised(CancelReason::HostFailed, rung);
        told.and(self.raise(raised))
    }

    /// Something from outside stops the run; where `kill`, it asks that what runs be ended.
    fn interrupted(&mut self, to: Ladder, kill: bool) -> Reaction {
        if self.last.is_some() {
            return self.too_late(to);
        }
        let was_halted = self.course.is_halted();
        let before = self.ladder;
        let mut reaction = self.raise(to);
        if let Some(reason) = to.reason().filter(|_| before != to)
            && self.course.interrupted(reason, kill)
        {
            reaction.orders.push(Order::EndRollback);
        }
        debug_assert!(!was_halted || self.course.is_halted(), "a stop holds");
        reaction.and(self.reaction())
    }

    /// A stop that comes when there is nothing left to stop: what still waits is cut short, and that is all.
    fn too_late(&mut self, to: Ladder) -> Reaction {
        let mut reaction = self.raise(to);
        if !reaction.events.is_empty() {
            reaction.events = vec![EventKind::Noted {
                host: None,
                text: TOO_LATE.to_owned(),
            }];
        }
        reaction
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
        let hosts = self.roster.order().iter().copied();
        let hosts: Vec<HostIndex> = hosts
            .filter(|&host| self.course.ledger().of(host).is_at_work())
            .collect();
        self.roster.labels(&hosts)
    }

    fn why_not_run(&self) -> String {
        use CancelReason::{Deadline, HostFailed};
        match (self.stopped_by().reason(), self.course.why_halted()) {
            (None | Some(HostFailed | Deadline), Some(because)) => because,
            (None | Some(HostFailed), None) => "the run ended before its turn".to_owned(),
            (Some(reason), _) => summary::cancelled(reason).to_owned(),
        }
    }

    /// A host at work, as events name it. What comes of a host that has not begun, or has had its last
    /// word, is dropped.
    fn speaking(&self, host: HostIndex) -> Option<HostRef> {
        let at_work = self.course.ledger().of(host).is_at_work();
        at_work.then(|| self.roster.host(host))
    }

    fn ending(&self) -> Ending {
        let course = self.course.ended();
        let mut ends = self.roster.order().iter();
        let internal = |&host: &HostIndex| {
            let end = self.course.ledger().of(host).end();
            end.is_some_and(|end| end.internal)
        };
        let deadline = course.deadline.then_some(CancelReason::Deadline);
        Ending {
            kind: self.plan.kind,
            internal: ends.any(internal),
            preflight: course.preflight,
            locked: course.locked,
            refused: course.refused,
            paused: course.paused,
            stopped: course.stopped,
            undone: course.undone,
            reason: self.stopped_by().reason().max(deadline),
            rung: self.stopped_by().rung(),
        }
    }

    /// Why and how far the run was stopped, while there was something to stop.
    fn stopped_by(&self) -> Ladder {
        self.last.unwrap_or(self.ladder)
    }

    /// Whether the run, if it ended now, could go on later: it keeps its lock then.
    fn keeps_lock(&self) -> bool {
        let not_run = HostOutcome::NotRun {
            reason: String::new(),
        };
        let order = self.roster.order().iter().copied();
        let outcomes = order.map(|host| {
            let end = self.course.ledger().of(host).end();
            end.map_or(&not_run, |end| &end.outcome)
        });
        let outcomes: Vec<&HostOutcome> = outcomes.collect();
        let (_, state) = self.how(&outcomes);
        matches!(state, "paused" | "interrupted")
    }

    /// The run's exit status and state, its hosts having ended so. One that is taken up again and does not begin
    /// stays what it was.
    fn how(&self, outcomes: &[&HostOutcome]) -> (ExitStatus, &str) {
        let ending = self.ending();
        let status = ending.status(outcomes.iter().copied());
        let state = ending.state(status, outcomes.iter().copied());
        let undoes_nothing = self.settings.undo && ending.undone.is_none();
        let unbegun = state == "aborted" || undoes_nothing;
        let stood = self.settings.progress.as_ref().map(|progress| {
            let ended = progress.ended.as_ref();
            ended.map_or("interrupted", |(state, _)| state)
        });
        (status, stood.filter(|_| unbegun).unwrap_or(state))
    }

    fn summary(&self, ended: jiff::Timestamp) -> RunSummary {
        let order = self.roster.order().iter().copied();
        let ends: Vec<_> = order
            .filter_map(|host| {
                let of = self.course.ledger().of(host);
                Some((&self.roster.entries()[host], of, of.end()?))
            })
            .collect();
        let told = self.told();
        let gone = told.gone.iter().map(|gone| &gone.outcome);
        let outcomes = ends.iter().map(|(.., end)| &end.outcome);
        let outcomes: Vec<_> = outcomes.chain(gone).collect();
        let (status, state) = self.how(&outcomes);
        let line = |(entry, of, end): &(&super::roster::Entry, &super::course::Entry, &_)| {
            let line = summary::of_host(entry, of, end);
            (entry.host.host.clone(), line)
        };
        RunSummary {
            run: self.settings.run.clone(),
            task: self.plan.task.name.clone(),
            exit: status.code(),
            state: state.to_owned(),
            hosts: ends
                .iter()
                .map(line)
                .chain(told.gone.iter().map(summary::of_gone))
                .collect(),
            counts: summary::counts(outcomes.iter().copied()),
            started: self.settings.started,
            ended,
            record: self.settings.record.clone(),
        }
    }
}

/// The ids of steps that change nothing. Hosts of one phase have the same steps.
fn harmless(plan: &Plan) -> HashSet<String> {
    fn collect(steps: &[Step], into: &mut HashSet<String>) {
        for step in steps {
            if !step.changes() {
                into.insert(step.id.clone());
            }
            let group = match &step.action {
                Action::Group(group) => Some(group),
                Action::Task(sub) => sub.steps.as_ref(),
                _ => None,
            };
            for steps in group
                .iter()
                .flat_map(|group| [&group.steps, &group.rescue, &group.always])
            {
                collect(steps, into);
            }
        }
    }
    let mut ids = HashSet::new();
    let hosts = plan.phases.iter().filter_map(|phase| phase.hosts.first());
    for HostPlan {
        steps,
        rescue,
        always,
        ..
    } in hosts
    {
        for steps in [steps, rescue, always] {
            collect(steps, &mut ids);
        }
    }
    ids
}
