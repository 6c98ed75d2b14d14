//! A register as the journal keeps it.

use std::time::Duration;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::task::RegisterValue;

/// What a step registered, as it is kept: secrets masked, without its trailing newlines.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one attribute that templates read"
)]
pub struct Kept {
    /// The register's name; `None` where the step has none.
    pub name: Option<String>,
    /// The output was not kept: the step is `quiet`.
    #[serde(default)]
    pub withheld: bool,
    /// What was printed is not known.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lost: bool,
    /// Variables that it set.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub variables: IndexMap<String, serde_json::Value>,
    /// It stays the value even where the step runs again.
    #[serde(default)]
    pub sticky: bool,
    /// The exit code.
    pub rc: Option<u8>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// It passed.
    pub ok: bool,
    /// It failed.
    pub failed: bool,
    /// Its failure was ignored.
    pub ignored: bool,
    /// It was skipped.
    pub skipped: bool,
    /// Whether it changed anything.
    pub changed: Option<bool>,
    /// How long it took, milliseconds.
    pub duration_ms: u64,
    /// How often it was tried.
    pub attempts: u32,
    /// The passes of a loop.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub results: Vec<Kept>,
}

/// Of each stream so much is kept.
pub(crate) const LONGEST: usize = 64 * 1024;

impl Kept {
    /// A register as it is kept, without output where that is `withheld`.
    pub fn of(value: &RegisterValue, withheld: bool) -> Self {
        let text = |text: &str| {
            if withheld {
                return String::new();
            }
            let mut end = text.len().min(LONGEST);
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            text[..end].trim_end_matches('\n').to_owned()
        };
        Self {
            name: None,
            withheld,
            lost: value.lost,
            variables: IndexMap::new(),
            sticky: false,
            rc: value.rc,
            stdout: text(&value.stdout),
            stderr: text(&value.stderr),
            ok: value.ok,
            failed: value.failed,
            ignored: value.ignored,
            skipped: value.skipped,
            changed: value.changed,
            duration_ms: u64::try_from(value.duration.as_millis()).unwrap_or(u64::MAX),
            attempts: value.attempts,
            results: value
                .results
                .iter()
                .map(|one| Self::of(one, withheld))
                .collect(),
        }
    }

    /// The register again, where nobody can run the step once more: what was not kept of it is lost.
    pub fn shown(&self) -> RegisterValue {
        RegisterValue {
            lost: self.lost || self.withheld,
            ..self.value()
        }
    }

    /// The register again.
    pub fn value(&self) -> RegisterValue {
        RegisterValue {
            rc: self.rc,
            stdout: self.stdout.clone(),
            stderr: self.stderr.clone(),
            ok: self.ok,
            failed: self.failed,
            ignored: self.ignored,
            skipped: self.skipped,
            changed: self.changed,
            duration: Duration::from_millis(self.duration_ms),
            attempts: self.attempts,
            lost: self.lost,
            results: self.results.iter().map(Self::value).collect(),
        }
    }
}
