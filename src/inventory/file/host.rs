//! Hosts that are written down: entries of `hosts:`, a saved `hosts --json`, or the output of a command.

use std::sync::Arc;

use indexmap::IndexMap;
use serde_json::Value;

use super::{ssh, value};
use crate::inventory::SshKeys;
use crate::model::{Diagnostic, Source, SourceSpan, Tags, check_address};
use crate::yaml::{Fields, Node, NodeKind};

/// A host that is written down.
#[derive(Debug, Clone)]
pub struct HostEntry {
    /// Name; the address where it has none.
    pub name: String,
    /// What is connected to; the name where it has none.
    pub address: String,
    /// Identity; made from user, address and port where it has none.
    pub id: Option<String>,
    /// Availability zone.
    pub zone: Option<String>,
    /// The zone's id.
    pub az_id: Option<String>,
    /// Region.
    pub region: Option<String>,
    /// What EC2 said of an instance in a saved list.
    pub instance: InstanceFacts,
    /// Tags.
    pub tags: Tags,
    /// Variables.
    pub vars: IndexMap<String, Value>,
    /// Connection settings; `user` and `port` of the entry itself are among them.
    pub ssh: SshKeys,
    /// Where it stands.
    pub span: SourceSpan,
}

/// What only instances have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InstanceFacts {
    /// Private IPv4 address.
    pub private_ip: Option<String>,
    /// Instance type.
    pub instance_type: Option<String>,
    /// State.
    pub state: Option<String>,
    /// VPC id.
    pub vpc: Option<String>,
    /// Subnet id.
    pub subnet: Option<String>,
    /// Launch time, RFC 3339.
    pub launch_time: Option<String>,
}

/// Whether a key without a value is an error (a person wrote it) or the same as no key (a program did).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Strictness {
    Person,
    Program,
}

const KEYS: [&str; 19] = [
    "name",
    "address",
    "zone",
    "region",
    "az_id",
    "port",
    "user",
    "tags",
    "vars",
    "ssh",
    "id",
    "private_ip",
    "type",
    "state",
    "vpc",
    "subnet",
    "launch_time",
    // Printed by `hosts --json`, computed anew when read back.
    "label",
    "source",
];

/// Reads a list of hosts; `what` names it.
pub(crate) fn host_list(
    node: &Node,
    what: &str,
    strictness: Strictness,
    errors: &mut Vec<Diagnostic>,
) -> Vec<HostEntry> {
    let Some(items) = node.expect_sequence(what, errors) else {
        return Vec::new();
    };
    items
        .iter()
        .enumerate()
        .filter_map(|(index, item)| host(item, index, strictness, errors))
        .collect()
}

/// Reads hosts from JSON text: a list, as `hosts --json` prints it. Errors have no place in the text but
/// name the host.
///
/// # Errors
/// It is no JSON, no list, or a host is wrong.
pub(crate) fn json_hosts(text: &[u8]) -> Result<Vec<HostEntry>, Vec<Diagnostic>> {
    let parsed: Value = serde_json::from_slice(text)
        .map_err(|error| vec![Diagnostic::new(format!("it is no JSON: {error}"))])?;
    if parsed.get("_meta").is_some() {
        let error = Diagnostic::new("Ansible's inventory JSON is not supported yet");
        return Err(vec![error.hint(
            "print a list such as `[{\"name\": \"app-1\", \"address\": \"10.0.1.11\"}]`",
        )]);
    }
    let source = Arc::new(Source {
        path: "stdout".into(),
        text: String::new(),
    });
    let mut errors = Vec::new();
    let node = value::from_json(&parsed, &source);
    let hosts = host_list(&node, "the output", Strictness::Program, &mut errors);
    if errors.is_empty() {
        return Ok(hosts);
    }
    for error in &mut errors {
        error.span = None;
    }
    Err(errors)
}

fn host(
    node: &Node,
    index: usize,
    strictness: Strictness,
    errors: &mut Vec<Diagnostic>,
) -> Option<HostEntry> {
    let stripped;
    let node = match strictness {
        Strictness::Person => node,
        Strictness::Program => {
            stripped = without_nulls(node);
            &stripped
        }
    };
    let what = match node
        .get("name")
        .or(node.get("address"))
        .and_then(Node::as_text)
    {
        Some(name) => format!("host `{name}`"),
        None => format!("host {}", index + 1),
    };
    let before = errors.len();
    let fields = node.expect_mapping(&what, &KEYS, errors)?;
    let names = names(&fields, &what, errors);
    let entry = HostEntry {
        name: names
            .as_ref()
            .map_or_else(String::new, |names| names.0.clone()),
        address: names.map_or_else(String::new, |names| names.1),
        id: fields.string("id", errors),
        zone: fields.string("zone", errors),
        az_id: fields.string("az_id", errors),
        region: fields.string("region", errors),
        instance: instance(&fields, errors),
        tags: fields
            .read("tags", errors, |node, key, errors| {
                value::texts(node, &format!("{key} of {what}"), errors)
            })
            .into_iter()
            .flatten()
            .collect(),
        vars: fields.read("vars", errors, value::vars).unwrap_or_default(),
        ssh: own_ssh(&fields, &what, errors),
        span: fields.head().clone(),
    };
    (errors.len() == before).then_some(entry)
}

/// Name and address, each the other where it is not given.
fn names(
    fields: &Fields<'_>,
    what: &str,
    errors: &mut Vec<Diagnostic>,
) -> Option<(String, String)> {
    let name = fields.string("name", errors);
    let address = fields.string("address", errors);
    let (Some(name), Some(address)) = (name.clone().or(address.clone()), address.or(name)) else {
        if !fields.has("name") && !fields.has("address") {
            let error = Diagnostic::new(format!("{what} has neither `name` nor `address`"));
            errors.push(error.at(fields.head()));
        }
        return None;
    };
    if let Err(error) = check_address(&address) {
        let place = fields
            .get("address")
            .or(fields.get("name"))
            .map_or_else(|| fields.head().clone(), Node::head);
        errors.push(error.diagnostic(what).at(&place));
        return None;
    }
    Some((name, address))
}

fn instance(fields: &Fields<'_>, errors: &mut Vec<Diagnostic>) -> InstanceFacts {
    InstanceFacts {
        private_ip: fields.string("private_ip", errors),
        instance_type: fields.string("type", errors),
        state: fields.string("state", errors),
        vpc: fields.string("vpc", errors),
        subnet: fields.string("subnet", errors),
        launch_time: fields.string("launch_time", errors),
    }
}

/// `ssh:` with the entry's own `user` and `port`.
fn own_ssh(fields: &Fields<'_>, what: &str, errors: &mut Vec<Diagnostic>) -> SshKeys {
    let mut keys = fields
        .read("ssh", errors, |node, key, errors| {
            ssh::keys(node, &format!("{key} of {what}"), errors)
        })
        .unwrap_or_default();
    for (key, twice) in [("user", keys.user.is_some()), ("port", keys.port.is_some())] {
        if let (Some(entry), true) = (fields.entry(key), twice) {
            let message = format!("{what} has `{key}` twice: here and in its `ssh`");
            errors.push(Diagnostic::new(message).at(&entry.key.head()));
        }
    }
    keys.user = fields.read("user", errors, ssh::user).or(keys.user);
    keys.port = fields.read("port", errors, ssh::port).or(keys.port);
    keys
}

fn without_nulls(node: &Node) -> Node {
    match &node.kind {
        NodeKind::Mapping(pairs) => Node {
            span: node.span.clone(),
            kind: NodeKind::Mapping(
                pairs
                    .iter()
                    .filter(|(_, value)| !value.is_null())
                    .cloned()
                    .collect(),
            ),
        },
        _ => node.clone(),
    }
}
