//! What sending and fetching have in common: progress, the step's limit, and what an error means.

use std::future::Future;
use std::path::Path;
use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::run::event::StepRef;
use crate::run::message::{HostIndex, UnitMessage, Wire};
use crate::run::shared::World;
use crate::run::work::Work;
use crate::transport::TransferError;

use super::attempt::Running;
use super::end::End;
use super::output::KeptOutput;
use super::remote_file::last_words;

/// Progress is told this often at most.
const PROGRESS: Duration = Duration::from_millis(200);

impl<W: World> Work<W> {
    /// How a transfer's error ends its step.
    pub(crate) fn of_transfer(
        &mut self,
        error: &TransferError,
        local: &Path,
        limit: Option<(Instant, Duration)>,
    ) -> End {
        match error {
            TransferError::Lost => {
                self.lose_session();
                End::Lost
            }
            TransferError::Cancelled => match limit {
                Some((due, limit)) if !self.is_killed() && due <= Instant::now() => {
                    End::TimedOut { limit, ended: true }
                }
                _ => End::Cancelled { ended: true },
            },
            TransferError::Local(error) => local_fault(local, error),
            TransferError::Remote { exit_code, message } => End::Failed {
                exit_code: Some(*exit_code),
                cause: format!("the host said: {}", message.trim()),
            },
            TransferError::Stalled(_) => End::failed(error.to_string()),
        }
    }
}

/// Tells of a transfer's progress, now and then; what does not fit into the channel is not told.
pub(crate) struct Progress {
    wire: Wire,
    host: Option<HostIndex>,
    step: StepRef,
    total: u64,
    last: Mutex<Instant>,
}

impl Progress {
    /// Progress of this step, out of `total` bytes.
    pub(crate) fn new<W: World>(work: &Work<W>, running: &Running, total: u64) -> Self {
        Self {
            wire: work.shared.wire.clone(),
            host: work.teller.host(),
            step: running.step.clone(),
            total,
            last: Mutex::new(Instant::now()),
        }
    }

    /// So many bytes are over.
    pub(crate) fn moved(&self, done: u64) {
        let Some(host) = self.host else { return };
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.elapsed() < PROGRESS && done < self.total {
            return;
        }
        *last = Instant::now();
        let _untold = self.wire.tell_now(UnitMessage::Progressed {
            host,
            step: self.step.clone(),
            done,
            total: Some(self.total),
        });
    }
}

/// A transfer within the step's limit: the limit cancels it, and it says so itself.
pub(crate) async fn within<T>(
    limit: Option<(Instant, Duration)>,
    stop: &CancellationToken,
    transfer: impl Future<Output = Result<T, TransferError>>,
) -> Result<T, TransferError> {
    let mut transfer = pin!(transfer);
    if let Some((due, _)) = limit {
        tokio::select! {
            biased;
            done = &mut transfer => return done,
            () = tokio::time::sleep_until(due) => stop.cancel(),
        }
    }
    transfer.await
}

/// A command of ours that failed, with the host's words.
pub(crate) fn refused(what: &str, code: u8, said: &KeptOutput) -> End {
    End::Failed {
        exit_code: Some(code),
        cause: format!("{what}: {}", last_words(&said.stderr)),
    }
}

/// A file of this machine that cannot be read or written.
pub(crate) fn local_fault(path: &Path, error: &std::io::Error) -> End {
    End::failed(format!("`{}` on this machine: {error}", path.display()))
}
