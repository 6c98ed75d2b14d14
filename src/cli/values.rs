//! Parsers of flag values that mean more than a text.

use std::num::NonZeroUsize;
use std::time::Duration;

use super::{Amounts, QuorumFlag};
use crate::model::{Amount, check_jump, check_login, parse_duration};

/// A limit on a flag: a bare number is seconds, else a number with a unit. 0 is refused: it would end
/// everything at once, and whoever types it means the opposite.
///
/// # Errors
/// A sentence for clap to print.
pub(super) fn limit(text: &str) -> Result<Duration, String> {
    let limit = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => parse_duration(text).map_err(|error| error.to_string())?,
    };
    if limit.is_zero() {
        return Err("a limit of 0 would end everything at once; a long one is `24h`".to_owned());
    }
    Ok(limit)
}

/// A limit that there may be none of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bound {
    /// `none`: however long it takes.
    None,
    /// So long.
    After(Duration),
}

impl Bound {
    /// The limit, where there is one.
    pub(crate) fn limit(self) -> Option<Duration> {
        match self {
            Self::None => None,
            Self::After(limit) => Some(limit),
        }
    }
}

/// As [`limit`], or `none`.
///
/// # Errors
/// A sentence for clap to print.
pub(super) fn bound(text: &str) -> Result<Bound, String> {
    match text {
        "none" => Ok(Bound::None),
        _ => limit(text)
            .map(Bound::After)
            .map_err(|error| format!("{error}; `none` is no limit at all")),
    }
}

/// A login name.
///
/// # Errors
/// A sentence for clap to print.
pub(super) fn login(text: &str) -> Result<String, String> {
    check_login(text).map_err(|wrong| format!("`{text}` {wrong}"))?;
    Ok(text.to_owned())
}

/// A bastion, or several.
///
/// # Errors
/// A sentence for clap to print.
pub(super) fn jump(text: &str) -> Result<String, String> {
    check_jump(text).map_err(|wrong| format!("`{text}` {wrong}"))?;
    Ok(text.to_owned())
}

/// `KEY=VALUE`.
///
/// # Errors
/// A sentence for clap to print.
pub(super) fn assignment(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(format!("`{text}` is not of the form `name=value`")),
    }
}

/// A whole number from 1.
///
/// # Errors
/// A sentence for clap to print.
pub(super) fn at_least_one(text: &str) -> Result<NonZeroUsize, String> {
    text.parse()
        .map_err(|_| format!("`{text}` is not a whole number from 1"))
}

/// A count or a percentage of hosts.
///
/// # Errors
/// A sentence for clap to print.
pub(super) fn amount(text: &str) -> Result<Amount, String> {
    text.parse()
        .map_err(|error: crate::model::AmountError| error.to_string())
}

/// Counts and percentages of hosts, separated by commas.
///
/// # Errors
/// A sentence for clap to print.
pub(super) fn amounts(text: &str) -> Result<Amounts, String> {
    text.split(',')
        .map(amount)
        .collect::<Result<_, _>>()
        .map(Amounts)
}

/// A pause on a flag: a bare number is seconds, and none is fine.
///
/// # Errors
/// A sentence for clap to print.
pub(super) fn pause(text: &str) -> Result<Duration, String> {
    match text.parse::<u64>() {
        Ok(seconds) => Ok(Duration::from_secs(seconds)),
        Err(_) => parse_duration(text).map_err(|error| error.to_string()),
    }
}

/// `off`, or how many members of a consensus group may be out at once.
///
/// # Errors
/// A sentence for clap to print.
pub(super) fn quorum(text: &str) -> Result<QuorumFlag, String> {
    match text.parse::<u32>() {
        _ if text == "off" => Ok(QuorumFlag::Off),
        Ok(count) if count > 0 => Ok(QuorumFlag::AtOnce(count)),
        _ => Err(format!(
            "`{text}` is neither `off` nor a whole number from 1"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_of_hosts_is_refused_in_plain_words() {
        assert_eq!(at_least_one("4").map(NonZeroUsize::get), Ok(4));
        assert_eq!(
            at_least_one("0"),
            Err("`0` is not a whole number from 1".to_owned())
        );
    }

    #[test]
    fn a_bare_number_is_seconds_on_a_flag() {
        assert_eq!(limit("2"), Ok(Duration::from_secs(2)));
        assert_eq!(limit("2m"), Ok(Duration::from_mins(2)));
        assert!(limit("2x").is_err());
    }

    #[test]
    fn a_limit_of_nothing_is_refused() {
        assert!(limit("0").unwrap_err().contains("end everything at once"));
        assert!(limit("0s").is_err());
    }

    #[test]
    fn no_limit_is_said_by_a_word() {
        assert_eq!(bound("none"), Ok(Bound::None));
        assert_eq!(bound("90"), Ok(Bound::After(Duration::from_secs(90))));
        assert!(
            bound("0")
                .unwrap_err()
                .ends_with("`none` is no limit at all")
        );
    }

    #[test]
    fn what_ssh_could_take_for_an_option_is_no_login_and_no_bastion() {
        assert_eq!(login("me"), Ok("me".to_owned()));
        assert!(
            login("-oProxyCommand=x")
                .unwrap_err()
                .contains("is no login name")
        );
        assert!(
            jump("-oProxyCommand=x")
                .unwrap_err()
                .contains("is no bastion")
        );
    }

    #[test]
    fn an_assignment_needs_a_name() {
        assert_eq!(assignment("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert!(assignment("=x").is_err());
        assert!(assignment("x").is_err());
    }
}
