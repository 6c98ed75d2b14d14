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
mod tests {
    use std::io::Read as _;

    use crate::model::{HostOutcome, Stream};

    use super::super::samples::{
        event, every_kind, failed, finished, output, run_started, summary,
    };
    use super::*;

    /// A screen over real pipes, and the ends to read.
    fn piped(options: ScreenOptions) -> (Screen, io::PipeReader, io::PipeReader) {
        screen_on(StreamKind::Pipe, options)
    }

    /// As [`piped`], with a stdout that is taken for something else.
    fn screen_on(
        kind: StreamKind,
        options: ScreenOptions,
    ) -> (Screen, io::PipeReader, io::PipeReader) {
        let (stdout, out) = io::pipe().unwrap();
        let (stderr, err) = io::pipe().unwrap();
        let outlets = Outlets {
            streams: Streams {
                stdout: kind,
                stderr: StreamKind::Pipe,
                shared: false,
                width: 100,
                height: 24,
            },
            last_resort: Box::new(err.try_clone().unwrap()),
            stdout: Box::new(out),
            stderr: Box::new(err),
        };
        (Screen::start(options, outlets).unwrap(), stdout, stderr)
    }

    /// Reads a pipe to its end, in a thread of its own as a reader is.
    fn read(mut pipe: io::PipeReader) -> std::thread::JoinHandle<String> {
        std::thread::spawn(move || {
            let mut text = String::new();
            pipe.read_to_string(&mut text).unwrap();
            text
        })
    }

    async fn feed(screen: &Screen, kinds: Vec<EventKind>) {
        let mut sink = screen.sink();
        for (seq, kind) in (0..).zip(kinds) {
            sink.accept(&event(seq, seq * 10, kind)).await;
        }
    }

    fn two_hosts(kind: Kind) -> Vec<EventKind> {
        vec![
            run_started(kind, &[("app-1", "a"), ("db", "b")]),
            output("app-1", Stream::Stdout, &[b"one"]),
            output("db", Stream::Stderr, &[b"oh"]),
            output("db", Stream::Stdout, &[b"two"]),
            finished("app-1", HostOutcome::Ok, 1000, &[]),
            finished("db", failed(3), 1000, &["oh"]),
        ]
    }

    fn flood(lines: usize) -> EventKind {
        let line = [b'x'; 99];
        let lines: Vec<&[u8]> = (0..lines).map(|_| line.as_slice()).collect();
        output("app-1", Stream::Stdout, &lines)
    }

    #[tokio::test]
    async fn data_goes_to_stdout_and_words_to_stderr() {
        let (screen, out, err) = piped(ScreenOptions::default());
        let (out, err) = (read(out), read(err));
        feed(&screen, two_hosts(Kind::Read)).await;
        screen.finish(Closing::default()).await;
        insta::assert_snapshot!(out.join().unwrap(), @r"
        app-1 │ one
        db    │ two
        ");
        insta::assert_snapshot!(err.join().unwrap(), @r"
        db    │ oh
        db  failed at step `dump`: exit 3 after 1.0 s, last line:
                  | oh
        summary: 1 succeeded, 1 failed in 0.1 s
        record: /state/runs/20250102T030405Z-heapdump-00ff
        next: fab-rs logs last db
        ");
    }

    #[tokio::test]
    async fn equal_output_is_gathered_at_the_end() {
        let (screen, out, err) = piped(ScreenOptions {
            form: OutputForm::Gathered { diff: false },
            verbosity: Verbosity::Quiet,
            ..ScreenOptions::default()
        });
        let (out, err) = (read(out), read(err));
        feed(&screen, two_hosts(Kind::Read)).await;
        screen.finish(Closing::default()).await;
        insta::assert_snapshot!(out.join().unwrap(), @r"
        === app-1 (1) ===
        one
        === db (1) ===
        two
        ");
        insta::assert_snapshot!(err.join().unwrap(), @r"
        db  failed at step `dump`: exit 3 after 1.0 s
        === db (1) ===
        oh
        summary: 1 succeeded, 1 failed in 0.1 s
        ");
    }

    #[tokio::test]
    async fn json_is_alone_on_stdout() {
        let (screen, out, _err) = piped(ScreenOptions {
            form: OutputForm::Json,
            ..ScreenOptions::default()
        });
        let out = read(out);
        let kinds: Vec<EventKind> = every_kind().into_iter().map(|event| event.kind).collect();
        let count = kinds.len();
        feed(&screen, kinds).await;
        screen.finish(Closing::default()).await;
        let text = out.join().unwrap();
        // The event with two lines of output is two lines.
        assert_eq!(text.lines().count(), count + 1);
        for line in text.lines() {
            let value: serde_json::Value = serde_json::from_str(line).expect(line);
            assert!(value["kind"].is_string());
        }
    }

    #[tokio::test]
    async fn a_read_run_loses_no_line_to_a_slow_reader() {
        let (screen, mut out, err) = piped(ScreenOptions::default());
        let err = read(err);
        let reader = std::thread::spawn(move || {
            let (mut all, mut piece) = (0, vec![0; 32 << 10]);
            loop {
                match out.read(&mut piece).unwrap() {
                    0 => return all,
                    some => all += some,
                }
                std::thread::yield_now();
            }
        });
        let mut kinds = vec![run_started(Kind::Read, &[("app-1", "a")])];
        kinds.extend((0..200).map(|_| flood(1000)));
        feed(&screen, kinds).await;
        screen.finish(Closing::default()).await;
        // 99 bytes, the prefix `app-1 │ ` of 10 bytes, a newline.
        assert_eq!(reader.join().unwrap(), 200 * 1000 * 110);
        assert!(!err.join().unwrap().contains("could not be shown"));
    }

    /// The reader takes nothing at all: 22 MB do not fit into 8 MiB and a pipe.
    #[tokio::test(start_paused = true)]
    async fn a_change_waits_for_no_reader() {
        let (screen, out, err) = piped(ScreenOptions::default());
        let err = read(err);
        let mut kinds = vec![run_started(Kind::Change, &[("app-1", "a")])];
        kinds.extend((0..200).map(|_| flood(1000)));
        kinds.push(finished("app-1", failed(1), 10, &["last"]));
        feed(&screen, kinds).await;
        let skipped: u64 = screen
            .handle
            .shared
            .skipped()
            .iter()
            .map(|(_, count)| count)
            .sum();
        assert!((1..200_000).contains(&skipped), "{skipped}");
        screen.finish(Closing::default()).await;
        drop(out);
        let said = err.join().unwrap();
        assert!(
            said.contains("the reader of the output takes nothing"),
            "{said}"
        );
        assert!(said.contains("1 failed"), "{said}");
        assert!(said.contains("could not be shown in time"), "{said}");
    }

    /// A terminal that was stopped and goes on: it says what it has missed, and gets the rest.
    #[tokio::test]
    async fn no_run_waits_for_a_terminal() {
        let (screen, out, err) = screen_on(StreamKind::Terminal, ScreenOptions::default());
        let err = read(err);
        let mut kinds = vec![run_started(Kind::Read, &[("app-1", "a")])];
        kinds.extend((0..200).map(|_| flood(1000)));
        kinds.push(finished("app-1", HostOutcome::Ok, 10, &[]));
        feed(&screen, kinds).await;
        let skipped = screen.handle.shared.skipped()[0].1;
        let out = read(out);
        screen.finish(Closing::default()).await;
        let shown = out.join().unwrap().lines().count() as u64;
        assert_eq!(shown + skipped, 200_000);
        let said = err.join().unwrap();
        assert!(
            said.contains("skipped, this terminal is too slow"),
            "{said}"
        );
        assert!(said.contains("1 succeeded"), "{said}");
    }

    #[tokio::test]
    async fn a_signal_frees_a_read_run_from_its_reader() {
        let (screen, out, _err) = piped(ScreenOptions::default());
        let handle = screen.handle();
        let mut kinds = vec![run_started(Kind::Read, &[("app-1", "a")])];
        kinds.extend((0..200).map(|_| flood(1000)));
        let feeding = feed(&screen, kinds);
        tokio::pin!(feeding);
        // It is stuck: nobody reads.
        let stuck = tokio::time::timeout(Duration::from_millis(300), &mut feeding).await;
        assert!(stuck.is_err());
        handle.stop_waiting();
        feeding.await;
        drop(out);
    }

    #[tokio::test]
    async fn a_reader_that_goes_is_told_and_the_run_goes_on() {
        let (screen, out, err) = piped(ScreenOptions::default());
        let err = read(err);
        drop(out);
        let closed = screen.closed_pipe();
        let mut kinds = vec![run_started(Kind::Read, &[("app-1", "a")])];
        kinds.extend((0..300).map(|_| flood(1000)));
        kinds.push(finished("app-1", HostOutcome::Ok, 10, &[]));
        feed(&screen, kinds).await;
        closed.cancelled().await;
        screen.finish(Closing::default()).await;
        assert!(err.join().unwrap().contains("1 succeeded"));
    }

    #[tokio::test]
    async fn a_question_is_on_the_screen_before_the_answer_is_read() {
        let (screen, _out, mut err) = piped(ScreenOptions::default());
        let handle = screen.handle();
        let asking = handle.ask("go on? [y/N] ").await;
        let mut shown = [0; 13];
        err.read_exact(&mut shown).unwrap();
        assert_eq!(&shown, b"go on? [y/N] ");
        drop(asking);
        handle.note("after it");
        let summary = summary(0, "done", &[]);
        feed(
            &screen,
            vec![EventKind::RunFinished {
                summary: Arc::new(summary),
            }],
        )
        .await;
        let err = read(err);
        screen.finish(Closing::default()).await;
        assert!(err.join().unwrap().starts_with("after it\n"));
    }
}
