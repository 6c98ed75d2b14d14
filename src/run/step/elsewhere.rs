//! `where`: the steps of a host that run on another machine, the controller or a healthy host of the
//! population.

use std::sync::Arc;

use indexmap::IndexMap;

use crate::model::selector::{TagKeys, Term};
use crate::run::message::HostIndex;
use crate::run::shared::World;
use crate::run::work::{Away, Work};
use crate::task::{Step, StepPlace};

use super::attempt::Running;
use super::end::{Done, End};

impl<W: World> Work<W> {
    /// The action, on the machine where its step wants it. Steps inside one that runs elsewhere run there too.
    pub(crate) async fn perform_in_place(&mut self, step: &Step, running: &Running) -> Done {
        if self.away.is_some() {
            return self.perform(step, running).await;
        }
        let candidates = match &step.modifiers.place {
            StepPlace::Host => return self.perform(step, running).await,
            StepPlace::Controller => {
                self.away = Some(Away::Controller);
                let done = self.perform(step, running).await;
                self.away = None;
                return done;
            }
            StepPlace::AnyHealthy => self.healthy_others(),
            StepPlace::Selected(terms) => match self.selected(terms) {
                Ok(candidates) => candidates,
                Err(cause) => return End::failed(cause).into(),
            },
        };
        let own = self.site.as_ref().map(|site| site.index);
        let touched = self.touched;
        let mut last = None;
        for index in candidates {
            if Some(index) == own {
                return self.perform(step, running).await;
            }
            if let Err(end) = self.depart(index).await {
                self.come_home().await;
                if matches!(end, End::Cancelled { .. }) {
                    return end.into();
                }
                last = Some(end.cause());
                continue;
            }
            let done = self.perform(step, running).await;
            self.come_home().await;
            self.touched = touched;
            return of_elsewhere(done, &self.shared.plan.population[index].label);
        }
        let cause = match last {
            Some(cause) => format!("no healthy host to run it on can be reached: {cause}"),
            None => "there is no healthy host to run it on".to_owned(),
        };
        End::failed(cause).into()
    }

    /// Goes to another host: from here on, commands run there.
    async fn depart(&mut self, index: HostIndex) -> Result<(), End> {
        let host = Arc::clone(&self.shared.plan.population[index]);
        self.teller.hint(&format!("on {}", host.label));
        let home = self.session.take();
        self.away = Some(Away::Host { index, host, home });
        self.connected().await
    }

    /// Comes back to the own host.
    async fn come_home(&mut self) {
        self.give_back().await;
        if let Some(Away::Host { home, .. }) = self.away.take() {
            self.session = home;
        }
    }

    /// The other hosts that are healthy, none of the batch at work, in the order of the population.
    fn healthy_others(&self) -> Vec<HostIndex> {
        let site = self.site.as_ref();
        let own = site.map(|site| site.index);
        let batch = site.and_then(|site| site.batch.as_ref());
        let known = &self.shared.known;
        let all = 0..self.shared.plan.population.len();
        all.filter(|host| Some(*host) != own && known.is_well(*host))
            .filter(|host| batch.is_none_or(|batch| !batch.members.contains(host)))
            .collect()
    }

    /// The host itself if these words match it, else the healthy ones that they match.
    fn selected(&self, terms: &[Term]) -> Result<Vec<HostIndex>, String> {
        let population = &self.shared.plan.population;
        let keys = TagKeys::new(population.iter().map(|host| &**host), &IndexMap::new());
        let matchers: Result<Vec<_>, _> = terms.iter().map(|term| term.matcher(&keys)).collect();
        let matchers = matchers.map_err(|error| error.to_string())?;
        let matched = |host: &HostIndex| matchers.iter().all(|m| m.matches(&population[*host]));
        if let Some(site) = &self.site
            && matched(&site.index)
        {
            return Ok(vec![site.index]);
        }
        Ok(self.healthy_others().into_iter().filter(matched).collect())
    }
}

/// An action's end as the step's host has it: trouble with the other host's connection is no trouble with its
/// own.
fn of_elsewhere(done: Done, label: &crate::model::Label) -> Done {
    let end = match done.end {
        End::Unreachable { causes, .. } => End::failed(format!(
            "{label}: {}",
            causes.first().map_or("no connection", String::as_str)
        )),
        End::Failed { exit_code, cause } => End::Failed {
            exit_code,
            cause: format!("on {label}: {cause}"),
        },
        end => end,
    };
    Done { end, ..done }
}
