//! Steps that go on by themselves while the process that follows them dies: one start whatever dies when.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::journal::replay;
use crate::model::{Host, Stream};
use crate::run::progress::Progress;
use crate::run::{Parts, RunOptions, execute};
use crate::transport::scripted::Scripted;
use crate::transport::{
    Attempts, ConnectError, ExecReport, Exit, Fetch, Output, Program, RemoteCommand, Session,
    TransferError, Transport, Upload,
};

use super::bed::Bed;
use super::crashes::disk::{Death, Disk};
use super::crashes::laws::opening;
use super::detached::alone;

/// A host as it is: whoever makes a folder starts its step; it ends when somebody follows it.
#[derive(Debug, Clone, Default)]
struct Machine(Arc<Mutex<BTreeMap<String, Alone>>>);

#[derive(Debug, Default)]
struct Alone {
    starts: usize,
    ended: bool,
    removed: bool,
}

impl Transport for Machine {
    type Session = Self;

    async fn connect(
        &self,
        _: &Host,
        _: Attempts<'_>,
        _: &CancellationToken,
    ) -> Result<Self, ConnectError> {
        Ok(self.clone())
    }

    async fn shutdown(&self) {}
}

impl Session for Machine {
    async fn exec<O: Output>(
        &self,
        command: &RemoteCommand,
        output: &mut O,
        _: &CancellationToken,
    ) -> ExecReport {
        let said = self.told(command);
        tokio::task::yield_now().await;
        output.chunk(Stream::Stdout, said.as_bytes()).await;
        ExecReport {
            exit: Exit::Code(0),
            started: true,
            left_running: false,
            group_ended: false,
            notes: Vec::new(),
            sudo_refused: None,
            trace: None,
        }
    }

    async fn upload(
        &self,
        _: &Upload,
        _: &(dyn Fn(u64) + Sync),
        _: &CancellationToken,
    ) -> Result<(), TransferError> {
        Ok(())
    }

    async fn download(
        &self,
        _: &Fetch,
        _: &mut tokio::fs::File,
        _: &(dyn Fn(u64) + Sync),
        _: &CancellationToken,
    ) -> Result<u64, TransferError> {
        Ok(0)
    }

    async fn alive(&self) -> bool {
        true
    }

    async fn close(self) {}
}

impl Machine {
    fn told(&self, command: &RemoteCommand) -> &'static str {
        let mut folders = self.0.lock().unwrap();
        if let Some(detach) = &command.detach {
            let alone = folders.entry(detach.folder.path()).or_default();
            let first = alone.starts == 0 || alone.removed;
            alone.starts += usize::from(first);
            return if first { "started\n" } else { "there\n" };
        }
        let Program::Argv(words) = &command.program else {
            return "";
        };
        let [_, _, _, _, verb, base, run, name, ..] = &words[..] else {
            return "";
        };
        let path = format!("{base}/fab-rs-*/{run}/{name}");
        let Some(alone) = folders.get_mut(&path).filter(|alone| !alone.removed) else {
            return "absent\n";
        };
        match verb.as_str() {
            "follow" => {
                alone.ended = true;
                "a line\n"
            }
            "remove" => {
                assert!(alone.ended, "removed while it ran");
                alone.removed = true;
                "absent\n"
            }
            _ if alone.ended => "ended 0 n g\n",
            _ => "runs\n",
        }
    }
}

/// Plays until the end or until the process dies; whether it ended well.
async fn lived(machine: &Machine, journal: &Arc<Disk>, progress: Option<Progress>) -> bool {
    let steps = vec![alone("first"), alone("second")];
    let bed = Bed::new(2, steps).change(2, 0);
    let folder = tempfile::tempdir().unwrap();
    let events = Arc::default();
    let parts = bed.parts(
        machine.clone(),
        Scripted::default(),
        (folder.path(), &events),
    );
    let parts = Parts {
        journal: Arc::clone(journal) as _,
        ..parts
    };
    let options = RunOptions {
        progress: progress.map(Arc::new),
        ..bed.options.clone()
    };
    let (_sender, signals) = mpsc::channel(1);
    let running = execute(Arc::new(bed.plan()), parts, options, signals);
    tokio::select! {
        biased;
        () = journal.dead.cancelled() => false,
        summary = running => {
            assert_eq!(summary.exit, 0);
            true
        }
    }
}

/// The facts of a run that nobody killed, without what opens it.
async fn undisturbed() -> usize {
    let journal = Disk::endless(Vec::new());
    assert!(lived(&Machine::default(), &journal, None).await);
    journal.facts().len()
}

#[tokio::test(start_paused = true)]
async fn a_process_that_dies_after_any_fact_starts_nothing_twice_and_leaves_nothing_out() {
    let facts = undisturbed().await;
    assert!(facts > 20, "{facts}");
    for lives in 1..facts {
        let machine = Machine::default();
        let first = Disk::new(Vec::new(), lives, Death::AtOnce);
        assert!(!lived(&machine, &first, None).await);
        let plan = Bed::new(2, Vec::new()).change(2, 0).plan();
        let mut known = vec![opening(&plan)];
        known.extend(first.facts());
        let second = Disk::endless(Vec::new());
        assert!(
            lived(&machine, &second, Some(replay(&known))).await,
            "killed at {lives}"
        );
        let folders = machine.0.lock().unwrap();
        assert_eq!(folders.len(), 4, "killed at {lives}: {folders:?}");
        for (path, alone) in &*folders {
            assert_eq!(alone.starts, 1, "killed at {lives}: {path}");
        }
    }
}
