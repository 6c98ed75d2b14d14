//! The journal of a run as this process keeps it, and what it says of itself there.

use std::sync::Arc;

use anyhow::Context as _;

use crate::journal::{self, Sync, Writer};
use crate::model::RunId;
use crate::plan::Plan;
use crate::report::RunFolder;
use crate::run::journal::{Fact, Journal as _, Opening, Process};
use crate::run::record::Record as _;
use crate::task::Kind;

use super::failure::Failure;

/// Whether the journal of a run of this kind survives a crash of the machine.
fn sync(kind: Kind) -> Sync {
    match kind {
        Kind::Change => Sync::Always,
        Kind::Read => Sync::Never,
    }
}

/// Begins the journal of a run: nothing is done before its first line is kept.
///
/// # Errors
/// The journal cannot be written: the cause.
pub(super) async fn begin(
    folder: &RunFolder,
    plan: &Plan,
    (typed, retries): (serde_json::Value, Option<RunId>),
) -> Result<Arc<Writer>, String> {
    let path = folder.folder().join(journal::FILE);
    let writer = Writer::open(&path, folder.id(), (0, 0), sync(plan.kind));
    let writer = writer.map_err(|error| error.to_string())?;
    writer.note(Fact::RunStarted(Box::new(Opening {
        task: plan.task.name.clone(),
        task_hash: plan.task_hash.clone(),
        changes: plan.kind == Kind::Change,
        population: plan.population.iter().map(|host| host.id.clone()).collect(),
        targets: plan.targets.clone(),
        retries,
        process: this_process(),
        typed,
    })));
    writer.settled().await?;
    Ok(Arc::new(writer))
}

/// Goes on with the journal of a run, of which `whole` bytes hold `records` records.
///
/// # Errors
/// The journal cannot be written.
pub(super) fn kept_on(
    path: &std::path::Path,
    (run, kind): (&RunId, Kind),
    kept: (usize, u64),
) -> Result<Arc<Writer>, Failure> {
    let writer = Writer::open(path, run, kept, sync(kind));
    Ok(Arc::new(writer.context("cannot write the run's journal")?))
}

/// What was typed, as far as it takes to plan the same again: the arguments and the params' values, without
/// secrets.
///
/// `stdin` says that a script came from there, of which nothing is left.
pub(super) fn typed(
    plan: &Plan,
    (argv, stdin): (&[String], bool),
    cwd: &std::path::Path,
) -> serde_json::Value {
    let is_secret = |word: &str| {
        let word = word.strip_prefix("--set=").unwrap_or(word);
        let key = word.split_once('=').map(|(key, _)| key);
        let param = key.and_then(|key| plan.task.params.get(key));
        param.is_some_and(|param| param.secret)
    };
    let mut kept: Vec<&String> = Vec::new();
    for word in argv {
        if !is_secret(word) {
            kept.push(word);
        } else if kept.last().is_some_and(|flag| *flag == "--set") {
            kept.pop();
        }
    }
    let params = plan.params.iter();
    let params: serde_json::Map<_, _> = params
        .filter(|(name, _)| {
            plan.task
                .params
                .get(*name)
                .is_some_and(|param| !param.secret)
        })
        .map(|(name, value)| (name.clone(), value.json()))
        .collect();
    serde_json::json!({"argv": kept, "cwd": cwd, "params": params, "stdin": stdin})
}

/// This process, as a later one finds it again.
pub(super) fn this_process() -> Process {
    let pid = std::process::id();
    Process {
        pid,
        started: started(pid).unwrap_or(0),
    }
}

/// When a process started, in ticks since boot; `None` where there is none.
pub(super) fn started(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in brackets may hold anything; the 22nd field is counted from behind it.
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_by_its_start() {
        let process = this_process();
        assert!(process.started > 0);
        assert_eq!(started(process.pid), Some(process.started));
    }
}
