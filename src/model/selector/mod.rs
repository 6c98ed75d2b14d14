//! Which hosts: terms such as `role=app` as they are typed, and what they match.

mod attribute;
mod pattern;
mod selection;
mod spelling;
mod term;

pub use attribute::Attribute;
pub use pattern::{Pattern, PatternError};
pub use selection::{Culprit, NoMatch, Selection, SelectionError};
pub use spelling::{SpellingError, TagKeys};
pub use term::{Comparison, Key, Matcher, Operator, Term, TermError};

pub(crate) use term::split;
