//! The schema of a step: its modifiers, and one action of `actions`.

use serde_json::{Value, json};

use super::actions;
use super::value::{
    boolean, described, duration, expression, list_of, map_of, object, reference, text, whole,
    with_words, words,
};

/// A step.
pub(super) fn step() -> Value {
    let actions = actions::actions();
    let one: Vec<Value> = actions
        .iter()
        .map(|(key, _)| json!({"required": [key]}))
        .collect();
    let mut properties = actions;
    properties.extend(with_words(own(), &OWN));
    properties.extend(with_words(shared(), &SHARED));
    for key in ["rescue", "always"] {
        properties.push((key, described(reference("steps"), "Beside `group` alone.")));
    }
    let mut step = object(&properties, &[]);
    step["oneOf"] = Value::Array(one);
    step["dependentRequired"] = json!({
        "rescue": ["group"],
        "always": ["group"],
        "recovered": ["rescue"],
        "as": ["loop"],
        "sticky": ["register"],
        "check": ["resume"],
    });
    step
}

/// `defaults`: what may stand on every step.
pub(super) fn defaults() -> Value {
    object(&with_words(shared(), &SHARED), &[])
}

/// What they mean.
const OWN: [(&str, &str); 8] = [
    ("name", "What people see."),
    ("id", "What records use; letters, digits, `_` and `-`."),
    (
        "register",
        "Keeps the result for later steps under this name.",
    ),
    ("loop", "Once per element, as `item`."),
    ("as", "The loop variable's name."),
    (
        "check",
        "The command that a resume asks whether the step is done.",
    ),
    ("recovered", "A host whose rescue passed counts as ok."),
    ("sticky", "The register is kept when the step runs again."),
];

/// Modifiers that belong to one step.
fn own() -> Vec<(&'static str, Value)> {
    vec![
        ("name", text()),
        ("id", text()),
        (
            "register",
            json!({"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$"}),
        ),
        ("loop", list_of(&text())),
        ("as", text()),
        ("check", text()),
        ("recovered", boolean()),
        ("sticky", boolean()),
    ]
}

/// What those that may also stand in `defaults` mean.
const SHARED: [(&str, &str); 19] = [
    (
        "when",
        "An expression without braces; false skips the step.",
    ),
    ("shell", "`sh`, `bash`, or an argv that takes a text last."),
    (
        "before",
        "Shell text before the command, in the same shell.",
    ),
    (
        "retry",
        "Tries again when the command fails, never when the connection does.",
    ),
    ("timeout", "The step's limit."),
    ("sudo", "`true` for root, or a user."),
    ("env", "Environment variables."),
    ("cwd", "Working directory."),
    ("stdin", "What the command reads."),
    (
        "once",
        "`true` or `rollout`: once for the whole rollout, on the first reachable host; `zone` and `batch`: once in each.",
    ),
    (
        "where",
        "Where it runs: `host`, `controller`, `any_healthy` (another healthy host), or selector words.",
    ),
    (
        "barrier",
        "Waits until every host of the batch has come this far.",
    ),
    ("ok_rc", "Exit codes that pass."),
    ("fail_when", "Fails if this holds."),
    (
        "ignore_errors",
        "A failure is shown as ignored; never covers an unreachable host.",
    ),
    ("resume", "What a resume does with an interrupted step."),
    (
        "detach",
        "Goes on by itself on its host: a lost connection or a dead fab-rs does not end it.",
    ),
    ("read_only", "Changes nothing."),
    ("quiet", "Output goes to the host's log alone."),
];

/// Modifiers that may also stand in `defaults`.
fn shared() -> Vec<(&'static str, Value)> {
    let retry = object(
        &[
            ("attempts", whole(1)),
            ("delay", duration()),
            ("backoff", json!({"type": "number", "minimum": 1})),
            ("until", expression()),
        ],
        &[],
    );
    let code = json!({"type": "integer", "minimum": 0, "maximum": 255});
    let once = json!({"enum": [true, false, "true", "false", "rollout", "zone", "batch"]});
    vec![
        ("when", expression()),
        ("shell", list_of(&text())),
        ("before", text()),
        ("retry", retry),
        ("timeout", duration()),
        ("sudo", text()),
        ("env", map_of(&text())),
        ("cwd", text()),
        ("stdin", text()),
        ("once", once),
        ("where", list_of(&text())),
        ("barrier", boolean()),
        ("ok_rc", list_of(&code)),
        ("fail_when", expression()),
        ("ignore_errors", boolean()),
        ("resume", words(&["rerun", "check", "ask"])),
        ("detach", boolean()),
        ("read_only", boolean()),
        ("quiet", boolean()),
    ]
}
