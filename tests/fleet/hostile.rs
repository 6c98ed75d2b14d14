//! Text that would run if any shell read it, and secrets: neither gets where it must not.

use std::fmt::Write as _;
use std::path::Path;

use lab::Fleet;

use crate::desk::{Desk, files_with, until};
use crate::fleets;

/// Runs something in every kind of quoting, if anything ever reads it as shell.
const VALUE: &str = "$(touch /tmp/pwned); x'y\"z `touch /tmp/pwned` %s %n é \\ & | > /tmp/pwned";

/// The same over several lines, the second of which looks like a flag.
const LINES: &str = "';touch /tmp/pwned;'\n--help\n$(touch /tmp/pwned)\n#";

/// Names of hosts as an `Name` tag may hold them.
const NAMES: [&str; 3] = ["../../pwned", "$(touch /tmp/pwned);x", "-rf x'y\"%s"];

/// An inventory of three real hosts with hostile names and tags.
fn desk(fleet: &Fleet) -> Desk {
    let quoted = |text: &str| serde_json::to_string(text).unwrap();
    let mut text = "version: 1\nsources:\n  - hosts:\n".to_owned();
    for (n, name) in NAMES.iter().enumerate() {
        let address = fleet.host(&format!("app-1{n}")).address();
        let (name, evil, lines) = (quoted(name), quoted(VALUE), quoted(LINES));
        let _ = writeln!(
            text,
            "      - {{name: {name}, address: {address}, tags: {{role: app, evil: {evil}, lines: {lines}, file: \"a$(touch pwned)'b\\\"c -%s\"}}}}"
        );
    }
    let host = fleet.host("app-10");
    let _ = writeln!(
        text,
        "ssh: {{config: {}, user: {}, port: {}, host_keys: ssh}}",
        quoted(fleet.ssh_config().to_str().unwrap()),
        host.login(),
        host.port()
    );
    Desk::with_inventory(&text)
}

/// Demands that nothing was touched, here or there.
#[track_caller]
fn nothing_ran(fleet: &Fleet, desk: &Desk) {
    assert!(!Path::new("/tmp/pwned").exists());
    let here = crate::desk::files_below(desk.path());
    let named_so =
        |path: &&std::path::PathBuf| path.file_name().is_some_and(|name| name == "pwned");
    assert_eq!(here.iter().find(named_so), None);
    for n in 0..NAMES.len() {
        let host = fleet.host(&format!("app-1{n}"));
        let found = host
            .exec_ok("find /tmp /var/tmp /home /root / -maxdepth 2 -name pwned 2>/dev/null; true");
        assert_eq!(found.unwrap(), "", "{}", host.name());
    }
}

fn base64(text: &str) -> String {
    let mut command = std::process::Command::new("base64");
    command
        .arg("-w0")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), text.as_bytes()).unwrap();
    String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
}

#[test]
fn groups_within_groups_have_room() {
    let Some((fleet, desk)) = fleets::calm() else {
        return;
    };
    let mut text =
        String::from("task: deep\nkind: change\nlock: none\nstrategy: {batch: 1}\nsteps:\n");
    let mut indent = String::from("  ");
    for level in 0..12 {
        let _ = write!(text, "{indent}- name: level {level}\n{indent}  group:\n");
        indent.push_str("    ");
    }
    let _ = writeln!(text, "{indent}- upload: {{src: here, dest: /var/tmp/deep}}");
    desk.write("tasks/deep.yml", text);
    desk.write("here", "deep down");
    desk.fab(&["--yes", "deep", "-H", "app-00"]).ended(0);
    let there = fleet.host("app-00").path("/var/tmp/deep").unwrap();
    assert_eq!(std::fs::read_to_string(there).unwrap(), "deep down");
}

#[test]
fn words_of_run_come_out_as_they_went_in() {
    let Some((fleet, _)) = fleets::calm() else {
        return;
    };
    let desk = desk(fleet);
    for value in [
        VALUE,
        LINES,
        "--help",
        "-e",
        "",
        " ",
        "a\tb",
        "{{ params.x }}",
        "~root",
        "*",
    ] {
        let ran = desk.fab(&["run", "role=app", "--", "printf", "%s|", value]);
        let hosts = ran.ended(0).lines_by_host();
        assert_eq!(hosts.len(), NAMES.len(), "{}", ran.all());
        for name in NAMES {
            assert_eq!(hosts[name].join("\n"), format!("{value}|"), "{}", ran.all());
        }
    }
    nothing_ran(fleet, &desk);
}

const ROUTES: &str = r#"
task: routes
kind: change
strategy: all
params:
  v: {type: string, required: true}
  many: {type: list, default: []}
vars:
  derived: "<{{ params.v }}>"
steps:
  - name: "named {{ params.v }} {{ host.tags.evil }}"
    run: "printf %s {{ params.v }} | base64 -w0"
  - run: "printf %s \"$FAB_PARAM_V\" | base64 -w0"
  - run: "printf %s \"$X\" | base64 -w0"
    env: {X: "{{ params.v }}"}
  - run: [sh, -c, 'printf %s "$1" | base64 -w0', sh, "{{ params.v }}"]
  - run: "base64 -w0"
    stdin: "{{ params.v }}"
  - shell: bash
    run: "printf %s {{ params.v }} | base64 -w0"
  - script: {src: say.sh, args: ["{{ params.v }}"]}
  - local: "printf %s {{ params.v }} | base64 -w0"
  - local: [sh, -c, 'printf %s "$1" | base64 -w0', sh, "{{ params.v }}"]
  - run: "printf %s {{ params.v }}"
    register: said
    quiet: true
  - run: "printf %s {{ said.stdout }} | base64 -w0"
  - template: {src: page.j2, dest: "/tmp/page {{ host.tags.file }}"}
  - run: "cat '/tmp/page '* | base64 -w0"
  - upload: {src: plain, dest: "/tmp/up {{ host.tags.file }}"}
  - download: {src: "/tmp/page {{ host.tags.file }}"}
  - run: [rm, "/tmp/page {{ host.tags.file }}", "/tmp/up {{ host.tags.file }}"]
  - wait_for: {run: "test -n {{ params.v }} && printf %s {{ host.tags.lines }} | grep -q help", equals: ""}
  - log: "logged {{ params.v }} {{ host.tags.lines }}"
  - set: {again: "{{ params.v }}"}
  - run: "printf %s {{ again }} | base64 -w0"
  - loop: params.many
    run: "printf %s {{ item }} | base64 -w0"
  - run: "printf %s {{ vars.derived }} | tr -d '<>' | wc -c >/dev/null"
    quiet: true
  - assert: {that: ["params.v != host.tags.file"], msg: "never {{ params.v }}"}
"#;

#[test]
fn a_hostile_value_takes_every_route_and_runs_nowhere() {
    let Some((fleet, _)) = fleets::calm() else {
        return;
    };
    let desk = desk(fleet);
    desk.write("tasks/routes.yml", ROUTES);
    desk.write("tasks/say.sh", "#!/bin/sh\nprintf %s \"$1\" | base64 -w0\n");
    desk.write("tasks/page.j2", "{{ params.v }}");
    desk.write("tasks/plain", "plain\n");
    for value in [VALUE, LINES] {
        let given = format!("v={value}");
        let many = serde_json::json!({"many": [value]}).to_string();
        desk.write("params.json", many);
        let words = [
            "--yes",
            "--params-file",
            "params.json",
            "--set",
            &given,
            "routes",
            "role=app",
        ];
        let plan = desk.fab(&[&["-n"], &words[..]].concat());
        plan.ended(0);
        let ran = desk.fab(&words);
        let hosts = ran.ended(0).lines_by_host();
        let wanted = base64(value);
        for name in NAMES {
            let lines = &hosts[name];
            assert_eq!(lines.len(), 13, "{}", ran.all());
            assert!(
                lines.iter().all(|line| *line == wanted),
                "{wanted}\n{}",
                ran.all()
            );
        }
        ran.says("logged ");
        // Hostile names stay file names: all of it lies where it should.
        let record = desk.record();
        for folder in ["hosts", "files"] {
            assert_eq!(
                std::fs::read_dir(record.join(folder)).unwrap().count(),
                NAMES.len()
            );
        }
        // What a host's own start files of bash say is no output of a step.
        let strange = ran
            .err()
            .lines()
            .filter(|line| line.contains(" │ "))
            .count();
        assert_eq!(strange, 0, "{}", ran.all());
        nothing_ran(fleet, &desk);
    }
}

const TOKEN: &str = "hunter2-and-a-long-tail";
const SECOND: &str = "correct-horse-battery";

const SECRETS: &str = r#"
task: secrets
kind: change
strategy: all
params:
  token: {type: string, secret: true, required: true, from: "env:THE_TOKEN"}
  second: {type: string, secret: true, from: "file:second.txt"}
steps:
  - run: |
      cat "$FAB_SECRET_TOKEN_FILE"; echo
      cat "$FAB_SECRET_SECOND_FILE" >&2
      base64 -w0 "$FAB_SECRET_TOKEN_FILE"; echo
      echo "in a line: $(cat "$FAB_SECRET_TOKEN_FILE") and on"
      ls -l "$FAB_SECRET_TOKEN_FILE" | cut -c1-10
      touch /var/tmp/asleep
      while [ -e /var/tmp/asleep ]; do sleep 0.1; done
    sudo: SUDO
  - template: {src: login.j2, dest: /var/tmp/login, mode: "0600"}
  - run: "wc -c < /var/tmp/login; cat /var/tmp/login; rm /var/tmp/login"
    register: shown
  - log: "it said {{ shown.stdout }}"
"#;

/// Where a host's processes show the text: in arguments, or in an environment.
fn seen_in_processes(text: &str, fleet: &Fleet) -> Vec<String> {
    let mut found = Vec::new();
    let hosts = (10..13).map(|n| fleet.host(&format!("app-{n}")));
    for process in hosts.flat_map(lab::Host::processes) {
        let environ = std::fs::read(format!("/proc/{}/environ", process.outer_pid));
        let environ = String::from_utf8_lossy(&environ.unwrap_or_default()).into_owned();
        if process.command.contains(text) || environ.contains(text) {
            found.push(process.command);
        }
    }
    found
}

fn arguments_here(text: &str) -> Vec<String> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = entries.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    let lines = lines.map(|bytes| String::from_utf8_lossy(&bytes).replace('\0', " "));
    lines.filter(|line| line.contains(text)).collect()
}

#[test]
fn a_secret_is_found_nowhere_but_where_it_is_needed() {
    let Some((fleet, _)) = fleets::calm() else {
        return;
    };
    let hosts = || (10..13).map(|n| fleet.host(&format!("app-{n}")));
    for sudo in ["false", "true"] {
        let desk = desk(fleet);
        desk.write("tasks/secrets.yml", SECRETS.replace("SUDO", sudo));
        desk.write("tasks/login.j2", "{{ params.token }}\n");
        desk.write("second.txt", format!("{SECOND}\n"));
        let mut command = desk.command(&["--yes", "--json", "secrets", "role=app"]);
        let running = crate::desk::Running::of(command.env("THE_TOKEN", TOKEN));
        let mut looks = 0;
        until("the step sleeps", || {
            assert_eq!(seen_in_processes(TOKEN, fleet), [""; 0]);
            assert_eq!(arguments_here(TOKEN), [""; 0]);
            looks += 1;
            hosts().all(|host| host.path("/var/tmp/asleep").unwrap().exists())
        });
        for secret in [TOKEN, SECOND, &base64(TOKEN)] {
            assert_eq!(seen_in_processes(secret, fleet), [""; 0]);
            assert_eq!(arguments_here(secret), [""; 0]);
        }
        assert!(looks > 0);
        for host in hosts() {
            host.exec_ok("rm /var/tmp/asleep").unwrap();
        }
        let ran = running.end();
        ran.ended(0);
        assert!(ran.out().contains("in a line: *** and on"), "{}", ran.all());
        assert!(ran.out().contains("-rw-------"), "{}", ran.all());
        // The template was made from the secret itself, not from its mask.
        assert!(
            ran.out().contains(&format!("\"{}\"", TOKEN.len() + 1)),
            "{}",
            ran.all()
        );
        for secret in [TOKEN, SECOND, &base64(TOKEN), &base64(SECOND)] {
            assert!(
                !ran.out().contains(secret) && !ran.err().contains(secret),
                "{}",
                ran.all()
            );
            assert!(files_with(&desk.path().join("state"), secret.as_bytes()).is_empty());
            assert!(files_with(&desk.path().join("run"), secret.as_bytes()).is_empty());
            for n in 10..13 {
                let host = fleet.host(&format!("app-{n}"));
                let find = format!(
                    "grep -rlF -- '{secret}' /tmp /var/tmp /run /dev/shm {} 2>/dev/null; true",
                    host.home().display()
                );
                assert_eq!(host.exec_ok(&find).unwrap(), "", "left on {}", host.name());
            }
        }
    }
}

#[test]
fn a_secret_on_a_command_line_is_refused() {
    let Some((fleet, _)) = fleets::calm() else {
        return;
    };
    let desk = desk(fleet);
    desk.write("tasks/secrets.yml", SECRETS.replace("SUDO", "false"));
    desk.write("tasks/login.j2", "{{ params.token }}\n");
    desk.write("second.txt", SECOND);
    // Not the other tests' token: they look for theirs in the processes of this machine.
    let token = "a-token-on-a-line";
    let given = format!("token={token}");
    for words in [
        ["secrets", "role=app", "--set", &given],
        ["secrets", "role=app", "--yes", &given],
    ] {
        let ran = desk.fab(&words);
        ran.ended(2).says("`token`").says("secret");
        assert!(!ran.err().contains(token), "{}", ran.all());
    }
    let missing = desk.fab(&["secrets", "role=app", "--yes"]);
    missing.ended(2).says("THE_TOKEN");
    assert!(desk.runs().is_empty());
}

#[test]
fn a_secret_that_is_asked_for_is_not_shown_while_it_is_typed() {
    let Some((fleet, _)) = fleets::calm() else {
        return;
    };
    let desk = desk(fleet);
    let task = "task: ask\nkind: read\nparams: {token: {type: string, secret: true, required: true, from: prompt}}\nsteps:\n  - run: 'cat \"$FAB_SECRET_TOKEN_FILE\" | tr a-z A-Z; echo; cat \"$FAB_SECRET_TOKEN_FILE\"'\n";
    desk.write("tasks/ask.yml", task);
    let line = desk.command(&["ask", "role=app"]);
    let line = std::iter::once(line.get_program()).chain(line.get_args());
    let line: Vec<_> = line.map(|word| word.to_str().unwrap()).collect();
    let mut command = std::process::Command::new("script");
    let line = shlex::try_join(line).unwrap();
    // What was said so far is seen in a file: the question has to come before the answer.
    command.args(["-q", "-e", "-f", "-c", &line, "screen"]);
    desk.surround(&mut command);
    command
        .env("SHELL", "/bin/sh")
        .stdin(std::process::Stdio::piped());
    let mut running = crate::desk::Running::of(&mut command);
    let screen = || std::fs::read_to_string(desk.path().join("screen")).unwrap_or_default();
    until("the question", || screen().contains("token"));
    // What is typed is hidden from before the question is on the screen.
    running.type_in(format!("{TOKEN}\n").as_bytes());
    let ran = running.end();
    ran.ended(0);
    assert!(ran.out().contains(&TOKEN.to_uppercase()), "{}", ran.all());
    assert!(
        ran.out().contains("***") && !ran.out().contains(TOKEN),
        "{}",
        ran.all()
    );
    assert_eq!(
        files_with(&desk.path().join("state"), TOKEN.as_bytes()).len(),
        0
    );
}
