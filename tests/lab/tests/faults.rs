//! Each fault does what it says, as plain ssh sees it.

use std::process::{Command, Output};

use lab::{ALL_FAULTS, Fault, Fleet, FleetSpec, HostSpec, SUDO_PASSWORD, Service, place};

/// What ssh did.
struct Seen {
    status: Option<i32>,
    stdout: String,
    stderr: String,
}

fn ssh(fleet: &Fleet, fault: &str, line: &str) -> Seen {
    let output: Output = Command::new("timeout")
        .args(["4", "ssh", "-F"])
        .arg(fleet.ssh_config())
        .args(["-o", "ConnectTimeout=2", fault, line])
        .output()
        .unwrap();
    Seen {
        status: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// The host that has the fault.
fn name(fault: &Fault) -> String {
    fault.name().replace('_', "-")
}

/// What each fault looks like: a line to run, ssh's status (124: it had to be ended), and a part of what it prints.
fn expectation(fault: &Fault) -> (&'static str, i32, &'static str) {
    match fault {
        Fault::Refuses => ("true", 255, "Connection refused"),
        Fault::Unanswered => ("true", 255, "Connection timed out"),
        Fault::HangsAfterAccept => ("true", 255, "timed out during banner exchange"),
        // ssh's ConnectTimeout ends with the banner: nothing bounds the key exchange.
        Fault::HangsAfterBanner => ("true", 124, ""),
        Fault::Closes => ("true", 255, "kex_exchange_identification"),
        Fault::RefusesKey => ("true", 255, "Permission denied (publickey)"),
        Fault::WrongHostKey => ("true", 255, "REMOTE HOST IDENTIFICATION HAS CHANGED"),
        Fault::UnknownHostKey => ("true", 255, "No ED25519 host key is known"),
        Fault::Drops(_) => ("echo begun; sleep 20", 255, "begun"),
        Fault::Fails(_) => ("true", 3, ""),
        Fault::Hangs => ("echo begun", 124, ""),
        Fault::Floods => ("true", 124, "a line of a flood"),
        Fault::Slow(_) => ("echo late", 0, "late"),
        Fault::NoSudo => ("sudo -n true", 1, "a password is required"),
        Fault::SudoPassword => ("sudo -n true || echo refused", 0, "refused"),
        Fault::SmallDisk => ("head -c 3000000 /dev/zero > /var/tmp/x", 1, "No space left"),
        Fault::BadShellRc => ("true", 0, ""),
        Fault::NoSetsid => ("command -v setsid", 127, ""),
        Fault::CrashLoop => ("systemctl is-active api", 0, "active"),
    }
}

#[test]
fn every_fault_is_what_it_says() {
    let host = |fault: &Fault| {
        HostSpec::new(name(fault))
            .fault(fault.clone())
            .service(Service::shell("api"))
    };
    let spec = FleetSpec {
        hosts: ALL_FAULTS.iter().map(host).collect(),
        ec2: false,
    };
    let Some(fleet) = Fleet::builder("faults").spec(spec).start_or_skip() else {
        return;
    };
    std::thread::scope(|scope| {
        for fault in ALL_FAULTS {
            let fleet = &fleet;
            scope.spawn(move || check(fleet, fault));
        }
    });
    asks_for_the_password(&fleet);
}

fn check(fleet: &Fleet, fault: &Fault) {
    if !place::is_root() && *fault == Fault::SudoPassword {
        return; // The stand-in for sudo has no password to compare.
    }
    let (line, status, text) = expectation(fault);
    let seen = ssh(fleet, &name(fault), line);
    let all = format!("{}{}", seen.stdout, seen.stderr);
    let all = if all.len() > 2000 { &all[..2000] } else { &all };
    assert_eq!(seen.status, Some(status), "{fault}: {all}");
    assert!(all.contains(text), "{fault}: {all}");
    let host = fleet.host(&name(fault));
    match fault {
        Fault::Hangs => assert_eq!(host.processes_like("sleep infinity").len(), 1),
        Fault::Drops(_) => assert_eq!(
            host.processes_like("sleep 20").len(),
            2,
            "shell and sleep go on"
        ),
        _ => {}
    }
}

fn asks_for_the_password(fleet: &Fleet) {
    if !place::is_root() {
        return;
    }
    let line = format!(
        "echo {SUDO_PASSWORD} | sudo -k -S -p '' id -un; echo wrong | sudo -k -S -p '' id -un"
    );
    let seen = ssh(fleet, "sudo-password", &line);
    assert_eq!(
        (seen.status, seen.stdout.as_str()),
        (Some(1), "root\n"),
        "{}",
        seen.stderr
    );
}
