//! The folder of a run that an earlier process made: held, so that no other process goes on with it, and untouched
//! until the run really goes on. What a run writes there while it lasts is `record`'s job.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::model::RunId;

use super::alive::Alive;
use super::record::{RunFolder, pretty, write_atomically};

/// The hold of a run's folder; it ends with this value, or with the run that goes on.
#[derive(Debug)]
pub struct HeldFolder {
    id: RunId,
    path: PathBuf,
    alive: Alive,
}

impl HeldFolder {
    /// Takes hold; `None` where a process of the run lives.
    ///
    /// # Errors
    /// The folder cannot be opened.
    pub fn take(state: &Path, id: &RunId) -> io::Result<Option<Self>> {
        let path = state.join("runs").join(id.as_str());
        let alive = Alive::take(&path)?;
        let id = id.clone();
        Ok(alive.map(|alive| Self { id, path, alive }))
    }

    /// The run goes on: how it had ended holds no longer, and what is written from here on stands behind what is there.
    /// Files from hosts go below `files`, by default into the folder's own `files/`; `told` is as for a new run.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn go_on(
        self,
        files: Option<PathBuf>,
        told: impl Fn(&str) + Send + Sync + 'static,
    ) -> io::Result<Arc<RunFolder>> {
        match std::fs::remove_file(self.path.join("summary.json")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        cut_torn_end(&self.path.join("events.jsonl"))?;
        Ok(RunFolder::again(
            (self.id, self.path, self.alive),
            files,
            Box::new(told),
        ))
    }

    /// Writes another state into `summary.json`, if the run left one.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn write_state(&self, state: &str) -> io::Result<()> {
        let Ok(text) = std::fs::read(self.path.join("summary.json")) else {
            return Ok(());
        };
        let mut summary: serde_json::Value = serde_json::from_slice(&text)?;
        summary["state"] = state.into();
        write_atomically(&self.path, "summary.json", &pretty(&summary))
    }
}

/// Cuts off what follows the last whole line: a write that the process did not live to end.
fn cut_torn_end(path: &Path) -> io::Result<()> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let whole = bytes.iter().rposition(|byte| *byte == b'\n');
    let whole = whole.map_or(0, |end| end + 1);
    if whole < bytes.len() {
        let file = OpenOptions::new().write(true).open(path)?;
        file.set_len(whole as u64)?;
    }
    Ok(())
}

/// The logs of a run that goes on: each gets one heading where this process begins.
#[derive(Debug, Default)]
pub(super) struct OldLogs(Mutex<HashSet<String>>);

impl OldLogs {
    /// Opens a log for appending, mode 0600.
    pub(super) fn open(&self, folder: &Path, name: &str) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true).mode(0o600);
        let mut log = options.open(folder.join(name))?;
        let mut opened = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if opened.insert(name.to_owned()) && log.metadata()?.len() > 0 {
            mend_torn_entry(&mut log)?;
            let now = jiff::Timestamp::now();
            let now = jiff::Timestamp::from_second(now.as_second()).unwrap_or(now);
            log.write_all(format!("---- the run goes on in another process {now}\n").as_bytes())?;
        }
        Ok(log)
    }
}

/// Makes a piece of a line of what follows the last whole entry: a write that the process did not live to end, or had
/// no room for.
fn mend_torn_entry(log: &mut File) -> io::Result<()> {
    let mut start = log.metadata()?.len();
    let mut last = [0];
    while start > 0 {
        log.seek(SeekFrom::Start(start - 1))?;
        log.read_exact(&mut last)?;
        if last == *b"\n" {
            break;
        }
        start -= 1;
    }
    let mut entry = Vec::new();
    log.seek(SeekFrom::Start(start))?;
    log.read_to_end(&mut entry)?;
    if entry.is_empty() {
        return Ok(());
    }
    if entry.starts_with(b"out| ") || entry.starts_with(b"err| ") {
        entry[3] = b'+';
    }
    entry.push(b'\n');
    log.set_len(start)?;
    log.write_all(&entry)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use crate::model::Host;
    use crate::run::record::Record as _;
    use crate::run::sink::Sink as _;

    use super::super::samples;
    use super::*;

    fn made(state: &Path) -> Arc<RunFolder> {
        RunFolder::create(state, &samples::run_id(), None, |_| {}).unwrap()
    }

    fn held(state: &Path) -> Option<HeldFolder> {
        HeldFolder::take(state, &samples::run_id()).unwrap()
    }

    #[test]
    fn of_two_holds_there_is_one() {
        let state = tempfile::tempdir().unwrap();
        let living = made(state.path());
        assert!(held(state.path()).is_none());
        drop(living);
        let first = held(state.path()).unwrap();
        assert!(held(state.path()).is_none());
        drop(first);
        let again = held(state.path()).unwrap().go_on(None, |_| {}).unwrap();
        assert!(held(state.path()).is_none());
        drop(again);
        held(state.path()).unwrap();
    }

    #[tokio::test]
    async fn a_hold_alone_touches_nothing_and_going_on_takes_the_end_back() {
        let state = tempfile::tempdir().unwrap();
        let folder = made(state.path());
        let mut sink = folder.sink().unwrap();
        for event in samples::every_kind() {
            sink.accept(&event).await;
        }
        let path = folder.folder().to_owned();
        drop((folder, sink));
        let events = fs::read(path.join("events.jsonl")).unwrap();
        let torn = [&events[..], b"{\"seq\":99,\"ti"].concat();
        fs::write(path.join("events.jsonl"), &torn).unwrap();
        drop(held(state.path()).unwrap());
        assert!(path.join("summary.json").exists());
        assert_eq!(fs::read(path.join("events.jsonl")).unwrap(), torn);
        let files = state.path().join("out");
        let again = held(state.path())
            .unwrap()
            .go_on(Some(files.clone()), |_| {});
        let again = again.unwrap();
        assert!(!path.join("summary.json").exists());
        assert_eq!(fs::read(path.join("events.jsonl")).unwrap(), events);
        let host = Host::named("app-1", "a");
        assert_eq!(again.files_of(&host).unwrap(), files.join("app-1"));
    }

    #[test]
    fn a_log_says_once_where_another_process_begins() {
        let state = tempfile::tempdir().unwrap();
        let folder = made(state.path());
        let old = Host::named("app-1", "a");
        folder
            .host_log(&old)
            .unwrap()
            .write_all(b"out| cut")
            .unwrap();
        drop(folder);
        let again = held(state.path()).unwrap().go_on(None, |_| {}).unwrap();
        for host in [&old, &old, &Host::named("app-2", "b")] {
            again
                .host_log(host)
                .unwrap()
                .write_all(b"out| x\n")
                .unwrap();
        }
        let log = |name: &str| fs::read_to_string(again.folder().join("hosts").join(name)).unwrap();
        let text = log("app-1.log");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            (lines[0], &lines[2..]),
            ("out+ cut", &["out| x"; 2][..]),
            "{text}"
        );
        assert!(
            lines[1].starts_with("---- the run goes on in another process 20"),
            "{text}"
        );
        assert_eq!(log("app-2.log"), "out| x\n");
    }
}
