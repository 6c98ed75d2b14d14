//! Steps: one action key each, modifiers beside it, and an id of its own.

use std::time::Duration;

use crate::model::{Diagnostic, SourceSpan, nearest};
use crate::task::{Action, Modifiers, OpenSpan, SpanOf, Step};
use crate::yaml::{Entry, Fields, Node, NodeKind};

use super::action_later;
use super::modifier::{self, MODIFIERS};
use super::reader::Reader;
use super::scope::{BUILT_IN, FUNCTIONS, Known, Scope, Section};
use super::step_name;

/// Every action key.
pub(super) const ACTIONS: [&str; 19] = [
    "run", "script", "upload", "download", "template", "line", "replace", "wait_for", "reboot",
    "local", "aws", "confirm", "pause", "assert", "fail", "log", "set", "task", "group",
];

/// How long a host may take to come back where the task does not say.
const REBOOT_TIMEOUT: Duration = Duration::from_mins(10);

/// What may stand in `before` and `after`, on the controller.
const ON_CONTROLLER: [&str; 9] = [
    "local", "wait_for", "confirm", "pause", "assert", "fail", "log", "set", "group",
];

/// What a `kind: read` task must not do.
const CHANGING: [&str; 7] = [
    "upload", "template", "line", "replace", "reboot", "aws", "confirm",
];

/// A step that is being decoded.
pub(super) struct StepNode<'a> {
    /// The step's map.
    pub(super) node: &'a Node,
    /// Its keys, all known.
    pub(super) fields: Fields<'a>,
    /// Its one action key.
    pub(super) action: Entry<'a>,
    /// Where it stands: "step-3", from which ids are made.
    pub(super) position: String,
}

impl<'a> Reader<'a> {
    /// A list of steps; `what` names it, `position` begins the ids of its steps.
    pub(super) fn steps(
        &mut self,
        node: &'a Node,
        what: &str,
        position: &str,
        scope: &mut Scope,
    ) -> Vec<Step> {
        let Some(items) = node.expect_sequence(what, &mut self.errors) else {
            return Vec::new();
        };
        if items.is_empty() {
            self.error(Diagnostic::new(format!("{what} has no steps")).at(&node.head()));
        }
        let mut steps = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let before = self.errors.len();
            let position = format!("{position}-{}", index + 1);
            let label = label(item, what, index + 1);
            steps.extend(self.step(item, &label, position, scope));
            for error in &mut self.errors[before..] {
                if error.context.is_none()
                    && !error.message.contains("step ")
                    && !stands_outside(error, item)
                {
                    error.context = Some(label.clone());
                }
            }
        }
        steps
    }

    fn step(
        &mut self,
        node: &'a Node,
        label: &str,
        position: String,
        scope: &mut Scope,
    ) -> Option<Step> {
        let step = self.step_node(node, label, position)?;
        self.check_place(&step, scope);
        let keys = self.with_defaults(&step);
        let register = self.register(&keys, scope);
        let is_barrier = keys.get("barrier").and_then(Node::as_text) == Some("true");
        if is_barrier && scope.section == Section::Host {
            scope.results = true;
        }
        let inner = modifier::loop_scope(&keys, scope);
        let mut open = Vec::new();
        let named = (register.as_deref(), &mut open);
        let mut modifiers = self.modifiers(&keys, &step, named, &inner);
        if step.action.name == "reboot" && !step.action.value.is_null() {
            modifiers.timeout = self.reboot(&step, modifiers.timeout, &mut open);
        }
        let action = self.action(&step, (&modifiers, &mut open), &inner, scope);
        if let Some(name) = &register {
            scope.registers.insert(name.clone(), Known::Result);
        }
        let id = self.id(&step, register.as_deref());
        let action = action?;
        let name = self.text_at(&step.fields, "name", &inner, super::text_value::For::Plain);
        let name = name.unwrap_or_else(|| step_name::of(&step, &action));
        Some(Step {
            id,
            name,
            action,
            modifiers,
            span: node.head(),
            open,
        })
    }

    /// The limit of a `reboot`: its own `timeout`, else the modifier, else ten minutes.
    fn reboot(
        &mut self,
        step: &StepNode<'a>,
        modifier: Option<Duration>,
        open: &mut Vec<OpenSpan>,
    ) -> Option<Duration> {
        let value = step.action.value;
        let fields = value.expect_mapping("`reboot`", &["timeout"], &mut self.errors)?;
        let Some(entry) = fields.entry("timeout") else {
            return Some(modifier.unwrap_or(REBOOT_TIMEOUT));
        };
        if step.fields.has("timeout") {
            let error = Diagnostic::new("`timeout` stands in `reboot` and beside it");
            self.error(error.at(&entry.key.head()));
        }
        // A default of the file gives way.
        open.retain(|open| open.of != SpanOf::Timeout);
        self.span(&fields, "timeout", SpanOf::Timeout, open)
    }

    /// Finds the step's one action key.
    fn step_node(&mut self, node: &'a Node, label: &str, position: String) -> Option<StepNode<'a>> {
        if let Some(text) = node.as_text() {
            let error = Diagnostic::new(format!("{label} is a text, not a map"))
                .at(&node.head())
                .hint(format!(
                    "write `- run: {}`",
                    text.lines().next().unwrap_or("…")
                ));
            self.error(error);
            return None;
        }
        let known: Vec<&str> = ACTIONS
            .into_iter()
            .chain(MODIFIERS)
            .chain(["rescue", "always"])
            .collect();
        let before = self.errors.len();
        let fields = node.expect_mapping(label, &known, &mut self.errors)?;
        let actions: Vec<Entry<'a>> = fields
            .entries()
            .iter()
            .filter(|entry| ACTIONS.contains(&entry.name))
            .copied()
            .collect();
        let action = match actions.as_slice() {
            [one] => *one,
            [] => {
                // A misspelt action was reported as an unknown key.
                if self.errors.len() == before {
                    self.error(no_action(label, &node.head()));
                }
                return None;
            }
            [first, second, ..] => {
                let message = format!(
                    "{label} has two actions: `{}` and `{}`",
                    first.name, second.name
                );
                let error = Diagnostic::new(message)
                    .at(&second.key.head())
                    .hint("a step does one thing: make two steps of it");
                self.error(error);
                return None;
            }
        };
        for key in ["rescue", "always"] {
            if let Some(entry) = fields.entry(key)
                && action.name != "group"
            {
                let error = Diagnostic::new(format!("`{key}` belongs to a `group`"))
                    .at(&entry.key.head())
                    .hint("put the step into `group: [...]`");
                self.error(error);
            }
        }
        Some(StepNode {
            node,
            fields,
            action,
            position,
        })
    }

    /// What a section or a `kind: read` task must not do.
    fn check_place(&mut self, step: &StepNode<'_>, scope: &Scope) {
        let name = step.action.name;
        let at = step.action.key.head();
        if scope.section == Section::Controller && !ON_CONTROLLER.contains(&name) {
            let error = Diagnostic::new(format!("`{name}` wants a host"))
                .at(&at)
                .label("`before` and `after` run once on the controller")
                .hint(match name {
                    "run" | "script" => "use `local` for a command on the controller",
                    _ => "put it into `steps`, with `once: true` if one host is enough",
                });
            self.error(error);
        }
        if scope.section == Section::Facts && !matches!(name, "run" | "script") {
            let error = Diagnostic::new(format!("`{name}` is no read-only probe"))
                .at(&at)
                .hint("`facts` may hold `run` and `script`");
            self.error(error);
        }
        if self.kind == crate::task::Kind::Read && CHANGING.contains(&name) {
            let error = Diagnostic::new(format!("`{name}` in a task of `kind: read`"))
                .at(&at)
                .label("such a task changes nothing and asks nothing")
                .hint("use `kind: change` with a `strategy`");
            self.error(error);
        }
    }

    /// The step's register, checked.
    fn register(&mut self, keys: &Fields<'a>, scope: &Scope) -> Option<String> {
        let name = keys.string("register", &mut self.errors)?;
        let at = keys.get("register").map(Node::head)?;
        self.free_name("register", &name, &at).then_some(())?;
        if scope.loops.contains(&name) {
            let message = format!("register `{name}` hides the variable of the loop around it");
            self.error(Diagnostic::new(message).at(&at));
            return None;
        }
        Some(name)
    }

    /// Whether a name may be given by a task; `what` is the key that gives it.
    pub(super) fn free_name(&mut self, what: &str, name: &str, at: &SourceSpan) -> bool {
        let message = if !is_identifier(name) {
            format!("{what} `{name}` is not a name: letters, digits and `_`, no digit first")
        } else if BUILT_IN.contains(&name) && !(what == "as" && name == "item") {
            format!("{what} `{name}` would hide the built-in `{name}`")
        } else if FUNCTIONS.contains(&name) || KEYWORDS.contains(&name) {
            format!("{what} `{name}` is a word of the template language")
        } else {
            return true;
        };
        self.error(Diagnostic::new(message).at(at));
        false
    }

    fn id(&mut self, step: &StepNode<'_>, register: Option<&str>) -> String {
        let Some(id) = step.fields.string("id", &mut self.errors) else {
            return self.free_id(register.unwrap_or(&step.position));
        };
        let at = step
            .fields
            .get("id")
            .map_or_else(|| step.node.head(), Node::head);
        let valid = id
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-'));
        if !valid {
            let message = format!("id `{id}` may hold letters, digits, `_` and `-`");
            self.error(Diagnostic::new(message).at(&at));
        }
        if !self.take_id(&id) {
            self.error(Diagnostic::new(format!("two steps have the id `{id}`")).at(&at));
        }
        id
    }

    fn action(
        &mut self,
        step: &StepNode<'a>,
        (modifiers, open): (&Modifiers, &mut Vec<OpenSpan>),
        inner: &Scope,
        scope: &mut Scope,
    ) -> Option<Action> {
        let value = step.action.value;
        if value.is_null() {
            let message = format!("`{}` has no value", step.action.name);
            let error = Diagnostic::new(message).at(&step.action.key.head());
            self.error(match step.action.name {
                "reboot" => error.hint("write `reboot: {}`"),
                _ => error,
            });
            return None;
        }
        match step.action.name {
            "run" => self
                .program(value, "`run`", modifiers, inner)
                .map(Action::Run),
            "script" => self.script(value, inner).map(Action::Script),
            "local" => self.local(value, modifiers, inner).map(Action::Local),
            "upload" | "template" => self.copy(&step.action, inner).map(Action::Copy),
            "download" => self.download(value, inner).map(Action::Download),
            "wait_for" => self
                .wait_for(step, modifiers, inner, open)
                .map(Action::WaitFor),
            "assert" => self.assert(value, inner),
            "fail" => self
                .text(value, "`fail`", inner, super::text_value::For::Plain)
                .map(Action::Fail),
            "log" => self
                .text(value, "`log`", inner, super::text_value::For::Plain)
                .map(Action::Log),
            "set" => self.set(value, inner, scope),
            "pause" => self
                .span_value(value, "`pause`", SpanOf::Pause, open)
                .map(Action::Pause),
            "confirm" => self.confirm(value, inner, open).map(Action::Confirm),
            "reboot" => Some(Action::Reboot),
            "task" => self.sub_task(value, inner).map(Action::Task),
            "group" => self.group(step, inner, scope).map(Action::Group),
            _ => Some(action_later::decode(self, &step.action, inner)),
        }
    }
}

/// Words that are no names in expressions.
const KEYWORDS: [&str; 12] = [
    "true", "false", "none", "True", "False", "None", "and", "or", "not", "in", "is", "if",
];

/// `[A-Za-z_][A-Za-z0-9_]*`.
pub(super) fn is_identifier(name: &str) -> bool {
    let mut letters = name.chars();
    letters
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && letters.all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
}

/// Whether an error of a step stands elsewhere in the same file: in `defaults`.
fn stands_outside(error: &Diagnostic, step: &Node) -> bool {
    error.span.as_ref().is_some_and(|span| {
        let range = &step.span.range;
        span.source == step.span.source
            && (span.range.start < range.start || span.range.start > range.end)
    })
}

/// What messages call a step: its name, else its id, else its number.
fn label(node: &Node, what: &str, number: usize) -> String {
    ["name", "id", "register"]
        .into_iter()
        .find_map(|key| node.get(key).and_then(Node::as_text))
        .map_or_else(
            || format!("step {number} of {what}"),
            |name| format!("step `{name}`"),
        )
}

fn no_action(label: &str, at: &SourceSpan) -> Diagnostic {
    Diagnostic::new(format!("{label} has no action"))
        .at(at)
        .hint(format!("give it one of {}", ACTIONS.join(", ")))
}

/// The nearest of several names, as a label.
pub(super) fn did_you_mean<'n>(
    error: Diagnostic,
    name: &str,
    candidates: impl IntoIterator<Item = &'n str>,
) -> Diagnostic {
    match nearest(name, candidates) {
        Some(near) => error.label(format!("did you mean `{near}`?")),
        None => error,
    }
}

/// Whether a node is a map with a key: for forms that are a text or a map.
pub(super) fn is_map(node: &Node) -> bool {
    matches!(node.kind, NodeKind::Mapping(_))
}
