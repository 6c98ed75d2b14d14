//! Flags that people bring from Fabric and its relatives, and what they are called here.

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::{Cli, Command};

/// Flags that do not exist here, and what to type instead.
const ELSEWHERE: [(&str, &str); 11] = [
    (
        "-p",
        "there is no password on a command line: use keys or an agent, and `--ask-sudo` for sudo",
    ),
    ("-g", "a gateway is a bastion here: use `-J HOST`"),
    (
        "-a",
        "to leave the agent out, use `ssh: {options: {IdentityAgent: none}}` in the inventory",
    ),
    (
        "-c",
        "settings live in `fab-rs.yml` and `~/.config/fab-rs/config.yml`",
    ),
    ("-e", "variables are params here: `name=value`"),
    (
        "-F",
        "an ssh configuration is named by `ssh: {config: FILE}` in the inventory",
    ),
    (
        "-r",
        "unknown host keys are refused by `ssh: {host_keys: strict}` in the inventory",
    ),
    ("-s", "a step names its shell: `shell: bash`"),
    ("-X", "hosts are left out by `-x TERM`"),
    (
        "-o",
        "ssh options live in the inventory: `ssh: {options: {KEY: VALUE}}`",
    ),
    (
        "--port",
        "a port belongs to the host: `-H user@host:port`, or `ssh: {port: N}` in the inventory",
    ),
];

/// A flag that parsed but surely means something else; the sentence to refuse it with.
pub(super) fn wrong_tool(cli: &Cli) -> Option<String> {
    if cli.connection.disable_known_hosts {
        return Some(
            "`-D` would connect to whatever answers, and is not taken; new hosts are accepted once and remembered by \
             `ssh: {host_keys: accept-new}` in the inventory, a changed key is removed with `ssh-keygen -R HOST`"
                .to_owned(),
        );
    }
    if cli.connection.forward_agent && !matches!(cli.command, Command::Ssh(_)) {
        return Some("`-A` works for `fab-rs ssh` alone: to pass a bastion, use -J HOST, which lends it no agent".to_owned());
    }
    if cli.output.json && matches!(cli.command, Command::Ssh(_)) {
        return Some(
            "`--json` has nothing to say of a shell: `fab-rs run -H HOST --json -- COMMAND` prints events"
                .to_owned(),
        );
    }
    if cli.run.sudo && matches!(cli.command, Command::Task(_) | Command::Plan(_)) {
        return Some(
            "`--sudo` works for `run`, `put` and `get` alone: a task says which of its steps use sudo"
                .to_owned(),
        );
    }
    if let Command::Plan(plan) = &cli.command
        && let "run" | "put" | "get" = plan.name.as_str()
    {
        let selectors = plan.words.iter().filter(|word| word.contains(['=', '~']));
        let words: Vec<&str> = selectors.map(String::as_str).collect();
        let tail = if plan.name == "run" {
            "COMMAND"
        } else {
            "PATH…"
        };
        return Some(format!(
            "`plan` is for tasks: what `{0}` would do is shown by `fab-rs {0} -n {1} -- {tail}`",
            plan.name,
            words.join(" ")
        ));
    }
    // Where the flag's supposed value stands first, it was taken for a task's name.
    let (name, words) = match &cli.command {
        Command::Task(task) => (Some(&task.name), &task.words),
        Command::Run(run) => (None, &run.words),
        Command::Plan(plan) => (None, &plan.words),
        _ => return None,
    };
    let mut words = name.into_iter().chain(words);
    let number = words.clone().find(|word| word.parse::<u32>().is_ok());
    if let (true, Some(number)) = (cli.run.dry_run, number) {
        return Some(format!(
            "`-n` is a dry run and takes no number: did you mean `--attempts {number}`?"
        ));
    }
    let list =
        words.find(|word| !word.contains(['=', '~']) && (word.contains(',') || word.contains('@')));
    if let (true, Some(list)) = (cli.run.warn_only, list) {
        return Some(format!(
            "`-w` is warn-only and takes no hosts: did you mean `-H {list}`?"
        ));
    }
    None
}

/// Adds what the flag is called here to clap's error about an unknown one, and shows how `task` is used, where one
/// was typed: the subcommand that carries it is ours alone.
pub(super) fn with_hint(mut error: clap::Error, task: Option<&str>) -> clap::Error {
    if let Some(task) = task
        && error.get(ContextKind::Usage).is_some()
    {
        let usage = format!(
            "Usage: fab-rs [FLAGS] {task} [SELECTOR|name=value]…\n       fab-rs show {task}   tells its params"
        );
        error.insert(ContextKind::Usage, ContextValue::StyledStr(usage.into()));
    }
    if error.kind() == ErrorKind::UnknownArgument
        && let Some(ContextValue::String(flag)) = error.get(ContextKind::InvalidArg)
        && let Some((_, hint)) = ELSEWHERE.iter().find(|(known, _)| known == flag)
    {
        let hint = clap::builder::StyledStr::from(*hint);
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![hint]));
    }
    error
}
