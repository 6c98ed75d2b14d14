//! Hosts as `hosts --json` and `hosts --fold` show them: data alone, no rendering.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::model::selector::TagKeys;
use crate::model::{Host, HostId, Label, Tags, Zone};

/// One host of `hosts --json`. Keys may be added, never renamed; a list of rows is an inventory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HostRow {
    /// What people see.
    pub label: Label,
    /// Name.
    pub name: String,
    /// Identity.
    pub id: HostId,
    /// What is connected to.
    pub address: String,
    /// Port; `null` is left to ssh.
    pub port: Option<u16>,
    /// Login user; `null` is left to ssh.
    pub user: Option<String>,
    /// The availability zone's name.
    pub zone: Option<Zone>,
    /// The zone's id.
    pub az_id: Option<String>,
    /// Region.
    pub region: Option<String>,
    /// Tags.
    pub tags: Tags,
    /// The source it came from.
    pub source: String,
    /// Instance state.
    pub state: Option<String>,
    /// Instance type.
    #[serde(rename = "type")]
    pub instance_type: Option<String>,
    /// Private IPv4 address.
    pub private_ip: Option<String>,
    /// VPC id.
    pub vpc: Option<String>,
    /// Subnet id.
    pub subnet: Option<String>,
    /// When it was launched, RFC 3339.
    pub launch_time: Option<String>,
}

impl From<&Host> for HostRow {
    fn from(host: &Host) -> Self {
        Self {
            label: host.label.clone(),
            name: host.name.clone(),
            id: host.id.clone(),
            address: host.address.clone(),
            port: host.ssh.port,
            user: host.ssh.user.clone(),
            zone: host.zone.clone(),
            az_id: host.az_id.clone(),
            region: host.region.clone(),
            tags: host.tags.clone(),
            source: host.source.clone(),
            state: host.state.clone(),
            instance_type: host.instance_type.clone(),
            private_ip: host.private_ip.clone(),
            vpc: host.vpc.clone(),
            subnet: host.subnet.clone(),
            launch_time: host.launch_time.clone(),
        }
    }
}

/// The rows of `hosts --json`, in the order given.
pub fn rows<'h>(hosts: impl IntoIterator<Item = &'h Host>) -> Vec<HostRow> {
    hosts.into_iter().map(HostRow::from).collect()
}

/// Hosts of one role and one zone, for `hosts --fold`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fold {
    /// The value of the tag `role`, in whatever spelling; `None` where a host bears none.
    pub role: Option<String>,
    /// The zone.
    pub zone: Zone,
    /// The hosts, in the order given.
    pub hosts: Vec<Label>,
}

/// Hosts by role, then zone; those without a role last.
pub fn fold<'h>(hosts: impl IntoIterator<Item = &'h Host>, tags: &TagKeys) -> Vec<Fold> {
    let role_key = tags.spelling("role").ok().flatten().unwrap_or("role");
    let mut groups: BTreeMap<(bool, Option<String>, Zone), Vec<Label>> = BTreeMap::new();
    for host in hosts {
        let role = host.tags.get(role_key).map(str::to_owned);
        groups
            .entry((role.is_none(), role, host.zone()))
            .or_default()
            .push(host.label.clone());
    }
    groups
        .into_iter()
        .map(|((_, role, zone), hosts)| Fold { role, zone, hosts })
        .collect()
}

#[cfg(test)]
mod tests {
    use indexmap::IndexMap;

    use super::*;

    fn host(name: &str, role: Option<&str>, zone: &str) -> Host {
        Host {
            zone: Some(Zone::new(zone)),
            tags: role.map(|role| ("Role", role)).into_iter().collect(),
            ..Host::named(name, "10.0.0.1")
        }
    }

    #[test]
    fn a_row_has_the_keys_that_were_promised_first() {
        let row = serde_json::to_value(HostRow::from(&host("app-1", Some("app"), "a"))).unwrap();
        let keys: Vec<&str> = row
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        assert_eq!(
            keys[..11],
            [
                "label", "name", "id", "address", "port", "user", "zone", "az_id", "region",
                "tags", "source"
            ]
        );
        assert_eq!(row["zone"], "a");
        assert_eq!(row["tags"]["Role"], "app");
        assert_eq!(row["port"], serde_json::Value::Null);
    }

    #[test]
    fn hosts_fold_by_role_and_zone_with_the_roleless_last() {
        let hosts = [
            host("x", None, "a"),
            host("web-1", Some("web"), "b"),
            host("app-1", Some("app"), "b"),
            host("app-2", Some("app"), "a"),
            host("app-3", Some("app"), "b"),
        ];
        let tags = TagKeys::new(&hosts, &IndexMap::new());
        let shown: Vec<String> = fold(&hosts, &tags)
            .iter()
            .map(|fold| {
                let labels: Vec<&str> = fold.hosts.iter().map(Label::as_str).collect();
                format!(
                    "{:?} {} {}",
                    fold.role.as_deref(),
                    fold.zone,
                    labels.join(",")
                )
            })
            .collect();
        assert_eq!(
            shown,
            [
                "Some(\"app\") a app-2",
                "Some(\"app\") b app-1,app-3",
                "Some(\"web\") b web-1",
                "None a x"
            ]
        );
    }
}
