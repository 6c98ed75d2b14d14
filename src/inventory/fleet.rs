//! What an inventory is once its sources have answered: hosts with settings, identities and labels.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use indexmap::IndexMap;

use super::duplicate::{Distinct, distinct};
use super::file::{HostEntry, InventoryFile, Rule};
use super::problem::HostProblem;
use super::ssh_keys::SshKeys;
use crate::model::selector::{Matcher, TagKeys};
use crate::model::{Diagnostic, Host, HostId, HostKeys, SourceSpan, Zone, label_hosts};

/// Every host that can be selected.
#[derive(Debug, Clone, Default)]
pub struct Inventory {
    /// What it is called in messages: its file, or `EC2 in us-west-2`.
    pub name: String,
    /// The hosts, each id once, sorted by name, then id, with labels that tell all of them apart.
    pub hosts: Vec<Host>,
    /// Where they came from.
    pub sources: Vec<SourceReport>,
    /// Hosts that cannot be connected to. They are among the hosts, with an empty address.
    pub problems: Vec<HostProblem>,
    /// The tags that hosts bear, with the inventory's aliases.
    pub tags: TagKeys,
    /// The AWS accounts that own hosts. Zone names mean different zones in different accounts.
    pub accounts: BTreeSet<String>,
    /// What the user should know, such as that EC2 could not be asked.
    pub notes: Vec<String>,
    /// Settings of hosts that no source knows, from flags, configuration and the inventory's `ssh`.
    pub ssh: SshKeys,
}

/// One source's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceReport {
    /// What it is, such as `ec2:us-west-2`, `prod.yml` or `./cmdb.sh`.
    pub name: String,
    /// How many hosts it gave.
    pub hosts: usize,
    /// How old the answer is, where it comes from the cache.
    pub age: Option<Duration>,
}

/// A host of a source, before rules and settings.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) host: Host,
    /// Its own `ssh` keys.
    pub(crate) ssh: SshKeys,
    /// Whether a source gave it an identity of its own.
    pub(crate) has_id: bool,
    /// Where it stands, where a person wrote it into the inventory file.
    pub(crate) place: Option<SourceSpan>,
}

/// Everything the sources of one inventory gave.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    pub(crate) found: Vec<Found>,
    pub(crate) reports: Vec<SourceReport>,
    pub(crate) problems: Vec<HostProblem>,
    pub(crate) accounts: BTreeSet<String>,
}

/// Settings that hold for every host, from outside the inventory file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SshContext {
    /// Flags: above everything else.
    pub flags: SshKeys,
    /// Configuration: below the inventory's `ssh`.
    pub defaults: SshKeys,
}

impl Found {
    /// A host that is written down.
    pub(crate) fn of_entry(entry: HostEntry, source: &str) -> Self {
        let instance = entry.instance;
        let has_id = entry.id.is_some();
        let mut host = Host {
            zone: entry
                .zone
                .as_deref()
                .filter(|zone| *zone != "none")
                .map(Zone::new),
            az_id: entry.az_id,
            region: entry.region,
            private_ip: instance.private_ip,
            instance_type: instance.instance_type,
            state: instance.state,
            vpc: instance.vpc,
            subnet: instance.subnet,
            launch_time: instance.launch_time,
            tags: entry.tags,
            vars: entry.vars,
            source: source.to_owned(),
            ..Host::named(entry.name, entry.address)
        };
        if let Some(id) = entry.id {
            host.id = HostId::new(id);
        }
        Self {
            host,
            ssh: entry.ssh,
            has_id,
            place: Some(entry.span),
        }
    }

    /// An instance.
    pub(crate) fn of_instance(host: Host) -> Self {
        Self {
            host,
            ssh: SshKeys::default(),
            has_id: true,
            place: None,
        }
    }
}

/// Puts rules and settings on every host, gives identities and labels, removes what two sources both gave
/// (the first stays, which a note says), and sorts.
///
/// # Errors
/// A rule's tag key is spelled in several ways by the hosts, or the file itself has one host twice.
pub(crate) fn assemble(
    gathered: Gathered,
    file: &InventoryFile,
    context: &SshContext,
    name: String,
) -> Result<Inventory, Vec<Diagnostic>> {
    let tags = TagKeys::new(
        gathered.found.iter().map(|found| &found.host),
        &file.aliases,
    );
    let rules = matchers(&file.rules, &tags)?;
    let mut base = context.flags.clone();
    base.fill_from(&file.ssh);
    base.fill_from(&context.defaults);
    let settled = gathered.found.into_iter().map(|found| {
        let place = found.place.clone();
        (settle(found, &rules, file, context), place)
    });
    let Distinct { mut hosts, notes } = distinct(settled)?;
    label_hosts(&mut hosts);
    hosts.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
    Ok(Inventory {
        name,
        hosts,
        sources: gathered.reports,
        problems: gathered.problems,
        tags,
        accounts: gathered.accounts,
        notes,
        ssh: base,
    })
}

type RuleMatchers<'r> = Vec<(Vec<Matcher<'r>>, &'r Rule)>;

fn matchers<'r>(rules: &'r [Rule], tags: &'r TagKeys) -> Result<RuleMatchers<'r>, Vec<Diagnostic>> {
    let mut errors = Vec::new();
    let mut ready = Vec::new();
    for rule in rules {
        let terms = rule.matches.iter().map(|term| term.matcher(tags));
        match terms.collect::<Result<Vec<_>, _>>() {
            Ok(matchers) => ready.push((matchers, rule)),
            Err(error) => errors.push(error.diagnostic().at(&rule.span)),
        }
    }
    if errors.is_empty() {
        Ok(ready)
    } else {
        Err(errors)
    }
}

/// Flags, then the host's own keys, then the first rule that has the key, the file's `ssh`, the defaults.
fn settle(
    found: Found,
    rules: &RuleMatchers<'_>,
    file: &InventoryFile,
    context: &SshContext,
) -> Host {
    let Found {
        mut host,
        ssh,
        has_id,
        place: _,
    } = found;
    let mut keys = context.flags.clone();
    keys.fill_from(&ssh);
    let fitting =
        |(matchers, _): &&(Vec<Matcher<'_>>, &Rule)| matchers.iter().all(|one| one.matches(&host));
    let rules: Vec<&Rule> = rules
        .iter()
        .filter(fitting)
        .map(|(_, rule)| *rule)
        .collect();
    for rule in rules {
        keys.fill_from(&rule.ssh);
        for (key, value) in &rule.vars {
            host.vars
                .entry(key.clone())
                .or_insert_with(|| value.clone());
        }
    }
    keys.fill_from(&file.ssh);
    keys.fill_from(&context.defaults);
    finish(host, keys, has_id)
}

/// Gives the host its settings, and an identity where no source gave one.
pub(crate) fn finish(mut host: Host, keys: SshKeys, has_id: bool) -> Host {
    host.ssh = keys.into_settings();
    if !has_id {
        host.id = written_id(&host);
    } else if is_instance_id(host.id.as_str()) && host.ssh.host_keys.is_none() {
        host.ssh.host_keys = Some(HostKeys::AcceptNew);
    }
    host
}

/// `user@address:port`, less what is left to ssh.
fn written_id(host: &Host) -> HostId {
    let user = host.ssh.user.as_ref().map(|user| format!("{user}@"));
    let address = if host.address.contains(':') {
        format!("[{}]", host.address)
    } else {
        host.address.clone()
    };
    let port = host.ssh.port.map(|port| format!(":{port}"));
    HostId::new(format!(
        "{}{address}{}",
        user.unwrap_or_default(),
        port.unwrap_or_default()
    ))
}

/// Whether a text is an EC2 instance id.
pub(crate) fn is_instance_id(text: &str) -> bool {
    text.strip_prefix("i-").is_some_and(|hex| {
        matches!(hex.len(), 8 | 17) && hex.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

/// Makes the relative paths of a file's ssh keys start at its folder.
pub(crate) fn anchor(file: &mut InventoryFile, folder: &Path, home: Option<&Path>) {
    file.ssh.anchor(folder, home);
    for rule in &mut file.rules {
        rule.ssh.anchor(folder, home);
    }
    for source in &mut file.sources {
        if let super::file::SourceKind::Hosts(hosts) = &mut source.kind {
            for host in hosts {
                host.ssh.anchor(folder, home);
            }
        }
    }
}

impl Inventory {
    /// An inventory that asks nobody: hosts named on the command line are all there is.
    pub(crate) fn empty(name: &str, context: &SshContext) -> Self {
        let mut ssh = context.flags.clone();
        ssh.fill_from(&context.defaults);
        Self {
            name: name.to_owned(),
            ssh,
            tags: TagKeys::new([], &IndexMap::new()),
            ..Self::default()
        }
    }

    /// What is wrong with a host, if it cannot be connected to.
    pub fn problem(&self, host: &HostId) -> Option<&Diagnostic> {
        let found = self.problems.iter().find(|problem| problem.host == *host);
        found.map(|problem| &problem.diagnostic)
    }
}

#[cfg(test)]
#[path = "fleet_tests.rs"]
mod tests;
