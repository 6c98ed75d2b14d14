//! Maps under decoding: known keys with a "did you mean" for the others, and open maps of names.

use std::str::FromStr;
use std::time::Duration;

use crate::model::{Amount, Diagnostic, Size, SourceSpan, nearest};

use super::{Node, NodeKind, traps};

/// One key of a map with its value.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// The key's text.
    pub name: &'a str,
    /// The key, for its place.
    pub key: &'a Node,
    /// The value.
    pub value: &'a Node,
}

/// A map whose keys were compared with the known ones.
///
/// The readers (`string`, `bool`, …) give `None` both for a key that is absent and for a value that is
/// wrong; the latter has added an error.
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    entries: Vec<Entry<'a>>,
    /// Known keys that unknown ones were probably meant to be.
    meant: Vec<String>,
    head: SourceSpan,
}

impl Node {
    /// A map with the keys in `known`; every other key is an error with the nearest known one.
    ///
    /// `what` names the map in messages: "`strategy` of task `deploy`". Unknown keys do not make the rest
    /// unreadable: `None` only where this is no map.
    pub fn expect_mapping<'a>(
        &'a self,
        what: &str,
        known: &[&str],
        errors: &mut Vec<Diagnostic>,
    ) -> Option<Fields<'a>> {
        let entries = self.expect_entries(what, errors)?;
        let (entries, unknown) = entries
            .into_iter()
            .partition::<Vec<_>, _>(|entry| known.contains(&entry.name));
        let free = || {
            known
                .iter()
                .copied()
                .filter(|key| !entries.iter().any(|entry| entry.name == *key))
        };
        let mut meant = Vec::new();
        for entry in &unknown {
            let near = nearest(entry.name, free());
            meant.extend(near.map(str::to_owned));
            errors.push(unknown_key(entry, what, near, known));
        }
        Some(Fields {
            entries,
            meant,
            head: self.head(),
        })
    }

    /// A map of any keys that are texts, in the order of the file.
    pub fn expect_entries<'a>(
        &'a self,
        what: &str,
        errors: &mut Vec<Diagnostic>,
    ) -> Option<Vec<Entry<'a>>> {
        let NodeKind::Mapping(pairs) = &self.kind else {
            errors.push(self.mismatch(what, "a map"));
            return None;
        };
        if traps::unquoted_braces(self) {
            errors.push(self.mismatch(what, "a map with keys"));
            return None;
        }
        let mut entries = Vec::new();
        for (key, value) in pairs {
            match key.as_text() {
                Some(name) => entries.push(Entry { name, key, value }),
                None => errors.push(key.mismatch(&format!("a key in {what}"), "a text")),
            }
        }
        Some(entries)
    }
}

/// The error for a key that is not known.
fn unknown_key(entry: &Entry<'_>, what: &str, near: Option<&str>, known: &[&str]) -> Diagnostic {
    let error =
        Diagnostic::new(format!("unknown key `{}` in {what}", entry.name)).at(&entry.key.head());
    let error = match near {
        Some(near) => error.label(format!("did you mean `{near}`?")),
        None => error.hint(format!("keys: {}", known.join(", "))),
    };
    if entry.value.is_null() {
        error.hint("it has no value: an unquoted comma?")
    } else {
        error
    }
}

impl<'a> Fields<'a> {
    /// The map's first line.
    pub fn head(&self) -> &SourceSpan {
        &self.head
    }

    /// The keys that are there, in the order of the file.
    pub fn entries(&self) -> &[Entry<'a>] {
        &self.entries
    }

    /// Adds a key from elsewhere, such as a default; `false` where the map has it already.
    pub fn add(&mut self, entry: Entry<'a>) -> bool {
        let absent = !self.has(entry.name);
        if absent {
            self.entries.push(entry);
        }
        absent
    }

    /// A key with its value, if it is there.
    pub fn entry(&self, key: &str) -> Option<Entry<'a>> {
        self.entries.iter().find(|entry| entry.name == key).copied()
    }

    /// A key's value, if it is there.
    pub fn get(&self, key: &str) -> Option<&'a Node> {
        self.entry(key).map(|entry| entry.value)
    }

    /// Whether the key is there.
    pub fn has(&self, key: &str) -> bool {
        self.entry(key).is_some()
    }

    /// Whether an unknown key was probably meant to be this one, so that it is not missing.
    pub fn is_misspelt(&self, key: &str) -> bool {
        self.meant.iter().any(|meant| meant == key)
    }

    /// A key's value that must be there; `what` names the map. A misspelt key was reported already.
    pub fn require(&self, key: &str, what: &str, errors: &mut Vec<Diagnostic>) -> Option<&'a Node> {
        let found = self.get(key);
        if found.is_none() && !self.is_misspelt(key) {
            errors.push(Diagnostic::new(format!("{what} has no `{key}`")).at(&self.head));
        }
        found
    }

    /// Reads a key's value by `read`, which is told the key in backticks.
    pub fn read<T>(
        &self,
        key: &str,
        errors: &mut Vec<Diagnostic>,
        read: impl FnOnce(&'a Node, &str, &mut Vec<Diagnostic>) -> Option<T>,
    ) -> Option<T> {
        let entry = self.entry(key)?;
        if entry.value.is_null() {
            errors.push(
                Diagnostic::new(format!("`{key}` has no value"))
                    .at(&entry.key.head())
                    .hint("give it one, or leave the key out"),
            );
            return None;
        }
        read(entry.value, &format!("`{key}`"), errors)
    }

    /// A text.
    pub fn string(&self, key: &str, errors: &mut Vec<Diagnostic>) -> Option<String> {
        self.read(key, errors, Node::expect_string)
    }

    /// Texts, or one.
    pub fn strings(&self, key: &str, errors: &mut Vec<Diagnostic>) -> Option<Vec<String>> {
        self.read(key, errors, Node::expect_strings)
    }

    /// A boolean.
    pub fn bool(&self, key: &str, errors: &mut Vec<Diagnostic>) -> Option<bool> {
        self.read(key, errors, Node::expect_bool)
    }

    /// A whole number.
    pub fn int<T: FromStr>(&self, key: &str, errors: &mut Vec<Diagnostic>) -> Option<T> {
        self.read(key, errors, Node::expect_int)
    }

    /// A number.
    pub fn float(&self, key: &str, errors: &mut Vec<Diagnostic>) -> Option<f64> {
        self.read(key, errors, Node::expect_float)
    }

    /// A duration.
    pub fn duration(&self, key: &str, errors: &mut Vec<Diagnostic>) -> Option<Duration> {
        self.read(key, errors, Node::expect_duration)
    }

    /// A size.
    pub fn size(&self, key: &str, errors: &mut Vec<Diagnostic>) -> Option<Size> {
        self.read(key, errors, Node::expect_size)
    }

    /// A count or percentage.
    pub fn amount(&self, key: &str, errors: &mut Vec<Diagnostic>) -> Option<Amount> {
        self.read(key, errors, Node::expect_amount)
    }

    /// One of a few words.
    pub fn word<T: Copy>(
        &self,
        key: &str,
        words: &[(&str, T)],
        errors: &mut Vec<Diagnostic>,
    ) -> Option<T> {
        self.read(key, errors, |node, what, errors| {
            node.expect_word(what, words, errors)
        })
    }
}
