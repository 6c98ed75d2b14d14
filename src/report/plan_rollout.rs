//! How a phase goes through its hosts, as the plan's text shows it: the numbers, a picture of zones and batches,
//! the batches with their pauses, the worst case. Pure. The steps are `plan`'s.

use std::fmt::Write as _;
use std::time::Duration;

use crate::model::{Amount, Zone, format_duration};
use crate::plan::{Batch, By, HostPlan, Phase, Plan, WorstOut};
use crate::task::{Condition, Kind, Mode};

use super::fold::fold;
use super::grammar::counted;
use super::sanitize::safe;
use super::style::{Role, Styles};

/// Batches that are all alike are shown as one line where there are more than this.
const BATCHES_SHOWN: usize = 24;

/// Columns of a picture: more would be no picture.
const MAX_COLUMNS: usize = 24;

/// A cell with this many hosts or fewer has their names, where all of those are short.
const NAMED_HOSTS: usize = 2;

/// The longest name, or names, that stand in a cell.
const MAX_CELL: usize = 9;

/// Appends the strategy's numbers, the picture, and the batches.
pub(super) fn push_rollout(out: &mut String, (plan, number): (&Plan, usize), styles: Styles) {
    let phase = &plan.phases[number];
    let _ = writeln!(out, "{}", strategy_line(phase, plan.kind));
    if plan.kind == Kind::Change {
        for line in keeps(plan, number) {
            let _ = writeln!(out, "  {line}");
        }
        push_picture(out, phase, styles);
    }
    for run in alike(phase) {
        push_batches(out, phase, run);
    }
    let pauses = phase.min_time();
    if !pauses.is_zero() {
        let _ = writeln!(
            out,
            "  pauses: {} in all, at least",
            format_duration(pauses)
        );
    }
    if plan.kind == Kind::Change && phase.batches.len() > 1 {
        let failed = phase.worst_failures();
        let _ = writeln!(
            out,
            "  worst case: {} failed when it stops; a pause may find more",
            counted(failed, "host")
        );
    }
}

/// `by zone, 2 at once (50%), 0 failures tolerated; at most 2 hosts out at once: us-west-2a 2, us-west-2b 1`.
fn strategy_line(phase: &Phase, kind: Kind) -> String {
    let by = match phase.by {
        By::Az => "zone by zone",
        By::Spread => "spread over the zones",
        By::Flat => "in order",
    };
    let total: usize = phase.batches.iter().map(|batch| batch.hosts.len()).sum();
    let most = phase.resolved.batch;
    let size = match phase.asked.batch.as_slice() {
        _ if phase.batches.len() <= 1 => "all at once".to_owned(),
        [asked @ Amount::Percent(_)] => format!("{by}, {most} at once ({asked})"),
        sizes if sizes.len() > 1 => {
            let sizes: Vec<String> = sizes.iter().map(ToString::to_string).collect();
            format!("{by}, {most} at once at most ({})", sizes.join(", then "))
        }
        _ => format!("{by}, {most} at once"),
    };
    let window = match phase.pace.mode {
        Mode::Window if phase.batches.len() > 1 => ", the next one as soon as one is done",
        _ => "",
    };
    let failures = match (phase.resolved.max_failures, phase.asked.max_failures) {
        (None, _) => "any number of failures tolerated".to_owned(),
        (Some(0), Some(asked @ Amount::Percent(1..))) => {
            format!("stops at the first failure ({asked})")
        }
        (Some(0), _) => "stops at the first failure".to_owned(),
        (Some(most), _) if most >= total => "any number of failures tolerated".to_owned(),
        (Some(most), Some(asked @ Amount::Percent(_))) => {
            format!("{} tolerated ({asked})", counted(most, "failure"))
        }
        (Some(most), _) => format!("{} tolerated", counted(most, "failure")),
    };
    match kind {
        // Looking takes no host out.
        Kind::Read => format!("{size}{window}, {failures}"),
        Kind::Change => format!(
            "{size}{window}, {failures}; {}",
            worst_line(&phase.worst_out)
        ),
    }
}

fn worst_line(worst: &WorstOut) -> String {
    let overall = counted(worst.overall, "host");
    let zones: Vec<String> = worst
        .per_zone
        .iter()
        .filter(|(_, count)| **count > 0)
        .map(|(zone, count)| format!("{} {count}", safe(zone.as_str())))
        .collect();
    if zones.len() < 2 {
        format!("at most {overall} out at once")
    } else {
        format!("at most {overall} out at once ({})", zones.join(", "))
    }
}

/// What must stay, with the number beside what was asked.
fn keeps(plan: &Plan, number: usize) -> Vec<String> {
    let phase = &plan.phases[number];
    let (resolved, asked) = (&phase.resolved, &phase.asked);
    let beside = |asked: Option<Amount>| match asked {
        Some(percent @ Amount::Percent(_)) => format!(" ({percent})"),
        _ => String::new(),
    };
    let all = plan.population.len();
    let mut lines = Vec::new();
    if let Some(quorum) = resolved.quorum {
        let (voters, majority) = (quorum.voters, quorum.majority);
        lines.push(format!(
            "quorum: {majority} of {voters} must stay, {} may be lost; {} at a time",
            quorum.tolerance, quorum.at_once
        ));
    }
    if let Some(least) = resolved.min_healthy {
        let percent = beside(asked.min_healthy);
        lines.push(format!("keeps {least} of {all} healthy{percent}"));
    }
    if let Some(zones) = &resolved.min_healthy_per_zone {
        let each: Vec<String> = zones
            .iter()
            .map(|(zone, least)| format!("{} {least}", safe(zone.as_str())))
            .collect();
        let percent = beside(asked.min_healthy_per_zone);
        lines.push(format!(
            "keeps healthy in each zone{percent}: {}",
            each.join(", ")
        ));
    }
    if let (Some(cap), Some(most)) = (resolved.cap, asked.max_unavailable) {
        let percent = beside(Some(most));
        lines.push(format!("takes {cap} of {all} at most{percent}"));
    }
    lines.extend(failures_within(phase));
    lines.extend(taken_last(plan, number));
    let has_health = phase
        .hosts
        .first()
        .is_some_and(|host| !host.health.is_empty());
    if has_health {
        let implied = match (resolved.min_healthy, resolved.quorum) {
            (Some(_), _) => "",
            (None, Some(_)) => ", and that every other member is healthy",
            (None, None) => ", and that no more hosts fell than this run took and tolerates",
        };
        lines.push(format!(
            "before each batch: asks the health of {}{implied}; waits {} for it",
            counted(all, "host"),
            format_duration(phase.pace.health_wait)
        ));
    }
    lines
}

/// Which hosts are taken last, where only their facts can tell.
fn taken_last(plan: &Plan, number: usize) -> Option<String> {
    let mut members = plan.members.iter();
    let source = members.find_map(|member| match &member.last[number] {
        Some(Condition::Expression(last)) => Some(&last.source),
        _ => None,
    })?;
    Some(format!("last, one at a time: hosts where {}", safe(source)))
}

fn failures_within(phase: &Phase) -> Option<String> {
    let zone = phase.asked.max_failures_per_zone;
    let zone = zone.map(|amount| format!("{amount} in a zone"));
    let batch = phase.asked.max_failures_per_batch;
    let batch = batch.map(|amount| format!("{amount} in a batch"));
    let within: Vec<String> = zone.into_iter().chain(batch).collect();
    (!within.is_empty()).then(|| format!("tolerates {}", within.join(", ")))
}

/// Zones as rows, batches as columns, hosts named where they are few and counted where not.
fn push_picture(out: &mut String, phase: &Phase, styles: Styles) {
    let zones = zones(phase);
    let columns = phase.batches.len();
    if zones.len() < 2 || !(2..=MAX_COLUMNS).contains(&columns) {
        return;
    }
    let cells: Vec<Vec<String>> = zones.iter().map(|zone| row(phase, zone)).collect();
    let names_fit = cells
        .iter()
        .flatten()
        .all(|names| names.chars().count() <= MAX_CELL);
    let shown = |zone: usize, batch: usize| {
        if names_fit {
            cells[zone][batch].clone()
        } else {
            count_cell(phase, &zones[zone], batch)
        }
    };
    let lead = zones.iter().map(|zone| zone.as_str().chars().count());
    let lead = lead.max().unwrap_or(0).max("batch".len());
    let widths: Vec<usize> = (0..columns)
        .map(|batch| {
            let cells = (0..zones.len()).map(|zone| shown(zone, batch).chars().count());
            let number = (batch + 1).to_string().len();
            cells.max().unwrap_or(0).max(number)
        })
        .collect();
    let line = |head: &str, cells: Vec<String>| {
        let mut line = format!("  {head:lead$}");
        for (cell, width) in cells.iter().zip(&widths) {
            let _ = write!(line, "  {cell:width$}");
        }
        line.trim_end().to_owned()
    };
    let numbers = (1..=columns).map(|number| number.to_string()).collect();
    let _ = writeln!(out, "{}", styles.paint(Role::Dim, line("batch", numbers)));
    for (at, zone) in zones.iter().enumerate() {
        let cells = (0..columns).map(|batch| shown(at, batch)).collect();
        let _ = writeln!(out, "{}", line(&safe(zone.as_str()), cells));
    }
}

fn zones(phase: &Phase) -> Vec<Zone> {
    let mut zones: Vec<Zone> = Vec::new();
    for planned in phase.in_order() {
        let zone = planned.host.zone();
        if !zones.contains(&zone) {
            zones.push(zone);
        }
    }
    zones
}

fn of_zone<'a>(phase: &'a Phase, zone: &Zone, batch: usize) -> impl Iterator<Item = &'a HostPlan> {
    let zone = zone.clone();
    let hosts = phase.hosts_of(&phase.batches[batch]);
    hosts.filter(move |planned| planned.host.zone() == zone)
}

fn row(phase: &Phase, zone: &Zone) -> Vec<String> {
    let cell = |batch: usize| {
        let hosts = of_zone(phase, zone, batch).map(|planned| planned.host.label.as_str());
        let hosts: Vec<&str> = hosts.collect();
        match hosts.len() {
            0 => "·".to_owned(),
            // Longer than any cell: the picture counts then.
            count if count > NAMED_HOSTS => " ".repeat(MAX_CELL + 1),
            _ => safe(&hosts.join(" ")).into_owned(),
        }
    };
    (0..phase.batches.len()).map(cell).collect()
}

fn count_cell(phase: &Phase, zone: &Zone, batch: usize) -> String {
    match of_zone(phase, zone, batch).count() {
        0 => "·".to_owned(),
        count => count.to_string(),
    }
}

/// Runs of batches that differ in nothing but their hosts; each by itself where there are few.
fn alike(phase: &Phase) -> Vec<std::ops::Range<usize>> {
    let count = phase.batches.len();
    let mut runs: Vec<std::ops::Range<usize>> = Vec::new();
    let look = |at: usize| {
        let batch = &phase.batches[at];
        let bake = phase.bake_after(&phase.batches, at);
        (
            &batch.zone,
            batch.canary,
            batch.last,
            batch.hosts.len(),
            bake,
        )
    };
    for at in 0..count {
        match runs.last_mut() {
            Some(run) if count > BATCHES_SHOWN && look(run.start) == look(at) => run.end = at + 1,
            _ => runs.push(at..at + 1),
        }
    }
    runs
}

fn push_batches(out: &mut String, phase: &Phase, run: std::ops::Range<usize>) {
    let count = phase.batches.len();
    let first: &Batch = &phase.batches[run.start];
    let hosts = phase.batches[run.clone()].iter();
    let labels = hosts.flat_map(|batch| phase.hosts_of(batch));
    let hosts = fold(labels.map(|host| host.host.label.as_str()));
    let zone = match &first.zone {
        Some(zone) => format!("{}  ", safe(zone.as_str())),
        None => String::new(),
    };
    let note = match (first.canary, first.last) {
        (true, _) => "  (canary)",
        (false, true) => "  (last)",
        (false, false) => "",
    };
    let number = match run.len() {
        _ if count == 1 => String::new(),
        1 => format!("batch {}  ", run.start + 1),
        _ => format!("batches {} to {}  ", run.start + 1, run.end),
    };
    let size = match (first.hosts.len(), run.len()) {
        (size, 1) => size.to_string(),
        (size, _) => format!("{size} each"),
    };
    let pause = pause_words(phase.bake_after(&phase.batches, run.start));
    let _ = writeln!(
        out,
        "  {number}{zone}{} ({size}){note}{pause}",
        safe(&hosts)
    );
}

fn pause_words(pause: Duration) -> String {
    if pause.is_zero() {
        String::new()
    } else {
        format!("  then {}", format_duration(pause))
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    fn shown(plan: &Plan) -> String {
        let mut out = String::new();
        push_rollout(&mut out, (plan, 0), Styles::plain());
        out
    }

    #[test]
    fn pauses_and_numbers_stand_beside_what_was_asked() {
        let mut plan = samples::plan();
        let phase = &mut plan.phases[0];
        phase.pace.bakes.zone = Some(Duration::from_mins(10));
        phase.resolved.min_healthy = Some(3);
        phase.asked.min_healthy = Some(Amount::Percent(75));
        insta::assert_snapshot!(shown(&plan), @r"
        zone by zone, 2 at once (50%), stops at the first failure; at most 2 hosts out at once (us-west-2a 2, us-west-2b 1)
          keeps 3 of 4 healthy (75%)
          batch       1  2
          us-west-2a  2  ·
          us-west-2b  ·  1
          batch 1  us-west-2a  app-[1-2] (2)  (canary)  then 10 m
          batch 2  us-west-2b  app-3 (1)
          pauses: 10 m in all, at least
          worst case: 2 hosts failed when it stops; a pause may find more
        ");
    }

    #[test]
    fn many_batches_that_are_alike_are_one_line() {
        let mut plan = samples::plan();
        let phase = &mut plan.phases[0];
        let host = phase.hosts[0].clone();
        phase.hosts = vec![host; 40];
        let one = |index| Batch {
            index,
            canary: index == 0,
            hosts: vec![index],
            ..phase.batches[0].clone()
        };
        phase.batches = (0..40).map(one).collect();
        let text = shown(&plan);
        assert!(text.contains("batches 2 to 40  us-west-2a  "), "{text}");
        assert!(text.contains("(1 each)"), "{text}");
    }
}
