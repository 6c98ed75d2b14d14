//! `once` steps: one host runs it, the others of the run take its result.

use std::sync::Arc;

use crate::run::event::StepRef;
use crate::run::message::UnitMessage;
use crate::run::once::{OnceResult, Turn};
use crate::run::shared::World;
use crate::run::work::Work;
use crate::task::Step;

use super::end::Fault;

impl<W: World> Work<W> {
    /// Runs the step if it is this host's turn; otherwise waits for its result. A host whose `when` does
    /// not hold skips it without a say in whose turn it is.
    pub(crate) async fn once(&mut self, step: &Step) -> Result<(), Fault> {
        let key: Arc<str> = step.id.as_str().into();
        let Some(site) = self.site.clone() else {
            return self.each(step).await.map(|_register| ());
        };
        if step.modifiers.loop_over.is_none()
            && let Some(when) = &step.modifiers.when
            && let Ok(false) = self.values.holds(when)
        {
            self.shared.once.skip(&key, site.index);
            self.skipped(step).await;
            return Ok(());
        }
        let shared = Arc::clone(&self.shared);
        let cancelled = || Fault::Cancelled {
            step: None,
            ended: true,
        };
        let turn = tokio::select! {
            biased;
            () = shared.stop.kill.cancelled() => return Err(cancelled()),
            turn = shared.once.turn(&key, site.index, &site.batch) => turn,
        };
        match turn {
            Turn::Mine => self.mine(step, &key).await,
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

    async fn mine(&mut self, step: &Step, key: &Arc<str>) -> Result<(), Fault> {
        let walked = self.each(step).await;
        let result = match &walked {
            Ok(register) => OnceResult::Passed(Some(register.clone())),
            Err(fault) => {
                let on = self.label();
                let name = fault.step().map_or(key, |StepRef { name, .. }| name);
                let message = UnitMessage::SharedStepFailed {
                    step: name.to_string(),
                    on: on.clone(),
                };
                // Asked, not told: the others must find the run stopped when they learn of it.
                self.shared.wire.ask(message).await;
                OnceResult::Failed { on }
            }
        };
        self.shared.once.settle(key, result);
        walked.map(|_register| ())
    }
}
