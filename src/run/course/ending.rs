//! How hosts end: what is told of it, and whether it is one failure too many.

use std::time::Duration;

use crate::model::HostOutcome;
use crate::run::event::{EventKind, RolloutFact, Trouble};
use crate::run::journal::Fact;
use crate::run::message::{HostEnd, HostIndex};
use crate::run::progress::GoneHost;
use crate::task::WhenUnreachable;

use super::budget::{Tally, breach};
use super::ledger::Stage;
use super::steering::Course;
use super::taking::millis;

impl Course {
    /// Keeps how a host ended; whether it was at work.
    pub(crate) fn host_ended(&mut self, host: HostIndex, end: HostEnd) -> bool {
        if !self.ledger.of(host).is_out() {
            return false;
        }
        let is_last = self.pass.phase + 1 == self.plan.phases.len();
        if end.outcome == HostOutcome::Ok && !is_last {
            self.tell(RolloutFact::HostPassed {
                host: self.roster.host(host),
                phase: self.phase_name(),
                duration_ms: millis(end.duration),
            });
            self.facts.push(Fact::HostPassed {
                host: self.roster.host(host).id,
                phase: self.pass.phase,
            });
            self.ledger.passed(host);
            // Its turn came again: how an earlier process left it holds no more.
            self.past.stood.remove(&host);
            return true;
        }
        let pace = &self.plan.phases[self.pass.phase].pace;
        let skips = pace.unreachable == WhenUnreachable::Skip;
        let is_skipped = skips && matches!(end.outcome, HostOutcome::Unreachable { .. });
        let counts = end.outcome.counts_as_failure() && !is_skipped;
        self.tell_end(host, &end);
        self.ledger.ended(host, end, counts);
        if counts {
            self.count(host);
        }
        true
    }

    /// A host that was done is found in trouble while it is watched: it counts.
    pub(super) fn turned(&mut self, host: HostIndex) {
        let entry = self.ledger.of(host);
        if !entry.is_done() {
            return;
        }
        let (check, cause) = match entry.trouble() {
            None => return,
            Some(Trouble::Sick { check, cause }) => (check.clone(), cause.clone()),
            Some(Trouble::Unfit { cause }) => ("facts".to_owned(), cause.clone()),
            Some(Trouble::Silent { causes, .. }) => (
                "connection".to_owned(),
                causes.first().cloned().unwrap_or_default(),
            ),
        };
        let was = entry.end().cloned();
        let end = HostEnd {
            outcome: HostOutcome::Unhealthy {
                check: check.clone(),
                cause: cause.clone(),
            },
            ..was.clone().unwrap_or_else(|| HostEnd::of(HostOutcome::Ok))
        };
        if was.is_none() {
            // It had its part in an earlier phase; this is its first and last word.
            self.tell_end(host, &end);
        } else {
            let host = self.roster.host(host);
            self.facts.push(Fact::HostFinished {
                host: host.id.clone(),
                outcome: end.outcome.clone(),
            });
            self.tell(RolloutFact::HostTurned { host, check, cause });
        }
        self.ledger.ended(host, end, true);
        self.count(host);
    }

    /// A host failed: stops where that is one too many.
    pub(super) fn count(&mut self, host: HostIndex) {
        self.ended.last_failed = Some(host);
        let entry = self.ledger.of(host);
        let batch = self.pass.batch_of(host);
        let members = batch.map_or(&[][..], |batch| &batch.members);
        let zone = entry.zone.clone();
        let tally = Tally {
            host: self.roster.host(host).host,
            canary: batch.is_some_and(|batch| batch.canary),
            batch: entry.batch.unwrap_or_default(),
            batch_size: members.len(),
            batch_failed: {
                let members = members.iter();
                let failed = members.filter(|host| self.ledger.of(**host).counts());
                failed.count()
            },
            zone_failed: self.ledger.failed(|entry| entry.zone == zone),
            failed: self.ledger.failed(|_| true),
            zone,
        };
        let resolved = &self.plan.phases[self.pass.phase].resolved;
        if let Some(cause) = breach(resolved, self.fail_fast, tally) {
            self.stop(cause);
        }
    }

    /// Ends whatever has not ended: hosts that never began, for this reason, and those of which nothing more was
    /// heard.
    pub(crate) fn finish(&mut self, reason: &str) {
        for host in self.roster.order().to_vec() {
            let end = match &self.ledger.of(host).stage {
                Stage::Ended { .. } | Stage::Bystander => continue,
                Stage::AtWork => HostEnd::internal("its work ended without a word"),
                Stage::Pending | Stage::Taken => {
                    let stood = self.past.stood.get(&host).cloned();
                    stood.unwrap_or_else(|| {
                        HostEnd::of(HostOutcome::NotRun {
                            reason: reason.to_owned(),
                        })
                    })
                }
                Stage::Passed => HostEnd::of(HostOutcome::NotRun {
                    reason: format!("did `{}`, then {reason}", self.phase_name()),
                }),
            };
            self.tell_end(host, &end);
            self.ledger.ended(host, end, false);
        }
        self.finish_undo();
    }

    /// Tells of a host of the run that is not there any more.
    pub(crate) fn tell_gone(&mut self, gone: &GoneHost) {
        self.events.push(EventKind::HostFinished {
            host: gone.host.clone(),
            outcome: gone.outcome.clone(),
            duration: Duration::ZERO,
            tail: Vec::new(),
        });
    }

    pub(super) fn tell_end(&mut self, host: HostIndex, end: &HostEnd) {
        self.facts.push(Fact::HostFinished {
            host: self.roster.host(host).id,
            outcome: end.outcome.clone(),
        });
        self.tell_known_end(host, end);
    }

    /// Tells an end that the journal has already.
    pub(super) fn tell_known_end(&mut self, host: HostIndex, end: &HostEnd) {
        self.events.push(EventKind::HostFinished {
            host: self.roster.host(host),
            outcome: end.outcome.clone(),
            duration: end.duration,
            tail: end.tail.clone(),
        });
    }
}
