//! Refuses a plan in which the files of several hosts would come to one path of this machine: the second
//! could only fail, or worse, be taken for the first. Folders on disk are not looked at: planning does no I/O.

use std::collections::HashMap;

use indexmap::IndexSet;

use super::HostPlan;
use crate::model::{Diagnostic, Label, SourceSpan};
use crate::task::{Action, Condition, Download, OnceFor, Step, Text};

/// How many hosts an error names.
const HOSTS_SHOWN: usize = 3;

/// A path, where it was first asked for, and by whom.
struct Taken {
    span: SourceSpan,
    hosts: IndexSet<Label>,
}

/// An error for each path of this machine that the files of two or more hosts would come to.
pub(super) fn clashes<'p>(hosts: impl Iterator<Item = &'p HostPlan>) -> Vec<Diagnostic> {
    let mut taken: HashMap<String, Taken> = HashMap::new();
    for plan in hosts {
        for steps in [&plan.steps, &plan.rescue, &plan.always] {
            each_download(steps, &mut |step, download| {
                let Some(path) = path(download) else { return };
                let here = taken.entry(path).or_insert_with(|| Taken {
                    span: step.span.clone(),
                    hosts: IndexSet::new(),
                });
                here.hosts.insert(plan.host.label.clone());
            });
        }
    }
    let shared = taken.into_iter().filter(|(_, taken)| taken.hosts.len() > 1);
    let mut shared: Vec<(String, Taken)> = shared.collect();
    shared.sort_by(|(a, _), (b, _)| a.cmp(b));
    shared
        .iter()
        .map(|(path, taken)| clash(path, taken))
        .collect()
}

fn clash(path: &str, taken: &Taken) -> Diagnostic {
    let count = taken.hosts.len();
    let shown = taken.hosts.iter().take(HOSTS_SHOWN).map(Label::as_str);
    let shown = shown.collect::<Vec<_>>().join(", ");
    let more = if count > HOSTS_SHOWN { ", …" } else { "" };
    Diagnostic::new(format!(
        "`download` brings the files of {count} hosts to one path, `{path}`: {shown}{more}"
    ))
    .at(&taken.span)
    .hint("put `{{ host.label }}` into `dest`")
    .hint("without `dest`, each host's file goes to a folder of its own in the run's record; `once: true` fetches one host's alone")
}

/// Calls `found` with every download that may run on a host, those within groups and sub-tasks too. What runs
/// on one host alone, or never, is no clash.
fn each_download(steps: &[Step], found: &mut dyn FnMut(&Step, &Download)) {
    for step in steps {
        let modifiers = &step.modifiers;
        if modifiers.once == Some(OnceFor::Rollout)
            || modifiers.when == Some(Condition::Known(false))
        {
            continue;
        }
        let group = match &step.action {
            Action::Download(download) => {
                found(step, download);
                None
            }
            Action::Group(group) => Some(group),
            Action::Task(sub) => sub.steps.as_ref(),
            _ => None,
        };
        for steps in group
            .iter()
            .flat_map(|group| [&group.steps, &group.rescue, &group.always])
        {
            each_download(steps, found);
        }
    }
}

/// Where the file goes, as far as the plan knows it; `None` for the host's own folder.
fn path(download: &Download) -> Option<String> {
    let dest = known(download.dest.as_ref()?)?;
    if dest.is_empty() || !dest.ends_with('/') {
        return Some(dest.to_owned()).filter(|dest| !dest.is_empty());
    }
    let name = known(&download.src)?
        .rsplit('/')
        .find(|part| !part.is_empty())?;
    Some(format!("{dest}{name}"))
}

fn known(text: &Text) -> Option<&str> {
    match text {
        Text::Plain(text) => Some(text),
        Text::Template(_) => None,
    }
}
