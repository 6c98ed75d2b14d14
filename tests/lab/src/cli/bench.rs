//! `cargo lab bench`: the benchmarks, in a release build without the AWS SDK, which takes no part in them.

use std::ffi::OsString;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result};
use lab::place;

/// Runs what is in `benches/` with these words.
pub(crate) fn bench(arguments: &[OsString]) -> Result<ExitCode> {
    let status = Command::new(super::checks::cargo())
        .args([
            "bench",
            "--package",
            "fab-rs",
            "--no-default-features",
            "--",
        ])
        .args(arguments)
        .current_dir(place::repository())
        .status()
        .context("cannot start cargo")?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
