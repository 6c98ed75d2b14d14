//! Bytes of files from and to a host, without a supervisor: `cat` with the file's descriptor as its stdin,
//! and `cat` or `tail` into a local file. Checks no content: the caller compares sizes and checksums.

use std::fs::File;
use std::io::Seek;
use std::path::Path;
use std::time::Duration;

use openssh::{Child, Stdio};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, interval, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::preamble::{Elevation, quoted_lossy};
use super::session::{SshSession, wait};
use super::supervise::ChannelEnd;
use super::{Fetch, Session, TransferError, Upload};

/// Takes a file's bytes. Never through what stands under the temporary name already: a link that somebody put
/// there, or the file of a sending that broke and whose `cat` may still write.
const TAKE: &str = "umask 077 && rm -f -- \"$1\" && set -C && exec cat >\"$1\"";
/// How often a running upload's place is looked at.
const LOOK: Duration = Duration::from_millis(200);
/// Once ssh has taken the whole file, the last of it (up to a few MiB) may need so many stall limits on a
/// slow line before the host has it; a dead line is found by ssh's keepalive long before.
const TAIL_STALLS: u32 = 10;
/// How much of the remote command's stderr is kept.
const WORDS_KEPT: usize = 4096;
/// A download is written to disk in pieces of this size, as each costs a hand-over to another thread.
const PIECE: usize = 1024 * 1024;

/// Sends a file. See [`Session::upload`].
pub(super) async fn upload(
    session: &SshSession,
    upload: &Upload,
    progress: &(dyn Fn(u64) + Sync),
    stop: &CancellationToken,
) -> Result<(), TransferError> {
    let elevation = session.elevation(&upload.sudo).await.map_err(refused)?;
    let file = File::open(&upload.local).map_err(TransferError::Local)?;
    let command = remote_command(elevation, TAKE, &[&upload.remote]);
    let transfer = async {
        match elevation {
            // sudo reads the password from where the file will come.
            Elevation::Password(_) => {
                upload_behind_password(session, &command, file, progress).await
            }
            Elevation::None | Elevation::Quiet(_) => {
                upload_descriptor(session, &command, file, progress).await
            }
        }
    };
    stop.run_until_cancelled(transfer)
        .await
        .unwrap_or(Err(TransferError::Cancelled))
}

/// Hands the file itself to ssh: no byte passes through this process. The descriptors share one offset,
/// which tells how far ssh has read.
async fn upload_descriptor(
    session: &SshSession,
    command: &str,
    file: File,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<(), TransferError> {
    let mut place = file.try_clone().map_err(TransferError::Local)?;
    let size = file.metadata().map_err(TransferError::Local)?.len();
    let mut child = spawn(session, command, Stdio::from(file), Stdio::null()).await?;
    let mut words = Words::of(&mut child);
    let mut end = std::pin::pin!(async { verdict(child, words.read().await).await });
    let mut looks = interval(LOOK);
    let (mut seen, mut moved) = (0, Instant::now());
    loop {
        tokio::select! {
            end = &mut end => {
                progress(place.stream_position().map_err(TransferError::Local)?);
                return end;
            }
            _ = looks.tick() => {
                let now = place.stream_position().map_err(TransferError::Local)?;
                if now != seen {
                    (seen, moved) = (now, Instant::now());
                    progress(now);
                }
                let stall = session.stall_limit();
                let limit = if now >= size { stall * TAIL_STALLS } else { stall };
                if moved.elapsed() > limit {
                    return Err(TransferError::Stalled(limit));
                }
            }
        }
    }
}

/// Writes the password and then the file through a pipe.
async fn upload_behind_password(
    session: &SshSession,
    command: &str,
    file: File,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<(), TransferError> {
    let stall = session.stall_limit();
    let mut file = tokio::fs::File::from_std(file);
    let mut child = spawn(session, command, Stdio::piped(), Stdio::null()).await?;
    let mut words = Words::of(&mut child);
    let stdin = child.stdin().take();
    if let Some(mut stdin) = stdin {
        let mut buffer = session.password_line();
        let mut sent = 0;
        loop {
            match timeout(stall, stdin.write_all(&buffer)).await {
                Err(_) => return Err(TransferError::Stalled(stall)),
                // The other side says why.
                Ok(Err(_)) => break,
                Ok(Ok(())) => progress(sent),
            }
            buffer.resize(PIECE / 4, 0);
            let count = file.read(&mut buffer).await.map_err(TransferError::Local)?;
            if count == 0 {
                break;
            }
            buffer.truncate(count);
            sent += count as u64;
        }
    }
    let tail = stall * TAIL_STALLS;
    timeout(tail, async { verdict(child, words.read().await).await })
        .await
        .unwrap_or(Err(TransferError::Stalled(tail)))
}

/// Brings a file. See [`Session::download`].
pub(super) async fn download(
    session: &SshSession,
    fetch: &Fetch,
    into: &mut tokio::fs::File,
    progress: &(dyn Fn(u64) + Sync),
    stop: &CancellationToken,
) -> Result<u64, TransferError> {
    let elevation = session.elevation(&fetch.sudo).await.map_err(refused)?;
    let script = match fetch.offset {
        0 => "exec cat <\"$1\"".to_owned(),
        offset => format!("exec tail -c +{} <\"$1\"", offset.saturating_add(1)),
    };
    let command = remote_command(elevation, &script, &[&fetch.remote]);
    let password = match elevation {
        Elevation::Password(_) => session.password_line(),
        Elevation::None | Elevation::Quiet(_) => Vec::new(),
    };
    let transfer = async {
        let stdin = if password.is_empty() {
            Stdio::null()
        } else {
            Stdio::piped()
        };
        let mut child = spawn(session, &command, stdin, Stdio::piped()).await?;
        if let Some(mut pipe) = child.stdin().take() {
            // Where it cannot be written, sudo's end says so.
            let _sent = pipe.write_all(&password).await;
        }
        receive(session, child, into, progress).await
    };
    stop.run_until_cancelled(transfer)
        .await
        .unwrap_or(Err(TransferError::Cancelled))
}

async fn receive(
    session: &SshSession,
    mut child: Child<&openssh::Session>,
    into: &mut tokio::fs::File,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<u64, TransferError> {
    let stall = session.stall_limit();
    let stdout = child.stdout().take();
    let mut words = Words::of(&mut child);
    let body = async {
        let Some(mut stdout) = stdout else {
            return Ok(0);
        };
        let mut piece = Vec::with_capacity(PIECE);
        let mut written = 0_u64;
        loop {
            let more = fill(&mut stdout, &mut piece, stall).await?;
            into.write_all(&piece).await.map_err(TransferError::Local)?;
            written += piece.len() as u64;
            piece.clear();
            progress(written);
            if !more {
                into.flush().await.map_err(TransferError::Local)?;
                return Ok(written);
            }
        }
    };
    let (written, words) = tokio::try_join!(body, async { Ok(words.read().await) })?;
    verdict(child, words).await?;
    // The exit status may overtake the last bytes on a connection that then dies.
    if session.alive().await {
        Ok(written)
    } else {
        Err(TransferError::Lost)
    }
}

/// Reads until the piece is full, a look's time has passed, or the end (false).
async fn fill(
    stdout: &mut openssh::ChildStdout,
    piece: &mut Vec<u8>,
    stall: Duration,
) -> Result<bool, TransferError> {
    let due = Instant::now() + LOOK;
    while piece.len() < PIECE {
        let wait = async {
            if piece.is_empty() {
                timeout(stall, stdout.read_buf(piece))
                    .await
                    .map_err(|_| Some(TransferError::Stalled(stall)))
            } else {
                tokio::select! {
                    read = stdout.read_buf(piece) => Ok(read),
                    () = sleep_until(due) => Err(None),
                }
            }
        };
        match wait.await {
            Ok(Ok(0) | Err(_)) => return Ok(false),
            Ok(Ok(_)) => {}
            Err(None) => return Ok(true),
            Err(Some(error)) => return Err(error),
        }
    }
    Ok(true)
}

async fn spawn<'a>(
    session: &'a SshSession,
    command: &str,
    stdin: Stdio,
    stdout: Stdio,
) -> Result<Child<&'a openssh::Session>, TransferError> {
    let mut remote = session.mux().raw_command(command);
    remote.stdin(stdin).stdout(stdout).stderr(Stdio::piped());
    remote.spawn().await.map_err(|_| TransferError::Lost)
}

/// `sh -c SCRIPT sh PATH…` behind sudo's words.
fn remote_command(elevation: Elevation<'_>, script: &str, paths: &[&Path]) -> String {
    let mut command = format!("{}sh -c {} sh", elevation.words(), quoted_lossy(script));
    for path in paths {
        command.push(' ');
        command.push_str(&quoted_lossy(&path.to_string_lossy()));
    }
    command
}

fn refused(cause: String) -> TransferError {
    TransferError::Remote {
        exit_code: 1,
        message: cause,
    }
}

/// What the remote command says on stderr while its bytes move.
struct Words {
    pipe: Option<openssh::ChildStderr>,
}

impl Words {
    fn of(child: &mut Child<&openssh::Session>) -> Self {
        Self {
            pipe: child.stderr().take(),
        }
    }

    /// Reads to the end.
    async fn read(&mut self) -> Vec<u8> {
        let mut words = Vec::new();
        if let Some(mut pipe) = self.pipe.take() {
            let mut buffer = [0; 1024];
            while let Ok(count @ 1..) = pipe.read(&mut buffer).await {
                let room = WORDS_KEPT.saturating_sub(words.len());
                words.extend_from_slice(&buffer[..count.min(room)]);
            }
        }
        words
    }
}

/// The remote command's own verdict. Asked for behind all streams: for ssh's multiplexer, learning of the end
/// is the end of the streams, whatever was still in them.
async fn verdict(child: Child<&openssh::Session>, words: Vec<u8>) -> Result<(), TransferError> {
    match wait(child).await {
        ChannelEnd::Code(0) => Ok(()),
        ChannelEnd::Code(exit_code) => Err(TransferError::Remote {
            exit_code,
            message: String::from_utf8_lossy(&words).trim().to_owned(),
        }),
        ChannelEnd::Died => Err(TransferError::Lost),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_reach_the_host_as_one_word() {
        let path = Path::new("/tmp/$(touch /tmp/pwned); x'y\"z");
        let command = remote_command(Elevation::None, "exec cat >\"$1\"", &[path]);
        let words = shlex::split(&command).unwrap();
        assert_eq!(
            words,
            [
                "sh",
                "-c",
                "exec cat >\"$1\"",
                "sh",
                "/tmp/$(touch /tmp/pwned); x'y\"z"
            ]
        );
    }
}
