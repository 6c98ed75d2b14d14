//! One host's (or the controller's) work: its session, its values, its voice. The steps are walked in
//! `super::step`; here is what they stand on.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::timeout;

use crate::model::{Host, UnreachableKind};
use crate::plan::HostPlan;
use crate::transport::{Attempts, ConnectError, Session, Transport};

use super::message::{HostIndex, UnitMessage};
use super::shared::{SessionOf, Shared, World};
use super::step::Fault;
use super::teller::Teller;
use super::values::Values;

/// How long closing a session may take: its master is ended by the transport's guard at the latest.
const CLOSE: Duration = Duration::from_secs(5);

/// Which host works.
#[derive(Debug, Clone)]
pub(crate) struct Site {
    /// Its number.
    pub(crate) index: HostIndex,
    /// The numbers of its batch.
    pub(crate) batch: Range<HostIndex>,
    /// Its part of the plan.
    pub(crate) plan: Arc<HostPlan>,
}

/// What failed last, for `error` in a rescue.
#[derive(Debug, Default)]
pub(crate) struct LastWords {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The work on one host, or on the controller where there is no site.
pub(crate) struct Work<W: World> {
    pub(crate) shared: Arc<Shared<W>>,
    pub(crate) site: Option<Site>,
    pub(crate) session: Option<SessionOf<W>>,
    pub(crate) values: Values,
    pub(crate) teller: Teller,
    /// A command was sent to the host: from then on it is half done rather than untouched.
    pub(crate) touched: bool,
    /// The first failure that `-w` went on after.
    pub(crate) passed_over: Option<Fault>,
    /// How many rescues stand around the step at work: their `error` wants its output.
    pub(crate) rescues: u32,
    pub(crate) last_words: LastWords,
    /// The folder of the task at work, from which its files are read.
    pub(crate) folder: Option<PathBuf>,
}

/// Why no session came about.
#[derive(Debug)]
pub(crate) enum Unconnected {
    /// Trouble on the way.
    Unreachable {
        kind: UnreachableKind,
        causes: Vec<String>,
        hints: Vec<String>,
    },
    /// The run stops.
    Cancelled,
}

impl<W: World> Work<W> {
    /// Work that has not connected yet.
    pub(crate) fn new(
        shared: Arc<Shared<W>>,
        site: Option<Site>,
        values: Values,
        teller: Teller,
    ) -> Self {
        Self {
            folder: shared.plan.task.folder.clone(),
            shared,
            site,
            session: None,
            values,
            teller,
            touched: false,
            passed_over: None,
            rescues: 0,
            last_words: LastWords::default(),
        }
    }

    /// The host, where there is one.
    pub(crate) fn host(&self) -> Option<&Host> {
        self.site.as_ref().map(|site| &*site.plan.host)
    }

    /// Its label, or `controller`.
    pub(crate) fn label(&self) -> String {
        self.host().map_or_else(
            || "the controller".to_owned(),
            |host| host.label.to_string(),
        )
    }

    /// Whether the run was told to end what runs.
    pub(crate) fn is_killed(&self) -> bool {
        self.shared.stop.kill.is_cancelled()
    }

    /// Connects, unless there is a session. The first connection gives way to any stop, since nothing has
    /// begun; a later one is part of work under way and only gives way to the end of what runs.
    pub(crate) async fn connect(&mut self) -> Result<(), Unconnected> {
        if self.session.is_some() {
            return Ok(());
        }
        let Some(site) = self.site.clone() else {
            return Err(Unconnected::Unreachable {
                kind: UnreachableKind::Configuration,
                causes: vec![
                    "there is no host to run this on: the step belongs to the controller"
                        .to_owned(),
                ],
                hints: Vec::new(),
            });
        };
        let connected = self.tried(&site).await;
        match connected {
            Ok(session) => {
                self.session = Some(session);
                let host = site.index;
                self.teller.tell(UnitMessage::HostConnected { host }).await;
                Ok(())
            }
            Err(ConnectError::Cancelled) => Err(Unconnected::Cancelled),
            Err(ConnectError::Unreachable {
                kind,
                causes,
                hints,
                ..
            }) => {
                for hint in &hints {
                    self.teller.hint(hint);
                }
                let masked = |texts: Vec<String>| -> Vec<String> {
                    texts
                        .iter()
                        .map(|text| self.teller.mask.text(text))
                        .collect()
                };
                Err(Unconnected::Unreachable {
                    kind,
                    causes: masked(causes),
                    hints: masked(hints),
                })
            }
        }
    }

    /// Connects, and tells and logs each try that failed.
    async fn tried(&mut self, site: &Site) -> Result<SessionOf<W>, ConnectError> {
        let stop = if self.touched {
            &self.shared.stop.kill
        } else {
            &self.shared.stop.drain
        };
        let most = self.shared.options.attempts.max(1);
        let (retries, teller) = (Mutex::new(Vec::new()), &self.teller);
        let failed = |attempt: u32, cause: &str| {
            let cause = teller.mask.text(cause);
            lock(&retries).push(format!(
                "connection attempt {attempt} of {most} failed: {cause}"
            ));
            // Only worth knowing while it is news: where the dispatcher has no room, the log has it.
            self.shared.wire.tell_now(UnitMessage::ConnectRetried {
                host: site.index,
                attempt,
                attempts: most,
                cause,
            });
        };
        let attempts = Attempts {
            most,
            failed: &failed,
        };
        let transport = &self.shared.transport;
        let connected = tokio::select! {
            biased;
            connected = transport.connect(&site.plan.host, attempts, stop) => connected,
            () = stop.cancelled() => Err(ConnectError::Cancelled),
        };
        for retry in std::mem::take(&mut *lock(&retries)) {
            self.teller.hint(&retry);
        }
        connected
    }

    /// Closes the session, if there is one.
    pub(crate) async fn disconnect(&mut self) {
        if let Some(session) = self.session.take() {
            // A session that does not close in time is ended by the transport's shutdown.
            let _late = timeout(CLOSE, session.close()).await;
        }
    }

    /// Forgets a session that died, and connects again; nothing of the present step has been sent.
    pub(crate) async fn reconnect(&mut self) -> Result<(), Unconnected> {
        self.disconnect().await;
        self.connect().await
    }

    /// Makes sure of a session that lives, for work that cannot tell whether it was sent.
    pub(crate) async fn alive(&mut self) -> Result<(), Unconnected> {
        if let Some(session) = &self.session
            && !session.alive().await
        {
            self.disconnect().await;
        }
        self.connect().await
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
