//! Keys: a pool of host keys made once and used by every fleet, and the key that people log in with.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::place;

/// The folder of keys, with all that a fleet of this size needs.
#[derive(Debug)]
pub(crate) struct Keys {
    dir: PathBuf,
}

impl Keys {
    /// Makes the keys that are still missing. Only one process at a time does so.
    pub(crate) fn prepare(hosts: usize) -> Result<Self> {
        let dir = place::base().join("keys");
        fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
        let lock =
            fs::File::create(dir.join(".lock")).context("cannot make the lock of the keys")?;
        lock.lock().context("cannot lock the keys")?;
        let keys = Self { dir };
        for file in [keys.login(), keys.other()] {
            make(&file)?;
        }
        for index in 0..hosts {
            make(&keys.host(index))?;
        }
        Ok(keys)
    }

    /// The private key that opens every host.
    pub(crate) fn login(&self) -> PathBuf {
        self.dir.join("login")
    }

    /// A key that no host has and no host accepts.
    pub(crate) fn other(&self) -> PathBuf {
        self.dir.join("other")
    }

    /// The private host key of the host with this number.
    pub(crate) fn host(&self, index: usize) -> PathBuf {
        self.dir.join(format!("host-{index}"))
    }
}

/// The public half of a private key: type and key, without the comment.
pub(crate) fn public(private: &Path) -> Result<String> {
    let file = private.with_extension("pub");
    let text =
        fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    Ok(text
        .split_whitespace()
        .take(2)
        .collect::<Vec<_>>()
        .join(" "))
}

/// Makes a key pair unless it is there.
pub(crate) fn make(file: &Path) -> Result<()> {
    if file.exists() && file.with_extension("pub").exists() {
        return Ok(());
    }
    // Half a pair is left by a process that was killed between the two files.
    let _ = fs::remove_file(file);
    let output = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "lab", "-f"])
        .arg(file)
        .output()
        .context("cannot start ssh-keygen (package openssh-client)")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "ssh-keygen failed: {said}");
    Ok(())
}
