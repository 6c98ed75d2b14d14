//! What a program under the supervisor gets and gives: output, codes, environment, secrets, hostile words.

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use tokio::process::Command;
use tokio_util::sync::CancellationToken;

use super::super::local::exec_under;
use super::super::*;
use super::ways::*;
use crate::model::Secret;

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
            if (way.name.as_str(), signal) == ("busybox", "INT") {
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
        let whole =
            super::super::preamble::compose(&command, &super::super::marker::Nonce::random())
                .unwrap();
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
            let expected = words.join("\n.\n") + "\n.\n";
            prop_assert_eq!(output.out(), expected, "{}", way.name);
            command = argv(&["sh", "-c", "printf %s \"$V\""]);
            command.env = vec![("V".into(), variable.clone())];
            let (_, output) = runtime.block_on(way.run(&command));
            prop_assert_eq!(&output.out(), &variable, "{}", way.name);
        }
    }
}
