//! The audit log of this machine: who ran what, from where, on which hosts, and how it ended; a line at the start and
//! one at the end of each run. Where the facts come from is `app`'s job; what was done on a host is in the run's
//! record, not here.

mod file;
mod line;
mod redact;

pub use file::{AuditFile, FILE};
pub use line::{Action, Ended, Line, Started, Who};
pub use redact::{command, param};
