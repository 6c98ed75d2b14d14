//! Renders steps for one host as far as they can be. What reads a register, a loop's element or the run's
//! own facts stays a template, its names checked.

use std::collections::BTreeSet;
use std::sync::Arc;

use indexmap::IndexMap;

use super::name_cache::NameCache;
use super::outline::content;
use super::request::TaskFiles;
use crate::model::Diagnostic;
use crate::task::{
    Action, Check, Condition, Copy, CopyContent, Engine, Group, Modifiers, ParamValue, Probe,
    ProbeKind, RunProgram, Scope, Script, Step, SubScope, SubTask, Task, Text,
};

/// Renders the steps of one host, or of the controller.
pub(super) struct Renderer<'a> {
    pub(super) engine: &'a Engine,
    pub(super) files: &'a dyn TaskFiles,
    pub(super) names: &'a NameCache,
    /// The task whose steps these are.
    pub(super) task: Arc<Task>,
    /// What templates see.
    pub(super) scope: Scope,
    /// Registers of earlier steps and variables of the loops around.
    pub(super) later: BTreeSet<String>,
    /// Params and vars of a `task:` step that wait for a register, such as `params.file`.
    pub(super) late: BTreeSet<String>,
    pub(super) errors: Vec<Diagnostic>,
}

impl Renderer<'_> {
    /// Steps in their order; each one's register is known to those after it.
    pub(super) fn steps(&mut self, steps: &[Step]) -> Vec<Step> {
        steps.iter().map(|step| self.step(step)).collect()
    }

    /// Checks, each by itself: none sees what another one, or a step, found.
    pub(super) fn checks(&mut self, checks: &[Check]) -> Vec<Check> {
        let known = self.later.clone();
        let made = checks.iter().map(|check| {
            let step = self.step(&check.step);
            self.later.clone_from(&known);
            Check {
                step,
                watch: check.watch,
            }
        });
        made.collect()
    }

    fn step(&mut self, step: &Step) -> Step {
        self.scope.set_step(step.name.shown());
        let around = self.later.clone();
        if step.modifiers.loop_over.is_some() {
            self.later.insert(step.modifiers.as_name.clone());
        }
        let when = step.modifiers.when.as_ref();
        let when = when.map(|when| self.condition(when));
        let mut made = step.clone();
        made.modifiers.when = when;
        if made.modifiers.when != Some(Condition::Known(false)) {
            let before = self.errors.len();
            if let Err(errors) = self.engine.settle(&mut made, &self.scope) {
                self.errors.extend(errors);
            }
            let settled = made.action.clone();
            made.action = self.action(&settled, step);
            self.modifiers(&mut made.modifiers);
            // A name is often made from the action: what is wrong there is said once.
            if self.errors.len() == before {
                made.name = self.text(&step.name);
            }
        }
        if !matches!(step.action, Action::Group(_)) {
            self.later = around;
        } else if !around.contains(&step.modifiers.as_name) {
            self.later.remove(&step.modifiers.as_name);
        }
        self.later.extend(step.modifiers.register.clone());
        if let Action::Set(variables) = &step.action {
            self.later.extend(variables.keys().cloned());
        }
        made
    }

    fn modifiers(&mut self, modifiers: &mut Modifiers) {
        let texts = [
            &mut modifiers.before,
            &mut modifiers.sudo,
            &mut modifiers.cwd,
            &mut modifiers.stdin,
            &mut modifiers.check,
        ];
        for text in texts.into_iter().flatten() {
            *text = self.text(text);
        }
        for text in modifiers.env.values_mut() {
            *text = self.text(text);
        }
        if let Some(over) = &modifiers.loop_over {
            modifiers.loop_over = Some(self.loop_over(over));
        }
        // These are asked after each attempt: only their names can be checked now.
        let own = modifiers.register.iter().cloned();
        let before = self.later.clone();
        self.later.extend(own);
        let until = modifiers
            .retry
            .as_ref()
            .and_then(|retry| retry.until.as_ref());
        for condition in [until, modifiers.fail_when.as_ref()].into_iter().flatten() {
            self.check_condition(condition);
        }
        self.later = before;
    }

    fn action(&mut self, action: &Action, step: &Step) -> Action {
        match action {
            Action::Run(program) => Action::Run(self.program(program)),
            Action::Script(script) => Action::Script(self.script(script)),
            Action::Copy(copy) => Action::Copy(self.copy(copy)),
            Action::Download(download) => {
                let mut download = download.clone();
                download.src = self.text(&download.src);
                download.dest = self.maybe(download.dest.as_ref());
                download.sha256 = self.maybe(download.sha256.as_ref());
                Action::Download(download)
            }
            Action::WaitFor(wait) => {
                let mut wait = wait.clone();
                wait.probe = self.probe(&wait.probe, step);
                Action::WaitFor(wait)
            }
            Action::Local(local) => {
                let mut local = local.clone();
                local.program = self.program(&local.program);
                Action::Local(local)
            }
            Action::Assert { that, msg } => {
                for condition in that {
                    self.check_condition(condition);
                }
                Action::Assert {
                    that: that.clone(),
                    msg: self.maybe(msg.as_ref()),
                }
            }
            Action::Fail(text) => Action::Fail(self.text(text)),
            Action::Log(text) => Action::Log(self.text(text)),
            Action::Set(variables) => {
                // A value keeps its type, which a rendered text has lost: it is made when it is set.
                for text in variables.values() {
                    self.check_text(text);
                }
                Action::Set(variables.clone())
            }
            Action::Pause(duration) => Action::Pause(*duration),
            Action::Reboot => Action::Reboot,
            Action::Confirm(question) => {
                let mut question = question.clone();
                question.text = self.text(&question.text);
                Action::Confirm(question)
            }
            Action::Task(sub) => Action::Task(self.sub_task(sub, step)),
            Action::Group(group) => Action::Group(self.group(group)),
        }
    }

    fn group(&mut self, group: &Group) -> Group {
        Group {
            steps: self.steps(&group.steps),
            rescue: self.steps(&group.rescue),
            always: self.steps(&group.always),
            recovered: group.recovered,
        }
    }

    fn program(&mut self, program: &RunProgram) -> RunProgram {
        match program {
            RunProgram::Shell(text) => RunProgram::Shell(self.text(text)),
            RunProgram::Argv(words) => RunProgram::Argv(self.texts(words)),
        }
    }

    fn script(&mut self, script: &Script) -> Script {
        let mut script = script.clone();
        script.src = self.text(&script.src);
        script.args = self.texts(&script.args);
        if script.text.is_none()
            && let Text::Plain(path) = &script.src
        {
            script.text = self.read(&Arc::clone(path));
        }
        script
    }

    fn copy(&mut self, copy: &Copy) -> Copy {
        let mut copy = copy.clone();
        copy.src = self.text(&copy.src);
        copy.dest = self.text(&copy.dest);
        copy.owner = self.maybe(copy.owner.as_ref());
        copy.sha256 = self.maybe(copy.sha256.as_ref());
        copy.verify = self.maybe(copy.verify.as_ref());
        if copy.content == CopyContent::Rendered
            && copy.text.is_none()
            && let Text::Plain(path) = &copy.src
        {
            let path = Arc::clone(path);
            let bytes = self.read(&path);
            let text = bytes.map(|bytes| content(&path, &bytes)).transpose();
            copy.text = text.unwrap_or_else(|error| {
                self.errors.push(error);
                None
            });
        }
        copy.text = self.maybe(copy.text.as_ref());
        copy
    }

    fn probe(&mut self, probe: &Probe, step: &Step) -> Probe {
        let mut probe = probe.clone();
        probe.kind = match &probe.kind {
            ProbeKind::Http(url) => ProbeKind::Http(self.text(url)),
            ProbeKind::Tcp(address) => ProbeKind::Tcp(self.text(address)),
            ProbeKind::Run(program) => ProbeKind::Run(self.program(program)),
            ProbeKind::File { path, present } => ProbeKind::File {
                path: self.text(path),
                present: *present,
            },
            ProbeKind::Ssh => ProbeKind::Ssh,
        };
        probe.matches = self.maybe(probe.matches.as_ref());
        probe.equals = self.maybe(probe.equals.as_ref());
        if let Some(until) = &probe.until {
            let before = self.later.clone();
            self.later.extend(step.modifiers.register.clone());
            self.check_condition(until);
            self.later = before;
        }
        probe
    }

    /// Another task's steps, with its own params and vars.
    fn sub_task(&mut self, sub: &SubTask, step: &Step) -> SubTask {
        let (Some(group), Some(outline)) = (&sub.steps, &sub.scope) else {
            return sub.clone();
        };
        let waits = |text: &Text| self.waits_text(text);
        let resolved = SubScope::resolve(
            &outline.task,
            (&sub.params, &step.span),
            &waits,
            (self.engine, &self.scope),
        );
        let inner = match resolved {
            Ok(inner) => Arc::new(inner),
            Err(errors) => {
                self.errors.extend(errors);
                return sub.clone();
            }
        };
        let mut renderer = Renderer {
            engine: self.engine,
            files: self.files,
            names: self.names,
            task: Arc::clone(&inner.task),
            scope: self.scope.inside(&inner),
            later: self.later.clone(),
            late: inner.late_names(),
            errors: Vec::new(),
        };
        let steps = renderer.group(group);
        self.errors.append(&mut renderer.errors);
        let params = sub.params.iter();
        let shown = params.map(|(name, text)| {
            let value = inner.params.get(name).map(ParamValue::text);
            let text = value.map_or_else(|| text.clone(), |value| Text::Plain(value.into()));
            (name.clone(), text)
        });
        SubTask {
            name: sub.name.clone(),
            params: shown.collect::<IndexMap<_, _>>(),
            steps: Some(steps),
            scope: Some(inner),
        }
    }

    fn read(&mut self, path: &str) -> Option<Arc<[u8]>> {
        let read = self.files.read(&self.task, path);
        read.map_err(|cause| {
            let error = Diagnostic::new(format!("cannot read `{path}`"));
            self.errors
                .push(error.context(self.scope.context()).cause(cause));
        })
        .ok()
    }
}
