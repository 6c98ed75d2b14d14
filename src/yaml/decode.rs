//! Decoding single values: what a node must be, and the error where it is something else. Maps with known
//! keys are `fields`' job.
//!
//! `what` names the value in messages, in backticks where it is the user's word: "`timeout`". A function
//! that returns `None` has added at least one error.

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use crate::model::{Amount, Diagnostic, Size, nearest, parse_duration};

use super::{Node, NodeKind, Scalar, Style, traps};

impl Node {
    /// A text; numbers and booleans are texts as they are written, so `mode: 0644` is "0644".
    pub fn expect_string(&self, what: &str, errors: &mut Vec<Diagnostic>) -> Option<String> {
        self.expect_scalar(what, "a text", errors)
            .map(|scalar| scalar.text.clone())
    }

    /// A scalar of any style.
    pub fn expect_scalar(
        &self,
        what: &str,
        wanted: &str,
        errors: &mut Vec<Diagnostic>,
    ) -> Option<&Scalar> {
        let found = self.as_scalar();
        if found.is_none() {
            errors.push(self.mismatch(what, wanted));
        }
        found
    }

    /// `true` or `false`, without quotes; YAML 1.1's `yes`, `no`, `on`, `off` are errors.
    pub fn expect_bool(&self, what: &str, errors: &mut Vec<Diagnostic>) -> Option<bool> {
        let scalar = self.expect_scalar(what, "`true` or `false`", errors)?;
        match (scalar.style, scalar.text.as_str()) {
            (Style::Plain, "true" | "True" | "TRUE") => Some(true),
            (Style::Plain, "false" | "False" | "FALSE") => Some(false),
            _ => {
                errors.push(self.not(what, &scalar.text, "`true` or `false`"));
                None
            }
        }
    }

    /// A whole number, without quotes; no leading zeros, since `010` is 8 to some parsers.
    pub fn expect_int<T: FromStr>(&self, what: &str, errors: &mut Vec<Diagnostic>) -> Option<T> {
        let scalar = self.expect_scalar(what, "a whole number", errors)?;
        let digits = scalar.text.strip_prefix('-').unwrap_or(&scalar.text);
        let canonical = !digits.is_empty()
            && digits.bytes().all(|byte| byte.is_ascii_digit())
            && (digits == "0" || !digits.starts_with('0'));
        if scalar.style == Style::Plain && canonical {
            if let Ok(number) = scalar.text.parse() {
                return Some(number);
            }
            let message = format!("{what}: `{}` is out of range", scalar.text);
            errors.push(Diagnostic::new(message).at(&self.head()));
        } else {
            errors.push(self.not(what, &scalar.text, "a whole number"));
        }
        None
    }

    /// A finite number; no leading zeros.
    pub fn expect_float(&self, what: &str, errors: &mut Vec<Diagnostic>) -> Option<f64> {
        let scalar = self.expect_scalar(what, "a number", errors)?;
        let whole = scalar.text.trim_start_matches(['-', '+']);
        let octal = whole.len() > 1 && whole.starts_with('0') && !whole.starts_with("0.");
        match scalar.text.parse::<f64>() {
            Ok(number) if scalar.style == Style::Plain && number.is_finite() && !octal => {
                Some(number)
            }
            _ => {
                errors.push(self.not(what, &scalar.text, "a number"));
                None
            }
        }
    }

    /// A duration with its unit.
    pub fn expect_duration(&self, what: &str, errors: &mut Vec<Diagnostic>) -> Option<Duration> {
        self.expect_with(what, "a duration such as `10s`", parse_duration, errors)
    }

    /// A size with its unit.
    pub fn expect_size(&self, what: &str, errors: &mut Vec<Diagnostic>) -> Option<Size> {
        self.expect_with(what, "a size such as `200MiB`", Size::from_str, errors)
    }

    /// A count or a percentage.
    pub fn expect_amount(&self, what: &str, errors: &mut Vec<Diagnostic>) -> Option<Amount> {
        let wanted = "a count such as `3` or a percentage such as `25%`";
        self.expect_with(what, wanted, Amount::from_str, errors)
    }

    /// A scalar that `parse` understands; `wanted` says what it should be.
    pub fn expect_with<T, E: Display>(
        &self,
        what: &str,
        wanted: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
        errors: &mut Vec<Diagnostic>,
    ) -> Option<T> {
        let scalar = self.expect_scalar(what, wanted, errors)?;
        parse(&scalar.text)
            .map_err(|error| {
                errors.push(Diagnostic::new(format!("{what}: {error}")).at(&self.head()));
            })
            .ok()
    }

    /// One of a few words.
    pub fn expect_word<T: Copy>(
        &self,
        what: &str,
        words: &[(&str, T)],
        errors: &mut Vec<Diagnostic>,
    ) -> Option<T> {
        let names: Vec<&str> = words.iter().map(|(name, _)| *name).collect();
        let wanted = one_of(&names);
        let scalar = self.expect_scalar(what, &wanted, errors)?;
        let found = words.iter().find(|(name, _)| *name == scalar.text);
        if found.is_none() {
            let error = self.not(what, &scalar.text, &wanted);
            errors.push(match nearest(&scalar.text, names) {
                Some(near) => error.label(format!("did you mean `{near}`?")),
                None => error,
            });
        }
        found.map(|(_, value)| *value)
    }

    /// A list.
    pub fn expect_sequence(&self, what: &str, errors: &mut Vec<Diagnostic>) -> Option<&[Node]> {
        if let NodeKind::Sequence(items) = &self.kind {
            return Some(items);
        }
        errors.push(self.mismatch(what, "a list"));
        None
    }

    /// A list, or one value that stands for a list of one.
    pub fn list_or_single(&self) -> &[Node] {
        match &self.kind {
            NodeKind::Sequence(items) => items,
            _ => std::slice::from_ref(self),
        }
    }

    /// A list of texts, or one text.
    pub fn expect_strings(&self, what: &str, errors: &mut Vec<Diagnostic>) -> Option<Vec<String>> {
        let before = errors.len();
        let texts = self
            .list_or_single()
            .iter()
            .filter_map(|node| node.expect_string(what, errors))
            .collect();
        (errors.len() == before).then_some(texts)
    }

    /// The error for a value of the wrong kind.
    pub fn mismatch(&self, what: &str, wanted: &str) -> Diagnostic {
        let error = if self.is_null() {
            Diagnostic::new(format!("{what} has no value"))
                .hint(format!("give it {wanted}, or leave it out"))
        } else {
            Diagnostic::new(format!("{what} must be {wanted}, not {}", self.kind_name()))
        };
        let error = error.at(&self.head());
        if traps::unquoted_braces(self) {
            error.hint(traps::QUOTE_BRACES)
        } else {
            error
        }
    }

    /// The error for a scalar that is not what it should be.
    fn not(&self, what: &str, text: &str, wanted: &str) -> Diagnostic {
        let shown = if self.written().is_empty() {
            text
        } else {
            self.written()
        };
        Diagnostic::new(format!("{what} must be {wanted}, not `{shown}`")).at(&self.head())
    }
}

/// "`a`", "`a` or `b`", "`a`, `b` or `c`".
fn one_of(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => format!("`{one}`"),
        [first @ .., last] => format!("`{}` or `{last}`", first.join("`, `")),
    }
}
