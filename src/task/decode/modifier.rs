//! Modifiers: how a step is done. Which of them mean something for which action is decided here.

use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;

use crate::model::Diagnostic;
use crate::task::{Expression, Modifiers, Retry, Text};
use crate::yaml::{Fields, Node, NodeKind};

use super::reader::Reader;
use super::scope::Scope;
use super::step_decl::{StepNode, is_identifier, is_map};
use super::text_value::{For, is_template};

/// Every modifier key.
pub(super) const MODIFIERS: [&str; 27] = [
    "name",
    "id",
    "when",
    "shell",
    "before",
    "loop",
    "as",
    "register",
    "retry",
    "timeout",
    "sudo",
    "env",
    "cwd",
    "stdin",
    "once",
    "where",
    "barrier",
    "ok_rc",
    "fail_when",
    "ignore_errors",
    "recovered",
    "resume",
    "check",
    "detach",
    "sticky",
    "read_only",
    "quiet",
];

/// Modifiers that belong to one step and make no sense as a default of all.
const NO_DEFAULT: [&str; 8] = [
    "name",
    "id",
    "register",
    "loop",
    "as",
    "check",
    "recovered",
    "sticky",
];

/// Keys of `wait_for` that are modifiers elsewhere.
pub(super) const OF_WAIT_FOR: [&str; 3] = ["shell", "sudo", "env"];

const COMMANDS: [&str; 3] = ["run", "script", "local"];
const FILES: [&str; 5] = ["upload", "template", "download", "line", "replace"];
const NESTED: [&str; 2] = ["group", "task"];

/// Whether a modifier means something for an action.
fn applies(modifier: &str, action: &str) -> bool {
    let command = COMMANDS.contains(&action);
    let file = FILES.contains(&action);
    match modifier {
        "shell" | "before" => matches!(action, "run" | "local" | "wait_for"),
        "stdin" | "ok_rc" | "cwd" => command,
        "sudo" => file || matches!(action, "run" | "script" | "wait_for" | "reboot"),
        "detach" => matches!(action, "run" | "script"),
        "retry" => command || file || matches!(action, "assert" | "aws"),
        "env" | "fail_when" => command || action == "wait_for",
        "timeout" => command || file || matches!(action, "wait_for" | "reboot" | "aws"),
        "register" => !NESTED.contains(&action) && action != "fail",
        "recovered" => action == "group",
        "resume" | "check" | "sticky" | "read_only" | "quiet" => !NESTED.contains(&action),
        _ => true,
    }
}

/// The scope of a step's own texts: with its loop variable.
pub(super) fn loop_scope(keys: &Fields<'_>, scope: &Scope) -> Scope {
    if keys.has("loop") {
        let name = keys.get("as").and_then(Node::as_text).unwrap_or("item");
        scope.with_loop(name)
    } else {
        scope.clone()
    }
}

impl<'a> Reader<'a> {
    /// The file's `defaults`, checked once.
    pub(super) fn read_defaults(&mut self, node: &'a Node) {
        let known: Vec<&str> = MODIFIERS
            .into_iter()
            .filter(|key| !NO_DEFAULT.contains(key))
            .collect();
        self.defaults = node.expect_mapping("`defaults`", &known, &mut self.errors);
    }

    /// A step's keys with the defaults that mean something for its action. What means nothing there is an
    /// error where the step itself says it.
    pub(super) fn with_defaults(&mut self, step: &StepNode<'a>) -> Fields<'a> {
        let action = step.action.name;
        for entry in step.fields.entries() {
            if MODIFIERS.contains(&entry.name) && !applies(entry.name, action) {
                let message = format!("`{}` has no effect on `{action}`", entry.name);
                let error = Diagnostic::new(message).at(&entry.key.head());
                self.error(if NESTED.contains(&action) {
                    error.hint("put it on the steps inside, or into `defaults:`")
                } else {
                    error
                });
            }
        }
        let mut keys = step.fields.clone();
        if action == "wait_for" && is_map(step.action.value) {
            let mut ignored = Vec::new();
            for entry in step
                .action
                .value
                .expect_entries("`wait_for`", &mut ignored)
                .unwrap_or_default()
            {
                if OF_WAIT_FOR.contains(&entry.name) && !keys.add(entry) {
                    let message = format!("`{}` stands in `wait_for` and beside it", entry.name);
                    self.error(Diagnostic::new(message).at(&entry.key.head()));
                }
            }
        }
        let defaults = self.defaults.as_ref().map(Fields::entries);
        for entry in defaults.unwrap_or_default() {
            if applies(entry.name, action) {
                keys.add(*entry);
            }
        }
        keys
    }

    /// Decodes every modifier of a step. `scope` is that of its texts; `register` its own result.
    pub(super) fn modifiers(
        &mut self,
        keys: &Fields<'a>,
        step: &StepNode<'a>,
        register: Option<&str>,
        scope: &Scope,
    ) -> Modifiers {
        let after = scope.with_result(register);
        let texts = if keys.has("retry") { &after } else { scope };
        self.check_pairs(keys, step);
        self.later_modifiers(keys);
        Modifiers {
            when: self.condition_at(keys, "when", scope),
            shell: self.shell(keys),
            before: self.text_at(keys, "before", scope, For::Shell),
            loop_over: self.loop_over(keys, scope),
            as_name: self.as_name(keys),
            register: register.map(str::to_owned),
            retry: self.retry(keys, &after),
            timeout: self.span_of_time(keys, "timeout", scope),
            sudo: self.sudo(keys, scope),
            env: self.env(keys, texts),
            cwd: self.text_at(keys, "cwd", texts, For::Plain),
            stdin: self.text_at(keys, "stdin", texts, For::Private),
            once: self.once(keys),
            ok_rc: self.ok_rc(keys),
            fail_when: self.condition_at(keys, "fail_when", &after),
            ignore_errors: keys
                .bool("ignore_errors", &mut self.errors)
                .unwrap_or(false),
            read_only: keys.bool("read_only", &mut self.errors).unwrap_or(false),
            quiet: keys.bool("quiet", &mut self.errors).unwrap_or(false),
        }
    }

    /// Modifiers that want others beside them.
    fn check_pairs(&mut self, keys: &Fields<'a>, step: &StepNode<'a>) {
        let mut want = |key: &str, other: &str, has: bool| {
            if let Some(entry) = step.fields.entry(key)
                && !has
            {
                let error = Diagnostic::new(format!("`{key}` without `{other}`"));
                self.error(error.at(&entry.key.head()));
            }
        };
        let resume = keys.get("resume").and_then(Node::as_text);
        want("as", "loop", keys.has("loop"));
        want("sticky", "register", keys.has("register"));
        want("recovered", "rescue", keys.has("rescue"));
        want("check", "resume: check", resume == Some("check"));
        if resume == Some("check") {
            want("resume", "check", keys.has("check"));
        }
        if let ("run" | "local", NodeKind::Sequence(_)) =
            (step.action.name, &step.action.value.kind)
        {
            for key in ["shell", "before"] {
                if let Some(entry) = step.fields.entry(key) {
                    let message = format!("`{key}` beside the list form, which reaches no shell");
                    let error = Diagnostic::new(message).at(&entry.key.head());
                    self.error(error.hint("write the command as a text"));
                }
            }
        }
    }

    /// Modifiers whose shape is checked and which the engine does not know yet, or only a resume does.
    fn later_modifiers(&mut self, keys: &Fields<'a>) {
        let words = [("rerun", ()), ("check", ()), ("ask", ())];
        keys.word("resume", &words, &mut self.errors);
        keys.read("check", &mut self.errors, Node::expect_string);
        for key in ["barrier", "detach", "sticky"] {
            if keys.bool(key, &mut self.errors) == Some(true) {
                self.unsupported_entry(keys.entry(key));
            }
        }
        let place = keys.read("where", &mut self.errors, Node::expect_string);
        if place.is_some_and(|place| place != "host") {
            self.unsupported_entry(keys.entry("where"));
        }
    }

    fn condition_at(
        &mut self,
        keys: &Fields<'a>,
        key: &str,
        scope: &Scope,
    ) -> Option<crate::task::Condition> {
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
            "bash" => Some(
                ["bash", "-euo", "pipefail", "-c"]
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
    fn loop_over(&mut self, keys: &Fields<'a>, scope: &Scope) -> Option<Arc<Expression>> {
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

    fn as_name(&mut self, keys: &Fields<'a>) -> String {
        let Some(name) = keys.string("as", &mut self.errors) else {
            return "item".to_owned();
        };
        if let Some(node) = keys.get("as") {
            self.free_name("as", &name, &node.head());
        }
        name
    }

    fn retry(&mut self, keys: &Fields<'a>, after: &Scope) -> Option<Retry> {
        let node = keys.read("retry", &mut self.errors, |node, _, _| Some(node))?;
        let known = ["attempts", "delay", "backoff", "until"];
        let fields = node.expect_mapping("`retry`", &known, &mut self.errors)?;
        let attempts = fields.int("attempts", &mut self.errors).unwrap_or(3);
        let backoff = fields.float("backoff", &mut self.errors).unwrap_or(1.0);
        if attempts == 0 || backoff < 1.0 {
            let error = Diagnostic::new("`retry` wants 1 or more `attempts` and `backoff`");
            self.error(error.at(&node.head()));
        }
        Some(Retry {
            attempts,
            delay: fields
                .duration("delay", &mut self.errors)
                .unwrap_or(Duration::from_secs(1)),
            backoff,
            until: self.condition_at(&fields, "until", after),
        })
    }

    /// A duration above zero. A template there is checked and not supported yet.
    pub(super) fn span_of_time(
        &mut self,
        keys: &Fields<'_>,
        key: &str,
        scope: &Scope,
    ) -> Option<Duration> {
        let node = keys.read(key, &mut self.errors, |node, _, _| Some(node))?;
        let what = format!("`{key}`");
        if node.as_text().is_some_and(is_template) {
            self.text(node, &what, scope, For::Plain)?;
            self.unsupported(&format!("a template in {what}"), &node.head());
            return None;
        }
        let duration = node.expect_duration(&what, &mut self.errors)?;
        if duration.is_zero() {
            let message = format!("{what} must be more than nothing");
            self.error(Diagnostic::new(message).at(&node.head()));
            return None;
        }
        Some(duration)
    }

    fn sudo(&mut self, keys: &Fields<'a>, scope: &Scope) -> Option<Text> {
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
    fn env(&mut self, keys: &Fields<'a>, scope: &Scope) -> IndexMap<String, Text> {
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

    fn once(&mut self, keys: &Fields<'a>) -> bool {
        let Some(node) = keys.read("once", &mut self.errors, |node, _, _| Some(node)) else {
            return false;
        };
        if matches!(node.as_text(), Some("zone" | "batch")) {
            self.unsupported(&format!("`once: {}`", node.written()), &node.head());
            return true;
        }
        let words = [("true", true), ("rollout", true), ("false", false)];
        let wanted = ["true", "false", "rollout", "zone", "batch"];
        match node.as_text() {
            Some(text) if !wanted.contains(&text) => {
                let all = wanted.map(|word| (word, ()));
                node.expect_word("`once`", &all, &mut self.errors);
                false
            }
            _ => node
                .expect_word("`once`", &words, &mut self.errors)
                .unwrap_or(false),
        }
    }

    fn ok_rc(&mut self, keys: &Fields<'a>) -> Vec<u8> {
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

/// The inside of a text that is one `{{ … }}` and nothing else.
fn sole_tag(text: &str) -> Option<&str> {
    let inside = text.strip_prefix("{{")?.strip_suffix("}}")?;
    (!inside.contains("{{") && !inside.contains("}}")).then(|| inside.trim())
}
