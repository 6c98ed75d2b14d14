//! The params and vars of a `task:` step: what planning knows of them, and the rest when the step comes up.

use std::collections::BTreeSet;
use std::sync::Arc;

use indexmap::IndexMap;

use super::param_parse::json_text;
use super::template::template_names;
use super::{Engine, Param, ParamValue, Scope, SubScope, SubTask, Task, Text};
use crate::model::{Diagnostic, SourceSpan, nearest};

impl SubScope {
    /// Gives the other task's params and vars their values; `waits` tells texts of the calling task that
    /// cannot be rendered yet.
    ///
    /// # Errors
    /// Every param that is unknown, missing or does not fit, and every var that cannot be rendered.
    pub(crate) fn resolve(
        task: &Arc<Task>,
        (given, span): (&IndexMap<String, Text>, &SourceSpan),
        waits: &dyn Fn(&Text) -> bool,
        (engine, scope): (&Engine, &Scope),
    ) -> Result<Self, Vec<Diagnostic>> {
        let mut errors = unknown(task, given, span);
        let mut found = Self {
            task: Arc::clone(task),
            params: Arc::default(),
            vars: Arc::default(),
            late_params: IndexMap::new(),
            late_vars: IndexMap::new(),
        };
        for param in task.params.values() {
            let text = given.get(&param.name).or(param.default.as_ref());
            let is_given = given.contains_key(&param.name);
            let result = match text {
                None if param.required || param.from.is_some() => Err(missing(task, param, span)),
                None => Ok(()),
                Some(text) if is_given && waits(text) || !is_given && found.reads_late(text) => {
                    found.late_params.insert(param.name.clone(), text.clone());
                    Ok(())
                }
                Some(text) => found.set_param(param, text, is_given, (engine, scope)),
            };
            errors.extend(result.err());
        }
        for (name, text) in &task.vars {
            if found.reads_late(text) {
                found.late_vars.insert(name.clone(), text.clone());
            } else if let Err(error) = found.set_var(name, text, (engine, scope)) {
                errors.push(error);
            }
        }
        if errors.is_empty() {
            Ok(found)
        } else {
            Err(errors)
        }
    }

    /// The names, such as `params.file`, that templates of the other task cannot read yet.
    pub(crate) fn late_names(&self) -> BTreeSet<String> {
        let params = self.late_params.keys().map(|name| format!("params.{name}"));
        let vars = self.late_vars.keys().map(|name| format!("vars.{name}"));
        params.chain(vars).collect()
    }

    fn reads_late(&self, text: &Text) -> bool {
        let Text::Template(template) = text else {
            return false;
        };
        let late = self.late_names();
        if late.is_empty() {
            return false;
        }
        let names = template_names(&template.source, template.quoting, &template.span);
        let reads = |path: &str| {
            late.iter().any(|name| {
                path == name
                    || path.starts_with(&format!("{name}."))
                    || name.starts_with(&format!("{path}."))
            })
        };
        names.is_ok_and(|names| names.paths.iter().any(|name| reads(&name.path)))
    }

    fn set_param(
        &mut self,
        param: &Param,
        text: &Text,
        is_given: bool,
        (engine, scope): (&Engine, &Scope),
    ) -> Result<(), Diagnostic> {
        let value = if let Some(secret) = passed_secret(text, scope).filter(|_| param.secret) {
            secret
        } else {
            // What the calling task gives is rendered in its scope, a default in the other task's.
            let value = if is_given {
                engine.value(text, scope)?
            } else {
                engine.value(text, &scope.inside(self))?
            };
            param.parse(&json_text(&value)).map_err(|error| {
                let place = match text {
                    Text::Template(template) => &template.span,
                    Text::Plain(_) => &param.span,
                };
                error.at(place).context(scope.context())
            })?
        };
        Arc::make_mut(&mut self.params).insert(param.name.clone(), value);
        Ok(())
    }

    fn set_var(
        &mut self,
        name: &str,
        text: &Text,
        (engine, scope): (&Engine, &Scope),
    ) -> Result<(), Diagnostic> {
        let value = engine.value(text, &scope.inside(self))?;
        Arc::make_mut(&mut self.vars).insert(name.to_owned(), value);
        Ok(())
    }
}

impl Engine {
    /// The scope that a `task:` step's own steps run in, its late params and vars resolved now.
    ///
    /// # Errors
    /// A late param that does not fit, or a template that cannot be rendered.
    pub fn enter(&self, step: &SubTask, scope: &Scope) -> Result<Scope, Diagnostic> {
        let Some(planned) = &step.scope else {
            return Ok(scope.clone());
        };
        let mut found = SubScope {
            task: Arc::clone(&planned.task),
            params: Arc::clone(&planned.params),
            vars: Arc::clone(&planned.vars),
            late_params: IndexMap::new(),
            late_vars: IndexMap::new(),
        };
        for (name, text) in &planned.late_params {
            if let Some(param) = planned.task.params.get(name) {
                let is_given = step.params.contains_key(name);
                found.set_param(param, text, is_given, (self, scope))?;
            }
        }
        for (name, text) in &planned.late_vars {
            found.set_var(name, text, (self, scope))?;
        }
        Ok(scope.inside(&found))
    }
}

/// The secret that `{{ params.NAME }}` hands on to another task: the one place where that is no error.
fn passed_secret(text: &Text, scope: &Scope) -> Option<ParamValue> {
    let Text::Template(template) = text else {
        return None;
    };
    let inside = template
        .source
        .trim()
        .strip_prefix("{{")?
        .strip_suffix("}}")?;
    let name = inside.trim().strip_prefix("params.")?;
    match scope.params().get(name) {
        Some(secret @ ParamValue::Secret(_)) => Some(secret.clone()),
        _ => None,
    }
}

fn unknown(task: &Task, given: &IndexMap<String, Text>, span: &SourceSpan) -> Vec<Diagnostic> {
    let unknown = given
        .iter()
        .filter(|(name, _)| !task.params.contains_key(*name));
    unknown
        .map(|(name, text)| {
            let place = match text {
                Text::Template(template) => &template.span,
                Text::Plain(_) => span,
            };
            let error =
                Diagnostic::new(format!("task `{}` has no param `{name}`", task.name)).at(place);
            match nearest(name, task.params.keys().map(String::as_str)) {
                Some(near) => error.hint(format!("did you mean `{near}`?")),
                None => error,
            }
        })
        .collect()
}

fn missing(task: &Task, param: &Param, span: &SourceSpan) -> Diagnostic {
    let name = &param.name;
    let message = format!("task `{}` requires the param `{name}`", task.name);
    let error = Diagnostic::new(message).at(span);
    match &param.from {
        Some(from) => error.hint(format!(
            "declare one `from: {from}` in the calling task and hand it on: `params: {{{name}: \"{{{{ params.{name} }}}}\"}}`"
        )),
        None => error.hint(format!("add it: `params: {{{name}: …}}`")),
    }
}
