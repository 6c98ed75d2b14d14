//! Takes out of params and commands what looks like a secret. Secret params never come here; this is for those who
//! typed a password where none belongs, so it rather takes too much than too little. Pure.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

/// What stands where a secret stood.
const STARS: &str = "***";

/// Characters of a command that are kept.
const LONGEST: usize = 4000;

/// Parts of names whose values are secrets.
const NAMES: &str =
    "pass(?:word|wd|phrase)|secret|token|credential|api[_-]?key|access[_-]?key|private[_-]?key";

/// Texts with a secret in them: the first group stays, the second becomes stars.
static PATTERNS: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    let value = r#"("[^"]*"|'[^']*'|[^\s'"&;]+)"#;
    [
        format!(r#"(?i)([\w.-]*(?:{NAMES})[\w.-]*["']?\s*[=:]\s*){value}"#),
        format!(r"(?i)((?:^|\s)--?[\w-]*(?:{NAMES})[\w-]*\s+){value}"),
        r"(?i)(authorization:\s*(?:(?:basic|bearer|token)\s+)?)([^\s'\x22]+)".to_owned(),
        // A URL's userinfo, and what curl and mysql take as one word.
        r"(\w://[^\s/:@]*:)([^\s/@]+)@".to_owned(),
        r"(\s(?:-u|--user)[\s=]?[^\s:]+:)(\S+)".to_owned(),
        r"(\bmysql\w*\s(?:[^|;]*\s)?-p)(\S+)".to_owned(),
        r"(\b)((?:AKIA|ASIA)[A-Z0-9]{16})\b".to_owned(),
    ]
    .iter()
    .map(|pattern| Regex::new(pattern).expect("the patterns are constant"))
    .collect()
});

static SECRET_NAME: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(&format!("(?i){NAMES}|^(?:pass|pwd|auth|key)$")).expect("the pattern is constant")
});

/// A param's value, as it is kept.
pub fn param(name: &str, value: Value) -> Value {
    if SECRET_NAME.is_match(name) {
        return STARS.into();
    }
    match value {
        Value::String(text) => redacted(text).into(),
        Value::Array(values) => values.into_iter().map(|value| param("", value)).collect(),
        value => value,
    }
}

/// A command, as it is kept: its beginning, where it is a long script.
pub fn command(text: &str) -> String {
    redacted(text.chars().take(LONGEST).collect())
}

fn redacted(mut text: String) -> String {
    for pattern in &*PATTERNS {
        let at = if pattern.as_str().ends_with('@') {
            "@"
        } else {
            ""
        };
        let stars = format!("${{1}}{STARS}{at}");
        text = pattern.replace_all(&text, stars.as_str()).into_owned();
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_of_secret_looking_params_are_stars() {
        for (name, value, kept) in [
            ("db_password", json!("hunter22"), json!("***")),
            ("ApiKey", json!("k"), json!("***")),
            ("pwd", json!(5), json!("***")),
            ("auth_tokens", json!(["a", "b"]), json!("***")),
            ("version", json!("1.2"), json!("1.2")),
            ("keep", json!(3), json!(3)),
            (
                "url",
                json!("https://ann:hunter22@repo/x"),
                json!("https://ann:***@repo/x"),
            ),
            (
                "urls",
                json!(["http://a:b@c/", 1]),
                json!(["http://a:***@c/", 1]),
            ),
        ] {
            assert_eq!(param(name, value), kept, "{name}");
        }
    }

    #[test]
    fn secrets_in_commands_are_stars_and_the_rest_stays() {
        for (text, kept) in [
            ("systemctl restart api", "systemctl restart api"),
            ("PASSWORD=hunter22 ./x -v", "PASSWORD=*** ./x -v"),
            ("x --password hunter22 -v", "x --password *** -v"),
            ("x --db-password=hunter22;ls", "x --db-password=***;ls"),
            ("echo '{\"token\": \"abc def\"}'", "echo '{\"token\": ***}'"),
            (
                "curl -H 'Authorization: Bearer abc.def' http://h/",
                "curl -H 'Authorization: Bearer ***' http://h/",
            ),
            (
                "curl -u ann:hunter22 http://h/",
                "curl -u ann:*** http://h/",
            ),
            ("mysql -u root -phunter22 db", "mysql -u root -p*** db"),
            ("pg postgres://a:b@h/db", "pg postgres://a:***@h/db"),
            ("export K=AKIAABCDEFGHIJKLMNOP", "export K=***"),
            ("ps -p 12 -o pid", "ps -p 12 -o pid"),
        ] {
            assert_eq!(command(text), kept);
        }
        assert_eq!(command(&"x".repeat(9000)).len(), LONGEST);
    }
}
