//! Installing what is missing: Debian packages by apt, saying which and why.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use lab::requirements::{PACKAGES, Package, VENV};
use lab::{moto, place};

/// Runs as root. Packages must not start services, so a `policy-rc.d` forbids it for as long as this takes.
const INSTALL: &str = r#"
set -e
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
    trap 'rm -f $policy' EXIT
    trap 'exit 1' HUP INT TERM
    printf '#!/bin/sh\n# Put here by `cargo lab` while it installs packages.\nexit 101\n' > $policy
    chmod 755 $policy
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -q -o DPkg::Lock::Timeout=300
apt-get install -y -q --no-install-recommends -o DPkg::Lock::Timeout=300 "$@"
"#;

/// For the full tier too, or only the light one: what is still missing after an attempt to install it; empty when all is there.
pub(crate) fn install(full: bool) -> Result<Vec<&'static Package>> {
    let missing = missing(full);
    if missing.is_empty() {
        return Ok(missing);
    }
    say!("missing on this machine:");
    for package in &missing {
        say!("  {:22} {}", package.name, package.why);
    }
    let names: Vec<_> = missing.iter().map(|package| package.name).collect();
    let by_hand = format!(
        "apt-get install --no-install-recommends {}",
        names.join(" ")
    );
    if place::program("apt-get").is_none() {
        say!("there is no apt-get here; install what corresponds to these packages");
        return Ok(missing);
    }
    if !place::is_root() && !may_sudo() {
        say!("not root, and sudo wants a password: please run\n  sudo {by_hand}");
        return Ok(missing);
    }
    say!("running: {by_hand}");
    run(&names)?;
    if names.contains(&"openssh-server") {
        say!("the machine's own sshd was not started; where systemd runs, `systemctl disable ssh`");
        say!("keeps it from starting at the next boot");
    }
    Ok(self::missing(full))
}

fn missing(full: bool) -> Vec<&'static Package> {
    let of_full = if full { lab::full::PACKAGES } else { &[] };
    let mut missing: Vec<_> = PACKAGES
        .iter()
        .chain(of_full)
        .filter(|package| place::program(package.program).is_none())
        .collect();
    if !moto::is_installed() && moto::python().is_none() {
        missing.push(&VENV);
    }
    missing
}

fn may_sudo() -> bool {
    let sudo = Command::new("sudo")
        .args(["-n", "true"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    sudo.is_ok_and(|status| status.success())
}

fn run(names: &[&str]) -> Result<()> {
    let mut command = if place::is_root() {
        Command::new("sh")
    } else {
        let mut sudo = Command::new("sudo");
        sudo.args(["-n", "sh"]);
        sudo
    };
    command
        .args(["-c", INSTALL, "sh"])
        .args(names)
        .current_dir(Path::new("/"))
        .stdin(Stdio::null());
    let output = command.output().context("cannot start apt-get")?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    ensure!(
        output.status.success(),
        "apt-get failed:\n{}",
        said.trim_end()
    );
    Ok(())
}
