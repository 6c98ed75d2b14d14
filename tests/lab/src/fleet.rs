//! A running fleet: started from a list of hosts, taken down when it is dropped or when its process dies.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Result, bail};

use crate::access::Access;
use crate::addresses::Keeper;
use crate::builder::Builder;
use crate::host::Host;
use crate::host_config::Config;
use crate::keys::Keys;
use crate::moto::{self, Ec2};
use crate::process::{Process, poll};
use crate::state::{HostState, State};
use crate::{java, keys, place};

/// How many hosts start at the same time.
const STARTERS: usize = 8;

/// A running fleet. Dropping it ends every process it started, unless it is detached.
#[derive(Debug)]
pub struct Fleet {
    pub(crate) name: String,
    pub(crate) hosts: Vec<Host>,
    pub(crate) keeper: Mutex<Keeper>,
    pub(crate) access: Access,
    pub(crate) tools: PathBuf,
    pub(crate) detached: bool,
    pub(crate) ec2: Option<Ec2>,
    pub(crate) moto: Option<Child>,
}

impl Fleet {
    /// Begins the description of a fleet.
    pub fn builder(name: impl Into<String>) -> Builder {
        Builder::new(name.into())
    }

    /// A fleet that another process started to stay; none when there is none of that name.
    pub fn open(name: &str) -> Result<Option<Self>> {
        let dir = place::fleets().join(name);
        let Some(state) = State::read(&dir)? else {
            return Ok(None);
        };
        let hosts = state.hosts.into_iter().map(|host| {
            let dir = dir.join("hosts").join(&host.spec.name);
            Host::new(host.spec, host.address, dir, host.login).found(host.processes)
        });
        Ok(Some(Self {
            name: name.to_owned(),
            hosts: hosts.collect(),
            keeper: Mutex::new(Keeper::found(state.keeper)),
            tools: place::install_tools()?,
            access: Access {
                login_key: place::base().join("keys/login"),
                dir,
            },
            detached: true,
            ec2: state.ec2,
            moto: None,
        }))
    }

    /// The fleet's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The fleet's folder.
    pub fn dir(&self) -> &Path {
        &self.access.dir
    }

    /// All hosts, in the order in which they were added.
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// The host with this name.
    ///
    /// # Panics
    /// When there is none: a test that misspells a name should say so.
    pub fn host(&self, name: &str) -> &Host {
        let names = || {
            self.hosts
                .iter()
                .map(Host::name)
                .collect::<Vec<_>>()
                .join(", ")
        };
        self.hosts
            .iter()
            .find(|host| host.name() == name)
            .unwrap_or_else(|| {
                panic!(
                    "no host `{name}` in the fleet {}: it has {}",
                    self.name,
                    names()
                )
            })
    }

    /// An inventory of fab-rs with all hosts.
    pub fn inventory(&self) -> PathBuf {
        self.access.inventory()
    }

    /// An inventory of fab-rs that asks EC2.
    pub fn ec2_inventory(&self) -> PathBuf {
        self.access.ec2_inventory()
    }

    /// A configuration for `ssh -F`, in which every host has its name.
    pub fn ssh_config(&self) -> PathBuf {
        self.access.ssh_config()
    }

    /// The known hosts file that the configuration names.
    pub fn known_hosts(&self) -> PathBuf {
        self.access.known_hosts()
    }

    /// The private key that opens every host.
    pub fn login_key(&self) -> &Path {
        &self.access.login_key
    }

    /// The moto server that knows the hosts, if that was asked for.
    pub fn ec2(&self) -> Option<&Ec2> {
        self.ec2.as_ref()
    }

    /// Starts everything that the fleet is made of.
    pub(crate) fn bring_up(&mut self, keys: &Keys, ec2: bool) -> Result<()> {
        self.write(keys)?;
        let mut server = if ec2 {
            Some(moto::start(self.dir())?)
        } else {
            None
        };
        if let Some(server) = &server {
            self.guard(server.process);
        }
        let started = self.launch_all();
        let filled = match &mut server {
            Some(server) if started.is_ok() => {
                moto::fill(server, &self.hosts, &self.tools).map(Some)
            }
            _ => Ok(None),
        };
        self.moto = server.map(|server| server.child);
        self.ec2 = filled?;
        started?;
        self.wait_for_services()?;
        self.save()?;
        if self.detached {
            // Until here an interrupted start takes down what it made.
            let mut keeper = self.keeper.lock().unwrap_or_else(PoisonError::into_inner);
            keeper.release()?;
        }
        Ok(())
    }

    /// Writes down what runs, for [`Fleet::open`].
    pub fn save(&self) -> Result<()> {
        let keeper = self
            .keeper
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .process;
        let hosts = self.hosts.iter().map(HostState::of).collect();
        State {
            hosts,
            keeper,
            ec2: self.ec2.clone(),
        }
        .write(self.dir())
    }

    fn write(&self, keys: &Keys) -> Result<()> {
        for (index, host) in self.hosts.iter().enumerate() {
            let mut behind = String::new();
            for other in &self.hosts {
                if other.spec.behind.as_deref() == Some(host.name()) {
                    let _ = writeln!(behind, "{} {}", other.address, other.address());
                }
            }
            let config = Config {
                spec: &host.spec,
                address: host.address,
                dir: &host.dir,
                tools: &self.tools,
                login_key: &keys.login(),
                host_key: &keys.host(index),
                behind: &behind,
                login: &host.login,
            };
            config.write()?;
            let public = keys::public(&keys.host(index))?;
            place::replace(&host.dir.join("host_key.pub"), public.as_bytes(), 0o644)?;
        }
        let doors: Vec<_> = self.hosts.iter().map(Host::door).collect();
        self.access.write(&doors, &keys.other())
    }

    fn launch_all(&self) -> Result<()> {
        let next = AtomicUsize::new(0);
        let start = || -> Result<()> {
            while let Some(host) = self.hosts.get(next.fetch_add(1, Ordering::Relaxed)) {
                if host
                    .spec
                    .ec2_state
                    .as_deref()
                    .is_none_or(|state| state == "running")
                {
                    self.start_host(host)?;
                }
            }
            Ok(())
        };
        std::thread::scope(|scope| {
            let starters: Vec<_> = (0..STARTERS.min(self.hosts.len()))
                .map(|_| scope.spawn(start))
                .collect();
            for starter in starters {
                match starter.join() {
                    Ok(result) => result?,
                    Err(_) => bail!("starting a host panicked"),
                }
            }
            Ok(())
        })
    }

    /// Starts a host that is down, with an empty file system: after [`Host::kill`], a replacement.
    pub fn start_host(&self, host: &Host) -> Result<()> {
        let outer = host.launch(&self.tools)?;
        self.guard(outer);
        host.wait(outer)?;
        if let Some(processes) = host.processes_of_host() {
            self.guard(processes.init);
        }
        Ok(())
    }

    fn guard(&self, process: Process) {
        self.keeper
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .guard(process);
    }

    fn wait_for_services(&self) -> Result<()> {
        for host in self.hosts.iter().filter(|host| host.is_alive()) {
            for service in host.spec.services.iter().filter(|service| service.java) {
                let answer = || java::http_get(host.address, service.port, "/health");
                if poll(Duration::from_mins(1), answer).is_none() {
                    let log = host.exec(&format!("cat /run/lab-units/{}/log", service.name))?;
                    let said = String::from_utf8_lossy(&log.stdout);
                    bail!(
                        "the service {} on {} does not answer; its log says:\n{said}",
                        service.name,
                        host.name()
                    );
                }
            }
        }
        Ok(())
    }

    /// Gives a host another key than the known hosts file has, from the next connection on.
    pub fn change_host_key(&self, host: &str) -> Result<()> {
        let key = place::base().join("keys/other");
        self.host(host).change_host_key(&key)
    }

    /// Ends every process of the fleet and removes its folder. Dropping does the same, but leaves a detached fleet.
    pub fn down(mut self) {
        self.detached = false;
    }

    pub(crate) fn end(&mut self) {
        std::thread::scope(|scope| {
            for hosts in self
                .hosts
                .chunks(self.hosts.len().div_ceil(STARTERS).max(1))
            {
                scope.spawn(move || hosts.iter().for_each(Host::kill));
            }
        });
        let keeper = self
            .keeper
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        keeper.end();
        if let Some(ec2) = &self.ec2 {
            ec2.process.end(Duration::from_secs(5));
        }
        if let Some(mut moto) = self.moto.take() {
            let _ = moto.kill();
            let _ = moto.wait();
        }
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        if self.detached {
            return;
        }
        self.end();
        // After a failed test the logs stay until the next fleet starts.
        if !std::thread::panicking() {
            let _ = fs::remove_dir_all(self.dir());
        }
    }
}
