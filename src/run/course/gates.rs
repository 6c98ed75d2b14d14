//! The questions of a rollout: where it asks, what it shows, and what each answer does.

use indexmap::IndexMap;

use crate::model::HostOutcome;
use crate::plan::Pace;
use crate::run::errand::{Errand, Gate, GateAnswer};
use crate::run::event::{EventKind, GateFacts, NextUp, RolloutFact, StopCause, Troubled};
use crate::run::journal::{self, Fact};
use crate::run::message::HostIndex;
use crate::task::{GateAt, Occasion};

use super::bake::Ends;
use super::ledger::Stage;
use super::steering::{Course, Leg};
use super::taking::millis;

/// What is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asking {
    /// A place where the strategy has it ask.
    At(GateAt),
    /// What to do about a rollout that stopped.
    Stopped,
}

impl Asking {
    /// The question that follows a batch. What ends with the phase is the phase's to ask about, and nothing is
    /// asked at the end of all.
    pub(super) fn after(pace: &Pace, ends: Ends) -> Option<Self> {
        let asks = |at| pace.confirm.contains(&at);
        let canary = pace.canary.is_some_and(|canary| canary.confirm);
        let at = if ends.rollout || (ends.phase && asks(GateAt::Phase)) {
            return None;
        } else if ends.canary && (canary || asks(GateAt::Canary)) {
            GateAt::Canary
        } else if ends.zone && asks(GateAt::Zone) {
            GateAt::Zone
        } else if asks(GateAt::Batch) {
            GateAt::Batch
        } else {
            return None;
        };
        Some(Self::At(at))
    }
}

impl Course {
    /// The gate before the first change.
    pub(super) fn start_gate(&mut self) -> Option<Errand> {
        let mut phases = self.plan.phases.iter();
        if phases.any(|phase| phase.pace.confirm.contains(&GateAt::Start))
            && let Some(errand) = self.ask(Asking::At(GateAt::Start))
        {
            return Some(errand);
        }
        if self.handed.gate.is_none() && self.halt.is_none() {
            self.leg = Leg::Lock;
        }
        None
    }

    /// The gate after a phase.
    pub(super) fn phase_gate(&mut self) -> Option<Errand> {
        let phase = &self.plan.phases[self.pass.phase];
        if !phase.pace.confirm.contains(&GateAt::Phase) || self.asks_no_more {
            return None;
        }
        self.ask(Asking::At(GateAt::Phase))
    }

    /// A gate within a phase.
    pub(super) fn gate(&mut self, asking: Asking) -> Option<Errand> {
        if self.asks_no_more {
            self.close_after();
            return None;
        }
        let errand = self.ask(asking);
        if errand.is_none() {
            self.close_after();
        }
        errand
    }

    /// Asks, or does what was answered: then there is no errand.
    pub(super) fn ask(&mut self, asking: Asking) -> Option<Errand> {
        match self.handed.gate.take() {
            None if self.past.gates.contains(&self.gate_key(asking)) => None,
            None => {
                let gate = self.gate_key(asking);
                self.facts.push(Fact::GateAsked { gate });
                let gate = self.question(asking);
                self.handed.gate = Some((asking, None));
                self.notify(Occasion::Gate);
                self.first.push_back(Errand::Ask(gate));
                self.first.pop_front()
            }
            Some((asked, answer)) => {
                let (answer, by) =
                    answer.unwrap_or_else(|| (GateAnswer::Pause, "nobody".to_owned()));
                self.answered(asked, answer, by);
                None
            }
        }
    }

    /// Where a question stands.
    pub(super) fn gate_key(&self, asking: Asking) -> journal::Gate {
        let batch = match asking {
            Asking::At(GateAt::Start | GateAt::Phase) => None,
            Asking::At(_) | Asking::Stopped => self.pass.current().map(|taken| taken.number),
        };
        let is_start = asking == Asking::At(GateAt::Start);
        journal::Gate {
            phase: if is_start { 0 } else { self.pass.phase },
            batch,
            at: match asking {
                Asking::At(at) => Some(at),
                Asking::Stopped => None,
            },
        }
    }

    fn answered(&mut self, asked: Asking, answer: GateAnswer, by: String) {
        match answer {
            GateAnswer::Go => {}
            GateAnswer::All => self.asks_no_more = true,
            GateAnswer::Retry => self.retry(),
            GateAnswer::Stop | GateAnswer::Rollback | GateAnswer::Pause => {
                match (asked, answer) {
                    (Asking::Stopped, GateAnswer::Pause) => {
                        (self.ended.paused, self.ended.stopped) = (true, false);
                    }
                    (Asking::Stopped, _) => {}
                    (_, GateAnswer::Pause) => self.ended.paused = true,
                    (Asking::At(GateAt::Start), _) => self.ended.refused = true,
                    _ => {}
                }
                self.stop(StopCause::Gate { answer, by });
            }
        }
    }

    /// Takes the failed hosts of the current batch again: they leave the failures until they fail again.
    fn retry(&mut self) {
        let Some(taken) = self.pass.taken.last_mut() else {
            return;
        };
        let failed = taken.members.iter().copied();
        let failed: Vec<HostIndex> = failed
            .filter(|&host| self.ledger.of(host).counts())
            .collect();
        if failed.is_empty() {
            return;
        }
        taken.retried = true;
        taken.closed = false;
        taken.untaken = failed.iter().copied().collect();
        for host in failed {
            self.ledger.of_mut(host).stage = Stage::Pending;
            let host = self.roster.host(host);
            self.tell(RolloutFact::HostReopened { host });
        }
        self.leg = Leg::Batches;
    }

    /// An open question is given up.
    pub(super) fn close_question(&mut self) {
        if let Some((_, None)) = self.handed.gate.take() {
            self.events.push(EventKind::GateAnswered {
                yes: false,
                by: "cancel".to_owned(),
                answer: None,
            });
        }
    }

    /// A question with everything that it shows, told as an event too.
    fn question(&mut self, asking: Asking) -> Gate {
        let pace = &self.plan.phases[self.pass.phase].pace;
        let timeout = pace.confirm_timeout;
        let gate = Gate {
            at: match asking {
                Asking::At(at) => Some(at),
                Asking::Stopped => None,
            },
            question: self.wording(asking),
            offers: self.offers(asking),
            timeout,
        };
        let facts = GateFacts {
            at: gate.at,
            offers: gate.offers.clone(),
            timeout_ms: millis(timeout),
            counts: self.counts(),
            troubled: self.troubled(),
            next: self.next_up().filter(|_| gate.at.is_some()),
        };
        self.events.push(EventKind::GateAsked {
            question: gate.question.clone(),
            gate: Some(Box::new(facts)),
        });
        gate
    }

    fn wording(&self, asking: Asking) -> String {
        let taken = self.pass.current();
        match asking {
            Asking::At(GateAt::Start) => {
                let hosts = self
                    .ledger
                    .which(|entry| matches!(entry.stage, Stage::Pending));
                let noun = if hosts.len() == 1 { "host" } else { "hosts" };
                format!("start `{}` on {} {noun}?", self.plan.task.name, hosts.len())
            }
            Asking::At(GateAt::Canary) => "the canary is done: go on?".to_owned(),
            Asking::At(GateAt::Zone) => {
                let zone = taken.and_then(|taken| taken.zone.clone());
                let zone = zone.map(|zone| format!(" {zone}")).unwrap_or_default();
                format!("zone{zone} is done: go on?")
            }
            Asking::At(GateAt::Batch) => {
                let number = taken.map_or(0, |taken| taken.number + 1);
                format!("batch {number} of {} is done: go on?", self.pass.batches())
            }
            Asking::At(GateAt::Phase) => {
                let next = self.plan.phases.get(self.pass.phase + 1);
                let next = next.map(|next| format!(" with `{}`", next.name));
                format!(
                    "phase `{}` is done: go on{}?",
                    self.phase_name(),
                    next.unwrap_or_default()
                )
            }
            Asking::Stopped => "the rollout stopped: what now?".to_owned(),
        }
    }

    fn offers(&self, asking: Asking) -> Vec<GateAnswer> {
        use GateAnswer::{All, Go, Pause, Retry, Rollback, Stop};
        if asking == Asking::Stopped {
            return vec![Stop, Rollback, Pause];
        }
        if asking == Asking::At(GateAt::Start) {
            return vec![Go, All, Stop, Pause];
        }
        let taken = self.pass.current();
        let members = taken.map_or(&[][..], |taken| &taken.members);
        let failed = members.iter().any(|&host| self.ledger.of(host).counts());
        let offers = [
            (true, Go),
            (true, All),
            (failed, Retry),
            (true, Stop),
            (self.can_undo(), Rollback),
            (true, Pause),
        ];
        let offered = offers.into_iter().filter(|(offered, _)| *offered);
        offered.map(|(_, answer)| answer).collect()
    }

    fn counts(&self) -> IndexMap<String, usize> {
        let targets = self.roster.order().iter();
        let words: Vec<&str> = targets
            .map(|&host| {
                let entry = self.ledger.of(host);
                match entry.end() {
                    Some(end) => end.outcome.word(),
                    None if entry.is_done() => "ok",
                    None => "pending",
                }
            })
            .collect();
        let all = HostOutcome::WORDS.iter().chain(&["pending"]);
        let count = |word: &str| words.iter().filter(|found| **found == word).count();
        all.map(|word| ((*word).to_owned(), count(word)))
            .filter(|(_, count)| *count > 0)
            .collect()
    }

    fn troubled(&self) -> Vec<Troubled> {
        let mut troubled = Vec::new();
        for host in self.ledger.hosts() {
            let entry = self.ledger.of(host);
            let outcome = entry.end().map(|end| end.outcome.clone());
            let outcome = outcome.filter(|outcome| *outcome != HostOutcome::Ok);
            let trouble = entry.trouble().filter(|_| outcome.is_none()).cloned();
            if outcome.is_some() || trouble.is_some() {
                troubled.push(Troubled {
                    host: self.roster.host(host).host,
                    outcome,
                    trouble,
                });
            }
        }
        troubled
    }

    fn next_up(&self) -> Option<NextUp> {
        let (phase, batch, of) = if let Some(next) = self.pass.next() {
            (self.pass.phase, next, self.pass.batches())
        } else {
            let number = self.pass.phase + 1;
            let phase = self.plan.phases.get(number)?;
            (number, phase.batches.first()?, phase.batches.len())
        };
        let hosts = batch.hosts.iter();
        let hosts: Vec<HostIndex> = hosts.map(|&host| self.roster.of_target(host)).collect();
        Some(NextUp {
            phase: self.plan.phases[phase].name.clone(),
            batch: batch.index,
            of,
            zone: batch.zone.clone(),
            hosts: self.roster.labels(&hosts),
        })
    }
}
