//! Which names a template or expression may read, by where it stands. Values are none of its business.

use indexmap::IndexMap;

/// Where in a task a text stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    /// The default of a param.
    ParamDefault,
    /// `targets`, `lock`: once for the whole rollout, before any host is known.
    Rollout,
    /// `vars`: per host, before its steps.
    Vars,
    /// `before` and `after`: once on the controller.
    Controller,
    /// Steps on a host.
    Host,
    /// `health` and `verify`: asked of any host of the population at any time.
    Check,
    /// `last` of a strategy: asked of hosts before they have a batch.
    Last,
    /// A duration: known as soon as the plan is made.
    Span,
    /// `facts`: probes on every host of the population.
    Facts,
}

impl Section {
    /// Whether `host.facts` is known there.
    pub(super) fn has_facts(self) -> bool {
        matches!(self, Self::Host | Self::Check | Self::Last)
    }

    /// The names that are known there, apart from registers and what loops bring.
    pub(super) fn roots(self) -> &'static [&'static str] {
        match self {
            Self::ParamDefault => &["params", "host", "fab"],
            Self::Rollout => &["params", "fab"],
            Self::Vars | Self::Facts => &["params", "vars", "host", "zone", "fab"],
            Self::Check | Self::Last | Self::Span => &["params", "vars", "host", "fab"],
            Self::Controller => &["params", "vars", "rollout", "results", "fab"],
            Self::Host => &[
                "params", "vars", "host", "zone", "batch", "rollout", "results", "fab",
            ],
        }
    }

    /// Why other names are not known there.
    pub(super) fn because(self) -> &'static str {
        match self {
            Self::ParamDefault => "a default may read `host` and the params above it",
            Self::Rollout => "it is one for all hosts",
            Self::Vars => "`vars` are evaluated before the steps",
            Self::Controller => "`before` and `after` run once on the controller",
            Self::Facts => "`facts` run before the batches are made",
            Self::Check => {
                "a check is asked of any host at any time: it may read `params`, `vars` and `host`"
            }
            Self::Last => {
                "it is asked before batches are made: it may read `params`, `vars` and `host`"
            }
            Self::Span => "a duration may read `params`, `vars` and `host`",
            Self::Host => "it is known inside a loop, a retry or a rescue",
        }
    }
}

/// What a register holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    /// A step's result, whose attributes are known.
    Result,
    /// A value of a `set` step.
    Value,
}

/// The names that are known at one place.
#[derive(Debug, Clone)]
pub(super) struct Scope {
    /// Where that is.
    pub(super) section: Section,
    /// Registers of earlier steps.
    pub(super) registers: IndexMap<String, Known>,
    /// Variables of the loops around.
    pub(super) loops: Vec<String>,
    /// Whether `attempt` is known.
    pub(super) attempt: bool,
    /// Whether `error` is known.
    pub(super) error: bool,
    /// Whether every host of the batch has come this far, so that `results` is known.
    pub(super) results: bool,
}

impl Scope {
    /// A scope without registers.
    pub(super) fn of(section: Section) -> Self {
        Self {
            section,
            registers: IndexMap::new(),
            loops: Vec::new(),
            attempt: false,
            error: false,
            results: false,
        }
    }

    /// The same, inside a loop.
    pub(super) fn with_loop(&self, name: &str) -> Self {
        let mut inner = self.clone();
        inner.loops.push(name.to_owned());
        inner
    }

    /// The same, with a step's own result.
    pub(super) fn with_result(&self, register: Option<&str>) -> Self {
        let mut inner = self.clone();
        inner.attempt = true;
        if let Some(register) = register {
            inner.registers.insert(register.to_owned(), Known::Result);
        }
        inner
    }

    /// The same, in a rescue.
    pub(super) fn with_error(&self) -> Self {
        let mut inner = self.clone();
        inner.error = true;
        inner
    }

    /// Whether a name is one that is known only while the steps run.
    pub(super) fn is_late(&self, root: &str) -> bool {
        self.registers.contains_key(root)
            || self.loops.iter().any(|name| name == root)
            || matches!(root, "error" | "attempt" | "results" | "rollout" | "batch")
            || (root == "loop" && !self.loops.is_empty())
    }

    /// Every name that is known.
    pub(super) fn roots(&self) -> Vec<&str> {
        let mut roots: Vec<&str> = self.section.roots().to_vec();
        roots.extend(self.registers.keys().map(String::as_str));
        roots.extend(self.loops.iter().map(String::as_str));
        if !self.loops.is_empty() {
            roots.push("loop");
        }
        if self.attempt {
            roots.push("attempt");
        }
        if self.error {
            roots.push("error");
        }
        roots
    }
}

/// Functions that templates can call.
pub(super) const FUNCTIONS: [&str; 7] = [
    "secret",
    "now",
    "file_sha256",
    "exists",
    "range",
    "dict",
    "namespace",
];

/// Names of the format that templates cannot read yet.
pub(super) const LATER: [&str; 2] = ["secret", "exists"];

/// Names that no register, loop variable or `set` may take.
pub(super) const BUILT_IN: [&str; 12] = [
    "params", "vars", "host", "zone", "batch", "rollout", "results", "error", "item", "loop",
    "attempt", "fab",
];

/// The attributes of a built-in name; `None` where any are possible.
pub(super) fn attributes(root: &str) -> Option<&'static [&'static str]> {
    Some(match root {
        "host" => &[
            "label",
            "name",
            "id",
            "address",
            "private_ip",
            "zone",
            "az_id",
            "region",
            "type",
            "launch_time",
            "asg",
            "tags",
            "vars",
            "facts",
            "index",
        ],
        "zone" => &["name", "id", "index", "count", "hosts", "first", "last"],
        "batch" => &["index", "count", "hosts", "size", "canary", "last"],
        "rollout" => &[
            "id",
            "task",
            "phase",
            "user",
            "started_at",
            "total",
            "ok",
            "failed",
            "remaining",
            "population",
        ],
        "error" => &["step", "rc", "stdout", "stderr", "kind"],
        "fab" => &["version", "git_sha", "git_dirty", "cwd", "run_dir"],
        "loop" => &["index"],
        _ => return None,
    })
}

/// The attributes of a step's result.
pub(super) const RESULT: [&str; 13] = [
    "rc", "stdout", "stderr", "lines", "json", "ok", "failed", "ignored", "skipped", "changed",
    "duration", "attempts", "results",
];
