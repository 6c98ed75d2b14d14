//! The machine that fab-rs runs on, as `local` steps see it: commands alone, no connection.

use std::future::Future;

use tokio_util::sync::CancellationToken;

use super::{ExecReport, Local, Output, RemoteCommand};

/// Runs commands on this machine.
pub trait Controller: Send + Sync + 'static {
    /// Runs a command and hands its output on until it ends; as [`super::Session::exec`], but that there is
    /// no connection to lose.
    fn exec<O: Output>(
        &self,
        command: &RemoteCommand,
        output: &mut O,
        stop: &CancellationToken,
    ) -> impl Future<Output = ExecReport> + Send;
}

impl Controller for Local {
    async fn exec<O: Output>(
        &self,
        command: &RemoteCommand,
        output: &mut O,
        stop: &CancellationToken,
    ) -> ExecReport {
        Self::exec(self, command, output, stop).await
    }
}
