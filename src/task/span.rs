//! Durations that a file gives as templates: rendered once params are known. What they mean is `step`'s.

use super::{Engine, Scope, Step};
use crate::model::{Diagnostic, parse_duration};
use crate::task::Text;

impl Engine {
    /// Puts a step's open durations in their places, rendered for this scope; none is open afterwards.
    ///
    /// # Errors
    /// Every template that cannot be rendered or whose text is no duration, with its place.
    pub fn settle(&self, step: &mut Step, scope: &Scope) -> Result<(), Vec<Diagnostic>> {
        let mut errors = Vec::new();
        for open in std::mem::take(&mut step.open) {
            let found = self.text(&open.text, scope).and_then(|text| {
                let refused = |why: String| {
                    let error = Diagnostic::new(format!("`{}`: {why}", open.of.key()));
                    let error = match &open.text {
                        Text::Template(template) => error.at(&template.span),
                        Text::Plain(_) => error.at(&step.span),
                    };
                    error.context(scope.context())
                };
                match parse_duration(&text) {
                    Ok(span) if span.is_zero() && !open.of.may_be_zero() => {
                        Err(refused("must be more than nothing".to_owned()))
                    }
                    Ok(span) => Ok(span),
                    Err(error) => Err(refused(error.to_string())),
                }
            });
            match found {
                Ok(span) => step.set_span(open.of, span),
                Err(error) => errors.push(error),
            }
        }
        if errors.is_empty() {
            Ok(())
        } else {
            Err(errors)
        }
    }
}
