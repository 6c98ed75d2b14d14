//! Steps that go on by themselves on their host: started once, followed from the byte that came last over as many
//! connections as it takes, and let go of where the run ends before they do.
//!
//! What an earlier process of the run left, and what lies there afterwards, is `detached_ends`' job; what happens on
//! the host is `transport::DetachedFolder`'s.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::model::format_duration;
use crate::run::journal::{Fact, Mark};
use crate::run::progress::DetachedProgress;
use crate::run::shared::World;
use crate::run::work::Work;
use crate::task::Step;
use crate::transport::{
    Detach, DetachedEnding, DetachedFolder, DetachedState, ExecReport, Exit, NEVER_BEGUN,
    RemoteCommand, Session as _,
};

use super::attempt::Running;
use super::bounded::{Bounds, Cut, Executed, execute};
use super::detached_ends::{unanswered, unknown};
use super::end::{Done, End};
use super::output::{Activity, StepOutput, Streams};

/// How long a host may take for anything that is asked about a detached step.
pub(super) const ANSWER: Duration = Duration::from_mins(1);

/// How long a host is tried to be reached again, from the first failure on.
const REACH: Duration = Duration::from_mins(1);

/// Between two tries.
const PAUSE: Duration = Duration::from_secs(2);

/// How long after the host should have ended it.
const LATE: Duration = Duration::from_mins(1);

/// How often it is started again that the host accepted and did not come to begin: what launches it there is stuck.
const STARTS: u8 = 3;

/// A detached step as it is followed.
struct Alone<'a> {
    running: &'a Running,
    /// Exit codes that pass.
    ok: &'a [u8],
    of: DetachedProgress,
    folder: DetachedFolder,
    command: RemoteCommand,
    /// What came so far; taken out while more comes.
    streams: Option<Streams>,
    /// How many starts the host accepted and did not come to begin.
    void: u8,
    /// Since when the host has not been reached.
    silent: Option<Instant>,
}

impl<W: World> Work<W> {
    /// Starts the command, unless an earlier process of the run did, and follows it to its end.
    pub(super) async fn alone(
        &mut self,
        step: &Step,
        running: &Running,
        mark: Mark,
        mut command: RemoteCommand,
    ) -> Done {
        let (of, streams) = match self.taken_up.take() {
            Some(of) => self.going_on(of),
            None => match self.kept_ahead(mark, &command).await {
                Ok(kept) => kept,
                Err(end) => return end.into(),
            },
        };
        let (folder, sudo) = self.place_of(&of);
        command.sudo = sudo;
        let mut alone = Alone {
            running,
            ok: &step.modifiers.ok_rc,
            of,
            folder,
            command,
            streams: Some(streams),
            void: 0,
            silent: None,
        };
        let end = self.attended(&mut alone).await;
        let streams = alone.streams.take().unwrap_or_else(Streams::new);
        let (stdout, stderr) = self.told_whole(running, streams).await;
        if end.result().is_known() {
            if let Some(host) = self.id() {
                self.shared.detached.over(&host, &alone.of.at.folder);
            }
            self.leftovers.push(alone.of);
        }
        Done {
            end,
            stdout,
            stderr,
        }
    }

    /// How it ends, over as many connections as it takes.
    async fn attended(&mut self, alone: &mut Alone<'_>) -> End {
        loop {
            let came = alone.streams.as_ref().map(Streams::came);
            let tried = self.tried_once(alone).await;
            if came != alone.streams.as_ref().map(Streams::came) {
                alone.silent = None;
            }
            let end = match tried {
                Ok(end) => return end,
                Err(end) => end,
            };
            match end {
                End::Cancelled { .. } => return self.left_running(alone).await,
                End::Lost | End::Unreachable { .. } => {}
                end => return end,
            }
            let first = alone.silent.is_none();
            let since = *alone.silent.get_or_insert_with(Instant::now);
            if since.elapsed() >= REACH {
                return self.given_up(alone, end).await;
            }
            if first {
                let text = if alone.of.began {
                    "the connection is lost; the step goes on there by itself, and the host is tried again"
                } else {
                    "the step is not known to have begun there; the host is tried again"
                };
                self.teller.note(text).await;
            }
            if !self.slept(PAUSE).await {
                return self.left_running(alone).await;
            }
        }
    }

    /// Starts and follows it over one connection. The error is trouble with that.
    async fn tried_once(&mut self, alone: &mut Alone<'_>) -> Result<End, End> {
        if !alone.of.began
            && let Some(refused) = self.started(alone).await?
        {
            return Ok(refused);
        }
        let executed = self.followed(alone).await?;
        if let Some(cut) = executed.cut {
            return self.cut_short(alone, cut).await;
        }
        match executed.report.as_ref().map(|report| report.exit) {
            Some(Exit::Code(NEVER_BEGUN)) => return self.moved(alone).await,
            Some(Exit::Code(_)) => {}
            Some(Exit::Lost) | None => {
                self.lose_session();
                return Err(End::Lost);
            }
        }
        let state = self.how_it_stands(&alone.of).await?;
        alone.silent = None;
        if state == DetachedState::Runs {
            return Err(End::Lost);
        }
        Ok(self.end_of(alone, state).await)
    }

    /// Starts it; how it ends where the host refuses.
    async fn started(&mut self, alone: &mut Alone<'_>) -> Result<Option<End>, End> {
        let due = (Instant::now() + ANSWER, ANSWER);
        alone.command.detach = Some(Detach {
            folder: alone.folder.clone(),
            limit: alone.running.command_limit,
        });
        let asked = self.asked(&alone.command, Some(due)).await;
        let (code, said) = asked.map_err(unanswered)?;
        if code == NEVER_BEGUN {
            return self.moved(alone).await.map(Some);
        }
        if code != 0 {
            let words = String::from_utf8_lossy(&said.stderr);
            let last = words.lines().rfind(|line| !line.trim().is_empty());
            let cause =
                last.map_or_else(|| format!("its starter ended with {code}"), str::to_owned);
            return Ok(Some(End::failed(format!("not started: {cause}"))));
        }
        alone.of.began = true;
        alone.silent = None;
        if let Some(host) = self.id() {
            let folder = Arc::clone(&alone.of.at.folder);
            self.shared
                .journal
                .note(Fact::DetachedBegan { host, folder });
        }
        Ok(None)
    }

    /// It is decided that it is never begun where it lies: the next try gets another place, as a folder's decision
    /// stands for good.
    async fn moved(&mut self, alone: &mut Alone<'_>) -> Result<End, End> {
        alone.void += 1;
        if alone.void >= STARTS {
            let cause = "not started: the host launched it and never came to it; is its disk full, or does `systemd-run`, or \
                         `sh`, hang there?";
            return Ok(End::failed(cause));
        }
        alone.of.began = false;
        self.leftovers.push(alone.of.clone());
        let mark = alone.of.step.clone();
        let (of, streams) = self.kept_ahead(mark, &alone.command).await?;
        (alone.of, alone.streams) = (of, Some(streams));
        alone.folder = self.place_of(&alone.of).0;
        Err(End::Lost)
    }

    /// Tells what it prints, from the byte that came last, until it ends or something ends this.
    async fn followed(&mut self, alone: &mut Alone<'_>) -> Result<Executed, End> {
        self.connected().await?;
        let running = alone.running;
        let streams = alone.streams.take().unwrap_or_else(Streams::new);
        let command = alone.folder.follow(streams.came(), &alone.command.sudo);
        let activity = Activity::new();
        let stop = self.kill.clone();
        let own = stop.child_token();
        let limit = running.command_limit;
        let bounds = Bounds {
            // The host keeps the limit; this is for one that does not.
            limit: limit.map(|limit| (Instant::now() + limit + LATE, limit)),
            silence: running.silence,
            activity: &activity,
            grace: command.grace,
            stop: &stop,
            own: &own,
        };
        let Self {
            session,
            teller,
            touched,
            ..
        } = self;
        let whether = (running.quiet, running.keep);
        let output = StepOutput::new(teller, &running.step, whether, &activity, own.clone());
        let mut output = output.going_on(streams);
        let executed = match &*session {
            Some(session) => {
                *touched = true;
                execute(session.exec(&command, &mut output, &own), &bounds).await
            }
            None => Executed::never_sent(),
        };
        alone.streams = Some(output.so_far());
        Ok(executed)
    }

    /// Tells what was held back of its output; what was kept of it.
    async fn told_whole(&mut self, running: &Running, streams: Streams) -> (Vec<u8>, Vec<u8>) {
        let activity = Activity::new();
        let whether = (running.quiet, running.keep);
        let own = self.kill.child_token();
        let output = StepOutput::new(&mut self.teller, &running.step, whether, &activity, own);
        output.going_on(streams).finish().await
    }

    /// What follows where it is not followed any longer: the run's end leaves it alone, every other bound ends it.
    async fn cut_short(&mut self, alone: &Alone<'_>, cut: Cut) -> Result<End, End> {
        if cut == Cut::Stop && self.run_kill.is_cancelled() {
            return Err(End::Cancelled { ended: false });
        }
        let ended = self.ended_there(&alone.of).await;
        Ok(match cut {
            Cut::Limit(limit) | Cut::Silence(limit) => End::TimedOut { limit, ended },
            Cut::Stop => End::Cancelled { ended },
            Cut::Log => {
                let cause = self.teller.fault().unwrap_or("its log cannot be written");
                End::Broken {
                    cause: cause.to_owned(),
                }
            }
        })
    }

    /// The run ends, and the step does not.
    async fn left_running(&mut self, alone: &Alone<'_>) -> End {
        let (run, path) = (&self.shared.options.run, alone.folder.path());
        let text = format!(
            "step `{}` goes on there by itself: `fab-rs resume {run}` waits for its end, `fab-rs abort {run}` ends it; \
             its output is in {path}/out",
            alone.running.step.name
        );
        self.teller.note(&text).await;
        self.left
            .push(format!("{} (detached: {path})", alone.running.step.name));
        End::Cancelled { ended: false }
    }

    /// The host cannot be reached any more.
    async fn given_up(&mut self, alone: &Alone<'_>, end: End) -> End {
        let (run, since) = (&self.shared.options.run, format_duration(REACH));
        let name = &alone.running.step.name;
        let text = format!(
            "the host was not reached again within {since}; step `{name}` goes on there by itself, if it was started: \
             `fab-rs resume {run}` reads how it ended"
        );
        self.teller.hint(&end.cause());
        self.teller.note(&text).await;
        End::Lost
    }

    /// How the step ends whose supervisor on the host says this.
    async fn end_of(&mut self, alone: &Alone<'_>, state: DetachedState) -> End {
        let limit = alone.running.command_limit.unwrap_or_default();
        match state {
            DetachedState::Ended(code, DetachedEnding::Own) => {
                let report = ExecReport {
                    exit: Exit::Code(code),
                    started: true,
                    left_running: false,
                    group_ended: false,
                    notes: Vec::new(),
                    sudo_refused: None,
                    trace: None,
                };
                let executed = Executed {
                    report: Some(report),
                    cut: None,
                };
                self.end(&executed, alone.ok)
            }
            DetachedState::Ended(_, DetachedEnding::Limit { gone }) => {
                End::TimedOut { limit, ended: gone }
            }
            DetachedState::Ended(code, DetachedEnding::Asked { .. }) => End::Failed {
                exit_code: Some(code),
                cause: "ended on the host: by `fab-rs abort`, or with the host".to_owned(),
            },
            state => {
                self.teller.note(unknown(state)).await;
                End::Lost
            }
        }
    }
}
