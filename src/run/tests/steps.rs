//! Steps in a few words.

use std::sync::Arc;

use indexmap::IndexMap;

use crate::model::{Diagnostic, Source, SourceSpan};
use crate::task::{
    Action, Condition, Expression, Group, Modifiers, Names, Quoting, RunProgram, Step, Template,
    Text, expression_names, template_names,
};

/// A file to point at.
pub(super) fn source() -> Arc<Source> {
    Arc::new(Source {
        path: "work.yml".into(),
        text: " ".repeat(200),
    })
}

fn span() -> SourceSpan {
    SourceSpan::new(&source(), 0..0)
}

/// Modifiers that change nothing.
pub(super) fn plain() -> Modifiers {
    Modifiers {
        when: None,
        shell: None,
        before: None,
        loop_over: None,
        as_name: "item".to_owned(),
        register: None,
        retry: None,
        timeout: None,
        sudo: None,
        env: IndexMap::new(),
        cwd: None,
        stdin: None,
        once: None,
        barrier: false,
        place: crate::task::StepPlace::Host,
        ok_rc: Vec::new(),
        fail_when: None,
        ignore_errors: false,
        read_only: false,
        quiet: false,
        resume: None,
        check: None,
        sticky: false,
        detach: false,
    }
}

/// Every name that is read; none where it cannot be compiled.
fn roots(names: Result<Names, Diagnostic>) -> Vec<String> {
    let paths = names.unwrap_or_default().paths;
    paths.iter().map(|path| path.root().to_owned()).collect()
}

/// A plain text, or a template where it has braces.
pub(super) fn text(text: &str, quoting: Quoting) -> Text {
    if text.contains("{{") {
        return Text::Template(Arc::new(Template {
            source: text.to_owned(),
            quoting,
            span: span(),
            registers: roots(template_names(text, quoting, &span())),
        }));
    }
    Text::Plain(text.into())
}

/// An expression.
pub(super) fn expression(source: &str) -> Arc<Expression> {
    Arc::new(Expression {
        source: source.to_owned(),
        span: span(),
        registers: roots(expression_names(source, &span())),
    })
}

/// A condition.
pub(super) fn holds(source: &str) -> Condition {
    Condition::Expression(expression(source))
}

/// A step with this action, named by `id`.
pub(super) fn step(id: &str, action: Action) -> Step {
    Step {
        id: id.to_owned(),
        name: text(id, Quoting::Plain),
        action,
        modifiers: plain(),
        span: span(),
        open: Vec::new(),
    }
}

/// A `run` step whose id is its command's first word.
pub(super) fn run(command: &str) -> Step {
    let id = command.split_whitespace().next().unwrap_or("run");
    let text = text(command, Quoting::Shell);
    step(id, Action::Run(RunProgram::Shell(text)))
}

/// A group of steps.
pub(super) fn group(id: &str, steps: Vec<Step>, rescue: Vec<Step>, always: Vec<Step>) -> Step {
    step(
        id,
        Action::Group(Group {
            steps,
            rescue,
            always,
            recovered: false,
        }),
    )
}

/// Changes a step's modifiers.
pub(super) trait Modified {
    fn but(self, change: impl FnOnce(&mut Modifiers)) -> Self;
}

impl Modified for Step {
    fn but(mut self, change: impl FnOnce(&mut Modifiers)) -> Self {
        change(&mut self.modifiers);
        self
    }
}
