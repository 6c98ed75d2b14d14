//! Why a run stops early, in rising order.

use serde::{Deserialize, Serialize};

/// Why a run stops early. Ordered: a reason is only ever raised, never lowered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CancelReason {
    /// More hosts failed than the task tolerates.
    HostFailed,
    /// The run's limit passed.
    Deadline,
    /// Whoever read the output of a `read` run has gone.
    ClosedPipe,
    /// SIGHUP: the terminal went away.
    Hangup,
    /// SIGTERM.
    Terminate,
    /// SIGINT: Ctrl-C.
    Interrupt,
}
