//! What is done on hosts: `facts`, and the parts of a phase, which stand in the task itself where it has no
//! `phases`. Steps are `step_decl`'s, checks are `action_wait`'s, strategies `strategy`'s.

use crate::model::Diagnostic;
use crate::task::{Check, Kind, MAIN, Step, Task, TaskPhase};
use crate::yaml::{Entry, Fields, Node};

use super::reader::Reader;
use super::scope::{Scope, Section};
use super::strategy::undeclared;

/// What belongs to a phase, and to the task itself only where it has none.
const OF_PHASE: [&str; 9] = [
    "strategy", "health", "verify", "before", "steps", "rescue", "always", "after", "rollback",
];

impl<'a> Reader<'a> {
    /// `facts`: read-only steps whose registers become `host.facts`.
    pub(super) fn read_facts(&mut self, fields: &Fields<'a>) -> Vec<Step> {
        if let Some(entry) = fields.entry("facts").filter(|_| self.kind == Kind::Read) {
            let message = format!(
                "`facts` of task `{}`, which is `kind: read`: nothing would read them",
                self.task
            );
            let error = Diagnostic::new(message).at(&entry.key.head());
            self.error(
                error.hint(
                    "put them into `steps`: what a step registers is there for those after it",
                ),
            );
        }
        let mut scope = Scope::of(Section::Facts);
        let mut facts = self.steps_at(fields, "facts", "fact", &mut scope);
        for fact in &mut facts {
            fact.modifiers.read_only = true;
        }
        self.facts = scope.registers.keys().cloned().collect();
        facts
    }

    /// Everything that is run: the task's `before` and `after`, and between them its phases.
    pub(super) fn read_steps(&mut self, fields: &Fields<'a>, task: &mut Task) {
        let mut controller = Scope::of(Section::Controller);
        task.before = self.steps_at(fields, "before", "before", &mut controller);
        task.phases = if fields.has("phases") {
            self.phases(fields, &controller)
        } else {
            fields.require("steps", &format!("task `{}`", task.name), &mut self.errors);
            let strategy = self.task_strategy(fields);
            let mut phase = TaskPhase::new(MAIN, strategy);
            self.phase_parts(fields, "", &mut phase, &controller);
            vec![phase]
        };
        controller.results = true;
        task.after = self.steps_at(fields, "after", "after", &mut controller);
    }

    /// `phases`, each a pass over the hosts with a strategy of its own.
    fn phases(&mut self, fields: &Fields<'a>, controller: &Scope) -> Vec<TaskPhase> {
        let Some(node) = fields.read("phases", &mut self.errors, |node, _, _| Some(node)) else {
            return Vec::new();
        };
        for key in OF_PHASE {
            if let Some(entry) = fields.entry(key)
                && !matches!(key, "before" | "after")
            {
                let error = Diagnostic::new(format!("`{key}` beside `phases`"))
                    .at(&entry.key.head())
                    .hint("put it into the phases that want it");
                self.error(error);
            }
        }
        let items = node.expect_sequence("`phases`", &mut self.errors);
        if items.is_some_and(<[Node]>::is_empty) {
            self.error(Diagnostic::new("`phases` is an empty list").at(&node.head()));
        }
        let mut phases: Vec<TaskPhase> = Vec::new();
        for (index, item) in items.unwrap_or_default().iter().enumerate() {
            let Some(phase) = self.phase(item, index + 1, controller) else {
                continue;
            };
            if phases.iter().any(|other| other.name == phase.name) {
                let message = format!("two phases are called `{}`", phase.name);
                self.error(Diagnostic::new(message).at(&item.head()));
            }
            phases.push(phase);
        }
        phases
    }

    fn phase(&mut self, node: &'a Node, number: usize, controller: &Scope) -> Option<TaskPhase> {
        let name = node.get("name").and_then(Node::as_text);
        let what = name.map_or_else(
            || format!("phase {number}"),
            |name| format!("phase `{name}`"),
        );
        let known: Vec<&str> = OF_PHASE.into_iter().chain(["name"]).collect();
        let fields = node.expect_mapping(&what, &known, &mut self.errors)?;
        if let Some(name) = fields.require("name", &what, &mut self.errors) {
            self.phase_name(name);
        }
        fields.require("steps", &what, &mut self.errors);
        if self.kind == Kind::Change {
            fields.require("strategy", &what, &mut self.errors);
        }
        let strategy = match fields.entry("strategy") {
            Some(entry) => self.strategy(&entry),
            None => undeclared(self.kind),
        };
        let mut phase = TaskPhase::new(name.unwrap_or_default(), strategy);
        let prefix = format!("phase-{number}-");
        let mut controller = controller.clone();
        let position = format!("{prefix}before");
        phase.before = self.steps_at(&fields, "before", &position, &mut controller);
        self.phase_parts(&fields, &prefix, &mut phase, &controller);
        controller.results = true;
        let position = format!("{prefix}after");
        phase.after = self.steps_at(&fields, "after", &position, &mut controller);
        Some(phase)
    }

    /// What people type and records show: one short word.
    fn phase_name(&mut self, node: &Node) {
        let Some(name) = node.expect_string("`name`", &mut self.errors) else {
            return;
        };
        let valid = name
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-'));
        if name.is_empty() || !valid {
            let error = Diagnostic::new(format!("`{name}` is no name of a phase"))
                .at(&node.head())
                .hint("letters, digits, `_` and `-`");
            self.error(error);
        }
    }

    /// What is done on each host of a phase; `prefix` begins the ids of its steps.
    fn phase_parts(
        &mut self,
        fields: &Fields<'a>,
        prefix: &str,
        phase: &mut TaskPhase,
        controller: &Scope,
    ) {
        let position = |key: &str| format!("{prefix}{key}");
        phase.health = self.checks(fields, "health", &position("health"));
        phase.verify = self.checks(fields, "verify", &position("verify"));
        let mut scope = Scope {
            registers: controller.registers.clone(),
            ..Scope::of(Section::Host)
        };
        phase.steps = self.steps_at(fields, "steps", &position("step"), &mut scope);
        phase.rescue = self.rescue(fields, &position("rescue"), &mut scope);
        phase.always = self.always(fields, &position("always"), &mut scope);
        phase.rollback = self.rollback(fields, &position("rollback"), &scope);
        self.lint_strategy(fields, phase);
    }

    /// `health` and `verify`: lists of checks.
    fn checks(&mut self, fields: &Fields<'a>, key: &str, position: &str) -> Vec<Check> {
        let Some(node) = fields.read(key, &mut self.errors, |node, _, _| Some(node)) else {
            return Vec::new();
        };
        let mut checks = Vec::new();
        let items = node.expect_sequence(&format!("`{key}`"), &mut self.errors);
        for (index, item) in items.unwrap_or_default().iter().enumerate() {
            let what = format!("check {} of `{key}`", index + 1);
            let position = format!("{position}-{}", index + 1);
            checks.extend(self.check(item, &what, &position));
        }
        checks
    }

    /// `rollback`: steps that can read the registers of the steps.
    fn rollback(&mut self, fields: &Fields<'a>, position: &str, scope: &Scope) -> Vec<Step> {
        if let Some(entry) = fields.entry("rollback")
            && self.kind == Kind::Read
        {
            let error = Diagnostic::new("`rollback` in a task of `kind: read`")
                .at(&entry.key.head())
                .label("such a task changes nothing");
            self.error(error);
        }
        let mut scope = scope.with_error();
        self.steps_at(fields, "rollback", position, &mut scope)
    }

    /// Limits that count healthy hosts without any check of health.
    fn lint_strategy(&mut self, fields: &Fields<'a>, phase: &TaskPhase) {
        let Some(Entry { value, .. }) = fields.entry("strategy") else {
            return;
        };
        if !phase.health.is_empty() || fields.has("health") {
            return;
        }
        for key in ["min_healthy", "min_healthy_per_zone", "quorum"] {
            let said = value
                .get(key)
                .filter(|said| said.as_text() != Some("false"));
            if let Some(said) = said {
                let message =
                    format!("`{key}` without `health`: every host that answers counts as healthy");
                self.warn(Diagnostic::new(message).at(&said.head()));
            }
        }
    }
}
