//! Where the hosts of a batch meet: `once` steps, which one of them runs for the others, and `barrier` steps,
//! before which they wait for each other.
//!
//! The first host of the batch order that reaches a `once` step runs it; a host before it that has ended, or
//! that will not come to the step, is passed over. Everybody else waits for the result, which stays for later
//! batches. A host that has ended or will not come keeps nobody waiting at a barrier either, nor does one of
//! a window that was not handed out yet: the run may stop before it is.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tokio::sync::watch;

use super::journal::{Circle, Mark, Part};
use super::message::HostIndex;
use crate::task::RegisterValue;

/// A step where hosts meet, within one phase.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Spot {
    /// The phase.
    pub(crate) phase: usize,
    /// The step's id.
    pub(crate) step: Arc<str>,
    /// The numbers of the loops' passes around it, outermost first.
    pub(crate) passes: Vec<usize>,
}

impl Spot {
    /// The spot, and the same in the loops around it as a whole.
    fn and_around(&self) -> impl Iterator<Item = Self> {
        (0..=self.passes.len()).map(|depth| Self {
            passes: self.passes[..depth].to_vec(),
            ..self.clone()
        })
    }
}

/// One run of a `once` step.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct OnceKey {
    pub(crate) spot: Spot,
    pub(crate) circle: Circle,
}

impl OnceKey {
    /// The key of a step that the journal has; `None` where it is one host's alone.
    pub(crate) fn of(mark: &Mark) -> Option<Self> {
        let Part::Steps(phase) = mark.part else {
            return None;
        };
        Some(Self {
            spot: Spot {
                phase,
                step: Arc::clone(&mark.id),
                passes: mark.passes.clone(),
            },
            circle: mark.once.clone()?,
        })
    }
}

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
    results: HashMap<OnceKey, OnceResult>,
    /// Hosts that were handed out and have not ended. Others may never come, if the run stops first.
    here: HashSet<HostIndex>,
    arrived: HashSet<(HostIndex, Spot)>,
    gone_by: HashSet<(HostIndex, Spot)>,
}

impl Board {
    /// Whether a host does not come to a step (any more).
    fn is_past(&self, host: HostIndex, spot: &Spot) -> bool {
        !self.here.contains(&host)
            || spot
                .and_around()
                .any(|spot| self.gone_by.contains(&(host, spot)))
    }

    /// What a host has to do about a `once` step, with those `before` it, once that is settled.
    fn turn(&self, key: &OnceKey, before: &[HostIndex]) -> Option<Turn> {
        if let Some(result) = self.results.get(key) {
            return Some(Turn::Known(result.clone()));
        }
        let nobody = before.iter().all(|host| self.is_past(*host, &key.spot));
        nobody.then_some(Turn::Mine)
    }

    /// Whether all of them are there, or will not come.
    fn is_complete(&self, spot: &Spot, members: &[HostIndex]) -> bool {
        members
            .iter()
            .all(|host| self.arrived.contains(&(*host, spot.clone())) || self.is_past(*host, spot))
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

/// Where hosts learn of each other.
#[derive(Debug)]
pub(crate) struct Meetings(watch::Sender<Board>);

impl Default for Meetings {
    fn default() -> Self {
        Self(watch::Sender::new(Board::default()))
    }
}

impl Meetings {
    /// Hosts are about to be started, some of them perhaps again: those that failed for a `once` step may
    /// try it anew.
    pub(crate) fn enlist(&self, hosts: &[HostIndex]) {
        let hosts: HashSet<HostIndex> = hosts.iter().copied().collect();
        self.0.send_modify(|board| {
            board.here.extend(&hosts);
            board.arrived.retain(|(host, _)| !hosts.contains(host));
            board.gone_by.retain(|(host, _)| !hosts.contains(host));
            board
                .results
                .retain(|_, result| matches!(result, OnceResult::Passed(_)));
        });
    }

    /// Waits until it is settled what a host has to do about a `once` step. Those `before` it in its batch
    /// were started before it, so that each of them comes to the step, goes by, or ends.
    pub(crate) async fn turn(&self, key: &OnceKey, before: &[HostIndex]) -> Turn {
        let mut board = self.0.subscribe();
        let settled = board.wait_for(|board| board.turn(key, before).is_some());
        let turn = match settled.await {
            Ok(board) => board.turn(key, before),
            // The sender lives in `self`.
            Err(_closed) => None,
        };
        turn.unwrap_or(Turn::Mine)
    }

    /// Keeps what came of a `once` step.
    pub(crate) fn settle(&self, key: OnceKey, result: OnceResult) {
        self.0.send_modify(|board| {
            board.results.insert(key, result);
        });
    }

    /// Comes to a barrier and waits for the others of the batch.
    pub(crate) async fn meet(&self, spot: &Spot, host: HostIndex, members: &[HostIndex]) {
        self.0.send_modify(|board| {
            board.arrived.insert((host, spot.clone()));
        });
        let mut board = self.0.subscribe();
        // An error means that the sender has gone, which lives in `self`.
        let _closed = board
            .wait_for(|board| board.is_complete(spot, members))
            .await;
    }

    /// The host will not come to this step (any more), in none of the passes below.
    pub(crate) fn go_by(&self, host: HostIndex, spots: impl IntoIterator<Item = Spot>) {
        self.0.send_modify(|board| {
            board
                .gone_by
                .extend(spots.into_iter().map(|spot| (host, spot)));
        });
    }

    /// The host has ended, or was not started.
    pub(crate) fn ended(&self, host: HostIndex) {
        self.0.send_modify(|board| {
            board.here.remove(&host);
        });
    }
}

#[cfg(test)]
mod tests {
    use crate::model::Zone;

    use super::*;

    fn spot(passes: &[usize]) -> Spot {
        Spot {
            phase: 0,
            step: "migrate".into(),
            passes: passes.to_vec(),
        }
    }

    fn key(circle: Circle) -> OnceKey {
        OnceKey {
            spot: spot(&[]),
            circle,
        }
    }

    #[test]
    fn the_first_host_that_is_left_runs_it() {
        let key = key(Circle::Rollout);
        let mut board = Board::default();
        board.here.extend([4, 5]);
        assert!(matches!(board.turn(&key, &[]), Some(Turn::Mine)));
        assert!(board.turn(&key, &[4, 5]).is_none());
        board.here.remove(&4);
        assert!(board.turn(&key, &[4, 5]).is_none());
        board.gone_by.insert((5, spot(&[])));
        assert!(matches!(board.turn(&key, &[4, 5]), Some(Turn::Mine)));
        board.results.insert(key.clone(), OnceResult::Passed(None));
        assert!(matches!(
            board.turn(&key, &[4, 5]),
            Some(Turn::Known(OnceResult::Passed(None)))
        ));
    }

    #[test]
    fn circles_and_passes_are_apart() {
        let mut board = Board::default();
        let first = key(Circle::Zone(Zone::new("a")));
        board.results.insert(first, OnceResult::Passed(None));
        let second = key(Circle::Zone(Zone::new("b")));
        assert!(matches!(board.turn(&second, &[]), Some(Turn::Mine)));
        let pass = OnceKey {
            spot: spot(&[2]),
            circle: Circle::Zone(Zone::new("a")),
        };
        assert!(matches!(board.turn(&pass, &[]), Some(Turn::Mine)));
    }

    #[test]
    fn who_has_left_the_loop_comes_to_none_of_its_passes() {
        let mut board = Board::default();
        board.here.extend([1, 2]);
        board.arrived.insert((1, spot(&[3])));
        assert!(!board.is_complete(&spot(&[3]), &[1, 2]));
        board.gone_by.insert((2, spot(&[2])));
        assert!(!board.is_complete(&spot(&[3]), &[1, 2]));
        board.gone_by.insert((2, spot(&[])));
        assert!(board.is_complete(&spot(&[3]), &[1, 2]));
    }
}
