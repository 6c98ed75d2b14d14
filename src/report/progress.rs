//! The status block as rows of text: what is done, bars by zone, transfers, and the hosts that have been at
//! work longest. Pure; `status_block` puts it on the terminal.

use std::fmt::Write as _;
use std::time::Duration;

use unicode_width::UnicodeWidthStr;

use crate::model::{CancelReason, Label, Size, format_duration};

use super::grammar::{counted, ordinal, outcome_words};
use super::host_failure::{reason_words, short_within};
use super::rollout_rows::{bar, place, rollout_rows, zone_rows};
use super::sanitize::safe;
use super::style::{Role, Styles, cut};
use super::summary::role_of;
use super::view::{HostState, HostView, RunView, Transfer};

/// How the rows are written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RowsLook {
    /// Colours.
    pub(crate) styles: Styles,
    /// Columns; no row is longer.
    pub(crate) width: usize,
    /// Rows at most.
    pub(crate) rows: usize,
}

/// A host that printed nothing for so long is said to be silent.
const SILENT: Duration = Duration::from_secs(10);
/// Characters of a step's name.
const STEP_WIDTH: usize = 36;
/// Hosts that are shown by name; the others are counted.
const NAMED_HOSTS: usize = 8;

/// The rows at `now`, which is the time since the run's start.
pub(crate) fn rows(view: &RunView, now: Duration, look: RowsLook) -> Vec<String> {
    if view.run.is_none() || view.summary.is_some() {
        return Vec::new();
    }
    let mut rows = vec![head(view, now, look.styles)];
    if let Some(row) = stopping(view, look.styles) {
        rows.push(row);
    }
    rows.extend(rollout_rows(view, now, look));
    if let Some((step, since)) = &view.controller {
        let took = format_duration(now.saturating_sub(*since));
        rows.push(format!(
            "local  {} {took}",
            safe(&short_within(&step.name, STEP_WIDTH))
        ));
    }
    let zones = zone_rows(view, look.styles);
    let room = look
        .rows
        .saturating_sub(rows.len() + zones.len().min(look.rows / 2));
    rows.extend(fitted(zones, look.rows / 2, "zone"));
    rows.extend(host_rows(view, now, look, room));
    rows.truncate(look.rows.max(1));
    rows.into_iter().map(|row| cut(&row, look.width)).collect()
}

/// The first rows, and how many were left out.
fn fitted(mut rows: Vec<String>, room: usize, noun: &str) -> Vec<String> {
    if rows.len() > room {
        let shown = room.saturating_sub(1);
        let rest = counted(rows.len() - shown, &format!("more {noun}"));
        rows.truncate(shown);
        rows.push(format!("and {rest}"));
    }
    rows
}

/// `heapdump  7/12 done: 6 succeeded, 1 failed; 4 at work; batch 2 of 3; 1 m 12 s`.
fn head(view: &RunView, now: Duration, styles: Styles) -> String {
    let counts = view.counts();
    let done = view.hosts.values().filter(|host| host.is_done()).count();
    let busy = view
        .hosts
        .values()
        .filter(|host| host.busy_since().is_some())
        .count();
    let counts: Vec<String> = counts
        .iter()
        .map(|(word, count)| {
            let text = format!("{count} {}", outcome_words(word));
            styles.paint(role_of(word), text).to_string()
        })
        .collect();
    let name = styles.paint(Role::Strong, safe(&view.task));
    let mut row = format!("{name}  {done}/{} done", view.hosts.len());
    if !counts.is_empty() {
        row.push_str(": ");
        row.push_str(&counts.join(", "));
    }
    if busy > 0 {
        let _ = write!(row, "; {busy} at work");
    }
    let _ = write!(row, "{}; {}", place(view), format_duration(now));
    row
}

fn stopping(view: &RunView, styles: Styles) -> Option<String> {
    let reason = view.cancel?;
    if reason == CancelReason::HostFailed && view.rollout.stop.is_some() {
        return None;
    }
    let reason = reason_words(reason);
    let next = if view.killing {
        "the remote processes are being ended; Ctrl-C leaves without waiting for that"
    } else {
        "hosts at work may finish; Ctrl-C ends their processes"
    };
    Some(
        styles
            .paint(Role::Warning, format!("{reason}: {next}"))
            .to_string(),
    )
}

/// The hosts at work, the oldest first, so that what holds everything up is on top.
fn host_rows(view: &RunView, now: Duration, look: RowsLook, room: usize) -> Vec<String> {
    let busy = view.busy();
    let room = room.min(NAMED_HOSTS + 1);
    let shown = if busy.len() > room {
        room.saturating_sub(1)
    } else {
        busy.len()
    };
    let named = &busy[..shown];
    let column = named
        .iter()
        .map(|(label, ..)| safe(label.as_str()).width())
        .max()
        .unwrap_or(0);
    let mut rows: Vec<String> = named
        .iter()
        .map(|(label, host, since)| {
            host_row(
                label,
                host,
                now.saturating_sub(*since),
                now,
                column,
                look.styles,
            )
        })
        .collect();
    if busy.len() > shown && room > 0 {
        let rest = counted(busy.len() - shown, "more host");
        rows.push(
            look.styles
                .paint(Role::Dim, format!("and {rest} at work"))
                .to_string(),
        );
    }
    rows
}

#[expect(clippy::too_many_arguments, reason = "a row is made of just these")]
fn host_row(
    label: &Label,
    host: &HostView,
    age: Duration,
    now: Duration,
    column: usize,
    styles: Styles,
) -> String {
    let name = safe(label.as_str());
    let pad = " ".repeat(column.saturating_sub(name.width()));
    let lead = format!("{}{pad}  ", styles.label(&name));
    let (step, since) = match (&host.step, &host.state) {
        (Some((step, since)), _) => (
            safe(&short_within(&step.name, STEP_WIDTH)).into_owned(),
            now.saturating_sub(*since),
        ),
        (None, HostState::Connecting { .. }) => (connecting(host.attempt), age),
        (None, _) => ("between steps".to_owned(), age),
    };
    if let Some(transfer) = &host.transfer {
        return format!("{lead}{step}  {}", transfer_text(transfer));
    }
    let mut row = format!("{lead}{step} {}", format_duration(since));
    let silence = now.saturating_sub(host.heard);
    if silence >= SILENT && matches!(host.state, HostState::Working { .. }) {
        let text = format!(", silent for {} s", silence.as_secs());
        row.push_str(&styles.paint(Role::Warning, text).to_string());
    }
    row
}

/// `connecting`, or `connecting, 2nd of 3`.
fn connecting(attempt: Option<(u32, u32)>) -> String {
    match attempt {
        None => "connecting".to_owned(),
        Some((attempt, most)) => format!("connecting, {} of {most},", ordinal(attempt)),
    }
}

/// `████░░ 137.1/825.0 MiB, 12.0 MiB/s, 55 s left`.
fn transfer_text(transfer: &Transfer) -> String {
    let spent = transfer.latest.saturating_sub(transfer.since);
    let moved = transfer.done.saturating_sub(transfer.first);
    let rate = match u64::try_from(spent.as_millis()) {
        Ok(ms) if ms >= 500 => moved.saturating_mul(1000) / ms,
        _ => 0,
    };
    let speed = if rate > 0 {
        format!(", {}/s", Size(rate))
    } else {
        String::new()
    };
    match transfer.total {
        None => format!("{}{speed}", Size(transfer.done)),
        Some(total) => {
            let left = total.saturating_sub(transfer.done).checked_div(rate);
            let left = left
                .filter(|_| total > transfer.done)
                .map(|seconds| {
                    format!(
                        ", {} left",
                        format_duration(Duration::from_secs(seconds.max(1)))
                    )
                })
                .unwrap_or_default();
            format!(
                "{} {} of {}{speed}{left}",
                bar(transfer.done, total),
                Size(transfer.done),
                Size(total)
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::model::HostOutcome;
    use crate::run::event::EventKind;
    use crate::task::Kind;

    use super::super::samples::{
        connect_retried, event, failed, finished, host, run_started, step,
    };
    use super::*;

    fn shown(view: &RunView, seconds: u64, width: usize, rows_at_most: usize) -> String {
        let look = RowsLook {
            styles: Styles::plain(),
            width,
            rows: rows_at_most,
        };
        rows(view, Duration::from_secs(seconds), look).join("\n")
    }

    /// Twelve hosts in three zones: some done, one in a transfer, one silent, one connecting.
    fn busy_run() -> RunView {
        let hosts: Vec<(String, String)> = (0..12)
            .map(|n| {
                (
                    format!("app-{}", n + 1),
                    format!("us-west-2{}", ["a", "b", "c"][n % 3]),
                )
            })
            .collect();
        let hosts: Vec<(&str, &str)> = hosts
            .iter()
            .map(|(l, z)| (l.as_str(), z.as_str()))
            .collect();
        let mut view = RunView::default();
        let mut at = |ms, kind| view.apply(&event(0, ms, kind));
        at(0, run_started(Kind::Change, &hosts));
        for label in ["app-1", "app-2", "app-3", "app-4", "app-5", "app-6"] {
            at(1000, EventKind::HostStarted { host: host(label) });
        }
        for label in ["app-1", "app-2", "app-4", "app-5"] {
            at(2000, EventKind::HostConnected { host: host(label) });
        }
        at(3000, finished("app-1", HostOutcome::Ok, 2000, &[]));
        at(3000, finished("app-2", failed(1), 2000, &[]));
        for label in ["app-4", "app-5"] {
            at(
                4000,
                EventKind::StepStarted {
                    host: Some(host(label)),
                    step: step("dump"),
                },
            );
        }
        for (ms, done) in [(10_000, 100 << 20), (20_000, 200 << 20)] {
            let progress = EventKind::TransferProgressed {
                host: host("app-5"),
                step: step("dump"),
                done,
                total: Some(400 << 20),
            };
            at(ms, progress);
        }
        view
    }

    #[test]
    fn the_block_shows_what_is_done_and_what_holds_it_up() {
        insta::assert_snapshot!(shown(&busy_run(), 94, 100, 20), @r"
        heapdump  2/12 done: 1 succeeded, 1 failed; 4 at work; 1 m 34 s
        us-west-2a  █████░░░░░░░░░░░░░░░ 1/4
        us-west-2b  █████░░░░░░░░░░░░░░░ 1/4  1 failed
        us-west-2c  ░░░░░░░░░░░░░░░░░░░░ 0/4
        app-3  connecting 1 m 33 s
        app-4  dump 1 m 30 s, silent for 90 s
        app-5  dump  ██████████░░░░░░░░░░ 200.0 MiB of 400.0 MiB, 10.0 MiB/s, 20 s left
        app-6  connecting 1 m 33 s
        ");
    }

    #[test]
    fn a_connection_that_is_tried_again_says_which_try_it_is() {
        let mut view = busy_run();
        view.apply(&event(0, 21_000, connect_retried("app-6")));
        assert!(shown(&view, 94, 100, 20).contains("app-6  connecting, 2nd of 3, 1 m 33 s"));
    }

    #[test]
    fn a_small_screen_sums_up() {
        insta::assert_snapshot!(shown(&busy_run(), 94, 40, 5), @r"
        heapdump  2/12 done: 1 succeeded, 1 fai…
        us-west-2a  █████░░░░░░░░░░░░░░░ 1/4
        and 2 more zones
        app-3  connecting 1 m 33 s
        and 3 more hosts at work
        ");
        assert_eq!(shown(&busy_run(), 94, 40, 1).lines().count(), 1);
    }

    #[test]
    fn many_hosts_stay_within_the_rows() {
        let hosts: Vec<String> = (0..200).map(|n| format!("h{n}")).collect();
        let planned: Vec<(&str, &str)> = hosts.iter().map(|label| (label.as_str(), "z")).collect();
        let mut view = RunView::default();
        view.apply(&event(0, 0, run_started(Kind::Read, &planned)));
        for label in &hosts {
            view.apply(&event(1, 0, EventKind::HostStarted { host: host(label) }));
        }
        insta::assert_snapshot!(shown(&view, 5, 60, 20), @r"
        heapdump  0/200 done; 200 at work; 5.0 s
        h0  connecting 5.0 s
        h1  connecting 5.0 s
        h2  connecting 5.0 s
        h3  connecting 5.0 s
        h4  connecting 5.0 s
        h5  connecting 5.0 s
        h6  connecting 5.0 s
        h7  connecting 5.0 s
        and 192 more hosts at work
        ");
    }

    #[test]
    fn a_cancelled_run_says_what_the_next_ctrl_c_does() {
        let mut view = busy_run();
        view.apply(&event(
            0,
            21_000,
            EventKind::CancelStarted {
                reason: CancelReason::Interrupt,
                running: vec![],
            },
        ));
        assert_eq!(
            shown(&view, 94, 100, 20).lines().nth(1),
            Some("stopped by Ctrl-C: hosts at work may finish; Ctrl-C ends their processes")
        );
        view.apply(&event(
            0,
            21_000,
            EventKind::KillStarted { running: vec![] },
        ));
        assert_eq!(
            shown(&view, 94, 100, 20).lines().nth(1),
            Some(
                "stopped by Ctrl-C: the remote processes are being ended; Ctrl-C leaves without waiting for that"
            )
        );
    }

    #[test]
    fn there_is_no_block_before_the_start_and_after_the_end() {
        assert_eq!(shown(&RunView::default(), 0, 80, 20), "");
        let mut view = busy_run();
        let summary = super::super::samples::summary(0, "done", &[]);
        view.apply(&event(
            0,
            0,
            EventKind::RunFinished {
                summary: std::sync::Arc::new(summary),
            },
        ));
        assert_eq!(shown(&view, 94, 80, 20), "");
    }
}
