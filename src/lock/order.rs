//! What is sent to a host about a lock: one constant script, its words as arguments, the holder's note over stdin.

use crate::model::RunId;
use crate::transport::{Program, RemoteCommand, Sudo};

use super::note::{Note, Token};

/// Everything that is done with locks on a host.
const SCRIPT: &str = include_str!("lock.sh");

/// Where locks are kept: it survives a reboot, and everybody may make files there.
const BASE: &str = "/var/tmp";

/// What is done with a lock.
#[derive(Debug, Clone, Copy)]
pub enum Verb<'a> {
    /// Take it, unless somebody has it. Whether the heartbeat will come to this host.
    Take(&'a Note, bool),
    /// The same, also from a run whose process is over: an earlier one of the same run, or one that is taken up.
    Adopt(&'a Note, bool, &'a RunId),
    /// Say that its holder lives.
    Beat(&'a Token),
    /// Write another note into it.
    Mark(&'a Note),
    /// Let go of it, if it is the one with this token; without one, if its holder left no note.
    Release(Option<&'a Token>),
}

/// An order to a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    words: Vec<String>,
    note: Option<String>,
}

impl Order {
    /// An order about the lock of this folder.
    pub fn new(folder: &str, verb: Verb<'_>) -> Self {
        let (name, mark, note) = match verb {
            Verb::Take(note, _) => ("take", note.token.mark(), Some(note)),
            Verb::Adopt(note, ..) => ("adopt", note.token.mark(), Some(note)),
            Verb::Beat(token) => ("beat", token.mark(), None),
            Verb::Mark(note) => ("mark", note.token.mark(), Some(note)),
            Verb::Release(token) => ("release", token.map(Token::mark).unwrap_or_default(), None),
        };
        let mut words = vec![name.to_owned(), BASE.to_owned(), folder.to_owned(), mark];
        if let Verb::Take(_, anchor) | Verb::Adopt(_, anchor, _) = verb {
            words.push(if anchor { "yes" } else { "no" }.to_owned());
        }
        if let Verb::Adopt(_, _, run) = verb {
            words.push(Note::mark_of_run(run));
        }
        Self {
            words,
            note: note.map(Note::to_line),
        }
    }

    /// An order to show every lock.
    pub fn list() -> Self {
        Self {
            words: vec!["list".to_owned(), BASE.to_owned()],
            note: None,
        }
    }

    /// The command.
    pub fn command(&self, sudo: Sudo) -> RemoteCommand {
        let script = ["sh", "-c", SCRIPT, "fab-rs-lock"];
        let script = script.into_iter().map(str::to_owned);
        let words = script.chain(self.words.iter().cloned());
        let mut command = RemoteCommand::new(Program::Argv(words.collect()));
        command.sudo = sudo;
        command.stdin = self.note.as_ref().map(|note| note.clone().into_bytes());
        command
    }

    /// The order with another place than that of hosts.
    #[cfg(test)]
    pub(super) fn below(mut self, base: &std::path::Path) -> Self {
        self.words[1] = base.to_str().expect("a test's folder is UTF-8").to_owned();
        self
    }
}
