//! A folder of tasks: on disk, or embedded in the program.

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use include_dir::{Dir, include_dir};

use crate::task::Files;

static BUILT_IN: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/tasks");

/// Files proposed for a mistyped path; a folder may hold many more.
const MAX_PATHS: usize = 200;

/// Where the files beside a task are.
#[derive(Debug, Clone)]
pub(super) enum Folder {
    /// In the program.
    BuiltIn,
    /// On disk.
    Disk(PathBuf),
}

impl Folder {
    /// The folder of a task: `None` for a built-in one.
    pub(super) fn of(path: Option<&Path>) -> Self {
        path.map_or(Self::BuiltIn, |path| Self::Disk(path.to_owned()))
    }

    /// As a task keeps it.
    pub(super) fn path(&self) -> Option<PathBuf> {
        match self {
            Self::BuiltIn => None,
            Self::Disk(path) => Some(path.clone()),
        }
    }

    /// The task files right in the folder, by name, each with its text or why it cannot be read.
    pub(super) fn task_files(&self) -> io::Result<Vec<(PathBuf, io::Result<String>)>> {
        let mut files: Vec<(PathBuf, io::Result<String>)> = match self {
            Self::BuiltIn => BUILT_IN
                .files()
                .filter(|file| is_task_file(file.path()))
                .map(|file| {
                    let text = file.contents_utf8().map(str::to_owned);
                    (
                        Path::new("built-in").join(file.path()),
                        text.ok_or_else(|| io::ErrorKind::InvalidData.into()),
                    )
                })
                .collect(),
            Self::Disk(folder) => {
                let mut files = Vec::new();
                for entry in fs::read_dir(folder)? {
                    let path = entry?.path();
                    if is_task_file(&path) && !path.is_dir() {
                        let text = fs::read_to_string(&path);
                        files.push((path, text));
                    }
                }
                files
            }
        };
        files.sort_by(|one, other| one.0.cmp(&other.0));
        Ok(files)
    }
}

/// `NAME.yml` or `NAME.yaml`, not hidden.
fn is_task_file(path: &Path) -> bool {
    let hidden = path
        .file_name()
        .is_some_and(|name| name.to_string_lossy().starts_with('.'));
    let extension = path.extension().and_then(|extension| extension.to_str());
    !hidden && matches!(extension, Some("yml" | "yaml"))
}

impl Files for Folder {
    fn read(&self, path: &str) -> Result<Arc<[u8]>, String> {
        match self {
            Self::BuiltIn => {
                let clean: PathBuf = Path::new(path)
                    .components()
                    .filter(|part| !matches!(part, Component::CurDir))
                    .collect();
                let file = BUILT_IN.get_file(&clean).ok_or("no such file")?;
                Ok(Arc::from(file.contents()))
            }
            Self::Disk(folder) => match fs::read(folder.join(path)) {
                Ok(bytes) => Ok(bytes.into()),
                Err(error) => Err(match error.kind() {
                    io::ErrorKind::NotFound => "no such file".to_owned(),
                    io::ErrorKind::IsADirectory => "is a folder".to_owned(),
                    io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
                    _ => error.to_string(),
                }),
            },
        }
    }

    fn paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        match self {
            Self::BuiltIn => {
                let folders = BUILT_IN.dirs().flat_map(Dir::files);
                let all = BUILT_IN.files().chain(folders);
                paths.extend(all.map(|file| file.path().display().to_string()));
            }
            Self::Disk(folder) => walk(folder, folder, 2, &mut paths),
        }
        paths.truncate(MAX_PATHS);
        paths
    }
}

/// Files below a folder, so many levels deep; what cannot be read has none.
fn walk(root: &Path, folder: &Path, levels: usize, paths: &mut Vec<String>) {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in entries {
        if paths.len() >= MAX_PATHS {
            return;
        }
        let path = entry.path();
        if path.is_dir() {
            if levels > 1 {
                walk(root, &path, levels - 1, paths);
            }
        } else if let Ok(relative) = path.strip_prefix(root) {
            paths.push(relative.display().to_string());
        }
    }
}
