//! Flags that say how hosts are connected to.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::values::{jump, limit, login};

/// How hosts are connected to.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Connection")]
pub(crate) struct ConnectionFlags {
    /// Login user
    #[arg(short = 'u', long, global = true, value_name = "USER", value_parser = login)]
    pub(crate) user: Option<String>,
    /// Private key file
    #[arg(short = 'i', long, global = true, value_name = "FILE")]
    pub(crate) identity: Option<PathBuf>,
    /// Connect through this bastion, `[user@]host[:port]`
    #[arg(short = 'J', long, global = true, value_name = "HOST", value_parser = jump)]
    pub(crate) jump: Option<String>,
    /// Limit for the TCP connection; a bare number is seconds [default: 10s]
    #[arg(short = 't', long, global = true, value_name = "LIMIT", value_parser = limit)]
    pub(crate) connect_timeout: Option<Duration>,
    /// Connections tried for a host before it counts as unreachable [default: 3]
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=20))]
    pub(crate) attempts: Option<u32>,
    /// Ask once for the sudo password, for hosts where `sudo -n` is refused
    #[arg(long, global = true)]
    pub(crate) ask_sudo: bool,
    /// Fabric's "ignore known hosts": refused, see the error
    #[arg(short = 'D', global = true, hide = true)]
    pub(crate) disable_known_hosts: bool,
    /// Agent forwarding, for `fab-rs ssh` alone
    #[arg(short = 'A', global = true, hide = true)]
    pub(crate) forward_agent: bool,
}
