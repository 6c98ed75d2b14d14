//! What is known of a fleet after the process that started it is gone: `fleet.json` in its folder.

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::host::{Host, HostProcesses};
use crate::moto::Ec2;
use crate::process::Process;
use crate::spec::HostSpec;
use crate::{folder, place};

/// The file in a fleet's folder that says what runs.
const STATE: &str = "fleet.json";

/// A fleet as it was when it was last written down.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) hosts: Vec<HostState>,
    pub(crate) keeper: Process,
    pub(crate) ec2: Option<Ec2>,
}

/// A host as it was then.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct HostState {
    pub(crate) spec: HostSpec,
    pub(crate) address: Ipv4Addr,
    pub(crate) login: String,
    pub(crate) processes: Option<HostProcesses>,
}

impl HostState {
    pub(crate) fn of(host: &Host) -> Self {
        Self {
            spec: host.spec.clone(),
            address: host.address,
            login: host.login.clone(),
            processes: host.processes_of_host(),
        }
    }
}

impl State {
    pub(crate) fn write(&self, dir: &Path) -> Result<()> {
        let text = serde_json::to_vec_pretty(self).context("a fleet's state is JSON")?;
        place::replace(&dir.join(STATE), &text, 0o644)
    }

    /// The state in this folder; none when no fleet was written down there.
    pub(crate) fn read(dir: &Path) -> Result<Option<Self>> {
        let file = dir.join(STATE);
        let text = match fs::read(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read {}", file.display()));
            }
        };
        let state = serde_json::from_slice(&text);
        state
            .map(Some)
            .with_context(|| format!("{} is not a fleet's state", file.display()))
    }

    /// Whether something of the fleet lives.
    pub(crate) fn is_alive(&self) -> bool {
        let mut processes = self.hosts.iter().filter_map(|host| host.processes);
        self.keeper.is_alive()
            || processes.any(|host| host.init.is_alive() || host.outer.is_alive())
    }
}

/// The names of the fleets that were started to stay.
pub fn names() -> Vec<String> {
    folder::names_with(STATE)
}
