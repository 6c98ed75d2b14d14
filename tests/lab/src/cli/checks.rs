//! `cargo lab test`: every check of the project, one after the other.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use lab::requirements::{Required, required};
use lab::{moto, place};

use super::packages;

/// What one rustc takes for `aws-sdk-ec2`, in GiB.
const AWS_MEMORY: u64 = 8;

/// clippy as people run it.
const CLIPPY: &[&str] = &[
    "clippy",
    "--package",
    "fab-rs",
    "--package",
    "lab",
    "--all-targets",
    "--no-default-features",
    "--",
    "-D",
    "warnings",
];

/// One check.
struct Step {
    name: &'static str,
    arguments: &'static [&'static str],
    env: Vec<(&'static str, OsString)>,
    builds_aws: bool,
}

/// The Cargo that runs us, else the one in `PATH`.
pub(crate) fn cargo() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// Runs the checks until one fails, which is named last.
pub(crate) fn test(no_aws: bool) -> Result<ExitCode> {
    let begin = Instant::now();
    headline("packages", "what the tests need beside Rust");
    set_up().context("cargo lab test: failed at `packages`")?;
    let steps = steps(no_aws)?;
    for (index, step) in steps.iter().enumerate() {
        if step.builds_aws && steps[..index].iter().all(|earlier| !earlier.builds_aws) {
            say_memory();
        }
        if !run(step)? {
            eprintln!(
                "\ncargo lab test: failed at `{}` after {} s",
                step.name,
                begin.elapsed().as_secs()
            );
            return Ok(ExitCode::FAILURE);
        }
    }
    say!(
        "\ncargo lab test: all passed after {} s",
        begin.elapsed().as_secs()
    );
    Ok(ExitCode::SUCCESS)
}

fn headline(name: &str, what: &str) {
    say!("\n==> {name}: {what}");
}

/// Packages and the virtual environment. What cannot be had is a failure where `LAB_REQUIRE` says so.
fn set_up() -> Result<()> {
    let full = place::is_root() && required() != Required::Light;
    let missing: Vec<_> = packages::install(full)?
        .iter()
        .map(|package| package.name)
        .collect();
    if missing.is_empty() {
        moto::install()?;
        if full && lab::full::check().is_ok() && !lab::full::has_tree() {
            say!("building the root tree of the full tier: a minute or three, once");
            // Should it fail, the tests say so or are skipped, as LAB_REQUIRE has it.
            let _ = lab::full::prepare_tree();
        }
        say!("all there");
    } else if required() == Required::Nothing {
        say!("without {} some tests are skipped", missing.join(", "));
    } else {
        bail!("LAB_REQUIRE is set, but there is no {}", missing.join(", "));
    }
    Ok(())
}

/// The steps. `aws-sdk-ec2` takes minutes, and Cargo builds it apart for `check` (clippy, rustdoc) and for `build`: so
/// the steps of the first kind leave the AWS feature out, and clippy sees the AWS code by way of a build, whose
/// dependencies the tests then share.
fn steps(no_aws: bool) -> Result<Vec<Step>> {
    let step = |name, arguments| Step {
        name,
        arguments,
        env: Vec::new(),
        builds_aws: false,
    };
    let mut docs = step(
        "docs",
        &[
            "doc",
            "--no-deps",
            "--package",
            "fab-rs",
            "--package",
            "lab",
            "--no-default-features",
        ],
    );
    docs.env.push(("RUSTDOCFLAGS", "-D warnings".into()));
    let mut steps = vec![
        step("format", &["fmt", "--all", "--check"]),
        step("clippy", CLIPPY),
        docs,
    ];
    if no_aws {
        steps.push(step(
            "tests",
            &[
                "test",
                "--package",
                "fab-rs",
                "--package",
                "lab",
                "--no-default-features",
            ],
        ));
        return Ok(steps);
    }
    let mut clippy_aws = step(
        "clippy with AWS",
        &["test", "--workspace", "--no-run", "--quiet"],
    );
    let driver = clippy_driver()?.into();
    clippy_aws.env.push(("RUSTC_WORKSPACE_WRAPPER", driver));
    // As `cargo clippy -- -D warnings` hands it to clippy-driver.
    let deny = "-D__CLIPPY_HACKERY__warnings__CLIPPY_HACKERY__".into();
    clippy_aws.env.push(("CLIPPY_ARGS", deny));
    clippy_aws.builds_aws = true;
    let mut tests = step("tests", &["test", "--workspace"]);
    tests.builds_aws = true;
    steps.extend([clippy_aws, tests]);
    Ok(steps)
}

/// clippy's compiler, which rustup installs beside Cargo.
fn clippy_driver() -> Result<PathBuf> {
    let cargo = PathBuf::from(cargo());
    let beside = cargo.with_file_name("clippy-driver");
    if beside.is_file() {
        return Ok(beside);
    }
    place::program("clippy-driver").context("no clippy-driver: `rustup component add clippy`")
}

fn run(step: &Step) -> Result<bool> {
    let mut what = String::from("cargo");
    for argument in step.arguments {
        what.push(' ');
        what.push_str(argument);
    }
    headline(step.name, &what);
    let begin = Instant::now();
    let mut command = Command::new(cargo());
    command
        .args(step.arguments)
        .current_dir(place::repository());
    for (key, _) in std::env::vars_os() {
        // What `cargo run` said about the lab is not for the Cargo that it starts.
        let text = key.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&key);
        }
    }
    command.envs(step.env.iter().map(|(key, value)| (key, value)));
    let status = command.status().context("cannot start cargo")?;
    say!(
        "    {} after {:.1} s",
        if status.success() { "passed" } else { "FAILED" },
        begin.elapsed().as_secs_f64()
    );
    Ok(status.success())
}

/// Says what the AWS build takes, and whether this machine has it.
fn say_memory() {
    let available = fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let line = text
            .lines()
            .find(|line| line.starts_with("MemAvailable:"))?;
        line.split_whitespace().nth(1)?.parse::<u64>().ok()
    });
    let gib = available.map(|kib| kib / (1024 * 1024));
    say!(
        "\nthe next step builds the AWS SDK: one rustc takes about {AWS_MEMORY} GB of memory, and minutes"
    );
    if let Some(gib) = gib {
        say!("this machine has {gib} GiB available");
        if gib < AWS_MEMORY {
            eprintln!(
                "warning: that may not be enough; should the compiler be killed, that is why"
            );
        }
    }
}
