//! YAML as people write it: what is read, what is refused, and where the caret stands.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::model::{Amount, Diagnostic, Size, Source};

fn source(text: &str) -> Arc<Source> {
    Arc::new(Source {
        path: "a.yml".into(),
        text: text.to_owned(),
    })
}

fn read(text: &str) -> Node {
    parse(&source(text)).unwrap_or_else(|errors| panic!("{text:?}: {errors:#?}"))
}

fn errors(text: &str) -> Vec<Diagnostic> {
    parse(&source(text)).expect_err(text)
}

/// `LINE:COLUMN caret-text message`, with label and hints after it.
fn told(error: &Diagnostic) -> String {
    let span = error.span.as_ref().unwrap();
    let (line, column) = span.line_column();
    let caret = &span.source.text[span.range.clone()];
    let mut told = format!("{line}:{column} [{caret}] {}", error.message);
    if let Some(label) = &error.label {
        told.push_str(" ^ ");
        told.push_str(label);
    }
    for hint in &error.hints {
        told.push_str(" | ");
        told.push_str(hint);
    }
    told
}

#[test]
fn scalars_keep_their_text_and_style() {
    let node = read("a: 010\nb: 'yes'\nc: |\n  x\n  y\nd:\ne: ~\nf: no\ng: 1.10\n");
    let text = |key: &str| node.get(key).and_then(Node::as_text);
    assert_eq!(text("a"), Some("010"));
    assert_eq!(text("b"), Some("yes"));
    assert_eq!(text("c"), Some("x\ny\n"));
    assert_eq!(text("f"), Some("no"));
    assert_eq!(text("g"), Some("1.10"));
    assert!(node.get("d").unwrap().is_null() && node.get("e").unwrap().is_null());
    let style = |key: &str| node.get(key).unwrap().as_scalar().unwrap().style;
    assert_eq!(
        [style("a"), style("b"), style("c")],
        [Style::Plain, Style::Quoted, Style::Block]
    );
}

#[test]
fn spans_are_the_text_that_was_written() {
    let text = "ü: 'é x'\nlist:\n  - one   # why\n  - {k: v}\nempty:\nlast: [a, b]\n\n# end\n";
    let node = read(text);
    let written = |key: &str| node.get(key).unwrap().written();
    assert_eq!(written("ü"), "'é x'");
    assert_eq!(written("list"), "- one   # why\n  - {k: v}");
    assert_eq!(written("last"), "[a, b]");
    assert_eq!(written("empty"), "");
    assert_eq!(node.get("list").unwrap().span.place(), "a.yml:3:3");
    let NodeKind::Sequence(items) = &node.get("list").unwrap().kind else {
        panic!("a list");
    };
    assert_eq!(items[0].written(), "one");
    assert_eq!(items[1].written(), "{k: v}");
    assert_eq!(
        node.get("list").unwrap().head().range.len(),
        "- one   # why".len()
    );
}

#[test]
fn empty_files_are_null_and_documents_are_counted() {
    for text in ["", "\n", "# nothing\n", "---\n", "~\n"] {
        assert!(read(text).is_null(), "{text:?}");
    }
    assert_eq!(parse_all(&source("a: 1\n---\nb: 2\n")).unwrap().len(), 2);
    assert_eq!(
        errors("a: 1\n---\nb: 2\n")
            .iter()
            .map(told)
            .collect::<Vec<_>>(),
        ["3:1 [b: 2] a second document in a file that may hold one"]
    );
}

#[test]
fn aliases_are_copies_and_bounded() {
    let node = read("a: &x {k: v}\nb: *x\n");
    assert_eq!(
        node.get("b").unwrap().get("k").unwrap().as_text(),
        Some("v")
    );
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..7 {
        let alias = format!("*a{}", level - 1);
        let line = format!("a{level}: &a{level} [{}]\n", vec![alias; 10].join(", "));
        bomb.push_str(&line);
    }
    assert_eq!(
        errors(&bomb)[0].message,
        "aliases grow this file by more than 10000 values"
    );
    assert_eq!(
        errors("a: &x [*x]\n")[0].message,
        "alias to an anchor that is not complete yet"
    );
    assert_eq!(errors(&"[".repeat(5000)).len(), 1);
    let deep = "- ".repeat(5000);
    assert_eq!(errors(&deep)[0].message, "nested more than 64 levels deep");
}

#[test]
fn what_yaml_allows_and_we_do_not() {
    for (text, expected) in [
        (
            "a: 1\nb: 2\na: 3\n",
            "3:1 [a] duplicate key `a` ^ first at a.yml:1:1",
        ),
        (
            "x:\n  a: 1\n  'a': 3\n",
            "3:3 ['a'] duplicate key `a` ^ first at a.yml:2:3",
        ),
        (
            "a: &x {}\nb:\n  <<: *x\n",
            "3:3 [<<] merge keys (`<<`) are not part of the format | write the keys out; an alias (`*name`) may stand for a whole value",
        ),
        (
            "a: !foo bar\n",
            "1:4 [!foo bar] tag `!foo` is not part of the format | quote a text that begins with `!`",
        ),
    ] {
        assert_eq!(
            errors(text).iter().map(told).collect::<Vec<_>>(),
            [expected],
            "{text}"
        );
    }
}

#[test]
fn every_duplicate_of_a_file_is_reported() {
    assert_eq!(errors("a: 1\na: 2\nb:\n  c: 1\n  c: 2\n").len(), 2);
}

#[test]
fn syntax_errors_have_the_hint_of_their_trap() {
    for (text, line, hint) in [
        (
            "run: echo a: b\n",
            1,
            "a text that holds `: ` wants quotes, or `|` and a line of its own",
        ),
        (
            "steps:\n  - run: {{ x }}\n  - run: echo a: b\n",
            3,
            "a text that holds `: ` wants quotes, or `|` and a line of its own",
        ),
        (
            "steps:\n  - run: {{ x }} y\n",
            2,
            "quote it: \"{{ x }}\"; without quotes YAML takes the braces for a map",
        ),
        (
            "steps:\n\t- run: x\n",
            2,
            "indent with spaces: YAML allows no tabs there",
        ),
        (
            "name: *star\n",
            1,
            "quote a text that begins with `*` or `&`",
        ),
        (
            "name: @x\n",
            1,
            "quote a text that begins with a special character",
        ),
        (
            "name: %x\n",
            1,
            "quote a text that begins with a special character",
        ),
        (
            "name: \"a\" b\n",
            1,
            "a text that begins with a quote ends with it: quote the whole, or use `|`",
        ),
    ] {
        let errors = errors(text);
        let (at, _) = errors[0].span.as_ref().unwrap().line_column();
        assert!(
            errors[0].message.starts_with("not valid YAML: "),
            "{errors:?}"
        );
        assert_eq!(
            (at, errors[0].hints.as_slice()),
            (line, &[hint.to_owned()][..]),
            "{errors:#?}"
        );
    }
}

#[test]
fn an_unclosed_quote_is_named() {
    let error = &errors("a: \"never\nb: 1\n")[0];
    assert_eq!(
        error.hints,
        ["a quote is opened and never closed"],
        "{error:?}"
    );
}

#[test]
fn unknown_keys_have_a_suggestion_or_the_list() {
    let node = read("max_failure: 1\nzzz:\nbatch: 2\n");
    let mut errors = Vec::new();
    let fields = node
        .expect_mapping("`strategy`", &["batch", "max_failures"], &mut errors)
        .unwrap();
    assert_eq!(fields.int::<u32>("batch", &mut errors), Some(2));
    assert_eq!(
        errors.iter().map(told).collect::<Vec<_>>(),
        [
            "1:1 [max_failure] unknown key `max_failure` in `strategy` ^ did you mean `max_failures`?",
            "2:1 [zzz] unknown key `zzz` in `strategy` | keys: batch, max_failures | it has no value: an unquoted comma?",
        ]
    );
}

#[test]
fn braces_without_quotes_are_no_map() {
    let node = read("run: {{ x }}\n");
    let mut errors = Vec::new();
    assert_eq!(
        node.get("run").unwrap().expect_string("`run`", &mut errors),
        None
    );
    assert_eq!(
        told(&errors[0]),
        "1:6 [{{ x }}] `run` must be a text, not a map | quote it: \"{{ x }}\"; without quotes YAML takes the braces for a map"
    );
}

#[test]
fn values_of_their_own_types() {
    let node =
        read("t: true\nn: -7\nf: 1.5\nd: 90s\ns: 200MiB\np: 25%\nw: read\none: a\nmany: [a, 1]\n");
    let mut errors = Vec::new();
    let fields = node
        .expect_mapping(
            "x",
            &["t", "n", "f", "d", "s", "p", "w", "one", "many"],
            &mut errors,
        )
        .unwrap();
    assert_eq!(fields.bool("t", &mut errors), Some(true));
    assert_eq!(fields.int::<i64>("n", &mut errors), Some(-7));
    assert_eq!(fields.float("f", &mut errors), Some(1.5));
    assert_eq!(
        fields.duration("d", &mut errors),
        Some(Duration::from_secs(90))
    );
    assert_eq!(fields.size("s", &mut errors), Some(Size(200 << 20)));
    assert_eq!(fields.amount("p", &mut errors), Some(Amount::Percent(25)));
    assert_eq!(
        fields.word("w", &[("read", 1), ("change", 2)], &mut errors),
        Some(1)
    );
    assert_eq!(
        fields.strings("one", &mut errors),
        Some(vec!["a".to_owned()])
    );
    assert_eq!(
        fields.strings("many", &mut errors),
        Some(vec!["a".to_owned(), "1".to_owned()])
    );
    assert_eq!(errors, []);
}

/// What `v` is read as, a file, and what is told about it.
const WRONG: [(&str, &str, &str); 9] = [
    (
        "bool",
        "v: yes",
        "1:4 [yes] `v` must be `true` or `false`, not `yes`",
    ),
    (
        "bool",
        "v: 'true'",
        "1:4 ['true'] `v` must be `true` or `false`, not `'true'`",
    ),
    (
        "int",
        "v: 010",
        "1:4 [010] `v` must be a whole number, not `010`",
    ),
    ("int", "v: 300", "1:4 [300] `v`: `300` is out of range"),
    (
        "int",
        "v: [1]",
        "1:4 [[1]] `v` must be a whole number, not a list",
    ),
    (
        "duration",
        "v: 5",
        "1:4 [5] `v`: `5` is not a duration such as `10s`, `2m` or `1h30m`",
    ),
    (
        "word",
        "v: raed",
        "1:4 [raed] `v` must be `read` or `change`, not `raed` ^ did you mean `read`?",
    ),
    (
        "string",
        "v: {a: 1}",
        "1:4 [{a: 1}] `v` must be a text, not a map",
    ),
    (
        "string",
        "v:",
        "1:1 [v] `v` has no value | give it one, or leave the key out",
    ),
];

#[test]
fn wrong_values_say_what_they_should_be() {
    for (of, text, expected) in WRONG {
        let node = read(text);
        let mut errors = Vec::new();
        let fields = node.expect_mapping("x", &["v"], &mut errors).unwrap();
        let right = match of {
            "bool" => fields.bool("v", &mut errors).is_some(),
            "int" => fields.int::<u8>("v", &mut errors).is_some(),
            "duration" => fields.duration("v", &mut errors).is_some(),
            "word" => fields
                .word("v", &[("read", 1), ("change", 2)], &mut errors)
                .is_some(),
            _ => fields.string("v", &mut errors).is_some(),
        };
        assert!(!right, "{text}");
        let told: Vec<String> = errors.iter().map(told).collect();
        assert_eq!(told, [expected], "{text}");
    }
}

#[test]
fn what_two_parsers_read_differently_is_refused() {
    let hint = "quote the value, or write it on lines of its own";
    for (text, place) in [("a: [?x]\n", "a.yml:1:5"), ("é: b\u{2028}c\n", "a.yml:2:1")] {
        let errors = errors(text);
        assert_eq!(errors[0].message, "two YAML parsers read this differently");
        assert_eq!(errors[0].span.as_ref().unwrap().place(), place);
        assert_eq!(errors[0].hints, [hint]);
    }
    for text in [
        "{\"a\":1}\n",
        "a: 0o17\n",
        "a: -.inf\n",
        "a: [a:b]\n",
        "\u{feff}a: 1\n",
        "a: 1.10\n",
    ] {
        assert!(parse(&source(text)).is_ok(), "{text}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "[-a: \\[\\]{}&*!|>'\"%@`#,?\t\n~<é0]{0,60}") {
        if let Err(errors) = parse_all(&source(&text)) {
            prop_assert!(!errors.is_empty());
        }
    }
}
