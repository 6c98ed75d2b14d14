//! What a rollout tolerates, on real sshds: failures, hosts that cannot be reached, questions that nobody answers.

use lab::{Fault, Fleet, HostSpec};

use crate::operator::Operator;

/// A change that leaves a mark, and fails where there is a reason to. The slow ones are still at work when others fail.
const TASK: &str = "
task: mark
kind: change
strategy: {by: flat, batch: 3, max_failures: 1, confirm: [start]}
steps:
  - name: mark
    run: |
      if [ -e /var/tmp/broken ]; then exit 1; fi
      touch /var/tmp/begun
      if [ -e /var/tmp/slow ]; then sleep 3; fi
      touch /var/tmp/done
";

fn name(number: usize) -> String {
    format!("n{number:02}")
}

/// Twelve hosts; a place to stand in front of them.
fn twelve(fleet: &str, broken: Option<&Fault>) -> Option<(Fleet, Operator)> {
    let host = |number| {
        let host = HostSpec::new(name(number)).role("app");
        match broken {
            Some(fault) if number == 7 => host.fault(fault.clone()),
            _ => host,
        }
    };
    let fleet = Fleet::builder(fleet)
        .hosts((1..=12).map(host))
        .start_or_skip()?;
    let operator = Operator::new(&fleet.inventory());
    operator.write("mark.yml", TASK);
    Some((fleet, operator))
}

/// The hosts that have this file.
fn with(fleet: &Fleet, path: &str) -> Vec<String> {
    let hosts = fleet.hosts().iter();
    let mut found: Vec<_> = hosts
        .filter(|host| host.path(path).is_ok_and(|path| path.exists()))
        .map(|host| host.name().to_owned())
        .collect();
    found.sort();
    found
}

#[test]
fn one_failure_is_tolerated_and_the_second_stops() {
    let Some((fleet, operator)) = twelve("budget", None) else {
        return;
    };
    for (number, file) in [(2, "broken"), (4, "broken"), (5, "slow"), (6, "slow")] {
        fleet
            .host(&name(number))
            .exec_ok(&format!("touch /var/tmp/{file}"))
            .unwrap();
    }
    let ran = operator.fab(&["-f", "mark.yml", "mark", "role=app", "--yes"]);
    ran.ended(4)
        .had("ok", &["n01", "n03", "n05", "n06"])
        .had("failed", &["n02", "n04"])
        .had("not_run", &["n07", "n08", "n09", "n10", "n11", "n12"]);
    // Hosts at work finished; the others were not touched.
    assert_eq!(
        with(&fleet, "/var/tmp/done"),
        ["n01", "n03", "n05", "n06"],
        "{}",
        ran.all()
    );
    assert_eq!(with(&fleet, "/var/tmp/begun").len(), 4, "{}", ran.all());
}

#[test]
fn a_host_that_cannot_be_reached_stops_all_or_is_passed_over() {
    let Some((fleet, operator)) = twelve("passed-over", Some(&Fault::Refuses)) else {
        return;
    };
    let ran = operator.fab(&["-f", "mark.yml", "mark", "role=app", "--yes"]);
    ran.ended(8).says("n07");
    assert_eq!(with(&fleet, "/var/tmp/begun"), [""; 0], "{}", ran.all());

    let skipping = TASK.replace("max_failures: 1", "max_failures: 0, unreachable: skip");
    operator.write("mark.yml", &skipping);
    let ran = operator.fab(&["-f", "mark.yml", "mark", "role=app", "--yes"]);
    ran.ended(3).had("unreachable", &["n07"]);
    assert_eq!(with(&fleet, "/var/tmp/done").len(), 11, "{}", ran.all());
}

#[test]
fn a_gate_that_nobody_answers_is_refused_before_anything_connects() {
    let Some((fleet, operator)) = twelve("gate", None) else {
        return;
    };
    let gates = TASK.replace("confirm: [start]", "confirm: [start, batch]");
    operator.write("gates.yml", gates.replace("task: mark", "task: gates"));
    for words in [
        &["-f", "mark.yml", "mark", "role=app"][..],
        &["-f", "gates.yml", "gates", "role=app", "--yes"],
        &["rolling_restart", "role=app", "service=api", "--yes"],
    ] {
        operator
            .fab(words)
            .ended(2)
            .says("there is no terminal")
            .says("nothing was run");
    }
    let logins = |host: &lab::Host| host.sshd_log().matches("Accepted publickey").count();
    assert_eq!(fleet.hosts().iter().map(logins).sum::<usize>(), 0);
    assert_eq!(with(&fleet, "/var/tmp/begun"), [""; 0]);
    let ran = operator.fab(&["-f", "gates.yml", "gates", "role=app", "--yes=all"]);
    ran.ended(0);
    assert_eq!(with(&fleet, "/var/tmp/done").len(), 12);
}
