//! `cargo lab status`: what is up, what should be.

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use lab::{Fleet, Host};
use serde_json::json;

/// Prints every fleet and host; exit status 1 when a host that should live does not.
pub(crate) fn status(json: bool) -> Result<ExitCode> {
    let mut fleets = Vec::new();
    for name in lab::fleet_names() {
        if let Some(fleet) = Fleet::open(&name)? {
            fleets.push(fleet);
        }
    }
    let dead = fleets
        .iter()
        .flat_map(Fleet::hosts)
        .any(|host| state(host) == "dead");
    if json {
        let fleets: Vec<_> = fleets.iter().map(as_json).collect();
        say!("{}", serde_json::to_string_pretty(&fleets).context("JSON")?);
    } else if fleets.is_empty() {
        say!("no fleet is up");
    } else {
        fleets.iter().for_each(print);
    }
    Ok(if dead {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
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

fn faults(host: &Host) -> Vec<String> {
    host.spec().faults.iter().map(ToString::to_string).collect()
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
                "faults": faults(host),
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

fn print(fleet: &Fleet) {
    say!("{}  {}", fleet.name(), fleet.dir().display());
    let width = fleet
        .hosts()
        .iter()
        .map(|host| host.name().len())
        .max()
        .unwrap_or(0);
    for host in fleet.hosts() {
        let zone = host.spec().zone.as_deref().unwrap_or("-");
        let line = format!(
            "  {:width$}  {:7}  {:16}  {zone:11}  {}",
            host.name(),
            state(host),
            host.address(),
            faults(host).join(" ")
        );
        say!("{}", line.trim_end());
    }
}
