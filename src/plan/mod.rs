//! The plan: what a run will do, host by host, as a value that can be compared, printed and kept.

mod batch;
mod build;
mod fleet;
mod lock;
mod name_cache;
mod outline;
mod render;
mod render_text;
mod request;
mod section;
mod shape;
#[cfg(test)]
mod tests;
mod warnings;

pub use build::build;
pub use request::{Overrides, PlanRequest, TaskFiles};
pub use shape::{Asked, Batch, By, HostPlan, Phase, Plan, Resolved, WorstOut};
