//! Real shells to run the supervisor in, and what its tests look at. A shell that is not installed is a
//! failure, not a skip: `apt-get install dash busybox sudo`.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::process::Command;
use tokio_util::sync::CancellationToken;

use super::super::local::exec_under;
use super::super::preamble::local_argv;
use super::super::*;

/// Collects output; tells when a text has appeared on stdout.
#[derive(Default)]
pub(super) struct Collected {
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
    /// Cancelled when stdout holds the text.
    pub(super) awaited: Option<(&'static str, CancellationToken)>,
    /// Bytes counted, not kept.
    pub(super) count_only: bool,
    pub(super) count: u64,
}

impl Output for Collected {
    async fn chunk(&mut self, stream: Stream, bytes: &[u8]) {
        self.count += bytes.len() as u64;
        if self.count_only {
            return;
        }
        match stream {
            Stream::Stdout => self.stdout.extend_from_slice(bytes),
            Stream::Stderr => self.stderr.extend_from_slice(bytes),
        }
        if let Some((text, token)) = &self.awaited
            && String::from_utf8_lossy(&self.stdout).contains(text)
        {
            token.cancel();
        }
    }
}

impl Collected {
    pub(super) fn out(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    pub(super) fn err(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }
}

/// One way to run the supervisor.
pub(super) struct Way {
    pub(super) name: String,
    /// Replaces `sh`.
    pub(super) shell: Vec<&'static str>,
    pub(super) sudo: bool,
    /// The only folder of PATH.
    pub(super) path: Option<PathBuf>,
    _applets: Option<Arc<tempfile::TempDir>>,
}

/// A PATH with nothing but busybox.
pub(super) fn applets() -> Arc<tempfile::TempDir> {
    let folder = tempfile::tempdir().unwrap();
    let busybox = Path::new("/usr/bin/busybox");
    let busybox = if busybox.exists() {
        busybox
    } else {
        Path::new("/bin/busybox")
    };
    for name in [
        "sh", "dd", "setsid", "env", "mktemp", "rm", "sleep", "timeout", "cat", "chmod", "kill",
        "printf", "grep", "head", "ps", "id", "touch", "true", "seq", "yes", "mkdir", "mv", "ls",
        "rmdir", "tail", "wc", "ln",
    ] {
        std::os::unix::fs::symlink(busybox, folder.path().join(name)).unwrap();
    }
    Arc::new(folder)
}

pub(super) fn ways() -> Vec<Way> {
    let applets = applets();
    let way = |name: &str, shell, sudo| Way {
        sudo,
        ..Way::of(name.to_owned(), shell, None)
    };
    let mut ways = vec![
        way("dash", &["dash"], false),
        way("bash", &["bash"], false),
        way("bash as sh", &["bash", "--posix"], false),
        Way {
            name: "busybox".to_owned(),
            shell: vec!["busybox", "sh"],
            sudo: false,
            path: Some(applets.path().to_owned()),
            _applets: Some(Arc::clone(&applets)),
        },
        // Such as Amazon Linux 2.
        Way {
            name: "bash with an old env".to_owned(),
            shell: vec!["bash"],
            sudo: false,
            path: Some(applets.path().to_owned()),
            _applets: Some(applets),
        },
    ];
    if may_sudo() {
        ways.push(way("dash under sudo", &["dash"], true));
    }
    ways
}

/// Whether this user may become another without a password; where not, it says what is left out.
#[expect(clippy::print_stderr, reason = "a skipped test says why")]
fn may_sudo() -> bool {
    let asked = std::process::Command::new(which("sudo"))
        .args(["-n", "-u", "nobody", "true"])
        .output();
    let may = asked.is_ok_and(|output| output.status.success());
    if !may {
        eprintln!("skipped: the supervisor under sudo, as `sudo -n -u nobody true` is refused");
    }
    may
}

impl Way {
    /// This shell, with this PATH where there is one.
    pub(super) fn of(name: String, shell: &[&'static str], path: Option<&Path>) -> Self {
        Self {
            name,
            shell: shell.to_vec(),
            sudo: false,
            path: path.map(Path::to_owned),
            _applets: None,
        }
    }

    pub(super) fn supervisor(&self) -> Command {
        let argv = local_argv(self.sudo.then_some("nobody"));
        let at = argv.iter().position(|word| *word == "sh").unwrap();
        let mut words: Vec<&str> = argv[..at].to_vec();
        words.extend(&self.shell);
        words.extend(&argv[at + 1..]);
        // An sshd has its signals at their defaults; what starts these tests in the background ignores some.
        let mut command = Command::new(which("env"));
        command.arg("--default-signal=HUP,INT,QUIT");
        command.arg(which(words[0])).args(&words[1..]);
        if let Some(path) = &self.path {
            command.env("PATH", path);
        }
        command
    }

    pub(super) async fn run(&self, command: &RemoteCommand) -> (ExecReport, Collected) {
        self.run_until(command, Collected::default()).await
    }

    /// Runs it; stopped when the awaited text appears.
    pub(super) async fn run_until(
        &self,
        command: &RemoteCommand,
        mut output: Collected,
    ) -> (ExecReport, Collected) {
        let stop = CancellationToken::new();
        if let Some((_, token)) = &mut output.awaited {
            *token = stop.clone();
        }
        let report = exec_under(self.supervisor(), command, &mut output, &stop).await;
        (report, output)
    }
}

pub(super) fn which(name: &str) -> PathBuf {
    ["/usr/bin", "/bin", "/usr/sbin"]
        .iter()
        .map(|folder| Path::new(folder).join(name))
        .find(|path| path.exists())
        .unwrap_or_else(|| panic!("install {name}: apt-get install dash busybox sudo"))
}

pub(super) fn shell(text: &str) -> RemoteCommand {
    RemoteCommand::new(Program::Shell {
        shell: ["sh", "-euc"].map(str::to_owned).to_vec(),
        text: text.to_owned(),
    })
}

pub(super) fn argv(words: &[&str]) -> RemoteCommand {
    RemoteCommand::new(Program::Argv(
        words.iter().map(|word| (*word).to_owned()).collect(),
    ))
}

pub(super) fn awaiting(text: &'static str) -> Collected {
    Collected {
        awaited: Some((text, CancellationToken::new())),
        ..Collected::default()
    }
}

/// Whether some process's command line or environment holds the text.
pub(super) fn processes_with(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).into_owned();
        if line.contains(text) {
            found.push(line);
        }
    }
    found
}

/// Waits until no process holds the text, for 15 s at most.
pub(super) async fn gone(text: &str) -> bool {
    for _ in 0..150 {
        if processes_with(text).is_empty() {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    false
}
