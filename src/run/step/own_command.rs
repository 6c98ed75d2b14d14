//! Commands that fab-rs runs for itself: their output is read here and told to nobody.

use std::time::Duration;

use tokio::time::Instant;

use crate::run::shared::World;
use crate::run::work::Work;
use crate::transport::{Controller as _, Exit, Program, RemoteCommand, Session as _, Sudo};

use super::bounded::{Bounds, Executed, execute};
use super::command::{Ground, SENDINGS, never_started};
use super::end::End;
use super::output::{Activity, KeptOutput};
use super::remote_file::{RemoteFile, look};
use super::transfer::refused;

/// When a step's limit passes, and the limit.
pub(crate) type Due = (Instant, Duration);

impl<W: World> Work<W> {
    /// Runs a command of fab-rs itself on the host; its output is kept, not told. The connection is made
    /// again where it died before the command was sent.
    pub(crate) async fn asked(
        &mut self,
        command: &RemoteCommand,
        limit: Option<Due>,
    ) -> Result<(u8, KeptOutput), End> {
        let mut sendings = 0;
        loop {
            sendings += 1;
            self.connected().await?;
            let activity = Activity::new();
            let stop = self.kill.clone();
            let own = stop.child_token();
            let bounds = Bounds {
                limit,
                silence: None,
                activity: &activity,
                grace: command.grace,
                stop: &stop,
                own: &own,
            };
            let mut output = KeptOutput::default();
            let executed = match &self.session {
                Some(session) => {
                    self.touched = true;
                    execute(session.exec(command, &mut output, &own), &bounds).await
                }
                None => Executed::never_sent(),
            };
            if never_started(&executed) && sendings < SENDINGS {
                self.disconnect().await;
                continue;
            }
            let executed = self.verified(Ground::Host, &command.sudo, executed).await;
            return self.code(&executed).map(|code| (code, output));
        }
    }

    /// The same on the controller.
    pub(crate) async fn asked_here(
        &mut self,
        command: &RemoteCommand,
        limit: Due,
    ) -> Result<(u8, KeptOutput), End> {
        let activity = Activity::new();
        let stop = self.kill.clone();
        let own = stop.child_token();
        let bounds = Bounds {
            limit: Some(limit),
            silence: None,
            activity: &activity,
            grace: command.grace,
            stop: &stop,
            own: &own,
        };
        let mut output = KeptOutput::default();
        let exec = self.shared.local.exec(command, &mut output, &own);
        let executed = execute(exec, &bounds).await;
        let executed = self
            .verified(Ground::Controller, &command.sudo, executed)
            .await;
        self.code(&executed).map(|code| (code, output))
    }

    /// The exit code of a command that ended by itself; how the step ends otherwise.
    fn code(&mut self, executed: &Executed) -> Result<u8, End> {
        match (
            &executed.cut,
            executed.report.as_ref().map(|report| report.exit),
        ) {
            (None, Some(Exit::Code(code))) if executed.refusal().is_none() => Ok(code),
            _ => Err(self.end(executed, &[0])),
        }
    }

    /// Looks at a remote path.
    pub(crate) async fn look_at(
        &mut self,
        path: &str,
        digest: bool,
        sudo: &Sudo,
        limit: Option<Due>,
    ) -> Result<RemoteFile, End> {
        let command = own_command(look(path, digest), sudo);
        let (code, said) = self.asked(&command, limit).await?;
        match RemoteFile::parse(&said.stdout) {
            Some(file) if code == 0 => Ok(file),
            _ => Err(refused(&format!("cannot look at `{path}`"), code, &said)),
        }
    }
}

/// A command of fab-rs itself.
pub(crate) fn own_command(program: Program, sudo: &Sudo) -> RemoteCommand {
    let mut command = RemoteCommand::new(program);
    command.sudo = sudo.clone();
    command
}
