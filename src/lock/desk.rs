//! The lock of this machine: two runs of one person here meet at once, without asking a host. It ends with the
//! process; what lasts is the hosts' lock.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use super::answer::Found;
use super::folder::folder_name;
use super::note::Note;

/// A lock of this machine, held as long as this value lives.
#[derive(Debug)]
pub struct Desk {
    file: File,
}

impl Desk {
    /// Takes the lock of this note's key and anchor, whose file stands in `folder`. The inner error is the holder,
    /// where another process has it and said who it is.
    ///
    /// # Errors
    /// The file cannot be made or locked; the hosts' lock is what counts.
    pub fn take(folder: &Path, note: &Note) -> io::Result<Result<Self, Option<Found>>> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
        let path = folder.join(folder_name(&format!("{} {}", note.anchor, note.key)));
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(Err(holder(&path, note))),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        file.set_len(0)?;
        file.write_all(note.to_line().as_bytes())?;
        Ok(Ok(Self { file }))
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        // A process that is being started has the file open too, until it becomes its program.
        let _closed_at_the_latest = self.file.unlock();
    }
}

/// Who wrote the file, if it was a run that can hold it: what an earlier one left may still stand there.
fn holder(path: &Path, own: &Note) -> Option<Found> {
    let note = Note::parse(&fs::read_to_string(path).ok()?)?;
    if !Path::new("/proc").join(note.pid.to_string()).exists() && Path::new("/proc/self").exists() {
        return None;
    }
    let age = own.started.duration_since(note.started);
    Some(Found {
        host: note.anchor.clone(),
        folder: folder_name(&note.key),
        owner: note.user.clone(),
        age_ms: u64::try_from(age.as_millis()).ok(),
        silent_ms: Some(0),
        note: Some(note),
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::note;
    use super::*;

    #[test]
    fn two_of_one_machine_meet_and_the_end_of_one_lets_the_other() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("locks");
        let mut first = note("app-1", 1);
        first.pid = std::process::id();
        let held = Desk::take(&folder, &first).unwrap().unwrap();
        let second = Note {
            started: first.started + jiff::Span::new().seconds(9),
            ..note("app-1", 2)
        };
        let found = Desk::take(&folder, &second).unwrap().unwrap_err().unwrap();
        assert_eq!(found.note.as_ref(), Some(&first));
        assert_eq!(found.age_ms, Some(9_000));
        assert!(found.is_live());
        let elsewhere = note("app-2", 3);
        assert!(
            Desk::take(&folder, &elsewhere).unwrap().is_ok(),
            "another anchor"
        );
        drop(held);
        assert!(Desk::take(&folder, &second).unwrap().is_ok());
    }
}
