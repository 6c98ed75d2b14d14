//! How the engine asks a person. `app` implements it: a terminal, `--yes`, or a refusal.

use std::future::Future;
use std::time::Duration;

use crate::task::GateAt;

use super::event::GateAnswer;

/// An answer to a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Whether to go on.
    pub yes: bool,
    /// Who answered: `terminal`, `--yes`, `default`, `timeout`.
    pub by: &'static str,
}

/// A gate of a rollout. What it shows beside the question is told as an event before it asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GateQuestion<'a> {
    /// Where the rollout stands; `None` where it stopped and asks what to do about it.
    pub at: Option<GateAt>,
    /// The host of the interrupted step that is asked about, where it is one.
    pub host: Option<&'a str>,
    /// The question in a line.
    pub question: &'a str,
    /// Answers that are taken, in the order shown. None of them is the answer on Enter.
    pub offers: &'a [GateAnswer],
    /// How long an answer is waited for; then it is [`GateAnswer::Pause`] by `timeout`.
    pub timeout: Duration,
}

/// The answer at a gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GateReply {
    /// What to do.
    pub answer: GateAnswer,
    /// Who answered, as [`Answer::by`] has it.
    pub by: &'static str,
}

/// Asks a person, or answers in their stead as the command line allows.
pub trait Prompt: Send + Sync {
    /// Asks; returns within `timeout` where one is given. One question is on screen at a time.
    fn ask(
        &self,
        question: &str,
        default: Option<bool>,
        timeout: Option<Duration>,
    ) -> impl Future<Output = Answer> + Send;

    /// Asks at a gate of the rollout; returns within its timeout.
    fn gate(&self, gate: &GateQuestion<'_>) -> impl Future<Output = GateReply> + Send;
}
