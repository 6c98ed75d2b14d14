//! The working half of a run: the start gate, the controller's steps, and the batches with their units.
//! What may start is asked of the dispatcher each time; nothing is decided here.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, timeout};

use crate::model::{Host, HostOutcome};
use crate::task::{GateAt, Step};
use crate::transport::Transport as _;

use super::event::GateAnswer;
use super::host_log::HostLog;
use super::mask::Mask;
use super::message::{HostEnd, HostIndex, UnitMessage, Verdict};
use super::record::Record as _;
use super::shared::{Asked, Shared, World};
use super::teller::Teller;
use super::unit;
use super::work::{Site, Work};

/// How long the transport may take to end its masters; its guard ends them in any case.
const SHUTDOWN: Duration = Duration::from_secs(10);

/// Runs the plan, then shuts the transport down.
pub(crate) async fn run<W: World>(shared: Arc<Shared<W>>) {
    Executor {
        shared: Arc::clone(&shared),
        all_ok: true,
    }
    .whole()
    .await;
    let _late = timeout(SHUTDOWN, shared.transport.shutdown()).await;
}

struct Executor<W: World> {
    shared: Arc<Shared<W>>,
    /// Every host so far ended ok.
    all_ok: bool,
}

/// Units at work, with what is needed of one that panics.
struct Units {
    set: JoinSet<HostEnd>,
    hosts: HashMap<Id, (HostIndex, Instant)>,
}

impl<W: World> Executor<W> {
    async fn whole(mut self) {
        let plan = Arc::clone(&self.shared.plan);
        if plan.phases[0].pace.confirm.contains(&GateAt::Start) && !self.start_confirmed().await {
            return;
        }
        if !self.on_controller(&plan.before).await {
            return;
        }
        for (phase_index, phase) in plan.phases.iter().enumerate() {
            for batch_index in 0..phase.batches.len() {
                let starting = UnitMessage::BatchStarting {
                    phase: phase_index,
                    batch: batch_index,
                };
                if self.shared.wire.ask(starting).await == Verdict::Refuse {
                    return;
                }
                self.batch(phase_index, batch_index).await;
                let ended = UnitMessage::BatchEnded {
                    phase: phase_index,
                    batch: batch_index,
                };
                self.shared.wire.tell(ended).await;
            }
        }
        if self.all_ok {
            self.on_controller(&plan.after).await;
        }
    }

    async fn start_confirmed(&self) -> bool {
        let plan = &self.shared.plan;
        let count = plan.targets.len();
        let noun = if count == 1 { "host" } else { "hosts" };
        let question = format!("start `{}` on {count} {noun}?", plan.task.name);
        let asked = Asked {
            text: &question,
            default: None,
            timeout: None,
        };
        let yes = self.shared.confirmed(asked).await;
        if !yes {
            let answered = UnitMessage::GateAnswered {
                answer: GateAnswer::Stop,
                by: "terminal".to_owned(),
            };
            self.shared.wire.tell(answered).await;
        }
        yes
    }

    /// Runs one batch: as many units at a time as fit, the next as soon as one has ended.
    async fn batch(&mut self, phase: usize, batch: usize) {
        let hosts = self.shared.roster.batch(phase, batch);
        let plans = Arc::clone(&self.shared.plan);
        let fanout = self.shared.options.fanout.get();
        let mut units = Units {
            set: JoinSet::new(),
            hosts: HashMap::new(),
        };
        let planned = &plans.phases[phase];
        for (index, plan) in hosts.clone().zip(planned.hosts_of(&planned.batches[batch])) {
            if units.set.len() >= fanout {
                self.reap(&mut units).await;
            }
            let starting = UnitMessage::HostStarting { host: index };
            if self.shared.wire.ask(starting).await == Verdict::Refuse {
                break;
            }
            let site = Site {
                index,
                batch: Range::clone(&hosts),
                plan: Arc::new(plan.clone()),
            };
            let unit = unit::run(Arc::clone(&self.shared), site);
            let id = units.set.spawn(unit).id();
            units.hosts.insert(id, (index, Instant::now()));
        }
        while !units.set.is_empty() {
            self.reap(&mut units).await;
        }
    }

    /// Waits for one unit's end and tells it. The answer says that it was counted.
    async fn reap(&mut self, units: &mut Units) {
        let (id, end) = match units.set.join_next_with_id().await {
            Some(Ok((id, end))) => (id, Ok(end)),
            Some(Err(error)) => (error.id(), Err(error)),
            None => return,
        };
        let Some((host, started)) = units.hosts.remove(&id) else {
            return;
        };
        let end = end.unwrap_or_else(|error| HostEnd {
            duration: started.elapsed(),
            ..HostEnd::internal(&broken(error))
        });
        let rendering = &self.shared.rendering;
        if end.outcome == HostOutcome::Ok {
            rendering.ok.fetch_add(1, Ordering::Relaxed);
        } else {
            rendering.failed.fetch_add(1, Ordering::Relaxed);
            self.all_ok = false;
        }
        self.shared.once.ended(host);
        self.shared
            .wire
            .ask(UnitMessage::HostEnded { host, end })
            .await;
    }

    /// Runs steps on the controller; whether the run goes on.
    async fn on_controller(&mut self, steps: &[Step]) -> bool {
        if steps.is_empty() {
            return true;
        }
        let shared = &self.shared;
        let failed = match shared.record.host_log(&controller()) {
            Err(error) => Some(("log".to_owned(), format!("the controller's log: {error}"))),
            Ok(file) => {
                let teller = Teller::new(
                    None,
                    shared.wire.clone(),
                    Arc::clone(&shared.stop),
                    HostLog::new(file),
                    Arc::new(Mask::new(
                        unit::secrets(shared.plan.params.values())
                            .into_iter()
                            .chain(&shared.options.secrets),
                    )),
                );
                let scope = shared.places.controller_scope(&shared.plan);
                let values = shared.rendering.values(scope);
                let mut work = Work::new(Arc::clone(shared), None, values, teller);
                let walked = work.steps(steps, false).await;
                work.teller.confess().await;
                walked.err().map(|fault| {
                    let step = fault
                        .step()
                        .map_or_else(String::new, |step| step.name.to_string());
                    (step, fault.cause())
                })
            }
        };
        let Some((step, _cause)) = failed else {
            return true;
        };
        let on = "the controller".to_owned();
        self.shared
            .wire
            .tell(UnitMessage::SharedStepFailed { step, on })
            .await;
        false
    }
}

/// The controller as a record names it: `hosts/@controller.log`.
fn controller() -> Host {
    Host::named("@controller", "localhost")
}

/// What is known of a unit that ended without a word.
fn broken(error: JoinError) -> String {
    let Ok(panic) = error.try_into_panic() else {
        return "its work was dropped".to_owned();
    };
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("its work panicked").to_owned()
}
