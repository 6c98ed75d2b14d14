//! Steps as people read them in a plan: a name, an action, and what it does in a line or a few. A template
//! that waits is shown with its braces.

use crate::model::format_duration;
use crate::task::{
    Action, Condition, CopyContent, OnceFor, Probe, ProbeKind, RunProgram, Script, SpanOf, Step,
    StepPlace, Text, WaitFor, WhereTo,
};

/// A step of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepText {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The action's key in the task's file.
    pub action: &'static str,
    /// What it does; may have several lines.
    pub text: String,
    /// Notes such as `sudo`, `skipped`, `once`, `when …`.
    pub notes: Vec<String>,
    /// How deep it stands in groups and tasks.
    pub depth: usize,
}

/// Steps and the steps inside of them, in order.
pub fn step_texts(steps: &[Step]) -> Vec<StepText> {
    let mut texts = Vec::new();
    add(steps, 0, &mut texts);
    texts
}

fn add(steps: &[Step], depth: usize, texts: &mut Vec<StepText>) {
    for step in steps {
        let (action, text) = described(&step.action);
        let open = step.open.iter().find(|open| open.of == SpanOf::Pause);
        let text = open.map_or(text, |open| open.text.shown().to_owned());
        texts.push(StepText {
            id: step.id.clone(),
            name: step.name.shown().to_owned(),
            action,
            text,
            notes: notes(step),
            depth,
        });
        let inner = match &step.action {
            Action::Group(group) => Some(group),
            Action::Task(sub) => sub.steps.as_ref(),
            _ => None,
        };
        if let Some(group) = inner {
            add(&group.steps, depth + 1, texts);
            let first = texts.len();
            add(&group.rescue, depth + 1, texts);
            mark(&mut texts[first..], "rescue");
            let first = texts.len();
            add(&group.always, depth + 1, texts);
            mark(&mut texts[first..], "always");
        }
    }
}

fn mark(texts: &mut [StepText], note: &str) {
    for text in texts {
        text.notes.insert(0, note.to_owned());
    }
}

fn described(action: &Action) -> (&'static str, String) {
    match action {
        Action::Run(program) => ("run", program_text(program)),
        Action::Script(script) => ("script", script_text(script)),
        Action::Copy(copy) => {
            let key = match copy.content {
                CopyContent::File => "upload",
                CopyContent::Rendered => "template",
            };
            (key, format!("{} → {}", copy.src.shown(), copy.dest.shown()))
        }
        Action::Download(download) => {
            let dest = download.dest.as_ref().map_or("", Text::shown);
            let arrow = if dest.is_empty() { "" } else { " → " };
            ("download", format!("{}{arrow}{dest}", download.src.shown()))
        }
        Action::WaitFor(wait) => ("wait_for", probe_text(&wait.probe)),
        Action::Local(local) => ("local", program_text(&local.program)),
        Action::Assert { that, .. } => {
            let that: Vec<String> = that.iter().map(condition_text).collect();
            ("assert", that.join("\n"))
        }
        Action::Fail(text) => ("fail", text.shown().to_owned()),
        Action::Log(text) => ("log", text.shown().to_owned()),
        Action::Set(variables) => {
            let set = variables.iter();
            let set: Vec<String> = set
                .map(|(name, text)| format!("{name} = {}", text.shown()))
                .collect();
            ("set", set.join("\n"))
        }
        Action::Pause(duration) => ("pause", format_duration(*duration)),
        Action::Reboot => (
            "reboot",
            "and wait until it is back with a new boot id".to_owned(),
        ),
        Action::Confirm(question) => ("confirm", question.text.shown().to_owned()),
        Action::Task(sub) => {
            let params = sub.params.iter();
            let params = params.map(|(name, text)| format!(" {name}={}", text.shown()));
            ("task", sub.name.clone() + &params.collect::<String>())
        }
        Action::Group(_) => ("group", String::new()),
    }
}

/// A program as it could be typed.
fn program_text(program: &RunProgram) -> String {
    match program {
        RunProgram::Shell(text) => text.shown().trim_end().to_owned(),
        RunProgram::Argv(words) => words_text(words.iter().map(Text::shown)),
    }
}

fn script_text(script: &Script) -> String {
    let args = script.args.iter().map(Text::shown);
    words_text(std::iter::once(script.src.shown()).chain(args))
}

/// Words, quoted where a shell would need it; a template that waits is shown as it is.
fn words_text<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let quoted = words.map(|word| {
        if word.contains("{{") {
            return word.to_owned();
        }
        shlex::try_quote(word).map_or_else(|_| format!("{word:?}"), std::borrow::Cow::into_owned)
    });
    quoted.collect::<Vec<_>>().join(" ")
}

fn probe_text(probe: &Probe) -> String {
    match &probe.kind {
        ProbeKind::Http(url) => url.shown().to_owned(),
        ProbeKind::Tcp(address) => format!("tcp {}", address.shown()),
        ProbeKind::Run(program) => program_text(program),
        ProbeKind::File { path, present } => {
            let state = if *present { "present" } else { "absent" };
            format!("{} {state}", path.shown())
        }
        ProbeKind::Ssh => "ssh".to_owned(),
    }
}

fn condition_text(condition: &Condition) -> String {
    match condition {
        Condition::Known(known) => known.to_string(),
        Condition::Expression(expression) => expression.source.clone(),
    }
}

/// What an answer has to be, where it is not just any good one.
fn wanted(step: &Step, wait: &WaitFor) -> Vec<String> {
    let probe = &wait.probe;
    let mut notes = Vec::new();
    if probe.from == WhereTo::Controller {
        notes.push("asked from here".to_owned());
    }
    if !probe.status.is_empty() {
        let status: Vec<String> = probe.status.iter().map(u16::to_string).collect();
        notes.push(format!("status {}", status.join(" or ")));
    }
    let matches = probe.matches.as_ref();
    notes.extend(matches.map(|text| format!("matches {}", text.shown())));
    let equals = probe.equals.as_ref();
    notes.extend(equals.map(|text| format!("is {}", text.shown())));
    let until = probe.until.as_ref();
    notes.extend(until.map(|until| format!("until {}", condition_text(until))));
    if wait.consecutive > 1 {
        notes.push(format!("{} in a row", wait.consecutive));
    }
    let open = step.open.iter().find(|open| open.of == SpanOf::StableFor);
    if let Some(open) = open {
        notes.push(format!("for {}", open.text.shown()));
    } else if !wait.stable_for.is_zero() {
        notes.push(format!("for {}", format_duration(wait.stable_for)));
    }
    notes
}

fn notes(step: &Step) -> Vec<String> {
    let modifiers = &step.modifiers;
    let mut notes = Vec::new();
    if let Action::WaitFor(wait) = &step.action {
        notes.extend(wanted(step, wait));
    }
    match &modifiers.when {
        Some(Condition::Known(false)) => notes.push("skipped".to_owned()),
        Some(Condition::Expression(when)) => notes.push(format!("when {}", when.source)),
        Some(Condition::Known(true)) | None => {}
    }
    if let Some(over) = &modifiers.loop_over {
        notes.push(format!("for each {} of {}", modifiers.as_name, over.source));
    }
    match modifiers.once {
        Some(OnceFor::Rollout) => notes.push("once".to_owned()),
        Some(OnceFor::Zone) => notes.push("once a zone".to_owned()),
        Some(OnceFor::Batch) => notes.push("once a batch".to_owned()),
        None => {}
    }
    if modifiers.barrier {
        notes.push("waits for the batch".to_owned());
    }
    match &modifiers.place {
        StepPlace::Host => {}
        StepPlace::Controller => notes.push("on the controller".to_owned()),
        StepPlace::AnyHealthy => notes.push("on another healthy host".to_owned()),
        StepPlace::Selected(terms) => {
            let terms: Vec<String> = terms.iter().map(ToString::to_string).collect();
            notes.push(format!("on a healthy host of {}", terms.join(" ")));
        }
    }
    match &modifiers.sudo {
        Some(user) if user.shown() == "root" => notes.push("sudo".to_owned()),
        Some(user) => notes.push(format!("sudo {}", user.shown())),
        None => {}
    }
    if let Some(retry) = modifiers.retry.as_ref().filter(|retry| retry.attempts > 1) {
        notes.push(format!("up to {} attempts", retry.attempts));
    }
    if modifiers.detach {
        notes.push("detached".to_owned());
    }
    if modifiers.ignore_errors {
        notes.push("errors ignored".to_owned());
    }
    notes
}
