//! The supervisor's own lines among a program's output: a record separator, the command's nonce, a word,
//! a newline. Finds and takes them out by bytes, whatever the chunks are. Does not know what they mean.

use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::ops::Range;

/// What one read may bring at most; a pipe holds no more.
const CAPACITY: usize = 64 * 1024;
/// The longest text of a marker, its newline included.
const LONGEST_TEXT: usize = 24;
/// ASCII record separator.
const SEPARATOR: u8 = 0x1e;

/// A random text that only the supervisor of one command knows: 32 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Nonce(String);

impl Nonce {
    /// A new one; the standard library seeds its hashers from the system's random source.
    pub(super) fn random() -> Self {
        let half = || RandomState::new().build_hasher().finish();
        Self(format!("{:016x}{:016x}", half(), half()))
    }

    /// What the program's processes carry in their environment to be found by: it does not tell the nonce.
    pub(super) fn mark(&self) -> String {
        use sha2::Digest as _;
        let digest = sha2::Sha256::digest(self.0.as_bytes());
        digest[..8]
            .iter()
            .fold(String::new(), |mark, byte| mark + &format!("{byte:02x}"))
    }

    /// The digits.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A part of a stream.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// The program's bytes, at these places of [`MarkedBuffer::bytes`].
    Output(Range<usize>),
    /// A marker's text.
    Marker(String),
}

/// One stream's bytes between reading and handing on.
#[derive(Debug)]
pub(super) struct MarkedBuffer {
    bytes: Vec<u8>,
    /// Everything before was handed on.
    start: usize,
    prefix: Vec<u8>,
}

impl MarkedBuffer {
    /// An empty buffer that looks for markers of this nonce.
    pub(super) fn new(nonce: &Nonce) -> Self {
        let mut prefix = vec![SEPARATOR];
        prefix.extend_from_slice(nonce.as_str().as_bytes());
        prefix.push(b' ');
        Self {
            bytes: Vec::new(),
            start: 0,
            prefix,
        }
    }

    /// Where to append what is read next. What was handed on is forgotten.
    pub(super) fn space(&mut self) -> &mut Vec<u8> {
        self.bytes.drain(..self.start);
        self.start = 0;
        self.bytes.reserve(CAPACITY);
        &mut self.bytes
    }

    /// The bytes that the ranges of [`Piece::Output`] name, until the next [`Self::space`].
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The next piece; `None` where more must be read first. At the stream's `end` nothing is held back.
    pub(super) fn next_piece(&mut self, end: bool) -> Option<Piece> {
        let rest = &self.bytes[self.start..];
        if rest.is_empty() {
            return None;
        }
        let mut from = 0;
        let found = loop {
            let Some(at) = memchr::memchr(SEPARATOR, &rest[from..]).map(|at| at + from) else {
                break None;
            };
            match self.marker_at(&rest[at..]) {
                Found::No => from = at + 1,
                Found::Cut if end => from = at + 1,
                found => break Some((at, found)),
            }
        };
        let output = |length: usize| Piece::Output(self.start..self.start + length);
        let (piece, used) = match found {
            None => (output(rest.len()), rest.len()),
            Some((at @ 1.., _)) => (output(at), at),
            Some((0, Found::Marker { text, length })) => (Piece::Marker(text), length),
            Some((0, Found::Cut | Found::No)) => return None,
        };
        self.start += used;
        Some(piece)
    }

    /// What begins with a separator at the start of `rest`.
    fn marker_at(&self, rest: &[u8]) -> Found {
        let known = rest.len().min(self.prefix.len());
        if rest[..known] != self.prefix[..known] {
            return Found::No;
        }
        let text = &rest[known..];
        let text = &text[..text.len().min(LONGEST_TEXT)];
        match memchr::memchr(b'\n', text) {
            Some(length) => Found::Marker {
                text: String::from_utf8_lossy(&text[..length]).into_owned(),
                length: known + length + 1,
            },
            None if text.len() == LONGEST_TEXT => Found::No,
            None => Found::Cut,
        }
    }
}

enum Found {
    No,
    /// Perhaps a marker: its end has not been read yet.
    Cut,
    Marker {
        text: String,
        length: usize,
    },
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Output and markers of a stream that arrives in these chunks.
    fn read(nonce: &Nonce, chunks: &[&[u8]]) -> (Vec<u8>, Vec<String>) {
        let mut buffer = MarkedBuffer::new(nonce);
        let (mut output, mut markers) = (Vec::new(), Vec::new());
        for (index, chunk) in chunks.iter().chain([&b"".as_slice()]).enumerate() {
            buffer.space().extend_from_slice(chunk);
            while let Some(piece) = buffer.next_piece(index == chunks.len()) {
                match piece {
                    Piece::Output(range) => output.extend_from_slice(&buffer.bytes()[range]),
                    Piece::Marker(text) => markers.push(text),
                }
            }
        }
        (output, markers)
    }

    #[test]
    fn a_marker_right_behind_output_without_newline_is_found() {
        let nonce = Nonce::random();
        let stream = format!("no newline\x1e{nonce} end 7 n\n");
        assert_eq!(
            read(&nonce, &[stream.as_bytes()]),
            (b"no newline".to_vec(), vec!["end 7 n".to_owned()])
        );
    }

    #[test]
    fn what_only_looks_like_a_marker_is_output() {
        let (nonce, other) = (Nonce::random(), Nonce::random());
        for text in [
            "\x1e".to_owned(),
            "\x1e\x1e\n".to_owned(),
            format!("\x1e{other} end 0 n\n"),
            format!("\x1e{nonce}"),
            format!("\x1e{nonce} end"),
            format!("\x1e{nonce} {}\n", "x".repeat(LONGEST_TEXT)),
        ] {
            assert_eq!(
                read(&nonce, &[text.as_bytes()]),
                (text.clone().into_bytes(), Vec::new()),
                "{text:?}"
            );
        }
    }

    #[test]
    fn nonces_differ() {
        assert_ne!(Nonce::random(), Nonce::random());
        assert_eq!(Nonce::random().as_str().len(), 32);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        #[test]
        fn pieces_do_not_depend_on_chunking(
            before in prop::collection::vec(prop_oneof![Just(SEPARATOR), any::<u8>()], 0..80),
            after in prop::collection::vec(prop_oneof![Just(SEPARATOR), any::<u8>()], 0..80),
            size in 1_usize..20,
        ) {
            let nonce = Nonce::random();
            let mut stream = before.clone();
            stream.extend_from_slice(format!("\x1e{nonce} 0 n\n").as_bytes());
            stream.extend_from_slice(&after);
            let chunks: Vec<&[u8]> = stream.chunks(size).collect();
            let expected = [before, after].concat();
            prop_assert_eq!(read(&nonce, &chunks), (expected, vec!["0 n".to_owned()]));
        }
    }
}
