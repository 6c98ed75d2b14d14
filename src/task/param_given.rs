//! Which text each param gets: typed, from a params file, from its `from:`, asked for, or its default. What
//! depends on the host is resolved per host, here too; reading the environment or a terminal is `app`'s.

use indexmap::IndexMap;

use super::param_parse::json_text;
use super::template::template_names;
use super::{Engine, LockKey, Param, ParamValue, Scope, Task, Text};
use crate::model::{Diagnostic, nearest};

use std::sync::Arc;

/// The params that a person gave.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GivenParams {
    /// `name=value` words and `--set`.
    pub typed: IndexMap<String, String>,
    /// The params file's values.
    pub file: IndexMap<String, serde_json::Value>,
}

/// Where values come from that nobody gave; `app` implements it.
pub trait ParamSource {
    /// The text behind a param's `from:` (`env:X`, `file:P`, `prompt`); `None` where there is none.
    ///
    /// # Errors
    /// Why it cannot be read, in words.
    fn read(&self, param: &Param, from: &str) -> Result<Option<String>, String>;

    /// Asks a person for a required param; `None` where there is no terminal.
    fn ask(&self, param: &Param) -> Option<String>;
}

/// A task's params as far as they are the same for every host.
#[derive(Debug, Clone, PartialEq)]
pub struct CommonParams {
    /// The values, in the order of the task.
    pub values: Arc<IndexMap<String, ParamValue>>,
    /// Params whose default is resolved per host, in the order of the task.
    pub per_host: Vec<String>,
    /// What a person should know of the params that were given: those that are deprecated.
    pub notes: Vec<String>,
}

impl CommonParams {
    /// Gives every param its value: typed, else the params file's, else `from:`, else asked for where it is
    /// required, else the default.
    ///
    /// # Errors
    /// Every param that is unknown, missing or does not fit.
    pub fn resolve(
        task: &Task,
        given: &GivenParams,
        source: &dyn ParamSource,
        engine: &Engine,
    ) -> Result<Self, Vec<Diagnostic>> {
        let mut errors = unknown(task, given);
        let mut common = Self {
            values: Arc::default(),
            per_host: Vec::new(),
            notes: Vec::new(),
        };
        for param in task.params.values() {
            match common.value_of(param, given, source, engine) {
                Ok(Some(value)) => {
                    Arc::make_mut(&mut common.values).insert(param.name.clone(), value);
                }
                Ok(None) => {}
                Err(error) => errors.push(error),
            }
        }
        if errors.is_empty() {
            Ok(common)
        } else {
            Err(errors)
        }
    }

    fn value_of(
        &mut self,
        param: &Param,
        given: &GivenParams,
        source: &dyn ParamSource,
        engine: &Engine,
    ) -> Result<Option<ParamValue>, Diagnostic> {
        if let Some(text) = text_of(param, given, source)? {
            if let Some(why) = &param.deprecated {
                let note = format!("param `{}` is deprecated: {why}", param.name);
                self.notes.push(note);
            }
            return Ok(Some(param.parse(&text)?));
        }
        match &param.default {
            None => Ok(None),
            Some(Text::Plain(text)) => param
                .parse(text)
                .map(Some)
                .map_err(|error| error.at(&param.span)),
            Some(default @ Text::Template(template)) => {
                let names = template_names(&template.source, template.quoting, &template.span)?;
                let depends_on_host = names.paths.iter().any(|name| {
                    let param = name.path.strip_prefix("params.").unwrap_or_default();
                    name.root() == "host" || self.per_host.iter().any(|other| other == param)
                });
                if depends_on_host {
                    self.per_host.push(param.name.clone());
                    return Ok(None);
                }
                let scope = Scope::new(Arc::clone(&self.values));
                from_default(param, default, &scope, engine).map(Some)
            }
        }
    }

    /// All params of one host; `scope` has the host, and is given the common params here. The values are
    /// shared where no param depends on the host.
    ///
    /// # Errors
    /// Every default that cannot be rendered for this host, such as for want of a tag.
    pub(crate) fn for_host(
        &self,
        task: &Task,
        scope: &Scope,
        engine: &Engine,
    ) -> Result<Arc<IndexMap<String, ParamValue>>, Vec<Diagnostic>> {
        if self.per_host.is_empty() {
            return Ok(Arc::clone(&self.values));
        }
        let mut values = self.values.clone();
        let mut errors = Vec::new();
        for name in &self.per_host {
            let Some((param, default)) = task
                .params
                .get(name)
                .and_then(|param| Some((param, param.default.as_ref()?)))
            else {
                continue;
            };
            let scope = scope.clone().with_params(Arc::clone(&values));
            match from_default(param, default, &scope, engine) {
                Ok(value) => {
                    Arc::make_mut(&mut values).insert(name.clone(), value);
                }
                Err(error) => errors.push(error),
            }
        }
        if errors.is_empty() {
            Ok(values)
        } else {
            Err(errors)
        }
    }

    /// The task's default targets, rendered: they are the same for every host.
    ///
    /// # Errors
    /// A target that reads a param which differs between hosts, or that cannot be rendered.
    pub fn targets(&self, task: &Task, engine: &Engine) -> Result<Vec<String>, Vec<Diagnostic>> {
        let scope = Scope::new(Arc::clone(&self.values));
        let mut errors = Vec::new();
        let mut targets = Vec::new();
        for target in &task.targets {
            match self
                .refuse_per_host("targets", target)
                .and_then(|()| engine.text(target, &scope))
            {
                Ok(text) => targets.push(text.to_string()),
                Err(error) => errors.push(error),
            }
        }
        if errors.is_empty() {
            Ok(targets)
        } else {
            Err(errors)
        }
    }

    /// The task's own key of its lock, rendered: it is the same for every host. `None` where it names none.
    ///
    /// # Errors
    /// A key that reads a param which differs between hosts, is empty, or cannot be rendered.
    pub fn lock(&self, task: &Task, engine: &Engine) -> Result<Option<String>, Diagnostic> {
        let LockKey::Key(key) = &task.lock else {
            return Ok(None);
        };
        self.refuse_per_host("lock", key)?;
        let text = engine.text(key, &Scope::new(Arc::clone(&self.values)))?;
        if text.trim().is_empty() {
            let message = format!("`lock` of task `{}` is empty", task.name);
            return Err(Diagnostic::new(message).hint("`lock: none` takes no lock"));
        }
        Ok(Some(text.to_string()))
    }

    fn refuse_per_host(&self, key: &str, text: &Text) -> Result<(), Diagnostic> {
        let Text::Template(template) = text else {
            return Ok(());
        };
        let names = template_names(&template.source, template.quoting, &template.span)?;
        for name in names.paths {
            let param = name.path.strip_prefix("params.").unwrap_or_default();
            if self.per_host.iter().any(|other| other == param) {
                let message = format!(
                    "`{key}` reads `{}`, whose default differs between hosts",
                    name.path
                );
                return Err(Diagnostic::new(message)
                    .at(&name.span)
                    .hint(format!("give it: `{param}=VALUE`")));
            }
        }
        Ok(())
    }
}

/// Names that the task does not declare.
fn unknown(task: &Task, given: &GivenParams) -> Vec<Diagnostic> {
    let names = given.typed.keys().chain(given.file.keys());
    names
        .filter(|name| !task.params.contains_key(*name))
        .map(|name| {
            let diagnostic = Diagnostic::new(format!("task `{}` has no param `{name}`", task.name));
            let known = task.params.keys().map(String::as_str);
            match nearest(name, known.clone()) {
                Some(near) => diagnostic.hint(format!("did you mean `{near}`?")),
                None if task.params.is_empty() => diagnostic.hint("it takes none"),
                None => {
                    diagnostic.hint(format!("params: {}", known.collect::<Vec<_>>().join(", ")))
                }
            }
        })
        .collect()
}

/// The text of a param that has no default to fall back on, or that was given.
fn text_of(
    param: &Param,
    given: &GivenParams,
    source: &dyn ParamSource,
) -> Result<Option<String>, Diagnostic> {
    let name = &param.name;
    if given.typed.contains_key(name) && param.secret {
        let message = format!("param `{name}` is a secret and cannot be given on a command line");
        return Err(Diagnostic::new(message)
            .hint("every user of this machine can read command lines")
            .hint("leave it out to be asked for it, or put it into a file for `--params-file`"));
    }
    let text = given.typed.get(name).cloned();
    let text = text.or_else(|| given.file.get(name).map(json_text));
    let text = match (text, &param.from) {
        (Some(text), _) => Some(text),
        (None, Some(from)) => source.read(param, from).map_err(|cause| {
            Diagnostic::new(format!("param `{name}` cannot be read from `{from}`"))
                .at(&param.span)
                .cause(cause)
        })?,
        (None, None) => None,
    };
    if !param.required || text.as_deref().is_some_and(|text| !text.is_empty()) {
        return Ok(text);
    }
    if text.is_none()
        && let Some(answer) = source.ask(param).filter(|answer| !answer.is_empty())
    {
        return Ok(Some(answer));
    }
    Err(missing(param, text.is_some()))
}

fn missing(param: &Param, is_empty: bool) -> Diagnostic {
    let name = &param.name;
    let message = if is_empty {
        format!("param `{name}` is required, and an empty value is none")
    } else {
        format!("param `{name}` is required")
    };
    let variable = param
        .from
        .as_deref()
        .and_then(|from| from.strip_prefix("env:"));
    let diagnostic = match variable {
        Some(variable) => Diagnostic::new(message).hint(format!(
            "it is taken from the environment: set `{variable}`"
        )),
        None => Diagnostic::new(message),
    };
    let diagnostic = match (param.secret, &param.example) {
        (true, _) => diagnostic.hint("put it into a file for `--params-file`"),
        (false, Some(example)) => diagnostic.hint(format!("such as `{name}={example}`")),
        (false, None) => diagnostic.hint(format!("give it: `{name}=VALUE`")),
    };
    if param.desc.is_empty() {
        diagnostic
    } else {
        diagnostic.hint(format!("`{name}`: {}", param.desc))
    }
}

fn from_default(
    param: &Param,
    default: &Text,
    scope: &Scope,
    engine: &Engine,
) -> Result<ParamValue, Diagnostic> {
    let in_scope = |error: Diagnostic| {
        let mut place = format!("default of param `{}`", param.name);
        if let Some(context) = &error.context {
            place = format!("{place}, {context}");
        }
        error.context(place)
    };
    let value = engine.value(default, scope).map_err(in_scope)?;
    param.parse(&json_text(&value)).map_err(|error| {
        let host = scope.label();
        let place = host.map(|label| format!("rendered for host {label}"));
        error.at(&param.span).context(place.unwrap_or_default())
    })
}
