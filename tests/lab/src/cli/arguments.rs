//! The command line: parsed into one value, and its help.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use lab::{ALL_FAULTS, Fault};
use lexopt::prelude::{Long, Short, Value, ValueExt as _};

/// What was asked for.
#[derive(Debug)]
pub(crate) enum Command {
    /// Print the help.
    Help,
    /// Start a fleet that stays.
    Up(Up),
    /// End a fleet, or all of them.
    Down { name: Option<String> },
    /// What is up.
    Status { json: bool },
    /// Show the product at work.
    Demo { keep: bool, ec2: bool },
    /// All checks of the project.
    Test { no_aws: bool },
    /// The benchmarks; the rest of the line is theirs.
    Bench(Vec<std::ffi::OsString>),
}

/// What hosts are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tier {
    /// Namespaces on loopback.
    Light,
    /// Machines with a real systemd.
    Full,
}

/// A fleet to start.
#[derive(Debug)]
pub(crate) struct Up {
    pub(crate) name: String,
    pub(crate) tier: Tier,
    pub(crate) hosts: usize,
    pub(crate) zones: usize,
    pub(crate) role: String,
    pub(crate) java: bool,
    pub(crate) ec2: bool,
    pub(crate) bastion: bool,
    pub(crate) fleet: Option<PathBuf>,
    pub(crate) faults: Vec<(String, Fault)>,
}

impl Default for Up {
    fn default() -> Self {
        Self {
            name: "lab".to_owned(),
            tier: Tier::Light,
            hosts: 6,
            zones: 3,
            role: "app".to_owned(),
            java: false,
            ec2: false,
            bastion: false,
            fleet: None,
            faults: Vec::new(),
        }
    }
}

/// The help text.
pub(crate) fn help() -> String {
    let faults: Vec<_> = ALL_FAULTS.iter().map(ToString::to_string).collect();
    format!(
        "\
cargo lab COMMAND: real SSH hosts on this machine (docs/lab.md)

  up      start a fleet that stays
          --name N          its name (default: lab)
          --tier light      full: machines with a real systemd and HAProxy before `api`, as root
          --hosts 6         how many hosts
          --zones 3         over how many zones of us-west-2
          --role app        their tag `role`, and the beginning of their names
          --java            a JVM on each
          --bastion         a bastion and two hosts that only it can reach
          --ec2             a moto server that knows the hosts as EC2 instances
          --fault HOST=F    what is wrong with a host; may be given again
          --fleet FILE      a fleet described in JSON instead (takes --name and --fault too)
  down    end it (--name N; without: all of them)
  status  what is up, and which hosts are dead (--json)
  demo    build fab-rs, start six hosts with a JVM each, dump their heaps, take all down
          --keep            leave it up and say how to talk to it
          --ec2             find the hosts through the EC2 API (builds the AWS SDK: minutes, about 8 GB)
  test    all checks of the project, one after the other; the AWS SDK takes minutes and about 8 GB
          --no-aws          leave out what needs it
  bench   a release build, then what fab-rs costs beside ssh (docs/performance.md); takes its words

faults (with a sample of the number that some take): {}
",
        faults.join(" ")
    )
}

/// Reads the command line.
pub(crate) fn parse() -> Result<Command> {
    let mut parser = lexopt::Parser::from_env();
    let Some(first) = parser.next()? else {
        return Ok(Command::Help);
    };
    let word = match first {
        Value(word) => word.string()?,
        Long("help") | Short('h') => return Ok(Command::Help),
        other => return Err(other.unexpected().into()),
    };
    match word.as_str() {
        "up" => up(&mut parser),
        "down" => {
            let mut name = None;
            while let Some(argument) = parser.next()? {
                match argument {
                    Long("name") => name = Some(parser.value()?.string()?),
                    other => return Err(other.unexpected().into()),
                }
            }
            Ok(Command::Down { name })
        }
        "status" => {
            let [json] = flags(&mut parser, ["json"])?;
            Ok(Command::Status { json })
        }
        "demo" => {
            let [keep, ec2] = flags(&mut parser, ["keep", "ec2"])?;
            Ok(Command::Demo { keep, ec2 })
        }
        "test" => {
            let [no_aws] = flags(&mut parser, ["no-aws"])?;
            Ok(Command::Test { no_aws })
        }
        "bench" => Ok(Command::Bench(parser.raw_args()?.collect())),
        "help" => Ok(Command::Help),
        other => bail!(
            "no command `{other}`: there are up, down, status, demo, test, bench; `cargo lab help` explains"
        ),
    }
}

/// Flags without a value, in any order.
fn flags<const N: usize>(parser: &mut lexopt::Parser, names: [&str; N]) -> Result<[bool; N]> {
    let mut found = [false; N];
    while let Some(argument) = parser.next()? {
        let place = match argument {
            Long(name) => names.iter().position(|known| *known == name),
            _ => None,
        };
        match place {
            Some(place) => found[place] = true,
            None => return Err(argument.unexpected().into()),
        }
    }
    Ok(found)
}

fn up(parser: &mut lexopt::Parser) -> Result<Command> {
    let mut up = Up::default();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("name") => up.name = parser.value()?.string()?,
            Long("tier") => up.tier = tier(&parser.value()?.string()?)?,
            Long("hosts") => up.hosts = parser.value()?.parse().context("--hosts")?,
            Long("zones") => up.zones = parser.value()?.parse().context("--zones")?,
            Long("role") => up.role = parser.value()?.string()?,
            Long("java") => up.java = true,
            Long("ec2") => up.ec2 = true,
            Long("bastion") => up.bastion = true,
            Long("fleet") => up.fleet = Some(parser.value()?.into()),
            Long("fault") => up.faults.push(fault(&parser.value()?.string()?)?),
            other => return Err(other.unexpected().into()),
        }
    }
    if up.tier == Tier::Full && (up.ec2 || up.bastion) {
        bail!("the full tier has no --ec2 and no --bastion");
    }
    if !(1..=26).contains(&up.zones) {
        bail!("--zones takes 1 to 26");
    }
    Ok(Command::Up(up))
}

fn tier(name: &str) -> Result<Tier> {
    match name {
        "light" => Ok(Tier::Light),
        "full" => Ok(Tier::Full),
        _ => bail!("--tier takes light or full"),
    }
}

fn fault(text: &str) -> Result<(String, Fault)> {
    let (host, fault) = text.split_once('=').context("--fault takes HOST=FAULT")?;
    Ok((host.to_owned(), fault.parse().map_err(anyhow::Error::msg)?))
}
