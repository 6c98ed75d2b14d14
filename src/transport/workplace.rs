//! The folder of a run's control sockets and the guard over it. Checks that the folder is ours alone.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tempfile::TempDir;

use super::guard::Guard;
use super::master::Place;

/// ssh binds its socket under a temporary name of 17 characters more, and Linux takes 107.
const LONGEST_SOCKET: usize = 107 - 17;

/// Where a run's masters have their sockets.
#[derive(Debug)]
pub(super) struct Workplace {
    /// Removed at the end, by us or by the guard.
    folder: TempDir,
    guard: Arc<Guard>,
    next: AtomicUsize,
}

impl Workplace {
    /// Makes the run's folder below `parent`, which is made too, and starts the guard.
    ///
    /// # Errors
    /// The folder cannot be made, is not ours alone, or its path is too long for sockets.
    pub(super) fn make(parent: &Path) -> io::Result<Self> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(parent)?;
        ours_alone(parent)?;
        let folder = tempfile::Builder::new()
            .prefix("r")
            .rand_bytes(6)
            .tempdir_in(parent)?;
        let socket = folder.path().join("99999.f99");
        if socket.as_os_str().len() > LONGEST_SOCKET {
            return Err(io::Error::new(
                io::ErrorKind::InvalidFilename,
                format!(
                    "`{}` is too long a folder for control sockets: 61 bytes at most",
                    parent.display()
                ),
            ));
        }
        let guard = Arc::new(Guard::start(folder.path())?);
        Ok(Self {
            folder,
            guard,
            next: AtomicUsize::new(1),
        })
    }

    /// The guard.
    pub(super) fn guard(&self) -> &Arc<Guard> {
        &self.guard
    }

    /// A place for a further master.
    ///
    /// # Errors
    /// It cannot be made: the file system is full, say.
    pub(super) fn place(&self) -> io::Result<Place> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        Place::make(self.path().join(number.to_string()))
    }

    fn path(&self) -> PathBuf {
        self.folder.path().to_owned()
    }
}

/// Refuses a folder that somebody else owns, may write into or has put a link in place of: whoever reaches a
/// control socket commands the host behind it.
fn ours_alone(folder: &Path) -> io::Result<()> {
    let data = fs::symlink_metadata(folder)?;
    let trouble = if !data.is_dir() {
        "is not a folder"
    } else if data.uid() != rustix::process::geteuid().as_raw() {
        "belongs to another user"
    } else if data.mode() & 0o077 != 0 {
        "is open to other users (`chmod 700` it)"
    } else {
        return Ok(());
    };
    Err(io::Error::new(
        io::ErrorKind::PermissionDenied,
        format!(
            "the folder for control sockets, `{}`, {trouble}",
            folder.display()
        ),
    ))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[tokio::test]
    async fn a_folder_that_others_may_enter_is_refused() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("s");
        let workplace = Workplace::make(&folder).unwrap();
        assert_eq!(fs::metadata(&folder).unwrap().mode() & 0o777, 0o700);
        assert!(workplace.place().unwrap().socket().starts_with(&folder));
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
        let error = Workplace::make(&folder).unwrap_err().to_string();
        assert!(error.contains("is open to other users"), "{error}");
    }

    #[tokio::test]
    async fn a_path_too_long_for_sockets_is_refused_at_once() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("x".repeat(70));
        let error = Workplace::make(&folder).unwrap_err().to_string();
        assert!(error.contains("61 bytes at most"), "{error}");
    }
}
