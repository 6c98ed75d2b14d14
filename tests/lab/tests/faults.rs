//! Each fault does what it says, as plain ssh sees it.
#![expect(
    clippy::disallowed_methods,
    reason = "a test of processes waits for them"
)]

use std::io::Read as _;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use lab::{ALL_FAULTS, Fault, Fleet, FleetSpec, HostSpec, SUDO_PASSWORD, Service, place};

/// What ssh did.
struct Seen {
    /// None: it went on, and was ended.
    status: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Seen {
    fn of(output: &Output, ended: bool) -> Self {
        Self {
            status: output.status.code().filter(|_| !ended),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// `ssh` to the host with the fault; it gives up after some seconds in which nobody greets it.
fn ssh(fleet: &Fleet, fault: &str, line: &str) -> Command {
    // Short where nothing else ends it.
    let limit = if ["unanswered", "hangs-after-accept"].contains(&fault) {
        "ConnectTimeout=2"
    } else {
        "ConnectTimeout=60"
    };
    let mut command = Command::new("ssh");
    command
        .arg("-F")
        .arg(fleet.ssh_config())
        .args(["-o", limit, fault, line]);
    command
}

/// Runs ssh to its end.
fn ended(fleet: &Fleet, fault: &str, line: &str) -> Seen {
    Seen::of(&ssh(fleet, fault, line).output().unwrap(), false)
}

/// Runs ssh, which goes on for ever, until the fault shows, and ends it after two more seconds.
fn endless(fleet: &Fleet, fault: &Fault, line: &str) -> Seen {
    let host = fleet.host(&name(fault));
    let mut client = ssh(fleet, &name(fault), line)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0; 64];
    match fault {
        Fault::Floods => client
            .stdout
            .as_mut()
            .unwrap()
            .read_exact(&mut first)
            .unwrap(),
        Fault::Hangs => {
            while host.processes_like("sleep infinity").is_empty() {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        _ => {}
    }
    std::thread::sleep(Duration::from_secs(2));
    let goes_on = client.try_wait().unwrap().is_none();
    client.kill().unwrap();
    let mut seen = Seen::of(&client.wait_with_output().unwrap(), goes_on);
    seen.stdout
        .insert_str(0, String::from_utf8_lossy(&first).trim_end_matches('\0'));
    seen
}

/// The host that has the fault.
fn name(fault: &Fault) -> String {
    fault.name().replace('_', "-")
}

/// What each fault looks like: a line to run, ssh's status (none: it goes on), and a part of what it prints.
fn expectation(fault: &Fault) -> (&'static str, Option<i32>, &'static str) {
    match fault {
        Fault::Refuses => ("true", Some(255), "Connection refused"),
        Fault::Unanswered => ("true", Some(255), "Connection timed out"),
        Fault::HangsAfterAccept => ("true", Some(255), "timed out during banner exchange"),
        // ssh's ConnectTimeout ends with the banner: nothing bounds the key exchange.
        Fault::HangsAfterBanner => ("true", None, ""),
        Fault::Closes => ("true", Some(255), "kex_exchange_identification"),
        Fault::RefusesKey => ("true", Some(255), "Permission denied (publickey)"),
        Fault::WrongHostKey => ("true", Some(255), "REMOTE HOST IDENTIFICATION HAS CHANGED"),
        Fault::UnknownHostKey => ("true", Some(255), "No ED25519 host key is known"),
        Fault::Drops(_) => ("echo begun; sleep 600", Some(255), "begun"),
        Fault::Fails(_) => ("true", Some(3), ""),
        Fault::Hangs => ("echo begun", None, ""),
        Fault::Floods => ("true", None, "a line of a flood"),
        Fault::Slow(_) => ("echo late", Some(0), "late"),
        Fault::NoSudo => ("sudo -n true", Some(1), "a password is required"),
        Fault::SudoPassword => ("sudo -n true || echo refused", Some(0), "refused"),
        Fault::SmallDisk => (
            "head -c 3000000 /dev/zero > /var/tmp/x",
            Some(1),
            "No space left",
        ),
        Fault::BadShellRc => ("true", Some(0), ""),
        Fault::NoSetsid => ("command -v setsid", Some(127), ""),
        Fault::CrashLoop => ("systemctl is-active api", Some(0), "active"),
    }
}

#[test]
fn every_fault_is_what_it_says() {
    let host = |fault: &Fault| {
        let fault = match fault {
            // Time enough to say something before.
            Fault::Drops(_) => &Fault::Drops(4000),
            other => other,
        };
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
    let seen = match status {
        Some(_) => ended(fleet, &name(fault), line),
        None => endless(fleet, fault, line),
    };
    let all = format!("{}{}", seen.stdout, seen.stderr);
    let all = if all.len() > 2000 { &all[..2000] } else { &all };
    assert_eq!(seen.status, status, "{fault}: {all}");
    assert!(all.contains(text), "{fault}: {all}");
    let host = fleet.host(&name(fault));
    match fault {
        Fault::Hangs => assert_eq!(host.processes_like("sleep infinity").len(), 1),
        Fault::Drops(_) => assert_eq!(
            host.processes_like("sleep 600").len(),
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
    let seen = ended(fleet, "sudo-password", &line);
    assert_eq!(
        (seen.status, seen.stdout.as_str()),
        (Some(1), "root\n"),
        "{}",
        seen.stderr
    );
}
