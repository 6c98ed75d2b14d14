//! What a holder leaves in its lock, `holder.json`: who it is, for people and for itself. One line, since a host's
//! shell reads it; whoever reads it takes it for another's words.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::{Label, RunId};

/// How much of one field is kept: the whole note must fit in what a host shows of it, 4 KiB.
const LONGEST: usize = 150;

/// Whether the holder is at work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoteState {
    /// Its heartbeat comes.
    Live,
    /// It stopped on the way and can go on: no heartbeat comes, and nobody waits for it.
    Paused,
}

/// What tells one taking of a lock from every other, also of the same run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Token(String);

impl Token {
    /// A token of 128 bits that nobody draws twice.
    pub fn of(bits: u128) -> Self {
        Self(format!("{bits:032x}"))
    }

    /// The text in a note that is found by who bears the token.
    pub fn mark(&self) -> String {
        // What was read back from a host is no token of ours, and must not look for anything else.
        let digits = self.0.chars().filter(char::is_ascii_hexdigit);
        format!("\"token\":\"{}\"", digits.collect::<String>())
    }
}

/// A holder's note.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// The lock's key.
    pub key: String,
    /// The run.
    pub run: RunId,
    /// Its task.
    pub task: String,
    /// Who started it.
    pub user: String,
    /// The machine it runs on.
    pub controller: String,
    /// Its process there.
    pub pid: u32,
    /// When it began, by the controller's clock.
    pub started: jiff::Timestamp,
    /// Whether it is at work.
    pub state: NoteState,
    /// The host to which the heartbeat goes.
    pub anchor: Label,
    /// Which taking this is.
    pub token: Token,
}

impl Note {
    /// The note as it stands in its file.
    pub fn to_line(&self) -> String {
        let plain = |sign: char| if sign.is_control() { ' ' } else { sign };
        let short = |text: &str| text.chars().take(LONGEST).map(plain).collect::<String>();
        let bounded = Self {
            key: short(&self.key),
            task: short(&self.task),
            user: short(&self.user),
            controller: short(&self.controller),
            anchor: Label::new(short(self.anchor.as_str())),
            ..self.clone()
        };
        serde_json::to_string(&bounded).expect("a note is plain data")
    }

    /// A note that was read from a host; `None` where it is none.
    pub fn parse(line: &str) -> Option<Self> {
        serde_json::from_str(line).ok()
    }

    /// The text in a note by which a later process of the same run finds it.
    pub fn mark_of_run(run: &RunId) -> String {
        let text = serde_json::to_string(run).expect("an id is plain data");
        format!("\"run\":{text}")
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{} (run {})", self.user, self.controller, self.run)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::note;
    use super::*;

    #[test]
    fn a_note_is_one_line_and_comes_back() {
        let mut note = note("a", 7);
        note.user = "eve\"root".to_owned();
        let line = note.to_line();
        assert!(!line.contains('\n'), "{line}");
        assert!(line.contains(&note.token.mark()), "{line}");
        assert!(line.contains(&Note::mark_of_run(&note.run)), "{line}");
        assert_eq!(Note::parse(&line), Some(note));
        assert_eq!(Note::parse("{}"), None);
    }

    #[test]
    fn the_longest_note_fits_in_what_a_host_shows_of_it() {
        let mut note = note("a", 7);
        for field in [
            &mut note.key,
            &mut note.task,
            &mut note.user,
            &mut note.controller,
        ] {
            *field = "\u{1F600}\n".repeat(2000);
        }
        note.anchor = Label::new("\"".repeat(2000));
        let line = note.to_line();
        assert!(line.len() <= 4096, "{}", line.len());
        assert!(Note::parse(&line).is_some());
    }

    #[test]
    fn a_token_from_a_host_names_nothing_else() {
        let token = Token("\"run\":\"x".to_owned());
        assert_eq!(token.mark(), "\"token\":\"\"");
    }
}
