//! How many hosts may fail. The rules alone; which hosts count is the ledger's.

use crate::model::{Label, Zone};
use crate::plan::Resolved;
use crate::run::event::StopCause;

/// How things stand after a host failed.
#[derive(Debug)]
pub(crate) struct Tally {
    /// The host.
    pub(crate) host: Label,
    /// Its zone.
    pub(crate) zone: Zone,
    /// Whether it is one of the canary.
    pub(crate) canary: bool,
    /// Its batch's number.
    pub(crate) batch: usize,
    /// How many hosts its batch has.
    pub(crate) batch_size: usize,
    /// How many of its batch failed.
    pub(crate) batch_failed: usize,
    /// How many of its zone failed.
    pub(crate) zone_failed: usize,
    /// How many failed in all.
    pub(crate) failed: usize,
}

/// Why the rollout stops, where more failed than may. `fail_fast` tolerates none.
pub(crate) fn breach(resolved: &Resolved, fail_fast: bool, tally: Tally) -> Option<StopCause> {
    if tally.canary {
        return Some(StopCause::Canary { host: tally.host });
    }
    let limit = if fail_fast {
        Some(0)
    } else {
        resolved.max_failures
    };
    if let Some(limit) = limit.filter(|limit| tally.failed > *limit) {
        let failed = tally.failed;
        return Some(StopCause::Failures { failed, limit });
    }
    let zones = resolved.max_failures_per_zone.as_ref();
    let limit = zones.and_then(|zones| zones.get(&tally.zone).copied());
    if let Some(limit) = limit.filter(|limit| tally.zone_failed > *limit) {
        return Some(StopCause::ZoneFailures {
            zone: tally.zone,
            failed: tally.zone_failed,
            limit,
        });
    }
    let amount = resolved.max_failures_per_batch;
    let limit = amount.map(|amount| amount.floor_of(tally.batch_size));
    let limit = limit.filter(|limit| tally.batch_failed > *limit)?;
    Some(StopCause::BatchFailures {
        batch: tally.batch,
        failed: tally.batch_failed,
        limit,
    })
}
