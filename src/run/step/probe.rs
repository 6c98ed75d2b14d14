//! One question of a `wait_for`: over HTTP or TCP, from the host or from here, by a command, or for a file.

use std::time::Duration;

use regex::Regex;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::run::shared::World;
use crate::run::work::Work;
use crate::task::{Probe, ProbeKind, RegisterValue, RunProgram, Step, WhereTo};
use crate::transport::{Program, RemoteCommand};

use super::attempt::Running;
use super::end::End;
use super::http::{self, Target};
use super::knock::{Dialled, stays_open};
use super::own_command::Due;
use super::remote_file::last_words;

/// How long one answer over the network may take.
pub(super) const ANSWER: Duration = Duration::from_secs(10);

/// Asks a URL with what the host has, where its connection forwards nothing: body, then status on a line.
const FETCH: &str = r#"if command -v curl >/dev/null 2>&1; then
  curl -sS -m 10 -w '\n%{http_code}' -- "$1"
else
  echo 'forwarding is forbidden and curl is not there' >&2; exit 90
fi"#;

/// The same for a TCP port.
const KNOCK: &str = r#"if command -v nc >/dev/null 2>&1; then exec nc -z -w 10 "$1" "$2"
elif command -v bash >/dev/null 2>&1; then exec bash -c 'exec 3<>"/dev/tcp/$1/$2"' knock "$1" "$2"
else echo 'forwarding is forbidden and neither nc nor bash is there' >&2; exit 90
fi"#;

/// What one question brought.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Said {
    /// Whether it is the right answer.
    pub(crate) good: bool,
    /// What was answered, for people.
    pub(crate) text: String,
    /// The body or output, masked.
    pub(crate) body: String,
}

impl Said {
    /// The answer, which is wrong for one more reason.
    fn but(self, why: &str) -> Self {
        Self {
            good: false,
            text: format!("{}, and {why}", self.text),
            ..self
        }
    }
}

/// An answer before it is judged.
pub(super) struct Answer {
    /// Whether status, exit code or presence is right.
    pub(super) good: bool,
    pub(super) text: String,
    pub(super) rc: Option<u8>,
    pub(super) body: Vec<u8>,
}

/// What a text of the answer must be.
pub(crate) struct Wanted {
    matches: Option<Regex>,
    equals: Option<String>,
}

impl<W: World> Work<W> {
    /// What the answer's text must be, rendered once.
    pub(crate) fn wanted(&self, probe: &Probe) -> Result<Wanted, String> {
        let matches = self.values.maybe(probe.matches.as_ref())?;
        let matches = matches.map(|text| Regex::new(&text)).transpose();
        let equals = self.values.maybe(probe.equals.as_ref())?;
        Ok(Wanted {
            matches: matches
                .map_err(|error| format!("`match` is no regular expression: {error}"))?,
            equals: equals.map(|text| text.to_string()),
        })
    }

    /// Asks once. An error ends the wait: the question itself cannot be asked.
    pub(crate) async fn probed(
        &mut self,
        (step, probe): (&Step, &Probe),
        running: &Running,
        wanted: &Wanted,
        left: Due,
    ) -> Result<Said, End> {
        let answer = match &probe.kind {
            ProbeKind::Http(url) => {
                let url = self.values.text(url).map_err(End::failed)?;
                self.http(probe, &url, left).await?
            }
            ProbeKind::Tcp(at) => {
                let at = self.values.text(at).map_err(End::failed)?;
                self.tcp(probe, &at, left).await?
            }
            ProbeKind::Run(program) => self.command_probe(step, probe, program, left).await?,
            ProbeKind::File { path, present } => {
                let path = self.values.text(path).map_err(End::failed)?;
                self.file(step, &path, *present, left).await?
            }
            ProbeKind::Ssh => self.ssh_banner().await,
        };
        self.judge(step, probe, (running, wanted), answer)
    }

    fn judge(
        &mut self,
        step: &Step,
        probe: &Probe,
        (running, wanted): (&Running, &Wanted),
        answer: Answer,
    ) -> Result<Said, End> {
        let body = String::from_utf8_lossy(&answer.body).into_owned();
        let body = self.teller.mask.text(&body);
        let whole = body.trim_end_matches(['\n', '\r']);
        let matches = wanted.matches.as_ref();
        let matches = matches.is_none_or(|regex| regex.is_match(&body));
        let equals = wanted.equals.as_ref();
        let equals = equals.is_none_or(|text| text.trim_end_matches(['\n', '\r']) == whole);
        let mut said = Said {
            good: answer.good,
            text: answer.text,
            body: body.clone(),
        };
        if said.good && !matches {
            said = said.but("the text does not match");
        }
        if said.good && !equals {
            said = said.but("the text is another");
        }
        let register = RegisterValue {
            rc: answer.rc,
            stdout: body,
            ok: said.good,
            failed: !said.good,
            duration: running.started.elapsed(),
            attempts: 1,
            ..RegisterValue::default()
        };
        self.register(step, register);
        if said.good
            && let Some(until) = &probe.until
            && !self.values.holds(until).map_err(End::failed)?
        {
            said = said.but("`until` does not hold");
        }
        Ok(said)
    }

    async fn http(&mut self, probe: &Probe, url: &str, left: Due) -> Result<Answer, End> {
        let target = Target::parse(url).map_err(End::failed)?;
        let answered = match self.way(probe) {
            WhereTo::Controller => {
                match TcpStream::connect((target.host.as_str(), target.port)).await {
                    Ok(stream) => asked(stream, &target).await,
                    Err(error) => Err(error.to_string()),
                }
            }
            WhereTo::Host => match self.dialled(&target.host, target.port).await? {
                Dialled::Stream(stream) => asked(stream, &target).await,
                Dialled::Refused(cause) => Err(cause),
                Dialled::Forbidden => return self.http_by_command(probe, url, left).await,
            },
        };
        Ok(match answered {
            Ok(answer) => Answer {
                good: status_is_right(probe, answer.status),
                text: format!("status {}", answer.status),
                rc: None,
                body: answer.body,
            },
            Err(text) => unanswered(text),
        })
    }

    async fn http_by_command(
        &mut self,
        probe: &Probe,
        url: &str,
        left: Due,
    ) -> Result<Answer, End> {
        let (code, said) = self.asked(&by_shell(FETCH, &[url]), Some(left)).await?;
        let (body, status) = match said.stdout.iter().rposition(|byte| *byte == b'\n') {
            Some(at) => said.stdout.split_at(at),
            None => (&said.stdout[..0], &said.stdout[..]),
        };
        let status = String::from_utf8_lossy(status).trim().parse::<u16>().ok();
        Ok(match status.filter(|_| code == 0) {
            Some(status) => Answer {
                good: status_is_right(probe, status),
                text: format!("status {status}"),
                rc: None,
                body: body.to_vec(),
            },
            None => unanswered(last_words(&said.stderr)),
        })
    }

    async fn tcp(&mut self, probe: &Probe, at: &str, left: Due) -> Result<Answer, End> {
        let here = self.way(probe) == WhereTo::Controller;
        let own = match self.ground() {
            Some((_, host)) if here => host.address.clone(),
            _ => "127.0.0.1".to_owned(),
        };
        let (host, port) = at.rsplit_once(':').unwrap_or((&own, at));
        let port: u16 = port
            .parse()
            .map_err(|_| End::failed(format!("`{at}` is neither a port nor `HOST:PORT`")))?;
        let host = host.trim_matches(['[', ']']);
        let open = if here {
            match timeout(ANSWER, TcpStream::connect((host, port))).await {
                Ok(Ok(_stream)) => Ok(()),
                Ok(Err(error)) => Err(error.to_string()),
                Err(_) => Err("no answer".to_owned()),
            }
        } else {
            match self.dialled(host, port).await? {
                Dialled::Stream(stream) => stays_open(stream).await,
                Dialled::Refused(cause) => Err(cause),
                Dialled::Forbidden => {
                    let command = by_shell(KNOCK, &[host, &port.to_string()]);
                    let (code, said) = self.asked(&command, Some(left)).await?;
                    if code == 0 {
                        Ok(())
                    } else {
                        Err(last_words(&said.stderr))
                    }
                }
            }
        };
        Ok(match open {
            Ok(()) => Answer {
                good: true,
                text: "open".to_owned(),
                rc: None,
                body: Vec::new(),
            },
            Err(text) => unanswered(text),
        })
    }

    /// A command: on the host, or here.
    async fn command_probe(
        &mut self,
        step: &Step,
        probe: &Probe,
        program: &RunProgram,
        left: Due,
    ) -> Result<Answer, End> {
        let program = self
            .values
            .program(program, step.modifiers.shell.as_deref())
            .map_err(End::failed)?;
        let command = self.command(step, program).map_err(End::failed)?;
        let (code, said) = match self.way(probe) {
            WhereTo::Host => self.asked(&command, Some(left)).await?,
            WhereTo::Controller => self.asked_here(&command, left).await?,
        };
        let ok = &step.modifiers.ok_rc;
        let good = if ok.is_empty() {
            code == 0
        } else {
            ok.contains(&code)
        };
        Ok(Answer {
            good,
            text: format!("exit {code}"),
            rc: Some(code),
            body: said.stdout,
        })
    }

    async fn file(
        &mut self,
        step: &Step,
        path: &str,
        present: bool,
        left: Due,
    ) -> Result<Answer, End> {
        let mut command = RemoteCommand::new(Program::Argv(
            ["test", "-e", path].map(str::to_owned).to_vec(),
        ));
        command.sudo = self.sudo(step).map_err(End::failed)?;
        let (code, said) = self.asked(&command, Some(left)).await?;
        let there = match code {
            0 => true,
            1 => false,
            _ => return Ok(unanswered(last_words(&said.stderr))),
        };
        Ok(Answer {
            good: there == present,
            text: if there {
                "it is there"
            } else {
                "it is not there"
            }
            .to_owned(),
            rc: None,
            body: Vec::new(),
        })
    }

    /// From where a probe is made: the controller has no host to speak through.
    fn way(&self, probe: &Probe) -> WhereTo {
        match self.ground() {
            Some(_) => probe.from,
            None => WhereTo::Controller,
        }
    }
}

async fn asked(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send,
    target: &Target,
) -> Result<http::Answer, String> {
    match timeout(ANSWER, http::get(stream, target)).await {
        Ok(answer) => answer,
        Err(_) => Err("no answer".to_owned()),
    }
}

fn status_is_right(probe: &Probe, status: u16) -> bool {
    if probe.status.is_empty() {
        (200..300).contains(&status)
    } else {
        probe.status.contains(&status)
    }
}

pub(super) fn unanswered(text: impl Into<String>) -> Answer {
    Answer {
        good: false,
        text: text.into(),
        rc: None,
        body: Vec::new(),
    }
}

fn by_shell(text: &str, args: &[&str]) -> RemoteCommand {
    let words = ["sh", "-c", text, "fab-rs"];
    let words = words.iter().chain(args).map(|&word| word.to_owned());
    RemoteCommand::new(Program::Argv(words.collect()))
}
