//! Templates and expressions of one host's steps, rendered when their step comes up.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

use crate::model::{Diagnostic, RunId, Secret};
use crate::task::{
    Condition, Engine, Expression, RegisterValue, RunFacts, RunProgram, Scope, StepError, SubTask,
    Text,
};
use crate::transport::Program;

/// What rendering needs of a run.
#[derive(Debug)]
pub(crate) struct Rendering {
    pub(crate) engine: Arc<Engine>,
    pub(crate) run: RunId,
    pub(crate) user: String,
    pub(crate) started_at: jiff::Timestamp,
    pub(crate) dir: String,
    /// Hosts that ended ok so far.
    pub(crate) ok: AtomicUsize,
    /// Hosts that ended otherwise.
    pub(crate) failed: AtomicUsize,
}

impl Rendering {
    /// The values of steps that see this scope.
    pub(crate) fn values(&self, scope: Scope) -> Values {
        let facts = RunFacts {
            id: self.run.clone(),
            started_at: self.started_at,
            user: self.user.clone(),
            dir: self.dir.clone(),
            ok: self.ok.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
        };
        Values {
            engine: Arc::clone(&self.engine),
            scope: scope.with_run(&Arc::new(facts)),
        }
    }
}

/// What the steps of one host see.
#[derive(Debug)]
pub(crate) struct Values {
    pub(crate) engine: Arc<Engine>,
    pub(crate) scope: Scope,
}

/// A text or expression that could not be rendered, as the cause of its step's failure.
pub(crate) type Unrendered = String;

impl Values {
    /// A text.
    pub(crate) fn text(&self, text: &Text) -> Result<Arc<str>, Unrendered> {
        self.engine
            .text(text, &self.scope)
            .map_err(|error| cause(&error))
    }

    /// A text that may not be there.
    pub(crate) fn maybe(&self, text: Option<&Text>) -> Result<Option<Arc<str>>, Unrendered> {
        text.map(|text| self.text(text)).transpose()
    }

    /// Several texts.
    pub(crate) fn texts<'a>(
        &self,
        texts: impl IntoIterator<Item = &'a Text>,
    ) -> Result<Vec<String>, Unrendered> {
        let texts = texts.into_iter();
        texts
            .map(|text| self.text(text).map(|text| text.to_string()))
            .collect()
    }

    /// A text as the value it stands for.
    pub(crate) fn value(&self, text: &Text) -> Result<Value, Unrendered> {
        self.engine
            .value(text, &self.scope)
            .map_err(|error| cause(&error))
    }

    /// A condition.
    pub(crate) fn holds(&self, condition: &Condition) -> Result<bool, Unrendered> {
        self.engine
            .condition(condition, &self.scope)
            .map_err(|error| cause(&error))
    }

    /// The elements of a loop.
    pub(crate) fn elements(&self, of: &Expression) -> Result<Vec<Value>, Unrendered> {
        self.engine
            .elements(of, &self.scope)
            .map_err(|error| cause(&error))
    }

    /// A program; `shell` is the argv that takes a text.
    pub(crate) fn program(
        &self,
        program: &RunProgram,
        shell: Option<&[String]>,
    ) -> Result<Program, Unrendered> {
        Ok(match program {
            RunProgram::Argv(words) => Program::Argv(self.texts(words)?),
            RunProgram::Shell(text) => Program::Shell {
                shell: shell
                    .map_or_else(|| vec!["sh".to_owned(), "-euc".to_owned()], <[_]>::to_vec),
                text: self.text(text)?.to_string(),
            },
        })
    }

    /// `FAB_PARAM_…` for every param that is no secret.
    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        self.scope.environment()
    }

    /// The secrets that reach commands as files.
    pub(crate) fn secrets(&self) -> Vec<(String, Secret)> {
        self.scope.secrets()
    }

    /// The scope of a `task:` step's own steps.
    pub(crate) fn enter(&self, step: &SubTask) -> Result<Scope, Unrendered> {
        self.engine
            .enter(step, &self.scope)
            .map_err(|error| cause(&error))
    }

    /// Sets a register.
    pub(crate) fn register(&mut self, name: &str, value: RegisterValue) {
        self.scope.set_register(name, value);
    }

    /// Sets what `rescue` sees.
    pub(crate) fn error(&mut self, error: &StepError) {
        self.scope.set_error(error);
    }
}

/// A condition as people wrote it.
pub(crate) fn shown(condition: &Condition) -> String {
    match condition {
        Condition::Known(known) => known.to_string(),
        Condition::Expression(expression) => expression.source.clone(),
    }
}

/// A diagnostic in one line.
fn cause(diagnostic: &Diagnostic) -> Unrendered {
    match &diagnostic.span {
        Some(span) => format!("{} ({})", diagnostic.message, span.place()),
        None => diagnostic.message.clone(),
    }
}
