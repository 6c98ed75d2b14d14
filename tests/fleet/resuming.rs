//! A run whose process is killed goes on in another: what was done stays, what was cut off follows its `resume`.

use std::fs;
use std::path::Path;

use lab::{Fleet, HostSpec};
use serde_json::Value;

use crate::desk::{Desk, Ran, json, until};

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
    let ground = Ground::new(ground.fleet, "rerun");
    refused_untouched(&ground);
    came_and_went(&Ground::new(ground.fleet, "rerun"));
}

/// Every event that was kept.
fn events(record: &Path) -> Vec<Value> {
    let text = fs::read_to_string(record.join("events.jsonl")).unwrap();
    let event = |line: &str| serde_json::from_str(line).unwrap();
    text.lines().map(event).collect()
}

/// What is on disk of a run, but for its hosts.
fn files(record: &Path) -> Vec<(String, Vec<u8>)> {
    let names = ["plan.json", "journal.jsonl", "events.jsonl", "summary.json"];
    let read = |name: &str| {
        (
            name.to_owned(),
            fs::read(record.join(name)).unwrap_or_default(),
        )
    };
    names.map(read).to_vec()
}

fn killed_and_resumed(ground: Ground) -> Ground {
    ground.go(0..2);
    let running = ground.desk.start(&["-y", "slow", "role=app"]);
    ground.begun(2..4);
    running.signal("KILL");
    running.end();
    let runs = ground.fab(&["runs", "--json"]).out();
    let runs: Value = serde_json::from_str(&runs).unwrap();
    assert_eq!(runs[0]["state"], "interrupted");
    let id = runs[0]["run"].as_str().unwrap();
    assert_eq!(runs[0]["next"][0], format!("fab-rs resume {id}"));
    ground
        .fab(&["report", "last"])
        .ended(0)
        .prints(&format!("next: fab-rs resume {id}"));
    // A dry run says what is left, and leaves it so.
    let before = files(&ground.desk.record());
    ground
        .fab(&["-n", "resume", "last"])
        .ended(0)
        .says("2 half done, 2 done")
        .prints("2 hosts of 4");
    let dry = ground.fab(&["-n", "resume", "last"]).out();
    assert!(
        dry.contains("app-[2-3]") && !dry.contains("app-[0-1]"),
        "{dry}"
    );
    let runs = ground.fab(&["runs"]);
    runs.prints("2 succeeded, 2 half done");
    assert_eq!(files(&ground.desk.record()), before);
    ground.go(2..4);
    let id_end = id.rsplit('-').next().unwrap();
    ground.fab(&["resume", id_end]).ended(0);
    one_story(&ground);
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

/// What two processes did is told as one run.
fn one_story(ground: &Ground) {
    let record = ground.desk.record();
    let events = events(&record);
    let numbers: Vec<u64> = events.iter().map(|e| e["seq"].as_u64().unwrap()).collect();
    assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
    let times: Vec<u64> = events
        .iter()
        .map(|e| e["elapsed_ms"].as_u64().unwrap())
        .collect();
    assert!(times.is_sorted(), "{times:?}");
    let begun = events.iter().filter(|e| e["kind"] == "run_started");
    assert_eq!(begun.count(), 2);
    let summary = ground.desk.summary();
    assert_eq!(summary["state"], "done");
    assert!(summary["started"].as_str() <= events[0]["time"].as_str());
    for host in summary["hosts"].as_object().unwrap().values() {
        assert!(host["duration_ms"].as_u64() > Some(0), "{host}");
    }
    let report = ground.fab(&["report", "last", "--json"]).out();
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!(
        (&report["state"], &report["counts"]["ok"]),
        (&"done".into(), &HOSTS.into())
    );
    ground
        .fab(&["report", "last"])
        .ended(0)
        .prints("done, exit 0")
        .prints("summary: 4 succeeded");
    let logs = ground.fab(&["logs", "last", "app-2"]);
    logs.says("app-2: the run goes on in another process 20");
}

/// A run that lives is nobody else's; `abort` ends it.
fn alive(ground: Ground) -> Ground {
    let running = ground.desk.start(&["-y", "slow", "role=app"]);
    ground.begun(0..2);
    ground.fab(&["-n", "abort", "last"]).ended(0);
    ground.fab(&["resume", "last"]).ended(9).says("is alive");
    ground
        .fab(&["abort", "last"])
        .ended(0)
        .says("is half done")
        .says("is aborted");
    running.end().ended(143);
    ground.fab(&["abort", "last"]).ended(2).says("is aborted");
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
        .says("is not what it was")
        .says("-      echo second >> /var/tmp/trail")
        .says("+      echo other >> /var/tmp/trail")
        .says("`--accept-changed` goes on");
    ground.go(0..4);
    ground
        .fab(&["resume", "last", "--accept-changed"])
        .ended(0)
        .says("+      echo other >> /var/tmp/trail");
    assert_eq!(ground.trail(0), "first\nbegun\nbegun\nother\n");
    assert_eq!(ground.trail(3), "first\nbegun\nother\n");
}

/// A question that nobody would answer refuses the run before anything of its record is touched.
fn refused_untouched(ground: &Ground) {
    let gates = "strategy: {batch: 2, confirm: [start, batch]}";
    let task = TASK.replace("RESUME", "rerun");
    let task = task.replace("strategy: {batch: 2}", gates);
    ground.desk.write("tasks/slow.yml", task);
    let running = ground.desk.start(&["--yes=all", "slow", "role=app"]);
    ground.begun(0..2);
    running.signal("KILL");
    running.end();
    let before = files(&ground.desk.record());
    ground
        .fab(&["-y", "resume", "last"])
        .ended(2)
        .says("after each batch")
        .says("nothing was run");
    assert_eq!(files(&ground.desk.record()), before);
    ground.go(0..4);
    ground.fab(&["--yes=all", "resume", "last"]).ended(0);
    assert_eq!(ground.trail(0), "first\nbegun\nbegun\nsecond\n");
}

/// What is proposed about the lock on a host that went.
fn release_of_app_1(desk: &Desk) -> String {
    let inventory = desk.inventory();
    format!("fab-rs lock release -I {inventory} -H app-1 --run ")
}

fn lines_without(text: &str, word: &str) -> String {
    let kept = text.lines().filter(|line| !line.contains(word));
    kept.fold(String::new(), |text, line| text + line + "\n")
}

/// An instance that is gone ends so; a new one is named, and taken where that is asked for.
fn came_and_went(ground: &Ground) {
    let all = fs::read_to_string(ground.fleet.inventory()).unwrap();
    let without = |name: &str| lines_without(&all, name);
    let desk = Desk::with_inventory(&without("app-3"));
    desk.write("tasks/slow.yml", TASK.replace("RESUME", "rerun"));
    let begin = || {
        for host in ground.fleet.hosts() {
            // A host that went took the run's lock with it; this one comes back.
            let line = "rm -rf /var/tmp/trail /var/tmp/go /var/tmp/fab-rs/locks";
            host.exec_ok(line).unwrap();
        }
        desk.write("inventory.yml", without("app-3"));
        ground.go(0..1);
        let running = desk.start(&["-y", "slow", "role=app"]);
        until("the first host is done, the second at work", || {
            ground.trail(0).contains("second") && ground.trail(1).contains("begun")
        });
        running.signal("KILL");
        running.end();
        desk.write("inventory.yml", without("app-1"));
        ground.go(0..4);
    };
    begin();
    let dry = desk.fab(&["-n", "retry", "last"]);
    dry.ended(0).says("gone since the run began: app-1");
    desk.fab(&["resume", "last"])
        .ended(1)
        .says("gone since the run began: app-1")
        .says("was interrupted during step `second`")
        .says(&release_of_app_1(&desk))
        .says("not touched: app-3")
        .says("`--include-new`");
    assert_eq!(
        (ground.trail(2).contains("second"), ground.trail(3).as_str()),
        (true, "")
    );
    let summary = desk.summary();
    // It was half done, and nobody can say what became of that.
    assert_eq!(summary["state"], "done_partial");
    assert_eq!(summary["hosts"]["app-1"]["outcome"], "unknown");
    assert_eq!(
        summary["counts"],
        serde_json::json!({"ok": 2, "unknown": 1})
    );
    desk.fab(&["report", "last"])
        .ended(0)
        .prints("is not in the inventory any more");

    begin();
    desk.fab(&["resume", "--include-new", "last"]).ended(1);
    assert_eq!(ground.trail(3), "first\nbegun\nsecond\n");
    assert_eq!(
        desk.summary()["counts"],
        serde_json::json!({"ok": 3, "unknown": 1})
    );
    let events = events(&desk.record());
    let mut batches = events.iter().rev();
    let last = batches
        .find(|event| event["kind"] == "batch_started")
        .unwrap();
    assert_eq!(last["hosts"], serde_json::json!(["app-3"]));
    let kept = json(&desk.record().join("plan.json"));
    assert_eq!(kept["population"], 3, "the plan stays as it was made");
}
