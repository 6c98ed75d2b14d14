//! The sign that a process of a run lives: an advisory lock on the run's folder, `flock(2)`. It ends with the process,
//! however that ends.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;

/// The lock, let go of where this value ends. A process that is being started at that moment has the folder open too
/// until it becomes its program; so the lock is released, not only closed.
#[derive(Debug)]
pub(super) struct Alive(File);

impl Alive {
    /// Takes it on a new folder, once whoever looks whether it is held has looked.
    ///
    /// # Errors
    /// The folder cannot be opened or locked.
    pub(super) fn of_new(folder: &Path) -> io::Result<Self> {
        let file = File::open(folder)?;
        file.lock()?;
        Ok(Self(file))
    }

    /// Takes it; `None` where another process has it.
    ///
    /// # Errors
    /// The folder cannot be opened or locked.
    pub(super) fn take(folder: &Path) -> io::Result<Option<Self>> {
        let file = File::open(folder)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Whether a process has it.
    pub(super) fn is_held(folder: &Path) -> bool {
        matches!(Self::take(folder), Ok(None))
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        // It ends with the file at the latest.
        let _closed_at_the_latest = self.0.unlock();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_is_let_go_of_is_free_though_a_child_has_the_folder_open() {
        let folder = tempfile::tempdir().unwrap();
        let alive = Alive::take(folder.path()).unwrap().unwrap();
        assert!(Alive::is_held(folder.path()));
        assert!(Alive::take(folder.path()).unwrap().is_none());
        let of_a_child = alive.0.try_clone().unwrap();
        drop(alive);
        assert!(!Alive::is_held(folder.path()));
        drop(of_a_child);
    }
}
