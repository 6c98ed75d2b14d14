//! The working half alone: errands are handed to it as a test says, and what it tells is kept.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

use crate::model::HostOutcome;
use crate::plan::Plan;
use crate::run::engine::assemble;
use crate::run::errand::{Errand, Finding, Found, Look, Sleep, Start, Work};
use crate::run::event::RollbackResult;
use crate::run::executor;
use crate::run::message::{HostIndex, Reply, UnitMessage, Verdict, Wire};
use crate::run::stop::StopTokens;
use crate::task::{
    Action, Check, Probe, ProbeKind, Quoting, RunProgram, Step, Strategy, WaitFor, WhereTo,
};
use crate::transport::scripted::Scripted;

use super::bed::Bed;
use super::steps::{Modified as _, step, text};

/// What the working half told, and asked of the hosts.
pub(super) struct Told {
    pub(super) messages: Vec<(Duration, UnitMessage)>,
    pub(super) transport: Scripted,
    pub(super) folder: tempfile::TempDir,
}

/// Hands out these errands one after the other, and `Await` before each while anybody is at work; then ends.
pub(super) async fn hand_out(bed: Bed, plan: Plan, errands: Vec<Errand>) -> Told {
    hand_out_with(bed, plan, errands, |_, _| {}).await
}

/// The same, with a say before each answer: the tokens, and how many messages came so far.
pub(super) async fn hand_out_with(
    bed: Bed,
    plan: Plan,
    errands: Vec<Errand>,
    mut before: impl FnMut(&StopTokens, &UnitMessage),
) -> Told {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let transport = Scripted::new(bed.scripts.clone());
    let events = Arc::new(Mutex::new(Vec::new()));
    let parts = bed.parts(
        transport.clone(),
        transport.clone(),
        (folder.path(), &events),
    );
    let (wire, mut received) = Wire::new();
    let stop = Arc::new(StopTokens::default());
    let link = (wire, Arc::clone(&stop));
    let (shared, _sink) = assemble(Arc::new(plan), parts, bed.options.clone(), link);
    let started = Instant::now();
    let mut messages = Vec::new();
    let foreman = async {
        let mut errands = errands.into_iter().peekable();
        let mut at_work = 0_usize;
        while let Some(envelope) = received.recv().await {
            before(&stop, &envelope.message);
            let reply = match &envelope.message {
                UnitMessage::Next { .. } => {
                    let errand = if at_work > 0 && !matches!(errands.peek(), Some(Errand::Look(_)))
                    {
                        Errand::Await
                    } else {
                        errands.next().unwrap_or(Errand::End)
                    };
                    if let Errand::Start(start) = &errand {
                        at_work += start.hosts.len();
                    }
                    Reply::Errand(errand)
                }
                UnitMessage::HostEnded { .. } | UnitMessage::HostRolledBack { .. } => {
                    at_work -= 1;
                    Reply::Verdict(Verdict::Proceed)
                }
                _ => Reply::Verdict(Verdict::Proceed),
            };
            if let Some(way) = envelope.reply {
                // Who asked may have gone.
                let _gone = way.send(reply);
            }
            messages.push((started.elapsed(), envelope.message));
        }
    };
    tokio::join!(foreman, executor::run(shared));
    Told {
        messages,
        transport,
        folder,
    }
}

/// Work on these hosts as one batch.
pub(super) fn start(number: usize, hosts: &[HostIndex]) -> Errand {
    Errand::Start(Start {
        phase: 0,
        batch: number,
        members: hosts.to_vec(),
        hosts: hosts.to_vec(),
        canary: false,
        work: Work::Forward,
    })
}

/// The rollback of these hosts.
pub(super) fn roll_back(hosts: &[HostIndex]) -> Errand {
    let Errand::Start(start) = start(0, hosts) else {
        unreachable!("a start");
    };
    Errand::Start(Start {
        work: Work::Rollback,
        ..start
    })
}

/// Everything is asked of these hosts.
pub(super) fn look(hosts: &[HostIndex]) -> Errand {
    let hosts = || hosts.to_vec();
    Errand::Look(Look {
        phase: 0,
        connect: hosts(),
        sudo: hosts(),
        facts: hosts(),
        health: hosts(),
    })
}

/// A wait in which these hosts are watched.
pub(super) fn sleep(seconds: u64, watch: &[HostIndex]) -> Errand {
    Errand::Sleep(Sleep {
        phase: 0,
        length: Duration::from_secs(seconds),
        watch: watch.to_vec(),
    })
}

/// A check by a command, every second, twice in a row, for 20 seconds at most.
pub(super) fn check(command: &str) -> Check {
    let probe = Probe {
        kind: ProbeKind::Run(RunProgram::Shell(text(command, Quoting::Shell))),
        from: WhereTo::Host,
        status: Vec::new(),
        matches: None,
        equals: None,
        until: None,
    };
    let wait = WaitFor {
        probe,
        interval: Duration::from_secs(1),
        consecutive: 2,
        stable_for: Duration::ZERO,
    };
    let timeout = Some(Duration::from_secs(20));
    Check {
        step: step(command, Action::WaitFor(wait)).but(|it| it.timeout = timeout),
        watch: true,
    }
}

/// Gives every host of a plan the same facts and checks.
pub(super) fn asks(plan: &mut Plan, facts: &[Step], health: &[Check]) {
    let phase = &mut plan.phases[0];
    for host in &mut phase.hosts {
        host.health = health.to_vec().into();
    }
    plan.members = phase
        .hosts
        .iter()
        .map(|host| crate::plan::Member {
            host: Arc::clone(&host.host),
            params: Arc::clone(&host.params),
            vars: Arc::clone(&host.vars),
            facts: facts.to_vec().into(),
            health: vec![health.to_vec().into()],
            last: vec![None],
        })
        .collect();
}

/// How long a phase waits and asks, changed.
pub(super) fn pace(plan: &mut Plan, change: impl FnOnce(&mut crate::plan::Pace)) {
    let mut pace = plan.phases[0].pace.clone();
    change(&mut pace);
    plan.phases[0].pace = pace;
    debug_assert!(Strategy::HEALTH_WAIT > Duration::ZERO);
}

impl Told {
    /// How the hosts ended, in the order in which they did.
    pub(super) fn ends(&self) -> Vec<(HostIndex, HostOutcome)> {
        let ends = self
            .messages
            .iter()
            .filter_map(|(_, message)| match message {
                UnitMessage::HostEnded { host, end } => Some((*host, end.outcome.clone())),
                _ => None,
            });
        ends.collect()
    }

    /// How one host ended.
    pub(super) fn end(&self, host: HostIndex) -> HostOutcome {
        let mut ends = self.ends().into_iter().filter(|(of, _)| *of == host);
        ends.next_back().expect("it ended").1
    }

    /// What was found of hosts, by their numbers.
    pub(super) fn findings(&self) -> Vec<Finding> {
        let found = self
            .messages
            .iter()
            .filter_map(|(_, message)| match message {
                UnitMessage::Found(finding) => Some(finding.clone()),
                _ => None,
            });
        let mut found: Vec<Finding> = found.collect();
        found.sort_by_key(|finding| finding.host);
        found
    }

    /// What was found of one host last.
    pub(super) fn found(&self, host: HostIndex) -> Found {
        let mut found = self.findings().into_iter().filter(|it| it.host == host);
        found.next_back().expect("it was found somehow").state
    }

    /// How rollbacks ended.
    pub(super) fn rollbacks(&self) -> Vec<(HostIndex, RollbackResult)> {
        let ends = self
            .messages
            .iter()
            .filter_map(|(_, message)| match message {
                UnitMessage::HostRolledBack { host, result } => Some((*host, result.clone())),
                _ => None,
            });
        ends.collect()
    }

    /// How often a host was connected to.
    pub(super) fn connections(&self, host: &str) -> usize {
        use crate::transport::scripted::Asked;
        let asked = self.transport.asked();
        let connect = Asked::Connect(host.to_owned());
        asked.iter().filter(|asked| **asked == connect).count()
    }

    /// When the first message that fits came.
    pub(super) fn when(&self, fits: impl Fn(&UnitMessage) -> bool) -> Option<Duration> {
        let found = self.messages.iter().find(|(_, message)| fits(message));
        found.map(|(when, _)| *when)
    }

    /// What a host's log holds.
    pub(super) fn log(&self, host: &str) -> String {
        let path = self.folder.path().join(format!("{host}.log"));
        std::fs::read_to_string(path).unwrap_or_default()
    }
}
