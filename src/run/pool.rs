//! The sessions that a run keeps: one for each host, opened by whoever needs the host first and borrowed by
//! everybody after. Opens and closes nothing itself.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::message::HostIndex;

/// How many sessions are kept; each is a process and a few descriptors. Hosts beyond it are connected to anew
/// each time.
const MOST: usize = 512;

/// Sessions by host.
#[derive(Debug)]
pub(crate) struct Pool<S> {
    most: usize,
    kept: Mutex<HashMap<HostIndex, Arc<S>>>,
}

impl<S> Pool<S> {
    /// A pool that keeps sessions, or none: a run that comes to each host once.
    pub(crate) fn new(keeps: bool) -> Self {
        Self {
            most: if keeps { MOST } else { 0 },
            kept: Mutex::default(),
        }
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<HostIndex, Arc<S>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The session to a host, to use beside others.
    pub(crate) fn borrow(&self, host: HostIndex) -> Option<Arc<S>> {
        self.kept().get(&host).map(Arc::clone)
    }

    /// Keeps a new session, if there is room and none yet.
    pub(crate) fn keep(&self, host: HostIndex, session: &Arc<S>) {
        let mut kept = self.kept();
        if kept.len() < self.most {
            kept.entry(host).or_insert_with(|| Arc::clone(session));
        }
    }

    /// Whether this very session is kept.
    pub(crate) fn holds(&self, host: HostIndex, session: &Arc<S>) -> bool {
        let kept = self.kept();
        kept.get(&host)
            .is_some_and(|held| Arc::ptr_eq(held, session))
    }

    /// Keeps this session no longer.
    pub(crate) fn forget(&self, host: HostIndex, session: &Arc<S>) {
        let mut kept = self.kept();
        if kept
            .get(&host)
            .is_some_and(|held| Arc::ptr_eq(held, session))
        {
            kept.remove(&host);
        }
    }

    /// Takes the session of a host that is needed no more.
    pub(crate) fn take(&self, host: HostIndex) -> Option<Arc<S>> {
        self.kept().remove(&host)
    }

    /// Takes every session.
    pub(crate) fn take_all(&self) -> Vec<Arc<S>> {
        self.kept().drain().map(|(_, session)| session).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_kept_until_it_is_forgotten() {
        let pool = Pool::new(true);
        let (first, second) = (Arc::new(1), Arc::new(2));
        pool.keep(7, &first);
        pool.keep(7, &second);
        assert!(pool.holds(7, &first) && !pool.holds(7, &second));
        pool.forget(7, &second);
        assert_eq!(pool.borrow(7), Some(first.clone()));
        pool.forget(7, &first);
        assert_eq!(pool.borrow(7), None);
    }

    #[test]
    fn no_more_than_there_is_room_for_are_kept() {
        let pool = Pool::new(true);
        for host in 0..MOST + 3 {
            pool.keep(host, &Arc::new(host));
        }
        assert_eq!(pool.take_all().len(), MOST);
        let none = Pool::new(false);
        none.keep(0, &Arc::new(0));
        assert!(none.borrow(0).is_none());
    }
}
