//! Many hosts behind one login; a bastion that is shut.

use std::sync::Arc;

use fab_rs::model::UnreachableKind;
use fab_rs::transport::{Exit, Session, Transport};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::INNER;
use crate::ground::*;

pub(crate) async fn many_hosts_share_one_bastion_login(ground: Arc<Ground>) {
    let transport = Arc::new(ground.transport());
    let gate = ground.fleet.host("gate");
    let before = gate.logins();
    let mut running = JoinSet::new();
    for index in 0..INNER {
        let (ground, transport) = (Arc::clone(&ground), Arc::clone(&transport));
        running.spawn(async move {
            let name = format!("inner-{index}");
            let mut host = ground.host(&name);
            if index % 2 == 0 {
                // The others have it from ssh's configuration.
                host.ssh.jump = Some("gate".into());
            }
            host.ssh.config = Some(ground.fleet.ssh_config());
            host.address = if index % 2 == 0 {
                host.address
            } else {
                name.clone()
            };
            let cancel = CancellationToken::new();
            let session = transport.connect(&host, 1.into(), &cancel).await.unwrap();
            let (report, out, _) = exec(&session, &shell("hostname")).await;
            assert_eq!((report.exit, out), (Exit::Code(0), format!("{name}\n")));
            session
        });
    }
    let sessions = running.join_all().await;
    assert_eq!(gate.logins() - before, 1);

    // What the bastion cannot reach is the host's trouble, with the bastion's words.
    let mut host = ground.host("inner-0");
    host.ssh.jump = Some("gate".into());
    host.ssh.port = Some(1);
    let refused = ground.trouble(&transport, &host, 1).await;
    assert_eq!(refused.0, UnreachableKind::Refused, "{refused:?}");
    assert!(
        refused.1[0].contains("seen from bastion gate"),
        "{refused:?}"
    );
    host.address = "no-such-host.lab".into();
    let named = ground.trouble(&transport, &host, 1).await;
    assert_eq!(named.0, UnreachableKind::NameNotFound, "{named:?}");

    // A chain: through the gate to the plain host, and from there on.
    let mut host = ground.host("bash");
    host.ssh.jump = Some("gate,plain".into());
    let cancel = CancellationToken::new();
    let chained = transport.connect(&host, 1.into(), &cancel).await.unwrap();
    let (_, out, _) = exec(&chained, &shell("hostname; echo $SSH_CONNECTION")).await;
    let from = ground.fleet.host("plain").ip().to_string();
    assert!(out.starts_with("bash\n"), "{out}");
    assert!(
        !out.contains("127.0.0.1 ") || from.starts_with("127."),
        "{out}"
    );
    chained.close().await;
    assert_eq!(gate.logins() - before, 1);
    for session in sessions {
        session.close().await;
    }
    transport.shutdown().await;
}

pub(crate) async fn a_shut_bastion_is_the_named_cause(ground: Arc<Ground>) {
    let transport = ground.transport();
    let mut host = ground.host("behind-shut");
    host.ssh.jump = Some("shut".into());
    let first = ground.trouble(&transport, &host, 1).await;
    assert_eq!(first.0, UnreachableKind::Bastion, "{first:?}");
    assert_eq!(first.1[0], "bastion shut cannot be reached");
    assert!(
        first.1[1].starts_with("connection refused by shut"),
        "{first:?}"
    );
    let second = ground.trouble(&transport, &host, 3).await;
    assert_eq!(first, second, "found once, for every host behind it");
    transport.shutdown().await;
}
