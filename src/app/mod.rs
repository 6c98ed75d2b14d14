//! The composition root: settings, one file a subcommand. Alone in naming concrete adapters.

mod adhoc;
mod config;
mod doctor;
mod entry;
mod environment;
mod failure;
mod fleet;
mod gates;
mod git;
mod history;
mod hosts;
mod kept_plan;
mod library;
mod lock;
mod one_host;
mod open_files;
mod outside;
mod overrides;
mod params;
mod password;
mod prompt;
mod rerun;
mod run;
mod settings;
mod tasks;

pub use entry::main;
