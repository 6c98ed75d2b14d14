//! `once` steps: which host runs one, and what the others learn from it.
//!
//! The first host of the batch order that reaches the step runs it; a host before it that has ended, or
//! that skips the step, is passed over. Everybody else waits for the result, which stays for later batches.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use tokio::sync::watch;

use super::message::HostIndex;
use crate::task::RegisterValue;

/// What came of a `once` step.
#[derive(Debug, Clone)]
pub(crate) enum OnceResult {
    /// It passed; its register, where it has one.
    Passed(Option<RegisterValue>),
    /// It failed on this host, and with it the run.
    Failed {
        /// The host's label.
        on: String,
    },
}

#[derive(Debug, Default)]
struct Board {
    results: HashMap<Arc<str>, OnceResult>,
    ended: HashSet<HostIndex>,
    skipped: HashSet<(Arc<str>, HostIndex)>,
}

impl Board {
    /// What `host` has to do about the step, once that is settled.
    fn turn(&self, step: &Arc<str>, host: HostIndex, batch: &Range<HostIndex>) -> Option<Turn> {
        if let Some(result) = self.results.get(step) {
            return Some(Turn::Known(result.clone()));
        }
        let passed_over = |before: HostIndex| {
            self.ended.contains(&before) || self.skipped.contains(&(Arc::clone(step), before))
        };
        (batch.start..host).all(passed_over).then_some(Turn::Mine)
    }
}

/// What a host has to do about a `once` step.
#[derive(Debug, Clone)]
pub(crate) enum Turn {
    /// Run it, and say what came of it.
    Mine,
    /// It has been run.
    Known(OnceResult),
}

/// Where hosts learn of each other's `once` steps.
#[derive(Debug)]
pub(crate) struct OnceBoard(watch::Sender<Board>);

impl Default for OnceBoard {
    fn default() -> Self {
        Self(watch::Sender::new(Board::default()))
    }
}

impl OnceBoard {
    /// Waits until it is settled what `host`, of the batch of these hosts, has to do about the step. The
    /// hosts before it were started before it, so that each of them comes to the step or ends.
    pub(crate) async fn turn(
        &self,
        step: &Arc<str>,
        host: HostIndex,
        batch: &Range<HostIndex>,
    ) -> Turn {
        let mut board = self.0.subscribe();
        let settled = board.wait_for(|board| board.turn(step, host, batch).is_some());
        let turn = match settled.await {
            Ok(board) => board.turn(step, host, batch),
            // The sender lives in `self`.
            Err(_closed) => None,
        };
        turn.unwrap_or(Turn::Mine)
    }

    /// Keeps what came of a step.
    pub(crate) fn settle(&self, step: &Arc<str>, result: OnceResult) {
        self.0.send_modify(|board| {
            board.results.insert(Arc::clone(step), result);
        });
    }

    /// The host does not run the step: its `when` does not hold.
    pub(crate) fn skip(&self, step: &Arc<str>, host: HostIndex) {
        self.0.send_modify(|board| {
            board.skipped.insert((Arc::clone(step), host));
        });
    }

    /// The host has ended.
    pub(crate) fn ended(&self, host: HostIndex) {
        self.0.send_modify(|board| {
            board.ended.insert(host);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_host_that_is_left_runs_it() {
        let step: Arc<str> = "migrate".into();
        let mut board = Board::default();
        let batch = 4..7;
        assert!(matches!(board.turn(&step, 4, &batch), Some(Turn::Mine)));
        assert!(board.turn(&step, 6, &batch).is_none());
        board.ended.insert(4);
        assert!(board.turn(&step, 6, &batch).is_none());
        board.skipped.insert((Arc::clone(&step), 5));
        assert!(matches!(board.turn(&step, 6, &batch), Some(Turn::Mine)));
        board
            .results
            .insert(Arc::clone(&step), OnceResult::Passed(None));
        assert!(matches!(
            board.turn(&step, 6, &batch),
            Some(Turn::Known(OnceResult::Passed(None)))
        ));
    }
}
