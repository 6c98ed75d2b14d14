//! The voice of one host (or of the controller): what it does is written to its log, then told to the
//! dispatcher, secrets masked in both.
//!
//! Not its job: cutting bytes into lines (`super::lines`), deciding what a message means (`super::state`).

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::model::{Secret, format_duration};

use super::event::{Lines, StepRef, StepResult};
use super::host_log::HostLog;
use super::mask::Mask;
use super::message::{HostIndex, UnitMessage, Wire};
use super::stop::StopTokens;
use super::tail::Tail;

/// Tells what one host does.
#[derive(Debug)]
pub(crate) struct Teller {
    host: Option<HostIndex>,
    wire: Wire,
    stop: Arc<StopTokens>,
    log: HostLog,
    tail: Tail,
    pub(crate) mask: Arc<Mask>,
    /// The first write to the log that failed: nothing of this host may go on unrecorded.
    fault: Option<String>,
    /// Everything goes to the log alone.
    muted: bool,
    /// Lines that nobody took after the run was told to end; they are in the log.
    untold: usize,
}

impl Teller {
    /// The voice of a host, or of the controller (`None`).
    pub(crate) fn new(
        host: Option<HostIndex>,
        wire: Wire,
        stop: Arc<StopTokens>,
        log: HostLog,
        mask: Arc<Mask>,
    ) -> Self {
        Self {
            host,
            wire,
            stop,
            log,
            tail: Tail::default(),
            mask,
            fault: None,
            muted: false,
            untold: 0,
        }
    }

    /// From here on everything goes to the log alone.
    pub(crate) fn mute(&mut self) {
        self.muted = true;
    }

    /// Hides further secrets from here on.
    pub(crate) fn hide<'a>(&mut self, secrets: impl IntoIterator<Item = &'a Secret>) {
        self.mask = Arc::new(self.mask.with(secrets));
    }

    /// Which host speaks.
    pub(crate) fn host(&self) -> Option<HostIndex> {
        self.host
    }

    /// Why the log cannot be written any more.
    pub(crate) fn fault(&self) -> Option<&str> {
        self.fault.as_deref()
    }

    /// The last lines of the last step.
    pub(crate) fn tail(&self) -> Vec<String> {
        self.tail.texts()
    }

    /// Tells a message as it is, unless it is muted.
    pub(crate) async fn tell(&self, message: UnitMessage) {
        if !self.muted {
            self.wire.tell(message).await;
        }
    }

    /// Writes a heading to the log.
    pub(crate) fn heading(&mut self, text: &str) {
        let written = self.log.heading(&self.mask.text(text));
        self.keep_fault(written);
    }

    /// A step begins: its tail is a new one.
    pub(crate) async fn step_started(&mut self, step: &StepRef) {
        self.tail.clear();
        self.heading(&format!("{} started {}", step.name, now()));
        let (host, step) = (self.host, step.clone());
        self.tell(UnitMessage::StepStarted { host, step }).await;
    }

    /// A step ended.
    pub(crate) async fn step_finished(
        &mut self,
        step: &StepRef,
        result: StepResult,
        duration: Duration,
    ) {
        let result = self.masked(result);
        self.heading(&format!("{} {}", step.name, shown(&result)));
        self.tell(UnitMessage::StepFinished {
            host: self.host,
            step: step.clone(),
            result,
            duration,
        })
        .await;
    }

    /// A result whose cause holds no secret.
    pub(crate) fn masked(&self, mut result: StepResult) -> StepResult {
        if let StepResult::Failed { cause, .. } | StepResult::Ignored { cause, .. } = &mut result {
            *cause = self.mask.text(cause);
        }
        result
    }

    /// Something for the host's log alone.
    pub(crate) fn hint(&mut self, text: &str) {
        let written = self.log.note(&self.mask.text(text));
        self.keep_fault(written);
    }

    /// The output of the step that goes on by itself in the folder `path` follows; how much of it is in the log already:
    /// where that cannot be read, it is told again.
    pub(crate) fn going_on(&mut self, path: &str) -> (u64, u64) {
        let told = self.log.told_of(&self.mask.text(path));
        self.detached(path);
        told.unwrap_or_default()
    }

    /// The same for one that is new.
    pub(crate) fn detached(&mut self, path: &str) {
        let written = self.log.detached(&self.mask.text(path));
        self.keep_fault(written);
    }

    /// Lines that an earlier process of the run told.
    pub(crate) fn recall(&mut self, lines: &Lines) {
        self.tail.take(lines);
    }

    /// Something people should read.
    pub(crate) async fn note(&mut self, text: &str) {
        let text = self.mask.text(text);
        let written = self.log.note(&text);
        self.keep_fault(written);
        let host = self.host;
        self.tell(UnitMessage::Noted { host, text }).await;
    }

    /// Lines of a step, masked already: to the log first, then on. Waits for the sink, except once the run
    /// was told to end what runs: then lines that nobody takes are only counted.
    pub(crate) async fn lines(&mut self, step: &StepRef, lines: Lines, quiet: bool) {
        let written = self.log.lines(&lines);
        self.keep_fault(written);
        self.tail.take(&lines);
        if self.muted {
            return;
        }
        let count = lines.len();
        let message = UnitMessage::Output {
            host: self.host,
            step: step.clone(),
            lines,
            quiet,
        };
        if self.stop.kill.is_cancelled() {
            if !self.wire.tell_now(message) {
                self.untold += count;
            }
            return;
        }
        tokio::select! {
            biased;
            () = self.wire.tell(message) => {}
            () = self.stop.kill.cancelled() => self.untold += count,
        }
    }

    /// Says how many lines were not told, if any.
    pub(crate) async fn confess(&mut self) {
        let untold = std::mem::take(&mut self.untold);
        if untold > 0 {
            self.note(&format!("{untold} more lines are in the host's log alone"))
                .await;
        }
    }

    fn keep_fault(&mut self, written: io::Result<()>) {
        if let (None, Err(error)) = (&self.fault, written) {
            self.fault = Some(format!(
                "the host's log on this machine cannot be written: {error}"
            ));
        }
    }
}

/// A step's end as its log heading says it.
fn shown(result: &StepResult) -> String {
    match result {
        StepResult::Ok {
            changed: Some(false),
            ..
        } => "ok, nothing to change".to_owned(),
        StepResult::Ok { .. } => "ok".to_owned(),
        StepResult::Skipped => "skipped".to_owned(),
        StepResult::Ignored { cause, .. } => format!("failed, ignored: {cause}"),
        StepResult::Failed { cause, .. } => format!("failed: {cause}"),
        StepResult::TimedOut { limit_ms } => {
            let limit = format_duration(Duration::from_millis(*limit_ms));
            format!("timed out after {limit}")
        }
        StepResult::Unknown => "connection lost; whether it finished is not known".to_owned(),
        StepResult::Cancelled => "cancelled".to_owned(),
    }
}

/// This machine's clock, to the second.
pub(crate) fn now() -> jiff::Timestamp {
    let now = jiff::Timestamp::now();
    jiff::Timestamp::from_second(now.as_second()).unwrap_or(now)
}
