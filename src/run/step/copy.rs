//! `upload` and `template`: a file onto the host by a temporary name beside its destination; a second
//! command compares size and digest and renames it. What is there already as wanted is left alone.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::{Instant, timeout};

use crate::run::digest::Digest;
use crate::run::record::Record as _;
use crate::run::shared::World;
use crate::run::work::Work;
use crate::task::{Copy, CopyContent, Step};
use crate::transport::{Session as _, Sudo, TransferError, Upload};

use super::attempt::Running;
use super::command::of_connection;
use super::end::End;
use super::output::KeptOutput;
use super::own_command::own_command;
use super::remote_file::{FileFacts, Placing, RemoteFile, adjust, make_folders, place, remove};
use super::transfer::{Progress, local_fault, refused, within};

/// How long clearing away a temporary file may take.
const CLEAR: Duration = Duration::from_secs(5);

/// How often a file is sent whose connection died under it: it only touches a temporary name.
const SENDINGS: u32 = 2;

/// A file on its way.
#[derive(Debug)]
struct Source {
    local: PathBuf,
    dest: String,
    digest: Digest,
    mode: String,
}

/// How all files of one step are put in place.
#[derive(Debug)]
struct Manner {
    sudo: Sudo,
    owner: String,
    backup: bool,
    verify: Option<String>,
    limit: Option<(Instant, Duration)>,
}

impl<W: World> Work<W> {
    /// The whole step.
    pub(crate) async fn copy(&mut self, step: &Step, running: &Running, copy: &Copy) -> End {
        match self.copied(step, running, copy).await {
            Ok(changed) => End::changed(changed),
            Err(end) => end,
        }
    }

    async fn copied(&mut self, step: &Step, running: &Running, copy: &Copy) -> Result<bool, End> {
        let text = |text| self.values.text(text).map_err(End::failed);
        let src = text(&copy.src)?;
        let dest = text(&copy.dest)?.to_string();
        let manner = Manner {
            sudo: self.sudo(step).map_err(End::failed)?,
            owner: copy.owner.as_ref().map_or(Ok("".into()), text)?.to_string(),
            backup: copy.backup,
            verify: copy
                .verify
                .as_ref()
                .map(text)
                .transpose()?
                .map(|line| line.to_string()),
            limit: Running::due(running.own_limit),
        };
        let local = self.local_path(&src);
        if copy.content == CopyContent::Rendered {
            let rendered = copy.text.as_ref().map(text).transpose()?;
            let rendered =
                rendered.ok_or_else(|| End::failed(format!("template `{src}` was not read")))?;
            let file = self
                .kept_text(&rendered)
                .map_err(|error| local_fault(&local, &error))?;
            let mode = mode_of(&local, copy.mode.as_deref()).unwrap_or_else(|_| "0644".to_owned());
            let dest = self.final_name(&dest, &local, &manner).await?;
            let digest = Digest::of_file(file.path()).await;
            let digest = digest.map_err(|error| local_fault(&local, &error))?;
            let local = file.path().to_path_buf();
            let source = Source {
                local,
                dest,
                digest,
                mode,
            };
            return self.put(running, &source, &manner).await;
        }
        if local.is_dir() {
            return self
                .copied_folder(running, copy, (&local, &dest), &manner)
                .await;
        }
        let source = self.source(copy, &local, dest).await?;
        self.digest_as_given(copy, &source)?;
        let dest = self.final_name(&source.dest, &local, &manner).await?;
        self.put(running, &Source { dest, ..source }, &manner).await
    }

    /// A rendered text as a file: the session takes files.
    fn kept_text(&self, text: &str) -> std::io::Result<tempfile::NamedTempFile> {
        let mut file = tempfile::NamedTempFile::new_in(self.shared.record.folder())?;
        std::io::Write::write_all(&mut file, text.as_bytes())?;
        Ok(file)
    }

    async fn source(&self, copy: &Copy, local: &Path, dest: String) -> Result<Source, End> {
        let mode =
            mode_of(local, copy.mode.as_deref()).map_err(|error| local_fault(local, &error))?;
        let digest = self.shared.digests.of(local).await;
        Ok(Source {
            local: local.to_path_buf(),
            dest,
            digest: digest.map_err(|error| local_fault(local, &error))?,
            mode,
        })
    }

    /// Refuses a source that is not what the task says it is.
    fn digest_as_given(&self, copy: &Copy, source: &Source) -> Result<(), End> {
        let given = self
            .values
            .maybe(copy.sha256.as_ref())
            .map_err(End::failed)?;
        match given {
            Some(given)
                if !given.is_empty() && !given.eq_ignore_ascii_case(&source.digest.sha256) =>
            {
                Err(End::failed(format!(
                    "`{}` has the SHA-256 {}, not {given}; nothing was sent",
                    source.local.display(),
                    source.digest.sha256
                )))
            }
            _ => Ok(()),
        }
    }

    /// The file that a destination means: a folder, named as one or found to be one, takes the source's name.
    async fn final_name(
        &mut self,
        dest: &str,
        local: &Path,
        manner: &Manner,
    ) -> Result<String, End> {
        let is_folder = dest.ends_with('/')
            || matches!(self.look(dest, false, manner).await?, RemoteFile::Folder);
        let name = local
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        Ok(match name {
            Some(name) if is_folder => format!("{}/{name}", dest.trim_end_matches('/')),
            _ => dest.to_owned(),
        })
    }

    /// Every file of a folder; folders are made, files beside them are left alone.
    async fn copied_folder(
        &mut self,
        running: &Running,
        copy: &Copy,
        (local, dest): (&Path, &str),
        manner: &Manner,
    ) -> Result<bool, End> {
        let mut tree = Tree::default();
        tree.walk(local, dest.trim_end_matches('/'))
            .map_err(End::failed)?;
        let command = own_command(make_folders(&tree.folders), &manner.sudo);
        let (code, said) = self.asked(&command, manner.limit).await?;
        if code != 0 {
            return Err(refused("cannot make the folders", code, &said));
        }
        let mut changed = false;
        for (file, dest) in tree.files {
            let source = self.source(copy, &file, dest).await?;
            changed |= self.put(running, &source, manner).await?;
        }
        Ok(changed)
    }

    /// Puts one file in place unless it is there; whether anything changed.
    async fn put(
        &mut self,
        running: &Running,
        source: &Source,
        manner: &Manner,
    ) -> Result<bool, End> {
        let dest = &source.dest;
        match self.look(dest, true, manner).await? {
            RemoteFile::File(facts) if facts.sha256.as_deref() == Some(&*source.digest.sha256) => {
                return self.adjusted(source, &facts, manner).await;
            }
            RemoteFile::File(_) | RemoteFile::Absent => {}
            RemoteFile::Folder => return Err(End::failed(format!("`{dest}` is a folder"))),
            RemoteFile::Other => return Err(End::failed(format!("`{dest}` is no plain file"))),
        }
        let temporary = self.temporary(dest);
        self.sent(running, source, &temporary, manner).await?;
        let placing = Placing {
            temporary: &temporary,
            dest,
            size: source.digest.size,
            sha256: &source.digest.sha256,
            mode: &source.mode,
            owner: &manner.owner,
            backup: &self.backup_name(dest, manner),
            verify: &verify_line(manner, &temporary).map_err(End::failed)?,
        };
        let command = own_command(place(&placing), &manner.sudo);
        let (code, said) = self.asked(&command, manner.limit).await?;
        if code == 0 {
            return Ok(true);
        }
        Err(refused(&format!("`{dest}` was not replaced"), code, &said))
    }

    /// The content is there: only mode and owner may be wrong.
    async fn adjusted(
        &mut self,
        source: &Source,
        facts: &FileFacts,
        manner: &Manner,
    ) -> Result<bool, End> {
        let is_its_owners = manner.owner.is_empty() || facts.belongs_to(&manner.owner);
        if facts.has_mode(&source.mode) && is_its_owners {
            return Ok(false);
        }
        let owner = if is_its_owners { "" } else { &manner.owner };
        let program = adjust(&source.dest, &source.mode, owner);
        let command = own_command(program, &manner.sudo);
        let (code, said) = self.asked(&command, manner.limit).await?;
        if code == 0 {
            return Ok(true);
        }
        Err(refused("cannot set its mode or owner", code, &said))
    }

    async fn look(&mut self, path: &str, digest: bool, manner: &Manner) -> Result<RemoteFile, End> {
        self.look_at(path, digest, &manner.sudo, manner.limit).await
    }

    /// Sends the bytes to the temporary name.
    async fn sent(
        &mut self,
        running: &Running,
        source: &Source,
        temporary: &str,
        manner: &Manner,
    ) -> Result<(), End> {
        let upload = Upload {
            local: source.local.clone(),
            remote: temporary.into(),
            sudo: manner.sudo.clone(),
        };
        let mut sendings = 0;
        loop {
            sendings += 1;
            self.alive().await.map_err(of_connection)?;
            let error = match self
                .upload(running, &upload, source.digest.size, manner)
                .await
            {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            if matches!(error, TransferError::Lost) && sendings < SENDINGS && !self.is_killed() {
                self.disconnect().await;
                continue;
            }
            if !matches!(error, TransferError::Lost) {
                self.cleared(temporary, manner).await;
            }
            return Err(self.of_transfer(&error, &source.local, manner.limit));
        }
    }

    async fn upload(
        &mut self,
        running: &Running,
        upload: &Upload,
        total: u64,
        manner: &Manner,
    ) -> Result<(), TransferError> {
        let Some(session) = &self.session else {
            return Err(TransferError::Lost);
        };
        self.touched = true;
        let stop = self.kill.child_token();
        let told = Progress::new(self, running, total);
        let progress = |done: u64| told.moved(done);
        let transfer = session.upload(upload, &progress, &stop);
        within(manner.limit, &stop, transfer).await
    }

    /// Takes a temporary file away, as far as that can be done quickly.
    async fn cleared(&mut self, temporary: &str, manner: &Manner) {
        let command = own_command(remove(temporary), &manner.sudo);
        if let Some(session) = &self.session {
            let never = tokio_util::sync::CancellationToken::new();
            let mut said = KeptOutput::default();
            // What stays is a file of mode 0600 under a name that nobody else uses.
            let _stays = timeout(CLEAR, session.exec(&command, &mut said, &never)).await;
        }
    }

    /// A name beside the destination that no other run, and no other host of this one, uses.
    fn temporary(&self, dest: &str) -> String {
        let folder = dest.rfind('/').map_or("", |at| &dest[..=at]);
        let index = self.site.as_ref().map_or(0, |site| site.index);
        format!("{folder}.fab-{}-{index}", self.shared.options.run)
    }

    fn backup_name(&self, dest: &str, manner: &Manner) -> String {
        if manner.backup {
            format!("{dest}.bak-{}", self.shared.options.run)
        } else {
            String::new()
        }
    }
}

/// The files and folders of a local folder, with their remote names.
#[derive(Debug, Default)]
struct Tree {
    folders: Vec<String>,
    files: Vec<(PathBuf, String)>,
}

impl Tree {
    fn walk(&mut self, local: &Path, remote: &str) -> Result<(), String> {
        let unreadable =
            |error: std::io::Error| format!("cannot read `{}`: {error}", local.display());
        self.folders.push(remote.to_owned());
        let entries = std::fs::read_dir(local).map_err(unreadable)?;
        let mut entries: Vec<_> = entries.collect::<Result<_, _>>().map_err(unreadable)?;
        entries.sort_by_key(std::fs::DirEntry::file_name);
        for entry in entries {
            let path = entry.path();
            let name = entry
                .file_name()
                .into_string()
                .map_err(|_| format!("the name of `{}` is not UTF-8", path.display()))?;
            let kind = entry.file_type().map_err(unreadable)?;
            let remote = format!("{remote}/{name}");
            match (kind.is_dir(), path.is_file()) {
                (true, _) => self.walk(&path, &remote)?,
                (false, true) => self.files.push((path, remote)),
                (false, false) => {
                    return Err(format!("`{}` is neither file nor folder", path.display()));
                }
            }
        }
        Ok(())
    }
}

fn mode_of(local: &Path, given: Option<&str>) -> std::io::Result<String> {
    if let Some(mode) = given {
        return Ok(mode.to_owned());
    }
    let mode = std::fs::metadata(local)?.permissions().mode();
    Ok(format!("{:04o}", mode & 0o777))
}

/// The check's command line with the temporary file in the place of `%s`.
fn verify_line(manner: &Manner, temporary: &str) -> Result<String, String> {
    let Some(verify) = &manner.verify else {
        return Ok(String::new());
    };
    let quoted = shlex::try_quote(temporary).map_err(|error| error.to_string())?;
    Ok(verify.replace("%s", &quoted))
}
