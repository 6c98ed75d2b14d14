//! The library as text: `list` and `show TASK`. Pure.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use crate::model::format_duration;
use crate::plan::step_texts;
use crate::task::library::{Origin, TaskEntry};
use crate::task::{Kind, MAIN, Param, ParamType, Step, Task, TaskPhase, Text};

use super::sanitize::safe;
use super::steps::{numbers, push_step};
use super::style::{Role, Styles};
use super::table::{Cell, table};
use super::task_rollout::{
    checks_json, notify_json, push_checks, push_ends, push_strategy, strategy_json,
};

/// `list`: one line a task, files as `shown` writes them. The caller leaves out what is private.
pub fn tasks_table(
    entries: &[TaskEntry<'_>],
    styles: Styles,
    shown: &dyn Fn(&Path) -> String,
) -> String {
    let rows: Vec<Vec<Cell>> = entries.iter().map(|entry| row(entry, shown)).collect();
    table(&["task", "kind", "does", "from"], &rows, styles)
}

fn row(entry: &TaskEntry<'_>, shown: &dyn Fn(&Path) -> String) -> Vec<Cell> {
    let (kind, desc) = match entry.task {
        Some(task) if task.kind == Kind::Read => {
            (Cell::of(Role::Good, "read"), Cell::new(&task.desc))
        }
        Some(task) => (Cell::of(Role::Warning, "change"), Cell::new(&task.desc)),
        None => {
            let words = "its file has errors: `fab-rs check` shows them";
            (Cell::or_dash(None), Cell::of(Role::Error, words))
        }
    };
    let name = Cell::of(Role::Strong, entry.name);
    vec![
        name,
        kind,
        desc,
        Cell::of(Role::Dim, &origin_of(entry, shown)),
    ]
}

/// `built-in`, or the file; and what it hides.
fn origin_of(entry: &TaskEntry<'_>, shown: &dyn Fn(&Path) -> String) -> String {
    let place = |origin: Origin, path: &Path| match origin {
        Origin::BuiltIn => origin.word().to_owned(),
        _ => shown(path),
    };
    let own = place(entry.origin, entry.path);
    let hidden = entry.hides.iter();
    let hidden: Vec<String> = hidden.map(|(origin, path)| place(*origin, path)).collect();
    match hidden.len() {
        0 => own,
        _ => format!("{own} (hides {})", hidden.join(", ")),
    }
}

/// `list --json`.
pub fn tasks_json(entries: &[TaskEntry<'_>]) -> Value {
    entries.iter().map(entry_json).collect()
}

fn entry_json(entry: &TaskEntry<'_>) -> Value {
    let hides: Vec<Value> = entry
        .hides
        .iter()
        .map(|(origin, path)| json!({"origin": origin, "path": path.to_string_lossy()}))
        .collect();
    json!({
        "task": entry.name,
        "kind": entry.kind(),
        "desc": entry.desc(),
        "private": entry.private(),
        "origin": entry.origin,
        "path": entry.path.to_string_lossy(),
        "hides": hides,
        "valid": entry.task.is_some(),
    })
}

/// `show TASK --json`.
pub fn task_json(task: &Task, entry: Option<&TaskEntry<'_>>) -> Value {
    let params: Vec<Value> = task.params.values().map(param_json).collect();
    let targets: Vec<&str> = task.targets.iter().map(Text::shown).collect();
    let unsupported = task.unsupported.iter();
    let unsupported: Vec<&str> = unsupported.map(|one| one.message.as_str()).collect();
    let warnings = task.warnings.iter();
    let warnings: Vec<&str> = warnings.map(|one| one.message.as_str()).collect();
    let phases: Vec<Value> = task.phases.iter().map(phase_json).collect();
    // The keys of a task without phases stand at its top as well.
    let mut value = phases.first().cloned().unwrap_or_default();
    let own = json!({
        "task": task.name,
        "kind": task.kind,
        "desc": task.desc,
        "help": task.help,
        "params": params,
        "targets": targets,
        "facts": steps_json(&task.facts),
        "before": steps_json(&task.before),
        "phases": phases,
        "after": steps_json(&task.after),
        "on_failure": task.on_failure,
        "notify": notify_json(&task.notify),
        "fanout": task.fanout,
        "deadline": task.deadline.map(|deadline| deadline.as_secs_f64()),
        "unsupported": unsupported,
        "warnings": warnings,
        "path": task.source.path.to_string_lossy(),
        "origin": entry.map(|entry| entry.origin),
    });
    if let (Some(value), Value::Object(own)) = (value.as_object_mut(), own) {
        value.shift_remove("name");
        value.extend(own);
    }
    value
}

fn phase_json(phase: &TaskPhase) -> Value {
    json!({
        "name": phase.name,
        "strategy": strategy_json(&phase.strategy),
        "health": checks_json(&phase.health),
        "verify": checks_json(&phase.verify),
        "before": steps_json(&phase.before),
        "steps": steps_json(&phase.steps),
        "rescue": steps_json(&phase.rescue),
        "always": steps_json(&phase.always),
        "rollback": steps_json(&phase.rollback),
        "after": steps_json(&phase.after),
    })
}

fn param_json(param: &Param) -> Value {
    json!({
        "name": param.name,
        "type": type_word(&param.of),
        "required": param.required,
        "default": param.default.as_ref().map(Text::shown),
        "choices": param.choices,
        "min": param.min,
        "max": param.max,
        "desc": param.desc,
        "secret": param.secret,
        "from": param.from,
        "example": param.example,
        "deprecated": param.deprecated,
    })
}

fn steps_json(steps: &[Step]) -> Value {
    step_texts(steps)
        .iter()
        .map(|step| {
            json!({
                "id": step.id,
                "name": step.name,
                "action": step.action,
                "text": step.text,
                "notes": step.notes,
                "depth": step.depth,
            })
        })
        .collect()
}

fn kind_word(kind: Kind) -> &'static str {
    match kind {
        Kind::Read => "read",
        Kind::Change => "change",
    }
}

/// `show TASK`: what it is, its params, its strategy, its steps, its file.
pub fn task_text(
    task: &Task,
    entry: Option<&TaskEntry<'_>>,
    styles: Styles,
    width: usize,
) -> String {
    let mut out = String::new();
    let name = styles.paint(Role::Strong, safe(&task.name));
    let (kind, desc) = (kind_word(task.kind), safe(&task.desc));
    let _ = writeln!(out, "{name} ({kind})  {desc}");
    let whole = |path: &Path| path.display().to_string();
    let origin = entry.map_or_else(
        || whole(&task.source.path),
        |entry| origin_of(entry, &whole),
    );
    let _ = writeln!(out, "from {}", safe(&origin));
    let _ = writeln!(out, "\n{}", usage(task, width));
    push_help(&mut out, task);
    push_params(&mut out, task, styles);
    let only = Some(task.phases.as_slice()).filter(|phases| is_main(phases));
    let limits = limits(task);
    if let Some([phase]) = only {
        push_strategy(&mut out, "strategy", (&phase.strategy, &limits), styles);
    } else if !limits.is_empty() {
        let lead = styles.paint(Role::Strong, "rollout:");
        let _ = writeln!(out, "\n{lead} {}", limits.join(", "));
    }
    push_noted(&mut out, task, styles);
    push_steps(&mut out, "facts, read from every host", &task.facts, styles);
    push_steps(&mut out, "before, here", &task.before, styles);
    for phase in &task.phases {
        if only.is_none() {
            let lead = format!("phase {}", phase.name);
            push_strategy(&mut out, &lead, (&phase.strategy, &[]), styles);
        }
        push_phase(&mut out, phase, styles);
    }
    let after = "after, here, if everything succeeded";
    push_steps(&mut out, after, &task.after, styles);
    push_ends(&mut out, task, styles);
    out
}

/// What is not supported, or probably not meant.
fn push_noted(out: &mut String, task: &Task, styles: Styles) {
    let unsupported = task
        .unsupported
        .iter()
        .map(|one| ("not supported yet", one));
    let warnings = task.warnings.iter().map(|one| ("warning", one));
    for (lead, one) in unsupported.chain(warnings) {
        let lead = styles.paint(Role::Warning, format!("{lead}:"));
        let _ = writeln!(out, "{lead} {}", safe(&one.message));
    }
}

/// Whether the task names no phases.
fn is_main(phases: &[TaskPhase]) -> bool {
    matches!(phases, [phase] if phase.name == MAIN)
}

fn limits(task: &Task) -> Vec<String> {
    let fanout = task.fanout.map(|fanout| format!("fan-out {fanout}"));
    let deadline = task.deadline;
    let deadline = deadline.map(|limit| format!("deadline {}", format_duration(limit)));
    fanout.into_iter().chain(deadline).collect()
}

fn push_phase(out: &mut String, phase: &TaskPhase, styles: Styles) {
    push_steps(out, "before it, here", &phase.before, styles);
    let lists: [(&str, &[Step]); 3] = [
        ("steps on each host", &phase.steps),
        ("on a host where one fails", &phase.rescue),
        ("at the end of each host, whatever happened", &phase.always),
    ];
    for (title, steps) in lists {
        push_steps(out, title, steps, styles);
    }
    let health = "a host is healthy where";
    push_checks(out, health, &phase.health, styles);
    let verify = "the change took on a host where";
    push_checks(out, verify, &phase.verify, styles);
    let rollback = "rollback, on each host that is undone";
    push_steps(out, rollback, &phase.rollback, styles);
    let after = "after it, here, if it succeeded";
    push_steps(out, after, &phase.after, styles);
}

/// `fab-rs deploy role=app version=VERSION [port=8080]`.
fn usage(task: &Task, width: usize) -> String {
    let mut usage = format!("fab-rs {}", task.name);
    let targets: Vec<&str> = task.targets.iter().map(Text::shown).collect();
    match targets.len() {
        0 => usage.push_str(" SELECTOR"),
        _ => {
            let _ = write!(usage, " [{}]", safe(&targets.join(" ")));
        }
    }
    let mut column = usage.len();
    for param in task.params.values() {
        let name = &param.name;
        let word = if param.required {
            format!("{name}={}", name.to_uppercase())
        } else {
            format!("[{name}=…]")
        };
        if column + 1 + word.len() > width.max(40) {
            usage.push_str("\n      ");
            column = 6;
        }
        column += 1 + word.len();
        usage.push(' ');
        usage.push_str(&word);
    }
    usage
}

fn push_help(out: &mut String, task: &Task) {
    if task.help.trim().is_empty() {
        return;
    }
    out.push('\n');
    for line in task.help.trim_end().lines() {
        let _ = writeln!(out, "{}", safe(line));
    }
}

fn push_params(out: &mut String, task: &Task, styles: Styles) {
    if task.params.is_empty() {
        return;
    }
    out.push('\n');
    let rows: Vec<Vec<Cell>> = task
        .params
        .values()
        .map(|param| {
            let default = match &param.default {
                _ if param.required => Cell::of(Role::Warning, "required"),
                Some(default) if default.shown().is_empty() => Cell::of(Role::Dim, "\"\""),
                Some(default) => Cell::new(default.shown()),
                None => Cell::or_dash(None),
            };
            vec![
                Cell::of(Role::Strong, &param.name),
                Cell::new(&type_words(param)),
                default,
                Cell::new(&about(param)),
            ]
        })
        .collect();
    out.push_str(&table(&["param", "type", "default", "is"], &rows, styles));
}

/// `int, 1 to 65535`, `enum a|b`, `list of host`.
fn type_words(param: &Param) -> String {
    let mut words = type_word(&param.of);
    if !param.choices.is_empty() {
        words = format!("{words} {}", param.choices.join("|"));
    }
    let range = match (&param.min, &param.max) {
        (Some(min), Some(max)) => format!(", {min} to {max}"),
        (Some(min), None) => format!(", {min} or more"),
        (None, Some(max)) => format!(", {max} at most"),
        (None, None) => String::new(),
    };
    words + &range
}

fn type_word(of: &ParamType) -> String {
    match of {
        ParamType::String => "string".into(),
        ParamType::Int => "int".into(),
        ParamType::Float => "float".into(),
        ParamType::Bool => "bool".into(),
        ParamType::Duration => "duration".into(),
        ParamType::Size => "size".into(),
        ParamType::Enum => "enum".into(),
        ParamType::List(of) => format!("list of {}", type_word(of)),
        ParamType::Path => "path".into(),
        ParamType::Version => "version".into(),
        ParamType::Host => "host".into(),
        ParamType::Selector => "selector".into(),
    }
}

fn about(param: &Param) -> String {
    let mut parts = vec![param.desc.clone()];
    parts.extend(param.secret.then(|| "secret".to_owned()));
    parts.extend(param.from.as_ref().map(|from| format!("from {from}")));
    parts.extend(
        param
            .example
            .as_ref()
            .map(|example| format!("such as {example}")),
    );
    parts.extend(
        param
            .deprecated
            .as_ref()
            .map(|why| format!("deprecated: {why}")),
    );
    parts.retain(|part| !part.is_empty());
    parts.join("; ")
}

fn push_steps(out: &mut String, title: &str, steps: &[Step], styles: Styles) {
    if steps.is_empty() {
        return;
    }
    let _ = writeln!(out, "\n{}", styles.paint(Role::Strong, format!("{title}:")));
    let texts = step_texts(steps);
    for (number, text) in numbers(&texts).iter().zip(&texts) {
        push_step(out, number, text, "", styles);
    }
}

#[cfg(test)]
mod tests {
    use crate::task::library::Library;

    use super::*;

    /// The tasks that come with fab-rs are what people see first.
    #[test]
    fn the_library_is_listed_and_each_task_shown() {
        let library = Library::built_in();
        let entries: Vec<TaskEntry<'_>> = library.entries().collect();
        let list = tasks_table(&entries, Styles::plain(), &|path| {
            path.display().to_string()
        });
        for entry in &entries {
            assert!(list.contains(entry.name), "{list}");
            let task = entry.task.expect("the built-in tasks are valid");
            let text = task_text(task, Some(entry), Styles::plain(), 80);
            for param in task.params.keys() {
                assert!(
                    text.contains(&format!("[{param}=…]")) || text.contains(&format!("{param}=")),
                    "{text}"
                );
            }
            for step in &task.phases[0].steps {
                // What a `log` step says is shown whole in place of a name that is its beginning.
                let name = step.name.shown().trim_end_matches('…').trim_end();
                assert!(text.contains(name), "{text}");
            }
            assert_eq!(
                task_json(task, Some(entry))["params"]
                    .as_array()
                    .map(Vec::len),
                Some(task.params.len())
            );
        }
        assert_eq!(
            tasks_json(&entries).as_array().map(Vec::len),
            Some(entries.len())
        );
    }

    #[test]
    fn a_task_is_shown_with_its_params_and_steps() {
        let task = super::super::samples::task();
        insta::assert_snapshot!(task_text(&task, None, Styles::plain(), 60), @r#"
        deploy (change)  Put a version live
        from tasks/deploy.yml

        fab-rs deploy [role=app] version=VERSION [port=…]
               [mode=…] [token=…]

        Long text
        of two lines.

        param    type             default   is
        version  version          required  what to install; such as 1.4.2
        port     int, 1 to 65535  8080
        mode     enum fast|safe   safe
        token    string           -         secret; from env:TOKEN

        strategy: 2 at once, max failures 0, asks before the first host

        before, here:
          1. local git fetch

        steps on each host:
          1. unpack  [sudo]
             run:
             | tar xf /tmp/app.tar
             | ln -sfn app live
          2. restart
            2.1. run systemctl restart api  [up to 3 attempts]
            2.2. wait_for tcp 8080  [2 in a row]

        at the end of each host, whatever happened:
          1. run rm -f /tmp/app.tar  [errors ignored]
        "#);
    }

    #[test]
    fn a_task_that_hides_another_says_so() {
        let task = std::sync::Arc::new(super::super::samples::task());
        let entry = |task| TaskEntry {
            name: "deploy",
            task,
            origin: Origin::Project,
            path: "tasks/deploy.yml".as_ref(),
            hides: vec![(Origin::BuiltIn, "deploy.yml".as_ref())],
        };
        let entries = [entry(Some(&task)), entry(None)];
        insta::assert_snapshot!(tasks_table(&entries, Styles::plain(), &|path| path.display().to_string()), @r"
        task    kind    does                                            from
        deploy  change  Put a version live                              tasks/deploy.yml (hides built-in)
        deploy  -       its file has errors: `fab-rs check` shows them  tasks/deploy.yml (hides built-in)
        ");
    }
}
