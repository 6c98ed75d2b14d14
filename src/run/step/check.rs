//! `health` and `verify`: checks of a host whose steps have passed, or that is only looked at.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::model::HostOutcome;
use crate::run::shared::World;
use crate::run::work::Work;
use crate::task::{Action, Check};

use super::attempt::Running;
use super::end::{End, Fault};

/// How long one question may take that is asked only once.
pub(crate) const ONE_ANSWER: Duration = Duration::from_secs(10);

/// A check that did not pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sick {
    /// Its name.
    pub(crate) check: String,
    /// What was answered.
    pub(crate) cause: String,
}

/// Why checks ended without all of them having passed.
#[derive(Debug)]
pub(crate) enum Unchecked {
    /// One did not pass.
    Sick(Sick),
    /// The run, or the host's limit, ended them.
    Ended(Fault),
}

impl From<Sick> for HostOutcome {
    fn from(Sick { check, cause }: Sick) -> Self {
        Self::Unhealthy { check, cause }
    }
}

impl<W: World> Work<W> {
    /// Waits for each check in turn, within its own limit.
    pub(crate) async fn checks(&mut self, checks: &[Check]) -> Result<(), Unchecked> {
        self.checking = true;
        let mut walked = Ok(());
        for check in checks {
            walked = self.each(&check.step).await.map(|_register| ());
            if walked.is_err() {
                break;
            }
        }
        self.checking = false;
        walked.map_err(|fault| match fault {
            Fault::Cancelled { .. } | Fault::Broken { .. } => Unchecked::Ended(fault),
            fault => Unchecked::Sick(Sick {
                check: fault
                    .step()
                    .map_or_else(String::new, |step| step.name.to_string()),
                cause: self.teller.mask.text(&fault.cause()),
            }),
        })
    }

    /// Asks each check once; the first that does not pass. The outer error is trouble of the connection, or
    /// of the run.
    pub(crate) async fn asked_once<'c>(
        &mut self,
        checks: impl IntoIterator<Item = &'c Check>,
    ) -> Result<Option<Sick>, End> {
        for check in checks {
            if let Some(cause) = self.answer_now(check).await? {
                let name = self.named(&check.step).name;
                self.teller.heading(&format!("{name}: {cause}"));
                return Ok(Some(Sick {
                    check: name.to_string(),
                    cause: self.teller.mask.text(&cause),
                }));
            }
        }
        Ok(None)
    }

    /// One answer to a check: why it is wrong, or nothing.
    async fn answer_now(&mut self, check: &Check) -> Result<Option<String>, End> {
        let step = &check.step;
        let Action::WaitFor(wait) = &step.action else {
            return Ok(None);
        };
        if let Some(when) = &step.modifiers.when {
            match self.values.holds(when) {
                Ok(true) => {}
                Ok(false) => return Ok(None),
                Err(cause) => return Ok(Some(cause)),
            }
        }
        let wanted = match self.wanted(&wait.probe) {
            Ok(wanted) => wanted,
            Err(cause) => return Ok(Some(cause)),
        };
        let running = Running::new(self.named(step), step, &self.shared.options.limits);
        let due = Instant::now() + ONE_ANSWER;
        let asked = self.probed((step, &wait.probe), &running, &wanted, (due, ONE_ANSWER));
        match timeout_at(due + ONE_ANSWER, asked).await {
            Ok(Ok(said)) => Ok((!said.good).then_some(said.text)),
            Ok(Err(End::TimedOut { .. })) | Err(_) => Ok(Some("no answer in time".to_owned())),
            Ok(Err(End::Failed { cause, .. })) => Ok(Some(cause)),
            Ok(Err(end)) => Err(end),
        }
    }
}
