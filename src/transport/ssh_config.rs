//! What ssh's own configuration says: the jump of a host, the key exchanges that the local ssh knows, and
//! the resolved settings that `doctor` shows. Asks ssh (`ssh -G`, `ssh -Q`); parses no option by itself.
//!
//! `ssh -G` costs a process, so it is asked only where a jump could apply: some file of the configuration
//! holds the word `ProxyJump`. Files and answers are read once a run.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::process::Command;
use tokio::sync::OnceCell;

use super::ssh_args::{self, FAST_KEX, Shared};
use crate::model::Host;

/// How deep `Include`s are followed: as deep as ssh does.
const INCLUDE_DEPTH: u32 = 16;

/// What ssh's configuration comes to for one host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resolved {
    /// The name or address connected to.
    pub hostname: String,
    /// The login user.
    pub user: String,
    /// The port.
    pub port: u16,
    /// The bastion, where there is one.
    pub proxy_jump: Option<String>,
    /// The command that carries the connection, where there is one.
    pub proxy_command: Option<String>,
    /// The private key files that are tried, in order; not all need exist.
    pub identity_files: Vec<PathBuf>,
    /// Whether only those are tried, and no other key of the agent.
    pub identities_only: bool,
    /// The agent's socket, `none`, or `SSH_AUTH_SOCK`.
    pub identity_agent: Option<String>,
    /// Where host keys are looked up.
    pub known_hosts: Vec<PathBuf>,
    /// `StrictHostKeyChecking`.
    pub strict_host_key_checking: String,
}

/// The answers of a run.
#[derive(Debug, Default)]
pub(super) struct SshConfig {
    kex: OnceCell<Vec<String>>,
    /// Whether the configuration below this file (`None`: ssh's own files) names a jump at all.
    jumps: Mutex<HashMap<Option<PathBuf>, bool>>,
    /// The jump, for each argv of `ssh -G`.
    answers: Mutex<HashMap<Vec<OsString>, Option<String>>>,
}

impl SshConfig {
    /// The fast key exchanges that the local ssh knows, best first; empty where it knows none.
    pub(super) async fn fast_kex(&self) -> &[String] {
        self.kex
            .get_or_init(async || {
                let printed = run(["-Q".into(), "kex".into()]).await.unwrap_or_default();
                let knows = |name: &&str| printed.lines().any(|line| line.trim() == *name);
                FAST_KEX
                    .into_iter()
                    .filter(knows)
                    .map(str::to_owned)
                    .collect()
            })
            .await
    }

    /// The jump that ssh's configuration gives this host.
    pub(super) async fn jump(&self, host: &Host, shared: &Shared<'_>) -> Option<String> {
        if host.ssh.options.keys().any(|key| {
            key.eq_ignore_ascii_case("ProxyCommand") || key.eq_ignore_ascii_case("ProxyJump")
        }) {
            // The user's own words for this host: ssh does as they say.
            return None;
        }
        if !self.may_jump(host.ssh.config.as_deref()) {
            return None;
        }
        let args = ssh_args::resolved(host, shared);
        let known = self.answers().get(&args).cloned();
        if let Some(answer) = known {
            return answer;
        }
        let printed = run(args.clone()).await.ok();
        let jump = printed.and_then(|text| parse(&text).proxy_jump);
        self.answers().insert(args, jump.clone());
        jump
    }

    /// What ssh's configuration comes to for the host.
    ///
    /// # Errors
    /// ssh's words.
    pub(super) async fn resolve(
        &self,
        host: &Host,
        shared: &Shared<'_>,
    ) -> Result<Resolved, String> {
        Ok(parse(&run(ssh_args::resolved(host, shared)).await?))
    }

    fn answers(&self) -> MutexGuard<'_, HashMap<Vec<OsString>, Option<String>>> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn may_jump(&self, config: Option<&Path>) -> bool {
        let key = config.map(Path::to_owned);
        let mut jumps = self.jumps.lock().unwrap_or_else(PoisonError::into_inner);
        *jumps.entry(key).or_insert_with(|| match config {
            Some(file) if file == Path::new("none") => false,
            Some(file) => names_a_jump(file, &user_folder(), 0),
            None => {
                let user = user_folder();
                names_a_jump(&user.join("config"), &user, 0)
                    || names_a_jump(Path::new("/etc/ssh/ssh_config"), Path::new("/etc/ssh"), 0)
            }
        })
    }
}

/// `~/.ssh`.
fn user_folder() -> PathBuf {
    etcetera::home_dir().unwrap_or_default().join(".ssh")
}

/// Whether the file, or one that it includes, holds the word `ProxyJump`. A file that cannot be read names
/// none: ssh would not read it either.
fn names_a_jump(file: &Path, folder: &Path, depth: u32) -> bool {
    let Ok(text) = fs::read(file) else {
        return false;
    };
    String::from_utf8_lossy(&text).lines().any(|line| {
        let mut words = line
            .split([' ', '\t', '=', '"'])
            .filter(|word| !word.is_empty());
        let Some(key) = words.next() else {
            return false;
        };
        if key.eq_ignore_ascii_case("ProxyJump") {
            return true;
        }
        key.eq_ignore_ascii_case("Include")
            && depth < INCLUDE_DEPTH
            && words.any(|pattern| {
                included(pattern, folder)
                    .iter()
                    .any(|file| names_a_jump(file, folder, depth + 1))
            })
    })
}

/// The files that an `Include` pattern names. Wildcards are followed in the last part of the path, where
/// everybody writes them.
fn included(pattern: &str, folder: &Path) -> Vec<PathBuf> {
    let path = match pattern.strip_prefix("~/") {
        Some(rest) => etcetera::home_dir().unwrap_or_default().join(rest),
        None => folder.join(pattern),
    };
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Vec::new();
    };
    let name = name.to_string_lossy();
    if !name.contains(['*', '?', '[']) {
        return vec![path];
    }
    let Ok(glob) = globset::Glob::new(&name) else {
        return Vec::new();
    };
    let glob = glob.compile_matcher();
    fs::read_dir(parent)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| glob.is_match(entry.file_name()))
        .map(|entry| entry.path())
        .collect()
}

/// Runs ssh with these words and gives its stdout.
async fn run(args: impl IntoIterator<Item = OsString>) -> Result<String, String> {
    let output = Command::new("ssh")
        .args(args)
        .env("LC_ALL", "C")
        .process_group(0)
        .stdin(Stdio::null())
        .output()
        .await
        .map_err(|error| format!("ssh: {error}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
    }
}

/// Reads what `ssh -G` printed: a keyword in lower case and its value a line.
fn parse(text: &str) -> Resolved {
    let mut resolved = Resolved::default();
    for (key, value) in text.lines().filter_map(|line| line.split_once(' ')) {
        let value = value.trim();
        let given = || (value != "none").then(|| value.to_owned());
        match key {
            "hostname" => value.clone_into(&mut resolved.hostname),
            "user" => value.clone_into(&mut resolved.user),
            "port" => resolved.port = value.parse().unwrap_or(22),
            "proxyjump" => resolved.proxy_jump = given(),
            "proxycommand" => resolved.proxy_command = given(),
            "identityfile" => resolved.identity_files.push(value.into()),
            "identitiesonly" => resolved.identities_only = value == "yes",
            "identityagent" => resolved.identity_agent = Some(value.to_owned()),
            "userknownhostsfile" | "globalknownhostsfile" => resolved
                .known_hosts
                .extend(value.split_whitespace().map(PathBuf::from)),
            "stricthostkeychecking" => {
                value.clone_into(&mut resolved.strict_host_key_checking);
            }
            _ => {}
        }
    }
    resolved
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jump_is_found_through_includes() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        fs::create_dir(folder.path().join("conf.d")).unwrap();
        write("config", "Host *\n  User x\nInclude conf.d/*.conf\n");
        write("conf.d/a.conf", "# ProxyJump is named in a comment only\n");
        let found = || names_a_jump(&folder.path().join("config"), folder.path(), 0);
        assert!(!found());
        write("conf.d/b.txt", "ProxyJump gate\n");
        assert!(!found(), "not included");
        write("conf.d/c.conf", "host db\n\tproxyjump=gate\n");
        assert!(found());
    }

    #[test]
    fn an_include_of_itself_ends() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config");
        fs::write(&file, "Include config\n").unwrap();
        assert!(!names_a_jump(&file, folder.path(), 0));
    }

    #[test]
    fn the_resolved_configuration_is_read() {
        let text = "host web\nuser deploy\nhostname 10.0.0.1\nport 2222\nidentitiesonly yes\n\
                    identityfile ~/.ssh/a\nidentityfile ~/.ssh/b\nproxyjump gate:22\n\
                    proxycommand none\nstricthostkeychecking accept-new\n\
                    userknownhostsfile /a /b\n";
        assert_eq!(
            parse(text),
            Resolved {
                hostname: "10.0.0.1".into(),
                user: "deploy".into(),
                port: 2222,
                proxy_jump: Some("gate:22".into()),
                proxy_command: None,
                identity_files: vec!["~/.ssh/a".into(), "~/.ssh/b".into()],
                identities_only: true,
                identity_agent: None,
                known_hosts: vec!["/a".into(), "/b".into()],
                strict_host_key_checking: "accept-new".into(),
            }
        );
    }
}
