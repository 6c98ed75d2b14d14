//! Texts that may hold templates, bare expressions, and the place of a name inside them. Rendering is
//! `template`'s job.

use std::ops::Range;
use std::sync::Arc;

use crate::model::{Diagnostic, SourceSpan};
use crate::task::shell_text::length_taken_for_comment;
use crate::task::{
    Condition, Expression, Names, Quoting, Template, Text, expression_names, template_names,
};
use crate::yaml::{Node, Style};

use super::reader::Reader;
use super::scope::Scope;

/// What a text is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum For {
    /// Argv words, paths, messages: no secrets.
    Plain,
    /// A shell: values are quoted; no secrets.
    Shell,
    /// A regular expression: values match themselves; no secrets.
    Pattern,
    /// Plain, and secrets may stand in it, since it reaches no argv, log or plan.
    Private,
}

/// Whether a text holds a template.
pub(super) fn is_template(text: &str) -> bool {
    text.contains("{{") || text.contains("{%") || (text.contains("{#") && text.contains("#}"))
}

impl Reader<'_> {
    /// A text; `what` names it in backticks.
    pub(super) fn text(
        &mut self,
        node: &Node,
        what: &str,
        scope: &Scope,
        purpose: For,
    ) -> Option<Text> {
        let text = node.expect_string(what, &mut self.errors)?;
        // `${#x}` of a shell is no template comment.
        let quoting = match purpose {
            For::Shell => Quoting::Shell,
            For::Pattern => Quoting::Pattern,
            For::Plain | For::Private => Quoting::Plain,
        };
        let has_tags = text.contains("{{") || text.contains("{%");
        if !is_template(&text) || (!has_tags && purpose == For::Shell) {
            return Some(Text::Plain(text.into()));
        }
        if purpose == For::Shell {
            self.check_lengths(node, &text, what)?;
        }
        let names = self.found(node, template_names(&text, quoting, &node.span))?;
        let registers = self.check_names(node, names, scope, purpose)?;
        Some(Text::Template(Arc::new(Template {
            source: text,
            quoting,
            span: node.span.clone(),
            registers,
        })))
    }

    /// The text of a file that is rendered: its names must exist, secrets may stand in it.
    pub(super) fn check_file_text(&mut self, path: &str, text: &str, scope: &Scope) {
        let source = Arc::new(crate::model::Source {
            path: path.into(),
            text: text.to_owned(),
        });
        let node = Node {
            span: SourceSpan::new(&source, 0..text.len()),
            kind: crate::yaml::NodeKind::Scalar(crate::yaml::Scalar {
                text: text.to_owned(),
                style: Style::Block,
            }),
        };
        self.text(&node, &format!("template `{path}`"), scope, For::Private);
    }

    /// A text under a key of a map.
    pub(super) fn text_at(
        &mut self,
        fields: &crate::yaml::Fields<'_>,
        key: &str,
        scope: &Scope,
        purpose: For,
    ) -> Option<Text> {
        let mut errors = Vec::new();
        let node = fields.read(key, &mut errors, |node, _, _| Some(node));
        self.errors.append(&mut errors);
        self.text(node?, &format!("`{key}`"), scope, purpose)
    }

    /// A text under a key that must be there.
    pub(super) fn required_text(
        &mut self,
        fields: &crate::yaml::Fields<'_>,
        key: &str,
        what: &str,
        scope: &Scope,
    ) -> Option<Text> {
        fields.require(key, what, &mut self.errors)?;
        self.text_at(fields, key, scope, For::Plain)
    }

    /// `true`, `false`, or an expression without braces.
    pub(super) fn condition(
        &mut self,
        node: &Node,
        what: &str,
        scope: &Scope,
    ) -> Option<Condition> {
        let scalar = node.expect_scalar(what, "an expression", &mut self.errors)?;
        if scalar.style == Style::Plain && matches!(scalar.text.as_str(), "true" | "false") {
            return Some(Condition::Known(scalar.text == "true"));
        }
        let source = scalar.text.trim().to_owned();
        if let Some(inside) = source
            .strip_prefix("{{")
            .and_then(|rest| rest.strip_suffix("}}"))
        {
            let error =
                Diagnostic::new(format!("{what} is an expression: it stands without braces"))
                    .at(&node.head())
                    .hint(format!("write `{}`", inside.trim()));
            self.error(error);
            return None;
        }
        self.expression(node, source, what, scope)
            .map(|expression| Condition::Expression(Arc::new(expression)))
    }

    /// A bare expression, as it is in the file or as it was made from what is there.
    pub(super) fn expression(
        &mut self,
        node: &Node,
        source: String,
        what: &str,
        scope: &Scope,
    ) -> Option<Expression> {
        let names = self.found(node, expression_names(&source, &node.span));
        if names.is_none()
            && let Some(error) = self.errors.last_mut()
        {
            error.message = format!("{what}: {}", error.message);
        }
        let registers = self.check_names(node, names?, scope, For::Private)?;
        Some(Expression {
            source,
            span: node.span.clone(),
            registers,
        })
    }

    /// The names that were found, or the error why they were not. Where the error has no exact place, its
    /// caret goes under the first line.
    fn found(&mut self, node: &Node, names: Result<Names, Diagnostic>) -> Option<Names> {
        names
            .map_err(|mut error| {
                if error.span.as_ref() == Some(&node.span) {
                    error.span = Some(node.head());
                }
                self.error(error);
            })
            .ok()
    }

    /// Checks names and secrets; gives the names that are known only while the steps run.
    fn check_names(
        &mut self,
        node: &Node,
        names: Names,
        scope: &Scope,
        purpose: For,
    ) -> Option<Vec<String>> {
        let before = self.errors.len();
        let mut registers = Vec::new();
        for mut name in names.paths {
            if name.span == node.span {
                name.span = node.head();
            }
            if purpose != For::Private {
                self.refuse_secret(&name.path, &name.span);
            }
            if let Some(late) = self.check_name(&name, scope)
                && !registers.contains(&late)
            {
                registers.push(late);
            }
        }
        (self.errors.len() == before).then_some(registers)
    }

    fn refuse_secret(&mut self, name: &str, place: &SourceSpan) {
        let param = name.strip_prefix("params.").unwrap_or_default();
        let param = param.split('.').next().unwrap_or_default();
        let secret = self
            .params
            .values()
            .find(|declared| declared.secret && (declared.name == param || name == "params"));
        let Some(secret) = secret else {
            return;
        };
        let message = format!(
            "secret param `{}` in a text that others can see",
            secret.name
        );
        let hint = format!(
            "hosts get it as a file: read \"$FAB_SECRET_{}_FILE\" in the script",
            secret.name.to_uppercase()
        );
        self.error(Diagnostic::new(message).at(place).hint(hint));
    }

    /// `${#name}` begins a template comment, which would swallow what follows.
    fn check_lengths(&mut self, node: &Node, text: &str, what: &str) -> Option<()> {
        let Some(range) = length_taken_for_comment(text) else {
            return Some(());
        };
        let error = Diagnostic::new(format!("`{{#` in {what} begins a template comment"))
            .at(&place(node, text, range))
            .hint("write `{% raw %}${#name}{% endraw %}`");
        self.error(error);
        None
    }
}

/// The place in the file of a part of a scalar's text. Escapes and indentation make the two differ, so the
/// part is found by its text: the same occurrence in both.
pub(super) fn place(node: &Node, text: &str, range: Range<usize>) -> SourceSpan {
    let part = &text[range.clone()];
    if part.is_empty() {
        return node.head();
    }
    let number = text[..range.start].matches(part).count();
    match node.written().match_indices(part).nth(number) {
        Some((at, _)) => {
            let start = node.span.range.start + at;
            SourceSpan::new(&node.span.source, start..start + part.len())
        }
        None => node.head(),
    }
}
