//! Processes as /proc shows them: identity that survives reuse of numbers, descent, ending. No waiting for children.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

/// A process, told from a later one with the same number by its start time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// The process number, as the machine sees it.
    pub pid: u32,
    /// Field 22 of `/proc/PID/stat`: when it started, in clock ticks after boot.
    pub start: u64,
}

/// A process inside a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostProcess {
    /// The number that the host sees.
    pub pid: u32,
    /// The number that the machine sees.
    pub outer_pid: u32,
    /// The owner.
    pub uid: u32,
    /// The short name (`/proc/PID/comm`).
    pub name: String,
    /// The arguments, joined by spaces.
    pub command: String,
}

/// What one line of `/proc/PID/stat` says.
struct Stat {
    name: String,
    state: char,
    parent: u32,
    start: u64,
}

fn stat(pid: u32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (head, tail) = text.rsplit_once(") ")?;
    let name = head.split_once('(')?.1.to_owned();
    let fields: Vec<&str> = tail.split(' ').collect();
    Some(Stat {
        name,
        state: fields.first()?.chars().next()?,
        parent: fields.get(1)?.parse().ok()?,
        start: fields.get(19)?.parse().ok()?,
    })
}

impl Process {
    /// The process that has this number now.
    pub fn of(pid: u32) -> Option<Self> {
        stat(pid).map(|stat| Self {
            pid,
            start: stat.start,
        })
    }

    /// Whether it lives; a zombie does not.
    pub fn is_alive(self) -> bool {
        stat(self.pid).is_some_and(|stat| stat.start == self.start && stat.state != 'Z')
    }

    /// Sends a signal, if the number is still this process's.
    pub fn signal(self, signal: Signal) {
        if self.is_alive()
            && let Some(pid) = pid(self.pid)
        {
            // A process that ended in the meantime is what the caller wants or sees at its next look.
            let _ = kill_process(pid, signal);
        }
    }

    /// Kills it and waits until it is gone; false when it is not after this long.
    pub fn end(self, within: Duration) -> bool {
        self.signal(Signal::KILL);
        poll(within, || (!self.is_alive()).then_some(())).is_some()
    }

    /// Where the process's root folder is seen from outside.
    pub fn root(self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root", self.pid))
    }
}

fn pid(number: u32) -> Option<Pid> {
    i32::try_from(number).ok().and_then(Pid::from_raw)
}

/// The first child of a process.
pub(crate) fn child_of(parent: u32) -> Option<Process> {
    children_of(parent).into_iter().next()
}

/// The children of a process (of its first thread); none when it is gone.
pub(crate) fn children(parent: Process) -> Vec<Process> {
    if parent.is_alive() {
        children_of(parent.pid)
    } else {
        Vec::new()
    }
}

fn children_of(parent: u32) -> Vec<Process> {
    let file = format!("/proc/{parent}/task/{parent}/children");
    let text = fs::read_to_string(file).unwrap_or_default();
    text.split_whitespace()
        .filter_map(|pid| Process::of(pid.parse().ok()?))
        .collect()
}

/// The number that a process has in the innermost pid namespace that it is in.
pub(crate) fn inner_pid(process: Process) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{}/status", process.pid)).ok()?;
    let line = status.lines().find(|line| line.starts_with("NSpid:"))?;
    line.split_whitespace().last()?.parse().ok()
}

/// A process and everything below it, in the order of their numbers.
pub(crate) fn tree(top: Process) -> Vec<HostProcess> {
    let mut parents = BTreeMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<u32>().ok())
        else {
            continue;
        };
        if let Some(stat) = stat(pid) {
            parents.insert(pid, stat);
        }
    }
    if parents
        .get(&top.pid)
        .is_none_or(|stat| stat.start != top.start)
    {
        return Vec::new();
    }
    let below = |mut pid: u32| loop {
        if pid == top.pid {
            return true;
        }
        match parents.get(&pid) {
            Some(stat) => pid = stat.parent,
            None => return false,
        }
    };
    parents
        .iter()
        .filter(|(pid, stat)| stat.state != 'Z' && below(**pid))
        .filter_map(|(pid, stat)| describe(*pid, &stat.name))
        .collect()
}

fn describe(outer_pid: u32, name: &str) -> Option<HostProcess> {
    let status = fs::read_to_string(format!("/proc/{outer_pid}/status")).ok()?;
    let field = |key: &str| {
        let line = status.lines().find(|line| line.starts_with(key))?;
        Some(
            line.split_whitespace()
                .skip(1)
                .map(str::to_owned)
                .collect::<Vec<_>>(),
        )
    };
    let arguments = fs::read(format!("/proc/{outer_pid}/cmdline")).unwrap_or_default();
    let command = String::from_utf8_lossy(&arguments)
        .replace('\0', " ")
        .trim()
        .to_owned();
    Some(HostProcess {
        pid: field("NSpid:")?.last()?.parse().ok()?,
        outer_pid,
        uid: field("Uid:")?.first()?.parse().ok()?,
        name: name.to_owned(),
        command,
    })
}

/// Asks again and again, with short pauses, until there is an answer or the time is up.
pub(crate) fn poll<T>(within: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + within;
    let mut pause = Duration::from_millis(2);
    loop {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        if Instant::now() >= end {
            return None;
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}

#[cfg(test)]
mod tests {
    use super::{Process, tree};

    #[test]
    fn a_process_knows_itself_and_not_its_successor() {
        let own = Process::of(std::process::id()).unwrap();
        assert!(own.is_alive());
        assert!(
            !Process {
                start: own.start + 1,
                ..own
            }
            .is_alive()
        );
    }

    #[test]
    fn a_tree_has_the_children() {
        let mut child = std::process::Command::new("sleep")
            .arg("100")
            .spawn()
            .unwrap();
        let found = tree(Process::of(std::process::id()).unwrap());
        assert!(
            found
                .iter()
                .any(|p| p.outer_pid == child.id() && p.name == "sleep"),
            "{found:?}"
        );
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(
            tree(Process {
                pid: child.id(),
                start: 1
            })
            .is_empty()
        );
    }
}
