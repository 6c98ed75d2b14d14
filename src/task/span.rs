//! Durations that a file gives as templates: rendered once params are known. What they mean is `step`'s.

use std::time::Duration;

use super::{Action, Engine, Scope, Step, Text};
use crate::model::{Diagnostic, parse_duration};

/// A duration that the file gives as a template, such as `timeout: "{{ params.wait }}"`.
/// [`Engine::settle`](super::Engine::settle) puts it in its place when the step is planned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenSpan {
    /// Which one.
    pub of: SpanOf,
    /// Its text.
    pub text: Text,
}

/// A duration of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SpanOf {
    /// [`Modifiers::timeout`](super::Modifiers::timeout).
    Timeout,
    /// [`Retry::delay`](super::Retry::delay).
    Delay,
    /// [`WaitFor::interval`](super::WaitFor::interval).
    Interval,
    /// [`WaitFor::stable_for`](super::WaitFor::stable_for).
    StableFor,
    /// [`Action::Pause`].
    Pause,
    /// [`Question::timeout`](super::Question::timeout).
    Answer,
}

impl SpanOf {
    /// The key of the format.
    fn key(self) -> &'static str {
        match self {
            Self::Timeout | Self::Answer => "timeout",
            Self::Delay => "delay",
            Self::Interval => "interval",
            Self::StableFor => "stable_for",
            Self::Pause => "pause",
        }
    }

    /// Whether it may be zero.
    fn may_be_zero(self) -> bool {
        matches!(self, Self::Delay | Self::StableFor | Self::Pause)
    }
}

impl Step {
    /// Puts a duration in its place.
    fn set_span(&mut self, of: SpanOf, span: Duration) {
        match (of, &mut self.action) {
            (SpanOf::Timeout, _) => self.modifiers.timeout = Some(span),
            (SpanOf::Delay, _) => {
                if let Some(retry) = &mut self.modifiers.retry {
                    retry.delay = span;
                }
            }
            (SpanOf::Interval, Action::WaitFor(wait)) => wait.interval = span,
            (SpanOf::StableFor, Action::WaitFor(wait)) => wait.stable_for = span,
            (SpanOf::Pause, Action::Pause(pause)) => *pause = span,
            (SpanOf::Answer, Action::Confirm(question)) => question.timeout = Some(span),
            _ => {}
        }
    }
}

impl Engine {
    /// Puts a step's open durations in their places, rendered for this scope; none is open afterwards.
    ///
    /// # Errors
    /// Every template that cannot be rendered or whose text is no duration, with its place.
    pub fn settle(&self, step: &mut Step, scope: &Scope) -> Result<(), Vec<Diagnostic>> {
        let mut errors = Vec::new();
        for open in std::mem::take(&mut step.open) {
            let found = self.text(&open.text, scope).and_then(|text| {
                let refused = |why: String| {
                    let error = Diagnostic::new(format!("`{}`: {why}", open.of.key()));
                    let error = match &open.text {
                        Text::Template(template) => error.at(&template.span),
                        Text::Plain(_) => error.at(&step.span),
                    };
                    error.context(scope.context())
                };
                match parse_duration(&text) {
                    Ok(span) if span.is_zero() && !open.of.may_be_zero() => {
                        Err(refused("must be more than nothing".to_owned()))
                    }
                    Ok(span) => Ok(span),
                    Err(error) => Err(refused(error.to_string())),
                }
            });
            match found {
                Ok(span) => step.set_span(open.of, span),
                Err(error) => errors.push(error),
            }
        }
        if errors.is_empty() {
            Ok(())
        } else {
            Err(errors)
        }
    }
}
