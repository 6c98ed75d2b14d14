//! The full tier: machines with a real systemd, `systemd-nspawn` on a root tree of their own, each with its own network
//! and address, real sshd on port 22, and HAProxy in front. Needs root.
//!
//! ```no_run
//! use lab::HostSpec;
//! use lab::full::Machines;
//!
//! # fn main() -> anyhow::Result<()> {
//! let machines = Machines::builder("example")
//!     .host(HostSpec::new("app-a1").zone("us-west-2a").role("app").java())
//!     .host(HostSpec::new("app-b1").zone("us-west-2b").role("app").java())
//!     .balancer("api")
//!     .start()?;
//! let client = machines.ask()?;
//! machines.machine("app-a1").exec_ok("systemctl restart api")?;
//! println!("{:?}", client.finish().failures);
//! assert_eq!(machines.machine("app-a1").starts("api")?.len(), 2);
//! # Ok(())
//! # } // the machines are gone here
//! ```

mod balancer;
mod builder;
mod client;
mod disk;
mod keeper;
mod machine;
mod machines;
mod network;
mod quorum;
mod requirements;
mod tree;
mod unit;
mod writer;

pub use balancer::Balancer;
pub use builder::Builder;
pub use client::{Client, Failure, Tally};
pub use machine::Machine;
pub(crate) use machines::is_alive;
pub use machines::{Machines, names};
pub use quorum::ZOOKEEPER_PORT;
pub use requirements::{PACKAGES, available, check};
pub use tree::{is_there as has_tree, prepare as prepare_tree};
pub use unit::UnitState;
pub use writer::{Writer, Written};

/// The port of every machine's sshd.
pub const SSH_PORT: u16 = 22;

/// Who logs in.
pub(crate) const LOGIN: &str = "deploy";
