//! A running fleet: started from a list of hosts, taken down when it is dropped or when its process dies.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

use crate::access::Access;
use crate::addresses::{self, Keeper};
use crate::host::Host;
use crate::host_config::Config;
use crate::keys::Keys;
use crate::moto::{self, Ec2};
use crate::process::{Process, poll};
use crate::spec::{FleetSpec, HostSpec};
use crate::state::{HostState, State};
use crate::{java, keys, place, requirements};

/// How many hosts start at the same time.
const STARTERS: usize = 8;

/// What a fleet will be.
#[derive(Debug, Clone)]
pub struct Builder {
    name: String,
    spec: FleetSpec,
    detached: bool,
}

impl Builder {
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
        check(&self.spec.hosts)?;
        let dir = self.dir()?;
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
        let claim = addresses::claim(
            &seed,
            self.spec.hosts.len(),
            &tools.join("keeper.pl"),
            !self.detached,
        )?;
        let login = login()?;
        let hosts = self
            .spec
            .hosts
            .into_iter()
            .zip(claim.addresses)
            .map(|(spec, address)| {
                let dir = dir.join("hosts").join(&spec.name);
                Host::new(spec, address, dir, login.clone())
            });
        let mut fleet = Fleet {
            name: self.name,
            hosts: hosts.collect(),
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

    /// Makes the fleet's folder, empty, and removes the folders of fleets whose process is gone.
    fn dir(&self) -> Result<PathBuf> {
        ensure!(
            is_name(&self.name),
            "`{}` is no name for a fleet: use letters, digits, `-`, `_`",
            self.name
        );
        let fleets = place::fleets();
        fs::create_dir_all(&fleets).with_context(|| format!("cannot make {}", fleets.display()))?;
        sweep(&fleets);
        static FLEETS: AtomicUsize = AtomicUsize::new(0);
        let own = Process::of(std::process::id()).context("/proc is not mounted")?;
        let name = if self.detached {
            self.name.clone()
        } else {
            let number = FLEETS.fetch_add(1, Ordering::Relaxed);
            format!("{}.{}.{}.{number}", self.name, own.pid, own.start)
        };
        let dir = fleets.join(name);
        if dir.exists() {
            let alive = State::read(&dir)?.is_some_and(|state| state.is_alive());
            ensure!(
                !alive,
                "the fleet {} is up already: `cargo lab down --name {0}` first",
                self.name
            );
            fs::remove_dir_all(&dir).with_context(|| format!("cannot empty {}", dir.display()))?;
        }
        fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
        fs::canonicalize(&dir).with_context(|| format!("cannot find {}", dir.display()))
    }
}

/// Removes the folders `NAME.PID.START.N` of processes that are gone.
fn sweep(fleets: &Path) {
    for entry in fs::read_dir(fleets).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let parts: Vec<_> = name.to_str().unwrap_or_default().split('.').collect();
        if let [_, pid, start, _] = parts[..]
            && let (Ok(pid), Ok(start)) = (pid.parse(), start.parse())
            && !(Process { pid, start }).is_alive()
        {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}

fn check(hosts: &[HostSpec]) -> Result<()> {
    for (index, host) in hosts.iter().enumerate() {
        let good = is_name(&host.name) && !host.name.contains('_') && !host.name.starts_with('-');
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
                is_name(&service.name),
                "`{}` is no name for a service",
                service.name
            );
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

/// A running fleet. Dropping it ends every process it started, unless it is detached.
#[derive(Debug)]
pub struct Fleet {
    name: String,
    hosts: Vec<Host>,
    keeper: Mutex<Keeper>,
    access: Access,
    tools: PathBuf,
    detached: bool,
    ec2: Option<Ec2>,
    moto: Option<Child>,
}

impl Fleet {
    /// Begins the description of a fleet.
    pub fn builder(name: impl Into<String>) -> Builder {
        Builder {
            name: name.into(),
            spec: FleetSpec::default(),
            detached: false,
        }
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

    fn bring_up(&mut self, keys: &Keys, ec2: bool) -> Result<()> {
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
        self.save()
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
            let behind: String = self
                .hosts
                .iter()
                .filter(|other| other.spec.behind.as_deref() == Some(host.name()))
                .map(|other| format!("{} {}\n", other.address, other.address()))
                .collect();
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
        self.access.write(&self.hosts, &keys.other())
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
        if !self.detached {
            self.guard(outer);
        }
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
                if poll(Duration::from_secs(60), answer).is_none() {
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

    fn end(&mut self) {
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
