//! What `check --json` and `config --json` print: files with their errors, values with their origins. Pure.

use std::path::Path;

use serde_json::{Value, json};

use crate::model::Diagnostic;

/// A file that was checked.
#[derive(Debug)]
pub struct CheckedPath<'a> {
    /// Where it is.
    pub path: &'a Path,
    /// Its tasks; none of an inventory.
    pub tasks: &'a [String],
    /// What is wrong with it.
    pub errors: &'a [Diagnostic],
    /// What its author should know.
    pub notes: &'a [Diagnostic],
}

/// One file of `check --json`.
pub fn checked_json(file: &CheckedPath<'_>) -> Value {
    json!({
        "path": file.path.to_string_lossy(),
        "ok": file.errors.is_empty(),
        "tasks": file.tasks,
        "errors": file.errors.iter().map(diagnostic_json).collect::<Value>(),
        "notes": file.notes.iter().map(diagnostic_json).collect::<Value>(),
    })
}

/// An error as data; `file`, `line` and `column` (both from 1) are `null` where it has no place.
fn diagnostic_json(error: &Diagnostic) -> Value {
    let place = error.span.as_ref().map(|span| {
        let file = span.source.path.to_string_lossy().into_owned();
        (file, span.line_column())
    });
    json!({
        "message": error.message,
        "file": place.as_ref().map(|(file, _)| file),
        "line": place.as_ref().map(|(_, (line, _))| line),
        "column": place.as_ref().map(|(_, (_, column))| column),
        "label": error.label,
        "context": error.context,
        "causes": error.causes,
        "hints": error.hints,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::{Source, SourceSpan};

    #[test]
    fn a_checked_file_says_what_is_wrong_where() {
        let source = Arc::new(Source {
            path: "a.yml".into(),
            text: "task: a\nsteps: x\n".to_owned(),
        });
        let wrong = Diagnostic::new("no list")
            .at(&SourceSpan::new(&source, 15..16))
            .hint("write a list");
        let file = CheckedPath {
            path: Path::new("a.yml"),
            tasks: &["a".to_owned()],
            errors: &[wrong],
            notes: &[Diagnostic::new("old")],
        };
        let value = checked_json(&file);
        assert_eq!(
            (&value["ok"], &value["tasks"][0]),
            (&json!(false), &json!("a"))
        );
        let error = &value["errors"][0];
        assert_eq!(
            (&error["file"], &error["line"], &error["column"]),
            (&json!("a.yml"), &json!(2), &json!(8))
        );
        assert_eq!(error["hints"], json!(["write a list"]));
        assert_eq!(value["notes"][0]["line"], Value::Null);
    }
}
