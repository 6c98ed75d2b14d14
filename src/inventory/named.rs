//! Hosts that are named on the command line: `-H` words, sought in an inventory or taken as they are.

use std::fmt;
use std::str::FromStr;

use super::fleet::{self, Inventory, is_instance_id};
use crate::model::{AddressError, Diagnostic, Host, check_address, check_login, nearest};

/// One word of `-H`: `[user@]host[:port]`, an id or a label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostWord {
    text: String,
    user: Option<String>,
    host: String,
    port: Option<u16>,
}

/// Why a text is no [`HostWord`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostWordError {
    /// Nothing between two commas.
    #[error("an empty host name")]
    Empty,
    /// A port that is none.
    #[error("`{0}` has no port from 1 to 65535 after its `:`")]
    Port(String),
    /// A user that ssh could not be given.
    #[error("`{0}` has no login name before its `@`")]
    User(String),
    /// A selector where a host belongs.
    #[error("`{0}` is a selector, not a host")]
    Selector(String),
}

impl HostWord {
    /// Words separated by commas, blanks or line ends; `#` starts a comment. For `-H a,b` and `-H -`.
    ///
    /// # Errors
    /// Every word that is none, and no word at all.
    pub fn list(text: &str) -> Result<Vec<Self>, Vec<HostWordError>> {
        let lines = text
            .lines()
            .map(|line| line.split('#').next().unwrap_or_default());
        let words = lines
            .flat_map(|line| line.split(|c: char| c == ',' || c.is_whitespace()))
            .filter(|word| !word.is_empty());
        let (mut good, mut bad) = (Vec::new(), Vec::new());
        for word in words {
            match word.parse::<Self>() {
                Ok(word) if good.contains(&word) => {}
                Ok(word) => good.push(word),
                Err(error) => bad.push(error),
            }
        }
        if good.is_empty() && bad.is_empty() {
            bad.push(HostWordError::Empty);
        }
        if bad.is_empty() { Ok(good) } else { Err(bad) }
    }

    /// Whether the word says how to log in, so that no inventory need be asked.
    pub fn is_complete(&self) -> bool {
        self.user.is_some() || self.port.is_some()
    }

    /// Whether the word is an EC2 instance id, which only EC2 can turn into an address.
    pub fn is_instance_id(&self) -> bool {
        is_instance_id(&self.host)
    }
}

impl FromStr for HostWord {
    type Err = HostWordError;

    fn from_str(text: &str) -> Result<Self, HostWordError> {
        let owned = || text.to_owned();
        if text.is_empty() {
            return Err(HostWordError::Empty);
        }
        if text.contains('=') {
            return Err(HostWordError::Selector(owned()));
        }
        let (user, rest) = match text.rsplit_once('@') {
            Some((user, rest)) => (Some(user), rest),
            None => (None, text),
        };
        if user.is_some_and(|user| check_login(user).is_err()) {
            return Err(HostWordError::User(owned()));
        }
        let (host, port) = split_port(rest);
        let port = match port.map(str::parse::<u16>) {
            None => None,
            Some(Ok(port)) if port > 0 => Some(port),
            Some(_) => return Err(HostWordError::Port(owned())),
        };
        if host.is_empty() {
            return Err(HostWordError::Empty);
        }
        Ok(Self {
            text: owned(),
            user: user.map(str::to_owned),
            host: host.to_owned(),
            port,
        })
    }
}

/// `[v6]:port`, `[v6]`, a bare IPv6 address, `host:port` or `host`.
fn split_port(text: &str) -> (&str, Option<&str>) {
    if let Some((host, rest)) = text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return (host, rest.strip_prefix(':'));
    }
    match text.split_once(':') {
        Some((_, rest)) if rest.contains(':') => (text, None),
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    }
}

impl fmt::Display for HostWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl HostWordError {
    /// The error for people; `flag` is where the word was typed, such as `-H`.
    pub fn diagnostic(&self, flag: &str) -> Diagnostic {
        let error = Diagnostic::new(format!("`{flag}`: {self}"));
        match self {
            Self::Selector(word) => error.hint(format!(
                "write `{word}` without `{flag}`, as a word of its own"
            )),
            _ => error.hint(format!(
                "hosts are named as in `{flag} app-1,10.0.1.12,root@db-1:2222`"
            )),
        }
    }
}

/// What a word means in an inventory.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Meant {
    /// A host of the inventory, with the word's user and port put on.
    Known(Box<Host>),
    /// A host that no source knows.
    AdHoc(Box<Host>),
}

/// What the word means.
///
/// An id, a label or a name stands for its host, and so does an address; a name that several hosts bear is
/// an error. What no host is called is taken as an address.
///
/// # Errors
/// Several hosts are meant, or it is an instance id that the inventory does not know, or no address.
pub(super) fn resolve(word: &HostWord, inventory: &Inventory) -> Result<Meant, Box<Diagnostic>> {
    let candidates = candidates(word, inventory);
    match candidates[..] {
        [] => ad_hoc(word, inventory).map(|host| Meant::AdHoc(Box::new(host))),
        [only] => Ok(Meant::Known(Box::new(with_login(only.clone(), word)))),
        _ => Err(Box::new(ambiguous(word, &candidates))),
    }
}

fn candidates<'i>(word: &HostWord, inventory: &'i Inventory) -> Vec<&'i Host> {
    let hosts = &inventory.hosts;
    let called = word.host.as_str();
    let with_id = |host: &&Host| host.id.as_str() == word.text || host.id.as_str() == called;
    if let Some(host) = hosts.iter().find(with_id) {
        return vec![host];
    }
    if let Some(host) = hosts.iter().find(|host| host.label.as_str() == called) {
        return vec![host];
    }
    let named: Vec<&Host> = hosts
        .iter()
        .filter(|host| is_called(host, called))
        .collect();
    if named.len() > 1 && word.port.is_some() {
        let at_port = named
            .iter()
            .copied()
            .filter(|host| host.ssh.port == word.port);
        let at_port: Vec<&Host> = at_port.collect();
        if !at_port.is_empty() {
            return at_port;
        }
    }
    if named.is_empty() {
        return hosts
            .iter()
            .filter(|host| is_short_label(host, called))
            .collect();
    }
    named
}

fn is_called(host: &Host, called: &str) -> bool {
    host.name == called || host.address == called || host.private_ip.as_deref() == Some(called)
}

/// `NAME.END OF ID`: a label as another population had it.
fn is_short_label(host: &Host, called: &str) -> bool {
    called
        .strip_prefix(&host.name)
        .and_then(|rest| rest.strip_prefix('.'))
        .is_some_and(|end| end.len() >= 4 && host.id.as_str().ends_with(end))
}

fn with_login(mut host: Host, word: &HostWord) -> Host {
    if word.user.is_some() {
        host.ssh.user.clone_from(&word.user);
    }
    if word.port.is_some() {
        host.ssh.port = word.port;
    }
    host
}

fn ad_hoc(word: &HostWord, inventory: &Inventory) -> Result<Host, Box<Diagnostic>> {
    if word.is_instance_id() {
        let error = Diagnostic::new(format!(
            "{} has no instance `{}`",
            inventory.name, word.host
        ));
        return Err(Box::new(error.hint(
            "is it in another region or account, or not running (`state=*` lists all)?",
        )));
    }
    let checked = check_address(&word.host);
    checked.map_err(|error: AddressError| Box::new(error.diagnostic(&format!("`{word}`"))))?;
    let mut keys = inventory.ssh.clone();
    keys.user = word.user.clone().or(keys.user);
    keys.port = word.port.or(keys.port);
    let mut host = Host::named(word.host.as_str(), word.host.as_str());
    "-H".clone_into(&mut host.source);
    Ok(fleet::finish(host, keys, false))
}

fn ambiguous(word: &HostWord, candidates: &[&Host]) -> Diagnostic {
    let labels: Vec<&str> = candidates.iter().map(|host| host.label.as_str()).collect();
    Diagnostic::new(format!(
        "`{word}` is what {} hosts are called",
        labels.len()
    ))
    .hint(format!("name one: {}", labels.join(", ")))
    .hint(format!("or take all of them with `host={}`", word.host))
}

/// A known name that the word may be a slip of.
pub(super) fn near_name<'i>(word: &HostWord, inventory: &'i Inventory) -> Option<&'i str> {
    nearest(
        &word.host,
        inventory.hosts.iter().map(|host| host.name.as_str()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{HostId, label_hosts};

    fn inventory() -> Inventory {
        let mut hosts = vec![
            Host {
                id: HostId::new("i-0abc1111"),
                ..Host::named("app", "10.0.0.1")
            },
            Host {
                id: HostId::new("i-0abc2222"),
                ..Host::named("app", "10.0.0.2")
            },
            Host {
                id: HostId::new("admin@db-1:2222"),
                ..Host::named("db-1", "10.0.0.3")
            },
        ];
        label_hosts(&mut hosts);
        Inventory {
            name: "prod.yml".to_owned(),
            hosts,
            ..Inventory::default()
        }
    }

    fn meant(word: &str) -> Result<Meant, Box<Diagnostic>> {
        resolve(&word.parse().unwrap(), &inventory())
    }

    #[test]
    fn a_word_is_taken_apart() {
        for (text, user, host, port) in [
            ("web-1", None, "web-1", None),
            ("root@web-1:2222", Some("root"), "web-1", Some(2222)),
            ("me@corp@web-1", Some("me@corp"), "web-1", None),
            ("::1", None, "::1", None),
            ("[::1]:22", None, "::1", Some(22)),
            ("root@[fe80::1%eth0]", Some("root"), "fe80::1%eth0", None),
        ] {
            let word: HostWord = text.parse().unwrap();
            assert_eq!(
                (word.user.as_deref(), word.host.as_str(), word.port),
                (user, host, port),
                "{text}"
            );
            assert_eq!(word.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for text in [
            "",
            "@web",
            "web:",
            "web:0",
            "web:99999",
            "-x@web",
            "role=app",
            "root@",
        ] {
            assert!(text.parse::<HostWord>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_list_is_split_at_commas_blanks_and_lines() {
        let words = HostWord::list("a,b c\n# none\nd # e\n,a\n").unwrap();
        let texts: Vec<String> = words.iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["a", "b", "c", "d"]);
        assert_eq!(HostWord::list(" \n"), Err(vec![HostWordError::Empty]));
    }

    #[test]
    fn a_known_host_is_found_by_whatever_it_is_called() {
        for (word, id) in [
            ("i-0abc1111", "i-0abc1111"),
            ("app.1111", "i-0abc1111"),
            ("app.bc2222", "i-0abc2222"),
            ("10.0.0.2", "i-0abc2222"),
            ("db-1", "admin@db-1:2222"),
            ("root@db-1", "admin@db-1:2222"),
            ("admin@db-1:2222", "admin@db-1:2222"),
        ] {
            let Ok(Meant::Known(host)) = meant(word) else {
                panic!("{word} is not known")
            };
            assert_eq!(host.id.as_str(), id, "{word}");
        }
        let Ok(Meant::Known(host)) = meant("root@db-1:2200") else {
            panic!("not known")
        };
        assert_eq!(
            (host.ssh.user.as_deref(), host.ssh.port),
            (Some("root"), Some(2200))
        );
    }

    #[test]
    fn a_name_of_several_hosts_is_an_error_that_lists_them() {
        let error = meant("app").unwrap_err();
        assert_eq!(error.message, "`app` is what 2 hosts are called");
        assert_eq!(error.hints[0], "name one: app.1111, app.2222");
    }

    #[test]
    fn an_unknown_host_is_taken_as_an_address() {
        let Ok(Meant::AdHoc(host)) = meant("root@web-9:22") else {
            panic!("not ad hoc")
        };
        assert_eq!(host.id.as_str(), "root@web-9:22");
        assert_eq!(
            (host.name.as_str(), host.address.as_str()),
            ("web-9", "web-9")
        );
    }

    #[test]
    fn an_unknown_instance_and_an_address_for_a_shell_are_refused() {
        let error = meant("i-0123456789abcdef0").unwrap_err();
        assert_eq!(
            error.message,
            "prod.yml has no instance `i-0123456789abcdef0`"
        );
        assert!(meant("$(reboot)").is_err());
        assert!(meant("-oProxyCommand").is_err());
    }
}
