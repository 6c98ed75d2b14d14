//! The source `ec2`: asks the EC2 API for instances. What they mean is `ec2_map`'s job.

#[cfg(not(feature = "aws"))]
mod absent;
#[cfg(feature = "aws")]
mod client;
#[cfg(feature = "aws")]
mod convert;
#[cfg(any(feature = "aws", test))]
mod failure;
mod query;

#[cfg(not(feature = "aws"))]
pub(crate) use absent::instances;
#[cfg(feature = "aws")]
pub(crate) use client::instances;
pub(crate) use query::{CachePolicy, Ec2Query, RegionAnswer};
