//! How one host is connected to: the `ssh:` keys of an inventory, after its rules were applied.

use std::path::PathBuf;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

/// Which host keys are accepted. There is no "off".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HostKeys {
    /// ssh's own files and settings decide; also right where a host CA signs keys.
    Ssh,
    /// Only a key that is already known.
    Strict,
    /// A first key is taken and remembered, a changed key is refused.
    AcceptNew,
}

/// Which key exchange is offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kex {
    /// ssh's own order.
    #[default]
    Default,
    /// `mlkem768x25519-sha256` and `curve25519-sha256` before `sntrup761x25519-sha512`, which costs
    /// about 80 ms of CPU a connection.
    Fast,
}

/// Connection settings of one host. `None` leaves the choice to ssh and its configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SshSettings {
    /// Login user.
    pub user: Option<String>,
    /// TCP port.
    pub port: Option<u16>,
    /// Private key file (`ssh -i`).
    pub identity: Option<PathBuf>,
    /// The bastion, `[user@]host[:port]`; `Some("none")` undoes an inherited one.
    pub jump: Option<String>,
    /// Host key policy; `None` means the default of the host's source.
    pub host_keys: Option<HostKeys>,
    /// Key exchange preference.
    pub kex: Kex,
    /// An `ssh_config` file that replaces the user's and the system's (`ssh -F`).
    pub config: Option<PathBuf>,
    /// Further `ssh_config` options (`ssh -o KEY=VALUE`).
    pub options: IndexMap<String, String>,
}
