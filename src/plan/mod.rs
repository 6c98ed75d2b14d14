//! The plan: what a run will do, host by host, as a value that can be compared, printed and kept.

mod batch;
mod shape;

pub use shape::{Asked, Batch, By, HostPlan, Phase, Plan, Resolved, WorstOut};
