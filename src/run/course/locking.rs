//! The lock of a rollout: which hosts are locked, what it means where another has it, and when it is let go.

use crate::lock;
use crate::run::errand::{Errand, LockEnd};
use crate::run::event::{EventKind, RolloutFact, StopCause, Unlocked};
use crate::run::journal::Fact;
use crate::run::message::HostIndex;
use crate::task::Occasion;

use super::looking::is_silent;
use super::steering::{Course, Leg};

/// Whether a run holds its lock.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Hold {
    /// Not yet, not any more, or there is none.
    #[default]
    None,
    /// It does.
    Ours,
}

impl Course {
    /// The lock, taken once the start is confirmed: on every host of the population that answers, in the order of
    /// their ids, so that whoever wants the same hosts begins at the same one.
    pub(super) fn lock(&mut self) -> Option<Errand> {
        if self.plan.lock.is_some() && self.hold == Hold::None {
            let hosts = self.lockable();
            let ids = hosts.iter().map(|&host| self.roster.host(host).id);
            self.facts.push(Fact::LockStarted {
                hosts: ids.collect(),
            });
            return Some(Errand::Lock(hosts));
        }
        if self.undoing.asked {
            self.undo_as_asked();
            return None;
        }
        self.notify(Occasion::Start);
        self.leg = Leg::Before;
        None
    }

    fn lockable(&self) -> Vec<HostIndex> {
        let silent = self.silent();
        let hosts = self.ledger.hosts();
        let mut hosts: Vec<HostIndex> = hosts.filter(|host| !silent.contains(host)).collect();
        hosts.sort_by_key(|&host| self.roster.host(host).id);
        hosts
    }

    /// Hosts that did not answer. Before a rollback alone nobody was asked: whether one answers is found out by locking it.
    fn silent(&self) -> Vec<HostIndex> {
        if self.undoing.asked {
            return Vec::new();
        }
        self.ledger.which(is_silent)
    }

    /// Keeps what came of taking the lock.
    pub(crate) fn lock_ended(&mut self, end: LockEnd) {
        let unlocked = |hosts: Vec<(crate::model::Label, String)>| {
            let hosts = hosts.into_iter();
            hosts
                .map(|(host, cause)| Unlocked { host, cause })
                .collect()
        };
        match end {
            LockEnd::Taken {
                anchor,
                hosts,
                without,
            } => {
                self.hold = Hold::Ours;
                let key = self.lock_key();
                let silent = self.roster.labels(&self.silent());
                let silent = silent.into_iter();
                let silent = silent.map(|host| (host, "it does not answer".to_owned()));
                let without = unlocked(without.into_iter().chain(silent).collect());
                self.tell(RolloutFact::LockTaken {
                    key,
                    anchor,
                    hosts,
                    without,
                });
            }
            LockEnd::Held(holder) => {
                self.ended.locked = true;
                self.stop(StopCause::Locked { holder });
            }
            LockEnd::Nowhere(causes) => {
                self.ended.preflight = true;
                let hosts = unlocked(causes);
                self.stop(StopCause::Unlockable { hosts });
            }
        }
    }

    /// Tells that another has the lock and is waited for.
    pub(crate) fn lock_waited(&mut self, holder: lock::Found) {
        self.events
            .push(EventKind::Rollout(RolloutFact::LockWaited {
                holder: Box::new(holder),
            }));
    }

    fn lock_key(&self) -> String {
        let lock = self.plan.lock.as_ref();
        lock.map(ToString::to_string).unwrap_or_default()
    }

    /// The last thing to do: the lock goes, then there is nothing left. Whether it is kept is not known here.
    pub(super) fn leave(&mut self) -> Errand {
        if std::mem::take(&mut self.hold) == Hold::Ours {
            return Errand::Unlock { keep: false };
        }
        Errand::End
    }
}
