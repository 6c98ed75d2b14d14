//! Stopping means stopping: however a run ends, nothing of it stays on any host or on this machine.

use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use lab::{Fleet, HostSpec};

use crate::desk::{Desk, Ran, Running, until, within_busy};

const HOSTS: usize = 10;

/// What is said at the first signal, and at the second.
const FIRST: &str = "nothing new is started";
const SECOND: &str = "ending the remote processes";

/// The promise: within 3 s, on a machine that is not overloaded.
const SOON: Duration = Duration::from_secs(3);

/// One leader and two children.
const THREE_SLEEPS: &str = "sleep 600 & sleep 600 & sleep 600";

struct Ground {
    fleet: Fleet,
}

impl Ground {
    fn sleeps(&self) -> usize {
        let of_host = |host: &lab::Host| {
            let found = host.processes_like("sleep 600");
            found
                .iter()
                .filter(|process| process.name == "sleep")
                .count()
        };
        self.fleet.hosts().iter().map(of_host).sum()
    }

    /// Everything that runs on the hosts besides the sshd that listens.
    fn processes(&self) -> Vec<String> {
        let of_host = |host: &lab::Host| {
            let others = host
                .processes()
                .into_iter()
                .filter(|process| process.pid != 1);
            others.map(|process| process.command).collect::<Vec<_>>()
        };
        self.fleet.hosts().iter().flat_map(of_host).collect()
    }

    /// Demands that nothing is left, soon.
    #[track_caller]
    fn is_clean_soon(&self, desk: &Desk, how: &str) {
        let clean = within_busy(SOON, || {
            self.processes().is_empty()
                && desk.processes().is_empty()
                && desk_sockets(desk).is_empty()
        });
        assert!(
            clean,
            "{how}: on hosts {:#?}, here {:#?}, files {:#?}",
            self.processes(),
            desk.processes(),
            desk_sockets(desk)
        );
    }
}

/// The socket folder's own name may stay, nothing below it.
fn desk_sockets(desk: &Desk) -> Vec<std::path::PathBuf> {
    let mut found = desk.sockets();
    found.retain(|path| path != &desk.path().join("run/fab-rs"));
    found
}

fn words(sudo: bool, more: &[&'static str]) -> Vec<&'static str> {
    let mut words: Vec<&str> = more.to_vec();
    if sudo {
        words.push("--sudo");
    }
    words.extend(["run", "role=app", "--", THREE_SLEEPS]);
    words
}

/// Starts the sleeps on every host.
fn started(ground: &Ground, desk: &Desk, sudo: bool) -> Running {
    let running = desk.start(&words(sudo, &[]));
    until("three sleeps on each host", || ground.sleeps() == 3 * HOSTS);
    running
}

/// Starts fab-rs at a terminal of its own: what is typed there reaches everything in the foreground.
fn at_a_terminal(desk: &Desk, words: &[&str]) -> Running {
    let line = desk.command(words);
    let line: Vec<_> = std::iter::once(line.get_program())
        .chain(line.get_args())
        .map(|word| word.to_str().unwrap())
        .collect();
    let line = shlex::try_join(line).unwrap();
    let mut command = Command::new("script");
    command.args(["-q", "-e", "-f", "-c", &format!("exec {line}"), "/dev/null"]);
    desk.surround(&mut command);
    command
        .env("TERM", "xterm")
        .env("SHELL", "/bin/sh")
        .stdin(Stdio::piped());
    Running::of(&mut command)
}

fn all_are(desk: &Desk, outcome: &str) {
    let summary = desk.summary();
    assert_eq!(
        summary["counts"],
        serde_json::json!({outcome: HOSTS}),
        "{summary:#}"
    );
    let hosts = summary["hosts"].as_object().unwrap();
    assert!(
        hosts.values().all(|host| host["may_still_run"] == false),
        "{summary:#}"
    );
}

#[test]
fn whatever_ends_a_run_ends_its_processes() {
    let host = |n: usize| HostSpec::new(format!("app-{n}")).role("app");
    let hosts = (0..HOSTS).map(host);
    let Some(fleet) = Fleet::builder("stopping").hosts(hosts).start_or_skip() else {
        return;
    };
    let ground = Ground { fleet };
    for sudo in [false, true] {
        killed(&ground, sudo);
        interrupted_twice(&ground, sudo);
        timed_out(&ground, sudo);
        interrupted_at_a_terminal(&ground, sudo);
    }
    terminated(&ground);
    interrupted_once_at_a_terminal(&ground);
    interrupted_three_times(&ground);
    reader_gone(&ground);
}

fn desk(ground: &Ground) -> Desk {
    Desk::new(&ground.fleet.inventory())
}

fn killed(ground: &Ground, sudo: bool) {
    let desk = desk(ground);
    let running = started(ground, &desk, sudo);
    running.signal("KILL");
    ground.is_clean_soon(&desk, "kill -9");
    assert_eq!(running.end().status, -1);
}

fn interrupted_twice(ground: &Ground, sudo: bool) {
    let desk = desk(ground);
    let running = started(ground, &desk, sudo);
    running.signal("INT");
    running.until_it_says(FIRST);
    assert_eq!(
        ground.sleeps(),
        3 * HOSTS,
        "the first lets running hosts finish"
    );
    running.signal("INT");
    ground.is_clean_soon(&desk, "Ctrl-C twice");
    let ran = running.end();
    ran.ended(130).says("Ctrl-C").says("10 cancelled");
    all_are(&desk, "cancelled");
}

fn timed_out(ground: &Ground, sudo: bool) {
    let desk = desk(ground);
    let ran = desk.fab(&words(sudo, &["-T", "2"]));
    ground.is_clean_soon(&desk, "-T 2");
    ran.ended(1).says("limit 2");
    all_are(&desk, "timed_out");
}

fn interrupted_at_a_terminal(ground: &Ground, sudo: bool) {
    let desk = desk(ground);
    let mut running = at_a_terminal(&desk, &words(sudo, &[]));
    until("three sleeps on each host", || ground.sleeps() == 3 * HOSTS);
    running.type_in(b"\x03");
    running.until_it_says(FIRST);
    assert_eq!(
        ground.sleeps(),
        3 * HOSTS,
        "a terminal's Ctrl-C ends no connection"
    );
    running.type_in(b"\x03");
    let ran = end_of_terminal(ground, &desk, running, "Ctrl-C twice at a terminal");
    ran.ended(130);
    all_are(&desk, "cancelled");
}

/// Waits for the end of what runs at a terminal; then everything is gone.
fn end_of_terminal(ground: &Ground, desk: &Desk, running: Running, how: &str) -> Ran {
    let ran = running.end();
    ground.is_clean_soon(desk, how);
    ran
}

fn terminated(ground: &Ground) {
    for (signal, status) in [("TERM", 143), ("HUP", 129)] {
        let desk = desk(ground);
        let running = started(ground, &desk, false);
        running.signal(signal);
        running.until_it_says(FIRST);
        running.signal(signal);
        ground.is_clean_soon(&desk, signal);
        running.end().ended(status);
        all_are(&desk, "cancelled");
    }
}

fn interrupted_once_at_a_terminal(ground: &Ground) {
    let desk = desk(ground);
    let begun =
        "touch /var/tmp/begun; until [ -e /var/tmp/go ]; do sleep 0.1; done; echo finish''ed";
    let mut running = at_a_terminal(&desk, &["-z", "4", "run", "role=app", "--", begun]);
    until("the first hosts work", || {
        let hosts = ground.fleet.hosts().iter();
        hosts
            .filter(|host| host.path("/var/tmp/begun").unwrap().exists())
            .count()
            == 4
    });
    running.type_in(b"\x03");
    running.until_it_says(FIRST);
    for host in ground.fleet.hosts() {
        host.exec_ok("touch /var/tmp/go").unwrap();
    }
    let ran = end_of_terminal(ground, &desk, running, "Ctrl-C once");
    ran.ended(130);
    let logs = crate::desk::files_with(&desk.record().join("hosts"), b"out| finished\n");
    assert_eq!(logs.len(), 4, "{}", ran.all());
    let summary = desk.summary();
    assert_eq!(
        summary["counts"],
        serde_json::json!({"ok": 4, "not_run": 6}),
        "{summary:#}"
    );
    assert_eq!(summary["state"], "paused");
}

fn interrupted_three_times(ground: &Ground) {
    let desk = desk(ground);
    let running = started(ground, &desk, true);
    for said in [FIRST, SECOND] {
        running.signal("INT");
        running.until_it_says(said);
    }
    running.signal("INT");
    ground.is_clean_soon(&desk, "Ctrl-C three times");
    let ran = running.end();
    ran.ended(130)
        .says("left at the third signal; ")
        .says(&format!("record: {}", desk.record().display()))
        .says("next: fab-rs report ");
}

fn reader_gone(ground: &Ground) {
    let desk = desk(ground);
    let line = desk.command(&["run", "role=app", "--", "seq 1000000; sleep 600"]);
    let line: Vec<_> = std::iter::once(line.get_program())
        .chain(line.get_args())
        .map(|word| word.to_str().unwrap())
        .collect();
    let mut command = Command::new("bash");
    let line = shlex::try_join(line).unwrap();
    desk.surround(
        command
            .arg0("sh")
            .args(["-c", &format!("{line} | head -1; exit ${{PIPESTATUS[0]}}")]),
    );
    let ran = Running::of(&mut command).end();
    ground.is_clean_soon(&desk, "head -1");
    assert_eq!(ran.ended(130).out().lines().count(), 1, "{}", ran.all());
    ran.says("the reader of the output has gone");
    all_are(&desk, "cancelled");
}
