//! The schema of `strategy`.

use serde_json::{Value, json};

use super::value::{
    amount, boolean, described, duration, list_of, object, text, whole, with_words, words,
};

/// `all`, or a map.
pub(super) fn strategy() -> Value {
    json!({"anyOf": [{"const": "all"}, object(&with_words(properties(), &MEANINGS), &[])]})
}

/// What the keys mean.
const MEANINGS: [(&str, &str); 25] = [
    (
        "by",
        "`az`: zone by zone; `spread`: even over the zones; `flat`: in order. Default: `az` where there are several zones.",
    ),
    (
        "batch",
        "How many hosts at once, or a list of sizes in turn; default 1. A percentage rounds down, to 1 at least.",
    ),
    (
        "mode",
        "`window` takes the next host as soon as one is done; `batch`, the default, waits for the whole batch.",
    ),
    ("canary", "Hosts that go first and alone."),
    (
        "zone_order",
        "`auto`: zones of one host last, the others by size; `name`; or the zones in their order.",
    ),
    ("order", "The order of hosts within a zone."),
    (
        "last",
        "One expression in braces over the host and its facts: these hosts come after all zones, one at a time.",
    ),
    (
        "quorum",
        "The hosts are one consensus group: a majority stays healthy, one is out at a time.",
    ),
    ("max_unavailable", "The most hosts that may be out at once."),
    (
        "min_healthy",
        "Hosts that stay healthy; a percentage rounds up.",
    ),
    ("min_healthy_per_zone", "The same within each zone."),
    (
        "single_host_zones",
        "`allow` exempts zones of one host from `min_healthy_per_zone`.",
    ),
    (
        "max_failures",
        "Failed hosts that are tolerated; one more stops the rollout. Default 0.",
    ),
    ("max_failures_per_zone", "The same within each zone."),
    ("max_failures_per_batch", "The same within each batch."),
    (
        "unreachable",
        "`skip` passes over hosts that cannot be reached; they count as out of service.",
    ),
    ("bake", "How long a batch is watched before the next."),
    ("zone_bake", "The same at the end of a zone."),
    (
        "first_zone_bake",
        "The same at the end of the first zone; default: `zone_bake`.",
    ),
    ("final_bake", "The same after the last batch."),
    (
        "health_wait",
        "How long too few healthy hosts are waited for before it stops; default 5m.",
    ),
    (
        "confirm",
        "Where it asks, or `never`; default: before the first change.",
    ),
    (
        "confirm_timeout",
        "How long an answer is waited for before it pauses; default 1h.",
    ),
    (
        "on_stop",
        "What hosts at work do when it stops: `finish`, the default, or `cancel`.",
    ),
    (
        "host_timeout",
        "The limit of one host's steps and checks together.",
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
            ("hosts", described(amount(), "How many.")),
            ("bake", described(duration(), "How long they are watched.")),
            (
                "confirm",
                described(boolean(), "Whether it asks after them."),
            ),
        ],
        &["hosts"],
    );
    let at_once = described(whole(1), "Members that may be out at once; default 1.");
    let quorum = object(&[("at_once", at_once)], &[]);
    let zones = json!({"anyOf": [words(&["auto", "name"]), {"type": "array", "items": text()}]});
    let mut properties = vec![
        ("by", words(&["az", "spread", "flat"])),
        ("batch", list_of(&amount())),
        ("mode", words(&["batch", "window"])),
        ("canary", json!({"anyOf": [amount(), canary]})),
        ("zone_order", zones),
        ("order", words(&["name", "random"])),
        ("last", json!({"type": ["string", "boolean"]})),
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
