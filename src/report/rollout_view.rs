//! A rollout as it stands, beside its hosts: the phase, what it waits for, who was found not well, why it
//! stopped, what is rolled back. A fold over events, part of [`super::view::RunView`]; knows no text. Pure.

use std::time::Duration;

use indexmap::{IndexMap, IndexSet};

use crate::model::{HostOutcome, Label};
use crate::run::event::{BakeReason, EventKind, RolloutFact, Shortfall, StopCause, Trouble};

/// A rollout so far. Times are since the run's start.
#[derive(Debug, Clone, Default)]
pub(crate) struct RolloutView {
    /// How many hosts the preflight asks, while it goes on.
    pub(crate) looking: Option<usize>,
    /// How many hosts the preflight asked, from its start on.
    pub(crate) asked: usize,
    /// The phase at work, or the last one.
    pub(crate) phase: Option<PhaseView>,
    /// Hosts that were not well when last looked at, bystanders among them.
    pub(crate) troubles: IndexMap<Label, Trouble>,
    /// What it waits for.
    pub(crate) pause: Option<Pause>,
    /// Why it takes no more hosts.
    pub(crate) stop: Option<Stop>,
    /// The hosts that are rolled back, in their order; `None` where no rollback began.
    pub(crate) undo: Option<Vec<Label>>,
    /// Those of them whose turn came.
    pub(crate) undo_begun: IndexSet<Label>,
    /// The most batches that a phase has had.
    pub(crate) batches: usize,
}

/// A pass over the hosts.
#[derive(Debug, Clone)]
pub(crate) struct PhaseView {
    /// Its name.
    pub(crate) name: String,
    /// From 0.
    pub(crate) index: usize,
    /// Phases of the task.
    pub(crate) count: usize,
}

/// A time in which no host is taken.
#[derive(Debug, Clone)]
pub(crate) enum Pause {
    /// Too few hosts are healthy.
    Health {
        /// What is missing.
        shortfall: Shortfall,
        /// How long it waits at most.
        limit: Duration,
        /// Since when.
        since: Duration,
    },
    /// What was done is watched.
    Bake {
        /// How long.
        length: Duration,
        /// Which pause it is.
        why: BakeReason,
        /// Hosts that are watched.
        watched: usize,
        /// Since when.
        since: Duration,
    },
}

/// The end of taking hosts.
#[derive(Debug, Clone)]
pub(crate) struct Stop {
    /// Why.
    pub(crate) because: StopCause,
    /// The hosts it did not come to.
    pub(crate) not_started: Vec<Label>,
}

impl RolloutView {
    /// Whether hosts are taken batch by batch.
    pub(crate) fn is_batched(&self) -> bool {
        self.batches > 1 || self.has_phases()
    }

    /// Whether there is more than one pass over the hosts.
    pub(crate) fn has_phases(&self) -> bool {
        self.phase.as_ref().is_some_and(|phase| phase.count > 1)
    }

    /// Takes the next event in, `now` being its time.
    pub(crate) fn apply(&mut self, kind: &EventKind, now: Duration) {
        match kind {
            // Another process of the run goes on: what held the one before it up is over.
            EventKind::RunStarted { .. } => {
                (self.pause, self.looking, self.stop) = (None, None, None);
            }
            EventKind::Rollout(fact) => self.apply_fact(fact, now),
            EventKind::HostStarted { host } if self.undo.is_some() => {
                self.undo_begun.insert(host.host.clone());
            }
            EventKind::BatchStarted { count, .. } => {
                self.batches = self.batches.max(*count);
                self.pause = None;
            }
            EventKind::HostFinished {
                host,
                outcome: HostOutcome::Ok,
                ..
            } => {
                self.troubles.shift_remove(&host.host);
            }
            EventKind::GateAsked { .. }
            | EventKind::CancelStarted { .. }
            | EventKind::RunFinished { .. } => (self.pause, self.looking) = (None, None),
            _ => {}
        }
    }

    fn apply_fact(&mut self, fact: &RolloutFact, now: Duration) {
        match fact {
            RolloutFact::PreflightStarted { hosts } => {
                (self.asked, self.looking) = (hosts.len(), Some(hosts.len()));
            }
            RolloutFact::PreflightFinished { .. } => self.looking = None,
            RolloutFact::HostFound { host, trouble } => match trouble {
                Some(trouble) => {
                    self.troubles.insert(host.host.clone(), trouble.clone());
                }
                None => {
                    self.troubles.shift_remove(&host.host);
                }
            },
            RolloutFact::HostTurned { host, check, cause } => {
                let (check, cause) = (check.clone(), cause.clone());
                let trouble = Trouble::Sick { check, cause };
                self.troubles.insert(host.host.clone(), trouble);
            }
            RolloutFact::PhaseStarted {
                phase,
                index,
                count,
                batches,
            } => {
                self.batches = self.batches.max(*batches);
                self.phase = Some(PhaseView {
                    name: phase.clone(),
                    index: *index,
                    count: *count,
                });
            }
            RolloutFact::RolloutStopped {
                because,
                not_started,
            } => {
                (self.pause, self.looking) = (None, None);
                self.stop = Some(Stop {
                    because: because.clone(),
                    not_started: not_started.clone(),
                });
            }
            RolloutFact::RollbackStarted { hosts } => {
                self.pause = None;
                self.undo = Some(hosts.clone());
            }
            // Somebody had it go on.
            RolloutFact::HostReopened { .. } => self.stop = None,
            _ => self.apply_pause(fact, now),
        }
    }

    fn apply_pause(&mut self, fact: &RolloutFact, now: Duration) {
        match fact {
            RolloutFact::HealthWaited {
                shortfall,
                limit_ms,
                ..
            } => {
                self.pause = Some(Pause::Health {
                    shortfall: shortfall.clone(),
                    limit: Duration::from_millis(*limit_ms),
                    since: now,
                });
            }
            RolloutFact::BakeStarted {
                length_ms,
                why,
                watched,
            } => {
                self.pause = Some(Pause::Bake {
                    length: Duration::from_millis(*length_ms),
                    why: *why,
                    watched: watched.len(),
                    since: now,
                });
            }
            RolloutFact::HealthRegained { .. } | RolloutFact::BakeFinished { .. } => {
                self.pause = None;
            }
            _ => {}
        }
    }
}
