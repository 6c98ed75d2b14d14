//! Files to and from hosts, and connections from their side.

use std::future::Future;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use fab_rs::transport::{
    Fetch, Program, RemoteCommand, Session, SshSession, Sudo, TransferError, Transport, Upload,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::sync::CancellationToken;

use crate::ground::*;

pub(crate) async fn files_come_back_as_they_went(ground: Arc<Ground>) {
    let transport = ground.transport();
    let session = ground.session(&transport, "plain").await;
    round_trip(&ground, &session, Sudo::No).await;
    round_trip(&ground, &session, Sudo::User("root".into())).await;
    let stop = CancellationToken::new();
    let missing = Fetch {
        remote: "/no/such/file".into(),
        sudo: Sudo::No,
        offset: 0,
    };
    let path = ground.folder.path().join("missing");
    let mut file = tokio::fs::File::create(&path).await.unwrap();
    let error = session.download(&missing, &mut file, &|_| {}, &stop).await;
    match error {
        Err(TransferError::Remote { message, .. }) => {
            assert!(message.contains("/no/such/file"), "{message}");
        }
        other => panic!("{other:?}"),
    }
    let upload = Upload {
        local: "/etc/hostname".into(),
        remote: "/no/such/folder/file".into(),
        sudo: Sudo::No,
    };
    let error = session.upload(&upload, &|_| {}, &stop).await;
    assert!(
        matches!(error, Err(TransferError::Remote { .. })),
        "{error:?}"
    );
    session.close().await;
    transport.shutdown().await;
}

/// Up, checked there, and down again in two parts.
pub(crate) async fn round_trip(ground: &Ground, session: &SshSession, sudo_as: Sudo) {
    const SIZE: usize = 5_000_001;
    let bytes: Vec<u8> = (0..SIZE)
        .map(|at| u8::try_from(at * 7919 % 251).unwrap())
        .collect();
    let folder = tempfile::tempdir_in(ground.folder.path()).unwrap();
    let (local, back) = (folder.path().join("up"), folder.path().join("down"));
    std::fs::write(&local, &bytes).unwrap();
    let stop = CancellationToken::new();
    let seen = Mutex::new(Vec::new());
    let remote = PathBuf::from("/var/tmp/a 'file' $(x)");
    let upload = Upload {
        local,
        remote: remote.clone(),
        sudo: sudo_as.clone(),
    };
    let progress = |bytes| seen.lock().unwrap().push(bytes);
    // Somebody else's link under that name is not written through.
    let link = ["ln", "-s", "/var/tmp/elsewhere"].map(str::to_owned);
    let words = link.into_iter().chain([remote.display().to_string()]);
    let (_, _, err) = exec(session, &RemoteCommand::new(Program::Argv(words.collect()))).await;
    assert_eq!(err, "");
    session.upload(&upload, &progress, &stop).await.unwrap();
    assert_eq!(seen.lock().unwrap().last(), Some(&(SIZE as u64)));
    let mut command = RemoteCommand::new(Program::Argv(vec![
        "stat".into(),
        "-c".into(),
        "%a %s".into(),
        remote.display().to_string(),
    ]));
    command.sudo = sudo_as.clone();
    let (_, out, err) = exec(session, &command).await;
    assert_eq!(out, format!("600 {SIZE}\n"), "{err}");
    let mut file = tokio::fs::File::create(&back).await.unwrap();
    let mut fetch = Fetch {
        remote: remote.clone(),
        sudo: sudo_as.clone(),
        offset: 0,
    };
    let count = session
        .download(&fetch, &mut file, &|_| {}, &stop)
        .await
        .unwrap();
    assert_eq!(count, SIZE as u64);
    assert!(std::fs::read(&back).unwrap() == bytes);
    file.set_len(1_000_000).await.unwrap();
    file.seek_to(1_000_000).await;
    fetch.offset = 1_000_000;
    let count = session
        .download(&fetch, &mut file, &|_| {}, &stop)
        .await
        .unwrap();
    assert_eq!(count, (SIZE - 1_000_000) as u64);
    assert!(std::fs::read(&back).unwrap() == bytes);
    let words = ["rm", "-f", &remote.display().to_string()].map(str::to_owned);
    command.program = Program::Argv(words.to_vec());
    exec(session, &command).await;
}

trait SeekTo {
    fn seek_to(&mut self, offset: u64) -> impl Future<Output = ()>;
}

impl SeekTo for tokio::fs::File {
    async fn seek_to(&mut self, offset: u64) {
        use tokio::io::AsyncSeekExt;
        self.seek(std::io::SeekFrom::Start(offset)).await.unwrap();
    }
}

pub(crate) async fn dialling_reaches_what_the_host_reaches(ground: Arc<Ground>) {
    let transport = ground.transport();
    let session = ground.session(&transport, "plain").await;
    let host = ground.fleet.host("plain");
    for _ in 0..3 {
        let mut stream = session
            .dial(&host.ip().to_string(), host.port())
            .await
            .unwrap();
        let mut banner = [0; 8];
        stream.read_exact(&mut banner).await.unwrap();
        assert_eq!(&banner, b"SSH-2.0-");
    }
    let mut stream = session.dial("127.0.0.1", 1).await.unwrap();
    let _refused = stream.write_all(b"hello").await;
    let mut rest = Vec::new();
    let _reset = stream.read_to_end(&mut rest).await;
    assert_eq!(rest, b"");
    session.close().await;
    transport.shutdown().await;
}
