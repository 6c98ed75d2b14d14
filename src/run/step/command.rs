//! `run`, `script` and `local`: a command of the task, its output told as it comes.
//!
//! Also the way in which other actions run commands of their own on the host.

use std::path::{Path, PathBuf};

use crate::model::{UnreachableKind, format_duration};
use crate::run::shared::World;
use crate::run::work::{Unconnected, Work};
use crate::task::{RunProgram, Script, Step};
use crate::transport::{
    Controller as _, ExecReport, Exit, Program, RemoteCommand, Session as _, Sudo,
};

use super::attempt::Running;
use super::bounded::{Bounds, Cut, Executed, execute};
use super::end::{Done, End};
use super::output::{Activity, StepOutput};

/// The most that a command can be given on stdin.
const STDIN_LIMIT: usize = 1 << 20;

/// Where a command runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ground {
    Host,
    Controller,
}

/// How often a command is sent whose connection turned out to be dead before it was started.
pub(crate) const SENDINGS: u32 = 2;

impl<W: World> Work<W> {
    /// `run`; in steps of the controller it runs there.
    pub(crate) async fn run_program(
        &mut self,
        step: &Step,
        running: &Running,
        program: &RunProgram,
    ) -> Done {
        let ground = self.where_commands_run();
        match self
            .values
            .program(program, step.modifiers.shell.as_deref())
        {
            Ok(program) => self.commanded(step, running, ground, program).await,
            Err(cause) => End::failed(cause).into(),
        }
    }

    /// `local`.
    pub(crate) async fn run_local(
        &mut self,
        step: &Step,
        running: &Running,
        program: &RunProgram,
    ) -> Done {
        match self
            .values
            .program(program, step.modifiers.shell.as_deref())
        {
            Ok(program) => {
                self.commanded(step, running, Ground::Controller, program)
                    .await
            }
            Err(cause) => End::failed(cause).into(),
        }
    }

    /// `script`.
    pub(crate) async fn run_script(
        &mut self,
        step: &Step,
        running: &Running,
        script: &Script,
    ) -> Done {
        let ground = self.where_commands_run();
        match self.script(script).await {
            Ok(program) => self.commanded(step, running, ground, program).await,
            Err(cause) => End::failed(cause).into(),
        }
    }

    fn where_commands_run(&self) -> Ground {
        match self.ground() {
            Some(_) => Ground::Host,
            None => Ground::Controller,
        }
    }

    async fn script(&self, script: &Script) -> Result<Program, String> {
        let args = self.values.texts(&script.args)?;
        let text = if let Some(text) = &script.text {
            text.to_vec()
        } else {
            let path = self.local_path(&self.values.text(&script.src)?);
            let read = tokio::fs::read(&path).await;
            read.map_err(|error| format!("cannot read `{}`: {error}", path.display()))?
        };
        let interpreter = if script.interpreter.is_empty() && !text.starts_with(b"#!") {
            vec!["sh".to_owned()]
        } else {
            script.interpreter.clone()
        };
        Ok(Program::Script {
            interpreter,
            text,
            args,
        })
    }

    /// A path of this machine as a task names it: absolute, else in the task's folder, else in the working
    /// directory.
    pub(crate) fn local_path(&self, path: &str) -> PathBuf {
        let path = Path::new(path);
        let in_folder = self.folder.as_ref().map(|folder| folder.join(path));
        match in_folder {
            Some(found) if found.exists() => found,
            _ => self.shared.options.cwd.join(path),
        }
    }

    /// Runs a command of the task, telling its output.
    async fn commanded(
        &mut self,
        step: &Step,
        running: &Running,
        ground: Ground,
        program: Program,
    ) -> Done {
        let command = match self.command(step, program) {
            Ok(command) => command,
            Err(cause) => return End::failed(cause).into(),
        };
        if let Some(mark) = self.detaches(step).filter(|_| ground == Ground::Host) {
            return Box::pin(self.alone(step, running, mark, command)).await;
        }
        let mut sendings = 0;
        loop {
            sendings += 1;
            if ground == Ground::Host
                && let Err(end) = self.connected().await
            {
                return end.into();
            }
            let (executed, stdout, stderr) = self.told(running, ground, &command).await;
            if never_started(&executed) && ground == Ground::Host && sendings < SENDINGS {
                self.disconnect().await;
                continue;
            }
            let executed = self.verified(ground, &command.sudo, executed).await;
            self.mention(&executed).await;
            let ok = &step.modifiers.ok_rc;
            return Done {
                end: self.end(&executed, ok),
                stdout,
                stderr,
            };
        }
    }

    /// Runs a command once, telling its output.
    async fn told(
        &mut self,
        running: &Running,
        ground: Ground,
        command: &RemoteCommand,
    ) -> (Executed, Vec<u8>, Vec<u8>) {
        let activity = Activity::new();
        let stop = self.kill.clone();
        let own = stop.child_token();
        let bounds = Bounds {
            limit: Running::due(running.command_limit),
            silence: running.silence,
            activity: &activity,
            grace: command.grace,
            stop: &stop,
            own: &own,
        };
        let Self {
            shared,
            session,
            teller,
            touched,
            ..
        } = self;
        let whether = (running.quiet, running.keep);
        let mut output = StepOutput::new(teller, &running.step, whether, &activity, own.clone());
        let executed = match (ground, &*session) {
            (Ground::Host, Some(session)) => {
                *touched = true;
                execute(session.exec(command, &mut output, &own), &bounds).await
            }
            // `connected` was asked before; without a session nothing can have been sent.
            (Ground::Host, None) => Executed::never_sent(),
            (Ground::Controller, _) => {
                execute(shared.local.exec(command, &mut output, &own), &bounds).await
            }
        };
        let (stdout, stderr) = output.finish().await;
        (executed, stdout, stderr)
    }

    /// A session, or how the step ends without one.
    pub(crate) async fn connected(&mut self) -> Result<(), End> {
        self.connect().await.map_err(of_connection)
    }

    /// A command of the task with everything that its step gives it.
    pub(crate) fn command(&self, step: &Step, program: Program) -> Result<RemoteCommand, String> {
        let modifiers = &step.modifiers;
        let mut command = RemoteCommand::new(program);
        command.sudo = self.sudo(step)?;
        command.env = self.values.environment();
        for (name, value) in &modifiers.env {
            command.env.retain(|(known, _)| known != name);
            let value = self.values.text(value)?;
            command.env.push((name.clone(), value.to_string()));
        }
        command.secrets = self.values.secrets();
        command.cwd = self
            .values
            .maybe(modifiers.cwd.as_ref())?
            .map(|text| text.to_string());
        command.before = self
            .values
            .maybe(modifiers.before.as_ref())?
            .map(|text| text.to_string());
        command.stdin = self
            .values
            .maybe(modifiers.stdin.as_ref())?
            .map(|text| text.as_bytes().to_vec());
        if let Some(stdin) = &command.stdin
            && stdin.len() > STDIN_LIMIT
        {
            return Err(format!(
                "its stdin has {} bytes, the most is {STDIN_LIMIT}: upload a file and name it",
                stdin.len()
            ));
        }
        Ok(command)
    }

    /// As whom a step works.
    pub(crate) fn sudo(&self, step: &Step) -> Result<Sudo, String> {
        let user = self.values.maybe(step.modifiers.sudo.as_ref())?;
        Ok(match user {
            Some(user) if !user.is_empty() => Sudo::User(user.to_string()),
            _ => Sudo::No,
        })
    }

    /// Says what else is known of a command that ended.
    async fn mention(&mut self, executed: &Executed) {
        if let Some(Cut::Silence(silence)) = executed.cut {
            let text = format!("ended: it printed nothing for {}", format_duration(silence));
            self.teller.note(&text).await;
        }
        let Some(report) = &executed.report else {
            return;
        };
        // What kept a command from starting is its step's cause.
        let notes = if report.started {
            &report.notes[..]
        } else {
            &[]
        };
        for note in notes {
            self.teller.note(note).await;
        }
        if report.left_running {
            self.teller
                .note("something it started is still running and was left alone")
                .await;
        }
    }

    /// How a command's step ends.
    pub(crate) fn end(&mut self, executed: &Executed, ok: &[u8]) -> End {
        let ended = executed.is_gone();
        match executed.cut {
            Some(Cut::Limit(limit) | Cut::Silence(limit)) => return End::TimedOut { limit, ended },
            Some(Cut::Stop) => return End::Cancelled { ended },
            Some(Cut::Log) | None => {}
        }
        if let Some(cause) = self.teller.fault() {
            let cause = cause.to_owned();
            return End::Broken { cause };
        }
        let Some(report) = &executed.report else {
            return End::Lost;
        };
        match report.exit {
            Exit::Lost if !report.started => End::Unreachable {
                kind: UnreachableKind::Lost,
                causes: vec!["the connection was lost before the command was sent".to_owned()],
                hints: Vec::new(),
            },
            Exit::Lost => {
                // Whatever comes next on this host needs another connection.
                self.lose_session();
                End::Lost
            }
            Exit::Code(code) => code_end(report, code, ok),
        }
    }
}

/// Whether a command can be sent again: nothing of it was started, and nobody ended it.
pub(crate) fn never_started(executed: &Executed) -> bool {
    executed.cut.is_none()
        && executed
            .report
            .as_ref()
            .is_some_and(|report| report.exit == Exit::Lost && !report.started)
}

fn code_end(report: &ExecReport, code: u8, ok: &[u8]) -> End {
    let exit_code = Some(code);
    if let Some(words) = &report.sudo_refused {
        let cause = format!("sudo refused: {words}");
        return End::Failed { exit_code, cause };
    }
    if !report.started
        && let Some(why) = report.notes.first()
    {
        return End::Failed {
            exit_code: None,
            cause: why.clone(),
        };
    }
    let passes = if ok.is_empty() {
        code == 0
    } else {
        ok.contains(&code)
    };
    if passes {
        return End::Passed {
            exit_code,
            changed: None,
        };
    }
    let cause = match code {
        129..=192 => format!("exit {code} (ended by signal {})", code - 128),
        _ => format!("exit {code}"),
    };
    End::Failed { exit_code, cause }
}

/// How a step ends that has no connection.
pub(crate) fn of_connection(unconnected: Unconnected) -> End {
    match unconnected {
        Unconnected::Unreachable {
            kind,
            causes,
            hints,
        } => End::Unreachable {
            kind,
            causes,
            hints,
        },
        Unconnected::Cancelled => End::Cancelled { ended: true },
    }
}
