//! An availability zone by its name within one account, such as `us-west-2a`.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// An availability zone's name. A host that has none is in [`Zone::none`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Zone(Arc<str>);

impl Zone {
    /// The zone of this name.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self(name.into())
    }

    /// The zone of hosts without one; shown as `none`.
    pub fn none() -> Self {
        Self::new("none")
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}
