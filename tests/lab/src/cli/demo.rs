//! `cargo lab demo`: six hosts in three zones with a JVM each, and fab-rs that dumps their heaps.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, bail, ensure};
use lab::{Fleet, HostSpec, moto, place};

use super::{checks, packages, up};

/// Sets up, builds, starts, dumps, shows, takes down. The exit status is that of fab-rs.
pub(crate) fn demo(keep: bool, ec2: bool) -> Result<ExitCode> {
    headline("what the demo needs");
    let missing: Vec<_> = packages::install(false)?
        .iter()
        .map(|package| package.name)
        .collect();
    ensure!(missing.is_empty(), "the demo needs {}", missing.join(", "));
    if ec2 {
        moto::install()?;
    }
    say!("all there");
    let fab = build(ec2)?;
    headline("starting six hosts in three zones, a JVM on each, and a database host");
    let fleet = start(keep, ec2)?;
    for host in fleet.hosts() {
        let java = host.processes_like("LabService").len();
        say!(
            "  {:8} {:11} {}  {java} JVM",
            host.name(),
            host.spec().zone.as_deref().unwrap_or(""),
            host.ip()
        );
    }
    let dir = place::base().join("demo");
    if dir.exists() {
        fs::remove_dir_all(&dir).with_context(|| format!("cannot empty {}", dir.display()))?;
    }
    fs::create_dir_all(dir.join("config")).context("cannot make the demo's folder")?;
    let code = dump(&fleet, &fab, &dir, ec2)?;
    let result = show(&fleet, &dir);
    if keep {
        headline("the fleet stays up");
        say!("export FAB_RS_STATE_DIR={}", dir.join("state").display());
        up::how_to_talk(&fleet);
    } else {
        fleet.down();
        say!("\nthe hosts are down; `cargo lab demo --keep` leaves them up");
    }
    if code != 0 {
        eprintln!("error: fab-rs ended with status {code}");
        return Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)));
    }
    result.map(|()| ExitCode::SUCCESS)
}

fn headline(what: &str) {
    say!("\n==> {what}");
}

/// Builds fab-rs; `$LAB_FAB_RS` names one that is there.
fn build(ec2: bool) -> Result<PathBuf> {
    if let Some(program) = std::env::var_os("LAB_FAB_RS") {
        return Ok(PathBuf::from(program));
    }
    let mut arguments = vec!["build", "--package", "fab-rs", "--bin", "fab-rs"];
    if ec2 {
        say!("\nthe AWS SDK takes about 8 GB of memory and minutes to build");
    } else {
        arguments.push("--no-default-features");
    }
    headline(&format!("building: cargo {}", arguments.join(" ")));
    let mut cargo = Command::new(checks::cargo());
    let status = cargo
        .args(arguments)
        .current_dir(place::repository())
        .status();
    ensure!(
        status.context("cannot start cargo")?.success(),
        "fab-rs does not build"
    );
    Ok(place::target().join("debug/fab-rs"))
}

fn start(keep: bool, ec2: bool) -> Result<Fleet> {
    let mut builder = Fleet::builder("demo");
    for zone in ['a', 'b', 'c'] {
        for number in [1, 2] {
            let host =
                HostSpec::new(format!("app-{zone}{number}")).zone(format!("us-west-2{zone}"));
            builder = builder.host(
                host.role("app")
                    .tag("env", "demo")
                    .tag("service", "api")
                    .java(),
            );
        }
    }
    builder = builder.host(
        HostSpec::new("db-a1")
            .zone("us-west-2a")
            .role("db")
            .tag("env", "demo"),
    );
    if ec2 {
        builder = builder.ec2();
    }
    if keep {
        if let Some(old) = Fleet::open("demo")? {
            old.down();
        }
        builder = builder.detached();
    }
    builder.start()
}

/// Runs fab-rs as a user would; its exit status, 1 where a signal ended it.
fn dump(fleet: &Fleet, fab: &Path, dir: &Path, ec2: bool) -> Result<i32> {
    let inventory = if ec2 {
        fleet.ec2_inventory()
    } else {
        fleet.inventory()
    };
    let arguments = ["heapdump", "role=app", "--yes"];
    headline(&format!(
        "fab-rs -I {} {}",
        inventory.display(),
        arguments.join(" ")
    ));
    let mut command = Command::new(fab);
    command
        .arg("-I")
        .arg(inventory)
        .args(arguments)
        .env("FAB_RS_STATE_DIR", dir.join("state"))
        .env("XDG_CONFIG_HOME", dir.join("config"))
        .current_dir(dir);
    if let Some(ec2) = fleet.ec2() {
        command.envs(ec2.env());
    }
    let status = command
        .status()
        .with_context(|| format!("cannot start {}", fab.display()))?;
    Ok(status.code().unwrap_or(1))
}

/// Shows the dumps and what to do with them. An error when a host's is missing, or when the database host was touched.
fn show(fleet: &Fleet, dir: &Path) -> Result<()> {
    let mut dumps = Vec::new();
    find_dumps(&dir.join("state"), &mut dumps);
    dumps.sort();
    headline("the dumps");
    for file in &dumps {
        let size = file.metadata().map_or(0, |meta| meta.len());
        say!("  {:>8.1} MiB  {}", mebibytes(size), file.display());
    }
    let mut absent = Vec::new();
    for host in fleet.hosts().iter().filter(|host| {
        host.spec()
            .tags
            .get("role")
            .is_some_and(|role| role == "app")
    }) {
        let own = |file: &&PathBuf| file.to_string_lossy().contains(host.name());
        if dumps
            .iter()
            .filter(own)
            .all(|file| file.metadata().map_or(0, |meta| meta.len()) == 0)
        {
            absent.push(host.name());
        }
    }
    let database = fleet.host("db-a1").logins();
    if let Some(first) = dumps.first() {
        what_next(first, dir);
    }
    if !absent.is_empty() {
        bail!(
            "no heap dump of {} below {}",
            absent.join(", "),
            dir.display()
        );
    }
    ensure!(
        database == 0,
        "db-a1 was not selected, but was logged in to {database} times"
    );
    say!("\nsix hosts dumped; db-a1, which was not selected, saw no login");
    Ok(())
}

/// Says how to look into a dump, and at the run.
fn what_next(dump: &Path, dir: &Path) {
    headline("what to type next");
    let plain = dump.with_extension("");
    let open = match dump.extension().and_then(OsStr::to_str) {
        Some("zst") => {
            say!("  zstd -d {}", dump.display());
            &plain
        }
        Some("gz") => {
            say!("  gzip -dk {}", dump.display());
            &plain
        }
        _ => dump,
    };
    say!(
        "  # then open {} in Eclipse MAT or VisualVM",
        open.display()
    );
    let state = dir.join("state");
    say!(
        "  FAB_RS_STATE_DIR={} {} report last",
        state.display(),
        up::fab_rs()
    );
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a size for people, with one digit after the point"
)]
fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / (1024.0 * 1024.0)
}

/// Files named `*.hprof`, or that with the extension of a compressor.
fn find_dumps(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            find_dumps(&path, found);
            continue;
        }
        let extension = |path: &Path| path.extension().and_then(OsStr::to_str).map(str::to_owned);
        let packed = matches!(extension(&path).as_deref(), Some("zst" | "gz"));
        let plain = if packed {
            path.with_extension("")
        } else {
            path.clone()
        };
        if extension(&plain).as_deref() == Some("hprof") {
            found.push(path);
        }
    }
}
