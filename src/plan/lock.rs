//! The lock's key of a change: what two operators must not do at the same time. Taking it is the run's.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::model::{Host, Label};
use crate::task::{Kind, Task};

/// The key: `TASK/SERVICE/ENV` by the hosts' tags, `-` for a tag that is missing; several, joined by commas,
/// where the hosts differ. A tag is percent-encoded as a file name is, since a lock is one on a host. `None`
/// for a task that only reads.
pub(super) fn key(task: &Task, hosts: &[Arc<Host>]) -> Option<String> {
    if task.kind == Kind::Read {
        return None;
    }
    let of = |host: &Arc<Host>| {
        let tag = |key: &str| {
            host.tags
                .get(key)
                .map_or_else(|| "-".to_owned(), |value| Label::new(value).file_name())
        };
        format!("{}/{}/{}", task.name, tag("service"), tag("env"))
    };
    let keys: BTreeSet<String> = hosts.iter().map(of).collect();
    Some(keys.into_iter().collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Tags;
    use crate::task::adhoc::{self, AdHocManner};

    #[test]
    fn a_lock_is_named_by_task_service_and_environment() {
        let manner = AdHocManner {
            is_change: true,
            sudo: None,
        };
        let task = adhoc::command(&["id".to_owned()], &manner).unwrap();
        let host = |tags: &[(&str, &str)]| {
            Arc::new(Host {
                tags: tags.iter().copied().collect::<Tags>(),
                ..Host::named("a", "10.0.0.1")
            })
        };
        let hosts = [
            host(&[("service", "api"), ("env", "prod")]),
            host(&[("service", "../x y")]),
        ];
        assert_eq!(
            key(&task, &hosts).as_deref(),
            Some("run/%2E.%2Fx%20y/-,run/api/prod")
        );
        let reading = adhoc::command(&["id".to_owned()], &AdHocManner::default()).unwrap();
        assert_eq!(key(&reading, &hosts), None);
    }
}
