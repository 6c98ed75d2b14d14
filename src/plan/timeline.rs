//! What a plan says of time and failure before anything runs: the pause after each batch, the shortest time in
//! all, the most hosts that can have failed when it stops.

use std::time::Duration;

use super::{Batch, By, Phase, Plan};

impl Plan {
    /// The pauses of all phases together: no rollout is faster.
    pub fn min_time(&self) -> Duration {
        self.phases.iter().map(Phase::min_time).sum()
    }
}

impl Phase {
    /// The pause after a batch of the phase, by its place among `batches`: the longest of those that apply.
    /// Nothing but `final_bake` after the last one.
    pub fn bake_after(&self, batches: &[Batch], at: usize) -> Duration {
        let bakes = self.pace.bakes;
        let (batch, later) = (&batches[at], &batches[at + 1..]);
        if later.is_empty() {
            return bakes.last.unwrap_or_default();
        }
        let canary = self.pace.canary.filter(|_| batch.canary);
        let mut longest = bakes.batch.max(canary.and_then(|canary| canary.bake));
        if self.ends_zone(batch, later) {
            let before = &batches[..at];
            let is_first = !before
                .iter()
                .enumerate()
                .any(|(index, batch)| self.ends_zone(batch, &batches[index + 1..]));
            let zone = if is_first {
                bakes.first_zone.or(bakes.zone)
            } else {
                bakes.zone
            };
            longest = longest.max(zone);
        }
        longest.unwrap_or_default()
    }

    /// Whether a batch is the last one of its zone, those of hosts that are taken last aside.
    fn ends_zone(&self, batch: &Batch, later: &[Batch]) -> bool {
        self.by == By::Az
            && !batch.last
            && !later
                .iter()
                .any(|other| !other.last && other.zone == batch.zone)
    }

    /// The pauses of the phase together.
    pub fn min_time(&self) -> Duration {
        let at = 0..self.batches.len();
        at.map(|at| self.bake_after(&self.batches, at)).sum()
    }

    /// The most hosts that can have failed when the phase stops: those tolerated, and the largest batch on top.
    /// A bake may still find any number of finished hosts unhealthy.
    pub fn worst_failures(&self) -> usize {
        let all = self.hosts.len();
        let tolerated = self.resolved.max_failures.unwrap_or(all);
        all.min(tolerated.saturating_add(self.resolved.batch))
    }
}
