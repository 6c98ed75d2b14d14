//! The whole engine over the scripted transport, on a paused clock.

mod bed;
mod connections;
mod laws;
mod outcomes;
mod output;
mod rollout;
mod step_forms;
mod stops;
