//! What ssh can be given: hosts, login names and bastions that it takes for nothing else.

use core::net::Ipv6Addr;

use super::Diagnostic;

/// Why a text cannot be connected to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Nothing is there.
    #[error("an empty address")]
    Empty,
    /// A character that no host name or address has, or a leading `-`, which ssh would read as an option.
    #[error("`{0}` is neither a host name nor an address")]
    Malformed(String),
    /// `host:port` or `user@host`, where only the host belongs.
    #[error("`{0}` is more than an address")]
    Compound(String),
}

impl AddressError {
    /// The error for people; `what` names the host.
    pub fn diagnostic(&self, what: &str) -> Diagnostic {
        let error = Diagnostic::new(format!("address of {what}: {self}"));
        match self {
            Self::Compound(_) => error.hint("give `user` and `port` as keys of their own"),
            Self::Empty | Self::Malformed(_) => error,
        }
    }
}

/// Checks that ssh can be given the text as a host: a name, an IPv4 or an IPv6 address (with a zone, such
/// as `fe80::1%eth0`, but without brackets).
///
/// # Errors
/// It is something else.
pub fn check_address(text: &str) -> Result<(), AddressError> {
    if text.is_empty() {
        return Err(AddressError::Empty);
    }
    let (bare, zone) = text.split_once('%').unwrap_or((text, ""));
    let is_v6 = bare.parse::<Ipv6Addr>().is_ok();
    if is_v6
        && zone
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
    {
        return Ok(());
    }
    if text.contains(['@', ':']) {
        return Err(AddressError::Compound(text.to_owned()));
    }
    let plain = |c: char| c.is_alphanumeric() || "._-".contains(c);
    if text.starts_with(['-', '.']) || !text.chars().all(plain) {
        return Err(AddressError::Malformed(text.to_owned()));
    }
    Ok(())
}

/// Checks that ssh can be given the text as a login name: one word that is no option.
///
/// # Errors
/// What it is not, as the end of a sentence that begins with the text.
pub fn check_login(text: &str) -> Result<(), &'static str> {
    let odd = |c: char| c.is_whitespace() || c.is_control();
    if text.is_empty() || text.starts_with('-') || text.contains(odd) {
        return Err("is no login name");
    }
    Ok(())
}

/// Checks `[user@]host[:port]`, several with commas in the order in which they are passed, or `none`.
///
/// # Errors
/// What it is not, as the end of a sentence that begins with the text.
pub fn check_jump(text: &str) -> Result<(), &'static str> {
    let all = text == "none" || text.split(',').all(|hop| is_hop(hop.trim()));
    if all {
        return Ok(());
    }
    Err("is no bastion such as `bastion.example.com` or `admin@10.0.0.1:2222`")
}

fn is_hop(text: &str) -> bool {
    let text = text.strip_prefix("ssh://").unwrap_or(text);
    let text = text.strip_suffix('/').unwrap_or(text);
    let (login, place) = match text.rsplit_once('@') {
        Some((login, place)) => (Some(login), place),
        None => (None, text),
    };
    let (host, port) = match place
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'))
    {
        Some((host, "")) => (host, None),
        Some((host, rest)) => match rest.strip_prefix(':') {
            Some(port) => (host, Some(port)),
            None => return false,
        },
        None => match place.split_once(':') {
            Some((host, port)) if !port.contains(':') => (host, Some(port)),
            _ => (place, None),
        },
    };
    login.is_none_or(|login| check_login(login).is_ok())
        && port.is_none_or(|port| port.parse().is_ok_and(|port: u16| port > 0))
        && check_address(host).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_pass() {
        for text in [
            "web-1",
            "web_1",
            "db.example.com",
            "10.0.0.1",
            "::1",
            "fe80::1%eth0",
            "bücher.example",
        ] {
            assert_eq!(check_address(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn what_ssh_could_take_for_something_else_is_refused() {
        assert_eq!(check_address(""), Err(AddressError::Empty));
        for text in [
            "-oProxyCommand=x",
            "a b",
            "$(id)",
            "a;b",
            "a\nb",
            "a/b",
            "fe80::1%-x y",
        ] {
            assert!(
                matches!(
                    check_address(text),
                    Err(AddressError::Malformed(_) | AddressError::Compound(_))
                ),
                "{text}"
            );
        }
        for text in ["root@web-1", "web-1:22"] {
            assert_eq!(
                check_address(text),
                Err(AddressError::Compound(text.to_owned()))
            );
        }
    }

    #[test]
    fn a_bastion_is_a_host_with_a_login_and_a_port_at_most() {
        for text in [
            "bastion",
            "me@bastion.example.com:2222",
            "a, b@[fe80::1]:22",
            "::1",
            "ssh://me@b:22/",
            "none",
        ] {
            assert_eq!(check_jump(text), Ok(()), "{text}");
        }
        for text in [
            "",
            "a,,b",
            "-oProxyCommand=x",
            "me@-x",
            "-l@b",
            "@b",
            "b:0",
            "b:x",
            "b:99999",
            "a b",
            "$(id)",
            "[::1]22",
            "b/x",
        ] {
            assert!(check_jump(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_login_name_is_one_word_that_is_no_option() {
        for text in ["me", "me@corp", "DOMAIN\\me"] {
            assert_eq!(check_login(text), Ok(()), "{text}");
        }
        for text in ["", "-l", "a b", "a\nb"] {
            assert!(check_login(text).is_err(), "{text}");
        }
    }
}
