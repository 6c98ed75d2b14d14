//! `rolling_reboot` on machines that really boot, behind HAProxy, with a client that asks all the time.

use crate::operator::{Operator, QUICK, alone};
use crate::restarts::behind_balancer;

const ALL: [&str; 3] = ["app-a1", "app-b1", "app-c1"];

#[test]
fn every_machine_boots_anew_and_no_request_is_lost() {
    let _alone = alone();
    let Some(fleet) = behind_balancer("reboot", &ALL) else {
        return;
    };
    let operator = Operator::new(&fleet.inventory());
    let boots = || ALL.map(|name| fleet.machine(name).boot_id().unwrap());
    let before = boots();
    // Started by hand, never enabled: it will not come back, and that is said.
    fleet
        .machine("app-b1")
        .exec_ok("systemd-run --unit=by-hand sleep 100000")
        .unwrap();
    let client = fleet.ask().unwrap();
    let words = ["rolling_reboot", "role=app", "port=8080", "--yes=all"];
    let ran = operator.fab(&[&words, QUICK].concat());
    let seen = client.finish();
    ran.ended(0)
        .had("ok", &ALL)
        .says("ran before the reboot, does not now: by-hand.service");
    assert_eq!(seen.failures, [], "{}", ran.all());
    let after = boots();
    for (index, name) in ALL.iter().enumerate() {
        assert_ne!(after[index], before[index], "{name}");
    }
    let last = |name: &&str| *fleet.machine(name).starts("api").unwrap().last().unwrap();
    let starts: Vec<_> = ALL.iter().map(last).collect();
    assert!(starts.is_sorted(), "{starts:?}");
    let states = fleet.balancer().unwrap().machines().unwrap();
    assert!(states.values().all(|state| state == "UP"), "{states:?}");
}
