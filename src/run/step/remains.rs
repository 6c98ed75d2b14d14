//! What a command that was ended left behind: its host is asked, so that "may still be running" is said where something
//! is left or nobody could be asked, and nowhere else.
//!
//! Not its job: ending the command, which the supervisor does (`crate::transport`).

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::run::shared::{SessionOf, World};
use crate::run::work::Work;
use crate::transport::{
    Attempts, Controller as _, ExecReport, Exit, Program, RemoteCommand, Session as _, Sudo, Trace,
    Transport as _,
};

use super::bounded::Executed;
use super::command::Ground;
use super::output::KeptOutput;
use super::own_command::own_command;

/// Looks for a session's members and for a mark.
const SCRIPT: &str = include_str!("remains.sh");

/// How long a host may take to say what is left, a new connection included.
const LIMIT: Duration = Duration::from_secs(6);

/// Processes that are named; the others are counted.
const NAMED: usize = 3;

impl<W: World> Work<W> {
    /// Asks where a command was ended what is left of it, and has the report say so.
    pub(crate) async fn verified(
        &mut self,
        ground: Ground,
        sudo: &Sudo,
        mut executed: Executed,
    ) -> Executed {
        let (Some(_), Some(report)) = (executed.cut, &mut executed.report) else {
            return executed;
        };
        let Some(trace) = report.trace.take() else {
            return executed;
        };
        let place = match ground {
            Ground::Host => "",
            Ground::Controller => " on this machine",
        };
        let asked = timeout(LIMIT, self.ask_what_is_left(ground, sudo, &trace)).await;
        let asked = asked.unwrap_or_else(|_| Err("no answer in time".to_owned()));
        report.group_ended = asked.as_ref().is_ok_and(Vec::is_empty);
        match asked {
            Ok(left) if left.is_empty() => {
                self.teller.hint("asked what is left of it: nothing");
            }
            Ok(left) => {
                let left = left.iter().map(|line| self.teller.mask.text(line));
                let left: Vec<String> = left.collect();
                let text = format!("it was ended, and left running{place}: {}", named(&left));
                self.teller.note(&text).await;
                if ground == Ground::Host {
                    self.left.extend(left);
                }
            }
            Err(cause) => {
                self.unheard = true;
                let text = format!("it could not be asked what is left of it: {cause}");
                self.teller.hint(&text);
            }
        }
        executed
    }

    async fn ask_what_is_left(
        &mut self,
        ground: Ground,
        sudo: &Sudo,
        trace: &Trace,
    ) -> Result<Vec<String>, String> {
        let words = [
            "sh",
            "-c",
            SCRIPT,
            "fab-rs",
            &trace.group.to_string(),
            &trace.mark,
        ];
        let words = words.map(str::to_owned).to_vec();
        let command = own_command(Program::Argv(words), sudo);
        if ground == Ground::Controller {
            let (stop, mut said) = (CancellationToken::new(), KeptOutput::default());
            let report = self.shared.local.exec(&command, &mut said, &stop).await;
            return answer(&report, &said);
        }
        if let Some(session) = self.session.clone()
            && session.alive().await
        {
            let (report, said) = ask(&*session, &command).await;
            if report.exit != Exit::Lost {
                return answer(&report, &said);
            }
        }
        let session = self.anew().await?;
        let (report, said) = ask(&*session, &command).await;
        answer(&report, &said)
    }

    /// Connects again, once, whatever the run was told to end.
    async fn anew(&mut self) -> Result<Arc<SessionOf<W>>, String> {
        let Some((index, host)) = self.ground() else {
            return Err("there is no host to ask".to_owned());
        };
        self.lose_session();
        let attempts = Attempts {
            most: 1,
            failed: &|_, _| {},
        };
        let stop = CancellationToken::new();
        let connected = self.shared.transport.connect(&host, attempts, &stop).await;
        let session = Arc::new(connected.map_err(|error| error.to_string())?);
        self.shared.pool.keep(index, &session);
        self.session = Some(Arc::clone(&session));
        Ok(session)
    }
}

async fn ask<S: crate::transport::Session>(
    session: &S,
    command: &RemoteCommand,
) -> (ExecReport, KeptOutput) {
    let (stop, mut said) = (CancellationToken::new(), KeptOutput::default());
    let report = session.exec(command, &mut said, &stop).await;
    (report, said)
}

/// The processes that are left, or why that is not known.
fn answer(report: &ExecReport, said: &KeptOutput) -> Result<Vec<String>, String> {
    let text = String::from_utf8_lossy(&said.stdout);
    let mut lines: Vec<String> = text.lines().map(|line| line.trim().to_owned()).collect();
    match (report.exit, lines.pop().as_deref()) {
        (Exit::Code(0), Some("end")) => Ok(lines),
        (Exit::Lost, _) => Err("the connection was lost".to_owned()),
        (Exit::Code(code), _) => Err(format!("the question ended with exit {code}")),
    }
}

fn named(left: &[String]) -> String {
    let named = left[..left.len().min(NAMED)].join(", ");
    match left.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}
