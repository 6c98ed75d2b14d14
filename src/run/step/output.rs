//! Where a command's bytes go: masked, cut into lines, told; and kept, up to a bound, where somebody reads
//! them afterwards.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::model::Stream;
use crate::run::event::{Lines, StepRef};
use crate::run::lines::LineSplitter;
use crate::run::mask::MaskedStream;
use crate::run::teller::Teller;
use crate::transport::Output;

/// How much of a stream a register keeps.
pub(crate) const KEPT: usize = 64 * 1024;

/// When a command printed last.
#[derive(Debug)]
pub(crate) struct Activity {
    since: Instant,
    last_ms: AtomicU64,
}

impl Activity {
    /// Nothing printed yet; silence counts from now.
    pub(crate) fn new() -> Self {
        Self {
            since: Instant::now(),
            last_ms: AtomicU64::new(0),
        }
    }

    fn touch(&self) {
        let elapsed = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_ms.store(elapsed, Ordering::Relaxed);
    }

    /// The last sign of life.
    pub(crate) fn last(&self) -> Instant {
        self.since + Duration::from_millis(self.last_ms.load(Ordering::Relaxed))
    }
}

/// Both streams of a command on their way.
#[derive(Debug)]
pub(crate) struct Streams {
    stdout: OneStream,
    stderr: OneStream,
}

impl Streams {
    /// Nothing came yet.
    pub(crate) fn new() -> Self {
        Self {
            stdout: OneStream::new(Stream::Stdout),
            stderr: OneStream::new(Stream::Stderr),
        }
    }

    /// Nothing came yet, and so many bytes of each, with secrets masked, were told before.
    pub(crate) fn told((stdout, stderr): (u64, u64)) -> Self {
        let mut streams = Self::new();
        (streams.stdout.told, streams.stderr.told) = (stdout, stderr);
        streams
    }

    /// How many bytes of stdout and stderr came.
    pub(crate) fn came(&self) -> (u64, u64) {
        (self.stdout.came, self.stderr.came)
    }

    fn of(&mut self, stream: Stream) -> &mut OneStream {
        match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        }
    }
}

/// One stream on its way.
#[derive(Debug)]
struct OneStream {
    came: u64,
    masked: MaskedStream,
    /// How many masked bytes from here on an earlier process of the run told.
    told: u64,
    lines: LineSplitter,
    kept: Vec<u8>,
}

impl OneStream {
    fn new(stream: Stream) -> Self {
        Self {
            came: 0,
            masked: MaskedStream::default(),
            told: 0,
            lines: LineSplitter::new(stream),
            kept: Vec::new(),
        }
    }
}

/// Lines that were told before, and those that were not.
#[derive(Debug, Default)]
struct Parted {
    old: [Option<Lines>; 2],
    new: Option<Lines>,
}

impl Parted {
    /// The next bytes as lines; the first `told` of them were told.
    fn of(lines: &mut LineSplitter, told: &mut u64, bytes: &[u8]) -> Self {
        if *told == 0 {
            let new = lines.push(bytes);
            return Self {
                new,
                ..Self::default()
            };
        }
        let at = usize::try_from(*told).map_or(bytes.len(), |told| told.min(bytes.len()));
        let (old, new) = bytes.split_at(at);
        *told -= at as u64;
        let old = lines.push(old);
        if *told > 0 {
            return Self {
                old: [old, None],
                new: None,
            };
        }
        // Where the earlier process told a piece of a line, the rest of it follows.
        let piece = lines.finish();
        Self {
            old: [old, piece],
            new: lines.push(new),
        }
    }

    async fn tell(self, teller: &mut Teller, step: &StepRef, quiet: bool) {
        for lines in self.old.iter().flatten() {
            teller.recall(lines);
        }
        if let Some(lines) = self.new {
            teller.lines(step, lines, quiet).await;
        }
    }
}

/// The output of one command of a step, as it is told.
#[derive(Debug)]
pub(crate) struct StepOutput<'a> {
    teller: &'a mut Teller,
    step: &'a StepRef,
    quiet: bool,
    keep: bool,
    activity: &'a Activity,
    /// Ends the command: nothing may go on that cannot be logged.
    own: CancellationToken,
    streams: Streams,
}

impl<'a> StepOutput<'a> {
    /// The output of a command of `step`; `keep` where it is captured too.
    pub(crate) fn new(
        teller: &'a mut Teller,
        step: &'a StepRef,
        (quiet, keep): (bool, bool),
        activity: &'a Activity,
        own: CancellationToken,
    ) -> Self {
        Self {
            teller,
            step,
            quiet,
            keep,
            activity,
            own,
            streams: Streams::new(),
        }
    }

    /// The output of a command of which these streams have come so far.
    pub(crate) fn going_on(self, streams: Streams) -> Self {
        Self { streams, ..self }
    }

    /// The streams as they have come, for more to follow.
    pub(crate) fn so_far(self) -> Streams {
        self.streams
    }

    /// Tells what was held back, once the command has ended; returns what was kept of stdout and stderr.
    pub(crate) async fn finish(mut self) -> (Vec<u8>, Vec<u8>) {
        for stream in [Stream::Stdout, Stream::Stderr] {
            let one = self.streams.of(stream);
            let held = one.masked.finish();
            keep(&mut one.kept, held, self.keep);
            let parted = Parted::of(&mut one.lines, &mut one.told, held);
            parted.tell(self.teller, self.step, self.quiet).await;
            let new = one.lines.finish();
            let rest = match one.told {
                0 => Parted {
                    new,
                    ..Parted::default()
                },
                _ => Parted {
                    old: [new, None],
                    new: None,
                },
            };
            rest.tell(self.teller, self.step, self.quiet).await;
        }
        (self.streams.stdout.kept, self.streams.stderr.kept)
    }
}

impl Output for StepOutput<'_> {
    async fn chunk(&mut self, stream: Stream, bytes: &[u8]) {
        self.activity.touch();
        let one = self.streams.of(stream);
        one.came += bytes.len() as u64;
        let shown = one.masked.push(&self.teller.mask, bytes);
        keep(&mut one.kept, shown, self.keep);
        let parted = Parted::of(&mut one.lines, &mut one.told, shown);
        parted.tell(self.teller, self.step, self.quiet).await;
        if self.teller.fault().is_some() {
            self.own.cancel();
        }
        // A reader that made us wait was no silence of the command.
        self.activity.touch();
    }
}

/// The output of a command that fab-rs runs for itself: kept up to the bound, told to nobody.
#[derive(Debug, Default)]
pub(crate) struct KeptOutput {
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
}

impl Output for KeptOutput {
    async fn chunk(&mut self, stream: Stream, bytes: &[u8]) {
        let kept = match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        };
        keep(kept, bytes, true);
    }
}

fn keep(kept: &mut Vec<u8>, bytes: &[u8], wanted: bool) {
    if wanted {
        let room = KEPT.saturating_sub(kept.len());
        kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
}
