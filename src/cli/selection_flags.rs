//! Flags that say which hosts.

use clap::Args;

/// Which hosts.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Hosts")]
pub(crate) struct SelectionFlags {
    /// Inventory file, or the name of one in `inventories/`
    #[arg(short = 'I', long, global = true, value_name = "FILE|NAME")]
    pub(crate) inventory: Option<String>,
    /// Hosts by name, address, id or user@host:port, comma-separated; `-` reads them from stdin
    #[arg(
        short = 'H',
        long = "hosts",
        global = true,
        value_name = "HOST,…",
        value_delimiter = ','
    )]
    pub(crate) hosts: Vec<String>,
    /// Hosts of this role, as `role=ROLE`
    #[arg(short = 'R', long = "role", global = true, value_name = "ROLE")]
    pub(crate) role: Vec<String>,
    /// Leave out hosts that match this term or bear this name
    #[arg(short = 'x', long, global = true, value_name = "TERM")]
    pub(crate) exclude: Vec<String>,
    /// A term that is always a selector, where a param has the tag's name
    #[arg(long, global = true, value_name = "TERM")]
    pub(crate) select: Vec<String>,
    /// Touch only these of the selected hosts: a term, a number or a percentage
    #[arg(long, global = true, value_name = "TERM|N|N%")]
    pub(crate) limit: Option<String>,
    /// Touch only N of the selected hosts, spread over the zones
    #[arg(long, global = true, value_name = "N")]
    pub(crate) sample: Option<usize>,
    /// AWS region, instead of the ambient one
    #[arg(long, global = true, value_name = "REGION")]
    pub(crate) region: Vec<String>,
    /// AWS profile, instead of the ambient one
    #[arg(long, global = true, value_name = "PROFILE")]
    pub(crate) profile: Option<String>,
    /// Ask the inventory's sources again, whatever is cached
    #[arg(long, global = true)]
    pub(crate) refresh: bool,
}
