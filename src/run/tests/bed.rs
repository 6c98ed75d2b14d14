//! A test bed: a plan made of a few words, played by scripted hosts; what came of it, to look at.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use indexmap::IndexMap;
use tokio::sync::mpsc;

use crate::model::{Amount, Host, HostOutcome, Label, Limits, RunId, Zone};
use crate::plan::{
    Asked, Batch, BatchRules, By, HostPlan, Lock, Pace, Phase, Plan, Resolved, WorstOut,
};
use crate::run::cancel::Signal;
use crate::run::event::{EventKind, RunEvent, RunSummary};
use crate::run::journal::{Fact, Memory};
use crate::run::prompt::Prompt;
use crate::run::record::Record;
use crate::run::sink::Sink;
use crate::run::{LockOptions, Parts, RunOptions, execute};
use crate::task::{
    Check, Engine, Fab, GateAt, Kind, LockKey, MAIN, OnFailure, Outside, ParamValue, Step,
    Strategy, Task, TaskPhase,
};
use crate::transport::Transport;
use crate::transport::scripted::{HostScript, Scripted};

use super::steps::source;

mod parts;

use parts::{Folder, Kept, Says};

/// A run that is yet to be played.
pub(super) struct Bed {
    pub(super) hosts: Vec<String>,
    pub(super) batch: usize,
    pub(super) kind: Kind,
    pub(super) max_failures: Option<usize>,
    pub(super) params: IndexMap<String, ParamValue>,
    pub(super) before: Vec<Step>,
    pub(super) steps: Vec<Step>,
    pub(super) rescue: Vec<Step>,
    pub(super) always: Vec<Step>,
    /// Undoes all that was done where hosts fail.
    pub(super) rollback: Vec<Step>,
    pub(super) health: Vec<Check>,
    pub(super) after: Vec<Step>,
    pub(super) confirm: Vec<GateAt>,
    pub(super) deadline: Option<Duration>,
    pub(super) options: RunOptions,
    /// The run takes a lock.
    pub(super) locks: bool,
    pub(super) scripts: Vec<(String, HostScript)>,
    pub(super) signals: Vec<(Duration, Signal)>,
    pub(super) says: bool,
    /// What an earlier process left in the log of `h0`.
    pub(super) log: String,
    pub(super) full_log: Option<String>,
    pub(super) slow_sink: Duration,
}

/// A run that was played.
pub(super) struct Played {
    pub(super) summary: Arc<RunSummary>,
    pub(super) events: Vec<RunEvent>,
    pub(super) transport: Scripted,
    pub(super) folder: tempfile::TempDir,
    /// How long it took by the paused clock.
    pub(super) took: Duration,
}

impl Bed {
    /// Hosts `h0`, `h1`, …, all in one batch of a `read` run, with these steps.
    pub(super) fn new(hosts: usize, steps: Vec<Step>) -> Self {
        Self {
            hosts: (0..hosts).map(|index| format!("h{index}")).collect(),
            batch: hosts.max(1),
            kind: Kind::Read,
            max_failures: None,
            params: IndexMap::new(),
            before: Vec::new(),
            steps,
            rescue: Vec::new(),
            always: Vec::new(),
            rollback: Vec::new(),
            health: Vec::new(),
            after: Vec::new(),
            confirm: Vec::new(),
            deadline: None,
            options: options(),
            locks: false,
            scripts: Vec::new(),
            signals: Vec::new(),
            says: true,
            log: String::new(),
            full_log: None,
            slow_sink: Duration::ZERO,
        }
    }

    /// A `change` in batches of so many hosts that tolerates so many failures.
    pub(super) fn change(mut self, batch: usize, max_failures: usize) -> Self {
        self.kind = Kind::Change;
        self.batch = batch;
        self.max_failures = Some(max_failures);
        self
    }

    /// What one host does.
    pub(super) fn script(mut self, host: &str, script: HostScript) -> Self {
        self.scripts.push((host.to_owned(), script));
        self
    }

    /// What every host does.
    pub(super) fn all(mut self, script: &HostScript) -> Self {
        let hosts = self.hosts.iter();
        self.scripts
            .extend(hosts.map(|host| (host.clone(), script.clone())));
        self
    }

    /// A signal after so many seconds.
    pub(super) fn signal(mut self, seconds: u64, signal: Signal) -> Self {
        self.signals.push((Duration::from_secs(seconds), signal));
        self
    }

    /// Changes anything.
    pub(super) fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// Plays the run with its scripts.
    pub(super) async fn play(self) -> Played {
        let scripted = Scripted::new(self.scripts.clone());
        let mut played = self.play_with(scripted.clone(), scripted.clone()).await;
        played.transport = scripted;
        played
    }

    /// Plays the run with its scripts; what its journal holds then.
    pub(super) async fn play_kept(self) -> (Played, Vec<Fact>) {
        let scripted = Scripted::new(self.scripts.clone());
        let journal = Arc::new(Memory::default());
        let kept = Arc::clone(&journal);
        let mut played = self
            .play_in(kept, (scripted.clone(), scripted.clone()))
            .await;
        played.transport = scripted;
        (played, journal.facts())
    }

    /// Plays the run over another transport; nothing runs on the controller.
    pub(super) async fn play_over<T: Transport>(self, transport: T) -> Played {
        self.play_with(transport, Scripted::default()).await
    }

    /// The parts of a run over this transport that leaves its events here.
    pub(super) fn parts<T: Transport>(
        &self,
        transport: T,
        local: Scripted,
        (folder, events): (&Path, &Arc<Mutex<Vec<RunEvent>>>),
    ) -> Parts<T, Scripted, impl Sink + use<T>, impl Record + use<T>, impl Prompt + use<T>> {
        Parts {
            transport,
            local,
            engine: engine(),
            sink: Kept(Arc::clone(events), self.slow_sink),
            record: Arc::new(Folder {
                path: folder.to_path_buf(),
                full: self.full_log.clone(),
            }),
            journal: Arc::new(Memory::default()),
            prompt: Says(self.says, Arc::clone(events)),
        }
    }

    async fn play_with<T: Transport>(self, transport: T, local: Scripted) -> Played {
        let journal = Arc::new(Memory::default());
        self.play_in(journal, (transport, local)).await
    }

    async fn play_in<T: Transport>(
        self,
        journal: Arc<Memory>,
        (transport, local): (T, Scripted),
    ) -> Played {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(folder.path().join("h0.log"), &self.log).expect("it can be written");
        let events = Arc::new(Mutex::new(Vec::new()));
        let (sender, signals) = mpsc::channel(8);
        let parts = self.parts(transport, local, (folder.path(), &events));
        let parts = Parts { journal, ..parts };
        let plan = Arc::new(self.plan());
        let start = tokio::time::Instant::now();
        let signalling = async {
            for (after, signal) in &self.signals {
                tokio::time::sleep_until(start + *after).await;
                // The run may be over by then.
                let _over = sender.send(*signal).await;
            }
        };
        let mut took = Duration::ZERO;
        let running = async {
            let summary = execute(plan, parts, self.options.clone(), signals).await;
            took = start.elapsed();
            summary
        };
        let (summary, ()) = tokio::join!(running, signalling);
        let events = std::mem::take(&mut *events.lock().unwrap());
        Played {
            summary,
            events,
            transport: Scripted::default(),
            folder,
            took,
        }
    }

    pub(super) fn plan(&self) -> Plan {
        let hosts: Vec<Arc<Host>> = self.hosts.iter().map(|name| host(name)).collect();
        let plans: Vec<HostPlan> = hosts.iter().map(|host| self.host_plan(host)).collect();
        let numbers: Vec<usize> = (0..plans.len()).collect();
        let batches = numbers.chunks(self.batch).enumerate();
        let batches = batches.map(|(index, hosts)| Batch {
            index,
            zone: None,
            canary: false,
            last: false,
            hosts: hosts.to_vec(),
        });
        let zones: Vec<_> = hosts.iter().map(|host| host.zone()).collect();
        Plan {
            task: Arc::new(self.task()),
            kind: self.kind,
            params: self.params.clone(),
            targets: hosts.iter().map(|host| host.id.clone()).collect(),
            population: hosts,
            members: Vec::new(),
            before: self.before.clone(),
            phases: vec![Phase {
                name: "main".to_owned(),
                by: By::Flat,
                resolved: Resolved {
                    batch: self.batch,
                    max_failures: self.max_failures,
                    ..Resolved::default()
                },
                asked: Asked::default(),
                rules: Arc::new(BatchRules::plain(By::Flat, self.batch, &zones)),
                pace: Pace {
                    confirm: self.confirm.clone(),
                    ..Pace::of(&strategy())
                },
                before: Vec::new(),
                after: Vec::new(),
                hosts: plans,
                batches: batches.collect(),
                worst_out: WorstOut {
                    overall: self.batch,
                    per_zone: std::collections::BTreeMap::new(),
                },
            }],
            after: self.after.clone(),
            warnings: Vec::new(),
            lock: self.locks.then(|| Lock {
                keys: vec!["k".to_owned(); self.hosts.len()],
            }),
            task_hash: String::new(),
            sources: Vec::new(),
        }
    }

    fn host_plan(&self, host: &Arc<Host>) -> HostPlan {
        HostPlan {
            host: Arc::clone(host),
            params: Arc::new(self.params.clone()),
            vars: Arc::default(),
            steps: self.steps.clone().into(),
            rescue: self.rescue.clone().into(),
            always: self.always.clone().into(),
            rollback: self.rollback.clone().into(),
            health: self.health.clone().into(),
            verify: Arc::default(),
        }
    }

    fn task(&self) -> Task {
        Task {
            name: "work".to_owned(),
            desc: String::new(),
            help: String::new(),
            private: false,
            kind: self.kind,
            params: IndexMap::new(),
            vars: IndexMap::new(),
            targets: Vec::new(),
            facts: Vec::new(),
            before: Vec::new(),
            phases: vec![TaskPhase::new(MAIN, strategy())],
            lock: LockKey::ByTags,
            on_failure: if self.rollback.is_empty() {
                OnFailure::Stop
            } else {
                OnFailure::RollbackAll
            },
            from_failed: false,
            notify: Vec::new(),
            after: Vec::new(),
            fanout: None,
            deadline: self.deadline,
            source: source(),
            folder: None,
            unsupported: Vec::new(),
            warnings: Vec::new(),
        }
    }
}

fn strategy() -> Strategy {
    Strategy::all(Amount::Count(0), Vec::new())
}

impl Played {
    /// A host's outcome.
    pub(super) fn outcome(&self, host: &str) -> HostOutcome {
        let mut found = self.events.iter().filter_map(|event| match &event.kind {
            EventKind::HostFinished {
                host: of, outcome, ..
            } if of.host.as_str() == host => Some(outcome.clone()),
            _ => None,
        });
        found.next().expect("every host has an outcome")
    }

    /// The words of all hosts' outcomes, in their order.
    pub(super) fn words(&self) -> Vec<&str> {
        let hosts = self.summary.hosts.values();
        hosts.map(|host| host.outcome.as_str()).collect()
    }

    /// A host's cause.
    pub(super) fn cause(&self, host: &str) -> String {
        let host = &self.summary.hosts[&Label::new(host)];
        host.cause.clone().unwrap_or_default()
    }

    /// What a host's log holds.
    pub(super) fn log(&self, host: &str) -> String {
        let path = self.folder.path().join(format!("{host}.log"));
        std::fs::read_to_string(path).unwrap_or_default()
    }

    /// The lines of output that sinks got of a host.
    pub(super) fn lines(&self, host: &str) -> Vec<String> {
        let mut all = Vec::new();
        for event in &self.events {
            if let EventKind::Output {
                host: Some(of),
                lines,
                ..
            } = &event.kind
                && of.host.as_str() == host
            {
                let text = |line: crate::run::event::Line<'_>| {
                    String::from_utf8_lossy(line.bytes).into_owned()
                };
                all.extend(lines.iter().map(text));
            }
        }
        all
    }

    /// What was noted.
    pub(super) fn notes(&self) -> Vec<String> {
        let notes = self.events.iter().filter_map(|event| match &event.kind {
            EventKind::Noted { text, .. } => Some(text.clone()),
            _ => None,
        });
        notes.collect()
    }

    /// The exit status.
    pub(super) fn exit(&self) -> u8 {
        self.summary.exit
    }

    /// Where the first event that fits stands.
    pub(super) fn position(&self, fits: impl Fn(&EventKind) -> bool) -> Option<usize> {
        self.events.iter().position(|event| fits(&event.kind))
    }
}

fn options() -> RunOptions {
    RunOptions {
        run: RunId::from_text("20260730T031244Z-work-0001"),
        limits: Limits::default(),
        attempts: 3,
        fanout: NonZeroUsize::new(32).unwrap(),
        warn_only: false,
        fail_fast: false,
        user: "mo".to_owned(),
        secrets: Vec::new(),
        lock: LockOptions::default(),
        cwd: PathBuf::from("/"),
        progress: None,
        syslog: None,
        undo: false,
    }
}

fn host(name: &str) -> Arc<Host> {
    Arc::new(Host {
        zone: Some(Zone::new("a")),
        ..Host::named(name, name)
    })
}

/// An engine on which nothing outside can be asked.
pub(super) fn engine() -> Arc<Engine> {
    struct Nothing;
    impl Outside for Nothing {
        fn now(&self) -> jiff::Timestamp {
            jiff::Timestamp::UNIX_EPOCH
        }
        fn file_sha256(&self, path: &str) -> Result<String, String> {
            Err(path.to_owned())
        }
    }
    let outside: Arc<dyn Outside> = Arc::new(Nothing);
    Arc::new(Engine::new(&outside, Fab::default()))
}
