//! The order of a host's steps: one after the other, groups with their rescue and always, loops.
//!
//! Not its job: what a step does (`super::attempt` and the actions).

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;

use crate::plan::HostPlan;
use crate::run::event::{StepRef, StepResult};
use crate::run::known::Made;
use crate::run::shared::World;
use crate::run::work::Work;
use crate::task::{Action, RegisterValue, Step, StepError};

use super::attempt::Running;
use super::end::{End, Fault};
use super::once::has_barrier;

/// Walks that call each other: a group's steps may be groups.
pub(crate) type Walk<'a> = Pin<Box<dyn Future<Output = Result<(), Fault>> + Send + 'a>>;

/// How long a fact may take that has no limit of its own: everybody waits for it.
const ONE_FACT: Duration = Duration::from_mins(1);

/// Steps with what catches their failure and what follows in any case.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Guarded<'a> {
    pub(crate) steps: &'a [Step],
    pub(crate) rescue: &'a [Step],
    pub(crate) always: &'a [Step],
    /// A rescue that passed takes the failure back.
    pub(crate) recovered: bool,
    /// `-w`: later steps follow a failed one, which is not forgotten.
    pub(crate) keep_going: bool,
}

impl<W: World> Work<W> {
    /// All steps of a host in a phase.
    pub(crate) async fn all_steps(&mut self, plan: &HostPlan) -> Result<(), Fault> {
        let guarded = Guarded {
            steps: &plan.steps,
            rescue: &plan.rescue,
            always: &plan.always,
            recovered: false,
            keep_going: self.shared.options.warn_only,
        };
        self.made = has_barrier(&plan.steps).then(IndexMap::new);
        let walked = self.guarded(guarded).await;
        match (self.passed_over.take(), walked) {
            (Some(first), Err(second)) => self.worse(Err(first), second).await,
            (Some(first), Ok(())) => Err(first),
            (None, walked) => walked,
        }
    }

    /// Walks steps with their rescue and always. A failure that nothing took back is the result, the first
    /// one where several failed. Nothing follows a second signal, `always` neither.
    pub(crate) async fn guarded(&mut self, guarded: Guarded<'_>) -> Result<(), Fault> {
        let rescued = !guarded.rescue.is_empty();
        self.rescues += u32::from(rescued);
        let mut walked = self.steps(guarded.steps, guarded.keep_going).await;
        self.rescues -= u32::from(rescued);
        walked = walked.map_err(|fault| self.of_limit(fault));
        if let Err(fault) = &walked {
            self.set_error(fault);
        }
        if rescued && walked.as_ref().is_err_and(Fault::is_of_step) {
            match self.steps(guarded.rescue, false).await {
                Ok(()) if guarded.recovered => walked = Ok(()),
                Ok(()) => {}
                Err(second) => walked = self.worse(walked, second).await,
            }
        }
        let reachable = walked.as_ref().err().is_none_or(|fault| !fault.is_final());
        if !guarded.always.is_empty()
            && reachable
            && !self.is_killed()
            && let Err(second) = self.steps(guarded.always, false).await
        {
            walked = self.worse(walked, second).await;
        }
        walked
    }

    /// The first failure stays the host's; of a second one it is only said where something may still run.
    async fn worse(&mut self, first: Result<(), Fault>, second: Fault) -> Result<(), Fault> {
        if first.is_err() && second.may_still_run() {
            let step = second.step().map_or("", |step| &step.name);
            let text = format!("step `{step}`: {}; it may still be running", second.cause());
            self.teller.note(&text).await;
        }
        first.and(Err(second))
    }

    /// Walks steps one after the other.
    pub(crate) fn steps<'a>(&'a mut self, steps: &'a [Step], keep_going: bool) -> Walk<'a> {
        Box::pin(async move {
            for (index, step) in steps.iter().enumerate() {
                if self.is_killed() {
                    return Err(Fault::Cancelled {
                        step: None,
                        ended: true,
                    });
                }
                match self.step(step).await {
                    Err(fault) if keep_going && fault.is_of_step() => {
                        self.passed_over.get_or_insert(fault);
                    }
                    Err(fault) => {
                        self.goes_by(&steps[index..]);
                        return Err(fault);
                    }
                    Ok(()) => {}
                }
                self.goes_by(std::slice::from_ref(step));
            }
            Ok(())
        })
    }

    /// One step of the file: once, for each element of its loop, or as it is; at a barrier when the others
    /// have come too.
    async fn step(&mut self, step: &Step) -> Result<(), Fault> {
        self.met(step).await?;
        if let Some(of) = step.modifiers.once {
            return self.once(step, of).await;
        }
        self.each(step).await.map(|_register| ())
    }

    /// The step for each element of its loop, or as it is. Returns what it registered.
    pub(crate) async fn each(&mut self, step: &Step) -> Result<RegisterValue, Fault> {
        let Some(of) = &step.modifiers.loop_over else {
            return self.single(step).await;
        };
        let elements = match self.values.elements(of) {
            Ok(elements) => elements,
            Err(cause) => {
                return Err(self.refused(step, End::failed(cause)).await);
            }
        };
        if elements.is_empty() {
            return Ok(self.skipped(step).await);
        }
        let mut results: Vec<RegisterValue> = Vec::with_capacity(elements.len());
        for (index, element) in elements.iter().enumerate() {
            let as_name = step.modifiers.as_name.as_str();
            self.values.scope.set_item(as_name, element, index + 1);
            self.passes.push(index);
            let walked = self.single(step).await;
            self.passes.pop();
            self.values.scope.remove(as_name);
            self.values.scope.remove("loop");
            results.push(walked?);
        }
        let whole = of_loop(results);
        self.register(step, whole.clone());
        Ok(whole)
    }

    /// One pass of a step: skipped, or attempted until it passes or may not be tried again.
    async fn single(&mut self, step: &Step) -> Result<RegisterValue, Fault> {
        if let Some(known) = self.known_already(step).await {
            return known;
        }
        // What is taken up again had its condition asked when it began.
        if let Some(when) = &step.modifiers.when
            && self.taken_up.is_none()
        {
            match self.values.holds(when) {
                Ok(true) => {}
                Ok(false) => return Ok(self.skipped(step).await),
                Err(cause) => return Err(self.refused(step, End::failed(cause)).await),
            }
        }
        let written = self.write_ahead(step).await;
        let running = self.begin(step).await;
        // On the heap: what an action holds would else lie on the stack of everything around it.
        let (register, end) = match written {
            Ok(()) => Box::pin(self.attempts(step, &running)).await,
            Err(cause) => self.unwritten(&running, cause).await,
        };
        let register = self.keep_end(step, register, &end);
        self.taken_up = None;
        self.clear_away().await;
        self.register(step, register.clone());
        match end.fault(&running.step) {
            None => Ok(register),
            Some(_) if register.ignored => Ok(register),
            Some(fault) => Err(fault),
        }
    }

    /// Says that a step begins; a group says nothing of itself, its steps do.
    async fn begin(&mut self, step: &Step) -> Running {
        let mut running = Running::new(self.named(step), step, &self.shared.options.limits);
        running.keep |= self.rescues > 0;
        if self.facts.is_some() && running.own_limit.is_none() {
            let limit = running.command_limit.unwrap_or(ONE_FACT);
            running.command_limit = Some(limit.min(ONE_FACT));
        }
        self.values.scope.set_step(Arc::clone(&running.step.name));
        if !is_group(step) {
            self.teller.step_started(&running.step).await;
        }
        running
    }

    /// A step that cannot even begin.
    async fn refused(&mut self, step: &Step, end: End) -> Fault {
        let running = self.begin(step).await;
        self.keep_result(step, end.result(), None);
        self.finished(&running, end.result()).await;
        let reference = running.step.clone();
        end.fault(&reference)
            .unwrap_or(Fault::Lost { step: reference })
    }

    /// A step whose `when` does not hold, or whose loop is empty.
    pub(crate) async fn skipped(&mut self, step: &Step) -> RegisterValue {
        let reference = self.named(step);
        let running = Running::new(reference, step, &self.shared.options.limits);
        self.keep_result(step, StepResult::Skipped, None);
        self.finished(&running, StepResult::Skipped).await;
        let register = RegisterValue {
            skipped: true,
            ..RegisterValue::default()
        };
        self.register(step, register.clone());
        register
    }

    /// Says how a step ended.
    pub(crate) async fn finished(&mut self, running: &Running, result: StepResult) {
        self.teller
            .step_finished(&running.step, result, running.started.elapsed())
            .await;
    }

    /// A step as events name it. A name that waits for a value that never came is shown as written.
    pub(crate) fn named(&self, step: &Step) -> StepRef {
        let name = self
            .values
            .text(&step.name)
            .unwrap_or_else(|_unrendered| step.name.shown().into());
        StepRef {
            id: step.id.as_str().into(),
            name: self.teller.mask.text(&name).into(),
        }
    }

    /// Keeps a register, where the step has one.
    pub(crate) fn register(&mut self, step: &Step, value: RegisterValue) {
        if let Some(made) = &mut self.made
            && !is_group(step)
        {
            let quiet = step.modifiers.quiet && !value.skipped;
            let value = value.clone();
            made.insert(step.id.clone(), Made { value, quiet });
        }
        if let Some(name) = &step.modifiers.register {
            if let Some(facts) = &mut self.facts {
                facts.insert(name.clone(), value.clone());
            }
            if self.site.is_none() {
                self.shared.known.keep_common(name, value.clone());
            }
            self.values.register(name, value);
        }
    }

    fn set_error(&mut self, fault: &Fault) {
        let last = std::mem::take(&mut self.last_words);
        let rc = match fault {
            Fault::Failed { exit_code, .. } => *exit_code,
            _ => None,
        };
        self.values.error(&StepError {
            step: fault
                .step()
                .map_or_else(String::new, |step| step.id.to_string()),
            rc,
            stdout: last.stdout,
            stderr: last.stderr,
            kind: fault.kind().to_owned(),
        });
    }
}

/// Whether a step is a group, of its own or another task's.
pub(crate) fn is_group(step: &Step) -> bool {
    matches!(step.action, Action::Group(_) | Action::Task(_))
}

/// The register of a loop: the last pass, failed where one failed, with all passes as `results`.
fn of_loop(results: Vec<RegisterValue>) -> RegisterValue {
    let mut whole = results.last().cloned().unwrap_or_default();
    whole.ok = results.iter().all(|result| result.ok || result.skipped);
    whole.failed = results.iter().any(|result| result.failed);
    whole.ignored = results.iter().any(|result| result.ignored);
    whole.skipped = results.iter().all(|result| result.skipped);
    let changes: Vec<bool> = results.iter().filter_map(|result| result.changed).collect();
    whole.changed = (!changes.is_empty()).then(|| changes.contains(&true));
    whole.duration = results.iter().map(|result| result.duration).sum();
    whole.attempts = results.iter().map(|result| result.attempts).sum();
    whole.results = results;
    whole
}
