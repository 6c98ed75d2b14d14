//! Actions that decide, ask, say or hold other steps: `assert`, `set`, `pause`, `confirm`, `task`, `group`.

use indexmap::IndexMap;

use crate::model::Diagnostic;
use crate::task::{Action, Group, OpenSpan, Question, SpanOf, SubTask, Text};
use crate::yaml::{Fields, Node, NodeKind};

use super::reader::Reader;
use super::scope::{Known, Scope};
use super::step_decl::{StepNode, is_map};
use super::text_value::{For, is_template};

impl<'a> Reader<'a> {
    /// `assert`: `{that, msg}`.
    pub(super) fn assert(&mut self, node: &'a Node, scope: &Scope) -> Option<Action> {
        let fields = node.expect_mapping("`assert`", &["that", "msg"], &mut self.errors)?;
        let that = fields.require("that", "`assert`", &mut self.errors)?;
        let items = that.list_or_single();
        if items.is_empty() {
            self.error(Diagnostic::new("`that` is empty").at(&that.head()));
        }
        let before = self.errors.len();
        let that: Vec<_> = items
            .iter()
            .filter_map(|item| self.condition(item, "`that`", scope))
            .collect();
        let msg = self.text_at(&fields, "msg", scope, For::Plain);
        (self.errors.len() == before).then_some(Action::Assert { that, msg })
    }

    /// `set`: names and texts; later steps read them as they read registers.
    pub(super) fn set(
        &mut self,
        node: &'a Node,
        inner: &Scope,
        scope: &mut Scope,
    ) -> Option<Action> {
        let mut values = IndexMap::new();
        for entry in node.expect_entries("`set`", &mut self.errors)? {
            self.free_name("variable", entry.name, &entry.key.head());
            let text = self.text(entry.value, &format!("`{}`", entry.name), inner, For::Plain);
            if let Some(text) = text {
                values.insert(entry.name.to_owned(), text);
            }
        }
        for name in values.keys() {
            scope.registers.insert(name.clone(), Known::Value);
        }
        Some(Action::Set(values))
    }

    /// `confirm`: a text, or `{text, default, timeout}`.
    pub(super) fn confirm(
        &mut self,
        node: &'a Node,
        scope: &Scope,
        open: &mut Vec<OpenSpan>,
    ) -> Option<Question> {
        if !is_map(node) {
            let text = self.text(node, "`confirm`", scope, For::Plain)?;
            return Some(Question {
                text,
                default: None,
                timeout: None,
            });
        }
        let known = ["text", "default", "timeout"];
        let fields = node.expect_mapping("`confirm`", &known, &mut self.errors)?;
        Some(Question {
            text: self.required_text(&fields, "text", "`confirm`", scope)?,
            default: fields.bool("default", &mut self.errors),
            timeout: self.span(&fields, "timeout", SpanOf::Answer, open),
        })
    }

    /// `task`: a name, or `{name, params}`. Whether the task exists is `library`'s to say.
    pub(super) fn sub_task(&mut self, node: &'a Node, scope: &Scope) -> Option<SubTask> {
        let sub_task = |name| SubTask {
            name,
            params: IndexMap::new(),
            steps: None,
            scope: None,
        };
        if !is_map(node) {
            let name = node.expect_string("`task`", &mut self.errors)?;
            return self.task_word(name, node).map(sub_task);
        }
        let fields = node.expect_mapping("`task`", &["name", "params"], &mut self.errors)?;
        let name_node = fields.require("name", "`task`", &mut self.errors)?;
        let name = name_node.expect_string("`name`", &mut self.errors)?;
        let name = self.task_word(name, name_node)?;
        let entries = fields.read("params", &mut self.errors, Node::expect_entries);
        let mut params: IndexMap<String, Text> = IndexMap::new();
        for entry in entries.unwrap_or_default() {
            let what = format!("`{}`", entry.name);
            if let Some(text) = self.text(entry.value, &what, scope, For::Private) {
                params.insert(entry.name.to_owned(), text);
            }
        }
        Some(SubTask {
            params,
            ..sub_task(name)
        })
    }

    fn task_word(&mut self, name: String, node: &Node) -> Option<String> {
        if is_template(&name) {
            let error = Diagnostic::new("the name of a task is no template")
                .at(&node.head())
                .hint("use two steps with `when:`");
            self.error(error);
            return None;
        }
        Some(name)
    }

    /// `group`, with `rescue`, `always` and `recovered` beside it.
    pub(super) fn group(
        &mut self,
        step: &StepNode<'a>,
        inner: &Scope,
        scope: &mut Scope,
    ) -> Option<Group> {
        if !matches!(step.action.value.kind, NodeKind::Sequence(_)) {
            let error = step.action.value.mismatch("`group`", "a list of steps");
            self.error(error);
            return None;
        }
        let mut seen = inner.clone();
        let position = &step.position;
        let steps = self.steps(step.action.value, "`group`", position, &mut seen);
        let fields = &step.fields;
        let rescue = self.rescue(fields, &format!("{position}-rescue"), &mut seen);
        let always = self.always(fields, &format!("{position}-always"), &mut seen);
        scope.results |= seen.results;
        let recovered = fields.bool("recovered", &mut self.errors).unwrap_or(false);
        for (name, known) in seen.registers {
            scope.registers.insert(name, known);
        }
        Some(Group {
            steps,
            rescue,
            always,
            recovered,
        })
    }

    /// The steps under a key, if it is there.
    pub(super) fn steps_at(
        &mut self,
        fields: &Fields<'a>,
        key: &str,
        position: &str,
        scope: &mut Scope,
    ) -> Vec<crate::task::Step> {
        match fields.read(key, &mut self.errors, |node, _, _| Some(node)) {
            Some(node) => self.steps(node, &format!("`{key}`"), position, scope),
            None => Vec::new(),
        }
    }

    /// The steps of `rescue`.
    pub(super) fn rescue(
        &mut self,
        fields: &Fields<'a>,
        position: &str,
        scope: &mut Scope,
    ) -> Vec<crate::task::Step> {
        self.after_error(fields, "rescue", position, scope)
    }

    /// The steps of `always`.
    pub(super) fn always(
        &mut self,
        fields: &Fields<'a>,
        position: &str,
        scope: &mut Scope,
    ) -> Vec<crate::task::Step> {
        self.after_error(fields, "always", position, scope)
    }

    /// Steps that can read `error`.
    fn after_error(
        &mut self,
        fields: &Fields<'a>,
        key: &str,
        position: &str,
        scope: &mut Scope,
    ) -> Vec<crate::task::Step> {
        let mut inner = scope.with_error();
        let steps = self.steps_at(fields, key, position, &mut inner);
        scope.registers = inner.registers;
        steps
    }
}
