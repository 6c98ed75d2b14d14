//! The runs that left a record: which there are, how each ended, and where its parts are. A run that is
//! going on is `record`'s; the texts about runs are `history`'s.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::SystemTime;

use indexmap::IndexMap;
use serde_json::Value;

use crate::model::{Diagnostic, Label, RunId};
use crate::run::event::RunSummary;
use crate::run::journal::Opening;

use crate::journal::{self, Corrupt, glance};

use super::alive::Alive;
use super::fold::natural;
use super::next::{Stand, may_go_on, next_commands, next_of_damaged};
use super::replay::replayed;
use super::view::RunView;

/// The folder of all runs, `STATE/runs`.
#[derive(Debug, Clone)]
pub struct RunStore {
    folder: PathBuf,
}

/// A run on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRun {
    /// Its id.
    pub id: RunId,
    /// Its folder.
    pub path: PathBuf,
    /// The task, from the id.
    pub task: String,
    /// When it began, from the id: `2025-01-02 03:04:05 UTC`.
    pub started: String,
    /// How it stands.
    pub state: RunState,
    /// The exit status; `None` where it has not ended, or not by itself.
    pub exit: Option<u8>,
    /// Hosts of each outcome.
    pub counts: IndexMap<String, usize>,
    /// Where it has no end: hosts that were begun and have none, and those whose turn had not come.
    pub open: (usize, usize),
    /// What the first line of its journal says; `None` where it has none that can be read.
    pub opening: Option<Box<Opening>>,
    /// Where it has no end: hosts were being rolled back.
    undoing: bool,
    /// What [`StoredRun::damage`] found.
    damage: OnceLock<Option<Corrupt>>,
}

/// How a stored run stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunState {
    /// Its process lives.
    Running,
    /// Its process is gone, and did not write how it ends.
    Interrupted,
    /// It ended, or paused; the word is its journal's, of a run without one its summary's.
    Ended(String),
}

impl RunState {
    /// The word in tables and JSON.
    pub fn word(&self) -> &str {
        match self {
            Self::Running => "running",
            Self::Interrupted => "interrupted",
            Self::Ended(word) => word,
        }
    }
}

impl RunStore {
    /// The runs below this state folder.
    pub fn new(state: &Path) -> Self {
        Self {
            folder: state.join("runs"),
        }
    }

    /// The newest runs, at most so many, the newest first. No folder at all is no run.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn newest(&self, most: usize) -> io::Result<Vec<StoredRun>> {
        let ids = self.ids()?;
        Ok(ids
            .iter()
            .rev()
            .take(most)
            .map(|id| self.open(id))
            .collect())
    }

    /// The run that a word names: `last`, an id, the beginning of one, or its last four characters.
    ///
    /// # Errors
    /// There is no run, none of that name, or several.
    pub fn find(&self, word: &str) -> Result<StoredRun, Diagnostic> {
        let ids = self.ids().map_err(|error| {
            let message = format!("cannot read {}", self.folder.display());
            Diagnostic::new(message).cause(error.to_string())
        })?;
        let Some(newest) = ids.last() else {
            let message = format!("there is no run below {}", self.folder.display());
            return Err(Diagnostic::new(message).hint("each run leaves its record there"));
        };
        if word == "last" {
            return Ok(self.open(newest));
        }
        if let Some(exact) = ids.iter().find(|id| *id == word) {
            return Ok(self.open(exact));
        }
        let end = format!("-{word}");
        let named = |id: &&String| !word.is_empty() && (id.starts_with(word) || id.ends_with(&end));
        let found: Vec<&String> = ids.iter().filter(named).collect();
        match &found[..] {
            [only] => Ok(self.open(only)),
            [] => Err(Diagnostic::new(format!("no run named `{word}`"))
                .hint(format!("the newest is {newest}; `fab-rs runs` lists them"))),
            several => Err(
                Diagnostic::new(format!("`{word}` names {} runs", several.len())).hint(format!(
                    "the newest of them is {}",
                    several[several.len() - 1]
                )),
            ),
        }
    }

    /// Ids in the order of the runs' starts: an id tells it to the second, and of two in one second the folder made
    /// first was first.
    fn ids(&self) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut ids = Vec::new();
        for entry in entries {
            let name = entry?.file_name();
            if let Some(id) = name.to_str().filter(|id| parts_of(id).is_some()) {
                ids.push(id.to_owned());
            }
        }
        ids.sort_unstable();
        ids.sort_by_cached_key(|id| (second_of(id).to_owned(), self.made(id)));
        Ok(ids)
    }

    /// When a run's folder was made, where the file system knows.
    fn made(&self, id: &str) -> Option<SystemTime> {
        fs::metadata(self.folder.join(id)).ok()?.created().ok()
    }

    fn open(&self, id: &str) -> StoredRun {
        let path = self.folder.join(id);
        let (started, task) = parts_of(id).unwrap_or_default();
        let id = RunId::from_text(id);
        let journal = glance(&path, &id);
        let summary = read_summary(&path);
        let ended = match (&journal, &summary) {
            (Some(journal), _) => journal.ended.clone(),
            (None, Some(summary)) => Some((summary.state.clone(), summary.exit)),
            (None, None) => None,
        };
        let (state, exit) = match ended {
            // What the journal says is the past of a run that goes on.
            _ if Alive::is_held(&path) => (RunState::Running, None),
            Some((state, exit)) => (RunState::Ended(state), Some(exit)),
            None => (RunState::Interrupted, None),
        };
        let opening = journal.map(|journal| Box::new(journal.opening));
        let mut run = StoredRun {
            id,
            path,
            task,
            started,
            state,
            exit,
            counts: summary.map(|summary| summary.counts).unwrap_or_default(),
            open: (0, 0),
            opening,
            undoing: false,
            damage: OnceLock::new(),
        };
        let has_end = matches!(run.state, RunState::Ended(_));
        // The summary of one that goes on is its past.
        if !has_end || run.counts.is_empty() {
            let view = run.view().unwrap_or_default();
            let counts = view.counts().into_iter();
            run.counts = counts
                .map(|(word, count)| (word.to_owned(), count))
                .collect();
            if !has_end {
                run.open = view.open();
                run.undoing = view.rollout.undo.is_some();
            }
        }
        run
    }
}

impl StoredRun {
    /// The run of which this one takes up what was left.
    pub fn retries(&self) -> Option<&RunId> {
        self.opening.as_ref()?.retries.as_ref()
    }

    /// Whether what was typed can be planned again.
    pub(crate) fn is_repeatable(&self) -> bool {
        self.damage().is_none() && self.was_repeatable()
    }

    fn was_repeatable(&self) -> bool {
        let opening = self.opening.as_ref();
        opening.is_some_and(|opening| opening.is_repeatable())
    }

    /// Why its journal cannot be trusted, where something could be done by it otherwise. The whole of it is read, once,
    /// and for those alone who ask: every plan looks at many runs.
    pub fn damage(&self) -> Option<&Corrupt> {
        let damage = self.damage.get_or_init(|| {
            let matters = self.opening.is_none() || !self.next_if_sound().is_empty();
            matters.then(|| self.damaged()).flatten()
        });
        damage.as_ref()
    }

    /// What is being written is not judged.
    fn damaged(&self) -> Option<Corrupt> {
        if self.state == RunState::Running {
            return None;
        }
        let bytes = fs::read(self.path.join(journal::FILE)).ok()?;
        journal::read(&self.id, &bytes).err()
    }

    /// `summary.json`, if it was written.
    pub fn summary(&self) -> Option<RunSummary> {
        read_summary(&self.path)
    }

    /// The commands that go on from where it stands, the first of them the one to type.
    pub fn next(&self) -> Vec<&'static str> {
        if self.damage().is_some() {
            let opening = self.opening.as_ref();
            return next_of_damaged(opening.is_some_and(|opening| opening.changes));
        }
        self.next_if_sound()
    }

    fn next_if_sound(&self) -> Vec<&'static str> {
        let undone = |(word, count): (&String, &usize)| *count > 0 && !is_well(word);
        let summary = self.summary();
        let mut hosts = summary.iter().flat_map(|summary| summary.hosts.values());
        next_commands(Stand {
            state: self.state.word(),
            undone: self.counts.iter().any(undone) || summary.is_none(),
            repeatable: self.was_repeatable(),
            reversible: may_go_on(self.state.word()) && self.is_reversible(),
            undoing: self.undoing || hosts.any(|host| host.rollback.is_some()),
        })
    }

    /// Whether its plan has steps that roll back.
    pub(crate) fn is_reversible(&self) -> bool {
        let plan = fs::read(self.path.join("plan.json")).ok();
        let plan: Option<Value> = plan.and_then(|text| serde_json::from_slice(&text).ok());
        let phases = plan.as_ref().and_then(|plan| plan["phases"].as_array());
        let groups = phases.into_iter().flatten();
        let mut groups = groups
            .filter_map(|phase| phase["steps"].as_array())
            .flatten();
        groups.any(|group| {
            let steps = group["rollback"].as_array();
            steps.is_some_and(|steps| !steps.is_empty())
        })
    }

    /// The run as its events tell it.
    pub(crate) fn view(&self) -> io::Result<RunView> {
        let bytes = fs::read(self.path.join("events.jsonl"))?;
        let mut view = replayed(&String::from_utf8_lossy(&bytes));
        // The folder may have been moved since.
        self.path.clone_into(&mut view.record);
        Ok(view)
    }

    /// The hosts that have a log, in the order of their names, and the logs.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn logs(&self) -> io::Result<Vec<(Label, PathBuf)>> {
        let mut logs = Vec::new();
        for entry in fs::read_dir(self.path.join("hosts"))? {
            let path = entry?.path();
            let name = path
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or_default();
            if let Some(label) = name.strip_suffix(".log").map(label_of) {
                logs.push((label, path));
            }
        }
        logs.sort_by(|(left, _), (right, _)| natural(left.as_str(), right.as_str()));
        Ok(logs)
    }
}

/// Whether nothing is left to do of a host with this outcome.
fn is_well(word: &str) -> bool {
    matches!(word, "ok" | "gone")
}

/// The second in which a run began, as its id has it.
fn second_of(id: &str) -> &str {
    id.split_once('-').map_or(id, |(second, _)| second)
}

/// When a run began and its task, from `YYYYMMDDThhmmssZ-TASK-xxxx`; `None` for other names.
fn parts_of(id: &str) -> Option<(String, String)> {
    let (time, rest) = id.split_once('-')?;
    let (task, end) = rest.rsplit_once('-')?;
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (day, clock) = time.strip_suffix('Z')?.split_once('T')?;
    if day.len() != 8 || clock.len() != 6 || !digits(day) || !digits(clock) || end.len() != 4 {
        return None;
    }
    let day = format!("{}-{}-{}", &day[..4], &day[4..6], &day[6..]);
    let clock = format!("{}:{}:{}", &clock[..2], &clock[2..4], &clock[4..]);
    Some((format!("{day} {clock} UTC"), task.to_owned()))
}

fn read_summary(run: &Path) -> Option<RunSummary> {
    serde_json::from_slice(&fs::read(run.join("summary.json")).ok()?).ok()
}

/// The label of a log's file name.
fn label_of(name: &str) -> Label {
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let code = (first == b'%')
            .then(|| after.get(..2))
            .flatten()
            .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        bytes.push(code.unwrap_or(first));
        rest = if code.is_some() { &after[2..] } else { after };
    }
    Label::new(String::from_utf8_lossy(&bytes).as_ref())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::model::Host;
    use crate::run::record::Record as _;
    use crate::run::sink::Sink as _;

    use super::super::record::RunFolder;
    use super::super::samples;
    use super::*;

    async fn record(state: &Path, id: &str, finish: bool) -> Arc<RunFolder> {
        let folder = RunFolder::create(state, &RunId::from_text(id), None, |_| {}).unwrap();
        let mut sink = folder.sink().unwrap();
        for event in samples::every_kind() {
            let last = event.kind.clone();
            if finish || !matches!(last, crate::run::event::EventKind::RunFinished { .. }) {
                sink.accept(&event).await;
            }
        }
        folder
    }

    const OLD: &str = "20250101T000000Z-uptime-0001";
    const MIDDLE: &str = "20250102T000000Z-heap_dump-00aa";
    const NEW: &str = "20250102T010000Z-run-00bb";

    #[tokio::test]
    async fn runs_are_found_by_what_people_type() {
        let state = tempfile::tempdir().unwrap();
        for id in [MIDDLE, OLD, NEW] {
            drop(record(state.path(), id, true).await);
        }
        fs::create_dir(state.path().join("runs/other")).unwrap();
        let store = RunStore::new(state.path());
        let found = |word: &str| store.find(word).map(|run| run.id.as_str().to_owned());
        assert_eq!(found("last").as_deref(), Ok(NEW));
        assert_eq!(found("20250101").as_deref(), Ok(OLD));
        assert_eq!(found(MIDDLE).as_deref(), Ok(MIDDLE));
        assert_eq!(found("00aa").as_deref(), Ok(MIDDLE));
        let message = |word: &str| found(word).unwrap_err().message;
        assert_eq!(message("20250102"), "`20250102` names 2 runs");
        assert_eq!(message("nope"), "no run named `nope`");
        assert_eq!(message(""), "no run named ``");
        let newest = store.newest(2).unwrap();
        assert_eq!(
            newest.iter().map(|run| run.id.as_str()).collect::<Vec<_>>(),
            [NEW, MIDDLE]
        );
        assert_eq!(newest[1].task, "heap_dump");
        assert_eq!(newest[1].started, "2025-01-02 00:00:00 UTC");
    }

    #[tokio::test]
    async fn of_two_runs_begun_in_one_second_the_later_is_the_last() {
        let state = tempfile::tempdir().unwrap();
        let (first, second) = ("20250102T010000Z-run-ff00", "20250102T010000Z-run-00ff");
        drop(record(state.path(), first, true).await);
        // The clock of a file system ticks in milliseconds.
        let made = |path: &Path| fs::metadata(path).unwrap().created().unwrap();
        let begun = made(&state.path().join("runs").join(first));
        while made(
            tempfile::NamedTempFile::new_in(state.path())
                .unwrap()
                .path(),
        ) == begun
        {}
        drop(record(state.path(), second, true).await);
        let found = RunStore::new(state.path()).find("last").unwrap();
        assert_eq!(found.id.as_str(), second);
    }

    #[tokio::test]
    async fn a_run_is_running_while_its_process_lives_and_interrupted_after() {
        let state = tempfile::tempdir().unwrap();
        let store = RunStore::new(state.path());
        let living = record(state.path(), OLD, false).await;
        assert_eq!(store.find("last").unwrap().state, RunState::Running);
        drop(living);
        let run = store.find("last").unwrap();
        assert_eq!((run.state, run.exit), (RunState::Interrupted, None));
        assert_eq!(run.counts.get("gone"), Some(&1));
        drop(record(state.path(), NEW, true).await);
        let ended = store.find("last").unwrap();
        assert_eq!((ended.state.word(), ended.exit), ("failed", Some(1)));
    }

    #[tokio::test]
    async fn logs_are_listed_by_their_labels() {
        let state = tempfile::tempdir().unwrap();
        let folder = record(state.path(), OLD, true).await;
        for name in ["app-10", "app-2", "../x %"] {
            folder.host_log(&Host::named(name, "a")).unwrap();
        }
        let logs = RunStore::new(state.path())
            .find("last")
            .unwrap()
            .logs()
            .unwrap();
        let labels: Vec<&str> = logs.iter().map(|(label, _)| label.as_str()).collect();
        assert_eq!(labels, ["../x %", "app-2", "app-10"]);
    }

    #[test]
    fn without_a_folder_there_is_no_run() {
        let store = RunStore::new(Path::new("/nonexistent"));
        assert_eq!(store.newest(9).unwrap(), []);
        assert!(
            store
                .find("last")
                .unwrap_err()
                .message
                .contains("there is no run")
        );
    }
}
