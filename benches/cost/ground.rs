//! The hosts, and the commands that are measured on them: fab-rs, and `ssh` in a loop with the same
//! configuration, user, key and limits.

use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Result, ensure};
use lab::{Fleet, HostSpec};

use crate::usage::{self, Usage};

/// Which key exchange is asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kex {
    /// curve25519, as `ssh: {kex: fast}` has it with an OpenSSH older than 9.9.
    Curve25519,
    /// The one that this machine's ssh chooses.
    Default,
}

impl fmt::Display for Kex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Curve25519 => "curve25519",
            Self::Default => "ssh's default",
        })
    }
}

/// A running fleet with a working directory and a state folder of its own.
pub(crate) struct Ground {
    fleet: Fleet,
    folder: tempfile::TempDir,
    binary: String,
}

impl Ground {
    /// Starts so many hosts and writes what the commands read.
    pub(crate) fn prepare(hosts: usize, binary: String) -> Result<Self> {
        ensure!(
            hosts >= 20,
            "20 hosts at least: some of the figures are of so many"
        );
        let hosts = (0..hosts).map(|index| {
            let zone = ["us-west-2a", "us-west-2b", "us-west-2c"][index % 3];
            HostSpec::new(format!("app-{index:03}"))
                .role("app")
                .zone(zone)
        });
        let ground = Self {
            fleet: Fleet::builder("bench").hosts(hosts).start()?,
            folder: tempfile::tempdir()?,
            binary,
        };
        // The same without its choice of a key exchange.
        let config = fs::read_to_string(ground.fleet.ssh_config())?;
        let plain: Vec<&str> = config
            .lines()
            .filter(|line| !line.trim_start().starts_with("KexAlgorithms"))
            .collect();
        fs::write(ground.ssh_config(Kex::Default), plain.join("\n") + "\n")?;
        let inventory = fs::read_to_string(ground.fleet.inventory())?;
        let here = ground.fleet.ssh_config().display().to_string();
        let there = ground.ssh_config(Kex::Default).display().to_string();
        fs::write(
            ground.inventory(Kex::Default),
            inventory.replace(&here, &there),
        )?;
        let tasks = ground.folder.path().join("tasks");
        fs::create_dir(&tasks)?;
        for (name, steps) in [("one", 1), ("five", 5)] {
            let steps = "  - run: [\"true\"]\n".repeat(steps);
            let text = format!("task: {name}\nkind: read\nsteps:\n{steps}");
            fs::write(tasks.join(format!("{name}.yml")), text)?;
        }
        Ok(ground)
    }

    /// How many hosts there are.
    pub(crate) fn count(&self) -> usize {
        self.fleet.hosts().len()
    }

    /// The first hosts' names.
    pub(crate) fn first(&self, count: usize) -> Vec<&str> {
        self.fleet
            .hosts()
            .iter()
            .take(count)
            .map(lab::Host::name)
            .collect()
    }

    /// All names, one a line.
    pub(crate) fn names(&self) -> String {
        self.first(usize::MAX).join("\n")
    }

    /// fab-rs over all hosts, with these words.
    pub(crate) fn fab(&self, kex: Kex, words: &[&str]) -> Command {
        let mut command = self.fab_with(&self.inventory(kex));
        command.args(words);
        command
    }

    /// fab-rs with an inventory, its output thrown away.
    pub(crate) fn fab_with(&self, inventory: &Path) -> Command {
        let mut command = Command::new(&self.binary);
        let state = self.folder.path().join("state");
        command
            .arg("-I")
            .arg(inventory)
            .env("FAB_RS_STATE_DIR", state)
            .current_dir(self.folder.path());
        quiet(command)
    }

    /// `ssh HOST true` for each name on stdin, 32 at a time.
    pub(crate) fn ssh_loop(&self, kex: Kex) -> Command {
        let config = self.ssh_config(kex);
        let ssh: [&OsStr; 5] = [
            "ssh".as_ref(),
            "-F".as_ref(),
            config.as_ref(),
            "{}".as_ref(),
            "true".as_ref(),
        ];
        let mut command = Command::new("xargs");
        command.args(["-P", "32", "-I{}"]).args(ssh);
        quiet(command)
    }

    /// The program's output on each name on stdin, 20 at a time, each line with the host's name before.
    pub(crate) fn ssh_sed(&self, program: &str) -> Command {
        let config = self.ssh_config(Kex::Curve25519);
        let line = format!(
            "ssh -F '{}' {{}} \"{program}\" | sed 's/^/{{}} | /'",
            config.display()
        );
        let mut command = Command::new("xargs");
        command.args(["-P", "20", "-I{}", "sh", "-c", &line]);
        quiet(command)
    }

    /// Runs a command with its output in a file, and sees that two million lines arrived.
    pub(crate) fn counted(&self, mut command: Command, stdin: Option<&str>) -> Result<Usage> {
        let path = self.folder.path().join("output");
        command.stdout(File::create(&path)?);
        let usage = usage::run(command, stdin)?;
        let lines = BufReader::new(File::open(&path)?).split(b'\n').count();
        fs::remove_file(&path)?;
        ensure!(
            lines == 2_000_000,
            "{lines} lines arrived instead of 2,000,000"
        );
        Ok(usage)
    }

    /// An inventory of hosts that are nowhere.
    pub(crate) fn paper_inventory(&self, count: usize) -> Result<PathBuf> {
        use std::fmt::Write as _;
        let mut text = String::from("version: 1\nsources:\n  - hosts:\n");
        for index in 0..count {
            let zone = ["a", "b", "c"][index % 3];
            writeln!(
                text,
                "      - {{name: app-{index:04}, address: 10.0.{}.{}, zone: us-west-2{zone}, tags: {{role: app, env: prod}}}}",
                index / 250,
                index % 250 + 1
            )?;
        }
        let path = self.folder.path().join(format!("paper-{count}.yml"));
        fs::write(&path, text)?;
        Ok(path)
    }

    fn ssh_config(&self, kex: Kex) -> PathBuf {
        match kex {
            Kex::Curve25519 => self.fleet.ssh_config(),
            Kex::Default => self.folder.path().join("ssh_config"),
        }
    }

    fn inventory(&self, kex: Kex) -> PathBuf {
        match kex {
            Kex::Curve25519 => self.fleet.inventory(),
            Kex::Default => self.folder.path().join("inventory.yml"),
        }
    }
}

fn quiet(mut command: Command) -> Command {
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}
