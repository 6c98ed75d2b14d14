//! A simulated working half: it plays the real deciding half over a fleet of its own, in its own time, and
//! looks at every hand-out whether it may be.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::model::{HostOutcome, UnreachableKind, Zone};
use crate::run::errand::{Errand, Finding, Found, GateAnswer, LockEnd, Start, Work};
use crate::run::event::{EventKind, RollbackResult, RolloutFact, StepRef};
use crate::run::message::{HostEnd, HostIndex, Reply, UnitMessage, Verdict};
use crate::run::roster::Roster;
use crate::run::state::{Order, Reaction, RunState, StateSettings};

use super::fleet::{Fleet, Played, unreachable};

/// A rollout while it is played.
pub(super) struct Playing {
    fleet: Fleet,
    state: RunState,
    now: u64,
    events: Vec<EventKind>,
    /// Hosts that were handed out and wait for a place.
    queue: VecDeque<(HostIndex, Work)>,
    /// Hosts at work, with when they end.
    at_work: Vec<(u64, HostIndex, Work)>,
    /// How hosts were when last looked at.
    looked: BTreeMap<HostIndex, bool>,
    baseline: Option<usize>,
    stopped: bool,
    taken: Vec<String>,
    errands: Vec<String>,
    locks: Vec<String>,
    faults: Vec<String>,
    turn: usize,
}

impl Playing {
    pub(super) fn new(fleet: Fleet) -> Self {
        let roster = Arc::new(Roster::of(&fleet.plan));
        let settings = StateSettings {
            run: crate::model::RunId::from_text("r"),
            fail_fast: false,
            record: "/record".into(),
            started: jiff::Timestamp::UNIX_EPOCH,
            progress: fleet.progress.clone(),
            undo: false,
        };
        let (state, first) = RunState::new(Arc::clone(&fleet.plan), roster, settings);
        Self {
            fleet,
            state,
            now: 0,
            events: vec![first],
            queue: VecDeque::new(),
            at_work: Vec::new(),
            looked: BTreeMap::new(),
            baseline: None,
            stopped: false,
            taken: Vec::new(),
            errands: Vec::new(),
            locks: Vec::new(),
            faults: Vec::new(),
            turn: 0,
        }
    }

    pub(super) fn play(mut self) -> Played {
        while self.faults.is_empty() && self.turn < 100_000 {
            self.turn += 1;
            self.signal();
            let at = Duration::from_secs(self.now);
            let errand = match self.tell(UnitMessage::Next { at }) {
                Some(Reply::Errand(errand)) => errand,
                other => panic!("{other:?}"),
            };
            if errand == Errand::End {
                return self.finish();
            }
            self.run_errand(errand);
            self.begin();
        }
        self.faults.push("it did not end".to_owned());
        self.at_work.clear();
        self.finish()
    }

    fn finish(mut self) -> Played {
        if !self.at_work.is_empty() {
            self.faults.push("it ended with hosts at work".to_owned());
        }
        let (last, summary) = self.state.finish(jiff::Timestamp::UNIX_EPOCH);
        self.events.extend(last.events);
        Played {
            summary,
            events: self.events,
            taken: self.taken,
            errands: self.errands,
            locks: self.locks,
            took: self.now,
            faults: self.faults,
        }
    }

    fn tell(&mut self, message: UnitMessage) -> Option<Reply> {
        let reaction = self.state.apply(message);
        self.keep(reaction)
    }

    fn keep(&mut self, reaction: Reaction) -> Option<Reply> {
        let stops = |event: &EventKind| {
            matches!(
                event,
                EventKind::CancelStarted { .. }
                    | EventKind::Rollout(RolloutFact::RolloutStopped { .. })
            )
        };
        self.stopped |= reaction.events.iter().any(stops);
        self.events.extend(reaction.events);
        reaction.orders.into_iter().find_map(|order| match order {
            Order::Answer(reply) => Some(reply),
            _ => None,
        })
    }

    fn signal(&mut self) {
        while let Some(&(at, signal)) = self.fleet.signals.first() {
            if at > self.now {
                break;
            }
            self.fleet.signals.remove(0);
            let reaction = self.state.signal(signal);
            self.keep(reaction);
            self.stopped = true;
        }
    }

    fn name(&self, host: HostIndex) -> &str {
        self.fleet.plan.population[host].label.as_str()
    }

    fn is_well(&self, host: HostIndex) -> bool {
        let name = self.name(host);
        !self.fleet.sick.contains(name) && !self.fleet.silent.contains(name)
    }

    /// The truth at this time.
    fn pass_time(&mut self, to: u64) {
        self.now = self.now.max(to);
        let now = self.now;
        for (_, host, ill) in self.fleet.turns.extract_if(.., |(at, ..)| *at <= now) {
            if ill {
                self.fleet.sick.insert(host);
            } else {
                self.fleet.sick.remove(&host);
            }
        }
        for (_, host) in self.fleet.silences.extract_if(.., |(at, _)| *at <= now) {
            self.fleet.silent.insert(host);
        }
        for (_, leader) in self.fleet.elections.extract_if(.., |(at, _)| *at <= now) {
            self.fleet.leader = leader;
        }
    }

    fn found(&self, host: HostIndex) -> Finding {
        let name = self.name(host);
        let state = if self.fleet.silent.contains(name) {
            Found::Silent {
                kind: UnreachableKind::NoAnswer,
                causes: vec!["no answer".to_owned()],
                hints: Vec::new(),
            }
        } else if self.fleet.unfit.contains(name) {
            Found::Unfit {
                cause: "no sudo".to_owned(),
            }
        } else if self.fleet.sick.contains(name) {
            Found::Sick {
                check: "up".to_owned(),
                cause: "refused".to_owned(),
            }
        } else {
            Found::Well
        };
        let answers = !matches!(state, Found::Silent { .. });
        Finding {
            host,
            state,
            last: answers.then(|| self.fleet.leader.as_deref() == Some(name)),
        }
    }

    fn run_errand(&mut self, errand: Errand) {
        match errand {
            Errand::Look(look) => {
                self.errands.push("look".to_owned());
                for &host in &look.connect {
                    if self.at_work.iter().any(|(_, busy, _)| *busy == host) {
                        self.faults.push("a host at work is looked at".to_owned());
                    }
                    let finding = self.found(host);
                    self.looked.insert(host, self.is_well(host));
                    self.tell(UnitMessage::Found(finding));
                }
                let well = self.looked.values().filter(|well| **well).count();
                self.baseline.get_or_insert(well);
            }
            Errand::Controller(section) => {
                self.errands.push(format!("{section:?}"));
                let passed = self.fleet.broken != Some(section);
                self.tell(UnitMessage::SectionEnded { section, passed });
            }
            Errand::Ask(gate) => {
                self.errands.push(format!("ask {:?}", gate.at));
                let answer = self.fleet.answers.pop_front().unwrap_or(GateAnswer::Go);
                let by = "terminal".to_owned();
                self.tell(UnitMessage::GateAnswered { answer, by });
            }
            Errand::Start(start) => self.start(&start),
            Errand::Await => self.reap(),
            Errand::Sleep(sleep) => self.sleep(sleep.length.as_secs().max(1), &sleep.watch),
            Errand::Notify(occasion) => self.errands.push(format!("notify {occasion:?}")),
            Errand::Lock(hosts) => {
                self.locks.push("lock".to_owned());
                let end = self.fleet.lock_end.clone();
                let end = end.unwrap_or_else(|| LockEnd::Taken {
                    anchor: self.fleet.plan.population[hosts[0]].label.clone(),
                    hosts: hosts.len(),
                    without: Vec::new(),
                });
                self.tell(UnitMessage::LockEnded(end));
            }
            Errand::Unlock { keep } => self.locks.push(format!("unlock, keep {keep}")),
            Errand::End => {}
        }
    }

    fn sleep(&mut self, length: u64, watch: &[HostIndex]) {
        let until = self.now + length;
        loop {
            let signals = self.fleet.signals.iter().map(|(at, _)| *at);
            let turns = self.fleet.turns.iter().map(|(at, ..)| *at);
            let next = signals.chain(turns).filter(|at| *at > self.now).min();
            self.pass_time(next.unwrap_or(until).min(until));
            let ill = watch.iter().copied().find(|&host| !self.is_well(host));
            if let Some(host) = ill {
                let finding = self.found(host);
                self.tell(UnitMessage::Found(finding));
                return;
            }
            let signalled = self
                .fleet
                .signals
                .first()
                .is_some_and(|(at, _)| *at <= self.now);
            if self.now >= until || signalled {
                return;
            }
        }
    }

    fn start(&mut self, start: &Start) {
        let names: Vec<&str> = start.hosts.iter().map(|&host| self.name(host)).collect();
        let mark = if start.work == Work::Rollback {
            "!"
        } else {
            ""
        };
        self.taken.push(format!("{mark}[{}]", names.join(" ")));
        for &host in &start.hosts {
            let busy = self.at_work.iter().any(|(_, at, _)| *at == host);
            if busy || self.queue.iter().any(|(waits, _)| *waits == host) {
                self.faults
                    .push(format!("{} twice at once", self.name(host)));
            }
        }
        if start.work == Work::Forward {
            let faults = self.faults_of(start);
            self.faults.extend(faults);
        }
        self.queue
            .extend(start.hosts.iter().map(|&host| (host, start.work)));
    }

    /// Laws that a hand-out breaks, by the fleet as it was last looked at.
    fn faults_of(&self, start: &Start) -> Vec<String> {
        let mut faults = Vec::new();
        if self.stopped {
            faults.push("hosts are taken after a stop".to_owned());
        }
        let phase = &self.fleet.plan.phases[start.phase];
        let (resolved, zone) = (&phase.resolved, |host: HostIndex| {
            self.fleet.plan.population[host].zone()
        });
        let busy = self.at_work.iter().map(|(_, host, _)| *host);
        let mut out: HashSet<HostIndex> = busy.collect();
        out.extend(self.queue.iter().map(|(host, _)| *host));
        out.extend(&start.hosts);
        let largest = resolved.batch.max(resolved.canary).max(1);
        if out.len() > largest.min(resolved.cap.unwrap_or(usize::MAX)) {
            faults.push(format!("{} out at once", out.len()));
        }
        let zones: HashSet<Zone> = out.iter().map(|&host| zone(host)).collect();
        if phase.by == crate::task::By::Az && zones.len() > 1 {
            faults.push("a batch crosses a zone".to_owned());
        }
        let looks = resolved.quorum.is_some()
            || self
                .fleet
                .plan
                .members
                .iter()
                .any(|member| member.health.iter().any(|checks| !checks.is_empty()));
        // One that is not heard of may serve others all the same.
        let may_serve = |host: &HostIndex| !self.fleet.sick.contains(self.name(*host));
        if !looks || !start.hosts.iter().any(may_serve) {
            return faults;
        }
        let there = |holds: &dyn Fn(HostIndex) -> bool| {
            let hosts = self
                .looked
                .iter()
                .filter(|(host, well)| **well && !out.contains(host));
            hosts.filter(|(host, _)| holds(**host)).count()
        };
        let all = there(&|_| true);
        let default = match (resolved.quorum, resolved.max_failures, self.baseline) {
            (Some(quorum), ..) => Some(quorum.voters - out.len()),
            (None, Some(most), Some(baseline)) => Some(baseline.saturating_sub(largest + most)),
            _ => None,
        };
        let needed = resolved.min_healthy.or(default);
        let majority = resolved.quorum.map(|quorum| quorum.majority);
        if needed.max(majority).is_some_and(|needed| all < needed) {
            faults.push(format!("{all} healthy, {needed:?} and {majority:?} needed"));
        }
        if let Some(per_zone) = &resolved.min_healthy_per_zone {
            for host in start.hosts.iter().filter(|host| may_serve(host)) {
                let (zone_of, needed) = (zone(*host), per_zone.get(&zone(*host)));
                let left = there(&|host| zone(host) == zone_of);
                if needed.is_some_and(|needed| left < *needed) {
                    faults.push(format!("{left} healthy in {zone_of}"));
                }
            }
        }
        faults
    }

    /// Hosts whose place is there ask for leave, and begin.
    fn begin(&mut self) {
        while self.at_work.len() < self.fleet.fanout {
            let Some((host, work)) = self.queue.pop_front() else {
                return;
            };
            let leave = self.tell(UnitMessage::HostStarting { host });
            if leave == Some(Reply::Verdict(Verdict::Refuse)) {
                continue;
            }
            if self.stopped && work == Work::Forward {
                self.faults.push("a host begins after a stop".to_owned());
            }
            let step = StepRef {
                id: "work".into(),
                name: "work".into(),
            };
            let host_of = Some(host);
            self.tell(UnitMessage::StepStarted {
                host: host_of,
                step,
            });
            let takes = self.fleet.takes.get(self.name(host)).copied().unwrap_or(1);
            self.at_work.push((self.now + takes, host, work));
        }
    }

    /// Waits for the next end, and tells it.
    fn reap(&mut self) {
        let next = self.at_work.iter().enumerate();
        let Some((place, &(at, ..))) = next.min_by_key(|(_, (at, host, _))| (*at, *host)) else {
            if self.queue.is_empty() {
                self.faults.push("it waits for nothing".to_owned());
            }
            self.queue.clear();
            return;
        };
        let signal = self.fleet.signals.first().map(|(at, _)| *at);
        if let Some(signal) = signal.filter(|signal| *signal < at) {
            self.pass_time(signal);
            return;
        }
        self.pass_time(at);
        let (_, host, work) = self.at_work.remove(place);
        let name = self.name(host).to_owned();
        if work == Work::Rollback {
            let result = self.fleet.undone.remove(&name);
            let result = result.unwrap_or(RollbackResult::Done);
            self.tell(UnitMessage::HostRolledBack { host, result });
            return;
        }
        let ends = self.fleet.ends.get_mut(&name);
        let outcome = if self.fleet.silent.contains(&name) {
            unreachable()
        } else {
            let said = ends.and_then(VecDeque::pop_front);
            said.unwrap_or(HostOutcome::Ok)
        };
        match outcome {
            HostOutcome::Ok => {
                self.fleet.sick.remove(&name);
            }
            HostOutcome::Unhealthy { .. } | HostOutcome::Failed { .. } => {
                self.fleet.sick.insert(name);
            }
            _ => {}
        }
        let end = HostEnd::of(outcome);
        self.tell(UnitMessage::HostEnded { host, end });
    }
}
