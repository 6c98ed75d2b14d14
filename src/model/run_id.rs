//! A run's id: `YYYYMMDDThhmmssZ-TASK-xxxx`.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A run's id, also the name of its record's folder; ids sort by time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(Arc<str>);

impl RunId {
    /// The id of a run of `task` started at `time`; `random` keeps runs of one second apart.
    pub fn new(time: jiff::Timestamp, task: &str, random: u16) -> Self {
        Self(format!("{}-{task}-{random:04x}", time.strftime("%Y%m%dT%H%M%SZ")).into())
    }

    /// An id that was read back from a record.
    pub fn from_text(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}
