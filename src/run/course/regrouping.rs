//! What a run that goes on does about hosts that are not there any more: none of them is waited for, and what is left
//! goes into batches that fit the hosts that are there. Which they are is the resuming's.

use std::collections::{HashMap, VecDeque};

use crate::model::HostId;
use crate::plan::{Batch, Situation, form_rest};
use crate::run::message::HostIndex;
use crate::run::progress::Progress;

use super::pass::Pass;
use super::steering::Course;

/// How many hosts were healthy at the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Baseline {
    /// Those of them that are there still.
    pub(super) healthy: usize,
    /// Hosts that were there and are not among them.
    pub(super) uncounted: Vec<HostId>,
}

/// Hosts that the run began with, or took on since, and that are not there any more.
pub(super) fn gone(progress: &Progress, there: &HashMap<HostId, HostIndex>) -> Vec<HostId> {
    let opening = progress.opening.iter();
    let population = opening.flat_map(|opening| &opening.population);
    let gone = population.filter(|id| !there.contains_key(*id));
    gone.cloned().collect()
}

impl Course {
    /// How many hosts were healthy when an earlier process first asked. One that was and is gone is gone for good:
    /// nobody else can stand in for it, so it is not counted any more.
    pub(super) fn earlier_baseline(&self) -> Option<Baseline> {
        let mut phases = self.past.phases.values();
        let (healthy, uncounted) =
            phases.find_map(|phase| Some((phase.baseline?, &phase.uncounted)))?;
        let gone = self.past.gone.iter();
        let gone = gone.filter(|id| !uncounted.contains(id)).count();
        Some(Baseline {
            healthy: healthy.saturating_sub(gone),
            uncounted: uncounted.clone(),
        })
    }

    /// Hosts that the pass's baseline does not count.
    pub(super) fn uncounted(&self) -> Vec<HostId> {
        let baseline = self.baseline.as_ref();
        let counts = baseline.filter(|_| self.pass.baseline.is_some());
        counts.map_or_else(Vec::new, |baseline| baseline.uncounted.clone())
    }

    /// Stored batches of hosts whose turn has not come. Where hosts are gone they were formed for more than there
    /// are: then the same hosts are put into such as the plan would have now.
    pub(super) fn regrouped(&self, stored: Vec<Batch>, pass: &Pass) -> Vec<Batch> {
        if self.past.gone.is_empty() {
            return stored;
        }
        let mut out = vec![true; self.plan.targets.len()];
        for &target in stored.iter().flat_map(|batch| &batch.hosts) {
            out[target] = false;
        }
        let situation = Situation {
            sick: vec![false; out.len()],
            out,
            last: None,
            canary_taken: pass.taken.iter().any(|taken| taken.canary),
            taken: pass.numbered(),
        };
        form_rest(&self.plan, pass.phase, &situation)
    }

    /// The phase that is next, and its batches in the order in which they are taken.
    pub(crate) fn left(self) -> (usize, Vec<Batch>) {
        let batches = self.pass.first.into_iter().chain(self.pass.rest);
        (self.pass.phase, batches.collect())
    }

    /// Batches that were taken; where hosts are gone, in parts no larger than the plan takes at once now.
    pub(super) fn cut(&self, batches: VecDeque<Batch>, phase: usize) -> VecDeque<Batch> {
        if self.past.gone.is_empty() {
            return batches;
        }
        let resolved = &self.plan.phases[phase].resolved;
        let most = resolved.batch.max(resolved.canary).max(1);
        let parts = batches.iter().flat_map(|batch| {
            let parts = batch.hosts.chunks(most);
            parts.map(|hosts| Batch {
                hosts: hosts.to_vec(),
                ..batch.clone()
            })
        });
        parts.collect()
    }
}
