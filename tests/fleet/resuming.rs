//! A run whose process is killed goes on in another: what was done stays, what was cut off follows its `resume`.

use std::fs;

use lab::{Fleet, HostSpec};

use crate::desk::{Desk, Ran, until};

const HOSTS: usize = 4;

/// Each step leaves a line on its host; the second one waits for a file before it does.
const TASK: &str = r"
task: slow
kind: change
strategy: {batch: 2}
steps:
  - run: echo first >> /var/tmp/trail
    resume: RESUME
  - run: |
      echo begun >> /var/tmp/trail
      while ! test -e /var/tmp/go; do sleep 0.1; done
      echo second >> /var/tmp/trail
    id: second
    resume: RESUME
    read_only: false
";

struct Ground {
    fleet: Fleet,
    desk: Desk,
}

impl Ground {
    fn new(fleet: Fleet, resume: &str) -> Self {
        let desk = Desk::new(&fleet.inventory());
        desk.write("tasks/slow.yml", TASK.replace("RESUME", resume));
        for host in fleet.hosts() {
            host.exec_ok("rm -f /var/tmp/trail /var/tmp/go").unwrap();
        }
        Self { fleet, desk }
    }

    fn go(&self, hosts: std::ops::Range<usize>) {
        for host in &self.fleet.hosts()[hosts] {
            host.exec_ok("touch /var/tmp/go; chmod 666 /var/tmp/go")
                .unwrap();
        }
    }

    fn trail(&self, host: usize) -> String {
        let host = &self.fleet.hosts()[host];
        fs::read_to_string(host.path("/var/tmp/trail").unwrap()).unwrap_or_default()
    }

    fn begun(&self, hosts: std::ops::Range<usize>) {
        until("the second step runs", || {
            hosts.clone().all(|host| self.trail(host).contains("begun"))
        });
    }

    fn fab(&self, words: &[&str]) -> Ran {
        self.desk.fab(words)
    }
}

#[test]
fn a_killed_run_goes_on_where_it_was() {
    let host = |n: usize| HostSpec::new(format!("app-{n}")).role("app");
    let started = Fleet::builder("resuming").hosts((0..HOSTS).map(host));
    let Some(fleet) = started.start_or_skip() else {
        return;
    };
    let ground = killed_and_resumed(Ground::new(fleet, "rerun"));
    let ground = alive(Ground::new(ground.fleet, "rerun"));
    let ground = Ground::new(ground.fleet, "ask");
    asked(&ground);
    undone(&Ground::new(ground.fleet, "rerun"));
}

fn killed_and_resumed(ground: Ground) -> Ground {
    ground.go(0..2);
    let running = ground.desk.start(&["-y", "slow", "role=app"]);
    ground.begun(2..4);
    running.signal("KILL");
    running.end();
    ground.go(2..4);
    ground.fab(&["resume", "last"]).ended(0);
    for host in 0..2 {
        assert_eq!(ground.trail(host), "first\nbegun\nsecond\n", "host {host}");
    }
    for host in 2..4 {
        let trail = ground.trail(host);
        assert_eq!(trail, "first\nbegun\nbegun\nsecond\n", "host {host}");
    }
    assert_eq!(ground.desk.summary()["counts"]["ok"], HOSTS);
    ground
        .fab(&["resume", "last"])
        .ended(2)
        .says("is done and cannot be resumed");
    ground
        .fab(&["retry", "last"])
        .ended(2)
        .says("left no host undone");
    ground
}

/// A run that lives is nobody else's; `abort` ends it.
fn alive(ground: Ground) -> Ground {
    let running = ground.desk.start(&["-y", "slow", "role=app"]);
    ground.begun(0..2);
    ground.fab(&["resume", "last"]).ended(9).says("is alive");
    ground.fab(&["abort", "last"]).ended(0);
    running.end().ended(143);
    ground.fab(&["abort", "last"]).ended(0).says("is half done");
    ground.fab(&["resume", "last"]).ended(2).says("is aborted");
    ground
}

/// Where nobody can say whether a step finished, nothing is guessed.
fn asked(ground: &Ground) {
    let running = ground.desk.start(&["-y", "slow", "role=app"]);
    ground.begun(0..2);
    running.signal("KILL");
    running.end();
    ground
        .fab(&["resume", "last"])
        .ended(10)
        .says("step `second` on app-");
    assert_eq!(ground.trail(0), "first\nbegun\n");
    ground.desk.write(
        "tasks/slow.yml",
        TASK.replace("RESUME", "rerun")
            .replace("echo second", "echo other"),
    );
    ground
        .fab(&["resume", "last"])
        .ended(7)
        .says("is not what it was");
    ground.go(0..4);
    ground.fab(&["resume", "last", "--accept-changed"]).ended(0);
    assert_eq!(ground.trail(0), "first\nbegun\nbegun\nother\n");
    assert_eq!(ground.trail(3), "first\nbegun\nother\n");
}

/// What a run did, another process undoes; and where that is killed, a third one.
fn undone(ground: &Ground) {
    let undo = "rollback:\n  - run: echo undone >> /var/tmp/trail\n";
    ground
        .desk
        .write("tasks/slow.yml", TASK.replace("RESUME", "rerun") + undo);
    ground.go(0..4);
    ground.fab(&["-y", "slow", "role=app"]).ended(0);
    ground.fab(&["rollback", "last"]).ended(5);
    for host in 0..4 {
        assert_eq!(ground.trail(host), "first\nbegun\nsecond\nundone\n");
    }
    ground
        .fab(&["rollback", "last"])
        .ended(2)
        .says("is rolled_back and cannot be rolled back");
}
