//! Finds template tags in a text: where they end, and which kind they are. Knows nothing of their meaning.

use std::ops::Range;

/// A tag with its braces; for `{% raw %}` only the opening tag's content differs (see [`TagKind`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tag {
    /// Bytes of the text.
    pub(super) range: Range<usize>,
    /// What it is.
    pub(super) kind: TagKind,
}

/// What a tag is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TagKind {
    /// `{{ … }}`: puts a value into the text.
    Value,
    /// `{% … %}`.
    Block,
    /// `{# … #}`.
    Comment,
}

/// The tag that begins at a byte of the text. Inside `{% raw %}` there are none.
pub(super) fn tag_at(text: &str, at: usize) -> Option<Tag> {
    let (kind, close) = match text.as_bytes().get(at..at + 2)? {
        b"{{" => (TagKind::Value, "}}"),
        b"{%" => (TagKind::Block, "%}"),
        b"{#" => (TagKind::Comment, "#}"),
        _ => return None,
    };
    if in_raw(text, at) && !is_endraw(&text[at..]) {
        return None;
    }
    let end = match kind {
        TagKind::Comment => text[at + 2..].find(close).map(|found| at + 4 + found),
        TagKind::Value | TagKind::Block => end_of_tag(text, at + 2, close),
    };
    Some(Tag {
        range: at..end.unwrap_or(text.len()),
        kind,
    })
}

/// The byte after `close`, which does not count inside strings and maps.
fn end_of_tag(text: &str, start: usize, close: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let (mut at, mut depth) = (start, 0_usize);
    let mut quote = None;
    while at < bytes.len() {
        match (quote, bytes[at]) {
            (Some(_), b'\\') => at += 1,
            (Some(open), byte) if byte == open => quote = None,
            (None, byte @ (b'"' | b'\'')) => quote = Some(byte),
            (None, _) if depth == 0 && bytes[at..].starts_with(close.as_bytes()) => {
                return Some(at + close.len());
            }
            (None, b'{') => depth += 1,
            (None, b'}') => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += 1;
    }
    None
}

/// Whether a `{% raw %}` stands open before a byte.
fn in_raw(text: &str, at: usize) -> bool {
    let mut open = false;
    let mut from = 0;
    while let Some(found) = text[from..at].find("{%") {
        let start = from + found;
        let word = block_word(&text[start..]);
        match word {
            "raw" => open = true,
            "endraw" => open = false,
            _ => {}
        }
        from = start + 2;
    }
    open
}

fn is_endraw(text: &str) -> bool {
    block_word(text) == "endraw"
}

/// The first word of a block tag; empty for anything else.
fn block_word(text: &str) -> &str {
    let Some(inside) = text.strip_prefix("{%") else {
        return "";
    };
    let inside = inside.trim_start_matches(['-', '+']).trim_start();
    let end = inside
        .find(|letter: char| !letter.is_ascii_alphabetic())
        .unwrap_or(inside.len());
    &inside[..end]
}
