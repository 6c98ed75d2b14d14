//! `cargo lab up` and `cargo lab down`.

use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use lab::full::{Machine, Machines};
use lab::{Fleet, FleetSpec, HostSpec, place};

use super::arguments::{Tier, Up};

/// Starts a fleet that stays, and says how to talk to it.
pub(crate) fn up(up: Up) -> Result<ExitCode> {
    let mut spec = match &up.fleet {
        Some(file) => read(file)?,
        None => FleetSpec {
            hosts: grid(&up),
            ec2: false,
        },
    };
    spec.ec2 |= up.ec2;
    for (name, fault) in up.faults {
        let names: Vec<_> = spec.hosts.iter().map(|host| host.name.clone()).collect();
        let Some(host) = spec.hosts.iter_mut().find(|host| host.name == name) else {
            bail!(
                "--fault names `{name}`, but the hosts are {}",
                names.join(", ")
            );
        };
        host.faults.push(fault);
    }
    let begin = Instant::now();
    if up.tier == Tier::Full {
        return machines(&up.name, spec, begin);
    }
    let fleet = Fleet::builder(&up.name).spec(spec).detached().start()?;
    say!(
        "{} hosts up after {:.1} s\n",
        fleet.hosts().len(),
        begin.elapsed().as_secs_f64()
    );
    how_to_talk(&fleet);
    Ok(ExitCode::SUCCESS)
}

/// Starts machines that stay, with HAProxy before `api` where one has it.
fn machines(name: &str, spec: FleetSpec, begin: Instant) -> Result<ExitCode> {
    if spec.ec2 {
        bail!("the full tier has no EC2");
    }
    let has_api = spec
        .hosts
        .iter()
        .flat_map(|host| &host.services)
        .any(|service| service.java && service.name == "api");
    let mut builder = Machines::builder(name).hosts(spec.hosts).detached();
    if has_api {
        builder = builder.balancer("api");
    }
    lab::full::check()?;
    if !lab::full::has_tree() {
        say!("building the machines' root tree: a minute or three, once");
        lab::full::prepare_tree()?;
    }
    let fleet = builder.start()?;
    say!(
        "{} machines up after {:.1} s\n",
        fleet.machines().len(),
        begin.elapsed().as_secs_f64()
    );
    let host = fleet.machines().first().map_or("HOST", Machine::name);
    commands(host, &fleet.ssh_config(), &fleet.inventory());
    if let Some(balancer) = fleet.balancer() {
        say!("  curl {}/work        # through HAProxy", balancer.url());
    }
    say!("\nthey stay until\n  cargo lab down --name {name}");
    Ok(ExitCode::SUCCESS)
}

/// Ends one fleet, or all that were started to stay.
pub(crate) fn down(name: Option<&str>) -> Result<ExitCode> {
    let names = name.map_or_else(
        || [lab::fleet_names(), lab::full::names()].concat(),
        |name| vec![name.to_owned()],
    );
    for name in names {
        if let Some(fleet) = Fleet::open(&name)? {
            fleet.down();
        } else if let Some(fleet) = Machines::open(&name)? {
            fleet.down();
        } else {
            bail!("no fleet is named `{name}`")
        }
        say!("{name} is down");
    }
    Ok(ExitCode::SUCCESS)
}

fn read(file: &Path) -> Result<FleetSpec> {
    let text =
        fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} describes no fleet", file.display()))
}

/// Hosts `ROLE-ZONE NUMBER`, spread evenly over the zones.
fn grid(up: &Up) -> Vec<HostSpec> {
    let mut hosts: Vec<_> = (0..up.hosts)
        .map(|index| {
            let letter = ('a'..='z').nth(index % up.zones).unwrap_or('a');
            let host = HostSpec::new(format!("{}-{letter}{}", up.role, index / up.zones + 1))
                .zone(format!("us-west-2{letter}"))
                .role(&up.role)
                .tag("env", "lab");
            if up.java {
                host.java().tag("service", "api")
            } else {
                host
            }
        })
        .collect();
    hosts.sort_by(|a, b| a.name.cmp(&b.name));
    if up.bastion {
        let bastion = HostSpec::new("bastion")
            .zone("us-west-2a")
            .role("bastion")
            .bastion();
        let inner = |number| {
            HostSpec::new(format!("inner-{number}"))
                .zone("us-west-2a")
                .role("inner")
                .behind("bastion")
        };
        hosts.extend([bastion, inner(1), inner(2)]);
    }
    hosts
}

/// Prints paths, commands to paste and the environment to export.
pub(crate) fn how_to_talk(fleet: &Fleet) {
    let host = fleet
        .hosts()
        .iter()
        .find(|host| host.has_sshd())
        .map_or("HOST", lab::Host::name);
    commands(host, &fleet.ssh_config(), &fleet.inventory());
    if let Some(ec2) = fleet.ec2() {
        say!("\nthrough the EC2 API (moto, {}):", ec2.endpoint());
        let exports: Vec<_> = ec2
            .env()
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        say!("  export {}", exports.join(" "));
        say!(
            "  {} -I {} hosts all",
            fab_rs(),
            fleet.ec2_inventory().display()
        );
    }
    say!("\nit stays until\n  cargo lab down --name {}", fleet.name());
}

/// Prints commands to paste.
fn commands(host: &str, ssh_config: &Path, inventory: &Path) {
    let (fab, inventory) = (fab_rs(), inventory.display());
    say!("to talk to it:");
    say!("  ssh -F {} {host}", ssh_config.display());
    say!("  {fab} -I {inventory} hosts all");
    say!("  {fab} -I {inventory} run all -- uptime");
}

/// The program, as it is typed from the repository's root.
pub(crate) fn fab_rs() -> String {
    let program = place::target().join("debug/fab-rs");
    program
        .strip_prefix(place::repository())
        .unwrap_or(&program)
        .display()
        .to_string()
}
