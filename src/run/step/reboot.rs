//! `reboot`: proved by another boot id, since an open port proves nothing.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::model::format_duration;
use crate::run::shared::World;
use crate::run::work::Work;
use crate::task::Step;
use crate::transport::{Program, RemoteCommand};

use super::attempt::Running;
use super::end::End;
use super::own_command::Due;
use super::remote_file::last_words;

/// The limit where the step sets none.
const LONGEST: Duration = Duration::from_mins(10);
/// How long the host may take to say what it makes of being told to reboot.
const SENDING: Duration = Duration::from_secs(30);
/// How long one look at the boot id may take on a host that is connected to.
const LOOKING: Duration = Duration::from_secs(10);
/// Between two tries.
const PAUSE: Duration = Duration::from_secs(2);

/// Reboots by whatever manages the host.
const REBOOT: &str = "if [ -d /run/systemd/system ] && command -v systemctl >/dev/null 2>&1
then exec systemctl reboot
else exec shutdown -r now
fi";

impl<W: World> Work<W> {
    /// Boots the host anew and waits until it answers with another boot id.
    pub(crate) async fn reboot(&mut self, step: &Step, running: &Running) -> End {
        let limit = running.own_limit.unwrap_or(LONGEST);
        let due = (Instant::now() + limit, limit);
        let before = match self.boot_id(due).await {
            Ok(id) => id,
            Err(end) => return end,
        };
        if let Err(end) = self.told_to_reboot(step, due).await {
            return end;
        }
        self.teller
            .hint(&format!("told to reboot; the boot id was {before}"));
        let mut went_down = false;
        let mut last = String::new();
        while Instant::now() < due.0 {
            let pause = PAUSE.min(due.0 - Instant::now());
            if !self.slept(pause).await {
                return End::Cancelled { ended: false };
            }
            match timeout_at(due.0, self.boot_id(due)).await {
                Ok(Ok(id)) if id != before => return End::changed(true),
                Ok(Ok(_same)) => {}
                Ok(Err(End::Cancelled { .. })) => return End::Cancelled { ended: false },
                Ok(Err(end @ End::Broken { .. })) => return end,
                Ok(Err(end)) => {
                    went_down = true;
                    last = end.cause();
                    self.disconnect().await;
                }
                Err(_late) => went_down = true,
            }
        }
        let limit = format_duration(limit);
        End::failed(if !went_down {
            format!("it never went down: the boot id was the same for {limit}")
        } else if last.is_empty() {
            format!("it did not come back within {limit}")
        } else {
            format!("it did not come back within {limit}; the last try: {last}")
        })
    }

    /// The id of the host's present boot.
    async fn boot_id(&mut self, due: Due) -> Result<String, End> {
        let words = ["cat", "/proc/sys/kernel/random/boot_id"];
        let command = RemoteCommand::new(Program::Argv(words.map(str::to_owned).to_vec()));
        self.connected().await?;
        let soon = (due.0.min(Instant::now() + LOOKING), LOOKING);
        let (code, said) = self.asked(&command, Some(soon)).await?;
        let id = String::from_utf8_lossy(&said.stdout).trim().to_owned();
        if code == 0 && !id.is_empty() {
            Ok(id)
        } else {
            let why = last_words(&said.stderr);
            Err(End::failed(format!("its boot id cannot be read: {why}")))
        }
    }

    /// Tells the host to reboot. The connection may die under that.
    async fn told_to_reboot(&mut self, step: &Step, due: Due) -> Result<(), End> {
        let words = ["sh", "-c", REBOOT].map(str::to_owned);
        let mut command = RemoteCommand::new(Program::Argv(words.to_vec()));
        command.sudo = self.sudo(step).map_err(End::failed)?;
        let soon = (due.0.min(Instant::now() + SENDING), SENDING);
        match self.asked(&command, Some(soon)).await {
            // A host that goes down ends everything by signals, this command among it.
            Ok((0 | 129..=255, _)) | Err(End::Lost | End::TimedOut { .. }) => Ok(()),
            Ok((code, said)) => Err(End::Failed {
                exit_code: Some(code),
                cause: format!("it does not reboot: {}", last_words(&said.stderr)),
            }),
            Err(end) => Err(end),
        }
    }
}
