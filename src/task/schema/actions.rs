//! The schema of each action.

use serde_json::{Value, json};

use super::value::{
    boolean, described, duration, expression, list_of, map_of, object, reference, text, whole,
    with_words, words,
};

type Properties = Vec<(&'static str, Value)>;

/// Every action key.
pub(super) fn actions() -> Properties {
    let mut actions = with_words(commands(), &COMMANDS);
    actions.extend(with_words(files(), &FILES));
    actions.extend(with_words(flow(), &FLOW));
    actions.push((
        "wait_for",
        described(object(&probe(), &[]), "Waits until a probe passes."),
    ));
    let reboot = object(&[("timeout", duration())], &[]);
    actions.push((
        "reboot",
        described(reboot, "Reboots and proves a new boot id."),
    ));
    actions.push((
        "aws",
        described(
            aws(),
            "Load balancers, scaling groups, routes, names, storage.",
        ),
    ));
    actions
}

/// What these actions do.
const COMMANDS: [(&str, &str); 3] = [
    ("run", "A shell text, or an argv that no shell re-reads."),
    (
        "script",
        "A file beside the task, run on the host and removed.",
    ),
    ("local", "A command on the controller."),
];

fn commands() -> Properties {
    let script = object(
        &[
            ("src", text()),
            ("args", json!({"type": "array", "items": text()})),
            ("interpreter", list_of(&text())),
        ],
        &["src"],
    );
    vec![
        ("run", program()),
        ("script", json!({"anyOf": [text(), script]})),
        ("local", program()),
    ]
}

/// A text for a shell, or an argv.
fn program() -> Value {
    json!({"anyOf": [text(), {"type": "array", "items": text(), "minItems": 1}]})
}

/// What these actions do.
const FILES: [(&str, &str); 5] = [
    (
        "upload",
        "A file onto the host: temporary name, verified, renamed.",
    ),
    ("template", "A rendered file onto the host."),
    ("download", "A file from the host."),
    ("line", "A line that a text file must have."),
    ("replace", "A replacement in a text file."),
];

fn files() -> Properties {
    let copy = object(
        &[
            ("src", text()),
            ("dest", text()),
            ("mode", json!({"type": ["string", "integer"]})),
            ("owner", text()),
            ("backup", boolean()),
            ("sha256", text()),
            ("verify", text()),
        ],
        &["src", "dest"],
    );
    let download = object(
        &[
            ("src", text()),
            ("dest", text()),
            ("sha256", text()),
            (
                "max_size",
                json!({"type": "string", "pattern": "^[0-9]+ *([KMGT]i?)?B$"}),
            ),
            ("missing", words(&["fail", "ok"])),
            ("verify", words(&["hprof"])),
        ],
        &["src"],
    );
    let line = object(
        &[("path", text()), ("line", text()), ("match", text())],
        &["path", "line"],
    );
    let replace = object(
        &[
            ("path", text()),
            ("match", text()),
            ("with", text()),
            ("backup", boolean()),
        ],
        &["path", "match", "with"],
    );
    vec![
        ("upload", copy.clone()),
        ("template", copy),
        ("download", download),
        ("line", line),
        ("replace", replace),
    ]
}

/// What these actions do.
const FLOW: [(&str, &str); 8] = [
    ("confirm", "Asks."),
    ("pause", "Waits."),
    ("assert", "Fails unless every expression holds."),
    ("fail", "Fails with a message."),
    ("log", "Says something."),
    ("set", "Variables for later steps."),
    ("task", "Another task's steps in place."),
    (
        "group",
        "Several steps as one, with `rescue` and `always` beside it.",
    ),
];

fn flow() -> Properties {
    let confirm = object(
        &[
            ("text", text()),
            ("default", boolean()),
            ("timeout", duration()),
        ],
        &["text"],
    );
    let assert = object(
        &[("that", list_of(&expression())), ("msg", text())],
        &["that"],
    );
    let task = object(&[("name", text()), ("params", map_of(&text()))], &["name"]);
    vec![
        ("confirm", json!({"anyOf": [text(), confirm]})),
        ("pause", duration()),
        ("assert", assert),
        ("fail", text()),
        ("log", text()),
        ("set", map_of(&text())),
        ("task", json!({"anyOf": [text(), task]})),
        ("group", reference("steps")),
    ]
}

/// The keys of `wait_for`.
fn probe() -> Properties {
    let status = json!({"type": "integer", "minimum": 100, "maximum": 599});
    vec![
        ("http", text()),
        ("tcp", text()),
        ("run", program()),
        ("file", text()),
        ("ssh", json!({"const": true})),
        ("status", list_of(&status)),
        ("match", text()),
        ("until", expression()),
        ("interval", duration()),
        ("consecutive", whole(1)),
        ("stable_for", duration()),
        ("from", words(&["host", "controller"])),
        ("equals", text()),
        ("state", words(&["present", "absent"])),
        ("shell", list_of(&text())),
        ("sudo", text()),
        ("env", map_of(&text())),
    ]
}

/// What the keys mean that only checks have.
const OF_CHECK: [(&str, &str); 3] = [
    ("name", "What people see; default: what is asked."),
    ("timeout", "Until when it must pass; default 2m."),
    ("watch", "Asked again and again during a bake."),
];

/// A check of `health` or `verify`.
pub(super) fn check() -> Value {
    let mut properties = probe();
    properties.extend(with_words(
        vec![
            ("name", text()),
            ("timeout", duration()),
            ("watch", boolean()),
        ],
        &OF_CHECK,
    ));
    object(&properties, &[])
}

fn aws() -> Value {
    let one = |key: &'static str, value: Value| object(&[(key, value)], &[key]);
    let elb = object(
        &[
            ("elb", words(&["drain", "restore"])),
            ("target_groups", list_of(&text())),
        ],
        &["elb"],
    );
    let route = object(&[("cidr", text()), ("tables", list_of(&text()))], &[]);
    let keys = ["zone", "name", "type", "ttl", "value"];
    let dns = object(&keys.map(|key| (key, list_of(&text()))), &[]);
    json!({"anyOf": [
        elb,
        one("asg", words(&["standby", "in_service", "suspend", "resume"])),
        one("route", route),
        one("dns", dns),
        one("s3", words(&["presign_put", "presign_get"])),
        one("alarm", list_of(&text())),
    ]})
}
