//! The files that tell a client how to reach a fleet: known hosts, an ssh configuration, an inventory of fab-rs.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::fault::Fault;
use crate::spec::HostSpec;
use crate::{keys, place};

/// What a client must know to reach a host.
#[derive(Debug)]
pub(crate) struct Door<'a> {
    pub(crate) spec: &'a HostSpec,
    /// An address, or a name that only the bastion resolves.
    pub(crate) address: String,
    pub(crate) port: u16,
    pub(crate) login: &'a str,
    /// The file of the host's private key; the public one is beside it.
    pub(crate) host_key: PathBuf,
}

/// Where the files are.
#[derive(Debug, Clone)]
pub(crate) struct Access {
    pub(crate) dir: PathBuf,
    pub(crate) login_key: PathBuf,
}

impl Access {
    pub(crate) fn known_hosts(&self) -> PathBuf {
        self.dir.join("known_hosts")
    }

    pub(crate) fn ssh_config(&self) -> PathBuf {
        self.dir.join("ssh_config")
    }

    pub(crate) fn inventory(&self) -> PathBuf {
        self.dir.join("inventory.yml")
    }

    pub(crate) fn ec2_inventory(&self) -> PathBuf {
        self.dir.join("inventory-ec2.yml")
    }

    /// Writes all of them.
    pub(crate) fn write(&self, doors: &[Door<'_>], other_key: &Path) -> Result<()> {
        let file = |path: PathBuf, text: String| place::replace(&path, text.as_bytes(), 0o644);
        file(self.known_hosts(), known_hosts(doors, other_key)?)?;
        file(self.ssh_config(), self.ssh_config_text(doors))?;
        file(self.inventory(), self.inventory_text(doors))?;
        let ec2 = "  - ec2: {regions: [us-west-2]}\n";
        file(self.ec2_inventory(), self.with_ssh(ec2, doors))
    }

    fn ssh_config_text(&self, doors: &[Door<'_>]) -> String {
        let mut text = String::from("# Written by `cargo lab`; use it with `ssh -F`.\n");
        for door in doors {
            let _ = write!(
                text,
                "Host {}\n    HostName {}\n",
                door.spec.name, door.address
            );
            if let Some(bastion) = &door.spec.behind {
                let _ = writeln!(text, "    ProxyJump {bastion}");
            }
        }
        let (login, port) = login_and_port(doors);
        let _ = write!(
            text,
            "Host *\n    User {login}\n    Port {port}\n    IdentityFile \"{}\"\n    IdentitiesOnly yes\n    \
             IdentityAgent none\n    UserKnownHostsFile \"{}\"\n    GlobalKnownHostsFile /dev/null\n    \
             StrictHostKeyChecking yes\n    UpdateHostKeys no\n    BatchMode yes\n    KexAlgorithms curve25519-sha256\n",
            self.login_key.display(),
            self.known_hosts().display()
        );
        text
    }

    fn inventory_text(&self, doors: &[Door<'_>]) -> String {
        let mut source = String::from("  - hosts:\n");
        for door in doors {
            let _ = write!(
                source,
                "      - {{name: {}, address: {}",
                quoted(&door.spec.name),
                quoted(&door.address)
            );
            if let Some(zone) = &door.spec.zone {
                let _ = write!(source, ", zone: {}", quoted(zone));
            }
            for (name, texts) in [("tags", &door.spec.tags), ("vars", &door.spec.vars)] {
                let texts: Vec<_> = texts
                    .iter()
                    .map(|(key, value)| format!("{}: {}", quoted(key), quoted(value)))
                    .collect();
                if !texts.is_empty() {
                    let _ = write!(source, ", {name}: {{{}}}", texts.join(", "));
                }
            }
            source.push_str("}\n");
        }
        self.with_ssh(&source, doors)
    }

    fn with_ssh(&self, source: &str, doors: &[Door<'_>]) -> String {
        let (login, port) = login_and_port(doors);
        format!(
            "# Written by `cargo lab`.\nversion: 1\nsources:\n{source}ssh:\n  config: {}\n  user: {}\n  port: {port}\n  \
             host_keys: ssh\n{}",
            quoted(&self.ssh_config().display().to_string()),
            quoted(login),
            rules(doors)
        )
    }
}

/// The same for all hosts of a fleet.
fn login_and_port<'a>(doors: &[Door<'a>]) -> (&'a str, u16) {
    doors
        .first()
        .map_or(("deploy", 22), |door| (door.login, door.port))
}

/// Rules for the hosts behind a bastion.
fn rules(doors: &[Door<'_>]) -> String {
    let mut text = String::new();
    for door in doors {
        let bastion = doors
            .iter()
            .find(|other| Some(&other.spec.name) == door.spec.behind.as_ref());
        if let Some(bastion) = bastion {
            let _ = write!(
                text,
                "  - match: [{}]\n    ssh: {{jump: {}}}\n",
                quoted(&format!("name={}", door.spec.name)),
                quoted(&format!(
                    "{}@{}:{}",
                    bastion.login, bastion.address, bastion.port
                ))
            );
        }
    }
    if text.is_empty() {
        text
    } else {
        format!("rules:\n{text}")
    }
}

fn known_hosts(doors: &[Door<'_>], other_key: &Path) -> Result<String> {
    let mut text = String::new();
    for door in doors {
        if door.spec.has(&Fault::UnknownHostKey) {
            continue;
        }
        let key = if door.spec.has(&Fault::WrongHostKey) {
            keys::public(other_key)?
        } else {
            keys::public(&door.host_key)?
        };
        let _ = match door.port {
            22 => writeln!(text, "{} {key}", door.address),
            port => writeln!(text, "[{}]:{port} {key}", door.address),
        };
    }
    Ok(text)
}

/// A YAML string in double quotes.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
