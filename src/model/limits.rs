//! The time limits of a run. `None` means no limit; there is no magic zero.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Time limits, each on its own: a limit that is passed ends what it names and nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// TCP connection to a host, `-t`.
    pub connect: Duration,
    /// From the start of a connection until the login is done.
    pub login: Duration,
    /// One command, `-T`.
    pub command: Option<Duration>,
    /// How long a command may print nothing, `--silence`.
    pub silence: Option<Duration>,
    /// How long a transfer may move no byte.
    pub transfer_stall: Duration,
    /// The whole run, `--run-limit`.
    pub run: Option<Duration>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            login: Duration::from_secs(30),
            command: Some(Duration::from_hours(1)),
            silence: None,
            transfer_stall: Duration::from_mins(1),
            run: None,
        }
    }
}
