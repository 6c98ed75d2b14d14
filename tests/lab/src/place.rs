//! Where the lab keeps its things, and which programs of the machine it uses. It starts nothing.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// The scripts and the source that hosts run, by the name they get in the tools folder.
const TOOLS: &[(&str, &str)] = &[
    ("init.sh", include_str!("host_files/init.sh")),
    ("become.sh", include_str!("host_files/become.sh")),
    ("forced", include_str!("host_files/forced.sh")),
    ("systemctl", include_str!("host_files/systemctl.sh")),
    ("journalctl", include_str!("host_files/journalctl.sh")),
    ("reboot", include_str!("host_files/reboot.sh")),
    ("bin/reboot", include_str!("host_files/reboot.sh")),
    ("bin/shutdown", include_str!("host_files/reboot.sh")),
    ("unitd", include_str!("host_files/unitd.sh")),
    ("tcp.pl", include_str!("host_files/tcp.pl")),
    ("machines.pl", include_str!("host_files/machines.pl")),
    ("tree.sh", include_str!("host_files/tree.sh")),
    ("keeper.pl", include_str!("host_files/keeper.pl")),
    ("ec2.py", include_str!("host_files/ec2.py")),
    ("bin/sudo", include_str!("host_files/sudo.sh")),
    ("bin/systemctl", include_str!("host_files/systemctl.sh")),
    ("bin/journalctl", include_str!("host_files/journalctl.sh")),
];

/// The lab's folder: `$LAB_DIR`, else `lab` in Cargo's target folder.
pub fn base() -> PathBuf {
    if let Some(dir) = std::env::var_os("LAB_DIR") {
        return PathBuf::from(dir);
    }
    target().join("lab")
}

/// Cargo's target folder.
pub fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => std::path::absolute(&dir).unwrap_or_else(|_| PathBuf::from(dir)),
        None => repository().join("target"),
    }
}

/// The root of the repository that the lab was built from.
pub fn repository() -> PathBuf {
    let crate_dir = Path::new(env!("CARGO_MANIFEST_DIR"));
    crate_dir
        .ancestors()
        .nth(2)
        .unwrap_or(crate_dir)
        .to_path_buf()
}

/// Where fleets have their folders.
pub fn fleets() -> PathBuf {
    base().join("fleets")
}

/// `PATH` as most machines have it for root.
pub(crate) const HOST_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// `PATH` on a host. Where the lab is not root, the stand-ins are in the tools folder.
pub(crate) fn host_path(tools: &Path) -> String {
    if is_root() {
        HOST_PATH.to_owned()
    } else {
        format!("{}/bin:{HOST_PATH}", tools.display())
    }
}

/// Whether the lab runs as root, which hosts' accounts and sudo depend on.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// The program's path, looked for in `PATH` and in the usual folders, which a user's `PATH` may lack.
pub fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/bin", "/bin"].map(PathBuf::from);
    std::env::split_paths(&path)
        .chain(usual)
        .map(|dir| dir.join(name))
        .find(|file| {
            fs::metadata(file)
                .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
        })
}

/// Writes the files that hosts run into the tools folder and returns it. Several processes may do so at once.
pub(crate) fn install_tools() -> Result<PathBuf> {
    let dir = base().join("tools");
    for (name, text) in TOOLS {
        write_program(&dir.join(name), text.as_bytes())?;
    }
    if let Some(setsid) = program("setsid") {
        let bytes =
            fs::read(&setsid).with_context(|| format!("cannot read {}", setsid.display()))?;
        write_program(&dir.join("setsid"), &bytes)?;
    }
    fs::canonicalize(&dir).with_context(|| format!("cannot find {}", dir.display()))
}

/// Writes an executable file in one move, unless it is there already.
fn write_program(file: &Path, bytes: &[u8]) -> Result<()> {
    if fs::read(file).is_ok_and(|there| there == bytes) {
        return Ok(());
    }
    replace(file, bytes, 0o755)
}

/// Writes a file with this mode beside its place, then moves it there.
pub(crate) fn replace(file: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let dir = file.parent().context("a file has a folder")?;
    fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let new = dir.join(format!(".{name}.{}", std::process::id()));
    let write = || -> std::io::Result<()> {
        let mut to = fs::File::create(&new)?;
        to.write_all(bytes)?;
        to.set_permissions(fs::Permissions::from_mode(mode))?;
        drop(to);
        fs::rename(&new, file)
    };
    write().with_context(|| format!("cannot write {}", file.display()))
}

/// A short name for bytes (FNV-1a); for telling apart what the lab made itself.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
