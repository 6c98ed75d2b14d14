//! Rollouts by the real binary: the library's rolling tasks on machines with a real systemd behind a real load
//! balancer and in a real quorum, and the engine's budgets on real sshds.

mod budgets;
mod hotfix;
mod operator;
mod plans;
mod quorum;
mod reboots;
mod restarts;
