//! What a fleet should be: hosts, zones, tags, services. Plain data, readable from JSON; it starts nothing.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::fault::Fault;

/// One host as it should be. Build it with [`HostSpec::new`] and the methods that follow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostSpec {
    /// The host's name: its host name, its inventory name, its `Name` tag.
    pub name: String,
    /// The availability zone, for example `us-west-2a`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// Tags beside `Name`, for example `role`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// Variables in the inventory.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub vars: BTreeMap<String, String>,
    /// What runs there besides sshd.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<Service>,
    /// What is wrong with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<Fault>,
    /// The login shell, which is `/bin/sh` there too.
    #[serde(default)]
    pub shell: Shell,
    /// A bastion: sshd with the distribution's limits, and a private `/etc/hosts` that knows the hosts behind it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub bastion: bool,
    /// The bastion that alone can resolve this host's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behind: Option<String>,
    /// Size of the host's `/var/tmp` as `mount` takes it, for example `2m`; otherwise 512 MiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub var_tmp_size: Option<String>,
    /// Commands that this host lacks, for example `zstd`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<String>,
    /// EC2 state when the fleet is in moto: `running` unless given; a `stopped` host starts no sshd.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ec2_state: Option<String>,
}

impl HostSpec {
    /// A healthy host without zone, tags or services.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            zone: None,
            tags: BTreeMap::new(),
            vars: BTreeMap::new(),
            services: Vec::new(),
            faults: Vec::new(),
            shell: Shell::default(),
            bastion: false,
            behind: None,
            var_tmp_size: None,
            without: Vec::new(),
            ec2_state: None,
        }
    }

    /// Puts the host into an availability zone.
    pub fn zone(mut self, zone: impl Into<String>) -> Self {
        self.zone = Some(zone.into());
        self
    }

    /// Sets the tag `role`.
    pub fn role(self, role: impl Into<String>) -> Self {
        self.tag("role", role)
    }

    /// Sets a tag.
    pub fn tag(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.tags.insert(key.into(), value.into());
        self
    }

    /// Sets a variable in the inventory.
    pub fn var(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.vars.insert(key.into(), value.into());
        self
    }

    /// Adds the unit `api`: a JVM on port 8080 that the login user owns.
    pub fn java(self) -> Self {
        self.service(Service::java("api"))
    }

    /// Adds a unit.
    pub fn service(mut self, service: Service) -> Self {
        self.services.push(service);
        self
    }

    /// Adds a fault.
    pub fn fault(mut self, fault: Fault) -> Self {
        self.faults.push(fault);
        self
    }

    /// Chooses the login shell and `/bin/sh`.
    pub fn shell(mut self, shell: Shell) -> Self {
        self.shell = shell;
        self
    }

    /// Makes the host a bastion.
    pub fn bastion(mut self) -> Self {
        self.bastion = true;
        self
    }

    /// Hides the host: only the named bastion resolves its address, which is `NAME.lab`.
    pub fn behind(mut self, bastion: impl Into<String>) -> Self {
        self.behind = Some(bastion.into());
        self
    }

    /// Limits `/var/tmp`, for example `2m`.
    pub fn var_tmp_size(mut self, size: impl Into<String>) -> Self {
        self.var_tmp_size = Some(size.into());
        self
    }

    /// Takes a command away from the host.
    pub fn without(mut self, command: impl Into<String>) -> Self {
        self.without.push(command.into());
        self
    }

    /// The state that moto reports for the host, `stopped` for example.
    pub fn ec2_state(mut self, state: impl Into<String>) -> Self {
        self.ec2_state = Some(state.into());
        self
    }

    /// Whether the host has this fault.
    pub fn has(&self, fault: &Fault) -> bool {
        self.faults.contains(fault)
    }
}

/// The login shell of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shell {
    /// Debian's `/bin/sh`.
    #[default]
    Dash,
    /// GNU bash.
    Bash,
    /// The shell of busybox (package busybox).
    Busybox,
}

impl Shell {
    /// The program that the host's `/bin/sh` is.
    pub fn program(self) -> &'static str {
        match self {
            Self::Dash => "/usr/bin/dash",
            Self::Bash => "/usr/bin/bash",
            Self::Busybox => "/usr/bin/busybox",
        }
    }

    /// The login user's shell in `/etc/passwd`.
    pub(crate) fn login(self) -> &'static str {
        if self == Self::Bash {
            "/bin/bash"
        } else {
            "/bin/sh"
        }
    }
}

/// A unit of a host's service manager stand-in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// The unit's name, without `.service`.
    pub name: String,
    /// Whether the unit is the lab's Java service or a shell loop.
    #[serde(default = "yes")]
    pub java: bool,
    /// The port of the Java service on the host's address.
    #[serde(default = "port")]
    pub port: u16,
    /// Who owns the process: the login user, or `app` (which exists only where the lab runs as root).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Further flags of the JVM, for example `-Xrs`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub jvm_flags: Vec<String>,
    /// Live objects to hold, in MiB.
    #[serde(default = "megabytes")]
    pub megabytes: u32,
    /// Whether the unit is a member of the fleet's ZooKeeper quorum; then nothing but its name and owner counts. Full
    /// tier only.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub zookeeper: bool,
    /// Whether two threads hold each other's lock.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deadlock: bool,
}

fn yes() -> bool {
    true
}
fn port() -> u16 {
    8080
}
fn megabytes() -> u32 {
    4
}

impl Service {
    /// The Java service as unit `name` on port 8080.
    pub fn java(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            java: true,
            port: port(),
            owner: None,
            jvm_flags: Vec::new(),
            megabytes: megabytes(),
            zookeeper: false,
            deadlock: false,
        }
    }

    /// A loop in `sh`, for hosts that need a service but no JVM.
    pub fn shell(name: impl Into<String>) -> Self {
        Self {
            java: false,
            ..Self::java(name)
        }
    }

    /// A member of the fleet's ZooKeeper quorum, on port 2181 (full tier only).
    pub fn zookeeper(name: impl Into<String>) -> Self {
        Self {
            java: false,
            zookeeper: true,
            port: 2181,
            ..Self::java(name)
        }
    }

    /// Another port; needed where a host has two Java services.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Another owner, `app` for example.
    pub fn owner(mut self, user: impl Into<String>) -> Self {
        self.owner = Some(user.into());
        self
    }

    /// A further flag for the JVM: `-Xrs`, `-XX:+DisableAttachMechanism`, `-XX:-UsePerfData`.
    pub fn flag(mut self, flag: impl Into<String>) -> Self {
        self.jvm_flags.push(flag.into());
        self
    }

    /// Two threads that wait for each other for ever.
    pub fn deadlock(mut self) -> Self {
        self.deadlock = true;
        self
    }
}

/// A fleet as a file describes it (`cargo lab up --fleet FILE`).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FleetSpec {
    /// The hosts.
    pub hosts: Vec<HostSpec>,
    /// Whether a moto server should know the hosts as EC2 instances.
    #[serde(default)]
    pub ec2: bool,
}
