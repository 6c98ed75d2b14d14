//! The run's output for people and pipes: the handle that `app` holds and the sink that the engine feeds.
//!
//! The sink folds every event into the run's view and hands it to the printer's thread over one channel.
//! **Bound**: 8 MiB of output in flight, counted by a semaphore; besides, 8,192 further messages that are no
//! output. **What waits, what is dropped**: a `read` run waits where stdout is a pipe or a file, or where
//! output is gathered or JSON. A `change` waits for nobody, and no run waits for a terminal: lines that
//! cannot be taken are counted, shown as a count, and are in the hosts' logs. The view misses nothing, so
//! the summary is whole however slow the reader was.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use indexmap::IndexMap;
use tokio::sync::{Semaphore, oneshot};
use tokio_util::sync::CancellationToken;

use crate::run::event::{EventKind, Lines, RunEvent};
use crate::run::sink::Sink;
use crate::task::Kind;

use super::closing::{last_words, leaving};
use super::notice::Verbosity;
use super::printer::{Message, Printer};
use super::sanitize::RemoteColours;
use super::style::ColourChoice;
use super::summary::Closing;
use super::terminal::{StreamKind, Streams};
use super::view::RunView;

/// KiB of output that may be in flight.
const BUDGET: usize = 8192;
/// Messages in flight: those that the budget lets through, and as many again that are no output.
const MESSAGES: usize = 2 * BUDGET;
/// How long the end of a run waits for a reader that takes nothing.
const STALL: Duration = Duration::from_secs(2);

/// In which form a run's output appears on stdout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputForm {
    /// Lines as they come.
    Lines {
        /// Each behind its host's label; not so with `-N`.
        prefixed: bool,
    },
    /// Equal output of hosts together, at the end of each batch (`-b`).
    Gathered {
        /// Groups are shown against the largest one (`--diff`).
        diff: bool,
    },
    /// One event a line (`--json`).
    Json,
}

/// How a run is shown.
#[derive(Debug, Clone, Copy)]
pub struct ScreenOptions {
    /// The form of its output.
    pub form: OutputForm,
    /// How much is said besides.
    pub verbosity: Verbosity,
    /// Our own colours.
    pub colours: ColourChoice,
    /// Colours of remote text on a terminal.
    pub remote_colours: RemoteColours,
}

impl Default for ScreenOptions {
    fn default() -> Self {
        Self {
            form: OutputForm::Lines { prefixed: true },
            verbosity: Verbosity::Normal,
            colours: ColourChoice::Auto,
            remote_colours: RemoteColours::Removed,
        }
    }
}

/// The streams that a screen writes to.
pub struct Outlets {
    /// What they are.
    pub streams: Streams,
    /// Data.
    pub stdout: Box<dyn Write + Send>,
    /// Everything else.
    pub stderr: Box<dyn Write + Send>,
    /// Stderr once more, for the summary where the printer is stuck in a write that never ends.
    pub last_resort: Box<dyn Write + Send>,
}

impl Outlets {
    /// The process's own, unbuffered.
    ///
    /// # Errors
    /// A stream is closed, or no file descriptor is left.
    pub fn of_process() -> io::Result<Self> {
        let stdout = io::stdout().as_fd().try_clone_to_owned()?;
        let stderr = io::stderr().as_fd().try_clone_to_owned()?;
        let again = stderr.try_clone()?;
        Ok(Self {
            streams: Streams::detect(),
            stdout: Box::new(std::fs::File::from(stdout)),
            stderr: Box::new(std::fs::File::from(stderr)),
            last_resort: Box::new(std::fs::File::from(again)),
        })
    }
}

/// How long the printer may take to say the last words of a process that ends.
const LEAVE: Duration = Duration::from_secs(1);

/// What sink, printer and handle share.
pub(crate) struct Shared {
    budget: Semaphore,
    view: Mutex<RunView>,
    skipped: Mutex<IndexMap<String, u64>>,
    /// Events of the JSON stream that were not written.
    pub(crate) dropped: AtomicU64,
    /// Writes that came to their end.
    pub(crate) moved: AtomicU64,
    /// Whoever read stdout has gone.
    pub(crate) closed_pipe: CancellationToken,
    /// Nobody is waited for from here on.
    hurry: CancellationToken,
    /// The printer has ended.
    pub(crate) finished: CancellationToken,
}

impl Shared {
    fn new() -> Self {
        Self {
            budget: Semaphore::new(BUDGET),
            view: Mutex::default(),
            skipped: Mutex::default(),
            dropped: AtomicU64::new(0),
            moved: AtomicU64::new(0),
            closed_pipe: CancellationToken::new(),
            hurry: CancellationToken::new(),
            finished: CancellationToken::new(),
        }
    }

    pub(crate) fn view(&self) -> MutexGuard<'_, RunView> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lines of each host that were not shown.
    pub(crate) fn skipped(&self) -> Vec<(String, u64)> {
        let skipped = self.skipped.lock().unwrap_or_else(PoisonError::into_inner);
        skipped
            .iter()
            .map(|(host, count)| (host.clone(), *count))
            .collect()
    }

    pub(crate) fn give_back(&self, permits: u32) {
        self.budget.add_permits(permits as usize);
    }

    fn skip(&self, host: &str, lines: usize) {
        let mut skipped = self.skipped.lock().unwrap_or_else(PoisonError::into_inner);
        *skipped.entry(host.to_owned()).or_default() += lines as u64;
    }
}

/// A run's screen. Owns the printer's thread, which [`Screen::finish`] ends.
pub struct Screen {
    handle: ScreenHandle,
    options: ScreenOptions,
    streams: Streams,
    last_resort: Box<dyn Write + Send>,
    printer: std::thread::JoinHandle<()>,
}

impl Screen {
    /// Starts the printer over these outlets.
    ///
    /// # Errors
    /// No thread could be started.
    pub fn start(options: ScreenOptions, outlets: Outlets) -> io::Result<Self> {
        let (sender, receiver) = sync_channel(MESSAGES);
        let shared = Arc::new(Shared::new());
        let Outlets {
            streams,
            stdout,
            stderr,
            last_resort,
        } = outlets;
        let printer = Printer::new(options, streams, Arc::clone(&shared), [stdout, stderr]);
        let printer = std::thread::Builder::new()
            .name("printer".into())
            .spawn(move || printer.run(&receiver))?;
        Ok(Self {
            handle: ScreenHandle { sender, shared },
            options,
            streams,
            last_resort,
            printer,
        })
    }

    /// The sink for the engine.
    pub fn sink(&self) -> ScreenSink {
        ScreenSink {
            handle: self.handle.clone(),
            waits_for_reader: self.streams.stdout != StreamKind::Terminal
                || !matches!(self.options.form, OutputForm::Lines { .. }),
            kind: None,
        }
    }

    /// A handle for whoever has to say or ask something while the run goes on.
    pub fn handle(&self) -> ScreenHandle {
        self.handle.clone()
    }

    /// Cancelled once whoever read stdout has gone, or stdout takes no more: a `read` run is to end then.
    pub fn closed_pipe(&self) -> CancellationToken {
        self.handle.shared.closed_pipe.clone()
    }

    /// Prints what is left and the summary, and ends the printer. A `read` run's reader is waited for as
    /// long as it takes; a `change`'s, or anybody after [`ScreenHandle::stop_waiting`], for two seconds
    /// without progress.
    pub async fn finish(self, closing: Closing) {
        let shared = &self.handle.shared;
        let mut end = Some(Message::Finish(Box::new(closing.clone())));
        loop {
            if let Some(message) = end.take()
                && let Err(TrySendError::Full(message)) = self.handle.sender.try_send(message)
            {
                end = Some(message);
            }
            let moved = shared.moved.load(Ordering::Relaxed);
            if tokio::time::timeout(STALL, shared.finished.cancelled())
                .await
                .is_ok()
            {
                // A panic of the printer has been printed by the panic hook.
                let _ = self.printer.join();
                return;
            }
            let patient = shared.view().kind == Some(Kind::Read) && !shared.hurry.is_cancelled();
            if !patient && shared.moved.load(Ordering::Relaxed) == moved {
                break;
            }
        }
        let text = last_words(shared, &closing, self.options, self.streams);
        self.say_at_last(text).await;
    }

    /// Writes the summary from a thread of its own: stderr may be stuck as well.
    async fn say_at_last(self, text: String) {
        let (done, written) = oneshot::channel();
        let mut stderr = self.last_resort;
        let thread = std::thread::Builder::new().spawn(move || {
            // Whether it was written or not, nobody is left to be told.
            let _ = super::sheet::write_fully(&mut *stderr, text.as_bytes());
            let _ = done.send(());
        });
        if thread.is_ok() {
            let _ = tokio::time::timeout(STALL, written).await;
        }
    }
}

/// Says and asks while a run goes on.
#[derive(Clone)]
pub struct ScreenHandle {
    sender: SyncSender<Message>,
    shared: Arc<Shared>,
}

impl ScreenHandle {
    /// A line for people, above the status block. Dropped where the screen is stuck.
    pub fn note(&self, text: impl Into<String>) {
        let _ = self.sender.try_send(Message::Note(text.into()));
    }

    /// Shows a question without a newline and keeps the status block away until the answer is dropped in:
    /// the block comes back when the returned value is dropped. Lines that come meanwhile are followed by
    /// the question once more.
    pub async fn ask(&self, question: &str) -> Asking {
        let (shown, is_shown) = oneshot::channel();
        let message = Message::Ask(question.to_owned(), shown);
        if self.sender.try_send(message).is_ok() {
            tokio::select! {
                _ = is_shown => {}
                () = self.shared.finished.cancelled() => {}
            }
        }
        Asking {
            handle: self.clone(),
        }
    }

    /// Says at the third signal where the record is and what to type next, in place of the status block; takes
    /// [`LEAVE`] at most, unless stderr itself takes nothing.
    pub fn leave(&self) {
        let text = leaving(&self.shared.view());
        let (said, is_said) = sync_channel(1);
        let message = Message::Leave(text.clone(), said);
        let told = self.sender.try_send(message).is_ok();
        if told && is_said.recv_timeout(LEAVE).is_ok() {
            return;
        }
        // The printer is stuck: the block stays, and the words go past it.
        let _ = super::sheet::write_fully(&mut io::stderr(), format!("\n{text}").as_bytes());
    }

    /// No reader is waited for from here on: a signal has come, and it must not wait behind a stalled pipe.
    pub fn stop_waiting(&self) {
        self.shared.hurry.cancel();
    }
}

/// A question on the screen.
pub struct Asking {
    handle: ScreenHandle,
}

impl Drop for Asking {
    fn drop(&mut self) {
        let _ = self.handle.sender.try_send(Message::Answered);
    }
}

/// Takes the engine's events; see the module for what waits and what is dropped.
pub struct ScreenSink {
    handle: ScreenHandle,
    waits_for_reader: bool,
    kind: Option<Kind>,
}

impl ScreenSink {
    fn waits(&self) -> bool {
        self.waits_for_reader
            && self.kind == Some(Kind::Read)
            && !self.handle.shared.hurry.is_cancelled()
    }

    /// Room for a message: so many permits, or none where it was not waited for.
    async fn room(&self, cost: u32) -> Option<u32> {
        let shared = &self.handle.shared;
        let free = |permit: tokio::sync::SemaphorePermit<'_>| {
            permit.forget();
            cost
        };
        if !self.waits() {
            return shared.budget.try_acquire_many(cost).ok().map(free);
        }
        tokio::select! {
            permit = shared.budget.acquire_many(cost) => permit.ok().map(free),
            () = shared.hurry.cancelled() => shared.budget.try_acquire_many(cost).ok().map(free),
            () = shared.finished.cancelled() => None,
        }
    }

    fn send(&self, event: &RunEvent, permits: u32) {
        let message = Message::Event(event.clone(), permits);
        if self.handle.sender.try_send(message).is_err() {
            self.handle.shared.give_back(permits);
            self.handle.shared.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Sink for ScreenSink {
    async fn accept(&mut self, event: &RunEvent) {
        let shared = &self.handle.shared;
        if let EventKind::RunStarted { task_kind, .. } = &event.kind {
            self.kind = Some(*task_kind);
        }
        shared.view().apply(event);
        let EventKind::Output {
            host, lines, quiet, ..
        } = &event.kind
        else {
            let permits = self.room(1).await.unwrap_or(0);
            self.send(event, permits);
            return;
        };
        if *quiet || lines.is_empty() || shared.closed_pipe.is_cancelled() {
            return;
        }
        if let Some(permits) = self.room(cost_of(lines)).await {
            self.send(event, permits);
        } else {
            let host = host.as_ref().map_or("local", |host| host.host.as_str());
            shared.skip(host, lines.len());
        }
    }
}

/// What lines hold in memory, in KiB, rounded up.
fn cost_of(lines: &Lines) -> u32 {
    let bytes: usize = lines.iter().map(|line| line.bytes.len() + 16).sum();
    u32::try_from((bytes / 1024 + 1).min(BUDGET)).unwrap_or(1)
}

#[cfg(test)]
#[path = "screen_tests.rs"]
mod tests;
