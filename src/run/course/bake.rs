//! Which pause follows a batch. The rules alone; how a pause is kept is `taking`'s.

use std::time::Duration;

use crate::plan::Pace;
use crate::run::event::BakeReason;

/// What ended.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, in any combination"
)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Ends {
    /// The canary.
    pub(crate) canary: bool,
    /// A zone.
    pub(crate) zone: bool,
    /// The first zone.
    pub(crate) first_zone: bool,
    /// The phase.
    pub(crate) phase: bool,
    /// The rollout: nothing but the last pause follows.
    pub(crate) rollout: bool,
}

/// The longest pause that applies, and which one it is.
pub(crate) fn due(pace: &Pace, ends: Ends) -> Option<(Duration, BakeReason)> {
    let bakes = pace.bakes;
    let first = bakes.first_zone.or(bakes.zone);
    let canary = pace.canary.and_then(|canary| canary.bake);
    let all = [
        (!ends.rollout, bakes.batch, BakeReason::Batch),
        (!ends.rollout && ends.canary, canary, BakeReason::Canary),
        (
            !ends.rollout && ends.zone && !ends.first_zone,
            bakes.zone,
            BakeReason::Zone,
        ),
        (
            !ends.rollout && ends.zone && ends.first_zone,
            first,
            BakeReason::FirstZone,
        ),
        (ends.phase, bakes.last, BakeReason::Last),
    ];
    let applying = all.into_iter().filter(|(applies, ..)| *applies);
    applying
        .filter_map(|(_, length, why)| Some((length?, why)))
        .filter(|(length, _)| !length.is_zero())
        .max_by_key(|(length, _)| *length)
}
