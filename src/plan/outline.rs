//! Takes in what a task refers to: the tasks of its `task:` steps, its scripts and templates. The result is
//! the task's steps as every host gets them, before anything is rendered, and a hash of all that went in.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::TakenIn;
use super::request::PlanRequest;
use crate::model::{Diagnostic, Source, SourceSpan};
use crate::task::{
    Action, Check, Copy, CopyContent, Group, Kind, Quoting, Script, Step, SubScope, SubTask, Task,
    TaskPhase, Template, Text,
};

/// A task with everything it refers to.
pub(super) struct Outline {
    pub(super) facts: Vec<Step>,
    pub(super) before: Vec<Step>,
    /// Its phases, without their strategies.
    pub(super) phases: Vec<PhaseOutline>,
    pub(super) after: Vec<Step>,
    /// Every text and file taken in.
    pub(super) sources: Vec<TakenIn>,
    /// SHA-256 of all of them, hex.
    pub(super) hash: String,
}

/// A phase with everything it refers to.
pub(super) struct PhaseOutline {
    pub(super) before: Vec<Step>,
    pub(super) steps: Vec<Step>,
    pub(super) rescue: Vec<Step>,
    pub(super) always: Vec<Step>,
    pub(super) rollback: Vec<Step>,
    pub(super) health: Vec<Check>,
    pub(super) verify: Vec<Check>,
    pub(super) after: Vec<Step>,
}

/// Takes everything in.
///
/// # Errors
/// Everything that is missing, not supported or calls itself.
pub(super) fn outline(request: &PlanRequest<'_>) -> Result<Outline, Vec<Diagnostic>> {
    let task = request.task;
    let mut taking = Taking {
        request,
        tasks: vec![Arc::clone(task)],
        hasher: Sha256::new(),
        sources: Vec::new(),
        errors: task.unsupported.clone(),
    };
    taking.take_in_task(task);
    let outline = Outline {
        facts: taking.steps(&task.facts, ""),
        before: taking.steps(&task.before, ""),
        phases: task
            .phases
            .iter()
            .map(|phase| taking.phase(phase))
            .collect(),
        after: taking.steps(&task.after, ""),
        hash: hex(&taking.hasher.finalize()),
        sources: taking.sources,
    };
    if taking.errors.is_empty() {
        Ok(outline)
    } else {
        Err(taking.errors)
    }
}

struct Taking<'a> {
    request: &'a PlanRequest<'a>,
    /// The task that is being read, below the tasks that called it.
    tasks: Vec<Arc<Task>>,
    hasher: Sha256,
    sources: Vec<TakenIn>,
    errors: Vec<Diagnostic>,
}

impl Taking<'_> {
    fn take_in_task(&mut self, task: &Task) {
        let path = task.source.path.display().to_string();
        self.take_in(&path, task.source.text.as_bytes());
    }

    fn take_in(&mut self, path: &str, bytes: &[u8]) {
        self.sources.push(TakenIn {
            path: path.to_owned(),
            sha256: hex(&Sha256::digest(bytes)),
        });
        let length = u64::try_from(bytes.len()).expect("a length fits 64 bits");
        self.hasher.update(length.to_be_bytes());
        self.hasher.update(bytes);
    }

    fn phase(&mut self, phase: &TaskPhase) -> PhaseOutline {
        PhaseOutline {
            before: self.steps(&phase.before, ""),
            steps: self.steps(&phase.steps, ""),
            rescue: self.steps(&phase.rescue, ""),
            always: self.steps(&phase.always, ""),
            rollback: self.steps(&phase.rollback, ""),
            health: self.checks(&phase.health),
            verify: self.checks(&phase.verify),
            after: self.steps(&phase.after, ""),
        }
    }

    fn checks(&mut self, checks: &[Check]) -> Vec<Check> {
        let taken = checks.iter().map(|check| Check {
            step: self.step(&check.step, ""),
            watch: check.watch,
        });
        taken.collect()
    }

    fn steps(&mut self, steps: &[Step], prefix: &str) -> Vec<Step> {
        steps.iter().map(|step| self.step(step, prefix)).collect()
    }

    fn step(&mut self, step: &Step, prefix: &str) -> Step {
        let mut step = step.clone();
        step.id = format!("{prefix}{}", step.id);
        match &mut step.action {
            Action::Group(group) => *group = self.group(group, prefix),
            Action::Task(sub) => {
                let id = format!("{}.", step.id);
                self.sub_task(sub, &step.span, &id);
            }
            Action::Script(script) => self.script(script, &step.span),
            Action::Copy(copy) => self.template(copy, &step.span),
            // Whatever the file says, a value in a pattern matches itself.
            Action::WaitFor(wait) => {
                wait.probe.matches = wait.probe.matches.as_ref().map(as_pattern);
            }
            _ => {}
        }
        step
    }

    fn group(&mut self, group: &Group, prefix: &str) -> Group {
        Group {
            steps: self.steps(&group.steps, prefix),
            rescue: self.steps(&group.rescue, prefix),
            always: self.steps(&group.always, prefix),
            recovered: group.recovered,
        }
    }

    fn sub_task(&mut self, sub: &mut SubTask, span: &SourceSpan, prefix: &str) {
        let Some(task) = (self.request.library)(&sub.name) else {
            let message = format!("no task named `{}`", sub.name);
            self.errors.push(Diagnostic::new(message).at(span));
            return;
        };
        if let Some(error) = self.refusal(&task) {
            self.errors.push(error.at(span));
            return;
        }
        let unsupported = task.unsupported.iter();
        self.errors.extend(unsupported.cloned().map(|error| {
            let context = format!("task `{}`", task.name);
            error.context(context)
        }));
        self.take_in_task(&task);
        self.tasks.push(Arc::clone(&task));
        sub.steps = Some(Group {
            steps: self.steps(&task.phases[0].steps, prefix),
            rescue: self.steps(&task.phases[0].rescue, prefix),
            always: self.steps(&task.phases[0].always, prefix),
            recovered: false,
        });
        self.tasks.pop();
        sub.scope = Some(Arc::new(SubScope {
            task,
            params: Arc::default(),
            vars: Arc::default(),
            late_params: indexmap::IndexMap::new(),
            late_vars: indexmap::IndexMap::new(),
        }));
    }

    /// Why this task cannot be called here.
    fn refusal(&self, task: &Task) -> Option<Diagnostic> {
        let names = self.tasks.iter().map(|caller| caller.name.as_str());
        if self.tasks.iter().any(|caller| caller.name == task.name) {
            let chain: Vec<&str> = names.chain([task.name.as_str()]).collect();
            let message = format!("task `{}` calls itself: {}", task.name, chain.join(" → "));
            return Some(Diagnostic::new(message));
        }
        if let Some(own) = task.own_rollout() {
            let message = format!(
                "task `{}` has {own} and cannot be a step of another task",
                task.name
            );
            return Some(Diagnostic::new(message).hint("they are a whole rollout's"));
        }
        if self.request.task.kind == Kind::Read && task.kind == Kind::Change {
            let message = format!(
                "task `{}` only reads, but `{}` changes hosts",
                self.request.task.name, task.name
            );
            return Some(Diagnostic::new(message).hint("`kind: read` is a promise"));
        }
        None
    }

    fn script(&mut self, script: &mut Script, span: &SourceSpan) {
        if script.text.is_none()
            && let Text::Plain(path) = &script.src
        {
            script.text = self.read(path, span);
        }
        if let Some(text) = &script.text {
            self.take_in(script.src.shown(), &Arc::clone(text));
        }
    }

    fn template(&mut self, copy: &mut Copy, span: &SourceSpan) {
        if copy.content != CopyContent::Rendered || copy.text.is_some() {
            return;
        }
        let Text::Plain(path) = &copy.src else {
            return;
        };
        let Some(bytes) = self.read(path, span) else {
            return;
        };
        self.take_in(path, &bytes);
        match content(path, &bytes) {
            Ok(text) => copy.text = Some(text),
            Err(error) => self.errors.push(error.at(span)),
        }
    }

    fn read(&mut self, path: &str, span: &SourceSpan) -> Option<Arc<[u8]>> {
        let task = Arc::clone(self.tasks.last()?);
        let read = self.request.files.read(&task, path);
        read.map_err(|cause| {
            let message = format!("cannot read `{path}`");
            self.errors
                .push(Diagnostic::new(message).at(span).cause(cause));
        })
        .ok()
    }
}

fn as_pattern(text: &Text) -> Text {
    match text {
        Text::Plain(_) => text.clone(),
        Text::Template(template) => Text::Template(Arc::new(Template {
            quoting: Quoting::Pattern,
            ..Template::clone(template)
        })),
    }
}

/// A template file's content as a text of its own.
pub(super) fn content(path: &str, bytes: &[u8]) -> Result<Text, Diagnostic> {
    let text = std::str::from_utf8(bytes)
        .map_err(|_| Diagnostic::new(format!("`{path}` is no text: a template must be UTF-8")))?;
    if !text.contains("{{") && !text.contains("{%") && !text.contains("{#") {
        return Ok(Text::Plain(text.into()));
    }
    let source = Arc::new(Source {
        path: path.into(),
        text: text.to_owned(),
    });
    Ok(Text::Template(Arc::new(Template {
        source: text.to_owned(),
        quoting: Quoting::File,
        span: SourceSpan::new(&source, 0..text.len()),
        registers: Vec::new(),
    })))
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
