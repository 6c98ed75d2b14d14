//! What every unit of a run shares: the plan, the parts that do I/O, and what units tell each other.

use std::collections::HashMap;
use std::marker::PhantomData;
use std::sync::{Arc, PoisonError};

use indexmap::IndexMap;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::model::HostOutcome;
use crate::plan::Plan;
use crate::task::{Reads, RegisterValue, Scope, StepError};
use crate::transport::{Controller, Transport};

use super::detached::DetachedSteps;
use super::digest::Digests;
use super::journal::{Journal, Mark, Part};
use super::known::Known;
use super::meetings::Meetings;
use super::message::{UnitMessage, Wire};
use super::options::RunOptions;
use super::places::Places;
use super::pool::Pool;
use super::progress::{HostProgress, Standing, StepProgress};
use super::prompt::{Answer, Prompt};
use super::record::Record;
use super::stop::StopTokens;
use super::values::{Rendering, Values};
use super::work::Site;

/// The kinds of the parts of a run in one name, so that no signature needs four.
pub(crate) trait World: Send + Sync + 'static {
    type Transport: Transport;
    type Local: Controller;
    type Record: Record;
    type Prompt: Prompt + 'static;
}

/// The world of these parts.
#[derive(Debug)]
pub(crate) struct WorldOf<T, L, R, P>(PhantomData<Parts<T, L, R, P>>);

/// The parts' types in a form that is always `Send` and `Sync`.
type Parts<T, L, R, P> = fn() -> (T, L, R, P);

impl<T: Transport, L: Controller, R: Record, P: Prompt + 'static> World for WorldOf<T, L, R, P> {
    type Transport = T;
    type Local = L;
    type Record = R;
    type Prompt = P;
}

/// A session to a host of this world.
pub(crate) type SessionOf<W> = <<W as World>::Transport as Transport>::Session;

/// What units share. Nothing here is written but through the parts' own means.
pub(crate) struct Shared<W: World> {
    pub(crate) plan: Arc<Plan>,
    pub(crate) places: Places,
    pub(crate) options: RunOptions,
    pub(crate) rendering: Rendering,
    pub(crate) transport: W::Transport,
    pub(crate) local: W::Local,
    pub(crate) record: Arc<W::Record>,
    pub(crate) journal: Arc<dyn Journal>,
    /// One question is on the screen at a time.
    pub(crate) prompt: Mutex<W::Prompt>,
    pub(crate) wire: Wire,
    pub(crate) stop: Arc<StopTokens>,
    pub(crate) meetings: Meetings,
    /// The run's own sessions.
    pub(crate) pool: Pool<SessionOf<W>>,
    /// What is known of each host.
    pub(crate) known: Known,
    /// Places for those at work at the same time.
    pub(crate) places_at_work: Arc<Semaphore>,
    /// When the run began.
    pub(crate) started: Instant,
    pub(crate) digests: Digests,
    /// The registers that any step reads: of others the journal needs no value.
    pub(crate) reads: Reads,
    /// Steps that go on by themselves on their hosts.
    pub(crate) detached: DetachedSteps,
    /// Steps on the controller, and those that are run once for many hosts, as an earlier process of the run
    /// left them.
    pub(crate) past: std::sync::Mutex<HashMap<Mark, StepProgress>>,
}

impl<W: World> Shared<W> {
    /// What an earlier process of the run did of a host's steps in a part of its batch's phase.
    pub(crate) fn past(
        &self,
        site: &Site,
        part: fn(usize) -> Part,
    ) -> IndexMap<Mark, StepProgress> {
        let Some((host, phase)) = self.progress_of(site) else {
            return IndexMap::new();
        };
        let mut host = host.clone();
        if host.has_failed() {
            host.forget_failed(Part::Steps(phase));
        }
        host.steps.retain(|mark, _| mark.part == part(phase));
        host.steps
    }

    /// What an earlier process of the run did of a step that is not one host's alone. Told once; one that failed
    /// is run again.
    pub(crate) fn shared_past(&self, mark: &Mark) -> Option<StepProgress> {
        let mut past = self.past.lock().unwrap_or_else(PoisonError::into_inner);
        past.remove(mark).filter(|step| !step.has_failed())
    }

    /// What a host's steps registered in an earlier process of the run, in the phase of its batch.
    pub(crate) fn registered(&self, site: &Site) -> Vec<(String, RegisterValue)> {
        let Some((host, phase)) = self.progress_of(site) else {
            return Vec::new();
        };
        let steps = host.steps.iter();
        let steps = steps.filter(|(mark, _)| mark.part == Part::Steps(phase));
        steps
            .filter_map(|(_, step)| match step {
                StepProgress::Ended {
                    register: Some(register),
                    ..
                } => Some((register.name.clone()?, register.value())),
                _ => None,
            })
            .collect()
    }

    /// What rollback steps see as `error` of a host that ended in an earlier process of the run. What the step
    /// printed is not kept.
    pub(crate) fn error_of(&self, site: &Site) -> StepError {
        let standing = self.progress_of(site).map(|(host, _)| &host.standing);
        let Some(Standing::Ended(outcome)) = standing else {
            return StepError::default();
        };
        let (step, rc) = match outcome {
            HostOutcome::Failed {
                step, exit_code, ..
            } => (step.clone(), *exit_code),
            HostOutcome::TimedOut { step, .. } | HostOutcome::Unknown { step, .. } => {
                (step.clone(), None)
            }
            HostOutcome::Unhealthy { check, .. } => (check.clone(), None),
            _ => return StepError::default(),
        };
        StepError {
            step,
            rc,
            kind: outcome.word().to_owned(),
            ..StepError::default()
        }
    }

    fn progress_of(&self, site: &Site) -> Option<(&HostProgress, usize)> {
        let phase = site.batch.as_ref()?.phase;
        let progress = self.options.progress.as_ref()?;
        Some((progress.hosts.get(&site.host.id)?, phase))
    }

    /// The values of steps that see this scope, and what every host told.
    pub(crate) fn values(&self, mut scope: Scope) -> Values {
        self.known.show(&mut scope);
        self.known.show_common(&mut scope);
        self.rendering.values(scope)
    }

    /// A place among those at work, once there is one.
    pub(crate) async fn permit(&self) -> Option<OwnedSemaphorePermit> {
        // Nobody closes the semaphore; without it, all may work.
        Arc::clone(&self.places_at_work).acquire_owned().await.ok()
    }

    /// Asks a person; whatever stops the run answers no.
    pub(crate) async fn confirmed(&self, question: Asked<'_>) -> bool {
        let stop = self.stop.now().begin;
        let prompt = tokio::select! {
            biased;
            () = stop.cancelled() => return false,
            prompt = self.prompt.lock() => prompt,
        };
        let text = question.text.to_owned();
        self.wire
            .tell(UnitMessage::QuestionAsked { question: text })
            .await;
        let ask = prompt.ask(question.text, question.default, question.timeout);
        let answer = tokio::select! {
            biased;
            () = stop.cancelled() => Answer { yes: false, by: "cancel" },
            answer = ask => answer,
        };
        self.wire
            .tell(UnitMessage::QuestionAnswered {
                yes: answer.yes,
                by: answer.by.to_owned(),
            })
            .await;
        answer.yes
    }
}

/// A question and what hangs on it.
#[derive(Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) text: &'a str,
    pub(crate) default: Option<bool>,
    pub(crate) timeout: Option<std::time::Duration>,
}
