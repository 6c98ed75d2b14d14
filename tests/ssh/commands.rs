//! What commands on real hosts give: output, codes, sudo, refusals.

use std::sync::Arc;

use fab_rs::model::Secret;
use fab_rs::transport::{ExecReport, Exit, Session, SshTransport, Sudo, Transport};
use tokio_util::sync::CancellationToken;

use crate::ground::*;
use crate::transfers::round_trip;

pub(crate) async fn commands_come_through_unchanged(ground: Arc<Ground>) {
    let transport = ground.transport();
    let session = ground.session(&transport, "plain").await;
    for code in [0_u8, 1, 7, 127, 255] {
        let text = format!("echo out; echo err >&2; printf end; exit {code}");
        let (report, out, err) = exec(&session, &shell(&text)).await;
        assert_eq!(report.exit, Exit::Code(code));
        assert!(report.started && !report.left_running);
        assert_eq!((out.as_str(), err.as_str()), ("out\nend", "err\n"));
    }
    let (report, ..) = exec(&session, &shell("kill -KILL $$")).await;
    assert_eq!(report.exit, Exit::Code(137));
    let mut command = shell("printf %s \"$V\"; wc -c; cat \"$FAB_SECRET_S_FILE\"");
    command.env = vec![("V".into(), "$(touch /tmp/pwned); x'y\"z\n".into())];
    command.stdin = Some(vec![0; 1 << 20]);
    command.secrets = vec![("S".into(), Secret::new("hunter22"))];
    let (report, out, err) = exec(&session, &command).await;
    assert_eq!(report.exit, Exit::Code(0), "{err}");
    assert_eq!(out, "$(touch /tmp/pwned); x'y\"z\n1048576\nhunter22");
    let side_by_side = (0..20).map(|index| {
        let session = &session;
        async move { exec(session, &shell(&format!("echo {index}; exit {index}"))).await }
    });
    let ends = futures_util::future::join_all(side_by_side).await;
    for (index, (report, out, _)) in (0_u8..).zip(ends) {
        assert_eq!(
            (report.exit, out),
            (Exit::Code(index), format!("{index}\n"))
        );
    }
    assert!(session.alive().await);
    session.close().await;
    transport.shutdown().await;
}

pub(crate) async fn a_noisy_login_shell_does_not_show(ground: Arc<Ground>) {
    let transport = ground.transport();
    let session = ground.session(&transport, "bash").await;
    let (report, out, err) = exec(&session, &shell("echo {}")).await;
    assert_eq!(
        (report.exit, out.as_str(), err.as_str()),
        (Exit::Code(0), "{}\n", "")
    );
    session.close().await;
    transport.shutdown().await;
}

pub(crate) async fn a_bare_busybox_is_enough(ground: Arc<Ground>) {
    let transport = ground.transport();
    let session = ground.session(&transport, "tiny").await;
    let mut command = shell("cat; exit 5");
    command.stdin = Some(b"in".to_vec());
    let (report, out, _) = exec(&session, &command).await;
    assert_eq!((report.exit, out.as_str()), (Exit::Code(5), "in"));
    let report = stopped_at(&session, &shell("echo up; exec sleep 4242"), "up").await;
    // Without setsid the group is the supervisor's own: its end cannot be proved.
    assert!(!report.group_ended, "{report:?}");
    let host = ground.fleet.host("tiny");
    assert!(eventually(|| host.processes_like("sleep 4242").is_empty()).await);
    session.close().await;
    transport.shutdown().await;
}

pub(crate) async fn a_forced_command_is_not_ours(ground: Arc<Ground>) {
    let transport = ground.transport();
    for (name, code) in [("forced", 3), ("forced-ok", 126)] {
        let session = ground.session(&transport, name).await;
        let (report, out, err) = exec(&session, &shell("echo ours")).await;
        assert_eq!(
            (report.exit, report.started),
            (Exit::Code(code), false),
            "{name}"
        );
        assert!(
            report.notes[0].contains("before the command started"),
            "{report:?}"
        );
        assert_eq!(out + &err, "");
        session.close().await;
    }
    transport.shutdown().await;
}

pub(crate) async fn more_sessions_than_allowed_are_told(ground: Arc<Ground>) {
    let transport = ground.transport();
    let session = ground.session(&transport, "side").await;
    let stop = CancellationToken::new();
    let ten = (0..10).map(|_| {
        let (session, stop) = (&session, &stop);
        async move {
            let mut output = Collected::default();
            session
                .exec(&shell("exec sleep 4248"), &mut output, stop)
                .await
        }
    });
    let side = ground.fleet.host("side");
    let eleventh = async {
        assert!(eventually(|| side.processes_like("sleep 4248").len() >= 10).await);
        let end = exec(&session, &shell("true")).await;
        stop.cancel();
        end
    };
    let (ends, (report, ..)) = tokio::join!(futures_util::future::join_all(ten), eleventh);
    assert!(ends.iter().all(|end| end.group_ended), "{ends:?}");
    assert_eq!(
        (report.exit, report.started),
        (Exit::Lost, false),
        "{report:?}"
    );
    assert!(report.notes[0].contains("MaxSessions"), "{report:?}");
    assert!(session.alive().await, "the others went on");
    session.close().await;
    transport.shutdown().await;
}

pub(crate) async fn sudo_is_asked_rightly(ground: Arc<Ground>) {
    let transport = ground.transport();
    let id = sudo(shell("id -un"), "root");
    let refused = |report: &ExecReport| report.sudo_refused.clone().unwrap_or_default();
    let session = ground.session(&transport, "no-sudo").await;
    let (report, ..) = exec(&session, &id).await;
    assert!(
        !report.started && !refused(&report).is_empty(),
        "{report:?}"
    );
    session.close().await;
    let session = ground.session(&transport, "sudo-password").await;
    let (report, ..) = exec(&session, &id).await;
    assert!(
        refused(&report).contains("asks for a password"),
        "{report:?}"
    );
    session.close().await;
    transport.shutdown().await;

    let mut settings = ground.settings();
    settings.sudo_password = Some(Secret::new("wrong"));
    let transport = SshTransport::new(settings.clone());
    let session = ground.session(&transport, "sudo-password").await;
    let (report, ..) = exec(&session, &id).await;
    assert!(
        !report.started && !refused(&report).is_empty(),
        "{report:?}"
    );
    session.close().await;
    transport.shutdown().await;

    settings.sudo_password = Some(Secret::new(lab::SUDO_PASSWORD));
    let transport = SshTransport::new(settings);
    for name in ["sudo-password", "plain"] {
        let session = ground.session(&transport, name).await;
        let mut command = sudo(shell("id -un; cat"), "root");
        command.stdin = Some(b"data".to_vec());
        for _ in 0..2 {
            let (report, out, err) = exec(&session, &command).await;
            assert_eq!(report.exit, Exit::Code(0), "{name}: {report:?} {err}");
            assert!(out.ends_with("\ndata"), "{name}: {out}");
        }
        round_trip(&ground, &session, Sudo::User("root".into())).await;
        session.close().await;
    }
    transport.shutdown().await;
}
