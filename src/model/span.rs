//! Places in the user's files, for errors that point at the text.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

/// A text that errors may point into: a task file, an inventory, the command line.
#[derive(Debug, PartialEq, Eq)]
pub struct Source {
    /// Where it was read from, as users should see it.
    pub path: PathBuf,
    /// The whole text.
    pub text: String,
}

/// A range of bytes in a [`Source`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceSpan {
    /// The text.
    pub source: Arc<Source>,
    /// Byte offsets into the text.
    pub range: Range<usize>,
}

impl SourceSpan {
    /// A span; offsets beyond the text are cut to its end.
    pub fn new(source: &Arc<Source>, range: Range<usize>) -> Self {
        let end = range.end.min(source.text.len());
        Self {
            source: Arc::clone(source),
            range: range.start.min(end)..end,
        }
    }

    /// Line and column of the start, both from 1; the column counts characters.
    pub fn line_column(&self) -> (usize, usize) {
        let before = &self.source.text[..self.range.start];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        (
            before.matches('\n').count() + 1,
            before[line_start..].chars().count() + 1,
        )
    }

    /// `FILE:LINE:COLUMN`.
    pub fn place(&self) -> String {
        let (line, column) = self.line_column();
        format!("{}:{line}:{column}", self.source.path.display())
    }
}
