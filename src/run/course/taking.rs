//! What of a phase is taken next, and what has to come before: looks, health that is waited for, pauses.

use std::time::Duration;

use crate::run::errand::{Errand, Work};
use crate::run::event::{BakeReason, EventKind, RolloutFact, Rule, Shortfall, StopCause};
use crate::run::journal::Fact;
use crate::run::message::{HostIndex, Verdict};

use super::bake;
use super::gates::Asking;
use super::ledger::{Entry, Stage};
use super::pass::Room;
use super::steering::{Course, Leg};
use super::vitality::{Demand, Healthy};

/// Between two looks at hosts that are waited for.
const POLL: Duration = Duration::from_secs(2);

/// A pause.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bake {
    began: Duration,
    until: Duration,
}

/// What follows a batch that ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct After {
    /// The pause, if it has not begun.
    pub(super) bake: Option<(Duration, BakeReason)>,
    /// The question, if it was not answered.
    pub(super) asking: Option<Asking>,
}

/// Waiting for health.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wait {
    since: Duration,
}

impl Course {
    /// The batches of a phase: ends what ended, then what follows it, then the next hosts.
    pub(super) fn batches(&mut self, at: Duration) -> Option<Errand> {
        self.finish_batches();
        self.close_batch();
        if let Some(errand) = self.baking(at) {
            return Some(errand);
        }
        if let Some(after) = self.after {
            let Some(asking) = after.asking else {
                self.close_after();
                return None;
            };
            return self.gate(asking);
        }
        match self.pass.room(&self.plan, &self.roster, &self.ledger) {
            Room::Full => Some(Errand::Await),
            Room::Nothing => {
                self.leg = Leg::Closing;
                if let Some(because) = self.past.stopping.take() {
                    self.stop(because);
                }
                None
            }
            Room::Hosts(_) => self.take(at),
        }
    }

    /// Tells the end of batches of which every host has ended.
    pub(super) fn finish_batches(&mut self) {
        let phase = self.plan.phases[self.pass.phase].name.clone();
        for taken in &mut self.pass.taken {
            let busy = |host: &HostIndex| self.ledger.of(*host).is_out();
            if !taken.finished && taken.untaken.is_empty() && !taken.members.iter().any(busy) {
                taken.finished = true;
                self.facts.push(Fact::BatchFinished {
                    phase: self.pass.phase,
                    batch: taken.number,
                });
                self.events.push(EventKind::BatchFinished {
                    phase: phase.clone(),
                    index: taken.number,
                });
            }
        }
    }

    /// Where everything that was taken has ended and something has to follow: what that is.
    fn close_batch(&mut self) {
        if self.past.stopping.is_some() {
            return;
        }
        let phase = &self.plan.phases[self.pass.phase];
        let out = self
            .ledger
            .hosts()
            .any(|host| self.ledger.of(host).is_out());
        let is_open = |taken: &super::pass::Taken| {
            taken.finished && !taken.closed && taken.untaken.is_empty()
        };
        if out || !self.pass.current().is_some_and(is_open) || !self.pass.is_barrier(phase) {
            return;
        }
        let ends = self.pass.ends(&self.plan, &self.ledger);
        let after = After {
            bake: bake::due(&phase.pace, ends),
            asking: Asking::after(&phase.pace, ends),
        };
        if let Some(taken) = self.pass.taken.last_mut() {
            taken.closed = true;
        }
        self.after = Some(after);
    }

    /// What follows a batch is over; where its hosts are taken again, it is not.
    pub(super) fn close_after(&mut self) {
        self.after = None;
        if let Some(taken) = self.pass.current().filter(|taken| taken.closed)
            && self.halt.is_none()
        {
            self.facts.push(Fact::BatchClosed {
                phase: self.pass.phase,
                batch: taken.number,
            });
        }
    }

    fn baking(&mut self, at: Duration) -> Option<Errand> {
        if let Some((length, why)) = self.after.as_mut().and_then(|after| after.bake.take()) {
            self.bake = Some(Bake {
                began: at,
                until: at + length,
            });
            let watched = self.roster.labels(&self.ledger.which(Entry::is_done));
            let length_ms = millis(length);
            self.facts.push(Fact::Bake { length_ms });
            self.tell(RolloutFact::BakeStarted {
                length_ms: millis(length),
                why,
                watched,
            });
        }
        let bake = self.bake?;
        if at < bake.until {
            return Some(self.sleep(
                bake.until.saturating_sub(at),
                self.ledger.which(Entry::is_done),
            ));
        }
        self.leave_wait(at);
        None
    }

    /// Ends a pause, or a wait for health, that is over or cut short.
    pub(super) fn leave_wait(&mut self, at: Duration) {
        if let Some(bake) = self.bake.take() {
            self.tell(RolloutFact::BakeFinished {
                waited_ms: millis(at.saturating_sub(bake.began)),
            });
        }
        self.wait = None;
    }

    fn take(&mut self, at: Duration) -> Option<Errand> {
        if self.looks() {
            if !self.fresh {
                return Some(Errand::Look(self.look(false)));
            }
            self.reform();
        }
        // What was found may have put others first.
        let room = self.pass.room(&self.plan, &self.roster, &self.ledger);
        let hosts = match room {
            Room::Hosts(hosts) => hosts,
            Room::Full => return Some(Errand::Await),
            Room::Nothing => return None,
        };
        let may_serve = |host: &HostIndex| self.ledger.of(*host).may_serve();
        let mut hosts = hosts;
        if self.looks() && hosts.iter().any(may_serve) {
            let last_told = |host| self.ledger.of(host).last == Some(true);
            let led = !self.reads_last() || self.ledger.hosts().any(last_told);
            let shortfall = self.shortfall(&hosts);
            if !led || shortfall.is_some() {
                // Whatever is missing, sick ones among them may be healed: that lowers nothing.
                if !hosts.iter().any(|host| !may_serve(host)) {
                    let missing = match shortfall {
                        Some(shortfall) if led => shortfall,
                        _ => self.no_leader(&hosts),
                    };
                    return self.wait_for_health(missing, at);
                }
                hosts.retain(|host| !may_serve(host));
            }
        }
        if let Some(wait) = self.wait.take() {
            let waited_ms = millis(at.saturating_sub(wait.since));
            let phase = self.phase_name();
            self.tell(RolloutFact::HealthRegained { phase, waited_ms });
        }
        self.begin(hosts)
    }

    /// Takes hosts.
    fn begin(&mut self, hosts: Vec<HostIndex>) -> Option<Errand> {
        let begins = self.pass.take(&hosts, &self.roster, &self.ledger);
        let taken = self.pass.current()?;
        let (number, members) = (taken.number, taken.members.clone());
        if begins {
            let batch = self.formed((number, &members), (&taken.zone, taken.canary, taken.last));
            let phase = self.pass.phase;
            self.facts.push(Fact::BatchStarted { phase, batch });
            self.events.push(EventKind::BatchStarted {
                phase: self.phase_name(),
                index: number,
                count: self.pass.batches(),
                zone: taken.zone.clone(),
                canary: taken.canary,
                last: taken.last,
                hosts: self.roster.labels(&members),
            });
        }
        for &host in &hosts {
            let entry = self.ledger.of_mut(host);
            entry.stage = Stage::Taken;
            entry.batch = Some(number);
        }
        Some(self.start(number, members, hosts, Work::Forward))
    }

    /// What is missing for these hosts to be taken.
    pub(super) fn shortfall(&self, hosts: &[HostIndex]) -> Option<Shortfall> {
        let resolved = &self.plan.phases[self.pass.phase].resolved;
        let is_out = |host: HostIndex| self.ledger.of(host).is_out() || hosts.contains(&host);
        let mut healthy = Healthy::default();
        let mut out = 0;
        for host in self.ledger.hosts() {
            let entry = self.ledger.of(host);
            if is_out(host) {
                out += 1;
            } else if entry.is_well() {
                healthy.overall += 1;
                *healthy.zones.entry(entry.zone.clone()).or_default() += 1;
            }
        }
        let taken = hosts.iter().map(|&host| self.ledger.of(host));
        let zones: Vec<_> = taken
            .filter(|entry| entry.may_serve())
            .map(|entry| entry.zone.clone())
            .collect();
        // A run that goes on with fewer hosts than it began with may have more of them half done than the plan takes at
        // once now: what it took itself is not held against it.
        let left = if self.past.gone.is_empty() { 0 } else { out };
        let demand = Demand::of(resolved, self.pass.baseline, (out, left));
        let (rule, healthy, needed) = demand.unmet(&healthy, &zones)?;
        let down = self.ledger.which(|entry| !entry.is_well());
        Some(Shortfall {
            rule,
            healthy,
            needed,
            down: self.roster.labels(&down),
            taking: self.roster.labels(hosts),
        })
    }

    /// What is missing where no host is the one to take last.
    fn no_leader(&self, hosts: &[HostIndex]) -> Shortfall {
        let down = self.ledger.which(|entry| !entry.is_well());
        Shortfall {
            rule: Rule::Last,
            healthy: 0,
            needed: 1,
            down: self.roster.labels(&down),
            taking: self.roster.labels(hosts),
        }
    }

    /// Waits for what is missing, `health_wait` at most. Hosts at work are waited for first.
    fn wait_for_health(&mut self, shortfall: Shortfall, at: Duration) -> Option<Errand> {
        if self
            .ledger
            .hosts()
            .any(|host| self.ledger.of(host).is_out())
        {
            return Some(Errand::Await);
        }
        let limit = self.plan.phases[self.pass.phase].pace.health_wait;
        let since = self.wait.as_ref().map_or(at, |wait| wait.since);
        let told = self.wait.is_some();
        let waited = at.saturating_sub(since);
        if waited >= limit {
            self.stop(match shortfall.rule {
                Rule::Last => StopCause::NoLeader,
                Rule::MinHealthy | Rule::Zone { .. } | Rule::Quorum => {
                    StopCause::Health { shortfall }
                }
            });
            return None;
        }
        if !told {
            let (phase, limit_ms) = (self.phase_name(), millis(limit));
            self.tell(RolloutFact::HealthWaited {
                phase,
                shortfall,
                limit_ms,
            });
        }
        self.wait = Some(Wait { since });
        Some(self.sleep(POLL.min(limit.saturating_sub(waited)), Vec::new()))
    }

    /// Whether a host may begin now that its turn has come, and whether it goes on where an earlier process of
    /// the run was interrupted.
    pub(crate) fn host_starting(&mut self, host: HostIndex) -> Verdict {
        if self.undo_starting(host) {
            return Verdict::Proceed;
        }
        let entry = self.ledger.of_mut(host);
        if self.halt.is_some() || !matches!(entry.stage, Stage::Taken) {
            return Verdict::Refuse;
        }
        entry.stage = Stage::AtWork;
        let continues = std::mem::take(&mut entry.continues);
        self.facts.push(Fact::HostStarted {
            host: self.roster.host(host).id,
            phase: self.pass.phase,
            afresh: !continues,
        });
        if continues {
            Verdict::Continue
        } else {
            Verdict::Proceed
        }
    }

    /// A step began: from here on the host may be another than before.
    pub(crate) fn touched(&mut self, host: HostIndex) {
        let phase = self.pass.phase;
        let entry = self.ledger.of_mut(host);
        if matches!(entry.stage, Stage::AtWork) {
            entry.touched.insert(phase);
        }
    }

    pub(super) fn phase_name(&self) -> String {
        self.plan.phases[self.pass.phase].name.clone()
    }
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
