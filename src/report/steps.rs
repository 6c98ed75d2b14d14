//! Steps as text, for plans and for `show`: a heading, what is run, and how. Pure. Texts that wait for an
//! earlier step's register are shown as templates.

use std::time::Duration;

use crate::model::{Size, format_duration};
use crate::task::{
    Action, Condition, Copy, CopyContent, FileCheck, Group, Modifiers, Probe, ProbeKind, Retry,
    RunProgram, Script, Step, Text, WaitFor, WhereTo,
};

use super::sanitize::safe;
use super::summary::quoted;

/// A step, or a step within a step.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct StepText {
    /// `2`, or `2.1` within step 2.
    pub(crate) number: String,
    /// The name.
    pub(crate) name: String,
    /// What it does, one or several lines.
    pub(crate) lines: Vec<String>,
    /// How: modifiers, each a few words.
    pub(crate) how: Vec<String>,
}

/// Every step in order, those within groups and sub-tasks after their own step.
pub(crate) fn step_texts(steps: &[Step]) -> Vec<StepText> {
    let mut out = Vec::new();
    push_steps(steps, "", &mut out);
    out
}

fn push_steps(steps: &[Step], prefix: &str, out: &mut Vec<StepText>) {
    for (index, step) in steps.iter().enumerate() {
        let number = format!("{prefix}{}", index + 1);
        out.push(StepText {
            number: number.clone(),
            name: one_line(&step.name),
            lines: action_lines(&step.action),
            how: modifier_words(&step.modifiers),
        });
        match &step.action {
            Action::Group(group) => push_group(group, &number, out),
            Action::Task(sub) => {
                if let Some(group) = &sub.steps {
                    push_group(group, &number, out);
                }
            }
            _ => {}
        }
    }
}

fn push_group(group: &Group, number: &str, out: &mut Vec<StepText>) {
    push_steps(&group.steps, &format!("{number}."), out);
    push_steps(&group.rescue, &format!("{number}.rescue "), out);
    push_steps(&group.always, &format!("{number}.always "), out);
}

fn one_line(text: &Text) -> String {
    safe(text.shown()).into_owned()
}

fn action_lines(action: &Action) -> Vec<String> {
    let line = |text: String| vec![text];
    match action {
        Action::Run(program) => program_lines("run", program),
        Action::Local(local) => program_lines("local", &local.program),
        Action::Script(script) => line(script_line(script)),
        Action::Copy(copy) => line(copy_line(copy)),
        Action::Download(download) => {
            let dest = download
                .dest
                .as_ref()
                .map_or("the run's files/".to_owned(), one_line);
            let missing = if download.missing_ok {
                ", may be missing"
            } else {
                ""
            };
            let most = download
                .max_size
                .map(|bytes| format!(", at most {}", Size(bytes)));
            let check = download.verify.map(|check| match check {
                FileCheck::Hprof => ", checked to be a whole heap dump",
            });
            line(format!(
                "download {} into {dest}{missing}{}{}",
                one_line(&download.src),
                most.unwrap_or_default(),
                check.unwrap_or_default()
            ))
        }
        Action::WaitFor(wait) => wait_lines(wait),
        Action::Assert { that, .. } => that
            .iter()
            .map(|c| format!("assert {}", condition(c)))
            .collect(),
        Action::Fail(text) => line(format!("fail: {}", one_line(text))),
        Action::Log(text) => line(format!("log: {}", one_line(text))),
        Action::Set(values) => values
            .iter()
            .map(|(key, value)| format!("set {key} = {}", one_line(value)))
            .collect(),
        Action::Pause(time) => line(format!("pause {}", format_duration(*time))),
        Action::Confirm(question) => line(format!("ask: {}", one_line(&question.text))),
        Action::Task(sub) => {
            let params: Vec<String> = sub
                .params
                .iter()
                .map(|(key, value)| format!(" {key}={}", quoted(&one_line(value))))
                .collect();
            line(format!("task {}{}", sub.name, params.concat()))
        }
        Action::Group(_) => Vec::new(),
    }
}

/// A shell text keeps its lines; an argv is one line, its words quoted.
fn program_lines(verb: &str, program: &RunProgram) -> Vec<String> {
    match program {
        RunProgram::Argv(words) => {
            let words: Vec<String> = words.iter().map(|word| quoted(&one_line(word))).collect();
            vec![format!("{verb} {}", words.join(" "))]
        }
        RunProgram::Shell(text) => {
            let mut lines = text.shown().trim_end().lines();
            match (lines.next(), lines.next()) {
                (first, None) => vec![format!("{verb} {}", safe(first.unwrap_or_default()))],
                _ => {
                    let all = text
                        .shown()
                        .trim_end()
                        .lines()
                        .map(|line| format!("| {}", safe(line)));
                    std::iter::once(verb.to_owned()).chain(all).collect()
                }
            }
        }
    }
}

fn script_line(script: &Script) -> String {
    let args: Vec<String> = script
        .args
        .iter()
        .map(|word| format!(" {}", quoted(&one_line(word))))
        .collect();
    let with = match &script.interpreter[..] {
        [] => String::new(),
        words => format!(" by {}", words.join(" ")),
    };
    format!("script {}{}{with}", one_line(&script.src), args.concat())
}

fn copy_line(copy: &Copy) -> String {
    let verb = match copy.content {
        CopyContent::File => "upload",
        CopyContent::Rendered => "template",
    };
    let mut text = format!("{verb} {} to {}", one_line(&copy.src), one_line(&copy.dest));
    let extras = [
        copy.mode.as_ref().map(|mode| format!("mode {mode}")),
        copy.owner
            .as_ref()
            .map(|owner| format!("owner {}", one_line(owner))),
        copy.backup.then(|| "with a backup".to_owned()),
        copy.verify
            .as_ref()
            .map(|check| format!("checked by {}", one_line(check))),
    ];
    for extra in extras.into_iter().flatten() {
        text.push_str(", ");
        text.push_str(&extra);
    }
    text
}

fn wait_lines(wait: &WaitFor) -> Vec<String> {
    let mut lines = probe_lines(&wait.probe);
    let mut how = vec![format!("every {}", format_duration(wait.interval))];
    if wait.consecutive > 1 {
        how.push(format!("{} times in a row", wait.consecutive));
    }
    if wait.stable_for > Duration::ZERO {
        how.push(format!("stable for {}", format_duration(wait.stable_for)));
    }
    if wait.probe.from == WhereTo::Controller {
        how.push("from here".to_owned());
    }
    if let Some(last) = lines.last_mut() {
        last.push_str(&format!(" ({})", how.join(", ")));
    }
    lines
}

fn probe_lines(probe: &Probe) -> Vec<String> {
    let mut lines = match &probe.kind {
        ProbeKind::Http(url) => vec![format!("wait for {}", one_line(url))],
        ProbeKind::Tcp(port) => vec![format!("wait for port {}", one_line(port))],
        ProbeKind::Run(program) => program_lines("wait for", program),
        ProbeKind::File {
            path,
            present: true,
        } => vec![format!("wait for file {}", one_line(path))],
        ProbeKind::File {
            path,
            present: false,
        } => {
            vec![format!("wait until file {} is gone", one_line(path))]
        }
        ProbeKind::Ssh => vec!["wait for ssh to answer".to_owned()],
    };
    let mut wanted = Vec::new();
    if !probe.status.is_empty() {
        let statuses: Vec<String> = probe.status.iter().map(u16::to_string).collect();
        wanted.push(format!("status {}", statuses.join(" or ")));
    }
    wanted.extend(
        probe
            .matches
            .as_ref()
            .map(|text| format!("matching `{}`", one_line(text))),
    );
    wanted.extend(
        probe
            .equals
            .as_ref()
            .map(|text| format!("equal to `{}`", one_line(text))),
    );
    wanted.extend(
        probe
            .until
            .as_ref()
            .map(|until| format!("until {}", condition(until))),
    );
    if !wanted.is_empty() {
        lines.push(format!("  {}", wanted.join(", ")));
    }
    lines
}

fn condition(condition: &Condition) -> String {
    match condition {
        Condition::Known(value) => value.to_string(),
        Condition::Expression(expression) => format!("`{}`", safe(&expression.source)),
    }
}

fn modifier_words(modifiers: &Modifiers) -> Vec<String> {
    let mut how = Vec::new();
    match &modifiers.when {
        None | Some(Condition::Known(true)) => {}
        Some(Condition::Known(false)) => how.push("skipped".to_owned()),
        Some(when) => how.push(format!("when {}", condition(when))),
    }
    how.extend(
        modifiers
            .loop_over
            .as_ref()
            .map(|over| format!("for each of `{}`", safe(&over.source))),
    );
    how.extend(modifiers.sudo.as_ref().map(|user| match user.shown() {
        "root" => "sudo".to_owned(),
        _ => format!("sudo as {}", one_line(user)),
    }));
    how.extend(
        modifiers
            .shell
            .as_ref()
            .map(|shell| format!("shell {}", shell.join(" "))),
    );
    how.extend(
        modifiers
            .cwd
            .as_ref()
            .map(|cwd| format!("in {}", one_line(cwd))),
    );
    how.extend(
        modifiers
            .before
            .as_ref()
            .map(|before| format!("after `{}`", one_line(before))),
    );
    if !modifiers.env.is_empty() {
        let names: Vec<&str> = modifiers.env.keys().map(String::as_str).collect();
        how.push(format!("env {}", names.join(" ")));
    }
    how.extend(
        modifiers
            .timeout
            .map(|limit| format!("limit {}", format_duration(limit))),
    );
    how.extend(modifiers.retry.as_ref().map(retry_words));
    if !modifiers.ok_rc.is_empty() && modifiers.ok_rc != [0] {
        let codes: Vec<String> = modifiers.ok_rc.iter().map(u8::to_string).collect();
        how.push(format!("exit {} is fine", codes.join(" or ")));
    }
    how.extend(
        modifiers
            .fail_when
            .as_ref()
            .map(|when| format!("fails when {}", condition(when))),
    );
    let flags = [
        (modifiers.once, "once"),
        (modifiers.ignore_errors, "failure ignored"),
        (modifiers.read_only, "read only"),
        (modifiers.quiet, "output to the log alone"),
    ];
    how.extend(
        flags
            .into_iter()
            .filter(|(on, _)| *on)
            .map(|(_, words)| words.to_owned()),
    );
    how
}

fn retry_words(retry: &Retry) -> String {
    let until = retry
        .until
        .as_ref()
        .map(|until| format!(" until {}", condition(until)));
    format!(
        "{} attempts, {} apart{}",
        retry.attempts,
        format_duration(retry.delay),
        until.unwrap_or_default()
    )
}
