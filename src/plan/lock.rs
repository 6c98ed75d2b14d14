//! The lock's key of a change: what two operators must not do at the same time. Taking it is the run's.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::model::Host;
use crate::task::{Kind, Task};

/// The key: `TASK/SERVICE/ENV` by the hosts' tags, `-` for a tag that is missing; several, joined by commas,
/// where the hosts differ. `None` for a task that only reads.
pub(super) fn key(task: &Task, hosts: &[Arc<Host>]) -> Option<String> {
    if task.kind == Kind::Read {
        return None;
    }
    let of = |host: &Arc<Host>| {
        let tag = |key: &str| host.tags.get(key).unwrap_or("-").to_owned();
        format!("{}/{}/{}", task.name, tag("service"), tag("env"))
    };
    let keys: BTreeSet<String> = hosts.iter().map(of).collect();
    Some(keys.into_iter().collect::<Vec<_>>().join(","))
}
