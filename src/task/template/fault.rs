//! Turns minijinja's errors into diagnostics in the user's words, at the place in the user's file.

use minijinja::{Error, ErrorKind};

use super::position;
use crate::model::{Diagnostic, SourceSpan};

/// An error that a value or a function of ours raised while a template ran, with what to do about it.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub(in crate::task) struct TemplateFault {
    /// What is wrong.
    pub(in crate::task) message: String,
    /// What the user can do.
    pub(in crate::task) hints: Vec<String>,
}

impl TemplateFault {
    /// The fault as minijinja carries it.
    pub(in crate::task) fn into_error(self) -> Error {
        Error::new(ErrorKind::InvalidOperation, self.message.clone()).with_source(self)
    }
}

/// The diagnostic for an error of minijinja in the template `source` that was read from `span`.
pub(super) fn diagnostic(error: &Error, source: &str, span: &SourceSpan) -> Diagnostic {
    let place = match error.range() {
        Some(range) if !range.is_empty() && range.end <= source.len() => {
            position::place(span, source, range)
        }
        _ => span.clone(),
    };
    if let Some(fault) = our_fault(error) {
        let diagnostic = Diagnostic::new(fault.message.clone()).at(&place);
        return fault.hints.iter().fold(diagnostic, Diagnostic::hint);
    }
    let detail = error.detail().unwrap_or_default();
    let message = match error.kind() {
        ErrorKind::SyntaxError => format!("the template does not parse: {detail}"),
        ErrorKind::UnknownTest => detail.replace("test ", "there is no test named "),
        ErrorKind::UndefinedError if detail.is_empty() => "a value is not defined".to_owned(),
        _ if detail.is_empty() => format!("the template fails: {}", error.kind()),
        _ => format!("the template fails: {detail}"),
    };
    Diagnostic::new(message).at(&place)
}

/// The fault of ours that an error carries, however deep.
fn our_fault(error: &Error) -> Option<&TemplateFault> {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if let Some(fault) = cause.downcast_ref::<TemplateFault>() {
            return Some(fault);
        }
        source = cause.source();
    }
    None
}
