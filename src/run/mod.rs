//! Running a plan: one future decides, one acts, and every fact is an event.

pub mod event;
pub mod prompt;
pub mod record;
pub mod sink;
