//! Modifiers: how a step is done. Which of them mean something for which action is decided here.

use crate::model::Diagnostic;
use crate::task::{Modifiers, OnResume, OpenSpan, SpanOf, StepPlace};
use crate::yaml::{Fields, Node, NodeKind};

use super::reader::Reader;
use super::scope::{Scope, Section};
use super::step_decl::{StepNode, is_map};
use super::text_value::For;

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
/// Actions that may be done elsewhere than on their own host.
const MOVABLE: [&str; 6] = [
    "run", "script", "upload", "template", "download", "wait_for",
];

/// Whether a modifier means something for an action.
fn applies(modifier: &str, action: &str) -> bool {
    let command = COMMANDS.contains(&action);
    let file = FILES.contains(&action);
    match modifier {
        "shell" | "before" => matches!(action, "run" | "local" | "wait_for"),
        "stdin" | "ok_rc" | "cwd" => command,
        "sudo" => file || matches!(action, "run" | "script" | "wait_for" | "reboot"),
        "where" => MOVABLE.contains(&action),
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
        (register, open): (Option<&str>, &mut Vec<OpenSpan>),
        scope: &Scope,
    ) -> Modifiers {
        let after = scope.with_result(register);
        let texts = if keys.has("retry") { &after } else { scope };
        self.check_pairs(keys, step);
        self.check_section(step, scope);
        let place = self.place_of(keys, step, scope);
        let resume = self.on_resume(keys);
        Modifiers {
            when: self.condition_at(keys, "when", scope),
            shell: self.shell(keys),
            before: self.text_at(keys, "before", scope, For::Shell),
            loop_over: self.loop_over(keys, scope),
            as_name: self.as_name(keys),
            register: register.map(str::to_owned),
            retry: self.retry(keys, &after, open),
            timeout: self.span(keys, "timeout", SpanOf::Timeout, open),
            sudo: self.sudo(keys, scope),
            env: self.env(keys, texts),
            cwd: self.text_at(keys, "cwd", texts, For::Plain),
            stdin: self.text_at(keys, "stdin", texts, For::Private),
            once: self.once(keys),
            barrier: keys.bool("barrier", &mut self.errors).unwrap_or(false),
            detach: self.detach(keys, step, &place, scope),
            place,
            ok_rc: self.ok_rc(keys),
            fail_when: self.condition_at(keys, "fail_when", &after),
            ignore_errors: keys
                .bool("ignore_errors", &mut self.errors)
                .unwrap_or(false),
            read_only: keys.bool("read_only", &mut self.errors).unwrap_or(false),
            quiet: keys.bool("quiet", &mut self.errors).unwrap_or(false),
            resume,
            check: self.text_at(keys, "check", scope, For::Shell),
            sticky: keys.bool("sticky", &mut self.errors).unwrap_or(false),
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

    /// `where`, for an action that can be done there.
    fn place_of(&mut self, keys: &Fields<'a>, step: &StepNode<'a>, scope: &Scope) -> StepPlace {
        let place = self.place(keys);
        let Some(entry) = keys
            .entry("where")
            .filter(|_| scope.section == Section::Host)
        else {
            return StepPlace::Host;
        };
        let action = step.action.name;
        if place != StepPlace::Controller || !MOVABLE.contains(&action) {
            return place;
        }
        if !matches!(action, "run" | "script") {
            let error = Diagnostic::new(format!("`{action}` cannot run on the controller"))
                .at(&entry.value.head());
            self.error(match action {
                "wait_for" => error.hint("write `from: controller` into it"),
                _ => error.hint("use `local`"),
            });
        } else if keys
            .get("sudo")
            .and_then(Node::as_text)
            .is_some_and(|sudo| sudo != "false")
        {
            let error = Diagnostic::new("`sudo` on the controller").at(&entry.value.head());
            self.error(error.hint("run fab-rs as the user that may do this"));
        }
        place
    }

    /// Modifiers that mean nothing where a step stands: on the controller there is one of everything, and
    /// facts are asked of every host.
    fn check_section(&mut self, step: &StepNode<'a>, scope: &Scope) {
        let (keys, whom): (&[&str], _) = match scope.section {
            Section::Controller => (&["barrier", "where"], "a step on the controller"),
            Section::Facts => (&["barrier", "where", "once", "detach"], "a fact"),
            _ => return,
        };
        for key in keys {
            if let Some(entry) = step.fields.entry(key) {
                let message = format!("`{key}` has no effect on {whom}");
                self.error(Diagnostic::new(message).at(&entry.key.head()));
            }
        }
    }

    /// `detach`: for a step of one host, on that host. As a default it is left out where it has no effect.
    fn detach(
        &mut self,
        keys: &Fields<'a>,
        step: &StepNode<'a>,
        place: &StepPlace,
        scope: &Scope,
    ) -> bool {
        if keys.bool("detach", &mut self.errors) != Some(true) || scope.section != Section::Host {
            return false;
        }
        let against = match place {
            StepPlace::Host if keys.has("once") => "once",
            StepPlace::Host => return true,
            _ => "where",
        };
        if let Some(entry) = step.fields.entry("detach") {
            let error = Diagnostic::new(format!("`detach` with `{against}`"));
            let error = error.at(&entry.key.head());
            self.error(error.hint("a detached step belongs to one host and stays there"));
        }
        false
    }

    /// `resume`.
    fn on_resume(&mut self, keys: &Fields<'a>) -> Option<OnResume> {
        let words = [
            ("rerun", OnResume::Rerun),
            ("check", OnResume::Check),
            ("ask", OnResume::Ask),
        ];
        keys.word("resume", &words, &mut self.errors)
    }
}
