//! What an inventory file says, decoded.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;
use serde_json::Value;

use super::HostEntry;
use crate::inventory::SshKeys;
use crate::model::selector::Term;
use crate::model::{Source, SourceSpan};

/// An inventory file.
#[derive(Debug, Clone)]
pub struct InventoryFile {
    /// The text.
    pub source: Arc<Source>,
    /// Where hosts come from.
    pub sources: Vec<SourceEntry>,
    /// Tag spellings: as typed → as hosts bear it.
    pub aliases: IndexMap<String, String>,
    /// Connection settings of every host.
    pub ssh: SshKeys,
    /// Settings of the hosts that match; for each key the first rule that matches wins.
    pub rules: Vec<Rule>,
}

/// One entry of `sources`.
#[derive(Debug, Clone)]
pub struct SourceEntry {
    /// What it is.
    pub kind: SourceKind,
    /// Where it stands.
    pub span: SourceSpan,
}

/// Where hosts come from.
#[derive(Debug, Clone)]
pub enum SourceKind {
    /// Instances of EC2.
    Ec2(Box<Ec2Source>),
    /// A list in the file.
    Hosts(Vec<HostEntry>),
    /// A program that prints such a list as JSON.
    Command(CommandSource),
}

/// `ec2`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ec2Source {
    /// Which regions.
    pub regions: Regions,
    /// The profile of the AWS configuration.
    pub profile: Option<String>,
    /// A role to assume.
    pub role_arn: Option<String>,
    /// The external id that the role asks for.
    pub external_id: Option<String>,
    /// Filters of DescribeInstances, asked for server-side.
    pub filters: IndexMap<String, Vec<String>>,
    /// Instances that match one of these are left out.
    pub exclude: Vec<Term>,
    /// What becomes the name: the first that exists, else the id.
    pub name: Vec<NameChoice>,
    /// What is connected to: the first that exists.
    pub address: Vec<AddressChoice>,
    /// For how long an answer is kept for runs that change nothing.
    pub cache: Option<Duration>,
    /// How many instances a page of the API's answer holds.
    pub page_size: u16,
}

impl Default for Ec2Source {
    fn default() -> Self {
        Self {
            regions: Regions::Ambient,
            profile: None,
            role_arn: None,
            external_id: None,
            filters: IndexMap::new(),
            exclude: Vec::new(),
            name: vec![NameChoice::Tag("Name".to_owned())],
            address: vec![AddressChoice::PrivateIp, AddressChoice::PublicIp],
            cache: None,
            page_size: 1000,
        }
    }
}

/// Which regions are asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Regions {
    /// The one that the AWS configuration or the environment names.
    Ambient,
    /// Every region that the account has enabled.
    All,
    /// These.
    Named(Vec<String>),
}

/// What may become an instance's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NameChoice {
    /// `tag:KEY`.
    Tag(String),
    /// `id`.
    Id,
    /// `private_dns`.
    PrivateDns,
    /// `public_dns`.
    PublicDns,
    /// `private_ip`.
    PrivateIp,
}

/// What may be connected to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AddressChoice {
    /// `private_ip`.
    PrivateIp,
    /// `public_ip`.
    PublicIp,
    /// `private_dns`.
    PrivateDns,
    /// `public_dns`.
    PublicDns,
    /// `ipv6`.
    Ipv6,
    /// `tag:KEY`.
    Tag(String),
}

impl fmt::Display for AddressChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PrivateIp => f.write_str("private_ip"),
            Self::PublicIp => f.write_str("public_ip"),
            Self::PrivateDns => f.write_str("private_dns"),
            Self::PublicDns => f.write_str("public_dns"),
            Self::Ipv6 => f.write_str("ipv6"),
            Self::Tag(key) => write!(f, "tag:{key}"),
        }
    }
}

/// `command`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandSource {
    /// The program and its arguments; no shell reads them. At least one word.
    pub argv: Vec<String>,
    /// How long it may take.
    pub timeout: Duration,
}

/// One of `rules`.
#[derive(Debug, Clone)]
pub struct Rule {
    /// All must hold.
    pub matches: Vec<Term>,
    /// Connection settings.
    pub ssh: SshKeys,
    /// Variables.
    pub vars: IndexMap<String, Value>,
    /// Where it stands.
    pub span: SourceSpan,
}
