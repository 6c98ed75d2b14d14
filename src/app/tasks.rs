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
            &|path| near(&context.settings.environment.cwd, path),
        ));
    }
    Ok(ExitStatus::Ok)
}

/// A path as people write it from here: relative below the working directory, `~/…` below home.
fn near(cwd: &Path, path: &Path) -> String {
    let home = etcetera::home_dir().ok();
    let from_home = || Some(Path::new("~").join(path.strip_prefix(home?).ok()?));
    let below = path.strip_prefix(cwd).ok().map(Path::to_owned);
    let near = below.or_else(from_home);
    near.unwrap_or_else(|| path.to_owned())
        .display()
        .to_string()
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
    let mut files = Vec::new();
    let mut errors = Vec::new();
    if args.files.is_empty() {
        let source = TaskSource::load(&context.settings)?;
        files.extend(source.library.check().into_iter().map(Checked::from));
        for folder in context.settings.inventory_folders() {
            files.extend(inventories(&folder).iter().map(|path| inventory_file(path)));
        }
    } else {
        for path in &args.files {
            match one_file(path) {
                Ok(more) => files.extend(more),
                Err(more) => errors.extend(more),
            }
        }
    }
    if context.settings.output.json {
        let files = files.iter().map(|file| report::checked_json(&file.shown()));
        context.console.json(&files.collect());
    } else {
        for file in &files {
            tell(context, file);
        }
    }
    let checked = files.len();
    errors.extend(files.into_iter().flat_map(|file| file.errors));
    if !errors.is_empty() {
        return Err(Failure::refused(errors));
    }
    context.console.note(&format!(
        "{checked} file{} checked, no errors",
        if checked == 1 { "" } else { "s" }
    ));
    Ok(ExitStatus::Ok)
}

/// A file, and what is wrong with it.
struct Checked {
    path: PathBuf,
    /// `None` of an inventory.
    tasks: Option<Vec<String>>,
    errors: Vec<Diagnostic>,
    notes: Vec<Diagnostic>,
}

impl Checked {
    fn shown(&self) -> report::CheckedPath<'_> {
        report::CheckedPath {
            path: &self.path,
            tasks: self.tasks.as_deref().unwrap_or_default(),
            errors: &self.errors,
            notes: &self.notes,
        }
    }
}

impl From<CheckedFile> for Checked {
    fn from(file: CheckedFile) -> Self {
        Self {
            path: file.path,
            tasks: Some(file.tasks),
            errors: file.errors,
            notes: file.notes,
        }
    }
}

/// A file that a person named: an inventory has `sources`, everything else is a task.
fn one_file(path: &Path) -> Result<Vec<Checked>, Vec<Diagnostic>> {
    let is_inventory = std::fs::read_to_string(path)
        .is_ok_and(|text| text.lines().any(|line| line.starts_with("sources:")));
    if is_inventory {
        return Ok(vec![inventory_file(path)]);
    }
    let paths = LibraryPaths {
        file: Some(path.to_owned()),
        ..LibraryPaths::default()
    };
    let files = Library::load(&paths)?.check().into_iter();
    Ok(files
        .filter(|file| file.path == path)
        .map(Checked::from)
        .collect())
}

fn inventory_file(path: &Path) -> Checked {
    let checked = inventory::check(path);
    Checked {
        path: path.to_owned(),
        tasks: None,
        errors: checked.map_or_else(|error| error.diagnostics(), |()| Vec::new()),
        notes: Vec::new(),
    }
}

fn tell(context: &Context, file: &Checked) {
    let mark = if file.errors.is_empty() {
        "ok  "
    } else {
        "FAIL"
    };
    let tasks = file
        .tasks
        .as_ref()
        .map(|tasks| format!(": {}", tasks.join(", ")));
    context.console.data(&format!(
        "{mark}  {}{}\n",
        file.path.display(),
        tasks.unwrap_or_default()
    ));
    for note in &file.notes {
        let place = note
            .span
            .as_ref()
            .map_or_else(String::new, |span| format!("{}: ", span.place()));
        context.console.remark(&format!("{place}{}", note.message));
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_told_from_where_people_stand() {
        let home = etcetera::home_dir().unwrap();
        let cwd = Path::new("/srv/project");
        let told = |path: &Path| near(cwd, path);
        assert_eq!(told(Path::new("/srv/project/tasks/a.yml")), "tasks/a.yml");
        assert_eq!(told(&home.join("x/a.yml")), "~/x/a.yml");
        assert_eq!(told(Path::new("/etc/a.yml")), "/etc/a.yml");
    }
}
