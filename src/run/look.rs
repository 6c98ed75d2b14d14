//! Asking hosts how they are: whether they answer, whether sudo works there, what their facts say, whether
//! they are taken last, and whether they serve. Nothing is changed, and what is asked goes to the hosts' logs
//! alone.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use tokio::task::{Id, JoinSet};

use crate::plan::HostPlan;
use crate::task::{Action, Group, Step};
use crate::transport::{Program, RemoteCommand, Sudo};

use super::crew::broken;
use super::errand::{Finding, Found, Look};
use super::known::Registered;
use super::message::{HostIndex, UnitMessage};
use super::shared::{Shared, World};
use super::step::{End, Fault, Sick};
use super::unit::voice;
use super::work::{Site, Unconnected, Work};

/// Asks hosts, each told as soon as all of it is known; a stop leaves those untold that are still asked.
pub(crate) async fn look<W: World>(shared: Arc<Shared<W>>, look: Look) {
    let stop = shared.stop.now().begin;
    let looking = Looking {
        stop: stop.clone(),
        shared,
        sudo: look.sudo.iter().copied().collect(),
        facts: look.facts.iter().copied().collect(),
        health: look.health.iter().copied().collect(),
        look,
    };
    tokio::select! {
        biased;
        () = stop.cancelled() => {}
        () = looking.whole() => {}
    }
}

struct Looking<W: World> {
    shared: Arc<Shared<W>>,
    stop: tokio_util::sync::CancellationToken,
    look: Look,
    sudo: HashSet<HostIndex>,
    facts: HashSet<HostIndex>,
    health: HashSet<HostIndex>,
}

impl<W: World> Looking<W> {
    /// First everything but health, of all hosts, since `last` and checks may read the facts of others.
    async fn whole(&self) {
        let mut first = Asked::default();
        for host in &self.look.connect {
            let job = Job::first(self, *host);
            first.spawn(*host, job.reached());
        }
        let mut answering = HashMap::new();
        while let Some((host, joined)) = first.next().await {
            match joined {
                Ok((job, Ok(()))) => {
                    answering.insert(host, job);
                }
                Ok((_, Err(state))) | Err(state) => self.tell(host, state, None).await,
            }
        }
        let mut second = Asked::default();
        for host in &self.look.connect {
            if let Some(job) = answering.remove(host) {
                second.spawn(*host, job.served());
            }
        }
        while let Some((host, joined)) = second.next().await {
            let (state, last) = joined.unwrap_or_else(|state| (state, None));
            self.tell(host, state, last).await;
        }
    }

    async fn tell(&self, host: HostIndex, state: Found, last: Option<bool>) {
        self.shared.known.found(host, state == Found::Well);
        let finding = Finding { host, state, last };
        self.shared.wire.tell(UnitMessage::Found(finding)).await;
    }
}

/// Hosts that are asked at the same time. What breaks is one host's trouble.
struct Asked<T> {
    set: JoinSet<T>,
    hosts: HashMap<Id, HostIndex>,
}

impl<T> Default for Asked<T> {
    fn default() -> Self {
        Self {
            set: JoinSet::new(),
            hosts: HashMap::new(),
        }
    }
}

impl<T: Send + 'static> Asked<T> {
    fn spawn(&mut self, host: HostIndex, asking: impl Future<Output = T> + Send + 'static) {
        let id = self.set.spawn(asking).id();
        self.hosts.insert(id, host);
    }

    /// The next host that was asked, and what came of it.
    async fn next(&mut self) -> Option<(HostIndex, Result<T, Found>)> {
        loop {
            let (id, came) = match self.set.join_next_with_id().await? {
                Ok((id, came)) => (id, Ok(came)),
                Err(error) => (error.id(), Err(error)),
            };
            if let Some(host) = self.hosts.remove(&id) {
                let came = came.map_err(|error| Found::Unfit {
                    cause: format!("a part of fab-rs itself broke: {}", broken(error)),
                });
                return Some((host, came));
            }
        }
    }
}

/// One host that is asked.
struct Job<W: World> {
    shared: Arc<Shared<W>>,
    stop: tokio_util::sync::CancellationToken,
    host: HostIndex,
    phase: usize,
    sudo: bool,
    facts: bool,
    health: bool,
}

impl<W: World> Job<W> {
    fn first(looking: &Looking<W>, host: HostIndex) -> Self {
        Self {
            shared: Arc::clone(&looking.shared),
            stop: looking.stop.clone(),
            host,
            phase: looking.look.phase,
            sudo: looking.sudo.contains(&host),
            facts: looking.facts.contains(&host),
            health: looking.health.contains(&host),
        }
    }

    /// Connects, tries sudo and reads facts.
    async fn reached(self) -> (Self, Result<(), Found>) {
        let _permit = self.shared.permit().await;
        let reached = match onlooker(&self.shared, self.phase, self.host) {
            Ok(mut work) => {
                work.stop = self.stop.clone();
                let reached = self.asked(&mut work).await;
                work.give_back().await;
                reached
            }
            Err(cause) => Err(Found::Unfit { cause }),
        };
        (self, reached)
    }

    async fn asked(&self, work: &mut Work<W>) -> Result<(), Found> {
        match work.connect().await {
            Ok(()) => {}
            Err(Unconnected::Unreachable {
                kind,
                causes,
                hints,
            }) => {
                return Err(Found::Silent {
                    kind,
                    causes,
                    hints,
                });
            }
            Err(Unconnected::Cancelled) => return Err(cancelled()),
        }
        if self.sudo {
            for user in self.users(work) {
                work.tried_sudo(user).await?;
            }
        }
        if self.facts
            && let Some(member) = self.shared.plan.members.get(self.host)
        {
            work.facts = Some(Registered::default());
            let read = work.steps(&member.facts, false).await;
            let facts = work.facts.take().filter(|_| read.is_ok());
            self.shared.known.keep_facts(&member.host.id, facts);
            read.map_err(|fault| of_facts(fault, &work.teller.tail()))?;
        }
        Ok(())
    }

    /// The users as whom the steps of the host work, as far as that is known before they run.
    fn users(&self, work: &Work<W>) -> BTreeSet<String> {
        let Some(target) = self.shared.places.target(self.host) else {
            return BTreeSet::new();
        };
        let mut steps = Vec::new();
        for phase in &self.shared.plan.phases {
            all_steps(&phase.hosts[target], &mut steps);
        }
        let users = steps.iter().filter_map(|step| match work.sudo(step) {
            Ok(Sudo::User(user)) => Some(user),
            Ok(Sudo::No) | Err(_) => None,
        });
        users.collect()
    }

    /// Whether the host is taken last, and whether it serves.
    async fn served(self) -> (Found, Option<bool>) {
        let _permit = self.shared.permit().await;
        let mut work = match onlooker(&self.shared, self.phase, self.host) {
            Ok(work) => work,
            Err(cause) => return (Found::Unfit { cause }, None),
        };
        work.stop = self.stop.clone();
        let plan = Arc::clone(&self.shared.plan);
        let Some(member) = plan.members.get(self.host) else {
            return (Found::Well, None);
        };
        let last = member.last.get(self.phase).and_then(Option::as_ref);
        let last = last.filter(|_| self.facts);
        let last = last.and_then(|last| work.values.holds(last).ok());
        let mut state = Found::Well;
        if self.health {
            let checks = member
                .health
                .get(self.phase)
                .map_or(&[][..], |checks| checks);
            state = of_answer(work.asked_once(checks).await);
            work.give_back().await;
        }
        (state, last)
    }
}

/// What answers to checks say of a host.
pub(crate) fn of_answer(answer: Result<Option<Sick>, End>) -> Found {
    match answer {
        Ok(None) => Found::Well,
        Ok(Some(Sick { check, cause })) => Found::Sick { check, cause },
        Err(End::Unreachable {
            kind,
            causes,
            hints,
        }) => Found::Silent {
            kind,
            causes,
            hints,
        },
        Err(End::Lost) => Found::Silent {
            kind: crate::model::UnreachableKind::Lost,
            causes: vec!["the connection was lost".to_owned()],
            hints: Vec::new(),
        },
        Err(end) => Found::Unfit { cause: end.cause() },
    }
}

/// What a fact that failed makes of its host; the last line that it said is mostly the reason.
fn of_facts(fault: Fault, said: &[String]) -> Found {
    match fault {
        Fault::Unreachable {
            kind,
            causes,
            hints,
            ..
        } => Found::Silent {
            kind,
            causes,
            hints,
        },
        fault => {
            let name = fault.step().map_or("", |step| &step.name);
            let mut cause = format!("fact `{name}`: {}", fault.cause());
            if let Some(reason) = said.last() {
                cause = format!("{cause}: {reason}");
            }
            Found::Unfit { cause }
        }
    }
}

fn cancelled() -> Found {
    Found::Unfit {
        cause: "the run was stopped".to_owned(),
    }
}

/// Work that only asks: what it says goes to the host's log alone.
pub(crate) fn onlooker<W: World>(
    shared: &Arc<Shared<W>>,
    phase: usize,
    index: HostIndex,
) -> Result<Work<W>, String> {
    let site = Site {
        index,
        host: Arc::clone(&shared.plan.population[index]),
        batch: None,
    };
    let member = shared.plan.members.get(index);
    let params = member.map_or(&shared.plan.params, |member| &member.params);
    let mut teller = voice(shared, Some(&site), params.values())
        .map_err(|error| format!("cannot open the host's log on this machine: {error}"))?;
    teller.mute();
    let scope = match member {
        Some(member) => shared.places.member_scope(phase, index, member),
        None => shared.places.controller_scope(&shared.plan, Some(phase)),
    };
    let values = shared.values(scope);
    Ok(Work::new(Arc::clone(shared), Some(site), values, teller))
}

impl<W: World> Work<W> {
    /// Whether commands can run as this user.
    async fn tried_sudo(&mut self, user: String) -> Result<(), Found> {
        let mut command = RemoteCommand::new(Program::Argv(vec!["true".to_owned()]));
        command.sudo = Sudo::User(user);
        let limit = super::step::ONE_ANSWER;
        let due = (tokio::time::Instant::now() + limit, limit);
        match self.asked(&command, Some(due)).await {
            Ok((0, _)) => Ok(()),
            Ok((code, _)) => Err(Found::Unfit {
                cause: format!("`true` through sudo ended with {code}"),
            }),
            Err(End::Unreachable {
                kind,
                causes,
                hints,
            }) => Err(Found::Silent {
                kind,
                causes,
                hints,
            }),
            Err(end) => Err(Found::Unfit { cause: end.cause() }),
        }
    }
}

/// Every step of a host in a phase, those inside others among them.
fn all_steps<'p>(plan: &'p HostPlan, found: &mut Vec<&'p Step>) {
    for steps in [&plan.steps, &plan.rescue, &plan.always, &plan.rollback] {
        inner_steps(steps, found);
    }
    let checks = plan.health.iter().chain(plan.verify.iter());
    found.extend(checks.map(|check| &check.step));
}

fn inner_steps<'p>(steps: &'p [Step], found: &mut Vec<&'p Step>) {
    for step in steps {
        found.push(step);
        let group: Option<&Group> = match &step.action {
            Action::Group(group) => Some(group),
            Action::Task(sub) => sub.steps.as_ref(),
            _ => None,
        };
        if let Some(group) = group {
            for steps in [&group.steps, &group.rescue, &group.always] {
                inner_steps(steps, found);
            }
        }
    }
}
