//! Where inventory files are found: by path, or by name in the search path.

use std::path::{Path, PathBuf};

use super::InventoryError;

/// What `-I` or the configuration names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InventoryRef {
    /// A file.
    Path(PathBuf),
    /// `NAME.yml` in the first folder that has it.
    Name(String),
}

impl InventoryRef {
    /// A text with a slash or a file's ending is a path, everything else a name.
    pub fn new(text: &str) -> Self {
        let is_path = text.contains('/')
            || Path::new(text).extension().is_some_and(|ending| {
                ENDINGS.iter().any(|known| ending == *known) || ending == "json"
            });
        if is_path {
            Self::Path(text.into())
        } else {
            Self::Name(text.to_owned())
        }
    }
}

const ENDINGS: [&str; 2] = ["yml", "yaml"];

/// The file that is named; `folders` are searched in order, the project's first.
///
/// # Errors
/// No folder has an inventory of the name. A path is not looked at.
pub fn find(reference: &InventoryRef, folders: &[PathBuf]) -> Result<PathBuf, InventoryError> {
    let name = match reference {
        InventoryRef::Path(path) => return Ok(path.clone()),
        InventoryRef::Name(name) => name,
    };
    let candidates = folders
        .iter()
        .flat_map(|folder| ENDINGS.map(|ending| folder.join(format!("{name}.{ending}"))));
    let found = candidates.into_iter().find(|path| path.is_file());
    found.ok_or_else(|| InventoryError::NotFound {
        name: name.clone(),
        folders: folders.to_vec(),
        known: available(folders),
    })
}

/// The names of all inventories in the search path, sorted.
pub fn available(folders: &[PathBuf]) -> Vec<String> {
    let mut names: Vec<String> = folders
        .iter()
        .filter_map(|folder| folder.read_dir().ok())
        .flat_map(|entries| entries.filter_map(Result::ok))
        .map(|entry| entry.path())
        .filter(|path| {
            ENDINGS
                .iter()
                .any(|ending| path.extension().is_some_and(|has| has == *ending))
        })
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect();
    names.sort();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slash_or_an_ending_makes_a_path() {
        for path in ["./prod", "inv/prod", "prod.yml", "hosts.json"] {
            assert_eq!(InventoryRef::new(path), InventoryRef::Path(path.into()));
        }
        assert_eq!(
            InventoryRef::new("prod.eu"),
            InventoryRef::Name("prod.eu".to_owned())
        );
    }

    #[test]
    fn the_first_folder_that_has_the_name_wins_and_a_slip_is_proposed() {
        let (project, user) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::write(project.path().join("prod.yaml"), "").unwrap();
        std::fs::write(user.path().join("prod.yml"), "").unwrap();
        std::fs::write(user.path().join("staging.yml"), "").unwrap();
        let folders = [project.path().to_owned(), user.path().to_owned()];
        let found = |name: &str| find(&InventoryRef::new(name), &folders);
        assert_eq!(found("prod").unwrap(), project.path().join("prod.yaml"));
        let error = &found("stagin").unwrap_err().diagnostics()[0];
        assert_eq!(error.message, "no inventory named `stagin`");
        assert_eq!(error.hints[0], "did you mean `staging`?");
    }
}
