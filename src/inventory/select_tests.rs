//! Population and targets: what decides them, and what is refused.

use indexmap::IndexMap;

use super::*;
use crate::inventory::HostProblem;
use crate::model::selector::TagKeys;
use crate::model::{Tags, Zone};

/// Six app hosts in three zones, one db host, one stopped app host.
pub(in crate::inventory) fn fleet() -> Inventory {
    let mut hosts: Vec<Host> = (1..=6)
        .map(|n| host(&format!("app-{n}"), "app", ["a", "b", "c"][(n - 1) % 3]))
        .collect();
    hosts.push(host("db-1", "db", "a"));
    hosts.push(Host {
        state: Some("stopped".to_owned()),
        ..host("app-7", "app", "a")
    });
    label_hosts(&mut hosts);
    Inventory {
        name: "prod.yml".to_owned(),
        tags: TagKeys::new(&hosts, &IndexMap::new()),
        hosts,
        ..Inventory::default()
    }
}

fn host(name: &str, role: &str, zone: &str) -> Host {
    Host {
        id: HostId::new(format!("i-{name}")),
        zone: Some(Zone::new(zone)),
        state: Some("running".to_owned()),
        tags: Tags::from_iter([("role", role)]),
        ..Host::named(name, format!("{name}.internal"))
    }
}

pub(in crate::inventory) fn terms(words: &[&str]) -> Vec<Term> {
    words.iter().map(|word| word.parse().unwrap()).collect()
}

fn words(text: &str) -> Vec<HostWord> {
    HostWord::list(text).unwrap()
}

fn labels(selected: &Selected) -> (Vec<&str>, Vec<&str>) {
    let population = selected.population.iter();
    let targets = population
        .clone()
        .filter(|host| selected.targets.contains(&host.id));
    (
        population.map(|host| host.label.as_str()).collect(),
        targets.map(|host| host.label.as_str()).collect(),
    )
}

fn refused(request: &SelectRequest) -> (ExitStatus, Diagnostic) {
    let error = select(&fleet(), request).unwrap_err();
    (error.exit(), error.diagnostics().remove(0))
}

const APPS: [&str; 6] = ["app-1", "app-2", "app-3", "app-4", "app-5", "app-6"];

#[test]
fn typed_selectors_replace_the_tasks() {
    let request = SelectRequest {
        terms: terms(&["role=db"]),
        task_targets: terms(&["role=app"]),
        ..SelectRequest::default()
    };
    let selected = select(&fleet(), &request).unwrap();
    assert_eq!(labels(&selected), (vec!["db-1"], vec!["db-1"]));
    let request = SelectRequest {
        terms: Vec::new(),
        ..request
    };
    assert_eq!(labels(&select(&fleet(), &request).unwrap()).0, APPS);
}

#[test]
fn without_any_selector_nothing_is_selected() {
    let (exit, error) = refused(&SelectRequest::default());
    assert_eq!(exit, ExitStatus::Refused);
    assert_eq!(error.message, "no hosts are selected");
    let everything = SelectRequest {
        terms: terms(&["all"]),
        ..SelectRequest::default()
    };
    assert_eq!(select(&fleet(), &everything).unwrap().targets.len(), 7);
}

#[test]
fn no_match_ends_with_its_own_status() {
    let (exit, error) = refused(&SelectRequest {
        terms: terms(&["role=ap"]),
        ..SelectRequest::default()
    });
    assert_eq!(exit, ExitStatus::NoHost);
    assert_eq!(error.hints, ["did you mean `role=app`?"]);
}

#[test]
fn named_hosts_narrow_the_targets_and_never_the_population() {
    let request = SelectRequest {
        task_targets: terms(&["role=app"]),
        hosts: words("app-5,root@app-2.internal:2222"),
        ..SelectRequest::default()
    };
    let selected = select(&fleet(), &request).unwrap();
    assert_eq!(labels(&selected), (APPS.to_vec(), vec!["app-2", "app-5"]));
    let second = &selected.population[1];
    assert_eq!(
        (second.ssh.user.as_deref(), second.ssh.port),
        (Some("root"), Some(2222))
    );
}

#[test]
fn named_hosts_without_a_selector_are_the_population() {
    let request = SelectRequest {
        hosts: words("db-1,root@10.9.9.9"),
        ..SelectRequest::default()
    };
    let selected = select(&fleet(), &request).unwrap();
    assert_eq!(labels(&selected).0, ["10.9.9.9", "db-1"]);
    assert_eq!(selected.targets.len(), 2);
}

#[test]
fn unknown_hosts_replace_the_tasks_selectors() {
    let request = SelectRequest {
        task_targets: terms(&["role=app"]),
        hosts: words("root@10.9.9.9"),
        ..SelectRequest::default()
    };
    let selected = select(&fleet(), &request).unwrap();
    assert_eq!(labels(&selected), (vec!["10.9.9.9"], vec!["10.9.9.9"]));
}

#[test]
fn a_name_close_to_a_known_one_is_warned_of() {
    let request = SelectRequest {
        hosts: words("app-11"),
        ..SelectRequest::default()
    };
    let selected = select(&fleet(), &request).unwrap();
    assert_eq!(
        selected.warnings,
        ["prod.yml has no host `app-11`, but `app-1`; `app-11` is taken as an address"]
    );
}

#[test]
fn a_named_host_that_the_selectors_leave_out_is_refused() {
    let (exit, error) = refused(&SelectRequest {
        task_targets: terms(&["role=app"]),
        hosts: words("db-1"),
        ..SelectRequest::default()
    });
    assert_eq!(exit, ExitStatus::Refused);
    assert_eq!(error.message, "host `db-1` is not selected by `role=app`");
    assert!(
        error.hints[0].ends_with("select it: `id=i-db-1`"),
        "{error:?}"
    );
    let (_, error) = refused(&SelectRequest {
        task_targets: terms(&["role=app"]),
        hosts: words("app-7"),
        ..SelectRequest::default()
    });
    assert_eq!(error.message, "host `app-7` is stopped");
}

#[test]
fn a_selector_cannot_be_asked_of_an_unknown_host() {
    let (_, error) = refused(&SelectRequest {
        terms: terms(&["role=app"]),
        hosts: words("root@10.9.9.9"),
        ..SelectRequest::default()
    });
    assert_eq!(
        error.message,
        "no inventory knows `10.9.9.9`, so no selector can match"
    );
}

#[test]
fn a_target_without_an_address_is_refused_and_can_be_left_out() {
    let mut fleet = fleet();
    fleet.problems.push(HostProblem {
        host: HostId::new("i-app-2"),
        diagnostic: Diagnostic::new("instance i-app-2 has no public_ip"),
    });
    let mut request = SelectRequest {
        terms: terms(&["role=app"]),
        ..SelectRequest::default()
    };
    let error = select(&fleet, &request).unwrap_err();
    assert_eq!(error.exit(), ExitStatus::Refused);
    let errors = error.diagnostics();
    assert_eq!(errors[0].message, "instance i-app-2 has no public_ip");
    assert_eq!(errors[0].hints[1], "or leave it out with `-x id=i-app-2`");
    assert_eq!(survey(&fleet, &request).unwrap().targets.len(), 6);
    request.exclude.push("id=i-app-2".parse().unwrap());
    let selected = select(&fleet, &request).unwrap();
    assert_eq!((selected.population.len(), selected.targets.len()), (6, 5));
}

#[test]
fn labels_are_as_short_as_the_population_allows() {
    let mut fleet = fleet();
    for host in &mut fleet.hosts {
        if host.name == "db-1" {
            "app-1".clone_into(&mut host.name);
        }
    }
    label_hosts(&mut fleet.hosts);
    assert_eq!(fleet.hosts[0].label.as_str(), "app-1.pp-1");
    let request = SelectRequest {
        terms: terms(&["role=app"]),
        ..SelectRequest::default()
    };
    assert_eq!(labels(&select(&fleet, &request).unwrap()).0, APPS);
}
