//! One machine: looking into it from outside, breaking it on demand. All is looked up when asked, as a machine may
//! reboot by itself. Starting it is the keeper's job.

use std::fs;
use std::io::Read as _;
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::process::Signal;

use super::unit::{self, UnitState};
use super::{LOGIN, SSH_PORT, network};
use crate::access::Door;
use crate::process::{HostProcess, Process, children, inner_pid, poll, tree};
use crate::spec::HostSpec;
use crate::{inside, java, place};

/// systemd's own mark of "a start job has finished".
const STARTED: &str = "39f53479d3a045ac8e11786248231fbf";

/// One machine of the full tier.
#[derive(Debug)]
pub struct Machine {
    pub(crate) spec: HostSpec,
    pub(crate) address: Ipv4Addr,
    /// Its place in the fleet, from 0.
    pub(crate) number: usize,
    pub(crate) dir: PathBuf,
    pub(crate) keeper: Process,
    pub(crate) host_key: PathBuf,
}

impl Machine {
    /// What the machine was asked to be.
    pub fn spec(&self) -> &HostSpec {
        &self.spec
    }

    /// The machine's name.
    pub fn name(&self) -> &str {
        &self.spec.name
    }

    /// Its address, in 198.18.0.0/15.
    pub fn ip(&self) -> Ipv4Addr {
        self.address
    }

    /// The port of its sshd.
    pub fn port(&self) -> u16 {
        SSH_PORT
    }

    /// The user who logs in: `deploy`.
    pub fn login(&self) -> &'static str {
        LOGIN
    }

    /// The machine's folder outside: its layer of files, `console.log`.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn door(&self) -> Door<'_> {
        Door {
            spec: &self.spec,
            address: self.address.to_string(),
            port: SSH_PORT,
            login: LOGIN,
            host_key: self.host_key.clone(),
        }
    }

    /// The `systemd-nspawn` that the machine runs under.
    fn nspawn(&self) -> Option<Process> {
        let machine = format!("--machine={}", self.name());
        let is_ours = |process: &Process| {
            let arguments = fs::read(format!("/proc/{}/cmdline", process.pid)).unwrap_or_default();
            let mut arguments = arguments.split(|byte| *byte == 0);
            arguments
                .next()
                .is_some_and(|name| name.ends_with(b"systemd-nspawn"))
                && arguments.any(|argument| argument == machine.as_bytes())
        };
        // A number that now is another process's has no such children.
        children(self.keeper).into_iter().find(is_ours)
    }

    fn init(&self) -> Result<Process> {
        let nspawn = self.nspawn();
        nspawn
            .and_then(|nspawn| {
                children(nspawn)
                    .into_iter()
                    .find(|child| inner_pid(*child) == Some(1))
            })
            .with_context(|| format!("the machine {} is off", self.name()))
    }

    /// Whether it is on: its systemd lives.
    pub fn is_alive(&self) -> bool {
        self.init().is_ok()
    }

    /// Everything that runs on the machine, as seen from outside; none when it is off.
    pub fn processes(&self) -> Vec<HostProcess> {
        self.init().map(tree).unwrap_or_default()
    }

    /// The processes whose command line contains this text.
    pub fn processes_like(&self, text: &str) -> Vec<HostProcess> {
        let mut found = self.processes();
        found.retain(|process| process.command.contains(text));
        found
    }

    /// Where a path of the machine is seen from outside. An absolute symbolic link on the way would lead elsewhere.
    pub fn path(&self, path: impl AsRef<Path>) -> Result<PathBuf> {
        Ok(inside::path(self.init()?, path.as_ref()))
    }

    /// A command, ready to be run inside as root, without ssh.
    pub fn command(&self, program: &str) -> Result<Command> {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--target={}", self.init()?.pid))
            .args(["--all", "--wd=/", "--", program])
            .env_clear()
            .env("PATH", place::HOST_PATH)
            .env("HOME", "/root")
            .stdin(Stdio::null());
        Ok(command)
    }

    /// Runs a line of shell inside as root, without ssh.
    pub fn exec(&self, line: &str) -> Result<Output> {
        inside::run(self.command("sh")?, line)
    }

    /// What a line of shell inside prints; an error when it fails.
    pub fn exec_ok(&self, line: &str) -> Result<String> {
        inside::run_ok(self.command("sh")?, self.name(), line)
    }

    /// What the machine printed since it was made: systemd's messages of each boot.
    pub fn console(&self) -> String {
        let bytes = fs::read(self.dir.join("console.log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The id of this boot, new with each.
    pub fn boot_id(&self) -> Result<String> {
        let id = self.exec_ok("cat /proc/sys/kernel/random/boot_id")?;
        Ok(id.trim_end().to_owned())
    }

    /// A unit as systemd describes it.
    pub fn unit(&self, name: &str) -> Result<UnitState> {
        let shown = self.exec_ok(&format!("systemctl show -p {} {name}", unit::PROPERTIES))?;
        UnitState::parse(&shown)
    }

    /// When a unit was started, each time since the machine was made, over all boots, as time after 1970. A start that
    /// was followed by the process's death counts.
    pub fn starts(&self, unit: &str) -> Result<Vec<Duration>> {
        let shown = self.exec_ok(&format!(
            "journalctl --sync; journalctl -q --no-pager -o short-unix MESSAGE_ID={STARTED} UNIT={unit}.service"
        ))?;
        Ok(unit::unix_times(&shown))
    }

    /// What a unit and systemd's remarks on it say in the journal, the messages alone.
    pub fn journal(&self, unit: &str) -> Result<String> {
        self.exec_ok(&format!(
            "journalctl --sync; journalctl -q --no-pager -o cat -u {unit}"
        ))
    }

    /// How many logins succeeded since the machine was made.
    pub fn logins(&self) -> Result<usize> {
        Ok(self
            .journal("ssh")?
            .matches("Accepted publickey for ")
            .count())
    }

    /// Stops a unit; systemd does not start it again by itself.
    pub fn stop_unit(&self, unit: &str) -> Result<()> {
        self.exec_ok(&format!("systemctl stop {unit}")).map(|_| ())
    }

    /// From its next start on, the service dies at once, again and again, until [`Machine::mend`].
    pub fn crash_from_next_start(&self, service: &str) -> Result<()> {
        let file = self.path(format!("/opt/{service}/crash"))?;
        place::replace(&file, b"", 0o644)
    }

    /// Lets the service start again.
    pub fn mend(&self, service: &str) -> Result<()> {
        let file = self.path(format!("/opt/{service}/crash"))?;
        fs::remove_file(&file).with_context(|| format!("cannot remove {}", file.display()))
    }

    /// Puts a version of the Java service beside the present one, as `/opt/SERVICE/releases/VERSION/app.jar`; what runs
    /// and what `current` names stay. Returns the path on the machine.
    pub fn stage(&self, service: &str, version: &str) -> Result<PathBuf> {
        let jar = java::jar(&place::install_tools()?, version)?;
        let bytes = fs::read(&jar).with_context(|| format!("cannot read {}", jar.display()))?;
        let path = PathBuf::from(format!("/opt/{service}/releases/{version}/app.jar"));
        place::replace(&self.path(&path)?, &bytes, 0o644)?;
        Ok(path)
    }

    /// Takes the machine's network link down or up. While it is down, connections are silent, and new ones time out.
    pub fn set_link(&self, up: bool) -> Result<()> {
        network::set_link(self.keeper, self.number, up)
    }

    /// Stops every process of the machine without ending one: connections stay open and are silent.
    pub fn freeze(&self) {
        inside::signal(&self.processes(), Signal::STOP);
    }

    /// Lets a frozen machine go on.
    pub fn thaw(&self) {
        inside::signal(&self.processes(), Signal::CONT);
    }

    /// Cuts every ssh connection; what runs on the machine is not told. Returns how many processes of sshd ended.
    pub fn drop_connections(&self) -> usize {
        // The listener bears its own name; systemd would start it again.
        let sessions: Vec<_> = self
            .processes_like("sshd: ")
            .into_iter()
            .filter(|process| !process.command.contains("[listener]"))
            .collect();
        for session in &sessions {
            if let Some(process) = Process::of(session.outer_pid) {
                process.end(Duration::from_secs(5));
            }
        }
        sessions.len()
    }

    /// Ends the machine at once, as a power cut would. It stays off until [`Machine::power_on`].
    pub fn kill(&self) -> Result<()> {
        let (nspawn, init) = (self.nspawn(), self.init()?);
        init.end(Duration::from_secs(5));
        let gone = poll(Duration::from_secs(30), || {
            nspawn.is_none_or(|nspawn| !nspawn.is_alive()).then_some(())
        });
        gone.with_context(|| format!("the machine {} does not end", self.name()))
    }

    /// Starts a machine that is off, with the files it had. Returns when its sshd answers.
    pub fn power_on(&self) -> Result<()> {
        place::replace(&self.dir.join("start"), b"", 0o644)?;
        self.keeper.signal(Signal::USR1);
        self.wait_for_sshd()
    }

    /// Waits until sshd answers with its banner.
    pub fn wait_for_sshd(&self) -> Result<()> {
        let ready = poll(Duration::from_mins(1), || {
            let greets = greets(self.address);
            (greets || !self.keeper.is_alive()).then_some(greets)
        });
        if ready == Some(true) {
            return Ok(());
        }
        bail!(
            "sshd on {} does not answer; the machine's console says:\n{}",
            self.name(),
            self.console().trim_end()
        )
    }
}

/// Whether an sshd listens there.
fn greets(address: Ipv4Addr) -> bool {
    let limit = Duration::from_millis(500);
    let Ok(mut stream) = TcpStream::connect_timeout(&(address, SSH_PORT).into(), limit) else {
        return false;
    };
    let mut banner = [0; 4];
    // Behind the handshake there is somebody, however slow.
    stream.set_read_timeout(Some(limit * 10)).is_ok()
        && stream.read_exact(&mut banner).is_ok()
        && &banner == b"SSH-"
}
