//! Steps that go on by themselves: the network goes, fab-rs dies, people leave, and they end as they would have.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use lab::{Fleet, Host, HostSpec, Service};

use crate::desk::{Desk, Ran, Running, files_below, until, within};

const TASK: &str = r"
task: slow
kind: change
strategy: {batch: 1}
steps:
  - run: |
      echo begun >> /var/tmp/trail
      echo a line; echo an error >&2
      while ! test -e /var/tmp/go; do sleep 0.1; done
      echo done >> /var/tmp/trail
      echo the last line
      exit 7
    id: long
    DETACH
    read_only: false
    register: long
  - run: echo after >> /var/tmp/trail
";

/// What the host does not answer any more: neither connections that are there nor new ones.
struct Cut {
    address: String,
}

impl Cut {
    /// Cuts it off; `None` where this machine's routes may not be changed.
    fn off(host: &Host) -> Option<Self> {
        let cut = Self {
            address: format!("{}/32", host.ip()),
        };
        cut.route("add").then_some(cut)
    }

    fn route(&self, verb: &str) -> bool {
        let route = ["route", verb, "blackhole", &self.address, "table", "local"];
        let done = Command::new("ip").args(route).output();
        done.is_ok_and(|output| output.status.success())
    }
}

impl Drop for Cut {
    fn drop(&mut self) {
        let _there_again = self.route("del");
    }
}

struct Ground {
    fleet: Fleet,
    desk: Desk,
}

impl Ground {
    /// In front of a host, with an ssh that notices a dead network soon.
    fn new(name: &str, service: Option<Service>) -> Option<Self> {
        let host = HostSpec::new("app-1").role("app");
        let host = match service {
            Some(service) => host.service(service),
            None => host,
        };
        let fleet = Fleet::builder(name).host(host).start_or_skip()?;
        let inventory = fs::read_to_string(fleet.inventory()).unwrap();
        let quick =
            "  host_keys: ssh\n  options: {ServerAliveInterval: 1, ServerAliveCountMax: 3}\n";
        let inventory = inventory.replace("  host_keys: ssh\n", quick);
        assert!(inventory.contains("ServerAliveInterval"), "{inventory}");
        let desk = Desk::with_inventory(&inventory);
        Some(Self { fleet, desk })
    }

    fn host(&self) -> &Host {
        &self.fleet.hosts()[0]
    }

    /// A clean host and this task; the run of it, once its long step is at work.
    fn begun(&self, detach: &str) -> Running {
        self.desk
            .write("tasks/slow.yml", TASK.replace("DETACH", detach));
        self.host()
            .exec_ok("rm -rf /var/tmp/trail /var/tmp/go")
            .unwrap();
        let running = self.desk.start(&["-y", "--json", "slow", "role=app"]);
        running.until_it_says("a line");
        running
    }

    fn go(&self) {
        self.host()
            .exec_ok("touch /var/tmp/go; chmod 666 /var/tmp/go")
            .unwrap();
    }

    fn trail(&self) -> String {
        fs::read_to_string(self.host().path("/var/tmp/trail").unwrap()).unwrap_or_default()
    }

    /// The outcome of the host, and why.
    fn outcome(&self) -> (String, String) {
        let summary = self.desk.summary();
        let host = &summary["hosts"]["app-1"];
        let word = |key: &str| host[key].as_str().unwrap_or_default().to_owned();
        (word("outcome"), word("cause"))
    }

    /// What is left on the host of steps that went on by themselves.
    fn left(&self) -> Vec<PathBuf> {
        let above = self.host().path("/var/tmp").unwrap();
        let below = |path: &PathBuf| {
            let rest = path.strip_prefix(&above).unwrap().to_string_lossy();
            rest.starts_with("fab-rs-") && rest.contains('/')
        };
        files_below(&above).into_iter().filter(below).collect()
    }

    fn fab(&self, words: &[&str]) -> Ran {
        self.desk.fab(words)
    }

    /// The step ended as it would have: once, with its own status, each of its lines told by one of the run's processes,
    /// and nothing of it is left.
    fn ended_with_7(&self, rans: &[&Ran]) {
        let ran = rans.last().expect("a process saw its end");
        assert_eq!(
            self.outcome(),
            ("failed".to_owned(), "exit 7".to_owned()),
            "{}",
            ran.all()
        );
        assert_eq!(self.trail(), "begun\ndone\n", "{}", ran.all());
        assert_eq!(self.left(), Vec::<PathBuf>::new());
        let lines = |text: &str| {
            let line = format!("\"line\":\"{text}\"");
            let told = rans.iter().map(|ran| ran.out().matches(&line).count());
            told.sum::<usize>()
        };
        assert_eq!(
            (lines("a line"), lines("an error"), lines("the last line")),
            (1, 1, 1),
            "{}",
            ran.all()
        );
    }
}

#[test]
fn a_cut_network_ends_nothing_that_goes_on_by_itself() {
    let Some(ground) = Ground::new("cut", None) else {
        return;
    };
    ordinary(&ground);
    for_long(&ground);
    for_a_moment(&ground);
}

/// Of an ordinary step nothing is known, and it is not run again unless that was allowed.
fn ordinary(ground: &Ground) {
    let running = ground.begun("resume: ask");
    let cut = Cut::off(ground.host()).expect("the tests may change routes");
    running.end().ended(4);
    assert_eq!(ground.outcome().0, "unknown");
    drop(cut);
    ground
        .fab(&["resume", "last"])
        .ended(10)
        .says("was interrupted");
    assert_eq!(ground.trail(), "begun\n");
    ground.fab(&["abort", "last"]).ended(0);
}

/// The host is given up; what it did is read when somebody asks.
fn for_long(ground: &Ground) {
    let running = ground.begun("detach: true");
    let cut = Cut::off(ground.host()).unwrap();
    let ran = running.end();
    assert_eq!(ground.outcome().0, "unknown", "{}", ran.all());
    assert!(
        ran.out().contains("the host was not reached again"),
        "{}",
        ran.all()
    );
    ground.go();
    until("it ends", || ground.trail().contains("done"));
    drop(cut);
    let resumed = ground.fab(&["--json", "resume", "last"]);
    ground.ended_with_7(&[&ran, &resumed]);
}

/// One connection ends, the next goes on where that was.
fn for_a_moment(ground: &Ground) {
    let running = ground.begun("detach: true");
    let cut = Cut::off(ground.host()).unwrap();
    running.until_it_says("the connection is lost");
    ground.go();
    drop(cut);
    let ran = running.end();
    ground.ended_with_7(&[&ran]);
}

#[test]
fn a_dead_fab_rs_ends_nothing_that_goes_on_by_itself() {
    let Some(ground) = Ground::new("dead", None) else {
        return;
    };
    // Whatever `resume` says.
    let running = ground.begun("detach: true\n    resume: rerun");
    running.signal("KILL");
    let ran = running.end();
    ground.go();
    let resumed = ground.fab(&["--json", "resume", "last"]);
    ground.ended_with_7(&[&ran, &resumed]);
    left_running(&ground);
    given_up(&ground);
    given_up_alive(&ground);
    restarted(&ground);
}

/// Two Ctrl-C let go of it, and say so.
fn left_running(ground: &Ground) {
    let running = ground.begun("detach: true");
    twice(&running);
    let ran = running.end();
    ran.ended(130);
    assert!(
        ran.out().contains("goes on there by itself"),
        "{}",
        ran.all()
    );
    assert!(ran.out().contains("fab-rs resume"), "{}", ran.all());
    // What is proposed to look with shows it, as it is pasted.
    let told = ground.fab(&["report", "last"]).out();
    let mut lines = told.lines().map(str::trim);
    let look = lines.find_map(|line| line.strip_prefix("check with: fab-rs "));
    let line = format!("exec \"$0\" {}", look.unwrap_or_else(|| panic!("{told}")));
    let mut shell = std::process::Command::new("sh");
    ground.desk.surround(&mut shell);
    // The newest run stays the one that goes on.
    shell.env("FAB_RS_STATE_DIR", ground.desk.path().join("looking"));
    let looked = Running::of(shell.args(["-c", &line, env!("CARGO_BIN_EXE_fab-rs")])).end();
    looked.ended(0).prints("-long.1");
    ground.go();
    until("it ends", || ground.trail().contains("done"));
    let resumed = ground.fab(&["--json", "resume", "last"]);
    ground.ended_with_7(&[&ran, &resumed]);
}

fn twice(running: &Running) {
    running.signal("INT");
    running.until_it_says("cancel_started");
    running.signal("INT");
}

/// `abort` ends it, and leaves nothing.
fn given_up(ground: &Ground) {
    let running = ground.begun("detach: true");
    twice(&running);
    running.end().ended(130);
    assert!(!ground.host().processes_like("test -e").is_empty() || !ground.left().is_empty());
    ground
        .fab(&["abort", "last"])
        .ended(0)
        .says("step `long` was ended");
    assert_eq!(ground.left(), Vec::<PathBuf>::new());
    ground.go();
    let late = within(Duration::from_secs(1), || ground.trail().contains("done"));
    assert!(!late, "it was ended");
}

/// One `abort` of a run that lives does the same, and its lock is gone.
fn given_up_alive(ground: &Ground) {
    let running = ground.begun("detach: true");
    ground
        .fab(&["abort", "last"])
        .ended(0)
        .says("was told to end what it runs")
        .says("step `long` was ended")
        .says("is aborted");
    running.end().ended(143);
    assert_eq!(ground.left(), Vec::<PathBuf>::new());
    let locks = ground.host().path("/var/tmp/fab-rs/locks").unwrap();
    assert_eq!(files_below(&locks), Vec::<PathBuf>::new());
    ground.go();
    let late = within(Duration::from_secs(1), || ground.trail().contains("done"));
    assert!(!late, "it was ended");
    ground.fab(&["resume", "last"]).ended(2).says("is aborted");
}

/// A host that was started anew says nothing of what ran before.
fn restarted(ground: &Ground) {
    let running = ground.begun("detach: true");
    running.signal("KILL");
    running.end();
    let mut left = ground.left().into_iter();
    let begun = left.find(|path| path.ends_with("begun"));
    let begun = begun.expect("its runner signs");
    let text = fs::read_to_string(&begun).unwrap();
    let (_, rest) = text.split_once(' ').unwrap();
    fs::write(&begun, format!("another-boot {rest}")).unwrap();
    let ran = ground.fab(&["--json", "resume", "last"]);
    assert_eq!(ground.outcome().0, "unknown", "{}", ran.all());
    assert!(ran.out().contains("was started anew"), "{}", ran.all());
    assert_eq!(ground.trail(), "begun\n");
    ground.go();
}

/// The network goes in the middle of a heap dump, and fab-rs gives the host up: the dump is written, and collected.
#[test]
fn a_heap_dump_outlives_the_network() {
    let mut service = Service::java("api");
    service = service.flag("-Xmx400m");
    service.megabytes = 150;
    let Some(ground) = Ground::new("dump", Some(service)) else {
        return;
    };
    let running = ground.desk.start(&["-y", "--json", "heapdump", "role=app"]);
    let folder = ground.host().path("/var/tmp").unwrap();
    until("the JVM writes", || {
        let files = files_below(&folder).into_iter();
        let parts = files.filter(|path| path.extension().is_some_and(|end| end == "part"));
        parts.count() == 1
    });
    let java = ground.host().processes_like("LabService");
    let java = java
        .first()
        .expect("there is one JVM")
        .outer_pid
        .to_string();
    let stopped = signal("STOP", &java);
    let cut = Cut::off(ground.host()).expect("the tests may change routes");
    let ran = running.end();
    assert_eq!(ground.outcome().0, "unknown", "{}", ran.all());
    assert!(signal("CONT", &java) && stopped);
    drop(cut);
    let ran = ground.fab(&["--json", "resume", "last"]);
    ran.ended(0);
    assert_eq!(ground.outcome().0, "ok");
    let dumps: Vec<PathBuf> = files_below(&ground.desk.record());
    let dumps: Vec<_> = dumps
        .iter()
        .filter(|path| path.to_string_lossy().contains(".hprof"))
        .collect();
    assert_eq!(dumps.len(), 1, "{}", ran.all());
    assert_eq!(ground.left(), Vec::<PathBuf>::new());
    let left = files_below(&folder);
    assert!(
        left.iter()
            .all(|path| !path.to_string_lossy().contains("hprof")),
        "{left:?}"
    );
}

fn signal(name: &str, pid: &str) -> bool {
    let done = Command::new("kill").args(["-s", name, pid]).status();
    done.is_ok_and(|status| status.success())
}
