//! Messages that only tell something, as events: nothing is decided by them. Pure.

use super::event::{EventKind, HostRef};
use super::message::{HostIndex, UnitMessage};

/// A host that may still be spoken of, as events name it.
type Speaking<'a> = &'a dyn Fn(HostIndex) -> Option<HostRef>;

/// Whom an event is of: a host, or the controller.
struct Of(Option<HostRef>);

/// Whom an event is of, where it may still be spoken of; of the controller always.
fn of(host: Option<HostIndex>, speaking: Speaking<'_>) -> Option<Of> {
    match host {
        None => Some(Of(None)),
        Some(host) => speaking(host).map(|host| Of(Some(host))),
    }
}

/// A message that only tells something of a host, as an event.
pub(crate) fn event(message: UnitMessage, speaking: Speaking<'_>) -> Option<EventKind> {
    Some(match message {
        UnitMessage::HostConnected { host } => EventKind::HostConnected {
            host: speaking(host)?,
        },
        UnitMessage::ConnectRetried {
            host,
            attempt,
            attempts,
            cause,
        } => EventKind::ConnectRetried {
            host: speaking(host)?,
            attempt,
            attempts,
            cause,
        },
        UnitMessage::Progressed {
            host,
            step,
            done,
            total,
        } => EventKind::TransferProgressed {
            host: speaking(host)?,
            step,
            done,
            total,
        },
        UnitMessage::Noted { host, text } => EventKind::Noted {
            host: of(host, speaking)?.0,
            text,
        },
        UnitMessage::FileFetched {
            host,
            path,
            bytes,
            sha256,
        } => EventKind::FileFetched {
            host: speaking(host)?,
            path,
            bytes,
            sha256,
        },
        UnitMessage::QuestionAsked { question } => EventKind::GateAsked {
            question,
            gate: None,
        },
        UnitMessage::QuestionAnswered { yes, by } => EventKind::GateAnswered {
            yes,
            by,
            answer: None,
        },
        of_step => return self::of_step(of_step, speaking),
    })
}

/// A message that only tells something of a step.
fn of_step(message: UnitMessage, speaking: Speaking<'_>) -> Option<EventKind> {
    Some(match message {
        UnitMessage::StepStarted { host, step } => EventKind::StepStarted {
            host: of(host, speaking)?.0,
            step,
        },
        UnitMessage::Output {
            host,
            step,
            lines,
            quiet,
        } => EventKind::Output {
            host: of(host, speaking)?.0,
            step,
            lines,
            quiet,
        },
        UnitMessage::StepRetried {
            host,
            step,
            attempt,
            delay,
            cause,
        } => EventKind::StepRetried {
            host: of(host, speaking)?.0,
            step,
            attempt,
            delay,
            cause,
        },
        UnitMessage::StepFinished {
            host,
            step,
            result,
            duration,
        } => EventKind::StepFinished {
            host: of(host, speaking)?.0,
            step,
            result,
            duration,
        },
        // The rest are decisions, which `apply` takes itself.
        _ => return None,
    })
}
