//! The journal of a run: what it is about to do, on disk before it is done, so that another process can go on
//! where this one was cut off.
//!
//! `record` is a line of the file, `writer` keeps lines, `replay` makes of them how far the run had come; `glance`
//! looks at the first and the last one alone.

mod glance;
mod record;
mod replay;
mod writer;

pub use glance::{Glance, glance};
pub use record::{Corrupt, FORMAT, Read, Record, read};
pub use replay::replay;
pub use writer::{Sync, Writer};

/// The journal's name in the run's folder.
pub const FILE: &str = "journal.jsonl";
