//! The process in whose namespaces a full-tier fleet lives, and that ends it when we are gone: `machines.pl`. What it is
//! told to start is written down by the builder.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::process::Signal;

use crate::place;
use crate::process::{Process, child_of, poll};

/// How the fleets' cgroups begin.
const CGROUP: &str = "fab-rs-lab";

/// The keeper of one fleet.
#[derive(Debug)]
pub(crate) struct Keeper {
    /// `machines.pl`: process 1 of the fleet.
    pub(crate) process: Process,
    child: Option<Child>,
    pipe: Option<ChildStdin>,
    said: Option<BufReader<ChildStdout>>,
}

impl Keeper {
    /// A keeper that another process started.
    pub(crate) fn found(process: Process) -> Self {
        Self {
            process,
            child: None,
            pipe: None,
            said: None,
        }
    }

    /// Starts a keeper with its namespaces; it waits for [`Keeper::go`].
    pub(crate) fn start(script: &Path, dir: &Path, tree: &Path) -> Result<Self> {
        let log =
            fs::File::create(dir.join("keeper.log")).context("cannot make the keeper's log")?;
        let mut child = Command::new("setsid")
            .args([
                "unshare",
                "--mount",
                "--net",
                "--pid",
                "--fork",
                "--kill-child",
                "--mount-proc",
            ])
            .arg("perl")
            .args([script, dir, tree])
            .arg(cgroup(dir))
            .env_clear()
            .env("PATH", place::HOST_PATH)
            .env("LC_ALL", "C")
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .context("cannot start setsid and unshare (package util-linux)")?;
        let mut said = BufReader::new(child.stdout.take().context("the keeper has an output")?);
        let mut line = String::new();
        let _ = said.read_line(&mut line);
        let process = child_of(child.id()).filter(|_| line.trim() == "ready");
        let Some(process) = process else {
            let _ = child.kill();
            child.wait().context("cannot wait for the keeper")?;
            bail!(
                "the keeper of the machines did not start: {line}{}",
                log_of(dir)
            );
        };
        let pipe = child.stdin.take();
        Ok(Self {
            process,
            child: Some(child),
            pipe,
            said: Some(said),
        })
    }

    /// Lets the keeper start the machines in a network, of which the first three bytes are given; returns when each has its process.
    pub(crate) fn go(&mut self, dir: &Path, network: &str) -> Result<()> {
        let mut line = String::new();
        if let (Some(pipe), Some(said)) = (&mut self.pipe, &mut self.said) {
            writeln!(pipe, "go {network}").context("the keeper of the machines is gone")?;
            said.read_line(&mut line)
                .context("the keeper of the machines is gone")?;
        }
        if line.trim() != "started" {
            bail!("the machines cannot be made: {}{}", line, log_of(dir));
        }
        Ok(())
    }

    /// Lets the fleet and its keeper outlive us.
    pub(crate) fn release(&mut self) -> Result<()> {
        if let Some(mut pipe) = self.pipe.take() {
            writeln!(pipe, "release").context("the keeper of the machines is gone")?;
        }
        Ok(())
    }

    /// Halts all machines and ends the keeper; kills what does not end by itself.
    pub(crate) fn end(&mut self, dir: &Path) {
        self.process.signal(Signal::TERM);
        let ended = poll(Duration::from_secs(15), || {
            (!self.process.is_alive()).then_some(())
        });
        if ended.is_none() {
            self.process.end(Duration::from_secs(5));
        }
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
        remove_cgroups(&cgroup(dir));
    }
}

fn log_of(dir: &Path) -> String {
    fs::read_to_string(dir.join("keeper.log")).unwrap_or_default()
}

/// The name of a fleet's cgroup: the lab's folder, then the fleet's.
fn cgroup(dir: &Path) -> String {
    let base = place::hash(dir.parent().unwrap_or(dir).as_os_str().as_encoded_bytes());
    let name = dir.file_name().unwrap_or_default().to_string_lossy();
    format!("{CGROUP}.{base:016x}.{name}")
}

/// The folders in which systemd's cgroups are: one hierarchy, or two.
fn hierarchies() -> Vec<&'static Path> {
    let one = Path::new("/sys/fs/cgroup");
    if one.join("cgroup.controllers").exists() {
        return vec![one];
    }
    ["/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified"]
        .map(Path::new)
        .into_iter()
        .filter(|dir| dir.join("cgroup.procs").exists())
        .collect()
}

/// Whether this machine has the cgroups that systemd needs, and we may make some.
pub(crate) fn has_cgroups() -> bool {
    static PROBES: AtomicUsize = AtomicUsize::new(0);
    let number = PROBES.fetch_add(1, Ordering::Relaxed);
    let name = format!("{CGROUP}.probe.{}.{number}", std::process::id());
    !hierarchies().is_empty()
        && hierarchies().iter().all(|dir| {
            let probe = dir.join(&name);
            fs::create_dir(&probe).is_ok() && fs::remove_dir(&probe).is_ok()
        })
}

/// Removes the cgroups of a fleet whose processes are gone; the kernel keeps others.
fn remove_cgroups(name: &str) {
    for hierarchy in hierarchies() {
        remove(&hierarchy.join(name));
    }
}

fn remove(dir: &Path) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove(&entry.path());
        }
    }
    let _ = fs::remove_dir(dir);
}

/// Removes the cgroups of fleets whose process was killed together with its keeper.
pub(crate) fn sweep() {
    for hierarchy in hierarchies() {
        for entry in fs::read_dir(hierarchy).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let parts: Vec<_> = name.to_str().unwrap_or_default().split('.').collect();
            if let [CGROUP, _, _, pid, start, _] = parts[..]
                && let (Ok(pid), Ok(start)) = (pid.parse(), start.parse())
                && !(Process { pid, start }).is_alive()
            {
                remove(&entry.path());
            }
        }
    }
}
