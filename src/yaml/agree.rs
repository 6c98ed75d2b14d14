//! A second reading of the same text by another parser: where the two differ, the file is refused, since
//! an editor, a linter or the next tool may see another task than the one that runs.

use serde::Deserialize;
use serde_yaml::{Deserializer, Value};

use crate::model::{Diagnostic, Source, SourceSpan};
use std::sync::Arc;

use super::{Node, NodeKind, Scalar, Style};

/// Compares `documents` with what `serde_yaml` reads.
///
/// # Errors
/// The first difference, at its place.
pub(super) fn check(source: &Arc<Source>, documents: &[Node]) -> Result<(), Diagnostic> {
    let mut others = Vec::new();
    for document in Deserializer::from_str(&source.text) {
        match Value::deserialize(document) {
            Ok(value) => others.push(value),
            Err(error) => {
                let characters = error.location().map_or(0, |place| place.index());
                let at = source.text.char_indices().nth(characters);
                let at = at.map_or(source.text.len(), |(at, _)| at);
                return Err(differs(&SourceSpan::new(source, at..at))
                    .cause(format!("another YAML parser refuses it: {error}")));
            }
        }
    }
    // An empty document at the end is one for some parsers and none for others: it means nothing.
    let length = documents.len().max(others.len());
    for index in 0..length {
        match (documents.get(index), others.get(index)) {
            (Some(ours), Some(theirs)) => compare(ours, theirs)?,
            (Some(node), None) if !node.is_null() => return Err(differs(&node.head())),
            (None, Some(value)) if !value.is_null() => {
                return Err(differs(&SourceSpan::new(source, 0..0)));
            }
            _ => {}
        }
    }
    Ok(())
}

fn compare(ours: &Node, theirs: &Value) -> Result<(), Diagnostic> {
    match (&ours.kind, theirs) {
        (NodeKind::Null, Value::Null) => Ok(()),
        (NodeKind::Scalar(scalar), value) if same_scalar(scalar, value) => Ok(()),
        (NodeKind::Sequence(items), Value::Sequence(values)) if items.len() == values.len() => {
            items
                .iter()
                .zip(values)
                .try_for_each(|(node, value)| compare(node, value))
        }
        (NodeKind::Mapping(pairs), Value::Mapping(values)) if pairs.len() == values.len() => {
            pairs.iter().zip(values).try_for_each(|(pair, other)| {
                compare(&pair.0, other.0)?;
                compare(&pair.1, other.1)
            })
        }
        _ => Err(differs(&ours.head())),
    }
}

/// Numbers and booleans are read again alone, so that `0x10` and `16` are the same number to both.
fn same_scalar(scalar: &Scalar, value: &Value) -> bool {
    match value {
        Value::String(text) => *text == scalar.text,
        Value::Bool(_) | Value::Number(_) => {
            scalar.style == Style::Plain
                && serde_yaml::from_str::<Value>(&scalar.text).is_ok_and(|again| again == *value)
        }
        Value::Null | Value::Sequence(_) | Value::Mapping(_) | Value::Tagged(_) => false,
    }
}

fn differs(span: &SourceSpan) -> Diagnostic {
    Diagnostic::new("two YAML parsers read this differently")
        .at(span)
        .hint("quote the value, or write it on lines of its own")
}
