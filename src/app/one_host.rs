//! `ssh HOST` and what it shares with `doctor`: one host by its name, with its connection settings.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::Context as _;

use crate::cli::SshArgs;
use crate::model::{Diagnostic, ExitStatus, Host};
use crate::transport::{SshTransport, TransportSettings};

use super::entry::Context;
use super::environment;
use super::failure::Failure;
use super::fleet::{self, Typed};

/// Finds the one host of this name, label, address or id.
///
/// # Errors
/// None, or several.
pub(super) async fn find(context: &Context, name: &str) -> Result<Host, Failure> {
    let mut settings = context.settings.clone();
    let is_selector = name.contains(['=', '~']);
    let words = if is_selector {
        vec![name.to_owned()]
    } else {
        settings.selection.hosts = vec![name.to_owned()];
        Vec::new()
    };
    let typed = Typed::new(&settings, &words)?;
    let fleet = fleet::load(&settings, typed, &[], false).await?;
    fleet
        .inventory
        .notes
        .iter()
        .for_each(|note| context.console.remark(note));
    let mut selected = fleet.select(&settings, Vec::new())?;
    if selected.population.len() > 1 {
        let labels: Vec<&str> = selected
            .population
            .iter()
            .map(|host| host.label.as_str())
            .collect();
        let count = labels.len();
        if is_selector {
            let error = Diagnostic::new(format!(
                "`{name}` matches {count} hosts, one host is wanted"
            ));
            let first = labels[0];
            return Err(error
                .hint(format!(
                    "name one, such as `{first}`: `fab-rs hosts {name}` lists them"
                ))
                .hint(format!(
                    "a command on all of them is `fab-rs run {name} -- COMMAND`"
                ))
                .into());
        }
        let error = Diagnostic::new(format!("`{name}` names {count} hosts"));
        return Err(error
            .hint(format!(
                "one of them is meant by its label: {}",
                labels.join(", ")
            ))
            .into());
    }
    selected
        .population
        .pop()
        .ok_or_else(|| Failure::no_host([Diagnostic::new(format!("no host `{name}`"))]))
}

/// The transport with this invocation's settings.
///
/// # Errors
/// There is no safe place for control sockets.
pub(super) fn transport(context: &Context) -> Result<SshTransport, Failure> {
    let settings = &context.settings;
    Ok(SshTransport::new(TransportSettings {
        connect: settings.limits.connect,
        login: settings.limits.login,
        transfer_stall: settings.limits.transfer_stall,
        known_hosts: settings.state_dir.join("known_hosts"),
        socket_dir: environment::socket_dir()?,
        sudo_password: None,
    }))
}

/// Becomes `ssh` to the host.
///
/// # Errors
/// The host is not found, or there is no `ssh`.
pub(super) async fn ssh(context: &Context, args: SshArgs) -> Result<ExitStatus, Failure> {
    let host = find(context, &args.host).await?;
    std::fs::create_dir_all(&context.settings.state_dir).context("cannot make the state folder")?;
    let words = transport(context)?.interactive_args(&host).await;
    let mut command = Command::new(&words[0]);
    if context.settings.forward_agent {
        command.arg("-A");
    }
    command.args(&words[1..]);
    match args.command.as_slice() {
        [] => {}
        // As for `run`: one word is a line for the host's shell, several are an argv.
        [line] => _ = command.arg(line),
        words => {
            let quoted = shlex::try_join(words.iter().map(String::as_str));
            command.arg(quoted.context("a command holds no NUL")?);
        }
    }
    let error = command.exec();
    Err(anyhow::Error::new(error)
        .context("cannot start `ssh`")
        .into())
}
