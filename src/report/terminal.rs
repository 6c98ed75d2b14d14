//! What stdout and stderr are: a terminal, a file or a pipe, and how wide. Asks the system once; decides
//! nothing about colours.

use std::os::fd::AsFd;

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
        let size = [stderr.as_fd(), stdout.as_fd()]
            .into_iter()
            .find_map(|stream| rustix::termios::tcgetwinsize(stream).ok())
            .filter(|size| size.ws_col > 0 && size.ws_row > 0);
        Self {
            stdout: kind_of(stdout.as_fd()),
            stderr: kind_of(stderr.as_fd()),
            width: size.map_or(WIDTH_WITHOUT_TERMINAL, |size| usize::from(size.ws_col)),
            height: size.map_or(24, |size| usize::from(size.ws_row)),
        }
    }

    /// Whether a status block can be drawn on stderr without tearing what another program, reading our
    /// stdout, may draw on the same screen.
    pub fn draws_status(&self) -> bool {
        self.stderr == StreamKind::Terminal && self.stdout != StreamKind::Pipe
    }
}

fn kind_of(stream: std::os::fd::BorrowedFd<'_>) -> StreamKind {
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
    }
}
