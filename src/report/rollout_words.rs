//! What is said of a rollout in so many words: who is not well and why, which rule stopped it and at which
//! number, what a pause waits for, what an exit status means. Pure; where each is said is the business of
//! notices, status block, gates and summary.

use std::collections::HashSet;
use std::time::Duration;

use indexmap::IndexMap;

use crate::lock::words::held;
use crate::model::{ExitStatus, HostOutcome, Label, Zone, format_duration};
use crate::run::event::{BakeReason, GateAnswer, Rule, Shortfall, StopCause, Trouble};

use super::fold::fold_within;
use super::grammar::{counted, outcome_words};
use super::host_failure::short_within;
use super::sanitize::safe;
use super::view::{HostView, RunView};

/// Characters of one cause.
const CAUSE_WIDTH: usize = 80;
/// Causes that are named; hosts with others are counted.
const MAX_CAUSES: usize = 4;
/// Zones that are named as not started; more are counted.
const MAX_ZONES: usize = 6;

/// Hosts folded into so many columns, safe to print.
pub(crate) fn folded<'a>(labels: impl IntoIterator<Item = &'a Label>, width: usize) -> String {
    let labels: Vec<&str> = labels.into_iter().map(Label::as_str).collect();
    let room = width.max(20);
    let text = fold_within(labels.iter().copied(), room);
    // Numbers with gaps may make one fold longer than that.
    match labels.first() {
        Some(first) if text.len() > 2 * room && labels.len() > 1 => {
            format!("{} and {} more", safe(first), labels.len() - 1)
        }
        _ => safe(&text).into_owned(),
    }
}

/// One cause, its first line, safe to print.
fn brief(cause: &str) -> String {
    safe(&short_within(cause, CAUSE_WIDTH)).into_owned()
}

/// What is wrong with a host: `http: status 503`.
pub(crate) fn trouble_words(trouble: &Trouble) -> String {
    match trouble {
        Trouble::Sick { check, cause } if cause.is_empty() => {
            format!("check `{}` failed", brief(check))
        }
        Trouble::Sick { check, cause } => format!("{}: {}", brief(check), brief(cause)),
        Trouble::Unfit { cause } => brief(cause),
        Trouble::Silent { causes, .. } => causes
            .first()
            .map_or_else(|| "no connection".to_owned(), |cause| brief(cause)),
    }
}

/// Which kind of trouble: `sick`, `unfit`, `no answer`.
pub(crate) fn trouble_class(trouble: &Trouble) -> &'static str {
    match trouble {
        Trouble::Sick { .. } => "sick",
        Trouble::Unfit { .. } => "unfit",
        Trouble::Silent { .. } => "no answer",
    }
}

/// Hosts with why they are not well, those of one cause together: `b[2-3] (http: status 503), c1 (refused)`.
pub(crate) fn with_causes(labels: &[Label], view: &RunView, width: usize) -> String {
    let mut causes: IndexMap<Option<String>, Vec<&Label>> = IndexMap::new();
    for label in labels {
        let trouble = view.rollout.troubles.get(label);
        let cause = trouble
            .map(trouble_words)
            .or_else(|| end_words(label, view));
        causes.entry(cause).or_default().push(label);
    }
    let rest: usize = causes.values().skip(MAX_CAUSES).map(Vec::len).sum();
    let mut parts: Vec<String> = causes
        .into_iter()
        .take(MAX_CAUSES)
        .map(|(cause, labels)| {
            let hosts = folded(labels, width / 2);
            cause.map_or_else(|| hosts.clone(), |cause| format!("{hosts} ({cause})"))
        })
        .collect();
    if rest > 0 {
        parts.push(counted(rest, "more host"));
    }
    parts.join(", ")
}

fn end_words(label: &Label, view: &RunView) -> Option<String> {
    let end = view.hosts.get(label)?.end()?;
    (end.outcome != HostOutcome::Ok).then(|| outcome_words(end.outcome.word()).to_owned())
}

/// What is waited for before a batch.
pub(crate) fn wait_words(rule: &Rule) -> &'static str {
    match rule {
        Rule::Last => "waiting for the host to take last",
        Rule::MinHealthy | Rule::Zone { .. } | Rule::Quorum => "waiting for health",
    }
}

/// What is missing: `8 hosts would stay healthy without b3, 9 must; not healthy: b2 (http: status 503)`.
pub(crate) fn shortfall_words(shortfall: &Shortfall, view: &RunView, width: usize) -> String {
    let there = counted(shortfall.healthy, "host");
    let place = match &shortfall.rule {
        Rule::Zone { zone } => format!(" in {}", safe(zone.as_str())),
        Rule::MinHealthy | Rule::Quorum | Rule::Last => String::new(),
    };
    let whose = match &shortfall.rule {
        Rule::Quorum => " for a majority",
        Rule::MinHealthy | Rule::Zone { .. } | Rule::Last => "",
    };
    let without = match shortfall.taking.len() {
        0 => String::new(),
        _ => format!(" without {}", folded(&shortfall.taking, width / 3)),
    };
    let down = match shortfall.down.len() {
        0 => String::new(),
        _ => format!(
            "; not healthy: {}",
            with_causes(&shortfall.down, view, width)
        ),
    };
    if shortfall.rule == Rule::Last {
        return format!("`last` is true of no host, of one it must be{down}");
    }
    let needed = shortfall.needed;
    format!("{there}{place} would stay healthy{without}, {needed} must{whose}{down}")
}

/// After what a pause comes: `after zone us-west-2a`.
pub(crate) fn bake_words(why: BakeReason, view: &RunView) -> String {
    let zone = view.batch.as_ref().and_then(|batch| batch.zone.as_ref());
    let zone = zone.map(|zone| safe(zone.as_str()).into_owned());
    match (why, zone) {
        (BakeReason::Canary, _) => "after the canary".to_owned(),
        (BakeReason::Zone, Some(zone)) => format!("after zone {zone}"),
        (BakeReason::Zone, None) => "after a zone".to_owned(),
        (BakeReason::FirstZone, Some(zone)) => format!("after the first zone, {zone}"),
        (BakeReason::FirstZone, None) => "after the first zone".to_owned(),
        (BakeReason::Last, _) => "after the last batch".to_owned(),
        (BakeReason::Batch, _) => match &view.batch {
            Some(batch) => format!("after batch {}", batch.index + 1),
            None => "after a batch".to_owned(),
        },
    }
}

/// Hosts that could not be locked are named up to this many.
const MAX_UNLOCKED: usize = 5;

/// Whether nothing was begun: then what is not reached is everything, and is not worth a word.
pub(crate) fn before_all(cause: &StopCause) -> bool {
    matches!(
        cause,
        StopCause::Preflight { .. } | StopCause::Locked { .. } | StopCause::Unlockable { .. }
    )
}

/// Why a rollout stopped, the rule with its number: `1 of 12 hosts failed, limit is 0`.
pub(crate) fn stop_words(cause: &StopCause, view: &RunView, width: usize) -> String {
    let of = |failed: usize, all: usize| match all {
        0 => counted(failed, "host"),
        _ => format!("{failed} of {}", counted(all, "host")),
    };
    match cause {
        StopCause::Failures { failed, limit } => {
            format!("{} failed, limit is {limit}", of(*failed, view.hosts.len()))
        }
        StopCause::ZoneFailures {
            zone,
            failed,
            limit,
        } => {
            let all = view.hosts.values().filter(|host| host.zone == *zone);
            let (of, zone) = (of(*failed, all.count()), safe(zone.as_str()));
            format!("{of} in zone {zone} failed, limit is {limit} a zone")
        }
        StopCause::BatchFailures {
            batch,
            failed,
            limit,
        } => {
            let known = view.batch.as_ref().filter(|known| known.index == *batch);
            let of = of(*failed, known.map_or(0, |batch| batch.hosts));
            format!(
                "{of} of batch {} failed, limit is {limit} a batch",
                batch + 1
            )
        }
        StopCause::Canary { host } => format!("the canary {} failed", safe(host.as_str())),
        StopCause::Health { shortfall } => {
            let missing = shortfall_words(shortfall, view, width);
            format!("too few healthy hosts for too long: {missing}")
        }
        StopCause::Journal { cause } => safe(cause).into_owned(),
        StopCause::Deadline { limit_ms } => deadline_words(Duration::from_millis(*limit_ms)),
        StopCause::NoLeader => {
            "no host is the one to take last (`last`), though one must be: there may be no leader"
                .to_owned()
        }
        StopCause::Step { step, on } => {
            format!(
                "step `{}` failed on {}, on which every host depends",
                brief(step),
                safe(on)
            )
        }
        StopCause::Gate { answer, by } => gate_words(*answer, by),
        StopCause::Locked { holder } => safe(&held(holder)).into_owned(),
        StopCause::Unlockable { hosts } => {
            let named: Vec<String> = hosts
                .iter()
                .take(MAX_UNLOCKED)
                .map(|host| format!("{} ({})", safe(host.host.as_str()), brief(&host.cause)))
                .collect();
            format!("no host could be locked: {}", named.join(", "))
        }
        StopCause::Preflight { silent, unfit } => preflight_words(silent, unfit, view, width),
    }
}

fn deadline_words(limit: Duration) -> String {
    format!("the task's deadline of {} passed", format_duration(limit))
}

fn gate_words(answer: GateAnswer, by: &str) -> String {
    let by = safe(by);
    match (answer, &*by) {
        (GateAnswer::Pause, "timeout") => "nobody answered at a gate in time".to_owned(),
        _ => format!("answered `{}` at a gate by {by}", answer_words(answer)),
    }
}

fn preflight_words(silent: &[Label], unfit: &[Label], view: &RunView, width: usize) -> String {
    let part = |labels: &[Label], one: &str, many: &str| {
        let words = if labels.len() == 1 { one } else { many };
        let (count, hosts) = (
            counted(labels.len(), "host"),
            with_causes(labels, view, width),
        );
        (!labels.is_empty()).then(|| format!("{count} {words}: {hosts}"))
    };
    let parts = [
        part(silent, "does not answer", "do not answer"),
        part(unfit, "is unfit", "are unfit"),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    format!("nothing was changed; {}", parts.join("; "))
}

/// What an answer at a gate means.
pub(crate) fn answer_words(answer: GateAnswer) -> &'static str {
    match answer {
        GateAnswer::Go => "go on",
        GateAnswer::All => "go on and ask no more",
        GateAnswer::Retry => "take the failed hosts again",
        GateAnswer::Stop => "stop",
        GateAnswer::Rollback => "roll back",
        GateAnswer::Pause => "pause",
    }
}

/// What was not reached: whole zones by name, the other hosts folded; nothing where every host was.
pub(crate) fn reach_words(not_started: &[Label], view: &RunView, width: usize) -> Option<String> {
    let left: HashSet<&Label> = not_started.iter().collect();
    let mut zones: IndexMap<&Zone, bool> = IndexMap::new();
    for (label, host) in &view.hosts {
        *zones.entry(&host.zone).or_insert(true) &= left.contains(label);
    }
    zones.sort_unstable_keys();
    let several = zones.len() > 1;
    let whole: Vec<&Zone> = zones
        .into_iter()
        .filter(|(_, whole)| *whole && several)
        .map(|(zone, _)| zone)
        .collect();
    let in_whole = |label: &Label| {
        view.hosts
            .get(label)
            .is_some_and(|host| whole.contains(&&host.zone))
    };
    let others: Vec<&Label> = not_started
        .iter()
        .filter(|label| !in_whole(label))
        .collect();
    let mut parts = Vec::new();
    if !whole.is_empty() {
        let names: Vec<String> = whole
            .iter()
            .map(|zone| safe(zone.as_str()).into_owned())
            .collect();
        parts.push(match &names[..] {
            [one] => format!("zone {one} not started"),
            many if many.len() <= MAX_ZONES => {
                format!("zones {} not started", listed(many))
            }
            many => format!("{} not started", counted(many.len(), "zone")),
        });
    }
    if !others.is_empty() {
        let count = counted(
            others.len(),
            if whole.is_empty() {
                "host"
            } else {
                "more host"
            },
        );
        parts.push(format!(
            "{count} not started: {}",
            folded(others, width / 2)
        ));
    }
    (!parts.is_empty()).then(|| parts.join("; "))
}

/// `a`, `a and b`, `a, b and c`.
fn listed(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [one] => one.clone(),
        [rest @ .., last] => format!("{} and {last}", rest.join(", ")),
    }
}

/// Which hosts are out, or may be: at work, ended badly and not restored, or not well when last looked at;
/// each once, by the first of these that holds.
pub(crate) fn out_now(view: &RunView) -> IndexMap<&'static str, Vec<&Label>> {
    let mut out: IndexMap<&'static str, Vec<&Label>> = IndexMap::new();
    for (label, host) in &view.hosts {
        let trouble = view.rollout.troubles.get(label).map(trouble_class);
        if let Some(why) = out_as(host).or(trouble) {
            out.entry(why).or_default().push(label);
        }
    }
    let bystanders = view
        .rollout
        .troubles
        .iter()
        .filter(|(label, _)| !view.hosts.contains_key(*label));
    for (label, trouble) in bystanders {
        out.entry(trouble_class(trouble)).or_default().push(label);
    }
    out
}

fn out_as(host: &HostView) -> Option<&'static str> {
    if host.undoing.is_some() {
        return Some("rolled back now");
    }
    if host.busy_since().is_some() {
        return Some("at work");
    }
    let restored = matches!(host.rollback, Some(crate::run::event::RollbackResult::Done));
    let end = host.end().filter(|_| !restored)?;
    match end.outcome {
        HostOutcome::Ok | HostOutcome::NotRun { .. } | HostOutcome::Gone => None,
        HostOutcome::Unreachable { .. } => Some("no answer"),
        _ => Some(outcome_words(end.outcome.word())),
    }
}

/// [`out_now`] as text: `at work a2; failed a3`.
pub(crate) fn out_words(view: &RunView, width: usize) -> Option<String> {
    let out = out_now(view);
    let parts: Vec<String> = out
        .into_iter()
        .map(|(why, labels)| format!("{why} {}", folded(labels, width / 2)))
        .collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}

/// Whole seconds that are left of a time that began at `since`, rounded up.
pub(crate) fn left(length: Duration, since: Duration, now: Duration) -> String {
    let left = length.saturating_sub(now.saturating_sub(since));
    let seconds = left.as_secs() + u64::from(left.subsec_nanos() > 0);
    if seconds < 60 {
        return format!("{seconds} s");
    }
    format_duration(Duration::from_secs(seconds))
}

/// What an exit status of a rollout means in the state it left the run in; whether it began any host, and whether
/// none of its hosts failed. `None` where the counts say it.
pub(crate) fn exit_words(
    exit: u8,
    state: &str,
    (begun, well): (bool, bool),
) -> Option<&'static str> {
    Some(match ExitStatus::from_code(exit)? {
        ExitStatus::Stopped if state == "aborted" => {
            "it was not confirmed: nothing was changed on any host"
        }
        ExitStatus::Stopped if !begun => "stopped before its first host: no host was changed",
        ExitStatus::Paused if !begun => "paused before its first host: no host was changed",
        ExitStatus::Stopped => {
            "stopped before its end and not rolled back: what was done stays done, the rest was not begun"
        }
        ExitStatus::RolledBack if well => {
            "every host that was to be rolled back is as it was before"
        }
        ExitStatus::RolledBack => {
            "failed, and every host that was to be rolled back is as it was before"
        }
        ExitStatus::RollbackIncomplete => {
            "the rollback is incomplete: the hosts named above need a person"
        }
        // It went on after an earlier process, and did not come to do anything.
        ExitStatus::Preflight if state != "aborted" => {
            "the preflight failed: nothing more was changed on any host, the run stays as it was"
        }
        ExitStatus::Locked if state != "aborted" => {
            "another run holds the lock: nothing more was changed on any host, the run stays as it was"
        }
        ExitStatus::Preflight => "the preflight failed: nothing was changed on any host",
        ExitStatus::Locked => "another run holds the lock: nothing was changed on any host",
        ExitStatus::Paused => "paused: what was done stays done, the rest was not begun",
        ExitStatus::Deadline => "its time limit passed: what was done stays done",
        _ => return None,
    })
}
