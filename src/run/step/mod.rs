//! Walking a host's steps: `walk` and `once` the order, `attempt` one step with its modifiers, and one file an action.

mod attempt;
mod bounded;
mod check;
mod command;
mod copy;
mod detached;
mod detached_ends;
mod detached_place;
mod download;
mod elsewhere;
mod end;
mod http;
mod knock;
mod once;
mod output;
mod own_command;
mod part_file;
mod past;
mod probe;
mod reboot;
mod remains;
mod remote_file;
mod said;
mod syslog;
mod transfer;
mod wait_for;
mod walk;

pub(crate) use check::{ONE_ANSWER, Sick, Unchecked};
pub(crate) use end::{End, Fault};
