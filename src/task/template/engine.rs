//! Renders templates and evaluates expressions for one host. What they see is a [`Scope`]; what lies
//! outside of the program (the clock, files of the controller) comes through [`Outside`].

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use minijinja::value::{Object, Serde, ValueKind};
use minijinja::{Error, Value};

use super::environment::{ENVIRONMENT, template_name};
use super::fault::{self, TemplateFault};
use super::names::{self, Names, expression_names, template_names};
use super::tag::{Piece, pieces};
use crate::model::{Diagnostic, SourceSpan};
use crate::task::{Condition, Expression, Quoting, Scope, Template, Text};

/// What templates may ask of the world; `app` implements it.
pub trait Outside: Send + Sync {
    /// The time, for `now()`.
    fn now(&self) -> jiff::Timestamp;

    /// The SHA-256 of a file of the controller in hex, for `file_sha256(path)`.
    ///
    /// # Errors
    /// Why the file cannot be read, in words.
    fn file_sha256(&self, path: &str) -> Result<String, String>;
}

/// What templates see as `fab`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fab {
    /// The version of fab-rs.
    pub version: String,
    /// The commit of the working directory, where it is a git checkout.
    pub git_sha: Option<String>,
    /// Whether that checkout has changes.
    pub git_dirty: Option<bool>,
    /// The working directory.
    pub cwd: String,
}

/// Renders and evaluates. One serves a whole run; every text is compiled once, however many hosts it is
/// rendered for.
pub struct Engine {
    functions: Arc<HashMap<&'static str, Value>>,
    fab: Arc<Fab>,
    expressions: Mutex<HashMap<Arc<str>, Arc<minijinja::Expression<'static, 'static>>>>,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("fab", &self.fab)
            .finish_non_exhaustive()
    }
}

impl Engine {
    /// An engine over this world.
    pub fn new(outside: &Arc<dyn Outside>, fab: Fab) -> Self {
        Self {
            functions: Arc::new(functions(outside)),
            fab: Arc::new(fab),
            expressions: Mutex::new(HashMap::new()),
        }
    }

    /// Renders a template.
    ///
    /// # Errors
    /// A name that is not defined, a secret, or a value that the template cannot take; with the place in
    /// the file and the host.
    pub fn render(&self, template: &Template, scope: &Scope) -> Result<String, Diagnostic> {
        let name = template_name(&template.source, template.quoting);
        let revealing = (template.quoting == Quoting::File).then(|| scope.revealing_secrets());
        let seen = revealing.as_ref().unwrap_or(scope);
        ENVIRONMENT
            .get_template(&name)
            .and_then(|compiled| compiled.render(self.root(seen)))
            .map_err(|error| {
                let names = || template_names(&template.source, template.quoting, &template.span);
                self.explain(&error, (&template.source, &template.span), names, scope)
            })
    }

    /// A text, rendered where it is a template.
    ///
    /// # Errors
    /// As [`Engine::render`].
    pub fn text(&self, text: &Text, scope: &Scope) -> Result<Arc<str>, Diagnostic> {
        match text {
            Text::Plain(text) => Ok(Arc::clone(text)),
            Text::Template(template) => Ok(self.render(template, scope)?.into()),
        }
    }

    /// A text as a value: a template that is one `{{ … }}` and nothing else keeps the value's type.
    ///
    /// # Errors
    /// As [`Engine::render`].
    pub fn value(&self, text: &Text, scope: &Scope) -> Result<serde_json::Value, Diagnostic> {
        let Text::Template(template) = text else {
            return Ok(text.shown().into());
        };
        if let [Piece::Value(tag)] = &pieces(&template.source)[..] {
            let source = &template.source[tag.inside.clone()];
            let start = tag.inside.start;
            let value = self.compute(source, scope).map_err(|error| {
                let names = || template_names(&template.source, template.quoting, &template.span);
                let padded = format!("{}{source}", " ".repeat(start));
                self.explain(&error, (&padded, &template.span), names, scope)
            })?;
            let has_type = !is_text(&value) && !value.is_undefined() && !value.is_none();
            if has_type {
                return json(&value).map_err(|message| {
                    Diagnostic::new(message)
                        .at(&template.span)
                        .context(scope.context())
                });
            }
        }
        self.render(template, scope).map(Into::into)
    }

    /// Whether an expression holds.
    ///
    /// # Errors
    /// As [`Engine::render`]; also where the result is neither true nor false.
    pub fn holds(&self, expression: &Expression, scope: &Scope) -> Result<bool, Diagnostic> {
        let value = self.result(expression, scope)?;
        bool::try_from(value.clone())
            .ok()
            .filter(|_| value.kind() == ValueKind::Bool)
            .ok_or_else(|| {
                let source = &expression.source;
                let hint = match value.kind() {
                    ValueKind::String => {
                        format!("compare it with a text, such as `{source} != \"\"`")
                    }
                    ValueKind::Number => {
                        format!("compare it with a number, such as `{source} != 0`")
                    }
                    ValueKind::Seq => {
                        format!("ask for its length, such as `{source} | length > 0`")
                    }
                    _ => "compare it with something".to_owned(),
                };
                Diagnostic::new(format!(
                    "`{source}` is neither true nor false but {}",
                    described(&value)
                ))
                .at(&expression.span)
                .context(scope.context())
                .hint(hint)
            })
    }

    /// Whether a condition holds.
    ///
    /// # Errors
    /// As [`Engine::holds`].
    pub fn condition(&self, condition: &Condition, scope: &Scope) -> Result<bool, Diagnostic> {
        match condition {
            Condition::Known(known) => Ok(*known),
            Condition::Expression(expression) => self.holds(expression, scope),
        }
    }

    /// The elements of an expression that a `loop` goes over: a list's elements, or a map's keys.
    ///
    /// # Errors
    /// As [`Engine::render`]; also where the result is no list.
    pub fn elements(
        &self,
        expression: &Expression,
        scope: &Scope,
    ) -> Result<Vec<serde_json::Value>, Diagnostic> {
        let value = self.result(expression, scope)?;
        let refused = |message: String| {
            Diagnostic::new(message)
                .at(&expression.span)
                .context(scope.context())
        };
        if is_text(&value)
            || !matches!(
                value.kind(),
                ValueKind::Seq | ValueKind::Iterable | ValueKind::Map
            )
        {
            let message = format!(
                "`{}` is no list but {}",
                expression.source,
                described(&value)
            );
            return Err(refused(message).hint("a text with one element a line: `x.lines`"));
        }
        let elements = value
            .try_iter()
            .map_err(|error| refused(error.to_string()))?;
        elements
            .map(|element| json(&element).map_err(&refused))
            .collect()
    }

    /// The expression's value as text for comparing what different hosts see.
    pub(crate) fn fingerprint(&self, path: &str, scope: &Scope) -> String {
        match self.compute(path, scope) {
            Ok(value) => format!("{:?} {value}", value.kind()),
            Err(error) => format!("error {error}"),
        }
    }

    /// Whether a name with its attributes has a value in this scope.
    fn is_defined(&self, path: &str, scope: &Scope) -> bool {
        self.compute(path, scope)
            .is_ok_and(|value| !value.is_undefined())
    }

    /// Checks that a name has a value in this scope that a template may read.
    ///
    /// # Errors
    /// It has none, or it is a secret.
    pub(crate) fn check(
        &self,
        path: &str,
        span: &SourceSpan,
        scope: &Scope,
    ) -> Result<(), Diagnostic> {
        match self.compute(path, scope) {
            Ok(value) if value.is_undefined() => Err(scope.not_defined(path, span)),
            Ok(_) => Ok(()),
            Err(error) if names::is_undefined(error.kind()) => Err(scope.not_defined(path, span)),
            Err(error) => Err(fault::diagnostic(&error, path, span)
                .at(span)
                .context(scope.context())),
        }
    }

    fn result(&self, expression: &Expression, scope: &Scope) -> Result<Value, Diagnostic> {
        let explain = |error: &Error| {
            let names = || expression_names(&expression.source, &expression.span);
            self.explain(error, (&expression.source, &expression.span), names, scope)
        };
        let value = self
            .compute(&expression.source, scope)
            .map_err(|error| explain(&error))?;
        if value.is_undefined() {
            return Err(explain(&minijinja::ErrorKind::UndefinedError.into()));
        }
        Ok(value)
    }

    fn compute(&self, source: &str, scope: &Scope) -> Result<Value, Error> {
        let mut cache = self
            .expressions
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let compiled = if let Some(compiled) = cache.get(source) {
            Arc::clone(compiled)
        } else {
            let compiled = Arc::new(ENVIRONMENT.compile_expression_owned(source.to_owned())?);
            cache.insert(source.into(), Arc::clone(&compiled));
            compiled
        };
        drop(cache);
        compiled.eval(self.root(scope))
    }

    fn root(&self, scope: &Scope) -> Value {
        Value::from_object(Root {
            scope: scope.clone(),
            functions: Arc::clone(&self.functions),
            fab: Arc::clone(&self.fab),
        })
    }

    /// An error in the user's words: which name is missing, and what might have been meant.
    fn explain(
        &self,
        error: &Error,
        (source, span): (&str, &SourceSpan),
        names: impl FnOnce() -> Result<Names, Diagnostic>,
        scope: &Scope,
    ) -> Diagnostic {
        let plain = fault::diagnostic(error, source, span);
        if !names::is_undefined(error.kind()) {
            return plain.context(scope.context());
        }
        let names = match names() {
            Ok(names) => names,
            Err(diagnostic) => return diagnostic.context(scope.context()),
        };
        let place = plain.span.as_ref().map(|span| span.range.clone());
        let missing = |name: &&names::NamePath| !self.is_defined(&name.path, scope);
        let culprit = names.paths.iter().filter(missing).max_by_key(|name| {
            place.as_ref().is_some_and(|place| {
                place.start <= name.span.range.start && name.span.range.end <= place.end
            })
        });
        match culprit {
            Some(name) => scope.not_defined(&name.path, &name.span),
            None => plain.context(scope.context()),
        }
    }
}

/// The functions that ask the world.
fn functions(outside: &Arc<dyn Outside>) -> HashMap<&'static str, Value> {
    let (clock, files) = (Arc::clone(outside), Arc::clone(outside));
    HashMap::from([
        ("now", Value::from_function(move || clock.now().to_string())),
        (
            "file_sha256",
            Value::from_function(move |path: &str| {
                files.file_sha256(path).map_err(|cause| {
                    let message = format!("cannot read `{path}`: {cause}");
                    TemplateFault {
                        message,
                        hints: Vec::new(),
                    }
                    .into_error()
                })
            }),
        ),
        (
            "secret",
            not_supported(
                "secret",
                "declare a param with `secret: true` and `from: env:NAME`",
            ),
        ),
        (
            "exists",
            not_supported(
                "exists",
                "register a `run: [test, -e, PATH]` step with `ok_rc: [0, 1]`",
            ),
        ),
    ])
}

fn not_supported(name: &'static str, hint: &'static str) -> Value {
    Value::from_function(move |_arguments: minijinja::value::Rest<Value>| {
        Err::<Value, _>(
            TemplateFault {
                message: format!("`{name}()` is not supported yet"),
                hints: vec![hint.to_owned()],
            }
            .into_error(),
        )
    })
}

/// What a template sees at its root: the scope, `fab` and the functions.
#[derive(Debug)]
struct Root {
    scope: Scope,
    functions: Arc<HashMap<&'static str, Value>>,
    fab: Arc<Fab>,
}

impl Object for Root {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        match key {
            "fab" => Some(self.scope.fab(&self.fab)),
            _ => self
                .scope
                .get(key)
                .or_else(|| self.functions.get(key).cloned()),
        }
    }
}

/// Whether a value is text: a string, or an object that prints as one and is neither list nor map.
fn is_text(value: &Value) -> bool {
    matches!(value.kind(), ValueKind::String | ValueKind::Plain)
}

fn described(value: &Value) -> String {
    match value.kind() {
        ValueKind::String => "a text".to_owned(),
        ValueKind::Seq | ValueKind::Iterable => "a list".to_owned(),
        ValueKind::None => "null".to_owned(),
        kind => format!("a {kind}"),
    }
}

fn json(value: &Value) -> Result<serde_json::Value, String> {
    serde_json::to_value(value).map_err(|error| format!("the value cannot be kept: {error}"))
}

/// A value of JSON as templates see it.
pub(in crate::task) fn from_json(value: &serde_json::Value) -> Value {
    Value::from(Serde(value))
}
