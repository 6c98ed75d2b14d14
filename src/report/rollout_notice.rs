//! What is said of a rollout's own events while it goes on: the preflight, phases, changes of the plan, waits,
//! bakes, gates, the stop and the rollback. Pure. Hosts and steps are `notice`'s job.

use std::fmt::Write as _;

use crate::lock::words::held;
use crate::model::{Label, Zone, format_duration};
use crate::run::event::{
    EventKind, GateAnswer, HostRef, PlanChange, RollbackResult, RolloutFact, StopCause,
};

use super::fold::fold_within;
use super::gate::gate_text;
use super::grammar::counted;
use super::notice::{NoticeLook, Verbosity};
use super::rollout_words::{
    answer_words, bake_words, before_all, folded, out_words, reach_words, shortfall_words,
    stop_words, trouble_class, trouble_words, wait_words, with_causes,
};
use super::sanitize::safe;
use super::style::Role;
use super::view::{HostState, RunView};

/// Batches that a changed plan shows; the others are counted.
const MAX_BATCHES: usize = 6;
/// Hosts of a rollback that are named in their order.
const MAX_UNDONE: usize = 8;

type Said = Option<(Verbosity, String)>;

/// The text of an event of the rollout, without its last newline, and from which verbosity on it is said;
/// `view` has taken the event in.
pub(crate) fn rollout_notice(kind: &EventKind, view: &RunView, look: NoticeLook) -> Said {
    match kind {
        EventKind::Rollout(fact) => fact_notice(fact, view, look),
        EventKind::GateAsked {
            question,
            gate: Some(gate),
        } => {
            // Whoever is asked has to see about what.
            let least = if look.terminal {
                Verbosity::Quiet
            } else {
                Verbosity::Normal
            };
            Some((
                least,
                gate_text(question, gate, view, look.styles, look.width),
            ))
        }
        EventKind::GateAnswered {
            answer: Some(answer),
            by,
            ..
        } if by != "terminal" => Some((Verbosity::Normal, answered(*answer, by))),
        _ => None,
    }
}

fn answered(answer: GateAnswer, by: &str) -> String {
    match (answer, by) {
        (GateAnswer::Pause, "timeout") => "nobody answered in time: paused".to_owned(),
        _ => format!("answered `{}` by {}", answer_words(answer), safe(by)),
    }
}

fn fact_notice(fact: &RolloutFact, view: &RunView, look: NoticeLook) -> Said {
    let strong = |text: String| look.styles.paint(Role::Strong, text).to_string();
    Some(match fact {
        RolloutFact::PreflightStarted { hosts } => {
            let text = format!("preflight: asking {}", counted(hosts.len(), "host"));
            (Verbosity::Verbose, text)
        }
        RolloutFact::PreflightFinished {
            sick,
            silent,
            unfit,
            ..
        } => {
            let classes = [("sick", sick), ("no answer", silent), ("unfit", unfit)];
            (Verbosity::Normal, preflight(classes, view, look))
        }
        RolloutFact::LockWaited { holder } => {
            let lead = look.styles.paint(Role::Warning, "waiting for the lock:");
            (Verbosity::Normal, format!("{lead} {}", safe(&held(holder))))
        }
        RolloutFact::LockTaken {
            key, anchor, hosts, ..
        } => {
            let (key, anchor) = (safe(key), safe(anchor.as_str()));
            let text = format!(
                "locked `{key}` on {}, first on {anchor}",
                counted(*hosts, "host")
            );
            (Verbosity::Verbose, text)
        }
        RolloutFact::PlanChanged {
            first,
            batches,
            why,
            ..
        } => {
            let text = plan_changed(*why, *first, batches, view, look);
            (Verbosity::Normal, text)
        }
        RolloutFact::PhaseStarted {
            phase,
            index,
            count,
            batches,
        } if *count > 1 => {
            let (name, batches) = (safe(phase), counted(*batches, "batch"));
            let text = format!("phase {name}, {} of {count}: {batches}", index + 1);
            (Verbosity::Normal, strong(text))
        }
        RolloutFact::PhaseFinished { phase, .. } if view.rollout.has_phases() => {
            (Verbosity::Verbose, format!("phase {} is over", safe(phase)))
        }
        RolloutFact::RollbackStarted { hosts } => (Verbosity::Normal, strong(rollback(hosts))),
        RolloutFact::RolloutStopped {
            because,
            not_started,
        } => (Verbosity::Quiet, stopped(because, not_started, view, look)),
        _ => return pause_notice(fact, view, look).or_else(|| host_notice(fact, view, look)),
    })
}

/// Waits and bakes.
fn pause_notice(fact: &RolloutFact, view: &RunView, look: NoticeLook) -> Said {
    let ms = |ms: u64| format_duration(std::time::Duration::from_millis(ms));
    let text = match fact {
        RolloutFact::HealthWaited {
            shortfall,
            limit_ms,
            ..
        } => {
            let lead = format!("{}:", wait_words(&shortfall.rule));
            let lead = look.styles.paint(Role::Warning, lead);
            let missing = shortfall_words(shortfall, view, look.width);
            format!("{lead} {missing}; for {} at most", ms(*limit_ms))
        }
        RolloutFact::HealthRegained { waited_ms, .. } => {
            format!("going on after {} of waiting", ms(*waited_ms))
        }
        // The status block counts down; what is left of it above is that it was.
        RolloutFact::BakeStarted {
            length_ms,
            why,
            watched,
        } if !look.has_status => {
            let (after, hosts) = (bake_words(*why, view), counted(watched.len(), "host"));
            format!("baking {} {after}: {hosts} watched", ms(*length_ms))
        }
        RolloutFact::BakeFinished { waited_ms } if look.has_status => {
            format!("baked {}", ms(*waited_ms))
        }
        _ => return None,
    };
    Some((Verbosity::Normal, text))
}

/// What a rollout says of one host.
fn host_notice(fact: &RolloutFact, view: &RunView, look: NoticeLook) -> Said {
    let host = fact.host()?;
    let who = look.styles.label(&safe(host.host.as_str())).to_string();
    let (least, words) = host_words(fact, host, view, look)?;
    Some((least, format!("{who}  {words}")))
}

fn host_words(fact: &RolloutFact, host: &HostRef, view: &RunView, look: NoticeLook) -> Said {
    let bad = |text: &str| look.styles.paint(Role::Error, text.to_owned()).to_string();
    Some(match fact {
        // The line of the preflight has them all.
        RolloutFact::HostFound { .. } if view.rollout.looking.is_some() => return None,
        RolloutFact::HostFound {
            trouble: Some(trouble),
            ..
        } => {
            let class = bad(trouble_class(trouble));
            let text = format!("{class}: {}", trouble_words(trouble));
            (Verbosity::Normal, text)
        }
        RolloutFact::HostFound { trouble: None, .. } => {
            (Verbosity::Normal, "well again".to_owned())
        }
        RolloutFact::HostPassed {
            phase, duration_ms, ..
        } => {
            let took = format_duration(std::time::Duration::from_millis(*duration_ms));
            let text = format!("passed phase {} after {took}", safe(phase));
            (Verbosity::Verbose, text)
        }
        RolloutFact::HostReopened { .. } => (Verbosity::Normal, "is taken again".to_owned()),
        RolloutFact::HostTurned { .. } => {
            let trouble = view.rollout.troubles.get(&host.host)?;
            let lead = bad("unhealthy after it was done");
            let text = format!("{lead}: {}", trouble_words(trouble));
            (Verbosity::Quiet, text)
        }
        RolloutFact::HostRolledBack { result, .. } => match result {
            RollbackResult::Done => (Verbosity::Normal, "rolled back".to_owned()),
            RollbackResult::Failed { cause } => {
                let text = format!("{}: {}", bad("rollback failed"), safe(cause));
                (Verbosity::Quiet, text)
            }
            RollbackResult::Pending { cause } => {
                let text = format!("{}: {}", bad("not rolled back"), safe(cause));
                (Verbosity::Quiet, text)
            }
        },
        _ => return None,
    })
}

/// `preflight: 12 hosts answer, 1 sick: a2 (http: status 503)`; several kinds of trouble have a line each.
fn preflight(classes: [(&str, &Vec<Label>); 3], view: &RunView, look: NoticeLook) -> String {
    let asked = view.rollout.asked;
    let silent = classes[1].1.len();
    let answer = match silent {
        0 if asked == 1 => "1 host answers".to_owned(),
        0 => format!("{} answer", counted(asked, "host")),
        _ => format!(
            "{} of {} answer",
            asked.saturating_sub(silent),
            counted(asked, "host")
        ),
    };
    let found: Vec<String> = classes
        .into_iter()
        .filter(|(_, hosts)| !hosts.is_empty())
        .map(|(class, hosts)| {
            let lead = look
                .styles
                .paint(Role::Error, format!("{} {class}", hosts.len()));
            format!("{lead}: {}", with_causes(hosts, view, look.width))
        })
        .collect();
    match &found[..] {
        [] => format!("preflight: {answer}, nothing is wrong with them"),
        [one] => format!("preflight: {answer}, {one}"),
        several => format!("preflight: {answer}\n  {}", several.join("\n  ")),
    }
}

fn plan_changed(
    why: PlanChange,
    first: usize,
    batches: &[Vec<Label>],
    view: &RunView,
    look: NoticeLook,
) -> String {
    let left = || batches.iter().flatten();
    let hosts = |labels: Vec<&Label>| match labels.len() {
        0 => String::new(),
        _ => format!(": {}", folded(labels, look.width / 2)),
    };
    let why = match why {
        PlanChange::Health => {
            let sick = left().filter(|label| view.rollout.troubles.contains_key(*label));
            match hosts(sick.collect()) {
                none if none.is_empty() => "no sick host comes first any more".to_owned(),
                sick => format!("sick hosts come first in their zones{sick}"),
            }
        }
        PlanChange::Last => {
            let last = batches.last().into_iter().flatten();
            format!("another host is taken last{}", hosts(last.collect()))
        }
        PlanChange::Targets => {
            let planned: std::collections::HashSet<&Label> = left().collect();
            let waiting = view.hosts.iter().filter(|(label, host)| {
                matches!(host.state, HostState::Waiting) && !planned.contains(label)
            });
            let gone = waiting.map(|(label, _)| label).collect();
            format!("hosts dropped out{}", hosts(gone))
        }
    };
    let lead = look.styles.paint(Role::Warning, "plan changed:");
    let mut text = format!("{lead} {why}");
    let shown: Vec<String> = batches
        .iter()
        .take(MAX_BATCHES)
        .map(|hosts| folded(hosts, look.width / 4))
        .collect();
    if !shown.is_empty() {
        let rest = batches.len() - shown.len();
        let rest = match rest {
            0 => String::new(),
            count => format!(" and {}", counted(count, "more batch")),
        };
        let _ = write!(
            text,
            "\n  from batch {} on: {}{rest}",
            first + 1,
            shown.join(" | ")
        );
    }
    text
}

fn rollback(hosts: &[Label]) -> String {
    let named: Vec<String> = hosts
        .iter()
        .take(MAX_UNDONE)
        .map(|label| safe(label.as_str()).into_owned())
        .collect();
    let rest = match hosts.len() - named.len() {
        0 => String::new(),
        count => format!(" and {count} more"),
    };
    let count = counted(hosts.len(), "host");
    format!(
        "rolling back {count}, in this order: {}{rest}",
        named.join(", ")
    )
}

/// Why, what is not reached, and what is still out.
fn stopped(because: &StopCause, not_started: &[Label], view: &RunView, look: NoticeLook) -> String {
    let lead = match because {
        StopCause::Gate {
            answer: GateAnswer::Pause,
            ..
        } => "paused:",
        _ => "stopped:",
    };
    let lead = look.styles.paint(Role::Warning, lead);
    let mut text = format!("{lead} {}", stop_words(because, view, look.width));
    // Of a preflight it is all hosts, always, and none is out by it.
    if before_all(because) {
        return text;
    }
    if let Some(reach) = reach_words(not_started, view, look.width) {
        let _ = write!(text, "; {reach}");
    }
    if let Some(out) = out_words(view, look.width) {
        let _ = write!(text, "\n  out now: {out}");
    }
    text
}

/// `batch 3 of 7 in us-west-2a, canary: app-[1-2]`.
pub(crate) fn batch_heading(
    (index, count): (usize, usize),
    zone: Option<&Zone>,
    marks: [bool; 2],
    hosts: &[Label],
    width: usize,
) -> String {
    let zone = zone.map(|zone| format!(" in {}", safe(zone.as_str())));
    let [canary, last] = marks;
    let mark = match (canary, last) {
        (true, _) => ", canary",
        (_, true) => ", taken last",
        _ => "",
    };
    let hosts = fold_within(hosts.iter().map(Label::as_str), width.max(40) / 2);
    let zone = zone.unwrap_or_default();
    format!(
        "batch {} of {count}{zone}{mark}: {}",
        index + 1,
        safe(&hosts)
    )
}
