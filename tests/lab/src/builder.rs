//! From a description to a running fleet: checks, a folder, addresses. What a running fleet can do is `fleet`'s.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::Mutex;

use anyhow::{Context as _, Result, ensure};

use crate::access::Access;
use crate::addresses;
use crate::fleet::Fleet;
use crate::host::Host;
use crate::keys::Keys;
use crate::spec::{FleetSpec, HostSpec};
use crate::{folder, java, place, requirements};

/// What a fleet will be.
#[derive(Debug, Clone)]
pub struct Builder {
    name: String,
    spec: FleetSpec,
    detached: bool,
}

impl Builder {
    pub(crate) fn new(name: String) -> Self {
        Self {
            name,
            spec: FleetSpec::default(),
            detached: false,
        }
    }

    /// Takes hosts and EC2 from a description.
    pub fn spec(mut self, spec: FleetSpec) -> Self {
        self.spec.hosts.extend(spec.hosts);
        self.spec.ec2 |= spec.ec2;
        self
    }

    /// Puts the hosts into a moto server as EC2 instances.
    pub fn ec2(mut self) -> Self {
        self.spec.ec2 = true;
        self
    }

    /// Adds a host.
    pub fn host(mut self, host: HostSpec) -> Self {
        self.spec.hosts.push(host);
        self
    }

    /// Adds hosts.
    pub fn hosts(mut self, hosts: impl IntoIterator<Item = HostSpec>) -> Self {
        self.spec.hosts.extend(hosts);
        self
    }

    /// Lets the fleet live on after its handle and its process are gone. Its folder then bears the fleet's bare name.
    pub fn detached(mut self) -> Self {
        self.detached = true;
        self
    }

    /// Starts the fleet; returns when every sshd listens and every Java service answers.
    pub fn start(self) -> Result<Fleet> {
        requirements::check(&self.spec)?;
        check_names(&self.spec.hosts)?;
        let zookeeper = self
            .spec
            .hosts
            .iter()
            .flat_map(|host| &host.services)
            .any(|service| service.zookeeper);
        ensure!(!zookeeper, "ZooKeeper is for the full tier");
        let dir = folder::make(&self.name, self.detached)?;
        let tools = place::install_tools()?;
        if self
            .spec
            .hosts
            .iter()
            .flat_map(|host| &host.services)
            .any(|service| service.java)
        {
            java::compile(&tools)?;
        }
        let keys = Keys::prepare(self.spec.hosts.len())?;
        let seed = if self.detached {
            self.name.clone()
        } else {
            dir.display().to_string()
        };
        let claim = addresses::claim(&seed, self.spec.hosts.len(), &tools.join("keeper.pl"))?;
        let login = login()?;
        let hosts = self
            .spec
            .hosts
            .into_iter()
            .zip(claim.addresses)
            .map(|(mut spec, address)| {
                let dir = dir.join("hosts").join(&spec.name);
                name_address(&mut spec, address);
                Host::new(spec, address, dir, login.clone())
            });
        let hosts: Vec<_> = hosts.collect();
        check_ports(&hosts)?;
        let mut fleet = Fleet {
            name: self.name,
            hosts,
            keeper: Mutex::new(claim.keeper),
            access: Access {
                dir,
                login_key: keys.login(),
            },
            tools,
            detached: self.detached,
            ec2: None,
            moto: None,
        };
        let started = fleet.bring_up(&keys, self.spec.ec2);
        if let Err(error) = started {
            // Also what should have stayed does not stay half made; its logs do.
            fleet.end();
            return Err(error);
        }
        Ok(fleet)
    }

    /// Starts the fleet, or says why this machine cannot have it: then a test is skipped, or fails where `LAB_REQUIRE`
    /// forbids that.
    ///
    /// # Panics
    /// When the fleet does not start, or may not be done without.
    pub fn start_or_skip(self) -> Option<Fleet> {
        if !requirements::available(&self.spec) {
            return None;
        }
        let name = self.name.clone();
        match self.start() {
            Ok(fleet) => Some(fleet),
            Err(error) => panic!("the fleet {name} did not start: {error:#}"),
        }
    }
}

/// Whether the names of hosts and services will do, and bastions are there.
pub(crate) fn check_names(hosts: &[HostSpec]) -> Result<()> {
    for (index, host) in hosts.iter().enumerate() {
        let good =
            folder::is_name(&host.name) && !host.name.contains('_') && !host.name.starts_with('-');
        ensure!(
            good,
            "`{}` is no host name: use letters, digits, `-`",
            host.name
        );
        ensure!(
            !hosts[..index].iter().any(|other| other.name == host.name),
            "two hosts are named `{}`",
            host.name
        );
        if let Some(bastion) = &host.behind {
            let there = hosts
                .iter()
                .any(|other| &other.name == bastion && other.bastion);
            ensure!(
                there,
                "`{}` is behind `{bastion}`, which is no bastion of the fleet",
                host.name
            );
        }
        for service in &host.services {
            ensure!(
                folder::is_name(&service.name),
                "`{}` is no name for a service",
                service.name
            );
        }
    }
    Ok(())
}

/// All hosts share 127.0.0.1: a service listens on its host's own address, and a var says so.
fn name_address(spec: &mut HostSpec, address: Ipv4Addr) {
    if spec.services.iter().any(|service| service.java) {
        let listens_on = spec.vars.entry("listens_on".to_owned());
        listens_on.or_insert_with(|| address.to_string());
    }
}

/// Whether the services' ports are free; the keeper holds only addresses that are free for sshd.
fn check_ports(hosts: &[Host]) -> Result<()> {
    for host in hosts {
        for service in host.spec.services.iter().filter(|service| service.java) {
            let port = service.port;
            TcpListener::bind((host.address, port)).with_context(|| {
                let address = host.address;
                format!("port {port} of {address} is taken: does something listen on it on all addresses?")
            })?;
        }
    }
    Ok(())
}

/// Who logs in.
fn login() -> Result<String> {
    if place::is_root() {
        return Ok("deploy".to_owned());
    }
    let output = std::process::Command::new("id")
        .arg("-un")
        .output()
        .context("cannot start id")?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
