//! Whole task files: the examples of the format, and every kind of mistake with its message and place.

use std::sync::Arc;

use proptest::prelude::*;

use super::read;
use crate::model::{Amount, Diagnostic, Source};
use crate::task::{Action, Condition, Files, GateAt, Kind, Quoting, RunProgram, Task, Text};

/// Every path is a script but those that are called missing; one is a template.
struct AnyFile;

impl Files for AnyFile {
    fn read(&self, path: &str) -> Result<Arc<[u8]>, String> {
        match path {
            "app.conf" => Ok(Arc::from(
                &b"port = {{ params.port }}\nname = {{ hots.name }}\n"[..],
            )),
            _ if path.contains("missing") => Err("no such file".to_owned()),
            _ => Ok(Arc::from(&b"echo"[..])),
        }
    }

    fn paths(&self) -> Vec<String> {
        vec!["lib/missin.sh".to_owned()]
    }
}

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/fixtures/tasks/",
            $name
        ))
    };
}

/// The examples of the format, by name.
pub(super) const EXAMPLES: [(&str, &str); 5] = [
    (
        "es_rolling_restart",
        fixture!("examples/es_rolling_restart.yml"),
    ),
    ("heapdump", fixture!("examples/heapdump.yml")),
    ("hotfix", fixture!("examples/hotfix.yml")),
    ("rolling_restart", fixture!("examples/rolling_restart.yml")),
    (
        "zk_rolling_restart",
        fixture!("examples/zk_rolling_restart.yml"),
    ),
];

const MISTAKES: &str = fixture!("errors.txt");

pub(super) fn read_text(path: &str, text: &str) -> Result<Task, Vec<Diagnostic>> {
    let source = Arc::new(Source {
        path: path.into(),
        text: text.to_owned(),
    });
    read(&source, None, &AnyFile)
}

pub(super) fn task(text: &str) -> Task {
    read_text("t.yml", text).unwrap_or_else(|errors| {
        let told: Vec<String> = errors.iter().map(told).collect();
        panic!("{text}\n{told:#?}")
    })
}

/// `LINE:COLUMN [caret] message ^ label @ context | hint | hint`.
pub(super) fn told(error: &Diagnostic) -> String {
    let span = error.span.as_ref().expect("a place");
    let (line, column) = span.line_column();
    let file = span.source.path.display().to_string();
    let file = if file == "t.yml" {
        String::new()
    } else {
        format!("{file}:")
    };
    let caret = &span.source.text[span.range.clone()];
    let mut told = format!("{file}{line}:{column} [{caret}] {}", error.message);
    let label = error.label.iter().map(|label| format!(" ^ {label}"));
    let context = error.context.iter().map(|context| format!(" @ {context}"));
    let hints = error.hints.iter().map(|hint| format!(" | {hint}"));
    told.extend(label.chain(context).chain(hints));
    told
}

pub(super) fn unsupported(task: &Task) -> Vec<String> {
    task.unsupported
        .iter()
        .map(|note| {
            note.message
                .trim_end_matches(" is not supported yet")
                .to_owned()
        })
        .collect()
}

#[test]
fn the_examples_of_the_format_have_no_errors() {
    for (name, text) in EXAMPLES {
        let task = task(text);
        assert_eq!(task.name, name);
        let lacks = unsupported(&task);
        let known = ["`aws`"];
        assert!(
            lacks.iter().all(|what| known.contains(&what.as_str())),
            "{name}: {lacks:?}"
        );
    }
}

#[test]
fn what_the_engine_lacks_is_noted_once_with_its_place() {
    let task = task(EXAMPLES[1].1);
    let notes: Vec<String> = task.unsupported.iter().map(told).collect();
    assert_eq!(
        notes,
        [
            "20:5 [aws] `aws` is not supported yet",
            "31:5 [aws] `aws` is not supported yet",
        ]
    );
}

/// Cases of `errors.txt`: a task file, then what is told about it, after a line of `=`, `-`.
#[test]
fn mistakes_are_told_with_their_place() {
    let mut actual = String::new();
    for case in MISTAKES.split("====\n").skip(1) {
        let (text, _) = case.split_once("----\n").expect("a case has two parts");
        let errors = read_text("t.yml", text).err().unwrap_or_default();
        let told: Vec<String> = errors.iter().map(told).collect();
        assert!(!told.is_empty(), "no mistake:\n{text}");
        let case = format!("====\n{text}----\n{}\n", told.join("\n"));
        actual.push_str(&case);
    }
    let expected = &MISTAKES[MISTAKES.find("====").unwrap_or(0)..];
    for (expected, actual) in expected.split("====\n").zip(actual.split("====\n")) {
        assert_eq!(actual, expected);
    }
}

#[test]
fn a_task_is_what_its_file_says() {
    let task = whole();
    assert_eq!(
        (
            task.name.as_str(),
            task.desc.as_str(),
            task.private,
            task.kind
        ),
        ("t", "Does it", true, Kind::Change)
    );
    assert_eq!(task.phases[0].strategy.batch, [Amount::Count(2)]);
    assert_eq!(task.phases[0].strategy.max_failures, Amount::Percent(10));
    assert_eq!(task.phases[0].strategy.confirm, []);
    assert_eq!(task.fanout, Some(8));
    let targets: Vec<&str> = task.targets.iter().map(Text::shown).collect();
    assert_eq!(targets, ["role=app", "env={{ params.env }}"]);
    assert!(matches!(task.targets[0], Text::Plain(_)));
    let ids: Vec<&str> = task.phases[0]
        .steps
        .iter()
        .map(|step| step.id.as_str())
        .collect();
    assert_eq!(ids, ["unit", "restart", "step-3", "step-4"]);
    assert_eq!(task.phases[0].always[0].id, "always-1");
    assert_eq!(unsupported(&task), [""; 0]);
}

const WHOLE: &str = r#"
desc: Does it
private: true
version: 1
resume: from_failed
fanout: 8
params:
  env: {default: prod}
  unit: {type: list, default: [a, b]}
vars: {root: "/opt/{{ params.env }}"}
targets: role=app env={{ params.env }}
defaults: {timeout: 5m, env: {A: "1", B: "2"}, sudo: true}
strategy: {batch: 2, max_failures: 10%, confirm: never}
steps:
  - run: systemctl is-active {{ params.unit }} | cat
    register: unit
    env: {B: "3"}
    sudo: false
    ok_rc: [0, 3]
    read_only: true
    resume: rerun
  - id: restart
    run: [systemctl, restart, "{{ vars.root }}"]
    shell: bash
    when: unit.ok
  - loop: "{{ params.unit }}"
    as: name
    log: "{{ name }} of {{ loop.index }}"
  - group:
      - run: "true"
        retry: {until: attempt > 2}
    rescue: [{fail: "{{ error.step }}"}]
    recovered: true
always:
  - run: echo {{ unit.rc }}
    when: unit is defined
"#;

fn whole() -> Task {
    task(&WHOLE.replace("    shell: bash\n", ""))
}

#[test]
fn the_list_form_reaches_no_shell() {
    let errors = read_text("t.yml", WHOLE).unwrap_err();
    assert_eq!(
        errors[0].message,
        "`shell` beside the list form, which reaches no shell"
    );
}

#[test]
fn defaults_are_under_a_steps_own_modifiers() {
    let task = whole();
    let first = &task.phases[0].steps[0].modifiers;
    let shown = |name: &str| first.env[name].shown().to_owned();
    assert_eq!((shown("A"), shown("B")), ("1".to_owned(), "3".to_owned()));
    assert_eq!(
        (first.sudo.as_ref(), first.ok_rc.as_slice()),
        (None, &[0, 3][..])
    );
    assert_eq!(first.timeout.map(|timeout| timeout.as_secs()), Some(300));
    let second = &task.phases[0].steps[1].modifiers;
    assert_eq!(second.sudo.as_ref().map(Text::shown), Some("root"));
    // A log has no limit and no user.
    assert_eq!(task.phases[0].steps[2].modifiers.timeout, None);
}

#[test]
fn templates_say_how_they_are_quoted_and_what_they_wait_for() {
    let task = whole();
    let Action::Run(RunProgram::Shell(Text::Template(shell))) = &task.phases[0].steps[0].action
    else {
        panic!("a shell text");
    };
    assert_eq!((shell.quoting, shell.registers.len()), (Quoting::Shell, 0));
    let Action::Run(RunProgram::Argv(argv)) = &task.phases[0].steps[1].action else {
        panic!("an argv");
    };
    let Text::Template(word) = &argv[2] else {
        panic!("a template");
    };
    assert_eq!(word.quoting, Quoting::Plain);
    let Some(Condition::Expression(when)) = &task.phases[0].steps[1].modifiers.when else {
        panic!("an expression");
    };
    assert_eq!(
        (when.source.as_str(), when.registers.as_slice()),
        ("unit.ok", &["unit".to_owned()][..])
    );
    let Action::Log(Text::Template(log)) = &task.phases[0].steps[2].action else {
        panic!("a template");
    };
    assert_eq!(log.registers, ["name", "loop"]);
    assert_eq!(
        task.phases[0].steps[2]
            .modifiers
            .loop_over
            .as_ref()
            .unwrap()
            .source,
        "params.unit"
    );
}

#[test]
fn names_of_steps_are_short_and_say_what_they_do() {
    let task = whole();
    let shown: Vec<&str> = task.phases[0]
        .steps
        .iter()
        .map(|step| step.name.shown())
        .collect();
    assert_eq!(
        shown,
        [
            "run systemctl is-active {{ params.unit }} | cat",
            "restart",
            "log {{ name }} of {{ loop.index }}",
            "group of 1 step",
        ]
    );
}

#[test]
fn what_strategies_may_leave_out() {
    let strategy = |text: &str| {
        task(&format!("{text}\nsteps: [{{run: x}}]\n"))
            .phases
            .remove(0)
            .strategy
    };
    let all = strategy("strategy: all");
    assert_eq!((all.batch, all.max_failures), (vec![], Amount::Count(0)));
    assert_eq!(all.confirm, [GateAt::Start]);
    assert_eq!(strategy("strategy: {}").batch, [Amount::Count(1)]);
    let read = strategy("kind: read");
    assert_eq!(
        (read.batch, read.max_failures),
        (vec![], Amount::Percent(100))
    );
    assert_eq!(read.confirm, []);
}

#[test]
fn every_later_part_of_the_format_is_noted() {
    let text = r#"
strategy: all
params: {from_ssm: {from: "ssm:/x"}}
steps:
  - run: echo {{ secret("x") }}
  - line: {path: /x, line: y}
  - replace: {path: /x, match: y, with: z}
  - run: x
    register: kept
    sticky: true
"#;
    assert_eq!(
        unsupported(&task(text)),
        [
            "`from: ssm`",
            "`secret` in a template",
            "`line`",
            "`replace`",
        ]
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Cutting, doubling and swapping parts of good files gives a task or errors with a place each.
    #[test]
    fn no_mutation_makes_it_panic(
        which in 0_usize..5,
        cuts in prop::collection::vec((0_usize..2000, 0_usize..40, "[-:{}\\[\\]|>'\"&*!%@ \\n\tax0é]{0,4}"), 1..4),
    ) {
        let mut text: Vec<char> = EXAMPLES[which].1.chars().collect();
        for (at, length, put) in cuts {
            let at = at.min(text.len());
            let end = (at + length).min(text.len());
            text.splice(at..end, put.chars());
        }
        let text: String = text.into_iter().collect();
        if let Err(errors) = read_text("t.yml", &text) {
            prop_assert!(!errors.is_empty());
            for error in errors {
                prop_assert!(error.span.is_some(), "{}", error.message);
            }
        }
    }
}
