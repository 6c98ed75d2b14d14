//! One term: `KEY OP VALUE` or `all`. Parsing and printing are each other's inverse.

use std::fmt;
use std::str::FromStr;

use super::{Attribute, Pattern, PatternError, SpellingError, TagKeys};
use crate::model::{Diagnostic, Host};

/// A condition on a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Term {
    /// `all`: every host.
    All,
    /// `KEY OP VALUE`.
    Compare(Comparison),
}

/// `KEY OP VALUE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// What is compared.
    pub key: Key,
    /// How.
    pub operator: Operator,
    /// With what.
    pub pattern: Pattern,
}

/// The left side of a term.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    /// A built-in attribute.
    Attribute(Attribute),
    /// A tag, in whatever spelling the inventory bears.
    Tag(String),
    /// `tag:KEY`: a tag with exactly this key, also where a built-in attribute has the name.
    ExactTag(String),
}

/// How a term compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operator {
    /// `=`: is any of.
    Equal,
    /// `!=`: is none of, or is absent.
    NotEqual,
    /// `~=`: matches the regular expression.
    Matches,
}

/// Why a text is no term.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TermError {
    /// There is no operator in it.
    #[error("`{text}` is not a selector such as `role=app`")]
    NoOperator {
        /// What was typed.
        text: String,
    },
    /// Nothing stands before the operator.
    #[error("`{text}` names no attribute or tag")]
    NoKey {
        /// What was typed.
        text: String,
    },
    /// The value cannot be read.
    #[error("`{text}` is not a selector: {reason}")]
    Value {
        /// What was typed.
        text: String,
        /// What is wrong with the value.
        reason: PatternError,
    },
}

impl TermError {
    /// What the user can do about it, where that is not plain from the message.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoOperator { .. } => Some(
                "a selector is `KEY=VALUE`, `KEY!=VALUE`, `KEY~=REGEX` or `all`; a host's name goes with `-H`".to_owned(),
            ),
            Self::Value { text, reason: PatternError::Empty } => {
                let key = split(text).map_or("KEY", |(key, _, _)| key);
                Some(format!("is a shell variable unset? `{key}=*` matches any value, `{key}!=*` hosts without one"))
            }
            Self::NoKey { .. } | Self::Value { .. } => None,
        }
    }

    /// The error for people.
    pub fn diagnostic(&self) -> Diagnostic {
        let error = Diagnostic::new(self.to_string());
        match self.hint() {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }
}

/// Splits a word at its operator: the first `=`, with a `!` or `~` right before it.
pub(crate) fn split(word: &str) -> Option<(&str, Operator, &str)> {
    let at = word.find('=')?;
    let (key, value) = (&word[..at], &word[at + 1..]);
    Some(if let Some(key) = key.strip_suffix('!') {
        (key, Operator::NotEqual, value)
    } else if let Some(key) = key.strip_suffix('~') {
        (key, Operator::Matches, value)
    } else {
        (key, Operator::Equal, value)
    })
}

impl Term {
    /// `KEY=VALUE`, for flags such as `-R VALUE`.
    ///
    /// # Errors
    /// The value cannot be read.
    pub fn equal(key: &str, pattern: &str) -> Result<Self, TermError> {
        format!("{key}={pattern}").parse()
    }

    /// Whether the term asks for the instance state, and so lifts the default of running ones only.
    pub fn asks_for_state(&self) -> bool {
        matches!(
            self,
            Self::Compare(Comparison {
                key: Key::Attribute(Attribute::State),
                ..
            })
        )
    }

    /// The term with its tag key as the inventory spells it, ready to match hosts.
    ///
    /// # Errors
    /// The inventory spells the key in several ways.
    pub fn matcher<'t>(&'t self, keys: &'t TagKeys) -> Result<Matcher<'t>, SpellingError> {
        Ok(match self {
            Self::All => Matcher(None),
            Self::Compare(comparison) => {
                let key = match &comparison.key {
                    Key::Attribute(attribute) => Resolved::Attribute(*attribute),
                    Key::ExactTag(key) => Resolved::Tag(key),
                    Key::Tag(key) => Resolved::Tag(keys.spelling(key)?.unwrap_or(key)),
                };
                Matcher(Some((key, comparison.operator, &comparison.pattern)))
            }
        })
    }
}

/// A term with its key resolved against one inventory.
#[derive(Debug, Clone, Copy)]
pub struct Matcher<'t>(Option<(Resolved<'t>, Operator, &'t Pattern)>);

#[derive(Debug, Clone, Copy)]
enum Resolved<'t> {
    Attribute(Attribute),
    Tag(&'t str),
}

impl<'t> Matcher<'t> {
    /// Whether the host fits.
    pub fn matches(&self, host: &Host) -> bool {
        let Some((_, operator, pattern)) = &self.0 else {
            return true;
        };
        let mut values = self.values(host).into_iter();
        match operator {
            Operator::Equal | Operator::Matches => values.any(|value| pattern.matches(value)),
            Operator::NotEqual => !values.any(|value| pattern.matches(value)),
        }
    }

    /// The host's values of what the term compares.
    pub(crate) fn values<'h>(&self, host: &'h Host) -> Vec<&'h str> {
        match self.0 {
            None => Vec::new(),
            Some((Resolved::Attribute(attribute), ..)) => attribute.values(host),
            Some((Resolved::Tag(key), ..)) => host.tags.get(key).into_iter().collect(),
        }
    }

    /// The key as the inventory bears it; `None` for `all`.
    pub(crate) fn key(&self) -> Option<&'t str> {
        self.0.map(|(key, ..)| match key {
            Resolved::Attribute(attribute) => attribute.name(),
            Resolved::Tag(key) => key,
        })
    }
}

impl Key {
    /// The key that a text names: an attribute before a tag.
    pub fn parse(text: &str) -> Self {
        if let Some(attribute) = Attribute::named(text) {
            return Self::Attribute(attribute);
        }
        match text.strip_prefix("tag:") {
            Some(key) if !key.is_empty() => Self::ExactTag(key.to_owned()),
            _ => Self::Tag(text.to_owned()),
        }
    }
}

impl FromStr for Term {
    type Err = TermError;

    fn from_str(text: &str) -> Result<Self, TermError> {
        if text == "all" {
            return Ok(Self::All);
        }
        let owned = || text.to_owned();
        let (key, operator, value) =
            split(text).ok_or_else(|| TermError::NoOperator { text: owned() })?;
        if key.is_empty() {
            return Err(TermError::NoKey { text: owned() });
        }
        let pattern = match operator {
            Operator::Equal | Operator::NotEqual => Pattern::any_of(value),
            Operator::Matches => Pattern::regex(value),
        };
        Ok(Self::Compare(Comparison {
            key: Key::parse(key),
            operator,
            pattern: pattern.map_err(|reason| TermError::Value {
                text: owned(),
                reason,
            })?,
        }))
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Compare(Comparison {
                key,
                operator,
                pattern,
            }) => write!(f, "{key}{operator}{}", pattern.text()),
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Attribute(attribute) => f.write_str(attribute.name()),
            Self::Tag(key) => f.write_str(key),
            Self::ExactTag(key) => write!(f, "tag:{key}"),
        }
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Matches => "~=",
        })
    }
}

#[cfg(test)]
#[path = "term_tests.rs"]
mod tests;
