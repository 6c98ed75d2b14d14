//! The files that tell a client how to reach a fleet: known hosts, an ssh configuration, an inventory of fab-rs.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::addresses::SSH_PORT;
use crate::fault::Fault;
use crate::host::Host;
use crate::{keys, place};

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
    pub(crate) fn write(&self, hosts: &[Host], other_key: &Path) -> Result<()> {
        let file = |path: PathBuf, text: String| place::replace(&path, text.as_bytes(), 0o644);
        file(self.known_hosts(), known_hosts(hosts, other_key)?)?;
        file(self.ssh_config(), self.ssh_config_text(hosts))?;
        let login = hosts.first().map_or("deploy", |host| host.login.as_str());
        file(self.inventory(), self.inventory_text(hosts, login))?;
        let ec2 = "  - ec2: {regions: [us-west-2]}\n";
        file(
            self.ec2_inventory(),
            self.with_ssh(ec2, &rules(hosts), login),
        )
    }

    fn ssh_config_text(&self, hosts: &[Host]) -> String {
        let mut text = String::from("# Written by `cargo lab`; use it with `ssh -F`.\n");
        for host in hosts {
            let _ = write!(
                text,
                "Host {}\n    HostName {}\n",
                host.name(),
                host.address()
            );
            if let Some(bastion) = &host.spec.behind {
                let _ = writeln!(text, "    ProxyJump {bastion}");
            }
        }
        let login = hosts.first().map_or("deploy", |host| host.login.as_str());
        let _ = write!(
            text,
            "Host *\n    User {login}\n    Port {SSH_PORT}\n    IdentityFile \"{}\"\n    IdentitiesOnly yes\n    \
             IdentityAgent none\n    UserKnownHostsFile \"{}\"\n    GlobalKnownHostsFile /dev/null\n    \
             StrictHostKeyChecking yes\n    UpdateHostKeys no\n    BatchMode yes\n    KexAlgorithms curve25519-sha256\n",
            self.login_key.display(),
            self.known_hosts().display()
        );
        text
    }

    fn inventory_text(&self, hosts: &[Host], login: &str) -> String {
        let mut source = String::from("  - hosts:\n");
        for host in hosts {
            let _ = write!(
                source,
                "      - {{name: {}, address: {}",
                quoted(host.name()),
                quoted(&host.address())
            );
            if let Some(zone) = &host.spec.zone {
                let _ = write!(source, ", zone: {}", quoted(zone));
            }
            let tags: Vec<_> = host
                .spec
                .tags
                .iter()
                .map(|(key, value)| format!("{}: {}", quoted(key), quoted(value)))
                .collect();
            if !tags.is_empty() {
                let _ = write!(source, ", tags: {{{}}}", tags.join(", "));
            }
            source.push_str("}\n");
        }
        self.with_ssh(&source, &rules(hosts), login)
    }

    fn with_ssh(&self, source: &str, rules: &str, login: &str) -> String {
        format!(
            "# Written by `cargo lab`.\nversion: 1\nsources:\n{source}ssh:\n  config: {}\n  user: {}\n  port: {SSH_PORT}\n  \
             host_keys: ssh\n{rules}",
            quoted(&self.ssh_config().display().to_string()),
            quoted(login),
        )
    }
}

/// Rules for the hosts behind a bastion.
fn rules(hosts: &[Host]) -> String {
    let mut text = String::new();
    for host in hosts {
        let bastion = hosts
            .iter()
            .find(|other| Some(&other.spec.name) == host.spec.behind.as_ref());
        if let Some(bastion) = bastion {
            let _ = write!(
                text,
                "  - match: [{}]\n    ssh: {{jump: {}}}\n",
                quoted(&format!("name={}", host.name())),
                quoted(&format!(
                    "{}@{}:{SSH_PORT}",
                    bastion.login,
                    bastion.address()
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

fn known_hosts(hosts: &[Host], other_key: &Path) -> Result<String> {
    let mut text = String::new();
    for host in hosts {
        if host.spec.has(&Fault::UnknownHostKey) {
            continue;
        }
        let key = if host.spec.has(&Fault::WrongHostKey) {
            keys::public(other_key)?
        } else {
            host_key(host)?
        };
        let _ = writeln!(text, "[{}]:{SSH_PORT} {key}", host.address());
    }
    Ok(text)
}

/// The public key of a host, from the private one it serves.
fn host_key(host: &Host) -> Result<String> {
    keys::public(&host.dir.join("host_key"))
}

/// A YAML string in double quotes.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
