//! Files of this machine that a plan's steps send: whether they can be read, found out before anything connects, as
//! each host would only say the same later. Sending them is the engine's job.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::model::Diagnostic;
use crate::plan::Plan;
use crate::task::{Action, Condition, Copy, CopyContent, Group, Step, Text};

/// Files that are named; the others are counted.
const MOST: usize = 5;

/// What is known of a plan's files, step by step.
struct Files<'a> {
    /// The working directory.
    cwd: &'a Path,
    /// Those that were looked at.
    seen: HashSet<PathBuf>,
    /// A step before this one may make files here.
    made: bool,
    /// What cannot be read.
    errors: Vec<Diagnostic>,
}

/// Refuses a plan whose `upload` steps name a file or folder that cannot be read. A name that waits for a host is not
/// looked at; neither is any behind a step that may make files on this machine.
///
/// # Errors
/// Each of them, with the step.
pub(super) fn check(plan: &Plan, cwd: &Path) -> Result<(), Vec<Diagnostic>> {
    let mut files = Files {
        cwd,
        seen: HashSet::new(),
        made: false,
        errors: Vec::new(),
    };
    let folder = plan.task.folder.as_deref();
    files.of_steps(&plan.before, folder);
    for phase in &plan.phases {
        files.of_steps(&phase.before, folder);
        let made = files.made;
        for host in &phase.hosts {
            // What another host's steps make is made beside this one's.
            let made_here = std::mem::replace(&mut files.made, made);
            for steps in [&host.steps, &host.rescue, &host.always, &host.rollback] {
                files.of_steps(steps, folder);
            }
            files.made |= made_here;
        }
        files.of_steps(&phase.after, folder);
    }
    files.of_steps(&plan.after, folder);
    let more = files.errors.len().saturating_sub(MOST);
    files.errors.truncate(MOST);
    let Some(last) = files.errors.pop() else {
        return Ok(());
    };
    let last = match more {
        0 => last,
        more => last.hint(format!("{more} more cannot be read")),
    };
    files.errors.push(last.hint("nothing was run"));
    Err(files.errors)
}

impl Files<'_> {
    fn of_steps(&mut self, steps: &[Step], folder: Option<&Path>) {
        for step in steps {
            if matches!(step.modifiers.when, Some(Condition::Known(false))) {
                continue;
            }
            match &step.action {
                Action::Copy(copy) => self.of_copy(step, copy, folder),
                Action::Local(_) => self.made |= step.changes(),
                Action::Download(_) => self.made = true,
                Action::Group(group) => self.of_group(group, folder),
                Action::Task(sub) => {
                    let own = sub.scope.as_ref().map(|scope| scope.task.folder.as_deref());
                    if let Some(group) = &sub.steps {
                        self.of_group(group, own.unwrap_or(folder));
                    }
                }
                _ => {}
            }
        }
    }

    fn of_group(&mut self, group: &Group, folder: Option<&Path>) {
        for steps in [&group.steps, &group.rescue, &group.always] {
            self.of_steps(steps, folder);
        }
    }

    fn of_copy(&mut self, step: &Step, copy: &Copy, folder: Option<&Path>) {
        let (CopyContent::File, Text::Plain(src), false) = (&copy.content, &copy.src, self.made)
        else {
            return;
        };
        let in_folder = folder.map(|folder| folder.join(&**src));
        let path = in_folder.filter(|path| path.exists());
        let path = path.unwrap_or_else(|| self.cwd.join(&**src));
        if !self.seen.insert(path.clone()) {
            return;
        }
        if let Err(error) = readable(&path) {
            let message = format!("cannot read `{}`: {error}", path.display());
            let what = format!("step `{}` sends it", step.name.shown());
            self.errors
                .push(Diagnostic::new(message).at(&step.span).context(what));
        }
    }
}

/// Whether a file or folder can be read. Of a pipe it is only asked whether it is there: to open one would wait for
/// whoever writes into it, and could take that end away.
fn readable(path: &Path) -> io::Result<()> {
    let kind = fs::metadata(path)?.file_type();
    if kind.is_file() || kind.is_dir() {
        fs::File::open(path)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_is_not_opened() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        readable(&pipe).unwrap();
        readable(folder.path()).unwrap();
        let nothing = readable(&folder.path().join("nothing")).unwrap_err();
        assert_eq!(nothing.kind(), io::ErrorKind::NotFound);
    }
}
