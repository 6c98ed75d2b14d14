//! `wait_for`, and the checks of `health` and `verify`, which have the same keys.

use std::time::Duration;

use regex::Regex;

use crate::model::Diagnostic;
use crate::task::{
    Action, Check, Modifiers, OpenSpan, Probe, ProbeKind, SpanOf, Step, StepPlace, Text, WaitFor,
    WhereTo,
};
use crate::yaml::{Entry, Fields, Node};

use super::modifier::OF_WAIT_FOR;
use super::reader::Reader;
use super::scope::{Scope, Section};
use super::step_decl::StepNode;
use super::step_name;
use super::text_value::For;

/// What can be asked.
const PROBES: [&str; 5] = ["http", "tcp", "run", "file", "ssh"];
/// How it is asked.
const SETTINGS: [&str; 9] = [
    "status",
    "match",
    "until",
    "interval",
    "consecutive",
    "stable_for",
    "from",
    "equals",
    "state",
];
/// What a check has beyond them.
const OF_CHECK: [&str; 3] = ["name", "timeout", "watch"];

/// Pause between two attempts where the task does not say.
const INTERVAL: Duration = Duration::from_secs(2);
/// Good answers in a row that a step and a check want where the task does not say.
const CONSECUTIVE: (u32, u32) = (1, 2);
/// How long a check is asked before its host is unhealthy.
const CHECK_TIMEOUT: Duration = Duration::from_mins(2);
/// What `until` of a check calls its own result.
const OWN_RESULT: &str = "result";

impl<'a> Reader<'a> {
    /// `wait_for` of a step.
    pub(super) fn wait_for(
        &mut self,
        step: &StepNode<'a>,
        modifiers: &Modifiers,
        scope: &Scope,
        open: &mut Vec<OpenSpan>,
    ) -> Option<WaitFor> {
        let known: Vec<&str> = PROBES
            .into_iter()
            .chain(SETTINGS)
            .chain(OF_WAIT_FOR)
            .collect();
        let node = step.action.value;
        let fields = node.expect_mapping("`wait_for`", &known, &mut self.errors)?;
        let asked = Asked {
            fields: &fields,
            what: "`wait_for`",
            consecutive: CONSECUTIVE.0,
        };
        let wait = self.probe(&asked, modifiers, scope, open)?;
        if scope.section == Section::Controller && wait.probe.from == WhereTo::Host {
            let error = Diagnostic::new("`wait_for` on the controller without `from: controller`")
                .at(&node.head())
                .label("`before` and `after` run once on the controller");
            self.error(error);
        }
        Some(wait)
    }

    /// A check of `health` or `verify`; `position` is its id.
    pub(super) fn check(&mut self, node: &'a Node, what: &str, position: &str) -> Option<Check> {
        let known: Vec<&str> = PROBES
            .into_iter()
            .chain(SETTINGS)
            .chain(OF_WAIT_FOR)
            .chain(OF_CHECK)
            .collect();
        let fields = node.expect_mapping(what, &known, &mut self.errors)?;
        let before = self.errors.len();
        let check = self.check_of(&fields, what, position);
        for error in &mut self.errors[before..] {
            if error.context.is_none() && !error.message.contains("check ") {
                error.context = Some(what.to_owned());
            }
        }
        check
    }

    fn check_of(&mut self, fields: &Fields<'a>, what: &str, position: &str) -> Option<Check> {
        let scope = Scope::of(Section::Check);
        let mut open = Vec::new();
        let name = self.text_at(fields, "name", &scope, For::Plain);
        let timeout = self.span(fields, "timeout", SpanOf::Timeout, &mut open);
        let watch = fields.bool("watch", &mut self.errors).unwrap_or(false);
        // The task's `defaults` are for steps.
        let defaults = self.defaults.take();
        let modifiers = Modifiers {
            timeout: Some(timeout.unwrap_or(CHECK_TIMEOUT)),
            shell: self.shell(fields),
            sudo: self.sudo(fields, &scope),
            env: self.env(fields, &scope),
            register: fields.has("until").then(|| OWN_RESULT.to_owned()),
            ..of_check()
        };
        self.defaults = defaults;
        let asked = Asked {
            fields,
            what,
            consecutive: CONSECUTIVE.1,
        };
        let wait = self.probe(&asked, &modifiers, &scope, &mut open)?;
        let step = Step {
            id: self.free_id(position),
            name: name.unwrap_or_else(|| step_name::of_probe(&wait.probe.kind)),
            action: Action::WaitFor(wait),
            modifiers,
            span: fields.head().clone(),
            open,
        };
        Some(Check { step, watch })
    }

    fn probe(
        &mut self,
        asked: &Asked<'_, 'a>,
        modifiers: &Modifiers,
        scope: &Scope,
        open: &mut Vec<OpenSpan>,
    ) -> Option<WaitFor> {
        let (fields, what) = (asked.fields, asked.what);
        let probes: Vec<Entry<'a>> = fields
            .entries()
            .iter()
            .filter(|entry| PROBES.contains(&entry.name))
            .copied()
            .collect();
        let [probe] = probes.as_slice() else {
            if PROBES.iter().any(|key| fields.is_misspelt(key)) {
                return None;
            }
            let message = format!("{what} wants exactly one of {}", PROBES.join(", "));
            self.error(Diagnostic::new(message).at(fields.head()));
            return None;
        };
        self.check_settings(fields, probe.name);
        let own = scope.with_result(modifiers.register.as_deref());
        let kind = self.probe_kind(fields, probe, modifiers, scope);
        let until = fields.read("until", &mut self.errors, |node, _, _| Some(node));
        let consecutive = fields.int("consecutive", &mut self.errors);
        let consecutive = consecutive.unwrap_or(asked.consecutive);
        if consecutive == 0 {
            let error = Diagnostic::new("`consecutive` must be 1 or more");
            self.error(error.at(fields.head()));
        }
        let stable_for = self.span_or_none(fields, "stable_for", SpanOf::StableFor, open);
        let interval = self.span(fields, "interval", SpanOf::Interval, open);
        Some(WaitFor {
            interval: interval.unwrap_or(INTERVAL),
            consecutive,
            stable_for: stable_for.unwrap_or_default(),
            probe: Probe {
                from: self.probe_from(fields),
                status: self.status(fields),
                matches: self.pattern(fields, scope),
                equals: self.text_at(fields, "equals", scope, For::Plain),
                until: until.and_then(|node| self.condition(node, "`until`", &own)),
                kind: kind?,
            },
        })
    }

    /// Settings that mean something for this probe only.
    fn check_settings(&mut self, fields: &Fields<'a>, probe: &str) {
        for entry in fields.entries() {
            let fits = match entry.name {
                "status" => probe == "http",
                "match" | "equals" => matches!(probe, "http" | "run"),
                "state" => probe == "file",
                "shell" | "env" => probe == "run",
                "sudo" => matches!(probe, "run" | "file"),
                "from" => matches!(probe, "http" | "tcp" | "run"),
                _ => true,
            };
            if !fits {
                let message = format!("`{}` has no effect on `{probe}`", entry.name);
                self.error(Diagnostic::new(message).at(&entry.key.head()));
            }
        }
    }

    fn probe_kind(
        &mut self,
        fields: &Fields<'a>,
        probe: &Entry<'a>,
        modifiers: &Modifiers,
        scope: &Scope,
    ) -> Option<ProbeKind> {
        let what = format!("`{}`", probe.name);
        match probe.name {
            "http" => {
                let url = self.text(probe.value, &what, scope, For::Plain)?;
                if let Text::Plain(text) = &url
                    && !text.starts_with("http://")
                    && !text.starts_with("https://")
                {
                    let message = format!("`http`: `{text}` is no URL");
                    let error = Diagnostic::new(message).at(&probe.value.head());
                    self.error(error.hint("write it whole: http://127.0.0.1:8080/health"));
                }
                Some(ProbeKind::Http(url))
            }
            "tcp" => self
                .text(probe.value, &what, scope, For::Plain)
                .map(ProbeKind::Tcp),
            "run" => self
                .program(probe.value, &what, modifiers, scope)
                .map(ProbeKind::Run),
            "file" => {
                let states = [("present", true), ("absent", false)];
                let present = fields.word("state", &states, &mut self.errors);
                Some(ProbeKind::File {
                    path: self.text(probe.value, &what, scope, For::Plain)?,
                    present: present.unwrap_or(true),
                })
            }
            _ => {
                let asked = probe.value.expect_bool(&what, &mut self.errors)?;
                if !asked {
                    let error = Diagnostic::new("`ssh` of `wait_for` can be `true` alone");
                    self.error(error.at(&probe.value.head()));
                }
                Some(ProbeKind::Ssh)
            }
        }
    }

    fn probe_from(&mut self, fields: &Fields<'a>) -> WhereTo {
        let words = [("host", WhereTo::Host), ("controller", WhereTo::Controller)];
        fields
            .word("from", &words, &mut self.errors)
            .unwrap_or(WhereTo::Host)
    }

    fn status(&mut self, fields: &Fields<'a>) -> Vec<u16> {
        let Some(node) = fields.read("status", &mut self.errors, |node, _, _| Some(node)) else {
            return Vec::new();
        };
        let mut statuses = Vec::new();
        for item in node.list_or_single() {
            match item.expect_int::<u16>("`status`", &mut self.errors) {
                Some(status @ 100..=599) => statuses.push(status),
                Some(other) => {
                    let message = format!("`status`: {other} is no HTTP status");
                    self.error(Diagnostic::new(message).at(&item.head()));
                }
                None => {}
            }
        }
        statuses
    }

    /// `match`: a regular expression, tried where it holds no template.
    fn pattern(&mut self, fields: &Fields<'a>, scope: &Scope) -> Option<Text> {
        let text = self.text_at(fields, "match", scope, For::Pattern)?;
        if let (Text::Plain(pattern), Some(node)) = (&text, fields.get("match")) {
            self.regex("`match`", pattern, node)?;
        }
        Some(text)
    }

    /// Compiles a regular expression; an error at its place.
    pub(super) fn regex(&mut self, what: &str, pattern: &str, node: &Node) -> Option<Regex> {
        match Regex::new(pattern) {
            Ok(regex) => Some(regex),
            Err(error) => {
                let text = error.to_string();
                let reason = text.lines().last().unwrap_or_default();
                let reason = reason.trim_start_matches("error: ").to_owned();
                let message = format!("{what} is no regular expression: {reason}");
                self.error(Diagnostic::new(message).at(&node.head()));
                None
            }
        }
    }
}

/// A probe's keys, what messages call them, and how many good answers in a row it wants.
struct Asked<'f, 'a> {
    fields: &'f Fields<'a>,
    what: &'f str,
    consecutive: u32,
}

/// A check has few modifiers of its own: it only reads, and what it prints is for the host's log.
fn of_check() -> Modifiers {
    Modifiers {
        when: None,
        shell: None,
        before: None,
        loop_over: None,
        as_name: "item".to_owned(),
        register: None,
        retry: None,
        timeout: None,
        sudo: None,
        env: indexmap::IndexMap::new(),
        cwd: None,
        stdin: None,
        once: None,
        barrier: false,
        place: StepPlace::Host,
        ok_rc: vec![0],
        fail_when: None,
        ignore_errors: false,
        read_only: true,
        quiet: true,
        resume: None,
        check: None,
        sticky: false,
        detach: false,
    }
}
