//! Why a host could not be reached or a file not moved.

use std::io;

use crate::model::UnreachableKind;

/// No session came about. Nothing was sent to the host.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ConnectError {
    /// Trouble on the way to the host.
    #[error("{}", causes.first().map_or("no connection", String::as_str))]
    Unreachable {
        /// Which kind.
        kind: UnreachableKind,
        /// From the sentence for people to ssh's own last words.
        causes: Vec<String>,
        /// What to do about it.
        hints: Vec<String>,
        /// How many connections were tried.
        attempts: u32,
    },
    /// The run was cancelled first.
    #[error("cancelled while connecting")]
    Cancelled,
}

/// A transfer ended early. What arrived so far stays for a later one to go on from.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// The connection died.
    #[error("the connection was lost")]
    Lost,
    /// No byte moved for the stall limit.
    #[error("no byte moved for {} s", .0.as_secs())]
    Stalled(std::time::Duration),
    /// The remote command failed, with its last words.
    #[error("the host said: {message}")]
    Remote {
        /// Its exit code.
        exit_code: u8,
        /// The end of its stderr.
        message: String,
    },
    /// The local file could not be read or written.
    #[error("local file: {0}")]
    Local(#[source] io::Error),
    /// The run was cancelled.
    #[error("cancelled")]
    Cancelled,
}
