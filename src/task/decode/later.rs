//! Top-level keys that the engine does not honour yet: `facts`, `health`, `verify`, `rollback`, `phases`,
//! `notify`, `lock`, `deadline`, `on_failure`. Their shape is checked and their use noted.

use crate::model::Diagnostic;
use crate::task::{Kind, OnFailure};
use crate::yaml::{Fields, Node, NodeKind};

use super::reader::Reader;
use super::scope::{Scope, Section};
use super::text_value::For;

/// What belongs to a phase, and to the task itself only where it has none.
pub(super) const OF_PHASE: [&str; 9] = [
    "strategy", "health", "verify", "before", "steps", "rescue", "always", "after", "rollback",
];

impl<'a> Reader<'a> {
    /// `facts`: their registers become `host.facts`.
    pub(super) fn read_facts(&mut self, fields: &Fields<'a>) {
        let mut scope = Scope::of(Section::Facts);
        self.steps_at(fields, "facts", "fact", &mut scope);
        self.facts = scope.registers.keys().cloned().collect();
        self.unsupported_entry(fields.entry("facts"));
    }

    /// `health` and `verify`: lists of checks.
    pub(super) fn checks(&mut self, fields: &Fields<'a>, key: &str, scope: &Scope) {
        let Some(node) = fields.read(key, &mut self.errors, |node, _, _| Some(node)) else {
            return;
        };
        if let Some(items) = node.expect_sequence(&format!("`{key}`"), &mut self.errors) {
            for (index, item) in items.iter().enumerate() {
                let what = format!("check {} of `{key}`", index + 1);
                self.check(item, &what, scope);
            }
        }
        self.unsupported_entry(fields.entry(key));
    }

    /// `rollback`: steps that can read the registers of the steps.
    pub(super) fn rollback(&mut self, fields: &Fields<'a>, position: &str, scope: &Scope) {
        let mut scope = scope.with_error();
        self.steps_at(fields, "rollback", position, &mut scope);
        self.unsupported_entry(fields.entry("rollback"));
    }

    /// `phases`, each a rollout of its own.
    pub(super) fn phases(&mut self, fields: &Fields<'a>) {
        let Some(node) = fields.read("phases", &mut self.errors, |node, _, _| Some(node)) else {
            return;
        };
        self.unsupported_entry(fields.entry("phases"));
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
        let mut names: Vec<String> = Vec::new();
        for (index, item) in items.unwrap_or_default().iter().enumerate() {
            let Some(name) = self.phase(item, index + 1) else {
                continue;
            };
            if names.contains(&name) {
                let message = format!("two phases are called `{name}`");
                self.error(Diagnostic::new(message).at(&item.head()));
            }
            names.push(name);
        }
    }

    fn phase(&mut self, node: &'a Node, number: usize) -> Option<String> {
        let name = node.get("name").and_then(Node::as_text);
        let what = name.map_or_else(
            || format!("phase {number}"),
            |name| format!("phase `{name}`"),
        );
        let known: Vec<&str> = OF_PHASE.into_iter().chain(["name"]).collect();
        let fields = node.expect_mapping(&what, &known, &mut self.errors)?;
        fields.require("name", &what, &mut self.errors);
        fields.require("steps", &what, &mut self.errors);
        match fields.entry("strategy") {
            Some(entry) => {
                self.strategy(&entry);
            }
            None if self.kind == Kind::Change => {
                fields.require("strategy", &what, &mut self.errors);
            }
            None => {}
        }
        let position = format!("phase-{number}");
        let mut controller = Scope::of(Section::Controller);
        self.steps_at(
            &fields,
            "before",
            &format!("{position}-before"),
            &mut controller,
        );
        let mut scope = Scope::of(Section::Host);
        scope.registers = controller.registers.clone();
        self.checks(&fields, "health", &scope);
        self.checks(&fields, "verify", &scope);
        self.steps_at(&fields, "steps", &format!("{position}-step"), &mut scope);
        self.rescue(&fields, &format!("{position}-rescue"), &mut scope);
        self.steps_at(&fields, "always", &format!("{position}-always"), &mut scope);
        self.rollback(&fields, &format!("{position}-rollback"), &scope);
        self.steps_at(
            &fields,
            "after",
            &format!("{position}-after"),
            &mut controller,
        );
        name.map(str::to_owned)
    }

    /// `notify`: a command on the controller for some events.
    pub(super) fn notify(&mut self, fields: &Fields<'a>) {
        let Some(node) = fields.read("notify", &mut self.errors, |node, _, _| Some(node)) else {
            return;
        };
        self.unsupported_entry(fields.entry("notify"));
        let events = ["start", "gate", "stop", "done", "rollback"].map(|event| (event, ()));
        let items = node.expect_sequence("`notify`", &mut self.errors);
        for item in items.unwrap_or_default() {
            let known = ["events", "local"];
            let Some(fields) = item.expect_mapping("`notify`", &known, &mut self.errors) else {
                continue;
            };
            if let Some(list) = fields.require("events", "`notify`", &mut self.errors) {
                for event in list.list_or_single() {
                    event.expect_word("`events`", &events, &mut self.errors);
                }
            }
            if let Some(command) = fields.require("local", "`notify`", &mut self.errors) {
                self.notification(command);
            }
        }
    }

    fn notification(&mut self, command: &'a Node) {
        let scope = Scope::of(Section::Controller);
        match &command.kind {
            NodeKind::Sequence(words) => {
                for word in words {
                    self.text(word, "a word of `local`", &scope, For::Plain);
                }
            }
            _ => {
                self.text(command, "`local`", &scope, For::Shell);
            }
        }
    }

    /// `lock`: one key for all hosts, or `none`.
    pub(super) fn lock(&mut self, fields: &Fields<'a>) {
        let Some(entry) = fields.entry("lock") else {
            return;
        };
        if self.kind == Kind::Read {
            let error = Diagnostic::new("`lock` in a task of `kind: read`")
                .at(&entry.key.head())
                .label("such a task takes no lock");
            self.error(error);
        }
        self.text_at(fields, "lock", &Scope::of(Section::Rollout), For::Plain);
        self.unsupported_entry(Some(entry));
    }

    /// `on_failure`; anything but `stop` wants rollback steps.
    pub(super) fn on_failure(&mut self, fields: &Fields<'a>, document: &Node) -> OnFailure {
        let words = [
            ("stop", false),
            ("rollback_failed", true),
            ("rollback_batch", true),
            ("rollback_zone", true),
            ("rollback_all", true),
            ("ask", true),
        ];
        let rolls_back = fields.word("on_failure", &words, &mut self.errors);
        let (Some(true), Some(entry)) = (rolls_back, fields.entry("on_failure")) else {
            return OnFailure::Stop;
        };
        self.unsupported(
            &format!("`on_failure: {}`", entry.value.written()),
            &entry.key.head(),
        );
        let in_phase = document.get("phases").is_some_and(|phases| {
            phases
                .list_or_single()
                .iter()
                .any(|phase| phase.get("rollback").is_some())
        });
        if !fields.has("rollback") && !in_phase {
            let message = format!(
                "`on_failure: {}` without `rollback` steps",
                entry.value.written()
            );
            self.error(Diagnostic::new(message).at(&entry.value.head()));
        }
        OnFailure::Stop
    }
}
