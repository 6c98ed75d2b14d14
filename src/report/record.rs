//! A run's folder on disk while the run lasts: `plan.json`, `events.jsonl`, `hosts/`, `files/`,
//! `summary.json`. What is in the folders of earlier runs is `store`'s job; what goes into a host's log is
//! the engine's.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::model::{CONTROLLER, Host, RunId};
use crate::run::event::{EventKind, RunEvent, RunSummary};
use crate::run::record::Record;
use crate::run::sink::Sink;

use super::alive::Alive;
use super::held::OldLogs;
use super::json::push_event;

/// The folder of a run, `STATE/runs/ID`, and the sign that the run lives: an advisory lock on the folder
/// that ends with this process, however it ends.
pub struct RunFolder {
    id: RunId,
    path: PathBuf,
    files: PathBuf,
    trouble: Mutex<Option<String>>,
    told: Box<dyn Fn(&str) + Send + Sync>,
    /// Logs of an earlier process of the run.
    old_logs: Option<OldLogs>,
    _alive: Alive,
}

impl RunFolder {
    /// Makes the folder, mode 0700, and locks it. Files from hosts go below `files`, by default into the folder's own
    /// `files/`. `told` is called once, with one line for people, should
    /// the record become incomplete later; the run goes on.
    ///
    /// # Errors
    /// The folder cannot be made, or is there already.
    pub fn create(
        state: &Path,
        id: &RunId,
        files: Option<PathBuf>,
        told: impl Fn(&str) + Send + Sync + 'static,
    ) -> io::Result<Arc<Self>> {
        let runs = state.join("runs");
        private_folder(&runs, true)?;
        let path = runs.join(id.as_str());
        private_folder(&path, false)?;
        private_folder(&path.join("hosts"), false)?;
        let alive = Alive::of_new(&path)?;
        Ok(Arc::new(Self {
            id: id.clone(),
            files: files.unwrap_or_else(|| path.join("files")),
            path,
            trouble: Mutex::new(None),
            told: Box::new(told),
            old_logs: None,
            _alive: alive,
        }))
    }

    /// The folder of a run that goes on, and its hold.
    pub(super) fn again(
        (id, path, alive): (RunId, PathBuf, Alive),
        files: Option<PathBuf>,
        told: Box<dyn Fn(&str) + Send + Sync>,
    ) -> Arc<Self> {
        Arc::new(Self {
            id,
            files: files.unwrap_or_else(|| path.join("files")),
            path,
            trouble: Mutex::new(None),
            told,
            old_logs: Some(OldLogs::default()),
            _alive: alive,
        })
    }

    /// The run.
    pub fn id(&self) -> &RunId {
        &self.id
    }

    /// Writes `plan.json`.
    ///
    /// # Errors
    /// The disk is full, or the folder cannot be written.
    pub fn write_plan(&self, plan: &serde_json::Value) -> io::Result<()> {
        write_atomically(&self.path, "plan.json", &pretty(plan))
    }

    /// The sink that keeps `events.jsonl` and, at the end, writes `summary.json`.
    ///
    /// # Errors
    /// `events.jsonl` cannot be made.
    pub fn sink(self: &Arc<Self>) -> io::Result<RecordSink> {
        let events = private_file(&self.path.join("events.jsonl"))?;
        Ok(RecordSink {
            folder: Arc::clone(self),
            events,
            torn: false,
            buffer: Vec::new(),
        })
    }

    fn log(&self, name: &str) -> io::Result<File> {
        let folder = self.path.join("hosts");
        match &self.old_logs {
            Some(old) => old.open(&folder, name),
            None => private_file(&folder.join(name)),
        }
    }

    /// Why the record is incomplete, if it is.
    pub fn trouble(&self) -> Option<String> {
        self.lock_trouble().clone()
    }

    fn lock_trouble(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says once that something could not be written.
    fn report_trouble(&self, file: &str, error: &io::Error) {
        let mut trouble = self.lock_trouble();
        if trouble.is_none() {
            let path = self.path.join(file);
            let text = format!(
                "the record of this run is incomplete: cannot write {}: {error}; the run goes on",
                path.display()
            );
            (self.told)(&text);
            *trouble = Some(text);
        }
    }
}

impl Record for RunFolder {
    fn host_log(&self, host: &Host) -> io::Result<File> {
        self.log(&log_name(host.label.file_name()))
    }

    fn controller_log(&self) -> io::Result<File> {
        self.log(&log_name(CONTROLLER.to_owned()))
    }

    fn files_of(&self, host: &Host) -> io::Result<PathBuf> {
        private_folder(&self.files, true)?;
        let folder = self.files.join(host.label.file_name());
        private_folder(&folder, true)?;
        Ok(folder)
    }

    fn folder(&self) -> &Path {
        &self.path
    }
}

/// The file name of a host's log.
pub(crate) fn log_name(mut label: String) -> String {
    label.push_str(".log");
    label
}

/// Keeps every event but lines of output and transfers' progress. Each event is handed to the system as it
/// comes, so that a killed fab-rs loses none; only a crash of the whole machine can.
pub struct RecordSink {
    folder: Arc<RunFolder>,
    events: File,
    /// The last write ended within a line.
    torn: bool,
    buffer: Vec<u8>,
}

impl RecordSink {
    fn keep(&mut self, event: &RunEvent) {
        self.buffer.clear();
        if self.torn {
            self.buffer.push(b'\n');
        }
        push_event(event, &mut self.buffer);
        let written = self.events.write_all(&self.buffer);
        self.torn = written.is_err();
        if let Err(error) = written {
            self.folder.report_trouble("events.jsonl", &error);
        }
        if let EventKind::RunFinished { summary } = &event.kind {
            self.finish(summary);
        }
    }

    fn finish(&mut self, summary: &RunSummary) {
        if let Err(error) = self.events.sync_data() {
            self.folder.report_trouble("events.jsonl", &error);
        }
        let value = serde_json::to_value(summary).expect("a summary is a JSON object");
        if let Err(error) = write_atomically(&self.folder.path, "summary.json", &pretty(&value)) {
            self.folder.report_trouble("summary.json", &error);
        }
    }
}

impl Sink for RecordSink {
    async fn accept(&mut self, event: &RunEvent) {
        match event.kind {
            EventKind::Output { .. } | EventKind::TransferProgressed { .. } => {}
            _ => self.keep(event),
        }
    }
}

pub(super) fn pretty(value: &serde_json::Value) -> Vec<u8> {
    format!("{value:#}\n").into_bytes()
}

/// Makes a folder of mode 0700.
fn private_folder(path: &Path, may_exist: bool) -> io::Result<()> {
    DirBuilder::new()
        .recursive(may_exist)
        .mode(0o700)
        .create(path)
}

/// Opens a file of mode 0600 for appending, and for reading what is there.
fn private_file(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)
}

/// A reader sees the old content or the new one, never a part; `sync` before the rename, so that a full
/// disk is an error here.
pub(super) fn write_atomically(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let mut file = tempfile::Builder::new()
        .prefix(&format!(".{name}."))
        .tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(folder.join(name))
        .map_err(|error| error.error)?;
    // Some file systems cannot sync a folder; the file itself is safe by now.
    let _ = File::open(folder).and_then(|folder| folder.sync_all());
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::super::samples;
    use super::*;

    fn folder(state: &Path) -> Arc<RunFolder> {
        RunFolder::create(state, &samples::run_id(), None, |_| {}).expect("the folder is made")
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    async fn keep_every_kind(folder: &Arc<RunFolder>) {
        let mut sink = folder.sink().unwrap();
        for event in samples::every_kind() {
            sink.accept(&event).await;
        }
    }

    #[test]
    fn a_host_called_as_the_controller_has_a_log_of_its_own_and_a_long_name_one_that_fits() {
        let state = tempfile::tempdir().unwrap();
        let folder = folder(state.path());
        let long = "a".repeat(400);
        folder.controller_log().unwrap();
        for name in [CONTROLLER, &long] {
            folder.host_log(&Host::named(name, "10.0.0.1")).unwrap();
        }
        let logs = fs::read_dir(folder.folder().join("hosts")).unwrap();
        assert_eq!(logs.count(), 3);
    }

    #[tokio::test]
    async fn everything_is_private_and_in_its_place() {
        let state = tempfile::tempdir().unwrap();
        let folder = folder(state.path());
        folder
            .write_plan(&serde_json::json!({"task": "heapdump"}))
            .unwrap();
        let host = Host::named("../app 1", "10.0.0.1");
        drop(folder.host_log(&host).unwrap());
        let files = folder.files_of(&host).unwrap();
        keep_every_kind(&folder).await;
        let path = folder.folder();
        assert_eq!(
            path,
            state.path().join("runs/20250102T030405Z-heapdump-00ff")
        );
        assert_eq!(files, path.join("files/%2E.%2Fapp%201"));
        for name in ["", "hosts", "files"] {
            assert_eq!(mode(&path.join(name)), 0o700, "{name}");
        }
        for name in [
            "plan.json",
            "events.jsonl",
            "summary.json",
            "hosts/%2E.%2Fapp%201.log",
        ] {
            assert_eq!(mode(&path.join(name)), 0o600, "{name}");
        }
    }

    #[tokio::test]
    async fn events_are_there_as_soon_as_they_happened() {
        let state = tempfile::tempdir().unwrap();
        let folder = folder(state.path());
        let mut sink = folder.sink().unwrap();
        let event = &samples::every_kind()[0];
        sink.accept(event).await;
        let kept = fs::read(folder.folder().join("events.jsonl")).unwrap();
        let mut expected = Vec::new();
        push_event(event, &mut expected);
        assert_eq!(kept, expected);
    }

    #[tokio::test]
    async fn output_and_progress_are_not_kept() {
        let state = tempfile::tempdir().unwrap();
        let folder = folder(state.path());
        keep_every_kind(&folder).await;
        let kept = fs::read_to_string(folder.folder().join("events.jsonl")).unwrap();
        assert!(!kept.contains("output_line") && !kept.contains("transfer_progressed"));
        assert_eq!(kept.lines().count(), samples::every_kind().len() - 2);
    }

    #[test]
    fn a_run_has_a_folder_of_its_own() {
        let state = tempfile::tempdir().unwrap();
        let _first = folder(state.path());
        let second = RunFolder::create(state.path(), &samples::run_id(), None, |_| {});
        assert_eq!(
            second.err().map(|e| e.kind()),
            Some(io::ErrorKind::AlreadyExists)
        );
    }

    /// `/dev/full` answers every write as a full disk does.
    #[tokio::test]
    async fn a_full_disk_is_said_once_and_ends_nothing() {
        let state = tempfile::tempdir().unwrap();
        let said = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&said);
        let folder = RunFolder::create(state.path(), &samples::run_id(), None, move |text| {
            heard.lock().unwrap().push(text.to_owned());
        })
        .unwrap();
        let mut sink = folder.sink().unwrap();
        sink.events = OpenOptions::new().append(true).open("/dev/full").unwrap();
        for event in samples::every_kind() {
            sink.accept(&event).await;
        }
        let said = said.lock().unwrap();
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(
            said[0].contains("events.jsonl: No space left on device"),
            "{said:?}"
        );
        assert_eq!(folder.trouble().as_deref(), Some(said[0].as_str()));
        assert!(folder.folder().join("summary.json").exists());
    }
}
