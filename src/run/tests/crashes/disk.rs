//! A disk that keeps so many facts of a run and no more: what a power cut, or the death of the process, leaves.

use std::sync::{Arc, Mutex, MutexGuard};

use futures_util::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use crate::journal::{FORMAT, Record};
use crate::model::{HostId, RunId};
use crate::run::journal::{Fact, Journal, Mark};

use super::case::ELEMENTS;
use super::world::CONTROLLER;

/// How far a process comes of which so many facts are kept. What really happens lies between the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::run::tests) enum Death {
    /// It does nothing any more once the last of them is noted.
    AtOnce,
    /// It does everything that it may without a further one on disk.
    Late,
}

/// A journal on such a disk.
#[derive(Debug)]
pub(in crate::run::tests) struct Disk {
    noted: Mutex<Vec<Fact>>,
    room: usize,
    /// The process is dead.
    pub(in crate::run::tests) dead: CancellationToken,
    death: Death,
}

impl Disk {
    /// A disk with these facts on it, and room for so many in all.
    pub(in crate::run::tests) fn new(facts: Vec<Fact>, room: usize, death: Death) -> Arc<Self> {
        Arc::new(Self {
            noted: Mutex::new(facts),
            room,
            dead: CancellationToken::new(),
            death,
        })
    }

    /// One that keeps everything.
    pub(in crate::run::tests) fn endless(facts: Vec<Fact>) -> Arc<Self> {
        Self::new(facts, usize::MAX, Death::Late)
    }

    fn noted(&self) -> MutexGuard<'_, Vec<Fact>> {
        self.noted.lock().unwrap()
    }

    /// What is kept.
    pub(in crate::run::tests) fn facts(&self) -> Vec<Fact> {
        let noted = self.noted();
        noted[..noted.len().min(self.room)].to_vec()
    }

    /// Whether it is kept that a step with this command was about to be sent to a host.
    pub(super) fn knows_of(&self, host: &str, text: &str) -> bool {
        let key = text.split_whitespace().nth(1).unwrap();
        let noted = self.noted();
        let is_it = |of: &Option<HostId>, step: &Mark| {
            let of = of.as_ref().map_or(CONTROLLER, HostId::as_str);
            of == host && is_of(step, key)
        };
        let kept = noted[..noted.len().min(self.room)].iter().rev();
        let mut of_step = kept.filter_map(|fact| match fact {
            Fact::StepStarted { host, step, .. } if is_it(host, step) => Some(true),
            Fact::StepFinished { host, step, .. } if is_it(host, step) => Some(false),
            _ => None,
        });
        of_step.next() == Some(true)
    }
}

/// Whether a key is of a step; one of a loop has the pass in it.
fn is_of(step: &Mark, key: &str) -> bool {
    match step.passes[..] {
        [] => *step.id == *key,
        [pass, ..] => format!("{}-{}", step.id, ELEMENTS[pass]) == key,
    }
}

impl Journal for Disk {
    fn note(&self, fact: Fact) {
        let mut noted = self.noted();
        noted.push(fact);
        if noted.len() >= self.room && self.death == Death::AtOnce {
            self.dead.cancel();
        }
    }

    fn settled(&self) -> BoxFuture<'_, Result<(), String>> {
        if self.noted().len() > self.room || self.dead.is_cancelled() {
            return Box::pin(std::future::pending());
        }
        Box::pin(std::future::ready(Ok(())))
    }

    fn fault(&self) -> Option<String> {
        None
    }
}

/// The lines of a journal.
pub(super) fn lines(run: &RunId, facts: &[Fact]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (fact, seq) in facts.iter().zip(0..) {
        let record = Record {
            v: FORMAT,
            seq,
            time: jiff::Timestamp::UNIX_EPOCH,
            run: run.clone(),
            fact: fact.clone(),
        };
        record.write(&mut bytes);
    }
    bytes
}
