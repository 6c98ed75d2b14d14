//! The lab's Java service: compiled once, waited for. Which flags it gets is `host_config`'s job.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
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

/// The service as a jar that says it is this version, made if it is not there. [`compile`] comes first.
pub(crate) fn jar(tools: &Path, version: &str) -> Result<PathBuf> {
    let classes = tools.join("java");
    let hash = place::hash(SOURCE.as_bytes());
    let file = classes.join(format!("jars/app-{version}-{hash:016x}.jar"));
    if file.exists() {
        return Ok(file);
    }
    let manifest = format!("Main-Class: LabService\nImplementation-Version: {version}\n");
    let own = std::process::id();
    let manifest_file = classes.join(format!("jars/.manifest.{own}"));
    place::replace(&manifest_file, manifest.as_bytes(), 0o644)?;
    let new = classes.join(format!("jars/.new.{own}"));
    let program = place::program("jar").context("no jar (package default-jdk-headless)")?;
    let mut command = Command::new(program);
    command.arg("cfm").args([&new, &manifest_file]);
    for entry in fs::read_dir(&classes).context("cannot list the service's classes")? {
        let name = entry
            .context("cannot list the service's classes")?
            .file_name();
        if Path::new(&name)
            .extension()
            .is_some_and(|extension| extension == "class")
        {
            command.arg("-C").arg(&classes).arg(name);
        }
    }
    let output = command.output().context("cannot start jar")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "jar failed:\n{said}");
    fs::rename(&new, &file).with_context(|| format!("cannot write {}", file.display()))?;
    let _ = fs::remove_file(&manifest_file);
    Ok(file)
}

/// The Java service as a jar of the controller that says it is this version.
pub fn service_jar(version: &str) -> Result<PathBuf> {
    let tools = place::install_tools()?;
    compile(&tools)?;
    jar(&tools, version)
}

/// Asks a host's service for a path; the body of a good answer.
pub fn http_get(address: Ipv4Addr, port: u16, path: &str) -> Option<String> {
    let (status, body) = http(address, port, "GET", path)?;
    (status == 200).then_some(body)
}

/// Asks a host's service; status and body. None when there is no whole answer within ten seconds.
pub fn http(address: Ipv4Addr, port: u16, method: &str, path: &str) -> Option<(u16, String)> {
    let limit = Duration::from_secs(10);
    let mut stream = TcpStream::connect_timeout(&(address, port).into(), limit).ok()?;
    stream.set_read_timeout(Some(limit)).ok()?;
    write!(stream, "{method} {path} HTTP/1.0\r\nHost: lab\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, body.to_owned()))
}
