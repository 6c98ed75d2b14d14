//! The inventory file: its keys, read from YAML with every error at its place. Asks no source for hosts.

mod decode;
mod host;
mod shape;
mod source;
mod ssh;
mod value;

#[cfg(test)]
mod tests;

pub use decode::read;
pub use host::HostEntry;
pub(crate) use host::json_hosts;
pub use shape::{
    AddressChoice, CommandSource, Ec2Source, InventoryFile, NameChoice, Regions, Rule, SourceEntry,
    SourceKind,
};
