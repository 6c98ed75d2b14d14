//! What an operator should know before saying yes to a plan.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::fleet::zone_sizes;
use super::request::PlanRequest;
use super::{Phase, Plan};
use crate::model::{Amount, Host, Zone, format_duration};
use crate::task::Kind;

/// A host younger than this may still be starting.
const SETTLED: Duration = Duration::from_mins(10);

/// How many hosts a warning names.
const HOSTS_SHOWN: usize = 3;

/// A population that shrank by more hundredths than this since the last run may lack hosts.
const SHRUNK_PERCENT: usize = 20;

/// The warnings of a plan, the gravest first. A task that only reads has none. `clamped` has what each phase's
/// largest batch would be but for `quorum`.
pub(super) fn of(plan: &Plan, request: &PlanRequest<'_>, clamped: &[Option<usize>]) -> Vec<String> {
    if plan.kind == Kind::Read {
        return Vec::new();
    }
    let population = zone_sizes(&plan.population);
    let mut warnings = Vec::new();
    warnings.extend(shrunk(plan.population.len(), request.last_population));
    for (phase, clamped) in plan.phases.iter().zip(clamped) {
        warnings.extend(quorum(phase, &population, *clamped));
        warnings.extend(emptied_zones(&phase.worst_out.per_zone, &population));
        warnings.extend(wide_batch(phase, request.fanout));
        warnings.extend(rounded_down(phase, plan.population.len()));
        warnings.extend(unmeasured(phase, plan));
    }
    warnings.extend(young_hosts(plan, request.now));
    // Phases of one fleet share their zones.
    let mut seen = BTreeSet::new();
    warnings.retain(|warning| seen.insert(warning.clone()));
    warnings
}

/// Steps that put a value into a shell text as it is: what the value holds, the shell executes.
pub(super) fn unquoted(steps: &BTreeSet<String>) -> impl Iterator<Item = String> {
    steps
        .iter()
        .map(|name| format!("step `{name}` puts a value unquoted into its shell text (`| raw`)"))
}

fn shrunk(now: usize, before: Option<usize>) -> Option<String> {
    let before = before?;
    let is_small = now * 100 < before * (100 - SHRUNK_PERCENT);
    is_small.then(|| {
        format!("the selection has {now} hosts, the last run had {before}: are some missing?")
    })
}

/// What the zones of a consensus group mean for it.
fn quorum(
    phase: &Phase,
    population: &BTreeMap<Zone, usize>,
    clamped: Option<usize>,
) -> Vec<String> {
    let Some(quorum) = phase.resolved.quorum else {
        return Vec::new();
    };
    let mut warnings = Vec::new();
    let (voters, majority) = (quorum.voters, quorum.majority);
    for (zone, members) in population {
        if *members > quorum.tolerance && population.len() > 1 {
            let holds = if *members >= majority {
                "a majority"
            } else {
                "half"
            };
            warnings.push(format!(
                "zone {zone} holds {holds} of the quorum ({members} of {voters}): losing zone {zone} alone loses quorum, before this run and after it"
            ));
        }
    }
    if let Some(would) = clamped {
        warnings.push(format!(
            "`quorum` takes {} at a time instead of the {would} that `batch` asks for",
            quorum.at_once
        ));
    }
    if quorum.tolerance == 0 {
        warnings.push(format!(
            "the group of {voters} does not serve while one of them is out (`--allow-quorum-loss`)"
        ));
    }
    warnings
}

fn wide_batch(phase: &Phase, fanout: usize) -> Option<String> {
    let batch = phase.resolved.batch;
    (batch > fanout).then(|| {
        format!(
            "a batch of {batch} is larger than the fan-out of {fanout}: no more than {fanout} hosts are at work at once"
        )
    })
}

/// A percentage that came to one host, and nearly to two.
fn rounded_down(phase: &Phase, population: usize) -> Option<String> {
    let [asked @ Amount::Percent(percent)] = phase.asked.batch.as_slice() else {
        return None;
    };
    let hundredths = population * usize::from(*percent);
    let is_near = phase.by != super::By::Az && (150..200).contains(&hundredths);
    let is_free = phase.resolved.cap.is_none_or(|cap| cap > 1);
    (is_near && is_free).then(|| {
        format!(
            "{asked} of {population} hosts is {}.{:02}, taken as 1: `--batch 2` takes two at a time",
            hundredths / 100,
            hundredths % 100
        )
    })
}

/// `min_healthy` can only count what it is able to ask.
fn unmeasured(phase: &Phase, plan: &Plan) -> Option<String> {
    let asks =
        phase.resolved.min_healthy.is_some() || phase.resolved.min_healthy_per_zone.is_some();
    let has_health = phase
        .hosts
        .first()
        .is_some_and(|host| !host.health.is_empty());
    (asks && !has_health && !plan.targets.is_empty()).then(|| {
        "`min_healthy` without `health` counts every host that can be reached as healthy".to_owned()
    })
}

/// Zones of which nothing is left in service while one of their batches is out.
fn emptied_zones(worst: &BTreeMap<Zone, usize>, population: &BTreeMap<Zone, usize>) -> Vec<String> {
    let emptied = worst
        .iter()
        .filter(|(zone, out)| population.get(zone) == Some(out));
    emptied
        .map(|(zone, out)| match out {
            1 => format!("zone {zone} has one host: nothing is in service there while it is out"),
            _ => format!("zone {zone} drops to 0 in service: all its {out} hosts are out at once"),
        })
        .collect()
}

fn young_hosts(plan: &Plan, now: jiff::Timestamp) -> Option<String> {
    let hosts = plan.phases.iter().take(1).flat_map(Phase::in_order);
    let young: Vec<(&Host, Duration)> = hosts
        .filter_map(|planned| {
            let age = age(&planned.host, now)?;
            (age < SETTLED).then_some((&*planned.host, age))
        })
        .collect();
    let youngest = young.iter().map(|(_, age)| *age).min()?;
    let shown = young.iter().take(HOSTS_SHOWN);
    let names: Vec<&str> = shown.map(|(host, _)| host.label.as_str()).collect();
    let more = match young.len() - names.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Some(format!(
        "{}{more} may still be starting: launched {} ago",
        names.join(", "),
        format_duration(youngest)
    ))
}

fn age(host: &Host, now: jiff::Timestamp) -> Option<Duration> {
    let launched: jiff::Timestamp = host.launch_time.as_deref()?.parse().ok()?;
    Duration::try_from(now.duration_since(launched)).ok()
}
