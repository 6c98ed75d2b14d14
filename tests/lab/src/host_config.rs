//! The files that make one host: sshd's configuration, its units, the variables of its first process.

use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use crate::addresses::SSH_PORT;
use crate::fault::Fault;
use crate::spec::{HostSpec, Service};
use crate::{keys, place};

/// `lab-sudo` as `/etc/shadow` wants it.
pub(crate) const SUDO_HASH: &str = "$6$labsalt$0yHhN8WOR88kr3CFGjQJ5YWcUKNDeY7u.L/B.MnXX4f0bFMCU3FrkSL7tIhfokWpJcUXdNL1lSADIGjJVqXOO1";

/// Everything that the files of one host say.
pub(crate) struct Config<'a> {
    pub(crate) spec: &'a HostSpec,
    pub(crate) address: Ipv4Addr,
    /// The host's folder.
    pub(crate) dir: &'a Path,
    /// The tools folder, as the machine sees it.
    pub(crate) tools: &'a Path,
    pub(crate) login_key: &'a Path,
    pub(crate) host_key: &'a Path,
    /// Lines of `/etc/hosts` for the hosts behind this one.
    pub(crate) behind: &'a str,
    pub(crate) login: &'a str,
}

impl Config<'_> {
    /// Writes the host's folder.
    pub(crate) fn write(&self) -> Result<()> {
        for dir in ["mnt", "home", "units"] {
            let dir = self.dir.join(dir);
            std::fs::create_dir_all(&dir)
                .with_context(|| format!("cannot make {}", dir.display()))?;
        }
        let file = |name: &str, text: &str, mode| {
            place::replace(&self.dir.join(name), text.as_bytes(), mode)
        };
        let key = std::fs::read(self.host_key).context("cannot read the host key")?;
        place::replace(&self.dir.join("host_key"), &key, 0o600)?;
        let authorized = if self.spec.has(&Fault::RefusesKey) {
            String::new()
        } else {
            keys::public(self.login_key)? + "\n"
        };
        file("authorized_keys", &authorized, 0o644)?;
        file("hosts", &self.hosts(), 0o644)?;
        file("sshd_config", &self.sshd_config(), 0o644)?;
        for service in &self.spec.services {
            file(
                &format!("units/{}/exec", service.name),
                &self.unit(service)?,
                0o755,
            )?;
            file(
                &format!("units/{}/owner", service.name),
                &format!("{}\n", self.owner(service)),
                0o644,
            )?;
        }
        file("host.env", &self.environment()?, 0o644)
    }

    fn tools_on_host(&self) -> PathBuf {
        if place::is_root() {
            PathBuf::from("/usr/local/lib/lab")
        } else {
            self.tools.to_path_buf()
        }
    }

    fn hosts(&self) -> String {
        let Self {
            spec,
            address,
            behind,
            ..
        } = self;
        format!(
            "127.0.0.1 localhost\n{address} {} {}.lab\n{behind}",
            spec.name, spec.name
        )
    }

    fn sshd_config(&self) -> String {
        let dir = self.dir.display();
        let authorized = if place::is_root() {
            "/etc/ssh/lab_authorized_keys".to_owned()
        } else {
            format!("{dir}/authorized_keys")
        };
        let mut text = format!(
            "ListenAddress {}\nPort {SSH_PORT}\nHostKey {dir}/host_key\nAuthorizedKeysFile {authorized}\n\
             StrictModes no\nPidFile none\nUsePAM no\nUseDNS no\nPrintMotd no\nPrintLastLog no\nLogLevel VERBOSE\n\
             PasswordAuthentication no\nKbdInteractiveAuthentication no\nAllowUsers {}\n\
             Subsystem sftp /usr/lib/openssh/sftp-server\n",
            self.address, self.login
        );
        if !self.spec.bastion {
            text.push_str("MaxStartups 1000\nMaxSessions 1000\n");
        }
        if !place::is_root() {
            let (path, sudo) = (place::host_path(self.tools), self.sudo());
            let _ = writeln!(text, "SetEnv HOME={dir}/home PATH={path} LAB_SUDO={sudo}");
        }
        if let Some(forced) = self.spec.faults.iter().find_map(Fault::forced_command) {
            let _ = writeln!(
                text,
                "ForceCommand {}/forced {forced}",
                self.tools_on_host().display()
            );
        }
        text
    }

    fn sudo(&self) -> &'static str {
        if self.spec.has(&Fault::NoSudo) {
            "no"
        } else if self.spec.has(&Fault::SudoPassword) {
            "password"
        } else {
            "yes"
        }
    }

    fn owner<'a>(&'a self, service: &'a Service) -> &'a str {
        match &service.owner {
            Some(owner) if place::is_root() => owner,
            _ => self.login,
        }
    }

    /// The script that a unit runs: it becomes the service, so that the unit's main process is the service itself.
    fn unit(&self, service: &Service) -> Result<String> {
        let name = &service.name;
        let mut text = String::from("#!/bin/sh\n");
        if self.spec.has(&Fault::CrashLoop) {
            let _ = writeln!(
                text,
                "if [ -e /run/lab-units/{name}/was_restarted ]; then echo '{name} cannot start'; sleep 0.3; exit 1; fi"
            );
        }
        let program = if service.java {
            let java = place::program("java").context("no java (package default-jdk-headless)")?;
            let java = std::fs::canonicalize(&java).unwrap_or(java);
            format!(
                "{} -Xmx48m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 {} -cp {}/java LabService {name} {} {} {}{}",
                java.display(),
                service.jvm_flags.join(" "),
                self.tools_on_host().display(),
                self.address,
                service.port,
                service.megabytes,
                if service.deadlock { " deadlock" } else { "" }
            )
        } else {
            "sh -c 'while :; do sleep 3600; done'".to_owned()
        };
        if place::is_root() {
            let owner = self.owner(service);
            let _ = writeln!(
                text,
                "cd /home/{owner}\nexec setpriv --reuid {owner} --regid {owner} --init-groups env HOME=/home/{owner} {program}"
            );
        } else {
            let _ = writeln!(text, "exec {program}");
        }
        Ok(text)
    }

    /// `host.env`, which the host's first process reads.
    fn environment(&self) -> Result<String> {
        let spec = self.spec;
        let base = self.tools.parent().unwrap_or(self.tools);
        let sshd = place::program("sshd").context("no sshd (package openssh-server)")?;
        let tcp = spec.faults.iter().find(|fault| fault.replaces_sshd());
        let units: Vec<_> = spec
            .services
            .iter()
            .map(|unit| unit.name.as_str())
            .collect();
        let noise = spec.has(&Fault::BadShellRc);
        let values = [
            ("NAME", spec.name.clone()),
            (
                "MODE",
                if place::is_root() { "root" } else { "user" }.to_owned(),
            ),
            ("BASE", base.display().to_string()),
            ("SOURCE", self.tools.display().to_string()),
            ("TOOLS", self.tools_on_host().display().to_string()),
            ("PATH", place::host_path(self.tools)),
            ("ADDRESS", self.address.to_string()),
            ("PORT", SSH_PORT.to_string()),
            ("SSHD", sshd.display().to_string()),
            ("TCP", tcp.map_or("", Fault::name).to_owned()),
            ("UNITS", units.join(" ")),
            ("SHELL", spec.shell.program().to_owned()),
            ("LOGIN_SHELL", spec.shell.login().to_owned()),
            ("PASSWORD", self.password().to_owned()),
            ("SUDO", self.sudo().to_owned()),
            ("NOISE", if noise { "yes" } else { "" }.to_owned()),
            ("WITHOUT", self.without()),
            ("VAR_TMP", self.var_tmp_size().to_owned()),
            ("UID", rustix::process::getuid().as_raw().to_string()),
            ("GID", rustix::process::getgid().as_raw().to_string()),
        ];
        let mut text = String::new();
        for (key, value) in values {
            let plain = !value.contains(['\'', '\n']);
            ensure!(
                plain,
                "`{value}` cannot be written for the host {}",
                spec.name
            );
            let _ = writeln!(text, "LAB_{key}='{value}'");
        }
        Ok(text)
    }

    fn password(&self) -> &'static str {
        if self.spec.has(&Fault::SudoPassword) {
            SUDO_HASH
        } else {
            "*"
        }
    }

    fn without(&self) -> String {
        let mut commands = self.spec.without.clone();
        if self.spec.has(&Fault::NoSetsid) {
            commands.push("setsid".to_owned());
        }
        commands.join(" ")
    }

    fn var_tmp_size(&self) -> &str {
        let small = self.spec.has(&Fault::SmallDisk).then_some("2m");
        self.spec
            .var_tmp_size
            .as_deref()
            .or(small)
            .unwrap_or("512m")
    }
}
