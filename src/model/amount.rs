//! A number of hosts, as a count or a percentage, with the two roundings that rollouts use.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

/// A count of hosts or an integer percentage of a base, such as `3` or `25%`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Amount {
    /// So many hosts.
    Count(u32),
    /// So many hundredths of the base, 0 to 100.
    Percent(u8),
}

/// Why a text is no [`Amount`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// Neither a whole number nor a whole percentage.
    #[error("`{0}` is neither a count such as `3` nor a percentage such as `25%`")]
    Malformed(String),
    /// A percentage over 100.
    #[error("`{0}` is more than 100%")]
    OverHundred(String),
}

impl Amount {
    /// The amount of `base` hosts, rounded down: what takes hosts away, or may fail.
    pub fn floor_of(self, base: usize) -> usize {
        match self {
            Self::Count(count) => count as usize,
            Self::Percent(percent) => base * usize::from(percent) / 100,
        }
    }

    /// The amount of `base` hosts, rounded up: what must stay.
    pub fn ceil_of(self, base: usize) -> usize {
        match self {
            Self::Count(count) => count as usize,
            Self::Percent(percent) => (base * usize::from(percent)).div_ceil(100),
        }
    }
}

impl FromStr for Amount {
    type Err = AmountError;

    fn from_str(text: &str) -> Result<Self, AmountError> {
        let malformed = || AmountError::Malformed(text.to_owned());
        let digits =
            |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        match text.strip_suffix('%') {
            Some(number) if digits(number) => match number.parse::<u8>() {
                Ok(percent @ 0..=100) => Ok(Self::Percent(percent)),
                _ => Err(AmountError::OverHundred(text.to_owned())),
            },
            None if digits(text) => text.parse().map(Self::Count).map_err(|_| malformed()),
            _ => Err(malformed()),
        }
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

impl Serialize for Amount {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Count(count) => serializer.serialize_u32(*count),
            Self::Percent(_) => serializer.collect_str(self),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_percentages_parse_and_print_alike() {
        for text in ["0", "3", "0%", "25%", "100%"] {
            assert_eq!(text.parse::<Amount>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "%", "-1", "+1", "1.5", "1 %", "ten"] {
            assert_eq!(
                text.parse::<Amount>(),
                Err(AmountError::Malformed(text.to_owned()))
            );
        }
        assert_eq!(
            "101%".parse::<Amount>(),
            Err(AmountError::OverHundred("101%".to_owned()))
        );
        assert_eq!(
            "999%".parse::<Amount>(),
            Err(AmountError::OverHundred("999%".to_owned()))
        );
    }

    #[test]
    fn taking_away_rounds_down_and_keeping_rounds_up() {
        let half = Amount::Percent(50);
        assert_eq!((half.floor_of(7), half.ceil_of(7)), (3, 4));
        assert_eq!(
            (Amount::Count(2).floor_of(7), Amount::Count(2).ceil_of(7)),
            (2, 2)
        );
    }
}
