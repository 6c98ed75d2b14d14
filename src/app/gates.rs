//! Whether everything that a plan will ask can be answered, found out before anything connects. A question
//! without anybody to answer it is an error, never a silent "yes".

use crate::model::Diagnostic;
use crate::plan::Plan;
use crate::task::{Action, GateAt, Group, Step};

use super::failure::Failure;
use super::settings::Settings;

/// What a plan asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Questions {
    /// Before the first change.
    pub(super) start: bool,
    /// In `confirm` steps.
    pub(super) steps: bool,
}

impl Questions {
    /// What this plan asks.
    pub(super) fn of(plan: &Plan) -> Self {
        let on_controller = plan.before.iter().chain(&plan.after);
        let hosts = plan.phases.iter().flat_map(|phase| &phase.hosts);
        // Hosts of one task have the same actions.
        let on_hosts = hosts.take(1).flat_map(|host| {
            host.steps
                .iter()
                .chain(host.rescue.iter())
                .chain(host.always.iter())
        });
        Self {
            start: plan
                .phases
                .iter()
                .any(|phase| phase.pace.confirm.contains(&GateAt::Start)),
            steps: on_controller.chain(on_hosts).any(asks),
        }
    }

    /// Refuses a plan whose questions nobody would answer.
    ///
    /// # Errors
    /// There is no terminal, and `--yes` does not answer everything.
    pub(super) fn check(self, settings: &Settings, terminal: bool) -> Result<(), Failure> {
        if terminal || settings.says_yes_to_all() {
            return Ok(());
        }
        let nobody = "there is no terminal to ask at";
        if self.steps {
            let error = Diagnostic::new(format!("the task asks in `confirm` steps, and {nobody}"));
            return Err(error
                .hint("`--yes=all` answers every question with yes")
                .hint("nothing was run")
                .into());
        }
        if self.start && !settings.says_yes() {
            let error = Diagnostic::new(format!(
                "the task changes hosts and asks before it starts, and {nobody}"
            ));
            return Err(error
                .hint("`-y` answers yes; `fab-rs plan` shows what would happen")
                .hint("nothing was run")
                .into());
        }
        Ok(())
    }
}

fn asks(step: &Step) -> bool {
    let group = |group: &Group| {
        group
            .steps
            .iter()
            .chain(&group.rescue)
            .chain(&group.always)
            .any(asks)
    };
    match &step.action {
        Action::Confirm(_) => true,
        Action::Group(inner) => group(inner),
        Action::Task(sub) => sub.steps.as_ref().is_some_and(group),
        _ => false,
    }
}
