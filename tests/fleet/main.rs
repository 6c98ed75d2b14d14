//! The real binary against real hosts: what an operator would try on fleets that nobody has seen.

mod audit;
mod bastion;
mod deaths;
mod desk;
mod detached;
mod disks;
#[cfg(feature = "aws")]
mod ec2;
mod faults;
mod fleets;
mod hostile;
mod hotfixes;
mod left;
mod locks;
mod resuming;
mod rollouts;
mod stopping;
mod streams;
mod taken_up;
mod volume;
mod words;
