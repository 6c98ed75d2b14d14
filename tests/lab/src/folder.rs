//! The folders of fleets: names, making one, removing those whose process is gone. What is in them is written by others.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context as _, Result, ensure};

use crate::process::Process;
use crate::state::State;
use crate::{full, place};

/// Tells the fleets of one process apart.
static FLEETS: AtomicUsize = AtomicUsize::new(0);

/// Makes a fleet's folder, empty, and removes the folders of fleets whose process is gone. A fleet that stays has its
/// bare name.
pub(crate) fn make(fleet: &str, stays: bool) -> Result<PathBuf> {
    ensure!(
        is_name(fleet),
        "`{fleet}` is no name for a fleet: use letters, digits, `-`, `_`"
    );
    let fleets = place::fleets();
    fs::create_dir_all(&fleets).with_context(|| format!("cannot make {}", fleets.display()))?;
    sweep(&fleets);
    let own = Process::of(std::process::id()).context("/proc is not mounted")?;
    let name = if stays {
        fleet.to_owned()
    } else {
        let number = FLEETS.fetch_add(1, Ordering::Relaxed);
        format!("{fleet}.{}.{}.{number}", own.pid, own.start)
    };
    let dir = fleets.join(name);
    if dir.exists() {
        let alive =
            State::read(&dir)?.is_some_and(|state| state.is_alive()) || full::is_alive(&dir)?;
        ensure!(
            !alive,
            "the fleet {fleet} is up already: `cargo lab down --name {fleet}` first"
        );
        fs::remove_dir_all(&dir).with_context(|| format!("cannot empty {}", dir.display()))?;
    }
    fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    fs::canonicalize(&dir).with_context(|| format!("cannot find {}", dir.display()))
}

/// Removes the folders `NAME.PID.START.N` of processes that are gone.
fn sweep(fleets: &Path) {
    for entry in fs::read_dir(fleets).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let parts: Vec<_> = name.to_str().unwrap_or_default().split('.').collect();
        if let [_, pid, start, _] = parts[..]
            && let (Ok(pid), Ok(start)) = (pid.parse(), start.parse())
            && !(Process { pid, start }).is_alive()
        {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Whether it will do as a name of a file, a unit, a fleet.
pub(crate) fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}

/// The fleets that stay and have this file in their folder.
pub(crate) fn names_with(file: &str) -> Vec<String> {
    let entries = fs::read_dir(place::fleets())
        .into_iter()
        .flatten()
        .flatten();
    let mut names: Vec<_> = entries
        .filter(|entry| entry.path().join(file).exists())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| !name.contains('.'))
        .collect();
    names.sort();
    names
}
