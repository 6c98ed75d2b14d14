//! Templates and expressions over a scope.

use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;
use serde_json::json;

use super::{Engine, Fab, Outside};
use crate::model::{Diagnostic, Host, Secret, Size, Source, SourceSpan, Tags};
use crate::task::{
    Action, Expression, Facts, OpenSpan, ParamValue, Quoting, RegisterValue, Results, Rollout,
    Scope, SpanOf, Step, StepError, Template, Text,
};

struct Still;

impl Outside for Still {
    fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::UNIX_EPOCH
    }

    fn file_sha256(&self, path: &str) -> Result<String, String> {
        match path {
            "a.jar" => Ok("c0ffee".to_owned()),
            _ => Err("no such file".to_owned()),
        }
    }
}

pub(super) fn engine() -> Engine {
    let outside: Arc<dyn Outside> = Arc::new(Still);
    let fab = Fab {
        version: "0.1.0".to_owned(),
        ..Fab::default()
    };
    Engine::new(&outside, fab)
}

pub(super) fn span(text: &str) -> SourceSpan {
    let source = Arc::new(Source {
        path: "t.yml".into(),
        text: text.to_owned(),
    });
    SourceSpan::new(&source, 0..text.len())
}

pub(super) fn template(source: &str, quoting: Quoting) -> Template {
    Template {
        source: source.to_owned(),
        quoting,
        span: span(source),
        registers: Vec::new(),
    }
}

fn expression(source: &str) -> Expression {
    Expression {
        source: source.to_owned(),
        span: span(source),
        registers: Vec::new(),
    }
}

fn scope() -> Scope {
    let host = Host {
        tags: Tags::from_iter([("service", "api"), ("role", "app")]),
        vars: IndexMap::from([("heap".to_owned(), json!({"max": 4}))]),
        ..Host::named("web-a1", "10.0.0.1")
    };
    let params = IndexMap::from([
        ("service".to_owned(), ParamValue::String("it's".to_owned())),
        ("port".to_owned(), ParamValue::Int(8080)),
        ("drain".to_owned(), ParamValue::Bool(true)),
        (
            "wait".to_owned(),
            ParamValue::Duration(Duration::from_secs(90)),
        ),
        ("room".to_owned(), ParamValue::Size(Size(200 << 20))),
        (
            "units".to_owned(),
            ParamValue::List(vec![
                ParamValue::String("a b".to_owned()),
                ParamValue::String("c".to_owned()),
            ]),
        ),
        (
            "password".to_owned(),
            ParamValue::Secret(Secret::new("hunter22")),
        ),
    ]);
    let mut scope = Scope::new(Arc::new(params)).with_host(&Arc::new(host), 3);
    let dump = RegisterValue {
        rc: Some(0),
        stdout: "{\"file\": \"/x\"}\n".to_owned(),
        ok: true,
        ..RegisterValue::default()
    };
    scope.set_register("dump", dump);
    scope.set_step("unpack");
    scope
}

fn rendered(source: &str, quoting: Quoting) -> Result<String, Diagnostic> {
    engine().render(&template(source, quoting), &scope())
}

#[test]
fn plain_texts_print_values_as_they_are() {
    for (source, expected) in [
        ("{{ params.service }}:{{ params.port }}\n", "it's:8080\n"),
        ("{{ params.wait }} {{ params.wait.secs }}", "90s 90"),
        (
            "{{ params.room }} {{ params.room.bytes }}",
            "200MiB 209715200",
        ),
        ("{{ params.room | human_size }}", "200.0 MiB"),
        (
            "{{ host.label }} {{ host.index }} {{ host.zone }}",
            "web-a1 3 none",
        ),
        ("{{ host.vars.heap.max + 1 }}", "5"),
        ("{{ params.units | join('/') }}", "a b/c"),
        (
            "{{ params.drain }} {{ params.units }}",
            "true [\"a b\",\"c\"]",
        ),
        ("{{ '/opt/x/app.jar' | basename }}", "app.jar"),
        ("{{ 'héap' | b64 }}", "aMOpYXA="),
        (
            "{{ dump.json.file }} {{ dump.rc }} {{ dump.stdout }}",
            "/x 0 {\"file\": \"/x\"}",
        ),
        ("{{ dump.json | tojson }}", "{\"file\":\"/x\"}"),
        ("{{ nothing | default('x') }}", "x"),
        ("{{ host.tags.env | default('none') }}", "none"),
        ("{{ params.service | quote }}", "'it'\\''s'"),
        (
            "{{ fab.version }} {{ now() }}",
            "0.1.0 1970-01-01T00:00:00Z",
        ),
        ("{{ file_sha256('a.jar') }}", "c0ffee"),
        (
            "{% for u in params.units %}{{ loop.index }}{{ u }};{% endfor %}",
            "1a b;2c;",
        ),
    ] {
        assert_eq!(
            rendered(source, Quoting::Plain).unwrap(),
            expected,
            "{source}"
        );
    }
}

#[test]
fn shell_texts_quote_every_value_once() {
    for (source, expected) in [
        ("echo {{ params.service }}", "echo 'it'\\''s'"),
        ("echo {{ params.service | quote }}", "echo 'it'\\''s'"),
        ("echo {{ params.service | raw }}", "echo it's"),
        ("echo {{ params.service | raw | upper }}", "echo 'IT'\\''S'"),
        (
            "echo {{ 'a ' ~ (params.service | raw) }}",
            "echo 'a it'\\''s'",
        ),
        ("echo {{ params.port }}>x", "echo '8080'>x"),
        ("rm {{ params.units }}", "rm 'a b' 'c'"),
        ("rm {{ params.units | join(' ') }}", "rm 'a b c'"),
        ("rm {{ [] }}", "rm "),
        ("echo {{ dump.json | tojson }}", "echo '{\"file\":\"/x\"}'"),
        ("echo {{ 'x' if params.drain }}", "echo 'x'"),
        ("echo {{ 'x' if not params.drain }}", "echo "),
    ] {
        assert_eq!(
            rendered(source, Quoting::Shell).unwrap(),
            expected,
            "{source}"
        );
    }
}

#[test]
fn patterns_match_values_as_they_are() {
    let text = rendered("^{{ host.address }}:\\d+$", Quoting::Pattern).unwrap();
    assert_eq!(text, "^10\\.0\\.0\\.1:\\d+$");
}

#[test]
fn what_has_no_word_is_refused() {
    for (source, message) in [
        (
            "echo {{ dump.json }}",
            "the template fails: a map is no shell word; `| tojson` makes it one",
        ),
        (
            "echo {{ none }}",
            "the template fails: the value is null; `| default(…, true)` replaces it",
        ),
        (
            "echo {{ 'a\\u0000b' }}",
            "the template fails: the value holds a NUL byte, which no shell word can",
        ),
    ] {
        assert_eq!(
            rendered(source, Quoting::Shell).unwrap_err().message,
            message,
            "{source}"
        );
    }
}

/// Template, message, place, first hint.
const MISSING: [[&str; 4]; 8] = [
    [
        "rm {{ release }}",
        "variable `release` is not defined",
        "t.yml:1:7",
        "declare it in `params:` or `vars:`, or use `host.vars.release`",
    ],
    [
        "a\nb {{ prams.port }}",
        "variable `prams.port` is not defined",
        "t.yml:2:6",
        "did you mean `params.port`?",
    ],
    [
        "{{ params.prot }}",
        "variable `params.prot` is not defined",
        "t.yml:1:4",
        "did you mean `params.port`?",
    ],
    [
        "{{ service }}",
        "variable `service` is not defined",
        "t.yml:1:4",
        "did you mean `params.service`?",
    ],
    [
        "{{ host.tags.servce }}",
        "host web-a1 has no tag `servce`",
        "t.yml:1:4",
        "did you mean `host.tags.service`?",
    ],
    [
        "{{ host.tags.env }}",
        "host web-a1 has no tag `env`",
        "t.yml:1:4",
        "`host.tags.env | default(\"…\")` allows for hosts without it",
    ],
    [
        "{{ dump.stdot }}",
        "variable `dump.stdot` is not defined",
        "t.yml:1:4",
        "did you mean `dump.stdout`?",
    ],
    [
        "{{ params.port }} {{ a.b.c }}",
        "variable `a.b.c` is not defined",
        "t.yml:1:22",
        "",
    ],
];

#[test]
fn a_missing_name_is_named_with_its_place_and_what_was_meant() {
    for [source, message, place, hint] in MISSING {
        let error = rendered(source, Quoting::Plain).unwrap_err();
        assert_eq!(error.message, message, "{source}");
        assert_eq!(error.span.unwrap().place(), place, "{source}");
        assert_eq!(
            error.hints.first().map_or("", String::as_str),
            hint,
            "{source}"
        );
        assert_eq!(
            error.context.as_deref(),
            Some("step `unpack`, rendered for host web-a1")
        );
    }
}

#[test]
fn a_secret_has_no_text_in_any_template() {
    for source in ["{{ params.password }}", "{{ params['password'] | b64 }}"] {
        let error = rendered(source, Quoting::Shell).unwrap_err();
        assert_eq!(
            error.message,
            "`params.password` is a secret and cannot stand in a template"
        );
        assert_eq!(
            error.hints,
            ["on the host it is in the file named by `$FAB_SECRET_PASSWORD_FILE`"]
        );
    }
    let all = rendered("{{ params | tojson }}", Quoting::Plain).unwrap();
    assert!(!all.contains("hunter22"), "{all}");
}

#[test]
fn functions_say_what_they_cannot_do() {
    let error = rendered("{{ file_sha256('b.jar') }}", Quoting::Plain).unwrap_err();
    assert_eq!(error.message, "cannot read `b.jar`: no such file");
    let error = rendered("{{ secret('ssm:/x') }}", Quoting::Plain).unwrap_err();
    assert_eq!(error.message, "`secret()` is not supported yet");
}

#[test]
fn output_that_is_no_json_says_so() {
    let mut scope = scope();
    let plain = RegisterValue {
        stdout: "hello".to_owned(),
        ..RegisterValue::default()
    };
    scope.set_register("said", plain);
    let text = template("{{ said.json.x }}", Quoting::Plain);
    let error = engine().render(&text, &scope).unwrap_err();
    assert!(
        error.message.starts_with("what `said` printed is not JSON"),
        "{}",
        error.message
    );
}

#[test]
fn rescue_steps_see_the_error() {
    let mut scope = scope();
    scope.set_error(&StepError {
        step: "dump".to_owned(),
        rc: Some(7),
        kind: "failed".to_owned(),
        ..StepError::default()
    });
    let text = template(
        "{{ error.step }} {{ error.rc }} {{ error.kind }}",
        Quoting::Plain,
    );
    assert_eq!(engine().render(&text, &scope).unwrap(), "dump 7 failed");
}

#[test]
fn expressions_are_true_or_false() {
    for (source, expected) in [
        ("params.drain", true),
        ("not params.drain or params.port == 8080", true),
        ("dump is defined and dump.ok", true),
        ("nothing is defined and nothing.ok", false),
        ("dump.stdout != ''", true),
        ("'api' in host.tags.service", true),
        ("params.wait.secs > 90", false),
    ] {
        assert_eq!(
            engine().holds(&expression(source), &scope()),
            Ok(expected),
            "{source}"
        );
    }
}

#[test]
fn an_expression_that_is_neither_is_refused() {
    for (source, message, hint) in [
        (
            "params.service",
            "`params.service` is neither true nor false but a text",
            "compare it with a text, such as `params.service != \"\"`",
        ),
        (
            "dump.rc",
            "`dump.rc` is neither true nor false but a number",
            "compare it with a number, such as `dump.rc != 0`",
        ),
        ("fetched.ok", "variable `fetched.ok` is not defined", ""),
        (
            "missing",
            "variable `missing` is not defined",
            "declare it in `params:` or `vars:`, or use `host.vars.missing`",
        ),
    ] {
        let error = engine().holds(&expression(source), &scope()).unwrap_err();
        assert_eq!(error.message, message, "{source}");
        assert_eq!(
            error.hints.first().map_or("", String::as_str),
            hint,
            "{source}"
        );
    }
}

#[test]
fn loops_go_over_lists_alone() {
    let elements = |source| engine().elements(&expression(source), &scope());
    assert_eq!(elements("params.units"), Ok(vec![json!("a b"), json!("c")]));
    assert_eq!(elements("range(2)"), Ok(vec![json!(0), json!(1)]));
    let error = elements("dump.stdout").unwrap_err();
    assert_eq!(error.message, "`dump.stdout` is no list but a text");
}

#[test]
fn a_template_that_is_one_value_keeps_its_type() {
    let value = |source| {
        let text = Text::Template(Arc::new(template(source, Quoting::Plain)));
        engine().value(&text, &scope()).unwrap()
    };
    assert_eq!(value("{{ params.port }}"), json!(8080));
    assert_eq!(value("{{ params.units }}"), json!(["a b", "c"]));
    assert_eq!(value("{{ params.wait }}"), json!("90s"));
    assert_eq!(value("x{{ params.port }}"), json!("x8080"));
}

#[test]
fn facts_and_results_of_every_host_are_known() {
    let told = |stdout: &str| RegisterValue {
        stdout: format!("{stdout}\n"),
        ok: true,
        ..RegisterValue::default()
    };
    let hosts = [("a1", "10.0.0.1"), ("a2", "10.0.0.2"), ("b1", "10.0.0.3")]
        .map(|(name, address)| Arc::new(Host::named(name, address)));
    let mut facts = Facts::default();
    let mut results = Results::default();
    for (host, mode) in hosts.iter().zip(["follower", "leader", "follower"]) {
        facts.set(&host.id, [("mode".to_owned(), told(mode))]);
        results.set("dump", &host.label, told(host.label.as_str()));
    }
    let numbered = hosts.iter().enumerate();
    let rollout = Rollout {
        task: "t".to_owned(),
        phase: "main".to_owned(),
        total: 3,
        population: numbered
            .map(|(index, host)| (Arc::clone(host), index))
            .collect(),
    };
    let planned = Scope::new(Arc::default())
        .with_host(&hosts[1], 1)
        .with_rollout(&Arc::new(rollout));
    let mut scope = planned.clone();
    scope.set_facts(&Arc::new(facts.clone()));
    scope.set_results(&Arc::new(results));
    let holds = |source: &str| engine().holds(&expression(source), &scope).unwrap();
    assert!(holds("host.facts.mode.stdout == 'leader'"));
    assert!(holds(
        "(rollout.population | selectattr('facts.mode.stdout', 'equalto', 'leader') | list | length) == 1"
    ));
    assert!(holds("results.dump['b1'].stdout == 'b1'"));
    assert!(holds("results['dump'] | length == 3"));
    facts.forget(&hosts[1].id);
    scope.set_facts(&Arc::new(facts));
    let source = expression("host.facts.mode.stdout == 'leader'");
    for scope in [&scope, &planned] {
        let error = engine().holds(&source, scope).unwrap_err();
        assert_eq!(error.message, "host a2 has not told fact `mode`");
    }
}

#[test]
fn open_durations_are_settled_for_a_scope() {
    let step = |text: &str| {
        let open = OpenSpan {
            of: SpanOf::Pause,
            text: Text::Template(Arc::new(template(text, Quoting::Plain))),
        };
        Step {
            open: vec![open],
            ..adhoc_step()
        }
    };
    let mut good = step("{{ params.wait }}");
    engine().settle(&mut good, &scope()).unwrap();
    assert!(good.open.is_empty());
    assert!(
        matches!(good.action, Action::Pause(pause) if pause == Duration::from_secs(90)),
        "{good:?}"
    );
    for (text, message) in [
        (
            "{{ params.port }}",
            "`pause`: `8080` is not a duration such as `10s`, `2m` or `1h30m`",
        ),
        ("{{ params.prot }}", "variable `params.prot` is not defined"),
    ] {
        let errors = engine().settle(&mut step(text), &scope()).unwrap_err();
        assert_eq!(errors[0].message, message);
        assert!(errors[0].span.is_some());
    }
}

/// A pause of no length.
fn adhoc_step() -> Step {
    let manner = crate::task::adhoc::AdHocManner::default();
    let task = crate::task::adhoc::command(&["x".to_owned()], &manner).unwrap();
    Step {
        action: Action::Pause(Duration::ZERO),
        ..task.phases[0].steps[0].clone()
    }
}
