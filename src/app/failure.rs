//! How a command ends that does not end well: what to say, and the exit status.

use crate::model::{Diagnostic, ExitStatus};

/// Why a command stopped before it did its work, or that it did.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The exit status.
    pub(crate) status: ExitStatus,
    /// What is said about it; empty where it was said already.
    pub(crate) diagnostics: Vec<Diagnostic>,
}

impl Failure {
    /// Refused: usage, files, templates, plan. Nothing ran.
    pub(crate) fn refused(diagnostics: impl Into<Vec<Diagnostic>>) -> Self {
        Self {
            status: ExitStatus::Refused,
            diagnostics: diagnostics.into(),
        }
    }

    /// The fleet, or the task, is not what a kept plan was made for.
    pub(crate) fn drifted(diagnostic: Diagnostic) -> Self {
        Self {
            status: ExitStatus::NoHost,
            diagnostics: vec![diagnostic],
        }
    }

    /// No host matched.
    pub(crate) fn no_host(diagnostics: impl Into<Vec<Diagnostic>>) -> Self {
        Self {
            status: ExitStatus::NoHost,
            diagnostics: diagnostics.into(),
        }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        let mut chain = error.chain().map(ToString::to_string);
        let message = chain.next().unwrap_or_default();
        let diagnostic = chain.fold(Diagnostic::new(message), Diagnostic::cause);
        Self::refused([diagnostic])
    }
}

impl From<Vec<Diagnostic>> for Failure {
    fn from(diagnostics: Vec<Diagnostic>) -> Self {
        Self::refused(diagnostics)
    }
}

impl From<Diagnostic> for Failure {
    fn from(diagnostic: Diagnostic) -> Self {
        Self::refused([diagnostic])
    }
}
