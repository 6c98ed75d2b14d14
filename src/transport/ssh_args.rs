//! The words of ssh's command lines: masters of hosts and bastions, and `fab-rs ssh HOST`. Pure: starts
//! nothing. ssh takes the first value that it meets for each option, so the order here is the precedence.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::time::Duration;

use crate::model::{Host, HostKeys, Kex, SshSettings};

/// Exchanges that cost a tenth of `sntrup761x25519`, in order of preference.
pub(super) const FAST_KEX: [&str; 2] = ["mlkem768x25519-sha256", "curve25519-sha256"];

/// A bastion as it is typed: `[user@]host[:port]`, IPv6 addresses in brackets.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Hop {
    /// Login user.
    pub(super) user: Option<String>,
    /// Name or address.
    pub(super) host: String,
    /// Port.
    pub(super) port: Option<u16>,
}

impl Hop {
    /// Reads one hop; `None` where its port is no port or its host is empty. `ssh://` may stand before it.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let text = text.strip_prefix("ssh://").unwrap_or(text);
        let text = text.strip_suffix('/').unwrap_or(text);
        let (user, place) = match text.rsplit_once('@') {
            Some((user, place)) => (Some(user.to_owned()), place),
            None => (None, text),
        };
        let (host, port) = match place
            .strip_prefix('[')
            .and_then(|rest| rest.split_once(']'))
        {
            Some((host, "")) => (host, None),
            Some((host, port)) => (host, Some(port.strip_prefix(':')?)),
            None => match place.split_once(':') {
                Some((host, port)) if !port.contains(':') => (host, Some(port)),
                _ => (place, None),
            },
        };
        let port = match port {
            None => None,
            Some(port) => Some(port.parse().ok()?),
        };
        (!host.is_empty()).then(|| Self {
            user,
            host: host.to_owned(),
            port,
        })
    }
}

/// How a connection gets to its host's port.
#[derive(Debug, Clone, Copy)]
pub(super) enum Way<'a> {
    /// As ssh and its configuration decide.
    Direct,
    /// Straight, whatever jump the configuration names.
    NoJump,
    /// Through a bastion's master with this control socket.
    Through(&'a Path),
}

/// What is the same for every connection of a run.
#[derive(Debug, Clone)]
pub(super) struct Shared<'a> {
    /// TCP connect limit.
    pub(super) connect: Duration,
    /// Where keys of hosts with an instance id are remembered.
    pub(super) known_hosts: &'a Path,
    /// The local ssh's names of [`FAST_KEX`], where the host wants the fast exchange.
    pub(super) fast_kex: &'a [String],
}

/// The argv (without the program's name) of a master that listens on `socket`.
pub(super) fn master(
    host: &Host,
    way: Way<'_>,
    shared: &Shared<'_>,
    socket: &Path,
) -> Vec<OsString> {
    let mut args = master_options(socket);
    args.extend(connection(host, way, shared));
    // Whatever the configuration says: its failures are told by what ssh says at this level.
    args.push("-o".into());
    args.push("LogLevel=INFO".into());
    args.push("--".into());
    args.push(host.address.as_str().into());
    args
}

/// The argv of a bastion's master. A bastion has the configuration file, the key policy and the key
/// exchange of the hosts behind it; their user, port and options are their own. Their identity is offered
/// besides what ssh offers.
pub(super) fn bastion(
    hop: &Hop,
    ssh: &SshSettings,
    way: Way<'_>,
    shared: &Shared<'_>,
    socket: &Path,
) -> Vec<OsString> {
    let mut args = master_options(socket);
    let mut words = Words::default();
    words.config(ssh.config.as_deref());
    // Its log is the only place that says why a channel was refused, and for whom.
    words.option("LogLevel=DEBUG1");
    words.way(way);
    words.limits(shared);
    words.kex(ssh.kex, shared);
    match ssh.host_keys {
        Some(HostKeys::Strict) => words.option("StrictHostKeyChecking=yes"),
        Some(HostKeys::AcceptNew) => words.option("StrictHostKeyChecking=accept-new"),
        Some(HostKeys::Ssh) | None => {}
    }
    words.target(hop.user.as_deref(), hop.port);
    if let Some(identity) = &ssh.identity {
        words.pair("-i", identity.as_os_str());
    }
    args.extend(words.0);
    args.push("--".into());
    args.push(hop.host.as_str().into());
    args
}

/// The argv of `fab-rs ssh HOST`: the same connection with a terminal, ssh's own prompts and, as there is
/// no run, ssh's own jump (`jump` is `-J`'s value).
pub(super) fn interactive(host: &Host, jump: Option<&str>, shared: &Shared<'_>) -> Vec<OsString> {
    let way = match jump {
        Some("none") => Way::NoJump,
        _ => Way::Direct,
    };
    let mut args = connection(host, way, shared);
    if let Some(jump) = jump.filter(|jump| *jump != "none") {
        args.push("-J".into());
        args.push(jump.into());
    }
    args.push("--".into());
    args.push(host.address.as_str().into());
    args
}

/// The argv of `ssh -G`, which prints the configuration that ssh would use for the host.
pub(super) fn resolved(host: &Host, shared: &Shared<'_>) -> Vec<OsString> {
    let mut args = vec![OsString::from("-G")];
    args.extend(connection(host, Way::Direct, shared));
    args.push("--".into());
    args.push(host.address.as_str().into());
    args
}

/// Whether the host's identity is an EC2 instance id: such keys are pinned under the id.
pub(super) fn is_instance_id(id: &str) -> bool {
    id.strip_prefix("i-").is_some_and(|digits| {
        matches!(digits.len(), 8 | 17) && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

/// What makes an ssh a master of ours, whatever the configuration says. Foreground: it is our child.
fn master_options(socket: &Path) -> Vec<OsString> {
    let mut words = Words::default();
    for flag in ["-M", "-N", "-T"] {
        words.0.push(flag.into());
    }
    words.pair("-S", &percent_doubled(socket));
    for option in [
        "BatchMode=yes",
        "ControlPersist=no",
        "RemoteCommand=none",
        "PermitLocalCommand=no",
        "ClearAllForwardings=yes",
        "ForwardX11=no",
    ] {
        words.option(option);
    }
    words.0
}

fn connection(host: &Host, way: Way<'_>, shared: &Shared<'_>) -> Vec<OsString> {
    let ssh = &host.ssh;
    let mut words = Words::default();
    words.config(ssh.config.as_deref());
    words.way(way);
    for (key, value) in &ssh.options {
        words.option(&format!("{key}={value}"));
    }
    words.limits(shared);
    words.kex(ssh.kex, shared);
    let pinned = is_instance_id(host.id.as_str());
    match ssh.host_keys {
        Some(HostKeys::Strict) => words.option("StrictHostKeyChecking=yes"),
        Some(HostKeys::AcceptNew) => words.accept_new(pinned.then_some(host), shared),
        None if pinned => words.accept_new(Some(host), shared),
        Some(HostKeys::Ssh) | None => {}
    }
    words.target(ssh.user.as_deref(), ssh.port);
    if let Some(identity) = &ssh.identity {
        words.pair("-i", identity.as_os_str());
        words.option("IdentitiesOnly=yes");
    }
    words.0
}

#[derive(Debug, Default)]
struct Words(Vec<OsString>);

impl Words {
    fn pair(&mut self, flag: &str, value: &std::ffi::OsStr) {
        self.0.push(flag.into());
        self.0.push(value.into());
    }

    fn option(&mut self, option: &str) {
        self.pair("-o", option.as_ref());
    }

    fn config(&mut self, file: Option<&Path>) {
        if let Some(file) = file {
            self.pair("-F", file.as_os_str());
        }
    }

    fn way(&mut self, way: Way<'_>) {
        match way {
            Way::Direct => {}
            Way::NoJump => self.option("ProxyJump=none"),
            Way::Through(socket) => {
                let socket = percent_doubled(socket);
                let socket = String::from_utf8_lossy(socket.as_bytes()).into_owned();
                let socket = super::preamble::quoted_lossy(&socket);
                // `-F none`: the file is the hop's affair no more, and reading it costs. Without a socket
                // ssh would connect to a host named `bastion` by itself: `false` forbids it.
                self.option(&format!(
                    "ProxyCommand=ssh -F none -S {socket} -o ProxyCommand=false -o LogLevel=ERROR -W '[%h]:%p' bastion"
                ));
            }
        }
    }

    fn limits(&mut self, shared: &Shared<'_>) {
        let seconds = shared.connect.as_millis().div_ceil(1000).max(1);
        self.option(&format!("ConnectTimeout={seconds}"));
        self.option("ServerAliveInterval=15");
        self.option("ServerAliveCountMax=3");
    }

    fn kex(&mut self, kex: Kex, shared: &Shared<'_>) {
        if kex == Kex::Fast && !shared.fast_kex.is_empty() {
            self.option(&format!("KexAlgorithms=^{}", shared.fast_kex.join(",")));
        }
    }

    /// A first key is taken; a pinned host's under its id, so that its address may be anybody's tomorrow.
    fn accept_new(&mut self, pinned: Option<&Host>, shared: &Shared<'_>) {
        self.option("StrictHostKeyChecking=accept-new");
        if let Some(host) = pinned {
            self.option(&format!("HostKeyAlias={}", host.id));
            let mut option = OsString::from("UserKnownHostsFile=\"");
            option.push(percent_doubled(shared.known_hosts));
            option.push("\"");
            self.pair("-o", &option);
        }
    }

    fn target(&mut self, user: Option<&str>, port: Option<u16>) {
        if let Some(user) = user {
            self.pair("-l", user.as_ref());
        }
        if let Some(port) = port {
            self.pair("-p", port.to_string().as_ref());
        }
    }
}

/// A path for an option in which ssh expands `%`.
fn percent_doubled(path: &Path) -> OsString {
    let mut bytes = Vec::with_capacity(path.as_os_str().len());
    for byte in path.as_os_str().as_bytes() {
        bytes.push(*byte);
        if *byte == b'%' {
            bytes.push(b'%');
        }
    }
    OsString::from_vec(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::HostId;

    fn shared(kex: &[String]) -> Shared<'_> {
        Shared {
            connect: Duration::from_millis(2500),
            known_hosts: Path::new("/state/known hosts"),
            fast_kex: kex,
        }
    }

    fn line(args: &[OsString]) -> String {
        let words: Vec<_> = args.iter().map(|arg| arg.to_string_lossy()).collect();
        words.join(" ")
    }

    #[test]
    fn hops_are_read_as_ssh_reads_them() {
        let hop = |user: Option<&str>, host: &str, port| Hop {
            user: user.map(str::to_owned),
            host: host.to_owned(),
            port,
        };
        for (text, expected) in [
            ("b", Some(hop(None, "b", None))),
            ("u@b:22", Some(hop(Some("u"), "b", Some(22)))),
            ("u@corp@b", Some(hop(Some("u@corp"), "b", None))),
            ("[::1]:2222", Some(hop(None, "::1", Some(2222)))),
            ("[::1]", Some(hop(None, "::1", None))),
            ("fe80::1", Some(hop(None, "fe80::1", None))),
            ("ssh://u@b:2/", Some(hop(Some("u"), "b", Some(2)))),
            ("b:port", None),
            ("b:70000", None),
            ("u@", None),
            ("", None),
        ] {
            assert_eq!(Hop::parse(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_plain_host_gets_no_policy_of_ours() {
        let host = Host::named("web", "10.0.0.1");
        let args = line(&master(
            &host,
            Way::Direct,
            &shared(&[]),
            Path::new("/s/1/master"),
        ));
        assert!(
            args.starts_with("-M -N -T -S /s/1/master -o BatchMode=yes"),
            "{args}"
        );
        assert!(args.contains("-o ConnectTimeout=3 "), "{args}");
        assert!(args.ends_with("-o LogLevel=INFO -- 10.0.0.1"), "{args}");
        for word in [
            "StrictHostKeyChecking",
            "HostKeyAlias",
            "KexAlgorithms",
            "-l",
            "-p",
        ] {
            assert!(!args.contains(&format!(" {word}")), "{word} in {args}");
        }
    }

    #[test]
    fn an_instance_is_pinned_under_its_id() {
        let mut host = Host::named("web", "10.0.0.1");
        host.id = HostId::new("i-0123456789abcdef0");
        let pinned = "-o StrictHostKeyChecking=accept-new -o HostKeyAlias=i-0123456789abcdef0 \
                      -o UserKnownHostsFile=\"/state/known hosts\"";
        let args = |host: &Host| line(&master(host, Way::Direct, &shared(&[]), Path::new("/s")));
        assert!(args(&host).contains(pinned));
        host.ssh.host_keys = Some(HostKeys::Ssh);
        assert!(!args(&host).contains("StrictHostKeyChecking"));
        host.ssh.host_keys = Some(HostKeys::Strict);
        assert!(args(&host).contains("StrictHostKeyChecking=yes"));
        assert!(!args(&host).contains("HostKeyAlias"));
    }

    #[test]
    fn what_the_user_set_comes_before_what_we_would_set() {
        let mut host = Host::named("web", "10.0.0.1");
        host.ssh
            .options
            .insert("ServerAliveInterval".into(), "5".into());
        host.ssh.user = Some("deploy".into());
        host.ssh.port = Some(2222);
        host.ssh.identity = Some("/k".into());
        let args = line(&master(&host, Way::Direct, &shared(&[]), Path::new("/s")));
        let (users, ours) = (
            args.find("ServerAliveInterval=5").unwrap(),
            args.find("ServerAliveInterval=15").unwrap(),
        );
        assert!(users < ours);
        assert!(
            args.contains("-l deploy -p 2222 -i /k -o IdentitiesOnly=yes"),
            "{args}"
        );
    }

    #[test]
    fn the_fast_exchange_asks_only_for_what_the_local_ssh_knows() {
        let mut host = Host::named("web", "10.0.0.1");
        host.ssh.kex = Kex::Fast;
        let known = ["curve25519-sha256".to_owned()];
        let args = |known| line(&master(&host, Way::Direct, &shared(known), Path::new("/s")));
        assert!(args(&known).contains("-o KexAlgorithms=^curve25519-sha256"));
        assert!(!args(&[]).contains("KexAlgorithms"));
    }

    #[test]
    fn a_host_behind_a_bastion_goes_through_its_socket() {
        let host = Host::named("db", "db.internal");
        let way = Way::Through(Path::new("/run/50%/1/master"));
        let args = line(&master(&host, way, &shared(&[]), Path::new("/s")));
        assert!(
            args.contains("ProxyCommand=ssh -F none -S '/run/50%%/1/master' -o ProxyCommand=false -o LogLevel=ERROR -W '[%h]:%p' bastion"),
            "{args}"
        );
    }

    #[test]
    fn a_bastion_keeps_its_own_user_and_port() {
        let mut ssh = SshSettings {
            user: Some("app".into()),
            port: Some(2222),
            identity: Some("/k".into()),
            ..SshSettings::default()
        };
        ssh.options.insert("HostName".into(), "elsewhere".into());
        let hop = Hop::parse("ops@gate:22022").unwrap();
        let args = line(&bastion(
            &hop,
            &ssh,
            Way::Direct,
            &shared(&[]),
            Path::new("/s"),
        ));
        assert!(args.contains("-l ops -p 22022 -i /k -- gate"), "{args}");
        assert!(
            !args.contains("HostName") && !args.contains("IdentitiesOnly"),
            "{args}"
        );
    }

    #[test]
    fn instance_ids_are_told_from_names() {
        assert!(is_instance_id("i-0123456789abcdef0") && is_instance_id("i-1a2b3c4d"));
        for id in [
            "i-",
            "i-web",
            "web",
            "i-0123456789abcdefg",
            "deploy@i-1a2b3c4d:22",
        ] {
            assert!(!is_instance_id(id), "{id}");
        }
    }
}
