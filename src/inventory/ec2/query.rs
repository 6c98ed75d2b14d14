//! What EC2 is asked, and what it answers.

use std::path::PathBuf;
use std::time::Duration;

use indexmap::IndexMap;

use crate::inventory::ec2_map::Instance;
use crate::inventory::file::Regions;

/// One source's question.
#[cfg_attr(
    not(feature = "aws"),
    expect(dead_code, reason = "read by the EC2 client alone")
)]
#[derive(Debug, Clone)]
pub(crate) struct Ec2Query {
    pub(crate) regions: Regions,
    pub(crate) profile: Option<String>,
    pub(crate) role_arn: Option<String>,
    pub(crate) external_id: Option<String>,
    /// Server-side filters, the default one of the state among them.
    pub(crate) filters: IndexMap<String, Vec<String>>,
    /// Instances a page, 5 to 1000.
    pub(crate) page_size: u16,
    /// `None` asks EC2 and keeps nothing.
    pub(crate) cache: Option<CachePolicy>,
}

/// How kept answers are used.
#[cfg_attr(
    not(any(feature = "aws", test)),
    expect(dead_code, reason = "read by the EC2 client alone")
)]
#[derive(Debug, Clone)]
pub(crate) struct CachePolicy {
    pub(crate) folder: PathBuf,
    /// An older answer is asked for anew.
    pub(crate) max_age: Duration,
    /// Whether a kept answer will do; a fresh one is kept in any case.
    pub(crate) read: bool,
}

/// One region's answer.
#[derive(Debug)]
pub(crate) struct RegionAnswer {
    pub(crate) region: String,
    pub(crate) instances: Vec<Instance>,
    /// Its age, where it was kept.
    pub(crate) age: Option<Duration>,
    /// Why it could not be kept.
    pub(crate) note: Option<String>,
}
