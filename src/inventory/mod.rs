//! Which hosts there are, and which of them a run touches.
//!
//! [`load`] asks every source of an inventory for its hosts; [`select`] narrows them to a population and
//! to targets, without asking anybody.

#[cfg(any(feature = "aws", test))]
mod cache;
mod command;
mod duplicate;
mod ec2;
pub mod ec2_map;
mod error;
pub mod file;
mod find;
mod fleet;
mod load;
mod named;
mod narrow;
mod problem;
mod rows;
mod schema;
mod select;
mod ssh_keys;

pub use error::{InventoryError, SourceError};
pub use find::{InventoryRef, available, find};
pub use fleet::{Inventory, SourceReport, SshContext};
pub use load::{AwsNames, InventoryRequest, check, load};
pub use named::{HostWord, HostWordError};
pub use narrow::{Limit, Narrowing};
pub use problem::HostProblem;
pub use rows::{Fold, HostRow, fold, rows};
pub use schema::schema;
pub use select::{SelectError, SelectRequest, Selected, select, survey};
pub use ssh_keys::SshKeys;
