//! Hosts behind bastions, and daemons that steps start.

use crate::desk::{nap, until};
use crate::fleets::{self, INNER};

#[test]
fn forty_hosts_behind_a_bastion_cost_it_one_login() {
    let Some((fleet, desk)) = fleets::gated() else {
        return;
    };
    let gate = fleet.host("gate");
    let before = gate.logins();
    let ran = desk.fab(&["run", "role=app", "--", "hostname"]);
    let hosts = ran.ended(0).lines_by_host();
    assert_eq!(hosts.len(), INNER);
    assert!(
        hosts
            .iter()
            .all(|(host, lines)| lines == std::slice::from_ref(host)),
        "{hosts:?}"
    );
    assert_eq!(desk.summary()["counts"], serde_json::json!({"ok": INNER}));
    assert_eq!(gate.logins() - before, 1, "{}", gate.sshd_log());
    ran.says(&format!("summary: {INNER} succeeded"));
}

#[test]
fn a_bastion_that_is_down_is_the_cause_and_named_once() {
    let Some((_, desk)) = fleets::gated() else {
        return;
    };
    let ran = desk.fab(&["--attempts", "1", "run", "role=lost", "--", "hostname"]);
    ran.ended(3);
    let summary = desk.summary();
    let hosts = summary["hosts"].as_object().unwrap();
    assert_eq!(summary["counts"], serde_json::json!({"unreachable": 3}));
    for host in hosts.values() {
        let cause = host["cause"].as_str().unwrap();
        assert!(
            cause.contains("bastion") && cause.contains("cannot be reached"),
            "{summary:#}"
        );
    }
    let told = ran.err();
    let told: Vec<_> = told
        .lines()
        .filter(|line| line.contains("bastion") && !line.contains("hint:"))
        .collect();
    assert_eq!(told.len(), 1, "{}", ran.all());
    ran.says("lost-[0-2] (3)").says("Connection refused");
}

#[test]
fn a_bastion_and_its_hosts_in_one_run() {
    let Some((_, desk)) = fleets::gated() else {
        return;
    };
    let ran = desk.fab(&[
        "--attempts",
        "1",
        "-H",
        "gate,in-00,lost-0",
        "--",
        "hostname",
    ]);
    ran.ended(3);
    let summary = desk.summary();
    assert_eq!(
        summary["counts"],
        serde_json::json!({"ok": 2, "unreachable": 1}),
        "{}",
        ran.all()
    );
}

#[test]
fn a_daemon_that_holds_stdout_neither_hangs_its_step_nor_dies_with_it() {
    let Some((fleet, desk)) = fleets::calm() else {
        return;
    };
    for (number, sudo, line) in [
        ("60001", false, "sleep 60001 & echo started"),
        ("60002", true, "sleep 60002 & echo started"),
        ("60003", false, "setsid sh -c 'sleep 60003' & echo started"),
        (
            "60004",
            false,
            "nohup sleep 60004 >/dev/null 2>&1 & echo started",
        ),
    ] {
        let host = fleet.host("app-18");
        let mut words = vec!["run", "name=app-18", "--", line];
        if sudo {
            words.insert(0, "--sudo");
        }
        // Nobody waits for the daemon: it would sleep for sixteen hours.
        let ran = desk.fab(&words);
        let out = ran.ended(0).lines_by_host();
        assert_eq!(out["app-18"], ["started"], "{}", ran.all());
        let sleeps = || {
            let mut found = host.processes_like(&format!("sleep {number}"));
            found.retain(|process| process.name == "sleep");
            found
        };
        // Longer than the grace of anything that might still kill it.
        nap(2500);
        assert_eq!(sleeps().len(), 1, "the daemon of `{line}`");
        for daemon in sleeps() {
            host.exec_ok(&format!("kill {}", daemon.pid)).unwrap();
        }
        until("the daemon is gone", || sleeps().is_empty());
        until("nothing of it is left here", || desk.processes().is_empty());
    }
}
