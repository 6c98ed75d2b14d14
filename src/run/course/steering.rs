//! The way of a rollout from leg to leg. What is done within a leg is the business of the files beside this
//! one; here stands only what comes after what.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::plan::Plan;
use crate::run::errand::{Errand, Finding, GateAnswer, Section, Sleep, Start, Work};
use crate::run::event::{EventKind, RolloutFact, StopCause};
use crate::run::journal::{Fact, Part};
use crate::run::message::HostIndex;
use crate::run::roster::Roster;
use crate::task::{Kind, Occasion};

use super::gates::Asking;
use super::ledger::{Ledger, Stage};
use super::locking::Hold;
use super::pass::Pass;
use super::regrouping::Baseline;
use super::resuming::Past;
use super::stopping::{Ended, Halt};
use super::taking::{After, Bake, Wait};
use super::undoing::Undoing;

/// Where a rollout stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leg {
    /// Asking every host how it is.
    Preflight,
    /// Asking a person whether to begin.
    StartGate,
    /// Taking the lock.
    Lock,
    /// The task's `before`.
    Before,
    /// A phase begins: what of it, in turn.
    Opening(Opening),
    /// Its batches.
    Batches,
    /// Its `after`.
    Closing,
    /// What follows it.
    PhaseEnd,
    /// The task's `after`.
    After,
    /// It was stopped: what is at work ends.
    Stopping,
    /// What was done is undone.
    Undoing,
    /// There is nothing left to do.
    Over,
}

/// What comes before a phase's first batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opening {
    /// Its hosts are looked at.
    Look,
    /// Its `before`.
    Section,
}

/// How hard what runs is stopped because of a decision of the course.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Brake {
    /// Hosts at work finish.
    Finish,
    /// They are ended.
    Cancel,
}

/// What was handed out last and is told by a message.
#[derive(Debug, Default)]
pub(super) struct Handed {
    /// A look: its findings are being told.
    pub(super) look: bool,
    /// Steps of the controller, and how they ended.
    pub(super) section: Option<(Section, Option<bool>)>,
    /// A question, and its answer.
    pub(super) gate: Option<(Asking, Option<(GateAnswer, String)>)>,
}

/// The course of one run.
#[derive(Debug)]
pub(crate) struct Course {
    pub(super) plan: Arc<Plan>,
    pub(super) roster: Arc<Roster>,
    pub(super) fail_fast: bool,
    pub(super) ledger: Ledger,
    pub(super) leg: Leg,
    pub(super) pass: Pass,
    /// How many hosts were healthy when that was first asked.
    pub(super) baseline: Option<Baseline>,
    pub(super) handed: Handed,
    /// Whether the lock is ours.
    pub(super) hold: Hold,
    /// A look has just ended: nothing was waited for since.
    pub(super) fresh: bool,
    /// Errands to hand out before anything else.
    pub(super) first: VecDeque<Errand>,
    pub(super) bake: Option<Bake>,
    pub(super) after: Option<After>,
    pub(super) wait: Option<Wait>,
    /// An answer said: ask no more.
    pub(super) asks_no_more: bool,
    pub(super) halt: Option<Halt>,
    pub(super) undoing: Undoing,
    pub(super) ended: Ended,
    /// Facts that were not taken yet.
    pub(super) events: Vec<EventKind>,
    pub(super) brake: Option<Brake>,
    /// What an earlier process of the run did.
    pub(super) past: Past,
    /// Facts for the journal that were not taken yet.
    pub(super) facts: Vec<Fact>,
}

impl Course {
    /// The course before its first errand.
    pub(crate) fn new(plan: Arc<Plan>, roster: Arc<Roster>, fail_fast: bool) -> Self {
        Self {
            ledger: Ledger::new(&plan, &roster),
            leg: if plan.kind == Kind::Change {
                Leg::Preflight
            } else {
                Leg::Before
            },
            pass: Pass::new(&plan, 0),
            plan,
            roster,
            fail_fast,
            baseline: None,
            handed: Handed::default(),
            hold: Hold::None,
            fresh: false,
            first: VecDeque::new(),
            bake: None,
            after: None,
            wait: None,
            asks_no_more: false,
            halt: None,
            undoing: Undoing::default(),
            ended: Ended::default(),
            events: Vec::new(),
            brake: None,
            past: Past::default(),
            facts: Vec::new(),
        }
    }

    /// What to do next.
    pub(crate) fn next(&mut self, at: Duration) -> Errand {
        loop {
            self.take_stock(at);
            if let Some(errand) = self.first.pop_front() {
                self.fresh &= matches!(errand, Errand::Notify(_));
                return errand;
            }
            let errand = match self.leg {
                Leg::Preflight => self.preflight(),
                Leg::StartGate => self.start_gate(),
                Leg::Lock => self.lock(),
                Leg::Before => self.section(Section::Before, Leg::Opening(Opening::Look)),
                Leg::Opening(opening) => self.opening(opening),
                Leg::Batches => self.batches(at),
                Leg::Closing => self.closing(),
                Leg::PhaseEnd => self.phase_end(),
                Leg::After => self.closing_of_all(),
                Leg::Stopping => self.stopping(),
                Leg::Undoing => self.undo(),
                Leg::Over => Some(self.leave()),
            };
            if let Some(errand) = errand {
                self.fresh = false;
                self.handed.look = matches!(errand, Errand::Look(_));
                return errand;
            }
        }
    }

    /// What was handed out has ended one way or another; a stop leads to its own leg.
    fn take_stock(&mut self, at: Duration) {
        if std::mem::take(&mut self.handed.look) {
            self.fresh = true;
        }
        let ends = matches!(self.leg, Leg::Stopping | Leg::Undoing | Leg::Over);
        if self.halt.is_some() && !ends {
            self.leave_wait(at);
            self.close_question();
            self.handed.section = None;
            self.first.clear();
            self.after = None;
            self.leg = Leg::Stopping;
        }
    }

    /// Keeps what a look, or a watch, found.
    pub(crate) fn found(&mut self, finding: &Finding) {
        let watched = self.bake.is_some() && !self.handed.look;
        let is_other = self.ledger.found(finding);
        if watched {
            self.turned(finding.host);
        } else if is_other {
            let trouble = self.ledger.of(finding.host).trouble().cloned();
            let host = self.roster.host(finding.host);
            self.tell(RolloutFact::HostFound { host, trouble });
        }
    }

    /// Keeps how steps on the controller ended.
    pub(crate) fn section_ended(&mut self, section: Section, passed: bool) {
        if let Some((handed, ended)) = &mut self.handed.section
            && *handed == section
        {
            *ended = Some(passed);
        }
    }

    /// Keeps how a gate was answered.
    pub(crate) fn gate_answered(&mut self, answer: GateAnswer, by: String) {
        if let Some((asking, answered @ None)) = &mut self.handed.gate {
            *answered = Some((answer, by.clone()));
            let asking = *asking;
            self.facts.push(Fact::GateAnswered {
                gate: self.gate_key(asking),
                answer,
                by: by.clone(),
            });
            self.events.push(EventKind::GateAnswered {
                yes: matches!(answer, GateAnswer::Go | GateAnswer::All | GateAnswer::Retry),
                by,
                answer: Some(answer),
            });
        }
    }

    /// What happened since this was asked last.
    pub(crate) fn take_events(&mut self) -> Vec<EventKind> {
        std::mem::take(&mut self.events)
    }

    /// What the journal has to keep since this was asked last.
    pub(crate) fn take_facts(&mut self) -> Vec<Fact> {
        std::mem::take(&mut self.facts)
    }

    /// How hard what runs is to be stopped since this was asked last.
    pub(crate) fn take_brake(&mut self) -> Option<Brake> {
        self.brake.take()
    }

    /// Every host.
    pub(crate) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    pub(super) fn tell(&mut self, fact: RolloutFact) {
        self.events.push(EventKind::Rollout(fact));
    }

    /// Hands out steps of the controller; goes on to `then` once they passed. A section without steps is
    /// passed over.
    fn section(&mut self, section: Section, then: Leg) -> Option<Errand> {
        let steps = match section {
            Section::Before => &self.plan.before,
            Section::PhaseBefore(phase) => &self.plan.phases[phase].before,
            Section::PhaseAfter(phase) => &self.plan.phases[phase].after,
            Section::After => &self.plan.after,
        };
        if steps.is_empty() || self.past.sections.contains(&Part::from(section)) {
            self.leg = then;
            return None;
        }
        match self.handed.section.take() {
            None => {
                self.handed.section = Some((section, None));
                Some(Errand::Controller(section))
            }
            Some((_, Some(true))) => {
                let part = section.into();
                self.facts.push(Fact::SectionPassed { part });
                self.leg = then;
                None
            }
            Some((_, Some(false) | None)) => {
                let on = "the controller".to_owned();
                let step = match section {
                    Section::Before | Section::PhaseBefore(_) => "before",
                    Section::After | Section::PhaseAfter(_) => "after",
                };
                let step = step.to_owned();
                self.stop(StopCause::Step { step, on });
                None
            }
        }
    }

    fn opening(&mut self, opening: Opening) -> Option<Errand> {
        let phase = self.pass.phase;
        match opening {
            Opening::Look if phase > 0 && self.looks() && !self.fresh => {
                Some(Errand::Look(self.look(true)))
            }
            Opening::Look => {
                if phase > 0 {
                    self.keep_baseline();
                }
                self.leg = Leg::Opening(Opening::Section);
                self.facts.push(Fact::PhaseStarted {
                    phase,
                    baseline: self.pass.baseline,
                    uncounted: self.uncounted(),
                });
                if self.plan.phases.len() > 1 {
                    self.tell(RolloutFact::PhaseStarted {
                        phase: self.plan.phases[phase].name.clone(),
                        index: phase,
                        count: self.plan.phases.len(),
                        batches: self.pass.batches(),
                    });
                }
                self.reform();
                self.keep_batches();
                None
            }
            Opening::Section => self.section(Section::PhaseBefore(phase), Leg::Batches),
        }
    }

    /// A phase's `after`, where everything succeeded.
    fn closing(&mut self) -> Option<Errand> {
        if self.all_done() {
            let section = Section::PhaseAfter(self.pass.phase);
            return self.section(section, Leg::PhaseEnd);
        }
        self.leg = Leg::PhaseEnd;
        None
    }

    /// The gate after a phase, and what follows.
    fn phase_end(&mut self) -> Option<Errand> {
        let phase = self.pass.phase;
        let is_last = phase + 1 == self.plan.phases.len();
        let errand = if is_last { None } else { self.phase_gate() };
        if errand.is_some() || self.halt.is_some() || self.leg != Leg::PhaseEnd {
            return errand;
        }
        if self.plan.phases.len() > 1 {
            self.tell(RolloutFact::PhaseFinished {
                phase: self.plan.phases[phase].name.clone(),
                index: phase,
            });
        }
        if is_last {
            self.leg = Leg::After;
            return None;
        }
        for host in self.ledger.hosts() {
            let entry = self.ledger.of_mut(host);
            if matches!(entry.stage, Stage::Passed) && entry.ahead <= phase + 1 {
                entry.stage = Stage::Pending;
            }
        }
        self.pass = self.next_pass(phase + 1);
        self.leg = Leg::Opening(Opening::Look);
        None
    }

    fn closing_of_all(&mut self) -> Option<Errand> {
        let all_done = self.all_done();
        let errand = if all_done {
            self.section(Section::After, Leg::Over)
        } else {
            self.leg = Leg::Over;
            None
        };
        if self.leg == Leg::Over {
            self.notify(Occasion::Done);
        }
        errand
    }

    /// Whether every target did its part.
    fn all_done(&self) -> bool {
        let mut targets = self.roster.order().iter();
        targets.all(|&host| self.ledger.of(host).is_done())
    }

    /// Hands out the `notify` commands of this occasion next, where there are any.
    pub(super) fn notify(&mut self, occasion: Occasion) {
        let mut notices = self.plan.task.notify.iter();
        if notices.any(|notice| notice.events.contains(&occasion)) {
            self.first.push_back(Errand::Notify(occasion));
        }
    }

    /// An errand that starts hosts of a batch.
    pub(super) fn start(
        &self,
        batch: usize,
        members: Vec<HostIndex>,
        hosts: Vec<HostIndex>,
        work: Work,
    ) -> Errand {
        Errand::Start(Start {
            phase: self.pass.phase,
            batch,
            members,
            hosts,
            canary: self.pass.current().is_some_and(|taken| taken.canary),
            work,
        })
    }

    /// An errand that waits, watching these hosts.
    pub(super) fn sleep(&self, length: Duration, watch: Vec<HostIndex>) -> Errand {
        Errand::Sleep(Sleep {
            phase: self.pass.phase,
            length,
            watch,
        })
    }
}
