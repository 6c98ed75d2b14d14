//! The worked examples of the rollout's contract, from YAML to JSON: batches, the most hosts out at once,
//! minimum times.

use serde_json::Value;

use super::*;

type Zones = &'static [(&'static str, usize)];

const TWELVE: Zones = &[("a", 4), ("b", 4), ("c", 4)];
const SEVEN: Zones = &[("a", 4), ("b", 3)];
const UNEQUAL: Zones = &[("a", 6), ("b", 5), ("c", 1)];
const SINGLE: Zones = &[("a", 1), ("b", 1), ("c", 1)];
const FIVE: Zones = &[("a", 3), ("b", 2)];
const QUARTER: &str = "[a1 b1 c1] [a2 b2 c2] [a3 b3 c3] [a4 b4 c4]";

fn task_of(strategy: &str) -> String {
    format!("task: t\nkind: change\nstrategy: {{{strategy}}}\nsteps: [{{run: id}}]\n")
}

pub(super) fn given(zones: Zones, strategy: &str) -> Given {
    Given::new(&task_of(strategy)).on(fleet(zones))
}

/// The batches of a plan's JSON: `[a1] /` the canary, `(b2)` a host that is taken last.
pub(super) fn batches(plan: &Value) -> String {
    let batches = plan["phases"][0]["batches"].as_array().unwrap();
    let shown = batches.iter().map(|batch| {
        let hosts = batch["hosts"].as_array().unwrap().iter();
        let hosts: Vec<&str> = hosts.map(|host| host.as_str().unwrap()).collect();
        let hosts = hosts.join(" ");
        match (&batch["canary"], &batch["last"]) {
            (Value::Bool(true), _) => format!("[{hosts}] /"),
            (_, Value::Bool(true)) => format!("({hosts})"),
            _ => format!("[{hosts}]"),
        }
    });
    shown.collect::<Vec<_>>().join(" ")
}

/// A strategy for a fleet, its batches, and the most hosts out at once.
type Example = (Zones, &'static str, &'static str, usize);

const EXAMPLES: &[Example] = &[
    (
        TWELVE,
        "by: az, batch: 50%, canary: 1",
        "[a1] / [a2 a3] [a4] [b1 b2] [b3 b4] [c1 c2] [c3 c4]",
        2,
    ),
    (
        TWELVE,
        "by: az, batch: 100%",
        "[a1 a2 a3 a4] [b1 b2 b3 b4] [c1 c2 c3 c4]",
        4,
    ),
    (
        TWELVE,
        "by: az, batch: [1, 2, \"100%\"]",
        "[a1] [a2 a3] [a4] [b1 b2 b3 b4] [c1 c2 c3 c4]",
        4,
    ),
    (TWELVE, "by: spread, batch: 25%", QUARTER, 3),
    (
        TWELVE,
        "by: spread, batch: 25%, canary: 1",
        "[a1] / [b1 c1 a2] [b2 c2 a3] [b3 c3 a4] [b4 c4]",
        3,
    ),
    (
        TWELVE,
        "by: spread, batch: 40%, min_healthy: 75%",
        QUARTER,
        3,
    ),
    (
        TWELVE,
        "by: spread, batch: 6, min_healthy_per_zone: 75%",
        QUARTER,
        3,
    ),
    (
        TWELVE,
        "by: flat, batch: 30%",
        "[a1 a2 a3] [a4 b1 b2] [b3 b4 c1] [c2 c3 c4]",
        3,
    ),
    (
        SEVEN,
        "by: az, batch: 50%, canary: 1",
        "[b1] / [b2] [b3] [a1 a2] [a3 a4]",
        2,
    ),
    (
        SEVEN,
        "by: az, batch: 100%, min_healthy: 50%",
        "[b1 b2 b3] [a1 a2 a3] [a4]",
        3,
    ),
    (
        SEVEN,
        "by: az, batch: 100%, min_healthy: 60%",
        "[b1 b2] [b3] [a1 a2] [a3 a4]",
        2,
    ),
    (
        SEVEN,
        "by: spread, batch: 25%",
        "[a1] [b1] [a2] [b2] [a3] [b3] [a4]",
        1,
    ),
    (
        SEVEN,
        "by: spread, batch: 2",
        "[a1 b1] [a2 b2] [a3 b3] [a4]",
        2,
    ),
    (
        SEVEN,
        "by: spread, batch: 50%",
        "[a1 b1 a2] [b2 a3 b3] [a4]",
        3,
    ),
    (
        SEVEN,
        "quorum: true, last: \"{{ host.name == 'b2' }}\"",
        "[b1] [b3] [a1] [a2] [a3] [a4] (b2)",
        1,
    ),
    (
        UNEQUAL,
        "by: az, batch: 50%, canary: 1",
        "[b1] / [b2 b3] [b4 b5] [a1 a2 a3] [a4 a5 a6] [c1]",
        3,
    ),
    (
        UNEQUAL,
        "by: spread, batch: 25%",
        "[a1 b1 a2] [b2 a3 b3] [c1 a4 b4] [a5 b5 a6]",
        3,
    ),
    (SINGLE, "by: az, batch: 100%", "[a1] [b1] [c1]", 1),
    (
        SINGLE,
        "by: spread, batch: 100%, min_healthy: 66%",
        "[a1] [b1] [c1]",
        1,
    ),
    (
        FIVE,
        "quorum: true, last: \"{{ host.name == 'a2' }}\"",
        "[b1] [b2] [a1] [a3] (a2)",
        1,
    ),
];

#[test]
fn every_worked_example_comes_out_as_it_is_written() {
    for &(zones, strategy, expected, worst) in EXAMPLES {
        let plan = json(&given(zones, strategy).planned());
        assert_eq!(batches(&plan), expected, "{strategy}");
        let out = &plan["phases"][0]["worst_out"]["overall"];
        assert_eq!(*out, worst, "{strategy}");
    }
}

#[test]
fn the_most_hosts_out_at_once_are_told_zone_by_zone() {
    let half = json(&given(TWELVE, "by: az, batch: 50%, canary: 1").planned());
    assert_eq!(
        half["phases"][0]["worst_out"],
        json!({"overall": 2, "per_zone": {"a": 2, "b": 2, "c": 2}})
    );
    let quarter = json(&given(TWELVE, "by: spread, batch: 25%").planned());
    assert_eq!(
        quarter["phases"][0]["worst_out"],
        json!({"overall": 3, "per_zone": {"a": 1, "b": 1, "c": 1}})
    );
    let flat = json(&given(TWELVE, "by: flat, batch: 30%").planned());
    assert_eq!(
        flat["phases"][0]["worst_out"],
        json!({"overall": 3, "per_zone": {"a": 3, "b": 2, "c": 3}})
    );
}

#[test]
fn the_numbers_stand_in_the_json() {
    let number = |zones, strategy, key: &str| {
        json(&given(zones, strategy).planned())["phases"][0]["resolved"][key].clone()
    };
    let least = "by: az, batch: 100%, min_healthy: 50%";
    assert_eq!(number(SEVEN, least, "min_healthy"), 4);
    assert_eq!(number(SEVEN, least, "cap"), 3);
    let least = "by: az, batch: 100%, min_healthy: 60%";
    assert_eq!(
        (
            number(SEVEN, least, "min_healthy"),
            number(SEVEN, least, "cap")
        ),
        (json!(5), json!(2))
    );
    let zones = "by: spread, batch: 6, min_healthy_per_zone: 75%";
    assert_eq!(
        number(TWELVE, zones, "min_healthy_per_zone"),
        json!({"a": 3, "b": 3, "c": 3})
    );
    let tenth = "by: az, batch: 50%, max_failures: 10%, max_failures_per_zone: 25%";
    assert_eq!(number(TWELVE, tenth, "max_failures"), 1);
    assert_eq!(
        number(TWELVE, tenth, "max_failures_per_zone"),
        json!({"a": 1, "b": 1, "c": 1})
    );
    assert_eq!(
        number(TWELVE, "quorum: {at_once: 2}", "quorum"),
        json!({"voters": 12, "majority": 7, "tolerance": 5, "at_once": 2})
    );
}

#[test]
fn the_timeline_of_the_first_example_takes_33_minutes() {
    let text = "by: az, batch: 50%, canary: {hosts: 1, bake: 5m}, bake: 1m, first_zone_bake: 15m, zone_bake: 10m, max_failures: 0";
    let plan = json(&given(TWELVE, text).planned());
    let batches = plan["phases"][0]["batches"].as_array().unwrap();
    let minutes: Vec<u64> = batches
        .iter()
        .map(|batch| batch["bake_ms"].as_u64().unwrap() / 60_000)
        .collect();
    assert_eq!(minutes, [5, 1, 15, 1, 10, 1, 0]);
    assert_eq!(plan["min_time_ms"], 33 * 60_000);
    assert_eq!(plan["phases"][0]["min_time_ms"], 33 * 60_000);
    assert_eq!(plan["phases"][0]["worst_failures"], 2);
}

#[test]
fn bakes_fall_back_and_end_as_the_contract_says() {
    let minutes = |strategy: &str| {
        let plan = json(&given(FIVE, strategy).planned());
        let batches = plan["phases"][0]["batches"].as_array().unwrap().clone();
        let minutes = batches
            .iter()
            .map(|batch| batch["bake_ms"].as_u64().unwrap() / 60_000);
        minutes.collect::<Vec<_>>()
    };
    // Without `first_zone_bake` the first zone is one like another; nothing follows the last batch but `final_bake`.
    let zone = "by: az, batch: 100%, zone_bake: 2m";
    assert_eq!(minutes(zone), [2, 0]);
    assert_eq!(
        minutes("by: az, batch: 100%, zone_bake: 2m, final_bake: 7m"),
        [2, 7]
    );
    // The last zone ends before the hosts that are taken last.
    let last = "by: az, batch: 100%, zone_bake: 2m, bake: 1m, last: \"{{ host.name == 'a1' }}\"";
    assert_eq!(minutes(last), [2, 2, 0]);
    // No zone ends where batches go across zones.
    assert_eq!(minutes("by: spread, batch: 3, bake: 1m"), [1, 0]);
}

#[test]
fn a_limit_narrows_what_is_touched_and_not_what_is_counted() {
    let mut limited = given(TWELVE, "by: az, batch: 50%, min_healthy: 50%");
    limited.targets = Some(vec![2, 4]);
    let plan = json(&limited.planned());
    assert_eq!(batches(&plan), "[a3] [b1]");
    assert_eq!(plan["phases"][0]["resolved"]["min_healthy"], 6);
    assert_eq!(
        (&plan["population"], &plan["targets"]),
        (&json!(12), &json!(2))
    );
}

#[test]
fn a_drawn_order_is_kept_in_the_plan() {
    let mut drawn = given(&[("a", 6)], "batch: 2, order: random");
    let first = json(&drawn.planned());
    assert_eq!(first["phases"][0]["seed"], 7);
    assert_eq!(batches(&json(&drawn.planned())), batches(&first));
    let mut names: Vec<char> = batches(&first)
        .chars()
        .filter(char::is_ascii_digit)
        .collect();
    names.sort_unstable();
    assert_eq!(names, ['1', '2', '3', '4', '5', '6']);
    drawn.seed = 8;
    assert_ne!(batches(&json(&drawn.planned())), batches(&first));
}

#[test]
fn zones_go_in_the_order_that_is_asked_for() {
    let order = |zone_order: &str| {
        let strategy = format!("by: az, batch: 100%, zone_order: {zone_order}");
        batches(&json(
            &given(&[("c", 1), ("b", 2), ("a", 3)], &strategy).planned(),
        ))
    };
    assert_eq!(order("auto"), "[b1 b2] [a1 a2 a3] [c1]");
    assert_eq!(order("name"), "[a1 a2 a3] [b1 b2] [c1]");
    assert_eq!(order("[c, a, b]"), "[c1] [a1 a2 a3] [b1 b2]");
}
