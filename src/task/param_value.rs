//! Param values as text: on an environment variable, in a plan, in JSON.

use std::time::Duration;

use super::ParamValue;

impl ParamValue {
    /// The value as text, for `FAB_PARAM_<NAME>` and for templates: `true`, `5`, `90s`, `200MiB`; a list's
    /// elements are joined with commas. A secret is `***`.
    pub fn text(&self) -> String {
        match self {
            Self::String(text) => text.clone(),
            Self::Int(number) => number.to_string(),
            Self::Float(number) => number.to_string(),
            Self::Bool(flag) => flag.to_string(),
            Self::Duration(duration) => duration_text(*duration),
            Self::Size(size) => size_text(size.0),
            Self::List(elements) => {
                let texts: Vec<String> = elements.iter().map(Self::text).collect();
                texts.join(",")
            }
            Self::Secret(secret) => secret.to_string(),
        }
    }

    /// The value for JSON: numbers, flags and lists keep their type, a secret is `"***"`.
    pub fn json(&self) -> serde_json::Value {
        match self {
            Self::Int(number) => (*number).into(),
            Self::Float(number) => (*number).into(),
            Self::Bool(flag) => (*flag).into(),
            Self::List(elements) => elements.iter().map(Self::json).collect(),
            _ => self.text().into(),
        }
    }
}

/// A duration in the largest unit that leaves no rest, which `timeout(1)` and `sleep(1)` read too: `90s`,
/// `5m`, `2h`, and `250ms`, which they do not.
fn duration_text(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if duration.subsec_nanos() > 0 {
        return format!("{}ms", duration.as_millis());
    }
    [(86_400, "d"), (3600, "h"), (60, "m")]
        .into_iter()
        .find(|(unit, _)| seconds > 0 && seconds.is_multiple_of(*unit))
        .map_or_else(
            || format!("{seconds}s"),
            |(unit, name)| format!("{}{name}", seconds / unit),
        )
}

/// A size in the largest unit that leaves no rest: `200MiB`, `1500B`.
fn size_text(bytes: u64) -> String {
    [
        (1_u64 << 40, "TiB"),
        (1 << 30, "GiB"),
        (1 << 20, "MiB"),
        (1 << 10, "KiB"),
    ]
    .into_iter()
    .find(|(unit, _)| bytes > 0 && bytes.is_multiple_of(*unit))
    .map_or_else(
        || format!("{bytes}B"),
        |(unit, name)| format!("{}{name}", bytes / unit),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Secret, Size, parse_duration};

    #[test]
    fn durations_and_sizes_read_back_as_what_they_are() {
        for text in ["0s", "5s", "90s", "2m", "3h", "2d", "250ms"] {
            let duration = parse_duration(text).unwrap();
            assert_eq!(ParamValue::Duration(duration).text(), text);
        }
        for text in ["0B", "1500B", "3KiB", "200MiB", "50GiB", "1TiB"] {
            let size: Size = text.parse().unwrap();
            assert_eq!(ParamValue::Size(size).text(), text);
        }
    }

    #[test]
    fn a_secret_has_no_text() {
        let list = ParamValue::List(vec![
            ParamValue::Int(3),
            ParamValue::Secret(Secret::new("hunter22")),
        ]);
        assert_eq!(list.text(), "3,***");
        assert_eq!(list.json(), serde_json::json!([3, "***"]));
    }
}
