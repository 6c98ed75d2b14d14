//! A run's process is killed anywhere, its rollback too, or it is stopped by hand: each host counts what was done
//! to it, and nothing is done twice or left out.

use std::fs;

use lab::{Fleet, HostSpec};

use crate::desk::{Desk, Running, json, nap, until};

const HOSTS: usize = 6;

/// At how many places of its journal a run is killed.
const DEATHS: usize = 12;

/// Each step leaves its name on its host and says by that whether it was done; what a step read stays, though the
/// next one changes it.
const TASK: &str = r"
task: walk
kind: change
lock: LOCK
phases:
  - name: stage
    strategy: {batch: 3}
    steps:
      - run: echo stage >> /var/tmp/trail; sleep 0.1
        resume: check
        check: grep -qx stage /var/tmp/trail
      - run: echo once >> /var/tmp/trail
        once: true
        resume: check
        check: grep -qx once /var/tmp/trail
  - name: activate
    strategy: {batch: 2}
    steps:
      - run: cat /var/tmp/release
        register: previous
        sticky: true
        resume: rerun
      - run: echo new > /var/tmp/release; sleep 0.1
        resume: rerun
      - run: echo left {{ previous.stdout }} >> /var/tmp/trail; sleep 0.1
        resume: check
        check: grep -q ^left /var/tmp/trail
    rollback:
      - run: while test -e /var/tmp/hold; do sleep 0.1; done; echo {{ previous.stdout }} > /var/tmp/release
        resume: rerun
      - run: echo back >> /var/tmp/trail
        resume: check
        check: grep -qx back /var/tmp/trail
";

struct Ground {
    fleet: Fleet,
    desk: Desk,
}

impl Ground {
    /// Hosts of a fleet of this name, none of which has heard of anything.
    fn new(name: &str) -> Option<Self> {
        let host = |n: usize| HostSpec::new(format!("app-{n}")).role("app");
        let fleet = Fleet::builder(name).hosts((0..HOSTS).map(host));
        let fleet = fleet.start_or_skip()?;
        let desk = Desk::new(&fleet.inventory());
        let ground = Self { fleet, desk };
        ground.task(TASK, name);
        ground.anew();
        Some(ground)
    }

    fn task(&self, text: &str, lock: &str) {
        self.desk
            .write("tasks/walk.yml", text.replace("LOCK", lock));
    }

    fn anew(&self) {
        for host in self.fleet.hosts() {
            host.exec_ok("rm -f /var/tmp/trail /var/tmp/hold /var/tmp/bad; echo old > /var/tmp/release; chmod 666 /var/tmp/release")
                .unwrap();
        }
    }

    fn read(&self, host: usize, path: &str) -> String {
        let host = &self.fleet.hosts()[host];
        fs::read_to_string(host.path(path).unwrap()).unwrap_or_default()
    }

    fn trail(&self, host: usize) -> String {
        self.read(host, "/var/tmp/trail")
    }

    fn on(&self, hosts: std::ops::Range<usize>, command: &str) {
        for host in &self.fleet.hosts()[hosts] {
            host.exec_ok(command).unwrap();
        }
    }

    fn walk(&self) -> Running {
        self.desk.start(&["--yes=all", "walk", "role=app"])
    }

    /// The newest run's journal.
    fn journal(&self) -> String {
        let run = self.desk.runs().pop();
        let journal = run.and_then(|run| fs::read_to_string(run.join("journal.jsonl")).ok());
        journal.unwrap_or_default()
    }

    /// Starts a run, and kills it once its journal is as it should be.
    fn killed(&self, what: &str, is_so: impl Fn(&str) -> bool) {
        let runs = self.desk.runs().len();
        let running = self.walk();
        until(what, || {
            self.desk.runs().len() > runs && is_so(&self.journal())
        });
        running.signal("KILL");
        running.end();
    }

    fn is_whole(&self, how: &str) {
        let mut once = 0;
        for host in 0..HOSTS {
            let trail = self.trail(host);
            once += trail.matches("once\n").count();
            let own = trail.replace("once\n", "");
            assert_eq!(own, "stage\nleft old\n", "{how}: host {host}");
            assert_eq!(self.read(host, "/var/tmp/release"), "new\n", "{how}");
        }
        assert_eq!(once, 1, "{how}");
        assert_eq!(self.desk.summary()["counts"]["ok"], HOSTS, "{how}");
    }
}

fn lines(text: &str) -> usize {
    text.matches('\n').count()
}

#[test]
fn a_run_killed_anywhere_in_its_journal_is_resumed_to_the_same_end() {
    let Some(ground) = Ground::new("deaths") else {
        return;
    };
    ground.walk().end().ended(0);
    ground.is_whole("undisturbed");
    let whole = lines(&ground.journal());
    for death in 0..DEATHS {
        ground.anew();
        let at = 2 + death * (whole - 4) / DEATHS;
        ground.killed("the journal is long enough", |journal| lines(journal) >= at);
        let how = format!("killed at line {} of {whole}", lines(&ground.journal()));
        let resumed = ground.desk.fab(&["--yes=all", "resume", "last"]);
        assert_eq!(resumed.status, 0, "{how}: {}", resumed.all());
        ground.is_whole(&how);
    }
}

/// Both processes of a rollback do their part, and each host is back where it was.
#[test]
fn a_rollback_from_another_process_is_killed_and_goes_on() {
    let Some(ground) = Ground::new("undoing") else {
        return;
    };
    cut_and_undone(&ground, |undoing| {
        undoing.signal("KILL");
        undoing.end();
    });
    ground.anew();
    // By hand, what ran is ended too; the run keeps its lock, and says how it goes on.
    cut_and_undone(&ground, |undoing| {
        undoing.signal("INT");
        undoing.until_it_says("nothing new is started");
        undoing.signal("INT");
        let cut = undoing.end();
        cut.ended(130)
            .says("keeps its lock")
            .says("next: fab-rs rollback ");
        assert_eq!(ground.desk.summary()["state"], "interrupted");
    });
}

fn cut_and_undone(ground: &Ground, cut: impl FnOnce(Running)) {
    ground.walk().end().ended(0);
    // The newest success comes first: these two hold the second batch of the rollback.
    ground.on(2..4, "touch /var/tmp/hold");
    let undoing = ground.desk.start(&["--yes=all", "rollback", "last"]);
    until("the first batch is back", || {
        (4..6).all(|host| ground.trail(host).ends_with("back\n"))
    });
    until("the second one is at work", || {
        ground.journal().matches(r#""part":{"rollback":1}"#).count() > 8
    });
    cut(undoing);
    ground.on(2..4, "rm -f /var/tmp/hold");
    ground.desk.fab(&["--yes=all", "rollback", "last"]).ended(5);
    for host in 0..HOSTS {
        let trail = ground.trail(host).replace("once\n", "");
        assert_eq!(trail, "stage\nleft old\nback\n", "host {host}");
        assert_eq!(ground.read(host, "/var/tmp/release"), "old\n");
    }
    let summary = ground.desk.summary();
    assert_eq!(summary["state"], "rolled_back");
}

/// The first Ctrl-C lets hosts at work finish; what is left is done by `resume`.
#[test]
fn a_run_that_was_paused_by_hand_goes_on_with_what_is_left() {
    let Some(ground) = Ground::new("pausing") else {
        return;
    };
    let task = "task: walk\nkind: change\nlock: LOCK\nstrategy: {batch: 2}\nsteps:\n  - run: echo begun >> /var/tmp/trail; while test -e /var/tmp/hold; do sleep 0.1; done; echo done >> /var/tmp/trail\n";
    ground.task(task, "pausing");
    ground.on(2..4, "touch /var/tmp/hold");
    let running = ground.walk();
    until("the second batch is at work", || {
        (2..4).all(|host| ground.trail(host) == "begun\n")
    });
    running.signal("INT");
    running.until_it_says("nothing new is started");
    ground.on(2..4, "rm /var/tmp/hold");
    running.end().ended(130);
    let record = ground.desk.record();
    assert_eq!(json(&record.join("summary.json"))["state"], "paused");
    let seen: Vec<_> = (0..4).map(|host| touched(&ground, host)).collect();
    assert!((4..6).all(|host| ground.trail(host).is_empty()));
    nap(20);
    ground.desk.fab(&["--yes=all", "resume", "last"]).ended(0);
    assert!((0..HOSTS).all(|host| ground.trail(host) == "begun\ndone\n"));
    let still: Vec<_> = (0..4).map(|host| touched(&ground, host)).collect();
    assert_eq!(seen, still, "hosts that were done were touched");
    assert_eq!(ground.desk.summary()["counts"]["ok"], HOSTS);
}

fn touched(ground: &Ground, host: usize) -> std::time::SystemTime {
    let path = ground.fleet.hosts()[host].path("/var/tmp/trail").unwrap();
    fs::metadata(path).unwrap().modified().unwrap()
}

/// One host fails, another one is cancelled for it, two never start: `retry` takes all four, as they were meant.
#[test]
fn a_retry_takes_every_host_that_was_left_with_the_same_params() {
    let Some(ground) = Ground::new("retrying") else {
        return;
    };
    let task = "task: walk\nkind: change\nlock: LOCK\nparams:\n  word: {type: string, default: plain}\nstrategy: {batch: 2, on_stop: cancel}\nsteps:\n  - run: test ! -e /var/tmp/bad; while test -e /var/tmp/hold; do sleep 0.1; done; echo {{ params.word }} >> /var/tmp/trail\n";
    ground.task(task, "retrying");
    ground.on(2..3, "touch /var/tmp/bad");
    ground.on(3..4, "touch /var/tmp/hold");
    let words = ["--yes=all", "walk", "role=app", "word=given"];
    ground.desk.fab(&words).ended(4);
    let counts = &ground.desk.summary()["counts"];
    let of = |word: &str| counts[word].as_u64().unwrap_or_default();
    assert_eq!(
        ["ok", "failed", "cancelled", "not_run"].map(of),
        [2, 1, 1, 2],
        "{counts}"
    );
    ground.on(2..4, "rm -f /var/tmp/bad /var/tmp/hold");
    ground.desk.fab(&["--yes=all", "retry", "last"]).ended(0);
    assert!((0..HOSTS).all(|host| ground.trail(host) == "given\n"));
    assert_eq!(ground.desk.summary()["counts"]["ok"], 4);
    abandoned(&ground);
}

/// What is half done is said, and by which step.
fn abandoned(ground: &Ground) {
    ground.anew();
    ground.on(2..4, "touch /var/tmp/hold");
    ground.killed("the second batch is at work", |journal| {
        journal.matches(r#""kind":"step_started""#).count() == 4
    });
    ground.on(2..4, "rm /var/tmp/hold");
    let abort = ground.desk.fab(&["abort", "last"]);
    abort.ended(0).says("is aborted");
    for host in 2..4 {
        abort.says(&format!("app-{host} is half done"));
    }
    for host in [0, 1, 4, 5] {
        assert!(!abort.err().contains(&format!("app-{host} is half done")));
    }
    ground
        .desk
        .fab(&["resume", "last"])
        .ended(2)
        .says("is aborted");
}
