//! Steps that go on by themselves: one start whatever dies when, every byte once, and a plain word where nothing can be
//! known.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::journal::replay;
use crate::model::Stream;
use crate::run::cancel::Signal;
use crate::run::event::EventKind;
use crate::run::journal::{Detached, Fact, Mark, Memory, Opening, Part, Process};
use crate::run::progress::Progress;
use crate::run::{Parts, execute};
use crate::task::{OnResume, Step};
use crate::transport::scripted::{Act, HostScript, Scripted};

use super::bed::{Bed, Played};
use super::steps::{Modified as _, run};

const LOOK: &str = "fab-rs-detached look";
const FOLLOW: &str = "fab-rs-detached follow";
const END: &str = "fab-rs-detached end";
const REMOVE: &str = "fab-rs-detached remove";

pub(super) fn alone(text: &str) -> Step {
    run(text).but(|modifiers| modifiers.detach = true)
}

fn prints(text: &str) -> Act {
    Act::Prints(Stream::Stdout, text.as_bytes().to_vec())
}

/// The verbs that were asked on a host, and the last two words of each `follow`.
fn asked(transport: &Scripted, host: &str) -> Vec<String> {
    let commands = transport.commands_on(host).into_iter();
    commands
        .map(|text| match text.split_once("fab-rs-detached ") {
            Some((_, words)) => {
                let words: Vec<&str> = words.split_whitespace().collect();
                let rest = words.get(4..).unwrap_or_default();
                [&words[..1], rest].concat().join(" ")
            }
            None => text,
        })
        .collect()
}

async fn played(script: HostScript) -> Played {
    let bed = Bed::new(1, vec![alone("work")]).change(1, 0);
    bed.script("h0", script).play().await
}

#[tokio::test(start_paused = true)]
async fn it_is_started_followed_asked_and_cleared_away() {
    let script = HostScript::new()
        .on(FOLLOW, [prints("one\ntwo\n")])
        .on(LOOK, [prints("ended 0 n g\n")])
        .on(REMOVE, [prints("absent\n")]);
    let played = played(script).await;
    assert_eq!(played.words(), ["ok"]);
    assert_eq!(played.lines("h0"), ["one", "two"]);
    assert_eq!(
        asked(&played.transport, "h0"),
        ["work", "follow 0 0", "look", "remove"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_lost_connection_costs_no_byte_and_repeats_none() {
    let script = HostScript::new()
        .on(FOLLOW, [prints("one\ntw"), Act::IsLost])
        .on(
            FOLLOW,
            [
                prints("o\nthree"),
                Act::Waits(Duration::from_secs(9)),
                Act::IsLost,
            ],
        )
        .on(FOLLOW, [])
        .on(LOOK, [prints("ended 3 n g\n")])
        .on(REMOVE, [prints("absent\n")])
        .on("work", [Act::IsLost])
        .on("work", [Act::Exits(0)]);
    let played = played(script).await;
    assert_eq!(played.words(), ["failed"]);
    assert_eq!(played.cause("h0"), "exit 3");
    assert_eq!(played.lines("h0"), ["one", "two", "three"]);
    assert_eq!(
        asked(&played.transport, "h0"),
        [
            "work",
            "work",
            "follow 0 0",
            "follow 6 0",
            "follow 13 0",
            "look",
            "remove"
        ]
    );
    let folders = played.transport.requests_on("h0").into_iter();
    let folders: Vec<_> = folders.filter_map(|command| command.detach).collect();
    assert_eq!(folders.len(), 2);
    assert_eq!(folders[0], folders[1]);
}

#[tokio::test(start_paused = true)]
async fn a_host_that_never_comes_to_it_is_not_asked_for_ever() {
    let script = HostScript::new().on(FOLLOW, [Act::Exits(4)]);
    let played = played(script.on(REMOVE, [prints("absent\n")])).await;
    assert!(played.cause("h0").starts_with("not started: "));
    let asked = asked(&played.transport, "h0");
    assert_eq!(asked.iter().filter(|asked| *asked == "work").count(), 3);
    // What was decided in one place is not asked to change.
    let starts = played.transport.requests_on("h0").into_iter();
    let starts = starts.filter_map(|command| command.detach);
    let places: Vec<String> = starts.map(|detach| detach.folder.path()).collect();
    let names = places.iter().map(|path| path.rsplit('.').next().unwrap());
    assert_eq!(names.collect::<Vec<_>>(), ["1", "2", "3"]);
    assert_eq!(asked.iter().filter(|asked| *asked == "remove").count(), 3);
}

/// What an earlier process told, a piece of a line among it, is not told again; it is in the failure's last lines, and
/// in what is registered.
#[tokio::test(start_paused = true)]
async fn a_run_that_is_taken_up_tells_only_what_was_not_told() {
    let hangs = Act::HangsUntilStopped { confirmed: true };
    let script = HostScript::new().on(FOLLOW, [prints("one\ntw"), hangs]);
    let bed = Bed::new(1, vec![alone("work")]).change(1, 0);
    let bed = bed
        .signal(5, Signal::Interrupt)
        .signal(6, Signal::Interrupt);
    let first = bed.script("h0", script).play().await;
    assert_eq!(first.lines("h0"), ["one", "tw"]);
    let script = HostScript::new()
        .on(LOOK, [prints("runs\n")])
        .on(
            FOLLOW,
            [prints("one\nt"), prints("wo\nthree\n"), Act::IsLost],
        )
        .on(FOLLOW, [prints("four\n")])
        .on(LOOK, [prints("ended 3 n g\n")])
        .on(REMOVE, [prints("absent\n")]);
    let bed = Bed::new(1, vec![alone("work")])
        .change(1, 0)
        .script("h0", script);
    let progress = Arc::new(interrupted(&bed, true));
    let log = first.log("h0");
    let bed = bed.with(|bed| {
        bed.options.progress = Some(progress);
        bed.log = format!("{log}---- the run goes on in another process\n");
    });
    let played = bed.play().await;
    assert_eq!(played.words(), ["failed"]);
    assert_eq!(played.lines("h0"), ["o", "three", "four"]);
    assert_eq!(
        asked(&played.transport, "h0"),
        ["look", "follow 0 0", "follow 14 0", "look", "remove"]
    );
    let log = played.log("h0");
    let told = log.lines().filter(|line| line.starts_with("out"));
    assert_eq!(
        told.collect::<Vec<_>>(),
        ["out| one", "out+ tw", "out| o", "out| three", "out| four"]
    );
    let mut tails = played.events.iter().filter_map(|event| match &event.kind {
        EventKind::HostFinished { tail, .. } => Some(tail),
        _ => None,
    });
    assert_eq!(*tails.next().unwrap(), ["one", "tw", "o", "three", "four"]);
}

#[tokio::test(start_paused = true)]
async fn what_another_process_decided_is_never_begun_is_begun_elsewhere() {
    let script = HostScript::new()
        .on(LOOK, [prints("void\n")])
        .on(LOOK, [prints("ended 0 n g\n")])
        .on(REMOVE, [prints("absent\n")]);
    let step = alone("work").but(|modifiers| modifiers.resume = Some(OnResume::Ask));
    let bed = Bed::new(1, vec![step]).change(1, 0).script("h0", script);
    let progress = Arc::new(interrupted(&bed, true));
    let bed = bed.with(|bed| bed.options.progress = Some(progress));
    let played = bed.play().await;
    assert_eq!(played.words(), ["ok"]);
    assert_eq!(
        asked(&played.transport, "h0"),
        ["look", "work", "follow 0 0", "look", "remove", "remove"]
    );
}

#[tokio::test(start_paused = true)]
async fn what_the_host_says_of_its_end_is_its_end() {
    for (said, word, cause) in [
        ("ended 143 t g", "timed_out", "timed out after 1 h"),
        ("ended 143 e g", "failed", "ended on the host"),
        ("rebooted", "unknown", ""),
        ("died gone", "unknown", ""),
        ("died runs", "unknown", ""),
        ("absent", "unknown", ""),
        ("nonsense", "unknown", ""),
    ] {
        let script = HostScript::new()
            .on(LOOK, [prints(said)])
            .on(REMOVE, [prints("absent\n")]);
        let bed = Bed::new(
            1,
            vec![alone("work").but(|modifiers| {
                modifiers.timeout = Some(Duration::from_hours(1));
            })],
        );
        let played = bed.change(1, 0).script("h0", script).play().await;
        assert_eq!(played.words(), [word], "{said}");
        assert!(
            played.cause("h0").contains(cause),
            "{said}: {}",
            played.cause("h0")
        );
        let removed = asked(&played.transport, "h0").contains(&"remove".to_owned());
        assert_eq!(removed, word != "unknown", "{said}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_second_signal_lets_go_of_it_and_every_other_bound_ends_it() {
    let hangs = || {
        HostScript::new()
            .on(FOLLOW, [Act::HangsUntilStopped { confirmed: true }])
            .on(END, [prints("ended 143 e g\n")])
            .on(REMOVE, [prints("absent\n")])
    };
    let bed = Bed::new(1, vec![alone("work")]).change(1, 0);
    let bed = bed
        .signal(5, Signal::Interrupt)
        .signal(6, Signal::Interrupt);
    let played = bed.script("h0", hangs()).play().await;
    assert_eq!(played.words(), ["cancelled"]);
    assert_eq!(asked(&played.transport, "h0"), ["work", "follow 0 0"]);
    assert!(played.log("h0").contains("goes on there by itself"));
    let bed = Bed::new(1, vec![alone("work")]).change(1, 0);
    let bed = bed.with(|bed| bed.options.limits.silence = Some(Duration::from_secs(30)));
    let played = bed.script("h0", hangs()).play().await;
    assert_eq!(played.words(), ["timed_out"]);
    assert_eq!(
        asked(&played.transport, "h0"),
        ["work", "follow 0 0", "end", "remove"]
    );
}

/// A run of which the process died while this step was at work.
fn interrupted(bed: &Bed, began: bool) -> Progress {
    let plan = bed.plan();
    let host = plan.targets[0].clone();
    let step = Mark {
        part: Part::Steps(0),
        id: plan.phases[0].hosts[0].steps[0].id.as_str().into(),
        passes: Vec::new(),
        once: None,
    };
    let mut facts = vec![
        Fact::RunStarted(Box::new(Opening {
            task: "work".to_owned(),
            task_hash: String::new(),
            changes: true,
            population: plan.targets.clone(),
            targets: plan.targets.clone(),
            retries: None,
            process: Process { pid: 1, started: 1 },
            typed: serde_json::Value::Null,
        })),
        Fact::HostStarted {
            host: host.clone(),
            phase: 0,
            afresh: true,
        },
        Fact::StepStarted {
            host: Some(host.clone()),
            step: step.clone(),
            changes: true,
        },
        Fact::Detached {
            host: host.clone(),
            step,
            at: Detached {
                folder: "h0-work.1".into(),
                user: None,
                attempt: 1,
            },
        },
    ];
    if began {
        facts.push(Fact::DetachedBegan {
            host,
            folder: "h0-work.1".into(),
        });
    }
    replay(&facts)
}

#[tokio::test(start_paused = true)]
async fn whoever_takes_the_run_up_asks_the_host_whatever_resume_says() {
    let cases = [
        // Runs or has ended: followed, and not sent again.
        (
            "ended 0 n g",
            true,
            OnResume::Rerun,
            "ok",
            vec!["look", "follow 0 0", "look", "remove"],
        ),
        (
            "ended 0 n g",
            true,
            OnResume::Ask,
            "ok",
            vec!["look", "follow 0 0", "look", "remove"],
        ),
        // Kept, and perhaps never sent: the same start again.
        (
            "absent",
            false,
            OnResume::Ask,
            "ok",
            vec!["look", "work", "follow 0 0", "look", "remove"],
        ),
        // Nobody can know: what `resume` says.
        (
            "rebooted",
            true,
            OnResume::Rerun,
            "ok",
            vec!["look", "work", "follow 0 0", "look", "remove", "remove"],
        ),
        ("rebooted", true, OnResume::Ask, "unknown", vec!["look"]),
        ("absent", true, OnResume::Ask, "unknown", vec!["look"]),
        ("died runs", true, OnResume::Rerun, "unknown", vec!["look"]),
    ];
    for (said, began, on_resume, word, wanted) in cases {
        let step = alone("work").but(|modifiers| modifiers.resume = Some(on_resume));
        let first = [prints(said)];
        let last = [prints("ended 0 n g\n")];
        let script = HostScript::new().on(LOOK, first);
        let script = script.on(LOOK, last).on(REMOVE, [prints("absent\n")]);
        let bed = Bed::new(1, vec![step]).change(1, 0).script("h0", script);
        let progress = Arc::new(interrupted(&bed, began));
        let bed = bed.with(|bed| {
            bed.options.progress = Some(progress);
            bed.says = false;
            // It clears nothing away of a step of unknown end, which would then pass for one never sent.
            bed.always = vec![run("tidy")];
        });
        let played = bed.play().await;
        assert_eq!(played.words(), [word], "{said} {on_resume:?}");
        let wanted: Vec<&str> = wanted.into_iter().chain(["tidy"]).collect();
        let asked = asked(&played.transport, "h0");
        assert_eq!(asked, wanted, "{said} {on_resume:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn where_it_lies_is_kept_before_it_is_sent_and_its_end_before_it_goes() {
    let journal = Arc::new(Memory::default());
    let script = HostScript::new()
        .on(LOOK, [prints("ended 0 n g\n")])
        .on(REMOVE, [prints("absent\n")]);
    let bed = Bed::new(1, vec![alone("work")])
        .change(1, 0)
        .script("h0", script);
    let folder = tempfile::tempdir().unwrap();
    let events = Arc::default();
    let scripted = Scripted::new(bed.scripts.clone());
    let parts = bed.parts(scripted.clone(), scripted, (folder.path(), &events));
    let parts = Parts {
        journal: Arc::clone(&journal) as _,
        ..parts
    };
    let (_sender, signals) = mpsc::channel(1);
    execute(Arc::new(bed.plan()), parts, bed.options.clone(), signals).await;
    let facts = journal.facts();
    let words = facts.iter().filter_map(|fact| match fact {
        Fact::StepStarted { .. } => Some("begins"),
        Fact::Detached { .. } => Some("placed"),
        Fact::DetachedBegan { .. } => Some("began"),
        Fact::StepFinished { .. } => Some("ends"),
        Fact::DetachedGone { .. } => Some("gone"),
        _ => None,
    });
    let words: Vec<&str> = words.collect();
    assert_eq!(words, ["begins", "placed", "began", "ends", "gone"]);
    assert!(
        replay(&facts)
            .hosts
            .values()
            .all(|host| host.detached.is_empty())
    );
}
