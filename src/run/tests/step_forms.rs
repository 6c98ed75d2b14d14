//! Modifiers and the actions that need no files.

use std::time::Duration;

use indexmap::IndexMap;

use crate::model::{Secret, Stream};
use crate::run::event::{EventKind, StepResult};
use crate::task::{Action, ParamValue, Question, Quoting, RunProgram, Script};
use crate::transport::scripted::{Act, HostScript};
use crate::transport::{Program, Sudo};

use super::bed::Bed;
use super::steps::{Modified as _, expression, holds, run, step, text};

#[tokio::test(start_paused = true)]
async fn a_step_is_skipped_where_its_when_does_not_hold() {
    let first = run("look").but(|modifiers| modifiers.register = Some("seen".to_owned()));
    let second = run("act").but(|modifiers| {
        modifiers.when = Some(holds("seen.stdout == 'yes'"));
        modifiers.register = Some("acted".to_owned());
    });
    let third = run("then {{ acted.skipped }}");
    let yes = HostScript::new().on("look", [Act::Prints(Stream::Stdout, b"yes\n".to_vec())]);
    let played = Bed::new(2, vec![first, second, third])
        .script("h0", yes)
        .play()
        .await;
    assert_eq!(
        played.transport.commands_on("h0"),
        ["look", "act", "then 'false'"]
    );
    assert_eq!(played.transport.commands_on("h1"), ["look", "then 'true'"]);
    let skipped = played.position(|kind| {
        matches!(
            kind,
            EventKind::StepFinished {
                result: StepResult::Skipped,
                ..
            }
        )
    });
    assert!(skipped.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_loop_runs_its_step_for_each_element() {
    let looped = run("take {{ item }} {{ loop.index }}").but(|modifiers| {
        modifiers.loop_over = Some(expression("['a', 'b c']"));
        modifiers.register = Some("taken".to_owned());
    });
    let after = run("took {{ taken.results | length }}");
    let played = Bed::new(1, vec![looped, after]).play().await;
    assert_eq!(
        played.transport.commands_on("h0"),
        ["take 'a' '1'", "take 'b c' '2'", "took '2'"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_command_gets_everything_its_step_says() {
    let step = run("work").but(|modifiers| {
        modifiers.sudo = Some(text("app", Quoting::Plain));
        modifiers.cwd = Some(text("/srv", Quoting::Plain));
        modifiers.stdin = Some(text("in", Quoting::Plain));
        modifiers.before = Some(text(". env", Quoting::Shell));
        modifiers.shell = Some(vec!["bash".to_owned(), "-c".to_owned()]);
        modifiers.env = IndexMap::from([("LANG".to_owned(), text("C", Quoting::Plain))]);
    });
    let bed = Bed::new(1, vec![step]).with(|bed| {
        bed.params = IndexMap::from([
            ("service".to_owned(), ParamValue::String("web".to_owned())),
            (
                "token".to_owned(),
                ParamValue::Secret(Secret::new("hunter22")),
            ),
        ]);
    });
    let played = bed.play().await;
    let command = played.transport.requests_on("h0").remove(0);
    assert_eq!(command.sudo, Sudo::User("app".to_owned()));
    assert_eq!(command.cwd.as_deref(), Some("/srv"));
    assert_eq!(command.stdin.as_deref(), Some(&b"in"[..]));
    assert_eq!(command.before.as_deref(), Some(". env"));
    assert_eq!(
        command.program,
        Program::Shell {
            shell: vec!["bash".to_owned(), "-c".to_owned()],
            text: "work".to_owned()
        }
    );
    let env = |name: &str| {
        command
            .env
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    };
    assert_eq!(
        (
            env("LANG"),
            env("FAB_PARAM_SERVICE"),
            env("FAB_PARAM_TOKEN")
        ),
        (Some("C"), Some("web"), None)
    );
    assert_eq!(
        command.secrets,
        [("TOKEN".to_owned(), Secret::new("hunter22"))]
    );
}

#[tokio::test(start_paused = true)]
async fn a_script_without_interpreter_line_runs_under_sh() {
    let script = |body: &str| {
        step(
            "script",
            Action::Script(Script {
                src: text("x.sh", Quoting::Plain),
                text: Some(body.as_bytes().into()),
                args: vec![text("an arg", Quoting::Plain)],
                interpreter: Vec::new(),
            }),
        )
    };
    let played = Bed::new(1, vec![script("echo"), script("#!/usr/bin/env python3\n")])
        .play()
        .await;
    let interpreters = played
        .transport
        .requests_on("h0")
        .into_iter()
        .map(|command| match command.program {
            Program::Script {
                interpreter, args, ..
            } => {
                assert_eq!(args, ["an arg"]);
                interpreter
            }
            other => panic!("{other:?}"),
        });
    assert_eq!(
        interpreters.collect::<Vec<_>>(),
        [vec!["sh".to_owned()], vec![]]
    );
}

#[tokio::test(start_paused = true)]
async fn assert_fail_log_set_and_pause_do_what_they_say() {
    let assert = |that: &str| {
        step(
            "assert",
            Action::Assert {
                that: vec![holds(that)],
                msg: None,
            },
        )
    };
    let set = step(
        "set",
        Action::Set(IndexMap::from([
            ("n".to_owned(), text("{{ 20 + 2 }}", Quoting::Plain)),
            ("greeting".to_owned(), text("hello {{ n }}", Quoting::Plain)),
        ])),
    );
    let log = step(
        "log",
        Action::Log(text("says {{ greeting }}", Quoting::Plain)),
    );
    let pause = step("pause", Action::Pause(Duration::from_secs(30)));
    let fail = step("fail", Action::Fail(text("no {{ n }}", Quoting::Plain)));
    let steps = vec![set, log, pause, assert("n == 22"), fail];
    let played = Bed::new(1, steps).play().await;
    assert_eq!(played.notes(), ["says hello 22"]);
    assert_eq!(played.cause("h0"), "no 22");
    assert_eq!(played.took, Duration::from_secs(30));
    let played = Bed::new(1, vec![assert("1 == 2")]).play().await;
    assert_eq!(played.cause("h0"), "`1 == 2` does not hold");
}

#[tokio::test(start_paused = true)]
async fn a_no_to_a_confirm_step_fails_its_host() {
    let confirm = || {
        step(
            "confirm",
            Action::Confirm(Question {
                text: text("sure?", Quoting::Plain),
                default: None,
                timeout: None,
            }),
        )
    };
    let played = Bed::new(1, vec![confirm(), run("work")])
        .with(|bed| bed.says = false)
        .play()
        .await;
    assert_eq!(played.cause("h0"), "not confirmed");
    assert!(played.transport.commands_on("h0").is_empty());
    let asked = played.events.iter().find_map(|event| match &event.kind {
        EventKind::GateAsked { question, .. } => Some(question.clone()),
        _ => None,
    });
    assert_eq!(asked.as_deref(), Some("h0: sure?"));
    let played = Bed::new(1, vec![confirm(), run("work")]).play().await;
    assert_eq!(played.words(), ["ok"]);
}

#[tokio::test(start_paused = true)]
async fn a_value_that_never_came_fails_its_step_with_its_name() {
    let played = Bed::new(1, vec![run("use {{ nothing.stdout }}")])
        .play()
        .await;
    assert!(
        played.cause("h0").contains("nothing"),
        "{}",
        played.cause("h0")
    );
    assert!(played.transport.commands_on("h0").is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_argv_is_handed_over_word_for_word() {
    let words = ["ls", "a b", "$(x)"]
        .map(|word| text(word, Quoting::Plain))
        .to_vec();
    let played = Bed::new(1, vec![step("ls", Action::Run(RunProgram::Argv(words)))])
        .play()
        .await;
    let command = played.transport.requests_on("h0").remove(0);
    assert_eq!(
        command.program,
        Program::Argv(["ls", "a b", "$(x)"].map(str::to_owned).to_vec())
    );
}
