//! YAML with the place of every value, for errors that point at the text.
//!
//! What the values mean is not known here: [`parse`] gives a tree of [`Node`]s, and [`Node`]'s `expect_*`
//! functions and [`Fields`] decode it, collecting every error of a file instead of stopping at the first.
//! Stricter than YAML: no duplicate keys, no merge keys, no tags, and nothing that two parsers read
//! differently.

mod agree;
mod decode;
mod fields;
mod node;
mod parse;
mod traps;

#[cfg(test)]
mod tests;

pub use fields::{Entry, Fields};
pub use node::{Node, NodeKind, Scalar, Style};
pub use parse::{parse, parse_all};
