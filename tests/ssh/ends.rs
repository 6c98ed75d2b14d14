//! How commands end: stopped, lost, frozen, with a daemon, with a killed client.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use fab_rs::model::Host;
use fab_rs::transport::{Exit, Session, SshTransport, Transport, TransportSettings};
use tokio_util::sync::CancellationToken;

use crate::ground::*;

pub(crate) async fn a_lost_connection_is_not_an_exit(ground: Arc<Ground>) {
    let transport = ground.transport();
    let session = ground.session(&transport, "drops").await;
    let (report, ..) = exec(&session, &shell("sleep 4243")).await;
    assert_eq!(report.exit, Exit::Lost, "{report:?}");
    assert!(report.started, "{report:?}");
    assert!(!session.alive().await);
    let (report, ..) = exec(&session, &shell("true")).await;
    assert_eq!(
        (report.exit, report.started),
        (Exit::Lost, false),
        "{report:?}"
    );
    session.close().await;
    let host = ground.fleet.host("drops");
    assert!(eventually(|| host.processes_like("sleep 4243").is_empty()).await);
    transport.shutdown().await;
}

/// The network or the machine is gone: nobody confirms anything, and stopping still comes to an end.
pub(crate) async fn a_frozen_host_costs_its_own_limit(ground: Arc<Ground>) {
    let transport = ground.transport();
    let session = ground.session(&transport, "frozen").await;
    let host = ground.fleet.host("frozen");
    let stop = CancellationToken::new();
    let mut output = Collected::default();
    let mut command = shell("sleep 4247");
    command.grace = Duration::from_millis(200);
    let freezing = async {
        assert!(eventually(|| !host.processes_like("sleep 4247").is_empty()).await);
        host.freeze();
        stop.cancel();
    };
    let (report, ()) = tokio::join!(session.exec(&command, &mut output, &stop), freezing);
    assert_eq!(report.exit, Exit::Lost, "{report:?}");
    assert!(report.started && !report.group_ended, "{report:?}");
    assert!(
        report.notes[0].contains("did not say in time"),
        "{report:?}"
    );
    host.thaw();
    assert!(eventually(|| host.processes_like("sleep 4247").is_empty()).await);
    session.close().await;
    transport.shutdown().await;
}

pub(crate) async fn stopping_ends_the_group(ground: Arc<Ground>) {
    let transport = ground.transport();
    let session = ground.session(&transport, "plain").await;
    let command = shell("sleep 4244 & (sleep 4244; :) & echo up; wait");
    for command in [command.clone(), sudo(command, "root")] {
        let report = stopped_at(&session, &command, "up").await;
        assert!(report.group_ended, "{report:?}");
        assert_eq!(report.exit, Exit::Code(143));
        let left = ground.fleet.host("plain").processes_like("sleep 4244");
        assert!(left.is_empty(), "{left:?}");
    }
    session.close().await;
    transport.shutdown().await;
}

pub(crate) async fn a_daemon_survives_the_step(ground: Arc<Ground>) {
    let transport = ground.transport();
    let session = ground.session(&transport, "bash").await;
    let (report, out, _) = exec(&session, &shell("sleep 4245 & echo started")).await;
    assert_eq!((report.exit, out.as_str()), (Exit::Code(0), "started\n"));
    assert!(report.left_running, "{report:?}");
    session.close().await;
    transport.shutdown().await;
    let host = ground.fleet.host("bash");
    assert_eq!(host.processes_like("sleep 4245").len(), 1);
}

/// The client is a process of its own that is killed: this test binary, with [`client_that_is_killed`].
pub(crate) async fn killing_the_client_leaves_nothing(ground: Arc<Ground>) {
    let sockets = ground.folder.path().join("k");
    let real = ground.fleet.host("killed");
    for user in ["", "root"] {
        let mut client = tokio::process::Command::new("/proc/self/exe")
            .args([
                "--ignored",
                "--exact",
                "ends::client_that_is_killed",
                "--nocapture",
            ])
            .env("FAB_TEST_HOST", real.address())
            .env("FAB_TEST_USER", real.login())
            .env("FAB_TEST_PORT", real.port().to_string())
            .env("FAB_TEST_CONFIG", ground.fleet.ssh_config())
            .env("FAB_TEST_SOCKETS", &sockets)
            .env("FAB_TEST_SUDO", user)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        assert!(
            eventually(|| real.processes_like("sleep 4246").len() > 3).await,
            "{user}"
        );
        assert!(!processes_with(&sockets.display().to_string()).is_empty());
        client.start_kill().unwrap();
        client.wait().await.unwrap();
        assert!(
            eventually(|| real.processes_like("sleep 4246").is_empty()).await,
            "{user}: {:?}",
            real.processes_like("sleep 4246")
        );
        let path = sockets.display().to_string();
        assert!(
            eventually(|| processes_with(&path).is_empty()).await,
            "{user}: {:?}",
            processes_with(&path)
        );
        assert!(eventually(|| std::fs::read_dir(&sockets).unwrap().count() == 0).await);
    }
}

#[test]
#[ignore = "the client of killing_the_client_leaves_nothing"]
#[expect(
    clippy::disallowed_methods,
    reason = "its parent tells it by the environment"
)]
fn client_that_is_killed() {
    let variable = |name: &str| std::env::var(format!("FAB_TEST_{name}")).unwrap();
    let mut host = Host::named("killed", variable("HOST"));
    host.ssh.config = Some(variable("CONFIG").into());
    host.ssh.user = Some(variable("USER"));
    host.ssh.port = Some(variable("PORT").parse().unwrap());
    let transport = SshTransport::new(TransportSettings {
        connect: PATIENCE,
        login: PATIENCE,
        transfer_stall: PATIENCE,
        known_hosts: Path::new("/dev/null").to_owned(),
        socket_dir: variable("SOCKETS").into(),
        sudo_password: None,
    });
    let mut command = shell("sleep 4246 & sleep 4246 & sleep 4246 & wait");
    if !variable("SUDO").is_empty() {
        command = sudo(command, &variable("SUDO"));
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let cancel = CancellationToken::new();
        let session = transport.connect(&host, 1.into(), &cancel).await.unwrap();
        exec(&session, &command).await;
    });
}
