//! One host's (or the controller's) work: its session, its values, its voice. The steps are walked in
//! `super::step`; here is what they stand on.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use indexmap::IndexMap;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::model::{Host, UnreachableKind};
use crate::task::BatchPlace;
use crate::transport::{Attempts, ConnectError, Session, Transport};

use super::journal::{Circle, Mark, Part};
use super::known::{Made, Registered};
use super::message::{HostIndex, UnitMessage};
use super::progress::{DetachedProgress, StepProgress};
use super::shared::{SessionOf, Shared, World};
use super::step::Fault;
use super::stop::Heed;
use super::teller::Teller;
use super::values::Values;

/// How long closing a session may take: its master is ended by the transport's guard at the latest.
const CLOSE: Duration = Duration::from_secs(5);

/// Which host works.
#[derive(Debug, Clone)]
pub(crate) struct Site {
    /// Its number in the population.
    pub(crate) index: HostIndex,
    /// The host.
    pub(crate) host: Arc<Host>,
    /// The batch that it works with; a host that is only looked at has none.
    pub(crate) batch: Option<Arc<AtWork>>,
}

/// A batch, or as much of a window, that is at work.
#[derive(Debug)]
pub(crate) struct AtWork {
    /// Its phase.
    pub(crate) phase: usize,
    /// Its number in the phase, as it was taken.
    pub(crate) number: usize,
    /// Its hosts, in order.
    pub(crate) members: Vec<HostIndex>,
    /// What templates see of it.
    pub(crate) place: Arc<BatchPlace>,
}

/// Where a step of a host runs, if not there.
#[derive(Debug)]
pub(crate) enum Away<S> {
    /// On the controller.
    Controller,
    /// On another host; the own session waits meanwhile.
    Host {
        index: HostIndex,
        host: Arc<Host>,
        home: Option<Arc<S>>,
    },
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
    pub(crate) session: Option<Arc<SessionOf<W>>>,
    /// Where the present step runs, if not on the host itself.
    pub(crate) away: Option<Away<SessionOf<W>>>,
    /// Ends what runs: with the run's own such token, or when the host's limit passes.
    pub(crate) kill: CancellationToken,
    /// The run's own token that ends what runs.
    pub(crate) run_kill: CancellationToken,
    /// The limit of all steps of the host, until it has passed.
    pub(crate) limit: Option<Duration>,
    /// Checks are asked: a connection that fails is a bad answer, not the end.
    pub(crate) checking: bool,
    /// What keeps the work from beginning.
    pub(crate) stop: CancellationToken,
    /// Leave to be one of those at work at the same time; given up while others are waited for.
    pub(crate) permit: Option<OwnedSemaphorePermit>,
    pub(crate) values: Values,
    pub(crate) teller: Teller,
    /// A command was sent to the host: from then on it is half done rather than untouched.
    pub(crate) touched: bool,
    /// What the host said is left of commands that were ended.
    pub(crate) left: Vec<String>,
    /// The host did not answer when it was asked what is left: it is asked nothing more.
    pub(crate) unheard: bool,
    /// The first failure that `-w` went on after.
    pub(crate) passed_over: Option<Fault>,
    /// What steps registered, by the registers' names for `facts`, and by the steps' ids for those that wait
    /// at a barrier; `None` where nobody asks for it.
    pub(crate) facts: Option<Registered>,
    pub(crate) made: Option<IndexMap<String, Made>>,
    /// How many rescues stand around the step at work: their `error` wants its output.
    pub(crate) rescues: u32,
    pub(crate) last_words: LastWords,
    /// The folder of the task at work, from which its files are read.
    pub(crate) folder: Option<PathBuf>,
    /// The numbers of the loops' passes around the step at work, outermost first.
    pub(crate) passes: Vec<usize>,
    /// The list of steps that is walked, where the journal keeps it.
    pub(crate) part: Option<Part>,
    /// For whom the step at work is run, where that is not its host alone.
    pub(crate) circle: Option<Circle>,
    /// What an earlier process of the run did of these steps.
    pub(crate) past: IndexMap<Mark, StepProgress>,
    /// The ids of the `task:` steps around the step at work, each with a slash.
    pub(crate) trail: String,
    /// The attempt at the step at work, from 1.
    pub(crate) attempt: u32,
    /// What the step that comes next was left doing, where it is taken up again.
    pub(crate) taken_up: Option<DetachedProgress>,
    /// What lies on the host of steps that went on by themselves, and goes once their end is kept.
    pub(crate) leftovers: Vec<DetachedProgress>,
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
        let heed = shared.stop.now();
        Self {
            folder: shared.plan.task.folder.clone(),
            stop: heed.begin,
            kill: heed.end.child_token(),
            run_kill: heed.end,
            limit: None,
            checking: false,
            shared,
            site,
            session: None,
            away: None,
            permit: None,
            passes: Vec::new(),
            part: None,
            circle: None,
            past: IndexMap::new(),
            trail: String::new(),
            attempt: 1,
            taken_up: None,
            leftovers: Vec::new(),
            values,
            teller,
            touched: false,
            left: Vec::new(),
            unheard: false,
            passed_over: None,
            facts: None,
            made: None,
            rescues: 0,
            last_words: LastWords::default(),
        }
    }

    /// Heeds these tokens, asked for before it was decided that the work begins.
    pub(crate) fn heed(&mut self, heed: Heed) {
        self.stop = heed.begin;
        self.kill = heed.end.child_token();
        self.run_kill = heed.end;
    }

    /// The host, where there is one.
    pub(crate) fn host(&self) -> Option<&Host> {
        self.site.as_ref().map(|site| &*site.host)
    }

    /// Its label, or `controller`.
    pub(crate) fn label(&self) -> String {
        self.host().map_or_else(
            || "the controller".to_owned(),
            |host| host.label.to_string(),
        )
    }

    /// Whether what runs is to end.
    pub(crate) fn is_killed(&self) -> bool {
        self.kill.is_cancelled()
    }

    /// The host on which the present step runs.
    pub(crate) fn ground(&self) -> Option<(HostIndex, Arc<Host>)> {
        match (&self.away, &self.site) {
            (Some(Away::Controller), _) | (None, None) => None,
            (Some(Away::Host { index, host, .. }), _) => Some((*index, Arc::clone(host))),
            (None, Some(site)) => Some((site.index, Arc::clone(&site.host))),
        }
    }

    /// Connects, unless there is a session: the run's own to the host, where there is one that lives. The first
    /// connection gives way to any stop, since nothing has begun; a later one is part of work under way and
    /// only gives way to the end of what runs.
    pub(crate) async fn connect(&mut self) -> Result<(), Unconnected> {
        if self.session.is_some() {
            return Ok(());
        }
        let Some((index, host)) = self.ground() else {
            return Err(Unconnected::Unreachable {
                kind: UnreachableKind::Configuration,
                causes: vec![
                    "there is no host to run this on: the step belongs to the controller"
                        .to_owned(),
                ],
                hints: Vec::new(),
            });
        };
        let session = if let Some(session) = self.borrowed(index).await {
            session
        } else {
            let session = Arc::new(self.opened(index, &host).await?);
            self.shared.pool.keep(index, &session);
            session
        };
        self.session = Some(session);
        if self.away.is_none() {
            self.teller
                .tell(UnitMessage::HostConnected { host: index })
                .await;
        }
        Ok(())
    }

    /// The run's own session to the host, if it lives.
    async fn borrowed(&self, index: HostIndex) -> Option<Arc<SessionOf<W>>> {
        let session = self.shared.pool.borrow(index)?;
        if session.alive().await {
            return Some(session);
        }
        self.shared.pool.forget(index, &session);
        None
    }

    async fn opened(&mut self, index: HostIndex, host: &Host) -> Result<SessionOf<W>, Unconnected> {
        let connected = self.tried(index, host).await;
        match connected {
            Ok(session) => Ok(session),
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
    async fn tried(&mut self, index: HostIndex, host: &Host) -> Result<SessionOf<W>, ConnectError> {
        let stop = if self.touched || self.away.is_some() {
            self.kill.clone()
        } else {
            self.stop.clone()
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
                host: index,
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
            connected = transport.connect(host, attempts, &stop) => connected,
            () = stop.cancelled() => Err(ConnectError::Cancelled),
        };
        for retry in std::mem::take(&mut *lock(&retries)) {
            self.teller.hint(&retry);
        }
        connected
    }

    /// Lets go of a session that died.
    pub(crate) fn lose_session(&mut self) {
        if let (Some(session), Some((index, _))) = (self.session.take(), self.ground()) {
            self.shared.pool.forget(index, &session);
        }
    }

    /// Closes the session, if there is one; nobody borrows it any more.
    pub(crate) async fn disconnect(&mut self) {
        if let (Some(session), Some((index, _))) = (self.session.take(), self.ground()) {
            self.shared.pool.forget(index, &session);
            close(session).await;
        }
    }

    /// Gives the session back to the run, which keeps it for whoever needs the host next; one that it does not
    /// keep is closed.
    pub(crate) async fn give_back(&mut self) {
        if let (Some(session), Some((index, _))) = (self.session.take(), self.ground())
            && !self.shared.pool.holds(index, &session)
        {
            close(session).await;
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

    /// Waits for others without keeping anybody from work meanwhile.
    pub(crate) async fn aside<T>(&mut self, wait: impl Future<Output = T>) -> T {
        let had = self.permit.take().is_some();
        let came = wait.await;
        if had {
            self.permit = self.shared.permit().await;
        }
        came
    }
}

/// Closes a session. One that somebody else still uses ends when they let go of it, and one that does not
/// close in time is ended by the transport's shutdown.
pub(crate) async fn close<S: Session>(session: Arc<S>) {
    if let Some(session) = Arc::into_inner(session) {
        let _late = timeout(CLOSE, session.close()).await;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
