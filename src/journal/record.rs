//! One line of a journal, and what is made of a file of them: every whole line, and of the last one that it is
//! torn. Pure; anything that cannot have come from a cut-off write is refused with its reason.
//!
//! A line is a JSON object that ends with its own checksum, `,"crc":"xxxxxxxx"}`: the CRC-32 of every byte
//! before that comma.

use flate2::Crc;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::model::RunId;
use crate::run::journal::Fact;

/// The version of the lines that this fab-rs writes, and the only one that it reads.
pub const FORMAT: u32 = 1;

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The format's version.
    pub v: u32,
    /// Counts from 0 without gaps, over all processes of the run.
    pub seq: u64,
    /// When, by this machine's clock.
    pub time: jiff::Timestamp,
    /// The run.
    pub run: RunId,
    /// What happened.
    #[serde(flatten)]
    pub fact: Fact,
}

/// Why a journal cannot be trusted.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("line {line} of the journal {why}")]
pub struct Corrupt {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub why: String,
}

/// A journal that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    /// Every whole line.
    pub records: Vec<Record>,
    /// How many bytes they take: what follows is a line that was cut off while it was written.
    pub whole: usize,
}

const MARK: &[u8] = br#","crc":""#;
/// The mark, eight digits, and `"}`.
const TAIL: usize = MARK.len() + 8 + 2;

impl Record {
    /// Appends the line, its newline with it.
    pub fn write(&self, into: &mut Vec<u8>) {
        let start = into.len();
        serde_json::to_writer(&mut *into, self).expect("a record is a JSON object");
        // The checksum takes the place of the closing brace.
        into.pop();
        let sum = checksum(&into[start..]);
        into.extend_from_slice(MARK);
        into.extend_from_slice(format!("{sum:08x}\"}}\n").as_bytes());
    }

    /// Reads a line without its newline.
    pub(super) fn parse(line: &[u8]) -> Result<Self, String> {
        let at = line.len().checked_sub(TAIL);
        let at = at.filter(|&at| line[at..].starts_with(MARK) && line.ends_with(b"\"}"));
        let Some(at) = at else {
            return Err("has no checksum".to_owned());
        };
        let (body, tail) = line.split_at(at);
        let sum = format!("{:08x}", checksum(body));
        if tail[MARK.len()..MARK.len() + 8] != *sum.as_bytes() {
            return Err("does not match its checksum".to_owned());
        }
        let whole = [body, b"}"].concat();
        let version: Version = serde_json::from_slice(&whole).map_err(|error| misread(&error))?;
        if version.v != FORMAT {
            return Err(format!(
                "is of format {}, and this fab-rs reads format {FORMAT}",
                version.v
            ));
        }
        serde_json::from_slice(&whole).map_err(|error| misread(&error))
    }
}

#[derive(Deserialize)]
struct Version {
    v: u32,
}

fn misread(error: &serde_json::Error) -> String {
    format!("is no record: {error}")
}

fn checksum(bytes: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum()
}

/// Reads a journal.
///
/// Only what was being written can be torn, and that is the end: bytes after the last newline are left out.
///
/// # Errors
/// Anything else: a line that is damaged, out of place or of another run. What it said may have been done on a
/// host, so that leaving it out could be wrong.
pub fn read(run: &RunId, bytes: &[u8]) -> Result<Read, Corrupt> {
    let mut records = Vec::new();
    let mut whole = 0;
    let mut rest = bytes;
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        let (line, after) = (&rest[..end], &rest[end + 1..]);
        let line_number = records.len() + 1;
        let corrupt = |why: String| Corrupt {
            line: line_number,
            why,
        };
        let record = Record::parse(line).map_err(corrupt)?;
        follows(&records, &record, run).map_err(corrupt)?;
        records.push(record);
        whole += end + 1;
        rest = after;
    }
    Ok(Read { records, whole })
}

fn follows(before: &[Record], record: &Record, run: &RunId) -> Result<(), String> {
    if record.run != *run {
        return Err(format!("is of run {}", record.run));
    }
    let expected = before.len() as u64;
    if record.seq != expected {
        return Err(format!("has number {}, not {expected}", record.seq));
    }
    let opens = matches!(record.fact, Fact::RunStarted(_));
    if opens != before.is_empty() {
        return Err("is not where the run begins".to_owned());
    }
    Ok(())
}

#[cfg(test)]
#[path = "record_tests.rs"]
mod tests;
