//! Steps of a plan or a task as text: a number, a name, notes, and what is run. Pure. What a step is in
//! words is [`crate::plan::step_texts`].

use std::fmt::Write as _;

use crate::plan::StepText;

use super::sanitize::safe;
use super::style::{Role, Styles};

/// `1`, `2`, `2.1`, `2.2`, `3`: the numbers of steps, those inside others below them.
pub(crate) fn numbers(steps: &[StepText]) -> Vec<String> {
    let mut counters: Vec<usize> = Vec::new();
    steps
        .iter()
        .map(|step| {
            counters.resize(step.depth + 1, 0);
            counters[step.depth] += 1;
            let parts: Vec<String> = counters.iter().map(usize::to_string).collect();
            parts.join(".")
        })
        .collect()
}

/// Appends a step. `whom` says for which hosts, where that is not all of them.
pub(crate) fn push_step(
    out: &mut String,
    number: &str,
    step: &StepText,
    whom: &str,
    styles: Styles,
) {
    let indent = " ".repeat(2 + 2 * step.depth);
    let mut notes: Vec<String> = step
        .notes
        .iter()
        .map(|note| safe(note).into_owned())
        .collect();
    if !whom.is_empty() {
        notes.push(whom.to_owned());
    }
    let notes = match notes.len() {
        0 => String::new(),
        _ => styles
            .paint(Role::Dim, format!("  [{}]", notes.join(", ")))
            .to_string(),
    };
    let whole = step.whole_name();
    let name = styles.paint(Role::Strong, safe(whole.as_deref().unwrap_or(&step.name)));
    let _ = writeln!(out, "{indent}{number}. {name}{notes}");
    if whole.is_some() {
        return;
    }
    let mut lines = step.text.trim_end().lines();
    let (first, more) = (
        lines.next().unwrap_or_default(),
        lines.clone().next().is_some(),
    );
    if more {
        let _ = writeln!(out, "{indent}   {}:", step.action);
        for line in step.text.trim_end().lines() {
            let _ = writeln!(out, "{indent}   | {}", safe(line));
        }
    } else if !says_all(step, first) {
        let _ = writeln!(out, "{indent}   {}: {}", step.action, safe(first));
    }
}

impl StepText {
    /// The name of a `log` step that is only the beginning of what it says, with all of it: the two are one text.
    fn whole_name(&self) -> Option<String> {
        let text = self.text.trim();
        let start = self.name.strip_prefix(self.action)?;
        let start = start.trim_end_matches('…').trim();
        let is_cut = self.action == "log" && text.starts_with(start) && !text.contains('\n');
        is_cut.then(|| format!("{} {text}", self.action))
    }
}

/// A step without a name of its own is called after what it does; a group does nothing itself.
fn says_all(step: &StepText, text: &str) -> bool {
    text.is_empty() || step.name == format!("{} {text}", step.action) || step.name == text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(name: &str, action: &'static str, text: &str, depth: usize) -> StepText {
        StepText {
            id: name.into(),
            name: name.into(),
            action,
            text: text.into(),
            notes: Vec::new(),
            depth,
        }
    }

    #[test]
    fn steps_are_numbered_and_show_what_they_run() {
        let mut steps = [
            step("run uptime", "run", "uptime", 0),
            step("both", "group", "", 0),
            step("restart", "run", "systemctl restart api", 1),
            step("wait", "run", "sleep 1\necho \u{1b}[2Jdone", 1),
            step("end", "log", "done", 0),
            step(
                "log it stands still…",
                "log",
                "it stands still for a while",
                0,
            ),
            step("log", "log", "{{ params.x }} and more", 0),
        ];
        steps[2].notes.push("sudo".into());
        let mut out = String::new();
        for (number, step) in numbers(&steps).iter().zip(&steps) {
            push_step(
                &mut out,
                number,
                step,
                if step.depth == 0 { "" } else { "on app-1" },
                Styles::plain(),
            );
        }
        insta::assert_snapshot!(out, @r"
        1. run uptime
        2. both
          2.1. restart  [sudo, on app-1]
             run: systemctl restart api
          2.2. wait  [on app-1]
             run:
             | sleep 1
             | echo done
        3. end
           log: done
        4. log it stands still for a while
        5. log {{ params.x }} and more
        ");
    }
}
