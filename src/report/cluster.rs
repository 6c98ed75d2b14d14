//! Hosts that failed alike, together: the same outcome with the same words, numbers aside. Pure.

use indexmap::IndexMap;

use crate::model::{HostOutcome, Label};

use super::host_failure::sentence;
use super::view::{HostEnd, RunView};

/// Hosts of one cause, in the plan's order.
#[derive(Debug)]
pub(crate) struct Cluster<'a> {
    /// The hosts; at least one.
    pub(crate) hosts: Vec<&'a Label>,
    /// The end of the first one.
    pub(crate) end: &'a HostEnd,
    /// Every host's words are the first one's to the letter.
    pub(crate) same_words: bool,
    /// Every host's last lines are the first one's.
    pub(crate) same_tail: bool,
    /// Every host's own hints are the first one's.
    pub(crate) same_hints: bool,
}

/// Every cause that made hosts fail; outcomes in the order of summaries, of one outcome the cause with most
/// hosts first.
pub(crate) fn clusters(view: &RunView) -> Vec<Cluster<'_>> {
    let mut found: IndexMap<(usize, String), Cluster<'_>> = IndexMap::new();
    for (label, host) in &view.hosts {
        let Some(end) = host.end().filter(|end| is_bad(&end.outcome)) else {
            continue;
        };
        let key = (rank(&end.outcome), cause_key(label, &end.outcome));
        match found.entry(key) {
            indexmap::map::Entry::Vacant(free) => {
                free.insert(Cluster {
                    hosts: vec![label],
                    end,
                    same_words: true,
                    same_tail: true,
                    same_hints: true,
                });
            }
            indexmap::map::Entry::Occupied(mut known) => {
                let cluster = known.get_mut();
                cluster.hosts.push(label);
                cluster.same_words &= words(&end.outcome) == words(&cluster.end.outcome);
                cluster.same_tail &= end.tail == cluster.end.tail;
                cluster.same_hints &= own_hints(&end.outcome) == own_hints(&cluster.end.outcome);
            }
        }
    }
    let mut found: Vec<_> = found.into_iter().collect();
    found.sort_by_key(|((rank, _), cluster)| (*rank, std::cmp::Reverse(cluster.hosts.len())));
    found.into_iter().map(|(_, cluster)| cluster).collect()
}

/// Outcomes that are told with their cause; hosts that never started have a line of their own.
fn is_bad(outcome: &HostOutcome) -> bool {
    !matches!(outcome, HostOutcome::Ok | HostOutcome::NotRun { .. })
}

fn rank(outcome: &HostOutcome) -> usize {
    let word = outcome.word();
    HostOutcome::WORDS
        .iter()
        .position(|known| *known == word)
        .unwrap_or(HostOutcome::WORDS.len())
}

fn own_hints(outcome: &HostOutcome) -> &[String] {
    match outcome {
        HostOutcome::Unreachable { hints, .. } => hints,
        _ => &[],
    }
}

fn words(outcome: &HostOutcome) -> String {
    sentence(outcome, None).1
}

/// The words without what differs from host to host: the host's own name, and numbers (addresses, ports,
/// process ids), but for the exit code.
fn cause_key(label: &Label, outcome: &HostOutcome) -> String {
    let exit = match outcome {
        HostOutcome::Failed { exit_code, .. } => *exit_code,
        _ => None,
    };
    let words = words(outcome);
    let text = without_word(&words, label.as_str());
    let mut key = format!("{exit:?} ");
    let mut in_number = false;
    for c in text.chars() {
        if c.is_ascii_digit() {
            if !in_number {
                key.push('#');
            }
            in_number = true;
        } else {
            in_number = false;
            key.push(c);
        }
    }
    key
}

/// The text with `HOST` for every place where the name stands as a word of its own.
fn without_word(text: &str, name: &str) -> String {
    let in_word = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(name).filter(|_| !name.is_empty()) {
        let after = &rest[at + name.len()..];
        let before = rest[..at].chars().next_back().or(out.chars().next_back());
        let alone = !before.is_some_and(in_word) && !after.chars().next().is_some_and(in_word);
        out.push_str(&rest[..at]);
        out.push_str(if alone { "HOST" } else { name });
        rest = after;
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use crate::model::UnreachableKind;
    use crate::task::Kind;

    use super::super::samples::{event, failed, finished, run_started};
    use super::*;

    fn refused(address: &str) -> HostOutcome {
        HostOutcome::Unreachable {
            kind: UnreachableKind::Refused,
            causes: vec![format!("connection refused by {address} port 22")],
            hints: vec![format!("look at {address}")],
        }
    }

    #[test]
    fn a_name_within_a_word_stays() {
        assert_eq!(without_word("at a, a-1 or a", "a"), "at HOST, a-1 or HOST");
    }

    #[test]
    fn hosts_that_failed_alike_are_together() {
        let ends = [
            ("a", refused("10.0.0.1"), vec![]),
            ("b", failed(3), vec!["x"]),
            ("c", failed(3), vec!["y"]),
            ("d", failed(4), vec!["x"]),
            ("e", refused("10.0.0.25"), vec![]),
            ("f", HostOutcome::Ok, vec![]),
            ("g", HostOutcome::NotRun { reason: "r".into() }, vec![]),
        ];
        let hosts: Vec<(&str, &str)> = ends.iter().map(|(label, ..)| (*label, "z")).collect();
        let mut view = RunView::default();
        view.apply(&event(0, 0, run_started(Kind::Read, &hosts)));
        for (label, outcome, tail) in ends {
            view.apply(&event(1, 1, finished(label, outcome, 1, &tail)));
        }
        let hints: Vec<bool> = clusters(&view).iter().map(|one| one.same_hints).collect();
        assert_eq!(hints, [true, true, false]);
        let found: Vec<(String, bool, bool)> = clusters(&view)
            .iter()
            .map(|cluster| {
                let labels: Vec<&str> = cluster.hosts.iter().map(|label| label.as_str()).collect();
                (labels.concat(), cluster.same_words, cluster.same_tail)
            })
            .collect();
        assert_eq!(
            found,
            [
                ("bc".to_owned(), true, false),
                ("d".to_owned(), true, true),
                ("ae".to_owned(), false, true)
            ]
        );
    }
}
