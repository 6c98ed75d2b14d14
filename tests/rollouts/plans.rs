//! What the rolling tasks plan for fleets of many shapes: no machine is needed for it.

use std::fmt::Write as _;

use serde_json::Value;

use crate::operator::Operator;

/// An inventory of hosts `ZONEn`, in zones of these sizes.
fn inventory(sizes: &[(char, usize)]) -> String {
    let mut text = String::from("sources:\n  - hosts:\n");
    for (zone, size) in sizes {
        for number in 1..=*size {
            let _ = writeln!(
                text,
                "      - {{name: {zone}{number}, address: 198.18.255.1{number}, user: {zone}, zone: {zone}, \
                 tags: {{role: app, service: api}}}}"
            );
        }
    }
    text
}

/// The batches of a task for such a fleet: the labels of each.
fn batches(task: &str, sizes: &[(char, usize)]) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("inventory.yml");
    std::fs::write(&file, inventory(sizes)).unwrap();
    let operator = Operator::new(&file);
    let ran = operator.fab(&["plan", task, "role=app", "--json"]);
    ran.ended(0);
    let plan = ran.json();
    let batches = plan["phases"][0]["batches"].as_array().unwrap();
    let label = |host: &Value| host.as_str().or(host["label"].as_str()).unwrap().to_owned();
    let labels = |batch: &Value| {
        let hosts = batch["hosts"].as_array().unwrap().iter();
        hosts.map(label).collect::<Vec<_>>().join(" ")
    };
    batches.iter().map(labels).collect()
}

#[test]
fn a_canary_then_zone_after_zone_at_most_a_quarter_at_once() {
    for task in ["rolling_restart", "rolling_reboot"] {
        let plan = |sizes: &[(char, usize)]| batches(task, sizes);
        assert_eq!(
            plan(&[('a', 4), ('b', 4), ('c', 4)]),
            ["a1", "a2 a3", "a4", "b1 b2", "b3 b4", "c1 c2", "c3 c4"]
        );
        assert_eq!(
            plan(&[('a', 2), ('b', 2), ('c', 2)]),
            ["a1", "a2", "b1", "b2", "c1", "c2"]
        );
        assert_eq!(plan(&[('a', 1), ('b', 1), ('c', 1)]), ["a1", "b1", "c1"]);
        assert_eq!(plan(&[('a', 1)]), ["a1"]);
        assert_eq!(plan(&[('a', 4)]), ["a1", "a2", "a3", "a4"]);
    }
}

#[test]
fn an_ensemble_goes_one_member_at_a_time() {
    let plan = |sizes: &[(char, usize)]| batches("zk_rolling_restart", sizes);
    assert_eq!(plan(&[('a', 1), ('b', 1), ('c', 1)]), ["a1", "b1", "c1"]);
    assert_eq!(plan(&[('a', 3), ('b', 2)]), ["b1", "b2", "a1", "a2", "a3"]);
}
