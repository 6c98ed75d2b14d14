//! The plan as JSON, the same for `plan --json` and the record's `plan.json`: keys may be added, never
//! renamed. Secrets are `***`.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{Batch, HostPlan, Phase, Plan, StepText, step_texts};
use crate::model::Zone;
use crate::task::Step;

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
        "host_params": host_params(plan),
        "phases": plan.phases.iter().map(phase).collect::<Vec<_>>(),
        "warnings": plan.warnings,
        "lock": plan.lock.as_ref().map(ToString::to_string),
        "task_hash": plan.task_hash,
        "before": steps(&plan.before),
        "after": steps(&plan.after),
    })
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

fn phase(phase: &Phase) -> Value {
    let asked = &phase.asked;
    json!({
        "name": phase.name,
        "by": phase.by,
        "resolved": phase.resolved,
        "asked": asked,
        "confirm": phase.pace.confirm,
        "batches": phase.batches.iter().map(|one| batch(phase, one)).collect::<Vec<_>>(),
        "worst_out": phase.worst_out,
        "steps": host_steps(phase),
    })
}

fn batch(phase: &Phase, batch: &Batch) -> Value {
    let labels: Vec<&str> = phase
        .hosts_of(batch)
        .map(|planned| planned.host.label.as_str())
        .collect();
    json!({
        "index": batch.index,
        "zone": batch.zone,
        "canary": batch.canary,
        "hosts": labels,
    })
}

/// What the hosts run: each set of steps once, with the hosts that run it.
fn host_steps(phase: &Phase) -> Vec<Value> {
    let mut groups: Vec<(&HostPlan, Vec<&str>)> = Vec::new();
    let mut known: BTreeMap<usize, usize> = BTreeMap::new();
    for planned in phase.in_order() {
        let address = Arc::as_ptr(&planned.steps).addr();
        let at = *known.entry(address).or_insert_with(|| {
            groups.push((planned, Vec::new()));
            groups.len() - 1
        });
        groups[at].1.push(planned.host.label.as_str());
    }
    groups
        .into_iter()
        .map(|(planned, hosts)| {
            json!({
                "hosts": hosts,
                "steps": steps(&planned.steps),
                "rescue": steps(&planned.rescue),
                "always": steps(&planned.always),
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
