//! Where template values stand in a shell text. A value is put in as one quoted word, which is safe only
//! where the shell reads words: quotes inside quotes execute.
//!
//! Reads the text as `sh` and `bash` do, from left to right, and is conservative: where the two differ, or
//! where this reader is not sure, a value is refused. It does not judge what the command does with its
//! words (`eval` and the like), nor texts without values.

mod cursor;
mod place;
mod regions;
mod tags;

use cursor::Cursor;
pub(crate) use place::{Misplaced, Place};
use tags::{Tag, TagKind, tag_at};

/// A context that ends with a mark of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Frame {
    Double,
    Substitution,
    Paren,
    Expansion,
    Arithmetic,
}

/// A here-document whose lines begin after the next line break.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pending {
    mark: String,
    strip_tabs: bool,
    expands: bool,
    /// How many contexts stood open.
    depth: usize,
}

/// The reader's state; block tags must all stand in the same.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct State {
    frames: Vec<Frame>,
    pending: Vec<Pending>,
    single: bool,
    unsure: Option<Place>,
}

/// The first value of a shell text that stands where a quoted word is no word.
pub(crate) fn misplaced(text: &str) -> Option<Misplaced> {
    let mut reader = Reader {
        at: Cursor::new(text),
        state: State::default(),
        word_start: Some(true),
        word: 0,
        at_blocks: None,
    };
    reader.read().err()
}

/// `{#` of a `${#name}` that templates take for the start of a comment.
pub(crate) fn length_taken_for_comment(text: &str) -> Option<std::ops::Range<usize>> {
    text.match_indices("${#")
        .map(|(at, _)| at + 1)
        .find(|at| tag_at(text, *at).is_some_and(|tag| tag.kind == TagKind::Comment))
        .map(|at| at..at + 2)
}

struct Reader<'a> {
    at: Cursor<'a>,
    state: State,
    /// Whether a word would start here; `None` where a tag stands before, so that it depends on a value.
    word_start: Option<bool>,
    /// Where the current word began.
    word: usize,
    /// The state at the first block tag.
    at_blocks: Option<State>,
}

type Step = Result<(), Misplaced>;

impl Reader<'_> {
    fn read(&mut self) -> Step {
        while let Some(found) = self.at.peek() {
            if let Some(tag) = tag_at(self.at.text(), self.at.position()) {
                self.tag(&tag)?;
            } else if self.state.single {
                self.at.bump();
                self.state.single = found != '\'';
            } else {
                match self.state.frames.last() {
                    Some(Frame::Double) => self.double(found)?,
                    Some(Frame::Expansion) => self.expansion(found),
                    Some(Frame::Arithmetic) => self.arithmetic(found),
                    Some(Frame::Substitution | Frame::Paren) | None => self.plain(found)?,
                }
            }
        }
        Ok(())
    }

    fn refuse(tag: &Tag, place: Place) -> Step {
        Err(Misplaced {
            range: tag.range.clone(),
            place,
        })
    }

    /// Takes a tag: a value must stand where words are read, a block where all the others stand.
    fn tag(&mut self, tag: &Tag) -> Step {
        self.at.jump(tag.range.end);
        match tag.kind {
            TagKind::Comment => return Ok(()),
            TagKind::Block => {
                let first = self.at_blocks.get_or_insert_with(|| self.state.clone());
                if *first != self.state {
                    self.state.unsure.get_or_insert(Place::Uneven);
                } else if self.state.frames.contains(&Frame::Substitution) {
                    self.unsure();
                }
                self.word_start = None;
                return Ok(());
            }
            TagKind::Value => {}
        }
        let place = match self.state.frames.last() {
            _ if self.state.single => Some(Place::SingleQuotes),
            _ if self.state.unsure.is_some() => self.state.unsure,
            Some(Frame::Double) => Some(Place::DoubleQuotes),
            Some(Frame::Expansion) => Some(Place::Expansion),
            Some(Frame::Arithmetic) => Some(Place::Arithmetic),
            Some(Frame::Substitution | Frame::Paren) | None => None,
        };
        // An empty list leaves no word behind: a word may still start after it.
        if self.word_start != Some(false) {
            self.word_start = None;
        }
        place.map_or(Ok(()), |place| Self::refuse(tag, place))
    }

    /// A tag right here is misplaced; otherwise nothing happens.
    fn no_value_here(&self, place: Place) -> Step {
        match tag_at(self.at.text(), self.at.position()) {
            Some(tag) if tag.kind == TagKind::Value => Self::refuse(&tag, place),
            _ => Ok(()),
        }
    }

    fn unsure(&mut self) {
        self.state.unsure.get_or_insert(Place::Unsure);
    }

    /// A character inside `"…"`.
    fn double(&mut self, found: char) -> Step {
        match found {
            '"' => {
                self.at.bump();
                self.state.frames.pop();
                Ok(())
            }
            '\\' => self.escaped(),
            '$' => self.dollar(true),
            '`' => self.backticks(),
            _ => {
                self.at.bump();
                Ok(())
            }
        }
    }

    /// A character where words are read.
    fn plain(&mut self, found: char) -> Step {
        let start = self.word_start;
        self.word_start = Some(false);
        match found {
            '\\' => self.escaped(),
            '\'' => {
                self.at.bump();
                self.state.single = true;
                Ok(())
            }
            '"' => {
                self.at.bump();
                self.state.frames.push(Frame::Double);
                Ok(())
            }
            '$' => self.dollar(false),
            '`' => self.backticks(),
            '#' if start == Some(true) => self.comment(),
            '#' if start.is_none() => {
                self.unsure();
                self.at.bump();
                Ok(())
            }
            '<' if self.at.rest().starts_with("<<<") => {
                self.at.skip(3);
                self.word_begins();
                Ok(())
            }
            '<' if self.at.rest().starts_with("<<") => self.here_document(),
            _ => {
                if start == Some(true) {
                    self.word = self.at.position();
                }
                self.at.bump();
                self.operator(found)
            }
        }
    }

    /// What a character means that is no quote: the ends of words, parentheses, lines.
    fn operator(&mut self, found: char) -> Step {
        if !matches!(
            found,
            ' ' | '\t' | '\n' | ';' | '&' | '|' | '(' | ')' | '<' | '>'
        ) {
            return Ok(());
        }
        let end = self.at.position() - 1;
        let in_substitution = self.state.frames.contains(&Frame::Substitution);
        // `a)` of a `case` would end a substitution. A tag before it may leave nothing behind.
        let word = self.at.text().get(self.word..end).unwrap_or_default();
        if in_substitution && (word == "case" || (word.ends_with("case") && word.contains('}'))) {
            self.unsure();
        }
        match found {
            '(' => {
                if self.at.peek() == Some('(') {
                    self.unsure();
                }
                self.state.frames.push(Frame::Paren);
            }
            ')' => {
                let closed = self.state.frames.pop();
                self.word_begins();
                // What was a substitution is part of a word: `$(x)#y` is no comment.
                self.word_start = Some(closed != Some(Frame::Substitution));
                return Ok(());
            }
            '\n' => {
                self.word_begins();
                return self.here_lines();
            }
            _ => {}
        }
        self.word_begins();
        Ok(())
    }

    fn word_begins(&mut self) {
        self.word_start = Some(true);
        self.word = self.at.position();
    }

    /// `\x`: the next character is itself.
    fn escaped(&mut self) -> Step {
        self.at.bump();
        self.no_value_here(Place::Escaped)?;
        if tag_at(self.at.text(), self.at.position()).is_some() {
            self.unsure();
        } else {
            self.at.bump();
        }
        Ok(())
    }

    /// `$`, in double quotes or not.
    fn dollar(&mut self, quoted: bool) -> Step {
        self.at.bump();
        self.no_value_here(Place::Dollar)?;
        let rest = self.at.rest();
        if tag_at(self.at.text(), self.at.position()).is_some() {
            self.unsure();
        } else if rest.starts_with("((") {
            self.at.skip(2);
            self.state.frames.push(Frame::Arithmetic);
        } else if rest.starts_with('(') {
            self.at.skip(1);
            self.state.frames.push(Frame::Substitution);
            self.word_begins();
        } else if rest.starts_with('{') {
            self.at.skip(1);
            self.state.frames.push(Frame::Expansion);
        } else if rest.starts_with('\'') && !quoted {
            // `$'…'` is a quote with escapes to bash and a dollar sign before a quote to dash.
            self.unsure();
        } else if rest.starts_with(['#', '$', '?', '!', '@', '*', '-']) {
            self.at.skip(1);
        }
        Ok(())
    }

    /// Inside `${…}`: quotes there mean different things to different shells.
    fn expansion(&mut self, found: char) {
        self.at.bump();
        match found {
            '}' => {
                self.state.frames.pop();
            }
            '\\' => {
                self.at.bump();
            }
            '\'' | '"' | '`' | '$' | '{' => self.unsure(),
            _ => {}
        }
    }

    /// Inside `$((…))`, which may also be a substitution that begins with a subshell.
    fn arithmetic(&mut self, found: char) {
        if self.at.rest().starts_with("))") {
            self.at.skip(2);
            self.state.frames.pop();
            return;
        }
        self.at.bump();
        if matches!(
            found,
            '\'' | '"' | '`' | '\\' | '#' | '(' | ')' | '\n' | '{' | '<'
        ) {
            self.unsure();
        }
    }
}

#[cfg(test)]
mod tests;
