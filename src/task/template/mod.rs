//! Templates: checked without values, rendered for one host. Where a value ends up decides how it is
//! quoted, so that hostile text stays text.

mod engine;
mod environment;
mod fault;
mod names;
mod position;
mod tag;
#[cfg(test)]
mod tests;

pub use engine::{Engine, Fab, Outside};
pub use names::{NamePath, Names, expression_names, template_names};

pub(super) use engine::from_json;
pub(super) use fault::TemplateFault;
