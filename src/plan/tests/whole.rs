//! Batches, warnings and JSON of whole plans.

use super::*;
use crate::model::{Amount, Zone};
use crate::task::GateAt;

#[test]
fn batches_go_zone_by_zone_and_never_cross_one() {
    let shown = |given: &Given| {
        let plan = given.planned();
        let phase = &plan.phases[0];
        let batches = phase.batches.iter().map(|batch| {
            let names: Vec<&str> = phase
                .hosts_of(batch)
                .map(|planned| planned.host.label.as_str())
                .collect();
            let zone = batch.zone.as_ref().map_or("-", |zone| zone.as_str());
            format!("{zone}: {}", names.join(" "))
        });
        batches.collect::<Vec<_>>()
    };
    let restart = |batch| {
        let mut given = Given::new(RESTART)
            .with("service", "x")
            .on(fleet(&[("a", 3), ("b", 2)]));
        given.overrides.batch = batch;
        given
    };
    let two = restart(Some(vec!["2".parse().unwrap()]));
    assert_eq!(shown(&two), ["b: b1 b2", "a: a1 a2", "a: a3"]);
    assert_eq!(two.planned().phases[0].by, By::Az);
    let mut spread = restart(Some(vec!["2".parse().unwrap()]));
    spread.overrides.by = Some(By::Spread);
    assert_eq!(shown(&spread), ["-: a1 b1", "-: a2 b2", "a: a3"]);
    let mut limited = restart(Some(vec!["50%".parse().unwrap()]));
    limited.targets = Some(vec![2, 3]);
    assert_eq!(shown(&limited), ["b: b1", "a: a3"]);
    let plan = limited.planned();
    assert_eq!((plan.population.len(), plan.targets.len()), (5, 2));
    assert_eq!(shown(&restart(None)).len(), 5);
}

#[test]
fn batches_and_failures_that_were_typed_hold_for_a_task_that_only_reads() {
    let mut given =
        Given::new("kind: read\nsteps: [{run: uptime}]\n").on(fleet(&[("a", 2), ("b", 1)]));
    let all = given.planned();
    assert_eq!(
        (all.phases[0].batches.len(), all.phases[0].by),
        (1, By::Flat)
    );
    given.overrides.batch = Some(vec!["1".parse().unwrap()]);
    given.overrides.max_failures = Some("0".parse().unwrap());
    let plan = given.planned();
    let zones = plan.phases[0]
        .batches
        .iter()
        .map(|batch| batch.zone.as_ref());
    let zones: Vec<&str> = zones.map(|zone| zone.map_or("-", Zone::as_str)).collect();
    assert_eq!(zones, ["a", "a", "b"]);
    assert_eq!(plan.phases[0].resolved.max_failures, Some(0));
}

#[test]
fn warnings_say_what_an_operator_should_know() {
    let mut hosts = fleet(&[("a", 2), ("b", 1)]);
    hosts[0] = Arc::new(Host {
        launch_time: Some("2026-01-01T00:00:00Z".to_owned()),
        ..Host::clone(&hosts[0])
    });
    let mut given = Given::new(RESTART).with("service", "x").on(hosts);
    given.overrides.batch = Some(vec!["40".parse().unwrap()]);
    given.now = "2026-01-01T00:05:00Z".parse().unwrap();
    assert_eq!(
        given.planned().warnings,
        [
            "zone a drops to 0 in service: all its 2 hosts are out at once",
            "zone b has one host: nothing is in service there while it is out",
            "a1 may still be starting: launched 5 m ago",
        ]
    );
    let mut many = Given::new(RESTART)
        .with("service", "x")
        .on(fleet(&[("a", 41)]));
    many.overrides.batch = Some(vec!["40".parse().unwrap()]);
    assert_eq!(
        many.planned().warnings,
        [
            "a batch of 40 is larger than the fan-out of 32: no more than 32 hosts are at work at once"
        ]
    );
}

#[test]
fn a_plan_has_its_numbers_beside_what_was_asked() {
    let mut given = Given::new(RESTART).with("service", "api");
    given.population = fleet(&[("a", 5), ("b", 3)]);
    given.overrides.batch = Some(vec!["50%".parse().unwrap()]);
    given.overrides.max_failures = Some("25%".parse().unwrap());
    let plan = given.planned();
    let phase = &plan.phases[0];
    assert_eq!(phase.name, "main");
    assert_eq!(phase.resolved.batch, 2);
    assert_eq!(phase.resolved.max_failures, Some(2));
    assert_eq!(phase.asked.batch, [Amount::Percent(50)]);
    assert_eq!(phase.worst_out.overall, 2);
    let per_zone = &phase.worst_out.per_zone;
    assert_eq!(
        (per_zone[&Zone::new("a")], per_zone[&Zone::new("b")]),
        (2, 1)
    );
    assert_eq!(plan.phases[0].pace.confirm, [GateAt::Start]);
    assert_eq!(plan.lock.as_ref().unwrap().to_string(), "restart/-/-");
    let indexes: Vec<usize> = phase.batches.iter().map(|batch| batch.index).collect();
    assert_eq!(indexes, (0..6).collect::<Vec<_>>());
}

#[test]
fn a_thousand_hosts_that_all_differ_are_planned() {
    let fleet = fleet(&[("a", 340), ("b", 330), ("c", 330)]);
    let hosts: Vec<Arc<Host>> = fleet
        .iter()
        .map(|host| Arc::clone(&tagged(&[Arc::clone(host)], &[("service", "api")])[0]))
        .collect();
    let text = RESTART.replace(
        "run: hostname",
        "run: \"echo {{ host.name }} {{ zone.name }}\"",
    );
    let plan = Given::new(&text).on(hosts).planned();
    let phase = &plan.phases[0];
    assert_eq!(phase.batches.len(), 1000);
    assert_eq!(runs(&plan, "c330")[2], "run: echo 'c330' 'c'");
    assert_eq!(phase.worst_out.overall, 1);
}

/// The keys that PRODUCT promises, with their values; keys may be added, so others are not looked at.
#[test]
fn the_json_has_its_stable_shape() {
    let plan = Given::new(RESTART).with("service", "api").planned();
    let value = json(&plan);
    assert_eq!(value["task_hash"].as_str().map(str::len), Some(64));
    let phase = &value["phases"][0];
    for (key, expected) in [
        ("task", json!("restart")),
        ("kind", json!("change")),
        ("params", json!({"service": "api", "port": 8080})),
        ("population", json!(4)),
        ("targets", json!(4)),
        (
            "zones",
            json!([{"name": "a", "hosts": ["a1", "a2"]}, {"name": "b", "hosts": ["b1", "b2"]}]),
        ),
        ("host_params", json!({})),
        ("warnings", json!([])),
        ("lock", json!("restart/-/-")),
        ("confirm", json!(["start"])),
        ("before", json!([])),
        ("after", json!([])),
        ("min_time_ms", json!(0)),
    ] {
        assert_eq!(value[key], expected, "{key}");
    }
    the_phase_has_its_stable_shape(phase);
}

fn the_phase_has_its_stable_shape(phase: &serde_json::Value) {
    let batch = |index: usize, zone: &str, host: &str| {
        json!({
            "index": index, "zone": zone, "canary": false, "last": false, "hosts": [host], "bake_ms": 0,
        })
    };
    for (key, expected) in [
        ("name", json!("main")),
        ("by", json!("az")),
        (
            "batches",
            json!([
                batch(0, "a", "a1"),
                batch(1, "a", "a2"),
                batch(2, "b", "b1"),
                batch(3, "b", "b2")
            ]),
        ),
        (
            "worst_out",
            json!({"overall": 1, "per_zone": {"a": 1, "b": 1}}),
        ),
        ("worst_failures", json!(1)),
        ("min_time_ms", json!(0)),
        ("confirm", json!(["start"])),
        ("health", json!([])),
        ("last", json!(null)),
        ("seed", json!(null)),
    ] {
        assert_eq!(phase[key], expected, "{key}");
    }
    let resolved = &phase["resolved"];
    assert_eq!(
        (
            &resolved["batch"],
            &resolved["max_failures"],
            &resolved["min_healthy"]
        ),
        (&json!(1), &json!(0), &json!(null))
    );
    assert_eq!(
        phase["steps"][0]["steps"][1],
        json!({
            "id": "step-2", "name": "run echo api > /tmp/x", "action": "run", "text": "echo 'api' > /tmp/x",
            "notes": [], "depth": 0,
        })
    );
    assert_eq!(phase["steps"][0]["hosts"], json!(["a1", "a2", "b1", "b2"]));
}
