//! The transport against real sshds: connect, exec, stop, die, transfer, bastions, and every way a host can
//! be out of reach. One fleet for all of it.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fab_rs::model::{Host, HostId, Secret, Stream, UnreachableKind};
use fab_rs::transport::{
    ConnectError, ExecReport, Exit, Fetch, Output, Program, RemoteCommand, Session, SshSession,
    SshTransport, Sudo, TransferError, Transport, TransportSettings, Upload,
};
use lab::{Fault, Fleet, HostSpec, Shell};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How many hosts stand behind the bastion: more than the sessions that its sshd allows (10).
const INNER: usize = 14;

fn hosts() -> Vec<HostSpec> {
    let host = |name: &str| HostSpec::new(name);
    let mut hosts = vec![
        host("plain"),
        host("killed"),
        host("bash").shell(Shell::Bash).fault(Fault::BadShellRc),
        host("tiny").shell(Shell::Busybox).fault(Fault::NoSetsid),
        host("frozen"),
        host("forced").fault(Fault::Fails(3)),
        host("forced-ok").fault(Fault::Fails(0)),
        host("refuses").fault(Fault::Refuses),
        host("down").fault(Fault::Unanswered),
        host("silent").fault(Fault::HangsAfterAccept),
        host("banner").fault(Fault::HangsAfterBanner),
        host("closes").fault(Fault::Closes),
        host("denied").fault(Fault::RefusesKey),
        host("changed").fault(Fault::WrongHostKey),
        host("unknown").fault(Fault::UnknownHostKey),
        host("drops").fault(Fault::Drops(600)),
        host("no-sudo").fault(Fault::NoSudo),
        host("sudo-password").fault(Fault::SudoPassword),
        host("gate").bastion(),
        host("side").bastion(),
        host("behind-side").behind("side"),
        host("shut").bastion().fault(Fault::Refuses),
        host("behind-shut").behind("shut"),
    ];
    hosts.extend((0..INNER).map(|index| host(&format!("inner-{index}")).behind("gate")));
    hosts
}

/// The fleet and one client's settings.
struct Ground {
    fleet: Fleet,
    folder: tempfile::TempDir,
}

impl Ground {
    fn host(&self, name: &str) -> Host {
        let real = self.fleet.host(name);
        let mut host = Host::named(name, real.address());
        host.ssh.config = Some(self.fleet.ssh_config());
        host.ssh.user = Some(real.login().to_owned());
        host.ssh.port = Some(real.port());
        host
    }

    fn settings(&self) -> TransportSettings {
        TransportSettings {
            connect: Duration::from_secs(3),
            login: Duration::from_secs(5),
            transfer_stall: Duration::from_secs(20),
            known_hosts: self.folder.path().join("known hosts"),
            socket_dir: self.folder.path().join("s"),
            sudo_password: None,
        }
    }

    fn transport(&self) -> SshTransport {
        SshTransport::new(self.settings())
    }

    async fn session(&self, transport: &SshTransport, name: &str) -> SshSession {
        transport
            .connect(&self.host(name), 1, &CancellationToken::new())
            .await
            .unwrap_or_else(|error| panic!("{name}: {error:?}"))
    }

    /// Kind, causes and hints of a host that cannot be reached.
    async fn trouble(
        &self,
        transport: &SshTransport,
        host: &Host,
        attempts: u32,
    ) -> (UnreachableKind, Vec<String>, Vec<String>, u32) {
        match transport
            .connect(host, attempts, &CancellationToken::new())
            .await
        {
            Err(ConnectError::Unreachable {
                kind,
                causes,
                hints,
                attempts,
            }) => (kind, causes, hints, attempts),
            other => panic!("{}: {other:?}", host.name),
        }
    }
}

#[derive(Default)]
struct Collected {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    /// Cancelled when stdout holds the text.
    awaited: Option<(&'static str, CancellationToken)>,
}

impl Output for Collected {
    async fn chunk(&mut self, stream: Stream, bytes: &[u8]) {
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

fn shell(text: &str) -> RemoteCommand {
    RemoteCommand::new(Program::Shell {
        shell: ["sh", "-euc"].map(str::to_owned).to_vec(),
        text: text.to_owned(),
    })
}

fn sudo(mut command: RemoteCommand, user: &str) -> RemoteCommand {
    command.sudo = Sudo::User(user.to_owned());
    command
}

async fn exec(session: &SshSession, command: &RemoteCommand) -> (ExecReport, String, String) {
    let mut output = Collected::default();
    let stop = CancellationToken::new();
    let report = session.exec(command, &mut output, &stop).await;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (report, text(&output.stdout), text(&output.stderr))
}

/// Runs the command and stops it when the text appears.
async fn stopped_at(
    session: &SshSession,
    command: &RemoteCommand,
    text: &'static str,
) -> ExecReport {
    let stop = CancellationToken::new();
    let mut output = Collected {
        awaited: Some((text, stop.clone())),
        ..Collected::default()
    };
    session.exec(command, &mut output, &stop).await
}

/// Waits for something, 10 s at most.
async fn eventually(mut holds: impl FnMut() -> bool) -> bool {
    for _ in 0..100 {
        if holds() {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    false
}

/// Command lines on this machine that hold the text.
fn processes_with(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if line.contains(text) {
            found.push(line);
        }
    }
    found
}

type Check = fn(Arc<Ground>) -> Pin<Box<dyn Future<Output = ()> + Send>>;

macro_rules! checks {
    ($($name:ident),* $(,)?) => {
        [$((stringify!($name), (|ground| Box::pin($name(ground))) as Check)),*]
    };
}

#[test]
fn the_transport_against_real_hosts() {
    let Some(fleet) = Fleet::builder("transport").hosts(hosts()).start_or_skip() else {
        return;
    };
    // Short: control sockets live below it.
    let folder = tempfile::Builder::new()
        .prefix("t")
        .tempdir_in("/tmp")
        .unwrap();
    let ground = Arc::new(Ground { fleet, folder });
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let failed = runtime.block_on(async {
        let mut running = JoinSet::new();
        let mut names = std::collections::HashMap::new();
        for (name, check) in checks![
            commands_come_through_unchanged,
            a_noisy_login_shell_does_not_show,
            a_bare_busybox_is_enough,
            every_trouble_has_its_cause,
            a_changed_key_of_an_instance_is_refused,
            transient_trouble_is_tried_again,
            cancelling_ends_the_attempt,
            a_lost_connection_is_not_an_exit,
            a_frozen_host_costs_its_own_limit,
            a_forced_command_is_not_ours,
            more_sessions_than_allowed_are_told,
            doctor_sees_keys_and_logins,
            a_shell_has_the_same_connection,
            stopping_ends_the_group,
            sudo_is_asked_rightly,
            a_daemon_survives_the_step,
            files_come_back_as_they_went,
            dialling_reaches_what_the_host_reaches,
            many_hosts_share_one_bastion_login,
            a_shut_bastion_is_the_named_cause,
            killing_the_client_leaves_nothing,
        ] {
            let id = running.spawn(check(Arc::clone(&ground))).id();
            names.insert(id, name);
        }
        let mut failed = Vec::new();
        while let Some(end) = running.join_next_with_id().await {
            if let Err(error) = end {
                failed.push(names[&error.id()]);
            }
        }
        failed
    });
    assert!(failed.is_empty(), "failed: {failed:?}");
    let sockets = ground.folder.path().join("s").display().to_string();
    assert_eq!(processes_with(&sockets), Vec::<String>::new());
    assert_eq!(std::fs::read_dir(&sockets).unwrap().count(), 0);
}

async fn commands_come_through_unchanged(ground: Arc<Ground>) {
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

async fn a_noisy_login_shell_does_not_show(ground: Arc<Ground>) {
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

async fn a_bare_busybox_is_enough(ground: Arc<Ground>) {
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

async fn every_trouble_has_its_cause(ground: Arc<Ground>) {
    let transport = ground.transport();
    let troubles = futures_util::future::join_all(TROUBLES.map(|(name, kind, words)| {
        let (ground, transport) = (&ground, &transport);
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
    transport.shutdown().await;
}

/// The default for hosts with an instance id: the first key is taken and pinned under the id.
async fn a_changed_key_of_an_instance_is_refused(ground: Arc<Ground>) {
    let mut settings = ground.settings();
    settings.known_hosts = ground.folder.path().join("state 1/known_hosts");
    let transport = SshTransport::new(settings);
    let cancel = CancellationToken::new();
    let mut host = ground.host("plain");
    host.id = HostId::new("i-0123456789abcdef0");
    let session = transport.connect(&host, 1, &cancel).await.unwrap();
    session.close().await;
    // The instance shows another host's key at its address.
    host.address = ground.host("killed").address;
    let (kind, causes, ..) = ground.trouble(&transport, &host, 1).await;
    assert_eq!(kind, UnreachableKind::HostKeyChanged, "{causes:?}");
    // A new instance at the old address is no alarm.
    host.id = HostId::new("i-0123456789abcdef1");
    let session = transport.connect(&host, 1, &cancel).await.unwrap();
    session.close().await;
    transport.shutdown().await;
}

async fn transient_trouble_is_tried_again(ground: Arc<Ground>) {
    let transport = ground.transport();
    let (_, _, _, attempts) = ground.trouble(&transport, &ground.host("refuses"), 2).await;
    assert_eq!(attempts, 2);
    let (_, _, _, attempts) = ground.trouble(&transport, &ground.host("denied"), 2).await;
    assert_eq!(attempts, 1);
    transport.shutdown().await;
}

async fn cancelling_ends_the_attempt(ground: Arc<Ground>) {
    let transport = ground.transport();
    let cancel = CancellationToken::new();
    let host = ground.host("banner");
    let connecting = transport.connect(&host, 3, &cancel);
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

async fn a_lost_connection_is_not_an_exit(ground: Arc<Ground>) {
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
async fn a_frozen_host_costs_its_own_limit(ground: Arc<Ground>) {
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

async fn a_forced_command_is_not_ours(ground: Arc<Ground>) {
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

async fn more_sessions_than_allowed_are_told(ground: Arc<Ground>) {
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

async fn doctor_sees_keys_and_logins(ground: Arc<Ground>) {
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
    let trial = transport.try_login(&host, Duration::from_secs(10)).await;
    assert!(trial.logged_in && trial.accepted.is_some(), "{trial:?}");
    assert_eq!(trial.key_exchange.as_deref(), Some("curve25519-sha256"));
    let denied = ground.host("denied");
    let trial = transport.try_login(&denied, Duration::from_secs(10)).await;
    assert!(!trial.logged_in && trial.offered.len() == 1, "{trial:?}");
    let mut inner = ground.host("inner-1");
    inner.address = "inner-1".into();
    let resolved = transport.resolve(&inner).await.unwrap();
    assert_eq!(resolved.proxy_jump.as_deref(), Some("gate"));
}

async fn a_shell_has_the_same_connection(ground: Arc<Ground>) {
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

async fn stopping_ends_the_group(ground: Arc<Ground>) {
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

async fn sudo_is_asked_rightly(ground: Arc<Ground>) {
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

async fn a_daemon_survives_the_step(ground: Arc<Ground>) {
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

async fn files_come_back_as_they_went(ground: Arc<Ground>) {
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
async fn round_trip(ground: &Ground, session: &SshSession, sudo_as: Sudo) {
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

async fn dialling_reaches_what_the_host_reaches(ground: Arc<Ground>) {
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

async fn many_hosts_share_one_bastion_login(ground: Arc<Ground>) {
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
            let session = transport.connect(&host, 1, &cancel).await.unwrap();
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
    let chained = transport.connect(&host, 1, &cancel).await.unwrap();
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

async fn a_shut_bastion_is_the_named_cause(ground: Arc<Ground>) {
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

/// The client is a process of its own that is killed: this test binary, with [`client_that_is_killed`].
async fn killing_the_client_leaves_nothing(ground: Arc<Ground>) {
    let sockets = ground.folder.path().join("k");
    let real = ground.fleet.host("killed");
    for user in ["", "root"] {
        let mut client = tokio::process::Command::new("/proc/self/exe")
            .args([
                "--ignored",
                "--exact",
                "client_that_is_killed",
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
        connect: Duration::from_secs(3),
        login: Duration::from_secs(5),
        transfer_stall: Duration::from_secs(20),
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
        let session = transport.connect(&host, 1, &cancel).await.unwrap();
        exec(&session, &command).await;
    });
}
