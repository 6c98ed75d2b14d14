//! What the journal keeps of steps, and what an earlier process of the run did of them: a step that is known to
//! have ended is not run again, and of one that was interrupted its `resume` says what to do.

use std::time::Duration;

use indexmap::IndexMap;

use crate::model::format_duration;
use crate::run::event::{GateAnswer, StepRef, StepResult};
use crate::run::journal::{Fact, Kept, LONGEST, Mark};
use crate::run::progress::StepProgress;
use crate::run::prompt::{GateQuestion, Prompt as _};
use crate::run::shared::World;
use crate::run::work::Work;
use crate::task::{Action, Local, OnResume, RegisterValue, RunProgram, Step, Text};

use super::attempt::{Running, told};
use super::end::{End, Fault};
use super::walk::is_group;

/// How long a person is waited for.
const ANSWER: Duration = Duration::from_hours(1);

impl<W: World> Work<W> {
    /// Which run of a step this is, where the journal keeps it.
    pub(super) fn mark(&self, id: &str) -> Option<Mark> {
        let part = self.part.filter(|_| !self.checking)?;
        Some(Mark {
            part,
            id: format!("{}{id}", self.trail).into(),
            passes: self.passes.clone(),
            once: self.circle.clone(),
        })
    }

    pub(super) fn id(&self) -> Option<crate::model::HostId> {
        self.host().map(|host| host.id.clone())
    }

    /// Keeps that a step is about to be sent, before it is. The error says why it must not be.
    pub(super) async fn write_ahead(&self, step: &Step) -> Result<(), String> {
        let Some(mark) = self.mark(&step.id).filter(|_| !is_group(step)) else {
            return Ok(());
        };
        let changes = step.changes();
        self.shared.journal.note(Fact::StepStarted {
            host: self.id(),
            step: mark,
            changes,
        });
        if changes {
            self.shared.journal.settled().await?;
        }
        Ok(())
    }

    /// Ends a step that could not be kept, and so was not sent.
    pub(super) async fn unwritten(
        &mut self,
        running: &Running,
        cause: String,
    ) -> (RegisterValue, End) {
        let end = End::Broken {
            cause: format!("not sent: {cause}"),
        };
        self.finished(running, end.result()).await;
        let register = RegisterValue {
            failed: true,
            ..RegisterValue::default()
        };
        (register, end)
    }

    /// Keeps that an attempt failed and another follows.
    pub(super) fn keep_attempt(&self, id: &str, attempt: u32) {
        if let Some(step) = self.mark(id) {
            let host = self.id();
            self.shared.journal.note(Fact::Attempt {
                host,
                step,
                attempt,
            });
        }
    }

    /// Keeps how a step ended; returns the register as later steps see it.
    pub(super) fn keep_end(
        &self,
        step: &Step,
        register: RegisterValue,
        end: &End,
    ) -> RegisterValue {
        if is_group(step) {
            return register;
        }
        let register = self.stuck(step, register);
        let result = told(end, register.ignored);
        match &step.action {
            Action::Set(variables) if end.is_ok() => self.keep_variables(step, result, variables),
            _ => self.keep_result(step, result, Some(&register)),
        }
        register
    }

    /// Keeps what a step set, where anybody may read it: else it is set again.
    fn keep_variables(&self, step: &Step, result: StepResult, variables: &IndexMap<String, Text>) {
        let values = variables.keys().map(|name| {
            let value = self.values.scope.value_of(name)?;
            let text = value.to_string();
            let open = text.len() <= LONGEST && self.teller.mask.text(&text) == text;
            open.then(|| (name.clone(), value))
        });
        let register = values.collect::<Option<_>>().map(|variables| {
            Box::new(Kept {
                variables,
                ok: true,
                ..Kept::default()
            })
        });
        self.keep_finished(step, result, register);
    }

    /// Keeps how a step ended.
    pub(super) fn keep_result(
        &self,
        step: &Step,
        result: StepResult,
        register: Option<&RegisterValue>,
    ) {
        let register = register.and_then(|register| self.kept_of(step, register));
        self.keep_finished(step, result, register);
    }

    fn keep_finished(&self, step: &Step, result: StepResult, register: Option<Box<Kept>>) {
        if let Some(mark) = self.mark(&step.id).filter(|_| !is_group(step)) {
            self.shared.journal.note(Fact::StepFinished {
                host: self.id(),
                step: mark,
                result: self.teller.masked(result),
                register,
            });
        }
    }

    /// Keeps that a step which is run once for many has passed.
    pub(super) fn keep_settled(&self, step: &Step, register: &RegisterValue) {
        if let Some(step_mark) = self.mark(&step.id) {
            self.shared.journal.note(Fact::OnceSettled {
                step: step_mark,
                register: self.kept_of(step, register),
            });
        }
    }

    /// What a step came to as the journal keeps it, where any step reads it, by whichever name.
    fn kept_of(&self, step: &Step, register: &RegisterValue) -> Option<Box<Kept>> {
        let is_read = self.made.is_some() && self.shared.reads.results();
        let by_id = is_read && !step.modifiers.quiet;
        let named = self.kept(step, register);
        named.or_else(|| by_id.then(|| Box::new(Kept::of(register, false))))
    }

    /// A register as the journal keeps it, where any step reads it.
    fn kept(&self, step: &Step, register: &RegisterValue) -> Option<Box<Kept>> {
        let modifiers = &step.modifiers;
        let name = modifiers.register.clone();
        let name = name.filter(|name| modifiers.sticky || self.shared.reads.contains(name))?;
        // Of what is sticky the first value is needed again, whatever becomes of the host: that says to keep it.
        let withheld = modifiers.quiet && !modifiers.sticky && !register.skipped;
        Some(Box::new(Kept {
            name: Some(name),
            sticky: modifiers.sticky,
            ..Kept::of(register, withheld)
        }))
    }

    /// The value that a register keeps: its first, where it is sticky.
    fn stuck(&self, step: &Step, register: RegisterValue) -> RegisterValue {
        let name = step.modifiers.register.as_deref().unwrap_or_default();
        match (&self.site, self.mark(&step.id)) {
            (Some(site), Some(mark)) if step.modifiers.sticky && register.ok => {
                let first = (name, &register);
                self.shared.known.stick(site.index, &mark, first)
            }
            _ => register,
        }
    }

    /// What an earlier process of the run did of a step, where that is all there is to do about it.
    pub(super) async fn known_already(
        &mut self,
        step: &Step,
    ) -> Option<Result<RegisterValue, Fault>> {
        let mark = self.mark(&step.id)?;
        let is_own = mark.once.is_none() && self.site.is_some();
        let past = if is_own {
            self.past.shift_remove(&mark)
        } else {
            self.shared.shared_past(&mark)
        }?;
        if let (Action::Set(_), StepProgress::Ended { result, register }) = (&step.action, &past)
            && *result != StepResult::Skipped
        {
            // Setting it again changes nothing on any host.
            return self.set_already(step, register.as_deref());
        }
        match past {
            StepProgress::Ended { result, register } => {
                self.recalled(step, &result, register).await
            }
            StepProgress::Begun => self.interrupted(step).await,
        }
    }

    /// Variables that were set, where they were kept.
    fn set_already(
        &mut self,
        step: &Step,
        register: Option<&Kept>,
    ) -> Option<Result<RegisterValue, Fault>> {
        let register = register.filter(|register| !register.variables.is_empty())?;
        for (name, value) in &register.variables {
            self.values.scope.set(name, value);
        }
        let value = register.value();
        self.register(step, value.clone());
        Some(Ok(value))
    }

    /// A step of which the end is known.
    async fn recalled(
        &mut self,
        step: &Step,
        result: &StepResult,
        register: Option<Box<Kept>>,
    ) -> Option<Result<RegisterValue, Fault>> {
        let reference = self.named(step);
        self.touched |= step.changes() && *result != StepResult::Skipped;
        let failed = |exit_code: Option<u8>, cause: String| {
            Some(Err(Fault::Failed {
                step: reference.clone(),
                exit_code,
                cause,
            }))
        };
        match result {
            StepResult::Unknown | StepResult::Cancelled => return self.interrupted(step).await,
            StepResult::Failed { exit_code, cause } => return failed(*exit_code, cause.clone()),
            StepResult::TimedOut { limit_ms } => {
                let limit = format_duration(Duration::from_millis(*limit_ms));
                return failed(None, format!("timed out after {limit}"));
            }
            StepResult::Ok { .. } | StepResult::Skipped | StepResult::Ignored { .. } => {}
        }
        if register.as_ref().is_some_and(|register| register.withheld) {
            if step.modifiers.read_only {
                return None;
            }
            return self
                .asked_about(step, "finished, and its output was not kept")
                .await;
        }
        let is_quiet = step.modifiers.quiet && *result != StepResult::Skipped;
        let is_unkept = is_quiet && register.is_none();
        let value = register.map_or_else(|| plain(result), |register| register.value());
        let value = RegisterValue {
            lost: value.lost || is_unkept,
            ..value
        };
        self.register(step, value.clone());
        Some(Ok(value))
    }

    /// A step that was begun, and of which it is not known whether it finished.
    async fn interrupted(&mut self, step: &Step) -> Option<Result<RegisterValue, Fault>> {
        self.touched |= step.changes();
        if let Some(found) = self.found_alone(step).await {
            return found;
        }
        let known = match step.on_resume() {
            OnResume::Rerun => None,
            OnResume::Check => self.checked(step).await,
            OnResume::Ask => {
                let how = "was interrupted, it is not known whether it finished";
                self.asked_about(step, how).await
            }
        };
        if matches!(known, Some(Err(_))) {
            // What it left on the host says that it was begun: as long as its end is not known, that stays.
            let mark = self.mark(&step.id);
            self.leftovers.retain(|of| Some(&of.step) != mark.as_ref());
        }
        known
    }

    /// Asks the step's own check whether it is done.
    async fn checked(&mut self, step: &Step) -> Option<Result<RegisterValue, Fault>> {
        let Some(check) = step.modifiers.check.clone() else {
            return self
                .asked_about(step, "was interrupted, it has no `check`")
                .await;
        };
        let running = Running::new(self.named(step), step, &self.shared.options.limits);
        // It is asked where the step ran.
        let asking = asking(step, check);
        let asked = Box::pin(self.perform_in_place(&asking, &running)).await;
        match asked.end {
            End::Passed {
                exit_code: Some(0) | None,
                ..
            } => Some(Ok(self.taken_as_done(step).await)),
            End::Passed { .. }
            | End::Failed {
                exit_code: Some(_), ..
            } => None,
            end => end.fault(&running.step).map(Err),
        }
    }

    async fn asked_about(
        &mut self,
        step: &Step,
        how: &str,
    ) -> Option<Result<RegisterValue, Fault>> {
        let reference: StepRef = self.named(step);
        let question = format!(
            "step `{}` on {} {how}: r runs it again, y takes it as done, s leaves it",
            reference.name,
            self.label()
        );
        let label = self.label().clone();
        let (shared, kill) = (std::sync::Arc::clone(&self.shared), self.kill.clone());
        let asking = async {
            let prompt = shared.prompt.lock().await;
            // One host after the other: what is said stands above its own choices.
            self.teller.note(&question).await;
            let gate = GateQuestion {
                at: None,
                host: Some(&label),
                question: &question,
                offers: &[GateAnswer::Retry, GateAnswer::Go, GateAnswer::Stop],
                timeout: ANSWER,
            };
            prompt.gate(&gate).await.answer
        };
        let answer = tokio::select! {
            biased;
            () = kill.cancelled() => GateAnswer::Stop,
            answer = asking => answer,
        };
        match answer {
            GateAnswer::Retry => None,
            GateAnswer::Go => Some(Ok(self.taken_as_done(step).await)),
            _ => {
                self.keep_result(step, StepResult::Unknown, None);
                Some(Err(Fault::Left { step: reference }))
            }
        }
    }

    /// Somebody says that an interrupted step is done.
    async fn taken_as_done(&mut self, step: &Step) -> RegisterValue {
        let result = StepResult::Ok {
            exit_code: None,
            changed: None,
        };
        let value = RegisterValue {
            lost: true,
            ..plain(&result)
        };
        let running = Running::new(self.named(step), step, &self.shared.options.limits);
        self.keep_result(step, result.clone(), Some(&value));
        self.finished(&running, result).await;
        self.register(step, value.clone());
        value
    }
}

/// A step's check as a step.
fn asking(step: &Step, check: Text) -> Step {
    let program = RunProgram::Shell(check);
    let mut asking = step.clone();
    asking.action = match step.action {
        Action::Local(_) => Action::Local(Local { program }),
        _ => Action::Run(program),
    };
    // Nothing but 0 says that it is done.
    asking.modifiers.ok_rc = Vec::new();
    asking
}

/// The register of a step of which only its result is known.
fn plain(result: &StepResult) -> RegisterValue {
    let (rc, changed) = match result {
        StepResult::Ok { exit_code, changed } => (*exit_code, *changed),
        StepResult::Ignored { exit_code, .. } => (*exit_code, None),
        _ => (None, None),
    };
    RegisterValue {
        rc,
        changed,
        ok: matches!(result, StepResult::Ok { .. }),
        failed: matches!(result, StepResult::Ignored { .. }),
        ignored: matches!(result, StepResult::Ignored { .. }),
        skipped: *result == StepResult::Skipped,
        ..RegisterValue::default()
    }
}
