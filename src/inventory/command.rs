//! The source `command`: a program that prints hosts as JSON. What the hosts mean is `file::host`'s job.

use std::path::Path;
use std::process::{ExitStatus, Stdio};

use tokio::io::AsyncReadExt;
use tokio::process::{Child, Command};

use super::error::SourceError;
use super::file::{CommandSource, HostEntry, json_hosts};
use crate::model::format_duration;

/// More output than this is no inventory; it would only fill the memory.
const MAX_OUTPUT: u64 = 64 << 20;
/// How many lines of stderr an error shows.
const STDERR_LINES: usize = 5;
/// How much of stderr is read.
const MAX_STDERR: u64 = 64 << 10;

/// Runs the command in `folder` without a shell, with nothing on stdin, and reads the hosts it prints.
///
/// # Errors
/// It cannot be started, fails, takes too long, or prints something else.
pub(crate) async fn hosts(
    source: &CommandSource,
    folder: &Path,
) -> Result<Vec<HostEntry>, SourceError> {
    let command = shown(source);
    let failed = |reason: String, stderr: Vec<String>| SourceError::Command {
        command: command.clone(),
        reason,
        stderr,
    };
    let mut child = start(source, folder)
        .map_err(|error| failed(format!("cannot be started: {error}"), Vec::new()))?;
    let group = Group::of(&child);
    let answer = tokio::time::timeout(source.timeout, collect(&mut child)).await;
    let Ok(answer) = answer else {
        drop(group);
        let limit = format_duration(source.timeout);
        return Err(failed(format!("was stopped after {limit}"), Vec::new()));
    };
    let answer =
        answer.map_err(|error| failed(format!("could not be read: {error}"), Vec::new()))?;
    group.done();
    if !answer.status.success() {
        return Err(failed(ended(answer.status), last_lines(&answer.stderr)));
    }
    if answer.stdout.len() as u64 > MAX_OUTPUT {
        return Err(failed("printed more than 64 MiB".to_owned(), Vec::new()));
    }
    json_hosts(&answer.stdout).map_err(|errors| SourceError::CommandOutput {
        command: shown(source),
        errors,
    })
}

/// The command as a line that a shell would read.
pub(crate) fn shown(source: &CommandSource) -> String {
    let words = source.argv.iter().map(String::as_str);
    shlex::try_join(words).unwrap_or_else(|_| source.argv.join(" "))
}

fn start(source: &CommandSource, folder: &Path) -> std::io::Result<Child> {
    let program = Path::new(&source.argv[0]);
    // A path is relative to the inventory, a bare name is sought on PATH.
    let program = if source.argv[0].contains('/') {
        folder.join(program)
    } else {
        program.to_owned()
    };
    let mut command = Command::new(program);
    command
        .args(&source.argv[1..])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    if !folder.as_os_str().is_empty() {
        command.current_dir(std::path::absolute(folder)?);
    }
    command.spawn()
}

struct Answer {
    status: ExitStatus,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

async fn collect(child: &mut Child) -> std::io::Result<Answer> {
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let out = child.stdout.take();
    let err = child.stderr.take();
    let read_out = async {
        match out {
            Some(pipe) => pipe.take(MAX_OUTPUT + 1).read_to_end(&mut stdout).await,
            None => Ok(0),
        }
    };
    let read_err = async {
        let Some(mut pipe) = err else { return Ok(0) };
        let kept = (&mut pipe).take(MAX_STDERR).read_to_end(&mut stderr).await;
        tokio::io::copy(&mut pipe, &mut tokio::io::sink()).await?;
        kept
    };
    let (status, _, _) = tokio::try_join!(child.wait(), read_out, read_err)?;
    Ok(Answer {
        status,
        stdout,
        stderr,
    })
}

/// The command's process group, ended unless the command came to its own end.
struct Group(Option<rustix::process::Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        let pid = child.id().and_then(|id| i32::try_from(id).ok());
        Self(pid.and_then(rustix::process::Pid::from_raw))
    }

    fn done(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // It may be gone already; nothing is to be done then.
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
    }
}

fn ended(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with status {code}"),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => "ended in an unknown way".to_owned(),
    }
}

fn last_lines(stderr: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(stderr);
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let from = lines.len().saturating_sub(STDERR_LINES);
    lines[from..]
        .iter()
        .map(|line| (*line).to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    async fn run(script: &str) -> Result<Vec<HostEntry>, SourceError> {
        let source = CommandSource {
            argv: vec!["sh".to_owned(), "-c".to_owned(), script.to_owned()],
            timeout: Duration::from_secs(20),
        };
        hosts(&source, Path::new("")).await
    }

    #[tokio::test]
    async fn a_commands_list_is_read() {
        let hosts =
            run(r#"echo '[{"name":"app-1","address":"10.0.0.1","zone":null,"port":2222}]'"#).await;
        let hosts = hosts.unwrap();
        assert_eq!(
            (hosts[0].name.as_str(), hosts[0].ssh.port),
            ("app-1", Some(2222))
        );
    }

    #[tokio::test]
    async fn a_failure_shows_status_and_stderr() {
        let error = run("echo no route to cmdb >&2; exit 3")
            .await
            .unwrap_err()
            .diagnostic();
        assert!(
            error.message.ends_with("` ended with status 3"),
            "{}",
            error.message
        );
        assert_eq!(error.causes, ["no route to cmdb"]);
    }

    #[tokio::test]
    async fn other_output_is_refused_with_the_host_named() {
        let error = run(r#"echo '[{"name":"app-1","prot":1}]'"#)
            .await
            .unwrap_err()
            .diagnostic();
        assert_eq!(error.causes, ["unknown key `prot` in host `app-1`"]);
        let error = run("echo hello").await.unwrap_err().diagnostic();
        assert!(error.causes[0].starts_with("it is no JSON"), "{error:?}");
    }

    #[tokio::test]
    async fn a_command_that_takes_too_long_ends_with_its_children() {
        let source = CommandSource {
            argv: [
                "sh",
                "-c",
                "sleep 600 & echo $! > \"$0\"; wait",
                "/dev/null",
            ]
            .map(str::to_owned)
            .to_vec(),
            timeout: Duration::from_millis(50),
        };
        let folder = tempfile::tempdir().unwrap();
        let pid_file = folder.path().join("pid");
        let mut source = source;
        source.argv[3] = pid_file.display().to_string();
        source.timeout = Duration::from_millis(500);
        let error = hosts(&source, folder.path()).await.unwrap_err();
        assert!(error.to_string().contains("was stopped after"), "{error}");
        let pid: i32 = std::fs::read_to_string(&pid_file)
            .unwrap()
            .trim()
            .parse()
            .unwrap();
        let pid = rustix::process::Pid::from_raw(pid).unwrap();
        let gone = || match std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()))
        {
            Err(_) => true,
            Ok(stat) => stat.contains(") Z "),
        };
        for _ in 0..200 {
            if gone() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the command's child still runs");
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_named() {
        let source = CommandSource {
            argv: vec!["./no-such-program".to_owned()],
            timeout: Duration::from_secs(1),
        };
        let error = hosts(&source, Path::new("/")).await.unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("inventory command `./no-such-program` cannot be started")
        );
    }
}
