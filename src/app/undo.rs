//! What a rollback from the command line would undo: hosts and phases, before anybody is asked. Pure; the engine finds
//! the same by the same rules when it begins.

use std::fmt::Write as _;

use crate::model::{Diagnostic, HostId, Label, RunId};
use crate::plan::Plan;
use crate::report::fold;
use crate::run::event::RollbackResult;
use crate::run::progress::{HostProgress, Progress};

/// What would be undone, and what cannot be.
#[derive(Debug, Default)]
pub(super) struct Undo {
    /// Each phase that is undone, the last first, with its hosts.
    phases: Vec<(String, Vec<Label>)>,
    /// Phases that did something and have no `rollback:` steps, with their hosts.
    stays: Vec<(String, Vec<Label>)>,
    /// The task has one phase: its name says nothing.
    single: bool,
    /// A rollback was begun, and its end is not written.
    begun: bool,
}

impl Undo {
    /// What a rollback of this run would undo.
    pub(super) fn of(plan: &Plan, progress: &Progress) -> Self {
        let mut undo = Self {
            single: plan.phases.len() == 1,
            begun: progress.rolling_back.is_some() && is_open(progress),
            ..Self::default()
        };
        for (number, phase) in plan.phases.iter().enumerate().rev() {
            let (mut hosts, mut stay) = (Vec::new(), Vec::new());
            for planned in &phase.hosts {
                let id = &planned.host.id;
                let of = progress.hosts.get(id);
                if !of.is_some_and(|of| is_to_undo(progress, (id, of), number)) {
                    continue;
                }
                let label = planned.host.label.clone();
                if planned.rollback.is_empty() {
                    stay.push(label);
                } else {
                    hosts.push(label);
                }
            }
            for (list, hosts) in [(&mut undo.phases, hosts), (&mut undo.stays, stay)] {
                if !hosts.is_empty() {
                    list.push((phase.name.clone(), hosts));
                }
            }
        }
        undo
    }

    /// How many hosts it touches.
    pub(super) fn count(&self) -> usize {
        let hosts = self.phases.iter().flat_map(|(_, hosts)| hosts);
        let hosts: std::collections::BTreeSet<&str> = hosts.map(Label::as_str).collect();
        hosts.len()
    }

    /// Refuses where nothing can be undone.
    ///
    /// # Errors
    /// Nothing was changed, or what was changed has no `rollback:` steps.
    pub(super) fn check(&self, run: &RunId) -> Result<(), Diagnostic> {
        if self.begun || !self.phases.is_empty() {
            return Ok(());
        }
        let error = Diagnostic::new(format!("nothing of run {run} can be rolled back"));
        let error = match &self.stays[..] {
            [] => error.cause("no step that changes a host was begun on any host that is there"),
            stays => stays
                .iter()
                .fold(error, |error, stay| error.cause(stays_as(stay))),
        };
        Err(error
            .hint(format!("`fab-rs report {run}` says what was done where"))
            .hint("nothing was run"))
    }

    /// What is about to happen, in lines.
    pub(super) fn text(&self, run: &RunId) -> String {
        let mut text = format!("rollback of run {run}:\n");
        for (phase, hosts) in &self.phases {
            let what = if self.single {
                "what it did".to_owned()
            } else {
                format!("phase `{phase}`")
            };
            let _ = writeln!(text, "  {what} is undone on {}", named(hosts));
        }
        if self.phases.is_empty() {
            text.push_str("  every host of it is rolled back already\n");
        }
        for stay in &self.stays {
            let _ = writeln!(text, "  {}", stays_as(stay));
        }
        text
    }
}

/// Whether the end of what was begun is still to be written.
fn is_open(progress: &Progress) -> bool {
    let mut ended = progress.ended.iter();
    ended.all(|(state, _)| state == "interrupted")
}

/// Whether a phase is still to be undone on a host.
pub(super) fn is_to_undo(
    progress: &Progress,
    (id, of): (&HostId, &HostProgress),
    phase: usize,
) -> bool {
    let scope = progress.rolling_back.as_ref();
    scope.is_none_or(|hosts| hosts.contains(id)) && is_changed(of, phase)
}

/// Whether a phase began something on a host, and was not undone since.
fn is_changed(host: &HostProgress, phase: usize) -> bool {
    host.touched.contains(&phase) && host.undone.get(&phase) != Some(&RollbackResult::Done)
}

fn named(hosts: &[Label]) -> String {
    let count = hosts.len();
    let hosts = fold(hosts.iter().map(Label::as_str));
    format!("{hosts} ({count})")
}

fn stays_as((phase, hosts): &(String, Vec<Label>)) -> String {
    let hosts = named(hosts);
    format!("phase `{phase}` has no `rollback:` steps: what it did stays on {hosts}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(names: &[&str]) -> Vec<Label> {
        names.iter().map(|name| Label::new(*name)).collect()
    }

    fn run() -> RunId {
        RunId::from_text("20250102T030405Z-hotfix-00ff")
    }

    fn undo() -> Undo {
        Undo {
            phases: vec![("activate".to_owned(), labels(&["app-1", "app-2"]))],
            stays: vec![("stage".to_owned(), labels(&["app-1", "app-2", "app-3"]))],
            single: false,
            begun: false,
        }
    }

    #[test]
    fn what_is_undone_is_named_and_so_is_what_stays() {
        let undo = undo();
        assert!(undo.check(&run()).is_ok());
        assert_eq!(undo.count(), 2);
        insta::assert_snapshot!(undo.text(&run()), @r"
        rollback of run 20250102T030405Z-hotfix-00ff:
          phase `activate` is undone on app-[1-2] (2)
          phase `stage` has no `rollback:` steps: what it did stays on app-[1-3] (3)
        ");
    }

    #[test]
    fn where_nothing_can_be_undone_it_is_refused_with_the_reason() {
        let only_staged = Undo {
            phases: Vec::new(),
            ..undo()
        };
        let error = only_staged.check(&run()).unwrap_err();
        assert_eq!(
            error.causes,
            ["phase `stage` has no `rollback:` steps: what it did stays on app-[1-3] (3)"]
        );
        let error = Undo::default().check(&run()).unwrap_err();
        assert!(error.causes[0].starts_with("no step that changes a host was begun"));
        // The end of a rollback that was cut off is still to be written.
        let begun = Undo {
            begun: true,
            ..Undo::default()
        };
        assert!(begun.check(&run()).is_ok());
    }

    #[test]
    fn a_phase_that_was_undone_is_not_undone_twice() {
        let mut host = HostProgress::default();
        assert!(!is_changed(&host, 0));
        host.touched.insert(0);
        assert!(is_changed(&host, 0));
        let cause = "exit 3".to_owned();
        host.undone.insert(0, RollbackResult::Failed { cause });
        assert!(is_changed(&host, 0));
        host.undone.insert(0, RollbackResult::Done);
        assert!(!is_changed(&host, 0));
    }
}
