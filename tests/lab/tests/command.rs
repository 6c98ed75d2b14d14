//! `cargo lab up`, `status` and `down`, as they are typed.

use std::process::{Command, Output};

use lab::{FleetSpec, Process, place, requirements};
use serde_json::Value;

fn lab(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_lab"))
        .args(arguments)
        .output()
        .unwrap()
}

/// What `status --json` says of the fleet.
fn status(name: &str) -> Option<Value> {
    let all: Vec<Value> = serde_json::from_slice(&lab(&["status", "--json"]).stdout).unwrap();
    all.into_iter().find(|fleet| fleet["name"] == name)
}

fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

#[test]
fn a_fleet_stays_until_it_is_taken_down() {
    if !requirements::available(&FleetSpec::default()) {
        return;
    }
    let name = format!("command-{}", std::process::id());
    let up = [
        "up",
        "--name",
        &name,
        "--hosts",
        "3",
        "--zones",
        "2",
        "--fault",
        "app-b1=fails:7",
    ];
    let said = lab(&up);
    assert!(said.status.success(), "{}", text(&said));
    let config = place::fleets().join(&name).join("ssh_config");
    assert!(
        text(&said).contains(&format!("ssh -F {} app-a1", config.display())),
        "{}",
        text(&said)
    );
    let again = lab(&up);
    assert_eq!(again.status.code(), Some(2));
    assert!(text(&again).contains("is up already"), "{}", text(&again));
    let ssh = |host: &str| {
        Command::new("ssh")
            .arg("-F")
            .arg(&config)
            .args([host, "hostname"])
            .output()
            .unwrap()
    };
    assert_eq!(text(&ssh("app-a2")), "app-a2\n");
    assert_eq!(ssh("app-b1").status.code(), Some(7));

    let fleet = lab::Fleet::open(&name).unwrap().unwrap();
    let processes: Vec<_> = fleet
        .hosts()
        .iter()
        .filter_map(lab::Host::processes_of_host)
        .collect();
    assert_eq!(processes.len(), 3);
    fleet.host("app-a1").kill();
    let seen = status(&name).unwrap();
    let states: Vec<_> = seen["hosts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|host| &host["state"])
        .collect();
    assert_eq!(states, ["dead", "up", "up"]);
    let down = lab(&["down", "--name", &name]);
    assert!(down.status.success(), "{}", text(&down));
    assert!(
        !processes
            .iter()
            .any(|host| Process::is_alive(host.init) || Process::is_alive(host.outer))
    );
    assert_eq!(status(&name), None);
}

#[test]
fn what_is_typed_wrong_is_said() {
    for (arguments, words) in [
        (&["uq"][..], "no command `uq`"),
        (
            &["up", "--fault", "app-a1=refused"],
            "no fault named `refused`",
        ),
        (
            &["up", "--fault", "app-x1=refuses"],
            "the hosts are app-a1, app-a2, app-b1",
        ),
        (&["up", "--zones", "0"], "--zones takes 1 to 26"),
        (
            &["down", "--name", "never-was"],
            "no fleet is named `never-was`",
        ),
        (&["test", "--quick"], "invalid option '--quick'"),
    ] {
        let output = lab(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(
            text(&output).contains(words),
            "{arguments:?}: {}",
            text(&output)
        );
    }
}
