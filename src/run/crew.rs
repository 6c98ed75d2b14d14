//! The units at work: started in order as far as there are places for them, told when they end.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::OwnedSemaphorePermit;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;

use crate::model::HostOutcome;

use super::errand::{Start, Work as Kind};
use super::event::RollbackResult;
use super::message::{HostEnd, HostIndex, UnitMessage, Verdict};
use super::shared::{Shared, World};
use super::unit::{self, Leave};
use super::work::{AtWork, Site, close};

/// Units, and hosts that are to become units.
pub(crate) struct Crew<W: World> {
    shared: Arc<Shared<W>>,
    set: JoinSet<Ended>,
    at_work: HashMap<Id, Member>,
    waiting: VecDeque<Member>,
}

/// A host of a batch.
#[derive(Debug, Clone)]
struct Member {
    host: HostIndex,
    batch: Arc<AtWork>,
    kind: Kind,
    started: Instant,
}

/// How a unit ended.
pub(crate) enum Ended {
    Forward(HostEnd),
    Rollback(RollbackResult),
}

/// Something that the crew has to be moved on by.
pub(crate) enum Move {
    /// There is a place for the next host.
    Place(Option<OwnedSemaphorePermit>),
    /// A unit ended.
    End(Result<(Id, Ended), JoinError>),
}

impl<W: World> Crew<W> {
    /// Nobody is at work.
    pub(crate) fn new(shared: Arc<Shared<W>>) -> Self {
        Self {
            shared,
            set: JoinSet::new(),
            at_work: HashMap::new(),
            waiting: VecDeque::new(),
        }
    }

    /// Whether nobody is at work, or waits for a place.
    pub(crate) fn is_idle(&self) -> bool {
        self.set.is_empty() && self.waiting.is_empty()
    }

    /// Takes hosts on; they start as soon as there are places for them.
    pub(crate) fn take_on(&mut self, start: &Start) {
        let shared = &self.shared;
        shared.meetings.enlist(&start.hosts);
        let numbers = (start.phase, start.batch);
        let batch = Arc::new(AtWork {
            phase: start.phase,
            number: start.batch,
            members: start.members.clone(),
            place: shared.places.batch(numbers, start.canary, &start.members),
        });
        let hosts = start.hosts.iter().map(|host| Member {
            host: *host,
            batch: Arc::clone(&batch),
            kind: start.work,
            started: Instant::now(),
        });
        self.waiting.extend(hosts);
    }

    /// The next move, once there is one. Nothing is lost where the wait is given up.
    pub(crate) async fn next(&mut self) -> Move {
        let shared = Arc::clone(&self.shared);
        let place = async {
            if self.waiting.is_empty() {
                std::future::pending().await
            } else {
                shared.permit().await
            }
        };
        let end = async {
            match self.set.join_next_with_id().await {
                Some(end) => end,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            end = end => Move::End(end),
            place = place => Move::Place(place),
        }
    }

    /// Makes a move; whether something ended by it.
    pub(crate) async fn make(&mut self, step: Move) -> bool {
        match step {
            Move::Place(permit) => match self.waiting.pop_front() {
                Some(member) => self.start(member, permit).await,
                None => false,
            },
            Move::End(end) => {
                self.reap(end).await;
                true
            }
        }
    }

    /// Starts a host, unless leave is refused.
    async fn start(&mut self, mut member: Member, permit: Option<OwnedSemaphorePermit>) -> bool {
        let shared = Arc::clone(&self.shared);
        let host = member.host;
        let heed = shared.stop.now();
        let phase = &shared.plan.phases[member.batch.phase];
        let Some(target) = shared.places.target(host) else {
            return false;
        };
        let verdict = shared.wire.ask(UnitMessage::HostStarting { host }).await;
        if verdict == Verdict::Refuse {
            shared.meetings.ended(host);
            return true;
        }
        shared.known.taken(host);
        member.started = Instant::now();
        let plan = Arc::new(phase.hosts[target].clone());
        let leave = Leave {
            site: Site {
                index: host,
                host: Arc::clone(&plan.host),
                batch: Some(Arc::clone(&member.batch)),
            },
            plan,
            permit,
            heed,
            continues: verdict == Verdict::Continue,
        };
        let shared = Arc::clone(&shared);
        let unit = match member.kind {
            Kind::Forward => self
                .set
                .spawn(async move { Ended::Forward(unit::run(shared, leave).await) }),
            Kind::Rollback => self
                .set
                .spawn(async move { Ended::Rollback(unit::roll_back(shared, leave).await) }),
        };
        self.at_work.insert(unit.id(), member);
        false
    }

    /// Tells a unit's end. The answer says that it was counted.
    async fn reap(&mut self, end: Result<(Id, Ended), JoinError>) {
        let (id, end) = match end {
            Ok((id, end)) => (id, Ok(end)),
            Err(error) => (error.id(), Err(error)),
        };
        let Some(member) = self.at_work.remove(&id) else {
            return;
        };
        let host = member.host;
        let end = end.unwrap_or_else(|error| member.broken(&broken(error)));
        let shared = Arc::clone(&self.shared);
        let well = match &end {
            Ended::Forward(end) => end.outcome == HostOutcome::Ok,
            Ended::Rollback(result) => *result == RollbackResult::Done,
        };
        shared.known.ended(host, well);
        shared.meetings.ended(host);
        self.retire(&member).await;
        let message = match end {
            Ended::Forward(end) => {
                let rendering = &shared.rendering;
                let counter = if well {
                    &rendering.ok
                } else {
                    &rendering.failed
                };
                counter.fetch_add(1, Ordering::Relaxed);
                UnitMessage::HostEnded { host, end }
            }
            Ended::Rollback(result) => UnitMessage::HostRolledBack { host, result },
        };
        shared.wire.ask(message).await;
    }

    /// Closes the session of a host that nobody needs any more.
    async fn retire(&self, member: &Member) {
        let plan = &self.shared.plan;
        let last = member.batch.phase + 1 == plan.phases.len();
        let asked_later = !plan.members.is_empty()
            || plan.phases.iter().any(|phase| {
                let rollback = |host: &crate::plan::HostPlan| !host.rollback.is_empty();
                phase.hosts.first().is_some_and(rollback)
            });
        if last
            && !asked_later
            && let Some(session) = self.shared.pool.take(member.host)
        {
            close(session).await;
        }
    }
}

impl Member {
    /// The end of a unit that broke.
    fn broken(&self, words: &str) -> Ended {
        match self.kind {
            Kind::Forward => Ended::Forward(HostEnd {
                duration: self.started.elapsed(),
                ..HostEnd::internal(words)
            }),
            Kind::Rollback => Ended::Rollback(RollbackResult::Failed {
                cause: format!("a part of fab-rs itself broke: {words}"),
            }),
        }
    }
}

/// What is known of a unit that ended without a word.
pub(crate) fn broken(error: JoinError) -> String {
    let Ok(panic) = error.try_into_panic() else {
        return "its work was dropped".to_owned();
    };
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("its work panicked").to_owned()
}
