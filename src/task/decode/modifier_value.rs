//! The values of modifiers. Which modifier may stand where is `modifier`'s job.

use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;

use crate::model::selector::{Term, TermError};
use crate::model::{Diagnostic, nearest};
use crate::task::{Condition, Expression, OnceFor, OpenSpan, Retry, SpanOf, StepPlace, Text};
use crate::yaml::{Fields, Node, NodeKind};

use super::reader::Reader;
use super::scope::{Scope, Section};
use super::step_decl::is_identifier;
use super::text_value::{For, is_template};

impl<'a> Reader<'a> {
    pub(super) fn condition_at(
        &mut self,
        keys: &Fields<'a>,
        key: &str,
        scope: &Scope,
    ) -> Option<Condition> {
        let node = keys.read(key, &mut self.errors, |node, _, _| Some(node))?;
        self.condition(node, &format!("`{key}`"), scope)
    }

    /// `sh`, `bash`, or an argv whose last argument is the text.
    pub(super) fn shell(&mut self, keys: &Fields<'a>) -> Option<Vec<String>> {
        let node = keys.read("shell", &mut self.errors, |node, _, _| Some(node))?;
        if let NodeKind::Sequence(items) = &node.kind {
            let argv = node.expect_strings("`shell`", &mut self.errors)?;
            if items.is_empty() {
                self.error(Diagnostic::new("`shell` has no program").at(&node.head()));
                return None;
            }
            return Some(argv);
        }
        match node.expect_string("`shell`", &mut self.errors)?.as_str() {
            "sh" => None,
            // Under sshd bash reads the start files of interactive shells, and those know nothing of `-u`.
            "bash" => Some(
                ["bash", "--norc", "-euo", "pipefail", "-c"]
                    .map(str::to_owned)
                    .to_vec(),
            ),
            other => {
                let words: Vec<String> = other.split_whitespace().map(str::to_owned).collect();
                let message = format!("`shell` must be `sh`, `bash` or an argv, not `{other}`");
                let hint = format!("write {words:?}, with the option that takes a text last");
                self.error(Diagnostic::new(message).at(&node.head()).hint(hint));
                None
            }
        }
    }

    /// A list, or an expression with or without braces.
    pub(super) fn loop_over(
        &mut self,
        keys: &Fields<'a>,
        scope: &Scope,
    ) -> Option<Arc<Expression>> {
        let node = keys.read("loop", &mut self.errors, |node, _, _| Some(node))?;
        // The step's own scope has the loop variable already, which the list cannot read.
        let mut outer = scope.clone();
        outer.loops.pop();
        let source = if let NodeKind::Sequence(items) = &node.kind {
            self.loop_list(items)?
        } else {
            let text = node.expect_string("`loop`", &mut self.errors)?;
            let text = text.trim();
            sole_tag(text).unwrap_or(text).to_owned()
        };
        self.expression(node, source, "`loop`", &outer)
            .map(Arc::new)
    }

    /// The expression that makes the same list.
    fn loop_list(&mut self, items: &[Node]) -> Option<String> {
        let mut elements = Vec::new();
        for item in items {
            let text = item.expect_string("`loop`", &mut self.errors)?;
            if !is_template(&text) {
                elements.push(serde_json::Value::from(text).to_string());
            } else if let Some(inside) = sole_tag(text.trim()) {
                elements.push(format!("({inside})"));
            } else {
                let error = Diagnostic::new("an element of `loop` is one value or plain text")
                    .at(&item.head())
                    .hint("write `loop` as one expression: \"{{ [a ~ '.log', b] }}\"");
                self.error(error);
                return None;
            }
        }
        Some(format!("[{}]", elements.join(", ")))
    }

    pub(super) fn as_name(&mut self, keys: &Fields<'a>) -> String {
        let Some(name) = keys.string("as", &mut self.errors) else {
            return "item".to_owned();
        };
        if let Some(node) = keys.get("as") {
            self.free_name("as", &name, &node.head());
        }
        name
    }

    pub(super) fn retry(
        &mut self,
        keys: &Fields<'a>,
        after: &Scope,
        open: &mut Vec<OpenSpan>,
    ) -> Option<Retry> {
        let node = keys.read("retry", &mut self.errors, |node, _, _| Some(node))?;
        let known = ["attempts", "delay", "backoff", "until"];
        let fields = node.expect_mapping("`retry`", &known, &mut self.errors)?;
        let attempts = fields.int("attempts", &mut self.errors).unwrap_or(3);
        let backoff = fields.float("backoff", &mut self.errors).unwrap_or(1.0);
        if attempts == 0 || backoff < 1.0 {
            let error = Diagnostic::new("`retry` wants 1 or more `attempts` and `backoff`");
            self.error(error.at(&node.head()));
        }
        let delay = self.span_or_none(&fields, "delay", SpanOf::Delay, open);
        Some(Retry {
            attempts,
            delay: delay.unwrap_or(Duration::from_secs(1)),
            backoff,
            until: self.condition_at(&fields, "until", after),
        })
    }

    /// A duration above zero, or a template that planning makes one of.
    pub(super) fn span(
        &mut self,
        keys: &Fields<'_>,
        key: &str,
        of: SpanOf,
        open: &mut Vec<OpenSpan>,
    ) -> Option<Duration> {
        let duration = self.span_or_none(keys, key, of, open)?;
        if duration.is_zero() && open.iter().all(|open| open.of != of) {
            let node = keys.get(key)?;
            let message = format!("`{key}` must be more than nothing");
            self.error(Diagnostic::new(message).at(&node.head()));
            return None;
        }
        Some(duration)
    }

    /// A duration that may be zero. A template is noted in `open`; zero stands for it until then.
    pub(super) fn span_or_none(
        &mut self,
        keys: &Fields<'_>,
        key: &str,
        of: SpanOf,
        open: &mut Vec<OpenSpan>,
    ) -> Option<Duration> {
        let node = keys.read(key, &mut self.errors, |node, _, _| Some(node))?;
        self.span_value(node, &format!("`{key}`"), of, open)
    }

    /// The same for a value that stands alone.
    pub(super) fn span_value(
        &mut self,
        node: &Node,
        what: &str,
        of: SpanOf,
        open: &mut Vec<OpenSpan>,
    ) -> Option<Duration> {
        if !node.as_text().is_some_and(is_template) {
            return node.expect_duration(what, &mut self.errors);
        }
        let text = self.text(node, what, &Scope::of(Section::Span), For::Plain)?;
        open.push(OpenSpan { of, text });
        Some(Duration::ZERO)
    }

    pub(super) fn sudo(&mut self, keys: &Fields<'a>, scope: &Scope) -> Option<Text> {
        let node = keys.read("sudo", &mut self.errors, |node, _, _| Some(node))?;
        match node.as_text() {
            Some("true") => Some(Text::Plain("root".into())),
            Some("false") => None,
            Some("yes" | "no" | "on" | "off") => {
                node.expect_bool("`sudo`", &mut self.errors);
                None
            }
            _ => self.text(node, "`sudo`", scope, For::Plain),
        }
    }

    /// `env` of the step over `env` of the defaults.
    pub(super) fn env(&mut self, keys: &Fields<'a>, scope: &Scope) -> IndexMap<String, Text> {
        let own = keys.read("env", &mut self.errors, |node, _, _| Some(node));
        let default = self.defaults.as_ref().and_then(|fields| fields.get("env"));
        let mut found = IndexMap::new();
        let Some(own) = own else {
            return found;
        };
        for node in default.into_iter().chain([own]) {
            let entries = node.expect_entries("`env`", &mut self.errors);
            for entry in entries.unwrap_or_default() {
                let problem = if !is_identifier(entry.name) {
                    Some("is no name of an environment variable")
                } else if entry.name.starts_with("FAB_") {
                    Some("is set by fab-rs itself")
                } else {
                    None
                };
                if let Some(problem) = problem {
                    let message = format!("`{}` {problem}", entry.name);
                    self.error(Diagnostic::new(message).at(&entry.key.head()));
                }
                let what = format!("`{}`", entry.name);
                if let Some(text) = self.text(entry.value, &what, scope, For::Plain) {
                    found.insert(entry.name.to_owned(), text);
                }
            }
        }
        found
    }

    pub(super) fn once(&mut self, keys: &Fields<'a>) -> Option<OnceFor> {
        let words = [
            ("true", Some(OnceFor::Rollout)),
            ("false", None),
            ("rollout", Some(OnceFor::Rollout)),
            ("zone", Some(OnceFor::Zone)),
            ("batch", Some(OnceFor::Batch)),
        ];
        keys.word("once", &words, &mut self.errors).flatten()
    }

    /// `where`: a word, or selector words.
    pub(super) fn place(&mut self, keys: &Fields<'a>) -> StepPlace {
        let node = keys.read("where", &mut self.errors, |node, _, _| Some(node));
        let Some(node) = node else {
            return StepPlace::Host;
        };
        match node.as_text() {
            Some("host") => return StepPlace::Host,
            Some("controller") => return StepPlace::Controller,
            Some("any_healthy") => return StepPlace::AnyHealthy,
            _ => {}
        }
        let mut terms = Vec::new();
        for text in node
            .expect_strings("`where`", &mut self.errors)
            .unwrap_or_default()
        {
            if is_template(&text) {
                let error = Diagnostic::new("`where` is no template").at(&node.head());
                self.error(error);
                continue;
            }
            for word in text.split_whitespace() {
                match word.parse::<Term>() {
                    Ok(term) => terms.push(term),
                    Err(error) => self.error(no_place(word, &error).at(&node.head())),
                }
            }
        }
        StepPlace::Selected(terms)
    }

    pub(super) fn ok_rc(&mut self, keys: &Fields<'a>) -> Vec<u8> {
        let codes = keys.read("ok_rc", &mut self.errors, |node, what, errors| {
            let codes: Vec<u8> = node
                .list_or_single()
                .iter()
                .filter_map(|code| code.expect_int(what, errors))
                .collect();
            Some(codes)
        });
        codes.unwrap_or_else(|| vec![0])
    }
}

/// The error for a word that is no place, or for a selector that is wrong.
fn no_place(word: &str, error: &TermError) -> Diagnostic {
    if !matches!(error, TermError::NoOperator { .. }) {
        return error.diagnostic();
    }
    let words = ["host", "controller", "any_healthy"];
    let message = format!(
        "`where` must be `host`, `controller`, `any_healthy` or a selector such as `role=app`, not `{word}`"
    );
    match nearest(word, words) {
        Some(near) => Diagnostic::new(message).label(format!("did you mean `{near}`?")),
        None => Diagnostic::new(message),
    }
}

/// The inside of a text that is one `{{ … }}` and nothing else.
pub(super) fn sole_tag(text: &str) -> Option<&str> {
    let inside = text.strip_prefix("{{")?.strip_suffix("}}")?;
    (!inside.contains("{{") && !inside.contains("}}")).then(|| inside.trim())
}
