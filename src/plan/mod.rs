//! The plan: what a run will do, host by host, as a value that can be compared, printed and kept.

mod batch;
#[cfg(test)]
mod batch_tests;
mod build;
mod drift;
mod fleet;
mod json;
mod lock;
mod name_cache;
mod one_path;
mod outline;
mod overrides;
mod planned_hosts;
mod render;
mod render_text;
mod request;
mod rules;
mod section;
mod shape;
mod spelled;
mod step_text;
#[cfg(test)]
mod tests;
mod timeline;
mod warnings;

pub use crate::task::By;
pub use batch::{BatchRules, Situation, form_rest};
pub use build::build;
pub use drift::drift;
pub use json::json;
pub use lock::Lock;
pub use overrides::{Overrides, TypedQuorum};
pub use request::{PlanRequest, TaskFiles};
pub use shape::{
    Asked, Batch, CanaryPace, HostPlan, Member, Pace, Phase, Plan, Resolved, ResolvedQuorum,
    TakenIn, WorstOut,
};
pub use spelled::spelled;
pub use step_text::{StepText, step_texts};
