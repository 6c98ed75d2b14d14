//! `rolling_restart` on six machines in three zones behind HAProxy, with a client that asks all the time.

use std::time::Duration;

use lab::full::{Machine, Machines};
use lab::{HostSpec, Service, http_get};

use crate::operator::{Operator, QUICK, Ran, alone};

const ALL: [&str; 6] = ["app-a1", "app-a2", "app-b1", "app-b2", "app-c1", "app-c2"];

const RESTART: &[&str] = &["rolling_restart", "role=app", "--yes=all"];

/// Machines behind the load balancer; `NAME-ZONEn`.
pub(crate) fn behind_balancer(fleet: &str, names: &[&str]) -> Option<Machines> {
    let host = |name: &&str| {
        let zone = &name[name.len() - 2..name.len() - 1];
        HostSpec::new(*name)
            .zone(format!("us-west-2{zone}"))
            .role("app")
            .tag("service", "api")
            .service(Service::java("api"))
    };
    let fleet = Machines::builder(fleet).hosts(names.iter().map(host));
    fleet.balancer("api").start_or_skip()
}

fn starts(fleet: &Machines) -> Vec<Vec<Duration>> {
    let of = |name: &&str| fleet.machine(name).starts("api").unwrap();
    ALL.iter().map(of).collect()
}

/// How often the service was started on each machine.
fn counts(fleet: &Machines) -> Vec<usize> {
    starts(fleet).iter().map(Vec::len).collect()
}

/// Machines that started their service once more since then, in the order of these starts.
fn order_since(fleet: &Machines, before: &[usize]) -> Vec<&'static str> {
    let mut order = Vec::new();
    for ((name, starts), before) in ALL.iter().zip(starts(fleet)).zip(before) {
        for start in starts.into_iter().skip(*before) {
            order.push((start, *name));
        }
    }
    order.sort();
    order.into_iter().map(|(_, name)| name).collect()
}

fn not_up(fleet: &Machines) -> Vec<String> {
    let states = fleet.balancer().unwrap().machines().unwrap();
    let down = states.into_iter().filter(|(_, state)| state != "UP");
    down.map(|(name, _)| name).collect()
}

#[test]
fn no_request_is_lost_whatever_becomes_of_a_host() {
    let _alone = alone();
    let Some(fleet) = behind_balancer("rolling", &ALL) else {
        return;
    };
    let operator = Operator::new(&fleet.inventory());
    what_cannot_be_restarted_is_found_before_the_start(&fleet, &operator);
    every_host_once_zone_by_zone(&fleet, &operator);
    a_crash_loop_stops_the_rollout(&fleet, &operator);
    sick_hosts_come_first_in_their_zones(&fleet, &operator);
}

/// Runs the task while a client asks; no request may fail.
fn without_a_lost_request(fleet: &Machines, operator: &Operator) -> Ran {
    let client = fleet.ask().unwrap();
    let ran = operator.fab(&[RESTART, QUICK].concat());
    let seen = client.finish();
    assert_eq!(seen.failures, [], "{}", ran.all());
    assert!(seen.requests() > 100, "{seen:?}");
    ran
}

fn what_cannot_be_restarted_is_found_before_the_start(fleet: &Machines, operator: &Operator) {
    let before = counts(fleet);
    let ran = operator.fab(&[RESTART, &["service=absent"]].concat());
    ran.ended(8)
        .says("there is no unit absent on this host")
        .says("nothing was changed on any host");
    assert_eq!(counts(fleet), before);
}

fn every_host_once_zone_by_zone(fleet: &Machines, operator: &Operator) {
    let before = counts(fleet);
    let ran = without_a_lost_request(fleet, operator);
    ran.ended(0).had("ok", &ALL);
    assert_eq!(order_since(fleet, &before), ALL, "{}", ran.all());
    assert_eq!(not_up(fleet), [""; 0]);
}

fn a_crash_loop_stops_the_rollout(fleet: &Machines, operator: &Operator) {
    let before = counts(fleet);
    let sick = fleet.machine("app-b1");
    sick.crash_from_next_start("api").unwrap();
    let ran = without_a_lost_request(fleet, operator);
    ran.ended(4)
        .had("ok", &["app-a1", "app-a2"])
        .had("failed", &["app-b1"])
        .had("not_run", &["app-b2", "app-c1", "app-c2"])
        .says("api cannot start")
        .says("app-b1  STAYS OUT OF THE LOAD BALANCER")
        .says("join-balancer api");
    let mut order = order_since(fleet, &before);
    order.dedup();
    assert_eq!(order, ["app-a1", "app-a2", "app-b1"], "{}", ran.all());
    assert_eq!(counts(fleet)[3..], before[3..], "not reached, not touched");
    // It stays out on purpose: also when its service is well again.
    sick.mend("api").unwrap();
    sick.exec_ok("systemctl reset-failed api; systemctl start api")
        .unwrap();
    sick.wait_for_services().unwrap();
    assert_eq!(not_up(fleet), ["app-b1"]);
    sick.exec_ok("join-balancer api").unwrap();
    assert_eq!(not_up(fleet), [""; 0]);
}

fn sick_hosts_come_first_in_their_zones(fleet: &Machines, operator: &Operator) {
    for name in ["app-b2", "app-c2"] {
        fleet.machine(name).stop_unit("api").unwrap();
        fleet.balancer().unwrap().wait_for(name, false).unwrap();
    }
    let before = counts(fleet);
    let ran = without_a_lost_request(fleet, operator);
    ran.ended(0).had("ok", &ALL);
    let order = order_since(fleet, &before);
    assert_eq!(
        order,
        ["app-a1", "app-a2", "app-b2", "app-b1", "app-c2", "app-c1"],
        "{}",
        ran.all()
    );
    assert_eq!(not_up(fleet), [""; 0]);
    let serves = |machine: &Machine| http_get(machine.ip(), 8080, "/health").is_some();
    assert!(fleet.machines().iter().all(serves));
}
