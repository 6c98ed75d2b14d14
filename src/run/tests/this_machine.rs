//! A transport whose hosts are all this machine: real files, a real `sh` under the real supervisor.

use std::io::{self, Read as _, Seek as _};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::AsyncWriteExt as _;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::model::Host;
use crate::transport::{
    Attempts, ConnectError, ExecReport, Fetch, Local, Output, RemoteCommand, Session,
    TransferError, Transport, Upload,
};

/// Reaches this machine. The first transfers lose their connection after so many bytes.
#[derive(Debug, Clone, Default)]
pub(super) struct ThisMachine {
    pub(super) lost_after: Option<u64>,
    pub(super) losses: Arc<AtomicU64>,
    pub(super) fetched: Arc<AtomicU64>,
    /// Uploads that arrive cut short without a word.
    pub(super) cut_short: bool,
    /// sshd's `AllowTcpForwarding no`.
    pub(super) forwards_nothing: bool,
    pub(super) forwards: Arc<Mutex<JoinSet<()>>>,
}

impl ThisMachine {
    fn loses(&self) -> Option<u64> {
        let left = self.losses.load(Ordering::SeqCst);
        if left == 0 {
            return None;
        }
        self.losses.store(left - 1, Ordering::SeqCst);
        self.lost_after
    }
}

impl Transport for ThisMachine {
    type Session = Self;

    async fn connect(
        &self,
        _: &Host,
        _: Attempts<'_>,
        _: &CancellationToken,
    ) -> Result<Self, ConnectError> {
        Ok(self.clone())
    }

    async fn shutdown(&self) {}
}

impl Session for ThisMachine {
    async fn exec<O: Output>(
        &self,
        command: &RemoteCommand,
        output: &mut O,
        stop: &CancellationToken,
    ) -> ExecReport {
        Local.exec(command, output, stop).await
    }

    async fn upload(
        &self,
        upload: &Upload,
        _progress: &(dyn Fn(u64) + Sync),
        _stop: &CancellationToken,
    ) -> Result<(), TransferError> {
        let mut bytes = std::fs::read(&upload.local).map_err(TransferError::Local)?;
        let lost = self.loses();
        if let Some(at) = lost.or(self.cut_short.then_some(1)) {
            bytes.truncate(usize::try_from(at).unwrap());
        }
        std::fs::write(&upload.remote, bytes).map_err(TransferError::Local)?;
        std::fs::set_permissions(&upload.remote, std::fs::Permissions::from_mode(0o600))
            .map_err(TransferError::Local)?;
        lost.map_or(Ok(()), |_| Err(TransferError::Lost))
    }

    async fn download(
        &self,
        fetch: &Fetch,
        into: &mut tokio::fs::File,
        _progress: &(dyn Fn(u64) + Sync),
        _stop: &CancellationToken,
    ) -> Result<u64, TransferError> {
        let mut file = std::fs::File::open(&fetch.remote).map_err(TransferError::Local)?;
        file.seek(io::SeekFrom::Start(fetch.offset))
            .map_err(TransferError::Local)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(TransferError::Local)?;
        let lost = self.loses();
        if let Some(at) = lost {
            bytes.truncate(usize::try_from(at).unwrap());
        }
        into.write_all(&bytes).await.map_err(TransferError::Local)?;
        into.flush().await.map_err(TransferError::Local)?;
        self.fetched.fetch_add(bytes.len() as u64, Ordering::SeqCst);
        lost.map_or(Ok(bytes.len() as u64), |_| Err(TransferError::Lost))
    }

    async fn dial(&self, host: &str, port: u16) -> io::Result<tokio::net::UnixStream> {
        if self.forwards_nothing {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        let (near, mut far) = tokio::net::UnixStream::pair()?;
        let at = (host.to_owned(), port);
        let mut forwards = self.forwards.lock().unwrap();
        forwards.spawn(async move {
            // As ssh does it: the connection is taken first, and just ends where nobody listens.
            if let Ok(mut stream) = tokio::net::TcpStream::connect(at).await {
                let _ended = tokio::io::copy_bidirectional(&mut far, &mut stream).await;
            }
        });
        Ok(near)
    }

    async fn alive(&self) -> bool {
        true
    }

    async fn close(self) {}
}
