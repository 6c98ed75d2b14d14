//! Who did what: the audit log beside the records, and the line in the syslog of each host that was changed.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use lab::{Fleet, Host, HostSpec};
use serde_json::Value;

use crate::desk::{Desk, until};

/// A change with something to undo, and with params that must not be found anywhere.
const TASK: &str = r#"
task: turn
kind: change
params:
  token: {type: string, secret: true}
  db_password: {type: string, default: unknown}
  code: {type: int, default: 0}
strategy: {by: flat, batch: 2}
on_failure: rollback_batch
steps:
  - run: "true"
    read_only: true
  - run: exit {{ params.code }}
    name: "turn it\nuser=root"
rollback:
  - run: "true"
"#;

/// What the host's own syslog would get: a socket at its `/dev/log`, in a `/dev` of its own.
fn syslog_of(host: &Host) -> UnixDatagram {
    host.exec_ok(
        "mkdir -p /var/tmp/dev; mount -t tmpfs none /var/tmp/dev; cd /var/tmp/dev; \
         for name in null zero full random urandom tty ptmx; do touch $name; mount --bind /dev/$name $name; done; \
         ln -s /proc/self/fd fd; mount --move /var/tmp/dev /dev",
    )
    .unwrap();
    let path = host.path("/dev/log").unwrap();
    let socket = UnixDatagram::bind(&path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_millis(500)))
        .unwrap();
    socket
}

/// The messages that came, without priority and time.
fn messages(socket: &UnixDatagram) -> Vec<String> {
    let (mut found, mut bytes) = (Vec::new(), [0; 4096]);
    while let Ok(length) = socket.recv(&mut bytes) {
        let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
        let at = text.find("fab-rs: ").unwrap_or_else(|| panic!("{text}"));
        found.push(text[at..].to_owned());
    }
    found
}

fn audit_of(desk: &Desk) -> Vec<Value> {
    let text = fs::read_to_string(desk.path().join("state/audit.jsonl")).unwrap();
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn run_of(desk: &Desk) -> String {
    desk.summary()["run"].as_str().unwrap().to_owned()
}

#[test]
fn it_is_kept_who_did_what() {
    let host = |name: &str| HostSpec::new(name).role("app");
    let hosts = [host("app-0"), host("app-1")];
    let Some(fleet) = Fleet::builder("audit").hosts(hosts).start_or_skip() else {
        return;
    };
    let desk = Desk::new(&fleet.inventory());
    desk.write("tasks/turn.yml", TASK);
    desk.write("secret.yml", "token: hunter22\n");
    let socket = syslog_of(fleet.host("app-0"));
    let without = "mount --bind /dev/null \"$(command -v logger)\"";
    fleet.host("app-1").exec_ok(without).unwrap();
    changed(&desk, &socket);
    looked_at(&desk, &socket);
    undone(&desk, &socket);
    only_read(&desk, &socket);
    killed_and_resumed(&desk, &fleet);
    unwritable(&desk);
}

/// A change: its lines here, and the one on the host. The other host has no `logger`, which is no trouble.
fn changed(desk: &Desk, socket: &UnixDatagram) {
    let words = [
        "-y",
        "turn",
        "role=app",
        "--params-file",
        "secret.yml",
        "db_password=hunter33",
    ];
    let mut command = desk.command(&words);
    command
        .env("USER", "ann")
        .env("SSH_CLIENT", "192.0.2.7 50022 22")
        .env("SUDO_USER", "bob");
    let ran = crate::desk::Running::of(&mut command).end();
    ran.ended(0);
    let lines = audit_of(desk);
    assert_eq!(lines.len(), 2, "{lines:#?}");
    let (start, end) = (&lines[0], &lines[1]);
    let run = run_of(desk);
    for (key, value) in [
        ("event", "run_started"),
        ("run", run.as_str()),
        ("action", "run"),
        ("task", "turn"),
        ("kind", "change"),
        ("user", "ann"),
        ("sudo_user", "bob"),
        ("ssh_client", "192.0.2.7"),
        ("cwd", desk.path().to_str().unwrap()),
        ("version", env!("CARGO_PKG_VERSION")),
    ] {
        assert_eq!(start[key], value, "{key}: {start:#}");
    }
    assert_eq!(start["task_hash"].as_str().unwrap().len(), 64);
    assert_eq!(start["params"]["db_password"], "***");
    assert_eq!(start["params"]["code"], 0);
    assert_eq!(start["host_count"], 2);
    assert_eq!(start["selection"][0], "role=app");
    let ends = ["run_ended", "done"].map(Value::from);
    assert_eq!([&end["event"], &end["state"]], [&ends[0], &ends[1]]);
    assert_eq!((&end["exit"], &end["counts"]["ok"]), (&0.into(), &2.into()));
    let path = desk.path().join("state/audit.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    assert!(!text.contains("hunter"), "{text}");
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    told(desk, &messages(socket), start);
    assert!(!ran.all().contains("syslog has no line"), "{}", ran.all());
}

/// The line on the one host, and the note that there is none on the other.
fn told(desk: &Desk, said: &[String], start: &Value) {
    assert_eq!(said.len(), 1, "{said:?}");
    let word = |key: &str| start[key].as_str().unwrap().to_owned();
    let run = format!("run={}", word("run"));
    for part in [
        "user=ann",
        &run,
        "task=turn",
        "outcome=ok",
        &word("controller"),
    ] {
        assert!(said[0].contains(part), "{said:?}");
    }
    let log = desk.record().join("hosts/app-1.log");
    let log = fs::read_to_string(log).unwrap();
    let note = "note| the host's syslog has no line: ";
    assert!(log.contains(note), "{log}");
}

/// The plan says that the line will be written; a look before the change writes none.
fn looked_at(desk: &Desk, socket: &UnixDatagram) {
    let more = ["turn", "role=app", "--params-file", "secret.yml"];
    let shown = desk.fab(&[&["plan"][..], &more].concat());
    assert!(shown.ended(0).out().contains("`logger -t fab-rs`"));
    desk.fab(&[&["plan", "--probe"][..], &more].concat())
        .ended(0);
    assert_eq!(messages(socket), [""; 0]);
    assert_eq!(audit_of(desk).len(), 2, "nothing ran");
}

/// Hosts that fail are told, and so are those that are rolled back; nobody writes a second line into a syslog.
fn undone(desk: &Desk, socket: &UnixDatagram) {
    let words = [
        "-y",
        "turn",
        "role=app",
        "--params-file",
        "secret.yml",
        "code=3",
    ];
    desk.fab(&words).ended(5);
    let said = messages(socket);
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(
        said[0].contains(r#"outcome=failed step="turn it user=root""#),
        "{said:?}"
    );
    assert!(said[1].contains("rollback=done"), "{said:?}");
    let lines = audit_of(desk);
    assert_eq!(lines[3]["state"], "rolled_back", "{lines:#?}");
    assert_eq!(lines[3]["exit"], 5);
}

/// What is typed on the spot is audited with its words, and no host's syslog is bothered.
fn only_read(desk: &Desk, socket: &UnixDatagram) {
    let words = ["run", "role=app", "--", "true --password hunter22"];
    desk.fab(&words).ended(0);
    assert_eq!(messages(socket), [""; 0]);
    let lines = audit_of(desk);
    assert_eq!(lines[4]["kind"], "read");
    assert_eq!(lines[4]["command"], "true --password ***");
    assert_eq!(lines.len(), 6);
}

/// A run that dies has a start without an end; who takes it up has both.
fn killed_and_resumed(desk: &Desk, fleet: &Fleet) {
    desk.write(
        "tasks/slow.yml",
        "task: slow\nkind: change\nstrategy: {batch: 2}\nsteps:\n  - run: touch /var/tmp/begun; \
         while ! test -e /var/tmp/go; do sleep 0.1; done\n    resume: rerun\n",
    );
    let running = desk.start(&["-y", "slow", "role=app"]);
    let hosts = fleet.hosts();
    until("the step runs", || {
        let mut hosts = hosts.iter();
        hosts.all(|host| host.path("/var/tmp/begun").unwrap().exists())
    });
    running.signal("KILL");
    running.end();
    for host in hosts {
        host.exec_ok("touch /var/tmp/go").unwrap();
    }
    assert_eq!(audit_of(desk).len(), 7);
    desk.fab(&["resume", "last"]).ended(0);
    desk.fab(&["abort", "last"]).ended(2);
    let lines = audit_of(desk);
    let told = lines[6..].iter().map(|line| {
        let word = |key: &str| line[key].as_str().unwrap_or("").to_owned();
        format!("{} {} {}", word("action"), word("event"), word("state"))
    });
    assert_eq!(
        told.collect::<Vec<_>>(),
        [
            "run run_started ",
            "resume run_started ",
            "resume run_ended done",
            "abort run_started ",
            "abort run_ended refused"
        ]
    );
    assert!(lines[6..].iter().all(|line| line["run"] == lines[6]["run"]));
}

/// A log that cannot be written is warned of, and stands in nobody's way.
fn unwritable(desk: &Desk) {
    let path = desk.path().join("state/audit.jsonl");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    let ran = desk.fab(&["-y", "turn", "role=app", "--params-file", "secret.yml"]);
    ran.ended(0).says("warning: cannot write the audit log");
    let said = ran.err();
    let warned = said.find("this run is not in it").expect("it is warned of");
    assert!(warned < said.find("summary: ").unwrap(), "{said}");
}
