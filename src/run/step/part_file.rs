//! The file of this machine that a download grows in, and what it is looked at for.

use std::io;
use std::path::{Path, PathBuf};

use crate::diagnose::hprof;
use crate::model::{Label, file_name_within};
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

/// Longest file name, bytes, that file systems take.
const NAME_LENGTH: usize = 255;

/// The file beside `path` that a host's download grows in: `.NAME.LABEL.part`, so that no two hosts ever write into
/// one, and a later run finds its own again.
pub(crate) fn part_of(path: &Path, label: Option<&Label>) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let label = label.map(|label| format!(".{}", label.file_name()));
    let name = format!(".{name}{}", label.unwrap_or_default());
    let ending = ".part";
    path.with_file_name(file_name_within(name, NAME_LENGTH - ending.len()) + ending)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_host_has_a_part_of_its_own() {
        let part = |name: &str, label: &str| part_of(Path::new(name), Some(&Label::new(label)));
        assert_eq!(part("out/x", "a/1"), Path::new("out/.x.a%2F1.part"));
        assert_ne!(part("out/x", "a"), part("out/x", "b"));
        let long = "n".repeat(250);
        let (one, other) = (part(&long, "a"), part(&long, "b"));
        assert_eq!(one.as_os_str().len(), NAME_LENGTH);
        assert_ne!(one, other);
    }
}
