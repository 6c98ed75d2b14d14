//! Keeps a run's journal: one thread writes, and one sync serves every fact that waits for it.
//!
//! What waits to be written is bounded by the hosts at work: each of them notes a handful of facts and then
//! waits for them, in a run that changes hosts. One that only reads writes without sync and waits for nothing;
//! its facts are as many as its steps.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use futures_util::future::BoxFuture;
use tokio::sync::watch;

use crate::model::RunId;
use crate::run::journal::{Fact, Journal};

use super::record::{FORMAT, Record};

/// How many folders above the file a run may have made: its own, that of all runs, and the one that holds this.
const FOLDERS: usize = 3;

/// Whether facts must survive a crash of the whole machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sync {
    /// Every write is synced: the run changes hosts.
    Always,
    /// The system writes when it likes: the run only reads, and goes on without a journal too.
    Never,
}

/// Writes a run's journal. Its end waits until everything is written.
#[derive(Debug)]
pub struct Writer {
    run: RunId,
    sync: Sync,
    desk: Arc<Desk>,
    kept: watch::Receiver<Kept>,
    thread: Option<JoinHandle<()>>,
}

/// What was written so far, or why nothing is any more.
#[derive(Debug, Clone, Default)]
struct Kept {
    /// Facts, from the file's first.
    seq: u64,
    fault: Option<String>,
}

#[derive(Debug, Default)]
struct Desk {
    waiting: Mutex<Waiting>,
    wake: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    lines: Vec<u8>,
    /// The number of the next fact.
    seq: u64,
    closed: bool,
}

impl Desk {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes everything that waits, once something does; `None` at the end.
    fn next(&self) -> Option<(Vec<u8>, u64)> {
        let mut waiting = self.lock();
        loop {
            if !waiting.lines.is_empty() {
                return Some((std::mem::take(&mut waiting.lines), waiting.seq));
            }
            if waiting.closed {
                return None;
            }
            waiting = self
                .wake
                .wait(waiting)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Writer {
    /// Goes on with the journal at `path`, of which `whole` bytes hold `records` records; 0 and 0 begin one.
    ///
    /// # Errors
    /// The file cannot be opened, or a torn end of it cannot be cut off.
    pub fn open(
        path: &Path,
        run: &RunId,
        (whole, records): (usize, u64),
        sync: Sync,
    ) -> io::Result<Self> {
        use std::os::unix::fs::OpenOptionsExt as _;
        let file = std::fs::OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(path)?;
        file.set_len(whole as u64)?;
        if sync == Sync::Always {
            file.sync_all()?;
            // The file's name must survive too, and those of the run's folder and of the folder of all runs. Some
            // file systems cannot sync a folder.
            for folder in path.ancestors().skip(1).take(FOLDERS) {
                let _unsynced = File::open(folder).and_then(|folder| folder.sync_all());
            }
        }
        Self::to(file, run, records, sync)
    }

    fn to(mut file: File, run: &RunId, records: u64, sync: Sync) -> io::Result<Self> {
        let desk = Arc::new(Desk::default());
        desk.lock().seq = records;
        let (sender, kept) = watch::channel(Kept {
            seq: records,
            fault: None,
        });
        let theirs = Arc::clone(&desk);
        let thread = std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || {
                while let Some((lines, seq)) = theirs.next() {
                    let written = file.write_all(&lines).and_then(|()| match sync {
                        Sync::Always => file.sync_data(),
                        Sync::Never => Ok(()),
                    });
                    let fault = written.err().map(|error| error.to_string());
                    let failed = fault.is_some();
                    sender.send_modify(|kept| match fault {
                        None => kept.seq = seq,
                        Some(fault) => kept.fault = Some(fault),
                    });
                    if failed {
                        // A journal with a gap is worse than a short one.
                        return;
                    }
                }
            })?;
        Ok(Self {
            run: run.clone(),
            sync,
            desk,
            kept,
            thread: Some(thread),
        })
    }
}

impl Journal for Writer {
    fn note(&self, fact: Fact) {
        let mut waiting = self.desk.lock();
        if self.kept.borrow().fault.is_some() {
            return;
        }
        let record = Record {
            v: FORMAT,
            seq: waiting.seq,
            time: jiff::Timestamp::now(),
            run: self.run.clone(),
            fact,
        };
        record.write(&mut waiting.lines);
        waiting.seq += 1;
        drop(waiting);
        self.desk.wake.notify_one();
    }

    fn settled(&self) -> BoxFuture<'_, Result<(), String>> {
        if self.sync == Sync::Never {
            return Box::pin(std::future::ready(Ok(())));
        }
        let until = self.desk.lock().seq;
        let mut kept = self.kept.clone();
        Box::pin(async move {
            let settled = kept.wait_for(|kept| kept.seq >= until || kept.fault.is_some());
            match settled.await {
                Ok(kept) if kept.seq >= until => Ok(()),
                Ok(kept) => Err(unwritable(kept.fault.as_deref().unwrap_or_default())),
                Err(_gone) => Err(unwritable("its writer has gone")),
            }
        })
    }

    fn fault(&self) -> Option<String> {
        let fault = self.kept.borrow().fault.clone();
        fault.map(|fault| unwritable(&fault))
    }
}

fn unwritable(fault: &str) -> String {
    format!("the run's journal cannot be written: {fault}")
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.desk.lock().closed = true;
        self.desk.wake.notify_one();
        if let Some(thread) = self.thread.take() {
            // A writer that panicked has written what it could.
            let _panicked = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::journal::read;

    use super::*;

    fn run() -> RunId {
        RunId::from_text("20260730T031244Z-work-0001")
    }

    fn bake(length_ms: u64) -> Fact {
        Fact::Bake { length_ms }
    }

    fn opening() -> Fact {
        Fact::RunStarted(Box::new(crate::run::journal::Opening {
            task: "work".to_owned(),
            task_hash: String::new(),
            changes: true,
            population: Vec::new(),
            targets: Vec::new(),
            retries: None,
            process: crate::run::journal::Process { pid: 1, started: 0 },
            typed: serde_json::Value::Null,
        }))
    }

    #[tokio::test]
    async fn what_is_settled_is_in_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.jsonl");
        let writer = Writer::open(&path, &run(), (0, 0), Sync::Always).unwrap();
        writer.note(opening());
        writer.note(bake(1));
        writer.settled().await.unwrap();
        let found = read(&run(), &std::fs::read(&path).unwrap()).unwrap();
        assert_eq!(found.records.len(), 2);
        assert_eq!(found.records[1].fact, bake(1));
    }

    #[tokio::test]
    async fn a_torn_end_is_cut_off_before_more_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.jsonl");
        drop({
            let writer = Writer::open(&path, &run(), (0, 0), Sync::Always).unwrap();
            writer.note(opening());
            writer.note(bake(1));
            writer
        });
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() - 3]).unwrap();
        let found = read(&run(), &std::fs::read(&path).unwrap()).unwrap();
        assert_eq!(found.records.len(), 1);
        drop({
            let writer = Writer::open(&path, &run(), (found.whole, 1), Sync::Always).unwrap();
            writer.note(bake(2));
            writer
        });
        let found = read(&run(), &std::fs::read(&path).unwrap()).unwrap();
        assert_eq!(found.records[1].fact, bake(2));
    }

    /// `/dev/full` answers every write as a full disk does.
    #[tokio::test]
    async fn a_full_disk_is_said_to_whoever_waits_and_ever_after() {
        let full = || std::fs::OpenOptions::new().append(true).open("/dev/full");
        let writer = Writer::to(full().unwrap(), &run(), 0, Sync::Always).unwrap();
        writer.note(opening());
        let error = writer.settled().await.unwrap_err();
        assert_eq!(
            error,
            "the run's journal cannot be written: No space left on device (os error 28)"
        );
        writer.note(bake(1));
        assert_eq!(writer.settled().await.unwrap_err(), error);
        assert_eq!(writer.fault(), Some(error));
        let reading = Writer::to(full().unwrap(), &run(), 0, Sync::Never).unwrap();
        reading.note(opening());
        assert_eq!(reading.settled().await, Ok(()));
    }
}
