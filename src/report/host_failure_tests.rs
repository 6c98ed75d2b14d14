//! How a failed host is told, in every way to fail.

use super::*;

fn full(who: &str, outcome: &HostOutcome, ms: u64, tail: &[&str]) -> String {
    let tail: Vec<String> = tail.iter().map(|line| (*line).to_owned()).collect();
    let ending = Ending {
        who,
        outcome,
        duration: Some(Duration::from_millis(ms)),
        tail: &tail,
        tail_of: None,
        same_hints: true,
        reach: &Reach::default(),
    };
    in_full(&ending, Styles::plain())
}

fn unreachable(kind: UnreachableKind, causes: &[&str]) -> HostOutcome {
    HostOutcome::Unreachable {
        kind,
        causes: causes.iter().map(|cause| (*cause).to_owned()).collect(),
        hints: Vec::new(),
    }
}

#[test]
fn what_ssh_says_to_do_is_printed_where_it_holds_for_every_host() {
    let outcome = |kind| HostOutcome::Unreachable {
        kind,
        causes: vec!["words".into()],
        hints: vec![
            "`ssh-keygen -R 10.0.0.1`".into(),
            "`fab-rs doctor HOST` too".into(),
        ],
    };
    let changed = outcome(UnreachableKind::HostKeyChanged);
    let refused = outcome(UnreachableKind::Refused);
    let said = |who: &str, outcome: &HostOutcome, same_hints: bool| {
        let ending = Ending {
            who,
            outcome,
            duration: None,
            tail: &[],
            tail_of: None,
            same_hints,
            reach: &Reach::default(),
        };
        in_full(&ending, Styles::plain())
    };
    let texts = [
        said("web-1", &changed, true),
        said("web-[1-2] (2)", &changed, false),
        said("web-1", &refused, true),
    ];
    insta::assert_snapshot!(texts.concat(), @r"
    web-1  unreachable: words
            hint: `ssh-keygen -R 10.0.0.1`
            hint: `fab-rs doctor web-1` too
    web-[1-2] (2)  unreachable: words
            hint: compare the new key with the host's console, then remove the old one with `ssh-keygen -R`
            hint: each host's own hint is in its log (`fab-rs logs RUN HOST`) and in summary.json
    web-1  unreachable: words
            hint: `ssh-keygen -R 10.0.0.1`
            hint: `fab-rs doctor web-1` too
    ");
}

fn failed(cause: &str, exit_code: Option<u8>) -> HostOutcome {
    HostOutcome::Failed {
        step: "migrate".into(),
        exit_code,
        cause: cause.to_owned(),
    }
}

#[test]
fn hosts_that_were_at_work_say_at_which_step() {
    let log = [
        "connecting to db-1",
        "relation \"users\" already exists",
        "migration 0042 aborted",
    ];
    let timed_out = HostOutcome::TimedOut {
        step: "dump".into(),
        limit_ms: 900_000,
        ended: false,
    };
    let lost = HostOutcome::Unknown {
        step: "migrate".into(),
        doubt: crate::model::Doubt::Lost,
    };
    let cancelled = HostOutcome::Cancelled {
        reason: CancelReason::Interrupt,
        step: Some("dump".into()),
        ended: true,
    };
    let failed = failed("exit 1", Some(1));
    let texts = [
        full("web-a2", &failed, 4200, &log),
        full("web-a3", &failed, 4200, &["\u{1b}[31maborted"]),
        full("web-a4", &lost, 4200, &[]),
        full("web-a5", &timed_out, 900_100, &[]),
        full("web-a6", &cancelled, 10, &["x"]),
    ];
    insta::assert_snapshot!(texts.concat(), @r#"
    web-a2  failed at step `migrate`: exit 1 after 4.2 s, last 3 lines:
              | connecting to db-1
              | relation "users" already exists
              | migration 0042 aborted
    web-a3  failed at step `migrate`: exit 1 after 4.2 s, last line:
              | aborted
    web-a4  connection lost during step `migrate`; whether it finished is not known
    web-a5  timed out at step `dump`: limit 15 m; it may still be running
    web-a6  cancelled at step `dump`: stopped by Ctrl-C
    "#);
}

#[test]
fn hosts_that_were_not_at_work_say_why() {
    let refused = unreachable(
        UnreachableKind::Refused,
        &["connection refused by 10.0.2.13 port 22"],
    );
    let changed = unreachable(
        UnreachableKind::HostKeyChanged,
        &["host key changed", "the key sent is SHA256:abc"],
    );
    let not_run = HostOutcome::NotRun {
        reason: "the rollout stopped".into(),
    };
    let unhealthy = HostOutcome::Unhealthy {
        check: "http".into(),
        cause: "status 503".into(),
    };
    let texts = [
        full("web-b3", &refused, 10_000, &[]),
        full("web-c1", &changed, 300, &[]),
        full("web-a7", &not_run, 0, &[]),
        full("web-a8", &HostOutcome::Gone, 0, &[]),
        full("web-a9", &unhealthy, 5000, &[]),
    ];
    insta::assert_snapshot!(texts.concat(), @r"
    web-b3  unreachable after 10 s: connection refused by 10.0.2.13 port 22
            hint: is sshd running there, and on this port? `fab-rs doctor web-b3` looks closer
    web-c1  unreachable: host key changed
            caused by: the key sent is SHA256:abc
            hint: compare the new key with the host's console, then remove the old one with `ssh-keygen -R`
    web-a7  not started: the rollout stopped
    web-a8  gone: the instance no longer exists
    web-a9  unhealthy: check `http` did not pass after 5.0 s: status 503
    ");
}

#[test]
fn a_long_step_is_named_by_its_beginning() {
    assert_eq!(short("dump"), "dump");
    assert_eq!(short("one\ntwo"), "one…");
    assert_eq!(short(&"x".repeat(100)).chars().count(), STEP_WIDTH);
}

#[test]
fn a_cause_and_its_exit_code_are_said_once() {
    let said = |outcome: &HostOutcome| sentence(outcome, None).1;
    assert_eq!(
        said(&failed("exit 3", Some(3))),
        " at step `migrate`: exit 3"
    );
    assert_eq!(
        said(&failed("exit status 3", Some(3))),
        " at step `migrate`: exit 3"
    );
    assert_eq!(
        said(&failed("exit 137", Some(137))),
        " at step `migrate`: exit 137 (SIGKILL)"
    );
    assert_eq!(said(&failed("", Some(3))), " at step `migrate`: exit 3");
    assert_eq!(
        said(&failed("no room", Some(3))),
        " at step `migrate`: no room (exit 3)"
    );
    assert_eq!(
        said(&failed("no room", None)),
        " at step `migrate`: no room"
    );
}

#[test]
fn a_password_that_sudo_wants_has_a_flag() {
    let cause = "sudo refused: sudo asks for a password to become `root`";
    let wanted = failure_hint(cause).unwrap();
    assert!(wanted.starts_with("`--ask-sudo` asks"), "{wanted}");
    let other = "sudo refused: there is no `sudo` on the host";
    assert_eq!(failure_hint(other), None);
}
