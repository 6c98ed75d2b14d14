//! The supervisor against real shells: dash, bash and busybox, with and without sudo. A shell that is not
//! installed is a failure, not a skip: `apt-get install dash busybox sudo`.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use tokio::process::Command;
use tokio_util::sync::CancellationToken;

use super::local::exec_under;
use super::preamble::local_argv;
use super::*;
use crate::model::Secret;

/// Collects output; tells when a text has appeared on stdout.
#[derive(Default)]
struct Collected {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    /// Cancelled when stdout holds the text.
    awaited: Option<(&'static str, CancellationToken)>,
    /// Bytes counted, not kept.
    count_only: bool,
    count: u64,
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
    fn out(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    fn err(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }
}

/// One way to run the supervisor.
struct Way {
    name: &'static str,
    /// Replaces `sh`.
    shell: Vec<&'static str>,
    sudo: bool,
    /// The only folder of PATH.
    path: Option<PathBuf>,
    _applets: Option<Arc<tempfile::TempDir>>,
}

/// A PATH with nothing but busybox.
fn applets() -> Arc<tempfile::TempDir> {
    let folder = tempfile::tempdir().unwrap();
    let busybox = Path::new("/usr/bin/busybox");
    let busybox = if busybox.exists() {
        busybox
    } else {
        Path::new("/bin/busybox")
    };
    for name in [
        "sh", "dd", "setsid", "env", "mktemp", "rm", "sleep", "timeout", "cat", "chmod", "kill",
        "printf", "head", "ps", "id", "touch", "true", "seq", "yes",
    ] {
        std::os::unix::fs::symlink(busybox, folder.path().join(name)).unwrap();
    }
    Arc::new(folder)
}

fn ways() -> Vec<Way> {
    let applets = applets();
    let way = |name, shell: &[&'static str], sudo| Way {
        name,
        shell: shell.to_vec(),
        sudo,
        path: None,
        _applets: None,
    };
    vec![
        way("dash", &["dash"], false),
        way("bash", &["bash"], false),
        way("bash as sh", &["bash", "--posix"], false),
        Way {
            name: "busybox",
            shell: vec!["busybox", "sh"],
            sudo: false,
            path: Some(applets.path().to_owned()),
            _applets: Some(Arc::clone(&applets)),
        },
        // Such as Amazon Linux 2.
        Way {
            name: "bash with an old env",
            shell: vec!["bash"],
            sudo: false,
            path: Some(applets.path().to_owned()),
            _applets: Some(applets),
        },
        way("dash under sudo", &["dash"], true),
    ]
}

impl Way {
    fn supervisor(&self) -> Command {
        let argv = local_argv(self.sudo.then_some("nobody"));
        let at = argv.iter().position(|word| *word == "sh").unwrap();
        let mut words: Vec<&str> = argv[..at].to_vec();
        words.extend(&self.shell);
        words.extend(&argv[at + 1..]);
        let mut command = Command::new(which(words[0]));
        command.args(&words[1..]);
        if let Some(path) = &self.path {
            command.env("PATH", path);
        }
        command
    }

    async fn run(&self, command: &RemoteCommand) -> (ExecReport, Collected) {
        self.run_until(command, Collected::default()).await
    }

    /// Runs it; stopped when the awaited text appears.
    async fn run_until(
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

fn which(name: &str) -> PathBuf {
    ["/usr/bin", "/bin", "/usr/sbin"]
        .iter()
        .map(|folder| Path::new(folder).join(name))
        .find(|path| path.exists())
        .unwrap_or_else(|| panic!("install {name}: apt-get install dash busybox sudo"))
}

fn shell(text: &str) -> RemoteCommand {
    RemoteCommand::new(Program::Shell {
        shell: ["sh", "-euc"].map(str::to_owned).to_vec(),
        text: text.to_owned(),
    })
}

fn argv(words: &[&str]) -> RemoteCommand {
    RemoteCommand::new(Program::Argv(
        words.iter().map(|word| (*word).to_owned()).collect(),
    ))
}

fn awaiting(text: &'static str) -> Collected {
    Collected {
        awaited: Some((text, CancellationToken::new())),
        ..Collected::default()
    }
}

/// Whether some process's command line or environment holds the text.
fn processes_with(text: &str) -> Vec<String> {
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

/// Waits until no process holds the text, for 5 s at most.
async fn gone(text: &str) -> bool {
    for _ in 0..50 {
        if processes_with(text).is_empty() {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    false
}

#[tokio::test]
async fn output_and_exit_codes_come_through_unchanged() {
    for way in ways() {
        for code in [0_u8, 1, 7, 126, 127, 255] {
            let text = format!("echo out; echo err >&2; printf 'no newline'; exit {code}");
            let (report, output) = way.run(&shell(&text)).await;
            assert_eq!(report.exit, Exit::Code(code), "{}: {report:?}", way.name);
            assert!(report.started && !report.left_running, "{}", way.name);
            assert_eq!(output.out(), "out\nno newline", "{}", way.name);
            assert_eq!(output.err(), "err\n", "{}", way.name);
            assert_eq!(report.notes, Vec::<String>::new(), "{}", way.name);
        }
    }
}

#[tokio::test]
async fn a_signal_is_128_and_its_number() {
    for way in ways() {
        for (signal, code) in [("TERM", 143), ("KILL", 137), ("INT", 130), ("SEGV", 139)] {
            if (way.name, signal) == ("busybox", "INT") {
                // Ignored there: nothing but a shell, and its env cannot reset signals.
                continue;
            }
            let (report, output) = way.run(&shell(&format!("kill -{signal} $$"))).await;
            assert_eq!(report.exit, Exit::Code(code), "{} {signal}", way.name);
            assert_eq!(output.err(), "", "{} {signal}", way.name);
        }
    }
}

#[tokio::test]
async fn environment_folder_and_stdin_reach_the_program() {
    for way in ways() {
        let mut command = shell("pwd; printf '%s|' \"$A\" \"$B\"; cat");
        command.env = vec![
            ("A".into(), "it's $HOME `x` \\ \"q\"\nline".into()),
            ("B".into(), String::new()),
        ];
        command.cwd = Some("/usr".into());
        command.stdin = Some(b"in\0put".to_vec());
        let (report, output) = way.run(&command).await;
        assert_eq!(report.exit, Exit::Code(0), "{}: {}", way.name, output.err());
        assert_eq!(
            output.out(),
            "/usr\nit's $HOME `x` \\ \"q\"\nline||in\0put",
            "{}",
            way.name
        );
        command.cwd = Some("/nowhere".into());
        let (report, output) = way.run(&command).await;
        assert_eq!(report.exit, Exit::Code(126), "{}", way.name);
        assert!(
            output.err().contains("/nowhere"),
            "{}: {}",
            way.name,
            output.err()
        );
    }
}

#[tokio::test]
async fn without_stdin_a_program_reads_the_end() {
    for way in ways() {
        let (report, output) = way.run(&argv(&["cat"])).await;
        assert_eq!(
            (report.exit, output.out()),
            (Exit::Code(0), String::new()),
            "{}",
            way.name
        );
    }
}

#[tokio::test]
async fn what_comes_before_shares_the_environment() {
    for way in ways() {
        let mut commands = [shell("echo $V"), argv(&["sh", "-c", "echo $V"])];
        for command in &mut commands {
            command.before = Some("V=from-before; export V".into());
            let (report, output) = way.run(command).await;
            assert_eq!(report.exit, Exit::Code(0), "{}", way.name);
            assert_eq!(output.out(), "from-before\n", "{}", way.name);
            command.before = Some("false".into());
            let (report, output) = way.run(command).await;
            assert_eq!(
                (report.exit, output.out()),
                (Exit::Code(1), String::new()),
                "{}",
                way.name
            );
        }
    }
}

#[tokio::test]
async fn a_script_is_a_file_of_its_own_and_is_removed() {
    for way in ways() {
        let command = RemoteCommand::new(Program::Script {
            interpreter: Vec::new(),
            text:
                b"#!/bin/sh -u\nprintf '%s\\n' \"$0\" \"$@\"\nls -l \"$0\" | cut -c1-10\nexit 3\n"
                    .to_vec(),
            args: vec!["a b".into(), "$(x)".into()],
        });
        let mut command = command;
        command.env = vec![("PATH".into(), "/usr/bin:/bin".into())];
        let (report, output) = way.run(&command).await;
        assert_eq!(report.exit, Exit::Code(3), "{}: {}", way.name, output.err());
        let lines: Vec<String> = output.out().lines().map(str::to_owned).collect();
        assert_eq!(lines[1..], ["a b", "$(x)", "-rwx------"], "{}", way.name);
        assert!(!Path::new(&lines[0]).exists(), "{}: {}", way.name, lines[0]);
    }
}

#[tokio::test]
async fn a_text_longer_than_a_word_may_be_runs_too() {
    for way in ways() {
        let text = format!(": '{}'\necho done; exit 9", "x".repeat(300_000));
        let (report, output) = way.run(&shell(&text)).await;
        assert_eq!(report.exit, Exit::Code(9), "{}: {}", way.name, output.err());
        assert_eq!(output.out(), "done\n", "{}", way.name);
    }
}

#[tokio::test]
async fn binary_output_and_a_lot_of_it_come_through() {
    for way in ways() {
        let (_, output) = way
            .run(&shell("printf '\\000\\036\\377\\036abc\\001'"))
            .await;
        assert_eq!(output.stdout, b"\0\x1e\xff\x1eabc\x01", "{}", way.name);
        let counting = Collected {
            count_only: true,
            ..Collected::default()
        };
        let command = argv(&["head", "-c", "100000000", "/dev/zero"]);
        let (report, output) = way.run_until(&command, counting).await;
        assert_eq!(
            (report.exit, output.count),
            (Exit::Code(0), 100_000_000),
            "{}",
            way.name
        );
    }
}

#[tokio::test]
async fn a_daemon_that_holds_the_output_is_left_alone_and_reported() {
    for (index, way) in ways().iter().enumerate() {
        let seconds = format!("30.{}{index}", std::process::id());
        let text = format!("setsid sleep {seconds} & echo started");
        let (report, output) = way.run(&shell(&text)).await;
        assert_eq!(report.exit, Exit::Code(0), "{}", way.name);
        assert!(report.left_running, "{}", way.name);
        assert_eq!(output.out(), "started\n", "{}", way.name);
        assert_eq!(processes_with(&seconds).len(), 1, "{}", way.name);
        end_processes_with(&seconds);
    }
}

fn end_processes_with(text: &str) {
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let pid = entry.file_name().to_string_lossy().parse().ok();
        if String::from_utf8_lossy(&line).contains(text)
            && let Some(pid) = pid.and_then(rustix::process::Pid::from_raw)
        {
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        }
    }
}

#[tokio::test]
async fn stopping_a_counted_program_leaves_nothing() {
    for (index, way) in ways().iter().enumerate() {
        let seconds = format!("34.{}{index}", std::process::id());
        let text = format!("sleep {seconds} & sleep 1.5; echo up; wait");
        let (report, _) = way.run_until(&shell(&text), awaiting("up")).await;
        assert!(report.group_ended, "{}: {report:?}", way.name);
        assert!(gone(&seconds).await, "{}", way.name);
    }
}

#[tokio::test]
async fn nothing_of_a_counting_supervisor_stays() {
    for (index, way) in ways().iter().enumerate() {
        let mark = format!("counting{}x{index}", std::process::id());
        let mut supervisor = way.supervisor();
        supervisor.env("FAB_TEST_MARK", &mark);
        let stop = CancellationToken::new();
        let mut output = Collected::default();
        let report = exec_under(supervisor, &shell("sleep 1.3"), &mut output, &stop).await;
        assert_eq!(report.exit, Exit::Code(0), "{}", way.name);
        let left = || environments_with(&mark);
        for _ in 0..20 {
            if left() == 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(left(), 0, "{}", way.name);
    }
}

/// How many processes have the text in their environment.
fn environments_with(text: &str) -> usize {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries
        .filter(|entry| {
            let environment = fs::read(entry.path().join("environ")).unwrap_or_default();
            String::from_utf8_lossy(&environment).contains(text)
        })
        .count()
}

#[tokio::test]
async fn stopping_ends_the_whole_group_and_proves_it() {
    for (index, way) in ways().iter().enumerate() {
        let seconds = format!("31.{}{index}", std::process::id());
        let text = format!("sleep {seconds} & (sleep {seconds} & wait) & echo up; wait");
        let (report, output) = way.run_until(&shell(&text), awaiting("up")).await;
        assert!(report.group_ended, "{}: {report:?}", way.name);
        assert_eq!(report.exit, Exit::Code(143), "{}", way.name);
        assert_eq!(output.err(), "", "{}", way.name);
        assert!(
            gone(&seconds).await,
            "{}: {:?}",
            way.name,
            processes_with(&seconds)
        );
    }
}

#[tokio::test]
async fn what_ignores_term_gets_kill() {
    for (index, way) in ways().iter().enumerate() {
        let seconds = format!("32.{}{index}", std::process::id());
        let text = format!("trap '' TERM; sleep {seconds} & echo up; while :; do wait; done");
        let mut command = shell(&text);
        command.grace = Duration::from_millis(300);
        let (report, _) = way.run_until(&command, awaiting("up")).await;
        assert!(report.group_ended, "{}: {report:?}", way.name);
        assert_eq!(report.exit, Exit::Code(137), "{}", way.name);
        assert!(gone(&seconds).await, "{}", way.name);
    }
}

#[tokio::test]
async fn nothing_of_the_supervisor_stays() {
    for (index, way) in ways().iter().enumerate() {
        let mark = format!("mark{}x{index}", std::process::id());
        let mut supervisor = way.supervisor();
        supervisor.arg(&mark);
        let stop = CancellationToken::new();
        let mut output = Collected::default();
        let report = exec_under(supervisor, &shell("echo hi"), &mut output, &stop).await;
        assert_eq!(report.exit, Exit::Code(0), "{}", way.name);
        assert!(
            gone(&mark).await,
            "{}: {:?}",
            way.name,
            processes_with(&mark)
        );
    }
}

#[tokio::test]
async fn a_secret_is_a_private_file_and_in_no_command_line() {
    for way in ways() {
        let value = format!("secret-{}-value\nline two\n", std::process::id());
        let mut command = shell(
            "stat -c %a \"$FAB_SECRET_TOKEN_FILE\"; cat \"$FAB_SECRET_TOKEN_FILE\"; \
             echo \"$FAB_SECRET_TOKEN_FILE\"; grep -lsa \"$PATTERN\" /proc/[0-9]*/cmdline /proc/[0-9]*/environ || echo none",
        );
        command.secrets = vec![("TOKEN".into(), Secret::new(value.as_str()))];
        command.env = vec![
            (
                "PATTERN".into(),
                format!("secret-{}[-]value", std::process::id()),
            ),
            ("PATH".into(), "/usr/bin:/bin".into()),
        ];
        let (report, output) = way.run(&command).await;
        assert_eq!(report.exit, Exit::Code(0), "{}: {}", way.name, output.err());
        let out = output.out();
        let rest = out.strip_prefix("600\n").unwrap();
        let rest = rest.strip_prefix(value.as_str()).unwrap();
        let lines: Vec<&str> = rest.lines().collect();
        assert_eq!(lines[1..], ["none"], "{}", way.name);
        assert!(!Path::new(lines[0]).exists(), "{}: {}", way.name, lines[0]);
    }
}

#[tokio::test]
async fn a_secret_is_removed_when_the_command_is_stopped() {
    for way in ways() {
        let mut command = shell("echo \"$FAB_SECRET_TOKEN_FILE\"; echo up; sleep 60");
        command.secrets = vec![("TOKEN".into(), Secret::new("hunter22"))];
        let (report, output) = way.run_until(&command, awaiting("up")).await;
        assert!(report.group_ended, "{}", way.name);
        let out = output.out();
        let file = Path::new(out.lines().next().unwrap());
        assert!(
            !file.exists() && !file.parent().unwrap().exists(),
            "{}",
            way.name
        );
    }
}

#[tokio::test]
async fn signals_are_at_their_defaults_where_that_can_be_done() {
    for way in ways().iter().filter(|way| way.name != "busybox") {
        let (_, output) = way
            .run(&argv(&[
                "/bin/grep",
                "-E",
                "SigIgn|SigBlk",
                "/proc/self/status",
            ]))
            .await;
        assert_eq!(
            output.out().lines().count(),
            2,
            "{}: {}",
            way.name,
            output.err()
        );
        for line in output.out().lines() {
            let mask = line.split_whitespace().nth(1).unwrap();
            let mask = u64::from_str_radix(mask, 16).unwrap();
            // INT and QUIT, which shells ignore for what they start in the background.
            assert_eq!(mask & 0b110, 0, "{}: {line}", way.name);
        }
    }
}

#[tokio::test]
async fn a_sender_that_dies_in_the_preamble_runs_nothing() {
    use tokio::io::AsyncWriteExt;
    for way in ways() {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(
            folder.path(),
            std::os::unix::fs::PermissionsExt::from_mode(0o777),
        )
        .unwrap();
        let file = folder.path().join("ran");
        let mut command = shell(&format!("touch {}", file.display()));
        command.secrets = vec![("TOKEN".into(), Secret::new("hunter22"))];
        let whole = super::preamble::compose(&command, &super::marker::Nonce::random()).unwrap();
        for cut in [1, 5, 33, 36, 60, whole.len() / 2, whole.len() - 20] {
            let mut child = way
                .supervisor()
                .stdin(std::process::Stdio::piped())
                .stdout(std::process::Stdio::null())
                .stderr(std::process::Stdio::null())
                .spawn()
                .unwrap();
            let mut stdin = child.stdin.take().unwrap();
            stdin.write_all(&whole[..whole.len() - cut]).await.unwrap();
            drop(stdin);
            child.wait().await.unwrap();
            assert!(!file.exists(), "{} without the last {cut} bytes", way.name);
        }
    }
}

/// A network that is gone: the streams stay open and nothing moves. Nobody but the supervisor can end this.
#[tokio::test]
async fn silence_ends_the_program() {
    use tokio::io::AsyncWriteExt;
    for (index, way) in ways().iter().enumerate() {
        let seconds = format!("33.{}{index}", std::process::id());
        let command = shell(&format!("sleep {seconds} & wait"));
        let whole = super::preamble::compose(&command, &super::marker::Nonce::random()).unwrap();
        let whole = String::from_utf8(whole).unwrap();
        let mut child = way
            .supervisor()
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let whole = whole.replace("fab_silence=60", "fab_silence=02");
        stdin.write_all(whole.as_bytes()).await.unwrap();
        stdin.write_all(b"\n").await.unwrap();
        tokio::time::sleep(Duration::from_millis(1500)).await;
        assert!(!processes_with(&seconds).is_empty(), "{}", way.name);
        stdin.write_all(b"\n").await.unwrap();
        tokio::time::sleep(Duration::from_millis(1500)).await;
        assert!(!processes_with(&seconds).is_empty(), "{}", way.name);
        assert!(
            gone(&seconds).await,
            "{}: {:?}",
            way.name,
            processes_with(&seconds)
        );
        drop(stdin);
    }
}

#[tokio::test]
async fn sudo_that_refuses_is_told_from_the_command() {
    let way = ways().pop().unwrap();
    let mut supervisor = Command::new("sudo");
    supervisor.args(["-n", "-u", "no-such-user", "--", "sh", "-c", ":"]);
    let mut command = shell("echo never");
    command.sudo = Sudo::User("no-such-user".into());
    let stop = CancellationToken::new();
    let mut output = Collected::default();
    let report = exec_under(supervisor, &command, &mut output, &stop).await;
    assert_eq!(report.exit, Exit::Code(1));
    assert!(!report.started);
    assert_eq!(
        report.sudo_refused.as_deref(),
        Some("sudo knows no user `no-such-user` there"),
        "{}",
        way.name
    );
    assert_eq!(output.out() + &output.err(), "");
}

#[tokio::test]
async fn what_cannot_be_sent_is_not_sent() {
    let mut output = Collected::default();
    let stop = CancellationToken::new();
    let report = Local
        .exec(&argv(&["echo", "a\0b"]), &mut output, &stop)
        .await;
    assert_eq!((report.exit, report.started), (Exit::Code(126), false));
    assert_eq!(
        report.notes,
        ["the command was not sent: the command holds a NUL byte"]
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn hostile_words_come_back_unchanged(
        words in prop::collection::vec("[^\0]{0,12}", 1..5),
        variable in "[^\0]{0,20}",
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        for way in ways() {
            let mut all = vec!["printf", "%s\\n.\\n"];
            all.extend(words.iter().map(String::as_str));
            let mut command = argv(&all);
            let (_, output) = runtime.block_on(way.run(&command));
            let expected: String = words.iter().map(|word| format!("{word}\n.\n")).collect();
            prop_assert_eq!(output.out(), expected, "{}", way.name);
            command = argv(&["sh", "-c", "printf %s \"$V\""]);
            command.env = vec![("V".into(), variable.clone())];
            let (_, output) = runtime.block_on(way.run(&command));
            prop_assert_eq!(&output.out(), &variable, "{}", way.name);
        }
    }
}
