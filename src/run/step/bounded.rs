//! Runs one command within its bounds: a limit, a limit on silence, and the run's stop.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::transport::{ExecReport, Exit};

use super::output::Activity;

/// How long after a command's grace its session may take to report the end, before it is given up.
const REPORT: Duration = Duration::from_secs(10);

/// What bounds a command.
#[derive(Debug)]
pub(crate) struct Bounds<'a> {
    /// When it is ended, and the limit that this comes from.
    pub(crate) limit: Option<(Instant, Duration)>,
    /// How long it may print nothing.
    pub(crate) silence: Option<Duration>,
    /// How long after TERM its group gets KILL.
    pub(crate) grace: Duration,
    /// When it printed last.
    pub(crate) activity: &'a Activity,
    /// The run's stop.
    pub(crate) stop: &'a CancellationToken,
    /// Ends this command; a child of `stop`, cancelled from outside where its log cannot be written.
    pub(crate) own: &'a CancellationToken,
}

/// Why a command was ended before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Its limit passed.
    Limit(Duration),
    /// It printed nothing for this long.
    Silence(Duration),
    /// The run ends.
    Stop,
    /// Its log cannot be written.
    Log,
}

/// What came of a command.
#[derive(Debug)]
pub(crate) struct Executed {
    /// What the session knows; `None` where it did not report in time after the command was ended.
    pub(crate) report: Option<ExecReport>,
    /// Why it was ended, where it was.
    pub(crate) cut: Option<Cut>,
}

impl Executed {
    /// A command for which there was no session.
    pub(crate) fn never_sent() -> Self {
        let report = ExecReport {
            exit: Exit::Lost,
            started: false,
            left_running: false,
            group_ended: false,
            trace: None,
            notes: Vec::new(),
            sudo_refused: None,
        };
        Self {
            report: Some(report),
            cut: None,
        }
    }

    /// sudo's words, where it refused.
    pub(crate) fn refusal(&self) -> Option<&str> {
        self.report.as_ref()?.sudo_refused.as_deref()
    }

    /// Whether nothing of the command is left on the host: its group's end was confirmed, or it was never
    /// started.
    pub(crate) fn is_gone(&self) -> bool {
        self.report
            .as_ref()
            .is_some_and(|report| report.group_ended || !report.started)
    }
}

/// Waits for a command to end, and ends it where a bound is reached.
pub(crate) async fn execute(
    exec: impl Future<Output = ExecReport>,
    bounds: &Bounds<'_>,
) -> Executed {
    let mut exec = pin!(exec);
    let mut cut = None;
    let mut give_up = None;
    loop {
        let why = tokio::select! {
            biased;
            report = &mut exec => {
                let cut = cut.or_else(|| unseen(&report, bounds));
                return Executed { report: Some(report), cut };
            }
            () = at(give_up), if cut.is_some() => return Executed { report: None, cut },
            why = reached(bounds), if cut.is_none() => why,
        };
        cut = Some(why);
        bounds.own.cancel();
        give_up = Some(Instant::now() + bounds.grace + REPORT);
    }
}

/// Why a command was ended whose session heard of it before we did: both wait for the same token.
fn unseen(report: &ExecReport, bounds: &Bounds<'_>) -> Option<Cut> {
    let passed = report.exit == Exit::Code(0) && !report.group_ended;
    if passed || !bounds.own.is_cancelled() {
        return None;
    }
    Some(if bounds.stop.is_cancelled() {
        Cut::Stop
    } else {
        Cut::Log
    })
}

/// Waits for the first bound that is reached.
async fn reached(bounds: &Bounds<'_>) -> Cut {
    tokio::select! {
        biased;
        () = bounds.stop.cancelled() => Cut::Stop,
        () = bounds.own.cancelled() => Cut::Log,
        limit = passed(bounds.limit) => Cut::Limit(limit),
        silence = silent(bounds) => Cut::Silence(silence),
    }
}

async fn at(when: Option<Instant>) {
    match when {
        Some(when) => tokio::time::sleep_until(when).await,
        None => std::future::pending().await,
    }
}

async fn passed(limit: Option<(Instant, Duration)>) -> Duration {
    at(limit.map(|(when, _)| when)).await;
    limit.map_or(Duration::ZERO, |(_, limit)| limit)
}

async fn silent(bounds: &Bounds<'_>) -> Duration {
    let Some(silence) = bounds.silence else {
        return std::future::pending().await;
    };
    loop {
        let due = bounds.activity.last() + silence;
        if due <= Instant::now() {
            return silence;
        }
        tokio::time::sleep_until(due).await;
    }
}
