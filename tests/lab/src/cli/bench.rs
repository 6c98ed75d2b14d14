//! `cargo lab bench`: a release build, then the benchmarks.

use std::ffi::OsString;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result};
use lab::place;

/// Builds fab-rs as it is shipped and runs what is in `benches/`.
pub(crate) fn bench(arguments: &[OsString]) -> Result<ExitCode> {
    let steps: [&[&str]; 2] = [
        &["build", "--release", "--package", "fab-rs"],
        &["bench", "--package", "fab-rs"],
    ];
    for (index, step) in steps.iter().enumerate() {
        let mut cargo = Command::new(super::checks::cargo());
        cargo.args(*step).current_dir(place::repository());
        if index == 1 {
            cargo.args(arguments);
        }
        if !cargo.status().context("cannot start cargo")?.success() {
            eprintln!("error: `cargo {}` failed", step.join(" "));
            return Ok(ExitCode::FAILURE);
        }
    }
    Ok(ExitCode::SUCCESS)
}
