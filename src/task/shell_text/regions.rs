//! The regions of a shell text that hold no words: backticks, comments and here-documents.

use super::tags::{TagKind, tag_at};
use super::{Pending, Place, Reader, Step};

impl Reader<'_> {
    /// `` `…` ``: over at the next backtick that is not escaped, whatever stands between.
    pub(super) fn backticks(&mut self) -> Step {
        self.at.bump();
        while let Some(found) = self.at.peek() {
            self.no_value_here(Place::Backticks)?;
            if let Some(tag) = tag_at(self.at.text(), self.at.position()) {
                self.unsure();
                self.at.jump(tag.range.end);
                continue;
            }
            self.at.bump();
            match found {
                '\\' => {
                    self.no_value_here(Place::Backticks)?;
                    self.at.bump();
                }
                '`' => return Ok(()),
                _ => {}
            }
        }
        Ok(())
    }

    pub(super) fn comment(&mut self) -> Step {
        while let Some(found) = self.at.peek() {
            if found == '\n' {
                break;
            }
            self.no_value_here(Place::Comment)?;
            if let Some(tag) = tag_at(self.at.text(), self.at.position()) {
                self.unsure();
                self.at.jump(tag.range.end);
            } else {
                self.at.bump();
            }
        }
        self.word_begins();
        Ok(())
    }

    /// `<<MARK`: its lines follow after the line break.
    pub(super) fn here_document(&mut self) -> Step {
        self.at.skip(2);
        let strip_tabs = self.at.peek() == Some('-');
        if strip_tabs {
            self.at.bump();
        }
        while matches!(self.at.peek(), Some(' ' | '\t')) {
            self.at.bump();
        }
        let mut pending = Pending {
            mark: String::new(),
            strip_tabs,
            expands: true,
            depth: self.state.frames.len(),
        };
        while let Some(found) = self.at.peek() {
            self.no_value_here(Place::HereDocumentMark)?;
            match found {
                ' ' | '\t' | '\n' | ';' | '&' | '|' | '(' | ')' | '<' | '>' => break,
                '$' | '`' | '{' => self.unsure(),
                '\'' | '"' | '\\' => pending.expands = false,
                _ => pending.mark.push(found),
            }
            self.at.bump();
        }
        // A mark in quotes may hold blanks, which this reader does not follow.
        if pending.mark.is_empty() {
            self.unsure();
        }
        self.state.pending.push(pending);
        Ok(())
    }

    /// The lines of the here-documents that the last line announced.
    pub(super) fn here_lines(&mut self) -> Step {
        for pending in std::mem::take(&mut self.state.pending) {
            if pending.depth != self.state.frames.len() {
                self.unsure();
            }
            loop {
                let line = self.at.line();
                for (at, _) in line.text.match_indices('{') {
                    match tag_at(self.at.text(), line.start + at) {
                        Some(tag) if tag.kind == TagKind::Value => {
                            return Self::refuse(&tag, Place::HereDocument);
                        }
                        Some(_) => self.unsure(),
                        None => {}
                    }
                }
                if pending.expands && line.text.ends_with('\\') {
                    self.unsure();
                }
                let body = if pending.strip_tabs {
                    line.text.trim_start_matches('\t')
                } else {
                    line.text
                };
                let ended = body == pending.mark;
                self.at.jump(line.next);
                if ended || self.at.peek().is_none() {
                    break;
                }
            }
        }
        self.word_begins();
        Ok(())
    }
}
