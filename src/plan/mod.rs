//! The plan: what a run will do, host by host, as a value that can be compared, printed and kept.

mod batch;
mod build;
mod fleet;
mod json;
mod lock;
mod name_cache;
mod one_path;
mod outline;
mod render;
mod render_text;
mod request;
mod section;
mod shape;
mod step_text;
#[cfg(test)]
mod tests;
mod warnings;

pub use crate::task::By;
pub use batch::BatchRules;
pub use build::build;
pub use json::json;
pub use request::{Overrides, PlanRequest, TaskFiles};
pub use shape::{
    Asked, Batch, CanaryPace, HostPlan, Member, Pace, Phase, Plan, Resolved, ResolvedQuorum,
    WorstOut,
};
pub use step_text::{StepText, step_texts};
