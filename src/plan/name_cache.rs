//! What each template of a plan reads, found out once however many hosts it is rendered for.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use crate::model::Diagnostic;
use crate::task::{Expression, Names, Template, expression_names, template_names};

/// Names by template, as long as a plan is being made.
#[derive(Default)]
pub(super) struct NameCache(RefCell<HashMap<usize, Entry>>);

/// Keeps what it is about alive, so that no other template can come to lie at its address.
struct Entry {
    _about: About,
    names: Result<Arc<Names>, Diagnostic>,
}

enum About {
    Template { _kept: Arc<Template> },
    Expression { _kept: Arc<Expression> },
}

impl NameCache {
    /// What a template reads.
    pub(super) fn of_template(&self, template: &Arc<Template>) -> Result<Arc<Names>, Diagnostic> {
        let key = Arc::as_ptr(template).addr();
        let make = || Entry {
            _about: About::Template {
                _kept: Arc::clone(template),
            },
            names: template_names(&template.source, template.quoting, &template.span).map(Arc::new),
        };
        self.0
            .borrow_mut()
            .entry(key)
            .or_insert_with(make)
            .names
            .clone()
    }

    /// What an expression reads.
    pub(super) fn of_expression(
        &self,
        expression: &Arc<Expression>,
    ) -> Result<Arc<Names>, Diagnostic> {
        let key = Arc::as_ptr(expression).addr();
        let make = || Entry {
            _about: About::Expression {
                _kept: Arc::clone(expression),
            },
            names: expression_names(&expression.source, &expression.span).map(Arc::new),
        };
        self.0
            .borrow_mut()
            .entry(key)
            .or_insert_with(make)
            .names
            .clone()
    }
}
