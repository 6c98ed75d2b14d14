//! The network of a full-tier fleet: a bridge in the keeper's namespace, a link to each machine, one to us. Addresses are
//! of 198.18.0.0/15, which RFC 2544 sets aside for tests and nobody routes. The links to machines are the keeper's job.

use std::net::Ipv4Addr;
use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use serde::{Deserialize, Serialize};

use crate::place;
use crate::process::Process;

/// 198.18.0.0 to 198.19.255.0.
const BLOCKS: u16 = 512;
/// Machines in a block; 253 is the load balancer, 254 is us.
pub(crate) const MACHINES: usize = 250;

/// A block of 256 addresses that is ours as long as our end of its link exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Block(u16);

impl Block {
    /// Takes a block, by making the link between us and the keeper's namespace. The same seed leads to the same block
    /// when that is free.
    pub(crate) fn claim(seed: &str, keeper: Process) -> Result<Self> {
        let first = place::hash(seed.as_bytes()) % u64::from(BLOCKS);
        let first = u16::try_from(first).unwrap_or(0);
        let used = ip(&["-4", "-oneline", "address"])?;
        let used = String::from_utf8_lossy(&used.stdout);
        for attempt in 0..BLOCKS {
            let block = Self((first + attempt * 97) % BLOCKS);
            if used.contains(&format!(" {}.", block.prefix())) {
                continue;
            }
            let (link, namespace) = (block.link(), keeper.pid.to_string());
            let made = ip(&[
                "link", "add", &link, "type", "veth", "peer", "name", "up0", "netns", &namespace,
            ])?;
            if made.status.success() {
                block.set_up()?;
                return Ok(block);
            }
            let said = String::from_utf8_lossy(&made.stderr);
            ensure!(
                said.contains("File exists"),
                "cannot make the link {link}: {}",
                said.trim_end()
            );
        }
        bail!("no free block of addresses in 198.18.0.0/15")
    }

    fn set_up(self) -> Result<()> {
        let (link, own) = (self.link(), format!("{}/24", self.address(254)));
        ip_ok(&["link", "set", &link, "addrgenmode", "none"])?;
        ip_ok(&["address", "add", &own, "dev", &link])?;
        ip_ok(&["link", "set", &link, "up"])
    }

    /// Removes the link, and with it the block's route. The keeper does so too; nothing is said when it was first.
    pub(crate) fn release(self) {
        let _ = ip(&["link", "delete", &self.link()]);
    }

    /// Our end of the link.
    pub(crate) fn link(self) -> String {
        format!("lab{}", self.0)
    }

    /// The first three bytes of the block's addresses.
    pub(crate) fn prefix(self) -> String {
        format!("198.{}.{}", 18 + self.0 / 256, self.0 % 256)
    }

    /// The load balancer's address.
    pub(crate) fn balancer(self) -> Ipv4Addr {
        self.address(253)
    }

    /// The address of the machine with this number.
    pub(crate) fn machine(self, number: usize) -> Ipv4Addr {
        self.address(u8::try_from(number + 1).unwrap_or(u8::MAX))
    }

    fn address(self, last: u8) -> Ipv4Addr {
        let [high, low] = self.0.to_be_bytes();
        Ipv4Addr::new(198, 18 + high, low, last)
    }
}

fn ip(arguments: &[&str]) -> Result<Output> {
    Command::new("ip")
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .context("cannot start ip (package iproute2)")
}

fn ip_ok(arguments: &[&str]) -> Result<()> {
    let output = ip(arguments)?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "`ip {}`: {}",
        arguments.join(" "),
        said.trim_end()
    );
    Ok(())
}

/// Takes a machine's link to the bridge up or down: nothing reaches it, nothing is refused.
pub(crate) fn set_link(keeper: Process, number: usize, up: bool) -> Result<()> {
    let output = Command::new("nsenter")
        .arg(format!("--net=/proc/{}/ns/net", keeper.pid))
        .args([
            "ip",
            "link",
            "set",
            &format!("v{number}"),
            if up { "up" } else { "down" },
        ])
        .stdin(Stdio::null())
        .output()
        .context("cannot start nsenter")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "cannot set the link: {}",
        said.trim_end()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{BLOCKS, Block};

    #[test]
    fn blocks_stay_within_the_range_for_tests() {
        assert_eq!(Block(0).machine(0).to_string(), "198.18.0.1");
        assert_eq!(Block(257).balancer().to_string(), "198.19.1.253");
        let last = Block(BLOCKS - 1);
        assert_eq!(last.machine(249).to_string(), "198.19.255.250");
        assert_eq!(last.prefix(), "198.19.255");
    }
}
