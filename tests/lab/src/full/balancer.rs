//! HAProxy before a fleet's service: its configuration, and what it thinks of each machine.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::machine::Machine;
use crate::process::poll;
use crate::spec::HostSpec;

/// Where clients connect.
pub(crate) const PORT: u16 = 80;
/// Where HAProxy takes commands.
const COMMANDS: u16 = 9999;

/// The load balancer of a fleet. It asks each machine's `/health` every 200 ms; two answers in a row change its mind. It
/// retries nothing: a request to a machine that is not there fails, so that every fault of a rollout shows.
#[derive(Debug, Clone)]
pub struct Balancer {
    pub(crate) address: Ipv4Addr,
}

/// `haproxy.cfg` for the machines that have this service; none has it: an error.
pub(crate) fn configuration(
    address: Ipv4Addr,
    service: &str,
    machines: &[Machine],
) -> Result<String> {
    let mut text = format!(
        "global\n    maxconn 2000\n    log stdout format raw local0 info\n    stats socket ipv4@{address}:{COMMANDS} level admin\n\
         defaults\n    mode http\n    log global\n    option httplog\n    option dontlog-normal\n    option httpclose\n    \
         timeout connect 1s\n    timeout client 30s\n    timeout server 30s\n    timeout check 1s\n    retries 0\n\
         frontend door\n    bind {address}:{PORT}\n    default_backend {service}\n\
         backend {service}\n    balance roundrobin\n    option httpchk\n    http-check send meth GET uri /health\n    \
         http-check expect status 200\n    default-server inter 200ms fall 2 rise 2\n"
    );
    let mut servers = 0;
    for machine in machines {
        for unit in &machine.spec.services {
            if unit.name == service && unit.java {
                let (name, ip, port) = (machine.name(), machine.ip(), unit.port);
                let _ = writeln!(text, "    server {name} {ip}:{port} check");
                servers += 1;
            }
        }
    }
    if servers == 0 {
        bail!("no machine has a Java service `{service}` for the load balancer");
    }
    Ok(text)
}

/// Tells the inventory how machines with this service leave the load balancer and join it again.
pub(crate) fn name_commands<'a>(service: &str, hosts: impl Iterator<Item = &'a mut HostSpec>) {
    for host in hosts {
        if host.services.iter().any(|unit| unit.name == service) {
            let commands = [
                ("drain", format!("leave-balancer {service}")),
                // The command returns when no requests come any more.
                ("drain_wait", "0s".to_owned()),
                ("restore", format!("join-balancer {service}")),
            ];
            for (key, command) in commands {
                host.vars.entry(key.to_owned()).or_insert(command);
            }
        }
    }
}

impl Balancer {
    /// Its address; it listens on port 80.
    pub fn ip(&self) -> Ipv4Addr {
        self.address
    }

    /// What a client asks.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Gives HAProxy a command, for example `show stat`, and returns what it says.
    pub fn command(&self, command: &str) -> Result<String> {
        let limit = Duration::from_secs(5);
        let mut stream = TcpStream::connect_timeout(&(self.address, COMMANDS).into(), limit)
            .context("HAProxy does not listen")?;
        stream
            .set_read_timeout(Some(limit))
            .context("a time limit")?;
        writeln!(stream, "{command}").context("HAProxy does not take commands")?;
        let mut said = String::new();
        stream
            .read_to_string(&mut said)
            .context("HAProxy does not answer")?;
        Ok(said)
    }

    /// Each machine's state as HAProxy sees it: `UP`, `DOWN`, or on the way (`UP 1/2`).
    pub fn machines(&self) -> Result<BTreeMap<String, String>> {
        Ok(column(&self.command("show stat")?, "status"))
    }

    /// How many requests the machine is answering now; none where HAProxy does not know it.
    pub fn sessions(&self, machine: &str) -> Result<Option<u64>> {
        let counts = column(&self.command("show stat")?, "scur");
        Ok(counts.get(machine).and_then(|count| count.parse().ok()))
    }

    /// Waits until HAProxy sends requests to the machine, or no more. An error after a minute.
    pub fn wait_for(&self, machine: &str, up: bool) -> Result<()> {
        let wanted = if up { "UP" } else { "DOWN" };
        let reached = || {
            let states = self.machines().ok()?;
            (states.get(machine)? == wanted).then_some(())
        };
        poll(Duration::from_mins(1), reached).with_context(|| {
            format!(
                "for HAProxy, {machine} is not {wanted}: {:?}",
                self.machines()
            )
        })
    }

    /// Waits until all machines are up.
    pub(crate) fn wait_for_all(&self) -> Result<()> {
        let all_up = || {
            let states = self.machines().ok()?;
            (!states.is_empty() && states.values().all(|state| state == "UP")).then_some(())
        };
        poll(Duration::from_mins(1), all_up)
            .with_context(|| format!("HAProxy does not see all machines: {:?}", self.machines()))
    }
}

/// One column of `show stat` by machine: comma-separated, the names of its columns first.
fn column(text: &str, wanted: &str) -> BTreeMap<String, String> {
    let mut lines = text.lines();
    let names: Vec<_> = lines
        .next()
        .unwrap_or_default()
        .trim_start_matches("# ")
        .split(',')
        .collect();
    let place = |name: &str| names.iter().position(|column| *column == name);
    let (Some(server), Some(wanted)) = (place("svname"), place(wanted)) else {
        return BTreeMap::new();
    };
    let fields = lines.map(|line| line.split(',').collect::<Vec<_>>());
    fields
        .filter_map(|fields| {
            Some((
                (*fields.get(server)?).to_owned(),
                (*fields.get(wanted)?).to_owned(),
            ))
        })
        .filter(|(server, _)| server != "FRONTEND" && server != "BACKEND")
        .collect()
}

#[cfg(test)]
mod tests {
    use super::column;

    #[test]
    fn columns_are_read_by_their_names() {
        let text = "# pxname,svname,qcur,status,\ndoor,FRONTEND,,OPEN,\napi,app-a1,0,UP,\napi,app-b1,0,DOWN,\napi,BACKEND,0,UP,\n";
        for (name, expected) in [
            ("status", [("app-a1", "UP"), ("app-b1", "DOWN")]),
            ("qcur", [("app-a1", "0"), ("app-b1", "0")]),
        ] {
            let found: Vec<_> = column(text, name).into_iter().collect();
            assert_eq!(found, expected.map(|(a, b)| (a.to_owned(), b.to_owned())));
        }
        assert!(column(text, "absent").is_empty());
    }
}
