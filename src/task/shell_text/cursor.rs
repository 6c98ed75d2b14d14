//! A place in a text that only goes forward. Knows no shell.

/// A reading position.
pub(super) struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

/// One line of a text.
pub(super) struct Line<'a> {
    /// Where it begins.
    pub(super) start: usize,
    /// Without its line break.
    pub(super) text: &'a str,
    /// Where the next one begins.
    pub(super) next: usize,
}

impl<'a> Cursor<'a> {
    /// The start of a text.
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// The whole text.
    pub(super) fn text(&self) -> &'a str {
        self.text
    }

    /// The byte that comes next.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// What is left.
    pub(super) fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// The next character.
    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    /// Goes over the next character.
    pub(super) fn bump(&mut self) {
        self.at += self.peek().map_or(0, char::len_utf8);
    }

    /// Goes over so many ASCII characters.
    pub(super) fn skip(&mut self, bytes: usize) {
        self.at += bytes;
    }

    /// Goes to a byte further on.
    pub(super) fn jump(&mut self, at: usize) {
        self.at = at.max(self.at).min(self.text.len());
    }

    /// The rest of the line.
    pub(super) fn line(&self) -> Line<'a> {
        let rest = self.rest();
        let length = rest.find('\n').unwrap_or(rest.len());
        Line {
            start: self.at,
            text: &rest[..length],
            next: (self.at + length + 1).min(self.text.len()),
        }
    }
}
