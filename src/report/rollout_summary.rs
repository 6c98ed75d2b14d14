//! The summary's lines about a rollout: the rule that stopped it and its number, what was rolled back and what
//! was not, what the exit status means, and where to look first. Pure; the other lines are `summary`'s.

use std::fmt::Write as _;

use indexmap::IndexMap;

use crate::lock::answer::Found;
use crate::lock::note::NoteState;
use crate::model::{Doubt, HostOutcome, Label};
use crate::run::event::{GateAnswer, RollbackResult, StopCause};

use super::rollout_words::{before_all, exit_words, folded, reach_words, stop_words};
use super::sanitize::safe;
use super::style::Role;
use super::summary::{Closing, SummaryLook, joined, quoted};
use super::view::{HostView, RunView};

/// Causes of a failed rollback that are told apart; the hosts of others are named without.
const MAX_CAUSES: usize = 5;

/// `stopped: 1 of 12 hosts failed, limit is 0; zones b and c not started`; whether there was something to say.
pub(crate) fn push_stop(out: &mut String, view: &RunView, look: &SummaryLook<'_>) -> bool {
    let Some(stop) = &view.rollout.stop else {
        return false;
    };
    let lead = match stop.because {
        StopCause::Gate {
            answer: GateAnswer::Pause,
            ..
        } => "paused:",
        _ => "stopped:",
    };
    let lead = look.styles.paint(Role::Warning, lead);
    let words = stop_words(&stop.because, view, look.width);
    // Of a preflight it is all hosts, always.
    let reach = if before_all(&stop.because) {
        None
    } else {
        reach_words(&stop.not_started, view, look.width)
    };
    let reach = reach.map(|reach| format!("; {reach}")).unwrap_or_default();
    let _ = writeln!(out, "{lead} {words}{reach}");
    true
}

/// Whether the stop's own line names this host as not started.
pub(crate) fn is_told(label: &Label, view: &RunView) -> bool {
    let stop = view.rollout.stop.as_ref();
    stop.is_some_and(|stop| stop.not_started.contains(label))
}

/// What was rolled back, what was not and why, and what still is as the run left it.
pub(crate) fn push_rollback(out: &mut String, view: &RunView, look: &SummaryLook<'_>) {
    if view.rollout.undo.is_none() {
        return;
    }
    let restored = labels(view, |host| host.rollback == Some(RollbackResult::Done));
    push_hosts(out, Role::Good, "rolled back", &restored, look);
    let failed = |host: &HostView| match &host.rollback {
        Some(RollbackResult::Failed { cause }) => Some(cause.clone()),
        _ => None,
    };
    push_causes(out, "rollback failed", by_cause(view, failed), look);
    let pending = |host: &HostView| match &host.rollback {
        Some(RollbackResult::Pending { cause }) => Some(cause.clone()),
        _ => None,
    };
    push_causes(out, "not rolled back", by_cause(view, pending), look);
    let open = labels(view, |host| {
        host.rollback.is_none() && host.end().is_some_and(|end| was_changed(&end.outcome))
    });
    let begun = &view.rollout.undo_begun;
    let (half, new): (Vec<_>, Vec<_>) = open.into_iter().partition(|label| begun.contains(*label));
    push_hosts(out, Role::Warning, "half rolled back", &half, look);
    push_hosts(out, Role::Warning, "still as the run left them", &new, look);
}

/// Whether a host that ended like this may have been changed.
pub(crate) fn was_changed(outcome: &HostOutcome) -> bool {
    !matches!(
        outcome,
        HostOutcome::NotRun { .. } | HostOutcome::Unreachable { .. } | HostOutcome::Gone
    )
}

fn labels(view: &RunView, wanted: impl Fn(&HostView) -> bool) -> Vec<&Label> {
    let hosts = view.hosts.iter().filter(|(_, host)| wanted(host));
    hosts.map(|(label, _)| label).collect()
}

fn by_cause(
    view: &RunView,
    cause: impl Fn(&HostView) -> Option<String>,
) -> IndexMap<String, Vec<&Label>> {
    let mut causes: IndexMap<String, Vec<&Label>> = IndexMap::new();
    for (label, host) in &view.hosts {
        if let Some(cause) = cause(host) {
            causes.entry(cause).or_default().push(label);
        }
    }
    causes
}

fn push_hosts(out: &mut String, role: Role, what: &str, labels: &[&Label], look: &SummaryLook<'_>) {
    if !labels.is_empty() {
        let lead = look.styles.paint(role, format!("{what}:"));
        let hosts = folded(labels.iter().copied(), look.width / 2);
        let _ = writeln!(out, "{lead} {hosts} ({})", labels.len());
    }
}

fn push_causes(
    out: &mut String,
    what: &str,
    causes: IndexMap<String, Vec<&Label>>,
    look: &SummaryLook<'_>,
) {
    let lead = look
        .styles
        .paint(Role::Error, format!("{what}:"))
        .to_string();
    let mut others = Vec::new();
    for (at, (cause, labels)) in causes.into_iter().enumerate() {
        if at < MAX_CAUSES {
            let hosts = folded(labels, look.width / 2);
            let _ = writeln!(out, "{lead} {hosts}: {}", safe(&cause));
        } else {
            others.extend(labels);
        }
    }
    if !others.is_empty() {
        let _ = writeln!(
            out,
            "{lead} {} of other causes",
            folded(others, look.width / 2)
        );
    }
}

/// `exit 4: stopped before its end and not rolled back: …`, where the counts do not say it.
pub(crate) fn push_exit(out: &mut String, view: &RunView, look: &SummaryLook<'_>) {
    let Some(summary) = &view.summary else {
        return;
    };
    let exit = summary.exit;
    let begun = view.hosts.values().any(|host| {
        host.end()
            .is_none_or(|end| !matches!(end.outcome, HostOutcome::NotRun { .. }))
    });
    let well = view.hosts.values().all(|host| {
        host.end()
            .is_some_and(|end| matches!(end.outcome, HostOutcome::Ok | HostOutcome::Gone))
    });
    if let Some(words) = exit_words(exit, &summary.state, (begun, well)) {
        let lead = look.styles.paint(Role::Strong, format!("exit {exit}:"));
        let _ = writeln!(out, "{lead} {words}");
    }
}

/// What can be done about another's lock.
fn push_locked(out: &mut String, holder: &Found, closing: &Closing, look: &SummaryLook<'_>) {
    let lead = look.styles.paint(Role::Hint, "next:");
    let host = quoted(holder.host.as_str());
    let host = safe(&host);
    let reach = closing.reach.to_string();
    let reach = safe(&reach);
    let _ = writeln!(out, "{lead} fab-rs lock status{reach} -H {host}");
    if let Some(note) = &holder.note
        && note.state == NoteState::Paused
    {
        let (run, place) = (quoted(note.run.as_str()), safe(&note.controller));
        let run = safe(&run);
        let _ = writeln!(
            out,
            "      fab-rs resume {run}  # on {place}: goes on with it"
        );
        let _ = writeln!(
            out,
            "      fab-rs abort {run}  # on {place}: gives it up and lets go of the lock"
        );
    }
    let force = if holder.is_live() || holder.note.is_none() {
        " --force"
    } else {
        ""
    };
    let run = holder.note.as_ref().map(|note| quoted(note.run.as_str()));
    let run = run.map(|run| format!(" --run {run}")).unwrap_or_default();
    let _ = writeln!(
        out,
        "      fab-rs lock release{reach}{}{}{force}  # if that run is over",
        safe(&closing.reach.all_hosts(holder.host.as_str())),
        safe(&run)
    );
}

/// What can be done about hosts that left the inventory half done: nobody else lets go of what lies there.
fn push_gone(out: &mut String, view: &RunView, closing: &Closing, look: &SummaryLook<'_>) {
    let is_gone = |host: &HostView| {
        matches!(
            host.end().map(|end| &end.outcome),
            Some(HostOutcome::Unknown {
                doubt: Doubt::Gone,
                ..
            })
        )
    };
    let gone = labels(view, is_gone);
    if gone.is_empty() {
        return;
    }
    // A lock knows its run by the whole id.
    let run = view.summary.as_ref();
    let run = run.map_or_else(|| look.run.to_owned(), |summary| summary.run.to_string());
    let hosts: Vec<&str> = gone.into_iter().map(Label::as_str).collect();
    let command = format!(
        "fab-rs lock release{} -H {} --run {}",
        closing.reach,
        joined(&hosts),
        quoted(&run)
    );
    let lead = look.styles.paint(Role::Hint, "next:");
    let _ = writeln!(
        out,
        "{lead} {}  # if they are still there: the run's lock may lie on them",
        safe(&command)
    );
}

/// Where to look first: a host that did not answer the preflight, or one whose rollback failed.
pub(crate) fn push_look(
    out: &mut String,
    view: &RunView,
    closing: &Closing,
    look: &SummaryLook<'_>,
) {
    let stop = view.rollout.stop.as_ref().map(|stop| &stop.because);
    if let Some(StopCause::Preflight { silent, unfit }) = stop
        && let Some(first) = silent.first().or(unfit.first())
    {
        let lead = look.styles.paint(Role::Hint, "next:");
        let host = quoted(first.as_str());
        let _ = writeln!(
            out,
            "{lead} fab-rs doctor{} {}",
            safe(&closing.reach.to_string()),
            safe(&host)
        );
    }
    if let Some(StopCause::Locked { holder }) = stop {
        push_locked(out, holder, closing, look);
    }
    push_gone(out, view, closing, look);
    let failed = |host: &HostView| matches!(host.rollback, Some(RollbackResult::Failed { .. }));
    if let Some(first) = labels(view, failed).first() {
        let lead = look.styles.paint(Role::Hint, "next:");
        let host = quoted(first.as_str());
        let _ = writeln!(out, "{lead} fab-rs logs {} {}", look.run, safe(&host));
    }
}
