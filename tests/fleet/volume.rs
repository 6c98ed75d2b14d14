//! Much output, long lines, hostile bytes: all of it arrives, whole, and costs no memory.

use std::io::Read as _;
use std::process::{Command, Stdio};

use crate::desk::{Running, nap};
use crate::fleets;

/// The issue's bound for a fleet that prints two million lines.
const MOST_MIB: u64 = 100;

#[test]
fn two_million_lines_of_twenty_hosts_arrive_whole() {
    let Some((_, desk)) = fleets::calm() else {
        return;
    };
    let running = desk.start(&["run", "role=app", "--", "seq -f 'line %.0f of many' 100000"]);
    let (ran, peak) = running.end_with_peak();
    ran.ended(0);
    let hosts = ran.lines_by_host();
    assert_eq!(hosts.len(), 20);
    for (host, lines) in hosts {
        assert_eq!(lines.len(), 100_000, "{host}");
        let wrong = (1..)
            .zip(&lines)
            .find(|(n, line)| **line != format!("line {n} of many"));
        assert_eq!(wrong, None, "{host}");
        let log = std::fs::read_to_string(desk.record().join(format!("hosts/{host}.log"))).unwrap();
        assert_eq!(log.matches(" of many\n").count(), 100_000, "{host}");
    }
    assert!(peak > 0 && peak < MOST_MIB, "{peak} MiB");
}

#[test]
fn a_hundred_megabytes_cost_no_more_memory_than_one() {
    let Some((_, desk)) = fleets::calm() else {
        return;
    };
    let peak = |bytes: u64| {
        let line = format!("yes 'some line that comes very often' | head -c {bytes}");
        let mut command = desk.command(&["-N", "run", "name=app-19", "--", &line]);
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut out = child.stdout.take().unwrap();
        let count =
            std::thread::spawn(move || std::io::copy(&mut out, &mut std::io::sink()).unwrap());
        let peak = crate::desk::peak_until_end(&mut child);
        // The last line is cut off by head, and ended by fab-rs.
        let arrived = count.join().unwrap();
        assert!(
            arrived == bytes || arrived == bytes + 1,
            "{arrived} of {bytes}"
        );
        peak
    };
    let (small, large) = (peak(1_000_000), peak(100_000_000));
    assert!(
        large <= small + 12,
        "1 MB: {small} MiB, 100 MB: {large} MiB"
    );
}

#[test]
fn a_slow_reader_gets_every_line_and_costs_no_memory() {
    let Some((_, desk)) = fleets::calm() else {
        return;
    };
    let mut command = desk.command(&["run", "ten=yes", "--", "seq -f 'line %.0f of many' 50000"]);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut out = child.stdout.take().unwrap();
    let reader = std::thread::spawn(move || {
        let (mut text, mut part) = (Vec::new(), vec![0; 64 * 1024]);
        for turn in 0.. {
            let count = out.read(&mut part).unwrap();
            if count == 0 {
                return text;
            }
            text.extend_from_slice(&part[..count]);
            nap(if turn == 0 { 1500 } else { 4 });
        }
        text
    });
    let peak = crate::desk::peak_until_end(&mut child);
    let text = String::from_utf8(reader.join().unwrap()).unwrap();
    let hosts = crate::desk::by_host(&text);
    assert_eq!(hosts.len(), 10);
    for (host, lines) in hosts {
        let wrong = (1..)
            .zip(&lines)
            .find(|(n, line)| **line != format!("line {n} of many"));
        assert_eq!((lines.len(), wrong), (50_000, None), "{host}");
    }
    assert!(peak < MOST_MIB, "{peak} MiB");
}

#[test]
fn lines_of_a_megabyte_lose_no_byte() {
    let Some((_, desk)) = fleets::calm() else {
        return;
    };
    let long = "for x in 1 2 3; do head -c 1000000 /dev/zero | tr '\\0' $x; echo; done";
    let (ran, peak) = desk
        .start(&["run", "name=app-00,app-01,app-02", "--", long])
        .end_with_peak();
    for (host, lines) in ran.ended(0).lines_by_host() {
        let whole = ["1", "2", "3"].map(|digit| digit.repeat(1_000_000));
        assert!(lines == whole, "{host}: {} lines", lines.len());
    }
    assert!(peak < MOST_MIB, "{peak} MiB");
}

const HOSTILE: &str = r"printf '\033]0;stolen\007\033[2J\033[31mred\033[0m\n'; printf 'over\rwritten\n'; printf '\302\233Kc1\n'; head -c 100000 /dev/urandom; printf '\nlast'";

#[test]
fn a_pipe_gets_the_bytes_and_a_terminal_no_control_sequence() {
    let Some((_, desk)) = fleets::calm() else {
        return;
    };
    let ran = desk.fab(&["-N", "run", "name=app-05", "--", HOSTILE]);
    let bytes = &ran.ended(0).stdout;
    assert!(bytes.starts_with(b"\x1b]0;stolen\x07\x1b[2J\x1b[31mred\x1b[0m\nover\rwritten\n"));
    assert!(
        bytes.len() >= 100_000 && bytes.ends_with(b"\nlast"),
        "{}",
        bytes.len()
    );

    let line = desk.command(&["run", "name=app-05", "--", HOSTILE]);
    let line = std::iter::once(line.get_program()).chain(line.get_args());
    let line: Vec<_> = line.map(|word| word.to_str().unwrap()).collect();
    let mut command = Command::new("script");
    command.args([
        "-q",
        "-e",
        "-c",
        &shlex::try_join(line).unwrap(),
        "/dev/null",
    ]);
    desk.surround(&mut command);
    let shown = Running::of(command.env("TERM", "xterm").env("SHELL", "/bin/sh")).end();
    let shown = shown.ended(0).out();
    for wrong in [
        "\x1b]0;",
        "\x07",
        "\x1b[31mred",
        "over\rwritten",
        "\u{9b}",
        "\x00",
        "\x0e",
    ] {
        assert!(!shown.contains(wrong), "{wrong:?}");
    }
    assert!(shown.contains("red") && shown.contains("last"), "{shown}");

    let json = desk.fab(&["--json", "run", "name=app-05", "--", HOSTILE]);
    let json = String::from_utf8(json.ended(0).stdout.clone()).expect("JSON is UTF-8");
    for line in json.lines() {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(event["kind"].is_string());
    }
}
