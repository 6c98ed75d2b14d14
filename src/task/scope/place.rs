//! A host's place in the rollout as templates see it: `zone`, `batch`, `rollout`, and `fab`.

use std::sync::Arc;

use minijinja::Value;
use minijinja::value::{Enumerator, Object};

use super::facts::Facts;
use super::host_view::HostView;
use crate::model::{Host, RunId, Zone};
use crate::task::template::Fab;

/// Hosts with their numbers in the population.
type Numbered = Arc<[(Arc<Host>, usize)]>;

/// A zone of a phase.
#[derive(Debug, Clone)]
pub struct ZonePlace {
    /// Its name.
    pub name: Zone,
    /// Its number in the order of the rollout, from 0.
    pub index: usize,
    /// How many zones the phase has.
    pub count: usize,
    /// Its hosts in the order of the rollout, with their numbers in the population.
    pub hosts: Numbered,
}

/// A batch of a phase.
#[derive(Debug, Clone)]
pub struct BatchPlace {
    /// Its number, from 0.
    pub index: usize,
    /// How many batches the phase has.
    pub count: usize,
    /// Whether it is the canary.
    pub canary: bool,
    /// Its hosts, with their numbers in the population.
    pub hosts: Numbered,
}

/// What is known of a rollout while it is planned.
#[derive(Debug, Clone)]
pub struct Rollout {
    /// The task's name.
    pub task: String,
    /// The phase's name.
    pub phase: String,
    /// How many hosts are touched.
    pub total: usize,
    /// Every host that the selector matches.
    pub population: Numbered,
}

/// What only a run knows.
#[derive(Debug, Clone)]
pub struct RunFacts {
    /// The run.
    pub id: RunId,
    /// When it began.
    pub started_at: jiff::Timestamp,
    /// Who runs it.
    pub user: String,
    /// The record's folder.
    pub dir: String,
    /// Hosts that ended ok so far.
    pub ok: usize,
    /// Hosts that failed so far.
    pub failed: usize,
}

/// A view whose fields are looked up by a function.
#[derive(Debug)]
struct Fields<T> {
    of: T,
    keys: &'static [&'static str],
    get: fn(&T, &str) -> Option<Value>,
}

impl<T: std::fmt::Debug + Send + Sync + 'static> Object for Fields<T> {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        (self.get)(&self.of, key)
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        let keys = self.keys.iter().copied();
        Enumerator::Values(
            keys.filter(|key| (self.get)(&self.of, key).is_some())
                .map(Value::from)
                .collect(),
        )
    }
}

fn hosts(hosts: &Numbered, facts: Option<&Arc<Facts>>) -> Value {
    let views = hosts
        .iter()
        .map(|(host, index)| HostView::value(host, *index, facts));
    Value::from(views.collect::<Vec<Value>>())
}

impl ZonePlace {
    /// `zone`; `id` is the zone's id, the same in every account.
    pub(super) fn value(self: &Arc<Self>, id: Option<&str>, facts: Option<&Arc<Facts>>) -> Value {
        Value::from_object(Fields {
            of: (Arc::clone(self), id.map(str::to_owned), facts.cloned()),
            keys: &["name", "id", "index", "count", "hosts", "first", "last"],
            get: |(zone, id, facts), key| match key {
                "name" => Some(zone.name.as_str().into()),
                "id" => id.as_deref().map(Value::from),
                "index" => Some(zone.index.into()),
                "count" => Some(zone.count.into()),
                "hosts" => Some(hosts(&zone.hosts, facts.as_ref())),
                "first" => Some((zone.index == 0).into()),
                "last" => Some((zone.index + 1 == zone.count).into()),
                _ => None,
            },
        })
    }
}

impl BatchPlace {
    /// `batch`.
    pub(super) fn value(self: &Arc<Self>, facts: Option<&Arc<Facts>>) -> Value {
        Value::from_object(Fields {
            of: (Arc::clone(self), facts.cloned()),
            keys: &["index", "count", "hosts", "size", "canary", "last"],
            get: |(batch, facts), key| match key {
                "index" => Some(batch.index.into()),
                "count" => Some(batch.count.into()),
                "hosts" => Some(hosts(&batch.hosts, facts.as_ref())),
                "size" => Some(batch.hosts.len().into()),
                "canary" => Some(batch.canary.into()),
                "last" => Some((batch.index + 1 == batch.count).into()),
                _ => None,
            },
        })
    }
}

impl Rollout {
    /// `rollout`, with what only a run knows where there is one.
    pub(super) fn value(
        self: &Arc<Self>,
        run: Option<&RunFacts>,
        facts: Option<&Arc<Facts>>,
    ) -> Value {
        Value::from_object(Fields {
            of: (Arc::clone(self), run.cloned(), facts.cloned()),
            keys: &[
                "id",
                "task",
                "phase",
                "user",
                "started_at",
                "total",
                "ok",
                "failed",
                "remaining",
                "population",
            ],
            get: |(rollout, run, facts), key| match (key, run) {
                ("task", _) => Some(rollout.task.as_str().into()),
                ("phase", _) => Some(rollout.phase.as_str().into()),
                ("total", _) => Some(rollout.total.into()),
                ("population", _) => Some(hosts(&rollout.population, facts.as_ref())),
                ("id", Some(run)) => Some(run.id.as_str().into()),
                ("user", Some(run)) => Some(run.user.as_str().into()),
                ("started_at", Some(run)) => Some(run.started_at.to_string().into()),
                ("ok", Some(run)) => Some(run.ok.into()),
                ("failed", Some(run)) => Some(run.failed.into()),
                ("remaining", Some(run)) => {
                    let ended = run.ok + run.failed;
                    Some(rollout.total.saturating_sub(ended).into())
                }
                _ => None,
            },
        })
    }
}

/// `fab`.
pub(super) fn fab(fab: &Fab, run: Option<&RunFacts>) -> Value {
    Value::from_object(Fields {
        of: (fab.clone(), run.map(|run| run.dir.clone())),
        keys: &["version", "git_sha", "git_dirty", "cwd", "run_dir"],
        get: |(fab, dir), key| match key {
            "version" => Some(fab.version.as_str().into()),
            "git_sha" => fab.git_sha.as_deref().map(Value::from),
            "git_dirty" => fab.git_dirty.map(Value::from),
            "cwd" => Some(fab.cwd.as_str().into()),
            "run_dir" => dir.as_deref().map(Value::from),
            _ => None,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_knows_its_place() {
        let host = Arc::new(Host::named("a1", "10.0.0.1"));
        let zone = Arc::new(ZonePlace {
            name: Zone::new("a"),
            index: 1,
            count: 2,
            hosts: Arc::new([(host, 4)]),
        });
        let value = zone.value(Some("use1-az2"), None);
        let get = |key: &str| value.get_attr(key).unwrap();
        assert_eq!(
            ["name", "id", "first", "last"].map(get),
            ["a".into(), "use1-az2".into(), false.into(), true.into()]
        );
        let first = value.get_attr("hosts").unwrap().get_item_by_index(0);
        assert_eq!(first.unwrap().get_attr("index").unwrap(), 4.into());
    }
}
