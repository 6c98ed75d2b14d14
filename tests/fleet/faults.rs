//! Hosts that cannot be reached, and hosts that fail on the way: each ends by itself, with its own cause.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::desk::{Desk, Ran};
use crate::fleets;

/// The causes of the hosts, by label.
fn cause<'a>(summary: &'a Value, host: &str) -> &'a str {
    summary["hosts"][host]["cause"]
        .as_str()
        .unwrap_or_else(|| panic!("no cause of {host}: {summary:#}"))
}

/// What is said on screen of a host: its lines, and what is indented below them.
fn paragraph(ran: &Ran, host: &str) -> String {
    let (mut found, mut inside) = (String::new(), false);
    for line in ran.err().lines() {
        inside = line.starts_with(&format!("{host}  ")) || (inside && line.starts_with("    "));
        if inside {
            found.push_str(line);
            found.push('\n');
        }
    }
    found
}

#[test]
fn four_bad_hosts_of_twenty_have_four_causes_and_hold_up_nobody() {
    let Some((_, desk)) = fleets::broken() else {
        return;
    };
    let ran = desk.fab(&[
        "--json",
        "--attempts",
        "1",
        "-t",
        "20",
        "run",
        "role=app",
        "--",
        "sleep 5; echo done",
    ]);
    ran.ended(1);
    let summary = desk.summary();
    let hosts = summary["hosts"].as_object().unwrap();
    assert_eq!(hosts.len(), 20);
    let ok = hosts
        .values()
        .filter(|host| host["outcome"] == "ok")
        .count();
    assert_eq!(ok, 16, "{summary:#}");
    assert_eq!(
        summary["counts"],
        serde_json::json!({"ok": 16, "unreachable": 3, "unknown": 1})
    );
    for (host, outcome, words) in [
        ("refuses", "unreachable", "connection refused"),
        ("hangs", "unreachable", "no SSH server spoke in time"),
        ("changed", "unreachable", "host key changed"),
        ("drops", "unknown", "connection lost"),
    ] {
        assert_eq!(hosts[host]["outcome"], outcome, "{summary:#}");
        assert!(cause(&summary, host).contains(words), "{summary:#}");
        ran.says(&format!("{host}  "));
        let said = paragraph(&ran, host);
        assert!(said.contains(words), "{said}\n{}", ran.all());
    }
    // Who works is done before who hangs is given up: nobody waited for another.
    let ended: Vec<(String, String)> = ran
        .out()
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|event| event["kind"] == "host_finished")
        .map(|event| {
            let word = |key: &str| event[key].as_str().unwrap().to_owned();
            (word("host"), word("outcome"))
        })
        .collect();
    assert_eq!(ended.last().unwrap().0, "hangs", "{ended:?}");
    ran.says("may still be running on drops");
    assert!(
        !ran.err().contains("may still be running on refuses"),
        "{}",
        ran.all()
    );
}

/// Limits that a person would set who wants to see a hung login soon.
fn short_limits(desk: &Desk) {
    desk.write("fab-rs.yml", "limits: {connect: 8s, login: 10s}\n");
}

#[test]
fn every_way_to_be_out_of_reach_is_told_from_the_others() {
    let Some((_, desk)) = fleets::broken() else {
        return;
    };
    short_limits(&desk);
    let ways = [
        ("refuses", "connection refused"),
        ("unanswered", "no answer from"),
        ("hangs", "no SSH server spoke in time"),
        ("banner", "no login at"),
        ("closes", "closed the connection before the login"),
        ("changed", "host key changed"),
        ("unknown", "is not known"),
        ("denied", "refused the login"),
    ];
    let names: Vec<_> = ways.iter().map(|(name, _)| *name).collect();
    let ran = desk.fab(&["--attempts", "1", "-H", &names.join(","), "--", "true"]);
    ran.ended(3);
    let summary = desk.summary();
    assert_eq!(
        summary["counts"],
        serde_json::json!({"unreachable": ways.len()})
    );
    let mut causes = BTreeSet::new();
    for (name, words) in ways {
        let said = paragraph(&ran, name);
        assert!(cause(&summary, name).contains(words), "{name}: {summary:#}");
        assert!(
            said.contains(words) && said.contains("hint: "),
            "{name}: {said}\n{}",
            ran.all()
        );
        let hint = said.split_once("hint: ").unwrap().1.replace(name, "HOST");
        causes.insert((words, hint));
    }
    assert_eq!(causes.len(), ways.len());
    let hints: BTreeSet<_> = causes.iter().map(|(_, hint)| hint).collect();
    assert!(
        hints.len() >= 6,
        "hints that fit everything help with nothing: {hints:#?}"
    );
}

#[test]
fn names_and_files_that_do_not_exist_are_named() {
    let Some((fleet, desk)) = fleets::broken() else {
        return;
    };
    let ran = desk.fab(&[
        "--attempts",
        "1",
        "-H",
        "no-such-host.invalid",
        "--",
        "true",
    ]);
    ran.ended(3).says("no-such-host.invalid").says("hint: ");
    assert!(
        cause(&desk.summary(), "no-such-host.invalid").contains("resolve"),
        "{}",
        ran.all()
    );

    let inventory = std::fs::read_to_string(fleet.inventory()).unwrap();
    let config = fleet.ssh_config();
    let inventory = inventory.replace(config.to_str().unwrap(), "/nowhere/ssh_config");
    let desk = Desk::with_inventory(&inventory);
    let ran = desk.fab(&["run", "name=app-00,app-01", "--", "true"]);
    ran.says("/nowhere/ssh_config").says("hint: ");
    assert_ne!(ran.status, 0, "{}", ran.all());
}

#[test]
fn a_hung_command_costs_its_own_limit_alone() {
    let Some((_, desk)) = fleets::broken() else {
        return;
    };
    let ran = desk.fab(&[
        "--json",
        "-T",
        "5",
        "-H",
        "stuck,app-01,app-02,app-03",
        "--",
        "echo done",
    ]);
    ran.ended(1);
    let summary = desk.summary();
    assert_eq!(
        summary["counts"],
        serde_json::json!({"ok": 3, "timed_out": 1})
    );
    assert_eq!(cause(&summary, "stuck"), "timed out after 5.0 s");
    assert_eq!(
        summary["hosts"]["stuck"]["may_still_run"], true,
        "nothing there confirmed its end"
    );
}

#[test]
fn sudo_that_is_refused_is_the_cause_and_nothing_runs() {
    let Some((fleet, desk)) = fleets::broken() else {
        return;
    };
    let ran = desk.fab(&[
        "--sudo",
        "run",
        "name=no-sudo,sudo-password,app-04",
        "--",
        "touch /var/tmp/ran",
    ]);
    ran.ended(1);
    let summary = desk.summary();
    assert_eq!(summary["hosts"]["app-04"]["outcome"], "ok");
    ran.says("no-sudo,sudo-password (2)")
        .says("hint: `--ask-sudo`");
    for name in ["no-sudo", "sudo-password"] {
        assert_eq!(summary["hosts"][name]["outcome"], "failed", "{summary:#}");
        assert!(cause(&summary, name).contains("sudo"), "{summary:#}");
        assert!(!fleet.host(name).path("/var/tmp/ran").unwrap().exists());
    }
}
