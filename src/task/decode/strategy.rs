//! `strategy`: how a change is spread over its hosts. Every key is checked; what the engine does not honour
//! yet is noted.

use crate::model::{Amount, Diagnostic};
use crate::task::{GateAt, Kind, Strategy};
use crate::yaml::{Entry, Fields, Node, NodeKind};

use super::reader::Reader;
use super::scope::{Scope, Section};
use super::step_decl::is_map;
use super::text_value::For;

const KEYS: [&str; 25] = [
    "by",
    "batch",
    "mode",
    "canary",
    "zone_order",
    "order",
    "last",
    "quorum",
    "max_unavailable",
    "min_healthy",
    "min_healthy_per_zone",
    "single_host_zones",
    "max_failures",
    "max_failures_per_zone",
    "max_failures_per_batch",
    "unreachable",
    "bake",
    "zone_bake",
    "first_zone_bake",
    "final_bake",
    "health_wait",
    "confirm",
    "confirm_timeout",
    "on_stop",
    "host_timeout",
];

const GATES: [(&str, GateAt); 5] = [
    ("start", GateAt::Start),
    ("canary", GateAt::Canary),
    ("zone", GateAt::Zone),
    ("batch", GateAt::Batch),
    ("phase", GateAt::Phase),
];

/// The strategy of a task that declares none: all at once; a `read` task tolerates any number of failures.
pub(super) fn undeclared(kind: Kind) -> Strategy {
    match kind {
        Kind::Read => Strategy::all(Amount::Percent(100), Vec::new()),
        Kind::Change => Strategy::all(Amount::Count(0), vec![GateAt::Start]),
    }
}

impl<'a> Reader<'a> {
    /// `strategy: all`, or a map.
    pub(super) fn strategy(&mut self, entry: &Entry<'a>) -> Strategy {
        let base = undeclared(self.kind);
        if !is_map(entry.value) {
            let what = "`strategy`";
            if entry.value.as_text() != Some("all") {
                let error = entry.value.mismatch(what, "`all` or a map");
                self.error(error.hint("write `strategy: all`, or `strategy: {batch: 1}`"));
            }
            return base;
        }
        let what = format!("`strategy` of task `{}`", self.task);
        let Some(fields) = entry.value.expect_mapping(&what, &KEYS, &mut self.errors) else {
            return base;
        };
        self.later_keys(&fields);
        let max_failures = fields.amount("max_failures", &mut self.errors);
        Strategy {
            batch: self.batch(&fields),
            max_failures: max_failures.unwrap_or(base.max_failures),
            confirm: self.gates(&fields).unwrap_or_else(|| base.confirm.clone()),
            ..base
        }
    }

    /// A count; percentages and lists are checked and not supported yet.
    fn batch(&mut self, fields: &Fields<'a>) -> Vec<Amount> {
        let default = match self.kind {
            Kind::Read => Vec::new(),
            Kind::Change => vec![Amount::Count(1)],
        };
        let Some(node) = fields.read("batch", &mut self.errors, |node, _, _| Some(node)) else {
            return default;
        };
        let mut amounts = Vec::new();
        for item in node.list_or_single() {
            if let Some(amount) = self.positive("`batch`", item) {
                amounts.push(amount);
            }
        }
        match (&node.kind, amounts.as_slice()) {
            (NodeKind::Sequence(_), _) => self.unsupported("a list of `batch` sizes", &node.head()),
            (_, [Amount::Percent(_)]) => {
                self.unsupported("a percentage as `batch`", &node.head());
            }
            _ => {}
        }
        if amounts.is_empty() { default } else { amounts }
    }

    /// An amount of hosts that is not none.
    fn positive(&mut self, what: &str, node: &Node) -> Option<Amount> {
        let amount = node.expect_amount(what, &mut self.errors)?;
        if matches!(amount, Amount::Count(0) | Amount::Percent(0)) {
            let message = format!("{what} must be 1 host or more");
            self.error(Diagnostic::new(message).at(&node.head()));
            return None;
        }
        Some(amount)
    }

    /// `confirm`: gates, or `never`.
    fn gates(&mut self, fields: &Fields<'a>) -> Option<Vec<GateAt>> {
        let node = fields.read("confirm", &mut self.errors, |node, _, _| Some(node))?;
        if node.as_text() == Some("never") {
            return Some(Vec::new());
        }
        let mut gates = Vec::new();
        for item in node.list_or_single() {
            if let Some(gate) = item.expect_word("`confirm`", &GATES, &mut self.errors) {
                if gate != GateAt::Start {
                    let what = format!("`confirm: {}`", item.written());
                    self.unsupported(&what, &item.head());
                }
                gates.push(gate);
            }
        }
        if self.kind == Kind::Read && !gates.is_empty() {
            let error = Diagnostic::new("`confirm` in a task of `kind: read`")
                .at(&node.head())
                .label("such a task asks nothing");
            self.error(error);
        }
        Some(gates)
    }

    fn later_keys(&mut self, fields: &Fields<'a>) {
        for entry in fields.entries() {
            if matches!(entry.name, "batch" | "max_failures" | "confirm") {
                continue;
            }
            fields.read(entry.name, &mut self.errors, |_, _, _| Some(()));
            if !entry.value.is_null() {
                self.later_key(entry);
            }
            let what = format!("`{}` in `strategy`", entry.name);
            self.unsupported(&what, &entry.key.head());
        }
    }

    /// The shape of a key that the engine does not honour yet.
    fn later_key(&mut self, entry: &Entry<'a>) {
        let what = format!("`{}`", entry.name);
        let node = entry.value;
        let host = Scope::of(Section::Host);
        let word = |reader: &mut Self, words: &[&str]| {
            let words: Vec<(&str, ())> = words.iter().map(|word| (*word, ())).collect();
            node.expect_word(&what, &words, &mut reader.errors);
        };
        match entry.name {
            "by" => word(self, &["az", "spread", "flat"]),
            "mode" => word(self, &["batch", "window"]),
            "single_host_zones" => word(self, &["refuse", "allow"]),
            "unreachable" => word(self, &["fail", "skip"]),
            "on_stop" => word(self, &["finish", "cancel"]),
            "order" => word(self, &["name", "random"]),
            "zone_order" if matches!(node.kind, NodeKind::Sequence(_)) => {
                node.expect_strings(&what, &mut self.errors);
            }
            "zone_order" => word(self, &["auto", "name"]),
            "last" => {
                self.text(node, &what, &host, For::Plain);
            }
            "canary" => self.canary(node),
            "quorum" => self.quorum(node),
            "max_unavailable" => {
                self.positive(&what, node);
            }
            "min_healthy"
            | "min_healthy_per_zone"
            | "max_failures_per_zone"
            | "max_failures_per_batch" => {
                node.expect_amount(&what, &mut self.errors);
            }
            _ => {
                node.expect_duration(&what, &mut self.errors);
            }
        }
    }

    fn canary(&mut self, node: &'a Node) {
        if !is_map(node) {
            self.positive("`canary`", node);
            return;
        }
        let known = ["hosts", "bake", "confirm"];
        let Some(fields) = node.expect_mapping("`canary`", &known, &mut self.errors) else {
            return;
        };
        if let Some(hosts) = fields.require("hosts", "`canary`", &mut self.errors) {
            self.positive("`hosts`", hosts);
        }
        fields.duration("bake", &mut self.errors);
        fields.bool("confirm", &mut self.errors);
    }

    fn quorum(&mut self, node: &'a Node) {
        if !is_map(node) {
            node.expect_bool("`quorum`", &mut self.errors);
            return;
        }
        let fields = node.expect_mapping("`quorum`", &["at_once"], &mut self.errors);
        let at_once = fields.and_then(|fields| fields.int::<u32>("at_once", &mut self.errors));
        if at_once == Some(0) {
            let error = Diagnostic::new("`at_once` must be 1 or more").at(&node.head());
            self.error(error);
        }
    }
}
