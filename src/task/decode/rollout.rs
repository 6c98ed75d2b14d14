//! What concerns a rollout as a whole: `notify`, `lock`, `on_failure`.

use crate::model::Diagnostic;
use crate::task::{Kind, LockKey, Notice, Occasion, OnFailure, RunProgram, Text};
use crate::yaml::{Fields, Node, NodeKind};

use super::reader::Reader;
use super::scope::{Scope, Section};
use super::text_value::For;

const OCCASIONS: [(&str, Occasion); 5] = [
    ("start", Occasion::Start),
    ("gate", Occasion::Gate),
    ("stop", Occasion::Stop),
    ("done", Occasion::Done),
    ("rollback", Occasion::Rollback),
];

const ON_FAILURE: [(&str, OnFailure); 6] = [
    ("stop", OnFailure::Stop),
    ("rollback_failed", OnFailure::RollbackFailed),
    ("rollback_batch", OnFailure::RollbackBatch),
    ("rollback_zone", OnFailure::RollbackZone),
    ("rollback_all", OnFailure::RollbackAll),
    ("ask", OnFailure::Ask),
];

impl<'a> Reader<'a> {
    /// `notify`: commands on the controller for some events.
    pub(super) fn notify(&mut self, fields: &Fields<'a>) -> Vec<Notice> {
        let Some(node) = fields.read("notify", &mut self.errors, |node, _, _| Some(node)) else {
            return Vec::new();
        };
        let items = node.expect_sequence("`notify`", &mut self.errors);
        let items = items.unwrap_or_default().iter();
        items.filter_map(|item| self.notice(item)).collect()
    }

    fn notice(&mut self, node: &'a Node) -> Option<Notice> {
        let known = ["events", "local"];
        let fields = node.expect_mapping("`notify`", &known, &mut self.errors)?;
        let mut events = Vec::new();
        if let Some(list) = fields.require("events", "`notify`", &mut self.errors) {
            let items = list.list_or_single();
            if items.is_empty() {
                let error = Diagnostic::new("`events` is an empty list").at(&list.head());
                self.error(error);
            }
            for item in items {
                if let Some(event) = item.expect_word("`events`", &OCCASIONS, &mut self.errors)
                    && !events.contains(&event)
                {
                    events.push(event);
                }
            }
        }
        let command = fields.require("local", "`notify`", &mut self.errors)?;
        let program = self.notification(command)?;
        Some(Notice { events, program })
    }

    fn notification(&mut self, command: &'a Node) -> Option<RunProgram> {
        let mut scope = Scope::of(Section::Controller);
        scope.results = true;
        let NodeKind::Sequence(words) = &command.kind else {
            let text = self.text(command, "`local`", &scope, For::Shell)?;
            return Some(RunProgram::Shell(text));
        };
        if words.is_empty() {
            self.error(Diagnostic::new("`local` is empty").at(&command.head()));
        }
        let words = words.iter();
        let words: Vec<Text> = words
            .filter_map(|word| self.text(word, "a word of `local`", &scope, For::Plain))
            .collect();
        Some(RunProgram::Argv(words))
    }

    /// `lock`: one key for all hosts, or `none`.
    pub(super) fn lock(&mut self, fields: &Fields<'a>) -> LockKey {
        let Some(entry) = fields.entry("lock") else {
            return LockKey::ByTags;
        };
        if self.kind == Kind::Read {
            let error = Diagnostic::new("`lock` in a task of `kind: read`")
                .at(&entry.key.head())
                .label("such a task takes no lock");
            self.error(error);
        }
        let key = self.text_at(fields, "lock", &Scope::of(Section::Rollout), For::Plain);
        match key {
            None => LockKey::ByTags,
            Some(Text::Plain(text)) if &*text == "none" => LockKey::None,
            Some(Text::Plain(text)) if text.trim().is_empty() => {
                let error = Diagnostic::new("`lock` is empty").at(&entry.value.head());
                self.error(error.hint("`lock: none` takes no lock; without `lock` the task's name and the hosts' tags are the key"));
                LockKey::ByTags
            }
            Some(text) => LockKey::Key(text),
        }
    }

    /// `on_failure`; anything but `stop` wants rollback steps.
    pub(super) fn on_failure(&mut self, fields: &Fields<'a>, document: &Node) -> OnFailure {
        let found = fields.word("on_failure", &ON_FAILURE, &mut self.errors);
        let found = found.unwrap_or_default();
        let Some(entry) = fields
            .entry("on_failure")
            .filter(|_| found != OnFailure::Stop)
        else {
            return found;
        };
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
        found
    }
}
