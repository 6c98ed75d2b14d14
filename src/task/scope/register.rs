//! What a step left behind, as later steps see it under its `register` name, and as `error` in a rescue.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use minijinja::Value;
use minijinja::value::{Enumerator, Object};

use crate::task::template::{TemplateFault, from_json};

/// A step's result under its `register` name. Output is lossy UTF-8; templates see it without its trailing
/// newlines, as `$(…)` gives it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one attribute that templates read"
)]
pub struct RegisterValue {
    /// The exit code, where it was a command that ran.
    pub rc: Option<u8>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// It passed.
    pub ok: bool,
    /// It failed, whether that was ignored or not.
    pub failed: bool,
    /// It failed, and `ignore_errors` let the host go on.
    pub ignored: bool,
    /// Its `when` did not hold.
    pub skipped: bool,
    /// Whether it changed anything on the host, where the action can tell.
    pub changed: Option<bool>,
    /// How long it took.
    pub duration: Duration,
    /// How often it was tried.
    pub attempts: u32,
    /// What it printed is not known: somebody said that it was done.
    pub lost: bool,
    /// The results of a loop's passes, in order; empty where there was no loop.
    pub results: Vec<RegisterValue>,
}

/// What `rescue` and `always` steps see as `error`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StepError {
    /// The step that failed, by its id.
    pub step: String,
    /// Its exit code, where it had one.
    pub rc: Option<u8>,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
    /// The outcome's word: `failed`, `timed_out`, `unknown`.
    pub kind: String,
}

impl StepError {
    /// `error`.
    pub(super) fn value(&self) -> Value {
        from_json(&serde_json::json!({
            "step": self.step,
            "rc": self.rc,
            "stdout": trimmed(&self.stdout),
            "stderr": trimmed(&self.stderr),
            "kind": self.kind,
        }))
    }
}

/// The attributes of a register.
pub(super) const ATTRIBUTES: [&str; 13] = [
    "rc", "stdout", "stderr", "lines", "json", "ok", "failed", "ignored", "skipped", "changed",
    "duration", "attempts", "results",
];

/// A register as templates see it.
pub(super) fn view(name: &str, value: RegisterValue) -> Value {
    Value::from_object(RegisterView {
        name: name.to_owned(),
        value,
        json: OnceLock::new(),
    })
}

#[derive(Debug)]
struct RegisterView {
    name: String,
    value: RegisterValue,
    json: OnceLock<Value>,
}

impl RegisterView {
    /// Standard output as JSON, parsed once; where it is none, an error as soon as a template touches it.
    fn json(&self) -> Value {
        if self.value.lost {
            return self.lost();
        }
        let parse = || match serde_json::from_str::<serde_json::Value>(&self.value.stdout) {
            Ok(value) => from_json(&value),
            Err(error) => TemplateFault {
                message: format!("what `{}` printed is not JSON: {error}", self.name),
                hints: vec![format!("`{}.stdout` is the text itself", self.name)],
            }
            .into_error()
            .into(),
        };
        self.json.get_or_init(parse).clone()
    }
}

impl RegisterView {
    /// Stands for output that nobody has: an error as soon as a template touches it.
    fn lost(&self) -> Value {
        TemplateFault {
            message: format!(
                "what `{}` printed is not known: the run was interrupted since, and it was not kept",
                self.name
            ),
            hints: vec!["let the step run again, or begin a new run".to_owned()],
        }
        .into_error()
        .into()
    }
}

impl Object for RegisterView {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        let value = &self.value;
        if value.lost && ["stdout", "stderr", "lines"].contains(&key) {
            return Some(self.lost());
        }
        match key {
            "rc" => value.rc.map(Value::from),
            "stdout" => Some(trimmed(&value.stdout).into()),
            "stderr" => Some(trimmed(&value.stderr).into()),
            "lines" => Some(
                trimmed(&value.stdout)
                    .lines()
                    .map(Value::from)
                    .collect::<Vec<_>>()
                    .into(),
            ),
            "json" => Some(self.json()),
            "ok" => Some(value.ok.into()),
            "failed" => Some(value.failed.into()),
            "ignored" => Some(value.ignored.into()),
            "skipped" => Some(value.skipped.into()),
            "changed" => value.changed.map(Value::from),
            "duration" => Some(value.duration.as_secs_f64().into()),
            "attempts" => Some(value.attempts.into()),
            "results" => Some(
                value
                    .results
                    .iter()
                    .map(|result| view(&self.name, result.clone()))
                    .collect::<Vec<_>>()
                    .into(),
            ),
            _ => None,
        }
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Str(&ATTRIBUTES)
    }
}

fn trimmed(text: &str) -> &str {
    text.trim_end_matches(['\n', '\r'])
}
