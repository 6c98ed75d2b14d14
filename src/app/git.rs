//! The git checkout of the working directory, for templates and records. What is checked out is read from its files,
//! so that no git need be installed; only git itself knows whether files differ from it.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

/// How long git may take to compare files.
const COMPARING: Duration = Duration::from_secs(1);

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

/// Whether files below the folder differ from the commit that is checked out, or are not in it; `None` where there is
/// no git, or where it takes too long.
pub(super) async fn is_dirty(folder: &Path) -> Option<bool> {
    let mut git = Command::new("git");
    // A checkout's own configuration names a program to run here.
    git.args(["-c", "core.fsmonitor=false", "--no-optional-locks", "-C"])
        .arg(folder)
        .args(["status", "--porcelain", "--", "."])
        .process_group(0)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    let output = timeout(COMPARING, git.output()).await.ok()?.ok()?;
    output.status.success().then_some(!output.stdout.is_empty())
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

    #[tokio::test]
    async fn a_checkout_is_dirty_from_its_first_change_on() {
        let dir = tempfile::tempdir().unwrap();
        let git = |words: &str| {
            let of = ["-c", "user.name=a", "-c", "user.email=a@b"];
            let mut git = std::process::Command::new("git");
            git.current_dir(dir.path()).args(of).args(words.split(' '));
            git.output().is_ok_and(|output| output.status.success())
        };
        if !git("init -q") {
            assert_eq!(is_dirty(dir.path()).await, None, "there is no git");
            return;
        }
        fs::write(dir.path().join("task.yml"), "a").unwrap();
        assert!(git("add .") && git("commit -q -m one"));
        assert_eq!(is_dirty(dir.path()).await, Some(false));
        fs::write(dir.path().join("task.yml"), "b").unwrap();
        assert_eq!(is_dirty(dir.path()).await, Some(true));
        assert_eq!(is_dirty(&dir.path().join("none")).await, None);
    }

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
