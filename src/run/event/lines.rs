//! Lines of output as events carry them: bytes, whole lines, in order. Cutting bytes into lines is not its job.

use std::sync::Arc;

use crate::model::Stream;

/// Whole lines of one stream, without their newlines, as bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lines {
    stream: Stream,
    bytes: Arc<[u8]>,
    ends: Arc<[LineEnd]>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct LineEnd {
    at: u32,
    partial: bool,
}

/// One line of [`Lines`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line<'a> {
    /// Its bytes, hostile: escape sequences and invalid UTF-8 included.
    pub bytes: &'a [u8],
    /// The line goes on in the next one: it was split at 64 KiB, or the stream ended without a newline.
    pub partial: bool,
}

impl Lines {
    /// Lines of `stream`: each of `lines` is its bytes and whether it is partial.
    pub fn new<'a>(stream: Stream, lines: impl IntoIterator<Item = Line<'a>>) -> Self {
        let (mut bytes, mut ends) = (Vec::new(), Vec::new());
        for line in lines {
            bytes.extend_from_slice(line.bytes);
            let at = u32::try_from(bytes.len()).expect("one batch of lines is far below 4 GiB");
            ends.push(LineEnd {
                at,
                partial: line.partial,
            });
        }
        Self {
            stream,
            bytes: bytes.into(),
            ends: ends.into(),
        }
    }

    /// The stream.
    pub fn stream(&self) -> Stream {
        self.stream
    }

    /// How many lines.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The lines in order.
    pub fn iter(&self) -> impl Iterator<Item = Line<'_>> {
        let mut start = 0;
        self.ends.iter().map(move |end| {
            let at = end.at as usize;
            let line = Line {
                bytes: &self.bytes[start..at],
                partial: end.partial,
            };
            start = at;
            line
        })
    }
}
