//! What is said of an event while the run goes on, on stderr. Pure. Most events are said by the status
//! block or the summary alone.

use crate::model::{CancelReason, HostOutcome, Label, Size, format_duration};
use crate::run::event::{EventKind, StepRef, StepResult};

use super::fold::fold_within;
use super::grammar::counted;
use super::host_failure::{Ending, headline, reason_words, short};
use super::reach::Reach;
use super::rollout_notice::{batch_heading, rollout_notice};
use super::sanitize::safe;
use super::style::{Role, Styles};
use super::view::{RunView, host_of};

/// How much is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Verbosity {
    /// Data and failures alone (`-q`).
    Quiet,
    /// What people need.
    #[default]
    Normal,
    /// Every connection and every step (`-v`).
    Verbose,
}

/// How notices are written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NoticeLook {
    /// How much is said.
    pub(crate) verbosity: Verbosity,
    /// Colours.
    pub(crate) styles: Styles,
    /// Columns, for folded hosts.
    pub(crate) width: usize,
    /// Whether there is a status block, which tells what passes.
    pub(crate) has_status: bool,
    /// Whether somebody can be asked there.
    pub(crate) terminal: bool,
}

/// The text of an event, its lines ended; `None` where nothing is said. `view` has taken the event in.
pub(crate) fn notice(kind: &EventKind, view: &RunView, look: NoticeLook) -> Option<String> {
    let (least, text) = match kind {
        EventKind::Rollout(_)
        | EventKind::GateAsked { .. }
        | EventKind::GateAnswered {
            answer: Some(_), ..
        } => rollout_notice(kind, view, look)?,
        EventKind::HostFinished {
            host,
            outcome,
            duration,
            ..
        } => {
            let ending = Ending {
                who: host.host.as_str(),
                outcome,
                duration: Some(*duration),
                tail: &[],
                tail_of: None,
                same_hints: true,
                reach: &Reach::default(),
            };
            (loudness(outcome), headline(&ending, look.styles))
        }
        EventKind::BatchStarted { .. }
        | EventKind::GateAnswered { .. }
        | EventKind::CancelStarted { .. }
        | EventKind::KillStarted { .. } => run_notice(kind, view, look)?,
        _ => host_notice(kind, look.styles)?,
    };
    (look.verbosity >= least).then(|| format!("{text}\n"))
}

/// From which verbosity on a host's end is said: hosts that were cancelled or never started are the
/// summary's.
fn loudness(outcome: &HostOutcome) -> Verbosity {
    match outcome {
        HostOutcome::Ok | HostOutcome::NotRun { .. } | HostOutcome::Cancelled { .. } => {
            Verbosity::Verbose
        }
        HostOutcome::Gone => Verbosity::Normal,
        _ => Verbosity::Quiet,
    }
}

/// The hosts of a batch that it begins with: where a gate said to take the failed ones again, those alone.
fn to_come(hosts: &[Label], view: &RunView) -> Vec<Label> {
    let ended = |label: &Label| {
        view.hosts
            .get(label)
            .is_some_and(|host| host.end().is_some())
    };
    hosts
        .iter()
        .filter(|label| !ended(label))
        .cloned()
        .collect()
}

fn run_notice(kind: &EventKind, view: &RunView, look: NoticeLook) -> Option<(Verbosity, String)> {
    let hosts = |labels: &[Label]| {
        let folded = fold_within(labels.iter().map(Label::as_str), look.width.max(40) / 2);
        safe(&folded).into_owned()
    };
    Some(match kind {
        EventKind::BatchStarted {
            index,
            count,
            zone,
            canary,
            last,
            hosts,
            ..
        } if *count > 1 => {
            let marks = [*canary, *last];
            let hosts = to_come(hosts, view);
            let text = batch_heading((*index, *count), zone.as_ref(), marks, &hosts, look.width);
            let text = look.styles.paint(Role::Strong, text).to_string();
            (Verbosity::Normal, text)
        }
        // What was typed is on the screen; the line of a stop says why a question was closed.
        EventKind::GateAnswered { yes, by, .. }
            if !matches!(by.as_str(), "terminal" | "cancel") =>
        {
            let answer = if *yes { "yes" } else { "no" };
            (Verbosity::Normal, format!("answered {answer} by {by}"))
        }
        // The line of the stop says by which rule.
        EventKind::CancelStarted {
            reason: CancelReason::HostFailed,
            ..
        } if view.rollout.stop.is_some() => return None,
        EventKind::CancelStarted { reason, running } => {
            let why = look.styles.paint(Role::Warning, reason_words(*reason));
            let left = match running.len() {
                0 => String::new(),
                count => format!(
                    "; {} still at work: {}",
                    counted(count, "host"),
                    hosts(running)
                ),
            };
            (
                Verbosity::Quiet,
                format!("{why}: nothing new is started{left}"),
            )
        }
        EventKind::KillStarted { running } => (
            Verbosity::Quiet,
            format!(
                "ending the remote processes on {}: {}",
                counted(running.len(), "host"),
                hosts(running)
            ),
        ),
        _ => return None,
    })
}

fn host_notice(kind: &EventKind, styles: Styles) -> Option<(Verbosity, String)> {
    let host = host_of(kind).map_or("local", |host| host.host.as_str());
    let who = styles.label(&safe(host)).to_string();
    Some(match kind {
        EventKind::ConnectRetried {
            attempt,
            attempts,
            cause,
            ..
        } => (
            Verbosity::Verbose,
            format!(
                "{who}  connection attempt {attempt} of {attempts} failed: {}; trying again",
                safe(cause)
            ),
        ),
        EventKind::HostConnected { .. } => (Verbosity::Verbose, format!("{who}  connected")),
        EventKind::Noted { text, .. } => (Verbosity::Normal, format!("{who}  {}", safe(text))),
        EventKind::FileFetched { path, bytes, .. } => {
            let path = path.to_string_lossy();
            let text = format!("{who}  fetched {} ({})", safe(&path), Size(*bytes));
            // The summary lists what came.
            (Verbosity::Verbose, text)
        }
        _ => {
            let (least, words) = step_notice(kind)?;
            (least, format!("{who}  {words}"))
        }
    })
}

fn step_notice(kind: &EventKind) -> Option<(Verbosity, String)> {
    Some(match kind {
        EventKind::StepStarted { step, .. } => {
            (Verbosity::Verbose, format!("step {}", quoted(step)))
        }
        EventKind::StepRetried {
            step,
            attempt,
            delay,
            cause,
            ..
        } => {
            let delay = format_duration(*delay);
            let (step, cause) = (quoted(step), safe(cause));
            let text = format!("step {step} failed, attempt {attempt}: {cause}; again in {delay}");
            (Verbosity::Normal, text)
        }
        EventKind::StepFinished {
            step,
            result,
            duration,
            ..
        } => {
            let (least, end) = result_words(result)?;
            let took = format_duration(*duration);
            (least, format!("step {} {end} after {took}", quoted(step)))
        }
        _ => return None,
    })
}

fn quoted(step: &StepRef) -> String {
    format!("`{}`", safe(&short(&step.name)))
}

/// How a step's end is said; what ends the host too is said with the host.
fn result_words(result: &StepResult) -> Option<(Verbosity, String)> {
    Some(match result {
        StepResult::Ok {
            changed: Some(false),
            ..
        } => (Verbosity::Verbose, "changed nothing".into()),
        StepResult::Ok { .. } => (Verbosity::Verbose, "passed".into()),
        StepResult::Skipped => (Verbosity::Verbose, "was skipped".into()),
        StepResult::Ignored { cause, .. } => (
            Verbosity::Normal,
            format!("failed and was ignored: {},", safe(cause)),
        ),
        StepResult::Failed { .. }
        | StepResult::TimedOut { .. }
        | StepResult::Unknown
        | StepResult::Cancelled => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    /// What has tests of its own.
    fn of_rollout(kind: &EventKind) -> bool {
        matches!(
            kind,
            EventKind::Rollout(_) | EventKind::GateAsked { gate: Some(_), .. }
        )
    }

    fn said(verbosity: Verbosity) -> String {
        let look = NoticeLook {
            verbosity,
            styles: Styles::plain(),
            width: 80,
            has_status: false,
            terminal: false,
        };
        let mut kinds: Vec<EventKind> = samples::every_kind()
            .into_iter()
            .map(|event| event.kind)
            .filter(|kind| !of_rollout(kind))
            .collect();
        kinds.push(EventKind::BatchStarted {
            phase: "main".into(),
            index: 1,
            count: 3,
            zone: Some(crate::model::Zone::new("us-west-2a")),
            canary: false,
            last: false,
            hosts: vec![Label::new("app-1"), Label::new("app-2")],
        });
        let mut view = RunView::default();
        let told = (0..).zip(kinds).filter_map(|(seq, kind)| {
            view.apply(&samples::event(seq, seq * 10, kind.clone()));
            notice(&kind, &view, look)
        });
        told.collect()
    }

    #[test]
    fn people_read_what_they_need() {
        insta::assert_snapshot!(said(Verbosity::Normal), @r"
        answered yes by --yes
        local  a daemon was left running
        the reader of the output has gone: nothing new is started
        ending the remote processes on 1 host: app-1
        app-1  step `dump` failed, attempt 1: exit 1; again in 2.0 s
        app-1  step `dump` failed and was ignored: exit 1, after 1.5 s
        app-1  failed at step `dump`: exit 3 after 9.0 s
        app-1  timed out at step `dump`: limit 2.0 s; it may still be running
        app-1  unhealthy: check `http` did not pass after 9.0 s: status 503
        app-1  unreachable after 9.0 s: connection refused
        app-1  connection lost during step `dump`; whether it finished is not known
        app-1  gone: the instance no longer exists
        batch 2 of 3 in us-west-2a: app-2
        ");
    }

    #[test]
    fn quiet_says_failures_alone() {
        insta::assert_snapshot!(said(Verbosity::Quiet), @r"
        the reader of the output has gone: nothing new is started
        ending the remote processes on 1 host: app-1
        app-1  failed at step `dump`: exit 3 after 9.0 s
        app-1  timed out at step `dump`: limit 2.0 s; it may still be running
        app-1  unhealthy: check `http` did not pass after 9.0 s: status 503
        app-1  unreachable after 9.0 s: connection refused
        app-1  connection lost during step `dump`; whether it finished is not known
        ");
    }

    #[test]
    fn verbose_says_every_step() {
        insta::assert_snapshot!(said(Verbosity::Verbose), @r"
        answered yes by --yes
        app-1  connection attempt 1 of 3 failed: refused; trying again
        app-1  connected
        local  a daemon was left running
        app-1  fetched /state/files/app-1/heap.hprof.gz (10 B)
        the reader of the output has gone: nothing new is started
        ending the remote processes on 1 host: app-1
        local  step `check the artifact`
        app-1  step `dump` failed, attempt 1: exit 1; again in 2.0 s
        app-1  step `dump` passed after 1.5 s
        app-1  step `dump` was skipped after 1.5 s
        app-1  step `dump` failed and was ignored: exit 1, after 1.5 s
        app-1  succeeded after 9.0 s
        app-1  failed at step `dump`: exit 3 after 9.0 s
        app-1  timed out at step `dump`: limit 2.0 s; it may still be running
        app-1  unhealthy: check `http` did not pass after 9.0 s: status 503
        app-1  unreachable after 9.0 s: connection refused
        app-1  connection lost during step `dump`; whether it finished is not known
        app-1  cancelled: stopped by Ctrl-C
        app-1  not started: the run stopped
        app-1  gone: the instance no longer exists
        batch 2 of 3 in us-west-2a: app-2
        ");
    }
}
