//! What people see of a step that has no name: its id, else the action and its first words.

use std::sync::Arc;

use crate::task::{Action, ProbeKind, Quoting, RunProgram, Template, Text};

use super::step_decl::StepNode;
use super::text_value::is_template;

/// Longer names would break the lines of reports.
const MAX_LENGTH: usize = 60;

/// The name of a step.
pub(super) fn of(step: &StepNode<'_>, action: &Action) -> Text {
    if let Some(id) = step.fields.get("id").and_then(|id| id.as_text()) {
        return Text::Plain(id.into());
    }
    let verb = step.action.name;
    match action {
        Action::Run(program) => words(verb, &program_words(program)),
        Action::Local(local) => words(verb, &program_words(&local.program)),
        Action::Script(script) => words(verb, &[&script.src]),
        Action::Copy(copy) => words(verb, &[&copy.dest]),
        Action::Download(download) => words(verb, &[&download.src]),
        Action::Task(task) => Text::Plain(format!("{verb} {}", task.name).into()),
        Action::Log(text) => words(verb, &[text]),
        Action::Confirm(question) => words(verb, &[&question.text]),
        Action::Reboot => Text::Plain("reboot".into()),
        Action::Pause(_) if step.action.value.as_text().is_some_and(is_template) => {
            plain_words(verb, step.action.value.as_text().unwrap_or_default())
        }
        Action::Pause(duration) => {
            let duration = crate::model::format_duration(*duration);
            Text::Plain(format!("{verb} {duration}").into())
        }
        Action::WaitFor(wait) => asked("wait_for ", &wait.probe.kind),
        Action::Set(_) | Action::Assert { .. } | Action::Fail(_) => {
            let first = step.action.value.head();
            let first = &first.source.text[first.range.clone()];
            let plain = first.split("{{").next().unwrap_or_default();
            let marks = ['{', '[', '"', '\'', '}', ']'];
            plain_words(verb, plain.trim_matches(marks))
        }
        Action::Group(group) => Text::Plain(
            match group.steps.len() {
                1 => "group of 1 step".to_owned(),
                count => format!("group of {count} steps"),
            }
            .into(),
        ),
    }
}

/// The name of a check that has none: what it asks.
pub(super) fn of_probe(kind: &ProbeKind) -> Text {
    asked("", kind)
}

fn asked(lead: &str, kind: &ProbeKind) -> Text {
    let words = |verb: &str, texts: &[&Text]| words(&format!("{lead}{verb}"), texts);
    match kind {
        ProbeKind::Http(url) => words("http", &[url]),
        ProbeKind::Tcp(address) => words("tcp", &[address]),
        ProbeKind::Run(program) => words("run", &program_words(program)),
        ProbeKind::File { path, .. } => words("file", &[path]),
        ProbeKind::Ssh => words("ssh", &[]),
    }
}

fn program_words(program: &RunProgram) -> Vec<&Text> {
    match program {
        RunProgram::Shell(text) => vec![text],
        RunProgram::Argv(argv) => argv.iter().collect(),
    }
}

/// The verb and the texts, as a template where one of them is; cut before a template that would make it
/// too long.
fn words(verb: &str, texts: &[&Text]) -> Text {
    let mut shown = verb.to_owned();
    let mut found: Option<&Arc<Template>> = None;
    let mut registers: Vec<String> = Vec::new();
    for text in texts {
        let (line, more) = first_line(text.shown());
        let fits = shown.chars().count() + 1 + line.chars().count() <= MAX_LENGTH;
        match text {
            Text::Template(template) if fits && !more => {
                found.get_or_insert(template);
                registers.extend(template.registers.iter().cloned());
                shown = format!("{shown} {line}");
            }
            Text::Template(_) => {
                let plain = line.split(['{']).next().unwrap_or_default();
                return finish(&shown, plain, found, registers, true);
            }
            Text::Plain(_) if fits && !more => shown = format!("{shown} {line}"),
            Text::Plain(_) => return finish(&shown, line, found, registers, true),
        }
    }
    finish(&shown, "", found, registers, false)
}

fn finish(
    shown: &str,
    rest: &str,
    template: Option<&Arc<Template>>,
    registers: Vec<String>,
    cut: bool,
) -> Text {
    let room = MAX_LENGTH.saturating_sub(shown.chars().count() + 1);
    let rest: String = rest.chars().take(room).collect();
    let mut shown = format!("{shown} {}", rest.trim()).trim_end().to_owned();
    if cut {
        shown.push('…');
    }
    let Some(template) = template else {
        return Text::Plain(shown.into());
    };
    let mut unique = Vec::new();
    for register in registers {
        if !unique.contains(&register) {
            unique.push(register);
        }
    }
    Text::Template(Arc::new(Template {
        source: shown,
        quoting: Quoting::Plain,
        span: template.span.clone(),
        registers: unique,
    }))
}

fn plain_words(verb: &str, rest: &str) -> Text {
    finish(verb, first_line(rest).0, None, Vec::new(), false)
}

/// The first line, and whether there are more.
fn first_line(text: &str) -> (&str, bool) {
    let text = text.trim();
    match text.split_once('\n') {
        Some((first, _)) => (first.trim_end(), true),
        None => (text, false),
    }
}
