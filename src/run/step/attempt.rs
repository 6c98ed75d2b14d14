//! One step with its modifiers: attempts, `fail_when`, `ignore_errors`, and the action in the middle.

use std::time::Duration;

use tokio::time::Instant;

use crate::model::Limits;
use crate::run::event::{StepRef, StepResult};
use crate::run::message::UnitMessage;
use crate::run::shared::World;
use crate::run::values::shown;
use crate::run::work::{LastWords, Work};
use crate::task::{Action, Condition, RegisterValue, Retry, Step};

use super::end::{Done, End};
use super::walk::{Guarded, Walk};

/// A step on its way.
#[derive(Debug, Clone)]
pub(crate) struct Running {
    /// How events name it.
    pub(crate) step: StepRef,
    /// When it began.
    pub(crate) started: Instant,
    /// The limit of each attempt's command: the step's `timeout`, else the run's command limit.
    pub(crate) command_limit: Option<Duration>,
    /// The limit that the step itself sets.
    pub(crate) own_limit: Option<Duration>,
    /// The limit on silence.
    pub(crate) silence: Option<Duration>,
    /// Output goes to the log alone.
    pub(crate) quiet: bool,
    /// Somebody reads the output afterwards.
    pub(crate) keep: bool,
}

impl Running {
    /// A step that begins now.
    pub(crate) fn new(reference: StepRef, step: &Step, limits: &Limits) -> Self {
        let modifiers = &step.modifiers;
        Self {
            step: reference,
            started: Instant::now(),
            command_limit: modifiers.timeout.or(limits.command),
            own_limit: modifiers.timeout,
            silence: limits.silence,
            quiet: modifiers.quiet,
            keep: modifiers.register.is_some(),
        }
    }

    /// When a limit that starts now passes.
    pub(crate) fn due(limit: Option<Duration>) -> Option<(Instant, Duration)> {
        limit.map(|limit| (Instant::now() + limit, limit))
    }
}

impl<W: World> Work<W> {
    /// Attempts the step as often as its `retry` allows, and says how it ended.
    pub(crate) async fn attempts(
        &mut self,
        step: &Step,
        running: &Running,
    ) -> (RegisterValue, End) {
        let retry = step.modifiers.retry.as_ref();
        let allowed = retry.map_or(1, |retry| retry.attempts.max(1));
        let taken_up = self.taken_up.as_ref();
        let mut attempt = taken_up.map_or(1, |of| of.at.attempt);
        let (mut register, end) = loop {
            self.values.scope.set_attempt(attempt);
            self.attempt = attempt;
            let done = self.perform_in_place(step, running).await;
            let (mut register, end) = self.judged(step, running, done);
            register.attempts = attempt;
            let delay = retry.map_or(Duration::ZERO, |retry| pause(retry, attempt));
            let cause = match &end {
                End::Failed { cause, .. } if attempt < allowed => Some(cause.clone()),
                _ => None,
            };
            let again = match cause {
                Some(cause) => self.waited_for_retry(running, attempt, delay, cause).await,
                None => false,
            };
            if !again {
                break (register, end);
            }
            attempt += 1;
        };
        register.ignored = step.modifiers.ignore_errors && may_be_ignored(&end);
        let result = told(&end, register.ignored);
        if !super::walk::is_group(step) || register.ignored {
            self.finished(running, result).await;
        }
        (register, end)
    }

    /// Says that an attempt failed and waits for the next; whether it may follow.
    async fn waited_for_retry(
        &mut self,
        running: &Running,
        attempt: u32,
        delay: Duration,
        cause: String,
    ) -> bool {
        self.keep_attempt(&running.step.id, attempt);
        self.teller
            .tell(UnitMessage::StepRetried {
                host: self.teller.host(),
                step: running.step.clone(),
                attempt,
                delay,
                cause: self.teller.mask.text(&cause),
            })
            .await;
        self.slept(delay).await
    }

    /// Sleeps; whether the run was not told to end meanwhile.
    pub(crate) async fn slept(&self, pause: Duration) -> bool {
        tokio::select! {
            biased;
            () = self.kill.cancelled() => false,
            () = tokio::time::sleep(pause) => true,
        }
    }

    /// What `fail_when` and `until` make of an attempt, and its register.
    fn judged(&mut self, step: &Step, running: &Running, done: Done) -> (RegisterValue, End) {
        let Done {
            mut end,
            stdout,
            stderr,
        } = done;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let mut register = RegisterValue {
            rc: end.exit_code(),
            stdout: text(stdout),
            stderr: text(stderr),
            duration: running.started.elapsed(),
            ..RegisterValue::default()
        };
        if let End::Passed { changed, .. } = end {
            register.changed = changed;
        }
        register.ok = end.is_ok();
        register.failed = !register.ok;
        if register.ok {
            self.register(step, register.clone());
            if let Err(failed) = self.conditions(step, end.exit_code()) {
                end = failed;
                register.ok = false;
                register.failed = true;
            }
        } else if self.rescues > 0 {
            self.last_words = LastWords {
                stdout: register.stdout.clone(),
                stderr: register.stderr.clone(),
            };
        }
        (register, end)
    }

    /// The conditions that a step which passed must also meet.
    fn conditions(&self, step: &Step, exit_code: Option<u8>) -> Result<(), End> {
        let failed = |cause: String| End::Failed { exit_code, cause };
        if let Some(fail_when) = &step.modifiers.fail_when
            && self.values.holds(fail_when).map_err(failed)?
        {
            return Err(failed(format!("`fail_when` holds: {}", shown(fail_when))));
        }
        let until: Option<&Condition> = step
            .modifiers
            .retry
            .as_ref()
            .and_then(|retry| retry.until.as_ref());
        if let Some(until) = until
            && !self.values.holds(until).map_err(failed)?
        {
            return Err(failed(format!("`until` does not hold: {}", shown(until))));
        }
        Ok(())
    }

    /// The action itself.
    pub(crate) async fn perform(&mut self, step: &Step, running: &Running) -> Done {
        match &step.action {
            Action::Run(program) => Box::pin(self.run_program(step, running, program)).await,
            Action::Script(script) => Box::pin(self.run_script(step, running, script)).await,
            Action::Local(local) => Box::pin(self.run_local(step, running, &local.program)).await,
            Action::Copy(copy) => Box::pin(self.copy(step, running, copy)).await.into(),
            Action::Download(download) => Box::pin(self.download(step, running, download)).await,
            Action::WaitFor(wait) => Box::pin(self.wait_for(step, running, wait)).await,
            Action::Assert { that, msg } => self.assert(that, msg.as_ref()).into(),
            Action::Fail(message) => self.fail(message).into(),
            Action::Log(message) => self.log(message).await.into(),
            Action::Set(variables) => self.set(variables).into(),
            Action::Pause(pause) => self.pause(*pause).await.into(),
            Action::Confirm(question) => self.confirm(question).await.into(),
            Action::Reboot => Box::pin(self.reboot(step, running)).await.into(),
            Action::Group(group) => {
                let guarded = Guarded {
                    steps: &group.steps,
                    rescue: &group.rescue,
                    always: &group.always,
                    recovered: group.recovered,
                    keep_going: false,
                };
                self.group(guarded).await.into()
            }
            Action::Task(sub) => self.sub_task(&step.id, sub).await.into(),
        }
    }

    /// A group's steps as one.
    pub(crate) async fn group(&mut self, guarded: Guarded<'_>) -> End {
        let walk: Walk<'_> = Box::pin(self.guarded(guarded));
        match walk.await {
            Ok(()) => End::passed(),
            Err(fault) => End::Inner(Box::new(fault)),
        }
    }
}

/// How an end is told, where its failure is ignored or not.
pub(super) fn told(end: &End, ignored: bool) -> StepResult {
    match end.result() {
        StepResult::Failed { exit_code, cause } if ignored => {
            StepResult::Ignored { exit_code, cause }
        }
        StepResult::TimedOut { limit_ms } if ignored => {
            let limit = crate::model::format_duration(Duration::from_millis(limit_ms));
            StepResult::Ignored {
                exit_code: None,
                cause: format!("timed out after {limit}"),
            }
        }
        result => result,
    }
}

/// Whether `ignore_errors` may cover an end: a failure of the step, never of the connection, and nothing
/// that may still be running.
fn may_be_ignored(end: &End) -> bool {
    match end {
        End::Failed { .. } | End::TimedOut { ended: true, .. } => true,
        End::Inner(fault) => fault.is_of_step() && !fault.may_still_run(),
        _ => false,
    }
}

/// The pause after an attempt, from 1: `delay`, multiplied with `backoff` after each; a day at most.
fn pause(retry: &Retry, attempt: u32) -> Duration {
    const LONGEST: Duration = Duration::from_hours(24);
    let factor = retry.backoff.max(1.0).powf(f64::from(attempt - 1));
    Duration::try_from_secs_f64(retry.delay.as_secs_f64() * factor)
        .unwrap_or(LONGEST)
        .min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_by_the_backoff_up_to_a_day() {
        let retry = Retry {
            attempts: 100,
            delay: Duration::from_secs(3),
            backoff: 2.0,
            until: None,
        };
        let pauses = [1, 2, 3, 99].map(|attempt| pause(&retry, attempt).as_secs());
        assert_eq!(pauses, [3, 6, 12, 86_400]);
    }
}
