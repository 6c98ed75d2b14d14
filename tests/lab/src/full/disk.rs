//! The layer of files that makes one machine of the shared root tree: name, keys, units, jars. What is the same on all
//! machines is in the tree.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::{LOGIN, quorum};
use crate::fault::Fault;
use crate::host_config::SUDO_HASH;
use crate::spec::{HostSpec, Service};
use crate::{java, keys, place};

/// The version of the Java service that a new machine runs.
const VERSION: &str = "1.0.0";

/// How a machine leaves HAProxy's service, and joins it again.
const BALANCER: &str = include_str!("../host_files/balancer.sh");

/// What the layers of all machines of a fleet have in common.
pub(crate) struct Disks<'a> {
    /// The shared root tree.
    pub(crate) tree: &'a Path,
    pub(crate) tools: &'a Path,
    pub(crate) login_key: &'a Path,
    /// `/etc/hosts` of every machine.
    pub(crate) hosts: String,
    /// The lines of `zoo.cfg` that name the members of the quorum.
    pub(crate) members: String,
    /// Whether the fleet has HAProxy.
    pub(crate) balanced: bool,
    pub(crate) jdk: Jdk,
}

/// The machine's own JDK, which machines get to see read-only.
pub(crate) struct Jdk {
    home: PathBuf,
    /// Folders that the JDK links to.
    others: Vec<PathBuf>,
}

impl Jdk {
    pub(crate) fn own() -> Result<Self> {
        let java = place::program("java").context("no java (package default-jdk-headless)")?;
        let java = fs::canonicalize(&java).context("java is a broken link")?;
        let home = java.ancestors().nth(2).context("java is not in a JDK")?;
        let mut others = Vec::new();
        for dir in [
            "conf",
            "conf/security",
            "conf/management",
            "lib",
            "lib/security",
        ] {
            for entry in fs::read_dir(home.join(dir)).into_iter().flatten().flatten() {
                if let Ok(target) = fs::read_link(entry.path())
                    && target.starts_with("/etc")
                    && let Some(Ok(first)) = target.strip_prefix("/etc").ok().and_then(|rest| {
                        Some(fs::canonicalize(
                            Path::new("/etc").join(rest.components().next()?),
                        ))
                    })
                    && first.is_dir()
                    && first != Path::new("/etc/ssl")
                    && !others.contains(&first)
                {
                    others.push(first);
                }
            }
        }
        Ok(Self {
            home: home.to_path_buf(),
            others,
        })
    }
}

/// A folder that is filled with files, each below folders that everybody may enter.
struct Layer(PathBuf);

impl Layer {
    fn dir(&self, path: &str) -> Result<PathBuf> {
        let mut dir = self.0.clone();
        for part in std::iter::once("").chain(path.split('/')) {
            dir.push(part);
            if !dir.is_dir() {
                fs::create_dir_all(&dir)
                    .with_context(|| format!("cannot make {}", dir.display()))?;
            }
            fs::set_permissions(&dir, fs::Permissions::from_mode(0o755))
                .with_context(|| format!("cannot open {}", dir.display()))?;
        }
        Ok(dir)
    }

    fn file(&self, path: &str, text: impl AsRef<[u8]>, mode: u32) -> Result<()> {
        let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
        place::replace(&self.dir(dir)?.join(name), text.as_ref(), mode)
    }

    fn link(&self, path: &str, target: impl AsRef<Path>) -> Result<()> {
        let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
        let link = self.dir(dir)?.join(name);
        symlink(target, &link).with_context(|| format!("cannot make {}", link.display()))
    }
}

impl Disks<'_> {
    /// Writes the layer of one machine, and the options of its `systemd-nspawn`.
    pub(crate) fn write(&self, dir: &Path, spec: &HostSpec, host_key: &Path) -> Result<()> {
        let layer = Layer(dir.join("disk"));
        let name = &spec.name;
        layer.file("etc/hostname", format!("{name}\n"), 0o644)?;
        layer.file("etc/hosts", &self.hosts, 0o644)?;
        let id = place::hash(dir.as_os_str().as_encoded_bytes());
        layer.file("etc/machine-id", format!("{id:016x}{:016x}\n", !id), 0o444)?;
        let key = fs::read(host_key).context("cannot read the host key")?;
        layer.file("etc/ssh/ssh_host_ed25519_key", key, 0o600)?;
        let authorized = if spec.has(&Fault::RefusesKey) {
            String::new()
        } else {
            keys::public(self.login_key)? + "\n"
        };
        layer.file("etc/ssh/lab_authorized_keys", authorized, 0o644)?;
        self.accounts(&layer, spec)?;
        for tool in ["java", "jar", "jcmd", "jstack", "jmap", "jps"] {
            layer.link(
                &format!("usr/local/bin/{tool}"),
                self.jdk.home.join("bin").join(tool),
            )?;
        }
        if self.balanced {
            for command in ["leave-balancer", "join-balancer"] {
                layer.file(&format!("usr/local/bin/{command}"), BALANCER, 0o755)?;
            }
        }
        for service in &spec.services {
            self.service(&layer, service)?;
        }
        let mut options = format!("--hostname={name}\n");
        for dir in std::iter::once(&self.jdk.home).chain(&self.jdk.others) {
            let _ = writeln!(options, "--bind-ro={}", dir.display());
        }
        place::replace(&dir.join("nspawn"), options.as_bytes(), 0o644)
    }

    fn accounts(&self, layer: &Layer, spec: &HostSpec) -> Result<()> {
        let rule = if spec.has(&Fault::NoSudo) {
            String::new()
        } else if spec.has(&Fault::SudoPassword) {
            format!("{LOGIN} ALL=(ALL:ALL) ALL\n")
        } else {
            format!("{LOGIN} ALL=(ALL:ALL) NOPASSWD: ALL\n")
        };
        layer.file("etc/sudoers.d/lab", rule, 0o440)?;
        let of_tree = |path: &str| {
            fs::read_to_string(self.tree.join(path))
                .with_context(|| format!("cannot read {path} of the root tree"))
        };
        if spec.has(&Fault::SudoPassword) {
            let (none, hash) = (format!("\n{LOGIN}:*:"), format!("\n{LOGIN}:{SUDO_HASH}:"));
            layer.file(
                "etc/shadow",
                of_tree("etc/shadow")?.replace(&none, &hash),
                0o640,
            )?;
        }
        if spec.shell.login() != "/bin/sh" {
            let home = format!("/home/{LOGIN}:");
            let (sh, other) = (
                format!("{home}/bin/sh"),
                format!("{home}{}", spec.shell.login()),
            );
            layer.file(
                "etc/passwd",
                of_tree("etc/passwd")?.replace(&sh, &other),
                0o644,
            )?;
        }
        Ok(())
    }

    fn service(&self, layer: &Layer, service: &Service) -> Result<()> {
        let name = &service.name;
        let owner = service.owner.as_deref().unwrap_or(LOGIN);
        let java = self.jdk.home.join("bin/java");
        let java = java.display();
        let program = if service.zookeeper {
            quorum::install(&self.members, |path, text| layer.file(path, text, 0o644))?;
            let data = layer.dir(quorum::DATA)?;
            // The numbers that the tree gives them.
            let id = if owner == LOGIN { 2001 } else { 2002 };
            chown(&data, Some(id), Some(id)).context("cannot give ZooKeeper its folder")?;
            format!("{java} -Xmx128m -XX:+UseSerialGC {}", quorum::ARGUMENTS)
        } else if service.java {
            let jar = java::jar(self.tools, VERSION)?;
            let jar = fs::read(&jar).with_context(|| format!("cannot read {}", jar.display()))?;
            layer.file(
                &format!("opt/{name}/releases/{VERSION}/app.jar"),
                jar,
                0o644,
            )?;
            layer.link(
                &format!("opt/{name}/current"),
                format!("releases/{VERSION}"),
            )?;
            format!(
                "{java} -Xmx48m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 {} -jar /opt/{name}/current/app.jar {name} 0.0.0.0 {} {}{}",
                service.jvm_flags.join(" "),
                service.port,
                service.megabytes,
                if service.deadlock { " deadlock" } else { "" }
            )
        } else {
            layer.dir(&format!("opt/{name}"))?;
            let crash = format!("/opt/{name}/crash");
            format!(
                "/bin/sh -c 'if [ -e {crash} ]; then echo {name} cannot start; sleep 0.3; exit 1; fi; while :; do sleep 3600; done'"
            )
        };
        // Five starts in 20 s end a crash loop on a slow machine too, where a JVM takes long to fail.
        let unit = format!(
            "[Unit]\nDescription={name} of the lab\nStartLimitIntervalSec=20s\n\n[Service]\nUser={owner}\nExecStart={program}\n\
             SuccessExitStatus=143\nRestart=on-failure\nRestartSec=500ms\nTimeoutStopSec=30\n\n\
             [Install]\nWantedBy=multi-user.target\n"
        );
        layer.file(&format!("etc/systemd/system/{name}.service"), unit, 0o644)?;
        layer.link(
            &format!("etc/systemd/system/multi-user.target.wants/{name}.service"),
            format!("/etc/systemd/system/{name}.service"),
        )
    }
}

/// Writes what a member of the quorum is called there.
pub(crate) fn write_member(dir: &Path, number: usize) -> Result<()> {
    let layer = Layer(dir.join("disk"));
    let data = layer.0.join(quorum::DATA);
    place::replace(&data.join("myid"), format!("{number}\n").as_bytes(), 0o644)
}
