//! Makes what hosts have in common once: hosts that look alike to every template of a section share one
//! rendered copy of it.

use std::collections::{BTreeSet, HashMap};

use crate::model::{Diagnostic, Label};
use crate::task::{
    Action, Check, Condition, Engine, Expression, Group, Modifiers, Probe, ProbeKind, Quoting,
    RunProgram, Scope, Step, SubTask, Text,
};

use super::name_cache::NameCache;

/// The roots whose values may differ between hosts, and are known while planning.
const PER_HOST: [&str; 4] = ["params", "vars", "host", "zone"];

/// What only the run knows of a host.
const FACTS: &str = "host.facts";

/// What is made per host, kept by what the hosts look like to it.
pub(super) struct Section<T> {
    reads: Vec<String>,
    made: HashMap<Vec<String>, Option<T>>,
    failures: Vec<Failure>,
}

/// Errors that several hosts share.
struct Failure {
    looks: Vec<String>,
    errors: Vec<Diagnostic>,
    hosts: Vec<Label>,
}

/// How many hosts an error names.
const HOSTS_SHOWN: usize = 5;

impl<T: Clone> Section<T> {
    /// A section whose templates read these names.
    pub(super) fn new(reads: BTreeSet<String>) -> Self {
        Self {
            reads: reads.into_iter().collect(),
            made: HashMap::new(),
            failures: Vec::new(),
        }
    }

    /// The section for the host of this scope: as it was made for a host that looks alike, else made now.
    pub(super) fn of(
        &mut self,
        (engine, scope, label): (&Engine, &Scope, &Label),
        make: impl FnOnce() -> Result<T, Vec<Diagnostic>>,
    ) -> Option<T> {
        let reads = self.reads.iter();
        let looks: Vec<String> = reads.map(|path| engine.fingerprint(path, scope)).collect();
        if let Some(made) = self.made.get(&looks) {
            if made.is_none()
                && let Some(failure) = self.failures.iter_mut().find(|known| known.looks == looks)
                && !failure.hosts.contains(label)
            {
                failure.hosts.push(label.clone());
            }
            return made.clone();
        }
        let section = make()
            .map_err(|errors| {
                self.failures.push(Failure {
                    looks: looks.clone(),
                    errors,
                    hosts: vec![label.clone()],
                });
            })
            .ok();
        self.made.insert(looks, section.clone());
        section
    }

    /// Every error once, with the further hosts that have it.
    pub(super) fn into_errors(self) -> impl Iterator<Item = Diagnostic> {
        self.failures.into_iter().flat_map(|failure| {
            let others = &failure.hosts[1..];
            let shown: Vec<&str> = others.iter().take(HOSTS_SHOWN).map(Label::as_str).collect();
            let hint = match others.len() {
                0 => None,
                count if count <= HOSTS_SHOWN => Some(format!("the same for {}", shown.join(", "))),
                count => Some(format!(
                    "the same for {count} more hosts: {}, …",
                    shown.join(", ")
                )),
            };
            let errors = failure.errors.into_iter();
            errors
                .map(|error| match &hint {
                    Some(hint) => error.hint(hint.clone()),
                    None => error,
                })
                .collect::<Vec<_>>()
        })
    }
}

/// Collects what texts, conditions and steps read of names that may differ between hosts.
pub(super) struct Reads<'a> {
    names: &'a NameCache,
    /// Inside a `task:` step, where `params` and `vars` are its own, made from names that are collected too.
    inside: bool,
    found: BTreeSet<String>,
    /// The step that is read.
    step: String,
    /// Steps whose shell text takes a value as it is.
    raw: BTreeSet<String>,
}

impl<'a> Reads<'a> {
    pub(super) fn new(names: &'a NameCache) -> Self {
        Self {
            names,
            inside: false,
            found: BTreeSet::new(),
            step: String::new(),
            raw: BTreeSet::new(),
        }
    }

    pub(super) fn into_names(self) -> BTreeSet<String> {
        self.found
    }

    pub(super) fn text(&mut self, text: &Text) {
        if let Text::Template(template) = text
            && let Ok(names) = self.names.of_template(template)
        {
            self.paths(names.paths.iter().map(|name| name.path.as_str()));
            if names.raw && template.quoting == Quoting::Shell {
                self.raw.insert(self.step.clone());
            }
        }
    }

    /// The steps whose shell text takes a value as it is, by name.
    pub(super) fn raw_steps(&self) -> &BTreeSet<String> {
        &self.raw
    }

    fn paths<'n>(&mut self, paths: impl Iterator<Item = &'n str>) {
        for path in paths {
            let root = path.split('.').next().unwrap_or(path);
            let is_own = self.inside && matches!(root, "params" | "vars");
            let is_late = path == FACTS || path.starts_with("host.facts.");
            if PER_HOST.contains(&root) && !is_own && !is_late {
                self.found.insert(path.to_owned());
            }
        }
    }

    fn expression(&mut self, expression: &std::sync::Arc<Expression>) {
        if let Ok(names) = self.names.of_expression(expression) {
            self.paths(names.paths.iter().map(|name| name.path.as_str()));
        }
    }

    pub(super) fn condition(&mut self, condition: &Condition) {
        if let Condition::Expression(expression) = condition {
            self.expression(expression);
        }
    }

    fn maybe(&mut self, text: Option<&Text>) {
        if let Some(text) = text {
            self.text(text);
        }
    }

    fn program(&mut self, program: &RunProgram) {
        match program {
            RunProgram::Shell(text) => self.text(text),
            RunProgram::Argv(words) => words.iter().for_each(|word| self.text(word)),
        }
    }

    pub(super) fn checks(&mut self, checks: &[Check]) {
        for check in checks {
            self.steps(std::slice::from_ref(&check.step));
        }
    }

    pub(super) fn steps(&mut self, steps: &[Step]) {
        for step in steps {
            step.name.shown().clone_into(&mut self.step);
            self.text(&step.name);
            step.open.iter().for_each(|open| self.text(&open.text));
            self.modifiers(&step.modifiers);
            self.action(&step.action);
        }
    }

    fn modifiers(&mut self, modifiers: &Modifiers) {
        let until = modifiers
            .retry
            .as_ref()
            .and_then(|retry| retry.until.as_ref());
        let conditions = [modifiers.when.as_ref(), modifiers.fail_when.as_ref(), until];
        for condition in conditions.into_iter().flatten() {
            self.condition(condition);
        }
        for text in [
            &modifiers.before,
            &modifiers.sudo,
            &modifiers.cwd,
            &modifiers.stdin,
            &modifiers.check,
        ] {
            self.maybe(text.as_ref());
        }
        modifiers.env.values().for_each(|text| self.text(text));
        if let Some(over) = &modifiers.loop_over {
            self.expression(over);
        }
    }

    fn action(&mut self, action: &Action) {
        match action {
            Action::Run(program) => self.program(program),
            Action::Script(script) => {
                self.text(&script.src);
                script.args.iter().for_each(|arg| self.text(arg));
            }
            Action::Copy(copy) => {
                self.text(&copy.src);
                self.text(&copy.dest);
                for text in [&copy.owner, &copy.sha256, &copy.verify, &copy.text] {
                    self.maybe(text.as_ref());
                }
                // A template file whose name differs between hosts is read per host, and may read anything.
                if copy.text.is_none() && matches!(copy.src, Text::Template(_)) {
                    self.paths(PER_HOST.into_iter());
                }
            }
            Action::Download(download) => {
                self.text(&download.src);
                self.maybe(download.dest.as_ref());
                self.maybe(download.sha256.as_ref());
            }
            Action::WaitFor(wait) => self.probe(&wait.probe),
            Action::Local(local) => self.program(&local.program),
            Action::Assert { that, msg } => {
                for condition in that {
                    self.condition(condition);
                }
                self.maybe(msg.as_ref());
            }
            Action::Fail(text) | Action::Log(text) => self.text(text),
            Action::Set(variables) => variables.values().for_each(|text| self.text(text)),
            Action::Pause(_) | Action::Reboot => {}
            Action::Confirm(question) => self.text(&question.text),
            Action::Task(sub) => self.sub_task(sub),
            Action::Group(group) => self.group(group),
        }
    }

    fn probe(&mut self, probe: &Probe) {
        match &probe.kind {
            ProbeKind::Http(text) | ProbeKind::Tcp(text) | ProbeKind::File { path: text, .. } => {
                self.text(text);
            }
            ProbeKind::Run(program) => self.program(program),
            ProbeKind::Ssh => {}
        }
        self.maybe(probe.matches.as_ref());
        self.maybe(probe.equals.as_ref());
        if let Some(until) = &probe.until {
            self.condition(until);
        }
    }

    fn group(&mut self, group: &Group) {
        self.steps(&group.steps);
        self.steps(&group.rescue);
        self.steps(&group.always);
    }

    fn sub_task(&mut self, sub: &SubTask) {
        sub.params.values().for_each(|text| self.text(text));
        let (Some(group), Some(scope)) = (&sub.steps, &sub.scope) else {
            return;
        };
        let outer = std::mem::replace(&mut self.inside, true);
        let defaults = scope.task.params.values();
        for default in defaults.filter_map(|param| param.default.as_ref()) {
            self.text(default);
        }
        scope.task.vars.values().for_each(|text| self.text(text));
        self.group(group);
        self.inside = outer;
    }
}
