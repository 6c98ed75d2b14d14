//! The lock of a change: what two operators must not do at the same time. Taking it is the run's.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use crate::model::{Host, Label};
use crate::task::{Kind, LockKey, Task};

/// The lock of a change: a key for every host of the population, since two operators whose targets differ must
/// meet. Most often it is one key for all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lock {
    /// The key of each host, in the order of [`Plan::population`](super::Plan::population).
    pub keys: Vec<String>,
}

/// Every key once, joined by commas.
impl fmt::Display for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: BTreeSet<&str> = self.keys.iter().map(String::as_str).collect();
        f.write_str(&keys.into_iter().collect::<Vec<_>>().join(","))
    }
}

/// The lock of a task: its own key, the same for every host, else each host's `TASK/SERVICE/ENV` by its tags, `-`
/// for a tag that is missing. A tag is percent-encoded as a file name is, so that no other key looks like it.
/// `None` for a task that only reads, and for one that wants none.
pub(super) fn lock(task: &Task, key: Option<&str>, hosts: &[Arc<Host>]) -> Option<Lock> {
    if task.kind == Kind::Read || task.lock == LockKey::None {
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
    let keys = hosts.iter();
    let keys = keys.map(|host| key.map_or_else(|| of(host), str::to_owned));
    Some(Lock {
        keys: keys.collect(),
    })
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
            lock(&task, None, &hosts).unwrap().to_string(),
            "run/%2E.%2Fx%20y/-,run/api/prod"
        );
        let one = lock(&task, Some("es/logs"), &hosts).unwrap();
        assert_eq!(one.keys, ["es/logs", "es/logs"]);
        assert_eq!(one.to_string(), "es/logs");
        let reading = adhoc::command(&["id".to_owned()], &AdHocManner::default()).unwrap();
        assert_eq!(lock(&reading, None, &hosts), None);
    }
}
