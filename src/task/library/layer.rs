//! One layer of the library: its files parsed and decoded, task by task.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Folder, Origin};
use crate::model::{Diagnostic, Source, SourceSpan};
use crate::task::{Task, document_name, read_document};
use crate::yaml::{self, Node};

/// A task that was read, or what is wrong with it.
#[derive(Debug)]
pub(super) struct Loaded {
    /// Its name, also where it is broken.
    pub(super) name: String,
    /// Its layer.
    pub(super) origin: Origin,
    /// The task, or every error of its document.
    pub(super) task: Result<Arc<Task>, Vec<Diagnostic>>,
    /// Where it begins.
    pub(super) at: SourceSpan,
}

/// The tasks in the program.
pub(super) fn built_in() -> Vec<Loaded> {
    from_folder(&Folder::BuiltIn, Origin::BuiltIn)
}

/// The tasks of a folder on disk; none where it does not exist.
pub(super) fn folder(path: &Path, origin: Origin) -> Vec<Loaded> {
    from_folder(&Folder::Disk(path.to_owned()), origin)
}

fn from_folder(folder: &Folder, origin: Origin) -> Vec<Loaded> {
    match folder.task_files() {
        Ok(files) => files
            .into_iter()
            .flat_map(|(path, text)| match text {
                Ok(text) => from_text(path, text, folder, origin),
                Err(error) => vec![unreadable(&path, &error, origin)],
            })
            .collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => {
            let path = folder.path().unwrap_or_default();
            vec![unreadable(&path, &error, origin)]
        }
    }
}

/// The tasks of one file.
pub(super) fn file(path: &Path) -> Result<Vec<Loaded>, Vec<Diagnostic>> {
    let text = fs::read_to_string(path).map_err(|error| {
        let message = format!("cannot read the task file `{}`", path.display());
        vec![Diagnostic::new(message).cause(error.to_string())]
    })?;
    let parent = path.parent().unwrap_or(Path::new(""));
    let folder = Folder::Disk(parent.to_owned());
    Ok(from_text(path.to_owned(), text, &folder, Origin::File))
}

/// One document is one task.
fn from_text(path: PathBuf, text: String, folder: &Folder, origin: Origin) -> Vec<Loaded> {
    let source = Arc::new(Source { path, text });
    let documents = match yaml::parse_all(&source) {
        Ok(documents) => documents,
        Err(errors) => {
            return vec![Loaded {
                name: guessed_name(&source),
                origin,
                task: Err(errors),
                at: SourceSpan::new(&source, 0..0),
            }];
        }
    };
    let one = documents.len() <= 1;
    let mut documents: Vec<Node> = documents
        .into_iter()
        .filter(|document| one || !document.is_null())
        .collect();
    if documents.is_empty() {
        documents.extend(yaml::parse(&source));
    }
    documents
        .iter()
        .map(|document| Loaded {
            name: document_name(document),
            origin,
            task: read_document(document, folder.path(), folder).map(Arc::new),
            at: document.head(),
        })
        .collect()
}

fn unreadable(path: &Path, error: &io::Error, origin: Origin) -> Loaded {
    let source = Arc::new(Source {
        path: path.to_owned(),
        text: String::new(),
    });
    let cause = match error.kind() {
        io::ErrorKind::InvalidData => "it is not UTF-8 text".to_owned(),
        _ => error.to_string(),
    };
    let message = format!("cannot read `{}`", path.display());
    Loaded {
        name: guessed_name(&source),
        origin,
        task: Err(vec![Diagnostic::new(message).cause(cause)]),
        at: SourceSpan::new(&source, 0..0),
    }
}

/// The name of a task whose file is no YAML: what stands after `task:`, else the file's stem.
fn guessed_name(source: &Source) -> String {
    let given = source
        .text
        .lines()
        .find_map(|line| line.strip_prefix("task:"))
        .map(|name| name.split('#').next().unwrap_or_default().trim());
    match given {
        Some(name) if !name.is_empty() => name.to_owned(),
        _ => source
            .path
            .file_stem()
            .map(|stem| stem.to_string_lossy().into_owned())
            .unwrap_or_default(),
    }
}
