//! Host ends as lines of a run's summary. Pure.

use std::time::Duration;

use indexmap::IndexMap;

use crate::model::{CancelReason, Doubt, HostOutcome, Label, format_duration};

use super::course;
use super::event::HostSummary;
use super::message::HostEnd;
use super::progress::GoneHost;
use super::roster::Entry;

impl HostEnd {
    /// An end without work: nothing ran, nothing was printed.
    pub(crate) fn of(outcome: HostOutcome) -> Self {
        Self {
            outcome,
            duration: Duration::ZERO,
            tail: Vec::new(),
            left: Vec::new(),
            internal: false,
        }
    }

    /// The end of a host under which fab-rs itself broke.
    pub(crate) fn internal(what: &str) -> Self {
        Self {
            internal: true,
            ..Self::of(HostOutcome::Failed {
                step: "internal".to_owned(),
                exit_code: None,
                cause: format!("internal error: {what}"),
            })
        }
    }
}

/// The summary's line for one host.
pub(crate) fn of_host(entry: &Entry, of: &course::Entry, end: &HostEnd) -> HostSummary {
    let (failed_step, exit_code) = match &end.outcome {
        HostOutcome::Failed {
            step, exit_code, ..
        } => (Some(step.clone()), *exit_code),
        HostOutcome::TimedOut { step, .. } | HostOutcome::Unknown { step, .. } => {
            (Some(step.clone()), None)
        }
        HostOutcome::Cancelled { step, .. } => (step.clone(), None),
        _ => (None, None),
    };
    HostSummary {
        id: entry.host.id.clone(),
        outcome: end.outcome.word().to_owned(),
        rollback: of.undone().map(|result| result.word().to_owned()),
        zone: entry.zone.clone(),
        batch: of.batch.or(entry.batch),
        failed_step,
        exit_code,
        cause: cause(&end.outcome),
        hints: match &end.outcome {
            HostOutcome::Unreachable { hints, .. } => hints.clone(),
            _ => Vec::new(),
        },
        duration_ms: u64::try_from(end.duration.as_millis()).unwrap_or(u64::MAX),
        may_still_run: may_still_run(&end.outcome) || !end.left.is_empty(),
        left: end.left.clone(),
    }
}

/// The summary's line for a host that is not there any more.
pub(crate) fn of_gone(gone: &GoneHost) -> (Label, HostSummary) {
    let failed_step = match &gone.outcome {
        HostOutcome::Unknown { step, .. } => Some(step.clone()),
        _ => None,
    };
    let line = HostSummary {
        id: gone.host.id.clone(),
        outcome: gone.outcome.word().to_owned(),
        rollback: None,
        zone: gone.zone.clone(),
        batch: None,
        failed_step,
        exit_code: None,
        cause: cause(&gone.outcome),
        hints: Vec::new(),
        duration_ms: 0,
        may_still_run: false,
        left: Vec::new(),
    };
    (gone.host.host.clone(), line)
}

/// How many hosts have each outcome, in the order of [`HostOutcome::WORDS`].
pub(crate) fn counts<'a>(
    outcomes: impl Iterator<Item = &'a HostOutcome>,
) -> IndexMap<String, usize> {
    let words: Vec<&str> = outcomes.map(HostOutcome::word).collect();
    let count = |word: &str| words.iter().filter(|found| **found == word).count();
    HostOutcome::WORDS
        .iter()
        .map(|word| ((*word).to_owned(), count(word)))
        .filter(|(_, count)| *count > 0)
        .collect()
}

/// A no at a question, as a cause.
pub(crate) fn refused(by: &str) -> String {
    match by {
        "terminal" => "the question was answered with no".to_owned(),
        "end of input" => "nobody answered the question: the input ended".to_owned(),
        "timeout" => "nobody answered the question in time".to_owned(),
        by => format!("the question was answered with no by {by}"),
    }
}

/// A reason to stop, as a cause.
pub(crate) fn cancelled(reason: CancelReason) -> &'static str {
    match reason {
        CancelReason::HostFailed => "stopped because other hosts failed",
        CancelReason::Deadline => "stopped because the run's time limit passed",
        CancelReason::ClosedPipe => "stopped because nobody reads the output any more",
        CancelReason::Hangup => "stopped because the terminal went away (SIGHUP)",
        CancelReason::Terminate => "stopped by SIGTERM",
        CancelReason::Interrupt => "stopped by Ctrl-C",
    }
}

/// One line saying why a host is not ok.
fn cause(outcome: &HostOutcome) -> Option<String> {
    match outcome {
        HostOutcome::Ok | HostOutcome::Gone => None,
        HostOutcome::Failed { cause, .. } => Some(cause.clone()),
        HostOutcome::TimedOut { limit_ms, .. } => {
            let limit = format_duration(Duration::from_millis(*limit_ms));
            Some(format!("timed out after {limit}"))
        }
        HostOutcome::Unhealthy { check, cause } if cause.is_empty() => {
            Some(format!("check `{check}` did not pass"))
        }
        HostOutcome::Unhealthy { check, cause } => {
            Some(format!("check `{check}` did not pass: {cause}"))
        }
        HostOutcome::Unreachable { causes, .. } => {
            Some(causes.first().cloned().unwrap_or_default())
        }
        HostOutcome::Unknown { doubt, .. } => {
            let why = match doubt {
                Doubt::Lost => "connection lost",
                Doubt::Left => "interrupted, and left as it is",
                Doubt::Gone => "half done, and not in the inventory any more",
            };
            Some(format!("{why}; whether it finished is not known"))
        }
        HostOutcome::Cancelled { reason, .. } => Some(cancelled(*reason).to_owned()),
        HostOutcome::NotRun { reason } => Some(reason.clone()),
    }
}

fn may_still_run(outcome: &HostOutcome) -> bool {
    match outcome {
        HostOutcome::TimedOut { ended, .. } | HostOutcome::Cancelled { ended, .. } => !ended,
        HostOutcome::Unknown { .. } => true,
        _ => false,
    }
}
