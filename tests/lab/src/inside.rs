//! Looking into a host from outside: its files, lines of shell, signals to all of it. Where its first process is, and how
//! its namespaces are entered, is each tier's own.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context as _, Result, bail};
use rustix::process::Signal;

use crate::process::{HostProcess, Process};

/// Where a path of the host is seen from outside.
pub(crate) fn path(init: Process, path: &Path) -> PathBuf {
    init.root().join(path.strip_prefix("/").unwrap_or(path))
}

/// Runs a line with a shell that was made ready to run inside.
pub(crate) fn run(mut shell: Command, line: &str) -> Result<Output> {
    shell.args(["-c", line]);
    shell.output().context("cannot run nsenter")
}

/// The same; what it prints, or an error when it fails.
pub(crate) fn run_ok(shell: Command, host: &str, line: &str) -> Result<String> {
    let output = run(shell, line)?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!(
            "`{line}` on {host} ended with {}: {}",
            output.status,
            said.trim_end()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Sends a signal to each of a host's processes.
pub(crate) fn signal(processes: &[HostProcess], signal: Signal) {
    for process in processes {
        if let Some(process) = Process::of(process.outer_pid) {
            process.signal(signal);
        }
    }
}
