//! What an operator should know before saying yes to a plan.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::batch::zone_sizes;
use super::{Phase, Plan};
use crate::model::{Host, Zone, format_duration};
use crate::task::Kind;

/// A host younger than this may still be starting.
const SETTLED: Duration = Duration::from_mins(10);

/// How many hosts a warning names.
const HOSTS_SHOWN: usize = 3;

/// The warnings of a plan, the gravest first. A task that only reads has none.
pub(super) fn of(plan: &Plan, fanout: usize, now: jiff::Timestamp) -> Vec<String> {
    if plan.kind == Kind::Read {
        return Vec::new();
    }
    let population = zone_sizes(&plan.population);
    let mut warnings = Vec::new();
    for phase in &plan.phases {
        warnings.extend(emptied_zones(&phase.worst_out.per_zone, &population));
        if phase.resolved.batch > fanout {
            warnings.push(format!(
                "a batch of {} is larger than the fan-out of {fanout}: no more than {fanout} hosts are at work at once",
                phase.resolved.batch
            ));
        }
    }
    warnings.extend(young_hosts(plan, now));
    warnings
}

/// Steps that put a value into a shell text as it is: what the value holds, the shell executes.
pub(super) fn unquoted(steps: &BTreeSet<String>) -> impl Iterator<Item = String> {
    steps
        .iter()
        .map(|name| format!("step `{name}` puts a value unquoted into its shell text (`| raw`)"))
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
