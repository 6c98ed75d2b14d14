//! A fleet of real SSH hosts on one machine, for tests, benchmarks and the demo of fab-rs.
//!
//! Each host is a real `sshd` on a loopback address of its own, in namespaces of its own: it has its own process
//! table, host name and file system. As root, hosts have a login user `deploy`, real `sudo`, and a private copy of the
//! whole file system; without root, logins are the lab's own user and `sudo` is a stand-in.
//!
//! ```no_run
//! use lab::{Fault, Fleet, HostSpec};
//!
//! # fn main() -> anyhow::Result<()> {
//! let fleet = Fleet::builder("example")
//!     .host(HostSpec::new("app-a1").zone("us-west-2a").role("app").java())
//!     .host(HostSpec::new("app-b1").zone("us-west-2b").role("app").fault(Fault::Refuses))
//!     .start()?;
//! let inventory = fleet.inventory();
//! assert!(fleet.host("app-a1").processes_like("LabService").len() == 1);
//! # Ok(())
//! # } // every process of the fleet is gone here
//! ```
#![expect(
    clippy::disallowed_methods,
    reason = "a program of its own: it reads the environment, and sleeps while it polls for a host to be ready"
)]
#![expect(
    clippy::missing_errors_doc,
    reason = "every error is a report for the person at the terminal, none is told from another"
)]
#![expect(clippy::print_stderr, reason = "a skipped test says why")]

mod access;
mod addresses;
mod builder;
mod fault;
mod fleet;
mod folder;
pub mod full;
mod host;
mod host_config;
mod inside;
mod java;
mod keys;
pub mod moto;
pub mod place;
mod process;
pub mod requirements;
mod spec;
mod state;

pub use addresses::SSH_PORT;
pub use builder::Builder;
pub use fault::{ALL as ALL_FAULTS, Fault};
pub use fleet::Fleet;
pub use host::{Host, HostProcesses};
pub use java::{http, http_get, service_jar};
pub use moto::Ec2;
pub use process::{HostProcess, Process};
pub use spec::{FleetSpec, HostSpec, Service, Shell};
pub use state::names as fleet_names;

/// What `sudo` asks for on hosts with [`Fault::SudoPassword`].
pub const SUDO_PASSWORD: &str = "lab-sudo";
