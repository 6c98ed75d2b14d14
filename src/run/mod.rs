//! Running a plan: one future decides, one acts, and every fact is an event.
//!
//! [`execute`] is the entry, [`preview`](preview()) that of a look without a run. The deciding half is `state` (pure) with `dispatcher` around it; the acting half
//! is `executor` (errands), `look` and `watch` (questions), `crew` and `unit` (hosts at work) and `step` (one
//! file an action). Between them goes one bounded
//! channel of private messages; what leaves through the [`sink::Sink`] are public [`event`]s.

pub mod cancel;
mod course;
mod crew;
mod detached;
mod digest;
mod dispatcher;
mod engine;
mod errand;
pub mod event;
mod executor;
mod exit;
mod host_log;
pub mod journal;
mod known;
mod left;
mod lines;
mod locking;
mod look;
mod mask;
mod meetings;
mod message;
mod notify;
mod options;
mod places;
mod pool;
mod preview;
pub mod progress;
pub mod prompt;
pub mod record;
mod relay;
mod roster;
mod shared;
pub mod sink;
mod state;
mod step;
mod stop;
mod summary;
mod tail;
mod teller;
mod unit;
mod values;
mod watch;
mod work;

#[cfg(test)]
mod tests;

pub use engine::execute;
pub use left::left;
pub use lines::LINE_LIMIT;
pub use options::{LockOptions, Parts, RunOptions};
pub use preview::{HostPreview, Preview, preview};
