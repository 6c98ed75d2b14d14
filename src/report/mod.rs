//! Everything that fab-rs prints, and the record that a run leaves on disk. The only module that writes to
//! stdout and stderr.

mod closing;
mod cluster;
mod console;
mod diff;
mod failure;
mod fold;
mod form;
mod gather;
mod grammar;
mod host_failure;
mod json;
mod lines;
mod notice;
mod printer;
mod progress;
mod record;
#[cfg(test)]
mod samples;
mod sanitize;
mod schema;
mod screen;
mod sheet;
mod spool;
mod status_block;
mod style;
mod summary;
mod terminal;
mod view;

pub use console::Console;
pub use failure::{diagnostic_of, render, render_all, render_warning};
pub use fold::{Folded, fold, fold_parts, fold_within, natural};
pub use json::{kind_word, push_event};
pub use notice::Verbosity;
pub use record::{RecordSink, RunFolder};
pub use sanitize::{RemoteColours, push_safe_line, safe};
pub use schema::{EVENT_SCHEMA, event_schema};
pub use screen::{Asking, Outlets, OutputForm, Screen, ScreenHandle, ScreenOptions, ScreenSink};
pub use style::{ColourChoice, Styles};
pub use summary::Closing;
pub use terminal::{StreamKind, Streams};
