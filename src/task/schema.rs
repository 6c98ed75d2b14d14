//! The JSON Schema of a task file, for editors. It accepts every file that `decode` accepts and refuses
//! unknown keys; what a schema cannot say (names, templates, limits) only `check` finds.

mod actions;
mod steps;
mod strategy;
mod value;

use serde_json::{Map, Value, json};

use value::{
    boolean, described, duration, list_of, map_of, object, reference, text, whole, with_words,
    words,
};

/// The schema, draft 2020-12.
pub fn task_schema() -> Value {
    let mut schema = object(&with_words(top_level(), &TOP_LEVEL), &[]);
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    schema["title"] = json!("fab-rs task");
    schema["description"] = json!("A task of fab-rs: what it takes, where it runs, and its steps.");
    schema["$defs"] = definitions();
    schema["anyOf"] = json!([{"required": ["steps"]}, {"required": ["phases"]}]);
    schema
}

fn definitions() -> Value {
    let mut definitions = Map::new();
    let mut define = |name: &str, value: Value| definitions.insert(name.to_owned(), value);
    define("step", steps::step());
    define(
        "steps",
        json!({"type": "array", "items": reference("step"), "minItems": 1}),
    );
    define("check", actions::check());
    define("strategy", strategy::strategy());
    define("param", param());
    define("phase", phase());
    Value::Object(definitions)
}

type Properties = Vec<(&'static str, Value)>;

/// What the top-level keys mean.
const TOP_LEVEL: [(&str, &str); 27] = [
    ("version", "Version of the format."),
    ("task", "Its name; default: the file's."),
    ("desc", "One line for lists."),
    ("help", "Long text for `show`."),
    ("private", "Hidden from lists, callable by `task:`."),
    (
        "kind",
        "`read` changes nothing and asks nothing; `change`, the default, declares a strategy.",
    ),
    ("params", "What it takes."),
    ("vars", "Derived values, per host, in this order."),
    ("targets", "Selector words for when none are typed."),
    ("defaults", "Modifiers for every step."),
    (
        "facts",
        "Read-only probes on every host; their registers become `host.facts`.",
    ),
    ("strategy", "How a change is spread over its hosts."),
    ("health", "Is a host serving?"),
    ("verify", "Did the change take on this host?"),
    ("lock", "The lock's key, or `none`."),
    ("before", "On the controller, before the first batch."),
    (
        "after",
        "On the controller, after the last batch, if everything succeeded.",
    ),
    ("steps", "On each host."),
    ("rescue", "On a host where a step failed."),
    ("always", "On each host at its end, whatever happened."),
    ("rollback", "On each host that is rolled back."),
    (
        "phases",
        "Passes over the hosts, each with its own strategy.",
    ),
    ("on_failure", "What happens once a rollout stopped."),
    ("resume", "Where a failed host goes on."),
    ("fanout", "Hosts at work at the same time; default 32."),
    ("deadline", "The limit of the whole rollout."),
    ("notify", "Commands on the controller for some events."),
];

fn top_level() -> Properties {
    vec![
        ("version", json!({"const": 1})),
        ("task", name()),
        ("desc", text()),
        ("help", text()),
        ("private", boolean()),
        ("kind", words(&["read", "change"])),
        ("params", map_of(&reference("param"))),
        ("vars", map_of(&text())),
        ("targets", list_of(&text())),
        ("defaults", steps::defaults()),
        ("facts", reference("steps")),
        ("strategy", reference("strategy")),
        ("health", checks()),
        ("verify", checks()),
        ("lock", text()),
        ("before", reference("steps")),
        ("after", reference("steps")),
        ("steps", reference("steps")),
        ("rescue", reference("steps")),
        ("always", reference("steps")),
        ("rollback", reference("steps")),
        (
            "phases",
            json!({"type": "array", "items": reference("phase"), "minItems": 1}),
        ),
        (
            "on_failure",
            words(&[
                "stop",
                "rollback_failed",
                "rollback_batch",
                "rollback_zone",
                "rollback_all",
                "ask",
            ]),
        ),
        ("resume", words(&["from_start", "from_failed"])),
        ("fanout", whole(1)),
        ("deadline", duration()),
        ("notify", notify()),
    ]
}

fn name() -> Value {
    json!({"type": "string", "pattern": "^[a-z][a-z0-9_]*$"})
}

fn checks() -> Value {
    json!({"type": "array", "items": reference("check")})
}

fn notify() -> Value {
    let events = words(&["start", "gate", "stop", "done", "rollback"]);
    let properties = [("events", list_of(&events)), ("local", list_of(&text()))];
    json!({"type": "array", "items": object(&properties, &["events", "local"])})
}

fn phase() -> Value {
    let name = json!({"type": "string", "pattern": "^[A-Za-z0-9_-]+$"});
    let mut properties: Properties = vec![
        ("name", described(name, "What people see and records keep.")),
        ("strategy", reference("strategy")),
    ];
    for key in ["health", "verify"] {
        properties.push((key, checks()));
    }
    for key in ["before", "steps", "rescue", "always", "after", "rollback"] {
        properties.push((key, reference("steps")));
    }
    object(&with_words(properties, &TOP_LEVEL), &["name", "steps"])
}

/// Types of params; a list's elements are of one of them, too.
const SIMPLE: [&str; 11] = [
    "string", "int", "float", "bool", "duration", "size", "enum", "path", "version", "host",
    "selector",
];

/// What the keys of a param mean.
const PARAM: [(&str, &str); 13] = [
    ("type", "Default: `string`, or `enum` with `choices`."),
    ("items", "What a list holds."),
    ("required", "Must be given; then it has no default."),
    ("default", "May be a template over the host."),
    ("choices", "What an enum may be."),
    (
        "pattern",
        "A regular expression that the whole value matches.",
    ),
    ("min", "Smallest value."),
    ("max", "Largest value."),
    ("desc", "One line for people."),
    (
        "secret",
        "Never shown; reaches hosts as the file FAB_SECRET_NAME_FILE.",
    ),
    ("from", "Where the value comes from if it is not given."),
    ("example", "An example for `show`."),
    ("deprecated", "Why it should no longer be used."),
];

fn param() -> Value {
    let mut types = SIMPLE.to_vec();
    types.push("list");
    let properties = vec![
        ("type", words(&types)),
        ("items", words(&SIMPLE)),
        ("required", boolean()),
        ("default", list_of(&text())),
        (
            "choices",
            json!({"type": "array", "items": text(), "minItems": 1}),
        ),
        ("pattern", text()),
        ("min", text()),
        ("max", text()),
        ("desc", text()),
        ("secret", boolean()),
        (
            "from",
            json!({"type": "string", "pattern": "^(prompt|(env|file|ssm|secretsmanager):.+)$"}),
        ),
        ("example", text()),
        ("deprecated", text()),
    ];
    object(&with_words(properties, &PARAM), &[])
}

#[cfg(test)]
mod tests;
