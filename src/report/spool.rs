//! One stream's output of one host, held back until it is printed: a little in memory, the rest in a
//! temporary file, and its digest, so that equal outputs are found without reading them again.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read, Write as _};
use std::path::PathBuf;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use crate::run::event::Line;

/// Bytes that are held in memory; more go to the file.
const HELD: usize = 16 << 10;

/// Output that is held back.
pub(crate) struct Spool {
    path: PathBuf,
    /// What the file has not got yet.
    held: Vec<u8>,
    in_file: bool,
    digest: Sha256,
    bytes: u64,
    /// The step whose last line has no newline yet.
    open: Option<Arc<str>>,
    trouble: Option<io::Error>,
}

/// What tells two outputs apart.
pub(crate) type Fingerprint = ([u8; 32], u64);

impl Spool {
    /// An empty spool, which makes the file `path` once it needs one.
    pub(crate) fn new(path: PathBuf) -> Self {
        Self {
            path,
            held: Vec::new(),
            in_file: false,
            digest: Sha256::new(),
            bytes: 0,
            open: None,
            trouble: None,
        }
    }

    /// Adds a line of a step. Parts of one line are joined.
    pub(crate) fn push(&mut self, step: &Arc<str>, line: Line<'_>) {
        if self.open.take().is_some_and(|open| open != *step) {
            self.append(b"\n");
        }
        self.append(line.bytes);
        if line.partial {
            self.open = Some(Arc::clone(step));
        } else {
            self.append(b"\n");
        }
    }

    fn append(&mut self, bytes: &[u8]) {
        self.digest.update(bytes);
        self.bytes += bytes.len() as u64;
        if self.trouble.is_some() {
            return;
        }
        self.held.extend_from_slice(bytes);
        if self.held.len() > HELD
            && let Err(error) = self.spill()
        {
            self.held.clear();
            self.trouble = Some(error);
        }
    }

    /// The file is opened for each spill: a thousand hosts are more than the files a process may have open.
    fn spill(&mut self) -> io::Result<()> {
        let mut file = OpenOptions::new()
            .append(true)
            .create(true)
            .open(&self.path)?;
        file.write_all(&self.held)?;
        self.held.clear();
        self.in_file = true;
        Ok(())
    }

    /// The end of the output: the last line is ended, and the fingerprint is known.
    pub(crate) fn seal(&mut self) -> Fingerprint {
        if self.open.take().is_some() {
            self.append(b"\n");
        }
        (self.digest.clone().finalize().into(), self.bytes)
    }

    /// How many bytes it has.
    pub(crate) fn len(&self) -> u64 {
        self.bytes
    }

    /// Why not all of it is here, if so.
    pub(crate) fn trouble(&self) -> Option<&io::Error> {
        self.trouble.as_ref()
    }

    /// Reads it from its start.
    ///
    /// # Errors
    /// The file has gone.
    pub(crate) fn reader(&self) -> io::Result<BufReader<Box<dyn Read + '_>>> {
        let held: &[u8] = &self.held;
        let all: Box<dyn Read + '_> = if self.in_file {
            Box::new(File::open(&self.path)?.chain(held))
        } else {
            Box::new(held)
        };
        Ok(BufReader::new(all))
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        if self.in_file {
            // The folder goes with the run's end anyway.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(spool: &Spool) -> String {
        let mut text = String::new();
        spool.reader().unwrap().read_to_string(&mut text).unwrap();
        text
    }

    fn line(bytes: &[u8], partial: bool) -> Line<'_> {
        Line { bytes, partial }
    }

    #[test]
    fn what_goes_in_comes_out_however_large() {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = Spool::new(folder.path().join("a"));
        let step: Arc<str> = "s".into();
        let mut expected = String::new();
        for n in 0..5000 {
            let text = format!("line {n}");
            spool.push(&step, line(text.as_bytes(), false));
            expected.push_str(&text);
            expected.push('\n');
        }
        spool.seal();
        assert!(folder.path().join("a").exists() && spool.held.len() <= HELD);
        assert_eq!(text(&spool), expected);
        drop(spool);
        assert!(!folder.path().join("a").exists());
    }

    #[test]
    fn parts_join_within_a_step_and_the_end_is_ended() {
        let mut spool = Spool::new(PathBuf::from("/nonexistent/a"));
        let (one, two): (Arc<str>, Arc<str>) = ("1".into(), "2".into());
        spool.push(&one, line(b"a", true));
        spool.push(&one, line(b"b", true));
        spool.push(&two, line(b"c", true));
        let cut = spool.seal();
        assert_eq!(text(&spool), "ab\nc\n");
        let mut same = Spool::new(PathBuf::from("/nonexistent/b"));
        same.push(&one, line(b"ab", false));
        same.push(&one, line(b"c", false));
        assert_eq!(same.seal(), cut);
    }

    #[test]
    fn a_full_disk_is_kept_for_the_reader() {
        let mut spool = Spool::new(PathBuf::from("/dev/full"));
        let step: Arc<str> = "s".into();
        spool.push(&step, line(&vec![b'x'; HELD + 1], false));
        spool.push(&step, line(b"y", false));
        assert!(spool.trouble().is_some());
        assert_eq!(spool.len(), HELD as u64 + 4);
    }
}
