//! What a plan refuses, with the zone, the number and the fix; what it warns of; what a command line may loosen.

use super::worked::{batches, given};
use super::*;
use crate::model::Amount;
use crate::plan::TypedQuorum;

fn refused(zones: &'static [(&'static str, usize)], strategy: &str) -> String {
    given(zones, strategy).errors().join(" ; ")
}

#[test]
fn numbers_that_leave_no_host_to_be_taken_are_refused() {
    for (zones, strategy, expected) in [
        (
            &[("a", 6), ("b", 5), ("c", 1)][..],
            "by: az, batch: 1, min_healthy_per_zone: 50%",
            "no host of zone c may be out: `min_healthy_per_zone: 50%` keeps 1 of its 1 host | `strategy` of task `t` | `single_host_zones: allow` exempts zones of one host",
        ),
        (
            &[("a", 3), ("b", 4)],
            "by: az, batch: 1, min_healthy_per_zone: 70%",
            "no host of zone a may be out: `min_healthy_per_zone: 70%` keeps 3 of its 3 hosts | `strategy` of task `t` | `min_healthy_per_zone: 66%` lets one of the 3 out at a time",
        ),
        (
            &[("a", 4)],
            "batch: 1, min_healthy: 100%",
            "no host may be out: `min_healthy: 100%` keeps 4 of 4 hosts | `strategy` of task `t` | `min_healthy: 3` lets one host out at a time",
        ),
        (
            &[("a", 2), ("b", 2)],
            "by: az, batch: 1, zone_order: [a]",
            "`zone_order` does not list zone b, which has 2 hosts | `strategy` of task `t` | `zone_order: [a, b]`, or `auto`",
        ),
    ] {
        assert_eq!(refused(zones, strategy), expected, "{strategy}");
    }
}

#[test]
fn zones_of_one_host_can_be_exempt_and_zones_that_are_not_touched_do_not_matter() {
    let zones = &[("a", 4), ("c", 1)][..];
    let allowed = "by: az, batch: 50%, min_healthy_per_zone: 50%, single_host_zones: allow";
    let plan = json(&given(zones, allowed).planned());
    assert_eq!(batches(&plan), "[a1 a2] [a3 a4] [c1]");
    assert_eq!(
        plan["phases"][0]["resolved"]["min_healthy_per_zone"],
        json!({"a": 2})
    );
    let mut limited = given(zones, "by: az, batch: 50%, min_healthy_per_zone: 50%");
    limited.targets = Some(vec![0, 1]);
    assert_eq!(batches(&json(&limited.planned())), "[a1 a2]");
}

/// Section 5's table.
#[test]
fn a_quorum_is_never_taken_below_its_majority() {
    let one_by_one = |zones, count| {
        let plan = json(&given(zones, "by: az, batch: 100%, quorum: true").planned());
        let batches = plan["phases"][0]["batches"].as_array().unwrap().clone();
        assert_eq!(batches.len(), count);
        plan["phases"][0]["resolved"]["quorum"].clone()
    };
    for (zones, count, majority, tolerance) in [
        (&[("a", 1), ("b", 1), ("c", 1)][..], 3, 2, 1),
        (&[("a", 2), ("b", 1)], 3, 2, 1),
        (&[("a", 2), ("b", 2)], 4, 3, 1),
        (&[("a", 3), ("b", 2)], 5, 3, 2),
        (&[("a", 4), ("b", 3)], 7, 4, 3),
    ] {
        assert_eq!(
            one_by_one(zones, count),
            json!({"voters": count, "majority": majority, "tolerance": tolerance, "at_once": 1})
        );
    }
    let five = &[("a", 3), ("b", 2)][..];
    let plan = json(&given(five, "by: az, batch: 2, quorum: {at_once: 2}").planned());
    assert_eq!(batches(&plan), "[b1 b2] [a1 a2] [a3]");
    assert_eq!(
        refused(five, "by: az, batch: 100%, quorum: {at_once: 3}"),
        "`quorum: {at_once: 3}` is not between 1 and 2: of 5 members 3 must stay | `strategy` of task `t` | `at_once: 2` is the most"
    );
    let seven = &[("a", 4), ("b", 3)][..];
    let plan = json(&given(seven, "by: az, batch: 100%, quorum: {at_once: 3}").planned());
    assert_eq!(batches(&plan), "[b1 b2 b3] [a1 a2 a3] [a4]");
    assert!(!refused(seven, "by: az, batch: 100%, quorum: {at_once: 4}").is_empty());
}

#[test]
fn a_quorum_that_tolerates_no_loss_is_refused_unless_that_is_said() {
    for zones in [&[("a", 1), ("b", 1)][..], &[("a", 1)]] {
        let mut two = given(zones, "by: az, batch: 1, quorum: true");
        let error = two.errors().join(" ; ");
        assert!(error.contains("cannot lose one"), "{error}");
        assert!(error.contains("--allow-quorum-loss"), "{error}");
        two.overrides.allow_quorum_loss = true;
        let plan = two.planned();
        assert_eq!(plan.phases[0].batches.len(), zones.len());
        assert!(
            plan.warnings[plan.warnings.len() - zones.len() - 1..]
                .join(" ")
                .contains("does not serve"),
            "{:?}",
            plan.warnings
        );
    }
}

#[test]
fn amounts_that_were_typed_are_checked_as_those_of_a_file() {
    let mut given = given(&[("a", 2)], "batch: 1");
    given.overrides.batch = Some(vec![Amount::Count(0)]);
    given.overrides.canary = Some(Amount::Percent(0));
    let errors = given.errors();
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert!(
        errors[0].starts_with("`batch: 0` takes no host"),
        "{errors:?}"
    );
    assert!(
        errors[1].starts_with("`canary: 0%` takes no host"),
        "{errors:?}"
    );
}

#[test]
fn what_protects_the_population_is_loosened_by_force_alone() {
    let strategy = "by: az, batch: 1, quorum: true, min_healthy: 3, min_healthy_per_zone: 50%";
    let zones = &[("a", 3), ("b", 2)][..];
    let mut looser = given(zones, strategy);
    looser.overrides.min_healthy = Some(Amount::Count(2));
    looser.overrides.min_healthy_per_zone = Some(Amount::Percent(10));
    looser.overrides.quorum = Some(TypedQuorum::Off);
    looser.overrides.single_host_zones_allowed = Some(true);
    let errors = looser.errors();
    assert_eq!(errors.len(), 4, "{errors:?}");
    assert!(
        errors.iter().all(|error| error.contains("--force")),
        "{errors:?}"
    );
    assert!(
        errors[0].starts_with("`--min-healthy 2` is less than the task's `min_healthy: 3`"),
        "{errors:?}"
    );
    looser.overrides.force = true;
    let resolved = looser.planned().phases[0].resolved.clone();
    assert_eq!((resolved.min_healthy, resolved.quorum), (Some(2), None));

    let mut tighter = given(zones, strategy);
    tighter.overrides.min_healthy = Some(Amount::Percent(80));
    tighter.overrides.max_unavailable = Some(Amount::Count(1));
    let resolved = tighter.planned().phases[0].resolved.clone();
    assert_eq!((resolved.min_healthy, resolved.cap), (Some(4), Some(1)));
    let mut more = given(zones, strategy);
    more.overrides.quorum = Some(TypedQuorum::AtOnce(2));
    assert!(more.errors()[0].contains("`--quorum 2` is more than"));
}

#[test]
fn a_rollback_needs_steps() {
    let text =
        "task: t\nkind: change\nstrategy: all\non_failure: rollback_batch\nsteps: [{run: id}]\n";
    let source = Arc::new(Source {
        path: "tasks/t.yml".into(),
        text: text.to_owned(),
    });
    let errors = match read(&source, None, &World) {
        Err(errors) => errors,
        Ok(_) => Given::new(text).plan().map(|_| ()).unwrap_err(),
    };
    assert!(errors[0].message.contains("rollback"), "{errors:?}");
}

#[test]
fn every_warning_is_said_once() {
    let warnings = |zones, strategy: &str| given(zones, strategy).planned().warnings;
    assert_eq!(
        warnings(&[("a", 4), ("b", 3)], "by: spread, batch: 25%"),
        ["25% of 7 hosts is 1.75, taken as 1: `--batch 2` takes two at a time"]
    );
    assert_eq!(
        warnings(&[("a", 3), ("b", 2)], "by: az, batch: 2, quorum: true"),
        [
            "zone a holds a majority of the quorum (3 of 5): losing zone a alone loses quorum, before this run and after it",
            "`quorum` takes 1 at a time instead of the 2 that `batch` asks for",
        ]
    );
    assert_eq!(
        warnings(&[("a", 2), ("b", 2)], "by: az, batch: 1, quorum: true"),
        ["a", "b"].map(|zone| format!(
            "zone {zone} holds half of the quorum (2 of 4): losing zone {zone} alone loses quorum, before this run and after it"
        ))
    );
    assert_eq!(
        warnings(&[("a", 4)], "batch: 1, min_healthy: 50%"),
        ["`min_healthy` without `health` counts every host that can be reached as healthy"]
    );
    let mut fewer = given(&[("a", 7)], "batch: 1");
    fewer.last_population = Some(9);
    assert_eq!(
        fewer.planned().warnings,
        ["the selection has 7 hosts, the last run had 9: are some missing?"]
    );
    fewer.last_population = Some(8);
    assert!(fewer.planned().warnings.is_empty());
}
