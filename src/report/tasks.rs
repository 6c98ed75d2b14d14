//! The library as text: `list` and `show TASK`. Pure.

use std::fmt::Write as _;

use crate::model::format_duration;
use crate::task::{Kind, Param, ParamType, Step, Task};

use super::plan::gate_words;
use super::sanitize::safe;
use super::steps::step_texts;
use super::style::{Role, Styles};
use super::table::{Cell, table};

/// A task as lists show it.
#[derive(Debug, Clone)]
pub struct TaskListing<'a> {
    /// The task.
    pub task: &'a Task,
    /// Where it comes from: `built-in`, or its file.
    pub origin: String,
    /// The origin of the task that it hides, if it does.
    pub hides: Option<String>,
}

/// `list`: one line a task; private tasks are left out.
pub fn tasks_table(listings: &[TaskListing<'_>], styles: Styles) -> String {
    let rows: Vec<Vec<Cell>> = listings
        .iter()
        .filter(|listing| !listing.task.private)
        .map(|listing| {
            let hides = listing
                .hides
                .as_ref()
                .map(|hidden| format!(" (hides {hidden})"));
            let origin = format!("{}{}", listing.origin, hides.unwrap_or_default());
            let role = match listing.task.kind {
                Kind::Read => Role::Good,
                Kind::Change => Role::Warning,
            };
            vec![
                Cell::of(Role::Strong, &listing.task.name),
                Cell::of(role, kind_word(listing.task.kind)),
                Cell::new(&listing.task.desc),
                Cell::of(Role::Dim, &origin),
            ]
        })
        .collect();
    table(&["task", "kind", "does", "from"], &rows, styles)
}

fn kind_word(kind: Kind) -> &'static str {
    match kind {
        Kind::Read => "read",
        Kind::Change => "change",
    }
}

/// `show TASK`: what it is, its params, its strategy, its steps, its file.
pub fn task_text(listing: &TaskListing<'_>, styles: Styles) -> String {
    let task = listing.task;
    let mut out = String::new();
    let name = styles.paint(Role::Strong, safe(&task.name));
    let _ = writeln!(
        out,
        "{name} ({})  {}",
        kind_word(task.kind),
        safe(&task.desc)
    );
    let hides = listing
        .hides
        .as_ref()
        .map(|hidden| format!(", hides {}", safe(hidden)));
    let _ = writeln!(
        out,
        "from {}{}",
        safe(&listing.origin),
        hides.unwrap_or_default()
    );
    let _ = writeln!(out, "\n{}", usage(task));
    push_help(&mut out, task);
    push_params(&mut out, task, styles);
    push_strategy(&mut out, task, styles);
    let lists: [(&str, &[Step]); 5] = [
        ("before, here", &task.before),
        ("steps on each host", &task.steps),
        ("on a host where one fails", &task.rescue),
        ("at the end of each host, whatever happened", &task.always),
        ("after, here, if everything succeeded", &task.after),
    ];
    for (title, steps) in lists {
        push_steps(&mut out, title, steps, styles);
    }
    out
}

/// `fab-rs deploy role=app version=VERSION [port=8080]`.
fn usage(task: &Task) -> String {
    let mut usage = format!("fab-rs {}", task.name);
    let targets: Vec<&str> = task.targets.iter().map(crate::task::Text::shown).collect();
    match targets.len() {
        0 => usage.push_str(" SELECTOR"),
        _ => {
            let _ = write!(usage, " [{}]", safe(&targets.join(" ")));
        }
    }
    for param in task.params.values() {
        let name = &param.name;
        let _ = if param.required {
            write!(usage, " {name}={}", name.to_uppercase())
        } else {
            write!(usage, " [{name}=…]")
        };
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

fn push_strategy(out: &mut String, task: &Task, styles: Styles) {
    let strategy = &task.strategy;
    let mut parts = vec![match &strategy.batch {
        None => "all hosts at once".to_owned(),
        Some(batch) => format!("{batch} at once"),
    }];
    parts.push(format!("max failures {}", strategy.max_failures));
    parts.extend(
        strategy
            .confirm
            .iter()
            .map(|gate| format!("asks {}", gate_words(*gate))),
    );
    parts.extend(task.fanout.map(|fanout| format!("fan-out {fanout}")));
    parts.extend(
        task.deadline
            .map(|limit| format!("deadline {}", format_duration(limit))),
    );
    let lead = styles.paint(Role::Strong, "strategy:");
    let _ = writeln!(out, "\n{lead} {}", parts.join(", "));
    for diagnostic in &task.unsupported {
        let lead = styles.paint(Role::Warning, "not supported yet:");
        let _ = writeln!(out, "{lead} {}", safe(&diagnostic.message));
    }
}

fn push_steps(out: &mut String, title: &str, steps: &[Step], styles: Styles) {
    if steps.is_empty() {
        return;
    }
    let _ = writeln!(out, "\n{}", styles.paint(Role::Strong, format!("{title}:")));
    for step in step_texts(steps) {
        let how = match step.how.len() {
            0 => String::new(),
            _ => styles
                .paint(Role::Dim, format!("  [{}]", step.how.join(", ")))
                .to_string(),
        };
        let _ = writeln!(out, "  {}. {}{how}", step.number, step.name);
        for line in &step.lines {
            let _ = writeln!(out, "     {line}");
        }
    }
}
