//! `doctor`: each link of the chain to a host, looked at one by one: configuration, agent, port, bastion, login,
//! clock, sudo, disk, and what the supervisor needs there.

use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio_util::sync::CancellationToken;

use crate::cli::DoctorArgs;
use crate::model::{ExitStatus, Host, Kex, Stream, format_duration};
use crate::transport::{
    ConnectError, Exit, Output, Program, RemoteCommand, Resolved, Session as _, SshTransport,
    Transport as _,
};

use super::entry::Context;
use super::failure::Failure;
use super::one_host;

/// What the host is asked once it is logged in to: one line `KEY VALUE` an answer.
const PROBE: &str = include_str!("doctor_probe.sh");

/// A clock that differs by more is worth a word: logs of hosts no longer line up, and AWS refuses signatures
/// that are five minutes off.
const CLOCK_SKEW: i64 = 5;

/// A key exchange that takes longer than this on a near host is worth a word.
const SLOW_LOGIN: Duration = Duration::from_millis(1500);

/// Looks at this machine's side and, where a host is named, at the way to it.
///
/// # Errors
/// The host is not found.
pub(super) async fn doctor(context: &Context, args: DoctorArgs) -> Result<ExitStatus, Failure> {
    let mut findings = Findings {
        context,
        worst: ExitStatus::Ok,
        rows: std::cell::RefCell::default(),
    };
    this_machine(&mut findings).await;
    if let Some(name) = args.host {
        the_host(context, &name, &mut findings).await?;
    }
    if context.settings.output.json {
        let rows = findings.rows.take();
        context.console.json(&rows.into());
    }
    Ok(findings.worst)
}

async fn the_host(
    context: &Context,
    name: &str,
    findings: &mut Findings<'_>,
) -> Result<(), Failure> {
    let host = one_host::find(context, name).await?;
    findings.good(
        "host",
        &format!(
            "{} is {} at `{}`, from {}",
            host.label, host.id, host.address, host.source
        ),
    );
    let transport = one_host::transport(context)?;
    match transport.resolve(&host).await {
        Ok(resolved) => {
            configuration(findings, &resolved);
            port(findings, &resolved, context.settings.limits.connect).await;
        }
        Err(words) => findings.bad(
            "ssh config",
            &words,
            "`ssh -G` refuses it; mend the file that it names",
        ),
    }
    login(findings, &transport, &host).await;
    transport.shutdown().await;
    Ok(())
}

/// Prints what is found, line by line, and keeps the status.
struct Findings<'a> {
    context: &'a Context,
    worst: ExitStatus,
    /// What `--json` prints at the end.
    rows: std::cell::RefCell<Vec<serde_json::Value>>,
}

impl Findings<'_> {
    fn line(&self, mark: &str, what: &str, text: &str) {
        if self.context.settings.output.json {
            self.row(mark, what, text);
            return;
        }
        let text = crate::report::safe(text);
        self.context
            .console
            .data(&format!("{mark:<5} {what:<12} {text}\n"));
    }

    /// A finding as data; a line without a mark says more of the one before it.
    fn row(&self, mark: &str, what: &str, text: &str) {
        let mut rows = self.rows.borrow_mut();
        let more = rows.last_mut().filter(|_| mark.is_empty());
        match more.and_then(|row| row["more"].as_array_mut()) {
            Some(more) => more.push(text.into()),
            None => rows.push(serde_json::json!({
                "result": mark.to_lowercase(), "what": what, "text": text, "more": [],
            })),
        }
    }

    fn good(&self, what: &str, text: &str) {
        self.line("ok", what, text);
    }

    fn note(&self, what: &str, text: &str, hint: &str) {
        self.line("note", what, text);
        self.line("", "", hint);
    }

    fn bad(&mut self, what: &str, text: &str, hint: &str) {
        self.line("FAIL", what, text);
        if !hint.is_empty() {
            self.line("", "", hint);
        }
        self.worst = ExitStatus::HostsFailed;
    }
}

async fn output_of(command: &mut Command) -> Option<(bool, String)> {
    let output = command.stdin(Stdio::null()).output().await.ok()?;
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    Some((output.status.success(), text.trim_end().to_owned()))
}

async fn this_machine(findings: &mut Findings<'_>) {
    match output_of(Command::new("ssh").arg("-V")).await {
        Some((true, version)) => findings.good("ssh", &version),
        _ => findings.bad(
            "ssh",
            "there is no `ssh` on this machine",
            "install OpenSSH's client",
        ),
    }
    match output_of(Command::new("ssh-add").arg("-l")).await {
        Some((true, keys)) => {
            let count = keys.lines().count();
            findings.good(
                "agent",
                &format!("{count} key{} loaded", if count == 1 { "" } else { "s" }),
            );
            keys.lines().for_each(|key| findings.line("", "", key));
        }
        Some((false, words)) => findings.note(
            "agent",
            &words,
            "a key with a passphrase needs one: `ssh-add KEYFILE`",
        ),
        None => findings.note(
            "agent",
            "there is no `ssh-add`",
            "keys with a passphrase cannot be used",
        ),
    }
    let state = &findings.context.settings.state_dir;
    match std::fs::create_dir_all(state).and_then(|()| tempfile::tempfile_in(state)) {
        Ok(_) => findings.good("state", &format!("`{}` can be written", state.display())),
        Err(error) => findings.bad(
            "state",
            &format!("`{}` cannot be written: {error}", state.display()),
            "`FAB_RS_STATE_DIR` names another place",
        ),
    }
}

fn configuration(findings: &Findings<'_>, resolved: &Resolved) {
    findings.good(
        "ssh config",
        &format!(
            "{}@{} port {}, host keys: {}",
            resolved.user, resolved.hostname, resolved.port, resolved.strict_host_key_checking
        ),
    );
    if let Some(jump) = &resolved.proxy_jump {
        findings.good("bastion", jump);
    } else if let Some(command) = &resolved.proxy_command {
        findings.good("proxy", command);
    }
    let (there, absent): (Vec<_>, Vec<_>) = resolved
        .identity_files
        .iter()
        .partition(|path| path.exists());
    for path in &there {
        findings.good("key file", &path.display().to_string());
    }
    if there.is_empty() {
        let names: Vec<String> = absent
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        findings.note(
            "key file",
            &format!("none of these exists: {}", names.join(", ")),
            "only the agent's keys are offered",
        );
    }
}

/// Whether something that speaks SSH listens, without logging in. Behind a bastion only the bastion can know.
async fn port(findings: &mut Findings<'_>, resolved: &Resolved, limit: Duration) {
    if resolved.proxy_jump.is_some() || resolved.proxy_command.is_some() {
        return;
    }
    let target = format!("{} port {}", resolved.hostname, resolved.port);
    let started = Instant::now();
    let connected = tokio::time::timeout(
        limit,
        TcpStream::connect((resolved.hostname.as_str(), resolved.port)),
    )
    .await;
    let mut stream = match connected {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            return findings.bad(
                "port",
                &format!("{target}: {error}"),
                "is the address right, sshd up, the security group open for you?",
            );
        }
        Err(_) => {
            let text = format!("{target} does not answer within {}", format_duration(limit));
            return findings.bad(
                "port",
                &text,
                "is the instance running, and does its security group let you in?",
            );
        }
    };
    let taken = format_duration(started.elapsed());
    let mut banner = vec![0; 255];
    match tokio::time::timeout(limit, stream.read(&mut banner)).await {
        Ok(Ok(read)) if banner[..read].starts_with(b"SSH-") => {
            let text = String::from_utf8_lossy(&banner[..read]);
            findings.good(
                "port",
                &format!("{target} answers after {taken}: {}", text.trim()),
            );
        }
        Ok(Ok(0)) => findings.bad(
            "port",
            &format!("{target} closes at once"),
            "sshd refuses or is overloaded: see `MaxStartups` in its log",
        ),
        Ok(Ok(_)) => findings.bad(
            "port",
            &format!("{target} does not speak SSH"),
            "is it the right port?",
        ),
        Ok(Err(error)) => findings.bad("port", &format!("{target}: {error}"), ""),
        Err(_) => findings.bad(
            "port",
            &format!("{target} accepts and says nothing"),
            "sshd hangs: is the host out of memory, or its disk stuck?",
        ),
    }
}

async fn login(findings: &mut Findings<'_>, transport: &SshTransport, host: &Host) {
    let started = Instant::now();
    let session = match transport
        .connect(host, 1.into(), &CancellationToken::new())
        .await
    {
        Ok(session) => session,
        Err(ConnectError::Unreachable { causes, hints, .. }) => {
            let hint = hints.first().map_or("", String::as_str);
            findings.bad(
                "login",
                causes.first().map_or("refused", String::as_str),
                hint,
            );
            causes
                .iter()
                .chain(&hints)
                .skip(1)
                .filter(|line| *line != hint)
                .for_each(|line| findings.line("", "", line));
            return;
        }
        Err(error @ ConnectError::Cancelled) => {
            return findings.bad("login", &error.to_string(), "");
        }
    };
    let taken = started.elapsed();
    findings.good("login", &format!("after {}", format_duration(taken)));
    if taken > SLOW_LOGIN && host.ssh.kex == Kex::Default {
        let hint = "OpenSSH's default key exchange costs about 80 ms of CPU a host; `ssh: {kex: fast}` prefers cheaper ones";
        findings.note("kex", "ssh's own choice", hint);
    }
    let text = Program::Shell {
        shell: vec!["sh".into(), "-c".into()],
        text: PROBE.to_owned(),
    };
    let mut answers = Answers::default();
    let report = session
        .exec(
            &RemoteCommand::new(text),
            &mut answers,
            &CancellationToken::new(),
        )
        .await;
    if report.exit == Exit::Code(0) {
        answers.tell(findings);
    } else {
        findings.bad(
            "shell",
            "the host ran no `sh`",
            "a forced command, or a login shell that prints or fails?",
        );
    }
    session.close().await;
}

/// The probe's answers.
#[derive(Default)]
struct Answers {
    text: Vec<u8>,
}

impl Output for Answers {
    async fn chunk(&mut self, stream: Stream, bytes: &[u8]) {
        if stream == Stream::Stdout {
            self.text.extend_from_slice(bytes);
        }
    }
}

impl Answers {
    fn tell(&self, findings: &mut Findings<'_>) {
        let text = String::from_utf8_lossy(&self.text);
        for (key, value) in text.lines().filter_map(|line| line.split_once(' ')) {
            match (key, value) {
                ("clock", seconds) => clock(findings, seconds),
                ("sudo", "yes") => findings.good("sudo", "`sudo -n` works"),
                ("sudo", words) => {
                    findings.note(
                        "sudo",
                        words,
                        "steps with `sudo` will fail there; `--ask-sudo` asks for a password once",
                    );
                }
                ("missing", "setsid") => findings.note(
                    "setsid",
                    "is missing there",
                    "a cancelled command's children cannot all be ended; install util-linux",
                ),
                ("missing", tool) => findings.note(
                    "tool",
                    &format!("`{tool}` is missing there"),
                    "some tasks need it",
                ),
                ("disk", line) => disk(findings, line),
                (key, value) => findings.good(key, value),
            }
        }
    }
}

fn clock(findings: &Findings<'_>, seconds: &str) {
    let Ok(there) = seconds.parse::<i64>() else {
        return;
    };
    let skew = there - jiff::Timestamp::now().as_second();
    if skew.abs() <= CLOCK_SKEW {
        findings.good("clock", &format!("within {CLOCK_SKEW} s of this machine's"));
    } else {
        let way = if skew > 0 { "ahead of" } else { "behind" };
        let text = format!("{} s {way} this machine's", skew.abs());
        findings.note(
            "clock",
            &text,
            "times in logs will not line up; is chronyd or ntpd running?",
        );
    }
}

/// A line `PERCENT FREE_KIB MOUNT`.
fn disk(findings: &Findings<'_>, line: &str) {
    let mut words = line.splitn(3, ' ');
    let (Some(percent), Some(free), Some(mount)) = (words.next(), words.next(), words.next())
    else {
        return;
    };
    let free = crate::model::Size(free.parse::<u64>().unwrap_or(0) * 1024);
    let text = format!("{mount}: {percent} used, {free} free");
    match percent.trim_end_matches('%').parse::<u8>() {
        Ok(95..) => findings.note("disk", &text, "uploads and dumps may fail there"),
        _ => findings.good("disk", &text),
    }
}
