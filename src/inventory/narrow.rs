//! What narrows the targets of a run: `-x`, `--limit`, `--sample`. The population is `select`'s job.

use std::collections::{BTreeMap, HashSet};
use std::str::FromStr;

use super::fleet::Inventory;
use super::named::{HostWord, HostWordError, Meant, near_name, resolve};
use super::select::SelectError;
use crate::model::selector::{Term, TermError};
use crate::model::words::Meanings;
use crate::model::{Amount, Diagnostic, Host, HostId, Zone};

/// A term, or hosts by name: what `-x` and `--limit` take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Narrowing {
    /// Hosts that match.
    Term(Term),
    /// Hosts of these names, labels, ids or addresses.
    Hosts(Vec<HostWord>),
}

/// `--limit`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Limit {
    /// The first so many.
    First(Amount),
    /// These.
    These(Narrowing),
}

impl FromStr for Narrowing {
    type Err = Vec<Diagnostic>;

    fn from_str(text: &str) -> Result<Self, Vec<Diagnostic>> {
        if text == "all" || text.contains('=') {
            let term = text.parse();
            return term
                .map(Self::Term)
                .map_err(|error: TermError| vec![error.diagnostic()]);
        }
        HostWord::list(text)
            .map(Self::Hosts)
            .map_err(|errors| diagnostics(&errors))
    }
}

fn diagnostics(errors: &[HostWordError]) -> Vec<Diagnostic> {
    let hint = "hosts are named as in `app-1,app-2`, or selected as in `az=us-west-2a`";
    errors
        .iter()
        .map(|error| Diagnostic::new(error.to_string()).hint(hint))
        .collect()
}

impl FromStr for Limit {
    type Err = Vec<Diagnostic>;

    /// `N`, `N%`, a term, or host names.
    fn from_str(text: &str) -> Result<Self, Vec<Diagnostic>> {
        if !text.starts_with(|c: char| c.is_ascii_digit()) {
            return text.parse().map(Self::These);
        }
        match text.parse::<Amount>() {
            Ok(Amount::Count(0) | Amount::Percent(0)) => Err(vec![Diagnostic::new(format!(
                "a limit of `{text}` leaves no host"
            ))]),
            Ok(amount) => Ok(Self::First(amount)),
            Err(error) if text.ends_with('%') => Err(vec![Diagnostic::new(error.to_string())]),
            Err(_) => text.parse().map(Self::These),
        }
    }
}

/// The hosts that a narrowing means.
///
/// A name that no host of the inventory bears is an error: a slip in `-x` would touch the very host that was
/// to be spared.
fn meant(
    inventory: &Inventory,
    hosts: &[&Host],
    narrowing: &Narrowing,
) -> Result<HashSet<HostId>, SelectError> {
    let words = match narrowing {
        Narrowing::Term(term) => {
            let meanings = Meanings {
                params: &[],
                tags: &inventory.tags,
                hosts: &inventory.hosts,
            };
            let checked = meanings.check_selector(&term.to_string());
            checked.map_err(|error| SelectError::refused(*error))?;
            let matcher = term.matcher(&inventory.tags);
            let matcher = matcher.map_err(|error| SelectError::refused(error.diagnostic()))?;
            let fitting = hosts.iter().filter(|host| matcher.matches(host));
            return Ok(fitting.map(|host| host.id.clone()).collect());
        }
        Narrowing::Hosts(words) => words,
    };
    let (mut ids, mut errors) = (HashSet::new(), Vec::new());
    for word in words {
        // Hosts of `-H` that no source knows are only in the population.
        let called = word.to_string();
        let is_word = |host: &&&Host| {
            [host.id.as_str(), host.label.as_str(), &host.name].contains(&called.as_str())
        };
        let here: Vec<&&Host> = hosts.iter().filter(is_word).collect();
        match (&here[..], resolve(word, inventory)) {
            ([one], _) => drop(ids.insert(one.id.clone())),
            (_, Ok(Meant::Known(host))) => drop(ids.insert(host.id)),
            (_, Ok(Meant::AdHoc(_))) => {
                let error = Diagnostic::new(format!("{} has no host `{word}`", inventory.name));
                errors.push(match near_name(word, inventory) {
                    Some(near) => error.hint(format!("did you mean `{near}`?")),
                    None => error,
                });
            }
            (_, Err(error)) => errors.push(*error),
        }
    }
    if errors.is_empty() {
        Ok(ids)
    } else {
        Err(SelectError::Refused(errors))
    }
}

fn shown(narrowing: &Narrowing) -> String {
    match narrowing {
        Narrowing::Term(term) => term.to_string(),
        Narrowing::Hosts(words) => {
            let words: Vec<String> = words.iter().map(ToString::to_string).collect();
            words.join(",")
        }
    }
}

/// What `-x` leaves.
pub(super) fn excluded<'h>(
    inventory: &Inventory,
    targets: Vec<&'h Host>,
    narrowing: &Narrowing,
    warnings: &mut Vec<String>,
) -> Result<Vec<&'h Host>, SelectError> {
    let before = targets.len();
    let out = meant(inventory, &targets, narrowing)?;
    let left: Vec<&Host> = targets
        .into_iter()
        .filter(|host| !out.contains(&host.id))
        .collect();
    let shown = shown(narrowing);
    if left.is_empty() {
        let error = Diagnostic::new(format!("`-x {shown}` leaves none of {}", hosts(before)));
        return Err(SelectError::none(error));
    }
    if left.len() == before {
        warnings.push(format!("`-x {shown}` excludes no host"));
    }
    Ok(left)
}

/// What `--limit` leaves.
pub(super) fn limited<'h>(
    inventory: &Inventory,
    targets: Vec<&'h Host>,
    limit: &Limit,
) -> Result<Vec<&'h Host>, SelectError> {
    let narrowing = match limit {
        Limit::First(amount) => {
            let count = amount.floor_of(targets.len()).max(1);
            return Ok(targets.into_iter().take(count).collect());
        }
        Limit::These(narrowing) => narrowing,
    };
    let within = meant(inventory, &targets, narrowing)?;
    let before = targets.len();
    let left: Vec<&Host> = targets
        .into_iter()
        .filter(|host| within.contains(&host.id))
        .collect();
    if left.is_empty() {
        let shown = shown(narrowing);
        let error = Diagnostic::new(format!(
            "`--limit {shown}` leaves none of {}",
            hosts(before)
        ));
        return Err(SelectError::none(error));
    }
    Ok(left)
}

/// One host of each zone, then the next of each, until there are enough; in the order of the targets.
pub(super) fn sampled<'h>(
    targets: &[&'h Host],
    count: usize,
) -> Result<Vec<&'h Host>, SelectError> {
    if count == 0 {
        return Err(SelectError::refused(Diagnostic::new("a sample of 0 hosts")));
    }
    let mut seen: BTreeMap<Zone, usize> = BTreeMap::new();
    let mut ranked: Vec<(usize, Zone, usize)> = targets
        .iter()
        .enumerate()
        .map(|(index, host)| {
            let rank = seen.entry(host.zone()).or_default();
            *rank += 1;
            (*rank, host.zone(), index)
        })
        .collect();
    ranked.sort();
    let chosen: HashSet<usize> = ranked
        .into_iter()
        .take(count)
        .map(|(_, _, index)| index)
        .collect();
    let hosts = targets.iter().enumerate();
    Ok(hosts
        .filter(|(index, _)| chosen.contains(index))
        .map(|(_, host)| *host)
        .collect())
}

fn hosts(count: usize) -> String {
    match count {
        1 => "1 host".to_owned(),
        _ => format!("{count} hosts"),
    }
}

#[cfg(test)]
#[path = "narrow_tests.rs"]
mod tests;
