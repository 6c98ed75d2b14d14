//! Random shell texts with hostile values through real shells: in whatever text is let pass, no value runs.
//! The texts are nonsense made of everything that changes how a shell reads on.

use std::collections::HashMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use fab_rs::model::{Source, SourceSpan};
use fab_rs::task::{Engine, Fab, Outside, ParamValue, Quoting, Scope, Template, template_names};
use indexmap::IndexMap;
use serde_json::json;

const FRAGMENTS: [&str; 58] = [
    "{{ params.x }}",
    "{{ params.x }}",
    "{{ params.x }}",
    " {{ params.x }}",
    "{{- params.x -}}",
    "{{ params.none }}",
    "'",
    "'",
    "\"",
    "\"",
    "\\",
    "$",
    "`",
    "$(",
    "$(",
    ")",
    ")",
    "${",
    "${a:-",
    "}",
    "(",
    "((",
    "))",
    "$((",
    "<<E\n",
    "<<'E'\n",
    "<<-E\n",
    "\nE\n",
    "E",
    "<<<",
    "#",
    " # ",
    "\n",
    "\n",
    " ",
    " ",
    ";",
    "; ",
    "|",
    "&&",
    ">",
    "echo ",
    ": ",
    "a",
    "a=",
    "case x in ",
    "x) ",
    ";;",
    " esac",
    "$'",
    "$\"",
    "!",
    "[[ ",
    " ]]",
    "{% if params.y %}",
    "{% else %}",
    "{% endif %}",
    "\t",
];

/// Values that make the file `pwned` in the working directory wherever a shell reads them as text.
const HOSTILE: [&str; 5] = [
    "$(:>pwned)",
    "`:>pwned`",
    "';:>pwned;'",
    "\";:>pwned;\"",
    "\n:>pwned\nE\n:>pwned\n",
];

struct NoWorld;

impl Outside for NoWorld {
    fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::UNIX_EPOCH
    }

    fn file_sha256(&self, _path: &str) -> Result<String, String> {
        Err("none".to_owned())
    }
}

/// A fixed sequence of numbers: a failure is the same on every machine.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).expect("31 bits") % end
    }
}

fn template(source: &str) -> Template {
    let file = Arc::new(Source {
        path: "t.yml".into(),
        text: source.to_owned(),
    });
    Template {
        source: source.to_owned(),
        quoting: Quoting::Shell,
        span: SourceSpan::new(&file, 0..source.len()),
        registers: Vec::new(),
    }
}

fn scope(value: &str, flag: bool) -> Scope {
    let params = IndexMap::from([
        ("x".to_owned(), ParamValue::String(value.to_owned())),
        ("y".to_owned(), ParamValue::Bool(flag)),
        ("none".to_owned(), ParamValue::List(Vec::new())),
    ]);
    Scope::new(Arc::new(params))
}

/// Runs a shell where nothing but builtins is found; whether it ended with 0.
fn shell(shell: &str, args: &[&str], folder: &Path) -> bool {
    Command::new(shell)
        .args(args)
        .current_dir(folder)
        .env_clear()
        .env("PATH", "")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Whether a value runs in a text.
fn runs_a_value(program: &str, text: &str, folder: &Path) -> bool {
    shell(program, &["-c", text], folder);
    folder.join("pwned").exists()
}

/// Whether a shell can read a text at all. bash goes on with the next line after some syntax errors, so that
/// the second line of a value runs; but such a text works with no value.
fn reads(program: &str, text: &str, folder: &Path) -> bool {
    shell(program, &["-n", "-c", text], folder)
}

#[test]
fn no_value_runs_in_a_text_that_is_let_pass() {
    let outside: Arc<dyn Outside> = Arc::new(NoWorld);
    let engine = Engine::new(&outside, Fab::default());
    let shells: Vec<&str> = ["/bin/sh", "/bin/bash"]
        .into_iter()
        .filter(|shell| Path::new(shell).exists())
        .collect();
    let folder = tempfile::tempdir().unwrap();
    let mut numbers = Numbers(0x5eed_cafe_f00d_0001);
    let mut seen = HashMap::from([("passed", 0), ("refused", 0), ("run", 0)]);
    for _ in 0..4_000 {
        let length = 1 + numbers.below(9);
        let text: String = (0..length)
            .map(|_| FRAGMENTS[numbers.below(FRAGMENTS.len())])
            .collect();
        let template = template(&text);
        if !text.contains("params.x")
            || template_names(&text, Quoting::Shell, &template.span).is_err()
        {
            *seen.get_mut("refused").unwrap() += 1;
            continue;
        }
        *seen.get_mut("passed").unwrap() += 1;
        let value = HOSTILE[numbers.below(HOSTILE.len())];
        let flag = numbers.below(2) == 1;
        let harmless = engine.render(&template, &scope("v", flag)).unwrap();
        let hostile = engine.render(&template, &scope(value, flag)).unwrap();
        for shell in &shells {
            if reads(shell, &harmless, folder.path()) {
                *seen.get_mut("run").unwrap() += 1;
                let ran = runs_a_value(shell, &hostile, folder.path());
                assert!(!ran, "{shell}: {}: {}", json!(text), json!(hostile));
            }
        }
    }
    assert!(seen.values().all(|count| *count > 200), "{seen:?}");
}

/// The test above can fail: the same values unquoted do run.
#[test]
fn the_values_are_hostile() {
    for (value, text) in [
        (HOSTILE[0], "echo \"VALUE\""),
        (HOSTILE[1], "echo VALUE"),
        (HOSTILE[2], "echo 'VALUE'"),
        (HOSTILE[3], "echo \"VALUE\""),
        (HOSTILE[4], "true # VALUE"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let text = text.replace("VALUE", value);
        assert!(runs_a_value("/bin/sh", &text, folder.path()), "{text}");
    }
}
