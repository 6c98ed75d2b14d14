//! Which registers and variables steps read, by the names in their texts. Whether a name is known where it is read
//! is the decoder's to check.

use std::collections::HashSet;

use super::{
    Action, Condition, Copy, Download, Group, Modifiers, Probe, ProbeKind, Question, RunProgram,
    Script, Step, SubTask, Text, WaitFor,
};

/// The names that are read by steps, and by those inside of them, of what earlier steps left behind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reads(HashSet<String>);

impl Reads {
    /// Whether a name is read.
    pub fn contains(&self, name: &str) -> bool {
        self.0.contains(name)
    }

    /// Whether what steps came to is read by their ids.
    pub fn results(&self) -> bool {
        self.contains("results")
    }

    /// Adds what these steps read.
    pub fn add(&mut self, steps: &[Step]) {
        for step in steps {
            self.text(&step.name);
            self.modifiers(&step.modifiers);
            self.action(&step.action);
        }
    }

    fn names(&mut self, names: &[String]) {
        self.0.extend(names.iter().cloned());
    }

    fn text(&mut self, text: &Text) {
        if let Text::Template(template) = text {
            self.names(&template.registers);
        }
    }

    fn texts<'a>(&mut self, texts: impl IntoIterator<Item = &'a Text>) {
        for text in texts {
            self.text(text);
        }
    }

    fn conditions<'a>(&mut self, conditions: impl IntoIterator<Item = &'a Condition>) {
        for condition in conditions {
            if let Condition::Expression(expression) = condition {
                self.names(&expression.registers);
            }
        }
    }

    fn modifiers(&mut self, modifiers: &Modifiers) {
        let Modifiers {
            when,
            before,
            loop_over,
            retry,
            sudo,
            env,
            cwd,
            stdin,
            fail_when,
            check,
            ..
        } = modifiers;
        self.texts([before, sudo, cwd, stdin, check].into_iter().flatten());
        self.texts(env.values());
        let until = retry.as_ref().and_then(|retry| retry.until.as_ref());
        self.conditions(
            [when.as_ref(), fail_when.as_ref(), until]
                .into_iter()
                .flatten(),
        );
        if let Some(over) = loop_over {
            self.names(&over.registers);
        }
    }

    fn action(&mut self, action: &Action) {
        match action {
            Action::Run(program) => self.program(program),
            Action::Local(local) => self.program(&local.program),
            Action::Script(Script { src, args, .. }) => self.texts(args.iter().chain([src])),
            Action::Copy(copy) => self.copy(copy),
            Action::Download(Download {
                src, dest, sha256, ..
            }) => self.texts(
                [Some(src), dest.as_ref(), sha256.as_ref()]
                    .into_iter()
                    .flatten(),
            ),
            Action::WaitFor(WaitFor { probe, .. }) => self.probe(probe),
            Action::Assert { that, msg } => {
                self.conditions(that);
                self.texts(msg);
            }
            Action::Fail(text) | Action::Log(text) | Action::Confirm(Question { text, .. }) => {
                self.text(text);
            }
            Action::Set(variables) => self.texts(variables.values()),
            Action::Pause(_) | Action::Reboot => {}
            Action::Task(sub) => self.sub_task(sub),
            Action::Group(group) => self.group(group),
        }
    }

    fn program(&mut self, program: &RunProgram) {
        match program {
            RunProgram::Shell(text) => self.text(text),
            RunProgram::Argv(words) => self.texts(words),
        }
    }

    fn copy(&mut self, copy: &Copy) {
        let Copy {
            src,
            dest,
            owner,
            sha256,
            verify,
            text,
            ..
        } = copy;
        self.texts([src, dest]);
        self.texts([owner, sha256, verify, text].into_iter().flatten());
    }

    fn probe(&mut self, probe: &Probe) {
        match &probe.kind {
            ProbeKind::Http(text) | ProbeKind::Tcp(text) | ProbeKind::File { path: text, .. } => {
                self.text(text);
            }
            ProbeKind::Run(program) => self.program(program),
            ProbeKind::Ssh => {}
        }
        self.texts([&probe.matches, &probe.equals].into_iter().flatten());
        self.conditions(&probe.until);
    }

    fn group(&mut self, group: &Group) {
        for steps in [&group.steps, &group.rescue, &group.always] {
            self.add(steps);
        }
    }

    fn sub_task(&mut self, sub: &SubTask) {
        self.texts(sub.params.values());
        if let Some(scope) = &sub.scope {
            self.texts(scope.late_params.values());
            self.texts(scope.late_vars.values());
        }
        if let Some(group) = &sub.steps {
            self.group(group);
        }
    }
}
