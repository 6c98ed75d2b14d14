//! Texts that may hold templates, bare expressions, and the place of a name inside them. Rendering is
//! `template`'s job.

use std::ops::Range;
use std::sync::Arc;

use minijinja::Environment;

use crate::model::{Diagnostic, SourceSpan};
use crate::task::shell_text::{length_taken_for_comment, misplaced};
use crate::task::{Condition, Expression, Quoting, Template, Text};
use crate::yaml::{Node, Style};

use super::names::Use;
use super::reader::Reader;
use super::scope::Scope;

/// What a text is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum For {
    /// Argv words, paths, messages: no secrets.
    Plain,
    /// A shell: values are quoted; no secrets.
    Shell,
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
            For::Plain | For::Private => Quoting::Plain,
        };
        let has_tags = text.contains("{{") || text.contains("{%");
        if !is_template(&text) || (!has_tags && purpose == For::Shell) {
            return Some(Text::Plain(text.into()));
        }
        if purpose == For::Shell {
            self.check_shell(node, &text, what)?;
        }
        let part = Part {
            node,
            text: &text,
            what,
        };
        let names = self.found(&part, template_names(&text))?;
        let registers = self.check_names(&part, &names, scope, purpose)?;
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
        let part = Part {
            node,
            text: &source,
            what,
        };
        let names = self.found(&part, expression_names(&source))?;
        let registers = self.check_names(&part, &names, scope, For::Private)?;
        Some(Expression {
            source,
            span: node.span.clone(),
            registers,
        })
    }

    /// The names that were found, or an error where the template cannot be read.
    fn found(
        &mut self,
        part: &Part<'_>,
        names: Result<Vec<String>, Trouble>,
    ) -> Option<Vec<String>> {
        names
            .map_err(|trouble| {
                let range = trouble.range.unwrap_or(0..0);
                let message = format!("{} is not valid: {}", part.what, trouble.message);
                let at = place(part.node, part.text, range);
                self.error(Diagnostic::new(message).at(&at));
            })
            .ok()
    }

    /// Checks names and secrets; gives the names that are known only while the steps run.
    fn check_names(
        &mut self,
        part: &Part<'_>,
        names: &[String],
        scope: &Scope,
        purpose: For,
    ) -> Option<Vec<String>> {
        let before = self.errors.len();
        let mut registers = Vec::new();
        for name in names {
            let place = place(part.node, part.text, find_name(part.text, name));
            if purpose != For::Private {
                self.refuse_secret(name, &place);
            }
            let used = Use { name, place };
            if let Some(late) = self.check_name(&used, scope)
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

    /// A shell text must not put values where its words are not words.
    fn check_shell(&mut self, node: &Node, text: &str, what: &str) -> Option<()> {
        if let Some(range) = length_taken_for_comment(text) {
            let error = Diagnostic::new(format!("`{{#` in {what} begins a template comment"))
                .at(&place(node, text, range))
                .hint("write `{% raw %}${#name}{% endraw %}`");
            self.error(error);
            return None;
        }
        let Some(found) = misplaced(text) else {
            return Some(());
        };
        let error = Diagnostic::new(found.to_string())
            .at(&place(node, text, found.range))
            .label("its own quotes would end the ones around it")
            .hint("values are quoted by themselves: leave the quotes out")
            .hint("or read \"$FAB_PARAM_NAME\", or use the list form of `run:`");
        self.error(error);
        None
    }
}

/// A template or expression and the scalar it stands in.
struct Part<'p> {
    node: &'p Node,
    text: &'p str,
    what: &'p str,
}

/// Why a template or expression cannot be read.
struct Trouble {
    message: String,
    range: Option<Range<usize>>,
}

impl From<minijinja::Error> for Trouble {
    fn from(error: minijinja::Error) -> Self {
        Self {
            message: error
                .detail()
                .map_or_else(|| error.kind().to_string(), str::to_owned),
            range: None,
        }
    }
}

fn template_names(text: &str) -> Result<Vec<String>, Trouble> {
    let environment = Environment::new();
    let template = environment.template_from_str(text)?;
    Ok(sorted(template.undeclared_variables(true)))
}

fn expression_names(text: &str) -> Result<Vec<String>, Trouble> {
    let environment = Environment::new();
    let expression = environment.compile_expression(text)?;
    Ok(sorted(expression.undeclared_variables(true)))
}

fn sorted(names: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut names: Vec<String> = names.into_iter().collect();
    names.sort();
    names
}

/// The first place of a name as a whole word.
fn find_name(text: &str, name: &str) -> Range<usize> {
    let letter = |found: Option<char>| {
        found.is_some_and(|letter| letter.is_alphanumeric() || letter == '_' || letter == '.')
    };
    text.match_indices(name)
        .find(|(at, _)| {
            !letter(text[..*at].chars().next_back())
                && !text[at + name.len()..]
                    .chars()
                    .next()
                    .is_some_and(|next| next.is_alphanumeric() || next == '_')
        })
        .map_or(0..0, |(at, found)| at..at + found.len())
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
