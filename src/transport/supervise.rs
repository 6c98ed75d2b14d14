//! Drives one supervised command over three byte streams: sends the preamble and the lifeline, hands the
//! output on, reads the supervisor's markers, and says how the command ended. ssh and local share it; it
//! does not know which of the two carries the streams.

use std::future::{Future, pending};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::marker::{MarkedBuffer, Nonce, Piece};
use super::{ExecReport, Exit, Output, Trace, sudo};
use crate::model::Stream;

/// The supervisor ends the program after 60 s without a byte; four fit in.
const LIFELINE: Duration = Duration::from_secs(15);
/// The first byte, from which on the supervisor counts: most programs are shorter, and need no counting.
const FIRST_BYTE: Duration = Duration::from_secs(1);
/// How much longer output is read when something still holds a stream after the program's end.
const LINGER: Duration = Duration::from_secs(1);
/// How long after the grace a stopped command's supervisor may take for KILL and its report.
const STOP_SLACK: Duration = Duration::from_secs(8);
/// What a shell ends with when it cannot execute a command.
const CANNOT_EXECUTE: u8 = 126;
/// How much of what precedes the supervisor (rc files, sudo) is kept to explain a failed start.
const NOISE_KEPT: usize = 4096;

/// The three streams of a running supervisor.
pub(super) struct Streams<I, O, E> {
    /// Its stdin.
    pub(super) stdin: I,
    /// Its and the program's stdout.
    pub(super) stdout: O,
    /// Its and the program's stderr.
    pub(super) stderr: E,
}

/// How the channel that carried the streams ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ChannelEnd {
    /// The process at its other end exited with this code.
    Code(u8),
    /// It died, or the connection did.
    Died,
}

/// One command as the driver needs it.
pub(super) struct Supervised<'a> {
    /// What goes before the lifeline.
    pub(super) preamble: Vec<u8>,
    /// The nonce in it.
    pub(super) nonce: &'a Nonce,
    /// Between TERM and KILL.
    pub(super) grace: Duration,
    /// Cancelled: the command is to be stopped.
    pub(super) stop: &'a CancellationToken,
}

/// How far the command got.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Delivery {
    /// Not the whole preamble went out: nothing runs without its last line.
    #[default]
    Cut,
    /// It went out; whether it arrived is not known.
    Sent,
    /// The supervisor has spoken.
    Answered,
}

/// What came out, before it is put into a report.
#[derive(Debug, Default)]
pub(super) struct Ending {
    delivery: Delivery,
    /// The supervisor's last word: code and flag.
    end: Option<(u8, char)>,
    /// The number of the program's group.
    group: Option<u32>,
    /// Its mark.
    mark: String,
    left_running: bool,
    channel: Option<ChannelEnd>,
    stopped: bool,
    /// What came before the supervisor, of both streams.
    noise: Vec<u8>,
}

impl Ending {
    /// The report for the engine. `sudo_user` is whom sudo was asked to become.
    pub(super) fn report(self, sudo_user: Option<&str>) -> ExecReport {
        let mut report = ExecReport {
            exit: Exit::Lost,
            started: self.delivery == Delivery::Answered,
            left_running: self.left_running,
            group_ended: false,
            trace: self.group.map(|group| Trace {
                group,
                mark: self.mark.clone(),
            }),
            notes: Vec::new(),
            sudo_refused: None,
        };
        let noise = String::from_utf8_lossy(&self.noise);
        match (self.end, self.channel) {
            (Some((code, flag)), _) => {
                report.exit = Exit::Code(code);
                report.group_ended = match flag {
                    'g' | 'c' => true,
                    'u' => false,
                    // Its leader ended by itself before the stop arrived.
                    _ => self.stopped && !self.left_running,
                };
                if flag == 'f' {
                    report.started = false;
                    report.notes.push(
                        "the host could not write the command's files: its temporary folder is full, \
                         read-only or missing"
                            .to_owned(),
                    );
                }
                report.started &= flag != 'c';
            }
            (None, Some(ChannelEnd::Code(_))) if !report.started && self.stopped => {
                // Stopped before it was sent: the loader found nothing to run.
                report.exit = Exit::Code(CANNOT_EXECUTE);
                report.group_ended = true;
            }
            (None, Some(ChannelEnd::Code(code))) if !report.started => {
                // A forced command may end with 0 in place of ours: that is no success.
                report.exit = Exit::Code(if code == 0 { CANNOT_EXECUTE } else { code });
                match sudo_user {
                    Some(user) => report.sudo_refused = Some(sudo::refusal(&noise, user, code)),
                    None => report.notes.push(never_started(&noise, code)),
                }
            }
            (None, Some(ChannelEnd::Code(_))) => report.notes.push(
                "the supervisor on the host was killed; its command may still be running"
                    .to_owned(),
            ),
            (None, Some(ChannelEnd::Died)) if self.delivery == Delivery::Cut => report
                .notes
                .push("the connection was lost before the command was sent".to_owned()),
            // Whether the supervisor got what was sent is not known.
            (None, Some(ChannelEnd::Died)) => report.started = true,
            (None, None) => {
                report.started = self.delivery >= Delivery::Sent;
                report
                    .notes
                    .push("the host did not say in time that the command has ended".to_owned());
            }
        }
        report
    }
}

/// Why no supervisor spoke, with the last words of whatever ran instead.
fn never_started(noise: &str, code: u8) -> String {
    let reason = format!("the host's login shell ended with {code} before the command started");
    match noise.lines().map(str::trim).rfind(|line| !line.is_empty()) {
        Some(last) => format!("{reason}: {last}"),
        None => reason,
    }
}

/// Runs the command to its end.
///
/// `channel_end` resolves when the carrying channel has ended. It is polled only once both streams have: for
/// ssh's multiplexer, learning of the end is the end of the streams, whatever was still in them. `deaf` is
/// polled once the command was stopped, and resolves where its host answers nothing at all: its supervisor's
/// word is not waited for then.
pub(super) async fn drive<I, O, E, S>(
    supervised: Supervised<'_>,
    streams: Streams<I, O, E>,
    channel_end: impl Future<Output = ChannelEnd>,
    deaf: impl Future<Output = ()>,
    output: &mut S,
) -> Ending
where
    I: AsyncWrite + Unpin,
    O: AsyncRead + Unpin,
    E: AsyncRead + Unpin,
    S: Output,
{
    let Supervised {
        preamble,
        nonce,
        grace,
        stop,
    } = supervised;
    let mut reader = Reader {
        stdout: Half::new(nonce, streams.stdout, Stream::Stdout),
        stderr: Half::new(nonce, streams.stderr, Stream::Stderr),
        ending: Ending {
            mark: nonce.mark(),
            ..Ending::default()
        },
        lingering: false,
    };
    let sent = AtomicBool::new(false);
    {
        let feeding = pin!(feed(streams.stdin, preamble, stop, &sent));
        let limit = pin!(async {
            stop.cancelled().await;
            tokio::select! {
                () = sleep(grace + STOP_SLACK) => {}
                () = deaf => {}
            }
        });
        tokio::select! {
            () = reader.read_all(channel_end, output) => {}
            () = feeding => {}
            () = limit => {}
        }
    }
    reader.ending.stopped = stop.is_cancelled();
    if sent.load(Ordering::Relaxed) {
        reader.ending.delivery = reader.ending.delivery.max(Delivery::Sent);
    }
    reader.ending
}

/// Sends the preamble, then a byte now and then; closes stdin when the command is to be stopped. Never
/// resolves: a closed stdin is the reader's business.
async fn feed(
    mut stdin: impl AsyncWrite + Unpin,
    preamble: Vec<u8>,
    stop: &CancellationToken,
    sent: &AtomicBool,
) {
    let sending = async {
        stdin.write_all(&preamble).await?;
        stdin.flush().await?;
        sent.store(true, Ordering::Relaxed);
        drop(preamble);
        let mut ticks = interval_at(Instant::now() + FIRST_BYTE, LIFELINE);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            stdin.write_all(b"\n").await?;
            stdin.flush().await?;
        }
    };
    // An error means that nobody reads any more: the reader sees the streams' end.
    let _: Option<std::io::Result<()>> = stop.run_until_cancelled(sending).await;
    drop(stdin);
    pending::<()>().await;
}

/// One of the two output streams.
struct Half<R> {
    reader: R,
    buffer: MarkedBuffer,
    stream: Stream,
    /// The supervisor's first line was seen.
    begun: bool,
    /// Its last line was seen: what follows comes from something the program left behind.
    complete: bool,
    closed: bool,
}

impl<R: AsyncRead + Unpin> Half<R> {
    fn new(nonce: &Nonce, reader: R, stream: Stream) -> Self {
        Self {
            reader,
            buffer: MarkedBuffer::new(nonce),
            stream,
            begun: false,
            complete: false,
            closed: false,
        }
    }

    /// Waits for more; an error ends the stream like its end does.
    async fn fill(&mut self) {
        let space = self.buffer.space();
        self.closed = !matches!(self.reader.read_buf(space).await, Ok(1..));
    }

    /// Hands on what was read.
    async fn pass_on<S: Output>(&mut self, ending: &mut Ending, output: &mut S) {
        while let Some(piece) = self.buffer.next_piece(self.closed) {
            match piece {
                Piece::Output(range) if self.begun => {
                    let bytes = &self.buffer.bytes()[range];
                    output.chunk(self.stream, bytes).await;
                }
                Piece::Output(range) => {
                    let room = NOISE_KEPT.saturating_sub(ending.noise.len());
                    let bytes = &self.buffer.bytes()[range];
                    ending
                        .noise
                        .extend_from_slice(&bytes[..bytes.len().min(room)]);
                }
                Piece::Marker(text) => self.mark(&text, ending),
            }
        }
    }

    fn mark(&mut self, text: &str, ending: &mut Ending) {
        let mut words = text.split(' ');
        match (words.next(), words.next()) {
            (Some("start"), _) => {
                self.begun = true;
                ending.delivery = Delivery::Answered;
            }
            (Some("pid"), Some(group)) => ending.group = group.parse().ok(),
            (Some(code), Some(flag)) => {
                self.complete = true;
                if let (Ok(code), Some(flag)) = (code.parse(), flag.chars().next()) {
                    ending.end = Some((code, flag));
                }
            }
            _ => {}
        }
    }
}

struct Reader<O, E> {
    stdout: Half<O>,
    stderr: Half<E>,
    ending: Ending,
    /// Both streams are complete and something still holds one.
    lingering: bool,
}

impl<O: AsyncRead + Unpin, E: AsyncRead + Unpin> Reader<O, E> {
    /// Reads both streams to their ends, or a little beyond the supervisor's last word.
    async fn read_all<S: Output>(
        &mut self,
        channel_end: impl Future<Output = ChannelEnd>,
        output: &mut S,
    ) {
        let mut channel_end = pin!(channel_end);
        let mut last = pin!(pending_until(None));
        loop {
            let (out_open, err_open) = (!self.stdout.closed, !self.stderr.closed);
            let ended = self.ending.channel.is_some() || self.ending.end.is_some();
            if !out_open && !err_open && ended {
                return;
            }
            tokio::select! {
                () = &mut last => {
                    self.ending.left_running = self.stdout.complete && self.stderr.complete;
                    return;
                }
                () = self.stdout.fill(), if out_open => {
                    self.stdout.pass_on(&mut self.ending, output).await;
                }
                () = self.stderr.fill(), if err_open => {
                    self.stderr.pass_on(&mut self.ending, output).await;
                }
                end = &mut channel_end, if !out_open && !err_open => {
                    self.ending.channel = Some(end);
                }
            }
            if self.complete() && !self.lingering {
                self.lingering = true;
                last.set(pending_until(Some(Instant::now() + LINGER)));
            }
        }
    }

    fn complete(&self) -> bool {
        self.stdout.complete && self.stderr.complete
    }
}

/// Resolves at the time; never where there is none.
async fn pending_until(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => pending().await,
    }
}
