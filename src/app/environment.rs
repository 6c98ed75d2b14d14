//! The process's surroundings, read once: environment variables, folders, who is typing. Nothing else reads
//! the environment.

use std::env;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

/// The longest path of a control socket folder: ssh appends its own name and 17 more characters while
/// binding a socket, whose path may have 108 bytes on Linux and 104 on macOS.
const LONGEST_SOCKET_DIR: usize = 61;

/// What surrounds the process.
#[derive(Debug, Clone)]
pub(crate) struct Environment {
    /// Where it was started.
    pub(crate) cwd: PathBuf,
    /// `STATE`: `$FAB_RS_STATE_DIR`, else the XDG state folder's `fab-rs`.
    pub(crate) state_dir: PathBuf,
    /// `~/.config/fab-rs`, where XDG says so.
    pub(crate) config_dir: PathBuf,
    /// Who runs it.
    pub(crate) user: String,
    /// `NO_COLOR` is set (<https://no-color.org>).
    pub(crate) no_color: bool,
    /// Every `FAB_RS_*` variable, by the rest of its name in lower case.
    pub(crate) overrides: Vec<(String, String)>,
    /// stdin is a terminal.
    pub(crate) stdin_terminal: bool,
    /// stderr is a terminal.
    pub(crate) stderr_terminal: bool,
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the environment"
)]
fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the environment"
)]
fn overrides() -> Vec<(String, String)> {
    env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter_map(|(name, value)| Some((name.strip_prefix("FAB_RS_")?.to_lowercase(), value)))
        .collect()
}

/// This machine's name, for people.
pub(crate) fn machine_name() -> String {
    let linux = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let name = linux.or_else(|| {
        let output = std::process::Command::new("uname")
            .arg("-n")
            .output()
            .ok()?;
        String::from_utf8(output.stdout).ok()
    });
    let name = name.map(|name| name.trim().to_owned());
    name.filter(|name| !name.is_empty())
        .unwrap_or_else(|| "an unnamed machine".to_owned())
}

/// Whose process this is, where the environment does not say, as under systemd, cron or a build server: the system's
/// name of the effective user, from its directory too, else the user's number.
fn user_of_process() -> String {
    let asked = std::process::Command::new("id").arg("-un").output();
    let name = asked.ok().filter(|output| output.status.success());
    let name = name.and_then(|output| String::from_utf8(output.stdout).ok());
    let name = name.map(|name| name.trim().to_owned());
    name.filter(|name| !name.is_empty())
        .unwrap_or_else(|| format!("uid {}", rustix::process::geteuid().as_raw()))
}

impl Environment {
    /// Reads it.
    ///
    /// # Errors
    /// The working directory is gone, or no home folder can be found.
    pub(crate) fn read() -> anyhow::Result<Self> {
        let home =
            etcetera::home_dir().context("no home folder: set `HOME`, or `FAB_RS_STATE_DIR`");
        let below_home = |variable_name: &str, below: &str| -> anyhow::Result<PathBuf> {
            match variable(variable_name)
                .map(PathBuf::from)
                .filter(|path| path.is_absolute())
            {
                Some(base) => Ok(base.join("fab-rs")),
                None => match &home {
                    Ok(home) => Ok(home.join(below).join("fab-rs")),
                    Err(error) => bail!("{error:#}"),
                },
            }
        };
        let state_dir = match variable("FAB_RS_STATE_DIR") {
            Some(dir) => std::path::absolute(dir)?,
            None => below_home("XDG_STATE_HOME", ".local/state")?,
        };
        let config_dir =
            below_home("XDG_CONFIG_HOME", ".config").unwrap_or_else(|_| state_dir.join("config"));
        Ok(Self {
            cwd: env::current_dir().context("the working directory is gone")?,
            state_dir,
            config_dir,
            user: variable("USER")
                .or_else(|| variable("LOGNAME"))
                .unwrap_or_else(user_of_process),
            no_color: variable("NO_COLOR").is_some(),
            overrides: overrides(),
            stdin_terminal: std::io::stdin().is_terminal(),
            stderr_terminal: std::io::stderr().is_terminal(),
        })
    }

    /// Where the process is, also where it takes up a run that began elsewhere; `/` where that is gone.
    pub(crate) fn working_directory() -> PathBuf {
        env::current_dir().unwrap_or_else(|_| PathBuf::from("/"))
    }

    /// An environment variable: one that a param names by `from: env:X`, or that says who is there.
    pub(crate) fn variable(name: &str) -> Option<String> {
        variable(name)
    }
}

/// A short folder for control sockets, mode 0700 and ours: `$XDG_RUNTIME_DIR/fab-rs`, else `/tmp/fab-rs-UID`.
///
/// # Errors
/// The folder cannot be made, or belongs to somebody else.
pub(crate) fn socket_dir() -> anyhow::Result<PathBuf> {
    let uid = rustix::process::getuid().as_raw();
    let runtime = variable("XDG_RUNTIME_DIR").map(|base| Path::new(&base).join("fab-rs"));
    let dir = runtime
        .filter(|dir| {
            dir.as_os_str().len() + 12 <= LONGEST_SOCKET_DIR
                && dir.parent().is_some_and(Path::is_dir)
        })
        .unwrap_or_else(|| PathBuf::from(format!("/tmp/fab-rs-{uid}")));
    make_private(&dir, uid)?;
    Ok(dir)
}

fn make_private(dir: &Path, uid: u32) -> anyhow::Result<()> {
    use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
    match std::fs::DirBuilder::new().mode(0o700).create(dir) {
        Ok(()) => return Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(error) => {
            return Err(error)
                .with_context(|| format!("cannot make `{}` for control sockets", dir.display()));
        }
    }
    let metadata = std::fs::symlink_metadata(dir)?;
    if !metadata.is_dir() || metadata.uid() != uid {
        bail!(
            "`{}` is not a folder of ours: control sockets would not be safe there; remove it, or set XDG_RUNTIME_DIR",
            dir.display()
        );
    }
    if metadata.mode() & 0o077 != 0 {
        std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o700))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_without_a_users_name_in_its_environment_has_one() {
        let uid = rustix::process::geteuid().as_raw().to_string();
        let known = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        let mut entries = known
            .lines()
            .map(|line| line.split(':').collect::<Vec<_>>());
        let entry = entries.find(|entry| entry.get(2) == Some(&uid.as_str()));
        let expected = entry.map(|entry| entry[0].to_owned());
        let user = user_of_process();
        match expected {
            Some(expected) => assert_eq!(user, expected),
            // Somebody of a directory, or nobody that has a name.
            None => assert!(!user.is_empty() && user != "unknown", "{user}"),
        }
    }

    #[test]
    fn a_folder_of_somebody_elses_is_refused_for_sockets() {
        let base = tempfile::tempdir().unwrap();
        let dir = base.path().join("sockets");
        let uid = rustix::process::getuid().as_raw();
        make_private(&dir, uid).unwrap();
        make_private(&dir, uid).unwrap();
        assert!(make_private(&dir, uid + 1).is_err());
        std::os::unix::fs::symlink(&dir, base.path().join("link")).unwrap();
        assert!(make_private(&base.path().join("link"), uid).is_err());
    }
}
