//! Loopback addresses for a fleet: blocks of 127.X.Y.0/24 that no other fleet on the machine uses, held by a keeper.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::place;
use crate::process::Process;

/// The port of every host's sshd.
pub const SSH_PORT: u16 = 2222;

/// Hosts in a block; 251 to 254 stay free for the keeper.
const BLOCK: usize = 250;
/// 127.20.0.0 to 127.219.255.0.
const BLOCKS: usize = 200 * 256;

/// Addresses that are ours as long as the keeper lives.
#[derive(Debug)]
pub(crate) struct Claim {
    /// One address a host.
    pub(crate) addresses: Vec<Ipv4Addr>,
    /// The keeper.
    pub(crate) keeper: Keeper,
}

/// The process that holds a fleet's blocks and, if it guards, kills the fleet when we are gone.
#[derive(Debug)]
pub(crate) struct Keeper {
    pub(crate) process: Process,
    child: Option<Child>,
    pipe: Option<ChildStdin>,
}

impl Keeper {
    /// A keeper that another process started.
    pub(crate) fn found(process: Process) -> Self {
        Self {
            process,
            child: None,
            pipe: None,
        }
    }

    /// Names a process that must not outlive us, unless the fleet is released.
    pub(crate) fn guard(&mut self, process: Process) {
        if let Some(pipe) = &mut self.pipe {
            // A keeper that is gone guards nothing; the fleet's own end still does.
            let _ = writeln!(pipe, "{} {}", process.pid, process.start);
        }
    }

    /// Lets the fleet and its keeper outlive us.
    pub(crate) fn release(&mut self) -> Result<()> {
        if let Some(mut pipe) = self.pipe.take() {
            writeln!(pipe, "release").context("the keeper of the fleet's addresses is gone")?;
        }
        Ok(())
    }

    /// Ends the keeper and reaps it.
    pub(crate) fn end(&mut self) {
        match &mut self.child {
            Some(child) => {
                let _ = child.kill();
                let _ = child.wait();
            }
            None => {
                self.process.end(Duration::from_secs(5));
            }
        }
    }
}

/// Claims addresses for so many hosts. The same seed leads to the same block when that is free.
pub(crate) fn claim(seed: &str, hosts: usize, keeper: &Path) -> Result<Claim> {
    let blocks = hosts.div_ceil(BLOCK).max(1);
    let hash = place::hash(seed.as_bytes());
    let first = usize::try_from(hash % BLOCKS as u64).unwrap_or(0);
    for attempt in 0..100 {
        let index = (first + attempt * 97) % (BLOCKS - blocks);
        let markers: Vec<_> = (index..index + blocks)
            .map(|block| address(block, 254))
            .collect();
        let Some(mut keeper) = hold(keeper, &markers)? else {
            continue;
        };
        let addresses: Vec<_> = (0..hosts)
            .map(|host| address(index + host / BLOCK, host % BLOCK + 1))
            .collect();
        if addresses
            .iter()
            .all(|address| TcpListener::bind((*address, SSH_PORT)).is_ok())
        {
            return Ok(Claim { addresses, keeper });
        }
        keeper.end();
    }
    bail!(
        "no free block of loopback addresses: does something listen on port {SSH_PORT} of all addresses?"
    )
}

fn address(block: usize, host: usize) -> Ipv4Addr {
    let part = |number: usize| u8::try_from(number % 256).unwrap_or(0);
    Ipv4Addr::new(127, part(20 + block / 256), part(block), part(host))
}

/// Starts a keeper; none when one of the blocks is taken.
fn hold(script: &Path, markers: &[Ipv4Addr]) -> Result<Option<Keeper>> {
    let mut child = Command::new("perl")
        .arg(script)
        .arg(SSH_PORT.to_string())
        .args(markers.iter().map(Ipv4Addr::to_string))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .current_dir("/")
        .spawn()
        .context("cannot start perl (package perl-base)")?;
    let mut line = String::new();
    if let Some(out) = child.stdout.take() {
        let _ = BufReader::new(out).read_line(&mut line);
    }
    if line.trim() != "held" {
        let _ = child.kill();
        child.wait().context("cannot wait for the keeper")?;
        return Ok(None);
    }
    let process = Process::of(child.id()).context("the keeper ended")?;
    let pipe = child.stdin.take();
    Ok(Some(Keeper {
        process,
        child: Some(child),
        pipe,
    }))
}

#[cfg(test)]
mod tests {
    use super::{BLOCKS, address};

    #[test]
    fn addresses_stay_within_the_lab_range() {
        assert_eq!(address(0, 1).to_string(), "127.20.0.1");
        assert_eq!(address(257, 250).to_string(), "127.21.1.250");
        assert_eq!(address(BLOCKS - 1, 254).to_string(), "127.219.255.254");
    }
}
