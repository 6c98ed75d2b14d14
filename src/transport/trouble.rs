//! Why a connection did not come about, and where it went. Finds nothing out by itself: `ssh_error` does.

use crate::model::UnreachableKind as Kind;

/// Why a connection did not come about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trouble {
    /// Which kind.
    pub(super) kind: Kind,
    /// One sentence for people.
    pub(super) sentence: String,
    /// What to do about it.
    pub(super) hints: Vec<String>,
    /// Whether another try may help.
    pub(super) transient: bool,
    /// ssh's own words that say more than the sentence, at most [`WORDS_KEPT`] lines.
    pub(super) words: Vec<String>,
}

/// How many lines of ssh's own words a cause carries.
pub(super) const WORDS_KEPT: usize = 4;

/// Where the connection went.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target<'a> {
    /// Name or address.
    pub(super) address: &'a str,
    /// The port, where it is known.
    pub(super) port: Option<u16>,
    /// The bastion before it.
    pub(super) bastion: Option<&'a str>,
}

impl Target<'_> {
    /// `10.0.2.13 port 22`, as ssh says it.
    pub(super) fn place(self) -> String {
        let port = self.port.map(|port| format!(" port {port}"));
        let bastion = self
            .bastion
            .map(|name| format!(" (seen from bastion {name})"));
        let [port, bastion] = [port, bastion].map(Option::unwrap_or_default);
        format!("{}{port}{bastion}", self.address)
    }
}

impl Trouble {
    /// Trouble of this kind that another try does not help against.
    pub(super) fn new(kind: Kind, sentence: impl Into<String>) -> Self {
        Self {
            kind,
            sentence: sentence.into(),
            hints: Vec::new(),
            transient: false,
            words: Vec::new(),
        }
    }

    /// Adds what to do.
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Marks what another try may help against.
    pub(super) fn transient(mut self) -> Self {
        self.transient = true;
        self
    }

    /// The sentence, then ssh's words.
    pub(super) fn causes(&self) -> Vec<String> {
        let mut causes = vec![self.sentence.clone()];
        causes.extend(self.words.iter().cloned());
        causes
    }
}
