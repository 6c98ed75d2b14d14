//! Sizes in bytes, as people write them: `200MiB`, `50GiB`, `1KB`.

use std::fmt;
use std::str::FromStr;

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Size(
    /// Bytes.
    pub u64,
);

/// Why a text is no [`Size`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a size such as `512KiB`, `200MiB` or `50GiB`")]
pub struct SizeError {
    /// What was written.
    pub text: String,
}

const UNITS: [(&str, u64); 9] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("B", 1),
];

impl FromStr for Size {
    type Err = SizeError;

    fn from_str(text: &str) -> Result<Self, SizeError> {
        let refused = || SizeError {
            text: text.to_owned(),
        };
        let (number, factor) = UNITS
            .iter()
            .find_map(|(unit, factor)| Some((text.strip_suffix(unit)?.trim_end(), *factor)))
            .ok_or_else(refused)?;
        let number: u64 = number.parse().map_err(|_| refused())?;
        number.checked_mul(factor).map(Size).ok_or_else(refused)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scaled = [
            (1_u64 << 40, "TiB"),
            (1 << 30, "GiB"),
            (1 << 20, "MiB"),
            (1 << 10, "KiB"),
        ]
        .into_iter()
        .find(|(factor, _)| self.0 >= *factor);
        match scaled {
            None => write!(f, "{} B", self.0),
            Some((factor, unit)) => {
                #[expect(clippy::cast_precision_loss, reason = "one decimal is shown")]
                let number = self.0 as f64 / factor as f64;
                write!(f, "{number:.1} {unit}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_required() {
        assert_eq!("200MiB".parse(), Ok(Size(200 << 20)));
        assert_eq!("1 KB".parse(), Ok(Size(1000)));
        for text in ["", "5", "MiB", "1.5GiB", "-1B", "99999999999TiB"] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_read_well() {
        assert_eq!(
            [Size(17).to_string(), Size(825 << 20).to_string()],
            ["17 B", "825.0 MiB"]
        );
    }
}
