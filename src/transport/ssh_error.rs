//! What ssh's last words mean: its stderr, in English (`LC_ALL=C`), to a kind, a sentence and hints. Pure
//! text; the table of real words is in `tests/fixtures/ssh_errors`.

use super::ssh_words::{Text, between};
use super::trouble::{Target, Trouble, WORDS_KEPT};
use crate::model::UnreachableKind as Kind;

/// What ssh's stderr means.
pub(super) fn classify(words: &str, mut target: Target<'_>) -> Trouble {
    let text = Text(words);
    target.port = target.port.or_else(|| text.port());
    let mut trouble = host_key(text, target)
        .or_else(|| denied(text, target))
        .or_else(|| configuration(text))
        .or_else(|| on_the_way(text, target))
        .or_else(|| closed(text, target))
        .unwrap_or_else(|| unclassified(text, target));
    if trouble.words.is_empty() && trouble.kind != Kind::HostKeyChanged {
        trouble.words = last_words(words);
    }
    trouble
}

/// The login limit passed; `words` is what ssh had said until then.
pub(super) fn late(words: &str, target: Target<'_>, seconds: u64) -> Trouble {
    let sentence = format!("no login at {} within {seconds} s", target.place());
    let mut trouble = Trouble::new(Kind::LoginTimeout, sentence)
        .hint("the server answers but does not finish the login: look at its load, DNS and PAM")
        .transient();
    trouble.words = last_words(words);
    trouble
}

/// What the bastion said about a channel to the target: the rest of its line `channel N: open failed: …`.
pub(super) fn classify_channel(reason: &str, target: Target<'_>) -> Trouble {
    let bastion = target.bastion.unwrap_or("?");
    let mut trouble = if reason.contains("administratively prohibited") {
        Trouble::new(
            Kind::Bastion,
            format!("bastion {bastion} forbids forwarded connections"),
        )
        .hint("it needs `AllowTcpForwarding yes` (or `local`) in its sshd_config, and a PermitOpen that lets the host pass")
    } else {
        on_the_way(Text(reason), target).unwrap_or_else(|| unclassified(Text(reason), target))
    };
    trouble.words = vec![format!("bastion {bastion}: {reason}")];
    trouble
}

/// The last of ssh's lines that say something, without warnings that are none.
fn last_words(words: &str) -> Vec<String> {
    let lines: Vec<&str> = Text(words).lines().collect();
    let from = lines.len().saturating_sub(WORDS_KEPT);
    lines[from..]
        .iter()
        .map(|line| (*line).to_owned())
        .collect()
}

fn host_key(text: Text<'_>, target: Target<'_>) -> Option<Trouble> {
    if text.has("REMOTE HOST IDENTIFICATION HAS CHANGED") {
        return Some(key_changed(text, target));
    }
    if text.has("REVOKED HOST KEY") || text.has(" revoked by file ") {
        return Some(
            Trouble::new(Kind::HostKeyChanged, "the host showed a revoked host key")
                .hint("do not connect before it is known why this key is still in use"),
        );
    }
    if !text.has("Host key verification failed") {
        return None;
    }
    let sentence = format!("host key of {} is not known", target.place());
    Some(
        Trouble::new(Kind::HostKeyUnknown, sentence)
            .hint("connect once by hand and compare the fingerprint with the console's output")
            .hint("or set `host_keys: accept-new` under `ssh:` to take a first key"),
    )
}

fn key_changed(text: Text<'_>, target: Target<'_>) -> Trouble {
    let sentence = format!("host key changed at {}", target.place());
    let mut trouble = Trouble::new(Kind::HostKeyChanged, sentence);
    if let Some(line) = text.line("Offending ") {
        trouble.words.push(line.to_owned());
    }
    if let Some(print) = text.line("SHA256:") {
        let print = print.trim_end_matches('.');
        trouble.words.push(format!("the host now shows {print}"));
    }
    let remove = text
        .lines()
        .find(|line| line.starts_with("ssh-keygen -f") || line.starts_with("ssh-keygen -R"));
    trouble.hint(match remove {
        Some(command) => format!("compare it with the console, then `{command}`"),
        None => "compare it with the console before the known key is removed".to_owned(),
    })
}

fn denied(text: Text<'_>, target: Target<'_>) -> Option<Trouble> {
    if text.has("Too many authentication failures") {
        let sentence = format!("{} refused after too many keys", target.place());
        return Some(
            Trouble::new(Kind::Denied, sentence)
                .hint("the agent offers more keys than the server takes: name one with `-i FILE`"),
        );
    }
    let line = text.line("Permission denied (")?;
    let methods = between(line, "Permission denied (", ")").unwrap_or("");
    let user = line
        .split_once("Permission denied")
        .map_or("", |(before, _)| before.trim().trim_end_matches(':'));
    let who = if user.is_empty() {
        target.place()
    } else {
        user.to_owned()
    };
    let mut trouble = Trouble::new(
        Kind::Denied,
        format!(
            "{who} refused the login; it takes {}",
            methods.replace(',', ", ")
        ),
    );
    trouble = key_hints(text, trouble);
    if trouble.hints.is_empty() {
        trouble = if methods.split(',').any(|method| method == "publickey") {
            trouble
                .hint("is the user right (`-u`)? which keys are offered: `ssh-add -l`, or name one with `-i FILE`")
                .hint("a key with a passphrase or PIN wants an agent: `ssh-add`")
        } else {
            trouble.hint("the server takes no keys, and fab-rs never types passwords")
        };
    }
    Some(trouble)
}

/// What was wrong with the keys that ssh could not use.
fn key_hints(text: Text<'_>, mut trouble: Trouble) -> Trouble {
    if let Some(line) = text.line("bad permissions") {
        let file = between(line, "Load key \"", "\"").unwrap_or("the key");
        trouble = trouble.hint(format!("others may read it: `chmod 600 {file}`"));
    } else if let Some(line) = text.line("Load key ") {
        let file = between(line, "Load key \"", "\"").unwrap_or("the key");
        trouble = trouble.hint(format!(
            "`{file}` could not be read as a private key: is it damaged, a public key, or in a newer format?"
        ));
    }
    if text.has("agent refused operation") {
        trouble = trouble.hint(
            "the agent would not sign: unlock it, touch the token, or `ssh-add` the key again",
        );
    }
    if text.has("incorrect passphrase") || text.has("PIN ") {
        trouble = trouble.hint("a key with a passphrase or PIN wants an agent: `ssh-add`");
    }
    if text.has("Could not open a connection to your authentication agent")
        || text.has("ssh_get_authentication_socket")
    {
        trouble = trouble.hint("no agent answers: `eval \"$(ssh-agent)\"`, then `ssh-add`");
    }
    let missing = text
        .line("no such identity:")
        .and_then(|line| between(line, "no such identity: ", ":"))
        .or_else(|| {
            between(
                text.line("Identity file ")?,
                "Identity file ",
                " not accessible",
            )
        });
    if let Some(file) = missing {
        trouble = trouble.hint(format!("there is no key file `{file}`"));
    }
    trouble
}

/// What ssh says when it refuses its configuration or its command line.
const REFUSED_CONFIGURATION: &[&str] = &[
    "Can't open user config file",
    "Bad configuration option",
    "bad configuration options",
    "Bad owner or permissions",
    "Bad port",
    "Bad SSH2",
    "Unsupported option",
    "unknown key type",
    "extra arguments",
    "Missing argument",
    "missing argument",
    "hostname contains invalid characters",
    "Bad number",
    "invalid time value",
    "unsupported KEX",
];

/// What ssh says when it cannot make its control socket.
const NO_SOCKET: &[&str] = &[
    "too long for Unix domain socket",
    "cannot bind to path",
    "ControlSocket",
    "muxserver_listen",
];

fn algorithms(text: Text<'_>) -> Option<Trouble> {
    if let Some(line) = text.line("no matching ") {
        let what = between(line, "no matching ", " found").unwrap_or("algorithm");
        let offer = line
            .split_once("Their offer: ")
            .map_or("", |(_, offer)| offer);
        let option = match what {
            "key exchange method" => "KexAlgorithms",
            "host key type" => "HostKeyAlgorithms",
            "cipher" => "Ciphers",
            "MAC" => "MACs",
            _ => "its list",
        };
        let first = offer.split(',').next().unwrap_or("");
        return Some(
            Trouble::new(
                Kind::Configuration,
                format!("no {what} in common; the server offers {offer}"),
            )
            .hint(format!(
                "an old server can be allowed with `options: {{{option}: +{first}}}` under its `ssh:`"
            )),
        );
    }
    None
}

fn configuration(text: Text<'_>) -> Option<Trouble> {
    if let Some(trouble) = algorithms(text) {
        return Some(trouble);
    }
    let refused = REFUSED_CONFIGURATION
        .iter()
        .find_map(|part| text.line(part));
    if let Some(line) = refused {
        return Some(
            Trouble::new(Kind::Configuration, "ssh refuses its configuration")
                .hint(format!("ssh says: {line}")),
        );
    }
    if NO_SOCKET.iter().any(|part| text.has(part)) {
        return Some(
            Trouble::new(Kind::Local, "ssh could not make its control socket")
                .hint("is the folder for sockets full, read-only or its path too long?"),
        );
    }
    let line = text
        .line("exec: ")
        .filter(|line| line.contains("not found"))?;
    Some(Trouble::new(Kind::Configuration, "the ProxyCommand cannot be started").hint(line))
}

fn on_the_way(text: Text<'_>, target: Target<'_>) -> Option<Trouble> {
    let place = target.place();
    if text.has("Connection refused") {
        return Some(
            Trouble::new(Kind::Refused, format!("connection refused by {place}"))
                .hint("nothing listens there: is sshd up, and the port right?")
                .transient(),
        );
    }
    if let Some(trouble) = name(text, target) {
        return Some(trouble);
    }
    if text.has("No route to host") || text.has("Network is unreachable") {
        return Some(
            Trouble::new(Kind::NoRoute, format!("no route to {place}"))
                .hint("is the VPN up, and does the host want a bastion (`-J`)?")
                .transient(),
        );
    }
    no_answer(text, target)
}

fn no_answer(text: Text<'_>, target: Target<'_>) -> Option<Trouble> {
    let place = target.place();
    let no_banner = text.has("banner exchange") && text.has("timed out");
    // Through a bastion or a ProxyCommand ssh cannot tell a connection that opened from one that never did.
    if no_banner && !text.through_a_command() {
        let sentence = format!("{place} accepts connections, but no SSH server spoke in time");
        return Some(
            Trouble::new(Kind::NoBanner, sentence)
                .hint("the host hangs (memory, disk, MaxStartups), or something before it takes its connections")
                .transient(),
        );
    }
    if no_banner && target.bastion.is_none() {
        return Some(
            Trouble::new(
                Kind::NoAnswer,
                format!("no answer from {place} through its ProxyCommand"),
            )
            .hint("run the command by hand: `ssh -v` shows it")
            .transient(),
        );
    }
    if no_banner || text.has("Connection timed out") || text.has("Operation timed out") {
        return Some(
            Trouble::new(Kind::NoAnswer, format!("no answer from {place}"))
                .hint("is it running, do its security group and the VPN let port 22 through, does it want a bastion (`-J`)?")
                .transient(),
        );
    }
    None
}

fn name(text: Text<'_>, target: Target<'_>) -> Option<Trouble> {
    if text.has("Temporary failure in name resolution") {
        return Some(
            Trouble::new(
                Kind::NameNotFound,
                format!("no name server answered for `{}`", target.address),
            )
            .hint("is the network, its DNS or VPN up?")
            .transient(),
        );
    }
    if text.has("Could not resolve hostname") || text.has("Name or service not known") {
        let trouble = Trouble::new(
            Kind::NameNotFound,
            format!("the name `{}` does not resolve", target.address),
        );
        return Some(match target.bastion {
            Some(bastion) => {
                trouble.hint(format!("bastion {bastion} looks it up, not this machine"))
            }
            None => trouble.hint("is the name right, and the network's DNS or VPN up?"),
        });
    }
    None
}

fn closed(text: Text<'_>, target: Target<'_>) -> Option<Trouble> {
    let place = target.place();
    if text.has("Protocol major versions differ")
        || text.has("could not read protocol version")
        || text.has("invalid format")
    {
        return Some(
            Trouble::new(
                Kind::ClosedEarly,
                format!("{place} answers, but not as an SSH server"),
            )
            .hint("is the port right?"),
        );
    }
    if text.through_a_command() && target.bastion.is_none() {
        return Some(
            Trouble::new(
                Kind::ClosedEarly,
                format!("the ProxyCommand to {place} ended before the login"),
            )
            .hint("run the command by hand: `ssh -v` shows it")
            .transient(),
        );
    }
    let closed = [
        "kex_exchange_identification",
        "ssh_exchange_identification",
        "Connection closed by",
        "Connection reset by",
        "Received disconnect from",
        "Disconnected from",
        "Broken pipe",
    ];
    closed.iter().any(|part| text.has(part)).then(|| {
        Trouble::new(
            Kind::ClosedEarly,
            format!("{place} closed the connection before the login"),
        )
        .hint(
            "MaxStartups, hosts.deny, fail2ban or a full disk make sshd close at once: see its log",
        )
        .transient()
    })
}

fn unclassified(text: Text<'_>, target: Target<'_>) -> Trouble {
    let last = text.lines().last();
    Trouble::new(
        Kind::Unclassified,
        match last {
            Some(_) => format!("ssh could not connect to {}", target.place()),
            None => format!("ssh ended without a word on its way to {}", target.place()),
        },
    )
    .hint("`fab-rs doctor HOST` looks closer")
}

#[cfg(test)]
#[path = "ssh_error_tests.rs"]
mod tests;
