//! The guard of a run: one `sh` that ends every ssh master when fab-rs is gone, even by SIGKILL. Knows
//! pids and the socket folder, nothing of hosts.

use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::preamble::without_comments;

/// The guard's process and the pipe that keeps it waiting.
#[derive(Debug)]
pub(super) struct Guard {
    process: Mutex<Option<(tokio::process::Child, ChildStdin)>>,
}

impl Guard {
    /// Starts the guard of the run whose sockets are below `folder`. In a process group of its own and deaf
    /// to the terminal's signals: it must outlive what ends fab-rs.
    ///
    /// # Errors
    /// `sh` could not be started.
    pub(super) fn start(folder: &Path) -> io::Result<Self> {
        let (reader, writer) = io::pipe()?;
        let mut command = Command::new("sh");
        command
            .arg("-c")
            .arg(without_comments(include_str!("guard.sh")))
            .arg("fab-rs-guard")
            .arg(folder)
            .current_dir("/")
            .process_group(0)
            .stdin(reader)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let child = tokio::process::Command::from(command).spawn()?;
        let writer = ChildStdin::from(std::os::fd::OwnedFd::from(writer));
        Ok(Self {
            process: Mutex::new(Some((child, writer))),
        })
    }

    /// Tells it of a new master.
    pub(super) fn watch(&self, pid: u32) {
        self.tell(&format!("+ {pid}\n"));
    }

    /// Tells it that a master has ended, before its pid can be anybody else's.
    pub(super) fn forget(&self, pid: u32) {
        self.tell(&format!("- {pid}\n"));
    }

    /// Lets it end what is left and remove the folder. No master may be started any more.
    pub(super) async fn end(&self) {
        self.tell(".\n");
        let process = self
            .process
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some((mut child, pipe)) = process {
            drop(pipe);
            // It has nothing to wait for; a hung file system is no reason to hang with it.
            let _ended = tokio::time::timeout(Duration::from_secs(2), child.wait()).await;
        }
    }

    fn tell(&self, line: &str) {
        let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, pipe)) = process.as_mut() {
            // A dozen bytes into a pipe that is read at once. Without a guard the run goes on as it is.
            let _told = pipe.write_all(line.as_bytes());
        }
    }
}
