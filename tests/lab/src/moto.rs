//! `moto_server` as AWS: a virtual environment, a server on a free port, and instances that have the hosts' addresses.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::host::Host;
use crate::java::http_get;
use crate::place;
use crate::process::{Process, poll};

/// What the virtual environment holds. boto3, which the lab talks to moto with, comes along.
pub const REQUIREMENT: &str = "moto[server,ec2,elb,elbv2,autoscaling,s3,route53,ssm,sts]==5.2.5";

/// The region of every instance.
pub const REGION: &str = "us-west-2";

/// A running moto server with the fleet in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ec2 {
    /// The server.
    pub process: Process,
    /// Its port on 127.0.0.1.
    pub port: u16,
    /// The instance id of each host, by name.
    pub instances: BTreeMap<String, String>,
}

impl Ec2 {
    /// `AWS_ENDPOINT_URL`.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The environment that makes an AWS SDK talk to this server.
    pub fn env(&self) -> Vec<(&'static str, String)> {
        vec![
            ("AWS_ENDPOINT_URL", self.endpoint()),
            ("AWS_ACCESS_KEY_ID", "lab".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "lab".to_owned()),
            ("AWS_REGION", REGION.to_owned()),
            // boto3 and the AWS command line read this one.
            ("AWS_DEFAULT_REGION", REGION.to_owned()),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        ]
    }
}

/// The server while it starts.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) process: Process,
    pub(crate) child: Child,
    port: u16,
    log: PathBuf,
}

/// A Python that can make virtual environments: the distribution's before whatever comes first in `PATH`.
pub fn python() -> Option<PathBuf> {
    let own = PathBuf::from("/usr/bin/python3");
    [Some(own), place::program("python3")]
        .into_iter()
        .flatten()
        .find(|python| {
            let works = Command::new(python)
                .args(["-c", "import ensurepip, venv"])
                .stderr(Stdio::null())
                .status();
            works.is_ok_and(|status| status.success())
        })
}

/// Whether the virtual environment is there and has what we want.
pub fn is_installed() -> bool {
    fs::read_to_string(venv().join("installed")).is_ok_and(|text| text == REQUIREMENT)
}

fn venv() -> PathBuf {
    place::base().join("venv")
}

/// Makes the virtual environment, if it is not there. Only one process at a time does so.
pub fn install() -> Result<()> {
    fs::create_dir_all(place::base()).context("cannot make the lab's folder")?;
    let lock = fs::File::create(place::base().join(".venv.lock"))
        .context("cannot make the lock of the venv")?;
    lock.lock().context("cannot lock the venv")?;
    if is_installed() {
        return Ok(());
    }
    let python =
        python().context("no Python 3 that makes virtual environments (package python3-venv)")?;
    let dir = venv();
    eprintln!("lab: installing {REQUIREMENT} into {}", dir.display());
    if dir.exists() {
        fs::remove_dir_all(&dir).with_context(|| format!("cannot empty {}", dir.display()))?;
    }
    quiet(Command::new(python).args(["-m", "venv"]).arg(&dir))?;
    let mut pip = Command::new(dir.join("bin/python"));
    quiet(pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        REQUIREMENT,
    ]))?;
    place::replace(&dir.join("installed"), REQUIREMENT.as_bytes(), 0o644)
}

fn quiet(command: &mut Command) -> Result<()> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {}", command.get_program().display()))?;
    let said = [output.stdout, output.stderr].concat();
    ensure!(
        output.status.success(),
        "{command:?} failed:\n{}",
        String::from_utf8_lossy(&said)
    );
    Ok(())
}

/// Starts a server on a free port. It needs seconds to be ready: start hosts meanwhile.
pub(crate) fn start(dir: &Path) -> Result<Server> {
    install()?;
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|socket| socket.local_addr())
        .context("no free port on 127.0.0.1")?
        .port();
    let log = dir.join("moto.log");
    let out = fs::File::create(&log).context("cannot make the log of moto")?;
    let child = Command::new("setsid")
        .arg(venv().join("bin/moto_server"))
        .args(["-H", "127.0.0.1", "-p", &port.to_string()])
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(out.try_clone().context("cannot share the log of moto")?)
        .stderr(out)
        .spawn()
        .context("cannot start moto_server")?;
    let process = Process::of(child.id()).context("moto_server ended at once")?;
    Ok(Server {
        process,
        child,
        port,
        log,
    })
}

/// Waits for the server and puts the hosts into it.
pub(crate) fn fill(server: &mut Server, hosts: &[Host], tools: &Path) -> Result<Ec2> {
    let answers = || {
        let ended = server.child.try_wait().is_ok_and(|status| status.is_some());
        let ready = http_get(Ipv4Addr::LOCALHOST, server.port, "/moto-api/data.json").is_some();
        (ended || ready).then_some(ready)
    };
    if poll(Duration::from_mins(1), answers) != Some(true) {
        let said = fs::read_to_string(&server.log).unwrap_or_default();
        bail!(
            "moto_server did not start; its log says:\n{}",
            said.trim_end()
        );
    }
    let mut ec2 = Ec2 {
        process: server.process,
        port: server.port,
        instances: BTreeMap::new(),
    };
    let hosts: Vec<_> = hosts
        .iter()
        .map(|host| {
            json!({
                "name": host.name(),
                "address": host.ip(),
                "zone": host.spec.zone.as_deref().unwrap_or("us-west-2a"),
                "tags": host.spec.tags,
                "state": host.spec.ec2_state.as_deref().unwrap_or("running"),
            })
        })
        .collect();
    let order = json!({"endpoint": ec2.endpoint(), "region": REGION, "hosts": hosts});
    let mut script = Command::new(venv().join("bin/python"))
        .arg(tools.join("ec2.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot start the venv's Python")?;
    if let Some(mut stdin) = script.stdin.take() {
        stdin
            .write_all(order.to_string().as_bytes())
            .context("cannot tell moto the hosts")?;
    }
    let output = script
        .wait_with_output()
        .context("cannot wait for Python")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "moto did not take the hosts:\n{said}"
    );
    ec2.instances =
        serde_json::from_slice(&output.stdout).context("the script's answer is no JSON")?;
    Ok(ec2)
}
