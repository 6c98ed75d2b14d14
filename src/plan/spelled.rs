//! A kept plan as lines of text, so that it can be compared with that of now: what is done, how it is paced, and the
//! files it is made of, without the hosts. Pure; showing the difference is `report`'s.

use std::fmt::Write as _;

use serde_json::Value;

/// Characters of a file's hash that tell it apart.
const HASH: usize = 12;

/// A plan of the form that [`json`](super::json()) makes, in lines. Secrets are masked there already.
pub fn spelled(plan: &Value) -> String {
    let mut text = String::new();
    let value = |text: &mut String, name: &str, value: &Value| {
        if !value.is_null() {
            let _ = writeln!(text, "{name}: {value}");
        }
    };
    for name in ["kind", "on_failure", "deadline_ms", "lock"] {
        value(&mut text, name, &plan[name]);
    }
    for asked in list(&plan["facts"]) {
        steps(&mut text, "facts", &asked["steps"]);
    }
    steps(&mut text, "before", &plan["before"]);
    for phase in list(&plan["phases"]) {
        let _ = writeln!(text, "phase {}:", word(&phase["name"]));
        for name in ["by", "asked", "confirm", "bakes", "pace"] {
            value(&mut text, &format!("  {name}"), &phase[name]);
        }
        for group in list(&phase["health"]) {
            steps(&mut text, "health", &group["checks"]);
        }
        steps(&mut text, "before", &phase["before"]);
        // Hosts of one task differ in their values alone: the first says what is done.
        if let Some(group) = list(&phase["steps"]).first() {
            for name in ["steps", "rescue", "always", "verify", "rollback"] {
                steps(&mut text, name, &group[name]);
            }
        }
        steps(&mut text, "after", &phase["after"]);
    }
    steps(&mut text, "after", &plan["after"]);
    let sources = list(&plan["sources"]);
    if !sources.is_empty() {
        text.push_str("files:\n");
    }
    for source in sources {
        let hash = word(&source["sha256"]);
        let hash = hash.get(..HASH).unwrap_or(hash);
        let _ = writeln!(text, "  {} (sha256 {hash})", word(&source["path"]));
    }
    text
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or("?")
}

fn steps(text: &mut String, name: &str, steps: &Value) {
    let steps = list(steps);
    if !steps.is_empty() {
        let _ = writeln!(text, "  {name}:");
    }
    for step in steps {
        let depth = step["depth"].as_u64().unwrap_or_default();
        let indent = "  ".repeat(2 + usize::try_from(depth).unwrap_or_default());
        let notes: Vec<&str> = list(&step["notes"]).iter().map(word).collect();
        let notes = if notes.is_empty() {
            String::new()
        } else {
            format!(" ({})", notes.join(", "))
        };
        let (id, action) = (word(&step["id"]), word(&step["action"]));
        let _ = writeln!(text, "{indent}{id}: {action}{notes}");
        for line in word(&step["text"]).lines() {
            let _ = writeln!(text, "{indent}  {line}");
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_plan_is_spelled_without_its_hosts() {
        let step = json!({"id": "go", "action": "run", "text": "echo a\necho b", "notes": ["sudo"], "depth": 0});
        let plan = json!({
            "kind": "change", "deadline_ms": null, "population": 2, "hosts": [{"label": "app-1"}],
            "phases": [{
                "name": "main", "asked": {"batch": 2}, "before": [],
                "steps": [
                    {"hosts": ["app-1"], "steps": [step], "rollback": []},
                    {"hosts": ["app-2"], "steps": [], "rollback": []},
                ],
            }],
            "sources": [{"path": "tasks/t.yml", "sha256": "0123456789abcdef"}],
        });
        let expected = "kind: \"change\"\nphase main:\n  asked: {\"batch\":2}\n  steps:\n    go: run (sudo)\n      echo a\n      echo b\nfiles:\n  tasks/t.yml (sha256 0123456789ab)\n";
        assert_eq!(spelled(&plan), expected);
    }
}
