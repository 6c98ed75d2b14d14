//! From an inventory to the hosts of a run: the population that is counted, and the targets that may be
//! touched. Asks nobody.

use std::collections::HashSet;

use super::fleet::Inventory;
use super::named::{HostWord, Meant, near_name, resolve};
use super::narrow::{Limit, Narrowing, excluded, limited, sampled};
use crate::model::selector::{Selection, SelectionError, Term};
use crate::model::{Diagnostic, ExitStatus, Host, HostId, label_hosts};

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

    pub(super) fn refused(error: Diagnostic) -> Self {
        Self::Refused(vec![error])
    }

    pub(super) fn none(error: Diagnostic) -> Self {
        Self::NoHost(Box::new(error))
    }

    fn of(error: SelectionError, inventory: &str) -> Self {
        match error {
            SelectionError::Spelling(error) => Self::refused(error.diagnostic()),
            SelectionError::NoMatch(none) => Self::none(none.diagnostic(inventory)),
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
    let selected = survey(inventory, request)?;
    check_addresses(inventory, &selected)?;
    Ok(selected)
}

/// As [`select`], to look at alone: targets without an address stay. [`Inventory::problem`] says what is wrong
/// with each.
///
/// # Errors
/// As [`select`], addresses aside.
pub fn survey(inventory: &Inventory, request: &SelectRequest) -> Result<Selected, SelectError> {
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
    let unknown: Vec<String> = named
        .ad_hoc
        .iter()
        .map(|host| format!("`{}`", host.name))
        .collect();
    let unknown = unknown.join(", ");
    let error = Diagnostic::new(format!(
        "no inventory knows {unknown}, so no selector can match"
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

fn check_addresses(inventory: &Inventory, selected: &Selected) -> Result<(), SelectError> {
    let errors: Vec<Diagnostic> = selected
        .targets
        .iter()
        .filter_map(|id| Some((id, inventory.problem(id)?)))
        .map(|(id, problem)| {
            problem
                .clone()
                .hint("choose what is connected to with `address:` in the inventory")
                .hint(format!("or leave it out with `-x id={id}`"))
        })
        .collect();
    if errors.is_empty() {
        Ok(())
    } else {
        Err(SelectError::Refused(errors))
    }
}

#[cfg(test)]
#[path = "select_tests.rs"]
pub(super) mod tests;
