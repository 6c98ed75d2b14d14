//! How a rollout goes on in another process: what the first one did becomes the state of the course, and what
//! it left is put in order. Hosts that are half done come first, then those that failed, then the rest; batches
//! stay what they were.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::model::{Doubt, HostId, HostOutcome, Zone};
use crate::plan::{Batch, Plan};
use crate::run::errand::{Errand, GateAnswer};
use crate::run::event::{RollbackResult, Shortfall, StopCause};
use crate::run::journal::{Fact, FormedBatch, Gate, Part};
use crate::run::message::{HostEnd, HostIndex};
use crate::run::progress::{HostProgress, PhaseProgress, Progress, Standing, ToldEnd, Urgency};
use crate::run::roster::Roster;
use crate::task::OnStop;

use super::ledger::{Entry, Stage};
use super::pass::Pass;
use super::regrouping::gone;
use super::steering::{Course, Leg};
use super::stopping::{Halt, words};
use super::undoing::Undone;

/// Who answers for what was typed.
const COMMAND_LINE: &str = "the command line";

/// What an earlier process of the run did.
#[derive(Debug, Default)]
pub(super) struct Past {
    /// There was one.
    pub(super) is_resumed: bool,
    /// Gates that were answered so that it went on.
    pub(super) gates: BTreeSet<Gate>,
    /// Lists of steps on the controller that passed.
    pub(super) sections: BTreeSet<Part>,
    /// The phases that were begun.
    pub(super) phases: BTreeMap<usize, PhaseProgress>,
    /// Hosts of it that are not there any more.
    pub(super) gone: Vec<HostId>,
    /// It was taking no more hosts, for this reason: those that it had begun end first.
    pub(super) stopping: Option<StopCause>,
    /// The hosts that are taken again, or still.
    urgency: HashMap<HostIndex, Urgency>,
    /// How those of them that it had begun stood: what they are to the end, where their turn does not come again.
    pub(super) stood: HashMap<HostIndex, HostEnd>,
}

impl Course {
    /// The course of a run that an earlier process began; `undo` where nothing but the rollback follows.
    pub(crate) fn resumed(
        plan: Arc<Plan>,
        roster: Arc<Roster>,
        fail_fast: bool,
        (progress, undo): (&Progress, bool),
    ) -> Self {
        let mut course = Self::new(plan, roster, fail_fast);
        course.past = Past {
            is_resumed: true,
            gates: progress.gates.clone(),
            sections: progress.sections.clone(),
            phases: progress.phases.clone(),
            gone: gone(progress, &course.by_id()),
            stopping: progress.stopping.clone().filter(|_| !undo),
            ..Past::default()
        };
        course.asks_no_more = progress.asks_no_more;
        for host in course.roster.order().to_vec() {
            if let Some(of) = progress.hosts.get(&course.roster.host(host).id) {
                let told = progress.told.ends.get(&course.roster.host(host).id);
                course.take_over(host, (of, told), undo);
            }
        }
        let phases = course.plan.phases.len();
        let left = course.ledger.hosts().map(|host| course.ledger.of(host));
        let stops = course.past.stopping.is_some();
        let left = left.filter(|entry| matches!(entry.stage, Stage::Pending));
        let left = left.filter(|entry| entry.continues || !stops);
        let lowest = left.map(|entry| entry.ahead).min();
        let phase = lowest.filter(|_| !undo).unwrap_or(progress.phase);
        let phase = phase.min(phases - 1);
        for host in course.ledger.hosts() {
            let entry = course.ledger.of_mut(host);
            if matches!(entry.stage, Stage::Pending) && entry.ahead > phase {
                entry.stage = Stage::Passed;
            }
        }
        course.begin_with_stop();
        course.pass = course.next_pass(phase);
        if undo {
            course.begin_with_undo(progress);
        }
        let is_left = |host| matches!(course.ledger.of(host).stage, Stage::Pending);
        if !course.ledger.hosts().any(is_left)
            && let Some(because) = course.past.stopping.take()
        {
            course.stop(because);
        }
        course
    }

    /// Where no more hosts were taken, none is: those whose turn had not come have their last word.
    fn begin_with_stop(&mut self) {
        let Some(because) = &self.past.stopping else {
            return;
        };
        let reason = words(because);
        for host in self.roster.order().to_vec() {
            let entry = self.ledger.of(host);
            if matches!(entry.stage, Stage::Pending) && !entry.continues {
                let reason = reason.clone();
                let end = HostEnd::of(HostOutcome::NotRun { reason });
                let ended_at = entry.ended_at;
                self.tell_end(host, &end);
                self.ledger.ended(host, end, false);
                self.ledger.ended_before(host, ended_at);
            }
        }
    }

    /// Whether a host was at work when its run was stopped, and finishes its own steps.
    fn finishes(&self, host: &HostProgress) -> bool {
        if host.standing != Standing::Begun {
            return false;
        }
        let phases = &self.plan.phases;
        let phase = phases.get(host.ahead()).or(phases.last());
        phase.is_some_and(|phase| phase.pace.on_stop == OnStop::Finish)
    }

    /// A host as the earlier process left it.
    fn take_over(
        &mut self,
        host: HostIndex,
        (of, told): (&HostProgress, Option<&ToldEnd>),
        undo: bool,
    ) {
        let undone = of.undone.iter();
        let undone = undone.filter(|(_, result)| **result == RollbackResult::Done);
        let undone = undone.map(|(phase, _)| *phase).collect();
        let ahead = of.ahead();
        let entry = self.ledger.of_mut(host);
        entry.touched.clone_from(&of.touched);
        entry.batch = of.batch;
        entry.undone_phases = undone;
        entry.ahead = ahead;
        let stood = stood(of, ahead).map(|outcome| {
            let told = told.cloned().unwrap_or_default();
            HostEnd {
                duration: told.duration,
                tail: told.tail,
                ..HostEnd::of(outcome)
            }
        });
        let ends = undo || self.past.stopping.is_some() && !self.finishes(of);
        match (of.urgency().filter(|_| !ends || stood.is_none()), stood) {
            (Some(urgency), stood) => {
                self.past.urgency.insert(host, urgency);
                self.past.stood.extend(stood.map(|stood| (host, stood)));
                let from_failed = self.plan.task.from_failed && of.has_failed();
                self.ledger.of_mut(host).continues = of.continues() || from_failed;
            }
            (None, Some(end)) => {
                let counts = end.outcome.counts_as_failure();
                self.tell_known_end(host, &end);
                self.ledger.ended(host, end, counts);
                self.failed_before(host, of, counts);
            }
            (None, None) => {}
        }
        self.ledger.ended_before(host, of.ended_at);
        if undo && !of.undone.is_empty() && self.is_undone(host) {
            self.end_undo(host, RollbackResult::Done);
        }
    }

    /// Keeps which host was the last to fail.
    fn failed_before(&mut self, host: HostIndex, of: &HostProgress, counts: bool) {
        let last = self.ended.last_failed;
        let last = last.map(|last| self.ledger.of(last).ended_at);
        if counts && last.is_none_or(|last| last < of.ended_at) {
            self.ended.last_failed = Some(host);
        }
    }

    fn begin_with_undo(&mut self, progress: &Progress) {
        let ids: HashMap<HostId, HostIndex> = self.by_id();
        self.undoing.only = progress.rolling_back.as_ref().map(|hosts| {
            let hosts = hosts.iter();
            hosts.filter_map(|id| ids.get(id).copied()).collect()
        });
        self.undoing.asked = true;
        // It changes hosts as the way forward did: under the lock.
        self.leg = Leg::Lock;
    }

    /// Begins what the command line asked for, the lock being ours.
    pub(super) fn undo_as_asked(&mut self) {
        self.ended.told = true;
        self.leg = Leg::Stopping;
        self.halt = Some(Halt::Because(StopCause::Gate {
            answer: GateAnswer::Rollback,
            by: COMMAND_LINE.to_owned(),
        }));
    }

    /// A rollback that goes on finds nothing left: whether all of it was done.
    pub(super) fn nothing_to_undo(&mut self) {
        let begins = Halt::Because(StopCause::Gate {
            answer: GateAnswer::Rollback,
            by: COMMAND_LINE.to_owned(),
        });
        if let Some(only) = &self.undoing.only
            && self.halt == Some(begins)
        {
            let done = only.iter().all(|host| self.is_undone(*host));
            self.ended.undone = Some(if done { Undone::Whole } else { Undone::Partly });
        }
    }

    fn by_id(&self) -> HashMap<HostId, HostIndex> {
        let hosts = self.ledger.hosts();
        hosts
            .map(|host| (self.roster.host(host).id, host))
            .collect()
    }

    /// A phase's batches: as the plan has them, or as an earlier process left them.
    pub(super) fn next_pass(&self, phase: usize) -> Pass {
        let mut pass = Pass::new(&self.plan, phase);
        let Some(earlier) = self.past.phases.get(&phase) else {
            return pass;
        };
        let ids = self.by_id();
        let planned = std::mem::take(&mut pass.rest);
        let members = |batch: &FormedBatch| -> Vec<HostIndex> {
            let hosts = batch.hosts.iter();
            hosts.filter_map(|id| ids.get(id).copied()).collect()
        };
        let is_left = |host: &HostIndex| {
            matches!(self.ledger.of(*host).stage, Stage::Pending)
                && self.ledger.of(*host).ahead <= phase
        };
        for taken in &earlier.taken {
            let members = members(&taken.batch);
            let closed = taken.closed || members.iter().any(is_left);
            pass.remember(&taken.batch, (members, closed), &self.ledger);
        }
        let mut queued: Vec<HostIndex> = Vec::new();
        let mut left_of = |batch: &FormedBatch, hosts: Vec<HostIndex>| {
            let hosts: Vec<HostIndex> = hosts
                .into_iter()
                .filter(|host| is_left(host) && !queued.contains(host))
                .collect();
            queued.extend(&hosts);
            (!hosts.is_empty()).then(|| self.batch(batch, &hosts))
        };
        for urgency in [Urgency::Interrupted, Urgency::Failed, Urgency::Pending] {
            for taken in &earlier.taken {
                let mut hosts = members(&taken.batch);
                hosts.retain(|host| self.past.urgency.get(host) == Some(&urgency));
                pass.first.extend(left_of(&taken.batch, hosts));
            }
        }
        pass.first = self.cut(pass.first, phase);
        let stored = earlier.formed.iter();
        let stored = stored.filter_map(|formed| left_of(formed, members(formed)));
        pass.rest = self.regrouped(stored.collect(), &pass).into();
        // What no stored batch holds stays in the plan's own.
        for batch in planned {
            let hosts: Vec<HostIndex> = batch
                .hosts
                .iter()
                .map(|&target| self.roster.of_target(target))
                .collect();
            let formed = self.formed((0, &hosts), (&batch.zone, batch.canary, batch.last));
            let number = pass
                .numbered()
                .max(pass.rest.back().map_or(0, |last| last.index + 1));
            let left = left_of(&formed, hosts);
            pass.rest.extend(left.map(|left| Batch {
                index: number,
                ..left
            }));
        }
        pass.find_first_zone();
        pass
    }

    fn batch(&self, of: &FormedBatch, hosts: &[HostIndex]) -> Batch {
        let targets = hosts.iter();
        Batch {
            index: of.index,
            zone: of.zone.clone(),
            canary: of.canary,
            last: of.last,
            hosts: targets
                .filter_map(|&host| self.roster.target(host))
                .collect(),
        }
    }

    /// A batch as the journal names it.
    pub(super) fn formed(
        &self,
        (index, hosts): (usize, &[HostIndex]),
        (zone, canary, last): (&Option<Zone>, bool, bool),
    ) -> FormedBatch {
        FormedBatch {
            index,
            zone: zone.clone(),
            canary,
            last,
            hosts: hosts
                .iter()
                .map(|&host| self.roster.host(host).id)
                .collect(),
        }
    }

    /// Keeps the batches that are left.
    pub(super) fn keep_batches(&mut self) {
        let batches = self.pass.rest.iter().map(|batch| {
            let hosts = batch.hosts.iter();
            let hosts: Vec<HostIndex> = hosts.map(|&host| self.roster.of_target(host)).collect();
            self.formed(
                (batch.index, &hosts),
                (&batch.zone, batch.canary, batch.last),
            )
        });
        let batches = batches.collect();
        let phase = self.pass.phase;
        self.facts.push(Fact::BatchesFormed { phase, batches });
    }

    /// After the first look of a run that goes on: a host that was done and does not serve counts, and so does
    /// one that is left and does not answer.
    pub(super) fn resumed_preflight(
        &mut self,
        silent: &[HostIndex],
        skips: bool,
    ) -> Option<Errand> {
        if self.asks_health() {
            for host in self.ledger.which(Entry::is_done) {
                self.turned(host);
            }
        }
        self.end_silent(silent, !skips);
        if self.halt.is_none() {
            self.keep_baseline();
            if let Some(shortfall) = self.short_of_others() {
                self.stop(StopCause::Health { shortfall });
                return None;
            }
            self.reform();
            self.leg = Leg::StartGate;
        }
        None
    }

    /// What is missing among the hosts that were not interrupted: with too few of them nothing is gone on with.
    fn short_of_others(&self) -> Option<Shortfall> {
        let urgency = self.past.urgency.iter();
        let interrupted = urgency.filter(|(_, urgency)| **urgency == Urgency::Interrupted);
        let mut interrupted: Vec<HostIndex> = interrupted.map(|(host, _)| *host).collect();
        interrupted.sort_unstable();
        if interrupted.is_empty() || !self.looks() {
            return None;
        }
        self.shortfall(&interrupted)
    }
}

/// How a host stood that was begun, its part in so many phases being done.
fn stood(of: &HostProgress, ahead: usize) -> Option<HostOutcome> {
    match &of.standing {
        Standing::Ended(HostOutcome::NotRun { .. }) | Standing::Pending | Standing::Passed => None,
        Standing::Ended(outcome) => Some(outcome.clone()),
        Standing::Begun => Some(of.cut_off(ahead, Doubt::Left)),
    }
}
