//! What decoding carries along: the task's declarations so far, and everything that was found wrong.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use indexmap::IndexMap;

use crate::model::{Diagnostic, SourceSpan};
use crate::task::{Files, Kind, Param};
use crate::yaml::{Fields, Node, NodeKind};

/// The state of one task's decoding.
pub(super) struct Reader<'a> {
    /// The files beside the task.
    pub(super) files: &'a dyn Files,
    /// What is wrong.
    pub(super) errors: Vec<Diagnostic>,
    /// What is right and not supported yet.
    pub(super) unsupported: Vec<Diagnostic>,
    /// What is right and probably not meant.
    pub(super) warnings: Vec<Diagnostic>,
    /// The task's name, for messages.
    pub(super) task: String,
    /// Whether it changes hosts.
    pub(super) kind: Kind,
    /// `resume: from_failed`.
    pub(super) from_failed: bool,
    /// Declared params.
    pub(super) params: IndexMap<String, Param>,
    /// Vars declared so far.
    pub(super) vars: Vec<String>,
    /// Registers of `facts`.
    pub(super) facts: Vec<String>,
    /// The file's `defaults`.
    pub(super) defaults: Option<Fields<'a>>,
    /// Every register of the file with its place, for names that are read too early.
    pub(super) registers: HashMap<&'a str, &'a Node>,
    ids: HashSet<String>,
}

impl<'a> Reader<'a> {
    /// Starts on a document.
    pub(super) fn new(document: &'a Node, files: &'a dyn Files, task: String) -> Self {
        let mut registers = HashMap::new();
        collect_registers(document, &mut registers);
        Self {
            files,
            errors: Vec::new(),
            unsupported: Vec::new(),
            warnings: Vec::new(),
            task,
            kind: Kind::Change,
            from_failed: false,
            params: IndexMap::new(),
            vars: Vec::new(),
            facts: Vec::new(),
            defaults: None,
            registers,
            ids: HashSet::new(),
        }
    }

    /// Adds an error.
    pub(super) fn error(&mut self, error: Diagnostic) {
        self.errors.push(error);
    }

    /// Adds a warning.
    pub(super) fn warn(&mut self, warning: Diagnostic) {
        self.warnings.push(warning);
    }

    /// Notes that a key is right and not supported yet.
    pub(super) fn unsupported(&mut self, what: &str, at: &SourceSpan) {
        let note = Diagnostic::new(format!("{what} is not supported yet")).at(at);
        self.unsupported.push(note);
    }

    /// Takes an id for a step; `false` where the task has it already.
    pub(super) fn take_id(&mut self, id: &str) -> bool {
        self.ids.insert(id.to_owned())
    }

    /// An id that is free: `wanted`, or with a number behind it.
    pub(super) fn free_id(&mut self, wanted: &str) -> String {
        let mut id = wanted.to_owned();
        let mut number = 2;
        while !self.take_id(&id) {
            id = format!("{wanted}-{number}");
            number += 1;
        }
        id
    }

    /// Each error once, in the order of the file.
    pub(super) fn finished(list: &mut Vec<Diagnostic>) {
        let start = |error: &Diagnostic| error.span.as_ref().map_or(0, |span| span.range.start);
        list.sort_by_key(start);
        let mut seen: Vec<(String, Option<Range<usize>>)> = Vec::new();
        list.retain(|error| {
            let key = (
                error.message.clone(),
                error.span.as_ref().map(|span| span.range.clone()),
            );
            let first = !seen.contains(&key);
            seen.push(key);
            first
        });
    }
}

fn collect_registers<'a>(node: &'a Node, found: &mut HashMap<&'a str, &'a Node>) {
    match &node.kind {
        NodeKind::Sequence(items) => {
            for item in items {
                collect_registers(item, found);
            }
        }
        NodeKind::Mapping(pairs) => {
            for (key, value) in pairs {
                match (key.as_text(), value.as_text()) {
                    (Some("register"), Some(name)) => {
                        found.entry(name).or_insert(key);
                    }
                    _ => collect_registers(value, found),
                }
            }
        }
        NodeKind::Null | NodeKind::Scalar(_) => {}
    }
}
