//! A whole task file: its top-level keys, in the order in which they need each other.

use std::path::PathBuf;
use std::sync::Arc;

use indexmap::IndexMap;

use crate::model::selector::Term;
use crate::model::{Diagnostic, Source, SourceSpan};
use crate::task::{Files, Kind, Strategy, Task, Text};
use crate::yaml::{self, Fields, Node, NodeKind};

use super::param_decl::is_param_name;
use super::reader::Reader;
use super::scope::{Scope, Section};
use super::strategy;
use super::text_value::For;

const KEYS: [&str; 27] = [
    "version",
    "task",
    "desc",
    "help",
    "private",
    "kind",
    "params",
    "vars",
    "targets",
    "defaults",
    "facts",
    "strategy",
    "health",
    "verify",
    "lock",
    "before",
    "after",
    "steps",
    "rescue",
    "always",
    "rollback",
    "phases",
    "on_failure",
    "resume",
    "fanout",
    "deadline",
    "notify",
];

/// Words that a task cannot be called: the subcommands.
const SUBCOMMANDS: [&str; 24] = [
    "run",
    "plan",
    "hosts",
    "list",
    "show",
    "put",
    "get",
    "resume",
    "retry",
    "rollback",
    "abort",
    "runs",
    "report",
    "logs",
    "lock",
    "ssh",
    "doctor",
    "check",
    "init",
    "schema",
    "completions",
    "man",
    "config",
    "help",
];

/// Reads a file that holds one task.
///
/// # Errors
/// Everything that is wrong with the file.
pub fn read(
    source: &Arc<Source>,
    folder: Option<PathBuf>,
    files: &dyn Files,
) -> Result<Task, Vec<Diagnostic>> {
    let document = yaml::parse(source)?;
    read_document(&document, folder, files)
}

/// Decodes one document of a file.
///
/// # Errors
/// Everything that is wrong with it.
pub fn read_document(
    document: &Node,
    folder: Option<PathBuf>,
    files: &dyn Files,
) -> Result<Task, Vec<Diagnostic>> {
    let name = document_name(document);
    let mut reader = Reader::new(document, files, name);
    let task = reader.task_file(document, folder);
    Reader::finished(&mut reader.errors);
    match task {
        Some(task) if reader.errors.is_empty() => Ok(task),
        _ => Err(reader.errors),
    }
}

/// The name of the task in a document, also of one that is wrong: its `task`, else the file's stem.
pub fn document_name(document: &Node) -> String {
    let given = document.get("task").and_then(Node::as_text);
    given.map_or_else(
        || {
            let stem = document.span.source.path.file_stem();
            stem.map(|stem| stem.to_string_lossy().into_owned())
                .unwrap_or_default()
        },
        str::to_owned,
    )
}

impl<'a> Reader<'a> {
    fn task_file(&mut self, document: &'a Node, folder: Option<PathBuf>) -> Option<Task> {
        if document.is_null() {
            self.error(Diagnostic::new("this file holds no task").at(&document.head()));
            return None;
        }
        let what = format!("task `{}`", self.task);
        let fields = document.expect_mapping(&what, &KEYS, &mut self.errors)?;
        self.header(&fields);
        let deadline = fields.duration("deadline", &mut self.errors);
        let (vars, targets) = (self.read_vars(&fields), self.targets(&fields));
        let facts = self.read_facts(&fields);
        let lock = self.lock(&fields);
        let mut task = Task {
            name: self.task.clone(),
            desc: fields.string("desc", &mut self.errors).unwrap_or_default(),
            help: fields.string("help", &mut self.errors).unwrap_or_default(),
            private: fields.bool("private", &mut self.errors).unwrap_or(false),
            kind: self.kind,
            params: self.params.clone(),
            vars,
            targets,
            facts,
            before: Vec::new(),
            phases: Vec::new(),
            after: Vec::new(),
            fanout: self.fanout(&fields),
            lock,
            on_failure: self.on_failure(&fields, document),
            from_failed: self.from_failed,
            notify: self.notify(&fields),
            deadline,
            source: Arc::clone(&document.span.source),
            folder,
            unsupported: Vec::new(),
            warnings: Vec::new(),
        };
        self.read_steps(&fields, &mut task);
        Self::finished(&mut self.unsupported);
        task.unsupported = std::mem::take(&mut self.unsupported);
        Self::finished(&mut self.warnings);
        task.warnings = std::mem::take(&mut self.warnings);
        Some(task)
    }

    /// What everything else depends on: version, name, kind, params, defaults.
    fn header(&mut self, fields: &Fields<'a>) {
        if let Some(version) = fields.int::<u32>("version", &mut self.errors)
            && version != 1
        {
            let at = fields
                .get("version")
                .map_or_else(|| fields.head().clone(), Node::head);
            let message = format!("version {version} of the task format is not known");
            let error = Diagnostic::new(message).at(&at);
            self.error(error.hint("this fab-rs reads version 1"));
        }
        self.check_name_of_task(fields);
        let kinds = [("read", Kind::Read), ("change", Kind::Change)];
        self.kind = fields
            .word("kind", &kinds, &mut self.errors)
            .unwrap_or(Kind::Change);
        let words = [("from_start", false), ("from_failed", true)];
        self.from_failed = fields
            .word("resume", &words, &mut self.errors)
            .unwrap_or_default();
        let params = fields.read("params", &mut self.errors, |node, _, _| Some(node));
        if let Some(node) = params {
            self.read_params(node);
        }
        let defaults = fields.read("defaults", &mut self.errors, |node, _, _| Some(node));
        if let Some(node) = defaults {
            self.read_defaults(node);
        }
    }

    fn check_name_of_task(&mut self, fields: &Fields<'a>) {
        let at = match fields.entry("task") {
            Some(entry) => {
                if entry
                    .value
                    .expect_string("`task`", &mut self.errors)
                    .is_none()
                {
                    return;
                }
                entry.value.head()
            }
            None => fields.head().clone(),
        };
        let name = self.task.clone();
        if !is_param_name(&name) {
            let error = Diagnostic::new(format!("`{name}` is no name of a task"))
                .at(&at)
                .hint("small letters, digits and `_`, beginning with a letter");
            self.error(error);
        } else if SUBCOMMANDS.contains(&name.as_str()) {
            let error = Diagnostic::new(format!("a task cannot be called `{name}`"))
                .at(&at)
                .label(format!("`fab-rs {name}` is a subcommand"));
            self.error(error);
        }
    }

    fn read_vars(&mut self, fields: &Fields<'a>) -> IndexMap<String, Text> {
        let mut vars = IndexMap::new();
        let entries = fields.read("vars", &mut self.errors, Node::expect_entries);
        let scope = Scope::of(Section::Vars);
        for entry in entries.unwrap_or_default() {
            let what = format!("`{}`", entry.name);
            if !super::step_decl::is_identifier(entry.name) {
                let message = format!("{what} is no name of a variable");
                self.error(Diagnostic::new(message).at(&entry.key.head()));
            }
            if let Some(text) = self.text(entry.value, &what, &scope, For::Plain) {
                vars.insert(entry.name.to_owned(), text);
            }
            self.vars.push(entry.name.to_owned());
        }
        vars
    }

    /// Selector words: a list, or one text with blanks between them.
    fn targets(&mut self, fields: &Fields<'a>) -> Vec<Text> {
        let Some(node) = fields.read("targets", &mut self.errors, |node, _, _| Some(node)) else {
            return Vec::new();
        };
        let scope = Scope::of(Section::Rollout);
        let mut words = Vec::new();
        if let NodeKind::Sequence(items) = &node.kind {
            for item in items {
                let word = self.text(item, "`targets`", &scope, For::Plain);
                words.extend(word.map(|word| (word, item)));
            }
        } else if let Some(whole) = self.text(node, "`targets`", &scope, For::Plain) {
            let split = split_words(whole.shown()).into_iter();
            words.extend(split.map(|word| (template_word(&whole, word), node)));
        }
        for (word, node) in &words {
            if let Text::Plain(text) = word
                && let Err(error) = text.parse::<Term>()
            {
                self.error(error.diagnostic().at(&node.head()));
            }
        }
        words.into_iter().map(|(word, _)| word).collect()
    }

    pub(super) fn task_strategy(&mut self, fields: &Fields<'a>) -> Strategy {
        match fields.entry("strategy") {
            Some(entry) if entry.value.is_null() => {
                fields.read("strategy", &mut self.errors, |_, _, _| Some(()));
                strategy::undeclared(self.kind)
            }
            Some(entry) => self.strategy(&entry),
            None => {
                // A kind that cannot be read was reported.
                let given = fields.get("kind").and_then(Node::as_text);
                let change = given.is_none_or(|kind| kind == "change");
                if change {
                    let at = fields.entry("kind").map_or_else(
                        || fields.head().clone(),
                        |entry| SourceSpan::clone(&entry.key.head()),
                    );
                    let message =
                        format!("task `{}` changes hosts and has no `strategy`", self.task);
                    let error = Diagnostic::new(message)
                        .at(&at)
                        .hint("write `strategy: {batch: 1}`, or `strategy: all` for all at once")
                        .hint("a task that only looks is `kind: read`");
                    self.error(error);
                }
                strategy::undeclared(self.kind)
            }
        }
    }

    fn fanout(&mut self, fields: &Fields<'a>) -> Option<u32> {
        let fanout = fields.int::<u32>("fanout", &mut self.errors)?;
        if fanout == 0 {
            let at = fields.get("fanout").map(Node::head)?;
            self.error(Diagnostic::new("`fanout` must be 1 or more").at(&at));
            return None;
        }
        Some(fanout)
    }
}

/// Words of a text with templates: blanks inside braces are no separators.
fn split_words(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let (mut start, mut depth) = (None, 0_usize);
    for (at, letter) in text.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if letter.is_whitespace() && depth == 0 {
            if let Some(from) = start.take() {
                words.push(&text[from..at]);
            }
        } else if start.is_none() {
            start = Some(at);
        }
    }
    words.extend(start.map(|from| &text[from..]));
    words
}

/// One word of a text, as a template where it holds one.
fn template_word(whole: &Text, word: &str) -> Text {
    match whole {
        Text::Template(template) if super::text_value::is_template(word) => {
            let mut template = (**template).clone();
            word.clone_into(&mut template.source);
            Text::Template(Arc::new(template))
        }
        _ => Text::Plain(word.into()),
    }
}
