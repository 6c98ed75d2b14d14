//! One host's part of a phase, from its connection to its last word: the steps with the checks after them, or
//! the rollback. Whatever breaks becomes one typed end here, and nowhere else.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::model::{HostOutcome, Secret};
use crate::plan::HostPlan;
use crate::task::{ParamValue, Scope, StepError};

use super::event::{RollbackResult, StepRef};
use super::host_log::HostLog;
use super::journal::Part;
use super::mask::Mask;
use super::message::HostEnd;
use super::record::Record as _;
use super::shared::{Shared, World};
use super::step::{Fault, Sick, Unchecked};
use super::stop::Heed;
use super::teller::Teller;
use super::work::{Site, Unconnected, Work};

/// A host that was given leave to start.
#[derive(Debug)]
pub(crate) struct Leave {
    /// Which host, in which batch.
    pub(crate) site: Site,
    /// Its part of the phase.
    pub(crate) plan: Arc<HostPlan>,
    /// Its place among those at work.
    pub(crate) permit: Option<OwnedSemaphorePermit>,
    /// What it heeds, asked for before leave was.
    pub(crate) heed: Heed,
    /// It goes on where an earlier process of the run was interrupted.
    pub(crate) continues: bool,
}

/// Runs one host's steps, then its checks.
pub(crate) async fn run<W: World>(shared: Arc<Shared<W>>, leave: Leave) -> HostEnd {
    let started = Instant::now();
    let plan = Arc::clone(&leave.plan);
    let scope = shared.places.scope(&leave.site, &plan);
    let past = if leave.continues {
        shared.past(&leave.site, Part::Steps)
    } else {
        IndexMap::new()
    };
    let mut work = match begin(shared, leave, (scope, Part::Steps)) {
        Ok(work) => work,
        Err(error) => {
            let cause = format!("cannot open the host's log on this machine: {error}");
            return HostEnd {
                duration: started.elapsed(),
                ..HostEnd::of(HostOutcome::Failed {
                    step: "log".to_owned(),
                    exit_code: None,
                    cause,
                })
            };
        }
    };
    work.past = past;
    let outcome = work.whole(&plan).await;
    let duration = started.elapsed();
    work.log_outcome(&outcome).await;
    work.give_back().await;
    if !plan.rollback.is_empty()
        && let Some(site) = &work.site
        && let Some(batch) = &site.batch
    {
        let known = &work.shared.known;
        known.leave(batch.phase, site.index, &work.values);
    }
    work.teller.confess().await;
    let tail = match outcome {
        HostOutcome::Ok => Vec::new(),
        _ => work.teller.tail(),
    };
    HostEnd {
        outcome,
        duration,
        tail,
        left: std::mem::take(&mut work.left),
        internal: false,
    }
}

/// Undoes one host's part of a phase.
pub(crate) async fn roll_back<W: World>(shared: Arc<Shared<W>>, leave: Leave) -> RollbackResult {
    let plan = Arc::clone(&leave.plan);
    let phase = leave.site.batch.as_ref().map_or(0, |batch| batch.phase);
    let left = shared.known.left(phase, leave.site.index);
    let scope = left.unwrap_or_else(|| {
        let mut scope = shared.places.scope(&leave.site, &plan);
        scope.set_error(&shared.error_of(&leave.site));
        for (name, value) in shared.registered(&leave.site) {
            scope.set_register(&name, value);
        }
        scope
    });
    let mut scope = scope;
    // What stays is there even where its step has not run again since the host started over.
    for (name, value) in shared.known.stuck(leave.site.index, Part::Steps(phase)) {
        scope.set_register(&name, value);
    }
    let past = shared.past(&leave.site, Part::Rollback);
    let mut work = match begin(shared, leave, (scope, Part::Rollback)) {
        Ok(work) => work,
        Err(error) => {
            return RollbackResult::Pending {
                cause: format!("cannot open the host's log on this machine: {error}"),
            };
        }
    };
    work.past = past;
    let result = work.back(&plan).await;
    work.log_rollback(&result).await;
    work.give_back().await;
    work.teller.confess().await;
    result
}

fn begin<W: World>(
    shared: Arc<Shared<W>>,
    leave: Leave,
    (scope, part): (Scope, fn(usize) -> Part),
) -> io::Result<Work<W>> {
    let phase = leave.site.batch.as_ref().map_or(0, |batch| batch.phase);
    let teller = voice(&shared, Some(&leave.site), leave.plan.params.values())?;
    let values = shared.values(scope);
    let mut work = Work::new(shared, Some(leave.site), values, teller);
    work.permit = leave.permit;
    work.part = Some(part(phase));
    work.heed(leave.heed);
    Ok(work)
}

/// The voice of a host, or of the controller, that hides these params' secrets and the run's own.
pub(crate) fn voice<'p, W: World>(
    shared: &Arc<Shared<W>>,
    site: Option<&Site>,
    params: impl IntoIterator<Item = &'p ParamValue>,
) -> io::Result<Teller> {
    let file = match site {
        Some(site) => shared.record.host_log(&site.host)?,
        None => shared.record.controller_log()?,
    };
    let secrets = secrets(params).into_iter().chain(&shared.options.secrets);
    Ok(Teller::new(
        site.map(|site| site.index),
        shared.wire.clone(),
        Arc::clone(&shared.stop),
        HostLog::new(file),
        Arc::new(Mask::new(secrets)),
    ))
}

/// The secrets among params, those in lists too.
pub(crate) fn secrets<'a>(params: impl IntoIterator<Item = &'a ParamValue>) -> Vec<&'a Secret> {
    let mut found = Vec::new();
    for param in params {
        match param {
            ParamValue::Secret(secret) => found.push(secret),
            ParamValue::List(elements) => found.extend(secrets(elements)),
            _ => {}
        }
    }
    found
}

/// Does the work; when the limit passes, what runs then is ended.
async fn limited<T>(
    limit: Option<Duration>,
    kill: CancellationToken,
    work: impl Future<Output = T>,
) -> T {
    let timer = async {
        match limit {
            Some(limit) => tokio::time::sleep(limit).await,
            None => std::future::pending().await,
        }
        kill.cancel();
        std::future::pending::<Infallible>().await
    };
    tokio::select! {
        biased;
        done = work => done,
        never = timer => match never {},
    }
}

/// Why a host is not rolled back of which the rollback was ended.
fn half_way(step: Option<&StepRef>, ended: bool) -> String {
    let place = step.map_or_else(
        || "between two steps".to_owned(),
        |step| format!("in step `{}`", step.name),
    );
    let still = if ended {
        ""
    } else {
        ", which may still be running"
    };
    format!("interrupted half-way, {place}{still}")
}

/// What is named where the host's limit passes between two steps.
fn between_steps() -> StepRef {
    let name: Arc<str> = "host_timeout".into();
    StepRef {
        id: Arc::clone(&name),
        name,
    }
}

impl<W: World> Work<W> {
    /// Connects, walks all steps, and asks all checks.
    async fn whole(&mut self, plan: &HostPlan) -> HostOutcome {
        match self.connect().await {
            Ok(()) => {}
            Err(Unconnected::Unreachable {
                kind,
                causes,
                hints,
            }) => {
                return HostOutcome::Unreachable {
                    kind,
                    causes,
                    hints,
                };
            }
            Err(Unconnected::Cancelled) => return self.not_begun(),
        }
        if self.stop.is_cancelled() {
            return self.not_begun();
        }
        let phase = self.site.as_ref().and_then(|site| site.batch.as_ref());
        let phase = phase.map(|batch| &self.shared.plan.phases[batch.phase]);
        let limit = phase.and_then(|phase| phase.pace.host_timeout);
        self.limit = limit;
        let kill = self.kill.clone();
        limited(limit, kill, self.steps_and_checks(plan)).await
    }

    async fn steps_and_checks(&mut self, plan: &HostPlan) -> HostOutcome {
        if let Err(fault) = Box::pin(self.all_steps(plan)).await {
            return self.outcome(fault);
        }
        for checks in [&plan.health, &plan.verify] {
            match Box::pin(self.checks(checks)).await {
                Ok(()) => {}
                Err(Unchecked::Sick(sick)) => {
                    self.set_sick(&sick);
                    return sick.into();
                }
                Err(Unchecked::Ended(fault)) => {
                    let fault = self.of_limit(fault);
                    return self.outcome(fault);
                }
            }
        }
        HostOutcome::Ok
    }

    fn set_sick(&mut self, sick: &Sick) {
        self.values.error(&StepError {
            step: sick.check.clone(),
            rc: None,
            stdout: sick.cause.clone(),
            stderr: String::new(),
            kind: "unhealthy".to_owned(),
        });
    }

    /// Walks the rollback's steps and asks whether the host serves.
    async fn back(&mut self, plan: &HostPlan) -> RollbackResult {
        let pending = |cause: String| RollbackResult::Pending { cause };
        match self.connect().await {
            Ok(()) => {}
            Err(Unconnected::Unreachable { causes, .. }) => {
                return pending(causes.into_iter().next().unwrap_or_default());
            }
            Err(Unconnected::Cancelled) => return pending("the rollback was ended".to_owned()),
        }
        if let Some(cause) = self.still_at_work().await {
            return pending(cause);
        }
        let failed = |cause: String| RollbackResult::Failed { cause };
        if let Err(fault) = Box::pin(self.steps(&plan.rollback, false)).await {
            if let Fault::Cancelled { step, ended } = &fault {
                let cause = half_way(step.as_ref(), *ended);
                return pending(self.teller.mask.text(&cause));
            }
            let named = fault.step().map(|step| format!("step `{}`: ", step.name));
            let cause = format!("{}{}", named.unwrap_or_default(), fault.cause());
            let cause = self.teller.mask.text(&cause);
            return match fault {
                Fault::Unreachable { .. } if !self.touched => pending(cause),
                _ => failed(cause),
            };
        }
        match Box::pin(self.checks(&plan.health)).await {
            Ok(()) => RollbackResult::Done,
            Err(Unchecked::Sick(Sick { check, cause })) => failed(format!("`{check}`: {cause}")),
            Err(Unchecked::Ended(Fault::Cancelled { step, ended })) => {
                pending(half_way(step.as_ref(), ended))
            }
            Err(Unchecked::Ended(fault)) => failed(self.teller.mask.text(&fault.cause())),
        }
    }

    /// The outcome of a host that was connected to when the run was stopped: nothing was done on it.
    fn not_begun(&self) -> HostOutcome {
        HostOutcome::Cancelled {
            reason: self.shared.stop.reason(),
            step: None,
            ended: true,
        }
    }

    /// A cancel that the host's own limit asked for is that limit's. From here on nothing is cut short by it.
    pub(crate) fn of_limit(&mut self, fault: Fault) -> Fault {
        let of_run = self.run_kill.is_cancelled();
        match (fault, self.limit) {
            (Fault::Cancelled { step, ended }, Some(limit)) if !of_run && self.is_killed() => {
                self.kill = self.run_kill.child_token();
                self.limit = None;
                Fault::TimedOut {
                    step: step.unwrap_or_else(between_steps),
                    limit,
                    ended,
                }
            }
            (fault, _) => fault,
        }
    }

    /// The outcome of a host that a fault ended; step names are masked already.
    fn outcome(&self, fault: Fault) -> HostOutcome {
        match fault.outcome(self.touched, self.shared.stop.reason()) {
            HostOutcome::Failed {
                step,
                exit_code,
                cause,
            } => HostOutcome::Failed {
                step,
                exit_code,
                cause: self.teller.mask.text(&cause),
            },
            outcome => outcome,
        }
    }
}
