//! The status block's rows about a rollout: what it waits for with a countdown, why it stopped, how far a
//! rollback is, what is out, and a bar for each zone. Pure; the other rows are `progress`'s.

use std::fmt::Write as _;
use std::time::Duration;

use indexmap::IndexMap;
use unicode_width::UnicodeWidthStr;

use crate::model::{CancelReason, Zone, format_duration};
use crate::run::event::{BakeReason, RollbackResult};

use super::grammar::counted;
use super::progress::RowsLook;
use super::rollout_view::{Pause, RolloutView};
use super::rollout_words::{bake_words, left, out_words, shortfall_words, stop_words};
use super::sanitize::safe;
use super::style::{Role, Styles};
use super::view::RunView;

/// Columns of a bar.
pub(crate) const BAR: usize = 20;

/// What the rollout as a whole does, at `now`.
pub(crate) fn rollout_rows(view: &RunView, now: Duration, look: RowsLook) -> Vec<String> {
    let rollout = &view.rollout;
    let looking = rollout
        .looking
        .map(|asked| format!("preflight: asking {} how they are", counted(asked, "host")));
    let out = || {
        let hosts = out_words(view, look.width)?;
        Some(format!("out now: {hosts}"))
    };
    let rows = [
        looking,
        stop_row(view, look),
        undo_row(view, look.styles),
        rollout
            .pause
            .as_ref()
            .map(|pause| pause_row(pause, view, now, look)),
        if is_staged(rollout) { out() } else { None },
    ];
    rows.into_iter().flatten().collect()
}

/// Whether there is more to say of it than of a run on all hosts at once.
fn is_staged(rollout: &RolloutView) -> bool {
    rollout.is_batched() || rollout.undo.is_some()
}

/// Where a rollout is: `; batch 2 of 7; phase stage, 1 of 2`.
pub(crate) fn place(view: &RunView) -> String {
    let mut place = String::new();
    if let Some(batch) = view.batch.as_ref().filter(|batch| batch.count > 1) {
        let _ = write!(place, "; batch {} of {}", batch.index + 1, batch.count);
    }
    if let Some(phase) = view.rollout.phase.as_ref().filter(|phase| phase.count > 1) {
        let name = safe(&phase.name);
        let _ = write!(
            place,
            "; phase {name}, {} of {}",
            phase.index + 1,
            phase.count
        );
    }
    place
}

fn stop_row(view: &RunView, look: RowsLook) -> Option<String> {
    let by_signal = view
        .cancel
        .is_some_and(|reason| reason != CancelReason::HostFailed);
    let stop = view.rollout.stop.as_ref().filter(|_| !by_signal)?;
    let words = stop_words(&stop.because, view, look.width);
    let lead = look.styles.paint(Role::Warning, "stopped:");
    let rest = if view.rollout.undo.is_some() || view.busy().is_empty() {
        ""
    } else if view.killing {
        "; the remote processes are being ended"
    } else {
        "; hosts at work may finish, Ctrl-C ends their processes"
    };
    Some(format!("{lead} {words}{rest}"))
}

fn undo_row(view: &RunView, styles: Styles) -> Option<String> {
    let hosts = view.rollout.undo.as_ref()?;
    let ends = |wanted: fn(&RollbackResult) -> bool| {
        let result = |label| view.hosts.get(label)?.rollback.as_ref();
        hosts
            .iter()
            .filter_map(result)
            .filter(|result| wanted(result))
            .count()
    };
    let done = ends(|result| matches!(result, RollbackResult::Done));
    let failed = ends(|result| !matches!(result, RollbackResult::Done));
    let failed = match failed {
        0 => String::new(),
        count => styles
            .paint(Role::Error, format!(", {count} not"))
            .to_string(),
    };
    Some(format!(
        "rolling back: {done} of {} restored{failed}",
        counted(hosts.len(), "host")
    ))
}

fn pause_row(pause: &Pause, view: &RunView, now: Duration, look: RowsLook) -> String {
    match pause {
        Pause::Health {
            shortfall,
            limit,
            since,
        } => {
            let lead = look.styles.paint(Role::Warning, "waiting for health");
            let missing = shortfall_words(shortfall, view, look.width);
            format!("{lead}, {} left: {missing}", left(*limit, *since, now))
        }
        Pause::Bake {
            length,
            why,
            watched,
            since,
        } => {
            let (rest, hosts) = (left(*length, *since, now), counted(*watched, "host"));
            let (length, after) = (format_duration(*length), bake_words(*why, view));
            let next = match why {
                BakeReason::Last => "over",
                _ => "next batch",
            };
            format!("baking {length} {after}: {next} in {rest}, {hosts} watched")
        }
    }
}

/// Hosts of a zone.
#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    all: usize,
    done: usize,
    failed: usize,
    out: usize,
}

/// A bar for each zone where there are several.
pub(crate) fn zone_rows(view: &RunView, styles: Styles) -> Vec<String> {
    let mut zones: IndexMap<&Zone, Tally> = IndexMap::new();
    for host in view.hosts.values() {
        let zone = zones.entry(&host.zone).or_default();
        zone.all += 1;
        zone.done += usize::from(host.is_done());
        let failed = host
            .end()
            .is_some_and(|end| end.outcome.counts_as_failure());
        zone.failed += usize::from(failed);
        zone.out += usize::from(host.busy_since().is_some() && host.undoing.is_none());
    }
    if zones.len() < 2 || view.hosts.len() < 4 {
        return Vec::new();
    }
    zones.sort_unstable_keys();
    let column = zones
        .keys()
        .map(|zone| safe(zone.as_str()).width())
        .max()
        .unwrap_or(0);
    let staged = is_staged(&view.rollout);
    zones
        .into_iter()
        .map(|(zone, tally)| {
            let name = safe(zone.as_str()).into_owned();
            let pad = " ".repeat(column.saturating_sub(name.width()));
            let row = if staged {
                staged_row(tally, styles)
            } else {
                plain_row(tally, styles)
            };
            format!("{name}{pad}  {row}")
        })
        .collect()
}

/// `█████░░░░░░░░░░░░░░░ 1/4  1 failed`.
fn plain_row(tally: Tally, styles: Styles) -> String {
    let Tally {
        all, done, failed, ..
    } = tally;
    let failed = failed_words(failed, styles);
    format!("{} {done}/{all}{failed}", bar(done as u64, all as u64))
}

/// `█████x▒▒░░░░░░░░░░░░ 2/4  1 failed  1 out`: done, failed, out, left.
fn staged_row(tally: Tally, styles: Styles) -> String {
    let Tally {
        all,
        done,
        failed,
        out,
    } = tally;
    let parts = [(done - failed.min(done), '█'), (failed, 'x'), (out, '▒')];
    let failed = failed_words(failed, styles);
    let out = match out {
        0 => String::new(),
        count => format!("  {count} out"),
    };
    format!("{} {done}/{all}{failed}{out}", stacked(&parts, all))
}

fn failed_words(failed: usize, styles: Styles) -> String {
    match failed {
        0 => String::new(),
        count => styles
            .paint(Role::Error, format!("  {count} failed"))
            .to_string(),
    }
}

/// A bar of parts: each that is not empty has a cell at least, what is left is light.
fn stacked(parts: &[(usize, char)], all: usize) -> String {
    let (mut cells, mut seen, mut at) = (String::new(), 0, 0);
    for (count, mark) in parts {
        seen += count;
        let end = (seen * BAR / all.max(1))
            .max(at + usize::from(*count > 0))
            .min(BAR);
        cells.extend(std::iter::repeat_n(*mark, end - at));
        at = end;
    }
    cells.extend(std::iter::repeat_n('░', BAR - at));
    cells
}

/// A bar of so much of it all.
pub(crate) fn bar(done: u64, all: u64) -> String {
    let part = u128::from(done.min(all)) * BAR as u128;
    let filled = usize::try_from(part / u128::from(all.max(1))).unwrap_or(BAR);
    format!("{}{}", "█".repeat(filled), "░".repeat(BAR - filled))
}
