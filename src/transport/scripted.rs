//! A transport that plays a script: the engine's test bed. Hosts refuse, hang, fail, flood, die and panic as
//! told, on tokio's clock, so that a paused one makes hours pass in no time.
//!
//! What it cannot show is what real hosts do; that is for tests over a real `sshd`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::model::{Host, Stream, UnreachableKind};

use super::{
    Attempts, ConnectError, Controller, ExecReport, Exit, Fetch, Output, Program, RemoteCommand,
    Session, Trace, TransferError, Transport, Upload,
};

/// What a connection attempt does.
#[derive(Debug, Clone)]
pub enum Connect {
    /// It succeeds after this long.
    After(Duration),
    /// It fails after this long, in this way.
    Fails(Duration, UnreachableKind),
    /// It takes for ever.
    Hangs,
    /// The transport itself breaks.
    Panics,
}

/// One thing that a command does.
#[derive(Debug, Clone)]
pub enum Act {
    /// It waits; a stop ends the command here.
    Waits(Duration),
    /// It prints bytes.
    Prints(Stream, Vec<u8>),
    /// It prints the same bytes so many times.
    Floods(Stream, Vec<u8>, usize),
    /// It ends with this code.
    Exits(u8),
    /// Its connection dies under it.
    IsLost,
    /// Its connection proves dead before anything was sent.
    WasLost,
    /// It runs until it is stopped; whether its group's end is then confirmed.
    HangsUntilStopped {
        /// Whether the end is confirmed.
        confirmed: bool,
    },
    /// It runs until it is stopped; what is left of it then is for its host to say.
    HangsUntilAsked,
    /// It heeds no stop.
    HangsForEver,
    /// sudo refuses with these words.
    SudoRefuses(String),
    /// The transport itself breaks.
    Panics,
}

/// What a command does from start to end; one that says nothing of its end exits with 0.
pub type Acts = Vec<Act>;

/// The script of one host.
#[derive(Debug, Clone, Default)]
pub struct HostScript {
    /// What each connection does in turn; after the last one, connections succeed at once.
    pub connects: Vec<Connect>,
    /// What commands that contain a text do, each time in turn; the last stays.
    commands: Vec<(String, Vec<Acts>)>,
}

impl HostScript {
    /// A host that does everything at once and well.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds what the next connection does.
    pub fn connects(mut self, connect: Connect) -> Self {
        self.connects.push(connect);
        self
    }

    /// Adds what a command containing `text` does, the next time it runs. The text that was named first
    /// wins where several are contained.
    pub fn on(mut self, text: &str, acts: impl Into<Acts>) -> Self {
        let acts = acts.into();
        match self.commands.iter_mut().find(|(known, _)| known == text) {
            Some((_, times)) => times.push(acts),
            None => self.commands.push((text.to_owned(), vec![acts])),
        }
        self
    }
}

/// What was asked of the transport, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// A connection to this host.
    Connect(String),
    /// This command on this host.
    Exec(String, String),
    /// This host's session was closed.
    Close(String),
    /// The transport was shut down.
    Shutdown,
}

#[derive(Debug, Default)]
struct Log {
    asked: Vec<Asked>,
    commands: Vec<(String, RemoteCommand)>,
    connected: usize,
    most_connected: usize,
    connects: HashMap<String, usize>,
    runs: HashMap<(String, String), usize>,
}

#[derive(Debug, Default)]
struct Stage {
    scripts: HashMap<String, HostScript>,
    log: Mutex<Log>,
}

impl Stage {
    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the next connection to a host does.
    fn connect(&self, host: &str) -> Connect {
        let mut log = self.log();
        log.asked.push(Asked::Connect(host.to_owned()));
        let time = log.connects.entry(host.to_owned()).or_default();
        let script = self.scripts.get(host).map(|script| &script.connects);
        let connect = script.and_then(|connects| connects.get(*time)).cloned();
        *time += 1;
        connect.unwrap_or(Connect::After(Duration::ZERO))
    }

    /// What a command on a host does this time.
    fn acts(&self, host: &str, command: &RemoteCommand) -> Acts {
        let text = shown(&command.program);
        let mut log = self.log();
        log.asked.push(Asked::Exec(host.to_owned(), text.clone()));
        log.commands.push((host.to_owned(), command.clone()));
        let commands = self
            .scripts
            .get(host)
            .map_or(&[][..], |script| &script.commands);
        let Some((key, times)) = commands.iter().find(|(key, _)| text.contains(key.as_str()))
        else {
            return Vec::new();
        };
        let time = log.runs.entry((host.to_owned(), key.clone())).or_default();
        let acts = times.get(*time).or_else(|| times.last()).cloned();
        *time += 1;
        acts.unwrap_or_default()
    }
}

/// A program as scripts and the log name it.
fn shown(program: &Program) -> String {
    match program {
        Program::Shell { text, .. } => text.clone(),
        Program::Argv(words) => words.join(" "),
        Program::Script { text, args, .. } => {
            format!("{} {}", String::from_utf8_lossy(text), args.join(" "))
        }
    }
}

/// The transport. Hosts without script do everything at once and well. Clones share one log.
#[derive(Debug, Clone, Default)]
pub struct Scripted(Arc<Stage>);

impl Scripted {
    /// A transport that plays these scripts, by label.
    pub fn new<L: Into<String>>(scripts: impl IntoIterator<Item = (L, HostScript)>) -> Self {
        let scripts = scripts.into_iter();
        Self(Arc::new(Stage {
            scripts: scripts
                .map(|(label, script)| (label.into(), script))
                .collect(),
            log: Mutex::default(),
        }))
    }

    /// What was asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.0.log().asked.clone()
    }

    /// The commands that ran on a host, in order, as text.
    pub fn commands_on(&self, host: &str) -> Vec<String> {
        let log = self.0.log();
        let commands = log.commands.iter().filter(|(on, _)| on == host);
        commands
            .map(|(_, command)| shown(&command.program))
            .collect()
    }

    /// Everything that was handed over with the commands of a host.
    pub fn requests_on(&self, host: &str) -> Vec<RemoteCommand> {
        let log = self.0.log();
        let commands = log.commands.iter().filter(|(on, _)| on == host);
        commands.map(|(_, command)| command.clone()).collect()
    }

    /// The most sessions that were open at the same time.
    pub fn most_connected(&self) -> usize {
        self.0.log().most_connected
    }

    /// Sessions that are open now.
    pub fn connected(&self) -> usize {
        self.0.log().connected
    }
}

impl Transport for Scripted {
    type Session = ScriptedSession;

    async fn connect(
        &self,
        host: &Host,
        attempts: Attempts<'_>,
        cancel: &CancellationToken,
    ) -> Result<ScriptedSession, ConnectError> {
        let label = host.label.to_string();
        let connect = async {
            let mut attempt = 1;
            loop {
                match self.0.connect(&label) {
                    Connect::After(pause) => {
                        sleep(pause).await;
                        return Ok(());
                    }
                    Connect::Fails(pause, kind) => {
                        sleep(pause).await;
                        if attempt >= attempts.most {
                            return Err(unreachable(kind, attempt));
                        }
                        (attempts.failed)(attempt, &format!("scripted: {kind:?}"));
                    }
                    Connect::Hangs => std::future::pending().await,
                    Connect::Panics => panic!("scripted panic while connecting"),
                }
                attempt += 1;
            }
        };
        tokio::select! {
            biased;
            () = cancel.cancelled() => return Err(ConnectError::Cancelled),
            connected = connect => connected?,
        }
        Ok(ScriptedSession::open(Arc::clone(&self.0), label))
    }

    async fn shutdown(&self) {
        self.0.log().asked.push(Asked::Shutdown);
    }
}

fn unreachable(kind: UnreachableKind, attempts: u32) -> ConnectError {
    ConnectError::Unreachable {
        kind,
        causes: vec![format!("scripted: {kind:?}")],
        hints: vec!["scripted hint".to_owned()],
        attempts,
    }
}

/// A session of [`Scripted`].
#[derive(Debug)]
pub struct ScriptedSession {
    stage: Arc<Stage>,
    host: String,
}

impl ScriptedSession {
    fn open(stage: Arc<Stage>, host: String) -> Self {
        let mut log = stage.log();
        log.connected += 1;
        log.most_connected = log.most_connected.max(log.connected);
        drop(log);
        Self { stage, host }
    }
}

impl Drop for ScriptedSession {
    fn drop(&mut self) {
        self.stage.log().connected -= 1;
    }
}

impl Session for ScriptedSession {
    async fn exec<O: Output>(
        &self,
        command: &RemoteCommand,
        output: &mut O,
        stop: &CancellationToken,
    ) -> ExecReport {
        play(self.stage.acts(&self.host, command), output, stop).await
    }

    async fn upload(
        &self,
        upload: &Upload,
        _progress: &(dyn Fn(u64) + Sync),
        _stop: &CancellationToken,
    ) -> Result<(), TransferError> {
        Err(no_transfers(&upload.remote))
    }

    async fn download(
        &self,
        fetch: &Fetch,
        _into: &mut tokio::fs::File,
        _progress: &(dyn Fn(u64) + Sync),
        _stop: &CancellationToken,
    ) -> Result<u64, TransferError> {
        Err(no_transfers(&fetch.remote))
    }

    async fn alive(&self) -> bool {
        true
    }

    async fn close(self) {
        let closed = Asked::Close(self.host.clone());
        self.stage.log().asked.push(closed);
    }
}

fn no_transfers(path: &std::path::Path) -> TransferError {
    TransferError::Remote {
        exit_code: 1,
        message: format!("scripted hosts hold no files such as {}", path.display()),
    }
}

/// The controller of a scripted run: plays the script of `@controller`.
impl Controller for Scripted {
    async fn exec<O: Output>(
        &self,
        command: &RemoteCommand,
        output: &mut O,
        stop: &CancellationToken,
    ) -> ExecReport {
        play(self.0.acts("@controller", command), output, stop).await
    }
}

/// Plays a command.
async fn play<O: Output>(acts: Acts, output: &mut O, stop: &CancellationToken) -> ExecReport {
    for act in acts {
        match act {
            Act::Waits(pause) => {
                tokio::select! {
                    biased;
                    () = stop.cancelled() => return stopped(true),
                    () = sleep(pause) => {}
                }
            }
            Act::Prints(stream, bytes) => output.chunk(stream, &bytes).await,
            Act::Floods(stream, bytes, times) => {
                for _ in 0..times {
                    output.chunk(stream, &bytes).await;
                    if stop.is_cancelled() {
                        return stopped(true);
                    }
                }
            }
            Act::Exits(code) => return report(Exit::Code(code)),
            Act::IsLost => return report(Exit::Lost),
            Act::WasLost => {
                return ExecReport {
                    started: false,
                    ..report(Exit::Lost)
                };
            }
            Act::HangsUntilStopped { confirmed } => {
                stop.cancelled().await;
                return stopped(confirmed);
            }
            Act::HangsUntilAsked => {
                stop.cancelled().await;
                let mark = "m".to_owned();
                return ExecReport {
                    trace: Some(Trace { group: 42, mark }),
                    ..stopped(false)
                };
            }
            Act::HangsForEver => std::future::pending().await,
            Act::SudoRefuses(words) => {
                return ExecReport {
                    started: false,
                    sudo_refused: Some(words),
                    ..report(Exit::Code(1))
                };
            }
            Act::Panics => panic!("scripted panic in a command"),
        }
    }
    report(Exit::Code(0))
}

fn report(exit: Exit) -> ExecReport {
    ExecReport {
        exit,
        started: true,
        left_running: false,
        group_ended: false,
        trace: None,
        notes: Vec::new(),
        sudo_refused: None,
    }
}

/// The report of a command that was stopped: ended by TERM, as far as that is known.
fn stopped(confirmed: bool) -> ExecReport {
    let exit = if confirmed {
        Exit::Code(143)
    } else {
        Exit::Lost
    };
    ExecReport {
        group_ended: confirmed,
        ..report(exit)
    }
}
