//! The root tree that all machines share: built once by debootstrap, kept outside `target/`, named by what goes into it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use crate::place;

/// Builds the tree; all that it installs is named there.
const SCRIPT: &str = include_str!("../host_files/tree.sh");

/// Where trees are kept: `$LAB_CACHE`, else below `/var/cache`.
fn cache() -> PathBuf {
    std::env::var_os("LAB_CACHE").map_or_else(|| "/var/cache/fab-rs-lab".into(), PathBuf::from)
}

/// The distribution that the tree is of: the machine's own, as machines run the machine's JDK.
struct Distribution {
    suite: String,
    components: &'static str,
}

impl Distribution {
    fn own() -> Result<Self> {
        let text = fs::read_to_string("/etc/os-release").context("cannot read /etc/os-release")?;
        let value = |key: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(key))?;
            Some(line.trim_matches('"').to_owned())
        };
        let components = match value("ID=").as_deref() {
            Some("debian") => "main",
            Some("ubuntu") => "main,universe",
            other => anyhow::bail!(
                "the full tier can build machines of Debian and Ubuntu, not of {}",
                other.unwrap_or("this distribution")
            ),
        };
        let suite = value("VERSION_CODENAME=").context("/etc/os-release names no release")?;
        Ok(Self { suite, components })
    }
}

/// Where the tree is, or will be.
fn place_of(Distribution { suite, components }: &Distribution) -> PathBuf {
    let mirror = std::env::var("LAB_MIRROR").unwrap_or_default();
    let hash = place::hash(format!("{SCRIPT}\n{suite} {components} {mirror}").as_bytes());
    cache().join(format!("{suite}-{hash:016x}"))
}

/// Whether the tree was built already.
pub fn is_there() -> bool {
    Distribution::own().is_ok_and(|distribution| place_of(&distribution).exists())
}

/// The tree's folder, built if it is not there: that takes one to three minutes and the network. Only one process at a
/// time builds, and a tree is there only once it is whole.
pub fn prepare() -> Result<PathBuf> {
    let distribution = Distribution::own()?;
    let tree = place_of(&distribution);
    if tree.exists() {
        return Ok(tree);
    }
    let cache = cache();
    fs::create_dir_all(&cache).with_context(|| format!("cannot make {}", cache.display()))?;
    let lock = fs::File::create(cache.join(".lock")).context("cannot make the lock of the tree")?;
    lock.lock().context("cannot lock the tree")?;
    if tree.exists() {
        return Ok(tree);
    }
    let new = tree.with_extension("new");
    build(&new, &distribution.suite, distribution.components)?;
    fs::rename(&new, &tree).with_context(|| format!("cannot make {}", tree.display()))?;
    Ok(tree)
}

fn build(new: &Path, suite: &str, components: &str) -> Result<()> {
    if new.exists() {
        fs::remove_dir_all(new).with_context(|| format!("cannot empty {}", new.display()))?;
    }
    fs::create_dir_all(new).with_context(|| format!("cannot make {}", new.display()))?;
    fs::set_permissions(new, fs::Permissions::from_mode(0o755))
        .with_context(|| format!("cannot open {}", new.display()))?;
    let script = place::install_tools()?.join("tree.sh");
    let log = new.with_extension("log");
    let out = fs::File::create(&log).context("cannot make the log of debootstrap")?;
    let err = out
        .try_clone()
        .context("cannot share the log of debootstrap")?;
    // In namespaces, and told of our end: whatever debootstrap mounts or starts goes when it goes.
    let status = Command::new("setpriv")
        .args([
            "--pdeathsig",
            "KILL",
            "unshare",
            "--mount",
            "--pid",
            "--fork",
            "--kill-child",
        ])
        .arg("sh")
        .arg(script)
        .args([new.as_os_str(), suite.as_ref(), components.as_ref()])
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(err)
        .status()
        .context("cannot start setpriv and unshare (package util-linux)")?;
    let said = fs::read_to_string(&log).unwrap_or_default();
    let last: Vec<_> = said.lines().rev().take(5).collect();
    let last = last.into_iter().rev().collect::<Vec<_>>().join("\n");
    ensure!(
        status.success(),
        "the root tree of the machines cannot be built, {} ends with:\n{last}",
        log.display()
    );
    Ok(())
}
