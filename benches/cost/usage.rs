//! CPU time, wall time and memory of a command and everything it starts, read from `/proc`. Linux only, as the
//! lab is.

use std::fs;
use std::io::Write as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

/// Linux's `USER_HZ`, the same on every common architecture.
const TICKS: f64 = 100.0;
/// How often a running command's memory is looked at.
const LOOK: Duration = Duration::from_millis(10);

/// What a command took.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    /// CPU seconds in user mode, of the command and all its descendants.
    pub(crate) user: f64,
    /// The same in the kernel.
    pub(crate) system: f64,
    /// Seconds from start to end.
    pub(crate) wall: f64,
    /// The largest memory of the command itself (not of what it starts), in MiB.
    pub(crate) peak_mib: f64,
}

impl Usage {
    /// CPU seconds.
    pub(crate) fn cpu(&self) -> f64 {
        self.user + self.system
    }
}

/// Runs a command to its end, with this text on stdin. It must succeed, and leave no process behind: a
/// descendant that nobody waited for would not be counted.
pub(crate) fn run(mut command: Command, stdin: Option<&str>) -> Result<Usage> {
    let before = waited_for()?;
    let begin = Instant::now();
    command.stdin(if stdin.is_some() {
        Stdio::piped()
    } else {
        Stdio::null()
    });
    let mut child = command
        .spawn()
        .with_context(|| format!("cannot start {}", command.get_program().display()))?;
    if let (Some(mut pipe), Some(text)) = (child.stdin.take(), stdin) {
        pipe.write_all(text.as_bytes())?;
    }
    let (peak, left) = watch(&mut child)?;
    let wall = begin.elapsed().as_secs_f64();
    let status = child.wait()?;
    ensure!(status.success(), "{command:?} ended with {status}");
    for pid in left {
        ensure!(
            !fs::exists(format!("/proc/{pid}"))?,
            "{command:?} left process {pid} behind: its CPU time is not counted"
        );
    }
    let after = waited_for()?;
    Ok(Usage {
        user: after.0 - before.0,
        system: after.1 - before.1,
        wall,
        peak_mib: peak,
    })
}

/// Starts fab-rs and, when `count` masters of it are logged in, returns the memory (PSS, MiB) of it and of them.
pub(crate) fn open_connections(command: &mut Command, count: usize) -> Result<(f64, f64)> {
    let mut child = command.stdin(Stdio::null()).spawn()?;
    let begin = Instant::now();
    let measured = loop {
        let masters: Vec<u32> = children(child.id())
            .into_iter()
            .filter(|pid| name(*pid) == "ssh")
            .collect();
        if masters.len() == count && begin.elapsed() > Duration::from_secs(12) {
            break Ok((pss(child.id()), masters.into_iter().map(pss).sum()));
        }
        if let Some(status) = child.try_wait()? {
            break Err(status);
        }
        std::thread::sleep(LOOK);
    };
    child.wait()?;
    match measured {
        Ok(memory) => Ok(memory),
        Err(status) => bail!("fab-rs ended with {status} before {count} hosts were connected"),
    }
}

/// Waits until the command has ended but has not been waited for. Returns its peak in MiB and its last children.
fn watch(child: &mut Child) -> Result<(f64, Vec<u32>)> {
    let (mut peak, mut left): (f64, Vec<u32>) = (0.0, Vec::new());
    loop {
        let status = fs::read_to_string(format!("/proc/{}/status", child.id()))?;
        let field = |name: &str| {
            status
                .lines()
                .find_map(|line| line.strip_prefix(name)?.split_whitespace().next())
        };
        if field("State:") == Some("Z") {
            return Ok((peak, left));
        }
        if let Some(kib) = field("VmHWM:") {
            peak = peak.max(kib.parse::<f64>()? / 1024.0);
        }
        left = children(child.id());
        std::thread::sleep(LOOK);
    }
}

/// CPU seconds, user and system, of all descendants that ended and were waited for.
fn waited_for() -> Result<(f64, f64)> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    // The name may hold anything; what follows it are numbers.
    let (_, rest) = stat
        .rsplit_once(')')
        .context("/proc/self/stat has no name")?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    Ok((
        fields[13].parse::<f64>()? / TICKS,
        fields[14].parse::<f64>()? / TICKS,
    ))
}

fn children(pid: u32) -> Vec<u32> {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return Vec::new();
    };
    threads
        .flatten()
        .filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok())
        .flat_map(|text| {
            text.split_whitespace()
                .filter_map(|pid| pid.parse().ok())
                .collect::<Vec<_>>()
        })
        .collect()
}

fn name(pid: u32) -> String {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    name.trim_end().to_owned()
}

/// Proportional share of memory in MiB; 0 for a process that is gone.
fn pss(pid: u32) -> f64 {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let kib = text.lines().find_map(|line| {
        line.strip_prefix("Pss:")?
            .split_whitespace()
            .next()?
            .parse::<f64>()
            .ok()
    });
    kib.unwrap_or_default() / 1024.0
}

/// The middle of some figures; of two middles, the mean.
pub(crate) fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_by(f64::total_cmp);
    let middle = figures.len() / 2;
    if figures.len() % 2 == 1 {
        figures[middle]
    } else {
        f64::midpoint(figures[middle - 1], figures[middle])
    }
}
