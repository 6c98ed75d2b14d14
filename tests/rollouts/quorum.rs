//! `zk_rolling_restart` on three real ZooKeeper servers with a client that writes all the time.

use std::time::Duration;

use lab::full::{Machine, Machines};
use lab::{HostSpec, Service};

use crate::operator::{Operator, QUICK, Ran, alone, until};

const ALL: [&str; 3] = ["zk-a", "zk-b", "zk-c"];
const RESTART: &[&str] = &["zk_rolling_restart", "role=zookeeper", "--yes=all"];

fn three(name: &str) -> Option<Machines> {
    let member = |name: &str| {
        HostSpec::new(name)
            .zone(format!("us-west-2{}", &name[3..]))
            .role("zookeeper")
            .service(Service::zookeeper("zookeeper").owner("app"))
    };
    let fleet = Machines::builder(name)
        .hosts(ALL.map(member))
        .start_or_skip()?;
    until("somebody leads", || fleet.leader().is_some());
    Some(fleet)
}

fn all_serve(fleet: &Machines) -> bool {
    fleet
        .quorum()
        .all(|member| member.zookeeper_role().is_some())
        && fleet.leader().is_some()
}

fn counts(fleet: &Machines) -> [usize; 3] {
    ALL.map(|name| fleet.machine(name).starts("zookeeper").unwrap().len())
}

/// Members that were started since then, in the order of these starts.
fn order_since(fleet: &Machines, before: [usize; 3]) -> Vec<&'static str> {
    let mut order: Vec<(Duration, &str)> = Vec::new();
    for (name, before) in ALL.iter().zip(before) {
        let starts = fleet.machine(name).starts("zookeeper").unwrap();
        order.extend(starts.into_iter().skip(before).map(|start| (start, *name)));
    }
    order.sort();
    order.into_iter().map(|(_, name)| name).collect()
}

/// The followers by name, then the leader.
fn leader_last(leader: &str) -> Vec<&'static str> {
    let mut order: Vec<_> = ALL.into_iter().filter(|name| *name != leader).collect();
    order.extend(ALL.into_iter().filter(|name| *name == leader));
    order
}

/// Runs the task while a client writes; no acknowledged write may be lost.
fn without_a_lost_write(fleet: &Machines, operator: &Operator, words: &[&str]) -> Ran {
    let writer = fleet.write();
    let ran = operator.fab(words);
    until("the ensemble is whole", || all_serve(fleet));
    let written = writer.finish();
    assert!(written.acknowledged.len() > 20, "{written:?}");
    assert_eq!(written.lost().unwrap(), [0; 0], "{}", ran.all());
    ran
}

#[test]
fn an_ensemble_is_restarted_without_a_lost_write() {
    let _alone = alone();
    let Some(fleet) = three("ensemble") else {
        return;
    };
    let operator = Operator::new(&fleet.inventory());
    followers_first(&fleet, &operator);
    leadership_moves_meanwhile(&fleet, &operator);
    a_dead_member_is_healed_first(&fleet, &operator);
    an_unreachable_member_ends_it(&fleet, &operator);
}

fn followers_first(fleet: &Machines, operator: &Operator) {
    let (before, leader) = (counts(fleet), fleet.leader().unwrap().name());
    let words = [RESTART, QUICK].concat();
    let ran = without_a_lost_write(fleet, operator, &words);
    ran.ended(0).had("ok", &ALL);
    assert_eq!(
        order_since(fleet, before),
        leader_last(leader),
        "{}",
        ran.all()
    );
}

/// Makes the other follower lead, once the first is done: then that one comes last.
fn leadership_moves_meanwhile(fleet: &Machines, operator: &Operator) {
    // A member with the highest number wins an election among equals: so the first to be restarted must not be it.
    move_leadership_away_from(fleet, "zk-a");
    let (before, leader) = (counts(fleet), fleet.leader().unwrap().name());
    let order = leader_last(leader);
    let (first, second) = (order[0], order[1]);
    let words = RESTART;
    let mut running = operator.start(words);
    let restarted = || fleet.machine(first).starts("zookeeper").unwrap().len();
    until("the first follower is restarted and serves", || {
        assert!(running.runs(), "{}", running.so_far());
        restarted() > before[0] && all_serve(fleet) && same_transaction(fleet)
    });
    let moved = counts(fleet);
    assert_eq!(order_since(fleet, before), [first], "{}", running.so_far());
    fleet
        .machine(leader)
        .exec_ok("systemctl restart zookeeper")
        .unwrap();
    until("the other follower leads", || {
        fleet.leader().is_some_and(|now| now.name() == second)
    });
    let ran = running.end();
    ran.ended(0).had("ok", &ALL);
    assert_eq!(
        order_since(fleet, moved),
        [leader, leader, second],
        "moved by us, then restarted, then the new leader: {}",
        ran.all()
    );
}

fn move_leadership_away_from(fleet: &Machines, name: &str) {
    while fleet.leader().is_none_or(|leader| leader.name() == name) {
        fleet
            .machine(name)
            .exec_ok("systemctl restart zookeeper")
            .unwrap();
        until("the ensemble is whole", || all_serve(fleet));
    }
}

/// Whether all members have seen the same.
fn same_transaction(fleet: &Machines) -> bool {
    let mut last: Vec<_> = fleet.quorum().map(Machine::zookeeper_transaction).collect();
    last.dedup();
    last.len() == 1 && last[0].is_some()
}

fn a_dead_member_is_healed_first(fleet: &Machines, operator: &Operator) {
    let leader = fleet.leader().unwrap().name();
    // The one that would come second.
    let dead = leader_last(leader)[1];
    fleet.machine(dead).stop_unit("zookeeper").unwrap();
    let before = counts(fleet);
    let words = [RESTART, QUICK].concat();
    let ran = without_a_lost_write(fleet, operator, &words);
    ran.ended(0).had("ok", &ALL);
    let mut wanted = vec![dead];
    wanted.extend(leader_last(leader).into_iter().filter(|name| *name != dead));
    assert_eq!(order_since(fleet, before), wanted, "{}", ran.all());
}

fn an_unreachable_member_ends_it(fleet: &Machines, operator: &Operator) {
    let before = counts(fleet);
    fleet.machine("zk-b").set_link(false).unwrap();
    let ran = operator.fab(RESTART);
    fleet.machine("zk-b").set_link(true).unwrap();
    ran.ended(8).says("zk-b");
    assert_eq!(counts(fleet), before, "{}", ran.all());
    until("the ensemble is whole", || all_serve(fleet));
}
