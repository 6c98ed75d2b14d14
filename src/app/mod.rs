//! The composition root: settings, one file a subcommand. Alone in naming concrete adapters.

mod abort;
mod adhoc;
mod again;
mod audit;
mod config;
mod detached;
mod doctor;
mod earlier;
mod entry;
mod environment;
mod failure;
mod fleet;
mod gates;
mod git;
mod history;
mod hosts;
mod invocation;
mod journal;
mod kept_plan;
mod library;
mod lock;
mod one_host;
mod open_files;
mod outside;
mod overrides;
mod params;
mod password;
mod prepared;
mod preview;
mod prompt;
mod run;
mod settings;
mod stored;
mod tasks;
mod undo;

pub use entry::main;
