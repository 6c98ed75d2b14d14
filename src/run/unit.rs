//! One host from its first connection to its last word. Whatever breaks becomes one typed outcome here, and
//! nowhere else.

use std::sync::Arc;

use tokio::time::Instant;

use crate::model::{HostOutcome, Secret};
use crate::task::ParamValue;

use super::host_log::HostLog;
use super::mask::Mask;
use super::message::HostEnd;
use super::record::Record as _;
use super::shared::{Shared, World};
use super::step::Fault;
use super::teller::Teller;
use super::work::{Site, Unconnected, Work};

/// Runs one host to its end.
pub(crate) async fn run<W: World>(shared: Arc<Shared<W>>, site: Site) -> HostEnd {
    let started = Instant::now();
    let host = &site.plan.host;
    let log = match shared.record.host_log(host) {
        Ok(file) => HostLog::new(file),
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
    let teller = Teller::new(
        Some(site.index),
        shared.wire.clone(),
        Arc::clone(&shared.stop),
        log,
        Arc::new(Mask::new(
            secrets(site.plan.params.values())
                .into_iter()
                .chain(&shared.options.secrets),
        )),
    );
    let values = shared
        .rendering
        .values(shared.places.scope(site.index, &site.plan));
    let mut work = Work::new(shared, Some(site), values, teller);
    let outcome = work.whole().await;
    work.disconnect().await;
    work.teller.confess().await;
    let tail = match outcome {
        HostOutcome::Ok => Vec::new(),
        _ => work.teller.tail(),
    };
    HostEnd {
        outcome,
        duration: started.elapsed(),
        tail,
        internal: false,
    }
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

impl<W: World> Work<W> {
    /// Connects and walks all steps.
    async fn whole(&mut self) -> HostOutcome {
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
        if self.shared.stop.drain.is_cancelled() {
            return self.not_begun();
        }
        match self.all_steps().await {
            Ok(()) => HostOutcome::Ok,
            Err(fault) => self.outcome(fault),
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
