//! Stands where the EC2 client is, in a build without the feature `aws`.

use super::{Ec2Query, RegionAnswer};
use crate::inventory::SourceError;

/// Says that EC2 cannot be asked.
pub(crate) async fn instances(_: &Ec2Query) -> Result<Vec<RegionAnswer>, Vec<SourceError>> {
    Err(vec![SourceError::NoEc2Support])
}
