//! The right side of a term: alternatives with globs, or a regular expression.

use globset::{GlobBuilder, GlobMatcher};
use regex::Regex;

/// A value to compare with, ready to match. Equality is that of the texts.
#[derive(Debug, Clone)]
pub struct Pattern {
    text: String,
    form: Form,
}

#[derive(Debug, Clone)]
enum Form {
    AnyOf(Vec<Alternative>),
    Regex(Regex),
}

#[derive(Debug, Clone)]
enum Alternative {
    Literal(String),
    Glob(GlobMatcher),
}

/// Why a text is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// Nothing after the operator, or between two commas: often a shell variable that is not set.
    #[error("an empty value")]
    Empty,
    /// A glob that cannot be read.
    #[error("`{glob}` is not a glob: {reason}")]
    Glob {
        /// The alternative as written.
        glob: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A regular expression that cannot be read.
    #[error("`{regex}` is not a regular expression: {reason}")]
    Regex {
        /// The expression as written.
        regex: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl Pattern {
    /// Alternatives separated by commas, each a glob (`*`, `?`, `[abc]`, `{a,b}`; `\` takes the next
    /// character as it is). Letter case counts, and `*` crosses everything.
    ///
    /// # Errors
    /// An alternative is empty or no glob.
    pub fn any_of(text: &str) -> Result<Self, PatternError> {
        let alternatives = split_alternatives(text)
            .into_iter()
            .map(Alternative::parse)
            .collect::<Result<_, _>>()?;
        Ok(Self {
            text: text.to_owned(),
            form: Form::AnyOf(alternatives),
        })
    }

    /// A regular expression, matched anywhere in the value.
    ///
    /// # Errors
    /// It is empty or cannot be read.
    pub fn regex(text: &str) -> Result<Self, PatternError> {
        if text.is_empty() {
            return Err(PatternError::Empty);
        }
        let regex = Regex::new(text).map_err(|error| PatternError::Regex {
            regex: text.to_owned(),
            reason: last_line(&error.to_string()),
        })?;
        Ok(Self {
            text: text.to_owned(),
            form: Form::Regex(regex),
        })
    }

    /// Whether the value fits.
    pub fn matches(&self, value: &str) -> bool {
        match &self.form {
            Form::AnyOf(alternatives) => alternatives.iter().any(|one| one.matches(value)),
            Form::Regex(regex) => regex.is_match(value),
        }
    }

    /// The text as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The alternatives that are plain words, which a nearest match can be sought for.
    pub fn literals(&self) -> impl Iterator<Item = &str> {
        let alternatives: &[Alternative] = match &self.form {
            Form::AnyOf(alternatives) => alternatives,
            Form::Regex(_) => &[],
        };
        alternatives.iter().filter_map(|one| match one {
            Alternative::Literal(word) => Some(word.as_str()),
            Alternative::Glob(_) => None,
        })
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        let kind = |pattern: &Self| matches!(pattern.form, Form::Regex(_));
        self.text == other.text && kind(self) == kind(other)
    }
}

impl Eq for Pattern {}

impl Alternative {
    fn parse(text: &str) -> Result<Self, PatternError> {
        if text.is_empty() {
            return Err(PatternError::Empty);
        }
        if !text.contains(['*', '?', '[', ']', '{', '}', '\\']) {
            return Ok(Self::Literal(text.to_owned()));
        }
        let glob = GlobBuilder::new(text)
            .backslash_escape(true)
            .build()
            .map_err(|error| PatternError::Glob {
                glob: text.to_owned(),
                reason: error.kind().to_string(),
            })?;
        Ok(Self::Glob(glob.compile_matcher()))
    }

    fn matches(&self, value: &str) -> bool {
        match self {
            Self::Literal(word) => word == value,
            Self::Glob(glob) => glob.is_match(value),
        }
    }
}

/// Splits at commas, but not inside `{…}` or `[…]` and not after a backslash.
fn split_alternatives(text: &str) -> Vec<&str> {
    let (mut parts, mut start, mut braces, mut in_class, mut escaped) =
        (Vec::new(), 0, 0_u32, false, false);
    for (at, character) in text.char_indices() {
        if std::mem::take(&mut escaped) {
            continue;
        }
        match character {
            '\\' => escaped = true,
            '[' => in_class = true,
            ']' => in_class = false,
            '{' if !in_class => braces += 1,
            '}' if !in_class => braces = braces.saturating_sub(1),
            ',' if braces == 0 && !in_class => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

/// The sentence at the end of an error that draws a picture first.
fn last_line(text: &str) -> String {
    let line = text.lines().last().unwrap_or(text);
    line.trim_start_matches("error: ").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alternatives_and_globs_match_whole_values() {
        let table: &[(&str, &[&str], &[&str])] = &[
            ("app", &["app"], &["App", "app-1", "", "api"]),
            ("app,api", &["app", "api"], &["app,api"]),
            ("app-*", &["app-1", "app-", "app-a/b"], &["app", "xapp-1"]),
            ("app-?", &["app-1"], &["app-10"]),
            ("app-[12]", &["app-1", "app-2"], &["app-3"]),
            ("app-{1,2},db", &["app-1", "app-2", "db"], &["app-3"]),
            (r"a\*b", &["a*b"], &["axb"]),
            (r"a\,b", &["a,b"], &["a", "b"]),
            (
                "$(touch /tmp/x); y",
                &["$(touch /tmp/x); y"],
                &["touch /tmp/x"],
            ),
        ];
        for (pattern, fitting, others) in table {
            let parsed = Pattern::any_of(pattern).unwrap();
            for value in *fitting {
                assert!(parsed.matches(value), "{pattern} should match {value}");
            }
            for value in *others {
                assert!(!parsed.matches(value), "{pattern} should not match {value}");
            }
        }
    }

    #[test]
    fn a_regular_expression_matches_anywhere_unless_anchored() {
        assert!(Pattern::regex("pp[0-9]+").unwrap().matches("app12x"));
        assert!(!Pattern::regex("^app[0-9]+$").unwrap().matches("app12x"));
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        for text in ["", "app,", ",app", "app,,api"] {
            assert_eq!(Pattern::any_of(text), Err(PatternError::Empty), "{text}");
        }
        assert_eq!(
            Pattern::any_of("app-[1").unwrap_err().to_string(),
            "`app-[1` is not a glob: unclosed character class; missing ']'"
        );
        assert_eq!(
            Pattern::regex("app(").unwrap_err().to_string(),
            "`app(` is not a regular expression: unclosed group"
        );
        assert_eq!(Pattern::regex(""), Err(PatternError::Empty));
    }

    #[test]
    fn only_plain_words_are_literals() {
        let pattern = Pattern::any_of("app,db-*,api").unwrap();
        assert_eq!(pattern.literals().collect::<Vec<_>>(), ["app", "api"]);
    }
}
