//! What ends a rollout early, and what is then done about it.

use std::time::Duration;

use crate::lock;
use crate::model::{CancelReason, Label, format_duration};
use crate::run::errand::{Errand, GateAnswer};
use crate::run::event::{EventKind, RolloutFact, StopCause};
use crate::run::journal::Fact;
use crate::run::message::HostIndex;
use crate::task::{Occasion, OnFailure, OnStop};

use super::gates::Asking;
use super::ledger::Stage;
use super::steering::{Brake, Course, Leg};
use super::taking::millis;
use super::undoing::Undone;

/// Why nothing more is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Halt {
    /// A rule of the rollout, an answer, or the task's deadline.
    Because(StopCause),
    /// A signal, or the limit that ends what runs: a person decides what follows.
    Signal,
}

/// How a course ended, besides its hosts.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own; their precedence is `exit`'s"
)]
#[derive(Debug, Clone, Default)]
pub(crate) struct Ended {
    /// Hosts could not be worked on; nothing was changed.
    pub(crate) preflight: bool,
    /// Another run has the lock; nothing was changed.
    pub(crate) locked: bool,
    /// The start gate was answered with no.
    pub(crate) refused: bool,
    /// It was paused at a gate.
    pub(crate) paused: bool,
    /// It was stopped by one of its rules, or at a gate.
    pub(crate) stopped: bool,
    /// The task's deadline passed.
    pub(crate) deadline: bool,
    /// Hosts were to be rolled back; what came of it.
    pub(crate) undone: Option<Undone>,
    /// The host that failed last.
    pub(super) last_failed: Option<HostIndex>,
    /// What stopped it was told to those whom it concerns.
    pub(super) told: bool,
}

/// Which hosts are rolled back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Scope {
    /// Those that failed.
    Failed,
    /// Those of the present batch.
    Batch,
    /// Those of the present zone.
    Zone,
    /// Every one that was begun.
    All,
}

impl Course {
    /// Takes no more hosts, for this reason. The first reason holds.
    pub(super) fn stop(&mut self, because: StopCause) {
        if let Some(halt) = &mut self.halt {
            // What was answered about a stop takes its place.
            if matches!(because, StopCause::Gate { .. }) && self.leg == Leg::Stopping {
                *halt = Halt::Because(because);
            }
            return;
        }
        let on_hosts = matches!(
            because,
            StopCause::Failures { .. }
                | StopCause::ZoneFailures { .. }
                | StopCause::BatchFailures { .. }
                | StopCause::Canary { .. }
                | StopCause::Step { .. }
        );
        if on_hosts {
            let pace = &self.plan.phases[self.pass.phase].pace;
            self.brake = Some(match pace.on_stop {
                OnStop::Finish => Brake::Finish,
                OnStop::Cancel => Brake::Cancel,
            });
        }
        let ended = &self.ended;
        let begun = !(ended.preflight || ended.locked || ended.refused || ended.paused);
        let deadline = matches!(because, StopCause::Deadline { .. });
        self.ended.deadline = deadline;
        self.ended.stopped = begun && !deadline;
        let not_started = self.not_started();
        self.facts.push(Fact::Stop {
            because: because.clone(),
        });
        self.tell(RolloutFact::RolloutStopped {
            because: because.clone(),
            not_started,
        });
        self.halt = Some(Halt::Because(because));
    }

    /// The journal cannot be written: nothing more is begun, and nothing is undone either.
    pub(crate) fn unrecorded(&mut self, cause: String) {
        let known = matches!(self.halt, Some(Halt::Because(StopCause::Journal { .. })));
        if !known {
            self.halt = None;
            self.stop(StopCause::Journal { cause });
        }
    }

    fn not_started(&self) -> Vec<Label> {
        let targets = self.roster.order().iter().copied();
        let waits = |host: &HostIndex| {
            let stage = &self.ledger.of(*host).stage;
            matches!(stage, Stage::Pending | Stage::Taken)
        };
        let hosts: Vec<HostIndex> = targets.filter(waits).collect();
        self.roster.labels(&hosts)
    }

    /// A step on which all hosts depend failed on one of them.
    pub(crate) fn shared_step_failed(&mut self, step: String, on: String) {
        self.stop(StopCause::Step { step, on });
    }

    /// A signal came, or a limit passed, which ends what runs where `kill`. Whether what follows a stop has to
    /// end too.
    pub(crate) fn interrupted(&mut self, reason: CancelReason, kill: bool) -> bool {
        let deadline = reason == CancelReason::Deadline && !kill;
        if deadline && self.halt.is_some() {
            // What follows a stop is not cut short by a limit on the way forward.
            return false;
        }
        if matches!(self.leg, Leg::Stopping | Leg::Undoing) {
            let asks = self.handed.gate.is_some();
            self.undoing.cut = true;
            self.undoing.killed |= kill && self.leg == Leg::Undoing;
            return kill || asks;
        }
        if deadline {
            let limit = self.plan.task.deadline.unwrap_or_default();
            let limit_ms = millis(limit);
            self.stop(StopCause::Deadline { limit_ms });
        } else if self.halt.is_none() {
            self.halt = Some(Halt::Signal);
        } else {
            self.undoing.cut = true;
        }
        false
    }

    /// Whether no host may begin any more.
    pub(crate) fn is_halted(&self) -> bool {
        self.halt.is_some()
    }

    /// Whether there is nothing left to do but to let go of the lock.
    pub(crate) fn is_over(&self) -> bool {
        self.leg == Leg::Over
    }

    /// How it ended.
    pub(crate) fn ended(&self) -> &Ended {
        &self.ended
    }

    /// Why hosts that did not begin did not, where a rule of the rollout says so.
    pub(crate) fn why_halted(&self) -> Option<String> {
        match self.halt.as_ref()? {
            Halt::Because(because) => Some(words(because)),
            Halt::Signal => None,
        }
    }

    /// What is at work ends; then what the task wants done about it.
    pub(super) fn stopping(&mut self) -> Option<Errand> {
        let at_work = |host: HostIndex| matches!(self.ledger.of(host).stage, Stage::AtWork);
        if self.ledger.hosts().any(at_work) {
            return Some(Errand::Await);
        }
        let phase = self.phase_name();
        for taken in &mut self.pass.taken {
            if !std::mem::replace(&mut taken.finished, true) {
                self.events.push(EventKind::BatchFinished {
                    phase: phase.clone(),
                    index: taken.number,
                });
            }
        }
        if !std::mem::replace(&mut self.ended.told, true) {
            self.notify(Occasion::Stop);
            if !self.first.is_empty() {
                return None;
            }
        }
        if self.undoing.cut {
            self.close_question();
            self.leg = Leg::Over;
            return None;
        }
        if self.wants_answer()
            && let Some(errand) = self.ask(Asking::Stopped)
        {
            return Some(errand);
        }
        match self.scope() {
            Some(scope) if self.begin_undo(&scope) => {
                self.notify(Occasion::Rollback);
                self.leg = Leg::Undoing;
            }
            _ => {
                self.nothing_to_undo();
                self.leg = Leg::Over;
            }
        }
        None
    }

    /// Whether a person has to say what follows.
    fn wants_answer(&self) -> bool {
        let by_rule = match &self.halt {
            Some(Halt::Because(because)) => !matches!(
                because,
                StopCause::Gate { .. }
                    | StopCause::Preflight { .. }
                    | StopCause::Journal { .. }
                    | StopCause::Locked { .. }
                    | StopCause::Unlockable { .. }
            ),
            Some(Halt::Signal) | None => false,
        };
        by_rule && self.plan.task.on_failure == OnFailure::Ask && self.can_undo()
    }

    /// Which hosts are rolled back.
    fn scope(&self) -> Option<Scope> {
        match self.halt.as_ref()? {
            Halt::Signal
            | Halt::Because(
                StopCause::Preflight { .. }
                | StopCause::Journal { .. }
                | StopCause::Locked { .. }
                | StopCause::Unlockable { .. },
            ) => None,
            Halt::Because(StopCause::Gate { answer, .. }) => {
                (*answer == GateAnswer::Rollback).then_some(Scope::All)
            }
            Halt::Because(_) => match self.plan.task.on_failure {
                OnFailure::Stop | OnFailure::Ask => None,
                OnFailure::RollbackFailed => Some(Scope::Failed),
                OnFailure::RollbackBatch => Some(Scope::Batch),
                OnFailure::RollbackZone => Some(Scope::Zone),
                OnFailure::RollbackAll => Some(Scope::All),
            },
        }
    }
}

/// Why a host was not started, in one line.
pub(super) fn words(because: &StopCause) -> String {
    let hosts = |count: &usize| {
        let noun = if *count == 1 { "host" } else { "hosts" };
        format!("{count} {noun}")
    };
    match because {
        StopCause::Failures { failed, limit } => {
            format!(
                "stopped before: {} failed, the limit is {limit}",
                hosts(failed)
            )
        }
        StopCause::ZoneFailures {
            zone,
            failed,
            limit,
        } => format!(
            "stopped before: {} failed in zone {zone}, the limit there is {limit}",
            hosts(failed)
        ),
        StopCause::BatchFailures {
            batch,
            failed,
            limit,
        } => format!(
            "stopped before: {} failed in batch {}, the limit there is {limit}",
            hosts(failed),
            batch + 1
        ),
        StopCause::Canary { host } => format!("stopped before: {host} failed, of the canary"),
        StopCause::Health { shortfall } => format!(
            "stopped before: {} healthy without it, {} are needed",
            hosts(&shortfall.healthy),
            shortfall.needed
        ),
        StopCause::Journal { cause } => format!("stopped before: {cause}"),
        StopCause::Deadline { limit_ms } => {
            let limit = format_duration(Duration::from_millis(*limit_ms));
            format!("stopped before: the task's deadline of {limit} passed")
        }
        StopCause::NoLeader => {
            "stopped before: no host says that it is the one to be taken last".to_owned()
        }
        StopCause::Step { step, on } => {
            format!("step `{step}`, on which all hosts depend, failed on {on}")
        }
        StopCause::Gate { answer, by } => match answer {
            GateAnswer::Pause => format!("paused (answered by {by})"),
            GateAnswer::Rollback => format!("rolled back (answered by {by})"),
            _ => super::super::summary::refused(by),
        },
        StopCause::Locked { holder } => format!("nothing was changed: {}", lock::held(holder)),
        StopCause::Unlockable { .. } => "nothing was changed: no host could be locked".to_owned(),
        StopCause::Preflight { silent, unfit } => format!(
            "nothing was changed: {} cannot be worked on",
            hosts(&(silent.len() + unfit.len()))
        ),
    }
}
