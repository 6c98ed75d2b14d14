//! Whether everything that a plan will ask can be answered, found out before anything connects. A question
//! without anybody to answer it is an error, never a silent "yes".

use std::collections::BTreeSet;

use crate::model::Diagnostic;
use crate::plan::Plan;
use crate::run::journal::Gate;
use crate::run::progress::Progress;
use crate::task::{Action, GateAt, Group, OnFailure, Step};

use super::failure::Failure;
use super::settings::Settings;

/// What a plan asks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Questions {
    /// Before the first change.
    pub(super) start: bool,
    /// At the kinds of gates while it runs, in the order in which they come up.
    later: Vec<&'static str>,
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
        let gates = gates.copied().chain(canary.then_some(GateAt::Canary));
        let gates: BTreeSet<_> = gates.filter_map(while_it_runs).collect();
        Self {
            start: phases().any(|phase| phase.pace.confirm.contains(&GateAt::Start)),
            later: gates.into_iter().map(|(_, when)| when).collect(),
            stopped: plan.task.on_failure == OnFailure::Ask,
            steps: on_controller.chain(on_hosts).any(asks),
        }
    }

    /// What the rollback of this plan asks; whether to begin it is asked on its own.
    pub(super) fn of_rollback(plan: &Plan) -> Self {
        let hosts = plan.phases.iter().filter_map(|phase| phase.hosts.first());
        let mut steps = hosts.flat_map(|host| host.rollback.iter());
        Self {
            steps: steps.any(asks),
            ..Self::default()
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
    pub(super) fn check(&self, settings: &Settings, terminal: bool) -> Result<(), Failure> {
        if terminal || settings.says_yes_to_all() {
            return Ok(());
        }
        self.refusal(settings.says_yes()).map_or(Ok(()), |refusal| {
            Err(refusal.hint("nothing was run").into())
        })
    }

    /// Why nobody answers, where there is no terminal: every place where it asks, and what answers there.
    fn refusal(&self, yes_to_start: bool) -> Option<Diagnostic> {
        let starts = self.start && !yes_to_start;
        let mut places: Vec<&str> = starts.then_some("before it starts").into_iter().collect();
        places.extend(&self.later);
        places.extend(self.steps.then_some("in `confirm` steps"));
        let stopped = "what to do if hosts fail (`on_failure: ask`)";
        places.extend(self.stopped.then_some(stopped));
        let (last, others) = places.split_last()?;
        let when = match others {
            [] => (*last).to_owned(),
            others => format!("{} and {last}", others.join(", ")),
        };
        let error = Diagnostic::new(format!(
            "the task asks {when}, and there is no terminal to ask at"
        ));
        let shows = "`fab-rs plan` shows what would happen";
        Some(match (starts, others) {
            (true, []) => error.hint(format!("`-y` answers yes; {shows}")),
            (true, _) => error.hint(format!(
                "`--yes=all` answers every question with yes, `-y` the one before it starts alone; {shows}"
            )),
            (false, _) => error.hint("`--yes=all` answers every question with yes"),
        })
    }
}

/// A gate that comes up after the start: its place among them, and in words.
fn while_it_runs(gate: GateAt) -> Option<(u8, &'static str)> {
    Some(match gate {
        GateAt::Start => return None,
        GateAt::Canary => (0, "after the canary"),
        GateAt::Batch => (1, "after each batch"),
        GateAt::Zone => (2, "after each zone"),
        GateAt::Phase => (3, "after each phase"),
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
            ..Questions::default()
        };
        assert!(start.refusal(false).is_some());
        assert!(start.refusal(true).is_none());
        let with = |asking: Questions| asking.refusal(true).map(|error| error.message);
        let zone = Questions {
            later: vec!["after each zone"],
            ..start.clone()
        };
        assert!(with(zone).unwrap().contains("asks after each zone, and"));
        let steps = Questions {
            steps: true,
            ..start
        };
        assert!(
            with(steps)
                .unwrap()
                .contains("asks in `confirm` steps, and")
        );
        assert_eq!(while_it_runs(GateAt::Start), None);
    }

    #[test]
    fn every_place_where_it_asks_is_named() {
        let mut later: Vec<_> = [GateAt::Zone, GateAt::Phase, GateAt::Canary]
            .into_iter()
            .filter_map(while_it_runs)
            .collect();
        later.sort_unstable();
        let asking = Questions {
            start: true,
            later: later.into_iter().map(|(_, when)| when).collect(),
            stopped: true,
            steps: true,
        };
        let error = asking.refusal(false).unwrap();
        assert_eq!(
            error.message,
            "the task asks before it starts, after the canary, after each zone, after each phase, in `confirm` steps \
             and what to do if hosts fail (`on_failure: ask`), and there is no terminal to ask at"
        );
        assert!(error.hints[0].starts_with("`--yes=all` answers every question"));
        let error = asking.refusal(true).unwrap();
        assert!(!error.message.contains("before it starts"), "{error:?}");
    }
}
