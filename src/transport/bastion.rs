//! The bastions of a run: one master for each, shared by every host behind it. Reads their log to say why a
//! channel through one was refused. Does not connect to hosts.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use super::ConnectError;
use super::master::Master;
use crate::model::{HostKeys, Kex, SshSettings};

/// What makes two hosts share a bastion's master: the whole chain, and what the connection to it depends on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct BastionKey {
    /// The chain up to this bastion, as typed: `a,b` is b reached through a.
    pub(super) chain: String,
    config: Option<PathBuf>,
    identity: Option<PathBuf>,
    host_keys: Option<HostKeys>,
    kex: Kex,
}

impl BastionKey {
    /// The key of the bastion at the end of this chain.
    pub(super) fn new(chain: &str, ssh: &SshSettings) -> Self {
        Self {
            chain: chain.to_owned(),
            config: ssh.config.clone(),
            identity: ssh.identity.clone(),
            host_keys: ssh.host_keys,
            kex: ssh.kex,
        }
    }
}

/// What is known of a bastion.
#[derive(Debug, Default)]
pub(super) enum Bastion {
    /// Nobody has asked for it yet, or its master has died.
    #[default]
    New,
    /// Logged in.
    Up(Arc<Master>),
    /// It cannot be reached: the cause for every host behind it, found once.
    Failed(ConnectError),
}

/// A bastion's master as the hosts behind it use it.
#[derive(Debug)]
pub(super) struct Gate {
    /// As typed.
    pub(super) name: String,
    /// Its master.
    pub(super) master: Arc<Master>,
}

impl Gate {
    /// The bastion of this name.
    pub(super) fn new(name: &str, master: Arc<Master>) -> Self {
        Self {
            name: name.to_owned(),
            master,
        }
    }
}

/// A bastion that one host at a time looks into, so that it is connected to once.
pub(super) type Shared = Arc<tokio::sync::Mutex<Bastion>>;

/// The bastions of a run.
#[derive(Debug, Default)]
pub(super) struct Bastions(Mutex<HashMap<BastionKey, Shared>>);

impl Bastions {
    /// The bastion of this key.
    pub(super) fn get(&self, key: &BastionKey) -> Shared {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(key.clone()).or_default())
    }

    /// Forgets all of them and gives back their masters.
    pub(super) async fn take_all(&self) -> Vec<Arc<Master>> {
        let all: Vec<Shared> = {
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            all.drain().map(|(_, bastion)| bastion).collect()
        };
        let mut masters = Vec::new();
        for bastion in all {
            if let Bastion::Up(master) = std::mem::take(&mut *bastion.lock().await) {
                masters.push(master);
            }
        }
        masters
    }
}

/// Why the bastion opened no channel to `address` (and `port`, where it is known), from its master's log at
/// level DEBUG1: `channel 5: open failed: REASON`, and later `channel 5: free: direct-tcpip: listening port
/// 0 for ADDRESS port PORT, …`. The last word on that address counts.
pub(super) fn refused_channel<'a>(
    log: &'a str,
    address: &str,
    port: Option<u16>,
) -> Option<&'a str> {
    let mut reasons: HashMap<&str, &str> = HashMap::new();
    let mut found = None;
    for line in log.lines() {
        let line = line.strip_prefix("debug1: ").unwrap_or(line);
        let Some((channel, rest)) = line
            .strip_prefix("channel ")
            .and_then(|rest| rest.split_once(": "))
        else {
            continue;
        };
        if let Some(reason) = rest.strip_prefix("open failed: ") {
            reasons.insert(channel, reason.trim_end());
        } else if rest.starts_with("new ") {
            reasons.remove(channel);
        } else if let Some((_, target)) = rest.split_once("listening port 0 for ") {
            let ours = match port {
                Some(port) => target.starts_with(&format!("{address} port {port},")),
                None => target.starts_with(&format!("{address} port ")),
            };
            if ours {
                found = reasons.remove(channel);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_of_a_refused_channel_is_found_among_others() {
        let log = include_str!("../../tests/fixtures/ssh_errors/bastion_log.txt");
        assert_eq!(
            refused_channel(log, "127.0.77.5", Some(1)),
            Some("connect failed: Connection refused")
        );
        assert_eq!(
            refused_channel(log, "nosuch.invalid", None),
            Some("connect failed: Name or service not known")
        );
        assert_eq!(refused_channel(log, "127.0.77.5", Some(2277)), None);
        assert_eq!(refused_channel(log, "127.0.77.50", None), None);
    }
}
