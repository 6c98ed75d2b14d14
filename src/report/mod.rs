//! Everything that fab-rs prints, and the record that a run leaves on disk. The only module that writes to
//! stdout and stderr.

mod console;
mod failure;
mod fold;
mod grammar;
mod host_failure;
mod sanitize;
mod style;
mod terminal;

pub use console::Console;
pub use failure::{diagnostic_of, render, render_all, render_warning};
pub use fold::{Folded, fold, fold_parts, fold_within, natural};
pub use sanitize::{RemoteColours, push_safe_line, safe};
pub use style::{ColourChoice, Styles};
pub use terminal::{StreamKind, Streams};
