//! How many hosts must be healthy for more to be taken. The rules alone, over numbers; who is healthy is the
//! ledger's.

use std::collections::BTreeMap;

use crate::model::Zone;
use crate::plan::Resolved;
use crate::run::event::Rule;

/// What is asked of the population before healthy hosts are taken.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Demand {
    /// Healthy hosts in all.
    overall: Option<usize>,
    /// The same within zones.
    zones: BTreeMap<Zone, usize>,
    /// Members that make a majority.
    majority: Option<usize>,
}

/// How many hosts are healthy, without those that are out or about to be.
#[derive(Debug, Default)]
pub(crate) struct Healthy {
    /// In all.
    pub(crate) overall: usize,
    /// In each zone.
    pub(crate) zones: BTreeMap<Zone, usize>,
}

impl Demand {
    /// The demand while `out` hosts are out, of which the run took `left` when it had more hosts than now. `baseline` is
    /// how many were healthy at the start, where health is asked at all.
    pub(crate) fn of(
        resolved: &Resolved,
        baseline: Option<usize>,
        (out, left): (usize, usize),
    ) -> Self {
        let default = match (&resolved.quorum, baseline) {
            (Some(quorum), _) => Some(quorum.voters.saturating_sub(out)),
            (None, Some(baseline)) => resolved.max_failures.map(|failures| {
                let largest = resolved.batch.max(resolved.canary).max(left).max(1);
                baseline.saturating_sub(largest).saturating_sub(failures)
            }),
            (None, None) => None,
        };
        Self {
            overall: resolved.min_healthy.or(default),
            zones: resolved.min_healthy_per_zone.clone().unwrap_or_default(),
            majority: resolved.quorum.map(|quorum| quorum.majority),
        }
    }

    /// The first rule that is not met, with what there is and what there must be. Only zones out of which
    /// healthy hosts are taken are asked.
    pub(crate) fn unmet(&self, healthy: &Healthy, taking: &[Zone]) -> Option<(Rule, usize, usize)> {
        let least = |rule, needed: Option<usize>, there: usize| {
            let needed = needed.filter(|needed| there < *needed)?;
            Some((rule, there, needed))
        };
        let zone = |zone: &Zone| {
            let there = healthy.zones.get(zone).copied().unwrap_or_default();
            let rule = Rule::Zone { zone: zone.clone() };
            least(rule, self.zones.get(zone).copied(), there)
        };
        least(Rule::Quorum, self.majority, healthy.overall)
            .or_else(|| least(Rule::MinHealthy, self.overall, healthy.overall))
            .or_else(|| taking.iter().find_map(zone))
    }
}
