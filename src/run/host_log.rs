//! A host's log on disk: every line it printed, complete, written before anybody else sees the line.
//!
//! The format, one entry a line, bytes as they came except for masked secrets:
//!
//! ```text
//! ---- NAME OF THE STEP started 2026-07-30T03:12:44Z
//! out| a line of stdout
//! err| a line of stderr
//! out+ a piece of a line that goes on in the next `out` entry, or whose newline never came
//! note| something fab-rs says about this host
//! ---- NAME OF THE STEP failed: exit 1
//! ```
//!
//! Not its job: where the file is (`super::record`), what is masked (`super::mask`).

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Seek as _, Write as _};

use crate::model::Stream;

use super::event::Lines;

/// Begins the note of where a step lies that goes on by itself: its output follows, up to the next heading or such note.
const DETACHED: &str = "detached in ";

/// The log of one host. One write a batch of lines.
#[derive(Debug)]
pub(crate) struct HostLog {
    file: File,
    /// Reused from batch to batch; as large as the largest of them.
    entries: Vec<u8>,
}

impl HostLog {
    /// A log that is appended to `file`.
    pub(crate) fn new(file: File) -> Self {
        Self {
            file,
            entries: Vec::new(),
        }
    }

    /// A heading: a step began or ended.
    pub(crate) fn heading(&mut self, text: &str) -> io::Result<()> {
        self.entry("---- ", text)
    }

    /// Something fab-rs says.
    pub(crate) fn note(&mut self, text: &str) -> io::Result<()> {
        self.entry("note| ", text)
    }

    /// The output of the step that goes on by itself in the folder `path` follows.
    pub(crate) fn detached(&mut self, path: &str) -> io::Result<()> {
        self.note(&format!("{DETACHED}{path}"))
    }

    /// How many bytes of stdout and stderr that step printed, as far as they are in the log, whichever process wrote
    /// them there; with secrets masked.
    ///
    /// # Errors
    /// The log cannot be read.
    pub(crate) fn told_of(&self, path: &str) -> io::Result<(u64, u64)> {
        // Appending goes to the end, wherever this reads.
        let mut log = BufReader::new(self.file.try_clone()?);
        log.rewind()?;
        let any = format!("note| {DETACHED}");
        let ours = format!("{any}{path}");
        let (mut stdout, mut stderr, mut is_ours) = (0, 0, false);
        let mut entry = Vec::new();
        while log.read_until(b'\n', &mut entry)? > 0 {
            let text = entry.strip_suffix(b"\n").unwrap_or(&entry);
            if text.starts_with(b"---- ") {
                is_ours = false;
            } else if text.starts_with(any.as_bytes()) {
                is_ours = text == ours.as_bytes();
            } else if let Some((kind, bytes)) = text.split_at_checked(5).filter(|_| is_ours) {
                let bytes = bytes.len() as u64;
                match kind {
                    b"out| " => stdout += bytes + 1,
                    b"out+ " => stdout += bytes,
                    b"err| " => stderr += bytes + 1,
                    b"err+ " => stderr += bytes,
                    _ => {}
                }
            }
            entry.clear();
        }
        Ok((stdout, stderr))
    }

    /// Lines of output, in one write.
    pub(crate) fn lines(&mut self, lines: &Lines) -> io::Result<()> {
        let (whole, piece): (&[u8], &[u8]) = match lines.stream() {
            Stream::Stdout => (b"out| ", b"out+ "),
            Stream::Stderr => (b"err| ", b"err+ "),
        };
        self.entries.clear();
        for line in lines.iter() {
            self.entries
                .extend_from_slice(if line.partial { piece } else { whole });
            self.entries.extend_from_slice(line.bytes);
            self.entries.push(b'\n');
        }
        self.file.write_all(&self.entries)
    }

    /// An entry of our own words, which names and causes from elsewhere must not break into two.
    fn entry(&mut self, prefix: &str, text: &str) -> io::Result<()> {
        let plain: String = text
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        self.file.write_all(format!("{prefix}{plain}\n").as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Seek as _};

    use crate::run::event::Line;

    use super::*;

    fn written(act: impl FnOnce(&mut HostLog) -> io::Result<()>) -> Vec<u8> {
        let mut file = tempfile::tempfile().unwrap();
        act(&mut HostLog::new(file.try_clone().unwrap())).unwrap();
        file.rewind().unwrap();
        let mut text = Vec::new();
        file.read_to_end(&mut text).unwrap();
        text
    }

    #[test]
    fn lines_keep_their_bytes_and_say_their_stream() {
        let line = |bytes, partial| Line { bytes, partial };
        let text = written(|log| {
            log.lines(&Lines::new(
                Stream::Stdout,
                [line(b"a\x1b[31m", false), line(b"\xff", true)],
            ))?;
            log.lines(&Lines::new(Stream::Stderr, [line(b"e", false)]))
        });
        assert_eq!(text, b"out| a\x1b[31m\nout+ \xff\nerr| e\n");
    }

    #[test]
    fn what_a_detached_step_printed_is_counted_whoever_wrote_it() {
        let mut log = HostLog::new(tempfile::tempfile().unwrap());
        let line = |bytes, partial| Line { bytes, partial };
        let print = |log: &mut HostLog, bytes, partial| {
            log.lines(&Lines::new(Stream::Stdout, [line(bytes, partial)]))
                .unwrap();
            log.lines(&Lines::new(Stream::Stderr, [line(b"e", false)]))
                .unwrap();
        };
        log.heading("work started").unwrap();
        print(&mut log, b"another's", false);
        log.detached("/x/h0-work.1").unwrap();
        print(&mut log, b"one", false);
        log.note("the connection is lost").unwrap();
        print(&mut log, b"tw", true);
        log.detached("/x/h0-work.2").unwrap();
        print(&mut log, b"of the second try", false);
        log.heading("the run goes on in another process").unwrap();
        print(&mut log, b"of something between", false);
        log.detached("/x/h0-work.1").unwrap();
        print(&mut log, b"o\xff", false);
        print(&mut log, b"note| detached in /y", false);
        print(&mut log, b"", false);
        let printed = "one\ntwo.\nnote| detached in /y\n\n".len() as u64;
        assert_eq!(log.told_of("/x/h0-work.1").unwrap(), (printed, 10));
        assert_eq!(log.told_of("/x/h0-work").unwrap(), (0, 0));
        log.heading("work ok").unwrap();
        assert_eq!(log.told_of("/x/h0-work.2").unwrap(), (18, 2));
    }

    #[test]
    fn a_name_cannot_make_an_entry_of_its_own() {
        let text = written(|log| log.heading("x\nout| forged"));
        assert_eq!(text, b"---- x out| forged\n");
    }
}
