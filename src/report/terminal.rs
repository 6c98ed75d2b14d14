//! What stdout and stderr are: a terminal, a file or a pipe, and how wide. Asks the system once; decides
//! nothing about colours.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::termios::{LocalModes, OptionalActions, tcsetattr};

/// What stands behind a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamKind {
    /// A terminal: people read it, and bars can be drawn.
    Terminal,
    /// A regular file or `/dev/null`: never stalls, shares no screen.
    File,
    /// A pipe, a socket or anything else whose reader may be slow or go away.
    Pipe,
}

/// The two streams of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Streams {
    /// Standard output.
    pub stdout: StreamKind,
    /// Standard error.
    pub stderr: StreamKind,
    /// Both are the same terminal, file or pipe, as with `2>&1`.
    pub shared: bool,
    /// Columns of the terminal; 100 where there is none.
    pub width: usize,
    /// Rows of the terminal; 24 where there is none.
    pub height: usize,
}

/// Columns for text that no terminal bounds.
const WIDTH_WITHOUT_TERMINAL: usize = 100;

impl Streams {
    /// Asks the system.
    pub fn detect() -> Self {
        let (stdout, stderr) = (std::io::stdout(), std::io::stderr());
        let size = size_of(stderr.as_fd()).or_else(|| size_of(stdout.as_fd()));
        let (width, height) = size.unwrap_or((WIDTH_WITHOUT_TERMINAL, 24));
        Self {
            stdout: kind_of(stdout.as_fd()),
            stderr: kind_of(stderr.as_fd()),
            shared: same(stdout.as_fd(), stderr.as_fd()),
            width,
            height,
        }
    }

    /// Whether a status block can be drawn on stderr without tearing what another program, reading our
    /// stdout, may draw on the same screen.
    pub fn draws_status(&self) -> bool {
        self.stderr == StreamKind::Terminal && self.stdout != StreamKind::Pipe
    }
}

/// Columns and rows of the terminal that stderr is, as they are now.
pub(crate) fn size_of_stderr() -> Option<(usize, usize)> {
    size_of(std::io::stderr().as_fd())
}

fn size_of(stream: BorrowedFd<'_>) -> Option<(usize, usize)> {
    let size = rustix::termios::tcgetwinsize(stream).ok()?;
    (size.ws_col > 0 && size.ws_row > 0)
        .then(|| (usize::from(size.ws_col), usize::from(size.ws_row)))
}

/// Keeps the terminal from writing `^C` into what is drawn on it, until it is dropped. A fab-rs that is
/// killed leaves that off, which costs the user nothing but the `^C`.
pub(crate) struct ControlsHidden {
    before: rustix::termios::Termios,
}

impl ControlsHidden {
    /// On the terminal that stderr is; `None` where it is none, or where this process is in the background
    /// and may not set it.
    pub(crate) fn on_stderr() -> Option<Self> {
        let stderr = std::io::stderr();
        let foreground = rustix::termios::tcgetpgrp(stderr.as_fd()).ok()?;
        if foreground != rustix::process::getpgrp() {
            return None;
        }
        let before = rustix::termios::tcgetattr(stderr.as_fd()).ok()?;
        let mut hidden = before.clone();
        hidden.local_modes.remove(LocalModes::ECHOCTL);
        tcsetattr(stderr.as_fd(), OptionalActions::Now, &hidden).ok()?;
        Some(Self { before })
    }
}

impl Drop for ControlsHidden {
    fn drop(&mut self) {
        let stderr = std::io::stderr();
        // A terminal that has gone has nothing to restore.
        let _ = tcsetattr(stderr.as_fd(), OptionalActions::Now, &self.before);
    }
}

/// Whether two descriptors are one file. A file that cannot be asked is taken for the same.
fn same(left: BorrowedFd<'_>, right: BorrowedFd<'_>) -> bool {
    match (rustix::fs::fstat(left), rustix::fs::fstat(right)) {
        (Ok(left), Ok(right)) => (left.st_dev, left.st_ino) == (right.st_dev, right.st_ino),
        _ => true,
    }
}

fn kind_of(stream: BorrowedFd<'_>) -> StreamKind {
    if rustix::termios::isatty(stream) {
        return StreamKind::Terminal;
    }
    let kind =
        rustix::fs::fstat(stream).map(|status| rustix::fs::FileType::from_raw_mode(status.st_mode));
    match kind {
        Ok(rustix::fs::FileType::RegularFile | rustix::fs::FileType::CharacterDevice) => {
            StreamKind::File
        }
        _ => StreamKind::Pipe,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn streams(stdout: StreamKind, stderr: StreamKind) -> Streams {
        Streams {
            stdout,
            stderr,
            shared: false,
            width: 80,
            height: 24,
        }
    }

    #[test]
    fn bars_need_a_terminal_that_is_ours_alone() {
        use StreamKind::{File, Pipe, Terminal};
        assert!(streams(Terminal, Terminal).draws_status());
        assert!(streams(File, Terminal).draws_status());
        assert!(!streams(Pipe, Terminal).draws_status());
        assert!(!streams(Terminal, Pipe).draws_status());
    }

    #[test]
    fn files_and_pipes_are_told_apart() {
        let file = tempfile::tempfile().unwrap();
        assert_eq!(kind_of(file.as_fd()), StreamKind::File);
        let (reader, _writer) = std::io::pipe().unwrap();
        assert_eq!(kind_of(reader.as_fd()), StreamKind::Pipe);
        assert!(same(file.as_fd(), file.try_clone().unwrap().as_fd()));
        assert!(!same(file.as_fd(), reader.as_fd()));
    }
}
