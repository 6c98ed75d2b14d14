//! The file that audit lines are appended to: whole lines or nothing, whoever else writes at the same time.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

/// The file's name below the state folder.
pub const FILE: &str = "audit.jsonl";

/// How long another writer is waited for, and how often it is looked at whether it is done.
const PATIENCE: Duration = Duration::from_secs(3);
const LOOK: Duration = Duration::from_millis(10);

/// The audit log of a state folder. The file is opened for each line, so that it may be moved away at any time.
#[derive(Debug, Clone)]
pub struct AuditFile {
    path: PathBuf,
}

impl AuditFile {
    /// That of this state folder; nothing is opened yet.
    pub fn below(state: &Path) -> Self {
        Self {
            path: state.join(FILE),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends a line, and waits until it survives a crash of the machine where it is to be `durable`. A line that does
    /// not fit on the disk is taken back.
    ///
    /// # Errors
    /// The file cannot be opened or written, is a link or no file, or somebody else holds it for seconds.
    pub async fn append(&self, line: &impl Serialize, durable: bool) -> io::Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        let file = self.open()?;
        locked(&file).await?;
        let length = file.metadata()?.len();
        if !ends_well(&file, length)? {
            // Whoever wrote last died in the middle: their line is lost, ours is not.
            text.insert(0, b'\n');
        }
        let written =
            write_once(&file, &text).and_then(|()| if durable { file.sync_data() } else { Ok(()) });
        if written.is_err() {
            file.set_len(length)?;
        }
        written
    }

    /// Opens it for us alone.
    fn open(&self) -> io::Result<File> {
        let nofollow = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .custom_flags(nofollow.bits().cast_signed())
            .open(&self.path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::other("it is not a file"));
        }
        if metadata.permissions().mode() & 0o077 != 0 {
            file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
        }
        Ok(file)
    }
}

/// Waits for the lock, which ends with the file.
async fn locked(file: &File) -> io::Result<()> {
    let until = tokio::time::Instant::now() + PATIENCE;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) if tokio::time::Instant::now() >= until => {
                return Err(io::Error::other("another process keeps it locked"));
            }
            Err(TryLockError::WouldBlock) => tokio::time::sleep(LOOK).await,
        }
    }
}

/// Whether what stands there ends with a whole line.
fn ends_well(file: &File, length: u64) -> io::Result<bool> {
    let Some(last) = length.checked_sub(1) else {
        return Ok(true);
    };
    let mut byte = [0];
    file.read_exact_at(&mut byte, last)?;
    Ok(byte == *b"\n")
}

/// Readers see all of it or nothing.
fn write_once(mut file: &File, text: &[u8]) -> io::Result<()> {
    match file.write(text)? {
        written if written == text.len() => Ok(()),
        _ => Err(io::ErrorKind::WriteZero.into()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use tokio::task::JoinSet;

    use super::*;

    fn lines(file: &AuditFile) -> Vec<Value> {
        let text = std::fs::read_to_string(file.path()).unwrap();
        text.lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn lines_of_many_writers_are_whole_and_for_us_alone() {
        let state = tempfile::tempdir().unwrap();
        let file = AuditFile::below(state.path());
        let mut writers = JoinSet::new();
        for writer in 0..8 {
            let file = file.clone();
            writers.spawn(async move {
                for number in 0..25 {
                    let filler = "x".repeat(20_000 * (number % 3));
                    let line = json!({"writer": writer, "number": number, "filler": filler});
                    file.append(&line, number % 5 == 0).await.unwrap();
                }
            });
        }
        while let Some(done) = writers.join_next().await {
            done.unwrap();
        }
        let lines = lines(&file);
        assert_eq!(lines.len(), 200);
        for writer in 0..8 {
            let of = lines.iter().filter(|line| line["writer"] == writer);
            let numbers: Vec<u64> = of.map(|line| line["number"].as_u64().unwrap()).collect();
            assert_eq!(numbers, (0..25).collect::<Vec<u64>>());
        }
        let mode = std::fs::metadata(file.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[tokio::test]
    async fn a_torn_line_costs_no_other() {
        let state = tempfile::tempdir().unwrap();
        let file = AuditFile::below(state.path());
        std::fs::write(file.path(), "{\"a\":1}\n{\"b\":").unwrap();
        file.append(&json!({"c": 3}), true).await.unwrap();
        assert_eq!(lines(&file), [json!({"a": 1}), json!({"c": 3})]);
    }

    #[tokio::test]
    async fn a_link_is_not_followed_and_a_folder_is_refused() {
        let state = tempfile::tempdir().unwrap();
        let file = AuditFile::below(state.path());
        let other = state.path().join("other");
        std::fs::write(&other, "").unwrap();
        std::os::unix::fs::symlink(&other, file.path()).unwrap();
        assert!(file.append(&json!(1), true).await.is_err());
        assert_eq!(std::fs::read(&other).unwrap(), b"");
        std::fs::remove_file(file.path()).unwrap();
        std::fs::create_dir(file.path()).unwrap();
        assert!(file.append(&json!(1), true).await.is_err());
    }
}
