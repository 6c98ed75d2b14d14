//! The end of a run as text, on stderr: who failed of what, what may still be running, what was brought
//! back, where the record is, and what to type next. Pure.

use std::fmt::Write as _;
use std::time::Duration;

use indexmap::IndexMap;

use crate::model::{HostOutcome, Label, Size, format_duration};

use super::cluster::{Cluster, clusters};
use super::fold::{fold, fold_within};
use super::grammar::{counted, outcome_words};
use super::host_failure::{Ending, in_full, reason_words, short_within};
use super::next::{Stand, next_commands};
use super::reach::Reach;
use super::rollout_summary::{
    is_told, push_exit, push_look, push_rollback, push_stop, was_changed,
};
use super::sanitize::safe;
use super::still_running::push_still_running;
use super::style::{Role, Styles};
use super::view::{HostView, RunView};

/// What the command line knows about a run's end that its events do not.
#[derive(Debug, Clone, Default)]
pub struct Closing {
    /// The state's word, where it is another than what the events end with.
    pub state: Option<String>,
    /// What was typed can be planned again.
    pub repeatable: bool,
    /// The task has steps that roll back.
    pub reversible: bool,
    /// What a command needs to mean the run's hosts.
    pub reach: Reach,
    /// For a step's name, the pattern that finds its process (see `process_patterns`).
    pub processes: IndexMap<String, String>,
}

/// Everything else that the text needs.
#[derive(Debug, Clone)]
pub(crate) struct SummaryLook<'a> {
    /// Colours.
    pub(crate) styles: Styles,
    /// Columns.
    pub(crate) width: usize,
    /// What names the run on the command line: `last`, or its id.
    pub(crate) run: &'a str,
    /// Lines of each host that were not shown.
    pub(crate) skipped: &'a [(String, u64)],
    /// Why the record is incomplete, if it is.
    pub(crate) trouble: Option<&'a str>,
}

/// Causes that are shown; the others are counted.
const MAX_CAUSES: usize = 10;
/// Up to so many causes, each is shown with more of its last lines.
const FEW_CAUSES: usize = 3;
/// Last lines of one cause among few.
const MAX_TAIL: usize = 12;
/// Last lines of one cause among many.
const SHORT_TAIL: usize = 4;
/// Files that are listed; the others are counted.
const MAX_FILES: usize = 20;
/// Characters of a slow host's step.
const SLOW_STEP: usize = 30;
/// Hosts that took less are not slow.
const WORTH_RANKING: Duration = Duration::from_secs(5);

/// The summary, its lines ended.
pub(crate) fn summary_text(view: &RunView, closing: &Closing, look: &SummaryLook<'_>) -> String {
    let mut out = String::new();
    push_failures(&mut out, view, closing, look);
    push_stopped(&mut out, view, look);
    push_rollback(&mut out, view, look);
    push_slowest(&mut out, view, look);
    push_files(&mut out, view, look);
    push_still_running(&mut out, view, closing, look);
    push_skipped(&mut out, view, look);
    if let Some(trouble) = look.trouble {
        let lead = look.styles.paint(Role::Warning, "warning:");
        let _ = writeln!(out, "{lead} {}", safe(trouble));
    }
    out.push_str(&count_line(view, look.styles));
    push_exit(&mut out, view, look);
    if !view.record.as_os_str().is_empty() {
        let record = view.record.to_string_lossy();
        let _ = writeln!(out, "record: {}", safe(&record));
    }
    push_next(&mut out, view, closing, look);
    out
}

/// `summary: 11 succeeded, 1 failed, 24 not started in 38 s`.
pub(crate) fn count_line(view: &RunView, styles: Styles) -> String {
    let counts: Vec<String> = view
        .counts()
        .into_iter()
        .map(|(word, count)| {
            let text = format!("{count} {}", outcome_words(word));
            styles.paint(role_of(word), text).to_string()
        })
        .collect();
    let counts = if counts.is_empty() {
        "no host ended".to_owned()
    } else {
        counts.join(", ")
    };
    let lead = styles.paint(Role::Strong, "summary:");
    let took = format_duration(view.elapsed);
    format!("{lead} {counts} in {took}\n")
}

/// The colour of an outcome.
pub(crate) fn role_of(word: &str) -> Role {
    match word {
        "ok" => Role::Good,
        "not_run" | "gone" | "cancelled" => Role::Warning,
        _ => Role::Error,
    }
}

/// Whether every host succeeded or is gone.
pub(crate) fn all_well(view: &RunView) -> bool {
    view.counts()
        .iter()
        .all(|(word, _)| matches!(*word, "ok" | "gone"))
}

fn push_failures(out: &mut String, view: &RunView, closing: &Closing, look: &SummaryLook<'_>) {
    let found = clusters(view);
    let lines = if found.len() <= FEW_CAUSES {
        MAX_TAIL
    } else {
        SHORT_TAIL
    };
    for cluster in found.iter().take(MAX_CAUSES) {
        push_cluster(out, (cluster, lines), closing, look);
    }
    if let Some(rest) = found.get(MAX_CAUSES..).filter(|rest| !rest.is_empty()) {
        let hosts: usize = rest.iter().map(|cluster| cluster.hosts.len()).sum();
        let _ = writeln!(
            out,
            "and {} more with {}: `fab-rs report {}` has them",
            counted(hosts, "host"),
            counted(rest.len(), "other cause"),
            look.run
        );
    }
}

fn push_cluster(
    out: &mut String,
    (cluster, lines): (&Cluster<'_>, usize),
    closing: &Closing,
    look: &SummaryLook<'_>,
) {
    let first = cluster.end;
    let labels = cluster.hosts.iter().map(|label| label.as_str());
    let who = match cluster.hosts.len() {
        1 => fold(labels),
        count => format!("{} ({count})", fold_within(labels, look.width / 2)),
    };
    let alone = cluster.hosts.len() == 1;
    let ending = Ending {
        who: &who,
        outcome: &first.outcome,
        duration: alone.then_some(first.duration),
        tail: &first.tail[first.tail.len().saturating_sub(lines)..],
        tail_of: (!cluster.same_tail).then(|| cluster.hosts[0].as_str()),
        same_hints: cluster.same_hints,
        reach: &closing.reach,
    };
    out.push_str(&in_full(&ending, look.styles));
    if !cluster.same_words {
        let _ = writeln!(
            out,
            "        these are the words of {}; the others' are alike",
            safe(cluster.hosts[0].as_str())
        );
    }
}

/// Hosts that never started, by reason; or why the run stopped, where every host had started.
fn push_stopped(out: &mut String, view: &RunView, look: &SummaryLook<'_>) {
    let stop_is_told = push_stop(out, view, look);
    let mut reasons: IndexMap<&str, Vec<&str>> = IndexMap::new();
    for (label, host) in view.hosts.iter().filter(|(label, _)| !is_told(label, view)) {
        if let Some(HostOutcome::NotRun { reason }) = host.end().map(|end| &end.outcome) {
            reasons.entry(reason).or_default().push(label.as_str());
        }
    }
    let lead = look.styles.paint(Role::Warning, "stopped:");
    if reasons.is_empty()
        && !stop_is_told
        && let Some(reason) = view.cancel
    {
        let _ = writeln!(
            out,
            "{lead} {}",
            reason_words(reason).trim_start_matches("stopped by ")
        );
    }
    let nothing_ran = !stop_is_told
        && view.hosts.values().all(|host| {
            let end = host.end().map(|end| &end.outcome);
            matches!(end, Some(HostOutcome::NotRun { .. })) && host.longest.is_none()
        });
    for (reason, labels) in reasons {
        // The lead says it already.
        let reason = reason.strip_prefix("stopped ").unwrap_or(reason);
        let count = counted(labels.len(), "host");
        let hosts = fold_within(labels, look.width / 2);
        let _ = writeln!(
            out,
            "{lead} {}; {count} not started: {}",
            safe(reason),
            safe(&hosts)
        );
    }
    if nothing_ran {
        let _ = writeln!(out, "nothing was run on any host");
    }
}

/// Hosts that took much longer than most, at most three, each with its longest step.
fn push_slowest(out: &mut String, view: &RunView, look: &SummaryLook<'_>) {
    let mut ended: Vec<(&Label, &HostView, Duration)> = view
        .hosts
        .iter()
        .filter_map(|(label, host)| Some((label, host, host.end()?)))
        .filter(|(_, _, end)| matches!(end.outcome, HostOutcome::Ok | HostOutcome::Failed { .. }))
        .map(|(label, host, end)| (label, host, end.duration))
        .collect();
    if ended.len() < 4 {
        return;
    }
    ended.sort_by_key(|(_, _, duration)| std::cmp::Reverse(*duration));
    let usual = ended[ended.len() / 2].2;
    let slow = |duration: Duration| duration >= WORTH_RANKING && duration >= usual * 3 / 2;
    let slowest: Vec<String> = ended
        .iter()
        .take(3)
        .filter(|(_, _, duration)| slow(*duration))
        .map(|(label, host, duration)| {
            let label = look.styles.label(&safe(label.as_str())).to_string();
            let step = host.longest.as_ref().map(|(step, _)| {
                let step = short_within(step, SLOW_STEP);
                format!(" (`{}`)", safe(&step))
            });
            let took = format_duration(*duration);
            format!("{label} {took}{}", step.unwrap_or_default())
        })
        .collect();
    if !slowest.is_empty() {
        let usual = format_duration(usual);
        let _ = writeln!(
            out,
            "slowest: {}; half took {usual} or less",
            slowest.join(", ")
        );
    }
}

fn push_files(out: &mut String, view: &RunView, look: &SummaryLook<'_>) {
    if view.files.is_empty() {
        return;
    }
    let total: u64 = view.files.iter().map(|file| file.bytes).sum();
    let folder = common_folder(view);
    let place = folder.to_string_lossy();
    let _ = writeln!(
        out,
        "fetched {}, {}, into {}",
        counted(view.files.len(), "file"),
        Size(total),
        safe(&place)
    );
    let sizes: Vec<String> = view
        .files
        .iter()
        .map(|file| Size(file.bytes).to_string())
        .collect();
    let column = sizes.iter().map(String::len).max().unwrap_or(0);
    for (file, size) in view.files.iter().zip(&sizes).take(MAX_FILES) {
        let path = file
            .path
            .strip_prefix(&folder)
            .unwrap_or(&file.path)
            .to_string_lossy();
        let host = look
            .styles
            .paint(Role::Dim, format!("from {}", safe(file.host.as_str())));
        let _ = writeln!(out, "  {size:>column$}  {}  {host}", safe(&path));
    }
    if view.files.len() > MAX_FILES {
        let _ = writeln!(
            out,
            "  and {} more",
            counted(view.files.len() - MAX_FILES, "file")
        );
    }
}

/// The deepest folder that holds every file.
fn common_folder(view: &RunView) -> std::path::PathBuf {
    let mut folders = view.files.iter().filter_map(|file| file.path.parent());
    let first = folders
        .next()
        .map(std::path::Path::to_owned)
        .unwrap_or_default();
    folders.fold(first, |mut common, folder| {
        while !folder.starts_with(&common) {
            common.pop();
        }
        common
    })
}

/// A word for the user's shell; quoted only where it has to be, as people read it.
pub(crate) fn quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._,@:/+=%-".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        return word.to_owned();
    }
    shlex::try_quote(word).map_or_else(|_| format!("{word:?}"), std::borrow::Cow::into_owned)
}

/// Labels as one word for the user's shell.
pub(crate) fn joined(labels: &[&str]) -> String {
    quoted(&labels.join(","))
}

fn push_skipped(out: &mut String, view: &RunView, look: &SummaryLook<'_>) {
    if look.skipped.is_empty() {
        return;
    }
    let lines: u64 = look.skipped.iter().map(|(_, count)| count).sum();
    let lines = counted(usize::try_from(lines).unwrap_or(usize::MAX), "line");
    let hosts = fold_within(
        look.skipped.iter().map(|(host, _)| host.as_str()),
        look.width / 2,
    );
    let logs = view.record.join("hosts");
    let _ = writeln!(
        out,
        "{lines} of {} could not be shown in time; every line is in {}",
        safe(&hosts),
        safe(&logs.to_string_lossy())
    );
}

/// What to type next.
fn push_next(out: &mut String, view: &RunView, closing: &Closing, look: &SummaryLook<'_>) {
    let with = |wanted: fn(&HostOutcome) -> bool| -> Vec<&str> {
        let ended = |host: &HostView| host.end().is_some_and(|end| wanted(&end.outcome));
        view.hosts
            .iter()
            .filter(|(_, host)| ended(host))
            .map(|(label, _)| label.as_str())
            .collect()
    };
    let lead = look.styles.paint(Role::Hint, "next:");
    push_look(out, view, closing, look);
    let worked = with(|outcome| {
        outcome.counts_as_failure() && !matches!(outcome, HostOutcome::Unreachable { .. })
    });
    if let Some(first) = worked.first() {
        let _ = writeln!(
            out,
            "{lead} fab-rs logs {} {}",
            look.run,
            safe(&quoted(first))
        );
    }
    push_commands(out, view, closing, look);
}

/// The commands that go on from here.
fn push_commands(out: &mut String, view: &RunView, closing: &Closing, look: &SummaryLook<'_>) {
    let of_view = view.summary.as_ref().map(|summary| summary.state.as_str());
    let Some(state) = closing.state.as_deref().or(of_view) else {
        return;
    };
    let mut ends = view.hosts.values().map(HostView::end);
    let is_done = |outcome: &HostOutcome| matches!(outcome, HostOutcome::Ok | HostOutcome::Gone);
    let undone = ends
        .clone()
        .any(|end| !end.is_some_and(|end| is_done(&end.outcome)));
    let begun = ends.any(|end| end.is_none_or(|end| was_changed(&end.outcome)));
    let stand = Stand {
        state,
        undone,
        repeatable: closing.repeatable,
        reversible: closing.reversible && begun,
        undoing: view.rollout.undo.is_some(),
    };
    let mut lead = look.styles.paint(Role::Hint, "next:").to_string();
    for command in next_commands(stand) {
        let _ = writeln!(out, "{lead} fab-rs {command} {}", look.run);
        lead = look.styles.paint(Role::Hint, "  or:").to_string();
    }
}

#[cfg(test)]
#[path = "summary_tests.rs"]
mod tests;
