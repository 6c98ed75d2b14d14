//! The fleet as a client sees it, and what every check uses.

use std::time::Duration;

use fab_rs::model::{Host, Stream, UnreachableKind};
use fab_rs::transport::{
    ConnectError, ExecReport, Output, Program, RemoteCommand, Session, SshSession, SshTransport,
    Sudo, Transport, TransportSettings,
};
use lab::Fleet;
use tokio_util::sync::CancellationToken;

/// How long anything may take before a check gives up on it: no statement about speed.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// The fleet and one client's settings.
pub(crate) struct Ground {
    pub(crate) fleet: Fleet,
    pub(crate) folder: tempfile::TempDir,
}

impl Ground {
    pub(crate) fn host(&self, name: &str) -> Host {
        let real = self.fleet.host(name);
        let mut host = Host::named(name, real.address());
        host.ssh.config = Some(self.fleet.ssh_config());
        host.ssh.user = Some(real.login().to_owned());
        host.ssh.port = Some(real.port());
        host
    }

    /// Limits that no working host reaches, however slow the machine is.
    pub(crate) fn settings(&self) -> TransportSettings {
        TransportSettings {
            connect: PATIENCE,
            login: PATIENCE,
            transfer_stall: PATIENCE,
            known_hosts: self.folder.path().join("known hosts"),
            socket_dir: self.folder.path().join("s"),
            sudo_password: None,
        }
    }

    pub(crate) fn transport(&self) -> SshTransport {
        SshTransport::new(self.settings())
    }

    pub(crate) async fn session(&self, transport: &SshTransport, name: &str) -> SshSession {
        transport
            .connect(&self.host(name), 1.into(), &CancellationToken::new())
            .await
            .unwrap_or_else(|error| panic!("{name}: {error:?}"))
    }

    /// Kind, causes and hints of a host that cannot be reached.
    pub(crate) async fn trouble(
        &self,
        transport: &SshTransport,
        host: &Host,
        attempts: u32,
    ) -> (UnreachableKind, Vec<String>, Vec<String>, u32) {
        match transport
            .connect(host, attempts.into(), &CancellationToken::new())
            .await
        {
            Err(ConnectError::Unreachable {
                kind,
                causes,
                hints,
                attempts,
            }) => (kind, causes, hints, attempts),
            other => panic!("{}: {other:?}", host.name),
        }
    }
}

#[derive(Default)]
pub(crate) struct Collected {
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    /// Cancelled when stdout holds the text.
    pub(crate) awaited: Option<(&'static str, CancellationToken)>,
}

impl Output for Collected {
    async fn chunk(&mut self, stream: Stream, bytes: &[u8]) {
        match stream {
            Stream::Stdout => self.stdout.extend_from_slice(bytes),
            Stream::Stderr => self.stderr.extend_from_slice(bytes),
        }
        if let Some((text, token)) = &self.awaited
            && String::from_utf8_lossy(&self.stdout).contains(text)
        {
            token.cancel();
        }
    }
}

pub(crate) fn shell(text: &str) -> RemoteCommand {
    RemoteCommand::new(Program::Shell {
        shell: ["sh", "-euc"].map(str::to_owned).to_vec(),
        text: text.to_owned(),
    })
}

pub(crate) fn sudo(mut command: RemoteCommand, user: &str) -> RemoteCommand {
    command.sudo = Sudo::User(user.to_owned());
    command
}

pub(crate) async fn exec(
    session: &SshSession,
    command: &RemoteCommand,
) -> (ExecReport, String, String) {
    let mut output = Collected::default();
    let stop = CancellationToken::new();
    let report = session.exec(command, &mut output, &stop).await;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (report, text(&output.stdout), text(&output.stderr))
}

/// Runs the command and stops it when the text appears.
pub(crate) async fn stopped_at(
    session: &SshSession,
    command: &RemoteCommand,
    text: &'static str,
) -> ExecReport {
    let stop = CancellationToken::new();
    let mut output = Collected {
        awaited: Some((text, stop.clone())),
        ..Collected::default()
    };
    session.exec(command, &mut output, &stop).await
}

/// Waits for something, for as long as a test's patience lasts.
pub(crate) async fn eventually(mut holds: impl FnMut() -> bool) -> bool {
    for _ in 0..PATIENCE.as_secs() * 10 {
        if holds() {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    false
}

/// Command lines on this machine that hold the text.
pub(crate) fn processes_with(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if line.contains(text) {
            found.push(line);
        }
    }
    found
}
