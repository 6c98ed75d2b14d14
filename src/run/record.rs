//! What the engine asks of a run's record: a log for each host, written before a line goes anywhere else.

use std::io;
use std::path::{Path, PathBuf};

use crate::model::Host;

/// A run's folder on disk. Shared by all units of the run.
pub trait Record: Send + Sync + 'static {
    /// Opens the host's log for appending, and for reading what is there.
    ///
    /// # Errors
    /// The disk is full, or the folder cannot be written.
    fn host_log(&self, host: &Host) -> io::Result<std::fs::File>;

    /// Opens the log of what runs on this machine, for appending: `@controller`, whatever hosts are called.
    ///
    /// # Errors
    /// As [`Record::host_log`].
    fn controller_log(&self) -> io::Result<std::fs::File>;

    /// The folder for files brought from this host; made on first use, mode 0700.
    ///
    /// # Errors
    /// The folder cannot be made.
    fn files_of(&self, host: &Host) -> io::Result<PathBuf>;

    /// The record's folder.
    fn folder(&self) -> &Path;
}
