//! Where a detached step lies on its host: kept in the journal before it is sent there, and told in the host's log, so
//! that its output is told once, whichever process of the run reads it.
//!
//! Not its job: starting and following it (`detached`), what lies there afterwards (`detached_ends`).

use crate::run::journal::{Detached, Fact, Mark};
use crate::run::progress::DetachedProgress;
use crate::run::shared::World;
use crate::run::work::Work;
use crate::task::Step;
use crate::transport::{DetachedFolder, DetachedState, RemoteCommand, Sudo};

use super::detached_ends::unknown;
use super::end::End;
use super::output::Streams;

impl<W: World> Work<W> {
    /// Which run of a step this is, where it is to go on by itself.
    pub(super) fn detaches(&self, step: &Step) -> Option<Mark> {
        let wanted = step.modifiers.detach || self.taken_up.is_some();
        let at_home = self.away.is_none() && self.site.is_some();
        self.mark(&step.id)
            .filter(|mark| wanted && at_home && mark.once.is_none())
    }

    /// Its folder on the host, and as whom it runs there.
    pub(super) fn place_of(&self, of: &DetachedProgress) -> (DetachedFolder, Sudo) {
        let sudo = of.at.user.clone().map_or(Sudo::No, Sudo::User);
        let folder = DetachedFolder::new(self.shared.options.run.as_str(), &of.at.folder, &sudo);
        (folder, sudo)
    }

    /// One that was begun before, whichever process of the run did, with what was told of it.
    pub(super) fn going_on(&mut self, of: DetachedProgress) -> (DetachedProgress, Streams) {
        let path = self.place_of(&of).0.path();
        let told = self.teller.going_on(&path);
        (of, Streams::told(told))
    }

    /// Keeps where the command will lie, before it is sent. One of the same step that runs on the host, or may yet be
    /// begun there, is taken up instead: never two.
    pub(super) async fn kept_ahead(
        &mut self,
        mark: Mark,
        command: &RemoteCommand,
    ) -> Result<(DetachedProgress, Streams), End> {
        let Some(host) = self.id() else {
            return Err(End::failed("there is no host to run it on"));
        };
        let open = self.shared.detached.open(&host);
        let known = |of: &DetachedProgress| self.leftovers.contains(of);
        let open: Vec<_> = open
            .into_iter()
            .filter(|of| of.step == mark && !known(of))
            .collect();
        for of in open {
            match self.how_it_stands(&of).await? {
                DetachedState::Runs | DetachedState::Waiting => return Ok(self.going_on(of)),
                state @ DetachedState::Died { runs: true } => {
                    self.teller.note(unknown(state)).await;
                    return Err(End::Lost);
                }
                _ => self.leftovers.push(of),
            }
        }
        let number = self.shared.detached.next();
        let name = DetachedFolder::name_of(&self.label(), &mark.id, number);
        let at = Detached {
            folder: name.into(),
            user: match &command.sudo {
                Sudo::No => None,
                Sudo::User(user) => Some(user.clone()),
            },
            attempt: self.attempt,
        };
        let of = self.shared.detached.add(&host, &mark, &at);
        self.shared.journal.note(Fact::Detached {
            host,
            step: mark,
            at,
        });
        let kept = self.shared.journal.settled().await;
        kept.map_err(|cause| End::Broken {
            cause: format!("not sent: {cause}"),
        })?;
        self.teller.detached(&self.place_of(&of).0.path());
        Ok((of, Streams::new()))
    }
}
