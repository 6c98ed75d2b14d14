//! The git checkout of the working directory, for templates and records: read from its files, so that no process is
//! started and no git need be installed.

use std::fs;
use std::path::Path;

/// The commit that is checked out in the folder or the nearest one above it.
pub(super) fn head(cwd: &Path) -> Option<String> {
    let git = cwd
        .ancestors()
        .map(|folder| folder.join(".git"))
        .find(|path| path.exists())?;
    let git = if git.is_dir() {
        git
    } else {
        // A worktree's `.git` is a file (gitrepository-layout(5)).
        let text = fs::read_to_string(&git).ok()?;
        git.parent()?.join(text.strip_prefix("gitdir:")?.trim())
    };
    let head = fs::read_to_string(git.join("HEAD")).ok()?;
    let Some(reference) = head.trim().strip_prefix("ref: ") else {
        return Some(head.trim().to_owned());
    };
    let common = fs::read_to_string(git.join("commondir")).ok();
    let common = common.map_or_else(|| git.clone(), |folder| git.join(folder.trim()));
    let loose = fs::read_to_string(common.join(reference))
        .ok()
        .map(|text| text.trim().to_owned());
    loose.or_else(|| packed(&common, reference))
}

fn packed(git: &Path, reference: &str) -> Option<String> {
    let packed = fs::read_to_string(git.join("packed-refs")).ok()?;
    packed.lines().find_map(|line| {
        let (commit, name) = line.split_once(' ')?;
        (name == reference).then(|| commit.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commit_is_found_loose_packed_and_detached() {
        let dir = tempfile::tempdir().unwrap();
        let git = dir.path().join(".git");
        fs::create_dir_all(git.join("refs/heads")).unwrap();
        fs::create_dir_all(dir.path().join("below")).unwrap();
        fs::write(git.join("HEAD"), "ref: refs/heads/main\n").unwrap();
        fs::write(
            git.join("packed-refs"),
            "# pack-refs\nabc123 refs/heads/main\n",
        )
        .unwrap();
        assert_eq!(head(&dir.path().join("below")).as_deref(), Some("abc123"));
        fs::write(git.join("refs/heads/main"), "def456\n").unwrap();
        assert_eq!(head(dir.path()).as_deref(), Some("def456"));
        fs::write(git.join("HEAD"), "0011\n").unwrap();
        assert_eq!(head(dir.path()).as_deref(), Some("0011"));
    }
}
