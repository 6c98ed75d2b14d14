//! What a fleet needs of the machine, and whether a test may do without it. Installing it is `setup`'s job.

use std::process::{Command, Stdio};

use anyhow::{Result, bail};

use crate::moto;
use crate::place;
use crate::spec::{FleetSpec, Shell};

/// A Debian package and the program that shows it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Package {
    /// The package's name.
    pub name: &'static str,
    /// A program that comes with it.
    pub program: &'static str,
    /// What it is needed for.
    pub why: &'static str,
}

/// The packages of the light tier, in the order in which they are asked for.
pub const PACKAGES: &[Package] = &[
    Package {
        name: "openssh-server",
        program: "sshd",
        why: "each host is a real sshd",
    },
    Package {
        name: "openssh-client",
        program: "ssh",
        why: "the connections, and ssh-keygen for the keys",
    },
    Package {
        name: "util-linux",
        program: "unshare",
        why: "namespaces of the hosts",
    },
    Package {
        name: "perl-base",
        program: "perl",
        why: "the keeper of addresses, and faults of connections",
    },
    Package {
        name: "sudo",
        program: "sudo",
        why: "sudo on the hosts, where the lab runs as root",
    },
    Package {
        name: "procps",
        program: "ps",
        why: "process tables of the hosts",
    },
    Package {
        name: "busybox",
        program: "busybox",
        why: "hosts whose shell is busybox",
    },
    Package {
        name: "default-jdk-headless",
        program: "javac",
        why: "the Java services, and jcmd to dump them",
    },
    Package {
        name: "curl",
        program: "curl",
        why: "health checks that tasks run on hosts",
    },
    Package {
        name: "zstd",
        program: "zstd",
        why: "dumps that tasks compress on hosts",
    },
];

/// What the virtual environment of moto needs.
pub const VENV: Package = Package {
    name: "python3-venv",
    program: "python3",
    why: "moto, which plays AWS",
};

fn missing(program: &str) -> Option<&'static Package> {
    if place::program(program).is_some() {
        return None;
    }
    PACKAGES.iter().find(|package| package.program == program)
}

/// What such a fleet needs and this machine lacks: an error that names the packages.
pub fn check(spec: &FleetSpec) -> Result<()> {
    let mut programs = vec!["sshd", "ssh", "unshare", "perl"];
    if place::is_root() {
        programs.push("sudo");
    }
    if spec.hosts.iter().any(|host| host.shell == Shell::Busybox) {
        programs.push("busybox");
    }
    if spec
        .hosts
        .iter()
        .flat_map(|host| &host.services)
        .any(|service| service.java)
    {
        programs.push("javac");
    }
    let mut missing: Vec<_> = programs.into_iter().filter_map(missing).collect();
    if spec.ec2 && !moto::is_installed() && moto::python().is_none() {
        missing.push(&VENV);
    }
    if !missing.is_empty() {
        let names: Vec<_> = missing.iter().map(|package| package.name).collect();
        bail!(
            "the lab needs packages that are not installed: {}",
            names.join(" ")
        );
    }
    let user: &[&str] = if place::is_root() {
        &[]
    } else {
        &["--user", "--map-root-user"]
    };
    let works = Command::new("unshare")
        .args(user)
        .args([
            "--pid",
            "--mount",
            "--uts",
            "--fork",
            "--mount-proc",
            "true",
        ])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if !works.is_ok_and(|status| status.success()) {
        let hint = if place::is_root() {
            "in a container, it must be a privileged one"
        } else {
            "root may; on Ubuntu 24.04 everybody may after \
             `sysctl kernel.apparmor_restrict_unprivileged_userns=0`"
        };
        bail!("`unshare --pid --mount --uts` fails, so the lab cannot make hosts: {hint}");
    }
    Ok(())
}

/// What `LAB_REQUIRE` demands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Required {
    /// Nothing: tests that cannot run say so and are skipped.
    Nothing,
    /// Plain hosts must run, Java and EC2 may be missing: `LAB_REQUIRE=light`.
    Light,
    /// Everything must run: `LAB_REQUIRE=full` or `all`.
    All,
}

/// What the environment demands.
pub fn required() -> Required {
    match std::env::var("LAB_REQUIRE").as_deref() {
        Ok("light") => Required::Light,
        Ok("full" | "all") => Required::All,
        _ => Required::Nothing,
    }
}

/// Whether a test may go on: true when the machine has what the fleet needs. Otherwise prints why the test is skipped,
/// or panics where `LAB_REQUIRE` forbids skipping.
///
/// # Panics
/// When something is missing and `LAB_REQUIRE` is set.
pub fn available(spec: &FleetSpec) -> bool {
    match check(spec) {
        Ok(()) => true,
        Err(reason) => {
            let hosts = FleetSpec::default();
            let must = match required() {
                Required::Nothing => false,
                Required::Light => check(&hosts).is_err(),
                Required::All => true,
            };
            assert!(!must, "LAB_REQUIRE forbids skipping, but {reason:#}");
            eprintln!("skipped: {reason:#}");
            false
        }
    }
}
