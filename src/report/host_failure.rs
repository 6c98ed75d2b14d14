//! How a host's bad end reads, in one line and in full. Pure; who prints it when is `printer`'s and
//! `summary`'s business.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::time::Duration;

use crate::model::{CancelReason, Doubt, HostOutcome, UnreachableKind, format_duration};

use super::reach::Reach;
use super::sanitize::safe;
use super::style::{Role, Styles};

/// A host, or several that ended alike, and how.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ending<'a> {
    /// The label, or folded labels.
    pub(crate) who: &'a str,
    /// The outcome.
    pub(crate) outcome: &'a HostOutcome,
    /// How long it took; `None` where several hosts share the line.
    pub(crate) duration: Option<Duration>,
    /// The last lines of the last step.
    pub(crate) tail: &'a [String],
    /// Whose lines they are, where several hosts share the line and their last lines differ.
    pub(crate) tail_of: Option<&'a str>,
    /// The outcome's own hints hold for every host of the line.
    pub(crate) same_hints: bool,
    /// What a command needs to mean the host.
    pub(crate) reach: &'a Reach,
}

/// Characters of a step's name in a sentence.
const STEP_WIDTH: usize = 60;
/// Durations below this say nothing about why a connection failed.
const WORTH_SAYING: Duration = Duration::from_secs(1);

/// The line: `web-a2  failed at step `migrate`: exit 1 after 4.2 s`. No newline.
pub(crate) fn headline(ending: &Ending<'_>, styles: Styles) -> String {
    let role = match ending.outcome {
        HostOutcome::Ok => Role::Good,
        HostOutcome::NotRun { .. } | HostOutcome::Gone | HostOutcome::Cancelled { .. } => {
            Role::Warning
        }
        _ => Role::Error,
    };
    let (first, rest) = sentence(ending.outcome, ending.duration);
    format!(
        "{}  {}{}",
        styles.label(&safe(ending.who)),
        styles.paint(role, first),
        safe(&rest)
    )
}

/// The headline, the last lines, and hints; each line ended.
pub(crate) fn in_full(ending: &Ending<'_>, styles: Styles) -> String {
    let mut out = headline(ending, styles);
    let tail = match ending.outcome {
        HostOutcome::Failed { .. } | HostOutcome::TimedOut { .. } | HostOutcome::Unknown { .. } => {
            ending.tail
        }
        _ => &[],
    };
    let whose = ending
        .tail_of
        .map(|host| format!(" of {}", safe(host)))
        .unwrap_or_default();
    let _ = match tail.len() {
        0 => writeln!(out),
        1 => writeln!(out, ", last line{whose}:"),
        count => writeln!(out, ", last {count} lines{whose}:"),
    };
    for line in tail {
        let bar = styles.paint(Role::Dim, "|");
        let _ = writeln!(out, "          {bar} {}", safe(line));
    }
    for cause in further_causes(ending.outcome) {
        let _ = writeln!(out, "        caused by: {}", safe(cause));
    }
    for hint in hints(ending) {
        let lead = styles.paint(Role::Hint, "hint:");
        let _ = writeln!(out, "        {lead} {}", safe(&hint));
    }
    out
}

/// What the outcome says, in two parts: the words that are coloured and the rest.
pub(crate) fn sentence(
    outcome: &HostOutcome,
    duration: Option<Duration>,
) -> (&'static str, String) {
    let after = |least: Duration| match duration {
        Some(time) if time >= least => format!(" after {}", format_duration(time)),
        _ => String::new(),
    };
    match outcome {
        HostOutcome::Ok => ("succeeded", after(Duration::ZERO)),
        HostOutcome::Failed { .. }
        | HostOutcome::TimedOut { .. }
        | HostOutcome::Unknown { .. }
        | HostOutcome::Cancelled { .. } => step_sentence(outcome, &after(Duration::ZERO)),
        HostOutcome::Unhealthy { check, cause } => {
            let cause = match cause.as_str() {
                "" => String::new(),
                cause => format!(": {cause}"),
            };
            let after = after(WORTH_SAYING);
            let text = format!(": check `{check}` did not pass{after}{cause}");
            ("unhealthy", text)
        }
        HostOutcome::Unreachable { causes, .. } => {
            let cause = causes.first().map_or("no connection", String::as_str);
            ("unreachable", format!("{}: {cause}", after(WORTH_SAYING)))
        }
        HostOutcome::NotRun { reason } => ("not started", format!(": {reason}")),
        HostOutcome::Gone => ("gone", ": the instance no longer exists".to_owned()),
    }
}

/// Outcomes of hosts that were at work.
fn step_sentence(outcome: &HostOutcome, after: &str) -> (&'static str, String) {
    let still = |ended: bool| {
        if ended {
            ""
        } else {
            "; it may still be running"
        }
    };
    match outcome {
        HostOutcome::Failed {
            step,
            exit_code,
            cause,
        } => {
            let step = short(step);
            let cause = failure_words(*exit_code, cause);
            ("failed", format!(" at step `{step}`: {cause}{after}"))
        }
        HostOutcome::TimedOut {
            step,
            limit_ms,
            ended,
        } => {
            let step = short(step);
            let limit = format_duration(Duration::from_millis(*limit_ms));
            (
                "timed out",
                format!(" at step `{step}`: limit {limit}{}", still(*ended)),
            )
        }
        HostOutcome::Unknown { step, doubt } => {
            let place = if step.is_empty() {
                "between two steps".to_owned()
            } else {
                format!("during step `{}`", short(step))
            };
            let (word, rest) = match doubt {
                Doubt::Lost => ("connection lost", ""),
                Doubt::Left => ("was interrupted", ", and is left as it is"),
                Doubt::Gone => ("was interrupted", ", and is not in the inventory any more"),
            };
            let text = format!(" {place}{rest}; whether it finished is not known");
            (word, text)
        }
        HostOutcome::Cancelled {
            reason,
            step,
            ended,
        } => {
            let at = step
                .as_ref()
                .map(|step| format!(" at step `{}`", short(step)));
            let why = reason_words(*reason);
            (
                "cancelled",
                format!("{}: {why}{}", at.unwrap_or_default(), still(*ended)),
            )
        }
        other => (other.word(), String::new()),
    }
}

/// A step's name in a sentence: its first line, not all of a long one. Commands are named after themselves.
pub(crate) fn short(step: &str) -> Cow<'_, str> {
    short_within(step, STEP_WIDTH)
}

/// As [`short`], for at most so many characters.
pub(crate) fn short_within(step: &str, width: usize) -> Cow<'_, str> {
    let first = step.trim_start().lines().next().unwrap_or_default();
    if first == step && first.chars().count() <= width {
        return step.into();
    }
    let start: String = first.chars().take(width.saturating_sub(1)).collect();
    format!("{}…", start.trim_end()).into()
}

/// The cause and the exit code, without saying one thing twice.
fn failure_words(exit_code: Option<u8>, cause: &str) -> String {
    let Some(code) = exit_code else {
        return cause.to_owned();
    };
    let exit = format!("exit {code}");
    let signal = signal_of(code).map(|name| format!(" (SIG{name})"));
    let same = [
        exit.clone(),
        format!("exit code {code}"),
        format!("exit status {code}"),
    ];
    if cause.is_empty() || same.iter().any(|words| words == cause) {
        exit + &signal.unwrap_or_default()
    } else {
        format!("{cause} ({exit})")
    }
}

/// The signal that an exit code stands for, where people should be told: 137 may be the kernel, out of
/// memory.
fn signal_of(code: u8) -> Option<&'static str> {
    Some(match code {
        129 => "HUP",
        130 => "INT",
        134 => "ABRT",
        137 => "KILL",
        139 => "SEGV",
        141 => "PIPE",
        143 => "TERM",
        _ => return None,
    })
}

/// Why a run was cancelled, for people.
pub(crate) fn reason_words(reason: CancelReason) -> &'static str {
    match reason {
        CancelReason::HostFailed => "too many hosts failed",
        CancelReason::Deadline => "the run's limit passed",
        CancelReason::ClosedPipe => "the reader of the output has gone",
        CancelReason::Hangup => "the terminal went away (SIGHUP)",
        CancelReason::Terminate => "stopped by SIGTERM",
        CancelReason::Interrupt => "stopped by Ctrl-C",
    }
}

/// Causes below the first, which the headline has.
fn further_causes(outcome: &HostOutcome) -> &[String] {
    match outcome {
        HostOutcome::Unreachable { causes, .. } => causes.get(1..).unwrap_or_default(),
        _ => &[],
    }
}

/// What can be done about it: what ssh's own words lead to, where they hold for every host of the line, else what
/// helps against trouble of this kind.
fn hints(ending: &Ending<'_>) -> Vec<String> {
    let (kind, own) = match ending.outcome {
        HostOutcome::Unreachable { kind, hints, .. } => (*kind, hints),
        HostOutcome::Failed { cause, .. } => {
            return failure_hint(cause).map(str::to_owned).into_iter().collect();
        }
        _ => return Vec::new(),
    };
    let folded = ending.who.contains(['[', ',']);
    let who = if folded {
        "HOST".into()
    } else {
        safe(ending.who)
    };
    let doctor = format!("`fab-rs doctor{} {who}`", ending.reach);
    let (general, has_doctor) = kind_hint(kind);
    if own.is_empty() || !ending.same_hints {
        let join = if general.ends_with('?') { " " } else { "; " };
        let mut hints = vec![if has_doctor {
            format!("{general}{join}{doctor} looks closer")
        } else {
            general.to_owned()
        }];
        if !own.is_empty() {
            let each =
                "each host's own hint is in its log (`fab-rs logs RUN HOST`) and in summary.json";
            hints.push(each.to_owned());
        }
        return hints;
    }
    let mut hints: Vec<String> = own
        .iter()
        .map(|hint| hint.replace("`fab-rs doctor HOST`", &doctor))
        .collect();
    if has_doctor && !hints.iter().any(|hint| hint.contains(&doctor)) {
        hints.push(format!("{doctor} looks closer"));
    }
    hints
}

/// What can be done about a step that was refused before it ran.
fn failure_hint(cause: &str) -> Option<&'static str> {
    cause
        .starts_with("sudo refused: sudo asks for a password")
        .then_some("`--ask-sudo` asks for the password once, before connecting; or let the login user do without (NOPASSWD)")
}

/// What to do about each kind, and whether `doctor` would find out more.
fn kind_hint(kind: UnreachableKind) -> (&'static str, bool) {
    match kind {
        UnreachableKind::Refused => ("is sshd running there, and on this port?", true),
        UnreachableKind::NoAnswer => (
            "is the instance up, and does its security group let this machine in?",
            true,
        ),
        UnreachableKind::NoBanner | UnreachableKind::LoginTimeout => (
            "it accepts connections but does not answer: out of memory, or a full disk?",
            true,
        ),
        UnreachableKind::ClosedEarly => (
            "sshd closed the connection: too many logins at once, or `hosts.deny`?",
            true,
        ),
        UnreachableKind::NameNotFound => ("is the inventory's address right?", true),
        UnreachableKind::NoRoute => ("is the VPN up, or is a bastion (`-J`) needed?", true),
        UnreachableKind::HostKeyChanged => (
            "compare the new key with the host's console, then remove the old one with `ssh-keygen -R`",
            false,
        ),
        UnreachableKind::HostKeyUnknown => (
            "connect once with `ssh` and compare the key, or set `host_keys: accept-new`",
            false,
        ),
        UnreachableKind::Denied => ("which user and keys were offered?", true),
        UnreachableKind::Configuration => ("ssh's configuration needs mending first", false),
        UnreachableKind::Bastion => ("every host behind this bastion has the same cause", false),
        UnreachableKind::Lost => ("nothing was sent, so it can be run again", false),
        UnreachableKind::Local => ("the trouble is on this machine", false),
        UnreachableKind::Unclassified => ("ssh's own words are all there is", true),
    }
}

#[cfg(test)]
#[path = "host_failure_tests.rs"]
mod tests;
