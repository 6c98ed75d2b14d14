//! Hosts that remember: what every command did to them, across the processes of a run. They answer at the
//! prompt too, as somebody would who looked at the host first.
//!
//! Their commands are `put KEY VALUE` (again is the same), `add KEY` (again is twice), `flaky KEY N` (as
//! `add`, but fails N times first), `switch KEY RELEASE`, `get KEY`, and `has KEY`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::model::{Host, Stream};
use crate::run::event::GateAnswer;
use crate::run::prompt::{Answer, GateQuestion, GateReply, Prompt};
use crate::transport::{
    Attempts, ConnectError, Controller, ExecReport, Exit, Fetch, Output, Program, RemoteCommand,
    Session, TransferError, Transport, Upload,
};

use super::disk::Disk;

/// What is on a host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Contents {
    /// What was put there.
    pub(super) values: BTreeMap<String, String>,
    /// How often something was added.
    pub(super) counts: BTreeMap<String, usize>,
}

/// A command that a host got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) process: usize,
    pub(super) host: String,
    pub(super) text: String,
}

#[derive(Debug, Default)]
struct State {
    hosts: BTreeMap<String, Contents>,
    tries: BTreeMap<(String, String), usize>,
    sent: Vec<Sent>,
    process: usize,
    disk: Option<Arc<Disk>>,
    /// Commands that came before the journal had them.
    unwritten: Vec<Sent>,
}

/// What never works, and how long things take effect.
#[derive(Debug, Clone, Default)]
pub(super) struct Nature {
    /// Keys that fail on a host.
    pub(super) failing: Vec<(String, String)>,
    /// They do so once, and never again.
    pub(super) heals: bool,
    /// A command takes effect as soon as it is sent, else when it ends.
    pub(super) eager: bool,
}

#[derive(Debug, Default)]
struct Inner {
    nature: Nature,
    state: Mutex<State>,
}

/// The hosts of a run. Clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct World(Arc<Inner>);

/// The machine that the run is started on, as hosts are named here.
pub(super) const CONTROLLER: &str = "controller";

impl World {
    pub(super) fn new(nature: Nature) -> Self {
        Self(Arc::new(Inner {
            nature,
            state: Mutex::default(),
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap()
    }

    /// A process begins, which writes to this disk.
    pub(super) fn process(&self, disk: &Arc<Disk>) {
        let mut state = self.state();
        state.process += 1;
        state.disk = Some(Arc::clone(disk));
    }

    /// A host did this before anybody asked.
    pub(super) fn did(&self, host: &str, text: &str) {
        self.does(host, text);
    }

    pub(super) fn hosts(&self) -> BTreeMap<String, Contents> {
        self.state().hosts.clone()
    }

    /// Commands of the latest process.
    pub(super) fn sent_last(&self) -> Vec<Sent> {
        let state = self.state();
        let sent = state.sent.iter();
        sent.filter(|sent| sent.process == state.process)
            .cloned()
            .collect()
    }

    pub(super) fn unwritten(&self) -> Vec<Sent> {
        self.state().unwritten.clone()
    }

    /// A command comes to a host.
    fn arrives(&self, host: &str, text: &str) {
        let mut state = self.state();
        let sent = Sent {
            process: state.process,
            host: host.to_owned(),
            text: text.to_owned(),
        };
        let disk = state.disk.clone().expect("a process runs");
        if is_change(text) && !disk.knows_of(host, text) {
            state.unwritten.push(sent.clone());
        }
        state.sent.push(sent);
    }

    /// What a command does; its exit code and output.
    fn does(&self, host: &str, text: &str) -> (u8, String) {
        let words: Vec<&str> = text.split_whitespace().collect();
        let mut state = self.state();
        let key = words[1].to_owned();
        let fails = (host.to_owned(), key.clone());
        let tried = state.tries.entry(fails.clone()).or_default();
        *tried += usize::from(is_change(text));
        let tried = *tried;
        let nature = &self.0.nature;
        if is_change(text) && nature.failing.contains(&fails) && (tried == 1 || !nature.heals) {
            return (3, "it does not work\n".to_owned());
        }
        if words[0] == "flaky" && tried <= words[2].parse().unwrap() {
            return (1, String::new());
        }
        let contents = state.hosts.entry(host.to_owned()).or_default();
        match words[0] {
            "put" => {
                contents.values.insert(key, words[2..].join(" "));
            }
            "switch" => {
                let release = "release".to_owned();
                contents.values.insert(release, words[2].to_owned());
            }
            "add" | "flaky" => *contents.counts.entry(key).or_default() += 1,
            "get" => {
                let value = contents.values.get(&key);
                return (0, format!("{}\n", value.map_or("none", String::as_str)));
            }
            "has" => return (u8::from(!contents.counts.contains_key(&key)), String::new()),
            other => panic!("hosts know no `{other}`"),
        }
        (0, String::new())
    }

    async fn runs<O: Output>(
        &self,
        (host, command): (&str, &RemoteCommand),
        output: &mut O,
        stop: &CancellationToken,
    ) -> ExecReport {
        let Program::Shell { text, .. } = &command.program else {
            panic!("hosts have a shell: {command:?}");
        };
        let text = &text.replace('\'', "");
        self.arrives(host, text);
        let mut done = self.0.nature.eager.then(|| self.does(host, text));
        tokio::select! {
            biased;
            () = stop.cancelled() => return report(Exit::Code(143), true),
            () = sleep(Duration::from_secs(1)) => {}
        }
        let (code, said) = done.take().unwrap_or_else(|| self.does(host, text));
        output.chunk(Stream::Stdout, said.as_bytes()).await;
        report(Exit::Code(code), false)
    }

    /// Whether the step that a question names was done.
    fn was_done(&self, question: &str) -> bool {
        let mut words = question.split('`');
        let step = words.nth(1).expect("a step is named");
        let host = words.next().and_then(|rest| rest.strip_prefix(" on "));
        let host = host.expect("a host is named").split(' ').next().unwrap();
        let host = match host {
            "the" => CONTROLLER,
            host => host,
        };
        let state = self.state();
        let contents = state.hosts.get(host);
        contents.is_some_and(|contents| contents.counts.contains_key(step))
    }
}

/// Whether a command changes something.
pub(super) fn is_change(text: &str) -> bool {
    !["get", "has"].contains(&text.split_whitespace().next().unwrap())
}

fn report(exit: Exit, group_ended: bool) -> ExecReport {
    ExecReport {
        exit,
        started: true,
        left_running: false,
        group_ended,
        notes: Vec::new(),
        sudo_refused: None,
        trace: None,
    }
}

/// A session to a host.
#[derive(Debug)]
pub(super) struct ToHost(World, String);

impl Transport for World {
    type Session = ToHost;

    async fn connect(
        &self,
        host: &Host,
        _attempts: Attempts<'_>,
        _cancel: &CancellationToken,
    ) -> Result<ToHost, ConnectError> {
        Ok(ToHost(self.clone(), host.label.to_string()))
    }

    async fn shutdown(&self) {}
}

impl Session for ToHost {
    async fn exec<O: Output>(
        &self,
        command: &RemoteCommand,
        output: &mut O,
        stop: &CancellationToken,
    ) -> ExecReport {
        self.0.runs((&self.1, command), output, stop).await
    }

    async fn upload(
        &self,
        upload: &Upload,
        _progress: &(dyn Fn(u64) + Sync),
        _stop: &CancellationToken,
    ) -> Result<(), TransferError> {
        Err(no_files(&upload.remote))
    }

    async fn download(
        &self,
        fetch: &Fetch,
        _into: &mut tokio::fs::File,
        _progress: &(dyn Fn(u64) + Sync),
        _stop: &CancellationToken,
    ) -> Result<u64, TransferError> {
        Err(no_files(&fetch.remote))
    }

    async fn alive(&self) -> bool {
        true
    }

    async fn close(self) {}
}

fn no_files(path: &Path) -> TransferError {
    TransferError::Remote {
        exit_code: 1,
        message: format!("no files here such as {}", path.display()),
    }
}

impl Controller for World {
    async fn exec<O: Output>(
        &self,
        command: &RemoteCommand,
        output: &mut O,
        stop: &CancellationToken,
    ) -> ExecReport {
        self.runs((CONTROLLER, command), output, stop).await
    }
}

impl Prompt for World {
    async fn ask(
        &self,
        _question: &str,
        _default: Option<bool>,
        _timeout: Option<Duration>,
    ) -> Answer {
        Answer {
            yes: true,
            by: "terminal",
        }
    }

    async fn gate(&self, gate: &GateQuestion<'_>) -> GateReply {
        let is_of_step = gate.question.starts_with("step `");
        let answer = if is_of_step && !self.was_done(gate.question) {
            GateAnswer::Retry
        } else {
            GateAnswer::Go
        };
        GateReply {
            answer,
            by: "terminal",
        }
    }
}
