//! What the deciding half of a run has the working half do, and what it learns from it. Data only: the rules
//! are [`super::course`]'s, the doing is [`super::executor`]'s.
//!
//! The working half asks "what next?" (`UnitMessage::Next`, through [`super::message::Wire::next`]) whenever it
//! is idle or something ended, gets one [`Errand`], does it, tells what came of it, and asks again. So every
//! decision is a pure function of what was told, and a simulated working half plays the very rules of a real
//! one.
//!
//! A stop cuts short what the working half waits for: it asks again at once, and what was not found or
//! answered by then is not told. An errand that is handed out after a stop is part of its end (the question
//! whether to roll back, rollback work, `notify`): of [`super::stop::StopTokens`] such an errand heeds
//! `rollback` alone.

use std::time::Duration;

use crate::lock;
use crate::model::{Label, UnreachableKind};
use crate::task::{GateAt, Occasion};

pub(crate) use super::event::GateAnswer;
use super::message::HostIndex;

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Errand {
    /// Ask hosts how they are. Each is told by one [`Finding`] (`UnitMessage::Found`) before the next question.
    Look(Look),
    /// Run steps on the controller; told by `UnitMessage::SectionEnded`.
    Controller(Section),
    /// Ask a person; told by `UnitMessage::GateAnswered`. The question was told as an event already. Where no
    /// answer comes in time, that is `Pause` by `timeout`.
    Ask(Gate),
    /// Start work on hosts, all of one batch, and ask again at once. What ends is told by
    /// `UnitMessage::HostEnded` (or `HostRolledBack`).
    Start(Start),
    /// Wait until something that was started ends, then ask again.
    Await,
    /// Wait, then ask again; a stop cuts it short. Meanwhile the `watch` checks are asked of these hosts, and
    /// each host of which one fails `consecutive` times is told by a [`Finding`].
    Sleep(Sleep),
    /// Run the `notify` commands of this occasion, without waiting for them, and ask again.
    Notify(Occasion),
    /// Take the run's lock on these hosts, in this order; told by `UnitMessage::LockEnded`, unless a stop cuts it
    /// short: then nothing is taken.
    Lock(Vec<HostIndex>),
    /// Let go of the lock, or leave it for whoever takes the run up.
    Unlock {
        /// It is left.
        keep: bool,
    },
    /// There is nothing left to do.
    End,
}

/// What came of taking the lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LockEnd {
    /// The run has it.
    Taken {
        /// The host to which its heartbeat goes.
        anchor: Label,
        /// How many hosts hold it.
        hosts: usize,
        /// Hosts on which it could not be taken, and why.
        without: Vec<(Label, String)>,
    },
    /// Another has it.
    Held(Box<lock::Found>),
    /// It could be taken on no host, for these reasons.
    Nowhere(Vec<(Label, String)>),
}

/// Hosts to ask, each no further than it answers. Sessions stay open for the work that follows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Look {
    /// The phase whose checks and `last` are asked.
    pub(crate) phase: usize,
    /// Hosts to connect to, in the order of the population; the others below are among them.
    pub(crate) connect: Vec<HostIndex>,
    /// Those on which it is tried whether sudo works as the steps will use it.
    pub(crate) sudo: Vec<HostIndex>,
    /// Those whose facts are read, and `last` with them.
    pub(crate) facts: Vec<HostIndex>,
    /// Those whose health checks are asked, once each.
    pub(crate) health: Vec<HostIndex>,
}

/// What a look, or a watch, found of one host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    /// The host.
    pub(crate) host: HostIndex,
    /// What was found.
    pub(crate) state: Found,
    /// Whether it is taken last; `None` where that was not asked, or could not be told.
    pub(crate) last: Option<bool>,
}

/// How a host is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Found {
    /// It answers, and every check that was asked of it passed.
    Well,
    /// A check failed.
    Sick {
        /// The check's name.
        check: String,
        /// The answer, for people.
        cause: String,
    },
    /// Sudo, or a fact, does not work there: steps would fail.
    Unfit {
        /// One line saying what.
        cause: String,
    },
    /// No connection.
    Silent {
        /// Which kind of trouble.
        kind: UnreachableKind,
        /// From the sentence for people to the innermost cause.
        causes: Vec<String>,
        /// What can be done about it.
        hints: Vec<String>,
    },
}

/// Steps that run on the controller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Section {
    /// The task's `before`.
    Before,
    /// A phase's `before`.
    PhaseBefore(usize),
    /// A phase's `after`.
    PhaseAfter(usize),
    /// The task's `after`.
    After,
}

impl From<Section> for super::journal::Part {
    fn from(section: Section) -> Self {
        match section {
            Section::Before => Self::Before,
            Section::PhaseBefore(phase) => Self::PhaseBefore(phase),
            Section::PhaseAfter(phase) => Self::PhaseAfter(phase),
            Section::After => Self::After,
        }
    }
}

/// A question to a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Gate {
    /// Where the rollout stands; `None` where it stopped and asks what to do about it.
    pub(crate) at: Option<GateAt>,
    /// The question in a line.
    pub(crate) question: String,
    /// Answers that are taken, in the order shown.
    pub(crate) offers: Vec<GateAnswer>,
    /// How long an answer is waited for; the run is paused then.
    pub(crate) timeout: Duration,
}

/// Work to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Start {
    /// The phase.
    pub(crate) phase: usize,
    /// The number of the batch in the phase, from 0, as it is taken.
    pub(crate) batch: usize,
    /// The batch's hosts, in order; those already at work among them.
    pub(crate) members: Vec<HostIndex>,
    /// The hosts to start now.
    pub(crate) hosts: Vec<HostIndex>,
    /// Whether the batch is the canary.
    pub(crate) canary: bool,
    /// What is done.
    pub(crate) work: Work,
}

/// What is done on hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Work {
    /// The phase's steps, then `health`, then `verify`.
    Forward,
    /// The phase's `rollback`, then `health`.
    Rollback,
}

/// A wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sleep {
    /// The phase whose `watch` checks are asked.
    pub(crate) phase: usize,
    /// How long.
    pub(crate) length: Duration,
    /// The hosts that are watched meanwhile.
    pub(crate) watch: Vec<HostIndex>,
}
