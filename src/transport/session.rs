//! One logged-in host over its master: runs supervised commands, dials, and ends. Transfers are
//! `transfer`'s business, connecting is `ssh`'s.

use std::collections::HashMap;
use std::future::pending;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use openssh::{ForwardType, Session as Mux, Socket, Stdio};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::OnceCell;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::marker::Nonce;
use super::master::Master;
use super::preamble::{Elevation, command_line, compose, sudo_user};
use super::supervise::{ChannelEnd, Ending, Streams, Supervised, drive};
use super::transfer;
use super::{
    ExecReport, Exit, Fetch, Output, RemoteCommand, Session, Sudo, TransferError,
    TransportSettings, Upload, sudo,
};

/// How long a probe of sudo or of the connection may take.
const PROBE_LIMIT: Duration = Duration::from_secs(20);
/// How long a stopped command may take to end before its host is asked whether it lives.
const BEFORE_ASKING: Duration = Duration::from_millis(500);
/// How long the host may take to answer that.
const ANSWER_LIMIT: Duration = Duration::from_millis(1500);
/// How much of a probe's output is kept.
const PROBE_OUTPUT: u64 = 4096;

/// A session over the system's `ssh`. Commands of one session run side by side as far as the server's
/// `MaxSessions` (10 unless set) lets them.
#[derive(Debug)]
pub struct SshSession {
    mux: Mux,
    master: Master,
    settings: Arc<TransportSettings>,
    /// How sudo lets us become each user, found out once.
    sudo_ways: Mutex<HashMap<String, Arc<OnceCell<SudoWay>>>>,
    /// The local socket of each `host:port` dialled so far.
    forwards: tokio::sync::Mutex<HashMap<(String, u16), PathBuf>>,
}

/// How sudo lets us become a user.
#[derive(Debug, Clone)]
enum SudoWay {
    /// Without a password.
    Quiet,
    /// With the password we were given.
    Password,
    /// Not at all, and why.
    Refused(String),
}

impl SshSession {
    pub(super) fn new(master: Master, settings: Arc<TransportSettings>) -> Self {
        // "Resumed": the master and its folder are ours to end and remove.
        let mux = Mux::resume_mux(master.place().socket().into_boxed_path(), None);
        Self {
            mux,
            master,
            settings,
            sudo_ways: Mutex::default(),
            forwards: tokio::sync::Mutex::default(),
        }
    }

    /// The multiplexed connection.
    pub(super) fn mux(&self) -> &Mux {
        &self.mux
    }

    /// The longest pause in a transfer.
    pub(super) fn stall_limit(&self) -> Duration {
        self.settings.transfer_stall
    }

    /// The line that sudo reads as a password.
    pub(super) fn password_line(&self) -> Vec<u8> {
        self.settings
            .sudo_password
            .as_ref()
            .map(|password| format!("{}\n", password.expose()).into_bytes())
            .unwrap_or_default()
    }

    /// How a command gets to its user.
    ///
    /// # Errors
    /// sudo's refusal, as a plain cause.
    pub(super) async fn elevation<'a>(&self, sudo: &'a Sudo) -> Result<Elevation<'a>, String> {
        let Some(user) = sudo_user(sudo) else {
            return Ok(Elevation::None);
        };
        if self.settings.sudo_password.is_none() {
            return Ok(Elevation::Quiet(user));
        }
        let way = {
            let mut ways = self
                .sudo_ways
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            Arc::clone(ways.entry(user.to_owned()).or_default())
        };
        match way.get_or_init(|| self.sudo_way(user)).await {
            SudoWay::Quiet => Ok(Elevation::Quiet(user)),
            SudoWay::Password => Ok(Elevation::Password(user)),
            SudoWay::Refused(cause) => Err(cause.clone()),
        }
    }

    /// Asks sudo, first without and then with the password: one try, as its stdin ends behind it.
    async fn sudo_way(&self, user: &str) -> SudoWay {
        let probe = |elevation: Elevation<'_>| format!("{}sh -c :", elevation.words());
        if let Ok((0, _)) = self.probe(&probe(Elevation::Quiet(user)), b"").await {
            return SudoWay::Quiet;
        }
        let password = self.password_line();
        match self
            .probe(&probe(Elevation::Password(user)), &password)
            .await
        {
            Ok((0, _)) => SudoWay::Password,
            Ok((code, words)) => {
                let cause = sudo::refusal(&words, user, code);
                SudoWay::Refused(cause)
            }
            Err(error) => SudoWay::Refused(format!("sudo could not be asked: {error}")),
        }
    }

    /// Runs a small command: its code and the beginning of its stderr.
    async fn probe(&self, command: &str, stdin: &[u8]) -> io::Result<(u8, String)> {
        let talk = async {
            let mut command = self.mux.raw_command(command);
            command
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .stderr(Stdio::piped());
            let mut child = command.spawn().await.map_err(io::Error::other)?;
            if let Some(mut pipe) = child.stdin().take() {
                pipe.write_all(stdin).await?;
            }
            let mut words = Vec::new();
            if let Some(pipe) = child.stderr().take() {
                pipe.take(PROBE_OUTPUT).read_to_end(&mut words).await?;
            }
            match wait(child).await {
                ChannelEnd::Code(code) => Ok((code, String::from_utf8_lossy(&words).into_owned())),
                ChannelEnd::Died => Err(io::ErrorKind::ConnectionAborted.into()),
            }
        };
        timeout(PROBE_LIMIT, talk).await?
    }

    /// Resolves where the host does not answer at all: a command of one character gets no word back either.
    /// Most stopped commands end before it is asked.
    async fn deaf(&self) {
        sleep(BEFORE_ASKING).await;
        if timeout(ANSWER_LIMIT, self.probe(":", b"")).await.is_ok() {
            // It answered, or refused, or the connection is gone, which the streams say.
            pending::<()>().await;
        }
    }

    /// What ssh said when the connection went away.
    fn last_words(&self) -> Option<String> {
        let words = self.master.last_words();
        let last = words
            .lines()
            .map(str::trim)
            .rfind(|line| !line.is_empty() && !line.starts_with("Warning: Permanently added"))?;
        Some(format!("ssh: {last}"))
    }

    /// Runs a supervisor over a new channel.
    async fn supervise<O: Output>(
        &self,
        line: String,
        supervised: Supervised<'_>,
        output: &mut O,
    ) -> Result<Ending, ExecReport> {
        let mut remote = self.mux.raw_command(line);
        remote
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = match remote.spawn().await {
            Ok(child) => child,
            Err(error) => return Err(self.unopened(&error)),
        };
        let (Some(stdin), Some(stdout), Some(stderr)) = (
            child.stdin().take(),
            child.stdout().take(),
            child.stderr().take(),
        ) else {
            return Err(ExecReport::never_sent(&"the channel has no streams"));
        };
        let streams = Streams {
            stdin,
            stdout,
            stderr,
        };
        Ok(drive(supervised, streams, wait(child), self.deaf(), output).await)
    }

    /// No channel came about: the connection is lost, or the server opens no further one.
    fn unopened(&self, error: &openssh::Error) -> ExecReport {
        let mut report = ExecReport::never_sent(&match error {
            openssh::Error::Disconnected => "the connection was lost".to_owned(),
            openssh::Error::SshMux(error) if error.to_string().contains("refused") => {
                format!(
                    "the server opens no further session (MaxSessions in its sshd_config?): {error}"
                )
            }
            error => std::error::Error::source(error)
                .map_or_else(|| error.to_string(), |source| format!("{error}: {source}")),
        });
        report.exit = Exit::Lost;
        report.notes.extend(self.last_words());
        report
    }

    /// The local socket that leads to the port, seen from the host.
    async fn forward(&self, host: &str, port: u16) -> io::Result<PathBuf> {
        let mut forwards = self.forwards.lock().await;
        let key = (host.to_owned(), port);
        if let Some(path) = forwards.get(&key) {
            return Ok(path.clone());
        }
        let path = self.master.place().forward(forwards.len());
        let listen = Socket::UnixSocket {
            path: path.as_path().into(),
        };
        let connect = Socket::TcpSocket {
            host: host.to_owned().into(),
            port,
        };
        self.mux
            .request_port_forward(ForwardType::Local, listen, connect)
            .await
            .map_err(io::Error::other)?;
        forwards.insert(key, path.clone());
        Ok(path)
    }
}

/// Waits for a channel's end.
pub(super) async fn wait<S>(child: openssh::Child<S>) -> ChannelEnd {
    match child.wait().await {
        Ok(status) => status
            .code()
            .and_then(|code| u8::try_from(code).ok())
            .map_or(ChannelEnd::Died, ChannelEnd::Code),
        // The crate takes a shell's 127 for an error of its own.
        Err(openssh::Error::Remote(error)) if error.kind() == io::ErrorKind::NotFound => {
            ChannelEnd::Code(127)
        }
        Err(_) => ChannelEnd::Died,
    }
}

impl Session for SshSession {
    async fn exec<O: Output>(
        &self,
        command: &RemoteCommand,
        output: &mut O,
        stop: &CancellationToken,
    ) -> ExecReport {
        let nonce = Nonce::random();
        let composed = match compose(command, &nonce) {
            Ok(composed) => composed,
            Err(error) => return ExecReport::never_sent(&error),
        };
        let elevation = match self.elevation(&command.sudo).await {
            Ok(elevation) => elevation,
            Err(cause) => return ExecReport::sudo_refused(cause),
        };
        let mut preamble = match elevation {
            Elevation::Password(_) => self.password_line(),
            Elevation::None | Elevation::Quiet(_) => Vec::new(),
        };
        preamble.extend(composed);
        let supervised = Supervised {
            preamble,
            nonce: &nonce,
            grace: command.grace,
            stop,
        };
        let line = command_line(elevation);
        match self.supervise(line, supervised, output).await {
            Ok(ending) => {
                let mut report = ending.report(sudo_user(&command.sudo));
                if report.exit == Exit::Lost {
                    report.notes.extend(self.last_words());
                }
                report
            }
            Err(report) => report,
        }
    }

    async fn upload(
        &self,
        upload: &Upload,
        progress: &(dyn Fn(u64) + Sync),
        stop: &CancellationToken,
    ) -> Result<(), TransferError> {
        transfer::upload(self, upload, progress, stop).await
    }

    async fn download(
        &self,
        fetch: &Fetch,
        into: &mut tokio::fs::File,
        progress: &(dyn Fn(u64) + Sync),
        stop: &CancellationToken,
    ) -> Result<u64, TransferError> {
        transfer::download(self, fetch, into, progress, stop).await
    }

    async fn dial(&self, host: &str, port: u16) -> io::Result<UnixStream> {
        let path = self.forward(host, port).await?;
        UnixStream::connect(Path::new(&path)).await
    }

    async fn alive(&self) -> bool {
        self.master.runs() && matches!(timeout(PROBE_LIMIT, self.mux.check()).await, Ok(Ok(())))
    }

    async fn close(self) {
        self.master.end().await;
    }
}
