//! From a task file's tree to a checked [`Task`](super::Task): one file a noun of the format.
//!
//! Every error of a file is collected. What the format has and the engine does not yet is decoded and
//! checked like the rest, then noted in `Task::unsupported`. Values are not rendered here.

mod action_command;
mod action_file;
mod action_flow;
mod action_later;
mod action_wait;
mod modifier;
mod modifier_value;
mod names;
mod param_decl;
mod phase;
mod reader;
mod rollout;
mod scope;
mod step_decl;
mod step_name;
mod strategy;
mod task_file;
mod text_value;

#[cfg(test)]
mod rollout_tests;
#[cfg(test)]
mod tests;

pub use task_file::{document_name, read, read_document};
