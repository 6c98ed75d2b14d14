//! What can be connected to: names and addresses that ssh takes for nothing else.

use std::net::Ipv6Addr;

use crate::model::Diagnostic;

/// Why a text cannot be connected to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum AddressError {
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
    pub(super) fn diagnostic(&self, what: &str) -> Diagnostic {
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
pub(super) fn check(text: &str) -> Result<(), AddressError> {
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
            assert_eq!(check(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn what_ssh_could_take_for_something_else_is_refused() {
        assert_eq!(check(""), Err(AddressError::Empty));
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
                    check(text),
                    Err(AddressError::Malformed(_) | AddressError::Compound(_))
                ),
                "{text}"
            );
        }
        for text in ["root@web-1", "web-1:22"] {
            assert_eq!(check(text), Err(AddressError::Compound(text.to_owned())));
        }
    }
}
