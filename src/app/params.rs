//! Where params get their values from besides the words: a params file, the environment, files, a person.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use indexmap::IndexMap;

use crate::model::Source;
use crate::report::Console;
use crate::task::{GivenParams, Param, ParamSource};
use crate::yaml::{self, Node, NodeKind};

use super::environment::Environment;
use super::failure::Failure;
use super::password;
use super::settings::Settings;

/// The params that were given: the words', and those of `--params-file`.
///
/// # Errors
/// The file cannot be read, or is no map.
pub(super) fn given(
    settings: &Settings,
    typed: IndexMap<String, String>,
) -> Result<GivenParams, Failure> {
    let file = match &settings.run.params_file {
        None => IndexMap::new(),
        Some(path) => read_file(path)?,
    };
    Ok(GivenParams { typed, file })
}

fn read_file(path: &Path) -> Result<IndexMap<String, serde_json::Value>, Failure> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the params file `{}`", path.display()))?;
    let source = Arc::new(Source {
        path: path.to_owned(),
        text,
    });
    // The marked parse finds duplicate keys and places; JSON is YAML.
    let node = yaml::parse(&source)?;
    let NodeKind::Mapping(entries) = &node.kind else {
        return Err(node
            .mismatch("the params file", "a map of names and values")
            .into());
    };
    let mut params = IndexMap::new();
    for (key, value) in entries {
        let name = key
            .as_text()
            .ok_or_else(|| vec![key.mismatch("a param's name", "a text")])?;
        params.insert(name.to_owned(), plain(value));
    }
    Ok(params)
}

/// A value as JSON; scalars keep their text, which the param's type reads.
fn plain(node: &Node) -> serde_json::Value {
    match &node.kind {
        NodeKind::Sequence(items) => items.iter().map(plain).collect(),
        NodeKind::Mapping(entries) => entries
            .iter()
            .map(|(key, value)| (key.as_text().unwrap_or_default().to_owned(), plain(value)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        _ => node
            .as_text()
            .map_or(serde_json::Value::Null, |text| text.to_owned().into()),
    }
}

/// The environment, files and the person at the terminal.
pub(super) struct Surroundings<'a> {
    /// Asks.
    pub(super) console: &'a Console,
    /// Whether there is somebody to ask.
    pub(super) terminal: bool,
    /// Where relative paths of `from: file:` start.
    pub(super) cwd: PathBuf,
    /// What was asked for already, so that nobody is asked twice.
    pub(super) answers: std::sync::Mutex<HashMap<String, String>>,
}

impl Surroundings<'_> {
    fn ask_person(&self, param: &Param) -> Option<String> {
        if !self.terminal {
            return None;
        }
        let mut answers = self
            .answers
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(answer) = answers.get(&param.name) {
            return Some(answer.clone());
        }
        let desc = if param.desc.is_empty() {
            String::new()
        } else {
            format!(" ({})", param.desc)
        };
        let answer = if param.secret {
            password::ask(self.console, &format!("{}{desc}", param.name))
                .ok()?
                .expose()
                .to_owned()
        } else {
            self.console.question(&format!("{}{desc}: ", param.name));
            let mut line = String::new();
            std::io::stdin()
                .read_line(&mut line)
                .ok()
                .filter(|bytes| *bytes > 0)?;
            line.trim_end_matches(['\n', '\r']).to_owned()
        };
        answers.insert(param.name.clone(), answer.clone());
        Some(answer)
    }
}

impl ParamSource for Surroundings<'_> {
    fn read(&self, param: &Param, from: &str) -> Result<Option<String>, String> {
        match from.split_once(':') {
            Some(("env", name)) => Ok(Environment::variable(name)),
            Some(("file", path)) => match std::fs::read_to_string(self.cwd.join(path)) {
                Ok(text) => Ok(Some(text.trim_end_matches(['\n', '\r']).to_owned())),
                Err(error) => Err(format!("cannot read `{path}`: {error}")),
            },
            None if from == "prompt" => Ok(self.ask_person(param)),
            _ => Err(format!("`from: {from}` is not supported yet")),
        }
    }

    fn ask(&self, param: &Param) -> Option<String> {
        self.ask_person(param)
    }
}
