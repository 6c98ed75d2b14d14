//! By what pattern a step's process is found on a host, for the command that a summary proposes where
//! something may still be running. Pure.

use indexmap::IndexMap;

use crate::plan::Plan;
use crate::task::{Action, Group, RunProgram, Step, Text};

/// Characters of a command that are enough to find it.
pub(crate) const PATTERN: usize = 40;

/// For the name of each step that runs a command, the pattern by which `pgrep -f` finds it.
pub fn process_patterns(plan: &Plan) -> IndexMap<String, String> {
    let mut patterns = IndexMap::new();
    let firsts = plan.phases.iter().flat_map(|phase| {
        let batches = phase.batches.iter();
        batches.flat_map(|batch| phase.hosts_of(batch).take(1))
    });
    // Hosts of one task have the same steps; one of each batch is enough for a proposal.
    for host in firsts {
        for steps in [&host.steps, &host.rescue, &host.always] {
            push_patterns(steps, &mut patterns);
        }
    }
    patterns
}

fn push_patterns(steps: &[Step], patterns: &mut IndexMap<String, String>) {
    for step in steps {
        let text = match &step.action {
            Action::Run(RunProgram::Shell(text)) => first_line(text.shown()),
            Action::Run(RunProgram::Argv(words)) => {
                let words: Vec<&str> = words.iter().map(Text::shown).collect();
                words.join(" ")
            }
            Action::Group(group) => {
                push_group(group, patterns);
                continue;
            }
            Action::Task(sub) => {
                if let Some(group) = &sub.steps {
                    push_group(group, patterns);
                }
                continue;
            }
            _ => continue,
        };
        // What a template will become is not known here.
        if !text.is_empty() && !text.contains("{{") {
            let text: String = text.chars().take(PATTERN).collect();
            patterns.insert(step.name.shown().to_owned(), escaped(text.trim_end()));
        }
    }
}

fn push_group(group: &Group, patterns: &mut IndexMap<String, String>) {
    for steps in [&group.steps, &group.rescue, &group.always] {
        push_patterns(steps, patterns);
    }
}

fn first_line(text: &str) -> String {
    text.trim().lines().next().unwrap_or_default().to_owned()
}

/// For `pgrep`'s extended expressions: only what means something in them is escaped, so that the command
/// stays readable.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if ".^$*+?()[]{}|\\".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    #[test]
    fn commands_are_found_by_their_first_words() {
        let patterns = process_patterns(&samples::plan());
        let patterns: Vec<(&str, &str)> = patterns
            .iter()
            .map(|(k, v)| (k.as_str(), v.as_str()))
            .collect();
        assert_eq!(
            patterns,
            [
                ("unpack", "tar xf /tmp/app\\.tar"),
                ("run systemctl restart api", "systemctl restart api"),
                ("run rm -f /tmp/app.tar", "rm -f /tmp/app\\.tar")
            ]
        );
    }
}
