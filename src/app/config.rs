//! Configuration: built-in values, files and `FAB_RS_*`, each value with where it came from. Flags come on top
//! in `settings`.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use indexmap::IndexMap;

use crate::model::{Diagnostic, Source, SourceSpan, nearest};
use crate::yaml::{self, Node, NodeKind};

use super::environment::Environment;

/// Every key, as files write it (`limits.connect` is `connect` below `limits`), with its built-in value.
const KEYS: [(&str, Option<&str>); 22] = [
    ("inventory", None),
    ("fanout", Some("32")),
    ("limits.connect", Some("10s")),
    ("limits.login", Some("30s")),
    ("limits.command", Some("1h")),
    ("limits.silence", Some("none")),
    ("limits.transfer_stall", Some("60s")),
    ("limits.run", Some("none")),
    ("attempts", Some("3")),
    ("ssh.user", None),
    ("ssh.port", None),
    ("ssh.identity", None),
    ("ssh.jump", None),
    ("ssh.host_keys", None),
    ("ssh.kex", None),
    ("ssh.config", None),
    ("ssh.options", None),
    ("aws.region", None),
    ("aws.profile", None),
    ("color", Some("auto")),
    ("outdir", None),
    ("state_dir", None),
];

/// Keys whose values are paths: in a file they are meant from the file's folder.
const PATHS: [&str; 4] = ["ssh.identity", "ssh.config", "outdir", "state_dir"];

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Built in.
    BuiltIn,
    /// A file, at this place.
    File(SourceSpan),
    /// An environment variable.
    Variable(String),
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::BuiltIn => f.write_str("built in"),
            Self::File(span) => f.write_str(&span.place()),
            Self::Variable(name) => write!(f, "${name}"),
        }
    }
}

/// A value as text, and where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Value {
    /// As written; `KEY=VALUE` pairs of `ssh.options` are its own.
    pub(crate) text: String,
    /// Where.
    pub(crate) origin: Origin,
}

/// All configured values by key.
#[derive(Debug, Clone, Default)]
pub(crate) struct Config {
    values: IndexMap<String, Value>,
}

impl Config {
    /// Reads every layer: built-in, `/etc/fab-rs/config.yml`, the user's, the project's `fab-rs.yml` found upwards
    /// from the working directory, the environment.
    ///
    /// # Errors
    /// Everything that is wrong with any of them.
    pub(crate) fn read(environment: &Environment) -> Result<Self, Vec<Diagnostic>> {
        let mut config = Self::built_in();
        let mut errors = Vec::new();
        let files = [
            Some(PathBuf::from("/etc/fab-rs/config.yml")),
            Some(environment.config_dir.join("config.yml")),
            project_file(&environment.cwd),
        ];
        for path in files.into_iter().flatten() {
            config.add_file(&path, &mut errors);
        }
        config.add_variables(&environment.overrides, &mut errors);
        if errors.is_empty() {
            Ok(config)
        } else {
            Err(errors)
        }
    }

    fn built_in() -> Self {
        let values = KEYS
            .iter()
            .filter_map(|(key, text)| {
                Some((
                    (*key).to_owned(),
                    Value {
                        text: (*text)?.to_owned(),
                        origin: Origin::BuiltIn,
                    },
                ))
            })
            .collect();
        Self { values }
    }

    /// A key's value.
    pub(crate) fn get(&self, key: &str) -> Option<&Value> {
        self.values.get(key)
    }

    /// The `ssh.options` as `(KEY, VALUE)`.
    pub(crate) fn ssh_options(&self) -> impl Iterator<Item = (&str, &str)> {
        self.values.iter().filter_map(|(key, value)| {
            Some((key.strip_prefix("ssh.options.")?, value.text.as_str()))
        })
    }

    fn add_file(&mut self, path: &Path, errors: &mut Vec<Diagnostic>) {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return,
            Err(error) => {
                errors.push(
                    Diagnostic::new(format!("cannot read `{}`", path.display()))
                        .cause(error.to_string()),
                );
                return;
            }
        };
        let source = Arc::new(Source {
            path: path.to_owned(),
            text,
        });
        match yaml::parse(&source) {
            Ok(node) if node.is_null() => {}
            Ok(node) => self.add_node(&node, "", path, errors),
            Err(more) => errors.extend(more),
        }
    }

    fn add_node(&mut self, node: &Node, prefix: &str, path: &Path, errors: &mut Vec<Diagnostic>) {
        let NodeKind::Mapping(entries) = &node.kind else {
            errors.push(node.mismatch(
                if prefix.is_empty() {
                    "the configuration"
                } else {
                    prefix
                },
                "a map",
            ));
            return;
        };
        for (key_node, value) in entries {
            let Some(name) = key_node.as_text() else {
                errors.push(key_node.mismatch("a key", "a text"));
                continue;
            };
            let key = if prefix.is_empty() {
                name.to_owned()
            } else {
                format!("{prefix}.{name}")
            };
            let is_group = KEYS.iter().any(|(known, _)| {
                known
                    .strip_prefix(&key)
                    .is_some_and(|rest| rest.starts_with('.'))
            });
            if is_group || key == "ssh.options" {
                self.add_node(value, &key, path, errors);
            } else if !is_known(&key) {
                errors.push(unknown(&key, name, &key_node.span));
            } else if let Some(text) = value.as_text() {
                let text = text.to_owned();
                let text = if PATHS.contains(&key.as_str()) {
                    from_folder(path, &text)
                } else {
                    text
                };
                self.values.insert(
                    key,
                    Value {
                        text,
                        origin: Origin::File(value.span.clone()),
                    },
                );
            } else {
                errors.push(value.mismatch(&format!("`{key}`"), "one value"));
            }
        }
    }

    fn add_variables(&mut self, variables: &[(String, String)], errors: &mut Vec<Diagnostic>) {
        for (name, text) in variables {
            let variable = format!("FAB_RS_{}", name.to_uppercase());
            let known = |(key, _): &&(&str, Option<&str>)| {
                key.replace('.', "_") == *name && *key != "ssh.options"
            };
            if let Some((key, _)) = KEYS.iter().find(known) {
                let origin = Origin::Variable(variable);
                let value = Value {
                    text: text.clone(),
                    origin,
                };
                self.values.insert((*key).to_owned(), value);
            } else {
                errors.push(unknown_variable(name, &variable));
            }
        }
    }

    /// Every key with its value, where it has one, and where that came from: `config --explain`.
    pub(crate) fn explain(&self) -> impl Iterator<Item = (&str, Option<&Value>)> {
        let fixed = KEYS.iter().map(|(key, _)| (*key, self.values.get(*key)));
        let options = self
            .values
            .iter()
            .filter(|(key, _)| key.starts_with("ssh.options."));
        fixed
            .filter(|(key, _)| *key != "ssh.options")
            .chain(options.map(|(key, value)| (key.as_str(), Some(value))))
    }
}

fn is_known(key: &str) -> bool {
    KEYS.iter().any(|(known, _)| *known == key) || key.starts_with("ssh.options.")
}

fn unknown(key: &str, name: &str, span: &SourceSpan) -> Diagnostic {
    let group = key.strip_suffix(name).unwrap_or_default();
    let mut siblings: Vec<&str> = KEYS
        .iter()
        .filter_map(|(known, _)| known.strip_prefix(group))
        .map(|rest| rest.split('.').next().unwrap_or(rest))
        .collect();
    siblings.dedup();
    let error = Diagnostic::new(format!("unknown key `{name}` in the configuration")).at(span);
    match nearest(name, siblings.iter().copied()) {
        Some(near) => error.label(format!("did you mean `{near}`?")),
        None => error.hint(format!("keys here: {}", siblings.join(", "))),
    }
}

fn unknown_variable(name: &str, variable: &str) -> Diagnostic {
    let known: Vec<String> = KEYS.iter().map(|(key, _)| key.replace('.', "_")).collect();
    let error = Diagnostic::new(format!("unknown environment variable `{variable}`"));
    match nearest(name, known.iter().map(String::as_str)) {
        Some(near) => error.hint(format!("did you mean `FAB_RS_{}`?", near.to_uppercase())),
        None => error.hint("`fab-rs config --explain` lists the keys; a variable is `FAB_RS_` and the key in capitals"),
    }
}

fn from_folder(file: &Path, text: &str) -> String {
    if text.starts_with('~') {
        return text.to_owned();
    }
    let folder = file.parent().unwrap_or(Path::new("."));
    folder.join(text).to_string_lossy().into_owned()
}

/// The project's file: `fab-rs.yml` in the working directory or the nearest folder above it.
pub(crate) fn project_file(cwd: &Path) -> Option<PathBuf> {
    cwd.ancestors()
        .map(|folder| folder.join("fab-rs.yml"))
        .find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> (Config, Vec<Diagnostic>) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("fab-rs.yml");
        fs::write(&path, text).unwrap();
        let (mut config, mut errors) = (Config::built_in(), Vec::new());
        config.add_file(&path, &mut errors);
        (config, errors)
    }

    #[test]
    fn a_file_overrides_what_is_built_in_and_is_named_as_the_origin() {
        let (config, errors) =
            config("fanout: 8\nlimits:\n  connect: 3s\nssh:\n  options: {Compression: yes}\n");
        assert_eq!(errors, []);
        let fanout = config.get("fanout").unwrap();
        assert_eq!(fanout.text, "8");
        assert!(fanout.origin.to_string().ends_with("fab-rs.yml:1:9"));
        assert_eq!(config.get("limits.login").unwrap().origin, Origin::BuiltIn);
        assert_eq!(
            config.ssh_options().collect::<Vec<_>>(),
            [("Compression", "yes")]
        );
    }

    #[test]
    fn a_key_like_no_other_names_each_group_once() {
        let (_, errors) = config("version: 1\n");
        let hint = &errors[0].hints[0];
        assert_eq!(hint.matches("limits").count(), 1, "{hint}");
    }

    #[test]
    fn a_misspelt_key_names_the_nearest_one_of_its_group() {
        let (_, errors) = config("limits:\n  conect: 3s\n");
        assert_eq!(errors[0].label.as_deref(), Some("did you mean `connect`?"));
        assert_eq!(errors[0].span.as_ref().unwrap().line_column(), (2, 3));
    }

    #[test]
    fn variables_override_files_and_misspelt_ones_are_refused() {
        let (mut config, mut errors) = config("fanout: 8\n");
        config.add_variables(
            &[
                ("fanout".to_owned(), "9".to_owned()),
                ("limits_conect".to_owned(), "1s".to_owned()),
            ],
            &mut errors,
        );
        assert_eq!(config.get("fanout").unwrap().text, "9");
        assert_eq!(errors[0].hints, ["did you mean `FAB_RS_LIMITS_CONNECT`?"]);
    }
}
