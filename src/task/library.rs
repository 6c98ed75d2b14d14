//! The tasks that can be run: the built-in ones under the user's, under the project's, under a file's. The
//! only part of `task` that reads files. What a task file means is `decode`'s job.

mod folder;
mod layer;
mod sub_tasks;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Files as _, Kind, Task};
use crate::model::{Diagnostic, nearest};

use folder::Folder;
use layer::Loaded;

/// Where tasks are looked for beside the built-in ones; a later one hides an earlier one of its name.
#[derive(Debug, Clone, Default)]
pub struct LibraryPaths {
    /// The user's folder, `~/.config/fab-rs/tasks`; need not exist.
    pub user: Option<PathBuf>,
    /// The project's `tasks/`; need not exist.
    pub project: Option<PathBuf>,
    /// The file of `-f`; must exist.
    pub file: Option<PathBuf>,
}

/// Which layer of the library a task comes from. Ordered: a later one hides an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Embedded in the program.
    BuiltIn,
    /// The user's folder.
    User,
    /// The project's folder.
    Project,
    /// The file of `-f`.
    File,
}

impl Origin {
    /// For people: "built-in".
    pub fn word(self) -> &'static str {
        match self {
            Self::BuiltIn => "built-in",
            Self::User => "user",
            Self::Project => "project",
            Self::File => "file",
        }
    }
}

/// One task as `list` shows it.
#[derive(Debug, Clone)]
pub struct TaskEntry<'a> {
    /// Its name.
    pub name: &'a str,
    /// The task; `None` where its file has errors.
    pub task: Option<&'a Arc<Task>>,
    /// Its layer.
    pub origin: Origin,
    /// Its file, as users should see it.
    pub path: &'a Path,
    /// Tasks of the same name in lower layers, the nearest first.
    pub hides: Vec<(Origin, &'a Path)>,
}

impl TaskEntry<'_> {
    /// One line for lists; empty where the file has errors.
    pub fn desc(&self) -> &str {
        self.task.map_or("", |task| &task.desc)
    }

    /// Whether it changes hosts, where that is known.
    pub fn kind(&self) -> Option<Kind> {
        self.task.map(|task| task.kind)
    }

    /// Whether lists leave it out.
    pub fn private(&self) -> bool {
        self.task.is_some_and(|task| task.private)
    }
}

/// What `check` found in one file.
#[derive(Debug, Clone)]
pub struct CheckedFile {
    /// The file, as users should see it.
    pub path: PathBuf,
    /// Its layer.
    pub origin: Origin,
    /// Its tasks.
    pub tasks: Vec<String>,
    /// What is wrong.
    pub errors: Vec<Diagnostic>,
    /// What is right and not supported yet.
    pub notes: Vec<Diagnostic>,
}

/// Every task that was found, broken ones among them.
#[derive(Debug)]
pub struct Library {
    /// By name; the last of each list hides the others.
    tasks: BTreeMap<String, Vec<Loaded>>,
    /// Files of which no task could be told, and tasks that stand twice in one layer.
    strays: Vec<Loaded>,
}

impl Library {
    /// Reads every layer. A broken file breaks no other task: its errors come when its task is asked for.
    ///
    /// # Errors
    /// The file of `-f` cannot be read.
    pub fn load(paths: &LibraryPaths) -> Result<Self, Vec<Diagnostic>> {
        let mut library = Self {
            tasks: BTreeMap::new(),
            strays: Vec::new(),
        };
        library.add(layer::built_in());
        for (path, origin) in [
            (&paths.user, Origin::User),
            (&paths.project, Origin::Project),
        ] {
            if let Some(path) = path {
                library.add(layer::folder(path, origin));
            }
        }
        if let Some(path) = &paths.file {
            library.add(layer::file(path)?);
        }
        Ok(library)
    }

    /// The built-in tasks alone.
    pub fn built_in() -> Self {
        let mut library = Self {
            tasks: BTreeMap::new(),
            strays: Vec::new(),
        };
        library.add(layer::built_in());
        library
    }

    fn add(&mut self, layer: Vec<Loaded>) {
        for mut loaded in layer {
            let same_name = self.tasks.entry(loaded.name.clone()).or_default();
            let twice = same_name
                .last()
                .filter(|earlier| earlier.origin == loaded.origin);
            if let Some(earlier) = twice {
                let message = format!("two tasks are called `{}`", loaded.name);
                let error = Diagnostic::new(message)
                    .at(&loaded.at)
                    .label(format!("first at {}", earlier.at.place()));
                loaded.task = Err(vec![error]);
                self.strays.push(loaded);
            } else {
                same_name.push(loaded);
            }
        }
    }

    /// Every task that is not hidden by another, by name; private and broken ones among them.
    pub fn entries(&self) -> impl Iterator<Item = TaskEntry<'_>> {
        self.tasks.iter().filter_map(|(name, same_name)| {
            let (last, hidden) = same_name.split_last()?;
            Some(TaskEntry {
                name,
                task: last.task.as_ref().ok(),
                origin: last.origin,
                path: &last.at.source.path,
                hides: hidden
                    .iter()
                    .rev()
                    .map(|loaded| (loaded.origin, loaded.at.source.path.as_path()))
                    .collect(),
            })
        })
    }

    /// A task that has no errors, without those of the tasks it calls: what a plan looks up.
    pub fn find(&self, name: &str) -> Option<Arc<Task>> {
        self.loaded(name)?.task.as_ref().ok().map(Arc::clone)
    }

    /// A task that is ready to be planned: it and the tasks it calls have no errors.
    ///
    /// # Errors
    /// There is none of this name, or what is wrong with it.
    pub fn get(&self, name: &str) -> Result<Arc<Task>, Vec<Diagnostic>> {
        let Some(loaded) = self.loaded(name) else {
            return Err(vec![self.no_task(name)]);
        };
        let task = loaded.task.as_ref().map_err(Clone::clone)?;
        let errors = sub_tasks::check(self, task);
        if errors.is_empty() {
            Ok(Arc::clone(task))
        } else {
            Err(errors)
        }
    }

    fn loaded(&self, name: &str) -> Option<&Loaded> {
        self.tasks.get(name)?.last()
    }

    /// The error for a name that no task has.
    fn no_task(&self, name: &str) -> Diagnostic {
        let public: Vec<&str> = self
            .entries()
            .filter(|entry| !entry.private())
            .map(|entry| entry.name)
            .collect();
        let near = nearest(name, self.tasks.keys().map(String::as_str));
        let proposal = near.map_or_else(String::new, |near| format!("did you mean `{near}`? "));
        Diagnostic::new(format!("no task named `{name}`"))
            .hint(format!("{proposal}all tasks: {}", public.join(", ")))
    }

    /// What is wrong with each file, file by file, from the lowest layer up; files without errors too.
    pub fn check(&self) -> Vec<CheckedFile> {
        let mut files: Vec<CheckedFile> = Vec::new();
        let mut all: Vec<&Loaded> = self.tasks.values().flatten().chain(&self.strays).collect();
        all.sort_by_key(|loaded| {
            (
                loaded.origin,
                loaded.at.source.path.clone(),
                loaded.at.range.start,
            )
        });
        for loaded in all {
            let path = &loaded.at.source.path;
            if files.last().is_none_or(|file| file.path != *path) {
                files.push(CheckedFile {
                    path: path.clone(),
                    origin: loaded.origin,
                    tasks: Vec::new(),
                    errors: Vec::new(),
                    notes: Vec::new(),
                });
            }
            let Some(file) = files.last_mut() else {
                continue;
            };
            file.tasks.push(loaded.name.clone());
            match &loaded.task {
                Ok(task) => {
                    file.errors.extend(sub_tasks::check(self, task));
                    file.notes.extend(task.unsupported.iter().cloned());
                    file.notes.extend(task.warnings.iter().cloned());
                }
                Err(errors) => file.errors.extend(errors.iter().cloned()),
            }
        }
        files
    }

    /// The bytes of a file beside a task, also of a built-in one.
    ///
    /// # Errors
    /// A few words: "no such file", "is a folder".
    pub fn read_file(task: &Task, path: &str) -> Result<Arc<[u8]>, String> {
        Folder::of(task.folder.as_deref()).read(path)
    }
}

#[cfg(test)]
mod tests;
