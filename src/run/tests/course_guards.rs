//! Which hosts the course takes while others are in trouble, and which it keeps for last.

use std::sync::Arc;

use crate::journal::replay;
use crate::run::event::StopCause;
use crate::run::journal::{Fact, FormedBatch};

use super::course_cases::{end, healthy, stop, task};
use super::fleet::Fleet;

#[test]
fn a_member_that_is_not_heard_of_is_not_taken_while_another_is_down() {
    let text = healthy("quorum: true, health_wait: 1m, bake: 5s, max_failures: 1");
    let played = Fleet::of(&text, &[("a", 3)])
        .with(|fleet| {
            fleet.turns.push((3, "a1".to_owned(), true));
            fleet.silences.push((3, "a2".to_owned()));
        })
        .play();
    assert_eq!(end(&played), (4, "failed"));
    assert_eq!(played.taken, ["[a1]"]);
    assert!(matches!(stop(&played), Some(StopCause::Health { .. })));
}

#[test]
fn what_is_taken_last_without_facts_stays_so_whatever_is_found() {
    let last = "by: flat, batch: 1, last: \"{{ host.label == 'a1' }}\"";
    let played = Fleet::of(&task(last), &[("a", 3)]).play();
    assert_eq!(played.taken.join(" "), "[a2] [a3] [a1]");
    let fleet = Fleet::of(&healthy(last), &[("a", 4)]);
    let played = fleet
        .with(|fleet| {
            fleet.sick.insert("a3".to_owned());
        })
        .play();
    assert_eq!(played.taken.join(" "), "[a3] [a2] [a4] [a1]");
}

#[test]
fn nobody_need_be_last_where_no_fact_says_so() {
    let text = healthy("by: flat, batch: 1, last: \"{{ host.label == 'z9' }}\"")
        + "facts: [{run: mode, register: mode}]\n";
    let played = Fleet::of(&text, &[("a", 2)]).play();
    assert_eq!(end(&played), (0, "done"));
    assert_eq!(played.taken.join(" "), "[a1] [a2]");
}

#[test]
fn sick_hosts_of_a_batch_are_healed_where_its_others_may_not_be_taken() {
    let text = healthy("by: az, batch: 2, min_healthy: 3, health_wait: 1m");
    let played = Fleet::of(&text, &[("a", 2), ("b", 3)])
        .with(|fleet| {
            fleet.sick.insert("a1".to_owned());
            fleet.sick.insert("b1".to_owned());
        })
        .play();
    assert_eq!(end(&played), (0, "done"));
    assert_eq!(played.taken.join(" "), "[a1] [a2] [b1 b2] [b3]");
}

/// A run that goes on takes nobody while too few serve beside those that it left half done.
#[test]
fn too_few_healthy_hosts_beside_the_interrupted_ones_end_a_resume() {
    let text = healthy("by: flat, batch: 1, min_healthy: 2, health_wait: 1m");
    let resumed = |down: &[&str]| {
        let mut fleet = Fleet::of(&text, &[("a", 4)]);
        let host = fleet.plan.population[0].id.clone();
        let batch = FormedBatch {
            index: 0,
            zone: None,
            canary: false,
            last: false,
            hosts: vec![host.clone()],
        };
        let facts = [
            Fact::PhaseStarted {
                phase: 0,
                baseline: Some(4),
                uncounted: Vec::new(),
            },
            Fact::BatchStarted { phase: 0, batch },
            Fact::HostStarted {
                host,
                phase: 0,
                afresh: true,
            },
        ];
        fleet.progress = Some(Arc::new(replay(&facts)));
        fleet.sick = down.iter().map(|host| (*host).to_owned()).collect();
        fleet.play()
    };
    let played = resumed(&["a1", "a2", "a3"]);
    assert_eq!(end(&played), (4, "failed"));
    assert!(played.taken.is_empty(), "{:?}", played.taken);
    assert!(matches!(stop(&played), Some(StopCause::Health { .. })));
    assert_eq!(played.took, 0, "nobody is waited for");
    let played = resumed(&["a1"]);
    assert_eq!(end(&played), (0, "done"));
    assert_eq!(played.taken.join(" "), "[a1] [a2] [a3] [a4]");
}
