//! What a run that goes on would take, as far as that is known before its hosts are asked. Nothing is done.

use std::sync::Arc;

use crate::plan::{Batch, Plan};

use super::course::Course;
use super::progress::Progress;
use super::roster::Roster;

/// The phase with which a run goes on, and the batches that it takes there, as [`execute`](super::execute) would
/// with this progress. Hosts that are found to be sick may still come before others.
pub fn left(plan: Arc<Plan>, progress: &Progress) -> (usize, Vec<Batch>) {
    let roster = Arc::new(Roster::of(&plan));
    Course::resumed(plan, roster, false, (progress, false)).left()
}
