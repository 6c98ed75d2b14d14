//! The summary's list of hosts where something of a step may still be running, each with the command to look.
//! Whether it may is the engine's word, not decided here. Pure.

use std::fmt::Write as _;

use indexmap::IndexMap;

use crate::model::{HostOutcome, Label};

use super::fold::fold_within;
use super::host_failure::short;
use super::sanitize::safe;
use super::style::Role;
use super::summary::{Closing, SummaryLook, joined, quoted};
use super::view::RunView;

/// Hosts where something may still be running, by the step that was at work, each with the command to look.
pub(crate) fn push_still_running(
    out: &mut String,
    view: &RunView,
    closing: &Closing,
    look: &SummaryLook<'_>,
) {
    let flagged = |label: &Label| {
        let summary = view.summary.as_ref()?;
        Some(summary.hosts.get(label)?.may_still_run)
    };
    let mut steps: IndexMap<Option<&str>, Vec<&str>> = IndexMap::new();
    for (label, host) in &view.hosts {
        let Some(end) = host.end() else { continue };
        let (step, left) = left_running(&end.outcome);
        if left || flagged(label) == Some(true) {
            steps.entry(step).or_default().push(label.as_str());
        }
    }
    for (step, labels) in steps {
        let lead = look.styles.paint(Role::Warning, "may still be running");
        let hosts = fold_within(labels.iter().copied(), look.width / 2);
        let what = step
            .map(|step| format!(" (step `{}`)", safe(&short(step))))
            .unwrap_or_default();
        let probe = step.map_or_else(
            || "ps -ef".to_owned(),
            |step| {
                let pattern = closing.processes.get(step).map_or(step, String::as_str);
                format!("pgrep -af {}", quoted(&hidden_from_itself(pattern)))
            },
        );
        let _ = writeln!(out, "{lead} on {}{what}", safe(&hosts));
        let command = format!("fab-rs run -H {} -- {probe}", joined(&labels));
        let hint = look.styles.paint(Role::Hint, "check with:");
        let _ = writeln!(out, "  {hint} {}", safe(&command));
    }
}

/// The step an outcome left behind, and whether it may be running still.
fn left_running(outcome: &HostOutcome) -> (Option<&str>, bool) {
    match outcome {
        HostOutcome::TimedOut { step, ended, .. } => (Some(step), !ended),
        HostOutcome::Unknown { step } => (Some(step), true),
        HostOutcome::Cancelled { step, ended, .. } => (step.as_deref(), step.is_some() && !ended),
        HostOutcome::Failed { step, .. } => (Some(step), false),
        _ => (None, false),
    }
}

/// `pgrep -f` would find the shell that runs it: `[s]leep 600` matches what it looks for, not itself.
fn hidden_from_itself(pattern: &str) -> String {
    match pattern.chars().next() {
        Some(first) if first.is_ascii_alphanumeric() => format!("[{first}]{}", &pattern[1..]),
        _ => pattern.to_owned(),
    }
}
