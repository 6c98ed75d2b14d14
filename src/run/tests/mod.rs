//! The whole engine over the scripted transport, on a paused clock.

mod bed;
mod checks;
mod connections;
mod course_cases;
mod course_laws;
mod errands;
mod files;
mod fleet;
mod gates;
mod laws;
mod locks;
mod looks;
mod meetings;
mod outcomes;
mod output;
mod playing;
mod reboots;
mod rollbacks;
mod rollout;
mod state_laws;
mod step_forms;
mod steps;
mod stops;
mod this_machine;
mod waits;
