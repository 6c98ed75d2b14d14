//! Everything that fab-rs prints, and the record that a run leaves on disk. The only module that writes to
//! stdout and stderr.

mod checked;
mod closing;
mod cluster;
mod console;
mod diff;
mod failure;
mod fold;
mod form;
mod gate;
mod gather;
mod grammar;
mod held;
mod history;
mod host_failure;
mod hosts;
mod json;
mod lines;
mod locks;
mod logs;
mod next;
mod notice;
mod plan;
mod plan_rollout;
mod preview;
mod printer;
mod processes;
mod progress;
mod record;
mod replay;
mod rollout_notice;
mod rollout_rows;
#[cfg(test)]
mod rollout_samples;
#[cfg(test)]
mod rollout_story;
mod rollout_summary;
#[cfg(test)]
mod rollout_tests;
mod rollout_view;
mod rollout_words;
#[cfg(test)]
mod samples;
mod sanitize;
mod schema;
mod screen;
mod sheet;
mod spool;
mod status_block;
mod steps;
mod still_running;
mod store;
mod style;
mod summary;
mod table;
mod task_rollout;
mod tasks;
mod terminal;
mod told;
mod view;

pub use checked::{CheckedPath, checked_json};
pub use console::Console;
pub use diff::plan_diff;
pub use failure::{diagnostic_of, render, render_all, render_warning};
pub use fold::{Folded, fold, fold_parts, fold_within, natural};
pub use held::HeldFolder;
pub use history::{report_json, report_text, runs_json, runs_table};
pub use hosts::{FoldedHosts, folded_table, hosts_table};
pub use json::{kind_word, push_event};
pub use locks::locks_text;
pub use logs::{LogLook, print_logs};
pub use notice::Verbosity;
pub use plan::{plan_line, plan_text};
pub use preview::PreviewSink;
pub use processes::process_patterns;
pub use record::{RecordSink, RunFolder};
pub use sanitize::{RemoteColours, push_safe_line, safe};
pub use schema::{EVENT_SCHEMA, event_schema};
pub use screen::{Asking, Outlets, OutputForm, Screen, ScreenHandle, ScreenOptions, ScreenSink};
pub use store::{RunState, RunStore, StoredRun};
pub use style::{ColourChoice, Styles};
pub use summary::Closing;
pub use tasks::{task_json, task_text, tasks_json, tasks_table};
pub use terminal::{StreamKind, Streams};
pub use told::{ToldHost, ToldStory};
