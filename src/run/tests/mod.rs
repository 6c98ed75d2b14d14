//! The whole engine over the scripted transport, on a paused clock.

mod bed;
mod connections;
mod files;
mod laws;
mod outcomes;
mod output;
mod rollout;
mod state_laws;
mod step_forms;
mod steps;
mod stops;
mod this_machine;
mod waits;
