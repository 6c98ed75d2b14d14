//! How a program under the supervisor ends: by itself, stopped, silent, with a daemon left behind. Nothing of
//! it and nothing of the supervisor stays.

use std::fs;
use std::path::Path;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::super::local::exec_under;
use super::super::*;
use super::ways::*;
use crate::model::Secret;

#[tokio::test]
async fn a_daemon_that_holds_the_output_is_left_alone_and_reported() {
    let every = ways();
    let checks = every.iter().enumerate().map(|(index, way)| async move {
        let seconds = format!("30.{}{index}", std::process::id());
        let text = format!("setsid sleep {seconds} & echo started");
        let (report, output) = way.run(&shell(&text)).await;
        assert_eq!(report.exit, Exit::Code(0), "{}", way.name);
        assert!(report.left_running, "{}", way.name);
        assert_eq!(output.out(), "started\n", "{}", way.name);
        assert_eq!(processes_with(&seconds).len(), 1, "{}", way.name);
        end_processes_with(&seconds);
    });
    futures_util::future::join_all(checks).await;
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
    let every = ways();
    let checks = every.iter().enumerate().map(|(index, way)| async move {
        let seconds = format!("34.{}{index}", std::process::id());
        let text = format!("sleep {seconds} & sleep 1.5; echo up; wait");
        let (report, _) = way.run_until(&shell(&text), awaiting("up")).await;
        assert!(report.group_ended, "{}: {report:?}", way.name);
        assert!(gone(&seconds).await, "{}", way.name);
    });
    futures_util::future::join_all(checks).await;
}

#[tokio::test]
async fn nothing_of_a_counting_supervisor_stays() {
    let every = ways();
    let checks = every.iter().enumerate().map(|(index, way)| async move {
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
    });
    futures_util::future::join_all(checks).await;
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

/// Job control gives every job a group of its own; the session is still the program's.
#[tokio::test]
async fn stopping_ends_groups_of_the_same_session_too() {
    let every = ways();
    let checks = every.iter().enumerate().map(|(index, way)| async move {
        let seconds = format!("35.{}{index}", std::process::id());
        let text = format!("set -m; sleep {seconds} & set +m; echo up; wait");
        let command =
            RemoteCommand::new(Program::Argv(vec!["/bin/bash".into(), "-c".into(), text]));
        let (report, _) = way.run_until(&command, awaiting("up")).await;
        if way.name != "bash with an old env" {
            // There the group is bash's, and no session holds it together.
            assert!(report.group_ended, "{}: {report:?}", way.name);
            assert!(gone(&seconds).await, "{}", way.name);
        }
        end_processes_with(&seconds);
    });
    futures_util::future::join_all(checks).await;
}

#[tokio::test]
async fn what_ignores_term_gets_kill() {
    let every = ways();
    let checks = every.iter().enumerate().map(|(index, way)| async move {
        let seconds = format!("32.{}{index}", std::process::id());
        let text = format!("trap '' TERM; sleep {seconds} & echo up; while :; do wait; done");
        let mut command = shell(&text);
        command.grace = Duration::from_millis(300);
        let (report, _) = way.run_until(&command, awaiting("up")).await;
        assert!(report.group_ended, "{}: {report:?}", way.name);
        assert_eq!(report.exit, Exit::Code(137), "{}", way.name);
        assert!(gone(&seconds).await, "{}", way.name);
    });
    futures_util::future::join_all(checks).await;
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

/// A network that is gone: the streams stay open and nothing moves. Nobody but the supervisor can end this.
#[tokio::test]
async fn silence_ends_the_program() {
    use tokio::io::AsyncWriteExt;
    let every = ways();
    let checks = every.iter().enumerate().map(|(index, way)| async move {
        let seconds = format!("33.{}{index}", std::process::id());
        let command = shell(&format!("sleep {seconds} & wait"));
        let whole =
            super::super::preamble::compose(&command, &super::super::marker::Nonce::random())
                .unwrap();
        let whole = String::from_utf8(whole).unwrap();
        let mut child = way
            .supervisor()
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let whole = whole.replace("fab_silence=60", "fab_silence=04");
        stdin.write_all(whole.as_bytes()).await.unwrap();
        for _ in 0..10 {
            stdin.write_all(b"\n").await.unwrap();
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        assert!(!processes_with(&seconds).is_empty(), "{}", way.name);
        assert!(
            gone(&seconds).await,
            "{}: {:?}",
            way.name,
            processes_with(&seconds)
        );
        drop(stdin);
    });
    futures_util::future::join_all(checks).await;
}
