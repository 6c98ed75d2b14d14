//! The summary's list of hosts where something of a step may still be running, each with the command to look.
//! Whether it may is the engine's word, not decided here. Pure.

use std::fmt::Write as _;

use indexmap::IndexMap;

use crate::model::{Doubt, HostOutcome};

use super::fold::fold_within;
use super::host_failure::short;
use super::processes::{PATTERN, escaped};
use super::sanitize::safe;
use super::style::Role;
use super::summary::{Closing, SummaryLook, joined, quoted};
use super::view::RunView;

/// Processes that are shown for a step.
const MAX_LEFT: usize = 5;

/// A host where something may still be running, and what it said is left.
struct Left<'a> {
    label: &'a str,
    processes: &'a [String],
}

/// Hosts where something may still be running, by the step that was at work, each with the command to look.
pub(crate) fn push_still_running(
    out: &mut String,
    view: &RunView,
    closing: &Closing,
    look: &SummaryLook<'_>,
) {
    for (step, hosts) in by_step(view) {
        let lead = look.styles.paint(Role::Warning, "may still be running");
        let labels: Vec<&str> = hosts.iter().map(|host| host.label).collect();
        let folded = fold_within(labels.iter().copied(), look.width / 2);
        let what = step
            .map(|step| format!(" (step `{}`)", safe(&short(step))))
            .unwrap_or_default();
        let _ = writeln!(out, "{lead} on {}{what}", safe(&folded));
        let processes = hosts.iter().flat_map(|host| {
            let processes = host.processes.iter();
            processes.map(|process| (host.label, process.as_str()))
        });
        for (label, process) in processes.clone().take(MAX_LEFT) {
            let _ = writeln!(out, "  left on {}: {}", safe(label), safe(process));
        }
        let more = processes.clone().count().saturating_sub(MAX_LEFT);
        if more > 0 {
            let _ = writeln!(out, "  and {more} more");
        }
        let pattern = match (
            processes.clone().find_map(|(_, process)| command(process)),
            step,
        ) {
            (Some(command), _) => Some(command),
            (None, Some(step)) => {
                let pattern = closing.processes.get(step).map_or(step, String::as_str);
                Some(pattern.to_owned())
            }
            (None, None) => None,
        };
        let place = processes.clone().find_map(|(_, process)| detached(process));
        let probe = pattern.map_or_else(
            || "ps -ef".to_owned(),
            |pattern| format!("pgrep -af {}", quoted(&hidden_from_itself(&pattern))),
        );
        // One word is a line for a shell there, which the `*` in the folder's name needs; hosts differ below the run's.
        let run = place.and_then(|place| Some(place.rsplit_once('/')?.0));
        let probe = run.map_or(probe, |run| quoted(&format!("ls -l {}/", globbed(run))));
        let command = format!(
            "fab-rs run{} -H {} -- {probe}",
            closing.reach,
            joined(&labels)
        );
        let hint = look.styles.paint(Role::Hint, "check with:");
        let _ = writeln!(out, "  {hint} {}", safe(&command));
    }
}

fn by_step(view: &RunView) -> IndexMap<Option<&str>, Vec<Left<'_>>> {
    let mut steps: IndexMap<Option<&str>, Vec<Left<'_>>> = IndexMap::new();
    for (label, host) in &view.hosts {
        let Some(end) = host.end() else { continue };
        let told = view.summary.as_ref();
        let told = told.and_then(|summary| summary.hosts.get(label));
        let (step, left) = left_running(&end.outcome);
        if left || told.is_some_and(|told| told.may_still_run) {
            let host = Left {
                label: label.as_str(),
                processes: told.map_or(&[][..], |told| &told.left),
            };
            steps.entry(step).or_default().push(host);
        }
    }
    steps
}

/// Where a step that goes on by itself has its folder, where this names one.
fn detached(process: &str) -> Option<&str> {
    let (_, folder) = process.rsplit_once(" (detached: ")?;
    folder.strip_suffix(')')
}

/// A path for a shell, to which a star in it is left: that stands for a name that only the host knows.
fn globbed(path: &str) -> String {
    path.split('*').map(quoted).collect::<Vec<_>>().join("*")
}

/// By what `pgrep -f` finds a process that a host named.
fn command(process: &str) -> Option<String> {
    let (_pid, command) = process.split_once(' ')?;
    let command: String = command.trim().chars().take(PATTERN).collect();
    (!command.is_empty()).then(|| escaped(command.trim_end()))
}

/// The step an outcome left behind, and whether it may be running still.
fn left_running(outcome: &HostOutcome) -> (Option<&str>, bool) {
    match outcome {
        HostOutcome::TimedOut { step, ended, .. } => (Some(step), !ended),
        // One that is not in the inventory cannot be asked.
        HostOutcome::Unknown {
            doubt: Doubt::Gone, ..
        } => (None, false),
        HostOutcome::Unknown { step, .. } => (Some(step), true),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_the_shells_and_all_else_of_a_path_is_not() {
        let path = "/var/tmp/fab-rs-*/run-1/$(a b)-dump.1";
        assert_eq!(globbed(path), "/var/tmp/fab-rs-*'/run-1/$(a b)-dump.1'");
        assert_eq!(globbed("/var/tmp/fab-rs-app/x"), "/var/tmp/fab-rs-app/x");
    }
}
