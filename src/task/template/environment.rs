//! The template language: minijinja with strict undefined, our filters, and values that a shell text quotes
//! by itself. What a template sees is `scope`'s.

use std::fmt;
use std::sync::{Arc, LazyLock};

use base64::Engine as _;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Object, ObjectRepr, ValueKind};
use minijinja::{Environment, Error, ErrorKind, Output, State, UndefinedBehavior, Value};

use crate::task::Quoting;

/// The filters that templates may use.
pub(super) const FILTERS: [&str; 49] = [
    "abs",
    "attr",
    "b64",
    "basename",
    "batch",
    "bool",
    "capitalize",
    "chain",
    "count",
    "d",
    "default",
    "dictsort",
    "first",
    "float",
    "format",
    "groupby",
    "human_size",
    "indent",
    "int",
    "items",
    "join",
    "last",
    "length",
    "lines",
    "list",
    "lower",
    "map",
    "max",
    "min",
    "quote",
    "raw",
    "reject",
    "rejectattr",
    "replace",
    "reverse",
    "round",
    "select",
    "selectattr",
    "slice",
    "sort",
    "split",
    "string",
    "sum",
    "title",
    "tojson",
    "trim",
    "unique",
    "upper",
    "zip",
];

/// Filters that minijinja brings and that have no place here: they mark text as safe for HTML, or print
/// what is meant for its own debugging.
const REMOVED_FILTERS: [&str; 5] = ["safe", "escape", "e", "pprint", "urlencode"];

/// The environment: compiled templates are kept in it for the life of the process, each once.
///
/// A template's name is its quoting's prefix and its source, so that a lookup is the cache.
pub(super) static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(build);

/// The name under which a template of this source is found.
pub(super) fn template_name(source: &str, quoting: Quoting) -> String {
    let prefix = match quoting {
        Quoting::Plain | Quoting::File => PLAIN,
        Quoting::Shell => SHELL,
        Quoting::Pattern => PATTERN,
    };
    format!("{prefix}{source}")
}

const PLAIN: &str = "plain:";
const SHELL: &str = "shell:";
const PATTERN: &str = "pattern:";

fn build() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_debug(false);
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    environment.set_auto_reload(false);
    environment.set_syntax(syntax());
    environment.set_loader(|name| {
        let mut prefixes = [PLAIN, SHELL, PATTERN].into_iter();
        let source = prefixes.find_map(|prefix| name.strip_prefix(prefix));
        Ok(source.map(str::to_owned))
    });
    environment.set_formatter(format_value);
    for name in REMOVED_FILTERS {
        environment.remove_filter(name);
    }
    environment.remove_global("debug");
    environment.add_filter("quote", |value: Value| {
        let mut text = String::new();
        write_words(&mut text, &value)?;
        Ok::<_, Error>(Value::from_object(ShellText(text)))
    });
    environment.add_filter("raw", |value: Value| {
        Value::from_object(ShellText(text_of(&value)))
    });
    environment.add_filter("basename", |path: &str| {
        let path = path.trim_end_matches('/');
        path.rsplit('/').next().unwrap_or(path).to_owned()
    });
    environment.add_filter("b64", |value: &Value| {
        base64::engine::general_purpose::STANDARD.encode(text_of(value))
    });
    environment.add_filter("tojson", |value: &Value| {
        serde_json::to_string(value).map_err(|error| {
            Error::new(ErrorKind::BadSerialization, "not representable as JSON").with_source(error)
        })
    });
    environment.add_filter("human_size", |value: &Value| human_size(value));
    environment
}

/// Jinja's own, but a text keeps its last newline.
fn syntax() -> SyntaxConfig {
    SyntaxConfig::builder()
        .keep_trailing_newline(true)
        .build()
        .expect("the delimiters are Jinja's own")
}

fn human_size(value: &Value) -> Result<String, Error> {
    let bytes = match value.as_object() {
        Some(_) => value.get_attr("bytes")?,
        None => value.clone(),
    };
    let bytes = bytes
        .as_str()
        .and_then(|text| text.trim().parse::<u64>().ok())
        .or_else(|| u64::try_from(bytes).ok());
    bytes
        .map(|bytes| crate::model::Size(bytes).to_string())
        .ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidOperation,
                "`human_size` takes a number of bytes",
            )
        })
}

/// Text that `| raw` or `| quote` made: a shell text takes it as it is. Any further filter makes it an
/// ordinary value again, which is quoted.
#[derive(Debug)]
struct ShellText(String);

impl Object for ShellText {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Prints a value into a text: as it is, or as words of a shell.
fn format_value(
    out: &mut Output<'_>,
    state: &mut State<'_, '_>,
    value: &Value,
) -> Result<(), Error> {
    if state.name().starts_with(SHELL) {
        let mut text = String::new();
        write_words(&mut text, value)?;
        return Ok(out.write_str(&text)?);
    }
    let is_pattern = state.name().starts_with(PATTERN);
    match value.kind() {
        ValueKind::Undefined => Ok(()),
        ValueKind::None => Err(no_value()),
        ValueKind::Invalid => Err(ErrorKind::InvalidOperation.into()),
        _ if is_pattern && value.downcast_object_ref::<ShellText>().is_none() => {
            Ok(out.write_str(&regex::escape(&text_of(value)))?)
        }
        _ => Ok(out.write_str(&text_of(value))?),
    }
}

/// A value as text: flags as YAML writes them, lists and maps as JSON.
fn text_of(value: &Value) -> String {
    match value.kind() {
        ValueKind::Bool => value.is_true().to_string(),
        ValueKind::Seq | ValueKind::Iterable | ValueKind::Map => {
            serde_json::to_string(value).unwrap_or_else(|_| value.to_string())
        }
        _ => value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned),
    }
}

/// Writes a value as shell words: one, or one for each element of a list.
fn write_words(text: &mut String, value: &Value) -> Result<(), Error> {
    if let Some(shell) = value.downcast_object_ref::<ShellText>() {
        text.push_str(&shell.0);
        return Ok(());
    }
    match value.kind() {
        // Only the missing branch of an inline `if` arrives here; any other undefined value was refused.
        ValueKind::Undefined => Ok(()),
        ValueKind::Seq | ValueKind::Iterable => {
            for (index, element) in value.try_iter()?.enumerate() {
                if index > 0 {
                    text.push(' ');
                }
                if matches!(element.kind(), ValueKind::Seq | ValueKind::Iterable) {
                    return Err(not_one_word("a list of lists"));
                }
                write_words(text, &element)?;
            }
            Ok(())
        }
        ValueKind::Map => Err(not_one_word("a map")),
        ValueKind::None => Err(no_value()),
        ValueKind::Invalid => Err(ErrorKind::InvalidOperation.into()),
        _ => push_word(text, &text_of(value)),
    }
}

/// Writes one word, always in single quotes: bare digits before `>` or letters after `$x` would mean
/// something else (POSIX shell, section 2.2.2).
fn push_word(text: &mut String, word: &str) -> Result<(), Error> {
    if word.contains('\0') {
        let message = "the value holds a NUL byte, which no shell word can";
        return Err(Error::new(ErrorKind::InvalidOperation, message));
    }
    text.push('\'');
    for (index, part) in word.split('\'').enumerate() {
        if index > 0 {
            text.push_str("'\\''");
        }
        text.push_str(part);
    }
    text.push('\'');
    Ok(())
}

fn not_one_word(what: &str) -> Error {
    let message = format!("{what} is no shell word; `| tojson` makes it one");
    Error::new(ErrorKind::InvalidOperation, message)
}

fn no_value() -> Error {
    let message = "the value is null; `| default(…, true)` replaces it";
    Error::new(ErrorKind::InvalidOperation, message)
}

/// Hostile values through a real `sh`.
#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};
    use std::sync::Arc;

    use indexmap::IndexMap;
    use proptest::prelude::*;

    use super::super::template_names;
    use super::super::tests::{engine, template};
    use crate::task::{ParamValue, Quoting, Scope};

    /// What a real `sh` makes of a shell text: its words, as `printf` prints them.
    fn words_of(text: &str) -> Vec<u8> {
        let output = Command::new("sh")
            .args(["-euc", text])
            .current_dir(std::env::temp_dir())
            .stdin(Stdio::null())
            .output()
            .expect("a POSIX sh is on every machine that builds this");
        assert!(output.status.success(), "{output:?}");
        output.stdout
    }

    fn printed(value: &str, source: &str) -> Vec<u8> {
        let params = IndexMap::from([("x".to_owned(), ParamValue::String(value.to_owned()))]);
        let text = template(source, Quoting::Shell);
        template_names(source, Quoting::Shell, &text.span).expect("the text is allowed");
        let text = engine()
            .render(&text, &Scope::new(Arc::new(params)))
            .unwrap();
        words_of(&text)
    }

    #[test]
    fn known_hostile_values_come_back_from_a_real_shell() {
        for value in [
            "$(touch /tmp/pwned); x'y\"z",
            "`touch /tmp/pwned`",
            "'; touch /tmp/pwned; '",
            "a\n touch /tmp/pwned #",
            "\\'\\",
            "-n",
            "*",
            "~root",
            "",
            "\u{fffd}\u{1b}[31m\r\t!!$'x'",
        ] {
            let expected = format!("<{value}>");
            assert_eq!(
                printed(value, "printf '<%s>' {{ params.x }}"),
                expected.as_bytes()
            );
            let expected = format!("<a{value}b>");
            assert_eq!(
                printed(value, "printf '<%s>' a{{ params.x }}b"),
                expected.as_bytes()
            );
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

        #[test]
        fn any_value_is_one_word_of_a_real_shell(value in "[^\\x00]{0,40}", other in "['\"$`\\\\ \n;&|(){}<>*?~#!=-]{0,20}") {
            for value in [value, other] {
                let expected = format!("<{value}><end>");
                prop_assert_eq!(
                    printed(&value, "printf '<%s>' {{ params.x }} end"),
                    expected.as_bytes()
                );
            }
        }
    }
}
