//! Every way a host can be out of reach, and what `doctor` sees of it.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use fab_rs::model::{HostId, UnreachableKind};
use fab_rs::transport::{ConnectError, Session, SshTransport, Transport};
use tokio_util::sync::CancellationToken;

use crate::ground::*;

/// A host of the fleet, the kind of its trouble, and what the sentence says.
const TROUBLES: [(&str, UnreachableKind, &str); 8] = [
    (
        "refuses",
        UnreachableKind::Refused,
        "connection refused by ",
    ),
    ("down", UnreachableKind::NoAnswer, "no answer from "),
    (
        "silent",
        UnreachableKind::NoBanner,
        "no SSH server spoke in time",
    ),
    ("banner", UnreachableKind::LoginTimeout, "no login at "),
    (
        "closes",
        UnreachableKind::ClosedEarly,
        "closed the connection",
    ),
    (
        "denied",
        UnreachableKind::Denied,
        "refused the login; it takes publickey",
    ),
    (
        "changed",
        UnreachableKind::HostKeyChanged,
        "host key changed at ",
    ),
    ("unknown", UnreachableKind::HostKeyUnknown, "is not known"),
];

pub(crate) async fn every_trouble_has_its_cause(ground: Arc<Ground>) {
    let transport = ground.transport();
    let mut settings = ground.settings();
    (settings.connect, settings.login) = (Duration::from_secs(8), Duration::from_secs(10));
    let short = SshTransport::new(settings);
    let troubles = futures_util::future::join_all(TROUBLES.map(|(name, kind, words)| {
        // Where a limit is the cause, it is short.
        let limited = ["down", "silent", "banner"].contains(&name);
        let transport = if limited { &short } else { &transport };
        let ground = &ground;
        async move {
            let trouble = ground.trouble(transport, &ground.host(name), 1).await;
            (name, kind, words, trouble)
        }
    }))
    .await;
    for (name, kind, words, trouble) in troubles {
        assert_eq!(trouble.0, kind, "{name}: {trouble:?}");
        assert!(trouble.1[0].contains(words), "{name}: {trouble:?}");
        assert!(!trouble.2.is_empty(), "{name}: {trouble:?}");
    }
    let changed = ground.trouble(&transport, &ground.host("changed"), 3).await;
    assert!(changed.2[0].contains("ssh-keygen -f"), "{changed:?}");
    assert_eq!(changed.3, 1, "a changed key is not tried again");
    let mut host = ground.host("plain");
    host.address = "no-such-host.invalid".into();
    let named = ground.trouble(&transport, &host, 1).await;
    assert_eq!(named.0, UnreachableKind::NameNotFound, "{named:?}");
    host.ssh.config = Some("/no/such/file".into());
    let configured = ground.trouble(&transport, &host, 3).await;
    assert_eq!(
        configured.0,
        UnreachableKind::Configuration,
        "{configured:?}"
    );
    short.shutdown().await;
    transport.shutdown().await;
}

/// The default for hosts with an instance id: the first key is taken and pinned under the id.
pub(crate) async fn a_changed_key_of_an_instance_is_refused(ground: Arc<Ground>) {
    let mut settings = ground.settings();
    settings.known_hosts = ground.folder.path().join("state 1/known_hosts");
    let transport = SshTransport::new(settings);
    let cancel = CancellationToken::new();
    let mut host = ground.host("plain");
    host.id = HostId::new("i-0123456789abcdef0");
    let session = transport.connect(&host, 1.into(), &cancel).await.unwrap();
    session.close().await;
    // The instance shows another host's key at its address.
    host.address = ground.host("killed").address;
    let (kind, causes, ..) = ground.trouble(&transport, &host, 1).await;
    assert_eq!(kind, UnreachableKind::HostKeyChanged, "{causes:?}");
    // A new instance at the old address is no alarm.
    host.id = HostId::new("i-0123456789abcdef1");
    let session = transport.connect(&host, 1.into(), &cancel).await.unwrap();
    session.close().await;
    transport.shutdown().await;
}

pub(crate) async fn transient_trouble_is_tried_again(ground: Arc<Ground>) {
    let transport = ground.transport();
    let (_, _, _, attempts) = ground.trouble(&transport, &ground.host("refuses"), 2).await;
    assert_eq!(attempts, 2);
    let (_, _, _, attempts) = ground.trouble(&transport, &ground.host("denied"), 2).await;
    assert_eq!(attempts, 1);
    transport.shutdown().await;
}

pub(crate) async fn cancelling_ends_the_attempt(ground: Arc<Ground>) {
    let transport = ground.transport();
    let cancel = CancellationToken::new();
    let host = ground.host("banner");
    let connecting = transport.connect(&host, 3.into(), &cancel);
    let cancelling = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        cancel.cancel();
    };
    let (connected, ()) = tokio::join!(connecting, cancelling);
    assert!(
        matches!(connected, Err(ConnectError::Cancelled)),
        "{connected:?}"
    );
    transport.shutdown().await;
}

pub(crate) async fn doctor_sees_keys_and_logins(ground: Arc<Ground>) {
    let transport = ground.transport();
    let host = ground.host("plain");
    let resolved = transport.resolve(&host).await.unwrap();
    assert_eq!(resolved.hostname, host.address);
    assert_eq!(Some(resolved.port), host.ssh.port);
    assert_eq!(resolved.proxy_jump, None);
    let keys = transport.offered_keys(&resolved).await;
    assert_eq!(keys.len(), 1, "{keys:?}");
    assert_eq!(keys[0].file.as_deref(), Some(ground.fleet.login_key()));
    assert!(
        keys[0].fingerprint.is_some() && !keys[0].encrypted,
        "{keys:?}"
    );
    let trial = transport.try_login(&host, PATIENCE).await;
    assert!(trial.logged_in && trial.accepted.is_some(), "{trial:?}");
    assert_eq!(trial.key_exchange.as_deref(), Some("curve25519-sha256"));
    let denied = ground.host("denied");
    let trial = transport.try_login(&denied, PATIENCE).await;
    assert!(!trial.logged_in && trial.offered.len() == 1, "{trial:?}");
    let mut inner = ground.host("inner-1");
    inner.address = "inner-1".into();
    let resolved = transport.resolve(&inner).await.unwrap();
    assert_eq!(resolved.proxy_jump.as_deref(), Some("gate"));
}

pub(crate) async fn a_shell_has_the_same_connection(ground: Arc<Ground>) {
    let transport = ground.transport();
    let mut host = ground.host("behind-side");
    host.ssh.jump = Some("side".into());
    let argv = transport.interactive_args(&host).await;
    let output = tokio::process::Command::new(&argv[0])
        .args(&argv[1..])
        .arg("hostname")
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "behind-side\n",
        "{said}"
    );
}
