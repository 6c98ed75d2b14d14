//! Locks on real hosts: several controllers at once, holders that die, and what an operator does about their locks.

use std::fs;
use std::path::PathBuf;

use lab::{Fleet, Host, HostSpec};

use crate::desk::{Desk, Ran, Running, nap, until};

const HOSTS: usize = 4;

/// A change that leaves a line on each host and takes this many tenths of a second, or until it is let go.
fn task(tenths: u32) -> String {
    format!(
        "task: turn\nkind: change\nlock: turn/all\nstrategy: {{by: flat, batch: 2, confirm: [start]}}\nsteps:\n  \
         - run: echo {{{{ rollout.id }}}} >>/var/tmp/turned; i=0; \
           until test -e /var/tmp/go || test $i -ge {tenths}; do sleep 0.1; i=$((i+1)); done\n"
    )
}

struct Ground {
    fleet: Fleet,
    task: String,
}

impl Ground {
    fn new(name: &str, tenths: u32) -> Option<Self> {
        let host = |number: usize| HostSpec::new(format!("app-{number}")).role("app");
        let hosts = (0..HOSTS).map(host);
        let fleet = Fleet::builder(name).hosts(hosts).start_or_skip()?;
        Some(Self {
            fleet,
            task: task(tenths),
        })
    }

    /// A controller with a state of its own.
    fn desk(&self) -> Desk {
        let desk = Desk::new(&self.fleet.inventory());
        desk.write("tasks/turn.yml", &self.task);
        desk
    }

    fn everywhere(&self, command: &str) {
        for host in self.fleet.hosts() {
            host.exec_ok(command).unwrap();
        }
    }

    /// The hosts that are locked.
    fn locked(&self) -> Vec<&str> {
        let is_locked = |host: &&Host| {
            let found = fs::read_dir(locks(host)).into_iter().flatten();
            let mut names = found.map(|entry| entry.unwrap().file_name());
            // One with a dot in front is being made, or removed.
            names.any(|name| !name.as_encoded_bytes().starts_with(b"."))
        };
        let hosts = self.fleet.hosts().iter().filter(is_locked);
        hosts.map(Host::name).collect()
    }

    /// How many lines the runs left on a host.
    fn turned(&self, host: &str) -> usize {
        let path = self.fleet.host(host).path("/var/tmp/turned").unwrap();
        fs::read_to_string(path).unwrap_or_default().lines().count()
    }

    /// Waits until both hosts of the first batch have begun their step, for this many times in all.
    fn first_batch_works(&self, times: usize) {
        until("the first batch works", || {
            ["app-0", "app-1"].map(|host| self.turned(host)) == [times; 2]
        });
    }

    /// Has the heartbeat of every lock lie long ago.
    fn silence(&self) {
        for host in self.fleet.hosts() {
            let beat = locks(host).join("turn%2Fall/beat");
            if beat.exists() {
                fs::write(beat, "1000\n").unwrap();
            }
        }
    }
}

fn locks(host: &Host) -> PathBuf {
    host.path("/var/tmp/fab-rs/locks").unwrap()
}

fn turn(desk: &Desk, limit: &str) -> Ran {
    desk.fab(&["--yes", "--limit", limit, "turn", "role=app"])
}

#[test]
fn two_controllers_with_other_limits_meet() {
    let Some(ground) = Ground::new("locks-meet", 600) else {
        return;
    };
    let (first, second) = (ground.desk(), ground.desk());
    let running = first.start(&["--yes", "--limit", "app-0", "turn", "role=app"]);
    until("every host is locked", || ground.locked().len() == HOSTS);
    let met = turn(&second, "app-3");
    met.ended(9)
        .says("`turn/all` is locked on app-0 by ")
        .says(&format!("(run {}", run_of(&first)))
        .says("held for ")
        .says(&format!(
            "fab-rs lock status -I {} -H app-0\n",
            second.inventory()
        ))
        .says(&format!(
            "fab-rs lock release -I {} role=app --run ",
            second.inventory()
        ));
    assert_eq!(second.summary()["state"], "aborted");
    let shown = second.fab(&["--json", "lock", "status", "role=app"]);
    let shown: serde_json::Value = serde_json::from_str(&shown.ended(0).out()).unwrap();
    assert_eq!(shown[0]["key"], "turn/all");
    assert_eq!(shown[0]["state"], "live");
    assert_eq!(shown[0]["hosts"].as_array().unwrap().len(), HOSTS);
    // One machine's own lock: the third shares the first's state.
    turn(&first, "app-2")
        .ended(9)
        .says("is locked on app-0 by ");
    ground.everywhere("touch /var/tmp/go");
    running.end().ended(0);
    assert_eq!(ground.locked(), [""; 0], "nothing is left");
    assert_eq!((ground.turned("app-0"), ground.turned("app-3")), (1, 0));
    ground.everywhere("rm /var/tmp/go");
    let holding = first.start(&["--yes", "--limit", "app-0", "turn", "role=app"]);
    until("every host is locked", || ground.locked().len() == HOSTS);
    let waits = [
        "--yes",
        "--lock-wait",
        "60",
        "--limit",
        "app-3",
        "turn",
        "role=app",
    ];
    let waiting = second.start(&waits);
    waiting.until_it_says("waiting for the lock: ");
    ground.everywhere("touch /var/tmp/go");
    holding.end().ended(0);
    waiting.end().ended(0);
    assert_eq!(ground.turned("app-3"), 1);
}

fn run_of(desk: &Desk) -> String {
    let record = desk.record();
    record.file_name().unwrap().to_str().unwrap().to_owned()
}

#[test]
fn of_two_that_start_at_once_exactly_one_runs() {
    races("locks-race", 8);
}

#[test]
#[ignore = "takes ten minutes"]
fn of_two_that_start_at_once_two_hundred_times_exactly_one_runs() {
    races("locks-races", 200);
}

fn races(name: &str, rounds: u64) {
    let Some(ground) = Ground::new(name, 30) else {
        return;
    };
    let (first, second) = (ground.desk(), ground.desk());
    for round in 0..rounds {
        let words = |limit| ["--yes", "--limit", limit, "turn", "role=app"];
        let one = first.start(&words("app-0,app-1"));
        // Each somewhat earlier or later than the other.
        nap(round * 37 % 100);
        let other = second.start(&words("app-2,app-3"));
        let (one, other) = (one.end(), other.end());
        let mut ends = [one.status, other.status];
        ends.sort_unstable();
        assert_eq!(
            ends,
            [0, 9],
            "round {round}: {}\n{}",
            one.all(),
            other.all()
        );
        assert_eq!(ground.locked(), [""; 0], "round {round}: nothing is left");
    }
    let turned: usize = (0..HOSTS)
        .map(|host| ground.turned(&format!("app-{host}")))
        .sum();
    assert_eq!(turned as u64, 2 * rounds);
}

#[test]
fn a_holder_that_dies_or_pauses_leaves_a_lock_for_a_person_to_release() {
    let Some(ground) = Ground::new("locks-left", 200) else {
        return;
    };
    let (first, second) = (ground.desk(), ground.desk());
    let words = ["--yes", "--limit", "app-0", "turn", "role=app"];
    let running = first.start(&words);
    until("it works", || ground.turned("app-0") == 1);
    running.signal("KILL");
    running.end();
    assert_eq!(ground.locked().len(), HOSTS);
    turn(&second, "app-1").ended(9).says("live, last sign ");
    ground.silence();
    let refused = turn(&second, "app-1");
    refused.ended(9).says("stale: no sign of life for ");
    assert_eq!(ground.locked().len(), HOSTS, "it is never taken");
    let proposed = refused.err();
    let proposed = proposed.lines().find(|line| line.contains("lock status"));
    let report = second.fab(&["report", "last"]).ended(0).out();
    assert!(report.contains(proposed.unwrap()), "{report}");
    let shown = second.fab(&["lock", "status", "role=app"]);
    let shown = shown.ended(0).out();
    assert!(shown.contains("stale: no sign of life for "), "{shown}");
    // The host that hears the heart is not asked: nothing is known of the holder.
    let careful = second.fab(&["lock", "release", "-H", "app-1"]);
    careful.ended(9).says("`--force` releases it");
    let proposed = refused.err();
    let line = proposed.lines().find(|line| line.contains("lock release"));
    let release = line.unwrap().split_whitespace().skip(1);
    let release: Vec<&str> = release.take_while(|word| *word != "#").collect();
    as_pasted(&second, &release)
        .ended(0)
        .says("app-3: `turn/all` released");
    assert_eq!(ground.locked(), [""; 0]);

    let running = first.start(&words);
    until("it works", || ground.turned("app-0") == 2);
    running.signal("INT");
    running.until_it_says("nothing new is started");
    running.signal("INT");
    let ran = running.end();
    ran.ended(130)
        .says("the run keeps its lock: `fab-rs resume ");
    turn(&second, "app-1").ended(9).says("paused");
    second
        .fab(&["lock", "release", "role=app", "--run", &run_of(&first)])
        .ended(0);
    assert_eq!(ground.locked(), [""; 0]);
    another_users_lock(&ground, &second);
}

#[test]
fn a_run_that_is_taken_up_again_has_its_lock() {
    let Some(ground) = Ground::new("locks-again", 50) else {
        return;
    };
    let (first, second) = (ground.desk(), ground.desk());
    let running = first.start(&["--yes", "turn", "role=app"]);
    ground.first_batch_works(1);
    running.signal("INT");
    running.end().ended(130).says("the run keeps its lock");
    assert_eq!(ground.locked().len(), HOSTS);
    turn(&second, "app-3")
        .ended(9)
        .says("paused")
        .says(&run_of(&first));
    let run = run_of(&first);
    first.fab(&["--yes", "resume", &run]).ended(0);
    assert_eq!(ground.locked(), [""; 0], "nothing is left");
    assert_eq!((ground.turned("app-0"), ground.turned("app-3")), (1, 1));

    let running = first.start(&["--yes", "turn", "role=app"]);
    ground.first_batch_works(2);
    running.signal("KILL");
    running.end();
    assert_eq!(ground.locked().len(), HOSTS);
    first
        .fab(&["abort", "last"])
        .ended(0)
        .says("app-0 is half done")
        .says("app-3: `turn/all` released")
        .says("is aborted");
    assert_eq!(ground.locked(), [""; 0]);

    // Somebody else took what was released by hand: the run stays what it was, and goes on later.
    let running = first.start(&["--yes", "turn", "role=app"]);
    ground.first_batch_works(3);
    running.signal("INT");
    running.end().ended(130);
    let run = run_of(&first);
    second
        .fab(&["lock", "release", "role=app", "--run", &run])
        .ended(0);
    let other = second.start(&["--yes", "--limit", "app-3", "turn", "role=app"]);
    until("it is locked", || ground.turned("app-3") == 2);
    first
        .fab(&["--yes", "resume", &run])
        .ended(9)
        .says("is locked on app-0");
    other.end().ended(0);
    first.fab(&["--yes", "resume", &run]).ended(0);
    assert_eq!((ground.turned("app-0"), ground.turned("app-3")), (3, 3));
}

#[test]
fn a_retry_has_the_lock_of_the_run_that_it_takes_up() {
    let Some(ground) = Ground::new("locks-retry", 50) else {
        return;
    };
    let (first, second) = (ground.desk(), ground.desk());
    let running = first.start(&["--yes", "turn", "role=app"]);
    ground.first_batch_works(1);
    running.signal("INT");
    running.until_it_says("nothing new is started");
    running.signal("INT");
    running.end().ended(130);
    let run = run_of(&first);
    assert_eq!(ground.locked().len(), HOSTS);
    // Whoever does not confirm it leaves everything as it was.
    first.fab(&["retry", &run]).ended(2);
    let retrying = first.start(&["--yes", "retry", &run]);
    ground.first_batch_works(2);
    turn(&second, "app-3").ended(9).says(&run_of(&first));
    first.fab(&["--yes", "resume", &run]).ended(9);
    retrying
        .end()
        .ended(0)
        .says("it is interrupted, and given up once the new run has its lock");
    assert_eq!(ground.locked(), [""; 0]);
    // Two of four were cancelled, two had not begun: all were taken, and the first run is over.
    assert_eq!((ground.turned("app-0"), ground.turned("app-3")), (2, 1));
    first
        .fab(&["--yes", "resume", &run])
        .ended(2)
        .says("is aborted");

    // A retry that dies has no chance to say that the run it took up is over: that one is not gone on with either.
    let running = first.start(&["--yes", "turn", "role=app"]);
    ground.first_batch_works(3);
    running.signal("KILL");
    running.end();
    let run = run_of(&first);
    let retrying = first.start(&["--yes", "retry", &run]);
    ground.first_batch_works(4);
    retrying.signal("KILL");
    retrying.end();
    first
        .fab(&["--yes", "resume", &run])
        .ended(2)
        .says("was taken up by its retry");
    first.fab(&["abort", "last"]).ended(0);
    assert_eq!(ground.locked(), [""; 0]);
}

/// Runs what was proposed, with nothing that was not.
fn as_pasted(desk: &Desk, words: &[&str]) -> Ran {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_fab-rs"));
    desk.surround(&mut command);
    Running::of(command.args(words)).end()
}

/// Flips a byte of a line, from 1, of the newest run's journal.
fn damage(desk: &Desk, line: usize) {
    let path = desk.record().join("journal.jsonl");
    let mut bytes = fs::read(&path).unwrap();
    let newlines = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    let end = newlines.map(|(at, _)| at).nth(line - 1).unwrap();
    bytes[end - 20] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[test]
fn of_a_run_whose_journal_is_damaged_only_what_works_is_proposed() {
    let Some(ground) = Ground::new("locks-damaged", 600) else {
        return;
    };
    let desk = ground.desk();
    let running = desk.start(&["--yes", "turn", "role=app"]);
    ground.first_batch_works(1);
    running.signal("KILL");
    running.end();
    let run = run_of(&desk);
    damage(&desk, 3);
    let typed = |words: &[&str]| as_pasted(&desk, words);
    let refused = typed(&["resume", &run]);
    refused
        .ended(2)
        .says("is damaged")
        .says("line 3 of the journal does not match its checksum")
        .says(&format!("`fab-rs lock release --run {run}` lets go"));
    let told = typed(&["runs"]);
    let told = String::from_utf8_lossy(&told.ended(0).stdout).into_owned();
    assert!(told.contains("journal damaged at line 3"), "{told}");
    assert!(!told.contains("resume"), "{told}");
    let told = typed(&["report", &run]);
    let told = String::from_utf8_lossy(&told.ended(0).stdout).into_owned();
    assert!(
        told.contains("journal damaged at line 3: it does not match"),
        "{told}"
    );
    for gone in ["resume", "retry", "rollback", "abort"] {
        assert!(!told.contains(&format!("fab-rs {gone}")), "{told}");
    }
    let proposed = told.split("next: fab-rs ").nth(1).unwrap();
    let proposed: Vec<&str> = proposed.split("or: fab-rs ").collect();
    assert_eq!(proposed.len(), 2, "{told}");
    // The heartbeat was heard a moment ago, but the record says that its process is dead.
    for words in proposed {
        let words: Vec<&str> = words.split_whitespace().collect();
        typed(&words).ended(0);
    }
    assert_eq!(ground.locked(), [""; 0]);
    // Where the first line is damaged, which hosts it had is not known.
    damage(&desk, 1);
    let refused = typed(&["lock", "release", "--run", &run]);
    refused.ended(2).says("does not say which hosts it had");
    typed(&["resume", &run])
        .ended(2)
        .says("lock release SELECTOR…");
}

/// A lock whose folder belongs to another user of the host.
fn another_users_lock(ground: &Ground, desk: &Desk) {
    let host = ground.fleet.host("app-0");
    let note = r#"{"key":"turn/all","run":"20260101T000000Z-turn-0001","task":"turn","user":"eve","controller":"afar","pid":1,"started":"2026-01-01T00:00:00Z","state":"paused","anchor":"app-0","token":"00000000000000000000000000000001"}"#;
    let folder = "/var/tmp/fab-rs/locks/turn%2Fall";
    host.exec_ok(&format!(
        "mkdir {folder} && echo '{note}' >{folder}/holder.json && date +%s >{folder}/since && chown -R 0:0 /var/tmp/fab-rs"
    ))
    .unwrap();
    turn(desk, "app-1").ended(9).says("by eve@afar");
    let refused = desk.fab(&["lock", "release", "-H", "app-0"]);
    refused.ended(9).says("it is not yours");
    let forced = desk.fab(&["lock", "release", "-H", "app-0", "--force"]);
    forced.ended(0).says("`turn/all` released");
    if host.login() == "deploy" {
        forced.says("through sudo: the lock is another user's there");
    }
    assert_eq!(ground.locked(), [""; 0]);
}
