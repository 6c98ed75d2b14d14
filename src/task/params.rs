//! A task's parameters: their types, and values of those types.

use std::time::Duration;

use regex::Regex;

use crate::model::{Secret, Size, SourceSpan};

use super::Text;

/// What a param's value must be.
#[derive(Debug, Clone)]
pub enum ParamType {
    /// Any text.
    String,
    /// A whole number.
    Int,
    /// A number.
    Float,
    /// `true` or `false`.
    Bool,
    /// A number with a unit, such as `5s`.
    Duration,
    /// A number of bytes with a unit, such as `200MiB`.
    Size,
    /// One of `choices`.
    Enum,
    /// Several values of one type, comma-separated on the command line.
    List(Box<ParamType>),
    /// A file's path.
    Path,
    /// A version, such as `1.4.2`.
    Version,
    /// A host of the inventory.
    Host,
    /// A selector.
    Selector,
}

/// A declared parameter.
#[derive(Debug, Clone)]
pub struct Param {
    /// Its name.
    pub name: String,
    /// Its type.
    pub of: ParamType,
    /// Must be given; then it has no default.
    pub required: bool,
    /// The default as written; may be a template over the host.
    pub default: Option<Text>,
    /// What an enum may be.
    pub choices: Vec<String>,
    /// The whole value must match; anchored when it was read.
    pub pattern: Option<Regex>,
    /// Smallest value, as written.
    pub min: Option<String>,
    /// Largest value, as written.
    pub max: Option<String>,
    /// One line for people.
    pub desc: String,
    /// Never shown, never on an argv; reaches hosts as a 0600 file.
    pub secret: bool,
    /// Where the value comes from if it is not given: `env:X`, `file:P`, `prompt`.
    pub from: Option<String>,
    /// An example for `show`.
    pub example: Option<String>,
    /// Why it should no longer be used.
    pub deprecated: Option<String>,
    /// Where it is declared.
    pub span: SourceSpan,
}

/// A value that fits its param's type.
#[derive(Debug, Clone, PartialEq)]
pub enum ParamValue {
    /// `string`, `enum`, `path`, `version`, `host`, `selector`.
    String(String),
    /// `int`.
    Int(i64),
    /// `float`.
    Float(f64),
    /// `bool`.
    Bool(bool),
    /// `duration`; templates can use `.secs`.
    Duration(Duration),
    /// `size`; templates can use `.bytes`.
    Size(Size),
    /// `list`.
    List(Vec<ParamValue>),
    /// A secret of any type.
    Secret(Secret),
}
