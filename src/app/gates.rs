//! Whether everything that a plan will ask can be answered, found out before anything connects. A question
//! without anybody to answer it is an error, never a silent "yes".

use crate::model::Diagnostic;
use crate::plan::Plan;
use crate::run::journal::Gate;
use crate::run::progress::Progress;
use crate::task::{Action, GateAt, Group, OnFailure, Step};

use super::failure::Failure;
use super::settings::Settings;

/// What a plan asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Questions {
    /// Before the first change.
    pub(super) start: bool,
    /// At the first kind of gate while it runs, where there is one.
    later: Option<&'static str>,
    /// What to do once it stopped.
    stopped: bool,
    /// In `confirm` steps.
    pub(super) steps: bool,
}

impl Questions {
    /// What this plan asks.
    pub(super) fn of(plan: &Plan) -> Self {
        let phases = || plan.phases.iter();
        let on_controller = phases().flat_map(|phase| phase.before.iter().chain(&phase.after));
        let on_controller = on_controller.chain(&plan.before).chain(&plan.after);
        // Hosts of one task have the same actions.
        let hosts = phases().filter_map(|phase| phase.hosts.first());
        let on_hosts = hosts.flat_map(|host| {
            host.steps
                .iter()
                .chain(host.rescue.iter())
                .chain(host.always.iter())
                .chain(host.rollback.iter())
        });
        let canary = phases()
            .filter_map(|phase| phase.pace.canary)
            .any(|canary| canary.confirm);
        let gates = phases().flat_map(|phase| &phase.pace.confirm);
        let mut gates = gates.copied();
        let later = gates.find_map(while_it_runs);
        Self {
            start: phases().any(|phase| phase.pace.confirm.contains(&GateAt::Start)),
            later: later.or(canary.then_some("after the canary")),
            stopped: plan.task.on_failure == OnFailure::Ask,
            steps: on_controller.chain(on_hosts).any(asks),
        }
    }

    /// What the rollback of this plan asks; whether to begin it is asked on its own.
    pub(super) fn of_rollback(plan: &Plan) -> Self {
        let hosts = plan.phases.iter().filter_map(|phase| phase.hosts.first());
        let mut steps = hosts.flat_map(|host| host.rollback.iter());
        Self {
            start: false,
            later: None,
            stopped: false,
            steps: steps.any(asks),
        }
    }

    /// What is still asked of a run that goes on: a gate that was answered is not asked again.
    pub(super) fn after(self, progress: &Progress) -> Self {
        let answered = |gate: &Gate| gate.at == Some(GateAt::Start);
        let started = progress.gates.iter().any(answered);
        Self {
            start: self.start && !started,
            ..self
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
        self.refusal(settings.says_yes()).map_or(Ok(()), |refusal| {
            Err(refusal.hint("nothing was run").into())
        })
    }

    /// Why nobody answers, where there is no terminal.
    fn refusal(self, yes_to_start: bool) -> Option<Diagnostic> {
        let nobody = "there is no terminal to ask at";
        let when = if self.steps {
            Some("in `confirm` steps")
        } else if let Some(later) = self.later {
            Some(later)
        } else if self.stopped {
            Some("what to do if hosts fail (`on_failure: ask`)")
        } else {
            None
        };
        if let Some(when) = when {
            let error = Diagnostic::new(format!("the task asks {when}, and {nobody}"));
            return Some(error.hint("`--yes=all` answers every question with yes"));
        }
        if self.start && !yes_to_start {
            let error = Diagnostic::new(format!(
                "the task changes hosts and asks before it starts, and {nobody}"
            ));
            return Some(error.hint("`-y` answers yes; `fab-rs plan` shows what would happen"));
        }
        None
    }
}

/// A gate that comes up after the start, in words.
fn while_it_runs(gate: GateAt) -> Option<&'static str> {
    Some(match gate {
        GateAt::Start => return None,
        GateAt::Canary => "after the canary",
        GateAt::Zone => "after each zone",
        GateAt::Batch => "after each batch",
        GateAt::Phase => "after each phase",
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yes_answers_the_start_alone() {
        let start = Questions {
            start: true,
            later: None,
            stopped: false,
            steps: false,
        };
        assert!(start.refusal(false).is_some());
        assert!(start.refusal(true).is_none());
        let zone = while_it_runs(GateAt::Zone);
        for asking in [
            Questions {
                later: zone,
                ..start
            },
            Questions {
                stopped: true,
                ..start
            },
            Questions {
                steps: true,
                ..start
            },
        ] {
            assert!(asking.refusal(true).is_some(), "{asking:?}");
        }
        assert_eq!(while_it_runs(GateAt::Start), None);
    }
}
