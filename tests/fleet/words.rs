//! Words that are wrong: refused before anything is connected, with the nearest right word.

use std::fmt::Write as _;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::desk::Desk;

/// Hosts that all stand behind one port of this machine, which counts who knocks.
struct Door {
    desk: Desk,
    knocks: Arc<AtomicUsize>,
}

impl Door {
    fn new() -> Self {
        let listener = TcpListener::bind("0.0.0.0:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let knocks = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&knocks);
        std::thread::spawn(move || {
            for knock in listener.incoming() {
                drop(knock);
                count.fetch_add(1, Ordering::SeqCst);
            }
        });
        let host = |number: usize, name: &str, role: &str| {
            let tags = format!("{{role: {role}, Env: prod}}");
            format!(
                "      - {{name: {name}, address: 127.0.0.{number}, zone: us-west-2a, tags: {tags}}}\n"
            )
        };
        let mut text = "version: 1\nsources:\n  - hosts:\n".to_owned();
        let hosts = [
            ("app-1", "app"),
            ("app-2", "app"),
            ("web-1", "web"),
            ("db-1", "db"),
        ];
        for (number, (name, role)) in (1..).zip(hosts) {
            text += &host(number, name, role);
        }
        let _ = writeln!(text, "ssh: {{port: {port}, host_keys: ssh, user: nobody}}");
        let desk = Desk::with_inventory(&text);
        Self { desk, knocks }
    }
}

/// What is typed, the status, and what is said.
const ROWS: &[(&[&str], i32, &[&str])] = &[
    (
        &["heapdump", "rol=app"],
        2,
        &["`rol`", "did you mean `role=app`?"],
    ),
    (
        &["heapdump", "role=wbe"],
        7,
        &[
            "`role=wbe` matches no host",
            "did you mean `role=web`?",
            "app, db, web",
        ],
    ),
    (
        &["heapdump", "role=app", "env=prd"],
        7,
        &["env=prd", "did you mean `env=prod`?"],
    ),
    (
        &["restart", "service=api"],
        2,
        &["no hosts are selected", "role=app"],
    ),
    (&["run", "--", "uptime"], 2, &["no hosts are selected"]),
    (&["run", "role=app"], 2, &["no command"]),
    (
        &["run", "-H", "-", "--", "-"],
        2,
        &["`-H -` and `-- -` both read stdin"],
    ),
    (
        &["-J-oProxyCommand=x", "run", "role=app", "--", "true"],
        2,
        &["is no bastion"],
    ),
    (
        &["-u-oProxyCommand=x", "run", "role=app", "--", "true"],
        2,
        &["is no login name"],
    ),
    (
        &["plan", "run", "role=app", "--", "true"],
        2,
        &["fab-rs run -n role=app"],
    ),
    (
        &["heapdump", "role=app", "--wrong"],
        2,
        &["fab-rs [FLAGS] heapdump [SELECTOR|name=value]…"],
    ),
    (
        &["ssh", "role=app"],
        2,
        &["one host", "fab-rs hosts role=app"],
    ),
    (
        &["heapdmp", "role=app"],
        2,
        &["no task named `heapdmp`", "did you mean `heapdump`?"],
    ),
    (
        &["heapdump", "role=app", "liv=true"],
        2,
        &["`liv`", "did you mean `live=true`?"],
    ),
    (
        &["heapdump", "role=app", "live=maybe"],
        2,
        &["`live`", "`maybe`"],
    ),
    (&["restart", "role=app"], 2, &["service"]),
    (&["run", "role~=[", "--", "true"], 2, &["role~=["]),
    (&["run", "-H", "app-1,", "--", "true"], 2, &["-H"]),
    (
        &["run", "-H", "ap-1", "role=app", "--", "true"],
        2,
        &["ap-1"],
    ),
    (
        &["run", "role=app", "-x", "rol=db", "--", "true"],
        2,
        &["rol"],
    ),
    (
        &["run", "role=app", "--limit", "0", "--", "true"],
        2,
        &["a limit of `0`"],
    ),
    (
        &["run", "role=app", "name=db-*", "--", "true"],
        7,
        &["name=db-*"],
    ),
    (
        &["run", "role=app", "-T", "soon", "--", "true"],
        2,
        &["soon"],
    ),
    (
        &["run", "role=app", "-n", "3", "--", "true"],
        2,
        &["--attempts"],
    ),
    (&["run", "role=app", "-D", "--", "true"], 2, &["-D"]),
    (&["run", "role=app", "-A", "--", "true"], 2, &["-J"]),
    (
        &["-w", "app-1,app-2", "run", "--", "true"],
        2,
        &["did you mean `-H app-1,app-2`"],
    ),
    (
        &["run", "role=app", "--fanuot", "3", "--", "true"],
        2,
        &["--fanout"],
    ),
];

#[test]
fn wrong_words_are_refused_before_anything_is_connected() {
    let door = Door::new();
    for (words, status, said) in ROWS {
        let ran = door.desk.fab(words);
        assert_eq!(ran.status, *status, "{words:?}: {}", ran.all());
        assert!(ran.stdout.is_empty(), "{words:?}: {}", ran.all());
        assert!(ran.err().starts_with("error: "), "{words:?}: {}", ran.all());
        for text in *said {
            assert!(
                ran.err().contains(text),
                "{words:?}: no `{text}` in {}",
                ran.all()
            );
        }
    }
    assert_eq!(
        door.knocks.load(Ordering::SeqCst),
        0,
        "something was connected"
    );
    assert!(
        door.desk.runs().is_empty(),
        "nothing ran, so nothing is recorded"
    );
    // The door does count.
    let right = door
        .desk
        .fab(&["--attempts", "1", "run", "role=app", "--", "true"]);
    right.ended(3);
    assert_eq!(door.knocks.load(Ordering::SeqCst), 2);
}

#[test]
fn wrong_files_are_refused_with_their_line() {
    let door = Door::new();
    let task = |name: &str, body: &str| {
        let head = format!("task: {name}\nkind: read\ntargets: role=app\n");
        door.desk.write(&format!("tasks/{name}.yml"), head + body);
    };
    task("one", "steps:\n  - rum: true\n");
    task(
        "two",
        "params: {port: {type: int}}\nsteps:\n  - run: echo {{ params.prot }}\n",
    );
    task("three", "steps:\n  - run: true\n    timout: 5s\n");
    task("four", "steps:\n  - run: \"echo '{{ host.name }}'\"\n");
    task(
        "five",
        "params: {pass: {type: string, secret: true, from: 'env:PASS'}}\nsteps:\n  - run: echo {{ params.pass }}\n",
    );
    for (name, place, said) in [
        ("one", "tasks/one.yml:5:5", "`run`"),
        ("two", "tasks/two.yml:6:", "params.port"),
        ("three", "tasks/three.yml:6:5", "`timeout`"),
        ("four", "tasks/four.yml:5:", "quot"),
        ("five", "tasks/five.yml:6:", "secret"),
    ] {
        for words in [vec!["check"], vec![name]] {
            let ran = door.desk.fab(&words);
            assert_eq!(ran.status, 2, "{name}: {}", ran.all());
            let all = ran.out() + &ran.err();
            assert!(
                all.contains(place) && all.contains(said),
                "{name}: {}",
                ran.all()
            );
        }
    }
    assert_eq!(door.knocks.load(Ordering::SeqCst), 0);
}

#[test]
fn a_file_that_is_not_there_is_refused_before_anything_is_connected() {
    let door = Door::new();
    let hotfix = [
        "role=app",
        "service=api",
        "version=1.4.2",
        "artifact=build/api.jar",
    ];
    let missing = door.desk.path().join("build/api.jar");
    let missing = format!("error: cannot read `{}`: ", missing.display());
    for words in [
        &["plan", "hotfix"][..],
        &["hotfix", "--yes=all"],
        &["hotfix", "-n"],
    ] {
        let ran = door.desk.fab(&[words, &hotfix[..]].concat());
        ran.ended(2)
            .says(&missing)
            .says("step `send api.jar` sends it")
            .says("nothing was run");
        assert!(ran.stdout.is_empty(), "{}", ran.all());
    }
    door.desk.write("build/api.jar", "x");
    door.desk
        .fab(&[&["plan", "hotfix"][..], &hotfix[..]].concat())
        .ended(0);
    let task = |name: &str, steps: &str| {
        let head = format!(
            "task: {name}\nkind: change\nlock: none\ntargets: role=app\nstrategy: all\nsteps:\n"
        );
        door.desk.write(&format!("tasks/{name}.yml"), head + steps);
        door.desk.fab(&["plan", name])
    };
    let upload = "  - upload: {src: \"{{ host.name }}.conf\", dest: /etc/app.conf}\n";
    door.desk.write("app-1.conf", "x");
    task("configure", upload)
        .ended(2)
        .says("app-2.conf`: No such file")
        .says("tasks/configure.yml:7:5");
    // What a step before it may make is not there yet.
    task("build", &format!("  - local: make\n{upload}")).ended(0);
    let looks = format!("  - {{local: uptime, read_only: true}}\n{upload}");
    task("looks", &looks).ended(2);
    let never = upload.replace("upload:", "when: \"host.name == 'app-1'\"\n    upload:");
    task("never", &never).ended(0);
    // What may fail is the hosts' affair.
    let may_fail = upload.replace("upload:", "ignore_errors: true\n    upload:");
    task("may_fail", &may_fail).ended(0);
    assert_eq!(door.knocks.load(Ordering::SeqCst), 0);
}

/// At a terminal: asks for the sudo password, ends as `end` wants, and says what the terminal is like then.
fn terminal_after(question: &str, end: &str) -> String {
    let door = Door::new();
    let line = door
        .desk
        .command(&["--ask-sudo", "run", "role=app", "--", "true"]);
    let line: Vec<_> = std::iter::once(line.get_program())
        .chain(line.get_args())
        .map(|word| word.to_str().unwrap())
        .collect();
    let fab = shlex::try_join(line).unwrap();
    let said = door.desk.path().join("said");
    // The shell outlives what the terminal sends to everybody in the foreground.
    let shell = format!("trap : INT HUP QUIT; {fab}; echo \"status $?\"; stty -a");
    let mut command = std::process::Command::new("script");
    command.args(["-q", "-e", "-f", "-c", &shell]).arg(&said);
    door.desk.surround(&mut command);
    command
        .env("TERM", "xterm")
        .env("SHELL", "/bin/sh")
        .stdin(std::process::Stdio::piped());
    let mut running = crate::desk::Running::of(&mut command);
    let text = || String::from_utf8_lossy(&std::fs::read(&said).unwrap_or_default()).into_owned();
    crate::desk::until("the question", || text().contains(question));
    match end {
        "TERM" => signal_all(&door.desk, "TERM"),
        typed => running.type_in(typed.as_bytes()),
    }
    crate::desk::until("the terminal's state", || text().contains("echonl"));
    drop(running.end());
    assert_eq!(door.knocks.load(Ordering::SeqCst), 0, "{}", text());
    text()
}

fn signal_all(desk: &Desk, signal: &str) {
    let mut command = std::process::Command::new("pgrep");
    command.args(["-f", "^[^ ]*fab-rs .*--ask-sudo"]);
    let found = command.output().unwrap();
    let own = desk.path().display().to_string();
    for pid in String::from_utf8_lossy(&found.stdout).split_whitespace() {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        if String::from_utf8_lossy(&line).contains(&own) {
            std::process::Command::new("kill")
                .args([&format!("-{signal}"), pid])
                .status()
                .unwrap();
        }
    }
}

#[test]
fn a_password_that_is_not_typed_leaves_the_terminal_as_it_was() {
    for (end, status) in [("\x03", 130), ("TERM", 143), ("\x1c", 131), ("\x04", 2)] {
        let said = terminal_after("sudo password: ", end);
        assert!(
            said.contains(&format!("status {status}")),
            "{end:?}: {said}"
        );
        let shown = said.split_whitespace().any(|word| word == "echo");
        assert!(shown, "{end:?}: {said}");
    }
}

#[test]
fn whatever_takes_json_prints_nothing_else() {
    let door = Door::new();
    let bad = door
        .desk
        .write("bad.yml", "task: bad\nkind: read\nsteps: 3\n");
    let bad = bad.to_str().unwrap();
    let rows: [(&[&str], i32, &str); 4] = [
        (&["config", "--json"], 0, "/0/key"),
        (&["check", "--json", bad], 2, "/0/errors/0/line"),
        (&["doctor", "--json"], 0, "/0/what"),
        (&["list", "--json"], 0, "/0/task"),
    ];
    for (words, status, pointer) in rows {
        let ran = door.desk.fab(words);
        let value: serde_json::Value = serde_json::from_slice(&ran.stdout)
            .unwrap_or_else(|error| panic!("{words:?}: {error}: {}", ran.all()));
        assert!(value.pointer(pointer).is_some(), "{words:?}: {value:#}");
        if words[0] != "doctor" {
            ran.ended(status);
        }
    }
}
