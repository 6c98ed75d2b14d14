//! Looks at the population: what is asked of whom, and what the first look means for the run.

use crate::model::{HostOutcome, Label};
use crate::plan::Batch;
use crate::run::errand::{Errand, Look};
use crate::run::event::{EventKind, RolloutFact, StopCause, Trouble};
use crate::run::journal::Fact;
use crate::run::message::{HostEnd, HostIndex};
use crate::task::WhenUnreachable;

use super::ledger::{Entry, Stage, Vital};
use super::pass::reads_last;
use super::regrouping::Baseline;
use super::steering::{Course, Leg};

impl Course {
    /// Whether hosts of this phase are looked at before they are taken.
    pub(super) fn looks(&self) -> bool {
        let resolved = &self.plan.phases[self.pass.phase].resolved;
        resolved.quorum.is_some()
            || resolved.min_healthy.is_some()
            || resolved.min_healthy_per_zone.is_some()
            || self.asks_health()
            || self.reads_last()
    }

    /// Whether the phase says what a healthy host is.
    pub(super) fn asks_health(&self) -> bool {
        let phase = self.pass.phase;
        let asks = |health: &Vec<std::sync::Arc<[crate::task::Check]>>| {
            health.get(phase).is_some_and(|checks| !checks.is_empty())
        };
        self.plan.members.iter().any(|member| asks(&member.health))
    }

    /// Whether facts say which hosts are taken last.
    pub(super) fn reads_last(&self) -> bool {
        reads_last(&self.plan, self.pass.phase)
    }

    /// A look at everybody who is not at work. `all` reads every fact, and tries sudo: the first one of the run
    /// or of a phase.
    pub(super) fn look(&self, all: bool) -> Look {
        let phase = self.pass.phase;
        let connect = self.ledger.which(|entry| !entry.is_out());
        let member = |host: HostIndex| self.plan.members.get(host);
        let asked = |holds: &dyn Fn(&crate::plan::Member) -> bool| -> Vec<HostIndex> {
            let hosts = connect.iter().copied();
            hosts
                .filter(|&host| member(host).is_some_and(holds))
                .collect()
        };
        let reads = all || self.reads_last();
        let sudo = connect.iter().copied();
        let sudo = sudo.filter(|&host| all && matches!(self.ledger.of(host).stage, Stage::Pending));
        Look {
            phase,
            sudo: sudo.collect(),
            facts: asked(&|member| reads && !member.facts.is_empty()),
            health: asked(&|member| {
                let checks = member.health.get(phase);
                checks.is_some_and(|checks| !checks.is_empty())
            }),
            connect,
        }
    }

    /// Everybody is asked; nothing is changed where a target cannot be worked on.
    pub(super) fn preflight(&mut self) -> Option<Errand> {
        if !self.fresh {
            let look = self.look(true);
            let hosts = self.roster.labels(&look.connect);
            self.tell(RolloutFact::PreflightStarted { hosts });
            return Some(Errand::Look(look));
        }
        let labels = |holds: &dyn Fn(&Entry) -> bool| -> Vec<Label> {
            self.roster.labels(&self.ledger.which(holds))
        };
        let is_unfit =
            |entry: &Entry| matches!(entry.vital, Vital::Troubled(Trouble::Unfit { .. }));
        let is_target = |entry: &Entry| matches!(entry.stage, Stage::Pending);
        self.events
            .push(EventKind::Rollout(RolloutFact::PreflightFinished {
                healthy: self.ledger.which(Entry::is_well).len(),
                sick: labels(&Entry::is_sick),
                silent: labels(&is_silent),
                unfit: labels(&is_unfit),
            }));
        let ids = |hosts: Vec<HostIndex>| {
            let hosts = hosts.into_iter();
            hosts.map(|host| self.roster.host(host).id).collect()
        };
        let fact = Fact::Preflight {
            healthy: self.ledger.which(Entry::is_well).len(),
            sick: ids(self.ledger.which(Entry::is_sick)),
            silent: ids(self.ledger.which(is_silent)),
        };
        self.facts.push(fact);
        let silent = self
            .ledger
            .which(|entry| is_target(entry) && is_silent(entry));
        let unfit = self
            .ledger
            .which(|entry| is_target(entry) && is_unfit(entry));
        let skips = self.plan.phases[0].pace.unreachable == WhenUnreachable::Skip;
        if self.past.is_resumed && unfit.is_empty() {
            return self.resumed_preflight(&silent, skips);
        }
        if !unfit.is_empty() || !(silent.is_empty() || skips) {
            self.ended.preflight = true;
            self.end_silent(&silent, false);
            self.stop(StopCause::Preflight {
                silent: self.roster.labels(&silent),
                unfit: self.roster.labels(&unfit),
            });
            return None;
        }
        self.end_silent(&silent, false);
        self.keep_baseline();
        self.reform();
        self.leg = Leg::StartGate;
        None
    }

    /// The preflight by itself: what it asks.
    pub(crate) fn preflight_alone(&mut self) -> Option<Errand> {
        self.fresh = false;
        self.preflight()
    }

    /// What the preflight by itself comes to, once what it asked was told: the batches that would be taken now, or
    /// nothing where the run would not begin.
    pub(crate) fn after_preflight(&mut self) -> Option<Vec<Batch>> {
        self.fresh = true;
        self.preflight();
        (!self.is_halted()).then(|| self.pass.rest.iter().cloned().collect())
    }

    /// Targets that do not answer end so; none of them counts where nothing was begun.
    pub(super) fn end_silent(&mut self, hosts: &[HostIndex], counts: bool) {
        for &host in hosts {
            let (kind, causes, hints) = match self.ledger.of(host).trouble() {
                Some(Trouble::Silent {
                    unreachable_kind,
                    causes,
                    hints,
                }) => (*unreachable_kind, causes.clone(), hints.clone()),
                _ => (
                    crate::model::UnreachableKind::Unclassified,
                    Vec::new(),
                    Vec::new(),
                ),
            };
            let end = HostEnd::of(HostOutcome::Unreachable {
                kind,
                causes,
                hints,
            });
            self.tell_end(host, &end);
            self.ledger.ended(host, end, counts);
            if counts {
                self.count(host);
            }
        }
    }

    /// Keeps how many hosts were healthy when that was first asked: later phases must leave as many.
    pub(super) fn keep_baseline(&mut self) {
        if !self.asks_health() {
            return;
        }
        if self.baseline.is_none() {
            self.baseline = self.earlier_baseline();
        }
        let baseline = self.baseline.get_or_insert_with(|| Baseline {
            healthy: self.ledger.which(Entry::is_well).len(),
            uncounted: {
                let others = self.ledger.which(|entry| !entry.is_well()).into_iter();
                others.map(|host| self.roster.host(host).id).collect()
            },
        });
        self.pass.baseline = Some(baseline.healthy);
    }

    /// Forms the batches that are left anew where what was found asks for it.
    pub(super) fn reform(&mut self) {
        let why = self.pass.reform(&self.plan, &self.roster, &self.ledger);
        let Some(why) = why else { return };
        let batches = self.pass.rest.iter().map(|batch| {
            let hosts = batch.hosts.iter();
            let hosts: Vec<HostIndex> = hosts.map(|&host| self.roster.of_target(host)).collect();
            self.roster.labels(&hosts)
        });
        let fact = RolloutFact::PlanChanged {
            phase: self.plan.phases[self.pass.phase].name.clone(),
            first: self.pass.taken.len(),
            batches: batches.collect(),
            why,
        };
        self.tell(fact);
        self.keep_batches();
    }
}

/// A host that was not heard of after a look does not answer either.
pub(super) fn is_silent(entry: &Entry) -> bool {
    matches!(
        entry.vital,
        Vital::Unasked | Vital::Troubled(Trouble::Silent { .. })
    )
}
