//! How the engine asks a person. `app` implements it: a terminal, `--yes`, or a refusal.

use std::future::Future;
use std::time::Duration;

/// An answer to a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Whether to go on.
    pub yes: bool,
    /// Who answered: `terminal`, `--yes`, `default`, `timeout`.
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
}
