//! The composition root: settings, one file a subcommand. Alone in naming concrete adapters.

mod config;
mod entry;
mod environment;
mod failure;
mod fleet;
mod hosts;
mod prompt;
mod settings;

pub use entry::main;
