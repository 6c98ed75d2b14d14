//! Rollouts told as events, for the tests of what people see of them. The tests are `rollout_tests`'s.

use super::notice::{NoticeLook, Verbosity, notice};
use super::progress::{RowsLook, rows};
use super::samples::{event, failed, finished, host, run_started, summary};
use super::style::Styles;
use super::summary::{Closing, SummaryLook, summary_text};
use super::view::RunView;
use crate::model::{CancelReason, HostOutcome, Label, UnreachableKind, Zone};
use crate::run::event::{
    BakeReason, EventKind, PlanChange, RollbackResult, RolloutFact, Rule, RunEvent, Shortfall,
    StopCause, Trouble,
};
use crate::task::Kind;
use std::sync::Arc;
use std::time::Duration;

/// Events with their seconds.
#[derive(Default)]
pub(crate) struct Story(pub(crate) Vec<RunEvent>);

pub(crate) fn labels(names: &[&str]) -> Vec<Label> {
    names.iter().map(|name| Label::new(*name)).collect()
}

pub(crate) fn sick(check: &str, cause: &str) -> Trouble {
    Trouble::Sick {
        check: check.into(),
        cause: cause.into(),
    }
}

pub(crate) fn silent(cause: &str) -> Trouble {
    Trouble::Silent {
        unreachable_kind: UnreachableKind::Refused,
        causes: vec![cause.into()],
        hints: Vec::new(),
    }
}

impl Story {
    /// Twelve hosts in three zones, asked how they are.
    pub(crate) fn new() -> Self {
        let mut story = Self::default();
        let hosts = ["a", "b", "c"].map(|zone| (1..=4).map(move |n| (format!("{zone}{n}"), zone)));
        let hosts: Vec<(String, &str)> = hosts.into_iter().flatten().collect();
        let hosts: Vec<(&str, &str)> = hosts.iter().map(|(l, z)| (l.as_str(), *z)).collect();
        story.at(0, run_started(Kind::Change, &hosts));
        let names: Vec<&str> = hosts.iter().map(|(label, _)| *label).collect();
        let hosts = labels(&names);
        story.fact(0, RolloutFact::PreflightStarted { hosts });
        story
    }

    pub(crate) fn at(&mut self, second: u64, kind: EventKind) {
        let seq = self.0.len() as u64;
        self.0.push(event(seq, second * 1000, kind));
    }

    pub(crate) fn fact(&mut self, second: u64, fact: RolloutFact) {
        self.at(second, EventKind::Rollout(fact));
    }

    pub(crate) fn found(&mut self, second: u64, name: &str, trouble: Option<Trouble>) {
        let host = host(name);
        self.fact(second, RolloutFact::HostFound { host, trouble });
    }

    pub(crate) fn asked(&mut self, second: u64, sick: &[&str], silent: &[&str]) {
        let fact = RolloutFact::PreflightFinished {
            healthy: 12_usize.saturating_sub(sick.len() + silent.len()),
            sick: labels(sick),
            silent: labels(silent),
            unfit: vec![],
        };
        self.fact(second, fact);
    }

    /// A batch whose hosts all start.
    pub(crate) fn batch(&mut self, second: u64, index: usize, zone: &str, names: &[&str]) {
        let batch = EventKind::BatchStarted {
            phase: "main".into(),
            index,
            count: 7,
            zone: Some(Zone::new(zone)),
            canary: index == 0,
            last: false,
            hosts: labels(names),
        };
        self.at(second, batch);
        for name in names {
            self.at(second, EventKind::HostStarted { host: host(name) });
            self.at(second, EventKind::HostConnected { host: host(name) });
        }
    }

    pub(crate) fn ok(&mut self, second: u64, names: &[&str]) {
        for name in names {
            self.at(second, finished(name, HostOutcome::Ok, 9000, &[]));
        }
    }

    pub(crate) fn bake(&mut self, second: u64, minutes: u64, why: BakeReason, watched: &[&str]) {
        let fact = RolloutFact::BakeStarted {
            length_ms: minutes * 60_000,
            why,
            watched: labels(watched),
        };
        self.fact(second, fact);
    }

    pub(crate) fn stop(&mut self, second: u64, because: StopCause, not_started: &[&str]) {
        let not_started = labels(not_started);
        let fact = RolloutFact::RolloutStopped {
            because,
            not_started,
        };
        self.fact(second, fact);
    }

    /// Hosts that never started, and the last event.
    pub(crate) fn end(&mut self, second: u64, exit: u8, state: &str, not_run: &[&str]) {
        for name in not_run {
            let reason = "the rollout stopped".to_owned();
            self.at(
                second,
                finished(name, HostOutcome::NotRun { reason }, 0, &[]),
            );
        }
        let summary = Arc::new(summary(exit, state, &[]));
        self.at(second, EventKind::RunFinished { summary });
    }

    pub(crate) fn view(&self) -> RunView {
        let mut view = RunView::default();
        self.0.iter().for_each(|event| view.apply(event));
        view
    }

    /// What was said, in lines.
    pub(crate) fn said(&self, verbosity: Verbosity, width: usize, has_status: bool) -> String {
        let look = NoticeLook {
            verbosity,
            styles: Styles::plain(),
            width,
            has_status,
            terminal: has_status,
        };
        let mut view = RunView::default();
        let told = self.0.iter().filter_map(|event| {
            view.apply(event);
            notice(&event.kind, &view, look)
        });
        told.collect()
    }

    pub(crate) fn status(&self, second: u64, width: usize) -> String {
        let look = RowsLook {
            styles: Styles::plain(),
            width,
            rows: 20,
        };
        rows(&self.view(), Duration::from_secs(second), look).join("\n")
    }

    pub(crate) fn summary(&self, width: usize) -> String {
        told_at_the_end(&self.view(), width)
    }
}

pub(crate) fn told_at_the_end(view: &RunView, width: usize) -> String {
    let look = SummaryLook {
        styles: Styles::plain(),
        width,
        run: "last",
        skipped: &[],
        trouble: None,
    };
    let closing = Closing {
        repeatable: true,
        ..Closing::default()
    };
    summary_text(view, &closing, &look)
}

pub(crate) const LATER: [&str; 8] = ["b1", "b2", "b3", "b4", "c1", "c2", "c3", "c4"];

pub(crate) fn shortfall() -> Shortfall {
    Shortfall {
        rule: Rule::MinHealthy,
        healthy: 8,
        needed: 9,
        down: labels(&["b2", "c4"]),
        taking: labels(&["a2", "a3"]),
    }
}

/// One sick host, the canary, a bake, a wait for health, and two hosts at work, of which one failed.
pub(crate) fn begun() -> Story {
    let mut story = Story::new();
    story.found(1, "a2", Some(sick("http", "status 503")));
    story.asked(2, &["a2"], &[]);
    let batches = [&["a2"][..], &["a1"], &["a3", "a4"], &["b1", "b2"]].map(labels);
    let changed = RolloutFact::PlanChanged {
        phase: "main".into(),
        first: 0,
        batches: batches.to_vec(),
        why: PlanChange::Health,
    };
    story.fact(2, changed);
    story.batch(3, 0, "a", &["a2"]);
    story.ok(12, &["a2"]);
    story.bake(12, 5, BakeReason::Canary, &["a2"]);
    story
}

pub(crate) fn waiting() -> Story {
    let mut story = begun();
    let waited_ms = 300_000;
    story.fact(312, RolloutFact::BakeFinished { waited_ms });
    story.batch(313, 1, "a", &["a1"]);
    story.ok(322, &["a1"]);
    story.found(323, "b2", Some(sick("http", "status 503")));
    story.found(
        323,
        "c4",
        Some(silent("connection refused by 10.0.0.9 port 22")),
    );
    let waited = RolloutFact::HealthWaited {
        phase: "main".into(),
        shortfall: shortfall(),
        limit_ms: 300_000,
    };
    story.fact(323, waited);
    story
}

pub(crate) fn stopped() -> Story {
    let mut story = waiting();
    story.found(330, "b2", None);
    let regained = RolloutFact::HealthRegained {
        phase: "main".into(),
        waited_ms: 8000,
    };
    story.fact(331, regained);
    story.batch(332, 2, "a", &["a3", "a4"]);
    story.at(340, finished("a4", failed(1), 8000, &["no such jar"]));
    let because = StopCause::Failures {
        failed: 1,
        limit: 0,
    };
    story.stop(340, because, &LATER);
    let reason = CancelReason::HostFailed;
    let running = labels(&["a3"]);
    story.at(340, EventKind::CancelStarted { reason, running });
    story
}

pub(crate) fn rolled_back() -> Story {
    let mut story = stopped();
    story.ok(345, &["a3"]);
    let hosts = labels(&["a4", "a3", "a1"]);
    story.fact(346, RolloutFact::RollbackStarted { hosts });
    for name in ["a4", "a3"] {
        story.at(346, EventKind::HostStarted { host: host(name) });
    }
    let failed = RollbackResult::Failed {
        cause: "exit 1 at step `restore`".into(),
    };
    let pending = RollbackResult::Pending {
        cause: "connection refused".into(),
    };
    for (name, result) in [
        ("a4", RollbackResult::Done),
        ("a3", failed),
        ("a1", pending),
    ] {
        let host = host(name);
        story.fact(360, RolloutFact::HostRolledBack { host, result });
    }
    story
}
