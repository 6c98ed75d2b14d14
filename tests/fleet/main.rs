//! The real binary against real hosts: what an operator would try on fleets that nobody has seen.

#![expect(
    clippy::too_many_lines,
    clippy::format_push_string,
    reason = "a test reads from top to bottom, and builds its inventory as it goes"
)]

mod bastion;
mod desk;
mod disks;
#[cfg(feature = "aws")]
mod ec2;
mod faults;
mod fleets;
mod hostile;
mod stopping;
mod streams;
mod volume;
mod words;
