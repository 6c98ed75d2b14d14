//! What a gate of a rollout shows before it asks. Pure; who is asked, which keys answer, and how an answer is
//! read, is `app`'s business.

use std::fmt::Write as _;
use std::time::Duration;

use crate::model::format_duration;
use crate::run::event::{GateFacts, NextUp, Troubled};
use crate::task::GateAt;

use super::grammar::outcome_words;
use super::host_failure::sentence;
use super::rollout_words::{folded, out_words, trouble_class, trouble_words};
use super::sanitize::safe;
use super::style::{Role, Styles};
use super::summary::role_of;
use super::view::RunView;

/// Hosts with problems that are shown one by one; the others are counted.
const MAX_TROUBLED: usize = 10;

/// The screen of a gate; its last line, the question, has no newline.
pub(crate) fn gate_text(
    question: &str,
    gate: &GateFacts,
    view: &RunView,
    styles: Styles,
    width: usize,
) -> String {
    let place = match gate.at {
        Some(GateAt::Start) => "gate before the first change".to_owned(),
        Some(GateAt::Canary) => "gate after the canary".to_owned(),
        Some(GateAt::Zone) => after_zone(view),
        Some(GateAt::Batch) => after_batch(view),
        Some(GateAt::Phase) => after_phase(view),
        None => "the rollout stopped and asks what to do".to_owned(),
    };
    let elapsed = format_duration(view.elapsed);
    let lead = styles.paint(Role::Strong, place);
    let mut out = format!("{lead}, {elapsed} after the start\n");
    let counts: Vec<String> = gate
        .counts
        .iter()
        .map(|(word, count)| count_words(word, *count, styles))
        .collect();
    if !counts.is_empty() {
        let _ = writeln!(out, "  so far: {}", counts.join(", "));
    }
    push_troubled(&mut out, &gate.troubled, styles);
    if let Some(hosts) = out_words(view, width) {
        let _ = writeln!(out, "  out now: {hosts}");
    }
    if let Some(next) = &gate.next {
        let _ = writeln!(out, "  next: {}", next_words(next, width));
    }
    let limit = format_duration(Duration::from_millis(gate.timeout_ms));
    let question = styles.paint(Role::Strong, safe(question));
    let _ = write!(out, "{question} (paused in {limit} without an answer)");
    out
}

fn count_words(word: &str, count: usize, styles: Styles) -> String {
    let role = if word == "pending" {
        Role::Dim
    } else {
        role_of(word)
    };
    let word = if word == "pending" {
        "to come"
    } else {
        outcome_words(word)
    };
    styles
        .paint(role, format!("{count} {}", safe(word)))
        .to_string()
}

fn after_zone(view: &RunView) -> String {
    match view.batch.as_ref().and_then(|batch| batch.zone.as_ref()) {
        Some(zone) => format!("gate after zone {}", safe(zone.as_str())),
        None => "gate after a zone".to_owned(),
    }
}

fn after_batch(view: &RunView) -> String {
    match &view.batch {
        Some(batch) => format!("gate after batch {} of {}", batch.index + 1, batch.count),
        None => "gate after a batch".to_owned(),
    }
}

fn after_phase(view: &RunView) -> String {
    match &view.rollout.phase {
        Some(phase) => format!("gate after phase {}", safe(&phase.name)),
        None => "gate after a phase".to_owned(),
    }
}

fn push_troubled(out: &mut String, troubled: &[Troubled], styles: Styles) {
    for host in troubled.iter().take(MAX_TROUBLED) {
        let label = styles.label(&safe(host.host.as_str())).to_string();
        let _ = writeln!(out, "  {label}  {}", troubled_words(host, styles));
    }
    if troubled.len() > MAX_TROUBLED {
        let rest: Vec<_> = troubled[MAX_TROUBLED..]
            .iter()
            .map(|host| &host.host)
            .collect();
        let hosts = folded(rest.iter().copied(), 60);
        let _ = writeln!(out, "  and {} more with problems: {hosts}", rest.len());
    }
}

fn troubled_words(host: &Troubled, styles: Styles) -> String {
    let end = host.outcome.as_ref().map(|outcome| {
        let (first, rest) = sentence(outcome, None);
        let first = styles.paint(role_of(outcome.word()), first);
        format!("{first}{}", safe(&rest))
    });
    let found = host.trouble.as_ref().map(|trouble| {
        let class = styles.paint(Role::Error, trouble_class(trouble));
        format!("{class}: {}", trouble_words(trouble))
    });
    let parts: Vec<String> = [end, found].into_iter().flatten().collect();
    parts.join("; ")
}

/// `batch 3 of 7 in us-west-2b: b[1-2]`, with the phase where it is another one.
pub(crate) fn next_words(next: &NextUp, width: usize) -> String {
    let zone = next
        .zone
        .as_ref()
        .map(|zone| format!(" in {}", safe(zone.as_str())));
    let phase = match next.phase.as_str() {
        "main" => String::new(),
        name => format!("phase {}, ", safe(name)),
    };
    format!(
        "{phase}batch {} of {}{}: {}",
        next.batch + 1,
        next.of,
        zone.unwrap_or_default(),
        folded(&next.hosts, width / 2)
    )
}
