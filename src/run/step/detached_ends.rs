//! What is done about a detached step beside following it: how it stands, ending it, taking it up in another process
//! of the run, and clearing away what it left once its end is kept.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::run::event::StepResult;
use crate::run::journal::{Fact, Part};
use crate::run::progress::DetachedProgress;
use crate::run::shared::World;
use crate::run::work::Work;
use crate::task::{RegisterValue, Step};
use crate::transport::{DetachedEnding, DetachedState, RemoteCommand};

use super::detached::ANSWER;
use super::end::{End, Fault};

/// How long the end of one may take.
const ENDING: Duration = Duration::from_secs(30);

/// What is to be done about an interrupted step: nothing here, to run it (again), or this is all.
type Found = Option<Option<Result<RegisterValue, Fault>>>;

impl<W: World> Work<W> {
    /// Asks its host how it stands. The error is trouble with asking.
    pub(super) async fn how_it_stands(
        &mut self,
        of: &DetachedProgress,
    ) -> Result<DetachedState, End> {
        let (folder, sudo) = self.place_of(of);
        match self.answer(&folder.look(&sudo), ANSWER).await {
            // The question failed, of which the step, at work or not, knows nothing.
            Err(End::Failed { cause, .. }) => {
                self.teller.hint(&cause);
                Err(End::Lost)
            }
            state => state,
        }
    }

    async fn answer(
        &mut self,
        command: &RemoteCommand,
        limit: Duration,
    ) -> Result<DetachedState, End> {
        let due = (Instant::now() + limit, limit);
        let asked = self.asked(command, Some(due)).await;
        let (_, said) = asked.map_err(unanswered)?;
        DetachedState::parse(&said.stdout).ok_or_else(|| {
            let words = String::from_utf8_lossy(&said.stderr);
            let last = words.lines().rfind(|line| !line.trim().is_empty());
            let cause = last.unwrap_or("what the host said of it was not understood");
            End::failed(format!("it is not known how it stands: {cause}"))
        })
    }

    /// Ends it on its host, whatever else is to end; whether nothing of it is left.
    pub(super) async fn ended_there(&mut self, of: &DetachedProgress) -> bool {
        let (folder, sudo) = self.place_of(of);
        let kill = std::mem::replace(&mut self.kill, CancellationToken::new());
        let state = self.answer(&folder.end(&sudo), ENDING).await;
        self.kill = kill;
        match state {
            Ok(DetachedState::Ended(_, ending)) => match ending {
                DetachedEnding::Limit { gone } | DetachedEnding::Asked { gone } => gone,
                DetachedEnding::Own => true,
            },
            Ok(state) => matches!(
                state,
                DetachedState::Absent
                    | DetachedState::Void
                    | DetachedState::Rebooted
                    | DetachedState::Died { runs: false }
            ),
            Err(_) => false,
        }
    }

    /// What an earlier process of the run left on the host of a step that it did not see the end of. `None` where the
    /// step's `resume` has to say what follows.
    pub(super) async fn found_alone(&mut self, step: &Step) -> Found {
        let mark = self.mark(&step.id)?;
        let open = self.shared.detached.open(&self.id()?);
        let Some(of) = open.into_iter().rfind(|of| of.step == mark) else {
            // It is kept before it is sent: nothing was.
            return self.detaches(step).map(|_mark| None);
        };
        let name = self.named(step);
        let state = match self.how_it_stands(&of).await {
            Ok(state) => state,
            Err(end) => return Some(end.fault(&name).map(Err)),
        };
        match state {
            DetachedState::Ended(..) | DetachedState::Runs | DetachedState::Waiting => {
                let doing = if state == DetachedState::Runs {
                    "goes on"
                } else {
                    "went on"
                };
                let text = format!(
                    "step `{}` {doing} by itself: what it printed meanwhile follows",
                    name.name
                );
                self.teller.note(&text).await;
                self.taken_up = Some(of);
                Some(None)
            }
            DetachedState::Absent if !of.began => {
                self.taken_up = Some(of);
                Some(None)
            }
            DetachedState::Void => {
                self.leftovers.push(of);
                Some(None)
            }
            DetachedState::Died { runs: true } => {
                self.teller.note(unknown(state)).await;
                self.keep_result(step, StepResult::Unknown, None);
                Some(Some(Err(Fault::Lost { step: name })))
            }
            DetachedState::Absent
            | DetachedState::Rebooted
            | DetachedState::Died { runs: false } => {
                let text = format!("step `{}`: {}", name.name, unknown(state));
                self.teller.note(&text).await;
                self.leftovers.push(of);
                None
            }
        }
    }

    /// Why the host's steps must not be undone yet: one of them still runs there.
    pub(crate) async fn still_at_work(&mut self) -> Option<String> {
        let open = self.shared.detached.open(&self.id()?).into_iter();
        for of in open.filter(|of| matches!(of.step.part, Part::Steps(_))) {
            let state = self.how_it_stands(&of).await;
            let runs = match state {
                Ok(
                    DetachedState::Runs
                    | DetachedState::Waiting
                    | DetachedState::Died { runs: true },
                ) => "still runs there",
                Ok(_) => continue,
                Err(_) => "may still run there",
            };
            let run = &self.shared.options.run;
            return Some(format!(
                "step `{}` {runs}: `fab-rs resume {run}` waits for its end, `fab-rs abort {run}` ends it",
                of.step.id
            ));
        }
        None
    }

    /// Removes what detached steps left on the host, once their end is on disk. What is not removed now is when the
    /// run is taken up or given up.
    pub(super) async fn clear_away(&mut self) {
        let leftovers = std::mem::take(&mut self.leftovers);
        if leftovers.is_empty() || self.shared.journal.settled().await.is_err() {
            return;
        }
        for of in leftovers {
            if self.session.is_none() || self.is_killed() {
                return;
            }
            let (folder, sudo) = self.place_of(&of);
            match (self.answer(&folder.remove(&sudo), ANSWER).await, self.id()) {
                (Ok(DetachedState::Absent), Some(host)) => {
                    self.shared.detached.over(&host, &of.at.folder);
                    let folder = Arc::clone(&of.at.folder);
                    self.shared
                        .journal
                        .note(Fact::DetachedGone { host, folder });
                }
                (Ok(_), _) => {}
                (Err(end), _) => {
                    let path = folder.path();
                    self.teller
                        .hint(&format!("{path} is left there: {}", end.cause()));
                }
            }
        }
    }
}

/// Why it is not known how a detached step ended.
pub(super) fn unknown(state: DetachedState) -> &'static str {
    match state {
        DetachedState::Rebooted => {
            "the host was started anew while the step ran: how far it got is not known"
        }
        DetachedState::Died { runs: true } => {
            "what watched over the step on the host was killed; the step still runs, and how it ends will not be known"
        }
        DetachedState::Died { runs: false } => {
            "what watched over the step on the host was killed with it: how far it got is not known"
        }
        DetachedState::Absent => {
            "what the step left on the host is gone: how it ended is not known"
        }
        DetachedState::Void
        | DetachedState::Waiting
        | DetachedState::Runs
        | DetachedState::Ended(..) => {
            "the step was not begun in time on the host, or cannot say so"
        }
    }
}

/// A host that answers too late may have done what it was asked for.
pub(super) fn unanswered(end: End) -> End {
    match end {
        End::TimedOut { .. } => End::Lost,
        end => end,
    }
}
