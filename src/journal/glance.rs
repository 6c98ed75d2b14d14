//! A journal's first line and its last: of which run it is and how it stands, without reading what lies between.
//! Whether it can be gone on with takes the whole of it, and is [`read`](super::read())'s.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use crate::model::RunId;
use crate::run::journal::{Fact, Opening};

use super::FILE;
use super::record::Record;

/// Bytes at the end among which a last line of a few words is found.
const END: u64 = 64 << 10;

/// What the ends of a journal say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glance {
    /// What the run is of.
    pub opening: Opening,
    /// The state in which it ended, and the exit status; `None` where its process is at work or was cut off.
    pub ended: Option<(String, u8)>,
}

/// Looks at the journal in a run's folder; `None` where there is none, or it does not say how it begins.
pub fn glance(folder: &Path, run: &RunId) -> Option<Glance> {
    let mut file = File::open(folder.join(FILE)).ok()?;
    let mut first = Vec::new();
    BufReader::new(&file).read_until(b'\n', &mut first).ok()?;
    let first = record(&first, run)?;
    let Fact::RunStarted(opening) = first.fact else {
        return None;
    };
    let last = last_line(&mut file).ok()?;
    let ended = match record(&last, run).map(|record| record.fact) {
        Some(Fact::RunFinished { state, exit }) => Some((state, exit)),
        _ => None,
    };
    Some(Glance {
        opening: *opening,
        ended,
    })
}

fn record(line: &[u8], run: &RunId) -> Option<Record> {
    let record = Record::parse(line.strip_suffix(b"\n")?).ok()?;
    (record.run == *run).then_some(record)
}

/// The last whole line with its newline, if it is short: what is longer is no run's end.
fn last_line(file: &mut File) -> io::Result<Vec<u8>> {
    let length = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(length.saturating_sub(END)))?;
    let mut end = Vec::new();
    file.read_to_end(&mut end)?;
    let whole = end.iter().rposition(|byte| *byte == b'\n');
    end.truncate(whole.map_or(0, |at| at + 1));
    let before = end[..end.len().saturating_sub(1)].iter();
    let start = before.rev().position(|byte| *byte == b'\n');
    Ok(end.split_off(start.map_or(0, |back| end.len() - 1 - back)))
}

#[cfg(test)]
mod tests {
    use crate::run::journal::Process;

    use super::super::record::FORMAT;
    use super::*;

    fn run() -> RunId {
        RunId::from_text("20260730T031244Z-work-0001")
    }

    fn opening() -> Opening {
        Opening {
            task: "work".to_owned(),
            task_hash: String::new(),
            changes: true,
            population: Vec::new(),
            targets: Vec::new(),
            retries: None,
            process: Process { pid: 1, started: 0 },
            typed: serde_json::Value::Null,
        }
    }

    fn ended(state: &str) -> Fact {
        Fact::RunFinished {
            state: state.to_owned(),
            exit: 4,
        }
    }

    fn text(facts: Vec<Fact>) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (seq, fact) in (0..).zip(facts) {
            let record = Record {
                v: FORMAT,
                seq,
                time: jiff::Timestamp::UNIX_EPOCH,
                run: run(),
                fact,
            };
            record.write(&mut bytes);
        }
        bytes
    }

    fn of(bytes: &[u8]) -> Option<Glance> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(FILE), bytes).unwrap();
        glance(folder.path(), &run())
    }

    #[test]
    fn the_last_whole_line_says_how_it_ended() {
        let begun = || Fact::RunStarted(Box::new(opening()));
        let bake = Fact::Bake { length_ms: 1 };
        assert_eq!(of(b""), None);
        assert_eq!(of(&text(vec![bake.clone()])), None);
        let end = |bytes: &[u8]| of(bytes).unwrap().ended;
        assert_eq!(end(&text(vec![begun()])), None);
        let failed = Some(("failed".to_owned(), 4));
        let whole = text(vec![begun(), bake.clone(), ended("failed")]);
        assert_eq!(end(&whole), failed);
        assert_eq!(end(&[&whole[..], b"{\"v\":1,"].concat()), failed);
        assert_eq!(end(&whole[..whole.len() - 1]), None, "it is torn");
        assert_eq!(end(&text(vec![begun(), ended("failed"), bake])), None);
    }

    #[test]
    fn a_line_longer_than_what_is_looked_at_is_no_end() {
        let long = ended(&"x".repeat(2 * usize::try_from(END).unwrap()));
        let begun = Fact::RunStarted(Box::new(opening()));
        assert_eq!(of(&text(vec![begun, long])).unwrap().ended, None);
    }
}
