//! `list`, `show`, `check`, `schema`: what tasks there are and whether their files are right. Connects nowhere.

use std::path::{Path, PathBuf};

use crate::cli::{CheckArgs, ListArgs, SchemaArgs, SchemaKind, ShowArgs};
use crate::model::{Diagnostic, ExitStatus};
use crate::task::library::{CheckedFile, Library, LibraryPaths};
use crate::{inventory, report, task};

use super::entry::Context;
use super::failure::Failure;
use super::library::TaskSource;

/// Lists the tasks.
///
/// # Errors
/// The file of `-f` cannot be read.
pub(super) fn list(context: &Context, args: &ListArgs) -> Result<ExitStatus, Failure> {
    let source = TaskSource::load(&context.settings)?;
    let entries: Vec<_> = source
        .library
        .entries()
        .filter(|entry| args.all || !entry.private())
        .collect();
    if context.settings.output.json {
        context.console.json(&report::tasks_json(&entries));
    } else {
        context.console.data(&report::tasks_table(
            &entries,
            context.console.data_styles(),
        ));
    }
    Ok(ExitStatus::Ok)
}

/// Shows one task.
///
/// # Errors
/// There is no such task, or its file has errors.
pub(super) fn show(context: &Context, args: &ShowArgs) -> Result<ExitStatus, Failure> {
    let source = TaskSource::load(&context.settings)?;
    let task = source.library.get(&args.name)?;
    let entry = source
        .library
        .entries()
        .find(|entry| entry.name == args.name);
    if context.settings.output.json {
        context
            .console
            .json(&report::task_json(&task, entry.as_ref()));
    } else {
        let width = context.console.streams().width;
        context.console.data(&report::task_text(
            &task,
            entry.as_ref(),
            context.console.data_styles(),
            width,
        ));
    }
    Ok(ExitStatus::Ok)
}

/// Checks files, or everything that would be found.
///
/// # Errors
/// Every error of every file.
pub(super) fn check(context: &Context, args: &CheckArgs) -> Result<ExitStatus, Failure> {
    let mut errors = Vec::new();
    let checked = if args.files.is_empty() {
        let source = TaskSource::load(&context.settings)?;
        let mut checked = tell(context, source.library.check(), &mut errors);
        for folder in context.settings.inventory_folders() {
            for path in inventories(&folder) {
                checked += inventory_file(context, &path, &mut errors);
            }
        }
        checked
    } else {
        args.files
            .iter()
            .map(|path| one_file(context, path, &mut errors))
            .sum()
    };
    if !errors.is_empty() {
        return Err(Failure::refused(errors));
    }
    context.console.note(&format!(
        "{checked} file{} checked, no errors",
        if checked == 1 { "" } else { "s" }
    ));
    Ok(ExitStatus::Ok)
}

/// A file that a person named: an inventory has `sources`, everything else is a task.
fn one_file(context: &Context, path: &Path, errors: &mut Vec<Diagnostic>) -> usize {
    let is_inventory = std::fs::read_to_string(path)
        .is_ok_and(|text| text.lines().any(|line| line.starts_with("sources:")));
    if is_inventory {
        return inventory_file(context, path, errors);
    }
    let paths = LibraryPaths {
        file: Some(path.to_owned()),
        ..LibraryPaths::default()
    };
    match Library::load(&paths) {
        Err(more) => errors.extend(more),
        Ok(library) => {
            let files = library
                .check()
                .into_iter()
                .filter(|file| file.path == path)
                .collect();
            return tell(context, files, errors);
        }
    }
    1
}

fn inventory_file(context: &Context, path: &Path, errors: &mut Vec<Diagnostic>) -> usize {
    match inventory::check(path) {
        Ok(()) => context.console.data(&format!("ok    {}\n", path.display())),
        Err(error) => {
            context.console.data(&format!("FAIL  {}\n", path.display()));
            errors.extend(error.diagnostics());
        }
    }
    1
}

fn tell(context: &Context, files: Vec<CheckedFile>, errors: &mut Vec<Diagnostic>) -> usize {
    let count = files.len();
    for file in files {
        let mark = if file.errors.is_empty() {
            "ok  "
        } else {
            "FAIL"
        };
        context.console.data(&format!(
            "{mark}  {}: {}\n",
            file.path.display(),
            file.tasks.join(", ")
        ));
        for note in &file.notes {
            let place = note
                .span
                .as_ref()
                .map_or_else(String::new, |span| format!("{}: ", span.place()));
            context.console.remark(&format!("{place}{}", note.message));
        }
        errors.extend(file.errors);
    }
    count
}

fn inventories(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = folder.read_dir() else {
        return Vec::new();
    };
    let is_yaml = |path: &PathBuf| {
        path.extension()
            .is_some_and(|ending| ending == "yml" || ending == "yaml")
    };
    let mut paths: Vec<PathBuf> = entries
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(is_yaml)
        .collect();
    paths.sort();
    paths
}

/// Prints a JSON Schema.
pub(super) fn schema(context: &Context, args: &SchemaArgs) -> ExitStatus {
    let schema = match args.what {
        SchemaKind::Task => task::task_schema(),
        SchemaKind::Inventory => inventory::schema(),
        SchemaKind::Event => report::event_schema(),
    };
    context.console.data(&format!("{schema:#}\n"));
    ExitStatus::Ok
}
