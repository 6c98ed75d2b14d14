//! How a host's part of a run ended. Operators react differently to each, so each is its own.

use serde::{Deserialize, Serialize};

use super::CancelReason;

/// How a host ended. Every planned host gets exactly one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum HostOutcome {
    /// Every step passed or was skipped.
    Ok,
    /// A step failed.
    Failed {
        /// The step's display name.
        step: String,
        /// Its exit code, where it had one (128 + n for signal n).
        exit_code: Option<u8>,
        /// One line saying why.
        cause: String,
    },
    /// A step passed its limit and was ended.
    TimedOut {
        /// The step's display name.
        step: String,
        /// The limit, milliseconds.
        limit_ms: u64,
        /// Whether the end of the remote process group was confirmed.
        ended: bool,
    },
    /// The steps passed, a health check did not.
    Unhealthy {
        /// The check's name.
        check: String,
        /// The last answer, for people.
        #[serde(default)]
        cause: String,
    },
    /// No connection; nothing was sent.
    Unreachable {
        /// Which kind of trouble.
        kind: UnreachableKind,
        /// From the sentence for people to the innermost cause.
        causes: Vec<String>,
        /// What to do about it on this very host, such as `ssh-keygen -R` with its name.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        hints: Vec<String>,
    },
    /// Whether a command finished is not known.
    Unknown {
        /// The step's display name; empty where it was cut off between two.
        step: String,
        /// Why not.
        #[serde(default, skip_serializing_if = "Doubt::is_lost")]
        doubt: Doubt,
    },
    /// The run was cancelled while this host was at work.
    Cancelled {
        /// Why.
        reason: CancelReason,
        /// The step that was ended, where one ran.
        step: Option<String>,
        /// Whether the end of the remote process group was confirmed.
        ended: bool,
    },
    /// The host was never started.
    NotRun {
        /// One line saying why.
        reason: String,
    },
    /// The instance no longer exists.
    Gone,
}

impl HostOutcome {
    /// The outcome's word in JSON, summaries and exit statuses.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed { .. } => "failed",
            Self::TimedOut { .. } => "timed_out",
            Self::Unhealthy { .. } => "unhealthy",
            Self::Unreachable { .. } => "unreachable",
            Self::Unknown { .. } => "unknown",
            Self::Cancelled { .. } => "cancelled",
            Self::NotRun { .. } => "not_run",
            Self::Gone => "gone",
        }
    }

    /// The words of every outcome, in the order in which summaries list them.
    pub const WORDS: [&'static str; 9] = [
        "ok",
        "failed",
        "timed_out",
        "unhealthy",
        "unreachable",
        "unknown",
        "cancelled",
        "not_run",
        "gone",
    ];

    /// Whether the outcome counts against `max_failures`.
    pub fn counts_as_failure(&self) -> bool {
        matches!(
            self,
            Self::Failed { .. }
                | Self::TimedOut { .. }
                | Self::Unhealthy { .. }
                | Self::Unreachable { .. }
                | Self::Unknown { .. }
        )
    }
}

/// Why it is not known whether a command finished.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Doubt {
    /// The connection died under it.
    #[default]
    Lost,
    /// An earlier process of the run was cut off under it, and it was left as it is.
    Left,
    /// The same, and the host is not in the inventory any more.
    Gone,
}

impl Doubt {
    /// What is left out where it is written down.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
    fn is_lost(&self) -> bool {
        *self == Self::Lost
    }
}

/// Why no connection came about. Each kind has its own hint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnreachableKind {
    /// Nothing listens on the port.
    Refused,
    /// The address does not answer.
    NoAnswer,
    /// The port is open but no SSH banner or login came in time.
    NoBanner,
    /// The server closed the connection before the login.
    ClosedEarly,
    /// The name does not resolve.
    NameNotFound,
    /// No route, or the network is unreachable.
    NoRoute,
    /// The host key differs from the known one.
    HostKeyChanged,
    /// The host key is not known and the policy is strict.
    HostKeyUnknown,
    /// The server refused every credential offered.
    Denied,
    /// ssh's configuration or a file it needs is wrong.
    Configuration,
    /// The login took longer than its limit.
    LoginTimeout,
    /// The bastion could not be reached; it is the cause for every host behind it.
    Bastion,
    /// The connection was lost after the login, before anything was sent.
    Lost,
    /// ssh could not be started here, or the control socket could not be made.
    Local,
    /// ssh's text fits none of the above; the causes carry it.
    Unclassified,
}
