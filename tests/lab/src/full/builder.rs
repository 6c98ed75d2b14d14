//! From a description to running machines: checks, addresses, files, waiting. What running ones can do is `machines`'s.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use anyhow::{Result, bail, ensure};

use super::balancer;
use super::disk::{self, Disks, Jdk};
use super::keeper::{self, Keeper};
use super::machine::Machine;
use super::machines::Machines;
use super::network::{self, Block};
use super::{quorum, requirements, tree};
use crate::access::Access;
use crate::builder::check_names;
use crate::fault::Fault;
use crate::keys::Keys;
use crate::process::poll;
use crate::spec::{HostSpec, Shell};
use crate::{folder, java, place};

/// The faults that machines can have.
const FAULTS: &[Fault] = &[
    Fault::RefusesKey,
    Fault::WrongHostKey,
    Fault::UnknownHostKey,
    Fault::NoSudo,
    Fault::SudoPassword,
    Fault::CrashLoop,
];

/// What a fleet of machines will be.
#[derive(Debug, Clone)]
pub struct Builder {
    name: String,
    hosts: Vec<HostSpec>,
    balancer: Option<String>,
    detached: bool,
}

impl Builder {
    pub(crate) fn new(name: String) -> Self {
        Self {
            name,
            hosts: Vec::new(),
            balancer: None,
            detached: false,
        }
    }

    /// Adds a machine.
    pub fn host(mut self, host: HostSpec) -> Self {
        self.hosts.push(host);
        self
    }

    /// Adds machines.
    pub fn hosts(mut self, hosts: impl IntoIterator<Item = HostSpec>) -> Self {
        self.hosts.extend(hosts);
        self
    }

    /// Puts HAProxy before the Java service with this name.
    pub fn balancer(mut self, service: impl Into<String>) -> Self {
        self.balancer = Some(service.into());
        self
    }

    /// Lets the machines live on after their handle and their process are gone. Their folder then bears the fleet's bare
    /// name.
    pub fn detached(mut self) -> Self {
        self.detached = true;
        self
    }

    /// Starts the machines; returns when every sshd and every service answers and HAProxy sees them. The first start on
    /// a computer builds the root tree, which takes a minute or three.
    pub fn start(self) -> Result<Machines> {
        requirements::check()?;
        check_names(&self.hosts)?;
        self.hosts.iter().try_for_each(check)?;
        ensure!(
            self.hosts.len() <= network::MACHINES,
            "a fleet has at most {} machines",
            network::MACHINES
        );
        let tree = tree::prepare()?;
        let dir = folder::make(&self.name, self.detached)?;
        ensure!(
            !dir.to_string_lossy().contains([':', ',', '\\', '\'', ' ']),
            "`{}` cannot be a machine's folder: overlays take no such path; LAB_DIR moves it",
            dir.display()
        );
        let tools = place::install_tools()?;
        java::compile(&tools)?;
        let keys = Keys::prepare(self.hosts.len())?;
        keeper::sweep();
        let mut keeper = Keeper::start(&tools.join("machines.pl"), &dir, &tree)?;
        let seed = if self.detached {
            &self.name
        } else {
            &*dir.to_string_lossy()
        };
        let block = match Block::claim(seed, keeper.process) {
            Ok(block) => block,
            Err(error) => {
                keeper.end(&dir);
                return Err(error);
            }
        };
        let machines = self.hosts.into_iter().enumerate();
        let machines = machines.map(|(number, spec)| Machine {
            address: block.machine(number),
            number,
            dir: dir.join("hosts").join(&spec.name),
            spec,
            keeper: keeper.process,
            host_key: keys.host(number),
        });
        let mut fleet = Machines {
            name: self.name,
            all: machines.collect(),
            keeper: Mutex::new(keeper),
            block,
            access: Access {
                dir,
                login_key: keys.login(),
            },
            balancer: self.balancer,
            detached: self.detached,
        };
        if let Err(error) = fleet.bring_up(&keys, &tree, &tools) {
            // Also what should have stayed does not stay half made; its logs do.
            fleet.end();
            fleet.detached = true;
            return Err(error);
        }
        Ok(fleet)
    }

    /// Starts the machines, or says why this computer cannot have them: then a test is skipped, or fails where
    /// `LAB_REQUIRE` is `full` or `all`.
    ///
    /// # Panics
    /// When the machines do not start, or may not be done without.
    pub fn start_or_skip(self) -> Option<Machines> {
        if !requirements::available() {
            return None;
        }
        let name = self.name.clone();
        match self.start() {
            Ok(fleet) => Some(fleet),
            Err(error) => panic!("the fleet {name} did not start: {error:#}"),
        }
    }
}

/// Whether the full tier has what this host should be.
fn check(host: &HostSpec) -> Result<()> {
    let name = &host.name;
    if let Some(fault) = host.faults.iter().find(|fault| !FAULTS.contains(fault)) {
        let names: Vec<_> = FAULTS.iter().map(Fault::name).collect();
        bail!(
            "`{name}`: the full tier has no fault `{fault}`, only {}",
            names.join(", ")
        );
    }
    let others = [
        ("bastion", host.bastion),
        ("behind", host.behind.is_some()),
        ("var_tmp_size", host.var_tmp_size.is_some()),
        ("without", !host.without.is_empty()),
        ("ec2_state", host.ec2_state.is_some()),
        ("shell: busybox", host.shell == Shell::Busybox),
    ];
    if let Some((key, _)) = others.iter().find(|(_, is_used)| *is_used) {
        bail!("`{name}`: the full tier has no `{key}`");
    }
    if let Some(owner) = host
        .services
        .iter()
        .find_map(|service| service.owner.as_deref())
    {
        ensure!(
            ["deploy", "app"].contains(&owner),
            "`{name}`: machines have the users deploy and app, not `{owner}`"
        );
    }
    Ok(())
}

impl Machines {
    fn bring_up(&mut self, keys: &Keys, tree: &Path, tools: &Path) -> Result<()> {
        if let Some(service) = &self.balancer {
            let hosts = self.all.iter_mut().map(|machine| &mut machine.spec);
            balancer::name_commands(service, hosts);
        }
        self.lay_out(keys, tree, tools)?;
        let keeper = self
            .keeper
            .get_mut()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        keeper.go(&self.access.dir, &self.block.prefix())?;
        self.all.iter().try_for_each(Machine::wait_for_sshd)?;
        self.all.iter().try_for_each(Machine::wait_for_services)?;
        if let Some(balancer) = self.balancer() {
            balancer.wait_for_all()?;
        }
        for machine in &self.all {
            if machine.spec.has(&Fault::CrashLoop) {
                let services = machine.spec.services.iter();
                services
                    .map(|service| &service.name)
                    .try_for_each(|name| machine.crash_from_next_start(name))?;
            }
        }
        self.save()?;
        if self.detached {
            // Until here an interrupted start takes down what it made.
            let keeper = self
                .keeper
                .get_mut()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            keeper.release()?;
        }
        Ok(())
    }

    /// Writes all that the keeper, the machines and their clients read.
    fn lay_out(&self, keys: &Keys, tree: &Path, tools: &Path) -> Result<()> {
        let mut hosts = String::from("127.0.0.1 localhost\n");
        let mut list = String::new();
        for machine in &self.all {
            let (name, address) = (machine.name(), machine.ip());
            let _ = writeln!(hosts, "{address} {name}");
            let _ = writeln!(list, "{name} {address} {}", machine.number);
        }
        place::replace(&self.dir().join("machines"), list.as_bytes(), 0o644)?;
        if let Some(service) = &self.balancer {
            let address = self.block.balancer();
            let _ = writeln!(hosts, "{address} balancer");
            let text = balancer::configuration(address, service, &self.all)?;
            place::replace(&self.dir().join("haproxy.cfg"), text.as_bytes(), 0o644)?;
        }
        let members: Vec<_> = self.quorum().map(Machine::ip).collect();
        let disks = Disks {
            tree,
            tools,
            login_key: &self.access.login_key,
            hosts,
            members: quorum::members(&members),
            balanced: self.balancer.is_some(),
            jdk: Jdk::own()?,
        };
        for machine in &self.all {
            disks.write(&machine.dir, &machine.spec, &machine.host_key)?;
            if let Some(index) = members.iter().position(|member| *member == machine.ip()) {
                disk::write_member(&machine.dir, index + 1)?;
            }
        }
        let doors: Vec<_> = self.all.iter().map(Machine::door).collect();
        self.access.write(&doors, &keys.other())
    }
}

impl Machine {
    /// Whether it is a member of the quorum.
    pub(crate) fn is_member(&self) -> bool {
        self.spec.services.iter().any(|service| service.zookeeper)
    }

    /// The machine's role in the quorum, `leader` or `follower`; none while its ZooKeeper does not serve.
    pub fn zookeeper_role(&self) -> Option<String> {
        quorum::mode(self.ip())
    }

    /// The last transaction that its ZooKeeper has seen, as it writes it; none while it does not serve.
    pub fn zookeeper_transaction(&self) -> Option<String> {
        quorum::transaction(self.ip())
    }

    /// Waits until every service with a port answers.
    pub fn wait_for_services(&self) -> Result<()> {
        for service in &self.spec.services {
            let answers = || {
                let well = if service.zookeeper {
                    self.zookeeper_role().is_some()
                } else {
                    !service.java || java::http_get(self.ip(), service.port, "/health").is_some()
                };
                well.then_some(())
            };
            if poll(Duration::from_mins(1), answers).is_none() {
                let (service, name) = (&service.name, self.name());
                bail!(
                    "the service {service} on {name} does not answer; its journal says:\n{}",
                    self.journal(service)?.trim_end()
                );
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::fault::Fault;
    use crate::spec::{HostSpec, Service};

    #[test]
    fn what_the_full_tier_has_not_is_refused() {
        let error = |host: HostSpec| check(&host).unwrap_err().to_string();
        assert_eq!(
            error(HostSpec::new("a1").fault(Fault::Floods)),
            "`a1`: the full tier has no fault `floods`, only refuses_key, wrong_host_key, unknown_host_key, no_sudo, \
             sudo_password, crash_loop"
        );
        assert_eq!(
            error(HostSpec::new("a1").bastion()),
            "`a1`: the full tier has no `bastion`"
        );
        assert_eq!(
            error(HostSpec::new("a1").service(Service::java("api").owner("root"))),
            "`a1`: machines have the users deploy and app, not `root`"
        );
        assert!(check(&HostSpec::new("a1").java()).is_ok());
    }
}
