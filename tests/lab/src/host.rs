//! One running host: starting it, looking into it from outside, breaking it on demand.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::process::Signal;
use serde::{Deserialize, Serialize};

use crate::access::Door;
use crate::addresses::SSH_PORT;
use crate::fault::Fault;
use crate::process::{HostProcess, Process, child_of, poll, tree};
use crate::spec::HostSpec;
use crate::{inside, place};

/// The processes that are a host, as the machine sees them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostProcesses {
    /// Process 1 of the host.
    pub init: Process,
    /// `unshare`, which made the host's namespaces and dies with it.
    pub outer: Process,
}

#[derive(Debug, Default)]
struct Running {
    processes: Option<HostProcesses>,
    child: Option<Child>,
}

/// One host of a fleet.
#[derive(Debug)]
pub struct Host {
    pub(crate) spec: HostSpec,
    pub(crate) address: Ipv4Addr,
    pub(crate) dir: PathBuf,
    pub(crate) login: String,
    running: Mutex<Running>,
}

impl Host {
    pub(crate) fn new(spec: HostSpec, address: Ipv4Addr, dir: PathBuf, login: String) -> Self {
        let running = Mutex::default();
        Self {
            spec,
            address,
            dir,
            login,
            running,
        }
    }

    /// A host that another process started.
    pub(crate) fn found(mut self, processes: Option<HostProcesses>) -> Self {
        self.running = Mutex::new(Running {
            processes,
            child: None,
        });
        self
    }

    /// What the host was asked to be.
    pub fn spec(&self) -> &HostSpec {
        &self.spec
    }

    /// The host's name.
    pub fn name(&self) -> &str {
        &self.spec.name
    }

    /// The loopback address that its sshd and its services listen on.
    pub fn ip(&self) -> Ipv4Addr {
        self.address
    }

    /// What to connect to: the address, or a name that only the bastion resolves.
    pub fn address(&self) -> String {
        match self.spec.behind {
            Some(_) => format!("{}.lab", self.spec.name),
            None => self.address.to_string(),
        }
    }

    /// The port of its sshd.
    pub fn port(&self) -> u16 {
        SSH_PORT
    }

    /// The user who logs in: `deploy`, or the lab's own user where that is not root.
    pub fn login(&self) -> &str {
        &self.login
    }

    /// The host's folder on the machine: configuration and logs.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn door(&self) -> Door<'_> {
        Door {
            spec: &self.spec,
            address: self.address(),
            port: SSH_PORT,
            login: &self.login,
            host_key: self.dir.join("host_key"),
        }
    }

    fn running(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its processes, if it was started.
    pub fn processes_of_host(&self) -> Option<HostProcesses> {
        self.running().processes
    }

    fn init(&self) -> Result<Process> {
        let init = self.running().processes.map(|processes| processes.init);
        init.filter(|init| init.is_alive())
            .with_context(|| format!("the host {} is not running", self.name()))
    }

    /// Whether its first process lives.
    pub fn is_alive(&self) -> bool {
        self.init().is_ok()
    }

    /// Starts the host's processes; [`Host::wait`] waits for sshd.
    pub(crate) fn launch(&self, tools: &Path) -> Result<Process> {
        let log = fs::File::create(self.sshd_log_file()).context("cannot make the log of sshd")?;
        let out = log.try_clone().context("cannot share the log of sshd")?;
        let mut command = Command::new("setsid");
        command.args([
            "unshare",
            "--pid",
            "--mount",
            "--uts",
            "--fork",
            "--mount-proc",
            "--kill-child",
        ]);
        if !place::is_root() {
            command.args(["--user", "--map-root-user"]);
        }
        command
            .arg("sh")
            .arg(tools.join("init.sh"))
            .arg(&self.dir)
            .env_clear()
            .env("PATH", place::HOST_PATH)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(log);
        let child = command
            .spawn()
            .context("cannot start setsid and unshare (package util-linux)")?;
        let outer = Process::of(child.id());
        let mut running = self.running();
        running.child = Some(child);
        running.processes = None;
        outer.with_context(|| format!("the host {} ended at once", self.name()))
    }

    /// Waits until sshd (or what a fault put in its place) listens.
    pub(crate) fn wait(&self, outer: Process) -> Result<()> {
        let listening = format!("Server listening on {} port {SSH_PORT}", self.address);
        let ready = poll(Duration::from_mins(1), || {
            let log = self.sshd_log();
            if log.contains(&listening) || log.contains("ready: ") {
                return Some(true);
            }
            (!outer.is_alive()).then_some(false)
        });
        if ready == Some(true)
            && let Some(init) = child_of(outer.pid)
        {
            self.running().processes = Some(HostProcesses { init, outer });
            return Ok(());
        }
        self.kill();
        bail!(
            "the host {} did not start; its log says:\n{}",
            self.name(),
            self.sshd_log().trim_end()
        )
    }

    fn sshd_log_file(&self) -> PathBuf {
        self.dir.join("sshd.log")
    }

    /// What sshd said since the host started.
    pub fn sshd_log(&self) -> String {
        let bytes = fs::read(self.sshd_log_file()).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// How many logins succeeded since the host started.
    pub fn logins(&self) -> usize {
        self.sshd_log().matches("Accepted publickey for ").count()
    }

    /// Everything that runs on the host, as seen from outside; none when it is down.
    pub fn processes(&self) -> Vec<HostProcess> {
        self.init().map(tree).unwrap_or_default()
    }

    /// The processes whose command line contains this text.
    pub fn processes_like(&self, text: &str) -> Vec<HostProcess> {
        let mut found = self.processes();
        found.retain(|process| process.command.contains(text));
        found
    }

    /// Where a path of the host is seen from outside, for example `/var/tmp`. An absolute symbolic link on the way
    /// would lead to the machine's own file.
    pub fn path(&self, path: impl AsRef<Path>) -> Result<PathBuf> {
        Ok(inside::path(self.init()?, path.as_ref()))
    }

    /// The login user's home on the host.
    pub fn home(&self) -> PathBuf {
        if place::is_root() {
            PathBuf::from("/home").join(&self.login)
        } else {
            self.dir.join("home")
        }
    }

    /// A command, ready to be run inside the host without ssh, as the host's root (as the lab's user where that is
    /// not root).
    pub fn command(&self, program: &str) -> Result<Command> {
        self.init()?;
        let processes = self.processes_of_host();
        let HostProcesses { init, outer } = processes.context("the host is not running")?;
        let mut command = Command::new("nsenter");
        for kind in ["pid", "mnt", "uts"] {
            let option = if kind == "mnt" { "mount" } else { kind };
            command.arg(format!("--{option}=/proc/{}/ns/{kind}", init.pid));
        }
        if !place::is_root() {
            // The namespaces belong to the user namespace of `unshare`; sshd sits in one below it.
            command.arg(format!("--user=/proc/{}/ns/user", outer.pid));
            command.arg("--preserve-credentials");
        }
        command
            .args(["--wd=/", "--", program])
            .env_clear()
            .env("PATH", place::host_path(&place::base().join("tools")))
            .env("HOME", "/root")
            .stdin(Stdio::null());
        Ok(command)
    }

    /// Runs a line of shell inside the host, without ssh.
    pub fn exec(&self, line: &str) -> Result<Output> {
        inside::run(self.command("sh")?, line)
    }

    /// What a line of shell inside the host prints; an error when it fails.
    pub fn exec_ok(&self, line: &str) -> Result<String> {
        inside::run_ok(self.command("sh")?, self.name(), line)
    }

    /// Ends the host and everything on it at once, as a power cut would.
    pub fn kill(&self) {
        let mut running = self.running();
        if let Some(processes) = running.processes.take() {
            processes.init.end(Duration::from_secs(5));
            processes.outer.end(Duration::from_secs(5));
        }
        if let Some(mut child) = running.child.take() {
            // With its child it has nothing left to do; killing covers the time before there was one.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Stops every process of the host without ending one: connections stay open and are silent.
    pub fn freeze(&self) {
        inside::signal(&self.processes(), Signal::STOP);
    }

    /// Lets a frozen host go on.
    pub fn thaw(&self) {
        inside::signal(&self.processes(), Signal::CONT);
    }

    /// Cuts every ssh connection to the host; what runs there is not told. Returns how many processes of sshd ended.
    pub fn drop_connections(&self) -> usize {
        let sessions: Vec<_> = self
            .processes()
            .into_iter()
            .filter(|process| process.name.starts_with("sshd") && process.pid != 1)
            .collect();
        for session in &sessions {
            if let Some(process) = Process::of(session.outer_pid) {
                process.end(Duration::from_secs(5));
            }
        }
        sessions.len()
    }

    /// Gives sshd another host key, which nobody knows, from the next connection on.
    pub fn change_host_key(&self, key: &Path) -> Result<()> {
        let bytes = fs::read(key).with_context(|| format!("cannot read {}", key.display()))?;
        place::replace(&self.dir.join("host_key"), &bytes, 0o600)?;
        let init = self.init()?;
        let before = self.sshd_log().matches("Server listening").count();
        init.signal(Signal::HUP);
        let listens =
            || (self.sshd_log().matches("Server listening").count() > before).then_some(());
        poll(Duration::from_mins(1), listens)
            .with_context(|| format!("sshd on {} did not come back with its new key", self.name()))
    }

    /// Whether this host takes logins at all: no fault replaces its sshd.
    pub fn has_sshd(&self) -> bool {
        !self.spec.faults.iter().any(Fault::replaces_sshd)
    }
}
