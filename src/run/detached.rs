//! The steps that go on by themselves on their hosts, as far as the run knows: those that an earlier process of it
//! left there, and those that this one starts.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::model::HostId;

use super::journal::{Detached, Mark};
use super::progress::{DetachedProgress, Progress};

/// What is known of them.
#[derive(Debug, Default)]
pub(crate) struct DetachedSteps(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    hosts: HashMap<HostId, Vec<DetachedProgress>>,
    /// How many were ever started: no two folders of a run have one name.
    count: usize,
}

impl DetachedSteps {
    /// Those of an earlier process of the run.
    pub(crate) fn of(progress: &Progress) -> Self {
        let hosts = progress.hosts.iter();
        let hosts = hosts.filter(|(_, host)| !host.detached.is_empty());
        let known = Known {
            hosts: hosts
                .map(|(id, host)| (id.clone(), host.detached.clone()))
                .collect(),
            count: progress.detached,
        };
        Self(Mutex::new(known))
    }

    /// The number of the next one.
    pub(crate) fn next(&self) -> usize {
        let mut known = self.lock();
        known.count += 1;
        known.count
    }

    /// One is about to be started.
    pub(crate) fn add(&self, host: &HostId, step: &Mark, at: &Detached) -> DetachedProgress {
        let added = DetachedProgress {
            step: step.clone(),
            at: at.clone(),
            began: false,
            over: false,
        };
        let mut known = self.lock();
        let of_host = known.hosts.entry(host.clone()).or_default();
        of_host.push(added.clone());
        added
    }

    /// Those of a host of which the end is not known, oldest first.
    pub(crate) fn open(&self, host: &HostId) -> Vec<DetachedProgress> {
        let known = self.lock();
        let of_host = known.hosts.get(host).into_iter().flatten();
        of_host.filter(|one| !one.over).cloned().collect()
    }

    /// The end of one is known.
    pub(crate) fn over(&self, host: &HostId, folder: &str) {
        let mut known = self.lock();
        for one in known.hosts.entry(host.clone()).or_default() {
            one.over |= *one.at.folder == *folder;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
