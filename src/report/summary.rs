//! The end of a run as text, on stderr: who failed of what, what may still be running, what was brought
//! back, where the record is, and what to type next. Pure.

use std::fmt::Write as _;
use std::time::Duration;

use indexmap::IndexMap;

use crate::model::{HostOutcome, Label, Size, format_duration};

use super::cluster::{Cluster, clusters};
use super::fold::{fold, fold_within};
use super::grammar::{counted, outcome_words};
use super::host_failure::{Ending, in_full, reason_words, short, short_within};
use super::sanitize::safe;
use super::style::{Role, Styles};
use super::view::{HostView, RunView};

/// What the command line knows about a run's end that its events do not.
#[derive(Debug, Clone, Default)]
pub struct Closing {
    /// The command that runs the same again; `None` proposes no such command.
    pub rerun: Option<String>,
    /// The run can be gone on with.
    pub resumable: bool,
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
/// Characters of hosts that a command names; with more of them it would no longer be read.
const MAX_HOST_LIST: usize = 160;
/// Characters of a slow host's step.
const SLOW_STEP: usize = 30;
/// Hosts that took less are not slow.
const WORTH_RANKING: Duration = Duration::from_secs(5);

/// The summary, its lines ended.
pub(crate) fn summary_text(view: &RunView, closing: &Closing, look: &SummaryLook<'_>) -> String {
    let mut out = String::new();
    push_failures(&mut out, view, look);
    push_stopped(&mut out, view, look);
    push_slowest(&mut out, view, look);
    push_files(&mut out, view, look);
    push_still_running(&mut out, view, closing, look);
    push_skipped(&mut out, view, look);
    if let Some(trouble) = look.trouble {
        let lead = look.styles.paint(Role::Warning, "warning:");
        let _ = writeln!(out, "{lead} {}", safe(trouble));
    }
    out.push_str(&count_line(view, look.styles));
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

fn push_failures(out: &mut String, view: &RunView, look: &SummaryLook<'_>) {
    let found = clusters(view);
    let lines = if found.len() <= FEW_CAUSES {
        MAX_TAIL
    } else {
        SHORT_TAIL
    };
    for cluster in found.iter().take(MAX_CAUSES) {
        push_cluster(out, cluster, lines, look);
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

fn push_cluster(out: &mut String, cluster: &Cluster<'_>, lines: usize, look: &SummaryLook<'_>) {
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
    let mut reasons: IndexMap<&str, Vec<&str>> = IndexMap::new();
    for (label, host) in &view.hosts {
        if let Some(HostOutcome::NotRun { reason }) = host.end().map(|end| &end.outcome) {
            reasons.entry(reason).or_default().push(label.as_str());
        }
    }
    let lead = look.styles.paint(Role::Warning, "stopped:");
    if reasons.is_empty()
        && let Some(reason) = view.cancel
    {
        let _ = writeln!(
            out,
            "{lead} {}",
            reason_words(reason).trim_start_matches("stopped by ")
        );
    }
    for (reason, labels) in reasons {
        let count = counted(labels.len(), "host");
        let hosts = fold_within(labels, look.width / 2);
        let _ = writeln!(
            out,
            "{lead} {}; {count} not started: {}",
            safe(reason),
            safe(&hosts)
        );
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

/// Hosts where something may still be running, by the step that was at work, each with the command to look.
fn push_still_running(out: &mut String, view: &RunView, closing: &Closing, look: &SummaryLook<'_>) {
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

/// A word for the user's shell; quoted only where it has to be, as people read it.
pub(crate) fn quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._,@:/+=%-".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        return word.to_owned();
    }
    shlex::try_quote(word).map_or_else(|_| format!("{word:?}"), std::borrow::Cow::into_owned)
}

fn joined(labels: &[&str]) -> String {
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
    let undone = with(|outcome| !matches!(outcome, HostOutcome::Ok | HostOutcome::Gone));
    let failed = with(HostOutcome::counts_as_failure);
    let fits = |hosts: &&Vec<&str>| !hosts.is_empty() && joined(hosts).len() <= MAX_HOST_LIST;
    if closing.resumable {
        let _ = writeln!(out, "{lead} fab-rs resume {}", look.run);
    }
    if let Some(rerun) = &closing.rerun
        && let Some(hosts) = [undone, failed].iter().find(fits)
    {
        // Before everything else: behind `--` the hosts would be words of the command.
        let (program, rest) = rerun.split_once(' ').unwrap_or((rerun, ""));
        let hosts = joined(hosts);
        let _ = writeln!(out, "{lead} {program} -H {} {}", safe(&hosts), safe(rest));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::model::{CancelReason, UnreachableKind};
    use crate::run::event::EventKind;
    use crate::task::Kind;

    use super::super::samples::{self, event, failed, finished, host, run_started, step};
    use super::*;

    fn view_of(hosts: &[(&str, &str)], kinds: Vec<EventKind>) -> RunView {
        let mut view = RunView::default();
        view.apply(&event(0, 0, run_started(Kind::Change, hosts)));
        for (seq, kind) in (1..).zip(kinds) {
            view.apply(&event(seq, 38_000, kind));
        }
        view
    }

    fn text(view: &RunView, closing: &Closing, width: usize, skipped: &[(String, u64)]) -> String {
        let look = SummaryLook {
            styles: Styles::plain(),
            width,
            run: "last",
            skipped,
            trouble: None,
        };
        summary_text(view, closing, &look)
    }

    fn stopped_rollout() -> RunView {
        let mut hosts: Vec<(String, &str)> = (1..=12)
            .map(|n| (format!("web-a{n}"), "eu-west-1a"))
            .collect();
        hosts.extend((1..=24).map(|n| (format!("web-b{n}"), "eu-west-1b")));
        let borrowed: Vec<(&str, &str)> = hosts.iter().map(|(l, z)| (l.as_str(), *z)).collect();
        let mut kinds = vec![EventKind::StepFinished {
            host: Some(host("web-a7")),
            step: step("migrate"),
            result: crate::run::event::StepResult::Ok {
                exit_code: Some(0),
                changed: None,
            },
            duration: Duration::from_secs(30),
        }];
        for n in 1_u64..=12 {
            let label = format!("web-a{n}");
            kinds.push(match n {
                2 => finished(
                    &label,
                    HostOutcome::Failed {
                        step: "migrate".into(),
                        exit_code: Some(1),
                        cause: "exit 1".into(),
                    },
                    4200,
                    &[
                        "connecting to db-1",
                        "relation \"users\" already exists",
                        "migration 0042 aborted",
                    ],
                ),
                _ => finished(&label, HostOutcome::Ok, n * 5000, &[]),
            });
        }
        for n in 1..=24 {
            let reason = "1 of 12 hosts in zone eu-west-1a failed, limit is 0".to_owned();
            kinds.push(finished(
                &format!("web-b{n}"),
                HostOutcome::NotRun { reason },
                0,
                &[],
            ));
        }
        view_of(&borrowed, kinds)
    }

    fn closing() -> Closing {
        Closing {
            rerun: Some("fab-rs deploy".into()),
            processes: [("dump".to_owned(), "jcmd 1234 GC.heap_dump".to_owned())]
                .into_iter()
                .collect(),
        }
    }

    #[test]
    fn a_stopped_rollout_says_who_failed_who_waits_and_what_to_type() {
        insta::assert_snapshot!(text(&stopped_rollout(), &closing(), 100, &[]), @r#"
        web-a2  failed at step `migrate`: exit 1 after 4.2 s, last 3 lines:
                  | connecting to db-1
                  | relation "users" already exists
                  | migration 0042 aborted
        stopped: 1 of 12 hosts in zone eu-west-1a failed, limit is 0; 24 hosts not started: web-b[1-24]
        slowest: web-a12 1 m, web-a11 55 s, web-a10 50 s; half took 30 s or less
        summary: 11 succeeded, 1 failed, 24 not started in 38 s
        record: /state/runs/20250102T030405Z-heapdump-00ff
        next: fab-rs logs last web-a2
        next: fab-rs -H web-a2 deploy
        "#);
    }

    #[test]
    fn a_narrow_screen_counts_what_it_cannot_show() {
        insta::assert_snapshot!(text(&stopped_rollout(), &Closing::default(), 30, &[]), @r#"
        web-a2  failed at step `migrate`: exit 1 after 4.2 s, last 3 lines:
                  | connecting to db-1
                  | relation "users" already exists
                  | migration 0042 aborted
        stopped: 1 of 12 hosts in zone eu-west-1a failed, limit is 0; 24 hosts not started: web-b[1-24]
        slowest: web-a12 1 m, web-a11 55 s, web-a10 50 s; half took 30 s or less
        summary: 11 succeeded, 1 failed, 24 not started in 38 s
        record: /state/runs/20250102T030405Z-heapdump-00ff
        next: fab-rs logs last web-a2
        "#);
    }

    #[test]
    fn a_good_run_is_short_and_lists_its_files() {
        let fetched = |label: &str, bytes| EventKind::FileFetched {
            host: host(label),
            path: format!("/state/runs/x/files/{label}/heap.hprof.gz").into(),
            bytes,
            sha256: String::new(),
        };
        let view = view_of(
            &[("app-1", "z"), ("app-2", "z")],
            vec![
                fetched("app-1", 144_000_000),
                fetched("app-2", 9_000_000),
                finished("app-1", HostOutcome::Ok, 30_000, &[]),
                finished("app-2", HostOutcome::Ok, 38_000, &[]),
            ],
        );
        insta::assert_snapshot!(text(&view, &closing(), 80, &[]), @r"
        fetched 2 files, 145.9 MiB, into /state/runs/x/files
          137.3 MiB  app-1/heap.hprof.gz  from app-1
            8.6 MiB  app-2/heap.hprof.gz  from app-2
        summary: 2 succeeded in 38 s
        record: /state/runs/20250102T030405Z-heapdump-00ff
        ");
        assert!(all_well(&view));
    }

    #[test]
    fn what_may_still_be_running_comes_with_the_command_to_look() {
        let cancelled = |ended| HostOutcome::Cancelled {
            reason: CancelReason::Interrupt,
            step: Some("sleep 600".into()),
            ended,
        };
        let timed_out = HostOutcome::TimedOut {
            step: "dump".into(),
            limit_ms: 2000,
            ended: false,
        };
        let lost = HostOutcome::Unknown {
            step: "dump".into(),
        };
        let cancel = EventKind::CancelStarted {
            reason: CancelReason::Interrupt,
            running: vec![],
        };
        let view = view_of(
            &["app-1", "app-2", "app-3", "app-4"].map(|label| (label, "z")),
            vec![
                cancel,
                finished("app-1", timed_out, 2000, &[]),
                finished("app-2", lost, 2000, &["last words"]),
                finished("app-3", cancelled(false), 2000, &[]),
                finished("app-4", cancelled(true), 2000, &[]),
            ],
        );
        insta::assert_snapshot!(text(&view, &closing(), 80, &[]), @r"
        app-1  timed out at step `dump`: limit 2.0 s; it may still be running
        app-2  connection lost during step `dump`; whether it finished is not known, last line:
                  | last words
        app-3  cancelled at step `sleep 600`: stopped by Ctrl-C; it may still be running
        app-4  cancelled at step `sleep 600`: stopped by Ctrl-C
        stopped: Ctrl-C
        may still be running on app-[1-2] (step `dump`)
          check with: fab-rs run -H app-1,app-2 -- pgrep -af '[j]cmd 1234 GC.heap_dump'
        may still be running on app-3 (step `sleep 600`)
          check with: fab-rs run -H app-3 -- pgrep -af '[s]leep 600'
        summary: 1 timed out, 1 unknown, 2 cancelled in 38 s
        record: /state/runs/20250102T030405Z-heapdump-00ff
        next: fab-rs logs last app-1
        next: fab-rs -H app-1,app-2,app-3,app-4 deploy
        ");
    }

    #[test]
    fn hosts_with_one_cause_share_a_line() {
        let refused = |n: u8| HostOutcome::Unreachable {
            kind: UnreachableKind::Refused,
            causes: vec![format!("connection refused by 10.0.0.{n} port 22")],
        };
        let view = view_of(
            &[("db-1", "z"), ("db-2", "z"), ("db-3", "z"), ("db-4", "z")],
            vec![
                finished("db-1", refused(1), 10, &[]),
                finished("db-2", refused(2), 10, &[]),
                finished("db-3", failed(7), 10, &["\u{1b}[31mno space"]),
                finished("db-4", failed(7), 10, &["no space at all"]),
            ],
        );
        let skipped = [("db-3".to_owned(), 12_345), ("db-4".to_owned(), 1)];
        insta::assert_snapshot!(text(&view, &closing(), 80, &skipped), @r"
        db-[3-4] (2)  failed at step `dump`: exit 7, last line of db-3:
                  | no space
        db-[1-2] (2)  unreachable: connection refused by 10.0.0.1 port 22
                hint: is sshd running there, and on this port? `fab-rs doctor HOST` looks closer
                these are the words of db-1; the others' are alike
        12,346 lines of db-[3-4] could not be shown in time; every line is in /state/runs/20250102T030405Z-heapdump-00ff/hosts
        summary: 2 failed, 2 unreachable in 38 s
        record: /state/runs/20250102T030405Z-heapdump-00ff
        next: fab-rs logs last db-3
        next: fab-rs -H db-1,db-2,db-3,db-4 deploy
        ");
    }

    #[test]
    fn a_daemon_that_was_left_is_told_by_the_summary_of_the_engine() {
        let mut view = view_of(
            &[("app-1", "z")],
            vec![finished("app-1", HostOutcome::Ok, 10, &[])],
        );
        let mut summary = samples::summary(0, "done", &[("app-1", &HostOutcome::Ok)]);
        summary.hosts[0].may_still_run = true;
        view.apply(&event(
            9,
            39_000,
            EventKind::RunFinished {
                summary: Arc::new(summary),
            },
        ));
        assert!(
            text(&view, &Closing::default(), 80, &[]).contains("may still be running on app-1\n")
        );
    }
}
