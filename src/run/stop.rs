//! The tokens that carry a stop from the deciding half to the working half, and its reason.

use std::sync::{Mutex, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::model::CancelReason;

/// How far the run was asked to stop, for those at work.
#[derive(Debug, Default)]
pub(crate) struct StopTokens {
    /// Cancelled: start nothing new. Hosts that are only connecting count as not started.
    pub(crate) drain: CancellationToken,
    /// Cancelled: end what runs. `drain` is cancelled then too.
    pub(crate) kill: CancellationToken,
    /// Cancelled: end what follows a stop, that is the question whether to roll back and the rollback's work.
    /// The two above say nothing to those.
    pub(crate) rollback: CancellationToken,
    reason: Mutex<Option<CancelReason>>,
}

/// The tokens that one piece of work heeds.
#[derive(Debug, Clone)]
pub(crate) struct Heed {
    /// Cancelled: what has not begun does not begin, and waits are given up.
    pub(crate) begin: CancellationToken,
    /// Cancelled: what runs is ended.
    pub(crate) end: CancellationToken,
}

impl StopTokens {
    /// Starts nothing new from here on; the reason only rises.
    pub(crate) fn stop_starting(&self, reason: CancelReason) {
        let mut held = self.reason.lock().unwrap_or_else(PoisonError::into_inner);
        *held = (*held).max(Some(reason));
        drop(held);
        self.drain.cancel();
    }

    /// What the way forward heeds. What was decided before a stop and begins after it is cut short at once.
    pub(crate) fn forward(&self) -> Heed {
        Heed {
            begin: self.drain.clone(),
            end: self.kill.clone(),
        }
    }

    /// What something that begins now heeds: after a stop it is part of the stop's own end (a question, a
    /// rollback), which ends by a token of its own.
    pub(crate) fn now(&self) -> Heed {
        let (begin, end) = if self.drain.is_cancelled() {
            (&self.rollback, &self.rollback)
        } else {
            (&self.drain, &self.kill)
        };
        Heed {
            begin: begin.clone(),
            end: end.clone(),
        }
    }

    /// Ends what runs.
    pub(crate) fn end_groups(&self) {
        self.drain.cancel();
        self.kill.cancel();
    }

    /// Ends what follows a stop.
    pub(crate) fn end_rollback(&self) {
        self.rollback.cancel();
    }

    /// Why the run stops; asked only by those whom a token has reached, so there is one.
    pub(crate) fn reason(&self) -> CancelReason {
        let held = self.reason.lock().unwrap_or_else(PoisonError::into_inner);
        held.unwrap_or(CancelReason::HostFailed)
    }
}
