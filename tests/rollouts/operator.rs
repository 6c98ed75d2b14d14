//! Who types `fab-rs`: a folder with a home, state and sockets of its own, the real binary, and what it said.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long anything may take before a test gives up on it: no statement about speed.
const PATIENCE: Duration = Duration::from_mins(10);

/// Shorter pauses than an operator would have.
pub(crate) const QUICK: &[&str] = &[
    "--bake",
    "1s",
    "--canary-bake",
    "1s",
    "--zone-bake",
    "1s",
    "--first-zone-bake",
    "1s",
];

static MACHINES: Mutex<()> = Mutex::new(());

/// Machines cost memory: tests that have some hold this while they do.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    MACHINES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One person in front of one inventory.
pub(crate) struct Operator {
    folder: tempfile::TempDir,
    inventory: PathBuf,
}

/// How a command ended and what it said.
pub(crate) struct Ran {
    status: i32,
    stdout: String,
    stderr: String,
    /// `summary.json` of the run; null where nothing was run.
    pub(crate) summary: Value,
}

/// A command that still runs.
pub(crate) struct Running<'a> {
    operator: &'a Operator,
    child: Child,
}

impl Operator {
    pub(crate) fn new(inventory: &Path) -> Self {
        let folder = tempfile::Builder::new().prefix("op").tempdir().unwrap();
        for name in ["home", "state", "run"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        fs::set_permissions(folder.path().join("run"), mode).unwrap();
        let inventory = inventory.to_owned();
        Self { folder, inventory }
    }

    /// Writes a file into the working directory.
    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// Starts `fab-rs` with these words; there is no terminal.
    pub(crate) fn start(&self, words: &[&str]) -> Running<'_> {
        let file = |name: &str| fs::File::create(self.folder.path().join(name)).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_fab-rs"))
            .arg("-I")
            .arg(&self.inventory)
            .args(words)
            .current_dir(self.folder.path())
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin")
            .env("HOME", self.folder.path().join("home"))
            .env("FAB_RS_STATE_DIR", self.folder.path().join("state"))
            .env("XDG_RUNTIME_DIR", self.folder.path().join("run"))
            .stdin(Stdio::null())
            .stdout(file("stdout"))
            .stderr(file("stderr"))
            .spawn()
            .unwrap();
        let operator = self;
        Running { operator, child }
    }

    /// Runs `fab-rs` with these words to its end.
    pub(crate) fn fab(&self, words: &[&str]) -> Ran {
        self.start(words).end()
    }

    /// How many runs there were.
    pub(crate) fn count(&self) -> usize {
        self.runs().len()
    }

    /// How many lines the newest run's journal has.
    pub(crate) fn journal(&self) -> usize {
        let newest = self.runs().pop();
        let text = newest.and_then(|run| fs::read_to_string(run.join("journal.jsonl")).ok());
        text.unwrap_or_default().lines().count()
    }

    fn said(&self, stream: &str) -> String {
        let bytes = fs::read(self.folder.path().join(stream)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The folders of all runs, oldest first: two of them may have begun in one second.
    fn runs(&self) -> Vec<PathBuf> {
        let found = fs::read_dir(self.folder.path().join("state/runs"));
        let mut found: Vec<_> = found
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.is_dir() && !path.is_symlink())
            .collect();
        found.sort_by_key(|path| fs::metadata(path).and_then(|of| of.created()).ok());
        found
    }
}

impl Running<'_> {
    /// Ends it as nothing can heed: its process is gone, and nobody cleans up after it.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Whether it still runs.
    pub(crate) fn runs(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// What it said up to now, for a failed test to show.
    pub(crate) fn so_far(&self) -> String {
        self.operator.said("stdout") + &self.operator.said("stderr")
    }

    /// Waits until it has ended.
    pub(crate) fn end(mut self) -> Ran {
        let begun = Instant::now();
        while self.runs() {
            if begun.elapsed() > PATIENCE {
                self.child.kill().unwrap();
                panic!("it does not end:\n{}", self.so_far());
            }
            nap();
        }
        let status = self.child.wait().unwrap().code().unwrap_or(-1);
        let newest = self.operator.runs().pop();
        let summary = newest.and_then(|run| fs::read(run.join("summary.json")).ok());
        Ran {
            status,
            stdout: self.operator.said("stdout"),
            stderr: self.operator.said("stderr"),
            summary: summary.map_or(Value::Null, |text| serde_json::from_slice(&text).unwrap()),
        }
    }
}

impl Ran {
    /// Everything, for a failed test to show.
    pub(crate) fn all(&self) -> String {
        format!(
            "status {}\n--- stdout\n{}\n--- stderr\n{}\n--- summary\n{:#}",
            self.status, self.stdout, self.stderr, self.summary
        )
    }

    /// What a command printed on stdout, as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}\n{}", self.all()))
    }

    /// Demands this status.
    #[track_caller]
    pub(crate) fn ended(&self, status: i32) -> &Self {
        assert_eq!(self.status, status, "{}", self.all());
        self
    }

    /// Demands this text on one of the streams.
    #[track_caller]
    pub(crate) fn says(&self, text: &str) -> &Self {
        let said = self.stdout.contains(text) || self.stderr.contains(text);
        assert!(said, "no `{text}` in\n{}", self.all());
        self
    }

    /// Each host's outcome.
    pub(crate) fn outcomes(&self) -> BTreeMap<String, String> {
        let hosts = self.summary["hosts"].as_object();
        let outcome = |host: &Value| host["outcome"].as_str().unwrap_or_default().to_owned();
        hosts
            .into_iter()
            .flatten()
            .map(|(label, host)| (label.clone(), outcome(host)))
            .collect()
    }

    /// Demands that exactly these hosts ended so.
    #[track_caller]
    pub(crate) fn had(&self, outcome: &str, hosts: &[&str]) -> &Self {
        let outcomes = self.outcomes();
        let found: Vec<_> = outcomes
            .iter()
            .filter(|(_, of)| *of == outcome)
            .map(|(label, _)| label.as_str())
            .collect();
        assert_eq!(found, hosts, "{outcome}: {}", self.all());
        self
    }
}

/// Waits until something holds, for as long as a test's patience lasts.
#[track_caller]
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "never: {what}");
        nap();
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "tests poll real processes of other programs"
)]
fn nap() {
    std::thread::sleep(Duration::from_millis(20));
}
