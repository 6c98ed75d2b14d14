//! Bytes of one output stream into whole lines, independent of how the bytes were cut into chunks.
//!
//! Not its job: decoding, control sequences, masking. Pure.

use memchr::memchr;

use crate::model::Stream;

use super::event::{Line, Lines};

/// The longest piece of a line: longer lines are split, every piece but the last marked partial.
pub const LINE_LIMIT: usize = 64 * 1024;

/// Collects one stream's bytes into lines. Keeps at most [`LINE_LIMIT`] bytes between two calls.
#[derive(Debug)]
pub(crate) struct LineSplitter {
    stream: Stream,
    /// Bytes not handed out yet, the start of a line.
    held: Vec<u8>,
    /// How many of `held` are known to hold no newline.
    scanned: usize,
    /// Start, end and partiality of each line found; kept to save the allocation.
    found: Vec<(usize, usize, bool)>,
}

impl LineSplitter {
    /// An empty splitter.
    pub(crate) fn new(stream: Stream) -> Self {
        Self {
            stream,
            held: Vec::new(),
            scanned: 0,
            found: Vec::new(),
        }
    }

    /// Takes bytes; returns the lines that they complete, if any.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Option<Lines> {
        self.held.extend_from_slice(bytes);
        self.found.clear();
        let mut start = 0;
        let mut from = self.scanned;
        while let Some(at) = memchr(b'\n', &self.held[from..]) {
            let end = from + at;
            start = split_long(&mut self.found, start, end);
            self.found.push((start, end, false));
            start = end + 1;
            from = start;
        }
        start = split_long(&mut self.found, start, self.held.len());
        let lines = self.handed_out();
        self.held.drain(..start);
        self.scanned = self.held.len();
        lines
    }

    /// The rest once the stream has ended: a last line without newline, marked partial.
    pub(crate) fn finish(&mut self) -> Option<Lines> {
        self.found.clear();
        if !self.held.is_empty() {
            self.found.push((0, self.held.len(), true));
        }
        let lines = self.handed_out();
        self.held.clear();
        self.scanned = 0;
        lines
    }

    fn handed_out(&self) -> Option<Lines> {
        let lines = self.found.iter().map(|&(start, end, partial)| Line {
            bytes: &self.held[start..end],
            partial,
        });
        (!self.found.is_empty()).then(|| Lines::new(self.stream, lines))
    }
}

/// Notes pieces of [`LINE_LIMIT`] bytes while more than one piece is left; returns where the rest starts.
fn split_long(found: &mut Vec<(usize, usize, bool)>, mut start: usize, end: usize) -> usize {
    while end - start > LINE_LIMIT {
        found.push((start, start + LINE_LIMIT, true));
        start += LINE_LIMIT;
    }
    start
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split(chunks: &[&[u8]]) -> Vec<(Vec<u8>, bool)> {
        let mut splitter = LineSplitter::new(Stream::Stdout);
        let mut lines: Vec<Lines> = chunks.iter().filter_map(|c| splitter.push(c)).collect();
        lines.extend(splitter.finish());
        lines
            .iter()
            .flat_map(|batch| {
                batch
                    .iter()
                    .map(|line| (line.bytes.to_vec(), line.partial))
                    .collect::<Vec<_>>()
            })
            .collect()
    }

    #[test]
    fn a_last_line_without_newline_is_handed_out_at_the_end() {
        assert_eq!(
            split(&[b"a\n\nb"]),
            [
                (b"a".to_vec(), false),
                (b"".to_vec(), false),
                (b"b".to_vec(), true)
            ]
        );
    }

    #[test]
    fn a_line_is_split_only_where_more_than_the_limit_comes() {
        let exact = vec![b'x'; LINE_LIMIT];
        assert_eq!(split(&[&exact, b"\n"]), [(exact.clone(), false)]);
        assert_eq!(
            split(&[&exact, b"y", b"\n"]),
            [(exact, true), (b"y".to_vec(), false)]
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn lines_do_not_depend_on_chunking(
            pieces in prop::collection::vec((prop::bool::ANY, 0_usize..90_000), 0..6),
            cuts in prop::collection::vec(0_usize..300_000, 0..8),
        ) {
            let mut text = Vec::new();
            for (newline, length) in pieces {
                text.extend(std::iter::repeat_n(b'a', length));
                if newline { text.push(b'\n'); }
            }
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let chunks: Vec<&[u8]> = cuts.windows(2).map(|w| &text[w[0]..w[1]]).collect();
            prop_assert!(split(&chunks) == split(&[&text]));
        }

        #[test]
        fn no_byte_is_lost(text in prop::collection::vec(prop::sample::select(b"ab\n".to_vec()), 0..200)) {
            let mut back = Vec::new();
            for (line, partial) in split(&[&text]) {
                back.extend(line);
                if !partial { back.push(b'\n'); }
            }
            prop_assert_eq!(back, text);
        }
    }
}
