//! The schema of `strategy`.

use serde_json::{Value, json};

use super::value::{amount, boolean, duration, list_of, object, text, whole, with_words, words};

/// `all`, or a map.
pub(super) fn strategy() -> Value {
    json!({"anyOf": [{"const": "all"}, object(&with_words(properties(), &MEANINGS), &[])]})
}

/// What some keys mean.
const MEANINGS: [(&str, &str); 5] = [
    ("by", "How hosts are put into batches."),
    ("batch", "How many hosts at once; default 1."),
    (
        "last",
        "An expression over the host: these come after all zones.",
    ),
    (
        "confirm",
        "Where it asks; default: before the first change.",
    ),
    (
        "max_failures",
        "Failed hosts that are tolerated; one more stops the rollout. Default 0.",
    ),
];

const AMOUNTS: [&str; 5] = [
    "max_unavailable",
    "min_healthy",
    "min_healthy_per_zone",
    "max_failures_per_zone",
    "max_failures_per_batch",
];

const DURATIONS: [&str; 7] = [
    "bake",
    "zone_bake",
    "first_zone_bake",
    "final_bake",
    "health_wait",
    "confirm_timeout",
    "host_timeout",
];

fn properties() -> Vec<(&'static str, Value)> {
    let gates = list_of(&words(&["start", "canary", "zone", "batch", "phase"]));
    let canary = object(
        &[
            ("hosts", amount()),
            ("bake", duration()),
            ("confirm", boolean()),
        ],
        &["hosts"],
    );
    let quorum = object(&[("at_once", whole(1))], &[]);
    let zones = json!({"anyOf": [words(&["auto", "name"]), {"type": "array", "items": text()}]});
    let mut properties = vec![
        ("by", words(&["az", "spread", "flat"])),
        ("batch", list_of(&amount())),
        ("mode", words(&["batch", "window"])),
        ("canary", json!({"anyOf": [amount(), canary]})),
        ("zone_order", zones),
        ("order", words(&["name", "random"])),
        ("last", text()),
        ("quorum", json!({"anyOf": [boolean(), quorum]})),
        ("single_host_zones", words(&["refuse", "allow"])),
        ("unreachable", words(&["fail", "skip"])),
        ("on_stop", words(&["finish", "cancel"])),
        ("confirm", json!({"anyOf": [{"const": "never"}, gates]})),
        ("max_failures", amount()),
    ];
    properties.extend(AMOUNTS.map(|key| (key, amount())));
    properties.extend(DURATIONS.map(|key| (key, duration())));
    properties
}
