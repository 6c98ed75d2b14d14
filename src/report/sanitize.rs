//! Makes remote text safe for a terminal: control sequences are taken out, colours may be let through.
//!
//! Not for pipes, files and JSON, which get the bytes as they are. What is taken out: escape sequences
//! (ECMA-48), C0 and C1 controls but the tab, DEL, and the Unicode controls that reorder or hide text. What
//! is not UTF-8 becomes U+FFFD.

use std::borrow::Cow;

/// Whether colours (SGR sequences) of remote text reach the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RemoteColours {
    /// They are taken out.
    #[default]
    Removed,
    /// They pass; a line that used one ends with a reset.
    Kept,
}

const ESC: u8 = 0x1b;
const RESET: &[u8] = b"\x1b[0m";

/// Appends a line to `out`, made safe. Of a line that a progress bar overwrote with carriage returns the
/// last state is kept; the host's log has all of them.
pub fn push_safe_line(line: &[u8], colours: RemoteColours, out: &mut Vec<u8>) {
    if is_plain(line) {
        out.extend_from_slice(line);
        return;
    }
    let line = last_state(line);
    let mut coloured = false;
    for chunk in line.utf8_chunks() {
        push_safe_text(chunk.valid(), colours, &mut coloured, out);
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
    if coloured {
        out.extend_from_slice(RESET);
    }
}

/// A text made safe for one line of our own messages: as [`push_safe_line`], and line breaks become spaces.
pub fn safe(text: &str) -> Cow<'_, str> {
    if is_plain(text.as_bytes()) {
        return Cow::Borrowed(text);
    }
    let joined = text.trim_end().replace(['\n', '\r'], " ");
    let mut out = Vec::with_capacity(joined.len());
    push_safe_line(joined.as_bytes(), RemoteColours::Removed, &mut out);
    Cow::Owned(String::from_utf8_lossy(&out).into_owned())
}

/// As [`safe`], but the text keeps its lines.
pub(crate) fn safe_lines(text: &str) -> String {
    let lines: Vec<Cow<'_, str>> = text.split('\n').map(safe_within).collect();
    lines.join("\n")
}

/// A line made safe without its blanks at the end being taken off.
fn safe_within(line: &str) -> Cow<'_, str> {
    let text = line.trim_end();
    match safe(text) {
        Cow::Borrowed(_) => Cow::Borrowed(line.trim_end_matches('\r')),
        Cow::Owned(text) => Cow::Owned(text + if line.ends_with(' ') { " " } else { "" }),
    }
}

/// Nothing to do: printable ASCII and tabs alone. Branch-free over the line, so that it runs wide.
fn is_plain(line: &[u8]) -> bool {
    let odd = line.iter().fold(0_u8, |odd, &byte| {
        odd | u8::from(byte < 0x20 && byte != b'\t') | u8::from(byte >= 0x7f)
    });
    odd == 0
}

/// What a terminal would show last of a line with carriage returns.
fn last_state(line: &[u8]) -> &[u8] {
    let trimmed = line.trim_ascii_end();
    match memchr::memrchr(b'\r', trimmed) {
        Some(at) => &trimmed[at + 1..],
        None if line.contains(&b'\r') => trimmed,
        None => line,
    }
}

fn push_safe_text(text: &str, colours: RemoteColours, coloured: &mut bool, out: &mut Vec<u8>) {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] == ESC {
            let length = escape_length(&bytes[at..]);
            if colours == RemoteColours::Kept && is_colour(&bytes[at..at + length]) {
                out.extend_from_slice(&bytes[at..at + length]);
                *coloured = true;
            }
            at += length;
            continue;
        }
        let c = text[at..].chars().next().unwrap_or('\u{fffd}');
        if !is_control(c) {
            out.extend_from_slice(&bytes[at..at + c.len_utf8()]);
        }
        at += c.len_utf8();
    }
}

/// Characters that move, hide or reorder text: C0 but the tab, DEL, C1, line and paragraph separators, bidi
/// controls, and the tag characters that render as nothing.
fn is_control(c: char) -> bool {
    matches!(c,
        '\0'..='\u{8}' | '\n'..='\u{1f}' | '\u{7f}'..='\u{9f}'
        | '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{206f}'
        | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

/// How long the escape sequence at the start of `bytes` is. A sequence that the line does not end is the
/// escape character alone: what follows is text, and must not be hidden by it.
fn escape_length(bytes: &[u8]) -> usize {
    match bytes.get(1) {
        Some(b'[') => csi_length(bytes),
        Some(b']' | b'P' | b'X' | b'^' | b'_') => string_length(bytes),
        // nF: intermediates, then a final byte.
        Some(0x20..=0x2f) => {
            let intermediates = bytes[1..]
                .iter()
                .take_while(|byte| matches!(byte, 0x20..=0x2f))
                .count();
            match bytes.get(1 + intermediates) {
                Some(0x30..=0x7e) => intermediates + 2,
                _ => 1,
            }
        }
        Some(0x30..=0x7e) => 2,
        _ => 1,
    }
}

/// `ESC [`, parameters, intermediates, a final byte.
fn csi_length(bytes: &[u8]) -> usize {
    let body = bytes[2..]
        .iter()
        .take_while(|byte| matches!(byte, 0x20..=0x3f))
        .count();
    match bytes.get(2 + body) {
        Some(0x40..=0x7e) => body + 3,
        _ => 1,
    }
}

/// OSC, DCS, SOS, PM and APC run up to BEL or `ESC \`.
fn string_length(bytes: &[u8]) -> usize {
    let bell = memchr::memchr(0x07, bytes).map(|at| at + 1);
    let terminator = memchr::memmem::find(bytes, b"\x1b\\").map(|at| at + 2);
    match (bell, terminator) {
        (Some(bell), Some(terminator)) => bell.min(terminator),
        (Some(end), None) | (None, Some(end)) => end,
        (None, None) => 1,
    }
}

/// An SGR sequence: `ESC [`, digits and separators, `m`.
fn is_colour(sequence: &[u8]) -> bool {
    sequence
        .strip_prefix(b"\x1b[")
        .and_then(|rest| rest.strip_suffix(b"m"))
        .is_some_and(|body| {
            body.iter()
                .all(|byte| byte.is_ascii_digit() || matches!(byte, b';' | b':'))
        })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(line: &[u8], colours: RemoteColours) -> String {
        let mut out = Vec::new();
        push_safe_line(line, colours, &mut out);
        String::from_utf8(out).expect("what is shown is UTF-8")
    }

    #[test]
    fn control_sequences_are_taken_out() {
        let table: [(&[u8], &str); 18] = [
            (b"plain\ttext", "plain\ttext"),
            (b"\x1b[31mred\x1b[0m", "red"),
            (b"\x1b[2J\x1b[1;1Hcleared", "cleared"),
            (b"a\x1b]0;title\x07b", "ab"),
            (b"a\x1b]52;c;aGk=\x1b\\b", "ab"),
            (b"a\x1bPq#0\x1b\\b", "ab"),
            (b"a\x1b(Bb\x1bcc", "abc"),
            (b"never ends \x1b]0;rest", "never ends ]0;rest"),
            (b"never ends \x1b[12", "never ends [12"),
            (b"\x1b", ""),
            (b"bell\x07 back\x08 del\x7f nul\0", "bell back del nul"),
            (b"10%\r50%\r100%", "100%"),
            (b"10%\r100%\r", "100%"),
            (b"dos\r", "dos"),
            (b"c1 \xc2\x9b31m \x9b31m", "c1 31m \u{fffd}31m"),
            (b"caf\xc3\xa9 \xff", "caf\u{e9} \u{fffd}"),
            ("bidi \u{202e}abc\u{2066}".as_bytes(), "bidi abc"),
            (
                "\u{65e5}\u{672c} \u{1f600}".as_bytes(),
                "\u{65e5}\u{672c} \u{1f600}",
            ),
        ];
        for (line, expected) in table {
            assert_eq!(shown(line, RemoteColours::Removed), expected, "{line:?}");
        }
    }

    #[test]
    fn colours_pass_where_they_may_and_end_with_the_line() {
        let line = b"\x1b[1;31mred\x1b[2Kx";
        assert_eq!(
            shown(line, RemoteColours::Kept),
            "\u{1b}[1;31mredx\u{1b}[0m"
        );
        assert_eq!(
            shown(b"\x1b[?25lhidden cursor", RemoteColours::Kept),
            "hidden cursor"
        );
    }

    #[test]
    fn messages_stay_on_one_line() {
        assert_eq!(safe("two\nlines\x1b[1m\n"), "two lines");
        assert_eq!(safe_lines("two\nlines\x1b[1m? "), "two\nlines? ");
        assert!(matches!(safe("as it is"), Cow::Borrowed(_)));
    }

    proptest! {
        #[test]
        fn nothing_that_a_terminal_obeys_is_left(line in prop::collection::vec(any::<u8>(), 0..200)) {
            let text = shown(&line, RemoteColours::Removed);
            prop_assert!(!text.chars().any(is_control), "{:?}", text);
            prop_assert!(!text.as_bytes().contains(&ESC));
        }

        #[test]
        fn with_colours_only_colours_are_left(line in "(\u{1b}|\\[|[0-9;]|m|J|a){0,40}") {
            let text = shown(line.as_bytes(), RemoteColours::Kept);
            for (at, _) in text.match_indices('\u{1b}') {
                let length = escape_length(&text.as_bytes()[at..]);
                let sequence = &text.as_bytes()[at..at + length];
                prop_assert!(is_colour(sequence));
            }
        }
    }
}
