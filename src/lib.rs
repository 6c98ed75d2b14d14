//! `fab-rs`: a remote task runner for people on call.
//!
//! Words typed become settings; settings name an inventory and a task; the two make a
//! [`plan::Plan`]; the plan runs over SSH and every fact of the run is one event.
//!
//! ```text
//! main ─> app ─┬─> cli ─────────────────────────────────────────┐
//!              ├─> report ──> run::event, diagnose, plan ─┐     │
//!              ├─> signal ──> run::cancel                 │     │
//!              ├─> audit ─────────────────────────────────┼─────┤
//!              ├─> journal ─> run::journal, run::progress │     │
//!              ├─> run ───┬──> plan <─────────────────────┘     │
//!              │          │      └──> task ─────────────────────┼──> model
//!              │          ├──> lock ──┐                         │
//!              │          └───────────┴> transport (traits) ────┤
//!              └─> inventory ───────────────────────────────────┘
//! ```
//!
//! Arrows point right or down, never back; `tests/layers.rs` holds the same table.

pub mod app;
pub mod audit;
pub(crate) mod cli;
pub mod diagnose;
pub mod inventory;
pub mod journal;
pub mod lock;
pub mod model;
pub mod plan;
pub mod report;
pub mod run;
pub(crate) mod signal;
pub mod task;
pub mod transport;
pub mod yaml;
