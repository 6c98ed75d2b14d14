//! The working half of a run: asks what to do, does it, tells what came of it, and asks again. Nothing is
//! decided here.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use crate::task::Step;
use crate::transport::Transport as _;

use super::crew::Crew;
use super::errand::{Errand, Gate, Section};
use super::locking::{self, Holding};
use super::look;
use super::message::UnitMessage;
use super::notify::Notices;
use super::shared::{Shared, World};
use super::unit::voice;
use super::watch;
use super::work::{Work, close};

/// How long the transport may take to end its masters; its guard ends them in any case.
const SHUTDOWN: Duration = Duration::from_secs(10);

/// Runs errands until there are none, then shuts the transport down.
pub(crate) async fn run<W: World>(shared: Arc<Shared<W>>) {
    let mut executor = Executor {
        crew: Crew::new(Arc::clone(&shared)),
        notices: Notices::default(),
        holding: None,
        shared: Arc::clone(&shared),
    };
    executor.whole().await;
    executor.notices.finish().await;
    finish(&shared).await;
}

/// Closes every session, and shuts the transport down.
pub(crate) async fn finish<W: World>(shared: &Shared<W>) {
    close_all(shared).await;
    let _late = timeout(SHUTDOWN, shared.transport.shutdown()).await;
}

/// Closes every session that the run kept, all at once.
async fn close_all<W: World>(shared: &Shared<W>) {
    let closing = shared.pool.take_all().into_iter().map(close);
    futures_util::future::join_all(closing).await;
}

struct Executor<W: World> {
    shared: Arc<Shared<W>>,
    crew: Crew<W>,
    notices: Notices,
    /// The run's lock, while it is ours.
    holding: Option<Holding>,
}

impl<W: World> Executor<W> {
    async fn whole(&mut self) {
        loop {
            let at = self.shared.started.elapsed();
            let shared = Arc::clone(&self.shared);
            match self.shared.wire.next(at).await {
                Errand::Look(errand) => self.meanwhile(look::look(shared, errand)).await,
                Errand::Controller(section) => self.meanwhile(on_controller(shared, section)).await,
                Errand::Ask(gate) => self.meanwhile(asked(shared, gate)).await,
                Errand::Start(start) => self.crew.take_on(&start),
                // Nothing would end this wait.
                Errand::Await if self.crew.is_idle() => break,
                Errand::Await => self.until_an_end().await,
                Errand::Sleep(sleep) => {
                    self.meanwhile(watch::sleep_watching(shared, sleep)).await;
                }
                Errand::Lock(hosts) => {
                    let taking = Box::pin(locking::take(shared, hosts));
                    self.holding = self.meanwhile(taking).await;
                }
                Errand::Unlock { keep } => {
                    if let Some(holding) = self.holding.take() {
                        Box::pin(locking::end(shared, holding, keep)).await;
                    }
                }
                Errand::Notify(occasion) => self.notices.send(&shared, occasion),
                Errand::End => break,
            }
        }
        // Nobody is at work here, unless the deciding half has gone.
        while !self.crew.is_idle() {
            self.until_an_end().await;
        }
    }

    /// Moves the crew on until somebody ended.
    async fn until_an_end(&mut self) {
        while !self.crew.is_idle() {
            let next = self.crew.next().await;
            if self.crew.make(next).await {
                return;
            }
        }
    }

    /// Does something else while units are at work.
    async fn meanwhile<T>(&mut self, errand: impl Future<Output = T>) -> T {
        let mut errand = std::pin::pin!(errand);
        loop {
            let next = tokio::select! {
                biased;
                ended = &mut errand => return ended,
                next = self.crew.next(), if !self.crew.is_idle() => next,
            };
            self.crew.make(next).await;
        }
    }
}

/// Runs steps on the controller.
async fn on_controller<W: World>(shared: Arc<Shared<W>>, section: Section) {
    let plan = Arc::clone(&shared.plan);
    let (steps, phase): (&[Step], Option<usize>) = match section {
        Section::Before => (&plan.before, None),
        Section::After => (&plan.after, None),
        Section::PhaseBefore(phase) => (&plan.phases[phase].before, Some(phase)),
        Section::PhaseAfter(phase) => (&plan.phases[phase].after, Some(phase)),
    };
    let failed = match voice(&shared, None, plan.params.values()) {
        Err(_) if steps.is_empty() => None,
        Err(_) => Some("log".to_owned()),
        Ok(teller) => {
            let scope = shared.places.controller_scope(&plan, phase);
            let values = shared.values(scope);
            let mut work = Work::new(Arc::clone(&shared), None, values, teller);
            work.heed(shared.stop.forward());
            work.part = Some(section.into());
            let walked = work.steps(steps, false).await;
            work.teller.confess().await;
            walked.err().map(|fault| {
                let step = fault.step();
                step.map_or_else(String::new, |step| step.name.to_string())
            })
        }
    };
    let passed = failed.is_none();
    if let Some(step) = failed {
        let on = "the controller".to_owned();
        let message = UnitMessage::SharedStepFailed { step, on };
        shared.wire.tell(message).await;
    }
    let ended = UnitMessage::SectionEnded { section, passed };
    shared.wire.tell(ended).await;
}

/// Asks a person at a gate; a stop takes the question back.
async fn asked<W: World>(shared: Arc<Shared<W>>, gate: Gate) {
    // Where a rollout stopped, the question is part of its end.
    let heed = match gate.at {
        Some(_) => shared.stop.forward(),
        None => shared.stop.now(),
    };
    let answered = async {
        let prompt = shared.prompt.lock().await;
        prompt_gate(&*prompt, &gate).await
    };
    let answer = tokio::select! {
        biased;
        () = heed.begin.cancelled() => return,
        answer = answered => answer,
    };
    let message = UnitMessage::GateAnswered {
        answer: answer.answer,
        by: answer.by.to_owned(),
    };
    shared.wire.tell(message).await;
}

async fn prompt_gate<P: super::prompt::Prompt>(
    prompt: &P,
    gate: &Gate,
) -> super::prompt::GateReply {
    prompt
        .gate(&super::prompt::GateQuestion {
            at: gate.at,
            host: None,
            question: &gate.question,
            offers: &gate.offers,
            timeout: gate.timeout,
        })
        .await
}
