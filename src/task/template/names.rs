//! What a template or an expression reads, and whether it can be compiled: the check that needs no values.

use std::collections::HashSet;
use std::ops::Range;

use minijinja::ErrorKind;

use super::environment::{ENVIRONMENT, FILTERS, template_name};
use super::fault;
use super::position;
use super::tag::{Piece, pieces, words};
use crate::model::{Diagnostic, SourceSpan, nearest};
use crate::task::Quoting;
use crate::task::shell_text::{Misplaced, Place, misplaced};

/// What a template or an expression reads.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// The names, in the order of their first use.
    pub paths: Vec<NamePath>,
    /// Whether a value goes unquoted into a shell text through `| raw`.
    pub raw: bool,
}

/// A name with its attributes as far as they are written out, such as `host.tags.service`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamePath {
    /// The name.
    pub path: String,
    /// Where it stands in the file.
    pub span: SourceSpan,
}

impl NamePath {
    /// The name without attributes.
    pub fn root(&self) -> &str {
        self.path.split('.').next().unwrap_or(&self.path)
    }
}

/// Compiles a template and returns what it reads. `source` is the text that YAML made of `span`.
///
/// # Errors
/// A syntax error, a filter that does not exist, a value in a quoted region of a shell text, or more than
/// one template in one (`include` and the like).
pub fn template_names(
    source: &str,
    quoting: Quoting,
    span: &SourceSpan,
) -> Result<Names, Diagnostic> {
    let name = template_name(source, quoting);
    let compiled = ENVIRONMENT
        .get_template(&name)
        .map_err(|error| fault::diagnostic(&error, source, span))?;
    let pieces = pieces(source);
    let tags: Vec<Range<usize>> = pieces
        .iter()
        .filter(|piece| matches!(piece, Piece::Value(_) | Piece::Block(_)))
        .filter_map(|piece| Some(piece.tag()?.inside.clone()))
        .collect();
    refuse_blocks(source, quoting, &pieces, span)?;
    if quoting == Quoting::Shell {
        refuse_quoted(source, &pieces, span)?;
    }
    names(source, tags, &compiled.undeclared_variables(true), span)
}

/// Compiles a bare expression and returns what it reads.
///
/// # Errors
/// A syntax error, braces, or a filter that does not exist.
pub fn expression_names(source: &str, span: &SourceSpan) -> Result<Names, Diagnostic> {
    let expression = ENVIRONMENT.compile_expression(source).map_err(|error| {
        let diagnostic = fault::diagnostic(&error, source, span);
        if source.contains("{{") {
            diagnostic.hint("this key takes an expression: leave the braces away")
        } else {
            diagnostic
        }
    })?;
    let read = expression.undeclared_variables(true);
    names(source, std::iter::once(0..source.len()), &read, span)
}

fn names(
    source: &str,
    tags: impl IntoIterator<Item = Range<usize>>,
    read: &HashSet<String>,
    span: &SourceSpan,
) -> Result<Names, Diagnostic> {
    let mut names = Names::default();
    let mut seen = HashSet::new();
    for word in tags.into_iter().flat_map(|inside| words(source, inside)) {
        if word.piped {
            check_filter(word.text, source, word.range.clone(), span)?;
            names.raw |= word.text == "raw";
        } else if !word.attribute
            && let Some(path) = longest_known(word.text, read)
            && seen.insert(path)
        {
            let start = word.range.start;
            names.paths.push(NamePath {
                path: path.to_owned(),
                span: position::place(span, source, start..start + path.len()),
            });
        }
    }
    // A name that the words do not show (inside `x[…]` with odd spacing) is kept without its exact place.
    let mut rest: Vec<&String> = read
        .iter()
        .filter(|path| !seen.contains(path.as_str()))
        .collect();
    rest.sort();
    names.paths.extend(rest.into_iter().map(|path| NamePath {
        path: path.clone(),
        span: span.clone(),
    }));
    Ok(names)
}

/// The longest beginning of a dotted word that the template is known to read: `x.y.z` of a method call
/// `x.y.z()` is read as `x.y`.
fn longest_known<'a>(word: &'a str, read: &HashSet<String>) -> Option<&'a str> {
    let mut path = word;
    loop {
        if read.contains(path) {
            return Some(path);
        }
        path = path.rsplit_once('.')?.0;
    }
}

fn check_filter(
    name: &str,
    source: &str,
    range: Range<usize>,
    span: &SourceSpan,
) -> Result<(), Diagnostic> {
    if FILTERS.contains(&name) {
        return Ok(());
    }
    let diagnostic = Diagnostic::new(format!("there is no filter `{name}`"))
        .at(&position::place(span, source, range));
    Err(match nearest(name, FILTERS) {
        Some(near) => diagnostic.label(format!("did you mean `{near}`?")),
        None => diagnostic.hint(format!("filters: {}", FILTERS.join(", "))),
    })
}

/// Blocks that take in other templates have none to take; blocks that capture text would have it quoted
/// twice in a shell text.
fn refuse_blocks(
    source: &str,
    quoting: Quoting,
    pieces: &[Piece],
    span: &SourceSpan,
) -> Result<(), Diagnostic> {
    for piece in pieces {
        let Piece::Block(tag) = piece else { continue };
        let inside = &source[tag.inside.clone()];
        let mut words = inside.split_whitespace();
        let keyword = words.next().unwrap_or_default();
        let refused = match keyword {
            "include" | "import" | "from" | "extends" | "block" | "autoescape" => true,
            "filter" | "call" => quoting == Quoting::Shell,
            "set" => quoting == Quoting::Shell && !inside.contains('='),
            _ => false,
        };
        if refused {
            let message = format!("`{{% {keyword} %}}` cannot be used here");
            let place = position::place(span, source, tag.whole.clone());
            return Err(Diagnostic::new(message).at(&place));
        }
    }
    Ok(())
}

/// Refuses a value where quoting it would not make it one word. White space that `{{-` takes away may join
/// a value to a comment or a quote, so the text is also read without it.
fn refuse_quoted(source: &str, pieces: &[Piece], span: &SourceSpan) -> Result<(), Diagnostic> {
    let trims = |piece: &Piece| {
        piece
            .tag()
            .is_some_and(|tag| tag.trims_before || tag.trims_after)
    };
    let (found, place) = match misplaced(source) {
        Some(found) => {
            let place = position::place(span, source, found.range.clone());
            (found, place)
        }
        None if pieces.iter().any(trims) => match misplaced(&trimmed(source, pieces)) {
            Some(found) => (found, span.clone()),
            None => return Ok(()),
        },
        None => return Ok(()),
    };
    Err(misplaced_value(&found).at(&place))
}

fn misplaced_value(found: &Misplaced) -> Diagnostic {
    let diagnostic = Diagnostic::new(format!("{found} of a shell text"))
        .label("values are quoted by themselves");
    match found.place {
        Place::SingleQuotes | Place::DoubleQuotes => {
            diagnostic.hint("close the quotes before it and open them again after it")
        }
        _ => diagnostic.hint("put it into a shell variable first: `x={{ … }}`, then `\"$x\"`"),
    }
    .hint("params are also in the environment: `\"$FAB_PARAM_NAME\"`")
}

/// The text without the white space that its tags take away.
fn trimmed(source: &str, pieces: &[Piece]) -> String {
    let tag_at = |at: Option<usize>| pieces.get(at?)?.tag();
    let mut text = String::with_capacity(source.len());
    for (index, piece) in pieces.iter().enumerate() {
        match piece {
            Piece::Literal(range) => {
                let mut part = &source[range.clone()];
                if tag_at(index.checked_sub(1)).is_some_and(|tag| tag.trims_after) {
                    part = part.trim_start();
                }
                if tag_at(Some(index + 1)).is_some_and(|tag| tag.trims_before) {
                    part = part.trim_end();
                }
                text.push_str(part);
            }
            Piece::Value(tag) | Piece::Block(tag) => text.push_str(&source[tag.whole.clone()]),
            Piece::Comment(_) => {}
        }
    }
    text
}

/// What kinds of errors mean that a name is missing.
pub(super) fn is_undefined(kind: ErrorKind) -> bool {
    kind == ErrorKind::UndefinedError
}

#[cfg(test)]
mod tests {
    use super::super::tests::span;
    use super::*;

    #[test]
    fn names_are_those_that_the_text_reads() {
        let paths = |source: &str| -> Vec<String> {
            let names = template_names(source, Quoting::Plain, &span(source)).unwrap();
            names.paths.into_iter().map(|name| name.path).collect()
        };
        assert_eq!(
            paths(
                "{{ dump.json.file }}{% for x in params.units %}{{ x.y }}{% endfor %}{{ now() }}"
            ),
            ["dump.json.file", "params.units", "now"]
        );
        assert_eq!(
            paths("{{ host.tags['a.b'] ~ host.name }}"),
            ["host.tags", "host.name"]
        );
        assert_eq!(paths("{{ stdout.splitlines() }}"), ["stdout.splitlines"]);
        let source = "a.b and c | length > x['y']";
        let names = expression_names(source, &span(source)).unwrap();
        let found: Vec<(String, String)> = names
            .paths
            .into_iter()
            .map(|name| (name.path, name.span.place()))
            .collect();
        let expected = [
            ("a.b", "t.yml:1:1"),
            ("c", "t.yml:1:9"),
            ("x", "t.yml:1:22"),
        ];
        assert_eq!(
            found,
            expected.map(|(path, place)| (path.to_owned(), place.to_owned()))
        );
    }

    #[test]
    fn what_cannot_be_compiled_is_refused_at_its_place() {
        for (source, quoting, message, place) in [
            (
                "a {{ x",
                Quoting::Plain,
                "the template does not parse: unexpected end of input, expected end of variable block",
                "t.yml:1:6",
            ),
            (
                "{{ x | defualt(1) }}",
                Quoting::Plain,
                "there is no filter `defualt`",
                "t.yml:1:8",
            ),
            (
                "{{ x | safe }}",
                Quoting::Plain,
                "there is no filter `safe`",
                "t.yml:1:8",
            ),
            (
                "{% include 'x' %}",
                Quoting::Plain,
                "`{% include %}` cannot be used here",
                "t.yml:1:1",
            ),
            (
                "echo \"{{ x }}\"",
                Quoting::Shell,
                "a value inside double quotes of a shell text",
                "t.yml:1:7",
            ),
            (
                "true # x\n{{- x }}",
                Quoting::Shell,
                "a value inside a comment of a shell text",
                "t.yml:1:1",
            ),
            (
                "{% set x %}{{ y }}{% endset %}",
                Quoting::Shell,
                "`{% set %}` cannot be used here",
                "t.yml:1:1",
            ),
        ] {
            let error = template_names(source, quoting, &span(source)).unwrap_err();
            assert_eq!(error.message, message, "{source}");
            assert_eq!(error.span.unwrap().place(), place, "{source}");
        }
        let error = expression_names("{{ x }}", &span("{{ x }}")).unwrap_err();
        assert!(
            error.hints[0].contains("leave the braces away"),
            "{error:?}"
        );
    }

    #[test]
    fn raw_is_noticed() {
        let raw = |source: &str| {
            template_names(source, Quoting::Shell, &span(source))
                .unwrap()
                .raw
        };
        assert!(raw("echo {{ x | raw }}"));
        assert!(!raw("echo {{ 'raw' | upper }} raw"));
    }
}
