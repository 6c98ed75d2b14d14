//! How a host is reached: connect, exec, upload, download, close. Knows no event, task or print flag.
//!
//! [`Transport`] and [`Session`] are the two traits; `ssh` is the real one, `scripted` the fake for the
//! engine's state space, `local` runs `local:` steps on the controller under the same supervisor.

mod bastion;
mod command;
mod controller;
mod detached;
mod doctor;
mod error;
mod guard;
mod local;
mod marker;
mod master;
mod preamble;
pub mod scripted;
mod session;
mod ssh;
mod ssh_args;
mod ssh_config;
mod ssh_error;
mod ssh_words;
mod sudo;
mod supervise;
#[cfg(test)]
mod tests;
mod transfer;
mod tries;
mod trouble;
mod workplace;

use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::model::{Host, Stream};

pub use command::{ExecReport, Exit, Fetch, Program, RemoteCommand, Sudo, Trace, Upload};
pub use controller::Controller;
pub use detached::{Detach, DetachedFolder, DetachedState, Ending as DetachedEnding, NEVER_BEGUN};
pub use doctor::{LoginTrial, OfferedKey};
pub use error::{ConnectError, TransferError};
pub use local::Local;
pub use session::SshSession;
pub use ssh::SshTransport;
pub use ssh_config::Resolved;
pub use tries::Attempts;

/// Opens sessions to hosts. One value serves a whole run and owns what its sessions share: bastion
/// masters, the guard that ends every master when fab-rs dies, the folder of control sockets.
pub trait Transport: Send + Sync + 'static {
    /// A connected host.
    type Session: Session;

    /// Connects to `host` and logs in; with so many attempts at most, with backoff, each only where nothing
    /// was sent yet. A server that took the connection and hung is tried twice at most. Cancelling ends the
    /// attempt at once.
    ///
    /// # Errors
    /// Why no connection came about; a cancelled attempt is [`ConnectError::Cancelled`].
    fn connect(
        &self,
        host: &Host,
        attempts: Attempts<'_>,
        cancel: &CancellationToken,
    ) -> impl Future<Output = Result<Self::Session, ConnectError>> + Send;

    /// Ends every master and the guard, and removes the control sockets. Called once, at the end.
    fn shutdown(&self) -> impl Future<Output = ()> + Send;
}

/// Takes a command's output as it arrives. Awaiting is the backpressure: the remote command blocks
/// once the pipes between are full.
pub trait Output: Send {
    /// Some bytes of one stream, as they came: neither whole lines nor valid UTF-8.
    fn chunk(&mut self, stream: Stream, bytes: &[u8]) -> impl Future<Output = ()> + Send;
}

/// One logged-in host. Commands may run side by side.
pub trait Session: Send + Sync + 'static {
    /// Runs a command under the supervisor and hands its output on until it ends.
    ///
    /// When `stop` is cancelled, the remote process group gets TERM, then KILL after the command's grace;
    /// the report says whether its end was confirmed. The connection's death is [`Exit::Lost`], not an
    /// error: the command had been sent.
    fn exec<O: Output>(
        &self,
        command: &RemoteCommand,
        output: &mut O,
        stop: &CancellationToken,
    ) -> impl Future<Output = ExecReport> + Send;

    /// Sends a local file's bytes into a remote temporary file (mode 0600) and returns once the remote side
    /// has closed it. What arrived is to be verified by a second command, never by this one's success.
    /// `progress` is called with the bytes handed over so far.
    ///
    /// # Errors
    /// The connection died, the remote write failed, no byte moved for the stall limit, or it was cancelled.
    fn upload(
        &self,
        upload: &Upload,
        progress: &(dyn Fn(u64) + Sync),
        stop: &CancellationToken,
    ) -> impl Future<Output = Result<(), TransferError>> + Send;

    /// Appends a remote file's bytes, from the fetch's offset on, to `into`, which the caller opened and positioned.
    /// Returns the bytes written. `progress` is called with the bytes written so far.
    ///
    /// # Errors
    /// As `upload`; also where the remote file cannot be read, or the local disk is full.
    fn download(
        &self,
        fetch: &Fetch,
        into: &mut tokio::fs::File,
        progress: &(dyn Fn(u64) + Sync),
        stop: &CancellationToken,
    ) -> impl Future<Output = Result<u64, TransferError>> + Send;

    /// Opens a TCP connection from the host's side, through the host's connection and without a process on
    /// the host: what `http` and `tcp` checks speak through. A peer that does not listen shows as the
    /// stream's end before its first byte, since ssh takes the connection before it knows.
    ///
    /// # Errors
    /// The connection to the host is lost, or forwarding is forbidden; `Unsupported` where the session has
    /// no such way.
    fn dial(
        &self,
        host: &str,
        port: u16,
    ) -> impl Future<Output = io::Result<tokio::net::UnixStream>> + Send {
        let _ = (host, port);
        async { Err(io::ErrorKind::Unsupported.into()) }
    }

    /// Whether the connection still lives: asked after [`Exit::Lost`] and between steps.
    fn alive(&self) -> impl Future<Output = bool> + Send;

    /// Ends the session; its master ends with it.
    fn close(self) -> impl Future<Output = ()> + Send;
}

/// What a transport needs to know beyond the host: the same for every host of a run.
#[derive(Debug, Clone)]
pub struct TransportSettings {
    /// TCP connect limit.
    pub connect: Duration,
    /// Login limit, from the start of the connection.
    pub login: Duration,
    /// No byte for this long ends a transfer.
    pub transfer_stall: Duration,
    /// `STATE/known_hosts`, where `accept-new` keys of EC2 hosts are kept under the host's id.
    pub known_hosts: PathBuf,
    /// A short folder (at most 61 bytes) in which control sockets are made, mode 0700.
    pub socket_dir: PathBuf,
    /// The password for sudo, asked for once before connecting (`--ask-sudo`).
    pub sudo_password: Option<crate::model::Secret>,
}
