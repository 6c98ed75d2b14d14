//! One `ssh -M -N` in the foreground: our child, in a process group of its own, with its stderr in a file.
//! Waits until its control socket is there and ends it. Does not know which words it was started with.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::guard::Guard;

/// How much of ssh's stderr is read: its end.
const LOG_READ: u64 = 64 * 1024;
/// How long a master may take to end by itself before it is killed.
const END_LIMIT: Duration = Duration::from_secs(1);

/// A logged-in master.
#[derive(Debug)]
pub(super) struct Master {
    child: Mutex<Child>,
    pid: u32,
    place: Place,
    guard: Arc<Guard>,
}

/// What a master has in the run's folder: its socket and those of forwarded connections. Its log has no name.
///
/// There is no folder of its own and no log on disk: making and removing those costs half a millisecond of CPU
/// a host where the run's folder is on a disk.
#[derive(Debug)]
pub(super) struct Place {
    socket: PathBuf,
    log: File,
}

/// Why there is no master.
#[derive(Debug)]
pub(super) enum LaunchError {
    /// ssh could not be started, or its log not be made.
    Local(io::Error),
    /// ssh ended before it was logged in; its stderr.
    Ended(String),
    /// It took longer than the login limit; its stderr so far.
    Late(String),
    /// The run was cancelled.
    Cancelled,
}

impl Place {
    /// The place of a master whose socket will be `socket`.
    ///
    /// # Errors
    /// The log could not be made.
    pub(super) fn make(socket: PathBuf) -> io::Result<Self> {
        let log = nameless()?;
        Ok(Self { socket, log })
    }

    /// The control socket.
    pub(super) fn socket(&self) -> PathBuf {
        self.socket.clone()
    }

    /// A socket for a forwarded connection.
    pub(super) fn forward(&self, number: usize) -> PathBuf {
        self.socket.with_extension(format!("f{number}"))
    }

    /// The end of ssh's stderr so far.
    fn last_words(&self) -> String {
        // The offset is ssh's too, so it must not be moved.
        let read = || -> io::Result<Vec<u8>> {
            let length = self.log.metadata()?.len();
            let mut bytes = vec![0; usize::try_from(length.min(LOG_READ)).unwrap_or_default()];
            let from = length.saturating_sub(LOG_READ);
            self.log.read_exact_at(&mut bytes, from)?;
            Ok(bytes)
        };
        String::from_utf8_lossy(&read().unwrap_or_default()).into_owned()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // ssh removes its socket unless it was killed; the folder goes at the run's end.
        let _removed = fs::remove_file(&self.socket);
    }
}

impl Master {
    /// Starts ssh with these words and waits for its control socket, `login` at most.
    ///
    /// # Errors
    /// Why there is none; ssh has ended then.
    pub(super) async fn launch(
        args: &[OsString],
        place: Place,
        guard: &Arc<Guard>,
        login: Duration,
        cancel: &CancellationToken,
    ) -> Result<Self, LaunchError> {
        let child = spawn(args, &place).map_err(LaunchError::Local)?;
        let Some(pid) = child.id() else {
            return Err(LaunchError::Ended(place.last_words()));
        };
        guard.watch(pid);
        let mut starting = Self {
            child: Mutex::new(child),
            pid,
            place,
            guard: Arc::clone(guard),
        };
        let child = starting
            .child
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        let socket = starting.place.socket();
        let failure = tokio::select! {
            biased;
            () = cancel.cancelled() => LaunchError::Cancelled,
            ready = timeout(login, socket_appears(&socket, child)) => match ready {
                Ok(true) => return Ok(starting),
                Ok(false) => LaunchError::Ended(starting.place.last_words()),
                Err(_) => LaunchError::Late(starting.place.last_words()),
            },
        };
        starting.end().await;
        Err(failure)
    }

    /// Where its sockets are.
    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// Whether it still runs. That the connection still answers is another question.
    pub(super) fn runs(&self) -> bool {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        matches!(child.try_wait(), Ok(None))
    }

    /// What ssh last said on stderr.
    pub(super) fn last_words(&self) -> String {
        self.place.last_words()
    }

    /// Ends it and waits for its end, which takes milliseconds.
    pub(super) async fn end(mut self) {
        self.signal(Signal::TERM);
        let child = self.child.get_mut().unwrap_or_else(PoisonError::into_inner);
        if timeout(END_LIMIT, child.wait()).await.is_err() {
            let _killed = child.kill().await;
        }
        // Dropping forgets the pid and removes the socket.
    }

    /// Signals it if it has not been waited for: its pid is its own only until then.
    fn signal(&self, signal: Signal) {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Ok(None), Some(pid)) = (
            child.try_wait(),
            i32::try_from(self.pid).ok().and_then(Pid::from_raw),
        ) {
            let _signalled = kill_process(pid, signal);
        }
    }
}

impl Drop for Master {
    fn drop(&mut self) {
        self.signal(Signal::TERM);
        self.guard.forget(self.pid);
    }
}

/// A file that nobody else can open.
fn nameless() -> io::Result<File> {
    #[cfg(target_os = "linux")]
    let file = rustix::fs::memfd_create("ssh-log", rustix::fs::MemfdFlags::CLOEXEC)?.into();
    #[cfg(not(target_os = "linux"))]
    let file = tempfile::tempfile()?;
    Ok(file)
}

fn spawn(args: &[OsString], place: &Place) -> io::Result<Child> {
    let log = place.log.try_clone()?;
    Command::new("ssh")
        .args(args)
        .env("LC_ALL", "C")
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
}

/// Waits until ssh has made its control socket, which it links into place when it listens (true), or has
/// ended (false). OpenSSH gives no other sign of a login that costs no process, so the path is looked at,
/// less and less often: a look costs microseconds, a login tens of milliseconds.
async fn socket_appears(socket: &Path, child: &mut Child) -> bool {
    let begin = Instant::now();
    let mut pause = Duration::from_millis(5);
    loop {
        tokio::select! {
            biased;
            _ended = child.wait() => return false,
            () = sleep(pause) => {}
        }
        if fs::symlink_metadata(socket).is_ok() {
            return true;
        }
        let slow = if begin.elapsed() < Duration::from_secs(1) {
            20
        } else {
            100
        };
        pause = (pause * 2).min(Duration::from_millis(slow));
    }
}
