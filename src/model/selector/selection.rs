//! Terms ANDed over the hosts of an inventory, remembering which one removed the last host.

use std::collections::BTreeSet;

use super::{Attribute, Matcher, SpellingError, TagKeys, Term};
use crate::model::{Diagnostic, Host, nearest};

/// Terms that must all hold. Only running instances are meant unless a term asks for the state.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    terms: Vec<Term>,
}

/// Why a selection gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectionError {
    /// A term's tag key is spelled in several ways.
    #[error(transparent)]
    Spelling(#[from] SpellingError),
    /// No host is left.
    #[error("{}", .0.message())]
    NoMatch(Box<NoMatch>),
}

/// No host is left: which term removed the last one, and what there was before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoMatch {
    /// What removed the last hosts.
    pub culprit: Culprit,
    /// The terms before it, printed.
    pub before: Vec<String>,
    /// How many hosts the inventory has.
    pub inventory: usize,
    /// How many hosts the terms before it had left.
    pub left: usize,
}

/// What removed the last hosts of a selection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Culprit {
    /// The inventory has no host at all.
    EmptyInventory,
    /// The rule that only running instances are meant; with the states there were.
    NotRunning(Vec<String>),
    /// A term.
    Term {
        /// The term.
        term: String,
        /// The key as hosts bear it.
        key: String,
        /// The values among the hosts that were left, sorted.
        values: Vec<String>,
        /// The term with the nearest value.
        proposal: Option<String>,
    },
}

/// How many values of a tag an error lists.
const VALUES_SHOWN: usize = 12;

impl Selection {
    /// All of these terms.
    pub fn new(terms: impl IntoIterator<Item = Term>) -> Self {
        Self {
            terms: terms.into_iter().collect(),
        }
    }

    /// The terms.
    pub fn terms(&self) -> &[Term] {
        &self.terms
    }

    /// Whether instances of every state are meant.
    pub fn any_state(&self) -> bool {
        self.terms.iter().any(Term::asks_for_state)
    }

    /// The hosts that fit, in the order given. At least one.
    ///
    /// # Errors
    /// No host fits, or a tag key is ambiguous.
    pub fn select<'h>(
        &self,
        hosts: &'h [Host],
        keys: &TagKeys,
    ) -> Result<Vec<&'h Host>, SelectionError> {
        let no_match = |culprit, before: usize, left| {
            SelectionError::NoMatch(Box::new(NoMatch {
                culprit,
                before: self.terms[..before].iter().map(Term::to_string).collect(),
                inventory: hosts.len(),
                left,
            }))
        };
        if hosts.is_empty() {
            return Err(no_match(Culprit::EmptyInventory, 0, 0));
        }
        let mut left: Vec<&Host> = hosts.iter().collect();
        for (index, term) in self.terms.iter().enumerate() {
            let matcher = term.matcher(keys)?;
            let fitting: Vec<&Host> = left
                .iter()
                .copied()
                .filter(|host| matcher.matches(host))
                .collect();
            if fitting.is_empty() {
                let culprit = Culprit::of_term(term, &matcher, &left);
                return Err(no_match(culprit, index, left.len()));
            }
            left = fitting;
        }
        if self.any_state() {
            return Ok(left);
        }
        let running: Vec<&Host> = left.iter().copied().filter(|host| is_up(host)).collect();
        if running.is_empty() {
            let states = distinct(left.iter().flat_map(|host| Attribute::State.values(host)));
            let culprit = Culprit::NotRunning(states);
            return Err(no_match(culprit, self.terms.len(), left.len()));
        }
        Ok(running)
    }
}

/// Whether the host runs, or its source knows no states.
fn is_up(host: &Host) -> bool {
    host.state.as_deref().is_none_or(|state| state == "running")
}

fn distinct<'a>(values: impl Iterator<Item = &'a str>) -> Vec<String> {
    let set: BTreeSet<&str> = values.collect();
    set.into_iter().map(str::to_owned).collect()
}

impl Culprit {
    fn of_term(term: &Term, matcher: &Matcher<'_>, left: &[&Host]) -> Self {
        let first_value = |host: &&Host| matcher.values(host).first().copied().map(str::to_owned);
        let values: BTreeSet<String> = left.iter().filter_map(first_value).collect();
        let proposal = match term {
            Term::Compare(comparison) => comparison.pattern.literals().find_map(|typed| {
                let near = nearest(typed, values.iter().map(String::as_str))?;
                Some(format!("{}={near}", comparison.key))
            }),
            Term::All => None,
        };
        Self::Term {
            term: term.to_string(),
            key: matcher.key().unwrap_or_default().to_owned(),
            values: values.into_iter().collect(),
            proposal,
        }
    }
}

impl NoMatch {
    fn message(&self) -> String {
        match &self.culprit {
            Culprit::EmptyInventory => "the inventory has no hosts".to_owned(),
            Culprit::NotRunning(_) if self.before.is_empty() => "no host is running".to_owned(),
            Culprit::NotRunning(_) => {
                format!("no host of selector `{}` is running", self.before.join(" "))
            }
            Culprit::Term { term, .. } => format!("selector `{term}` matches no host"),
        }
    }

    /// The error for people; `inventory` is the inventory's name, such as `inventories/prod.yml`.
    pub fn diagnostic(&self, inventory: &str) -> Diagnostic {
        let error = Diagnostic::new(self.message());
        let total = hosts(self.inventory);
        let there = if self.before.is_empty() {
            format!("{inventory} has {total}")
        } else {
            let (left, before) = (self.left, self.before.join(" "));
            format!("{inventory} has {total}, {left} by `{before}`")
        };
        match &self.culprit {
            Culprit::EmptyInventory => error.context(format!("{inventory} has no hosts")).hint(
                "is it the right region and account? `--region` and `--profile` choose others",
            ),
            Culprit::NotRunning(states) => error
                .context(format!("{there}; their states: {}", states.join(", ")))
                .hint("`state=*` takes instances of any state"),
            Culprit::Term {
                key,
                values,
                proposal,
                ..
            } => {
                let error = error.context(format!("{there}; {}", values_shown(key, values)));
                match proposal {
                    Some(proposal) => error.hint(format!("did you mean `{proposal}`?")),
                    None => error,
                }
            }
        }
    }
}

fn hosts(count: usize) -> String {
    match count {
        1 => "1 host".to_owned(),
        _ => format!("{count} hosts"),
    }
}

fn values_shown(key: &str, values: &[String]) -> String {
    match values.len() {
        0 => format!("none of them bears `{key}`"),
        count if count <= VALUES_SHOWN => format!("values of `{key}`: {}", values.join(", ")),
        count => format!(
            "values of `{key}`: {} and {} more",
            values[..VALUES_SHOWN].join(", "),
            count - VALUES_SHOWN
        ),
    }
}

#[cfg(test)]
mod tests {
    use indexmap::IndexMap;
    use proptest::prelude::*;

    use super::*;
    use crate::model::Tags;

    fn host(name: &str, role: &str, state: Option<&str>) -> Host {
        Host {
            tags: Tags::from_iter([("role", role)]),
            state: state.map(str::to_owned),
            ..Host::named(name, name)
        }
    }

    fn fleet() -> Vec<Host> {
        vec![
            host("web-1", "web", Some("running")),
            host("db-1", "db", Some("running")),
            host("worker-1", "worker", None),
            host("old-1", "batch", Some("stopped")),
        ]
    }

    fn select(terms: &[&str]) -> Result<Vec<String>, Box<Diagnostic>> {
        let fleet = fleet();
        let keys = TagKeys::new(&fleet, &IndexMap::new());
        let selection = Selection::new(terms.iter().map(|term| term.parse().unwrap()));
        match selection.select(&fleet, &keys) {
            Ok(hosts) => Ok(hosts.iter().map(|host| host.name.clone()).collect()),
            Err(SelectionError::NoMatch(none)) => {
                Err(Box::new(none.diagnostic("inventories/prod.yml")))
            }
            Err(SelectionError::Spelling(error)) => panic!("{error}"),
        }
    }

    #[test]
    fn terms_are_anded_and_only_running_hosts_are_meant() {
        assert_eq!(select(&["all"]).unwrap(), ["web-1", "db-1", "worker-1"]);
        assert_eq!(
            select(&["role!=db", "name=w*"]).unwrap(),
            ["web-1", "worker-1"]
        );
    }

    #[test]
    fn asking_for_the_state_lifts_the_default() {
        assert_eq!(select(&["state=stopped"]).unwrap(), ["old-1"]);
        assert_eq!(select(&["state!=running"]).unwrap(), ["worker-1", "old-1"]);
    }

    #[test]
    fn no_match_names_the_term_the_values_and_the_nearest() {
        let error = select(&["role=wbe"]).unwrap_err();
        assert_eq!(error.message, "selector `role=wbe` matches no host");
        assert_eq!(
            error.context.as_deref(),
            Some("inventories/prod.yml has 4 hosts; values of `role`: batch, db, web, worker")
        );
        assert_eq!(error.hints, ["did you mean `role=web`?"]);
    }

    #[test]
    fn the_term_that_removed_the_last_host_is_the_one_named() {
        let error = select(&["role=web,db", "name=web1", "state=stopped"]).unwrap_err();
        assert_eq!(error.message, "selector `name=web1` matches no host");
        assert_eq!(
            error.context.as_deref(),
            Some(
                "inventories/prod.yml has 4 hosts, 2 by `role=web,db`; values of `name`: db-1, web-1"
            )
        );
        assert_eq!(error.hints, ["did you mean `name=web-1`?"]);
    }

    #[test]
    fn hosts_that_do_not_run_are_named_as_the_cause() {
        let error = select(&["role=batch"]).unwrap_err();
        assert_eq!(error.message, "no host of selector `role=batch` is running");
        assert!(
            error
                .context
                .as_ref()
                .unwrap()
                .ends_with("their states: stopped")
        );
    }

    #[test]
    fn a_tag_that_no_host_bears_is_said_to_be_so() {
        let error = select(&["owner=me"]).unwrap_err();
        assert!(
            error
                .context
                .unwrap()
                .ends_with("none of them bears `owner`")
        );
    }

    proptest! {
        #[test]
        fn a_term_and_its_negation_part_the_hosts(role in "web|db|worker|batch|none") {
            let fleet = fleet();
            let keys = TagKeys::new(&fleet, &IndexMap::new());
            let count = |term: String| {
                let terms = [term.as_str(), "state!=shutting-down"].map(|term| term.parse().unwrap());
                Selection::new(terms).select(&fleet, &keys).map_or(0, |hosts| hosts.len())
            };
            prop_assert_eq!(count(format!("role={role}")) + count(format!("role!={role}")), fleet.len());
        }
    }
}
