//! Durations as people write them: a number with a unit, such as `5s`, `2m` or `1h 30m`.

use std::time::Duration;

/// Why a text is no duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a duration such as `10s`, `2m` or `1h30m`")]
pub struct DurationError {
    /// What was written.
    pub text: String,
}

/// Parses a number with a unit. A bare number is refused: its unit would be a guess.
///
/// # Errors
/// Where the text is not a duration.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let refused = || DurationError {
        text: text.to_owned(),
    };
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(refused());
    }
    humantime::parse_duration(text).map_err(|_| refused())
}

/// A duration for people: `0.4 s`, `38 s`, `2 m 5 s`, `1 h 3 m`.
pub fn format_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..=9 => format!("{:.1} s", duration.as_secs_f64()),
        10..=59 => format!("{seconds} s"),
        60..=3599 if seconds.is_multiple_of(60) => format!("{} m", seconds / 60),
        60..=3599 => format!("{} m {} s", seconds / 60, seconds % 60),
        _ if seconds % 3600 < 60 => format!("{} h", seconds / 3600),
        _ => format!("{} h {} m", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_required() {
        assert_eq!(parse_duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_duration("1h30m"), Ok(Duration::from_mins(90)));
        for text in ["", "90", "s", "-1s", "1 fortnight"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations_read_well() {
        let shown = |ms| format_duration(Duration::from_millis(ms));
        assert_eq!(
            [
                shown(420),
                shown(38_400),
                shown(125_000),
                shown(300_000),
                shown(3_780_000)
            ],
            ["0.4 s", "38 s", "2 m 5 s", "5 m", "1 h 3 m"]
        );
    }
}
