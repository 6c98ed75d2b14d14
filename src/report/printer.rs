//! The printer's thread: collects what has come for up to 50 ms or 200 lines, writes it at once, and keeps
//! the status block under it. The only place that writes a run's output. What may be dropped before it gets
//! here is `screen`'s decision.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::model::Stream;
use crate::run::event::{EventKind, RolloutFact, RunEvent};

use super::closing::{closing_text, note_styles};
use super::fold::fold_within;
use super::form::{Form, Taken};
use super::grammar::counted;
use super::notice::{NoticeLook, Verbosity, notice};
use super::progress::{RowsLook, rows};
use super::sanitize::{safe, safe_lines};
use super::screen::{OutputForm, ScreenOptions, Shared};
use super::sheet::{Sheet, write_fully};
use super::status_block::StatusBlock;
use super::style::{Role, Styles};
use super::summary::Closing;
use super::terminal::{StreamKind, Streams};
use super::view::RunView;

/// What reaches the printer.
pub(crate) enum Message {
    /// An event, and the room it takes up until it is written.
    Event(RunEvent, u32),
    /// A line for people.
    Note(String),
    /// A question; answered once it is on the screen.
    Ask(String, oneshot::Sender<()>),
    /// The question was answered.
    Answered,
    /// The run is over.
    Finish(Box<Closing>),
    /// The process ends now, whatever is left: take the block away, say this, and say that it was said.
    Leave(String, SyncSender<()>),
}

/// Lines that are collected for one write above the status block.
const BATCH_LINES: usize = 200;
/// How long they are collected.
const BATCH_TIME: Duration = Duration::from_millis(50);
/// Bytes that are collected for one write where there is no status block.
const BATCH_BYTES: usize = 256 << 10;
/// Between two looks at the status block.
const TICK: Duration = Duration::from_millis(100);
/// How long a host's end is held back: in a run that is over by then the summary says it, once.
const HELD: Duration = Duration::from_secs(2);
/// Without a status block nothing has to be done until a message comes.
const LONG: Duration = Duration::from_hours(1);
/// Rows of the status block on any screen.
const MAX_ROWS: usize = 20;

pub(crate) struct Printer {
    options: ScreenOptions,
    streams: Streams,
    shared: Arc<Shared>,
    stdout: Option<Box<dyn Write + Send>>,
    stderr: Option<Box<dyn Write + Send>>,
    form: Form,
    sheet: Sheet,
    /// Lines on the sheet.
    lines: usize,
    /// Room that the sheet's lines take up.
    permits: u32,
    status: Option<StatusBlock>,
    question: Option<String>,
    /// Ends of hosts, and when they are said unless the summary has said them.
    held: VecDeque<(Instant, String)>,
    /// Skipped lines that have been told.
    told_skipped: u64,
    /// The run as far as it was told: the shared view is ahead of what is printed.
    told: RunView,
    /// When the run started, by the clock of this process.
    started: Option<Instant>,
}

impl Printer {
    pub(crate) fn new(
        options: ScreenOptions,
        streams: Streams,
        shared: Arc<Shared>,
        [stdout, stderr]: [Box<dyn Write + Send>; 2],
    ) -> Self {
        let status = (streams.draws_status() && options.verbosity > Verbosity::Quiet)
            .then(StatusBlock::on_stderr);
        Self {
            options,
            streams,
            shared,
            stdout: Some(stdout),
            stderr: Some(stderr),
            form: Form::new(options, streams),
            sheet: Sheet::default(),
            lines: 0,
            permits: 0,
            status,
            question: None,
            held: VecDeque::new(),
            told_skipped: 0,
            told: RunView::default(),
            started: None,
        }
    }

    /// Prints until the run is over, or nobody is left who could send.
    pub(crate) fn run(mut self, messages: &Receiver<Message>) {
        let _finished = self.shared.finished.clone().drop_guard();
        loop {
            let flow = match messages.recv_timeout(self.patience()) {
                Ok(first) => self.take_batch(first, messages),
                Err(RecvTimeoutError::Timeout) => ControlFlow::Continue(()),
                Err(RecvTimeoutError::Disconnected) => ControlFlow::Break(()),
            };
            if flow.is_break() {
                return;
            }
            self.say_held();
            self.draw();
        }
    }

    /// How long nothing has to be done unless a message comes.
    fn patience(&self) -> Duration {
        if self.status.is_some() {
            return TICK;
        }
        let due = self.held.front().map(|(due, _)| *due);
        due.map_or(LONG, |due| due.saturating_duration_since(Instant::now()))
    }

    /// Says how hosts ended, where the run has gone on since.
    fn say_held(&mut self) {
        let now = Instant::now();
        let mut due = Vec::new();
        while let Some((_, text)) = self.held.pop_front_if(|(due, _)| *due <= now) {
            due.push(text);
        }
        if !due.is_empty() {
            self.say(&due.concat());
            self.flush();
        }
    }

    /// Says what is held back before something that comes after it is said.
    fn say_all_held(&mut self) {
        let held: String = self.held.drain(..).map(|(_, text)| text).collect();
        if !held.is_empty() {
            self.say(&held);
        }
    }

    /// Takes a message and those that come right after it, and writes them together.
    fn take_batch(&mut self, first: Message, messages: &Receiver<Message>) -> ControlFlow<()> {
        let until = Instant::now() + BATCH_TIME;
        let mut next = Some(first);
        while let Some(message) = next {
            self.take(message)?;
            next = if self.is_full() {
                None
            } else if self.status.is_some() {
                messages
                    .recv_timeout(until.saturating_duration_since(Instant::now()))
                    .ok()
            } else {
                messages.try_recv().ok()
            };
        }
        self.flush();
        ControlFlow::Continue(())
    }

    fn is_full(&self) -> bool {
        self.sheet.len() >= BATCH_BYTES || (self.status.is_some() && self.lines >= BATCH_LINES)
    }

    fn take(&mut self, message: Message) -> ControlFlow<()> {
        match message {
            Message::Event(event, permits) => {
                self.permits += permits;
                self.take_event(&event);
            }
            Message::Note(text) => self.say(&format!("{}\n", safe_lines(text.trim_end()))),
            Message::Ask(question, shown) => {
                if let Some(status) = &mut self.status {
                    status.hide();
                }
                let question = safe_lines(&question);
                self.flush();
                self.say(&question);
                self.flush();
                self.question = Some(question);
                // Whoever asked may have given up by now.
                let _ = shown.send(());
            }
            Message::Answered => {
                self.question = None;
                if let Some(status) = &mut self.status {
                    status.unhide();
                }
            }
            Message::Leave(text, said) => {
                if let Some(status) = &mut self.status {
                    status.hide();
                }
                // With the block goes its hold on the terminal's settings.
                self.status = None;
                self.flush();
                self.say(&text);
                self.flush();
                // Whoever waits may have lost patience.
                let _ = said.try_send(());
                return ControlFlow::Break(());
            }
            Message::Finish(closing) => {
                self.end(&closing);
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }

    fn take_event(&mut self, event: &RunEvent) {
        if let EventKind::RunStarted { .. } = &event.kind {
            self.started = Instant::now().checked_sub(event.elapsed);
        }
        match self.form.take(event, &mut self.sheet) {
            Taken::Lines(lines) => self.lines += lines,
            Taken::GroupsReady => self.print_gathered(),
        }
        // Lines change nothing that is told of, and are many.
        if !matches!(event.kind, EventKind::Output { .. }) {
            self.told.apply(event);
        }
        let Some(text) = notice(&event.kind, &self.told, self.notice_look()) else {
            return;
        };
        let by_summary =
            said_by_summary(&event.kind) && self.options.verbosity == Verbosity::Normal;
        if goes_on(&event.kind) {
            self.say_all_held();
        }
        if by_summary {
            self.held.push_back((Instant::now() + HELD, text));
        } else {
            self.say(&text);
        }
    }

    fn notice_look(&self) -> NoticeLook {
        let verbosity = match self.options.form {
            // The stream says everything; people are told of failures.
            OutputForm::Json => self.options.verbosity.min(Verbosity::Quiet),
            _ => self.options.verbosity,
        };
        NoticeLook {
            verbosity,
            styles: self.note_styles(),
            width: self.streams.width,
            has_status: self.status.is_some(),
            terminal: self.streams.stderr == StreamKind::Terminal,
        }
    }

    fn note_styles(&self) -> Styles {
        note_styles(self.options, self.streams)
    }

    /// A text for people, after the line that may be open on stderr.
    fn say(&mut self, text: &str) {
        self.form.before_note(&mut self.sheet);
        self.sheet.note(text);
        self.lines += 1;
    }

    fn print_gathered(&mut self) {
        self.flush();
        let Form::Gathered(mut gatherer) = std::mem::replace(&mut self.form, Form::Json) else {
            return;
        };
        gatherer.print(&mut |stream, bytes| {
            self.sheet.on(stream).extend_from_slice(bytes);
            if self.sheet.len() >= BATCH_BYTES {
                self.flush();
            }
        });
        self.form = Form::Gathered(gatherer);
    }

    /// Writes the sheet, and gives back the room that it took up.
    fn flush(&mut self) {
        self.tell_skipped();
        if !self.sheet.is_empty() {
            if let Some(question) = &self.question {
                let again = format!("\n{question}");
                self.sheet.note(&again);
            }
            let mut sheet = std::mem::take(&mut self.sheet);
            let status = self.status.take();
            match &status {
                Some(status) => status.above(|| self.write(&mut sheet)),
                None => self.write(&mut sheet),
            }
            self.status = status;
            sheet.clear();
            self.sheet = sheet;
        }
        self.shared.give_back(std::mem::take(&mut self.permits));
        self.lines = 0;
    }

    fn write(&mut self, sheet: &mut Sheet) {
        let mut trouble = None;
        for (stream, bytes) in sheet.parts() {
            let outlet = match stream {
                Stream::Stdout => &mut self.stdout,
                Stream::Stderr => &mut self.stderr,
            };
            let Some(open) = outlet else { continue };
            let written = write_fully(&mut **open, bytes);
            self.shared.moved.fetch_add(1, Ordering::Relaxed);
            if let Err(error) = written {
                *outlet = None;
                if stream == Stream::Stdout {
                    trouble = Some(error);
                }
            }
        }
        if let Some(error) = trouble {
            self.stdout_closed(&error);
        }
    }

    /// Stdout takes no more: it is silent from here on, and the run is told.
    fn stdout_closed(&mut self, error: &io::Error) {
        self.shared.closed_pipe.cancel();
        if error.kind() != io::ErrorKind::BrokenPipe {
            let lead = self.note_styles().paint(Role::Error, "error:").to_string();
            let text = format!("{lead} cannot write the output: {error}\n");
            if let Some(stderr) = &mut self.stderr {
                // There is no third place to say it.
                let _ = write_fully(&mut **stderr, text.as_bytes());
            }
        }
    }

    /// On a terminal, says at once that lines were left out; elsewhere the summary does.
    fn tell_skipped(&mut self) {
        if self.streams.stdout != StreamKind::Terminal {
            return;
        }
        let skipped = self.shared.skipped();
        let total: u64 = skipped.iter().map(|(_, count)| count).sum();
        if total == self.told_skipped {
            return;
        }
        let lines = counted(
            usize::try_from(total - self.told_skipped).unwrap_or(usize::MAX),
            "line",
        );
        let hosts = fold_within(
            skipped.iter().map(|(host, _)| host.as_str()),
            self.streams.width / 2,
        );
        let text = format!(
            "… {lines} skipped, this terminal is too slow; the logs of {} have them\n",
            safe(&hosts)
        );
        self.told_skipped = total;
        let text = self.note_styles().paint(Role::Warning, text).to_string();
        self.say(&text);
    }

    /// Brings the status block up to date.
    fn draw(&mut self) {
        let styles = self.note_styles();
        let Some(status) = &mut self.status else {
            return;
        };
        let (width, height) =
            super::terminal::size_of_stderr().unwrap_or((self.streams.width, self.streams.height));
        let look = RowsLook {
            styles,
            width: width.saturating_sub(1),
            rows: MAX_ROWS.min(height / 2),
        };
        let now = self
            .started
            .map_or(Duration::ZERO, |started| started.elapsed());
        let rows = rows(&self.shared.view(), now, look);
        status.show(&rows);
    }

    /// The end: what is still held back, and the summary.
    fn end(&mut self, closing: &Closing) {
        self.print_gathered();
        if let Some(status) = &mut self.status {
            status.hide();
        }
        self.flush();
        self.form.finish(&mut self.sheet);
        let text = closing_text(&self.shared, closing, self.options, self.streams);
        self.sheet.note(&text);
        self.status = None;
        self.flush();
    }
}

/// What the summary says too: said only where the run goes on for a while.
fn said_by_summary(kind: &EventKind) -> bool {
    matches!(
        kind,
        EventKind::HostFinished { .. } | EventKind::Rollout(RolloutFact::RolloutStopped { .. })
    )
}

/// What shows that the run goes on after hosts ended.
fn goes_on(kind: &EventKind) -> bool {
    matches!(
        kind,
        EventKind::BatchStarted { .. } | EventKind::GateAsked { .. } | EventKind::Rollout(_)
    ) && !said_by_summary(kind)
}
