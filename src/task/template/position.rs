//! Where a place of a template stands in the user's file. A template is what YAML made of the file's text:
//! quotes gone, escapes resolved, indentation of a block removed.

use std::ops::Range;

use crate::model::SourceSpan;

/// The place in the file of `range` of the template `source` that was read from `span`; the whole span
/// where the two texts cannot be laid side by side.
pub(super) fn place(span: &SourceSpan, source: &str, range: Range<usize>) -> SourceSpan {
    let raw = &span.source.text[span.range.clone()];
    let text = source.get(range.clone()).unwrap_or_default();
    let last = text.char_indices().next_back().map_or(0, |(at, _)| at);
    let found = align(raw, source, range.start)
        .zip(align(raw, source, range.start + last))
        .filter(|(start, last)| start <= last);
    match found {
        Some((start, last)) => {
            let width = raw[last..].chars().next().map_or(0, char::len_utf8);
            let base = span.range.start;
            SourceSpan::new(&span.source, base + start..base + last + width)
        }
        None => span.clone(),
    }
}

/// The offset in `raw` of the character at `offset` of `decoded`: the two are walked together, and what
/// `raw` has beside (indentation, quotes, backslashes, a block's header) is passed over.
fn align(raw: &str, decoded: &str, offset: usize) -> Option<usize> {
    let mut at = header_length(raw);
    for (index, wanted) in decoded.char_indices() {
        let (start, width) = next_match(raw, at, wanted)?;
        if index >= offset {
            return Some(start);
        }
        at = start + width;
    }
    None
}

/// Where `wanted` comes next in `raw` from `from` on, and how many bytes stand for it.
fn next_match(raw: &str, from: usize, wanted: char) -> Option<(usize, usize)> {
    for (offset, found) in raw[from..].char_indices() {
        let at = from + offset;
        let escaped = match &raw.as_bytes()[at..] {
            [b'\\', b'n', ..] => wanted == '\n',
            [b'\\', b't', ..] => wanted == '\t',
            _ => false,
        };
        if escaped {
            return Some((at, 2));
        }
        // A folded line break stands for a space.
        if found == wanted || (found == '\n' && wanted == ' ') {
            return Some((at, found.len_utf8()));
        }
    }
    None
}

/// The length of what stands before a scalar's text: a block's `|-` line, or an opening quote.
fn header_length(raw: &str) -> usize {
    match raw.as_bytes().first() {
        Some(b'|' | b'>') => raw.find('\n').map_or(raw.len(), |end| end + 1),
        Some(b'"' | b'\'') => 1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::model::Source;

    fn found(file: &str, scalar: Range<usize>, decoded: &str, part: &str) -> String {
        let source = Arc::new(Source {
            path: "t.yml".into(),
            text: file.to_owned(),
        });
        let span = SourceSpan::new(&source, scalar);
        let start = decoded.find(part).unwrap();
        let place = place(&span, decoded, start..start + part.len());
        format!("{} {}", place.place(), &file[place.range])
    }

    #[test]
    fn places_are_found_in_every_kind_of_scalar() {
        let plain = "run: echo {{ x }}\n";
        assert_eq!(found(plain, 5..17, "echo {{ x }}", "x"), "t.yml:1:14 x");
        let quoted = "run: \"a \\\"b\\\" {{ yes }}\"\n";
        assert_eq!(
            found(quoted, 5..23, "a \"b\" {{ yes }}", "yes"),
            "t.yml:1:18 yes"
        );
        let block = "run: |\n    if a; then\n      echo {{ who }}\n    fi\n";
        let decoded = "if a; then\n  echo {{ who }}\nfi\n";
        for start in [5, 7, 11] {
            assert_eq!(
                found(block, start..block.len(), decoded, "who"),
                "t.yml:3:15 who"
            );
        }
        let folded = "run: >-\n  one\n  {{ two }}\n";
        assert_eq!(
            found(folded, 5..27, "one {{ two }}", "two"),
            "t.yml:3:6 two"
        );
    }

    proptest! {
        /// Every character of a block's text is found where it stands in the file.
        #[test]
        fn a_block_maps_onto_its_file(
            lines in prop::collection::vec("( {0,3}[a-z{}|>'\"#é]{1,6}( [a-z{}]{1,4})?)?", 1..6),
            indent in 1_usize..5,
            from_content in any::<bool>(),
        ) {
            let decoded = lines.join("\n") + "\n";
            let mut file = "run: |\n".to_owned();
            let mut offsets = Vec::new();
            for line in &lines {
                let start = file.len() + indent;
                let shown = if line.is_empty() { String::new() } else { " ".repeat(indent) + line };
                offsets.extend(line.char_indices().map(|(at, c)| (start + at, c)));
                file = file + &shown + "\n";
            }
            let start = if from_content { 7 } else { 5 };
            let source = Arc::new(Source { path: "t.yml".into(), text: file.clone() });
            let span = SourceSpan::new(&source, start..file.len());
            let texts = decoded.char_indices().filter(|(_, c)| *c != '\n');
            for ((at, c), (expected, _)) in texts.zip(offsets) {
                if !c.is_whitespace() {
                    let found = place(&span, &decoded, at..at + c.len_utf8());
                    prop_assert_eq!(found.range, expected..expected + c.len_utf8());
                }
            }
        }
    }

    #[test]
    fn a_text_that_does_not_fit_keeps_the_whole_span() {
        let file = "run: abc";
        assert_eq!(found(file, 5..8, "xyz {{ q }}", "q"), "t.yml:1:6 abc");
    }
}
