//! What was typed and configured, as the types that the rest uses. After this no string is parsed and no 0 means
//! "unlimited".

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use crate::cli::{
    Bound, Cli, ColorChoice, ConnectionFlags, OutputFlags, RunFlags, SelectionFlags, Yes,
};
use crate::inventory::{AwsNames, SshContext, SshKeys};
use crate::model::{Diagnostic, HostKeys, Kex, Limits, check_jump, check_login, parse_duration};

use super::config::{Config, Value};
use super::environment::Environment;

/// Everything that holds for the whole invocation.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// The process's surroundings.
    pub(crate) environment: Environment,
    /// Where each value came from.
    pub(crate) config: Config,
    /// `STATE`.
    pub(crate) state_dir: PathBuf,
    /// Inventory file or name.
    pub(crate) inventory: Option<String>,
    /// Which hosts were named by flags.
    pub(crate) selection: SelectionFlags,
    /// How a run goes, as typed.
    pub(crate) run: RunFlags,
    /// How output looks, as typed.
    pub(crate) output: OutputFlags,
    /// Time limits.
    pub(crate) limits: Limits,
    /// Connections tried for a host.
    pub(crate) attempts: u32,
    /// Hosts at work at the same time, where typed or configured by somebody.
    pub(crate) fanout: Option<NonZeroUsize>,
    /// Colours wanted.
    pub(crate) color: ColorChoice,
    /// Where downloads go; `None` means the run's `files/`.
    pub(crate) outdir: Option<PathBuf>,
    /// Connection settings above and below the inventory's.
    pub(crate) ssh: SshContext,
    /// Whether the sudo password is asked for.
    pub(crate) ask_sudo: bool,
    /// Whether `fab-rs ssh` forwards the agent.
    pub(crate) forward_agent: bool,
    /// AWS regions and profile for sources that name none.
    pub(crate) aws_defaults: AwsNames,
}

/// How many hosts are worked on at once where nobody says.
const FANOUT: usize = 32;

impl Settings {
    /// Joins environment, configuration and flags.
    ///
    /// # Errors
    /// Every configured value that cannot be read.
    pub(crate) fn new(environment: Environment, cli: &Cli) -> Result<Self, Vec<Diagnostic>> {
        let config = Config::read(&environment)?;
        let mut reader = Reader {
            config: &config,
            errors: Vec::new(),
        };
        let limits = limits(&mut reader, &cli.connection, &cli.run);
        let ssh_defaults = reader.ssh();
        let attempts = cli
            .connection
            .attempts
            .or_else(|| reader.parsed("attempts", "a number"))
            .unwrap_or(3);
        let configured_fanout = reader
            .somebodys("fanout")
            .and_then(|value| reader.parse(value, "a number, 1 or more"));
        let color = cli
            .output
            .color
            .or_else(|| reader.color())
            .unwrap_or(ColorChoice::Auto);
        let state_dir = reader
            .path("state_dir")
            .unwrap_or_else(|| environment.state_dir.clone());
        let settings = Self {
            state_dir: environment.cwd.join(state_dir),
            inventory: cli
                .selection
                .inventory
                .clone()
                .or_else(|| reader.text("inventory")),
            selection: cli.selection.clone(),
            run: cli.run.clone(),
            output: cli.output.clone(),
            limits,
            attempts,
            fanout: cli.run.fanout.or(configured_fanout),
            color,
            outdir: cli.output.outdir.clone().or_else(|| reader.path("outdir")),
            ssh: SshContext {
                flags: ssh_flags(&cli.connection),
                defaults: ssh_defaults,
            },
            ask_sudo: cli.connection.ask_sudo,
            forward_agent: cli.connection.forward_agent,
            aws_defaults: AwsNames {
                regions: reader.text("aws.region").into_iter().collect(),
                profile: reader.text("aws.profile"),
            },
            config: config.clone(),
            environment,
        };
        if reader.errors.is_empty() {
            Ok(settings)
        } else {
            Err(reader.errors)
        }
    }

    /// Folders that hold named inventories, the project's first.
    pub(crate) fn inventory_folders(&self) -> Vec<PathBuf> {
        vec![
            self.project_folder().join("inventories"),
            self.environment.config_dir.join("inventories"),
        ]
    }

    /// The project: the folder of `fab-rs.yml`, else the working directory.
    pub(crate) fn project_folder(&self) -> PathBuf {
        let file = super::config::project_file(&self.environment.cwd);
        let folder = file
            .as_deref()
            .and_then(std::path::Path::parent)
            .map(std::path::Path::to_owned);
        folder.unwrap_or_else(|| self.environment.cwd.clone())
    }

    /// How many hosts are worked on at once, where the task says `task_fanout`.
    pub(crate) fn fanout(&self, task_fanout: Option<u32>) -> NonZeroUsize {
        let of_task = task_fanout.and_then(|fanout| NonZeroUsize::new(fanout as usize));
        self.fanout
            .or(of_task)
            .unwrap_or(NonZeroUsize::new(FANOUT).expect("32 is not 0"))
    }

    /// Whether there is a person to ask: stdin and stderr both are a terminal, and stdin is not taken by hosts
    /// or a script.
    pub(crate) fn has_terminal(&self, stdin_taken: bool) -> bool {
        self.environment.stdin_terminal
            && self.environment.stderr_terminal
            && !stdin_taken
            && !self.hosts_on_stdin()
    }

    /// Whether stdin names the hosts (`-H -`).
    pub(crate) fn hosts_on_stdin(&self) -> bool {
        self.selection.hosts.iter().any(|host| host == "-")
    }

    /// Whether `--yes` answers the start gate.
    pub(crate) fn says_yes(&self) -> bool {
        self.run.yes.is_some()
    }

    /// Whether `--yes=all` answers every question.
    pub(crate) fn says_yes_to_all(&self) -> bool {
        self.run.yes == Some(Yes::All)
    }
}

fn ssh_flags(typed: &ConnectionFlags) -> SshKeys {
    SshKeys {
        user: typed.user.clone(),
        identity: typed.identity.clone(),
        jump: typed.jump.clone(),
        ..SshKeys::default()
    }
}

fn limits(reader: &mut Reader<'_>, connection: &ConnectionFlags, run: &RunFlags) -> Limits {
    let built_in = Limits::default();
    let connect = reader.limit("limits.connect", built_in.connect);
    Limits {
        connect: connection.connect_timeout.unwrap_or(connect),
        login: reader.limit("limits.login", built_in.login),
        command: bounded(run.command_timeout, "limits.command", reader),
        silence: bounded(run.silence, "limits.silence", reader),
        transfer_stall: reader.limit("limits.transfer_stall", built_in.transfer_stall),
        run: bounded(run.run_limit, "limits.run", reader),
    }
}

/// The flag's word, else the configuration's.
fn bounded(typed: Option<Bound>, key: &str, reader: &mut Reader<'_>) -> Option<Duration> {
    match typed {
        Some(bound) => bound.limit(),
        None => reader.limit_or_none(key),
    }
}

/// Reads configured texts as types, collecting what cannot be read.
struct Reader<'a> {
    config: &'a Config,
    errors: Vec<Diagnostic>,
}

impl<'a> Reader<'a> {
    fn text(&self, key: &str) -> Option<String> {
        self.config.get(key).map(|value| value.text.clone())
    }

    fn path(&self, key: &str) -> Option<PathBuf> {
        self.text(key).map(|text| expand_home(&text))
    }

    /// A value that somebody wrote, not the built-in one.
    fn somebodys(&self, key: &str) -> Option<&'a Value> {
        self.config
            .get(key)
            .filter(|value| value.origin != super::config::Origin::BuiltIn)
    }

    fn parsed<T: FromStr>(&mut self, key: &str, wanted: &str) -> Option<T> {
        let value = self.config.get(key)?;
        self.parse(value, wanted)
    }

    fn parse<T: FromStr>(&mut self, value: &Value, wanted: &str) -> Option<T> {
        let parsed = value.text.parse().ok();
        if parsed.is_none() {
            self.refuse(value, wanted);
        }
        parsed
    }

    /// A text that ssh will be given.
    fn checked(
        &mut self,
        key: &str,
        check: impl Fn(&str) -> Result<(), &'static str>,
    ) -> Option<String> {
        let value = self.config.get(key)?;
        if let Err(wrong) = check(&value.text) {
            self.error(value, &format!("{key}: `{}` {wrong}", value.text));
            return None;
        }
        Some(value.text.clone())
    }

    fn refuse(&mut self, value: &Value, wanted: &str) {
        self.error(value, &format!("`{}` is not {wanted}", value.text));
    }

    fn error(&mut self, value: &Value, message: &str) {
        let error = Diagnostic::new(message);
        self.errors.push(match &value.origin {
            super::config::Origin::File(span) => error.at(span),
            origin => error.hint(format!("it comes from {origin}")),
        });
    }

    /// A limit that there always is.
    fn limit(&mut self, key: &str, built_in: Duration) -> Duration {
        let Some(value) = self.config.get(key) else {
            return built_in;
        };
        limit_of(value).unwrap_or_else(|| {
            self.refuse(value, "a duration such as `10s`");
            built_in
        })
    }

    /// A limit, or `none`.
    fn limit_or_none(&mut self, key: &str) -> Option<Duration> {
        let value = self.config.get(key).filter(|value| value.text != "none")?;
        let limit = limit_of(value);
        if limit.is_none() {
            self.refuse(value, "a duration such as `10s`, nor `none`");
        }
        limit
    }

    fn color(&mut self) -> Option<ColorChoice> {
        let value = self.config.get("color")?;
        match value.text.as_str() {
            "auto" => Some(ColorChoice::Auto),
            "always" => Some(ColorChoice::Always),
            "never" => Some(ColorChoice::Never),
            _ => {
                self.refuse(value, "`auto`, `always` or `never`");
                None
            }
        }
    }

    fn ssh(&mut self) -> SshKeys {
        let host_keys =
            self.config
                .get("ssh.host_keys")
                .and_then(|value| match value.text.as_str() {
                    "ssh" => Some(HostKeys::Ssh),
                    "strict" => Some(HostKeys::Strict),
                    "accept-new" => Some(HostKeys::AcceptNew),
                    _ => {
                        self.refuse(value, "`ssh`, `strict` or `accept-new`");
                        None
                    }
                });
        let kex = self
            .config
            .get("ssh.kex")
            .and_then(|value| match value.text.as_str() {
                "default" => Some(Kex::Default),
                "fast" => Some(Kex::Fast),
                _ => {
                    self.refuse(value, "`default` or `fast`");
                    None
                }
            });
        SshKeys {
            user: self.checked("ssh.user", check_login),
            port: self.parsed("ssh.port", "a port"),
            identity: self.path("ssh.identity"),
            jump: self.checked("ssh.jump", check_jump),
            host_keys,
            kex,
            config: self.path("ssh.config"),
            options: self
                .config
                .ssh_options()
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect(),
        }
    }
}

/// A limit; 0 is none, as it would end everything at once.
fn limit_of(value: &Value) -> Option<Duration> {
    let limit = parse_duration(&value.text).ok();
    limit.filter(|limit| !limit.is_zero())
}

/// `~/…` from the home folder.
fn expand_home(text: &str) -> PathBuf {
    match (text.strip_prefix("~/"), etcetera::home_dir()) {
        (Some(rest), Ok(home)) => home.join(rest),
        _ => PathBuf::from(text),
    }
}
