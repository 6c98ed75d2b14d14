//! From an inventory to the hosts of a run: the population that is counted, and the targets that may be
//! touched. Asks nobody.

use std::collections::{BTreeMap, HashSet};
use std::str::FromStr;

use super::fleet::Inventory;
use super::named::{HostWord, HostWordError, Meant, near_name, resolve};
use crate::model::selector::{Selection, SelectionError, Term, TermError};
use crate::model::{Amount, Diagnostic, ExitStatus, Host, HostId, Zone, label_hosts};

/// What was asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SelectRequest {
    /// Selectors that were typed; they replace the task's.
    pub terms: Vec<Term>,
    /// The task's `targets`, rendered; used where none was typed.
    pub task_targets: Vec<Term>,
    /// `-H`.
    pub hosts: Vec<HostWord>,
    /// `-x`: hosts that match any of these are not touched.
    pub exclude: Vec<Narrowing>,
    /// `--limit`.
    pub limit: Option<Limit>,
    /// `--sample`: so many hosts, spread over the zones.
    pub sample: Option<usize>,
}

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

/// The hosts of a run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Selected {
    /// Every host that the selector matches, before anything narrowed it: what percentages and quorums are of. Sorted
    /// by name, then id, with labels that are short within it.
    pub population: Vec<Host>,
    /// The hosts that may be touched, in the same order; at least one.
    pub targets: Vec<HostId>,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// Why there are no hosts to run on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SelectError {
    /// No host is left.
    NoHost(Box<Diagnostic>),
    /// What was asked for makes no sense, or a host cannot be connected to.
    Refused(Vec<Diagnostic>),
}

impl SelectError {
    /// The status to end with.
    pub fn exit(&self) -> ExitStatus {
        match self {
            Self::NoHost(_) => ExitStatus::NoHost,
            Self::Refused(_) => ExitStatus::Refused,
        }
    }

    /// The errors for people.
    pub fn diagnostics(&self) -> Vec<Diagnostic> {
        match self {
            Self::NoHost(error) => vec![Diagnostic::clone(error)],
            Self::Refused(errors) => errors.clone(),
        }
    }

    fn refused(error: Diagnostic) -> Self {
        Self::Refused(vec![error])
    }

    fn none(error: Diagnostic) -> Self {
        Self::NoHost(Box::new(error))
    }

    fn of(error: SelectionError, inventory: &str) -> Self {
        match error {
            SelectionError::Spelling(error) => Self::refused(error.diagnostic()),
            SelectionError::NoMatch(none) => Self::none(none.diagnostic(inventory)),
        }
    }
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
            Err(_) => text.parse().map(Self::These),
        }
    }
}

/// Chooses the hosts.
///
/// - Selectors that were typed decide the population; without any, the task's do; without those, the hosts
///   of `-H` are it.
/// - `-H` narrows the population to its hosts. Where it names only hosts that no source knows, they replace the
///   task's selectors; beside hosts that are known they join the population.
/// - `-x`, `--limit` and `--sample` narrow the targets, in this order.
///
/// # Errors
/// No host is left; no selector at all; a host that the selectors do not cover; a target without an
/// address.
pub fn select(inventory: &Inventory, request: &SelectRequest) -> Result<Selected, SelectError> {
    let named = Named::resolve(inventory, &request.hosts)?;
    let mut warnings = named.warnings.clone();
    let population = population(inventory, request, &named)?;
    let mut targets: Vec<&Host> = if request.hosts.is_empty() {
        population.iter().collect()
    } else {
        let ids = named.ids();
        population
            .iter()
            .filter(|host| ids.contains(&host.id))
            .collect()
    };
    for narrowing in &request.exclude {
        targets = excluded(inventory, targets, narrowing, &mut warnings)?;
    }
    if let Some(limit) = &request.limit {
        targets = limited(inventory, targets, limit)?;
    }
    if let Some(count) = request.sample {
        targets = sampled(&targets, count)?;
    }
    check_addresses(inventory, &targets)?;
    let targets = targets.into_iter().map(|host| host.id.clone()).collect();
    Ok(Selected {
        population,
        targets,
        warnings,
    })
}

/// The hosts of `-H`.
#[derive(Default)]
struct Named {
    known: Vec<Host>,
    ad_hoc: Vec<Host>,
    warnings: Vec<String>,
}

impl Named {
    fn resolve(inventory: &Inventory, words: &[HostWord]) -> Result<Self, SelectError> {
        let (mut named, mut errors) = (Self::default(), Vec::new());
        for word in words {
            match resolve(word, inventory) {
                Ok(Meant::Known(host)) => named.known.push(*host),
                Ok(Meant::AdHoc(host)) => {
                    if let Some(near) = near_name(word, inventory) {
                        let inventory = &inventory.name;
                        let text = format!(
                            "{inventory} has no host `{word}`, but `{near}`; `{word}` is taken as an address"
                        );
                        named.warnings.push(text);
                    }
                    named.ad_hoc.push(*host);
                }
                Err(error) => errors.push(*error),
            }
        }
        if errors.is_empty() {
            Ok(named)
        } else {
            Err(SelectError::Refused(errors))
        }
    }

    fn ids(&self) -> HashSet<HostId> {
        let hosts = self.known.iter().chain(&self.ad_hoc);
        hosts.map(|host| host.id.clone()).collect()
    }
}

/// Every host that is counted, sorted and labelled.
fn population(
    inventory: &Inventory,
    request: &SelectRequest,
    named: &Named,
) -> Result<Vec<Host>, SelectError> {
    let only_ad_hoc = !request.hosts.is_empty() && named.known.is_empty();
    let terms = match (&request.terms[..], &request.task_targets[..]) {
        ([], targets) if !only_ad_hoc => targets,
        (typed, _) => typed,
    };
    if terms.is_empty() && request.hosts.is_empty() {
        let error = Diagnostic::new("no hosts are selected");
        return Err(SelectError::refused(error.hint(
            "select some with words such as `role=app`, name them with `-H`, or say `all`",
        )));
    }
    let mut hosts: Vec<Host> = if terms.is_empty() {
        named.known.clone()
    } else {
        check_ad_hoc(request, named)?;
        let selection = Selection::new(terms.iter().cloned());
        let hosts = selection
            .select(&inventory.hosts, &inventory.tags)
            .map_err(|error| SelectError::of(error, &inventory.name))?;
        let hosts: Vec<Host> = hosts.into_iter().cloned().collect();
        check_covered(&hosts, &selection, named)?;
        hosts
            .into_iter()
            .map(|host| named.with_login(host))
            .collect()
    };
    hosts.extend(named.ad_hoc.iter().cloned());
    let mut seen = HashSet::new();
    hosts.retain(|host| seen.insert(host.id.clone()));
    label_hosts(&mut hosts);
    hosts.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
    Ok(hosts)
}

impl Named {
    /// The host with the user and port of its `-H` word.
    fn with_login(&self, host: Host) -> Host {
        let named = self.known.iter().find(|known| known.id == host.id);
        named.cloned().unwrap_or(host)
    }
}

/// A selector that was typed cannot be asked of a host that nothing is known of.
fn check_ad_hoc(request: &SelectRequest, named: &Named) -> Result<(), SelectError> {
    if request.terms.is_empty() || named.ad_hoc.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = named
        .ad_hoc
        .iter()
        .map(|host| format!("`{}`", host.name))
        .collect();
    let names = names.join(", ");
    let error = Diagnostic::new(format!(
        "no inventory knows {names}, so no selector can match"
    ));
    Err(SelectError::refused(error.hint(
        "leave out either the selector or these hosts of `-H`",
    )))
}

/// `-H` narrows: it never adds a known host that the selectors leave out.
fn check_covered(hosts: &[Host], selection: &Selection, named: &Named) -> Result<(), SelectError> {
    let covered: HashSet<&HostId> = hosts.iter().map(|host| &host.id).collect();
    let outside = named
        .known
        .iter()
        .filter(|host| !covered.contains(&host.id));
    let errors: Vec<Diagnostic> = outside
        .map(|host| {
            let terms: Vec<String> = selection.terms().iter().map(ToString::to_string).collect();
            let terms = terms.join(" ");
            let error = if host.state.as_deref().is_none_or(|state| state == "running") {
                Diagnostic::new(format!(
                    "host `{}` is not selected by `{terms}`",
                    host.label
                ))
            } else {
                let state = host.state.as_deref().unwrap_or_default();
                Diagnostic::new(format!("host `{}` is {state}", host.label))
            };
            error.hint(format!(
                "`-H` narrows what `{terms}` selects; to run there, select it: `id={}`",
                host.id
            ))
        })
        .collect();
    if errors.is_empty() {
        Ok(())
    } else {
        Err(SelectError::Refused(errors))
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

fn excluded<'h>(
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

fn limited<'h>(
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
fn sampled<'h>(targets: &[&'h Host], count: usize) -> Result<Vec<&'h Host>, SelectError> {
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

fn check_addresses(inventory: &Inventory, targets: &[&Host]) -> Result<(), SelectError> {
    let errors: Vec<Diagnostic> = targets
        .iter()
        .filter_map(|host| Some((host, inventory.problem(&host.id)?)))
        .map(|(host, problem)| {
            problem
                .clone()
                .hint("choose what is connected to with `address:` in the inventory")
                .hint(format!("or leave it out with `-x id={}`", host.id))
        })
        .collect();
    if errors.is_empty() {
        Ok(())
    } else {
        Err(SelectError::Refused(errors))
    }
}

fn hosts(count: usize) -> String {
    match count {
        1 => "1 host".to_owned(),
        _ => format!("{count} hosts"),
    }
}

#[cfg(test)]
#[path = "select_tests.rs"]
mod tests;
