//! Steps at which hosts meet: `once`, which one host runs for the others, and `barrier`.

use std::sync::Arc;

use crate::run::event::StepRef;
use crate::run::journal::{Circle, Fact, Kept};
use crate::run::meetings::{OnceKey, OnceResult, Spot, Turn};
use crate::run::message::{HostIndex, UnitMessage};
use crate::run::shared::World;
use crate::run::work::{AtWork, Site, Work};
use crate::task::{Action, OnceFor, Step};

use super::end::Fault;

impl<W: World> Work<W> {
    /// Where in the run this step is.
    fn spot(&self, batch: &AtWork, step: &Step) -> Spot {
        Spot {
            phase: batch.phase,
            step: format!("{}{}", self.trail, step.id).into(),
            passes: self.passes.clone(),
        }
    }

    /// This host and its batch, where it works in one.
    fn in_batch(&self) -> Option<(HostIndex, Arc<AtWork>)> {
        let site = self.site.as_ref()?;
        Some((site.index, Arc::clone(site.batch.as_ref()?)))
    }

    /// Whether it is plain that the step is skipped here.
    fn skips(&self, step: &Step) -> bool {
        step.modifiers.loop_over.is_none()
            && step
                .modifiers
                .when
                .as_ref()
                .is_some_and(|when| self.values.holds(when) == Ok(false))
    }

    /// Waits at a `barrier` for the others of the batch, without a place among those at work.
    pub(crate) async fn met(&mut self, step: &Step) -> Result<(), Fault> {
        let Some((host, batch)) = self.in_batch().filter(|_| step.modifiers.barrier) else {
            return Ok(());
        };
        if self.skips(step) {
            return Ok(());
        }
        let spot = self.spot(&batch, step);
        let (shared, kill) = (Arc::clone(&self.shared), self.kill.clone());
        self.bring();
        let others = shared.meetings.meet(&spot, host, &batch.members);
        let came = self.aside(async {
            tokio::select! {
                biased;
                () = kill.cancelled() => false,
                () = others => true,
            }
        });
        if !came.await {
            return Err(ended());
        }
        self.shared.known.show(&mut self.values.scope);
        Ok(())
    }

    /// Shows those who are met here what this host's steps came to since the last time, and has the journal keep it.
    fn bring(&mut self) {
        let made = self.made.as_mut().map(std::mem::take).unwrap_or_default();
        let Some(host) = self.host().filter(|_| !made.is_empty()) else {
            return;
        };
        if self.shared.reads.results() {
            let results = made.iter();
            let results = results.map(|(id, of)| (id.clone(), Kept::of(&of.value, of.quiet)));
            self.shared.journal.note(Fact::Met {
                host: host.id.clone(),
                results: results.collect(),
            });
        }
        let values = made.into_iter().map(|(id, of)| (id, of.value));
        self.shared.known.bring(&host.label, values);
    }

    /// Says that this host will not come (again) to those of the steps at which hosts meet.
    pub(crate) fn goes_by(&self, steps: &[Step]) {
        let Some((host, batch)) = self.in_batch() else {
            return;
        };
        let mut found = Vec::new();
        meeting_places(steps, &self.trail, &mut found);
        if !found.is_empty() {
            let spots = found.into_iter().map(|step| Spot {
                phase: batch.phase,
                step: step.into(),
                passes: self.passes.clone(),
            });
            self.shared.meetings.go_by(host, spots);
        }
    }

    /// Runs the step if it is this host's turn; otherwise waits for its result. A host whose `when` does
    /// not hold skips it without a say in whose turn it is.
    pub(crate) async fn once(&mut self, step: &Step, of: OnceFor) -> Result<(), Fault> {
        let (Some(site), Some((_, batch))) = (self.site.clone(), self.in_batch()) else {
            return self.each(step).await.map(|_register| ());
        };
        if self.skips(step) {
            self.skipped(step).await;
            return Ok(());
        }
        let (circle, before) = self.circle(of, &site, &batch);
        let key = OnceKey {
            spot: self.spot(&batch, step),
            circle,
        };
        let (shared, kill) = (Arc::clone(&self.shared), self.kill.clone());
        let turn = self.aside(async {
            tokio::select! {
                biased;
                () = kill.cancelled() => Err(ended()),
                turn = shared.meetings.turn(&key, &before) => Ok(turn),
            }
        });
        match turn.await? {
            Turn::Mine => self.mine(step, key).await,
            Turn::Known(OnceResult::Passed(register)) => {
                if let Some(register) = register {
                    self.register(step, register);
                }
                Ok(())
            }
            Turn::Known(OnceResult::Failed { on }) => {
                let reference = self.named(step);
                let text = format!(
                    "not going on: `{}` runs once, and failed on {on}",
                    reference.name
                );
                self.teller.note(&text).await;
                Err(Fault::Cancelled {
                    step: Some(reference),
                    ended: true,
                })
            }
        }
    }

    /// For whom a step is run once, and the hosts that come before this one in it.
    fn circle(&self, of: OnceFor, site: &Site, batch: &AtWork) -> (Circle, Vec<HostIndex>) {
        let before = batch.members.iter().copied();
        let before = before.take_while(|host| *host != site.index);
        let zone = site.host.zone();
        match of {
            OnceFor::Rollout => (Circle::Rollout, before.collect()),
            OnceFor::Batch => (Circle::Batch(batch.number), before.collect()),
            OnceFor::Zone => {
                let population = &self.shared.plan.population;
                let same = before.filter(|host| population[*host].zone() == zone);
                (Circle::Zone(zone.clone()), same.collect())
            }
        }
    }

    async fn mine(&mut self, step: &Step, key: OnceKey) -> Result<(), Fault> {
        let outer = self.circle.replace(key.circle.clone());
        let walked = self.each(step).await;
        if let Ok(register) = &walked {
            self.keep_settled(step, register);
        }
        self.circle = outer;
        let result = match &walked {
            Ok(register) => OnceResult::Passed(Some(register.clone())),
            Err(fault) => {
                let on = self.label();
                let name = fault
                    .step()
                    .map_or(&key.spot.step, |StepRef { name, .. }| name);
                let message = UnitMessage::SharedStepFailed {
                    step: name.to_string(),
                    on: on.clone(),
                };
                // Asked, not told: the others must find the run stopped when they learn of it.
                self.shared.wire.ask(message).await;
                OnceResult::Failed { on }
            }
        };
        self.shared.meetings.settle(key, result);
        walked.map(|_register| ())
    }
}

fn ended() -> Fault {
    Fault::Cancelled {
        step: None,
        ended: true,
    }
}

/// Those of the steps, and of the steps inside them, at which hosts meet, by their ids with the `task:` steps
/// around them.
fn meeting_places(steps: &[Step], trail: &str, found: &mut Vec<String>) {
    for step in steps {
        if step.modifiers.once.is_some() || step.modifiers.barrier {
            found.push(format!("{trail}{}", step.id));
        }
        let (inner, trail) = match &step.action {
            Action::Group(group) => (Some(group), trail.to_owned()),
            Action::Task(sub) => (sub.steps.as_ref(), format!("{trail}{}/", step.id)),
            _ => continue,
        };
        if let Some(group) = inner {
            for steps in [&group.steps, &group.rescue, &group.always] {
                meeting_places(steps, &trail, found);
            }
        }
    }
}

/// Whether hosts wait for each other at one of the steps, or inside one.
pub(crate) fn has_barrier(steps: &[Step]) -> bool {
    steps.iter().any(|step| {
        let inner = match &step.action {
            Action::Group(group) => Some(group),
            Action::Task(sub) => sub.steps.as_ref(),
            _ => None,
        };
        let groups = inner.into_iter();
        let mut lists = groups.flat_map(|group| [&group.steps, &group.rescue, &group.always]);
        step.modifiers.barrier || lists.any(|steps| has_barrier(steps))
    })
}
