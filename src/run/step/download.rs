//! `download`: a file from the host. Its size and digest are asked first; bytes are appended to a `.part`
//! file, so that a broken transfer is gone on with; what arrived whole and right is renamed, and never over
//! a file that is there.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncSeekExt as _;
use tokio::time::Instant;

use crate::run::digest::Digest;
use crate::run::message::UnitMessage;
use crate::run::record::Record as _;
use crate::run::shared::World;
use crate::run::work::Work;
use crate::task::{Download, Step};
use crate::transport::{Fetch, Session as _, Sudo, TransferError};

use super::attempt::Running;
use super::command::of_connection;
use super::end::{Done, End};
use super::part_file::{looked_at, open_part, part_of, remove_if_there};
use super::remote_file::{RemoteFile, shown};
use super::transfer::{Progress, local_fault, within};

/// How often in a row a transfer that brought nothing new is tried again after its connection died.
const FRUITLESS: u32 = 2;

/// A file that is fetched.
#[derive(Debug)]
struct Wanted {
    remote: String,
    sudo: Sudo,
    size: u64,
    sha256: Arc<str>,
    /// Where it will be.
    path: PathBuf,
    /// Where it grows.
    part: PathBuf,
    limit: Option<(Instant, Duration)>,
}

impl<W: World> Work<W> {
    /// The whole step. Its register's `stdout` is the local path.
    pub(crate) async fn download(
        &mut self,
        step: &Step,
        running: &Running,
        download: &Download,
    ) -> Done {
        match self.downloaded(step, running, download).await {
            Ok((changed, path)) => {
                let stdout = path.map(|path| path.to_string_lossy().into_owned());
                Done {
                    end: End::changed(changed),
                    stdout: stdout.unwrap_or_default().into_bytes(),
                    stderr: Vec::new(),
                }
            }
            Err(end) => end.into(),
        }
    }

    async fn downloaded(
        &mut self,
        step: &Step,
        running: &Running,
        download: &Download,
    ) -> Result<(bool, Option<PathBuf>), End> {
        let limit = Running::due(running.own_limit);
        let Some(wanted) = self.asked_for(step, download, limit).await? else {
            return Ok((false, None));
        };
        let changed = if wanted.path.exists() {
            self.already_here(&wanted).await?;
            false
        } else {
            self.fetch_whole(running, &wanted).await?;
            let check = download.verify;
            looked_at(check, &wanted.part).await.map_err(|cause| {
                End::failed(format!(
                    "{cause}; it was kept as `{}`",
                    wanted.part.display()
                ))
            })?;
            put_in_place(&wanted)?;
            true
        };
        if let Some(host) = self.teller.host() {
            self.teller
                .tell(UnitMessage::FileFetched {
                    host,
                    path: wanted.path.clone(),
                    bytes: wanted.size,
                    sha256: wanted.sha256.to_string(),
                })
                .await;
        }
        Ok((changed, Some(wanted.path)))
    }

    /// What is to be fetched, or `None` where nothing is there and that is fine.
    async fn asked_for(
        &mut self,
        step: &Step,
        download: &Download,
        limit: Option<(Instant, Duration)>,
    ) -> Result<Option<Wanted>, End> {
        let remote = self
            .values
            .text(&download.src)
            .map_err(End::failed)?
            .to_string();
        let given = self
            .values
            .maybe(download.sha256.as_ref())
            .map_err(End::failed)?;
        let given = given.filter(|given| !given.is_empty());
        let sudo = self.sudo(step).map_err(End::failed)?;
        // A digest that is given need not be computed there: that reads all of a file of many GiB.
        let facts = match self.look_at(&remote, given.is_none(), &sudo, limit).await? {
            RemoteFile::File(facts) => facts,
            RemoteFile::Absent if download.missing_ok => return Ok(None),
            RemoteFile::Absent => {
                return Err(End::failed(format!(
                    "there is no file `{remote}` on the host"
                )));
            }
            RemoteFile::Folder => {
                return Err(End::failed(format!(
                    "`{remote}` is a folder; only files are fetched"
                )));
            }
            RemoteFile::Other => return Err(End::failed(format!("`{remote}` is no plain file"))),
        };
        if let Some(most) = download.max_size.filter(|most| facts.size > *most) {
            let (size, most) = (shown(facts.size), shown(most));
            return Err(End::failed(format!(
                "`{remote}` has {size}, the most is {most}; nothing was transferred"
            )));
        }
        let sha256 = given
            .map(|given| given.to_lowercase().into())
            .or_else(|| facts.sha256.clone().map(Into::into))
            .ok_or_else(|| End::failed(format!("the host computes no SHA-256 of `{remote}`")))?;
        let path = self
            .local_name(download, &remote)
            .map_err(|error| error.end())?;
        Ok(Some(Wanted {
            remote,
            sudo,
            size: facts.size,
            sha256,
            part: part_of(&path, self.host().map(|host| &host.label)),
            path,
            limit,
        }))
    }

    /// Where the file goes: the given path, a given folder with its own name, or the run's folder for the host.
    fn local_name(&self, download: &Download, remote: &str) -> Result<PathBuf, Unnamed> {
        let name = remote
            .rsplit('/')
            .find(|part| !part.is_empty() && *part != "..");
        let name = name.ok_or_else(|| Unnamed::Cause(format!("`{remote}` names no file")))?;
        let given = self
            .values
            .maybe(download.dest.as_ref())
            .map_err(Unnamed::Cause)?;
        let path = match given.filter(|given| !given.is_empty()) {
            Some(given) => {
                let path = self.shared.options.cwd.join(&*given);
                if given.ends_with('/') || path.is_dir() {
                    path.join(name)
                } else {
                    path
                }
            }
            None => self.files_folder()?.join(name),
        };
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)
                .map_err(|error| Unnamed::Local(folder.into(), error))?;
        }
        Ok(path)
    }

    /// The run's folder for files of this host.
    fn files_folder(&self) -> Result<PathBuf, Unnamed> {
        let host = self.host();
        let host = host.ok_or_else(|| Unnamed::Cause("a download needs a host".to_owned()))?;
        let folder = self.shared.record.files_of(host);
        folder.map_err(|error| Unnamed::Local("the run's files".into(), error))
    }

    /// A file of that name is here: fine if it is the one, else an error. It is never written to.
    async fn already_here(&self, wanted: &Wanted) -> Result<(), End> {
        let digest = Digest::of_file(&wanted.path).await;
        let digest = digest.map_err(|error| local_fault(&wanted.path, &error))?;
        if digest.size == wanted.size && digest.sha256 == wanted.sha256 {
            return Ok(());
        }
        Err(End::failed(format!(
            "`{}` is there already with another content, and is not overwritten",
            wanted.path.display()
        )))
    }

    /// Fetches until all bytes are here and right. A `.part` of an earlier try is gone on with; if the whole
    /// then proves wrong, it was of another file, and is fetched once more from the start.
    async fn fetch_whole(&mut self, running: &Running, wanted: &Wanted) -> Result<(), End> {
        let fault = |error: &io::Error| self_fault(wanted, error);
        for from_start in [false, true] {
            let held = std::fs::metadata(&wanted.part).map_or(0, |part| part.len());
            let resumed = !from_start && held > 0 && held <= wanted.size;
            if !resumed {
                remove_if_there(&wanted.part).map_err(|error| fault(&error))?;
            }
            self.fetch_rest(running, wanted).await?;
            let digest = Digest::of_file(&wanted.part)
                .await
                .map_err(|error| fault(&error))?;
            if digest.size == wanted.size && digest.sha256 == wanted.sha256 {
                return Ok(());
            }
            if !resumed {
                break;
            }
            self.teller
                .note(
                    "the part of an earlier transfer was of another file: fetching all of it again",
                )
                .await;
        }
        remove_if_there(&wanted.part).map_err(|error| fault(&error))?;
        Err(End::failed(format!(
            "what arrived of `{}` is not what the host has; the remote file was kept",
            wanted.remote
        )))
    }

    /// Appends what is missing, over as many connections as it takes while each brings something.
    async fn fetch_rest(&mut self, running: &Running, wanted: &Wanted) -> Result<(), End> {
        let mut fruitless = 0;
        loop {
            let mut part = open_part(&wanted.part)
                .await
                .map_err(|error| self_fault(wanted, &error))?;
            let held = part.metadata().await.map_or(0, |part| part.len());
            room_for(wanted, held)?;
            self.alive().await.map_err(of_connection)?;
            let error = match self.fetch(running, wanted, &mut part, held).await {
                Ok(()) => {
                    let synced = part.sync_all().await;
                    return synced.map_err(|error| self_fault(wanted, &error));
                }
                Err(error) => error,
            };
            let now = part.metadata().await.map_or(held, |part| part.len());
            fruitless = if now > held { 0 } else { fruitless + 1 };
            if matches!(error, TransferError::Lost) && fruitless < FRUITLESS && !self.is_killed() {
                self.disconnect().await;
                continue;
            }
            return Err(match error {
                TransferError::Local(error) => self_fault(wanted, &error),
                error => self.of_transfer(&error, &wanted.part, wanted.limit),
            });
        }
    }

    async fn fetch(
        &mut self,
        running: &Running,
        wanted: &Wanted,
        part: &mut tokio::fs::File,
        held: u64,
    ) -> Result<(), TransferError> {
        let Some(session) = &self.session else {
            return Err(TransferError::Lost);
        };
        if held == wanted.size {
            return Ok(());
        }
        part.seek(io::SeekFrom::End(0))
            .await
            .map_err(TransferError::Local)?;
        self.touched = true;
        let fetch = Fetch {
            remote: wanted.remote.as_str().into(),
            sudo: wanted.sudo.clone(),
            offset: held,
        };
        let stop = self.kill.child_token();
        let told = Progress::new(self, running, wanted.size);
        let progress = |done: u64| told.moved(held + done);
        let transfer = session.download(&fetch, part, &progress, &stop);
        within(wanted.limit, &stop, transfer).await.map(|_bytes| ())
    }
}

/// Why there is no local name.
enum Unnamed {
    Cause(String),
    Local(PathBuf, io::Error),
}

impl Unnamed {
    fn end(&self) -> End {
        match self {
            Self::Cause(cause) => End::failed(cause.as_str()),
            Self::Local(path, error) => local_fault(path, error),
        }
    }
}

/// A local write that failed; the remote file stays for another try.
fn self_fault(wanted: &Wanted, error: &io::Error) -> End {
    let part = wanted.part.display();
    if error.kind() == io::ErrorKind::StorageFull {
        return End::failed(format!(
            "the disk of this machine is full: `{part}` needs {}; the remote file was kept",
            shown(wanted.size)
        ));
    }
    End::failed(format!(
        "`{part}` on this machine: {error}; the remote file was kept"
    ))
}

/// Refuses a transfer for which this machine has no room. Where the room is not known, the write will tell.
fn room_for(wanted: &Wanted, held: u64) -> Result<(), End> {
    let missing = wanted.size.saturating_sub(held);
    let Some(Ok(stat)) = wanted.part.parent().map(rustix::fs::statvfs) else {
        return Ok(());
    };
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    if free >= missing {
        return Ok(());
    }
    Err(End::failed(format!(
        "the disk of this machine has no room: {} are missing and {} are free at `{}`; the remote file was kept",
        shown(missing),
        shown(free),
        wanted.part.display()
    )))
}

/// The final rename, which never replaces a file.
fn put_in_place(wanted: &Wanted) -> Result<(), End> {
    let part = tempfile::TempPath::try_from_path(&wanted.part)
        .map_err(|error| self_fault(wanted, &error))?;
    part.persist_noclobber(&wanted.path).map_err(|kept| {
        let error = self_fault(wanted, &kept.error);
        // The bytes are whole and right: they stay under the other name.
        let _named = kept.path.keep();
        error
    })
}
