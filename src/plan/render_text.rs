//! Texts, conditions and loops of one host: rendered where everything they read is known, else checked for
//! names and left for the run.

use std::sync::Arc;

use super::render::Renderer;
use crate::task::{Condition, Expression, Names, ParamValue, Quoting, Template, Text};

/// Names that are known only while a run goes on, beside registers.
/// Batches may be formed anew while a run goes on.
const RUN_NAMES: [&str; 6] = ["loop", "attempt", "error", "results", "result", "batch"];

/// Names of the form `root.attribute` that are known only then; the bare root counts too.
const RUN_ATTRIBUTES: [&str; 3] = ["rollout", "fab.run_dir", "host.facts"];

impl Renderer<'_> {
    /// A loop over what is known becomes a loop over a list.
    pub(super) fn loop_over(&mut self, over: &Arc<Expression>) -> Arc<Expression> {
        let names = self.expression_names(over);
        if self.waits(&over.registers, &names) {
            self.check_names(&names, &over.source);
            return Arc::clone(over);
        }
        match self.engine.elements(over, &self.scope) {
            Ok(elements) => Arc::new(Expression {
                source: literal(&elements.into()),
                span: over.span.clone(),
                registers: Vec::new(),
            }),
            Err(error) => {
                self.errors.push(error);
                Arc::clone(over)
            }
        }
    }

    pub(super) fn condition(&mut self, condition: &Condition) -> Condition {
        let Condition::Expression(expression) = condition else {
            return condition.clone();
        };
        let names = self.expression_names(expression);
        if self.waits(&expression.registers, &names) {
            self.check_names(&names, &expression.source);
            return condition.clone();
        }
        match self.engine.holds(expression, &self.scope) {
            Ok(holds) => Condition::Known(holds),
            Err(error) => {
                self.errors.push(error);
                condition.clone()
            }
        }
    }

    pub(super) fn check_condition(&mut self, condition: &Condition) {
        if let Condition::Expression(expression) = condition {
            let names = self.expression_names(expression);
            self.check_names(&names, &expression.source);
        }
    }

    pub(super) fn texts(&mut self, texts: &[Text]) -> Vec<Text> {
        texts.iter().map(|text| self.text(text)).collect()
    }

    pub(super) fn maybe(&mut self, text: Option<&Text>) -> Option<Text> {
        text.map(|text| self.text(text))
    }

    pub(super) fn text(&mut self, text: &Text) -> Text {
        let Text::Template(template) = text else {
            return text.clone();
        };
        let names = self.template_names(template);
        if template.quoting == Quoting::File && self.reads_secret(&names) {
            // A secret is no part of a plan: the file is made when it is sent.
            let revealing = self.scope.revealing_secrets();
            let plain = std::mem::replace(&mut self.scope, revealing);
            self.check_names(&names, &template.source);
            self.scope = plain;
            return text.clone();
        }
        if self.waits(&template.registers, &names) {
            self.check_names(&names, &template.source);
            return text.clone();
        }
        match self.engine.render(template, &self.scope) {
            Ok(rendered) => Text::Plain(rendered.into()),
            Err(error) => {
                self.errors.push(error);
                text.clone()
            }
        }
    }

    pub(super) fn check_text(&mut self, text: &Text) {
        if let Text::Template(template) = text {
            let names = self.template_names(template);
            self.check_names(&names, &template.source);
        }
    }

    fn template_names(&mut self, template: &Arc<Template>) -> Arc<Names> {
        self.names.of_template(template).unwrap_or_else(|error| {
            self.errors.push(error.context(self.scope.context()));
            Arc::default()
        })
    }

    fn expression_names(&mut self, expression: &Arc<Expression>) -> Arc<Names> {
        self.names
            .of_expression(expression)
            .unwrap_or_else(|error| {
                self.errors.push(error.context(self.scope.context()));
                Arc::default()
            })
    }

    pub(super) fn waits_text(&self, text: &Text) -> bool {
        let Text::Template(template) = text else {
            return false;
        };
        let names = self.names.of_template(template);
        names.is_ok_and(|names| self.waits(&template.registers, &names))
    }

    /// Whether anything of this is known only while the run goes on.
    fn waits(&self, registers: &[String], names: &Names) -> bool {
        !registers.is_empty() || names.paths.iter().any(|name| self.is_later(&name.path))
    }

    fn reads_secret(&self, names: &Names) -> bool {
        let mut params = self.scope.params().iter();
        params.any(|(name, value)| {
            let path = format!("params.{name}");
            let reads = |found: &str| found == path || found == "params";
            matches!(value, ParamValue::Secret(_))
                && names.paths.iter().any(|name| reads(&name.path))
        })
    }

    fn is_later(&self, path: &str) -> bool {
        let root = path.split('.').next().unwrap_or(path);
        let is_part = |known: &str| {
            path == known
                || path.starts_with(&format!("{known}."))
                || known.starts_with(&format!("{path}."))
        };
        self.later.contains(root)
            || RUN_NAMES.contains(&root)
            || RUN_ATTRIBUTES.iter().any(|name| is_part(name))
            || self.late.iter().any(|name| is_part(name))
    }

    /// Checks the names of a text that waits. A name that is guarded (`x is defined`, `x | default(…)`)
    /// may be missing, but not what it starts with.
    fn check_names(&mut self, names: &Names, source: &str) {
        let guarded = source.contains("defined") || source.contains("default");
        for name in &names.paths {
            let path = if guarded { name.root() } else { &name.path };
            if self.is_later(path) {
                continue;
            }
            if let Err(error) = self.engine.check(path, &name.span, &self.scope) {
                self.errors.push(error);
            }
        }
    }
}

/// A value as the template language writes it: JSON, but for `null`.
fn literal(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Null => "none".to_owned(),
        serde_json::Value::Array(elements) => {
            let elements: Vec<String> = elements.iter().map(literal).collect();
            format!("[{}]", elements.join(", "))
        }
        serde_json::Value::Object(entries) => {
            let entries: Vec<String> = entries
                .iter()
                .map(|(key, value)| format!("{}: {}", serde_json::json!(key), literal(value)))
                .collect();
            format!("{{{}}}", entries.join(", "))
        }
        other => other.to_string(),
    }
}
