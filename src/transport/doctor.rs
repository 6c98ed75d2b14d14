//! Why a login does not work: the keys that ssh would offer, and what one try with `ssh -v` says. For
//! `doctor`: slower than a connection, changes nothing on the host. Says facts; what they mean is `doctor`'s.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

use super::{Resolved, SshTransport};
use crate::model::Host;

/// A key that ssh would offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferedKey {
    /// The private key's file; `None` where the agent alone has it.
    pub file: Option<PathBuf>,
    /// `256 SHA256:… comment (ED25519)`, as `ssh-keygen -l` says it; `None` where the file cannot be read.
    pub fingerprint: Option<String>,
    /// Whether the agent holds it.
    pub in_agent: bool,
    /// Whether the file is encrypted: without an agent it is then of no use here.
    pub encrypted: bool,
}

/// What one try to log in said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoginTrial {
    /// Whether the login worked.
    pub logged_in: bool,
    /// The server's software, such as `OpenSSH_9.2p1`.
    pub server: Option<String>,
    /// The key exchange that was agreed on.
    pub key_exchange: Option<String>,
    /// The host key that the server showed.
    pub host_key: Option<String>,
    /// The keys that were offered, in order.
    pub offered: Vec<String>,
    /// The key that the server took.
    pub accepted: Option<String>,
    /// The ways of logging in that the server takes.
    pub methods: Option<String>,
    /// What ssh said beside its debug lines.
    pub words: Vec<String>,
}

impl SshTransport {
    /// The keys that ssh would offer to a host with this configuration: the agent's that its files name
    /// first, then the files, then the agent's others unless `IdentitiesOnly` is set.
    pub async fn offered_keys(&self, resolved: &Resolved) -> Vec<OfferedKey> {
        let agent = agent_keys(resolved.identity_agent.as_deref()).await;
        let mut keys = Vec::new();
        for file in &resolved.identity_files {
            let file = in_home(file);
            if !file.exists() {
                continue;
            }
            let listed = run("ssh-keygen", &["-l".as_ref(), "-f".as_ref(), &file]).await;
            let fingerprint = listed.and_then(|output| first_line(&output));
            let in_agent = fingerprint
                .as_deref()
                .is_some_and(|print| agent.iter().any(|key| same_key(key, print)));
            // Reading the private half without a passphrase fails where it has one.
            let [read, empty] = [["-y", "-P"], ["", "-f"]].map(|pair| pair.map(Path::new));
            let words = [read[0], read[1], empty[0], empty[1], &file];
            let read = run("ssh-keygen", &words).await;
            let encrypted = read.is_some_and(|output| {
                String::from_utf8_lossy(&output.stderr).contains("passphrase")
            });
            keys.push(OfferedKey {
                file: Some(file),
                fingerprint,
                in_agent,
                encrypted,
            });
        }
        if !resolved.identities_only {
            for key in agent {
                let known = |offered: &OfferedKey| {
                    offered
                        .fingerprint
                        .as_deref()
                        .is_some_and(|print| same_key(print, &key))
                };
                if !keys.iter().any(known) {
                    keys.push(OfferedKey {
                        file: None,
                        fingerprint: Some(key),
                        in_agent: true,
                        encrypted: false,
                    });
                }
            }
        }
        keys
    }

    /// Logs in once with `ssh -v`, runs nothing, and gives what was said; `limit` at most.
    pub async fn try_login(&self, host: &Host, limit: Duration) -> LoginTrial {
        let mut command = Command::new("ssh");
        command
            .args(["-v", "-o", "BatchMode=yes", "-o", "ControlPath=none", "-T"])
            .args(self.interactive_args(host).await.into_iter().skip(1))
            .arg("exit")
            .env("LC_ALL", "C")
            .process_group(0)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        match timeout(limit, command.output()).await {
            Ok(Ok(output)) => read_trial(&String::from_utf8_lossy(&output.stderr)),
            Ok(Err(error)) => LoginTrial {
                words: vec![format!("ssh: {error}")],
                ..LoginTrial::default()
            },
            Err(_) => LoginTrial {
                words: vec![format!("no end within {} s", limit.as_secs())],
                ..LoginTrial::default()
            },
        }
    }
}

/// The agent's keys, as `ssh-add -l` lists them; none where there is no agent.
async fn agent_keys(agent: Option<&str>) -> Vec<String> {
    if agent == Some("none") {
        return Vec::new();
    }
    let mut command = Command::new("ssh-add");
    command.arg("-l").env("LC_ALL", "C").stdin(Stdio::null());
    if let Some(socket) = agent.filter(|socket| *socket != "SSH_AUTH_SOCK") {
        command.env("SSH_AUTH_SOCK", in_home(Path::new(socket)));
    }
    match command.output().await {
        Ok(output) if output.status.success() => String::from_utf8_lossy(&output.stdout)
            .lines()
            .map(str::to_owned)
            .collect(),
        _ => Vec::new(),
    }
}

async fn run(program: &str, words: &[&Path]) -> Option<Output> {
    let mut command = Command::new(program);
    command
        .args(words)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .process_group(0);
    command.output().await.ok()
}

fn first_line(output: &Output) -> Option<String> {
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().next()?.trim();
    (output.status.success() && !line.is_empty()).then(|| line.to_owned())
}

/// Whether two lines of `-l` name the same key: the second word is its hash.
fn same_key(one: &str, other: &str) -> bool {
    let hash = |line: &str| line.split_whitespace().nth(1).map(str::to_owned);
    hash(one).is_some() && hash(one) == hash(other)
}

fn in_home(path: &Path) -> PathBuf {
    match path.strip_prefix("~") {
        Ok(rest) => etcetera::home_dir().unwrap_or_default().join(rest),
        Err(_) => path.to_owned(),
    }
}

/// Reads what `ssh -v` said.
fn read_trial(text: &str) -> LoginTrial {
    let mut trial = LoginTrial::default();
    for line in text.lines().map(str::trim_end) {
        let Some(said) = line.strip_prefix("debug1: ") else {
            trial.logged_in |= line.starts_with("Authenticated to ");
            let ours = line.starts_with("OpenSSH_") || line.is_empty();
            if !ours && !line.starts_with("Authenticated to ") && !is_farewell(line) {
                trial.words.push(line.to_owned());
            }
            continue;
        };
        let after = |prefix: &str| said.strip_prefix(prefix).map(|rest| rest.trim().to_owned());
        if let Some(version) = said.split_once("remote software version ") {
            trial.server = Some(version.1.to_owned());
        } else if let Some(algorithm) = after("kex: algorithm:") {
            trial.key_exchange = Some(algorithm);
        } else if let Some(key) = after("Server host key:") {
            trial.host_key = Some(key);
        } else if let Some(key) = after("Offering public key:") {
            trial.offered.push(key);
        } else if let Some(key) = after("Server accepts key:") {
            trial.accepted = Some(key);
        } else if let Some(methods) = after("Authentications that can continue:") {
            trial.methods = Some(methods);
        }
    }
    trial
}

/// What ssh counts at its end.
fn is_farewell(line: &str) -> bool {
    line.starts_with("Transferred: ") || line.starts_with("Bytes per second: ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trial_is_read_from_what_ssh_says() {
        let text = include_str!("../../tests/fixtures/ssh_errors/verbose_denied.txt");
        let trial = read_trial(text);
        assert!(!trial.logged_in);
        assert_eq!(trial.methods.as_deref(), Some("publickey"));
        assert_eq!(trial.offered.len(), 1, "{trial:?}");
        assert!(trial.offered[0].contains("SHA256:"), "{trial:?}");
        assert_eq!(trial.accepted, None);
        assert!(trial.server.unwrap().starts_with("OpenSSH_"));
        assert_eq!(
            trial.words,
            ["root@127.0.77.2: Permission denied (publickey)."]
        );
    }

    #[test]
    fn keys_are_told_by_their_hash() {
        assert!(same_key(
            "256 SHA256:abc one (ED25519)",
            "256 SHA256:abc two (ED25519)"
        ));
        assert!(!same_key(
            "256 SHA256:abc one (ED25519)",
            "256 SHA256:abd one (ED25519)"
        ));
        assert!(!same_key("", ""));
    }
}
