//! Hosts that are there more than once: an error where one file has both, a note where two sources give
//! the same machine. Pure. What an identity is, `fleet` decides.

use std::collections::HashMap;

use indexmap::IndexMap;

use crate::model::{Diagnostic, Host, HostId, SourceSpan};

/// Hosts of which each id is there once.
#[derive(Debug, Default)]
pub(super) struct Distinct {
    /// The first host of each id, in the order given.
    pub(super) hosts: Vec<Host>,
    /// What was left out and said something else than what stays.
    pub(super) notes: Vec<String>,
}

/// Keeps the first host of each id.
///
/// # Errors
/// Two entries of one file are the same host: which of the two was meant is not known, and a host that
/// silently goes missing is a host that silently is not patched.
pub(super) fn distinct(
    found: impl Iterator<Item = (Host, Option<SourceSpan>)>,
) -> Result<Distinct, Vec<Diagnostic>> {
    let mut seen: HashMap<HostId, (usize, Option<SourceSpan>)> = HashMap::new();
    let mut left_out: IndexMap<(String, String), Vec<(String, String)>> = IndexMap::new();
    let (mut distinct, mut errors) = (Distinct::default(), Vec::new());
    for (host, place) in found {
        let Some((index, first_place)) = seen.get(&host.id) else {
            seen.insert(host.id.clone(), (distinct.hosts.len(), place));
            distinct.hosts.push(host);
            continue;
        };
        let first = &distinct.hosts[*index];
        match (first_place, place) {
            (Some(before), Some(here)) if before.source == here.source => {
                errors.push(twice(first, before, &host, &here));
            }
            _ if says_the_same(first, &host) => {}
            _ => left_out
                .entry((host.source.clone(), first.source.clone()))
                .or_default()
                .push((host.name, first.name.clone())),
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    distinct.notes = left_out.iter().map(note).collect();
    Ok(distinct)
}

fn says_the_same(one: &Host, other: &Host) -> bool {
    one.name == other.name
        && one.address == other.address
        && one.tags == other.tags
        && one.vars == other.vars
}

fn twice(first: &Host, before: &SourceSpan, second: &Host, here: &SourceSpan) -> Diagnostic {
    let (id, line) = (&first.id, before.line_column().0);
    let message = if first.name == second.name {
        format!(
            "host `{}` is there twice: `{id}` stands in line {line} too",
            first.name
        )
    } else {
        format!(
            "hosts `{}` (line {line}) and `{}` are one host: both are `{id}`",
            first.name, second.name
        )
    };
    Diagnostic::new(message).at(here).hint(
        "remove one of the two, or give each its own address, port or user; \
         two machines that share an address need an `id` each",
    )
}

fn note(((source, kept), hosts): (&(String, String), &Vec<(String, String)>)) -> String {
    let (name, kept_name) = &hosts[0];
    match hosts.len() {
        1 => {
            format!("`{name}` of {source} is left out: {kept} has the same host, as `{kept_name}`")
        }
        count => format!(
            "{count} hosts of {source} are left out, such as `{name}`: {kept} has the same hosts, \
             such as `{kept_name}`"
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::Source;

    fn host(name: &str, id: &str, source: &str) -> Host {
        Host {
            id: HostId::new(id),
            source: source.to_owned(),
            ..Host::named(name, "10.0.0.1")
        }
    }

    fn span(source: &Arc<Source>, text: &str) -> SourceSpan {
        let start = source.text.find(text).unwrap();
        SourceSpan::new(source, start..start + text.len())
    }

    #[test]
    fn two_entries_of_one_file_that_are_one_host_are_an_error_at_both_lines() {
        let source = Arc::new(Source {
            path: "prod.yml".into(),
            text: "- app-1\n- db-1\n- app-2\n".to_owned(),
        });
        let found = [
            (
                host("app-1", "me@10.0.0.1:22", "prod.yml"),
                Some(span(&source, "app-1")),
            ),
            (
                host("db-1", "me@10.0.0.2:22", "prod.yml"),
                Some(span(&source, "db-1")),
            ),
            (
                host("app-2", "me@10.0.0.1:22", "prod.yml"),
                Some(span(&source, "app-2")),
            ),
        ];
        let errors = distinct(found.into_iter()).unwrap_err();
        assert_eq!(errors.len(), 1);
        assert_eq!(
            errors[0].message,
            "hosts `app-1` (line 1) and `app-2` are one host: both are `me@10.0.0.1:22`"
        );
        assert_eq!(errors[0].span.as_ref().unwrap().place(), "prod.yml:3:3");
        assert!(errors[0].hints[0].contains("address, port or user"));
    }

    #[test]
    fn of_two_sources_the_first_stays_and_what_differs_is_said() {
        let found = [
            (host("app-1", "i-1", "ec2:a"), None),
            (host("app-1", "i-1", "ec2:b"), None),
            (host("other", "i-1", "./cmdb.sh"), None),
            (host("app-2", "i-2", "ec2:a"), None),
            (host("more", "i-2", "./cmdb.sh"), None),
        ];
        let kept = distinct(found.into_iter()).unwrap();
        let names: Vec<&str> = kept.hosts.iter().map(|host| host.name.as_str()).collect();
        assert_eq!(names, ["app-1", "app-2"]);
        assert_eq!(
            kept.notes,
            [
                "2 hosts of ./cmdb.sh are left out, such as `other`: ec2:a has the same hosts, such as `app-1`"
            ]
        );
    }
}
