//! How decoding gets at the files that a task names beside itself. The reading is `library`'s job.

use std::sync::Arc;

/// The files of a task's folder, by paths relative to it.
pub trait Files {
    /// The bytes of a file.
    ///
    /// # Errors
    /// A few words: "no such file", "is a folder".
    fn read(&self, path: &str) -> Result<Arc<[u8]>, String>;

    /// Paths of the folder's files, for "did you mean"; may be cut short.
    fn paths(&self) -> Vec<String>;
}

/// A task that stands alone: it has no files.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoFiles;

impl Files for NoFiles {
    fn read(&self, _path: &str) -> Result<Arc<[u8]>, String> {
        Err("this task has no folder".to_owned())
    }

    fn paths(&self) -> Vec<String> {
        Vec::new()
    }
}
