//! `cargo lab status`: what is up, what should be.

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use lab::full::{Machine, Machines};
use lab::{Fleet, Host, HostSpec};
use serde_json::json;

/// Prints every fleet and host; exit status 1 when a host that should live does not.
pub(crate) fn status(json: bool) -> Result<ExitCode> {
    let mut fleets = Vec::new();
    for name in lab::fleet_names() {
        if let Some(fleet) = Fleet::open(&name)? {
            fleets.push(fleet);
        }
    }
    let mut machines = Vec::new();
    for name in lab::full::names() {
        machines.extend(Machines::open(&name)?);
    }
    let is_off = |machine: &Machine| !machine.is_alive();
    let dead = fleets
        .iter()
        .flat_map(Fleet::hosts)
        .any(|host| state(host) == "dead")
        || machines.iter().flat_map(Machines::machines).any(is_off);
    if json {
        let fleets = fleets.iter().map(as_json);
        let all: Vec<_> = fleets
            .chain(machines.iter().map(machines_as_json))
            .collect();
        say!("{}", serde_json::to_string_pretty(&all).context("JSON")?);
    } else if fleets.is_empty() && machines.is_empty() {
        say!("no fleet is up");
    } else {
        fleets.iter().for_each(print);
        machines.iter().for_each(print_machines);
    }
    Ok(if dead {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// `up`, or `off` for a machine that was killed or halted.
fn state_of(machine: &Machine) -> &'static str {
    if machine.is_alive() { "up" } else { "off" }
}

/// `up`, `dead`, or `stopped` for a host that should not run.
fn state(host: &Host) -> &'static str {
    if host.is_alive() {
        "up"
    } else if host
        .spec()
        .ec2_state
        .as_deref()
        .is_none_or(|state| state == "running")
    {
        "dead"
    } else {
        "stopped"
    }
}

fn faults(spec: &HostSpec) -> Vec<String> {
    spec.faults.iter().map(ToString::to_string).collect()
}

fn as_json(fleet: &Fleet) -> serde_json::Value {
    let hosts: Vec<_> = fleet
        .hosts()
        .iter()
        .map(|host| {
            json!({
                "name": host.name(),
                "state": state(host),
                "address": host.address(),
                "ip": host.ip(),
                "port": host.port(),
                "user": host.login(),
                "zone": host.spec().zone,
                "tags": host.spec().tags,
                "faults": faults(host.spec()),
                "processes": host.processes().len(),
                "logins": host.logins(),
                "instance": fleet.ec2().and_then(|ec2| ec2.instances.get(host.name())),
            })
        })
        .collect();
    json!({
        "name": fleet.name(),
        "dir": fleet.dir(),
        "inventory": fleet.inventory(),
        "ssh_config": fleet.ssh_config(),
        "endpoint": fleet.ec2().map(lab::Ec2::endpoint),
        "hosts": hosts,
    })
}

fn machines_as_json(fleet: &Machines) -> serde_json::Value {
    let states = fleet
        .balancer()
        .and_then(|balancer| balancer.machines().ok());
    let hosts = fleet.machines().iter().map(|machine| {
        json!({
            "name": machine.name(),
            "state": state_of(machine),
            "address": machine.ip(),
            "ip": machine.ip(),
            "port": machine.port(),
            "user": machine.login(),
            "zone": machine.spec().zone,
            "tags": machine.spec().tags,
            "faults": faults(machine.spec()),
            "processes": machine.processes().len(),
            "balancer": states.as_ref().and_then(|states| states.get(machine.name())),
        })
    });
    json!({
        "name": fleet.name(),
        "tier": "full",
        "dir": fleet.dir(),
        "inventory": fleet.inventory(),
        "ssh_config": fleet.ssh_config(),
        "balancer": fleet.balancer().map(|balancer| balancer.url()),
        "hosts": hosts.collect::<Vec<_>>(),
    })
}

/// A host's line: name, state, address, zone, faults.
fn line(spec: &HostSpec, width: usize, state: &str, address: &str) {
    let (name, zone) = (&spec.name, spec.zone.as_deref().unwrap_or("-"));
    let line = format!(
        "  {name:width$}  {state:7}  {address:16}  {zone:11}  {}",
        faults(spec).join(" ")
    );
    say!("{}", line.trim_end());
}

fn width<'a>(names: impl Iterator<Item = &'a str>) -> usize {
    names.map(str::len).max().unwrap_or(0)
}

fn print(fleet: &Fleet) {
    say!("{}  {}", fleet.name(), fleet.dir().display());
    let width = width(fleet.hosts().iter().map(Host::name));
    for host in fleet.hosts() {
        line(host.spec(), width, state(host), &host.address());
    }
}

fn print_machines(fleet: &Machines) {
    let balancer = fleet.balancer().map_or(String::new(), |balancer| {
        format!(", {} before it", balancer.url())
    });
    say!(
        "{}  {} (full tier{balancer})",
        fleet.name(),
        fleet.dir().display()
    );
    let width = width(fleet.machines().iter().map(Machine::name));
    for machine in fleet.machines() {
        line(
            machine.spec(),
            width,
            state_of(machine),
            &machine.ip().to_string(),
        );
    }
}
