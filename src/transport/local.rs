//! Commands on the controller (`local:` steps), under the same supervisor as those on hosts: a process
//! group of their own, ended when fab-rs dies. No connection, no transfers.

use std::future::pending;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};

use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;

use super::marker::Nonce;
use super::preamble::{compose, local_argv, sudo_user};
use super::supervise::{ChannelEnd, Streams, Supervised, drive};
use super::{ExecReport, Output, RemoteCommand};

/// The machine that fab-rs runs on.
#[derive(Debug, Clone, Copy, Default)]
pub struct Local;

impl Local {
    /// Runs a command here and hands its output on until it ends; as [`super::Session::exec`].
    pub async fn exec<O: Output>(
        &self,
        command: &RemoteCommand,
        output: &mut O,
        stop: &CancellationToken,
    ) -> ExecReport {
        let argv = local_argv(sudo_user(&command.sudo));
        let mut supervisor = Command::new(argv[0]);
        supervisor.args(&argv[1..]);
        exec_under(supervisor, command, output, stop).await
    }
}

/// Runs a command under this supervisor, which gets a process group of its own: the terminal's Ctrl-C must
/// not reach it.
pub(super) async fn exec_under<O: Output>(
    mut supervisor: Command,
    command: &RemoteCommand,
    output: &mut O,
    stop: &CancellationToken,
) -> ExecReport {
    let nonce = Nonce::random();
    let preamble = match compose(command, &nonce) {
        Ok(preamble) => preamble,
        Err(error) => return ExecReport::never_sent(&error),
    };
    let spawned = supervisor
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) => return ExecReport::never_sent(&error),
    };
    let (Some(stdin), Some(stdout), Some(stderr)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return ExecReport::never_sent(&"the supervisor has no streams");
    };
    let supervised = Supervised {
        preamble,
        nonce: &nonce,
        grace: command.grace,
        stop,
    };
    let streams = Streams {
        stdin,
        stdout,
        stderr,
    };
    let ending = drive(supervised, streams, ended(&mut child), pending(), output).await;
    ending.report(sudo_user(&command.sudo))
}

async fn ended(child: &mut Child) -> ChannelEnd {
    child.wait().await.map_or(ChannelEnd::Died, channel_end)
}

fn channel_end(status: ExitStatus) -> ChannelEnd {
    status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal))
        .and_then(|code| u8::try_from(code).ok())
        .map_or(ChannelEnd::Died, ChannelEnd::Code)
}
