//! What is remembered of every host of the population: where it is in the run, how it was when last looked
//! at, how it ended. Decides nothing.

use std::collections::BTreeSet;

use crate::model::{HostOutcome, Zone};
use crate::plan::Plan;
use crate::run::errand::{Finding, Found};
use crate::run::event::{RollbackResult, Trouble};
use crate::run::message::{HostEnd, HostIndex};
use crate::run::roster::Roster;

/// Where a host is.
#[derive(Debug, Clone)]
pub(crate) enum Stage {
    /// It is no target.
    Bystander,
    /// Its turn in the phase has not come.
    Pending,
    /// It was handed out and has not begun.
    Taken,
    /// Something is done to it.
    AtWork,
    /// It did its part of the phase, and is not the run's last.
    Passed,
    /// It has its last word; whether that counts as a failure.
    Ended { end: HostEnd, counts: bool },
}

/// How a host was when last looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Vital {
    /// Nobody asked.
    Unasked,
    /// It answers, and its checks passed.
    Well,
    /// It does not, or one failed.
    Troubled(Trouble),
}

/// Where the rollback of a host is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Undo {
    /// None was asked for.
    None,
    /// Its turn has not come.
    Pending,
    /// It was handed out and has not begun.
    Taken,
    /// It is being rolled back.
    AtWork,
    /// It was.
    Ended(RollbackResult),
}

/// One host.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) zone: Zone,
    pub(crate) stage: Stage,
    pub(crate) vital: Vital,
    /// Whether it is taken last, as last told.
    pub(crate) last: Option<bool>,
    /// The batch it was last taken in.
    pub(crate) batch: Option<usize>,
    /// Phases in which a step began that may have changed it.
    pub(crate) touched: BTreeSet<usize>,
    /// A count that rises with every end: the newest has the highest.
    pub(crate) ended_at: usize,
    pub(crate) undo: Undo,
    /// How many phases it did in an earlier process of the run: it waits in those.
    pub(crate) ahead: usize,
    /// It goes on where an earlier process of the run was interrupted.
    pub(crate) continues: bool,
    /// Phases that were rolled back on it.
    pub(crate) undone_phases: BTreeSet<usize>,
}

/// Every host of the population, by its index.
#[derive(Debug)]
pub(crate) struct Ledger {
    entries: Vec<Entry>,
    ends: usize,
}

impl Ledger {
    /// Nothing has happened yet.
    pub(crate) fn new(plan: &Plan, roster: &Roster) -> Self {
        let entries = plan.population.iter().enumerate();
        let entry = |(host, of): (HostIndex, &std::sync::Arc<crate::model::Host>)| Entry {
            zone: of.zone(),
            stage: if roster.is_target(host) {
                Stage::Pending
            } else {
                Stage::Bystander
            },
            vital: Vital::Unasked,
            last: None,
            batch: None,
            touched: BTreeSet::new(),
            ended_at: 0,
            undo: Undo::None,
            ahead: 0,
            continues: false,
            undone_phases: BTreeSet::new(),
        };
        Self {
            entries: entries.map(entry).collect(),
            ends: 0,
        }
    }

    pub(crate) fn of(&self, host: HostIndex) -> &Entry {
        &self.entries[host]
    }

    pub(crate) fn of_mut(&mut self, host: HostIndex) -> &mut Entry {
        &mut self.entries[host]
    }

    /// Every host.
    pub(crate) fn hosts(&self) -> std::ops::Range<HostIndex> {
        0..self.entries.len()
    }

    /// Hosts of which this holds, in the population's order.
    pub(crate) fn which(&self, holds: impl Fn(&Entry) -> bool) -> Vec<HostIndex> {
        let all = self.entries.iter().enumerate();
        all.filter(|(_, entry)| holds(entry))
            .map(|(host, _)| host)
            .collect()
    }

    /// How many failed, of those of which this holds.
    pub(crate) fn failed(&self, holds: impl Fn(&Entry) -> bool) -> usize {
        let all = self.entries.iter();
        all.filter(|entry| entry.counts() && holds(entry)).count()
    }

    /// Keeps what a look found; whether the host is another than before.
    pub(crate) fn found(&mut self, finding: &Finding) -> bool {
        let entry = &mut self.entries[finding.host];
        let vital = match &finding.state {
            Found::Well => Vital::Well,
            Found::Sick { check, cause } => Vital::Troubled(Trouble::Sick {
                check: check.clone(),
                cause: cause.clone(),
            }),
            Found::Unfit { cause } => Vital::Troubled(Trouble::Unfit {
                cause: cause.clone(),
            }),
            Found::Silent {
                kind,
                causes,
                hints,
            } => Vital::Troubled(Trouble::Silent {
                unreachable_kind: *kind,
                causes: causes.clone(),
                hints: hints.clone(),
            }),
        };
        let was_well = !matches!(entry.vital, Vital::Troubled(_));
        let is_well = !matches!(vital, Vital::Troubled(_));
        entry.vital = vital;
        // A host that does not answer is no leader any more.
        entry.last = finding.last;
        was_well != is_well
    }

    /// Keeps how a host ended.
    pub(crate) fn ended(&mut self, host: HostIndex, end: HostEnd, counts: bool) {
        self.vital_of_end(host, &end.outcome);
        self.ends += 1;
        self.entries[host].ended_at = self.ends;
        self.entries[host].stage = Stage::Ended { end, counts };
    }

    /// Keeps when a host ended in an earlier process of the run; those that end now are newer.
    pub(crate) fn ended_before(&mut self, host: HostIndex, at: usize) {
        self.ends = self.ends.max(at);
        self.entries[host].ended_at = at;
    }

    /// Keeps that a host did its part of a phase.
    pub(crate) fn passed(&mut self, host: HostIndex) {
        self.ends += 1;
        self.entries[host].ended_at = self.ends;
        self.entries[host].vital = Vital::Well;
        self.entries[host].stage = Stage::Passed;
    }

    fn vital_of_end(&mut self, host: HostIndex, outcome: &HostOutcome) {
        let vital = &mut self.entries[host].vital;
        *vital = match outcome {
            HostOutcome::Ok => Vital::Well,
            HostOutcome::NotRun { .. } => return,
            HostOutcome::Unreachable {
                kind,
                causes,
                hints,
            } => Vital::Troubled(Trouble::Silent {
                unreachable_kind: *kind,
                causes: causes.clone(),
                hints: hints.clone(),
            }),
            HostOutcome::Unhealthy { check, cause } => Vital::Troubled(Trouble::Sick {
                check: check.clone(),
                cause: cause.clone(),
            }),
            _ => Vital::Unasked,
        };
    }
}

impl Entry {
    /// Whether it is being worked on, or about to be.
    pub(crate) fn is_out(&self) -> bool {
        matches!(self.stage, Stage::Taken | Stage::AtWork)
    }

    /// Whether it answered, and its checks passed, when last looked at.
    pub(crate) fn is_well(&self) -> bool {
        self.vital == Vital::Well
    }

    /// Whether a check failed when it was last looked at.
    pub(crate) fn is_sick(&self) -> bool {
        matches!(self.vital, Vital::Troubled(Trouble::Sick { .. }))
    }

    /// Whether taking it may take away something that serves: every host but one whose check failed. One that
    /// we cannot reach, or whose facts we cannot read, may serve others all the same.
    pub(crate) fn may_serve(&self) -> bool {
        !self.is_sick()
    }

    /// What is wrong with it.
    pub(crate) fn trouble(&self) -> Option<&Trouble> {
        match &self.vital {
            Vital::Troubled(trouble) => Some(trouble),
            Vital::Unasked | Vital::Well => None,
        }
    }

    /// Whether it is one of those that failed.
    pub(crate) fn counts(&self) -> bool {
        matches!(self.stage, Stage::Ended { counts: true, .. })
    }

    /// Whether something is done to it.
    pub(crate) fn is_at_work(&self) -> bool {
        matches!(self.stage, Stage::AtWork) || self.undo == Undo::AtWork
    }

    /// How its rollback ended, if it did.
    pub(crate) fn undone(&self) -> Option<&RollbackResult> {
        match &self.undo {
            Undo::Ended(result) => Some(result),
            _ => None,
        }
    }

    /// Its end, if it has come.
    pub(crate) fn end(&self) -> Option<&HostEnd> {
        match &self.stage {
            Stage::Ended { end, .. } => Some(end),
            _ => None,
        }
    }

    /// Whether its part of the phase is done, and done well.
    pub(crate) fn is_done(&self) -> bool {
        match &self.stage {
            Stage::Passed => true,
            Stage::Ended { end, .. } => end.outcome == HostOutcome::Ok,
            _ => false,
        }
    }
}
