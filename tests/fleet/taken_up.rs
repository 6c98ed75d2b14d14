//! What a run left is taken by another one, or undone from another process: `retry` and `rollback` as they are typed.

use std::fs;
use std::process::{Command, Stdio};

use lab::{Fleet, HostSpec};
use serde_json::Value;

use crate::desk::{Desk, Ran, Running, until};

const HOSTS: usize = 4;

struct Ground {
    fleet: Fleet,
    desk: Desk,
}

impl Ground {
    fn start(name: &str) -> Option<Self> {
        let host = |n: usize| HostSpec::new(format!("app-{n}")).role("app");
        let fleet = Fleet::builder(name).hosts((0..HOSTS).map(host));
        let fleet = fleet.start_or_skip()?;
        let desk = Desk::new(&fleet.inventory());
        Some(Self { fleet, desk })
    }

    /// Runs a line on every host.
    fn everywhere(&self, line: &str) {
        for host in self.fleet.hosts() {
            host.exec_ok(line).unwrap();
        }
    }

    fn on(&self, host: usize, line: &str) {
        self.fleet.hosts()[host].exec_ok(line).unwrap();
    }

    fn trail(&self, host: usize) -> String {
        let host = &self.fleet.hosts()[host];
        fs::read_to_string(host.path("/var/tmp/trail").unwrap()).unwrap_or_default()
    }

    fn id(&self) -> String {
        let record = self.desk.record();
        record.file_name().unwrap().to_str().unwrap().to_owned()
    }

    fn runs(&self) -> Value {
        serde_json::from_str(&self.desk.fab(&["runs", "--json"]).out()).unwrap()
    }

    /// The hosts of the newest run.
    fn hosts(&self) -> Vec<String> {
        let summary = self.desk.summary();
        summary["hosts"]
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect()
    }
}

/// How the newest run is named by what is to be typed next.
fn short(desk: &Desk) -> String {
    let record = desk.record();
    let id = record.file_name().unwrap().to_str().unwrap();
    id.rsplit('-').next().unwrap().to_owned()
}

#[test]
fn a_retry_takes_what_was_left_with_the_same_params() {
    let Some(ground) = Ground::start("retries") else {
        return;
    };
    ground.everywhere("rm -f /var/tmp/trail /var/tmp/go");
    reading(&ground);
    changing(&ground);
    typed_on_the_spot(&ground);
}

/// A task that only reads, with params from a file that is another one by then.
fn reading(ground: &Ground) {
    let desk = &ground.desk;
    let task = "task: look\nkind: read\nparams: {word: {type: string}, token: {type: string, secret: true, required: false}}\n\
                steps:\n  - run: test -e /var/tmp/go && echo {{ params.word }} seen\n";
    desk.write("tasks/look.yml", task);
    desk.write("params.yml", "{word: first, token: hushhush}\n");
    ground.on(0, "touch /var/tmp/go");
    desk.fab(&["look", "role=app", "--params-file", "params.yml"])
        .ended(1)
        .says(&format!("next: fab-rs retry {}", short(desk)));
    let first = ground.id();
    let journal = fs::read_to_string(desk.record().join("journal.jsonl")).unwrap();
    assert!(!journal.contains("hushhush"), "{journal}");
    ground.everywhere("touch /var/tmp/go");
    desk.write("params.yml", "{word: second, token: hushhush}\n");
    // From another folder: what was typed relative to that of then stays there.
    let mut command = desk.command(&["retry", "last"]);
    command.current_dir(desk.path().join("home"));
    let again = Running::of(&mut command).end();
    again
        .ended(0)
        .says("3 of its hosts are left")
        .prints("first seen");
    assert_eq!(ground.hosts(), ["app-1", "app-2", "app-3"]);
    assert_eq!(ground.runs()[0]["retries"], first);
    let end = first.rsplit('-').next().unwrap();
    desk.fab(&["runs"])
        .prints(&format!("look (retry of {end})"));
    desk.fab(&["report", "last"])
        .prints(&format!("it takes up what run {first} left"));
    desk.fab(&["retry", "last"])
        .ended(2)
        .says("is done and left no host undone");
    ground.everywhere("rm /var/tmp/go");
}

/// A change that stopped at its budget: the failed host and those whose turn did not come.
fn changing(ground: &Ground) {
    let desk = &ground.desk;
    let task = "task: turn\nkind: change\nstrategy: {batch: 1}\nsteps:\n  \
                - run: test -e /var/tmp/go; echo turned >> /var/tmp/trail\n    shell: [sh, -ec]\n";
    desk.write("tasks/turn.yml", task);
    ground.on(0, "touch /var/tmp/go");
    desk.fab(&["-y", "turn", "role=app"])
        .ended(4)
        .says(&format!("next: fab-rs resume {}", short(desk)));
    ground.everywhere("touch /var/tmp/go");
    // It asks as the task does.
    desk.fab(&["retry", "last"])
        .ended(2)
        .says("asks before it starts");
    desk.fab(&["-n", "retry", "last"]).ended(0).prints("app-3");
    assert_eq!(ground.trail(1), "");
    desk.fab(&["-y", "retry", "last"]).ended(0);
    assert_eq!(ground.hosts(), ["app-1", "app-2", "app-3"]);
    for host in 0..HOSTS {
        assert_eq!(ground.trail(host), "turned\n", "host {host}");
    }
    ground.everywhere("rm /var/tmp/go");
}

/// What was typed without a task is repeated too, as far as it is still there.
fn typed_on_the_spot(ground: &Ground) {
    let desk = &ground.desk;
    ground.on(0, "touch /var/tmp/go");
    desk.fab(&["run", "role=app", "--", "test", "-e", "/var/tmp/go"])
        .ended(1)
        .says(&format!("next: fab-rs retry {}", short(desk)));
    desk.fab(&["retry", "last"]).ended(1);
    assert_eq!(ground.hosts().len(), 3);
    ground.everywhere("touch /var/tmp/go");
    desk.fab(&["retry", "last"]).ended(0);
    desk.fab(&["get", "role=app", "--", "/var/tmp/none"])
        .ended(1);
    ground.everywhere("echo here > /var/tmp/none");
    desk.fab(&["retry", "last"]).ended(0);
    assert!(desk.record().join("files/app-3/none").exists());

    in_batches(ground);

    // Hosts that came from stdin are known by now; a script that did is not.
    let mut command = desk.command(&["-H", "-", "run", "--", "test -e /var/tmp/gone"]);
    let running = piped(&mut command, b"app-1\napp-2\n");
    running.ended(1);
    ground.everywhere("touch /var/tmp/gone");
    desk.fab(&["retry", "last"]).ended(0);
    assert_eq!(ground.hosts(), ["app-1", "app-2"]);
    let mut command = desk.command(&["run", "role=app", "--", "-"]);
    let ran = piped(&mut command, b"exit 3\n");
    ran.ended(1);
    assert!(!ran.err().contains("fab-rs retry"), "{}", ran.all());
    desk.fab(&["retry", "last"])
        .ended(2)
        .says("came from stdin and is not kept");
}

/// A change that was typed on the spot goes on after a pause.
fn in_batches(ground: &Ground) {
    let desk = &ground.desk;
    ground.everywhere("rm -f /var/tmp/trail");
    let line = "echo once >> /var/tmp/trail; sleep 1";
    let running = desk.start(&["-y", "run", "--batch", "1", "role=app", "--", line]);
    until("the first host works", || ground.trail(0) == "once\n");
    running.signal("INT");
    running
        .end()
        .ended(130)
        .says(&format!("next: fab-rs resume {}", short(desk)));
    desk.fab(&["runs", "last"]).ended(0).prints("paused");
    assert_eq!(ground.trail(3), "");
    desk.fab(&["-y", "resume", "last"]).ended(0);
    for host in 0..HOSTS {
        assert_eq!(ground.trail(host), "once\n", "host {host}");
    }
}

/// Runs a command to its end, with this on its stdin.
fn piped(command: &mut Command, text: &[u8]) -> Ran {
    let mut running = Running::of(command.stdin(Stdio::piped()));
    running.type_in(text);
    running.close_stdin();
    running.end()
}

/// Runs fab-rs at a terminal of its own, where this is answered once it asks.
fn at_a_terminal(ground: &Ground, words: &str, answer: &str) -> Ran {
    let inventory = ground.fleet.inventory();
    let program = env!("CARGO_BIN_EXE_fab-rs");
    let line = format!("{program} -I {} {words}", inventory.display());
    let mut command = Command::new("script");
    ground.desk.surround(&mut command);
    command.args(["-qec", &line, "/dev/null"]);
    command.stdin(Stdio::piped());
    let mut running = Running::of(&mut command);
    running.until_it_says("[y/n]");
    running.type_in(format!("{answer}\n").as_bytes());
    running.end()
}

/// A change whose rollback fails where a file says so.
const UNDO: &str = "task: turn
kind: change
strategy: {batch: 2}
steps:
  - run: echo turned >> /var/tmp/trail; while test -e /var/tmp/wait; do sleep 0.1; done
    resume: rerun
rollback:
  - run: |
      test ! -e /var/tmp/stuck || exit 3
      echo undone >> /var/tmp/trail
";

#[test]
fn what_a_run_did_another_process_undoes() {
    let Some(ground) = Ground::start("undoing") else {
        return;
    };
    ground.everywhere("rm -f /var/tmp/trail /var/tmp/stuck /var/tmp/wait");
    done(&ground);
    cut_off(&ground);
    cut_off_on_the_way_back(&ground);
    without_steps(&ground);
}

/// It asks first; hosts that fail are left, and taken alone by the next one.
fn done(ground: &Ground) {
    let desk = &ground.desk;
    desk.write("tasks/turn.yml", UNDO);
    desk.fab(&["-y", "turn", "role=app"]).ended(0);
    let journal = fs::read(desk.record().join("journal.jsonl")).unwrap();
    desk.fab(&["rollback", "last"])
        .ended(2)
        .says("is undone on app-[0-3] (4)")
        .says("there is no terminal to ask at");
    desk.fab(&["-n", "rollback", "last"])
        .ended(0)
        .says("app-[0-3] (4)");
    assert_eq!(
        fs::read(desk.record().join("journal.jsonl")).unwrap(),
        journal
    );
    assert_eq!(ground.trail(0), "turned\n");

    let no = at_a_terminal(ground, "rollback last", "n");
    assert_eq!(no.status, 4, "{}", no.all());
    assert!(no.out().contains("nothing was rolled back"), "{}", no.all());
    assert_eq!(
        fs::read(desk.record().join("journal.jsonl")).unwrap(),
        journal
    );

    ground.on(2, "touch /var/tmp/stuck");
    let yes = at_a_terminal(ground, "rollback last", "y");
    assert_eq!(yes.status, 6, "{}", yes.all());
    assert!(
        yes.out().contains("roll back 4 hosts? [y/n]"),
        "{}",
        yes.all()
    );
    desk.fab(&["report", "last"])
        .ended(0)
        .prints(&format!("next: fab-rs rollback {}", ground.id()));
    assert_eq!(desk.summary()["state"], "rollback_failed");
    assert_eq!(
        ground.runs()[0]["next"][0],
        format!("fab-rs rollback {}", ground.id())
    );
    desk.fab(&["-y", "retry", "last"])
        .ended(2)
        .says("is rollback_failed and cannot be retried");
    ground.on(2, "rm /var/tmp/stuck");
    desk.fab(&["-y", "rollback", "last"])
        .ended(5)
        .says("is undone on app-2 (1)");
    for host in 0..HOSTS {
        assert_eq!(ground.trail(host), "turned\nundone\n", "host {host}");
    }
    let summary = desk.summary();
    assert_eq!(summary["state"], "rolled_back");
    for host in summary["hosts"].as_object().unwrap().values() {
        assert_eq!(host["rollback"], "done", "{summary}");
    }
    desk.fab(&["-y", "rollback", "last"])
        .ended(2)
        .says("is rolled_back and cannot be rolled back");
    // Forward again is a new run, of every host that is as before.
    desk.fab(&["-y", "retry", "last"]).ended(0);
    assert_eq!(ground.trail(3), "turned\nundone\nturned\n");
    ground.everywhere("rm /var/tmp/trail");
}

/// A run that was killed in mid-batch: what it began is undone, what it did not is left alone.
fn cut_off(ground: &Ground) {
    let desk = &ground.desk;
    ground.everywhere("touch /var/tmp/wait");
    let running = desk.start(&["-y", "turn", "role=app"]);
    until("the first batch works", || {
        (0..2).all(|host| ground.trail(host) == "turned\n")
    });
    running.signal("KILL");
    running.end();
    ground.everywhere("rm -f /var/tmp/wait");
    desk.fab(&["-y", "rollback", "--json", "last"]).ended(5);
    let events = fs::read_to_string(desk.record().join("events.jsonl")).unwrap();
    assert!(events.contains("\"rollback_started\""), "{events}");
    for host in 0..2 {
        assert_eq!(ground.trail(host), "turned\nundone\n", "host {host}");
    }
    assert_eq!(
        (ground.trail(2), ground.trail(3)),
        (String::new(), String::new())
    );
    let report = desk.fab(&["report", "last", "--json"]).out();
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!(
        (&report["exit"], &report["state"]),
        (&5.into(), &"rolled_back".into())
    );
}

/// A rollback that was killed in a step that asks: where nobody can answer, nothing is touched.
fn cut_off_on_the_way_back(ground: &Ground) {
    let desk = &ground.desk;
    let (forward, _) = UNDO.split_once("rollback:").unwrap();
    let undo = "rollback:\n  - run: while test -e /var/tmp/wait; do sleep 0.1; done; echo undone >> /var/tmp/trail\n    id: undo\n    resume: ask\n";
    desk.write("tasks/turn.yml", format!("{forward}{undo}"));
    ground.everywhere("rm -f /var/tmp/trail");
    desk.fab(&["-y", "turn", "role=app"]).ended(0);
    // The newest success comes first: of the first batch one host is held.
    let held = HOSTS - 1;
    ground.on(held, "touch /var/tmp/wait");
    let undoing = desk.start(&["-y", "rollback", "last"]);
    until("its neighbour is back, and that is told", || {
        let events = fs::read_to_string(desk.record().join("events.jsonl"));
        events.is_ok_and(|events| events.contains("\"host_rolled_back\""))
    });
    undoing.signal("KILL");
    undoing.end();
    ground.on(held, "rm /var/tmp/wait");
    told_as_cut_off(ground);
    let journal = || fs::read(desk.record().join("journal.jsonl")).unwrap();
    let before = journal();
    for words in [&["resume", "last"][..], &["-y", "rollback", "last"]] {
        desk.fab(words)
            .ended(10)
            .says("step `undo` on app-3 was interrupted")
            .says("nothing was run");
        assert_eq!(journal(), before, "{words:?}");
    }
    given_up_on_the_way_back(ground);
}

/// What was cut off in its rollback is neither done nor undone: that is said, and a retry takes it.
fn given_up_on_the_way_back(ground: &Ground) {
    let desk = &ground.desk;
    let aborted = desk.fab(&["abort", "last"]);
    aborted.ended(0);
    aborted.says("app-3 is half done in its rollback: whether step `undo` finished is not known\n");
    assert!(!aborted.all().contains("app-0 is"), "{}", aborted.all());
    let next = format!("fab-rs retry {}", ground.id());
    assert_eq!(ground.runs()[0]["next"][0], next);
    desk.fab(&["report", "last"]).ended(0).prints(&next);
    desk.fab(&["-n", "retry", "last"])
        .ended(0)
        .says("2 of its hosts are left, app-3 of them half rolled back");
    desk.fab(&["-y", "retry", "last"]).ended(0);
    assert_eq!(ground.hosts(), ["app-2", "app-3"]);
}

/// Without a summary the record still says which hosts are back, and by what it goes on.
fn told_as_cut_off(ground: &Ground) {
    let told = ground.desk.fab(&["report", "last"]).out();
    for line in [
        "rolled back: app-2 (1)\n",
        "half rolled back: app-3 (1)\n",
        "still as the run left them: app-[0-1] (2)\n",
    ] {
        assert!(told.contains(line), "{told}");
    }
    let next = format!("fab-rs rollback {}", ground.id());
    assert_eq!(ground.runs()[0]["next"][0], next, "{told}");
}

/// What has no way back is refused with its reason.
fn without_steps(ground: &Ground) {
    let desk = &ground.desk;
    let (task, _) = UNDO.split_once("rollback:").unwrap();
    desk.write("tasks/turn.yml", task);
    desk.fab(&["-y", "turn", "role=app"]).ended(0);
    desk.fab(&["-y", "rollback", "last"])
        .ended(2)
        .says("can be rolled back")
        .says("has no `rollback:` steps: what it did stays on app-[0-3] (4)");
    let aborted = desk.fab(&["abort", "--json", "last"]);
    aborted.ended(2).says("is done and cannot be aborted");
}
