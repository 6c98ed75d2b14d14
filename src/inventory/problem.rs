//! A host that is known but cannot be connected to.

use crate::model::{Diagnostic, HostId};

/// What is wrong with one host of an inventory. The host stays in it, with an empty address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostProblem {
    /// The host.
    pub host: HostId,
    /// What is wrong.
    pub diagnostic: Diagnostic,
}
