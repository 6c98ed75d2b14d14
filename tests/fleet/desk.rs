//! Where a person sits who types `fab-rs`: a home, a state folder and a socket folder of their own, the real binary,
//! and what it said. Which hosts there are is `fleets`' job.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long anything may take before a test gives up on it: no statement about speed.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);

/// One person's place: nothing of the machine's own settings is seen there.
pub(crate) struct Desk {
    folder: tempfile::TempDir,
    inventory: PathBuf,
}

/// How a command ended and what it said.
pub(crate) struct Ran {
    pub(crate) status: i32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
}

/// A command that still runs; its output is collected meanwhile.
pub(crate) struct Running {
    child: Child,
    stdout: Heard,
    stderr: Heard,
}

/// What comes out of a pipe, collected by a thread.
struct Heard {
    bytes: Arc<Mutex<Vec<u8>>>,
    thread: JoinHandle<()>,
}

impl Desk {
    /// A new place in front of this inventory.
    pub(crate) fn new(inventory: &Path) -> Self {
        let folder = tempfile::Builder::new().prefix("desk").tempdir().unwrap();
        for name in ["home", "state", "run"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        fs::set_permissions(folder.path().join("run"), mode).unwrap();
        let inventory = inventory.to_owned();
        Self { folder, inventory }
    }

    /// A new place with an inventory of its own.
    pub(crate) fn with_inventory(text: &str) -> Self {
        let mut desk = Self::new(Path::new("inventory.yml"));
        desk.inventory = desk.write("inventory.yml", text);
        desk
    }

    /// The working directory.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The inventory that `-I` names.
    pub(crate) fn inventory(&self) -> String {
        self.inventory.display().to_string()
    }

    /// Writes a file below the working directory.
    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    /// The command with its surroundings, not started.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fab-rs"));
        self.surround(&mut command);
        command.arg("-I").arg(&self.inventory).args(words);
        command
    }

    /// Gives any command the surroundings.
    pub(crate) fn surround(&self, command: &mut Command) {
        command
            .current_dir(self.path())
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin")
            .env("HOME", self.path().join("home"))
            .env("FAB_RS_STATE_DIR", self.path().join("state"))
            .env("XDG_RUNTIME_DIR", self.path().join("run"))
            .stdin(Stdio::null());
    }

    /// Starts `fab-rs` with these words.
    pub(crate) fn start(&self, words: &[&str]) -> Running {
        Running::of(&mut self.command(words))
    }

    /// Runs `fab-rs` with these words to its end.
    pub(crate) fn fab(&self, words: &[&str]) -> Ran {
        self.start(words).end()
    }

    /// The folders of all runs, oldest first.
    pub(crate) fn runs(&self) -> Vec<PathBuf> {
        let found = fs::read_dir(self.path().join("state/runs"));
        let mut found: Vec<_> = found
            .into_iter()
            .flatten()
            .flatten()
            .map(|e| e.path())
            .collect();
        found.sort_by_key(|path| fs::metadata(path).and_then(|m| m.created()).ok());
        found
    }

    /// The folder of the newest run.
    pub(crate) fn record(&self) -> PathBuf {
        self.runs().pop().expect("a run leaves its record")
    }

    /// `summary.json` of the newest run.
    pub(crate) fn summary(&self) -> Value {
        json(&self.record().join("summary.json"))
    }

    /// What is left of connections: sockets and whatever else lies in the socket folder.
    pub(crate) fn sockets(&self) -> Vec<PathBuf> {
        files_below(&self.path().join("run"))
    }

    /// Processes of this machine that this place's commands started: their command line or their environment names
    /// its folders.
    pub(crate) fn processes(&self) -> Vec<String> {
        let mark = self.path().to_str().unwrap();
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            let read = |name: &str| fs::read(entry.path().join(name)).unwrap_or_default();
            let words = String::from_utf8_lossy(&read("cmdline")).replace('\0', " ");
            if !words.is_empty()
                && (words.contains(mark)
                    || String::from_utf8_lossy(&read("environ")).contains(mark))
            {
                found.push(words);
            }
        }
        found
    }
}

/// Every file and folder below a folder.
pub(crate) fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.path().is_dir() && !entry.path().is_symlink() {
            found.extend(files_below(&entry.path()));
        }
        found.push(entry.path());
    }
    found
}

/// A JSON file.
pub(crate) fn json(path: &Path) -> Value {
    let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}\n{text}", path.display()))
}

impl Heard {
    fn from(mut pipe: impl Read + Send + 'static) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&bytes);
        let thread = std::thread::spawn(move || {
            let mut part = vec![0; 64 * 1024];
            // What came before a failure is what the test looks at.
            while let Ok(count) = pipe.read(&mut part)
                && count > 0
            {
                let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
                heard.extend_from_slice(&part[..count]);
            }
        });
        Self { bytes, thread }
    }

    fn so_far(&self) -> String {
        let bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// All of it, once the pipe is closed.
    fn all(self) -> Vec<u8> {
        self.thread.join().unwrap();
        std::mem::take(&mut self.bytes.lock().unwrap())
    }
}

impl Running {
    /// Starts a command and collects what it prints.
    pub(crate) fn of(command: &mut Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            stdout: Heard::from(child.stdout.take().unwrap()),
            stderr: Heard::from(child.stderr.take().unwrap()),
            child,
        }
    }

    /// Its number.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it has said something, on either stream.
    #[track_caller]
    pub(crate) fn until_it_says(&self, text: &str) {
        let said = || self.stderr.so_far().contains(text) || self.stdout.so_far().contains(text);
        assert!(within(PATIENCE, said), "never said: {text}");
    }

    /// Types on its stdin, which must be a pipe.
    pub(crate) fn type_in(&mut self, bytes: &[u8]) {
        let stdin = self.child.stdin.as_mut().unwrap();
        stdin.write_all(bytes).unwrap();
        stdin.flush().unwrap();
    }

    /// Says that nothing more is typed.
    pub(crate) fn close_stdin(&mut self) {
        self.child.stdin.take();
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, name: &str) {
        let done = Command::new("kill")
            .args(["-s", name, &self.pid().to_string()])
            .status();
        assert!(done.unwrap().success(), "kill -s {name}");
    }

    /// Waits until it has ended.
    pub(crate) fn end(self) -> Ran {
        self.end_with(|_| ())
    }

    /// Waits until it has ended, and looks at it meanwhile.
    pub(crate) fn end_with(mut self, mut look: impl FnMut(u32)) -> Ran {
        let begun = Instant::now();
        let status: ExitStatus = loop {
            look(self.pid());
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if begun.elapsed() > PATIENCE {
                self.child.kill().unwrap();
                let said = self.stderr.all();
                panic!(
                    "it does not end; stderr:\n{}",
                    String::from_utf8_lossy(&said)
                );
            }
            nap(5);
        };
        Ran {
            status: status.code().unwrap_or(-1),
            stdout: self.stdout.all(),
            stderr: self.stderr.all(),
        }
    }

    /// Waits until it has ended; the most memory it ever had, in MiB.
    pub(crate) fn end_with_peak(self) -> (Ran, u64) {
        let mut peak = 0;
        let ran = self.end_with(|pid| peak = peak.max(peak_of(pid)));
        (ran, peak / 1024)
    }
}

/// Waits until a child has ended well; the most memory it ever had, in MiB.
pub(crate) fn peak_until_end(child: &mut Child) -> u64 {
    let (begun, mut peak) = (Instant::now(), 0);
    loop {
        peak = peak.max(peak_of(child.id()));
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success(), "{status}");
            return peak / 1024;
        }
        if begun.elapsed() > PATIENCE {
            child.kill().unwrap();
        }
        nap(5);
    }
}

/// The most memory a process had up to now, in KiB; 0 once it has ended.
fn peak_of(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|rest| rest.trim().strip_suffix(" kB")?.parse().ok())
        .unwrap_or(0)
}

impl Ran {
    pub(crate) fn out(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    pub(crate) fn err(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// Both streams and the status, for a failed test to show.
    pub(crate) fn all(&self) -> String {
        let mut text = format!("status {}\n", self.status);
        for (name, bytes) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            let shown = &bytes[..bytes.len().min(6000)];
            let _ = writeln!(text, "--- {name}\n{}", String::from_utf8_lossy(shown));
        }
        text
    }

    /// Demands this status.
    #[track_caller]
    pub(crate) fn ended(&self, status: i32) -> &Self {
        assert_eq!(self.status, status, "{}", self.all());
        self
    }

    /// Demands this text on stderr.
    #[track_caller]
    pub(crate) fn says(&self, text: &str) -> &Self {
        assert!(self.err().contains(text), "no `{text}` in\n{}", self.all());
        self
    }

    /// Demands this text on stdout.
    #[track_caller]
    pub(crate) fn prints(&self, text: &str) -> &Self {
        assert!(self.out().contains(text), "no `{text}` in\n{}", self.all());
        self
    }

    /// The lines of stdout by host, without their prefix; every line has one.
    #[track_caller]
    pub(crate) fn lines_by_host(&self) -> BTreeMap<String, Vec<String>> {
        by_host(&self.out())
    }
}

/// Prefixed lines by host; a line that was too long for one piece is joined again.
#[track_caller]
pub(crate) fn by_host(text: &str) -> BTreeMap<String, Vec<String>> {
    let mut hosts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in text.lines() {
        let parts = line.split_once(" │ ").map(|parts| (parts, false));
        let Some(((host, rest), goes_on)) =
            parts.or_else(|| line.split_once(" ┊ ").map(|parts| (parts, true)))
        else {
            panic!(
                "a line without a prefix: {:?}",
                &line[..line.len().min(200)]
            )
        };
        let lines = hosts.entry(host.trim_end().to_owned()).or_default();
        match lines.last_mut() {
            Some(last) if goes_on => last.push_str(rest),
            _ => lines.push(rest.to_owned()),
        }
    }
    hosts
}

/// Waits until something holds; false when it does not within the limit.
pub(crate) fn within(limit: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let begun = Instant::now();
    loop {
        if holds() {
            return true;
        }
        if begun.elapsed() > limit {
            return false;
        }
        nap(20);
    }
}

/// As [`within`], for a limit that is promised on a machine that is not overloaded: it grows by the factor by which the
/// machine's load slows this thread down, as the kernel counts it.
pub(crate) fn within_busy(limit: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let (begun, before) = (Instant::now(), CpuTimes::now());
    loop {
        // Looking takes time itself: what is looked at in time counts.
        let late = begun.elapsed() > limit.mul_f64(before.slowdown_since());
        if holds() {
            return true;
        }
        if late {
            return false;
        }
        nap(20);
    }
}

/// How long this thread has used a CPU, and how long it has waited for one.
struct CpuTimes {
    used: f64,
    waited: f64,
}

impl CpuTimes {
    fn now() -> Self {
        let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
        let mut times = text
            .split_whitespace()
            .map(|word| word.parse().unwrap_or(0.0));
        let mut next = || times.next().unwrap_or(0.0);
        Self {
            used: next(),
            waited: next(),
        }
    }

    /// How many times longer work took since then than it would have alone; 1 where nothing is counted.
    fn slowdown_since(&self) -> f64 {
        let now = Self::now();
        let (used, waited) = (now.used - self.used, now.waited - self.waited);
        if used > 0.0 { 1.0 + waited / used } else { 1.0 }
    }
}

/// Waits until something holds, for as long as a test's patience lasts.
#[track_caller]
pub(crate) fn until(what: &str, holds: impl FnMut() -> bool) {
    assert!(within(PATIENCE, holds), "never: {what}");
}

#[expect(
    clippy::disallowed_methods,
    reason = "tests poll real processes of other programs"
)]
pub(crate) fn nap(ms: u64) {
    std::thread::sleep(Duration::from_millis(ms));
}

/// Whether a file below a folder, or its name, holds the bytes.
pub(crate) fn files_with(folder: &Path, text: &[u8]) -> Vec<PathBuf> {
    let holds = |bytes: &[u8]| bytes.windows(text.len()).any(|window| window == text);
    let mut found = files_below(folder);
    found.retain(|path| {
        holds(OsStr::as_encoded_bytes(
            path.file_name().unwrap_or_default(),
        )) || fs::read(path).is_ok_and(|bytes| holds(&bytes))
    });
    found
}
