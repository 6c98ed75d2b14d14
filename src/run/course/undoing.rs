//! The rollback: which hosts, in which order, how many at once, and what came of it.

use std::collections::{BTreeMap, VecDeque};

use crate::model::Zone;
use crate::run::errand::{Errand, Start, Work};
use crate::run::event::{EventKind, RollbackResult, RolloutFact};
use crate::run::journal::Fact;
use crate::run::message::HostIndex;
use crate::task::{By, Occasion};

use super::ledger::{Entry, Undo};
use super::steering::{Course, Leg};
use super::stopping::Scope;

/// What came of a rollback.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Undone {
    /// Every host that was to be rolled back is as it was before.
    Whole,
    /// Some host is not, and nothing more is done about it.
    Partly,
    /// It was ended before its end: what is left of it goes on where it was.
    Cut,
}

/// A rollback.
#[derive(Debug, Default)]
pub(super) struct Undoing {
    /// Batches that are left, each with its phase; the last phase first.
    queue: VecDeque<(usize, Vec<HostIndex>)>,
    /// How many were begun.
    begun: usize,
    /// The phase of those that were begun last.
    phase: usize,
    /// The hosts of a rollback that an earlier process of the run began.
    pub(super) only: Option<Vec<HostIndex>>,
    /// Nothing but a rollback is to be done.
    pub(super) asked: bool,
    /// Every host of it, in order.
    hosts: Vec<HostIndex>,
    /// Nothing more is begun.
    pub(super) cut: bool,
    /// What ran of it was ended.
    pub(super) killed: bool,
}

impl Course {
    /// Whether anything was done that can be undone.
    pub(super) fn can_undo(&self) -> bool {
        (0..=self.pass.phase).any(|phase| !self.eligible(phase).is_empty())
    }

    /// Hosts that began a step of a phase that can be undone.
    fn eligible(&self, phase: usize) -> Vec<HostIndex> {
        let hosts = self.ledger.hosts();
        hosts
            .filter(|&host| self.is_eligible(phase, host))
            .collect()
    }

    fn is_eligible(&self, phase: usize, host: HostIndex) -> bool {
        let planned = self.roster.target(host);
        let planned = planned.and_then(|target| self.plan.phases[phase].hosts.get(target));
        let entry = self.ledger.of(host);
        entry.touched.contains(&phase)
            && !entry.undone_phases.contains(&phase)
            && planned.is_some_and(|planned| !planned.rollback.is_empty())
    }

    /// Whether nothing of a host is left to be undone.
    pub(super) fn is_undone(&self, host: HostIndex) -> bool {
        (0..self.plan.phases.len()).all(|phase| !self.is_eligible(phase, host))
    }

    /// Begins to undo what lies in the scope; false where there is nothing.
    pub(super) fn begin_undo(&mut self, scope: &Scope) -> bool {
        let mut within = self.within(scope);
        if let Some(only) = &self.undoing.only {
            within.retain(|host| only.contains(host));
        }
        let mut queue = VecDeque::new();
        for phase in (0..=self.pass.phase).rev() {
            let mut hosts = self.eligible(phase);
            hosts.retain(|host| within.contains(host));
            // Failed ones first, then the newest success.
            hosts.sort_by_key(|&host| {
                let entry = self.ledger.of(host);
                (entry.is_done(), std::cmp::Reverse(entry.ended_at))
            });
            queue.extend(self.undo_batches(phase, hosts));
        }
        let mut all: Vec<HostIndex> = Vec::new();
        for host in queue.iter().flat_map(|(_, hosts): &(usize, Vec<_>)| hosts) {
            if !all.contains(host) {
                all.push(*host);
            }
        }
        if all.is_empty() {
            return false;
        }
        for &host in &all {
            self.ledger.of_mut(host).undo = Undo::Pending;
        }
        let ids = all.iter().map(|&host| self.roster.host(host).id);
        let hosts = ids.collect();
        self.facts.push(Fact::RollbackStarted { hosts });
        let hosts = self.roster.labels(&all);
        self.tell(RolloutFact::RollbackStarted { hosts });
        self.undoing.queue = queue;
        self.undoing.hosts = all;
        true
    }

    /// The hosts of a scope.
    fn within(&self, scope: &Scope) -> Vec<HostIndex> {
        let failed = self.ended.last_failed;
        let batch = failed.and_then(|host| self.pass.batch_of(host));
        let batch = batch.or(self.pass.current());
        let members = batch.map_or(&[][..], |batch| &batch.members);
        match scope {
            Scope::All => self.ledger.hosts().collect(),
            // One that was ended half-way is no success either.
            Scope::Failed => self.ledger.which(|entry| !entry.is_done()),
            Scope::Batch => members.to_vec(),
            Scope::Zone => {
                let zones: Vec<&Zone> = match failed {
                    Some(host) => vec![&self.ledger.of(host).zone],
                    None => members.iter().map(|&h| &self.ledger.of(h).zone).collect(),
                };
                self.ledger.which(|entry| zones.contains(&&entry.zone))
            }
        }
    }

    /// Batches no larger than those of the way forward.
    fn undo_batches(&self, phase: usize, hosts: Vec<HostIndex>) -> Vec<(usize, Vec<HostIndex>)> {
        let planned = &self.plan.phases[phase];
        let size = planned.resolved.batch.max(1);
        let zones = &planned.worst_out.per_zone;
        let mut batches: Vec<(usize, Vec<HostIndex>)> = Vec::new();
        let mut counts: BTreeMap<Zone, usize> = BTreeMap::new();
        for host in hosts {
            let zone = &self.ledger.of(host).zone;
            let count = counts.get(zone).copied().unwrap_or_default();
            let most = zones.get(zone).map_or(usize::MAX, |most| (*most).max(1));
            let crosses = planned.by == By::Az && count == 0 && !counts.is_empty();
            match batches.last_mut() {
                Some((_, batch)) if batch.len() < size && count < most && !crosses => {
                    batch.push(host);
                }
                _ => {
                    counts.clear();
                    batches.push((phase, vec![host]));
                }
            }
            *counts.entry(zone.clone()).or_default() += 1;
        }
        batches
    }

    /// The next batch, once the one before has ended.
    pub(super) fn undo(&mut self) -> Option<Errand> {
        let waits = |entry: &Entry| match entry.undo {
            Undo::AtWork => true,
            Undo::Taken => !self.undoing.cut,
            _ => false,
        };
        if self.ledger.hosts().any(|host| waits(self.ledger.of(host))) {
            return Some(Errand::Await);
        }
        if self.undoing.cut {
            self.give_up();
        }
        let Some((phase, mut hosts)) = self.undoing.queue.pop_front() else {
            return self.undone();
        };
        hosts.retain(|&host| self.ledger.of(host).undo == Undo::Pending);
        if hosts.is_empty() {
            return None;
        }
        for &host in &hosts {
            self.ledger.of_mut(host).undo = Undo::Taken;
        }
        let batch = self.undoing.begun;
        self.undoing.begun += 1;
        self.undoing.phase = phase;
        Some(Errand::Start(Start {
            phase,
            batch,
            members: hosts.clone(),
            hosts,
            canary: false,
            work: Work::Rollback,
        }))
    }

    /// What was not begun stays as it is.
    fn give_up(&mut self) {
        self.undoing.queue.clear();
        for host in self.undoing.hosts.clone() {
            if matches!(self.ledger.of(host).undo, Undo::Pending | Undo::Taken) {
                let cause = "the rollback was stopped before its turn".to_owned();
                self.end_undo(host, RollbackResult::Pending { cause });
            }
        }
    }

    fn undone(&mut self) -> Option<Errand> {
        let is_done =
            |host: &HostIndex| self.ledger.of(*host).undo == Undo::Ended(RollbackResult::Done);
        let how = if self.undoing.hosts.iter().all(is_done) {
            Undone::Whole
        } else {
            self.not_whole()
        };
        self.ended.undone = Some(how);
        self.notify(match how {
            Undone::Whole | Undone::Partly => Occasion::Done,
            Undone::Cut => Occasion::Stop,
        });
        self.leg = Leg::Over;
        None
    }

    /// What a rollback is that left a host as it was.
    fn not_whole(&self) -> Undone {
        if self.undoing.killed {
            Undone::Cut
        } else {
            Undone::Partly
        }
    }

    /// Whether the rollback of a host may begin now that its turn has come.
    pub(super) fn undo_starting(&mut self, host: HostIndex) -> bool {
        let may = !self.undoing.cut && self.ledger.of(host).undo == Undo::Taken;
        if may {
            self.ledger.of_mut(host).undo = Undo::AtWork;
        }
        may
    }

    /// Keeps how the rollback of a host ended; where an earlier phase is left to be undone, that follows.
    pub(crate) fn rolled_back(&mut self, host: HostIndex, result: RollbackResult) {
        if !matches!(self.ledger.of(host).undo, Undo::AtWork | Undo::Taken) {
            return;
        }
        self.facts.push(Fact::RollbackFinished {
            host: self.roster.host(host).id,
            phase: Some(self.undoing.phase),
            result: result.clone(),
        });
        let mut left = self.undoing.queue.iter();
        if result == RollbackResult::Done && left.any(|(_, hosts)| hosts.contains(&host)) {
            self.ledger.of_mut(host).undo = Undo::Pending;
            return;
        }
        self.end_undo(host, result);
    }

    /// Ends the rollback of hosts of which nothing more was heard.
    pub(super) fn finish_undo(&mut self) {
        for host in self.undoing.hosts.clone() {
            let result = match self.ledger.of(host).undo {
                Undo::None | Undo::Ended(_) => continue,
                Undo::AtWork => RollbackResult::Failed {
                    cause: "its work ended without a word".to_owned(),
                },
                Undo::Pending | Undo::Taken => RollbackResult::Pending {
                    cause: "the run ended before its turn".to_owned(),
                },
            };
            self.end_undo(host, result);
            self.ended.undone = Some(self.not_whole());
        }
    }

    pub(super) fn end_undo(&mut self, host: HostIndex, result: RollbackResult) {
        self.ledger.of_mut(host).undo = Undo::Ended(result.clone());
        let host = self.roster.host(host);
        let fact = RolloutFact::HostRolledBack { host, result };
        self.events.push(EventKind::Rollout(fact));
    }
}
