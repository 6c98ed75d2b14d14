//! Compares a plan that was kept with the plan that would run now. Pure; refusing is `app`'s.

use std::collections::BTreeMap;

use serde_json::Value;

/// The differences that make a kept plan another one, a line each: hosts gone, new and moved, another task,
/// other values, other batches. Both are of the form that [`json`](super::json()) makes; empty where they agree.
pub fn drift(kept: &Value, now: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    if kept["task"] != now["task"] {
        let (kept, now) = (text(&kept["task"]), text(&now["task"]));
        lines.push(format!("the plan is of task `{kept}`, not of `{now}`"));
        return lines;
    }
    if kept["task_hash"] != now["task_hash"] {
        lines.push("the task's file, or one that it takes in, has changed".to_owned());
    }
    for key in ["params", "host_params"] {
        if kept[key] != now[key] {
            lines.extend(changed_values(&kept[key], &now[key]));
        }
    }
    let before = lines.len();
    lines.extend(changed_hosts(&hosts(kept), &hosts(now)));
    if lines.len() == before {
        lines.extend(changed_phases(kept, now));
    }
    lines
}

/// A host of the population as a plan keeps it.
#[derive(PartialEq, Eq)]
struct Kept<'a> {
    label: &'a str,
    zone: &'a str,
    is_target: bool,
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("?")
}

fn hosts(plan: &Value) -> BTreeMap<&str, Kept<'_>> {
    let hosts = plan["hosts"].as_array().map_or(&[][..], Vec::as_slice);
    let entry = |host| {
        let host: &Value = host;
        let kept = Kept {
            label: text(&host["label"]),
            zone: text(&host["zone"]),
            is_target: host["target"] == true,
        };
        (text(&host["id"]), kept)
    };
    hosts.iter().map(entry).collect()
}

fn changed_hosts(kept: &BTreeMap<&str, Kept<'_>>, now: &BTreeMap<&str, Kept<'_>>) -> Vec<String> {
    let mut lines = Vec::new();
    for (id, host) in kept {
        let Some(found) = now.get(id) else {
            lines.push(format!(
                "gone: {} ({id}), of zone {}",
                host.label, host.zone
            ));
            continue;
        };
        if found.zone != host.zone {
            let (label, was, is) = (host.label, host.zone, found.zone);
            lines.push(format!("moved: {label} ({id}), from zone {was} to {is}"));
        } else if found.is_target != host.is_target {
            let word = if found.is_target {
                "would be touched now"
            } else {
                "would not be touched now"
            };
            lines.push(format!("{} ({id}) {word}", host.label));
        } else if found.label != host.label {
            lines.push(format!(
                "renamed: {} ({id}) is {} now",
                host.label, found.label
            ));
        }
    }
    for (id, host) in now.iter().filter(|(id, _)| !kept.contains_key(*id)) {
        lines.push(format!("new: {} ({id}), of zone {}", host.label, host.zone));
    }
    lines
}

fn changed_values(kept: &Value, now: &Value) -> Vec<String> {
    let (Some(before), Some(after)) = (kept.as_object(), now.as_object()) else {
        return vec!["the params are others".to_owned()];
    };
    let names: std::collections::BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let changed = names
        .into_iter()
        .filter(|name| before.get(*name) != after.get(*name));
    let shown =
        |value: Option<&Value>| value.map_or_else(|| "nothing".to_owned(), Value::to_string);
    changed
        .map(|name| {
            let (was, is) = (shown(before.get(name)), shown(after.get(name)));
            format!("`{name}` was {was}, and is {is} now")
        })
        .collect()
}

/// With the same hosts, other batches or limits come from other flags; and from other tags the steps.
fn changed_phases(kept: &Value, now: &Value) -> Vec<String> {
    let phases = |plan: &Value| plan["phases"].as_array().cloned().unwrap_or_default();
    let (before, after) = (phases(kept), phases(now));
    if before.len() != after.len() {
        return vec![format!(
            "the plan has {} phases, not {}",
            before.len(),
            after.len()
        )];
    }
    let mut lines = Vec::new();
    for (was, is) in before.iter().zip(&after) {
        let name = text(&was["name"]);
        for (key, what) in [
            ("batches", "the batches"),
            ("asked", "the strategy's amounts"),
            ("confirm", "the gates"),
            ("bakes", "the pauses"),
            ("pace", "the limits"),
            ("steps", "the steps"),
        ] {
            if was[key] != is[key] {
                lines.push(format!("{what} of phase `{name}` are others"));
            }
        }
    }
    lines
}
