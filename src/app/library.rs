//! The tasks of this invocation, and the files that they take in.

use std::path::Path;
use std::sync::Arc;

use crate::plan::TaskFiles;
use crate::task::Task;
use crate::task::library::{Library, LibraryPaths};

use super::failure::Failure;
use super::settings::Settings;

/// Built-in library, the user's, the project's and `-f`'s tasks.
pub(super) struct TaskSource {
    /// All of them.
    pub(super) library: Library,
    cwd: std::path::PathBuf,
}

impl TaskSource {
    /// Reads every folder of tasks.
    ///
    /// # Errors
    /// The file of `-f` cannot be read. What is wrong with another file is said when its task is asked for.
    pub(super) fn load(settings: &Settings) -> Result<Self, Failure> {
        let paths = LibraryPaths {
            user: Some(settings.environment.config_dir.join("tasks")),
            project: Some(settings.project_folder().join("tasks")),
            file: settings.run.file.clone(),
        };
        Ok(Self {
            library: Library::load(&paths)?,
            cwd: settings.environment.cwd.clone(),
        })
    }

    /// A task that is whole, for `task:` steps.
    pub(super) fn task(&self, name: &str) -> Option<Arc<Task>> {
        self.library.find(name)
    }
}

impl TaskFiles for TaskSource {
    fn read(&self, task: &Task, path: &str) -> Result<Arc<[u8]>, String> {
        let of_task = Library::read_file(task, path);
        if of_task.is_ok() || Path::new(path).is_absolute() {
            return of_task;
        }
        match std::fs::read(self.cwd.join(path)) {
            Ok(bytes) => Ok(bytes.into()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => of_task,
            Err(error) => Err(error.to_string()),
        }
    }
}
