//! `strategy`: how a change is spread over its hosts. What the numbers come to for a fleet is the plan's.

use std::sync::Arc;
use std::time::Duration;

use crate::model::{Amount, Diagnostic};
use crate::task::{
    Bakes, By, Canary, Condition, GateAt, HostOrder, Kind, Mode, OnStop, Quorum, Strategy,
    WhenUnreachable, ZoneOrder,
};
use crate::yaml::{Entry, Fields, Node, NodeKind};

use super::modifier_value::sole_tag;
use super::reader::Reader;
use super::scope::{Scope, Section};
use super::step_decl::is_map;

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
        let strategy = self.strategy_of(&fields, base);
        self.check_strategy(&fields, &strategy);
        strategy
    }

    fn strategy_of(&mut self, fields: &Fields<'a>, base: Strategy) -> Strategy {
        let by = [("az", By::Az), ("spread", By::Spread), ("flat", By::Flat)];
        let modes = [("batch", Mode::Batch), ("window", Mode::Window)];
        let orders = [("name", HostOrder::Name), ("random", HostOrder::Random)];
        let zones_of_one = [("refuse", false), ("allow", true)];
        let unreachable = [
            ("fail", WhenUnreachable::Fail),
            ("skip", WhenUnreachable::Skip),
        ];
        let on_stop = [("finish", OnStop::Finish), ("cancel", OnStop::Cancel)];
        let errors = &mut self.errors;
        let by = fields.word("by", &by, errors);
        let mode = fields.word("mode", &modes, errors);
        let order = fields.word("order", &orders, errors);
        let single_host_zones = fields.word("single_host_zones", &zones_of_one, errors);
        let unreachable = fields.word("unreachable", &unreachable, errors);
        let on_stop = fields.word("on_stop", &on_stop, errors);
        let health_wait = fields.duration("health_wait", errors);
        Strategy {
            by,
            batch: self.batch(fields),
            mode: mode.unwrap_or_default(),
            canary: self.canary(fields),
            zone_order: self.zone_order(fields),
            order: order.unwrap_or_default(),
            last: self.last(fields),
            quorum: self.quorum(fields),
            max_unavailable: self.positive_at(fields, "max_unavailable"),
            min_healthy: fields.amount("min_healthy", &mut self.errors),
            min_healthy_per_zone: fields.amount("min_healthy_per_zone", &mut self.errors),
            single_host_zones_allowed: single_host_zones.unwrap_or(false),
            max_failures: fields
                .amount("max_failures", &mut self.errors)
                .unwrap_or(base.max_failures),
            max_failures_per_zone: fields.amount("max_failures_per_zone", &mut self.errors),
            max_failures_per_batch: fields.amount("max_failures_per_batch", &mut self.errors),
            unreachable: unreachable.unwrap_or_default(),
            bakes: self.bakes(fields),
            health_wait: health_wait.unwrap_or(base.health_wait),
            confirm: self.gates(fields).unwrap_or(base.confirm),
            confirm_timeout: self
                .time_limit(fields, "confirm_timeout")
                .unwrap_or(base.confirm_timeout),
            on_stop: on_stop.unwrap_or_default(),
            host_timeout: self.time_limit(fields, "host_timeout"),
        }
    }

    /// A count, a percentage, or a list of them.
    fn batch(&mut self, fields: &Fields<'a>) -> Vec<Amount> {
        let default = match self.kind {
            Kind::Read => Vec::new(),
            Kind::Change => vec![Amount::Count(1)],
        };
        let Some(node) = fields.read("batch", &mut self.errors, |node, _, _| Some(node)) else {
            return default;
        };
        let items = node.list_or_single();
        if items.is_empty() {
            let error = Diagnostic::new("`batch` is an empty list").at(&node.head());
            self.error(error.hint("`strategy: all` takes all hosts at once"));
        }
        let amounts = items.iter();
        let amounts: Vec<Amount> = amounts
            .filter_map(|item| self.positive("`batch`", item))
            .collect();
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

    fn positive_at(&mut self, fields: &Fields<'a>, key: &str) -> Option<Amount> {
        let node = fields.read(key, &mut self.errors, |node, _, _| Some(node))?;
        self.positive(&format!("`{key}`"), node)
    }

    /// A duration above zero.
    fn time_limit(&mut self, fields: &Fields<'a>, key: &str) -> Option<Duration> {
        let limit = fields.duration(key, &mut self.errors)?;
        if limit.is_zero() {
            let at = fields.get(key).map(Node::head)?;
            self.error(Diagnostic::new(format!("`{key}` must be more than nothing")).at(&at));
            return None;
        }
        Some(limit)
    }

    fn bakes(&mut self, fields: &Fields<'a>) -> Bakes {
        let mut of = |key: &str| fields.duration(key, &mut self.errors);
        Bakes {
            batch: of("bake"),
            zone: of("zone_bake"),
            first_zone: of("first_zone_bake"),
            last: of("final_bake"),
        }
    }

    /// `auto`, `name`, or the zones in their order.
    fn zone_order(&mut self, fields: &Fields<'a>) -> ZoneOrder {
        let Some(node) = fields.read("zone_order", &mut self.errors, |node, _, _| Some(node))
        else {
            return ZoneOrder::Auto;
        };
        let NodeKind::Sequence(items) = &node.kind else {
            let words = [("auto", ZoneOrder::Auto), ("name", ZoneOrder::Name)];
            let words: Vec<(&str, &ZoneOrder)> =
                words.iter().map(|(word, order)| (*word, order)).collect();
            let found = node.expect_word("`zone_order`", &words, &mut self.errors);
            return found.cloned().unwrap_or_default();
        };
        if items.is_empty() {
            let error = Diagnostic::new("`zone_order` lists no zone").at(&node.head());
            self.error(error.hint("leave it out: smaller zones come first then"));
        }
        let mut zones: Vec<String> = Vec::new();
        for item in items {
            let Some(zone) = item.expect_string("`zone_order`", &mut self.errors) else {
                continue;
            };
            if zones.contains(&zone) {
                let message = format!("`zone_order` lists zone `{zone}` twice");
                self.error(Diagnostic::new(message).at(&item.head()));
            }
            zones.push(zone);
        }
        ZoneOrder::Listed(zones)
    }

    /// `true`, `false`, or one expression over the host in braces.
    fn last(&mut self, fields: &Fields<'a>) -> Option<Condition> {
        let node = fields.read("last", &mut self.errors, |node, _, _| Some(node))?;
        let text = node.expect_string("`last`", &mut self.errors)?;
        match text.trim() {
            "true" => return Some(Condition::Known(true)),
            "false" => return Some(Condition::Known(false)),
            _ => {}
        }
        let Some(inside) = sole_tag(text.trim()) else {
            let error = Diagnostic::new("`last` must be one expression in braces over a host")
                .at(&node.head())
                .hint("such as \"{{ host.facts.mode.stdout == 'leader' }}\"");
            self.error(error);
            return None;
        };
        let scope = Scope::of(Section::Last);
        let expression = self.expression(node, inside.to_owned(), "`last`", &scope)?;
        Some(Condition::Expression(Arc::new(expression)))
    }

    /// `confirm`: gates, or `never`.
    fn gates(&mut self, fields: &Fields<'a>) -> Option<Vec<GateAt>> {
        let node = fields.read("confirm", &mut self.errors, |node, _, _| Some(node))?;
        if node.as_text() == Some("never") {
            return Some(Vec::new());
        }
        let mut gates = Vec::new();
        for item in node.list_or_single() {
            if let Some(gate) = item.expect_word("`confirm`", &GATES, &mut self.errors)
                && !gates.contains(&gate)
            {
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

    /// A count, or `{hosts, bake, confirm}`.
    fn canary(&mut self, fields: &Fields<'a>) -> Option<Canary> {
        let node = fields.read("canary", &mut self.errors, |node, _, _| Some(node))?;
        if !is_map(node) {
            return self.positive("`canary`", node).map(|hosts| Canary {
                hosts,
                bake: None,
                confirm: false,
            });
        }
        let known = ["hosts", "bake", "confirm"];
        let fields = node.expect_mapping("`canary`", &known, &mut self.errors)?;
        let bake = fields.duration("bake", &mut self.errors);
        let confirm = fields.bool("confirm", &mut self.errors).unwrap_or(false);
        if self.kind == Kind::Read
            && confirm
            && let Some(entry) = fields.entry("confirm")
        {
            let error = Diagnostic::new("`confirm` in a task of `kind: read`")
                .at(&entry.value.head())
                .label("such a task asks nothing");
            self.error(error);
        }
        let hosts = fields.require("hosts", "`canary`", &mut self.errors)?;
        let hosts = self.positive("`hosts`", hosts)?;
        Some(Canary {
            hosts,
            bake,
            confirm,
        })
    }

    /// `true`, `false`, or `{at_once}`.
    fn quorum(&mut self, fields: &Fields<'a>) -> Option<Quorum> {
        let node = fields.read("quorum", &mut self.errors, |node, _, _| Some(node))?;
        if !is_map(node) {
            let asked = node.expect_bool("`quorum`", &mut self.errors)?;
            return asked.then_some(Quorum { at_once: 1 });
        }
        let fields = node.expect_mapping("`quorum`", &["at_once"], &mut self.errors)?;
        let at_once = fields.int::<u32>("at_once", &mut self.errors).unwrap_or(1);
        if at_once == 0 {
            let error = Diagnostic::new("`at_once` must be 1 or more").at(&node.head());
            self.error(error);
        }
        Some(Quorum { at_once })
    }

    /// Keys that can have no effect beside the others: what was meant to protect would not.
    fn check_strategy(&mut self, fields: &Fields<'a>, strategy: &Strategy) {
        let mut without = |entry: Option<Entry<'a>>, message: &str, hint: &str| {
            if let Some(entry) = entry {
                let error = Diagnostic::new(message.to_owned()).at(&entry.key.head());
                self.error(error.hint(hint.to_owned()));
            }
        };
        if let Some(by @ (By::Spread | By::Flat)) = strategy.by {
            let word = if by == By::Flat { "flat" } else { "spread" };
            let hint = "`by: az` goes zone by zone";
            for key in ["zone_bake", "first_zone_bake"] {
                let message = format!("`{key}` has no effect under `by: {word}`: no zone ends");
                without(fields.entry(key), &message, hint);
            }
            if strategy.confirm.contains(&GateAt::Zone) {
                let message =
                    format!("`confirm: zone` has no effect under `by: {word}`: no zone ends");
                without(fields.entry("confirm"), &message, hint);
            }
            if by == By::Flat {
                let message = "`zone_order` has no effect under `by: flat`";
                without(fields.entry("zone_order"), message, hint);
            }
        }
        if strategy.confirm.contains(&GateAt::Canary) && !fields.has("canary") {
            let hint = "add `canary: 1`";
            without(
                fields.entry("confirm"),
                "`confirm: canary` without a `canary`",
                hint,
            );
        }
        if !fields.has("min_healthy_per_zone") {
            let message = "`single_host_zones` without `min_healthy_per_zone`";
            let hint = "it says whether a zone of one host is exempt from that";
            without(fields.entry("single_host_zones"), message, hint);
        }
    }
}
