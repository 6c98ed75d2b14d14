//! What the full tier needs of the machine beside what the light one does, and whether a test may do without it.

use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};

use super::{keeper, tree};
use crate::place;
use crate::requirements::{Package, Required, required};

/// The packages of the full tier, beside [`crate::requirements::PACKAGES`].
pub const PACKAGES: &[Package] = &[
    Package {
        name: "debootstrap",
        program: "debootstrap",
        why: "the root tree of machines",
    },
    Package {
        name: "systemd-container",
        program: "systemd-nspawn",
        why: "machines with a real systemd",
    },
    Package {
        name: "iproute2",
        program: "ip",
        why: "the network of machines",
    },
    Package {
        name: "haproxy",
        program: "haproxy",
        why: "the load balancer before machines",
    },
];

/// Why this machine cannot have the full tier, if so.
pub fn check() -> Result<()> {
    ensure!(place::is_root(), "the full tier needs root");
    let missing: Vec<_> = PACKAGES
        .iter()
        .chain(crate::requirements::PACKAGES)
        .filter(|package| !["busybox", "zstd"].contains(&package.name))
        .filter(|package| place::program(package.program).is_none())
        .map(|package| package.name)
        .collect();
    if !missing.is_empty() {
        bail!(
            "the full tier needs packages that are not installed: {}",
            missing.join(" ")
        );
    }
    ensure!(
        keeper::has_cgroups(),
        "the full tier needs to make cgroups in /sys/fs/cgroup: one cgroup2, or `systemd` and `unified` beside v1"
    );
    let script =
        "mount -t tmpfs tmpfs /run && ip link add lab-probe type bridge && ip netns add probe";
    let probe = Command::new("unshare")
        .args([
            "--mount",
            "--net",
            "--pid",
            "--fork",
            "--mount-proc",
            "sh",
            "-c",
            script,
        ])
        .env("PATH", place::HOST_PATH)
        .stdin(Stdio::null())
        .output()
        .context("cannot start unshare (package util-linux)")?;
    let said = String::from_utf8_lossy(&probe.stderr);
    ensure!(
        probe.status.success(),
        "the full tier needs namespaces with a bridge; in a container, it must be a privileged one: {}",
        said.trim_end()
    );
    Ok(())
}

/// Whether a test may go on; builds the root tree if need be. Otherwise prints why it is skipped, or panics where `LAB_REQUIRE` is `full` or `all`.
///
/// # Panics
/// When the full tier cannot be had and `LAB_REQUIRE` demands it.
pub fn available() -> bool {
    match check().and_then(|()| tree::prepare()) {
        Ok(_) => true,
        Err(reason) => {
            let must = required() == Required::All;
            assert!(!must, "LAB_REQUIRE forbids skipping, but {reason:#}");
            eprintln!("skipped: {reason:#}");
            false
        }
    }
}
