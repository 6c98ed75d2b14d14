//! The lab's Java service: compiled once, waited for. Which flags it gets is `host_config`'s job.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::place;

const SOURCE: &str = include_str!("host_files/LabService.java");

/// Compiles the service into `java/` of the tools folder, if it is not there. Only one process at a time does so.
pub(crate) fn compile(tools: &Path) -> Result<()> {
    let lock = fs::File::create(place::base().join(".java.lock"))
        .context("cannot make the lock of javac")?;
    lock.lock().context("cannot lock javac")?;
    let dir = tools.join("java");
    let source = dir.join("LabService.java");
    let compiled = dir.join("LabService.class");
    if fs::read_to_string(&source).is_ok_and(|there| there == SOURCE) && compiled.exists() {
        return Ok(());
    }
    let _ = fs::remove_file(&compiled);
    place::replace(&source, SOURCE.as_bytes(), 0o644)?;
    let javac = place::program("javac").context("no javac (package default-jdk-headless)")?;
    let output = Command::new(javac)
        .args(["-Xlint:none", "-d"])
        .arg(&dir)
        .arg(&source)
        .output()
        .context("cannot start javac")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "javac failed:\n{said}");
    Ok(())
}

/// Asks a host's service for a path; the body of a good answer.
pub fn http_get(address: Ipv4Addr, port: u16, path: &str) -> Option<String> {
    let limit = Duration::from_secs(2);
    let mut stream = TcpStream::connect_timeout(&(address, port).into(), limit).ok()?;
    stream.set_read_timeout(Some(limit)).ok()?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: lab\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    head.lines()
        .next()?
        .contains(" 200 ")
        .then(|| body.to_owned())
}
