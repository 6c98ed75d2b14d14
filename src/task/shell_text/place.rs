//! Where a value stands that must not stand there, as an error. No reading.

use std::ops::Range;

/// A value that stands where it must not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a value {place}")]
pub(crate) struct Misplaced {
    /// The tag, bytes of the text.
    pub(crate) range: Range<usize>,
    /// Where it stands.
    pub(crate) place: Place,
}

/// Where a value must not stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Place {
    /// In `'…'`.
    #[error("inside single quotes")]
    SingleQuotes,
    /// In `"…"`.
    #[error("inside double quotes")]
    DoubleQuotes,
    /// In `` `…` ``.
    #[error("inside backticks")]
    Backticks,
    /// In `${…}`.
    #[error("inside `${{…}}`")]
    Expansion,
    /// In `$((…))` or `((…))`.
    #[error("inside an arithmetic expression")]
    Arithmetic,
    /// In the lines after `<<EOF`.
    #[error("inside a here-document")]
    HereDocument,
    /// As the word after `<<`.
    #[error("as the end mark of a here-document")]
    HereDocumentMark,
    /// After `#`: a value with a line break would leave the comment.
    #[error("inside a comment")]
    Comment,
    /// After a backslash, which would escape the quote.
    #[error("after a backslash")]
    Escaped,
    /// After a dollar sign: `$'…'` is another kind of quote.
    #[error("after a dollar sign")]
    Dollar,
    /// After something that shells read differently.
    #[error("after shell syntax that cannot be followed safely")]
    Unsure,
    /// Between block tags that open or close quotes.
    #[error("after `{{% … %}}` tags that open or close quotes")]
    Uneven,
}
