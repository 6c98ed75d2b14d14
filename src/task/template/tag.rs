//! Cuts a template into literal text and tags, and a tag's inside into words: for places in errors and for
//! the checks that minijinja does not make. Knows no values and no shell.

use std::ops::Range;

/// One piece of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// Text that is copied.
    Literal(Range<usize>),
    /// `{{ … }}`.
    Value(Tag),
    /// `{% … %}`.
    Block(Tag),
    /// `{# … #}`.
    Comment(Tag),
}

/// A tag: where it stands, delimiters included, and where its inside is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tag {
    /// With its delimiters.
    pub(super) whole: Range<usize>,
    /// Without them.
    pub(super) inside: Range<usize>,
    /// Whether it takes the white space before it away (`{{-`).
    pub(super) trims_before: bool,
    /// Whether it takes the white space after it away (`-}}`).
    pub(super) trims_after: bool,
}

impl Piece {
    /// The tag, of what is not literal.
    pub(super) fn tag(&self) -> Option<&Tag> {
        match self {
            Self::Literal(_) => None,
            Self::Value(tag) | Self::Block(tag) | Self::Comment(tag) => Some(tag),
        }
    }
}

/// A word of a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word<'a> {
    /// A name with its attributes (`host.tags.service`), or one other character.
    pub(super) text: &'a str,
    /// Where it stands in the template.
    pub(super) range: Range<usize>,
    /// Whether a `|` stands before it: it is a filter.
    pub(super) piped: bool,
    /// Whether a `.` stands before it that belongs to no name (`f().x`).
    pub(super) attribute: bool,
}

/// The pieces of a template, in order. A tag that is not closed ends with the text: minijinja refuses it.
pub(super) fn pieces(source: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let (mut at, mut literal) = (0, 0);
    while let Some(found) = source[at..].find('{') {
        let open = at + found;
        let Some(kind) = source.as_bytes().get(open + 1).copied() else {
            break;
        };
        let close = match kind {
            b'{' => "}}",
            b'%' => "%}",
            b'#' => "#}",
            _ => {
                at = open + 1;
                continue;
            }
        };
        if literal < open {
            pieces.push(Piece::Literal(literal..open));
        }
        let (inside_end, end) = tag_end(source, open + 2, close, kind == b'#');
        let tag = Tag {
            whole: open..end,
            inside: trim_marks(source, open + 2, inside_end),
            trims_before: source[open + 2..].starts_with('-'),
            trims_after: source[..inside_end].ends_with('-'),
        };
        let is_raw = kind == b'%' && source[tag.inside.clone()].trim() == "raw";
        pieces.push(match kind {
            b'{' => Piece::Value(tag),
            b'%' => Piece::Block(tag),
            _ => Piece::Comment(tag),
        });
        (at, literal) = (end, end);
        if is_raw {
            at = end + source[end..].find("endraw").unwrap_or(source.len() - end);
            at = source[..at].rfind("{%").filter(|&p| p >= end).unwrap_or(at);
        }
    }
    if literal < source.len() {
        pieces.push(Piece::Literal(literal..source.len()));
    }
    pieces
}

/// Where a tag's inside ends, and where the tag does. Closing marks inside strings do not count.
fn tag_end(source: &str, start: usize, close: &str, comment: bool) -> (usize, usize) {
    let bytes = source.as_bytes();
    let (mut at, mut depth) = (start, 0_usize);
    while at < bytes.len() {
        if depth == 0 && source.as_bytes()[at..].starts_with(close.as_bytes()) {
            return (at, at + close.len());
        }
        match bytes[at] {
            _ if comment => {}
            quote @ (b'"' | b'\'') => at = string_end(bytes, at, quote),
            b'{' => depth += 1,
            b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += 1;
    }
    (bytes.len(), bytes.len())
}

/// The index of the quote that ends the string opened at `open`.
fn string_end(bytes: &[u8], open: usize, quote: u8) -> usize {
    let mut at = open + 1;
    while at < bytes.len() && bytes[at] != quote {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    at
}

/// The inside without `-` and `+` of `{{-`, `+%}`.
fn trim_marks(source: &str, start: usize, end: usize) -> Range<usize> {
    let bytes = source.as_bytes();
    let mark = |at: usize| matches!(bytes.get(at), Some(b'-' | b'+'));
    let start = if start < end && mark(start) {
        start + 1
    } else {
        start
    };
    let end = if start < end && mark(end - 1) {
        end - 1
    } else {
        end
    };
    start..end
}

/// The words of a tag's inside, strings and numbers left out.
pub(super) fn words(source: &str, inside: Range<usize>) -> Vec<Word<'_>> {
    let bytes = &source.as_bytes()[..inside.end];
    let mut words = Vec::new();
    let (mut at, mut piped, mut dotted) = (inside.start, false, false);
    while at < bytes.len() {
        let byte = bytes[at];
        let start = at;
        at += 1;
        match byte {
            b'"' | b'\'' => {
                at = (string_end(bytes, start, byte) + 1).min(bytes.len());
            }
            _ if byte.is_ascii_whitespace() => continue,
            _ if is_name(byte) && !byte.is_ascii_digit() => {
                while at < bytes.len() && (is_name(bytes[at]) || is_dot(bytes, at)) {
                    at += 1;
                }
                words.push(Word {
                    text: &source[start..at],
                    range: start..at,
                    piped,
                    attribute: dotted,
                });
            }
            _ if byte.is_ascii_digit() => {
                while at < bytes.len() && is_name(bytes[at]) {
                    at += 1;
                }
            }
            _ => {}
        }
        (piped, dotted) = (byte == b'|', byte == b'.');
    }
    words
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// A dot within a name: one that a further name follows.
fn is_dot(bytes: &[u8], at: usize) -> bool {
    bytes[at] == b'.'
        && bytes
            .get(at + 1)
            .is_some_and(|&next| is_name(next) && !next.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(source: &str) -> Vec<String> {
        pieces(source)
            .into_iter()
            .map(|piece| match piece {
                Piece::Literal(range) => format!("L{}", &source[range]),
                Piece::Value(tag) => format!("V{}", &source[tag.inside]),
                Piece::Block(tag) => format!("B{}", &source[tag.inside]),
                Piece::Comment(_) => "C".to_owned(),
            })
            .collect()
    }

    #[test]
    fn a_template_is_cut_into_literals_and_tags() {
        let cases: [(&str, &[&str]); 7] = [
            ("plain { text }", &["Lplain { text }"]),
            ("a{{ b }}c", &["La", "V b ", "Lc"]),
            ("{{- b -}}{# no {{ x }} #}", &["V b ", "C"]),
            ("{% if x %}y{% endif %}", &["B if x ", "Ly", "B endif "]),
            ("{{ '}}' ~ {'k': {}} }}z", &["V '}}' ~ {'k': {}} ", "Lz"]),
            (
                "{% raw %}{{ x }}{% endraw %}",
                &["B raw ", "L{{ x }}", "B endraw "],
            ),
            ("{{ open", &["V open"]),
        ];
        for (source, expected) in cases {
            assert_eq!(shown(source), expected, "{source}");
        }
    }

    #[test]
    fn words_are_dotted_names_and_know_filters() {
        let source = "host.tags.service | default('a|b') | join(x.y, 3) and f(2).z";
        let found: Vec<(&str, bool, bool)> = words(source, 0..source.len())
            .iter()
            .map(|word| (word.text, word.piped, word.attribute))
            .collect();
        assert_eq!(
            found,
            [
                ("host.tags.service", false, false),
                ("default", true, false),
                ("join", true, false),
                ("x.y", false, false),
                ("and", false, false),
                ("f", false, false),
                ("z", false, true),
            ]
        );
    }
}
