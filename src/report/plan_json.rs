//! A plan as JSON: `plan --json` and the record's `plan.json`. The shape is stable; keys may be added. Pure.

use indexmap::IndexMap;
use serde_json::{Map, Value, json};

use crate::model::HostId;
use crate::plan::{Batch, HostPlan, Phase, Plan};
use crate::task::{Action, ParamValue, RunProgram, Step};

use super::steps::{StepText, step_texts};

/// The plan. Secrets are `"***"`.
pub fn plan_json(plan: &Plan) -> Value {
    let labels: IndexMap<&HostId, &str> = plan
        .population
        .iter()
        .map(|host| (&host.id, host.label.as_str()))
        .collect();
    let label = |id: &HostId| {
        labels
            .get(id)
            .copied()
            .map_or_else(|| id.to_string(), str::to_owned)
    };
    json!({
        "task": plan.task.name,
        "kind": plan.kind,
        "params": params(&plan.params),
        "population": plan.population.iter().map(|host| host.label.as_str()).collect::<Vec<_>>(),
        "targets": plan.targets.iter().map(label).collect::<Vec<_>>(),
        "zones": zones(plan),
        "before": steps(&plan.before),
        "phases": plan.phases.iter().map(phase).collect::<Vec<_>>(),
        "after": steps(&plan.after),
        "confirm": plan.confirm,
        "warnings": plan.warnings,
        "lock": plan.lock,
        "task_hash": plan.task_hash,
    })
}

fn params(params: &IndexMap<String, ParamValue>) -> Map<String, Value> {
    params
        .iter()
        .map(|(name, value)| (name.clone(), value.json()))
        .collect()
}

/// The targets' zones, each with how many targets it has.
fn zones(plan: &Plan) -> Vec<Value> {
    let mut zones: IndexMap<String, usize> = IndexMap::new();
    for host in plan
        .population
        .iter()
        .filter(|host| plan.targets.contains(&host.id))
    {
        *zones.entry(host.zone().to_string()).or_default() += 1;
    }
    zones.sort_keys();
    zones
        .into_iter()
        .map(|(name, hosts)| json!({"name": name, "hosts": hosts}))
        .collect()
}

fn phase(phase: &Phase) -> Value {
    let first = phase.batches.iter().flat_map(|batch| &batch.hosts).next();
    json!({
        "name": phase.name,
        "by": phase.by,
        "asked": phase.asked,
        "resolved": phase.resolved,
        "batches": phase.batches.iter().map(|batch| batch_json(batch, first)).collect::<Vec<_>>(),
        "worst_out": phase.worst_out,
        "steps": first.map_or(Value::Null, |host| steps(&host.steps)),
        "rescue": first.map_or(Value::Null, |host| steps(&host.rescue)),
        "always": first.map_or(Value::Null, |host| steps(&host.always)),
    })
}

/// A batch; a host whose params or steps are not those of the phase's first host has its own beside it.
fn batch_json(batch: &Batch, first: Option<&HostPlan>) -> Value {
    let hosts: Vec<&str> = batch
        .hosts
        .iter()
        .map(|host| host.host.label.as_str())
        .collect();
    let mut own = Map::new();
    for host in &batch.hosts {
        if let Some(differing) = first.and_then(|first| differing(host, first)) {
            own.insert(host.host.label.as_str().to_owned(), differing);
        }
    }
    let mut value =
        json!({"index": batch.index, "zone": batch.zone, "canary": batch.canary, "hosts": hosts});
    if !own.is_empty() {
        value["own"] = own.into();
    }
    value
}

fn differing(host: &HostPlan, first: &HostPlan) -> Option<Value> {
    let mut own = Map::new();
    if host.params != first.params {
        own.insert("params".into(), params(&host.params).into());
    }
    let lists = [
        ("steps", &host.steps, &first.steps),
        ("rescue", &host.rescue, &first.rescue),
        ("always", &host.always, &first.always),
    ];
    for (name, mine, theirs) in lists {
        if !std::sync::Arc::ptr_eq(mine, theirs) && step_texts(mine) != step_texts(theirs) {
            own.insert(name.into(), steps(mine));
        }
    }
    (!own.is_empty()).then(|| own.into())
}

fn steps(steps: &[Step]) -> Value {
    step_texts(steps).iter().map(step_json).collect()
}

fn step_json(step: &StepText) -> Value {
    json!({"number": step.number, "name": step.name, "does": step.lines.join("\n"), "how": step.how})
}

/// For the name of each step that runs a command, the pattern by which `pgrep -f` finds it: what a summary
/// proposes where something may still be running.
pub fn process_patterns(plan: &Plan) -> IndexMap<String, String> {
    let mut patterns = IndexMap::new();
    let hosts = plan
        .phases
        .iter()
        .flat_map(|phase| &phase.batches)
        .flat_map(|batch| batch.hosts.iter().take(1));
    for host in hosts {
        for list in [&host.steps, &host.rescue, &host.always] {
            push_patterns(list, &mut patterns);
        }
    }
    patterns
}

/// Characters of a command that are enough to find it.
const PATTERN: usize = 40;

fn push_patterns(steps: &[Step], patterns: &mut IndexMap<String, String>) {
    for step in steps {
        let text = match &step.action {
            Action::Run(RunProgram::Shell(text)) => {
                text.shown().trim().lines().next().map(str::to_owned)
            }
            Action::Run(RunProgram::Argv(words)) => {
                let words: Vec<&str> = words.iter().map(crate::task::Text::shown).collect();
                Some(words.join(" "))
            }
            Action::Group(group) => {
                for list in [&group.steps, &group.rescue, &group.always] {
                    push_patterns(list, patterns);
                }
                None
            }
            Action::Task(sub) => {
                if let Some(group) = &sub.steps {
                    push_patterns(&group.steps, patterns);
                }
                None
            }
            _ => None,
        };
        if let Some(text) = text.filter(|text| !text.contains("{{")) {
            let text: String = text.chars().take(PATTERN).collect();
            patterns.insert(step.name.shown().to_owned(), regex::escape(text.trim_end()));
        }
    }
}
