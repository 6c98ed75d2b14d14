//! A run as it stands: a fold over its events. Pure. The status block and the summary are texts of it; it
//! knows neither.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;

use crate::model::{CancelReason, HostOutcome, Label, RunId, Zone};
use crate::run::event::{
    EventKind, HostRef, RollbackResult, RolloutFact, RunEvent, RunSummary, StepRef,
};
use crate::task::Kind;

use super::rollout_view::RolloutView;

/// A run so far. Times are since the run's start.
#[derive(Debug, Clone, Default)]
pub(crate) struct RunView {
    /// The run; `None` before its first event.
    pub(crate) run: Option<RunId>,
    /// The task's name.
    pub(crate) task: String,
    /// Whether it changes hosts.
    pub(crate) kind: Option<Kind>,
    /// When it began.
    pub(crate) started: Option<jiff::Timestamp>,
    /// The record's folder.
    pub(crate) record: PathBuf,
    /// Every planned host.
    pub(crate) hosts: IndexMap<Label, HostView>,
    /// The batch at work.
    pub(crate) batch: Option<BatchView>,
    /// What is no host's own.
    pub(crate) rollout: RolloutView,
    /// Files brought back.
    pub(crate) files: Vec<FetchedFile>,
    /// The step on the controller, and when it began.
    pub(crate) controller: Option<(StepRef, Duration)>,
    /// A question that waits for its answer.
    pub(crate) gate: Option<String>,
    /// Why nothing new is started.
    pub(crate) cancel: Option<CancelReason>,
    /// Whether the remote groups are being ended.
    pub(crate) killing: bool,
    /// The time of the latest event.
    pub(crate) elapsed: Duration,
    /// The end, once it has come.
    pub(crate) summary: Option<Arc<RunSummary>>,
}

/// One host so far.
#[derive(Debug, Clone)]
pub(crate) struct HostView {
    /// The zone.
    pub(crate) zone: Zone,
    /// What it does.
    pub(crate) state: HostState,
    /// The connection attempt at work and how many there may be, where one failed already.
    pub(crate) attempt: Option<(u32, u32)>,
    /// The step at work, and when it began.
    pub(crate) step: Option<(StepRef, Duration)>,
    /// When something was last heard of it.
    pub(crate) heard: Duration,
    /// The transfer at work.
    pub(crate) transfer: Option<Transfer>,
    /// The step that took longest.
    pub(crate) longest: Option<(Arc<str>, Duration)>,
    /// Since when it is rolled back, while it is.
    pub(crate) undoing: Option<Duration>,
    /// How its rollback ended.
    pub(crate) rollback: Option<RollbackResult>,
}

/// What a host does.
#[derive(Debug, Clone)]
pub(crate) enum HostState {
    /// Its turn has not come.
    Waiting,
    /// It is being connected to.
    Connecting {
        /// Since when.
        since: Duration,
    },
    /// It is at work.
    Working {
        /// Since when, the connection included.
        since: Duration,
    },
    /// It did its part of the phase; a later one follows.
    Passed,
    /// It ended.
    Ended(HostEnd),
}

/// How a host ended.
#[derive(Debug, Clone)]
pub(crate) struct HostEnd {
    /// How.
    pub(crate) outcome: HostOutcome,
    /// How long it took.
    pub(crate) duration: Duration,
    /// The last lines of its last step.
    pub(crate) tail: Vec<String>,
}

/// A transfer at work.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Transfer {
    /// Bytes that were there when it began.
    pub(crate) first: u64,
    /// Bytes so far.
    pub(crate) done: u64,
    /// Bytes in all, where known.
    pub(crate) total: Option<u64>,
    /// When its first bytes were reported.
    pub(crate) since: Duration,
    /// When its latest bytes were reported.
    pub(crate) latest: Duration,
}

/// A batch at work.
#[derive(Debug, Clone)]
pub(crate) struct BatchView {
    /// From 0.
    pub(crate) index: usize,
    /// Batches of the phase.
    pub(crate) count: usize,
    /// Its zone, where it has one.
    pub(crate) zone: Option<Zone>,
    /// How many hosts it has.
    pub(crate) hosts: usize,
}

/// A file brought back.
#[derive(Debug, Clone)]
pub(crate) struct FetchedFile {
    /// From which host.
    pub(crate) host: Label,
    /// Where it is.
    pub(crate) path: PathBuf,
    /// Its size.
    pub(crate) bytes: u64,
}

impl HostView {
    /// Since when the host is at work, if it is.
    pub(crate) fn busy_since(&self) -> Option<Duration> {
        let forward = match self.state {
            HostState::Connecting { since } | HostState::Working { since } => Some(since),
            HostState::Waiting | HostState::Passed | HostState::Ended(_) => None,
        };
        self.undoing.or(forward)
    }

    /// Whether its part of the phase is over.
    pub(crate) fn is_done(&self) -> bool {
        matches!(self.state, HostState::Passed | HostState::Ended(_))
    }

    /// The end, if it has come.
    pub(crate) fn end(&self) -> Option<&HostEnd> {
        match &self.state {
            HostState::Ended(end) => Some(end),
            _ => None,
        }
    }

    fn apply_fact(&mut self, fact: &RolloutFact) {
        match fact {
            RolloutFact::HostPassed { .. } => {
                self.state = HostState::Passed;
                (self.step, self.transfer) = (None, None);
            }
            RolloutFact::HostReopened { .. } => self.state = HostState::Waiting,
            RolloutFact::HostTurned { check, cause, .. } => {
                let duration = self.end().map(|end| end.duration).unwrap_or_default();
                self.state = HostState::Ended(HostEnd {
                    outcome: HostOutcome::Unhealthy {
                        check: check.clone(),
                        cause: cause.clone(),
                    },
                    duration,
                    tail: Vec::new(),
                });
            }
            RolloutFact::HostRolledBack { result, .. } => {
                (self.step, self.transfer, self.undoing) = (None, None, None);
                self.rollback = Some(result.clone());
            }
            _ => {}
        }
    }
}

impl RunView {
    /// Takes the next event in.
    pub(crate) fn apply(&mut self, event: &RunEvent) {
        let now = event.elapsed;
        self.elapsed = now;
        self.rollout.apply(&event.kind, now);
        match &event.kind {
            EventKind::RunStarted {
                task,
                task_kind,
                hosts,
                record,
            } => {
                self.run = Some(event.run.clone());
                self.started.get_or_insert(event.time);
                task.clone_into(&mut self.task);
                self.kind = Some(*task_kind);
                record.clone_into(&mut self.record);
                self.begin(hosts);
            }
            EventKind::BatchStarted {
                index,
                count,
                zone,
                hosts,
                ..
            } => {
                self.batch = Some(BatchView {
                    index: *index,
                    count: *count,
                    zone: zone.clone(),
                    hosts: hosts.len(),
                });
            }
            EventKind::Rollout(RolloutFact::PhaseStarted { .. }) => self.next_phase(),
            EventKind::GateAsked { question, .. } => self.gate = Some(question.clone()),
            EventKind::GateAnswered { .. } => self.gate = None,
            EventKind::CancelStarted { reason, .. } => self.cancel = Some(*reason),
            EventKind::KillStarted { .. } => self.killing = true,
            EventKind::RunFinished { summary } => self.summary = Some(Arc::clone(summary)),
            EventKind::FileFetched {
                host, path, bytes, ..
            } => self.files.push(FetchedFile {
                host: host.host.clone(),
                path: path.clone(),
                bytes: *bytes,
            }),
            EventKind::StepStarted { host: None, step } => {
                self.controller = Some((step.clone(), now));
            }
            EventKind::StepFinished { host: None, .. } => self.controller = None,
            kind => self.apply_to_host(kind, now),
        }
    }

    /// A process of the run begins. What an earlier one left open is over; its hosts' ends are told anew.
    fn begin(&mut self, hosts: &[(HostRef, Zone)]) {
        let mut known = std::mem::take(&mut self.hosts);
        let hosts = hosts.iter().map(planned).map(|(label, mut host)| {
            if let Some(was) = known.swap_remove(&label) {
                (host.longest, host.rollback) = (was.longest, was.rollback);
            }
            (label, host)
        });
        self.hosts = hosts.collect();
        (self.batch, self.controller, self.gate) = (None, None, None);
        (self.cancel, self.killing, self.summary) = (None, false, None);
    }

    /// Every host has its part of the phase before it.
    fn next_phase(&mut self) {
        self.batch = None;
        for host in self.hosts.values_mut() {
            if matches!(host.state, HostState::Passed) {
                host.state = HostState::Waiting;
            }
        }
    }

    fn apply_to_host(&mut self, kind: &EventKind, now: Duration) {
        let Some(host) = host_of(kind).and_then(|host| self.hosts.get_mut(&host.host)) else {
            return;
        };
        host.heard = now;
        match kind {
            EventKind::Rollout(fact) => host.apply_fact(fact),
            // How it ended stays known while it is rolled back.
            EventKind::HostStarted { .. } if self.rollout.undo.is_some() => {
                host.undoing = Some(now);
            }
            EventKind::HostStarted { .. } => host.state = HostState::Connecting { since: now },
            EventKind::ConnectRetried {
                attempt, attempts, ..
            } => host.attempt = Some((attempt + 1, *attempts)),
            EventKind::HostConnected { .. } => {
                host.attempt = None;
                if let HostState::Connecting { since } = host.state {
                    host.state = HostState::Working { since };
                }
            }
            EventKind::StepStarted { step, .. } => {
                host.step = Some((step.clone(), now));
                host.transfer = None;
            }
            EventKind::StepFinished { step, duration, .. } => {
                if host
                    .longest
                    .as_ref()
                    .is_none_or(|(_, longest)| duration > longest)
                {
                    host.longest = Some((Arc::clone(&step.name), *duration));
                }
                host.step = None;
                host.transfer = None;
            }
            EventKind::TransferProgressed { done, total, .. } => {
                let transfer = host.transfer.get_or_insert(Transfer {
                    first: *done,
                    done: *done,
                    total: *total,
                    since: now,
                    latest: now,
                });
                (transfer.done, transfer.total, transfer.latest) = (*done, *total, now);
            }
            EventKind::HostFinished {
                outcome,
                duration,
                tail,
                ..
            } => {
                host.state = HostState::Ended(HostEnd {
                    outcome: outcome.clone(),
                    duration: *duration,
                    tail: tail.clone(),
                });
                (host.step, host.transfer, host.undoing) = (None, None, None);
            }
            _ => {}
        }
    }

    /// How many hosts have ended with each outcome, in the order of summaries; outcomes of no host are absent.
    pub(crate) fn counts(&self) -> Vec<(&'static str, usize)> {
        let mut counts: Vec<(&'static str, usize)> =
            HostOutcome::WORDS.iter().map(|word| (*word, 0)).collect();
        for end in self.hosts.values().filter_map(HostView::end) {
            let word = end.outcome.word();
            if let Some((_, count)) = counts.iter_mut().find(|(known, _)| *known == word) {
                *count += 1;
            }
        }
        counts.retain(|(_, count)| *count > 0);
        counts
    }

    /// How many hosts were begun and have no end, and how many were not begun.
    pub(crate) fn open(&self) -> (usize, usize) {
        let open = self.hosts.values().filter(|host| host.end().is_none());
        let (begun, to_come): (Vec<_>, Vec<_>) =
            open.partition(|host| !matches!(host.state, HostState::Waiting));
        (begun.len(), to_come.len())
    }

    /// Hosts at work, those that began first before the others.
    pub(crate) fn busy(&self) -> Vec<(&Label, &HostView, Duration)> {
        let mut busy: Vec<_> = self
            .hosts
            .iter()
            .filter_map(|(label, host)| Some((label, host, host.busy_since()?)))
            .collect();
        busy.sort_by_key(|(_, _, since)| *since);
        busy
    }
}

fn planned((host, zone): &(HostRef, Zone)) -> (Label, HostView) {
    let view = HostView {
        zone: zone.clone(),
        state: HostState::Waiting,
        attempt: None,
        step: None,
        heard: Duration::ZERO,
        transfer: None,
        longest: None,
        undoing: None,
        rollback: None,
    };
    (host.host.clone(), view)
}

/// The host that an event is about.
pub(crate) fn host_of(kind: &EventKind) -> Option<&HostRef> {
    match kind {
        EventKind::HostStarted { host }
        | EventKind::ConnectRetried { host, .. }
        | EventKind::HostConnected { host }
        | EventKind::TransferProgressed { host, .. }
        | EventKind::FileFetched { host, .. }
        | EventKind::HostFinished { host, .. } => Some(host),
        EventKind::StepStarted { host, .. }
        | EventKind::Output { host, .. }
        | EventKind::StepRetried { host, .. }
        | EventKind::StepFinished { host, .. }
        | EventKind::Noted { host, .. } => host.as_ref(),
        EventKind::Rollout(fact) => fact.host(),
        EventKind::RunStarted { .. }
        | EventKind::BatchStarted { .. }
        | EventKind::BatchFinished { .. }
        | EventKind::GateAsked { .. }
        | EventKind::GateAnswered { .. }
        | EventKind::CancelStarted { .. }
        | EventKind::KillStarted { .. }
        | EventKind::RunFinished { .. } => None,
    }
}

#[cfg(test)]
#[path = "view_tests.rs"]
mod tests;
