//! What is left of commands that were ended: hosts are asked, and the summary names those where something is left, or
//! that could not be asked, and no others.

use lab::{Fleet, Host, HostSpec};
use serde_json::Value;

use crate::desk::{Desk, PATIENCE, Ran, until, within};

/// What is said at the first signal.
const FIRST: &str = "nothing new is started";

struct Ground {
    fleet: Fleet,
}

impl Ground {
    fn host(&self, name: &str) -> &Host {
        self.fleet.host(name)
    }

    fn desk(&self) -> Desk {
        Desk::new(&self.fleet.inventory())
    }

    fn runs(&self, name: &str, text: &str) -> bool {
        !self.host(name).processes_like(text).is_empty()
    }

    /// Ends what a test left on purpose.
    fn tidy(&self, name: &str, text: &str) {
        let host = self.host(name);
        // The shell that runs this is not meant.
        let (first, rest) = text.split_at(1);
        let line = format!("pkill -KILL -f '[{first}]{rest}'");
        host.exec_ok(&line).unwrap();
        let gone = within(PATIENCE, || host.processes_like(text).is_empty());
        assert!(gone, "{:#?}", host.processes());
    }
}

fn of<'a>(summary: &'a Value, host: &str) -> &'a Value {
    &summary["hosts"][host]
}

fn left(summary: &Value, host: &str) -> Vec<String> {
    let left = of(summary, host)["left"].as_array().into_iter().flatten();
    left.map(|line| line.as_str().unwrap().to_owned()).collect()
}

/// The command that the summary proposes, run.
fn checked(desk: &Desk, ran: &Ran) -> Ran {
    let err = ran.err();
    let line = err
        .lines()
        .find_map(|line| line.trim().strip_prefix("check with: fab-rs "));
    let words = shlex::split(line.unwrap_or_else(|| panic!("{}", ran.all()))).unwrap();
    desk.fab(&words.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn what_is_left_is_asked_and_named() {
    let hosts = ["app-0", "app-1"].map(|name| HostSpec::new(name).role("app"));
    let Some(fleet) = Fleet::builder("left").hosts(hosts).start_or_skip() else {
        return;
    };
    let ground = Ground { fleet };
    stubborn(&ground);
    escaped(&ground, false);
    escaped(&ground, true);
    somebody_elses(&ground);
    silent(&ground);
    cut(&ground);
}

/// What heeds no TERM dies by KILL: nothing is left, nothing is listed.
fn stubborn(ground: &Ground) {
    let desk = ground.desk();
    let words = [
        "-H",
        "app-0,app-1",
        "--",
        "trap '' TERM; sleep 600 & while :; do wait; sleep 1; done",
    ];
    let running = desk.start(&words);
    until("both sleep", || {
        ground.runs("app-0", "sleep 600") && ground.runs("app-1", "sleep 600")
    });
    running.signal("INT");
    running.until_it_says(FIRST);
    running.signal("INT");
    let ran = running.end();
    ran.ended(130);
    assert!(!ran.err().contains("still be running"), "{}", ran.all());
    assert!(!ground.runs("app-0", "sleep 600"));
    let log = std::fs::read_to_string(desk.record().join("hosts/app-0.log")).unwrap();
    assert!(log.contains("asked what is left of it: nothing"), "{log}");
}

/// What went into a session of its own is not ended, and is named; as root too.
fn escaped(ground: &Ground, sudo: bool) {
    let desk = ground.desk();
    let step = "[ $(hostname) = app-1 ] || setsid sleep 601 </dev/null >/dev/null 2>&1 & sleep 600";
    let mut words = vec!["-T", "2", "-H", "app-0,app-1"];
    words.extend(sudo.then_some("--sudo"));
    words.extend(["--", step]);
    let ran = desk.fab(&words);
    ran.ended(1)
        .says("it was ended, and left running: ")
        .says("may still be running on app-0 (step ")
        .says("  left on app-0: ");
    let summary = desk.summary();
    let found = left(&summary, "app-0");
    assert!(
        found.len() == 1 && found[0].ends_with(" sleep 601"),
        "{found:?}"
    );
    assert_eq!(of(&summary, "app-0")["may_still_run"], true);
    assert_eq!(of(&summary, "app-1")["may_still_run"], false, "{summary:#}");
    assert!(ground.runs("app-0", "sleep 601"), "it is left alone");
    let check = checked(&desk, &ran);
    assert!(
        check.ended(0).out().contains("sleep 601"),
        "{}",
        check.all()
    );
    ground.tidy("app-0", "sleep 601");
}

/// What a step started through sudo by itself is not ours to end.
fn somebody_elses(ground: &Ground) {
    let desk = ground.desk();
    let step = "sudo -n sh -c 'trap \"\" TERM; while :; do sleep 602; done'";
    let ran = desk.fab(&["-T", "2", "-H", "app-0", "--", step]);
    ran.ended(1);
    let summary = desk.summary();
    let found = left(&summary, "app-0").join("\n");
    assert!(found.contains("sleep 602"), "{}", ran.all());
    assert_eq!(of(&summary, "app-0")["may_still_run"], true);
    ground.tidy("app-0", "sleep 602");
}

/// A host that answers nothing cannot be asked, and is listed; the other is not.
fn silent(ground: &Ground) {
    let desk = ground.desk();
    let running = desk.start(&["-H", "app-0,app-1", "--", "sleep 600"]);
    until("both sleep", || {
        ground.runs("app-0", "sleep 600") && ground.runs("app-1", "sleep 600")
    });
    ground.host("app-1").freeze();
    running.signal("INT");
    running.until_it_says(FIRST);
    running.signal("INT");
    let ran = running.end();
    ground.host("app-1").thaw();
    ran.ended(130).says("may still be running on app-1 (step ");
    let summary = desk.summary();
    assert_eq!(of(&summary, "app-0")["may_still_run"], false, "{summary:#}");
    assert_eq!(of(&summary, "app-1")["may_still_run"], true, "{summary:#}");
    let log = std::fs::read_to_string(desk.record().join("hosts/app-1.log")).unwrap();
    assert!(
        log.contains("it could not be asked what is left of it: "),
        "{log}"
    );
    let gone = within(PATIENCE, || !ground.runs("app-1", "sleep 600"));
    assert!(gone, "its supervisor ends it once it can");
}

/// A connection that dies while a command is ended: the host is asked over another.
fn cut(ground: &Ground) {
    let desk = ground.desk();
    let step = "trap '' TERM; sleep 603 & while :; do wait; sleep 1; done";
    let running = desk.start(&["-H", "app-0", "--", step]);
    until("it sleeps", || ground.runs("app-0", "sleep 603"));
    running.signal("INT");
    running.until_it_says(FIRST);
    running.signal("INT");
    // The supervisor gives it two seconds.
    running.until_it_says("ending the remote processes");
    ground.host("app-0").drop_connections();
    let ran = running.end();
    ran.ended(130);
    assert!(!ran.err().contains("still be running"), "{}", ran.all());
    assert_eq!(of(&desk.summary(), "app-0")["may_still_run"], false);
    assert!(!ground.runs("app-0", "sleep 603"));
}
