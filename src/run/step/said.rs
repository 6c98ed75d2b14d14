//! The actions that need no host: `assert`, `fail`, `log`, `set`, `pause`, `confirm`, `task`.

use std::time::Duration;

use indexmap::IndexMap;

use crate::run::shared::{Asked, World};
use crate::run::unit::secrets;
use crate::run::values::shown;
use crate::run::work::Work;
use crate::task::{Condition, Question, SubTask, Text};

use super::end::End;
use super::walk::Guarded;

impl<W: World> Work<W> {
    /// Fails unless every expression holds.
    pub(crate) fn assert(&self, that: &[Condition], msg: Option<&Text>) -> End {
        for condition in that {
            match self.values.holds(condition) {
                Ok(true) => {}
                Ok(false) => {
                    let said = msg.map(|msg| self.values.text(msg));
                    return End::failed(match said {
                        Some(Ok(text)) => text.to_string(),
                        Some(Err(cause)) => cause,
                        None => format!("`{}` does not hold", shown(condition)),
                    });
                }
                Err(cause) => return End::failed(cause),
            }
        }
        End::passed()
    }

    /// Fails with its message.
    pub(crate) fn fail(&self, message: &Text) -> End {
        match self.values.text(message) {
            Ok(text) => End::failed(&*text),
            Err(cause) => End::failed(cause),
        }
    }

    /// Says something.
    pub(crate) async fn log(&mut self, message: &Text) -> End {
        match self.values.text(message) {
            Ok(text) => {
                self.teller.note(&text).await;
                End::passed()
            }
            Err(cause) => End::failed(cause),
        }
    }

    /// Sets variables, each of which may read those before it.
    pub(crate) fn set(&mut self, variables: &IndexMap<String, Text>) -> End {
        for (name, text) in variables {
            match self.values.value(text) {
                Ok(value) => self.values.scope.set(name, &value),
                Err(cause) => return End::failed(cause),
            }
        }
        End::passed()
    }

    /// Waits.
    pub(crate) async fn pause(&self, pause: Duration) -> End {
        if self.slept(pause).await {
            End::passed()
        } else {
            End::Cancelled { ended: true }
        }
    }

    /// Asks; a no fails the step.
    pub(crate) async fn confirm(&self, question: &Question) -> End {
        let text = match self.values.text(&question.text) {
            Ok(text) => text,
            Err(cause) => return End::failed(cause),
        };
        let text = self.teller.mask.text(&text);
        let text = match self.host() {
            Some(host) => format!("{}: {text}", host.label),
            None => text,
        };
        let asked = Asked {
            text: &text,
            default: question.default,
            timeout: question.timeout,
        };
        let yes = self.shared.confirmed(asked).await;
        match yes {
            true => End::passed(),
            false if self.is_killed() => End::Cancelled { ended: true },
            false => End::failed("not confirmed"),
        }
    }

    /// Another task's steps, with its params and vars in place of this one's.
    pub(crate) async fn sub_task(&mut self, id: &str, sub: &SubTask) -> End {
        let Some(group) = &sub.steps else {
            return End::failed(format!("task `{}` was not planned", sub.name));
        };
        let entered = match self.values.enter(sub) {
            Ok(scope) => scope,
            Err(cause) => return End::failed(cause),
        };
        self.teller.hide(secrets(entered.params().values()));
        let outer = std::mem::replace(&mut self.values.scope, entered);
        let inner = sub.scope.as_ref();
        let folder = inner.map_or_else(|| self.folder.clone(), |inner| inner.task.folder.clone());
        let outer_folder = std::mem::replace(&mut self.folder, folder);
        let trail = self.trail.len();
        self.trail.extend([id, "/"]);
        let guarded = Guarded {
            steps: &group.steps,
            rescue: &group.rescue,
            always: &group.always,
            recovered: group.recovered,
            keep_going: false,
        };
        let end = self.group(guarded).await;
        self.values.scope = outer;
        self.folder = outer_folder;
        self.trail.truncate(trail);
        end
    }
}
