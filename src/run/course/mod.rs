//! The course of a rollout: every decision of the engine, from the first look at the hosts to the last word,
//! as a function of what was told. No clock, no channel, no text for people; what is decided comes out as an
//! [`Errand`](super::errand::Errand), as facts, and as a brake on what runs.
//!
//! `steering` has the way from leg to leg, `locking` the lock, `taking` what is taken next and when, `ending` how
//! hosts end, `gates` the questions, `stopping` what ends it early, `undoing` the rollback, `resuming` how it goes
//! on in another process. Below them stand rules that know nothing of a run:
//! `budget`, `vitality`, `bake`; and what is remembered: `ledger` of hosts, `pass` of a phase's batches.

mod bake;
mod budget;
mod ending;
mod gates;
mod ledger;
mod locking;
mod looking;
mod pass;
mod regrouping;
mod resuming;
mod steering;
mod stopping;
mod taking;
mod undoing;
mod vitality;

pub(crate) use ledger::Entry;
pub(crate) use steering::{Brake, Course};
pub(crate) use undoing::Undone;
