//! The tasks that a task calls: they exist, have no errors, take the params they are given, and do not come
//! back to where they were called from.

use super::Library;
use crate::model::{Diagnostic, nearest};
use crate::task::{Action, Kind, Step, SubTask, Task};

/// Everything that is wrong with what a task calls, and what that calls.
pub(super) fn check(library: &Library, task: &Task) -> Vec<Diagnostic> {
    let mut walk = Walk {
        library,
        callers: vec![task.name.clone()],
        errors: Vec::new(),
    };
    walk.task(task);
    walk.errors
}

struct Walk<'a> {
    library: &'a Library,
    /// Tasks that are being walked through, the outermost first.
    callers: Vec<String>,
    errors: Vec<Diagnostic>,
}

impl Walk<'_> {
    fn task(&mut self, task: &Task) {
        for steps in task.all_steps() {
            self.steps(task, steps);
        }
    }

    fn steps(&mut self, task: &Task, steps: &[Step]) {
        for step in steps {
            match &step.action {
                Action::Group(group) => {
                    for steps in [&group.steps, &group.rescue, &group.always] {
                        self.steps(task, steps);
                    }
                }
                Action::Task(sub) => self.call(task, step, sub),
                _ => {}
            }
        }
    }

    fn call(&mut self, caller: &Task, step: &Step, sub: &SubTask) {
        let at = |error: Diagnostic| {
            error
                .at(&step.span)
                .context(format!("step `{}`", step.name.shown()))
        };
        if self.callers.contains(&sub.name) {
            let mut chain = self.callers.clone();
            chain.push(sub.name.clone());
            let message = format!("task `{}` calls itself: {}", sub.name, chain.join(" → "));
            self.errors.push(at(Diagnostic::new(message)));
            return;
        }
        let Some(loaded) = self.library.loaded(&sub.name) else {
            self.errors.push(at(self.library.no_task(&sub.name)));
            return;
        };
        match &loaded.task {
            Err(errors) => {
                let message = format!("task `{}` has errors", sub.name);
                self.errors.push(at(Diagnostic::new(message)));
                self.errors.extend(errors.iter().cloned());
            }
            Ok(task) => {
                self.errors
                    .extend(misfits(caller, sub, task).into_iter().map(at));
                self.callers.push(sub.name.clone());
                self.task(task);
                self.callers.pop();
            }
        }
    }
}

/// What a call gives that the task does not take, and the other way round.
fn misfits(caller: &Task, sub: &SubTask, task: &Task) -> Vec<Diagnostic> {
    let mut errors = Vec::new();
    for name in sub.params.keys() {
        if !task.params.contains_key(name) {
            let error = Diagnostic::new(format!("task `{}` has no param `{name}`", task.name));
            errors.push(
                match nearest(name, task.params.keys().map(String::as_str)) {
                    Some(near) => error.hint(format!("did you mean `{near}`?")),
                    None => error,
                },
            );
        }
    }
    for param in task.params.values() {
        if param.required && !sub.params.contains_key(&param.name) {
            let message = format!("task `{}` wants the param `{}`", task.name, param.name);
            errors.push(Diagnostic::new(message).hint("give it under `params:` of the step"));
        }
    }
    if let Some(own) = task.own_rollout() {
        let message = format!(
            "task `{}` has {own} and cannot be a step of another task",
            task.name
        );
        errors.push(Diagnostic::new(message).hint("they are a whole rollout's"));
    }
    if caller.kind == Kind::Read && task.kind == Kind::Change {
        let message = format!(
            "task `{}` changes hosts, and `{}` only reads",
            task.name, caller.name
        );
        errors.push(Diagnostic::new(message).hint("`kind: read` is a promise"));
    }
    errors
}
