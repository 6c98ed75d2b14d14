//! `hotfix` on six machines in three zones behind HAProxy, with a client that asks all the time.

use std::fs;

use lab::full::{Machine, Machines};
use lab::{http_get, service_jar};

use crate::operator::{Operator, QUICK, Ran, alone, until};
use crate::restarts::behind_balancer;

const ALL: [&str; 6] = ["app-a1", "app-a2", "app-b1", "app-b2", "app-c1", "app-c2"];

/// Holds `systemctl restart` as long as a file is there: between the switch and the restart.
const HELD: &str = r#"printf '%s\n' '#!/bin/sh' \
    'if [ "$1" = restart ]; then while [ -e /run/hold ]; do touch /run/held; sleep 0.1; done; fi' \
    'exec /usr/bin/systemctl "$@"' >/usr/local/bin/systemctl
chmod 755 /usr/local/bin/systemctl; touch /run/hold"#;

#[test]
fn a_release_comes_and_goes_without_a_lost_request() {
    let _alone = alone();
    let Some(fleet) = behind_balancer("hotfix", &ALL) else {
        return;
    };
    let operator = Operator::new(&fleet.inventory());
    for version in ["1.1.0", "1.2.0"] {
        let jar = fs::read(service_jar(version).unwrap()).unwrap();
        operator.write(&format!("api-{version}.jar"), jar);
    }
    every_host_runs_the_new_release(&fleet, &operator);
    a_bad_jar_stops_at_the_canary(&fleet, &operator);
    what_is_there_with_another_content_is_refused(&fleet, &operator);
    cut_off_in_mid_switch_it_goes_on_and_can_be_undone(&fleet, &operator);
}

/// Runs these words while a client asks; no request may fail.
fn without_a_lost_request(fleet: &Machines, operator: &Operator, words: &[&str]) -> Ran {
    let client = fleet.ask().unwrap();
    let ran = operator.fab(words);
    let seen = client.finish();
    assert_eq!(seen.failures, [], "{}", ran.all());
    assert!(seen.requests() > 100, "{seen:?}");
    ran
}

fn hotfix<'a>(artifact: &'a str, version: &'a str) -> Vec<&'a str> {
    let words = ["hotfix", "role=app", artifact, version, "--yes=all"];
    // What is there instead of a real soak: the shortest that the task takes.
    [&words[..], &["settle=2s"], QUICK].concat()
}

fn running(machine: &Machine) -> String {
    let version = http_get(machine.ip(), 8080, "/version").unwrap_or_default();
    version.trim_end().to_owned()
}

fn link(machine: &Machine, name: &str) -> String {
    let said = machine.exec_ok(&format!("readlink /opt/api/{name} || :"));
    said.unwrap().trim_end().to_owned()
}

/// Every host runs this version, has the links to it and the one before, and is in the load balancer.
#[track_caller]
fn all_run(fleet: &Machines, version: &str, before: &str) {
    for machine in fleet.machines() {
        let name = machine.name();
        assert_eq!(running(machine), version, "{name}");
        assert_eq!(
            link(machine, "current"),
            format!("releases/{version}"),
            "{name}"
        );
        assert_eq!(link(machine, "prev"), before, "{name}");
    }
    let states = fleet.balancer().unwrap().machines().unwrap();
    assert!(states.values().all(|state| state == "UP"), "{states:?}");
}

fn every_host_runs_the_new_release(fleet: &Machines, operator: &Operator) {
    let words = hotfix("artifact=api-1.1.0.jar", "version=1.1.0");
    let ran = without_a_lost_request(fleet, operator, &words);
    ran.ended(0).had("ok", &ALL);
    all_run(fleet, "1.1.0", "releases/1.0.0");
    let machine = fleet.machine("app-c2");
    let note = machine.exec_ok("cat /opt/api/current/VERSION").unwrap();
    assert!(note.starts_with("version=1.1.0\nsha256="), "{note}");
    let before = machine.starts("api").unwrap().len();
    // A second time there is nothing to do, and nothing is done.
    let again = [&words[..], &["--limit", "app-c2"]].concat();
    operator.fab(&again).ended(0).says("api runs 1.1.0 already");
    assert_eq!(machine.starts("api").unwrap().len(), before);
    all_run(fleet, "1.1.0", "releases/1.0.0");
}

fn a_bad_jar_stops_at_the_canary(fleet: &Machines, operator: &Operator) {
    operator.write("bad.jar", "no jar at all");
    let words = hotfix("artifact=bad.jar", "version=1.1.1");
    let ran = without_a_lost_request(fleet, operator, &words);
    ran.ended(5)
        .had("failed", &["app-a1"])
        .had("not_run", &ALL[1..])
        .says("Invalid or corrupt jarfile");
    assert_eq!(ran.summary["hosts"]["app-a1"]["rollback"], "done");
    all_run(fleet, "1.1.0", "releases/1.0.0");
}

fn what_is_there_with_another_content_is_refused(fleet: &Machines, operator: &Operator) {
    let words = hotfix("artifact=api-1.2.0.jar", "version=1.1.1");
    operator
        .fab(&words)
        .ended(4)
        .says("1.1.1 is there with another content");
    all_run(fleet, "1.1.0", "releases/1.0.0");
}

fn cut_off_in_mid_switch_it_goes_on_and_can_be_undone(fleet: &Machines, operator: &Operator) {
    let client = fleet.ask().unwrap();
    let held = fleet.machine("app-b1");
    held.exec_ok(HELD).unwrap();
    // Two hosts of a zone at once: the other one is cut off somewhere on its way.
    let wide = ["--batch", "100%", "--max-unavailable", "2"];
    let words = hotfix("artifact=api-1.2.0.jar", "version=1.2.0");
    let run = operator.start(&[&words[..], &wide].concat());
    until("the link is moved and the restart is next", || {
        held.exec("test -e /run/held").unwrap().status.success()
    });
    run.kill();
    assert_eq!(link(held, "current"), "releases/1.2.0");
    assert_eq!(running(held), "1.1.0", "the old one still runs");
    held.exec_ok("rm /run/hold").unwrap();
    operator
        .fab(&["resume", "last", "--yes=all"])
        .ended(0)
        .had("ok", &ALL);
    all_run(fleet, "1.2.0", "releases/1.1.0");
    operator.fab(&["rollback", "last", "--yes=all"]).ended(5);
    let seen = client.finish();
    assert_eq!(seen.failures, []);
    all_run(fleet, "1.1.0", "releases/1.0.0");
}

/// After so many lines of its journal a run is killed.
const KILLS: [usize; 6] = [30, 75, 96, 111, 140, 190];

/// Wherever it is cut off, forward or back, it comes to its end, and loses no request.
#[test]
#[ignore = "takes a quarter of an hour; run it by --ignored"]
fn wherever_it_is_killed_it_goes_on() {
    let _alone = alone();
    let Some(fleet) = behind_balancer("killed", &ALL) else {
        return;
    };
    let operator = Operator::new(&fleet.inventory());
    let mut now = "1.0.0".to_owned();
    for (round, lines) in KILLS.into_iter().enumerate() {
        let next = format!("2.{round}.0");
        let jar = fs::read(service_jar(&next).unwrap()).unwrap();
        operator.write("next.jar", jar);
        let version = format!("version={next}");
        let client = fleet.ask().unwrap();
        cut_off_after(&operator, &hotfix("artifact=next.jar", &version), lines);
        let ran = operator.fab(&["resume", "last", "--yes=all"]);
        ran.ended(0).had("ok", &ALL);
        all_run(&fleet, &next, &format!("releases/{now}"));
        let written = operator.journal();
        cut_off_after(
            &operator,
            &["rollback", "last", "--yes=all"],
            written + lines / 2,
        );
        let ran = operator.fab(&["resume", "last", "--yes=all"]);
        let seen = client.finish();
        assert_eq!(seen.failures, [], "{lines} lines: {}", ran.all());
        ran.ended(5);
        for machine in fleet.machines() {
            assert_eq!(
                running(machine),
                now,
                "{} after {lines} lines",
                machine.name()
            );
        }
        // Another run, so that there is something before.
        let words = hotfix("artifact=next.jar", &version);
        operator.fab(&words).ended(0);
        all_run(&fleet, &next, &format!("releases/{now}"));
        now = next;
    }
}

/// Kills what these words start once the newest run's journal has so many lines.
fn cut_off_after(operator: &Operator, words: &[&str], lines: usize) {
    let runs = operator.count();
    let is_new = words[0] == "hotfix";
    let mut run = operator.start(words);
    until("its journal has so many lines", || {
        assert!(run.runs(), "too late: {}", run.so_far());
        (!is_new || operator.count() > runs) && operator.journal() >= lines
    });
    run.kill();
}
