//! Output: lines, logs, masks, tails, quiet steps.

use indexmap::IndexMap;

use crate::model::{Secret, Stream};
use crate::run::event::EventKind;
use crate::task::ParamValue;
use crate::transport::scripted::{Act, HostScript};

use super::bed::Bed;
use super::steps::{Modified as _, run};

fn out(text: &str) -> Act {
    Act::Prints(Stream::Stdout, text.as_bytes().to_vec())
}

fn err(text: &str) -> Act {
    Act::Prints(Stream::Stderr, text.as_bytes().to_vec())
}

#[tokio::test(start_paused = true)]
async fn lines_are_whole_and_logged_with_their_stream() {
    let script = HostScript::new().on(
        "work",
        [out("fir"), err("oops\n"), out("st\nlast"), Act::Exits(1)],
    );
    let played = Bed::new(1, vec![run("work")])
        .script("h0", script)
        .play()
        .await;
    assert_eq!(played.lines("h0"), ["oops", "first", "last"]);
    let log = played.log("h0");
    let entries: Vec<&str> = log
        .lines()
        .filter(|line| !line.starts_with("----"))
        .collect();
    assert_eq!(entries, ["err| oops", "out| first", "out+ last"]);
    assert!(log.starts_with("---- work started 2"), "{log}");
    assert!(log.ends_with("---- work failed: exit 1\n"), "{log}");
}

#[tokio::test(start_paused = true)]
async fn the_tail_is_of_the_last_step_and_bounded() {
    let many: Vec<String> = (0..100).map(|n| format!("line {n}")).collect();
    let many = many.join("\n") + "\n";
    let script = HostScript::new()
        .on("first", [out("early\n")])
        .on("work", [out(&many), Act::Exits(1)]);
    let played = Bed::new(1, vec![run("first"), run("work")])
        .script("h0", script)
        .play()
        .await;
    let tail = played.events.iter().find_map(|event| match &event.kind {
        EventKind::HostFinished { tail, .. } => Some(tail.clone()),
        _ => None,
    });
    let tail = tail.unwrap();
    assert_eq!(
        (tail.len(), tail[0].as_str(), tail[19].as_str()),
        (20, "line 80", "line 99")
    );
}

#[tokio::test(start_paused = true)]
async fn a_secret_is_hidden_in_events_logs_causes_and_names() {
    let script = HostScript::new().on(
        "work",
        [out("key hunt"), out("er22!\n"), err("aHVudGVyMjI=\n")],
    );
    let fail = super::steps::step(
        "fail",
        crate::task::Action::Fail(super::steps::text(
            "bad hunter22",
            crate::task::Quoting::Plain,
        )),
    );
    let bed = Bed::new(1, vec![run("work"), fail])
        .script("h0", script)
        .with(|bed| {
            bed.params = IndexMap::from([(
                "token".to_owned(),
                ParamValue::Secret(Secret::new("hunter22")),
            )]);
        });
    let played = bed.play().await;
    assert_eq!(played.lines("h0"), ["key ***!", "***"]);
    let everything = format!(
        "{:?} {} {:?}",
        played.events,
        played.log("h0"),
        played.summary
    );
    assert!(
        !everything.contains("hunter22") && !everything.contains("aHVudGVy"),
        "{everything}"
    );
    assert_eq!(played.cause("h0"), "bad ***");
}

#[tokio::test(start_paused = true)]
async fn a_quiet_step_says_so_and_is_logged_whole() {
    let script = HostScript::new().on("work", [out("lots\n")]);
    let step = run("work").but(|modifiers| modifiers.quiet = true);
    let played = Bed::new(1, vec![step]).script("h0", script).play().await;
    assert!(
        played
            .position(|kind| matches!(kind, EventKind::Output { quiet: true, .. }))
            .is_some()
    );
    assert!(played.log("h0").contains("out| lots\n"));
}

#[tokio::test(start_paused = true)]
async fn sequence_numbers_count_every_line() {
    let script = HostScript::new().on("work", [out("a\nb\nc\n"), out("d\n")]);
    let played = Bed::new(2, vec![run("work")]).all(&script).play().await;
    let mut next = 0;
    for event in &played.events {
        assert_eq!(event.seq, next);
        next += match &event.kind {
            EventKind::Output { lines, .. } => lines.len() as u64,
            _ => 1,
        };
    }
}
