//! One thing that is wrong with what the user wrote, as data; `report::failure` renders it.

use super::SourceSpan;

/// An error in a file or on the command line: what, where, why, and what to do about it.
///
/// The message is a lowercase sentence without full stop, the user's words in backticks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// What is wrong.
    pub message: String,
    /// Where, if there is a file.
    pub span: Option<SourceSpan>,
    /// What stands under the caret, such as "did you mean `max_failures`?".
    pub label: Option<String>,
    /// Further context for the `-->` line, such as "step `unpack`, rendered for host web-a1".
    pub context: Option<String>,
    /// Causes, outermost first.
    pub causes: Vec<String>,
    /// What the user can do, one line each.
    pub hints: Vec<String>,
}

impl Diagnostic {
    /// A diagnostic with a message alone.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            span: None,
            label: None,
            context: None,
            causes: Vec::new(),
            hints: Vec::new(),
        }
    }

    /// Points at a place in a file.
    pub fn at(mut self, span: &SourceSpan) -> Self {
        self.span = Some(span.clone());
        self
    }

    /// Puts a text under the caret.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Adds context to the place.
    pub fn context(mut self, context: impl Into<String>) -> Self {
        self.context = Some(context.into());
        self
    }

    /// Adds a cause.
    pub fn cause(mut self, cause: impl Into<String>) -> Self {
        self.causes.push(cause.into());
        self
    }

    /// Adds a hint.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }
}
