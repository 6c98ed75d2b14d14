//! What to say about YAML's traps: errors whose cause stands elsewhere than the parser thinks.

use std::sync::Arc;

use crate::model::{Diagnostic, Source, SourceSpan};

use super::{Node, NodeKind};

/// The hint for a value with braces that YAML took for a map.
pub(super) const QUOTE_BRACES: &str =
    "quote it: \"{{ x }}\"; without quotes YAML takes the braces for a map";

/// A syntax error at a byte of the text, with the hint that its line calls for.
pub(super) fn syntax_error(source: &Arc<Source>, at: usize, info: &str) -> Diagnostic {
    let text = &source.text;
    let at = at.min(text.len());
    let start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    let line = text[start..].lines().next().unwrap_or_default();
    let end = text[at..].chars().next().map_or(at, |found| {
        if found == '\n' {
            at
        } else {
            at + found.len_utf8()
        }
    });
    let error = Diagnostic::new(format!("not valid YAML: {}", cleaned(info)))
        .at(&SourceSpan::new(source, at..end));
    match hint(line, info, last_open(&text[..start])) {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

/// saphyr's words without capitals and trailing points.
fn cleaned(info: &str) -> String {
    let info = info.trim().trim_end_matches('.');
    let mut letters = info.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_lowercase().chain(letters).collect()
    })
}

/// The last line before that is not blank: braces and quotes may have opened there.
fn last_open(before: &str) -> &str {
    before
        .lines()
        .rev()
        .find(|line| !line.trim().is_empty())
        .unwrap_or_default()
}

fn hint(line: &str, info: &str, before: &str) -> Option<&'static str> {
    let indent: &str = &line[..line.len() - line.trim_start().len()];
    let unquoted = |line: &str| value_of(line).is_some_and(|value| value.starts_with("{{"));
    if indent.contains('\t') {
        return Some("indent with spaces: YAML allows no tabs there");
    }
    if unquoted(line) {
        return Some(QUOTE_BRACES);
    }
    let special = |line: &str| value_of(line).and_then(|value| value.chars().next());
    if info.contains("anchor") || matches!(special(line), Some('*' | '&')) {
        return Some("quote a text that begins with `*` or `&`");
    }
    if matches!(special(line), Some('@' | '`' | '%' | '|' | '>')) {
        return Some("quote a text that begins with a special character");
    }
    if value_of(line).is_some_and(|value| value.contains(": ") && !value.starts_with(['"', '\''])) {
        return Some("a text that holds `: ` wants quotes, or `|` and a line of its own");
    }
    if unquoted(before) {
        return Some(QUOTE_BRACES);
    }
    if info.contains("trailing content") {
        return Some("a text that begins with a quote ends with it: quote the whole, or use `|`");
    }
    if info.contains("quoted scalar") {
        return Some("a quote is opened and never closed");
    }
    None
}

/// What stands after the first `key: ` or `- ` of a line.
fn value_of(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let line = line.strip_prefix("- ").unwrap_or(line).trim_start();
    line.split_once(": ").map(|(_, value)| value.trim_start())
}

/// A tag such as `!foo`, which the format has none of.
pub(super) fn tag(tag: &str, span: &SourceSpan) -> Diagnostic {
    Diagnostic::new(format!("tag `{tag}` is not part of the format"))
        .at(span)
        .hint("quote a text that begins with `!`")
}

/// Whether a node that should be a text is `{{ x }}` without quotes.
pub(super) fn unquoted_braces(node: &Node) -> bool {
    matches!(node.kind, NodeKind::Mapping(_)) && node.written().starts_with("{{")
}
