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
