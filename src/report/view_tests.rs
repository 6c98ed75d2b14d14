//! How a run's view follows its events.

use super::super::samples::{self, event, failed, finished, host, step};
use super::*;

/// What two processes of a run told is one story.
#[test]
fn a_run_that_goes_on_keeps_what_it_knew() {
    let hosts = [("a", "z1"), ("b", "z1"), ("c", "z2")];
    let mut view = view_of(vec![
        samples::run_started(Kind::Change, &hosts),
        EventKind::HostStarted { host: host("a") },
        finished("a", HostOutcome::Ok, 800, &["x"]),
        EventKind::HostStarted { host: host("b") },
        EventKind::CancelStarted {
            reason: CancelReason::Interrupt,
            running: Vec::new(),
        },
    ]);
    let again = [("a", "z1"), ("b", "z1"), ("d", "z2")];
    let kinds = [
        samples::run_started(Kind::Change, &again),
        finished("a", HostOutcome::Ok, 800, &["x"]),
    ];
    for (seq, kind) in (5..).zip(kinds) {
        view.apply(&event(seq, seq * 1000, kind));
    }
    assert_eq!(view.started, Some(samples::start()));
    assert_eq!(view.elapsed, Duration::from_secs(6));
    assert_eq!((view.counts(), view.cancel), (vec![("ok", 1)], None));
    assert!(view.busy().is_empty());
    assert_eq!(view.hosts.len(), 3);
}

fn view_of(kinds: Vec<EventKind>) -> RunView {
    let mut view = RunView::default();
    for (seq, kind) in (0..).zip(kinds) {
        view.apply(&event(seq, seq * 1000, kind));
    }
    view
}

#[test]
fn hosts_go_from_waiting_to_their_end() {
    let started = samples::run_started(Kind::Read, &[("a", "z1"), ("b", "z1"), ("c", "z2")]);
    let mut view = view_of(vec![
        started,
        EventKind::HostStarted { host: host("a") },
        EventKind::HostStarted { host: host("b") },
        EventKind::HostConnected { host: host("a") },
        EventKind::StepStarted {
            host: Some(host("a")),
            step: step("dump"),
        },
    ]);
    let busy: Vec<&str> = view
        .busy()
        .iter()
        .map(|(label, ..)| label.as_str())
        .collect();
    assert_eq!(busy, ["a", "b"]);
    assert!(
        matches!(view.hosts[&Label::new("a")].state, HostState::Working { since } if since.as_secs() == 1)
    );
    assert!(view.hosts[&Label::new("a")].step.is_some());
    view.apply(&event(9, 9000, finished("a", failed(1), 8000, &["x"])));
    view.apply(&event(10, 9000, finished("b", HostOutcome::Ok, 8000, &[])));
    assert_eq!(view.counts(), [("ok", 1), ("failed", 1)]);
    assert!(view.busy().is_empty());
    assert_eq!(
        view.hosts[&Label::new("a")].end().map(|end| end.tail.len()),
        Some(1)
    );
}

#[test]
fn a_transfer_counts_from_what_was_there() {
    let progress = |done| EventKind::TransferProgressed {
        host: host("a"),
        step: step("fetch"),
        done,
        total: Some(100),
    };
    let view = view_of(vec![
        samples::run_started(Kind::Read, &[("a", "z")]),
        EventKind::HostStarted { host: host("a") },
        progress(40),
        progress(60),
    ]);
    let transfer = view.hosts[&Label::new("a")].transfer.unwrap();
    assert_eq!((transfer.first, transfer.done), (40, 60));
    assert_eq!(
        (transfer.since.as_secs(), transfer.latest.as_secs()),
        (2, 3)
    );
}
