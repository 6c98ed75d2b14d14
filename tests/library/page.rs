//! `docs/library.md` names every task and every param, and tells the defaults that the tasks have.

use std::path::Path;

use serde_yaml::Value;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn tasks() -> Vec<Value> {
    let tasks: Vec<Value> = std::fs::read_dir(root().join("tasks"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "yml"))
        .map(|path| serde_yaml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap())
        .collect();
    assert!(tasks.len() >= 9, "{}", tasks.len());
    tasks
}

/// The part of the page under a task's heading.
fn section<'a>(page: &'a str, task: &str) -> &'a str {
    let (_, rest) = page
        .split_once(&format!("\n## {task}\n"))
        .unwrap_or_else(|| panic!("docs/library.md has no heading for {task}"));
    rest.split("\n## ").next().unwrap()
}

#[test]
fn every_task_and_param_is_on_the_page() {
    let page = std::fs::read_to_string(root().join("docs/library.md")).unwrap();
    for task in tasks() {
        let name = task["task"].as_str().unwrap();
        let section = section(&page, name);
        assert!(
            section.contains(&format!("fab-rs {name} ")),
            "no example of {name}"
        );
        for (param, declared) in task["params"].as_mapping().into_iter().flatten() {
            let param = param.as_str().unwrap();
            let told =
                section.contains(&format!("`{param}`")) || section.contains(&format!("{param}="));
            assert!(told, "docs/library.md does not tell of {name}'s {param}");
            let row = section
                .lines()
                .find(|line| line.starts_with(&format!("| `{param}` |")));
            let default = match &declared["default"] {
                Value::String(text) => text.clone(),
                Value::Number(number) => number.to_string(),
                Value::Bool(flag) => flag.to_string(),
                Value::Null if declared["required"] == Value::Bool(true) => "required".to_owned(),
                other => panic!("{name}'s {param}: {other:?}"),
            };
            if let Some(row) = row.filter(|_| !default.is_empty() && !default.contains("{{")) {
                assert!(
                    row.contains(&format!("| {default} |")),
                    "{name}: {row}: the default is {default}"
                );
            }
        }
    }
}

/// "No selector, no run": a task of the library must not choose hosts by itself.
#[test]
fn no_task_of_the_library_has_hosts_of_its_own() {
    for task in tasks() {
        assert_eq!(task.get("targets"), None, "{:?}", task["task"]);
    }
}
