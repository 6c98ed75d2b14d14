//! The file of this machine that a download grows in, and what it is looked at for.

use std::io;
use std::path::{Path, PathBuf};

use crate::diagnose::hprof;
use crate::task::FileCheck;

/// How much of a file that is looked at is read at a time.
const READ: usize = 256 * 1024;

/// The file that a download grows in, opened for more.
pub(crate) async fn open_part(part: &Path) -> io::Result<tokio::fs::File> {
    let mut options = tokio::fs::OpenOptions::new();
    options
        .create(true)
        .append(true)
        .mode(0o600)
        .open(part)
        .await
}

/// Looks into a file that is here whole.
pub(crate) async fn looked_at(check: Option<FileCheck>, path: &Path) -> Result<(), String> {
    let Some(FileCheck::Hprof) = check else {
        return Ok(());
    };
    let path = path.to_path_buf();
    let look = move || -> Result<(), String> {
        let file = std::fs::File::open(&path).map_err(|error| error.to_string())?;
        let checked = hprof::check(io::BufReader::with_capacity(READ, file));
        checked
            .map(|_summary| ())
            .map_err(|error| error.to_string())
    };
    match tokio::task::spawn_blocking(look).await {
        Ok(looked) => looked.map_err(|error| format!("it is no whole heap dump: {error}")),
        Err(error) => Err(format!("looking at it failed: {error}")),
    }
}

/// Removes a file that may not be there.
pub(crate) fn remove_if_there(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// A path with more at its end.
pub(crate) fn appended(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}
