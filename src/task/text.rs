//! Texts that may hold templates, and bare expressions.
//!
//! A [`Text`] is plain or still a template. Planning turns every template that depends on nothing later
//! into a plain text; what is left waits for an earlier step's `register`.

use std::sync::Arc;

use crate::model::SourceSpan;

/// How values are quoted where a template puts them into the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Quoting {
    /// As they are: argv words, paths, messages.
    Plain,
    /// Each value becomes one word of a POSIX shell; `| raw` opts out.
    Shell,
    /// Each value matches itself in a regular expression.
    Pattern,
    /// As they are, secrets too: the content of a file that goes to a host.
    File,
}

/// A template as written, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// The text with its braces.
    pub source: String,
    /// How values are quoted.
    pub quoting: Quoting,
    /// Where it stands.
    pub span: SourceSpan,
    /// Names of earlier registers it reads; empty means that it can be rendered while planning.
    pub registers: Vec<String>,
}

/// A text that is known, or a template that is rendered later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Text {
    /// Known.
    Plain(Arc<str>),
    /// Rendered per host while planning, or, where it reads a register, when its step runs.
    Template(Arc<Template>),
}

impl Text {
    /// The text as a plan shows it: known text, or the template with its braces.
    pub fn shown(&self) -> &str {
        match self {
            Self::Plain(text) => text,
            Self::Template(template) => &template.source,
        }
    }
}

/// A bare expression (`when`, `until`, `fail_when`, `that`), as written, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expression {
    /// The expression, without braces.
    pub source: String,
    /// Where it stands.
    pub span: SourceSpan,
    /// Names of earlier registers it reads.
    pub registers: Vec<String>,
}
