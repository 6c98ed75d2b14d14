//! A running fleet of machines: taken down when it is dropped or when its process dies. Making one is `builder`'s job.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};

use super::balancer::{self, Balancer};
use super::builder::Builder;
use super::client::Client;
use super::keeper::Keeper;
use super::machine::Machine;
use super::network::Block;
use super::quorum;
use super::writer::Writer;
use crate::access::Access;
use crate::process::Process;
use crate::spec::HostSpec;
use crate::{folder, place};

/// What is asked of the load balancer: something that takes a moment, so that requests are always under way.
const WORK: &str = "/work?ms=20";
/// The file in a fleet's folder that says what runs.
const STATE: &str = "machines.json";

/// A running fleet of the full tier. Dropping it ends every machine, unless it is detached.
#[derive(Debug)]
pub struct Machines {
    pub(crate) name: String,
    pub(crate) all: Vec<Machine>,
    pub(crate) keeper: Mutex<Keeper>,
    pub(crate) block: Block,
    pub(crate) access: Access,
    pub(crate) balancer: Option<String>,
    pub(crate) detached: bool,
}

/// What is known of a fleet after the process that started it is gone.
#[derive(Debug, Serialize, Deserialize)]
struct State {
    keeper: Process,
    block: Block,
    balancer: Option<String>,
    machines: Vec<MachineState>,
}

#[derive(Debug, Serialize, Deserialize)]
struct MachineState {
    spec: HostSpec,
    address: Ipv4Addr,
    host_key: PathBuf,
}

impl State {
    /// The state in this folder; none when no fleet of machines was written down there.
    fn read(dir: &Path) -> Result<Option<Self>> {
        let file = dir.join(STATE);
        let text = match fs::read(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read {}", file.display()));
            }
        };
        let state = serde_json::from_slice(&text);
        state
            .map(Some)
            .with_context(|| format!("{} is not the state of machines", file.display()))
    }
}

/// Whether a fleet of machines lives in this folder.
pub(crate) fn is_alive(dir: &Path) -> Result<bool> {
    Ok(State::read(dir)?.is_some_and(|state| state.keeper.is_alive()))
}

/// The names of the fleets of machines that were started to stay.
pub fn names() -> Vec<String> {
    folder::names_with(STATE)
}

impl Machines {
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
        let dir =
            fs::canonicalize(&dir).with_context(|| format!("cannot find {}", dir.display()))?;
        let machines = state.machines.into_iter().enumerate();
        let machines = machines.map(|(number, machine)| Machine {
            dir: dir.join("hosts").join(&machine.spec.name),
            spec: machine.spec,
            address: machine.address,
            number,
            keeper: state.keeper,
            host_key: machine.host_key,
        });
        Ok(Some(Self {
            name: name.to_owned(),
            all: machines.collect(),
            keeper: Mutex::new(Keeper::found(state.keeper)),
            block: state.block,
            access: Access {
                login_key: place::base().join("keys/login"),
                dir,
            },
            balancer: state.balancer,
            detached: true,
        }))
    }

    /// Writes down what runs, for [`Machines::open`].
    pub(crate) fn save(&self) -> Result<()> {
        let machines = self.all.iter().map(|machine| MachineState {
            spec: machine.spec.clone(),
            address: machine.address,
            host_key: machine.host_key.clone(),
        });
        let keeper = self.keeper.lock().unwrap_or_else(PoisonError::into_inner);
        let state = State {
            keeper: keeper.process,
            block: self.block,
            balancer: self.balancer.clone(),
            machines: machines.collect(),
        };
        let text = serde_json::to_vec_pretty(&state).context("a fleet's state is JSON")?;
        place::replace(&self.dir().join(STATE), &text, 0o644)
    }

    /// The fleet's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The fleet's folder.
    pub fn dir(&self) -> &Path {
        &self.access.dir
    }

    /// All machines, in the order in which they were added.
    pub fn machines(&self) -> &[Machine] {
        &self.all
    }

    /// The machine with this name.
    ///
    /// # Panics
    /// When there is none: a test that misspells a name should say so.
    pub fn machine(&self, name: &str) -> &Machine {
        let found = self.all.iter().find(|machine| machine.name() == name);
        found.unwrap_or_else(|| {
            let names: Vec<_> = self.all.iter().map(Machine::name).collect();
            panic!(
                "no machine `{name}` in the fleet {}: it has {}",
                self.name,
                names.join(", ")
            )
        })
    }

    /// An inventory of fab-rs with all machines.
    pub fn inventory(&self) -> PathBuf {
        self.access.inventory()
    }

    /// A configuration for `ssh -F`, in which every machine has its name.
    pub fn ssh_config(&self) -> PathBuf {
        self.access.ssh_config()
    }

    /// The known hosts file that the configuration names.
    pub fn known_hosts(&self) -> PathBuf {
        self.access.known_hosts()
    }

    /// The private key that opens every machine.
    pub fn login_key(&self) -> &Path {
        &self.access.login_key
    }

    /// HAProxy, if the fleet has it.
    pub fn balancer(&self) -> Option<Balancer> {
        let address = self.block.balancer();
        self.balancer.as_ref().map(|_| Balancer { address })
    }

    /// Starts a client that asks the load balancer all the time.
    pub fn ask(&self) -> Result<Client> {
        let Some(balancer) = self.balancer() else {
            bail!("the fleet {} has no load balancer", self.name)
        };
        Client::start(balancer.ip(), balancer::PORT, WORK)
    }

    /// The members of the quorum: the machines with ZooKeeper.
    pub fn quorum(&self) -> impl Iterator<Item = &Machine> {
        self.all.iter().filter(|machine| machine.is_member())
    }

    /// Starts a client that writes to the quorum all the time.
    pub fn write(&self) -> Writer {
        Writer::start(self.quorum().map(Machine::ip).collect())
    }

    /// The member of the quorum that leads; none while none does.
    pub fn leader(&self) -> Option<&Machine> {
        self.quorum()
            .find(|member| quorum::mode(member.ip()).as_deref() == Some("leader"))
    }

    /// Ends every machine and removes the fleet's folder. Dropping does the same, but leaves a detached fleet.
    pub fn down(mut self) {
        self.detached = false;
    }

    pub(crate) fn end(&mut self) {
        let dir = self.access.dir.clone();
        let keeper = self
            .keeper
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        keeper.end(&dir);
        self.block.release();
    }
}

impl Drop for Machines {
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
