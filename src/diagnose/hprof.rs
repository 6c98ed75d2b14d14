//! Whether a JVM's heap dump is whole: the header, then the chain of records up to its end mark.
//!
//! A dump that was cut short (a full disk, a JVM that died, a lost link) still opens in most viewers and shows
//! a smaller heap. Walking the chain finds that without reading a single object: each record says how long it
//! is, so the last one must end exactly where the file does, and it must be `HEAP_DUMP_END`. Dumps compressed
//! with gzip or zstd are unpacked on the way. Nothing is kept in memory but one buffer.
//!
//! Not its job: what is in the heap, or opening files.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::MultiGzDecoder;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

/// How the bytes of a dump were compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip.
    Gzip,
    /// Zstandard.
    Zstd,
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        })
    }
}

/// A dump whose chain of records is whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HprofSummary {
    /// `1.0.1` or `1.0.2`.
    pub version: String,
    /// Bytes of an object id: 4 or 8.
    pub id_size: u32,
    /// When the JVM began to write it, milliseconds since 1970.
    pub started_ms: u64,
    /// How it was compressed.
    pub compression: Compression,
    /// Bytes of the uncompressed dump.
    pub bytes: u64,
    /// Records, the end mark included.
    pub records: u64,
    /// Records that hold parts of the heap.
    pub segments: u64,
    /// Bytes of heap in them.
    pub heap_bytes: u64,
}

/// Why a file is no whole heap dump. Offsets count bytes of the uncompressed dump.
#[derive(Debug, thiserror::Error)]
pub enum HprofError {
    /// It does not begin as a heap dump does.
    #[error("not a heap dump: it begins with {found}")]
    NotHprof {
        /// The first bytes, printable.
        found: String,
    },
    /// The header has an id size that no JVM writes.
    #[error("the header says ids of {found} bytes; only 4 and 8 exist")]
    IdSize {
        /// What it says.
        found: u32,
    },
    /// The file ends inside the header or a record.
    #[error(
        "cut short: it ends at byte {end}, {missing} bytes before the end of the record that begins at byte {record}"
    )]
    Truncated {
        /// Where the unfinished record (or the header, 0) begins.
        record: u64,
        /// Where the file ends.
        end: u64,
        /// How many bytes the record still wants, as far as it says.
        missing: u64,
    },
    /// The file ends after a whole record that is not the end mark.
    #[error("cut short: it ends at byte {end} between two records, without the end mark")]
    NoEnd {
        /// Where the file ends.
        end: u64,
    },
    /// What follows a record is no record.
    #[error("damaged: byte {offset} holds {tag:#04x}, which begins no record")]
    UnknownTag {
        /// Where.
        offset: u64,
        /// What stands there.
        tag: u8,
    },
    /// Something follows the end mark.
    #[error("damaged: bytes follow the end mark at byte {offset}")]
    AfterEnd {
        /// Where the first of them is.
        offset: u64,
    },
    /// The compressed data does not unpack.
    #[error(
        "damaged or cut short: the {compression} data stops unpacking after byte {offset} of the dump"
    )]
    Compressed {
        /// How it was compressed.
        compression: Compression,
        /// How much of the dump came out.
        offset: u64,
        /// What the unpacker said.
        source: io::Error,
    },
    /// The file could not be read.
    #[error("cannot be read after byte {offset}")]
    Read {
        /// How much was read.
        offset: u64,
        /// Why.
        source: io::Error,
    },
}

/// Checks a dump, plain or compressed (told by its first bytes), to its last byte.
///
/// # Errors
/// The first thing that shows that the dump is not whole; see [`HprofError`].
pub fn check(input: impl Read) -> Result<HprofSummary, HprofError> {
    let mut input = BufReader::with_capacity(BUFFER, input);
    let first = input
        .fill_buf()
        .map_err(|source| HprofError::Read { offset: 0, source })?;
    match first {
        [0x1f, 0x8b, ..] => Walk::new(Compression::Gzip, MultiGzDecoder::new(input)).check(),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Walk::new(Compression::Zstd, Zstd::new(input)).check(),
        _ => Walk::new(Compression::None, input).check(),
    }
}

const NAME: &[u8] = b"JAVA PROFILE 1.0.";
/// Bytes of the header: the name, a digit, a zero byte, the size of ids, the time.
const HEADER: u64 = NAME.len() as u64 + 2 + 4 + 8;
const BUFFER: usize = 256 * 1024;
const HEAP_DUMP: u8 = 0x0c;
const HEAP_DUMP_SEGMENT: u8 = 0x1c;
const HEAP_DUMP_END: u8 = 0x2c;

/// A reader of the uncompressed dump, and how far it is.
struct Walk<R> {
    input: BufReader<R>,
    compression: Compression,
    at: u64,
}

impl<R: Read> Walk<R> {
    fn new(compression: Compression, input: R) -> Self {
        Self {
            input: BufReader::with_capacity(BUFFER, input),
            compression,
            at: 0,
        }
    }

    fn check(mut self) -> Result<HprofSummary, HprofError> {
        let mut summary = self.header()?;
        loop {
            let record = self.at;
            let Some(tag) = self.byte()? else {
                return Err(HprofError::NoEnd { end: self.at });
            };
            if !matches!(tag, 1..=7 | 10..=14 | HEAP_DUMP_SEGMENT | HEAP_DUMP_END) {
                return Err(HprofError::UnknownTag {
                    offset: record,
                    tag,
                });
            }
            let [_, _, _, _, length @ ..] = self.exactly::<8>(record)?;
            let length = u64::from(u32::from_be_bytes(length));
            self.skip(record, length)?;
            summary.records += 1;
            if matches!(tag, HEAP_DUMP | HEAP_DUMP_SEGMENT) {
                summary.segments += 1;
                summary.heap_bytes += length;
            }
            if tag == HEAP_DUMP_END {
                break;
            }
        }
        summary.bytes = self.at;
        match self.byte()? {
            None => Ok(summary),
            Some(_) => Err(HprofError::AfterEnd {
                offset: summary.bytes,
            }),
        }
    }

    /// `JAVA PROFILE 1.0.2`, a zero byte, the size of ids, the time.
    fn header(&mut self) -> Result<HprofSummary, HprofError> {
        let mut name = Vec::with_capacity(NAME.len() + 2);
        while name.len() < NAME.len() + 2 {
            let Some(byte) = self.byte()? else { break };
            name.push(byte);
            if !NAME.starts_with(&name[..name.len().min(NAME.len())]) {
                break;
            }
        }
        let fits = NAME.starts_with(&name[..name.len().min(NAME.len())]);
        let version = match name.strip_prefix(NAME) {
            Some([digit @ (b'1' | b'2'), 0]) => format!("1.0.{}", char::from(*digit)),
            _ if fits && !name.is_empty() && name.len() < NAME.len() + 2 => {
                return Err(HprofError::Truncated {
                    record: 0,
                    end: self.at,
                    missing: HEADER - self.at,
                });
            }
            _ => {
                return Err(HprofError::NotHprof {
                    found: shown(&name),
                });
            }
        };
        let id_size = u32::from_be_bytes(self.exactly(0)?);
        if !matches!(id_size, 4 | 8) {
            return Err(HprofError::IdSize { found: id_size });
        }
        Ok(HprofSummary {
            version,
            id_size,
            started_ms: u64::from_be_bytes(self.exactly(0)?),
            compression: self.compression,
            bytes: 0,
            records: 0,
            segments: 0,
            heap_bytes: 0,
        })
    }

    fn byte(&mut self) -> Result<Option<u8>, HprofError> {
        let byte = self.buffered()?.first().copied();
        if byte.is_some() {
            self.input.consume(1);
            self.at += 1;
        }
        Ok(byte)
    }

    fn exactly<const N: usize>(&mut self, record: u64) -> Result<[u8; N], HprofError> {
        let mut bytes = [0; N];
        for (done, byte) in bytes.iter_mut().enumerate() {
            *byte = self.byte()?.ok_or(HprofError::Truncated {
                record,
                end: self.at,
                missing: (N - done) as u64,
            })?;
        }
        Ok(bytes)
    }

    fn skip(&mut self, record: u64, length: u64) -> Result<(), HprofError> {
        let mut missing = length;
        while missing > 0 {
            let here = self.buffered()?.len();
            if here == 0 {
                return Err(HprofError::Truncated {
                    record,
                    end: self.at,
                    missing,
                });
            }
            let step = here.min(usize::try_from(missing).unwrap_or(here));
            self.input.consume(step);
            self.at += step as u64;
            missing -= step as u64;
        }
        Ok(())
    }

    fn buffered(&mut self) -> Result<&[u8], HprofError> {
        let (compression, offset) = (self.compression, self.at);
        // The buffer is asked again below: its borrow may not leave this loop.
        while let Err(source) = self.input.fill_buf() {
            match (source.kind(), compression) {
                (io::ErrorKind::Interrupted, _) => {}
                (_, Compression::None) => return Err(HprofError::Read { offset, source }),
                _ => {
                    return Err(HprofError::Compressed {
                        compression,
                        offset,
                        source,
                    });
                }
            }
        }
        Ok(self.input.buffer())
    }
}

/// The first bytes of a file that is something else, for people.
fn shown(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return "nothing: it is empty".to_owned();
    }
    format!("`{}`", bytes.escape_ascii())
}

/// Zstandard frames, one after the other, as one stream.
struct Zstd<R> {
    source: R,
    decoder: FrameDecoder,
    in_frame: bool,
}

impl<R: BufRead> Zstd<R> {
    fn new(source: R) -> Self {
        Self {
            source,
            decoder: FrameDecoder::new(),
            in_frame: false,
        }
    }

    /// Begins the next frame; `false` at the end of the file.
    fn next_frame(&mut self) -> io::Result<bool> {
        while !self.source.fill_buf()?.is_empty() {
            match self.decoder.reset(&mut self.source) {
                Ok(()) => return Ok(true),
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                    length,
                    ..
                })) => {
                    io::copy(&mut (&mut self.source).take(length.into()), &mut io::sink())?;
                }
                Err(error) => return Err(io::Error::other(error)),
            }
        }
        Ok(false)
    }
}

impl<R: BufRead> Read for Zstd<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            if !self.in_frame {
                if !self.next_frame()? {
                    return Ok(0);
                }
                self.in_frame = true;
            }
            while self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
                self.decoder
                    .decode_blocks(&mut self.source, BlockDecodingStrategy::UptoBlocks(1))
                    .map_err(io::Error::other)?;
            }
            let read = self.decoder.read(into)?;
            if read > 0 || into.is_empty() {
                return Ok(read);
            }
            self.in_frame = false;
        }
    }
}

#[cfg(test)]
#[path = "hprof_tests.rs"]
mod tests;
