//! What a step leaves behind under its `register` name. Pure.

use std::time::Duration;

use serde_json::{Map, Value, json};

/// A step's result as later steps see it. Output is cut at 64 KiB a stream and masked.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Register {
    pub(crate) rc: Option<u8>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// It passed.
    pub(crate) ok: bool,
    /// It failed, ignored or not.
    pub(crate) failed: bool,
    pub(crate) ignored: bool,
    pub(crate) skipped: bool,
    pub(crate) duration: Duration,
    pub(crate) attempts: u32,
    /// What the action knows besides, such as a download's `path`.
    pub(crate) more: Map<String, Value>,
}

impl Register {
    /// The register of a step whose `when` did not hold.
    pub(crate) fn skipped() -> Self {
        Self {
            skipped: true,
            ..Self::default()
        }
    }

    /// The register as templates see it: `stdout` without its last newline, `lines`, and `json` where the
    /// output is JSON.
    pub(crate) fn value(&self) -> Value {
        let stdout = self.stdout.strip_suffix('\n').unwrap_or(&self.stdout);
        let stderr = self.stderr.strip_suffix('\n').unwrap_or(&self.stderr);
        let lines: Vec<&str> = stdout.lines().collect();
        let mut value = json!({
            "rc": self.rc,
            "stdout": stdout,
            "stderr": stderr,
            "lines": lines,
            "ok": self.ok,
            "failed": self.failed,
            "ignored": self.ignored,
            "skipped": self.skipped,
            "duration": self.duration.as_secs_f64(),
            "attempts": self.attempts,
        });
        if let Value::Object(map) = &mut value {
            if let Ok(json) = serde_json::from_str(stdout) {
                map.insert("json".to_owned(), json);
            }
            map.extend(self.more.clone());
        }
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_seen_as_text_lines_and_json() {
        let register = Register {
            stdout: "{\"file\": \"/var/tmp/x\"}\n".to_owned(),
            ..Register::default()
        };
        let value = register.value();
        assert_eq!(value["stdout"], "{\"file\": \"/var/tmp/x\"}");
        assert_eq!(value["json"]["file"], "/var/tmp/x");
        assert_eq!(value["lines"].as_array().unwrap().len(), 1);
        assert!(Register::skipped().value().get("json").is_none());
    }
}
