//! The plan as JSON, the same for `plan --json` and the record's `plan.json`: keys may be added, never
//! renamed. Secrets are `***`.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use indexmap::{IndexMap, IndexSet};
use serde_json::{Map, Value, json};

use super::{Pace, Phase, Plan, StepText, TakenIn, step_texts};
use crate::model::{HostId, Zone};
use crate::task::{Action, Check, Condition, GateAt, Kind, Step};

/// The plan.
pub fn json(plan: &Plan) -> Value {
    let params = plan.params.iter();
    let params: Map<String, Value> = params
        .map(|(name, value)| (name.clone(), value.json()))
        .collect();
    json!({
        "task": plan.task.name,
        "kind": plan.kind,
        "params": params,
        "population": plan.population.len(),
        "targets": plan.targets.len(),
        "zones": zones(plan),
        "hosts": hosts(plan),
        "host_params": host_params(plan),
        "facts": facts(plan),
        "phases": plan.phases.iter().enumerate().map(|(number, one)| phase(plan, number, one)).collect::<Vec<_>>(),
        "min_time_ms": millis(plan.min_time()),
        "on_failure": plan.task.on_failure,
        "deadline_ms": plan.task.deadline.map(millis),
        "confirm": confirm(plan),
        "warnings": plan.warnings,
        "lock": plan.lock.as_ref().map(ToString::to_string),
        // What each host that was touched gets at its end.
        "syslog": (plan.kind == Kind::Change).then_some("logger -t fab-rs"),
        "task_hash": plan.task_hash,
        "sources": sources(plan),
        "before": steps(&plan.before),
        "after": steps(&plan.after),
    })
}

/// The files that the task is made of, by their hashes.
fn sources(plan: &Plan) -> Vec<Value> {
    let sources = plan.sources.iter();
    let source = |source: &TakenIn| json!({ "path": source.path, "sha256": source.sha256 });
    sources.map(source).collect()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Every host of the population; `target` where it may be touched.
fn hosts(plan: &Plan) -> Vec<Value> {
    let targets: HashSet<&HostId> = plan.targets.iter().collect();
    let hosts = plan.population.iter();
    hosts
        .map(|host| {
            json!({
                "label": host.label,
                "id": host.id,
                "zone": host.zone(),
                "target": targets.contains(&host.id),
            })
        })
        .collect()
}

/// Where it asks, in any phase.
fn confirm(plan: &Plan) -> IndexSet<GateAt> {
    let phases = plan.phases.iter();
    phases
        .flat_map(|phase| phase.pace.confirm.iter().copied())
        .collect()
}

/// What is asked of hosts before batches are made: each list of steps once, with the hosts that run it.
fn facts(plan: &Plan) -> Vec<Value> {
    let asked = plan
        .members
        .iter()
        .filter(|member| !member.facts.is_empty());
    alike(asked, |member| Arc::as_ptr(&member.facts).addr())
        .into_iter()
        .map(|(member, hosts)| {
            let labels = hosts.iter().map(|member| member.host.label.as_str());
            json!({ "hosts": labels.collect::<Vec<_>>(), "steps": steps(&member.facts) })
        })
        .collect()
}

/// Groups of what bears the same key, each with its first, in the order of those.
fn alike<'a, T>(
    all: impl Iterator<Item = &'a T>,
    key: impl Fn(&T) -> usize,
) -> Vec<(&'a T, Vec<&'a T>)> {
    let mut groups: IndexMap<usize, (&T, Vec<&T>)> = IndexMap::new();
    for one in all {
        let group = groups.entry(key(one)).or_insert((one, Vec::new()));
        group.1.push(one);
    }
    groups.into_values().collect()
}

/// The zones of the targets with their hosts, in the order of the rollout.
fn zones(plan: &Plan) -> Vec<Value> {
    let mut order: Vec<Zone> = Vec::new();
    let mut hosts: BTreeMap<Zone, Vec<&str>> = BTreeMap::new();
    let first = plan.phases.iter().take(1);
    for planned in first.flat_map(Phase::in_order) {
        let zone = planned.host.zone();
        if !order.contains(&zone) {
            order.push(zone.clone());
        }
        hosts
            .entry(zone)
            .or_default()
            .push(planned.host.label.as_str());
    }
    order
        .into_iter()
        .map(|zone| json!({ "name": zone, "hosts": hosts.remove(&zone) }))
        .collect()
}

/// Each host's params that are not the same for all.
fn host_params(plan: &Plan) -> Map<String, Value> {
    let first = plan.phases.iter().take(1);
    let hosts = first.flat_map(Phase::in_order);
    hosts
        .filter_map(|planned| {
            let own = planned.params.iter();
            let own: Map<String, Value> = own
                .filter(|(name, _)| !plan.params.contains_key(*name))
                .map(|(name, value)| (name.clone(), value.json()))
                .collect();
            (!own.is_empty()).then(|| (planned.host.label.to_string(), own.into()))
        })
        .collect()
}

fn phase(plan: &Plan, number: usize, phase: &Phase) -> Value {
    let batches = 0..phase.batches.len();
    json!({
        "name": phase.name,
        "by": phase.by,
        "resolved": phase.resolved,
        "asked": phase.asked,
        "confirm": phase.pace.confirm,
        "pace": pace(&phase.pace),
        "bakes": bakes(phase),
        "batches": batches.map(|at| batch(phase, at)).collect::<Vec<_>>(),
        "worst_out": phase.worst_out,
        "worst_failures": phase.worst_failures(),
        "min_time_ms": millis(phase.min_time()),
        "health": health(plan, number),
        "last": last(plan, number),
        "seed": phase.rules.seed,
        "before": steps(&phase.before),
        "steps": host_steps(phase),
        "after": steps(&phase.after),
    })
}

fn pace(pace: &Pace) -> Value {
    json!({
        "mode": pace.mode,
        "unreachable": pace.unreachable,
        "on_stop": pace.on_stop,
        "health_wait_ms": millis(pace.health_wait),
        "confirm_timeout_ms": millis(pace.confirm_timeout),
        "host_timeout_ms": pace.host_timeout.map(millis),
    })
}

/// The pauses as the strategy says them.
fn bakes(phase: &Phase) -> Value {
    let (bakes, canary) = (phase.pace.bakes, phase.pace.canary);
    json!({
        "canary_ms": canary.and_then(|canary| canary.bake).map(millis),
        "canary_confirm": canary.is_some_and(|canary| canary.confirm),
        "batch_ms": bakes.batch.map(millis),
        "zone_ms": bakes.zone.map(millis),
        "first_zone_ms": bakes.first_zone.map(millis),
        "final_ms": bakes.last.map(millis),
    })
}

fn batch(phase: &Phase, at: usize) -> Value {
    let batch = &phase.batches[at];
    let labels: Vec<&str> = phase
        .hosts_of(batch)
        .map(|planned| planned.host.label.as_str())
        .collect();
    json!({
        "index": batch.index,
        "zone": batch.zone,
        "canary": batch.canary,
        "last": batch.last,
        "hosts": labels,
        "bake_ms": millis(phase.bake_after(&phase.batches, at)),
    })
}

/// The health checks, as every host of the population is asked them; of a task that only reads, its targets.
fn health(plan: &Plan, number: usize) -> Vec<Value> {
    let group = |checks: &[Check], labels: Vec<&str>| json!({ "hosts": labels, "checks": self::checks(checks) });
    if plan.members.is_empty() {
        let planned = plan.phases[number].in_order();
        let asked = planned.filter(|planned| !planned.health.is_empty());
        let groups = alike(asked, |planned| Arc::as_ptr(&planned.health).addr());
        let groups = groups.into_iter().map(|(first, all)| {
            let labels = all.iter().map(|planned| planned.host.label.as_str());
            group(&first.health, labels.collect())
        });
        return groups.collect();
    }
    let asked = plan.members.iter();
    let asked = asked.filter(|member| !member.health[number].is_empty());
    let groups = alike(asked, |member| Arc::as_ptr(&member.health[number]).addr());
    let groups = groups.into_iter().map(|(first, all)| {
        let labels = all.iter().map(|member| member.host.label.as_str());
        group(&first.health[number], labels.collect())
    });
    groups.collect()
}

/// The expression by which hosts are taken last, where only their facts can tell.
fn last(plan: &Plan, number: usize) -> Option<String> {
    let mut members = plan.members.iter();
    members.find_map(|member| match &member.last[number] {
        Some(Condition::Expression(expression)) => Some(expression.source.clone()),
        _ => None,
    })
}

fn checks(checks: &[Check]) -> Vec<Value> {
    let each = checks.iter().map(|check| {
        let mut value = steps(std::slice::from_ref(&check.step)).remove(0);
        value["watch"] = check.watch.into();
        value["timeout_ms"] = check.step.modifiers.timeout.map(millis).into();
        if let Action::WaitFor(wait) = &check.step.action {
            value["consecutive"] = wait.consecutive.into();
            value["interval_ms"] = millis(wait.interval).into();
            value["stable_for_ms"] = millis(wait.stable_for).into();
        }
        value
    });
    each.collect()
}

/// What the hosts run: each set of steps once, with the hosts that run it.
fn host_steps(phase: &Phase) -> Vec<Value> {
    alike(phase.in_order(), |planned| {
        Arc::as_ptr(&planned.steps).addr()
    })
    .into_iter()
    .map(|(planned, hosts)| {
        let labels = hosts.iter().map(|planned| planned.host.label.as_str());
        json!({
            "hosts": labels.collect::<Vec<_>>(),
            "steps": steps(&planned.steps),
            "rescue": steps(&planned.rescue),
            "always": steps(&planned.always),
            "rollback": steps(&planned.rollback),
            "verify": checks(&planned.verify),
        })
    })
    .collect()
}

fn steps(steps: &[Step]) -> Vec<Value> {
    step_texts(steps).iter().map(step).collect()
}

fn step(step: &StepText) -> Value {
    json!({
        "id": step.id,
        "name": step.name,
        "action": step.action,
        "text": step.text,
        "notes": step.notes,
        "depth": step.depth,
    })
}
