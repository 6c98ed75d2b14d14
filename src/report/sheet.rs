//! What is about to be written, in order, and on which of the two streams each part goes: the printer
//! collects a sheet and writes it at once.

use std::io::{self, Write};

use crate::model::Stream;

/// Bytes for stdout and stderr in the order in which they are to appear.
#[derive(Debug, Default)]
pub(crate) struct Sheet {
    bytes: Vec<u8>,
    /// Each part's stream and end.
    parts: Vec<(Stream, usize)>,
}

impl Sheet {
    /// The buffer, ready to be appended to on this stream.
    pub(crate) fn on(&mut self, stream: Stream) -> &mut Vec<u8> {
        self.seal();
        if self.parts.last().map(|(last, _)| *last) != Some(stream) {
            self.parts.push((stream, self.bytes.len()));
        }
        &mut self.bytes
    }

    /// Appends a text that is no data.
    pub(crate) fn note(&mut self, text: &str) {
        self.on(Stream::Stderr).extend_from_slice(text.as_bytes());
    }

    /// How many bytes are on it.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing is on it.
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Empties it; its memory is used again, unless one huge line made it large.
    pub(crate) fn clear(&mut self) {
        const KEPT: usize = 1 << 20;
        self.bytes.clear();
        self.bytes.shrink_to(KEPT);
        self.parts.clear();
    }

    /// The part that was appended to last ends where the bytes end.
    fn seal(&mut self) {
        if let Some((_, end)) = self.parts.last_mut() {
            *end = self.bytes.len();
        }
    }

    /// The parts in order.
    pub(crate) fn parts(&mut self) -> impl Iterator<Item = (Stream, &[u8])> {
        self.seal();
        let (bytes, mut start) = (&self.bytes, 0);
        self.parts.iter().map(move |&(stream, end)| {
            let part = &bytes[start..end];
            start = end;
            (stream, part)
        })
    }
}

/// Writes everything, waiting where the stream would block and the caller's terminal is set so.
pub(crate) fn write_fully(stream: &mut dyn Write, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match stream.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // A stream that another program made non-blocking: only this thread waits.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                std::thread::park_timeout(std::time::Duration::from_millis(5));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_keep_their_order_and_neighbours_of_one_stream_join() {
        let mut sheet = Sheet::default();
        sheet.on(Stream::Stdout).extend_from_slice(b"a");
        sheet.on(Stream::Stdout).extend_from_slice(b"b");
        sheet.note("c");
        sheet.on(Stream::Stdout).extend_from_slice(b"d");
        let parts: Vec<(Stream, Vec<u8>)> = sheet
            .parts()
            .map(|(s, bytes)| (s, bytes.to_vec()))
            .collect();
        assert_eq!(
            parts,
            [
                (Stream::Stdout, b"ab".to_vec()),
                (Stream::Stderr, b"c".to_vec()),
                (Stream::Stdout, b"d".to_vec())
            ]
        );
        sheet.clear();
        assert!(sheet.is_empty() && sheet.parts().next().is_none());
    }

    #[test]
    fn a_stream_that_would_block_is_waited_for() {
        struct Slow(Vec<u8>, bool);
        impl Write for Slow {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.1 = !self.1;
                if self.1 {
                    return Err(io::ErrorKind::WouldBlock.into());
                }
                self.0.push(bytes[0]);
                Ok(1)
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut slow = Slow(Vec::new(), false);
        write_fully(&mut slow, b"abc").unwrap();
        assert_eq!(slow.0, b"abc");
    }
}
