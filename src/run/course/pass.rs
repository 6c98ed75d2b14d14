//! One pass over the hosts: the batches that were taken, those that are left, and which hosts fit now. When
//! they may really be taken is `taking`'s.

use std::collections::{BTreeMap, VecDeque};

use crate::model::Zone;
use crate::plan::{Batch, Phase, Plan, Situation, form_rest};
use crate::run::event::PlanChange;
use crate::run::journal::FormedBatch;
use crate::run::message::HostIndex;
use crate::run::roster::Roster;
use crate::task::{By, Condition, GateAt, Mode};

use super::bake::Ends;
use super::ledger::{Ledger, Stage};

/// A batch of which hosts were taken.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, in any combination"
)]
#[derive(Debug)]
pub(crate) struct Taken {
    /// Its number.
    pub(crate) number: usize,
    pub(crate) zone: Option<Zone>,
    pub(crate) canary: bool,
    pub(crate) last: bool,
    /// Its hosts; those that a re-forming took out of it are not among them any more.
    pub(crate) members: Vec<HostIndex>,
    /// Those whose turn has not come.
    pub(crate) untaken: VecDeque<HostIndex>,
    /// Failed hosts of it are taken again: these stay in it.
    pub(crate) retried: bool,
    /// Its end was told.
    pub(crate) finished: bool,
    /// What follows it was begun: the next batch is another stretch.
    pub(crate) closed: bool,
    /// How many hosts of it may be out, as it was formed.
    width: Width,
}

/// How many hosts may be out at once.
#[derive(Debug, Clone, Default)]
struct Width {
    overall: usize,
    zones: BTreeMap<Zone, usize>,
}

/// Hosts that may be taken now, as far as their number goes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Room {
    /// Nothing is left.
    Nothing,
    /// Something has to end first.
    Full,
    /// These. All are of one batch.
    Hosts(Vec<HostIndex>),
}

/// What the batches that are left were formed with.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Formed {
    sick: Vec<HostIndex>,
    last: Vec<HostIndex>,
    left: usize,
}

/// One pass over the hosts.
#[derive(Debug)]
pub(crate) struct Pass {
    /// The phase's number.
    pub(crate) phase: usize,
    /// Batches in the order in which they were taken.
    pub(crate) taken: Vec<Taken>,
    /// Batches that are left.
    pub(crate) rest: VecDeque<Batch>,
    /// Batches before those: of hosts that an earlier process of the run took and did not finish.
    pub(crate) first: VecDeque<Batch>,
    /// How many hosts were healthy at the start, where the phase asks for health.
    pub(crate) baseline: Option<usize>,
    pub(super) first_zone: Option<Zone>,
    formed: Option<Formed>,
}

impl Pass {
    /// A pass with the batches that the plan has.
    pub(crate) fn new(plan: &Plan, phase: usize) -> Self {
        Self {
            phase,
            taken: Vec::new(),
            rest: plan.phases[phase].batches.iter().cloned().collect(),
            first: VecDeque::new(),
            baseline: None,
            first_zone: None,
            formed: None,
        }
    }

    /// A batch that an earlier process of the run took.
    pub(super) fn remember(
        &mut self,
        batch: &FormedBatch,
        (members, closed): (Vec<HostIndex>, bool),
        ledger: &Ledger,
    ) {
        for taken in &mut self.taken {
            taken.closed = true;
        }
        self.taken.push(Taken {
            number: batch.index,
            zone: batch.zone.clone(),
            canary: batch.canary,
            last: batch.last,
            width: width_of(&members, ledger),
            members,
            untaken: VecDeque::new(),
            retried: false,
            finished: true,
            closed,
        });
    }

    /// Finds out which zone was the first to end, if one did.
    pub(super) fn find_first_zone(&mut self) {
        let mut left = self.first.iter().chain(&self.rest);
        let first = self.taken.first().and_then(|taken| taken.zone.clone());
        self.first_zone = first.filter(|zone| !left.any(|batch| batch.zone.as_ref() == Some(zone)));
    }

    /// How many batches there are, as things stand.
    pub(crate) fn batches(&self) -> usize {
        self.numbered() + self.rest.len()
    }

    /// How many numbers of batches were given. Batches that are taken again keep theirs.
    pub(crate) fn numbered(&self) -> usize {
        let taken = self.taken.iter().map(|taken| taken.number + 1);
        let first = self.first.iter().map(|batch| batch.index + 1);
        taken.chain(first).max().unwrap_or(0)
    }

    /// The batch that comes next.
    pub(crate) fn next(&self) -> Option<&Batch> {
        self.first.front().or(self.rest.front())
    }

    /// The batch that is being taken.
    pub(crate) fn current(&self) -> Option<&Taken> {
        self.taken.last()
    }

    /// The batch that a host was last taken in.
    pub(crate) fn batch_of(&self, host: HostIndex) -> Option<&Taken> {
        let mut taken = self.taken.iter().rev();
        taken.find(|batch| batch.members.contains(&host))
    }

    /// Forms the batches that are left anew, where health, `last` or the targets ask for it; why they are
    /// others than before.
    pub(crate) fn reform(
        &mut self,
        plan: &Plan,
        roster: &Roster,
        ledger: &Ledger,
    ) -> Option<PlanChange> {
        let mut kept: Vec<HostIndex> = match self.taken.last() {
            Some(taken) if taken.retried => taken.untaken.iter().copied().collect(),
            _ => Vec::new(),
        };
        let again = self.first.iter().flat_map(|batch| &batch.hosts);
        kept.extend(again.map(|&target| roster.of_target(target)));
        let targets = 0..plan.targets.len();
        let is_left = |host: HostIndex| {
            matches!(ledger.of(host).stage, Stage::Pending) && !kept.contains(&host)
        };
        let left: Vec<bool> = targets
            .map(|target| is_left(roster.of_target(target)))
            .collect();
        let of = |holds: &dyn Fn(HostIndex) -> bool| -> Vec<HostIndex> {
            let hosts = left.iter().enumerate().filter(|(_, left)| **left);
            let hosts = hosts.map(|(target, _)| roster.of_target(target));
            hosts.filter(|&host| holds(host)).collect()
        };
        let reads_last = reads_last(plan, self.phase);
        let now = Formed {
            sick: of(&|host| ledger.of(host).is_sick()),
            last: of(&|host| ledger.of(host).last == Some(true)),
            left: left.iter().filter(|left| **left).count(),
        };
        let planned: usize = self.rest.iter().map(|batch| batch.hosts.len()).sum();
        let special = reads_last || !now.sick.is_empty() || now.left < planned;
        if self.formed.is_none() && !special {
            self.formed = Some(now);
            return None;
        }
        let why = self.why_changed(&now, is_left)?;
        let marks = |hosts: &[HostIndex]| {
            let mut marks = vec![false; left.len()];
            for target in hosts.iter().filter_map(|&host| roster.target(host)) {
                marks[target] = true;
            }
            marks
        };
        if let Some(taken) = self.taken.last_mut().filter(|taken| !taken.retried) {
            let untaken = std::mem::take(&mut taken.untaken);
            taken.members.retain(|host| !untaken.contains(host));
        }
        let situation = Situation {
            out: left.iter().map(|left| !left).collect(),
            sick: marks(&now.sick),
            last: reads_last.then(|| marks(&now.last)),
            canary_taken: self.taken.iter().any(|taken| taken.canary),
            taken: self.numbered(),
        };
        let rest: VecDeque<Batch> = form_rest(plan, self.phase, &situation).into();
        let same = rest.len() == self.rest.len()
            && rest.iter().zip(&self.rest).all(|(a, b)| a.hosts == b.hosts);
        self.rest = rest;
        self.formed = Some(now);
        (!same).then_some(why)
    }

    /// Why what is left has to be formed anew. Hosts that were taken since drop out of both sides.
    fn why_changed(&self, now: &Formed, is_left: impl Fn(HostIndex) -> bool) -> Option<PlanChange> {
        let Some(before) = &self.formed else {
            return Some(if !now.last.is_empty() && now.sick.is_empty() {
                PlanChange::Last
            } else if now.sick.is_empty() {
                PlanChange::Targets
            } else {
                PlanChange::Health
            });
        };
        let still = |hosts: &[HostIndex]| -> Vec<HostIndex> {
            let hosts = hosts.iter().copied();
            hosts.filter(|&host| is_left(host)).collect()
        };
        if still(&before.last) != now.last {
            Some(PlanChange::Last)
        } else if still(&before.sick) != now.sick {
            Some(PlanChange::Health)
        } else {
            None
        }
    }

    /// The hosts that fit now.
    pub(crate) fn room(&self, plan: &Plan, roster: &Roster, ledger: &Ledger) -> Room {
        let phase = &plan.phases[self.phase];
        let out = ledger.which(super::ledger::Entry::is_out);
        let current = self.taken.last();
        let candidates: Vec<HostIndex> = match current.filter(|taken| !taken.untaken.is_empty()) {
            Some(taken) => taken.untaken.iter().copied().collect(),
            None => match self.next() {
                None if out.is_empty() => return Room::Nothing,
                None => return Room::Full,
                Some(next) => next
                    .hosts
                    .iter()
                    .map(|&host| roster.of_target(host))
                    .collect(),
            },
        };
        if out.is_empty() && phase.pace.mode == Mode::Batch {
            return Room::Hosts(candidates);
        }
        let opens = current.is_none_or(|taken| taken.untaken.is_empty());
        let crosses = opens && current.is_some_and(|taken| !taken.closed && self.is_barrier(phase));
        if phase.pace.mode == Mode::Batch || (crosses && !out.is_empty()) {
            return Room::Full;
        }
        let mut width = self.width(opens.then(|| width_of(&candidates, ledger)).as_ref());
        // Batches that were cut short bring later, larger sizes forward: no more than was planned.
        let planned = phase.resolved.batch.max(phase.resolved.canary).max(1);
        width.overall = width.overall.min(planned);
        let fitting = fitting(candidates, &out, &width, ledger);
        if fitting.is_empty() {
            return Room::Full;
        }
        Room::Hosts(fitting)
    }

    /// How many hosts may be out in the present stretch of batches: trust only grows within it.
    fn width(&self, next: Option<&Width>) -> Width {
        let stretch = self.taken.iter().rev().take_while(|taken| !taken.closed);
        let mut width = Width::default();
        for one in stretch.map(|taken| &taken.width).chain(next) {
            width.overall = width.overall.max(one.overall);
            for (zone, count) in &one.zones {
                let most = width.zones.entry(zone.clone()).or_default();
                *most = (*most).max(*count);
            }
        }
        width
    }

    /// Whether everything of the current batch has to end before the next one begins.
    pub(crate) fn is_barrier(&self, phase: &Phase) -> bool {
        let (Some(current), Some(next)) = (self.taken.last(), self.next()) else {
            return true;
        };
        phase.pace.mode == Mode::Batch
            || [current.canary, current.last, next.canary, next.last].contains(&true)
            || phase.pace.confirm.contains(&GateAt::Batch)
            || phase.pace.bakes.batch.is_some()
            || (phase.by == By::Az && current.zone != next.zone)
    }

    /// Takes hosts that fit; whether a batch begins with them.
    pub(crate) fn take(&mut self, hosts: &[HostIndex], roster: &Roster, ledger: &Ledger) -> bool {
        let begins = self
            .taken
            .last()
            .is_none_or(|taken| taken.untaken.is_empty());
        if begins && let Some(batch) = self.first.pop_front().or_else(|| self.rest.pop_front()) {
            let members: Vec<HostIndex> = batch
                .hosts
                .iter()
                .map(|&host| roster.of_target(host))
                .collect();
            self.taken.push(Taken {
                number: batch.index,
                zone: batch.zone,
                canary: batch.canary,
                last: batch.last,
                width: width_of(&members, ledger),
                untaken: members.iter().copied().collect(),
                members,
                retried: false,
                finished: false,
                closed: false,
            });
        }
        let Some(taken) = self.taken.last_mut() else {
            return false;
        };
        // Hosts that are taken again open the batch anew.
        let reopens = taken.retried && taken.finished;
        taken.finished = false;
        taken.untaken.retain(|host| !hosts.contains(host));
        begins || reopens
    }

    /// What ends with the current batch. Keeps which zone was the first to end.
    pub(crate) fn ends(&mut self, plan: &Plan, ledger: &Ledger) -> Ends {
        let phase = &plan.phases[self.phase];
        let Some(current) = self.taken.last() else {
            return Ends::default();
        };
        let in_zone = |batch: &Batch| !batch.last && batch.zone == current.zone;
        let mut left = self.first.iter().chain(&self.rest);
        let zone =
            phase.by == By::Az && current.zone.is_some() && !current.last && !left.any(in_zone);
        let is_over = self.next().is_none();
        let is_last_phase = self.phase + 1 == plan.phases.len();
        let goes_on = ledger.hosts().any(|host| ledger.of(host).is_done());
        let ends = Ends {
            canary: current.canary,
            zone,
            first_zone: zone && (self.first_zone.is_none() || self.first_zone == current.zone),
            phase: is_over,
            rollout: is_over && (is_last_phase || !goes_on),
        };
        if zone && self.first_zone.is_none() {
            self.first_zone.clone_from(&current.zone);
        }
        ends
    }
}

/// Whether facts say which hosts are taken last. What is known without them stands in the plan.
pub(super) fn reads_last(plan: &Plan, phase: usize) -> bool {
    plan.members.iter().any(|member| {
        let last = member.last.get(phase).and_then(Option::as_ref);
        !member.facts.is_empty() && last.is_some_and(|last| !matches!(last, Condition::Known(_)))
    })
}

fn width_of(hosts: &[HostIndex], ledger: &Ledger) -> Width {
    let mut width = Width {
        overall: hosts.len(),
        zones: BTreeMap::new(),
    };
    for &host in hosts {
        *width.zones.entry(ledger.of(host).zone.clone()).or_default() += 1;
    }
    width
}

/// The first of these that fit beside those that are out.
fn fitting(
    candidates: Vec<HostIndex>,
    out: &[HostIndex],
    width: &Width,
    ledger: &Ledger,
) -> Vec<HostIndex> {
    let mut at = width_of(out, ledger);
    let fits = |host: &HostIndex| {
        let zone = &ledger.of(*host).zone;
        let count = at.zones.entry(zone.clone()).or_default();
        let most = width.zones.get(zone).copied().unwrap_or_default();
        let fits = at.overall < width.overall && *count < most;
        *count += usize::from(fits);
        at.overall += usize::from(fits);
        fits
    };
    candidates.into_iter().take_while(fits).collect()
}
