//! The course of a rollout by its worked cases: budgets, health, pauses, gates, quorum, rollback.

use crate::run::errand::GateAnswer;
use crate::run::event::{EventKind, RollbackResult, RolloutFact, StopCause};

use super::fleet::{Fleet, Played, failed, hosts, plan, unhealthy};

const EVEN: [(&str, usize); 3] = [("a", 4), ("b", 4), ("c", 4)];
const ROW_1: &str = "by: az, batch: 50%, canary: 1";

/// A change with this strategy, asking nothing.
fn task(strategy: &str) -> String {
    asking(strategy, "never")
}

fn asking(strategy: &str, confirm: &str) -> String {
    format!(
        "task: t\nkind: change\nstrategy: {{{strategy}, confirm: {confirm}}}\nsteps: [{{run: x}}]\n"
    )
}

fn healthy(strategy: &str) -> String {
    task(strategy) + "health: [{name: up, tcp: 80, watch: true}]\n"
}

fn end(played: &Played) -> (u8, &str) {
    assert_eq!(played.faults, [""; 0]);
    (played.summary.exit, &played.summary.state)
}

fn outcomes(played: &Played, word: &str) -> String {
    let hosts = played.summary.hosts.iter();
    let mut hosts: Vec<&str> = hosts
        .filter(|(_, host)| host.outcome == word)
        .map(|(label, _)| label.as_str())
        .collect();
    hosts.sort_unstable();
    hosts.join(" ")
}

fn stop(played: &Played) -> Option<StopCause> {
    played.events.iter().find_map(|event| match event {
        EventKind::Rollout(RolloutFact::RolloutStopped { because, .. }) => Some(because.clone()),
        _ => None,
    })
}

fn bakes(played: &Played) -> Vec<u64> {
    let bakes = played.events.iter().filter_map(|event| match event {
        EventKind::Rollout(RolloutFact::BakeStarted { length_ms, .. }) => Some(length_ms / 60_000),
        _ => None,
    });
    bakes.collect()
}

#[test]
fn the_pauses_of_the_worked_timeline_come_to_33_minutes() {
    let text = task(
        "by: az, batch: 50%, canary: {hosts: 1, bake: 5m}, max_failures: 0, bake: 1m, \
         first_zone_bake: 15m, zone_bake: 10m",
    );
    let played = Fleet::of(&text, &EVEN).play();
    assert_eq!(end(&played), (0, "done"));
    assert_eq!(
        played.taken.join(" "),
        "[a1] [a2 a3] [a4] [b1 b2] [b3 b4] [c1 c2] [c3 c4]"
    );
    assert_eq!(bakes(&played), [5, 1, 15, 1, 10, 1]);
    assert_eq!(played.took, 33 * 60 + 7);
}

#[test]
fn the_last_pause_follows_the_last_batch_alone() {
    let text = task("by: flat, batch: 1, bake: 1m, final_bake: 7m");
    assert_eq!(bakes(&Fleet::of(&text, &[("a", 3)]).play()), [1, 1, 7]);
}

#[test]
fn the_worked_failure_stops_with_hosts_in_flight_finishing() {
    let fleet = Fleet::of(&task(&format!("{ROW_1}, max_failures: 0")), &EVEN);
    let played = fleet
        .ends("a3", unhealthy())
        .with(|fleet| {
            fleet.takes.insert("a2".to_owned(), 50);
        })
        .play();
    assert_eq!(end(&played), (4, "failed"));
    assert_eq!(outcomes(&played, "ok"), "a1 a2");
    assert_eq!(outcomes(&played, "not_run"), "a4 b1 b2 b3 b4 c1 c2 c3 c4");
    assert_eq!(
        stop(&played),
        Some(StopCause::Failures {
            failed: 1,
            limit: 0
        })
    );
}

#[test]
fn a_budget_of_a_tenth_goes_on_after_one_and_stops_at_the_second() {
    let text = task(&format!("{ROW_1}, max_failures: 10%"));
    let played = Fleet::of(&text, &EVEN).ends("a3", unhealthy()).play();
    assert_eq!(end(&played), (1, "done_partial"));
    let fleet = Fleet::of(&text, &EVEN).ends("a3", unhealthy());
    let played = fleet.ends("b2", failed()).play();
    assert_eq!(end(&played), (4, "failed"));
    assert_eq!(outcomes(&played, "not_run"), "b3 b4 c1 c2 c3 c4");
}

#[test]
fn a_zones_budget_stops_what_the_rollouts_would_not() {
    let text = task(&format!(
        "{ROW_1}, max_failures: 10%, max_failures_per_zone: 0"
    ));
    let played = Fleet::of(&text, &EVEN).ends("a3", unhealthy()).play();
    assert_eq!(end(&played), (4, "failed"));
    assert!(matches!(
        stop(&played),
        Some(StopCause::ZoneFailures { limit: 0, .. })
    ));
}

#[test]
fn a_batchs_budget_stops_what_the_rollouts_would_not() {
    let text = task("by: flat, batch: 4, max_failures: 5, max_failures_per_batch: 25%");
    let fleet = Fleet::of(&text, &EVEN).ends("a1", failed());
    let played = fleet.ends("b1", failed()).ends("b2", failed()).play();
    assert_eq!(end(&played), (4, "failed"));
    assert!(matches!(
        stop(&played),
        Some(StopCause::BatchFailures {
            batch: 1,
            failed: 2,
            limit: 1
        })
    ));
}

#[test]
fn any_canary_that_fails_stops() {
    let fleet = Fleet::of(&task(&format!("{ROW_1}, max_failures: 5")), &EVEN);
    let played = fleet.ends("a1", failed()).play();
    assert_eq!(
        (end(&played), played.taken.join(" ")),
        ((4, "failed"), "[a1]".to_owned())
    );
    assert!(matches!(stop(&played), Some(StopCause::Canary { .. })));
}

#[test]
fn no_rule_stops_for_a_whole_batch_that_failed() {
    let fleet = Fleet::of(&task("by: flat, batch: 1, max_failures: 1"), &[("a", 3)]);
    let played = fleet.ends("a1", failed()).play();
    assert_eq!(end(&played), (1, "done_partial"));
    assert_eq!(outcomes(&played, "ok"), "a2 a3");
}

#[test]
fn a_limit_narrows_what_is_touched_and_not_what_is_counted() {
    let text = healthy("by: az, batch: 50%, min_healthy: 11, health_wait: 1m");
    let touched = |name: &str| ["a3", "b1"].contains(&name);
    let fleet = || Fleet::new(plan(&text, hosts(&EVEN), touched).unwrap());
    let played = fleet().play();
    assert_eq!(
        (end(&played), played.taken.join(" ")),
        ((0, "done"), "[a3] [b1]".to_owned())
    );
    // A host that is not touched is out: nothing may be taken.
    let played = fleet()
        .with(|fleet| {
            fleet.silent.insert("c4".to_owned());
        })
        .play();
    assert_eq!(end(&played), (4, "failed"));
    assert!(played.taken.is_empty());
    assert!(matches!(stop(&played), Some(StopCause::Health { .. })));
    assert!((60..63).contains(&played.took), "{}", played.took);
}

#[test]
fn a_target_that_does_not_answer_leaves_everything_untouched() {
    let fleet = Fleet::of(&task(ROW_1), &EVEN);
    let played = fleet
        .with(|fleet| {
            fleet.silent.insert("b2".to_owned());
        })
        .play();
    assert_eq!(end(&played), (8, "aborted"));
    assert_eq!(outcomes(&played, "unreachable"), "b2");
    assert!(played.taken.is_empty());
    let unfit = Fleet::of(&task(ROW_1), &EVEN);
    let played = unfit
        .with(|fleet| {
            fleet.unfit.insert("b2".to_owned());
        })
        .play();
    assert_eq!(
        (end(&played), outcomes(&played, "not_run").len()),
        ((8, "aborted"), 35)
    );
}

#[test]
fn unreachable_hosts_that_are_skipped_end_in_3() {
    let fleet = Fleet::of(&task(&format!("{ROW_1}, unreachable: skip")), &EVEN);
    let played = fleet
        .with(|fleet| {
            fleet.silent.insert("b2".to_owned());
        })
        .play();
    assert_eq!(end(&played), (3, "done_partial"));
    assert_eq!(
        played.taken.join(" "),
        "[a1] [a2 a3] [a4] [b1 b3] [b4] [c1 c2] [c3 c4]"
    );
}

#[test]
fn sick_hosts_are_healed_first_within_their_zones() {
    let fleet = Fleet::of(
        &healthy("by: az, batch: 1, zone_order: name"),
        &[("a", 3), ("b", 3)],
    );
    let ill = ["a3", "b2"].map(str::to_owned);
    let played = fleet.with(|fleet| fleet.sick.extend(ill)).play();
    assert_eq!(end(&played), (0, "done"));
    assert_eq!(played.taken.join(" "), "[a3] [a1] [a2] [b2] [b1] [b3]");
}

#[test]
fn a_host_that_falls_ill_is_waited_for() {
    let fleet = || Fleet::of(&healthy("by: flat, batch: 1, health_wait: 5m"), &[("a", 4)]);
    let falls_ill = |until| {
        let ill = ("a1".to_owned(), true);
        let well = ("a1".to_owned(), false);
        vec![(2, ill.0, ill.1), (until, well.0, well.1)]
    };
    let played = fleet().with(|fleet| fleet.turns = falls_ill(60)).play();
    assert_eq!(end(&played), (0, "done"));
    let regained = |event: &EventKind| {
        matches!(
            event,
            EventKind::Rollout(RolloutFact::HealthRegained {
                waited_ms: 58_000,
                ..
            })
        )
    };
    assert!(played.events.iter().any(regained));
    let played = fleet().with(|fleet| fleet.turns = falls_ill(600)).play();
    assert_eq!(end(&played), (4, "failed"));
    assert_eq!((played.took, played.taken.len()), (302, 2));
}

#[test]
fn a_quorum_takes_no_healthy_member_while_another_is_down() {
    let text = healthy("quorum: true, health_wait: 1m");
    let zones = [("a", 2), ("b", 1)];
    let played = Fleet::of(&text, &zones).ends("a1", failed()).play();
    assert_eq!((end(&played).0, played.taken.len()), (4, 1));
    let text = healthy("quorum: true, max_failures: 1, health_wait: 1m");
    let played = Fleet::of(&text, &zones)
        .with(|fleet| {
            let first = fleet.plan.phases[0].in_order().next().unwrap();
            let first = first.host.label.to_string();
            fleet.ends.entry(first).or_default().push_back(failed());
        })
        .play();
    assert!(matches!(stop(&played), Some(StopCause::Health { .. })));
    assert_eq!(played.taken.len(), 1);
}

fn led(strategy: &str) -> String {
    healthy(&format!(
        "{strategy}, last: \"{{{{ host.facts.mode.stdout == 'leader' }}}}\""
    )) + "facts: [{run: mode, register: mode}]\n"
}

#[test]
fn the_leader_goes_last_wherever_it_is() {
    let zones = [("a", 3), ("b", 2)];
    let fleet = Fleet::of(&led("quorum: true"), &zones);
    let played = fleet
        .with(|fleet| fleet.leader = Some("a2".to_owned()))
        .play();
    assert_eq!(end(&played), (0, "done"));
    assert_eq!(played.taken.join(" "), "[b1] [b2] [a1] [a3] [a2]");
    // It moves to a host that waits, then to one that is done.
    let fleet = Fleet::of(&led("quorum: true"), &zones);
    let played = fleet
        .with(|fleet| {
            fleet.leader = Some("a2".to_owned());
            fleet.elections = vec![(2, Some("a1".to_owned())), (4, Some("b1".to_owned()))];
        })
        .play();
    assert_eq!(end(&played), (0, "done"));
    assert_eq!(played.taken.join(" "), "[b1] [b2] [a2] [a3] [a1]");
}

#[test]
fn without_a_leader_it_waits_and_then_stops() {
    let zones = [("a", 3), ("b", 2)];
    let text = led("quorum: true, health_wait: 30s");
    let played = Fleet::of(&text, &zones).play();
    assert_eq!((end(&played), played.taken.len()), ((4, "failed"), 0));
    assert_eq!(stop(&played), Some(StopCause::NoLeader));
    let fleet = Fleet::of(&text, &zones);
    let played = fleet
        .with(|fleet| fleet.elections = vec![(10, Some("a1".to_owned()))])
        .play();
    assert_eq!(end(&played), (0, "done"));
}

#[test]
fn a_host_that_falls_ill_while_it_is_watched_counts() {
    let fleet = Fleet::of(&healthy("by: flat, batch: 1, bake: 10m"), &[("a", 3)]);
    let played = fleet
        .with(|fleet| fleet.turns = vec![(100, "a1".to_owned(), true)])
        .play();
    assert_eq!(end(&played), (4, "failed"));
    assert_eq!(outcomes(&played, "unhealthy"), "a1");
    assert_eq!(played.took, 100);
}

#[test]
fn gates_ask_where_they_should() {
    let text = asking(
        "by: az, batch: 50%, canary: 1",
        "[start, canary, zone, batch]",
    );
    let played = Fleet::of(&text, &[("a", 4), ("b", 4)]).play();
    let asked: Vec<&str> = played
        .errands
        .iter()
        .filter_map(|errand| errand.strip_prefix("ask "))
        .collect();
    assert_eq!(
        asked,
        [
            "Some(Start)",
            "Some(Canary)",
            "Some(Batch)",
            "Some(Zone)",
            "Some(Batch)"
        ]
    );
    let fleet = Fleet::of(&text, &[("a", 4), ("b", 4)]);
    let played = fleet
        .with(|fleet| fleet.answers = [GateAnswer::All].into())
        .play();
    assert_eq!(
        played
            .errands
            .iter()
            .filter(|errand| errand.starts_with("ask"))
            .count(),
        1
    );
}

#[test]
fn every_answer_does_what_it_says() {
    let text = asking("by: flat, batch: 2, max_failures: 3", "[batch]") + "rollback: [{run: y}]\n";
    let played = |answers: &[GateAnswer]| {
        let fleet = Fleet::of(&text, &[("a", 6)]).ends("a1", failed());
        let answers = answers.to_vec();
        fleet.with(|fleet| fleet.answers = answers.into()).play()
    };
    let stopped = played(&[GateAnswer::Stop]);
    assert_eq!((end(&stopped), stopped.taken.len()), ((4, "failed"), 1));
    let paused = played(&[GateAnswer::Pause]);
    assert_eq!((end(&paused), paused.taken.len()), ((10, "paused"), 1));
    let undone = played(&[GateAnswer::Go, GateAnswer::Rollback]);
    assert_eq!(end(&undone), (5, "rolled_back"));
    assert_eq!(undone.taken.join(" "), "[a1 a2] [a3 a4] ![a1 a4] ![a3 a2]");
    let retried = played(&[GateAnswer::Retry]);
    assert_eq!(end(&retried), (0, "done"));
    assert_eq!(retried.taken.join(" "), "[a1 a2] [a1] [a3 a4] [a5 a6]");
    assert_eq!(
        retried
            .errands
            .iter()
            .filter(|errand| errand.starts_with("ask"))
            .count(),
        3
    );
}

fn undo(scope: &str, strategy: &str) -> String {
    task(strategy) + &format!("on_failure: {scope}\nrollback: [{{run: y}}]\n")
}

#[test]
fn a_rollback_has_the_scope_that_was_asked_for() {
    for (scope, expected) in [
        ("rollback_failed", "![b1]"),
        ("rollback_batch", "![b1 b2]"),
        ("rollback_zone", "![b1 b2]"),
        ("rollback_all", "![b1 b2] ![a4 a3] ![a2 a1]"),
    ] {
        let fleet = Fleet::of(&undo(scope, "by: az, batch: 2"), &EVEN);
        let played = fleet.ends("b1", failed()).play();
        assert_eq!(end(&played), (5, "rolled_back"), "{scope}");
        let undone: Vec<&str> = played
            .taken
            .iter()
            .map(String::as_str)
            .filter(|one| one.starts_with('!'))
            .collect();
        assert_eq!(undone.join(" "), expected, "{scope}");
    }
}

#[test]
fn a_rollback_that_leaves_a_host_ends_in_6() {
    let fleet = Fleet::of(&undo("rollback_all", "by: flat, batch: 1"), &[("a", 3)]);
    let cause = || "no answer".to_owned();
    let played = fleet
        .ends("a2", failed())
        .with(|fleet| {
            let pending = RollbackResult::Pending { cause: cause() };
            fleet.undone.insert("a2".to_owned(), pending);
        })
        .play();
    assert_eq!(end(&played), (6, "rollback_failed"));
    let rollbacks: Vec<Option<&str>> = played
        .summary
        .hosts
        .values()
        .map(|host| host.rollback.as_deref())
        .collect();
    assert_eq!(rollbacks, [Some("done"), Some("pending"), None]);
}

#[test]
fn a_question_about_a_stop_is_asked_once_it_has_stopped() {
    let fleet = Fleet::of(&undo("ask", "by: flat, batch: 1"), &[("a", 3)]);
    let fleet = fleet.ends("a2", failed());
    let played = fleet
        .with(|fleet| fleet.answers = [GateAnswer::Rollback].into())
        .play();
    assert_eq!(end(&played), (5, "rolled_back"));
    assert_eq!(played.taken.join(" "), "[a1] [a2] ![a2] ![a1]");
}

#[test]
fn a_window_keeps_its_size_in_flight() {
    let fleet = Fleet::of(&task("by: flat, batch: 2, mode: window"), &[("a", 5)]);
    let played = fleet
        .with(|fleet| {
            fleet.takes.insert("a1".to_owned(), 3);
        })
        .play();
    assert_eq!(end(&played), (0, "done"));
    assert_eq!(played.taken.join(" "), "[a1 a2] [a3] [a4] [a5]");
    assert_eq!(played.took, 4);
}

#[test]
fn phases_follow_one_another_without_the_hosts_that_failed() {
    let phase = |name: &str, strategy: &str| {
        format!(
            "  - {{name: {name}, strategy: {{{strategy}, confirm: never}}, steps: [{{run: {name}}}]}}\n"
        )
    };
    let text = format!(
        "task: t\nkind: change\nphases:\n{}{}",
        phase("stage", "by: flat, batch: 3, max_failures: 1"),
        phase("switch", "by: flat, batch: 1, max_failures: 1")
    );
    let played = Fleet::of(&text, &[("a", 3)]).ends("a2", failed()).play();
    assert_eq!(end(&played), (1, "done_partial"));
    assert_eq!(played.taken.join(" "), "[a1 a2 a3] [a1] [a3]");
    assert_eq!(outcomes(&played, "ok"), "a1 a3");
}
