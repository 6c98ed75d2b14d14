//! A host: what an inventory says of one machine, its identity and the label people see.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::{SshSettings, Tags, Zone};

/// A host's identity: the instance id, else `user@address:port`. The key everywhere; never shown
/// where a [`Label`] can be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HostId(Arc<str>);

/// What people see for a host: its name, or `name.<end of the id>` where the name is not alone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Label(Arc<str>);

macro_rules! text_newtype {
    ($name:ident) => {
        impl $name {
            /// Wraps the text.
            pub fn new(text: impl Into<Arc<str>>) -> Self {
                Self(text.into())
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}
text_newtype!(HostId);
text_newtype!(Label);

/// What this machine is called where hosts are; no host's file name begins with `@`.
pub const CONTROLLER: &str = "@controller";

/// The longest file name made of a label, bytes: file systems end at 255, and endings such as `.log` follow.
pub const FILE_NAME_LENGTH: usize = 200;

/// Hex digits of the digest that ends a shortened file name.
const DIGEST_LENGTH: usize = 16;

/// A file name of at most `most` bytes (more than 17): the name itself, or its beginning, `~` and the begin of its
/// SHA-256, so that long names that begin alike stay apart.
pub fn file_name_within(name: String, most: usize) -> String {
    use sha2::{Digest as _, Sha256};
    use std::fmt::Write as _;
    if name.len() <= most {
        return name;
    }
    let mut short = name[..name.floor_char_boundary(most - DIGEST_LENGTH - 1)].to_owned();
    short.push('~');
    for byte in &Sha256::digest(name.as_bytes())[..DIGEST_LENGTH / 2] {
        write!(short, "{byte:02x}").expect("writing to a String cannot fail");
    }
    short
}

impl Label {
    /// The label as a file name: every byte outside `[A-Za-z0-9._@-]` is percent-encoded, and so is a leading
    /// dot (RFC 3986, section 2.1) or `@`, which begins names that are no host's. A name of more than
    /// [`FILE_NAME_LENGTH`] bytes keeps its beginning and ends with a digest of the whole.
    pub fn file_name(&self) -> String {
        use std::fmt::Write as _;
        let mut name = String::with_capacity(self.0.len());
        for (index, byte) in self.0.bytes().enumerate() {
            let plain = byte.is_ascii_alphanumeric()
                || b"_@-".contains(&byte)
                || (byte == b'.' && index > 0);
            let plain = plain && !(byte == b'@' && index == 0);
            if plain {
                name.push(char::from(byte));
            } else {
                write!(name, "%{byte:02X}").expect("writing to a String cannot fail");
            }
        }
        file_name_within(name, FILE_NAME_LENGTH)
    }
}

/// One machine, as its inventory source describes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Host {
    /// Identity.
    pub id: HostId,
    /// What people see.
    pub label: Label,
    /// The name, which other hosts may bear too.
    pub name: String,
    /// The name or address that is connected to.
    pub address: String,
    /// The availability zone; `None` is shown as zone `none`.
    pub zone: Option<Zone>,
    /// The zone's id, the same in every account, such as `use1-az2`.
    pub az_id: Option<String>,
    /// The region.
    pub region: Option<String>,
    /// Private IPv4 address.
    pub private_ip: Option<String>,
    /// Instance type, such as `m5.large`.
    pub instance_type: Option<String>,
    /// Instance state, such as `running`; `None` where the source has no states.
    pub state: Option<String>,
    /// VPC id.
    pub vpc: Option<String>,
    /// Subnet id.
    pub subnet: Option<String>,
    /// When the instance was launched, RFC 3339.
    pub launch_time: Option<String>,
    /// Tags.
    pub tags: Tags,
    /// Variables given by the inventory.
    pub vars: IndexMap<String, serde_json::Value>,
    /// Connection settings.
    pub ssh: SshSettings,
    /// The inventory source it came from, such as `ec2:us-west-2` or `prod.yml`.
    pub source: String,
}

impl Host {
    /// A host with a name and an address and nothing else, as `-H NAME` makes one.
    pub fn named(name: impl Into<String>, address: impl Into<String>) -> Self {
        let (name, address) = (name.into(), address.into());
        Self {
            id: HostId::new(address.as_str()),
            label: Label::new(name.as_str()),
            name,
            address,
            zone: None,
            az_id: None,
            region: None,
            private_ip: None,
            instance_type: None,
            state: None,
            vpc: None,
            subnet: None,
            launch_time: None,
            tags: Tags::default(),
            vars: IndexMap::new(),
            ssh: SshSettings::default(),
            source: String::new(),
        }
    }

    /// The zone, [`Zone::none`] where the host has none.
    pub fn zone(&self) -> Zone {
        self.zone.clone().unwrap_or_else(Zone::none)
    }

    /// The auto-scaling group, from the tag that EC2 sets.
    pub fn asg(&self) -> Option<&str> {
        self.tags.get("aws:autoscaling:groupName")
    }

    /// The CloudFormation stack, from the tag that CloudFormation sets.
    pub fn stack(&self) -> Option<&str> {
        self.tags.get("aws:cloudformation:stack-name")
    }
}

/// How many characters of an id are tried first to tell hosts of one name apart.
const ID_END: usize = 4;

/// Gives every host its label: the name where it is alone among `hosts`, else `name.<end of id>`
/// with the shortest end (four characters at least) that is unique among the hosts of that name and makes
/// no label that is another host's name.
pub fn label_hosts(hosts: &mut [Host]) {
    let mut by_name: HashMap<String, Vec<usize>> = HashMap::new();
    for (index, host) in hosts.iter().enumerate() {
        by_name.entry(host.name.clone()).or_default().push(index);
    }
    for (name, indexes) in &by_name {
        if let [only] = indexes[..] {
            hosts[only].label = Label::new(name.as_str());
            continue;
        }
        let ids: Vec<Vec<char>> = indexes
            .iter()
            .map(|&i| hosts[i].id.as_str().chars().collect())
            .collect();
        let longest = ids.iter().map(Vec::len).max().unwrap_or(0);
        let length = (ID_END..longest)
            .find(|&n| {
                let is_a_name = |id| by_name.contains_key(&format!("{name}.{}", end(id, n)));
                all_differ(&ids, n) && !ids.iter().any(|id| is_a_name(id))
            })
            .unwrap_or(longest);
        for (&index, id) in indexes.iter().zip(&ids) {
            hosts[index].label = Label::new(format!("{name}.{}", end(id, length)));
        }
    }
}

fn end(id: &[char], length: usize) -> String {
    id[id.len().saturating_sub(length)..].iter().collect()
}

fn all_differ(ids: &[Vec<char>], length: usize) -> bool {
    let ends: std::collections::HashSet<String> = ids.iter().map(|id| end(id, length)).collect();
    ends.len() == ids.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str, id: &str) -> Host {
        Host {
            id: HostId::new(id),
            ..Host::named(name, "10.0.0.1")
        }
    }

    #[test]
    fn a_name_that_is_alone_is_the_label() {
        let mut hosts = [host("app-1", "i-aaaa1111"), host("app-2", "i-bbbb1111")];
        label_hosts(&mut hosts);
        assert_eq!(hosts[0].label.as_str(), "app-1");
    }

    #[test]
    fn hosts_of_one_name_bear_the_shortest_unique_end_of_their_ids() {
        let mut hosts = [
            host("app", "i-aaaa1111"),
            host("app", "i-bbbb1111"),
            host("db", "i-c"),
        ];
        label_hosts(&mut hosts);
        let labels: Vec<&str> = hosts.iter().map(|host| host.label.as_str()).collect();
        assert_eq!(labels, ["app.a1111", "app.b1111", "db"]);
    }

    #[test]
    fn no_label_is_another_hosts_name() {
        let mut hosts = [
            host("app", "i-aaaa1111"),
            host("app", "i-bbbb2222"),
            host("app.2222", "i-cccc3333"),
        ];
        label_hosts(&mut hosts);
        let labels: Vec<&str> = hosts.iter().map(|host| host.label.as_str()).collect();
        assert_eq!(labels, ["app.a1111", "app.b2222", "app.2222"]);
    }

    #[test]
    fn a_label_as_a_file_name_holds_no_separator() {
        assert_eq!(Label::new("../a b/é").file_name(), "%2E.%2Fa%20b%2F%C3%A9");
        assert_eq!(Label::new("@controller").file_name(), "%40controller");
        assert_eq!(Label::new("me@a").file_name(), "me@a");
    }

    #[test]
    fn long_labels_as_file_names_fit_and_stay_apart() {
        let name = |end: &str| Label::new(format!("{}{end}", "ä".repeat(300))).file_name();
        let (one, other) = (name("1"), name("2"));
        assert_eq!(
            (one.len(), other.len()),
            (FILE_NAME_LENGTH, FILE_NAME_LENGTH)
        );
        assert_ne!(one, other);
        let fits = "a".repeat(FILE_NAME_LENGTH);
        assert_eq!(Label::new(fits.as_str()).file_name(), fits);
    }
}
