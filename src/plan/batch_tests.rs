//! Forming batches by rules: what is left of a phase, sick hosts, hosts that are taken last.

use std::sync::Arc;

use super::batch::{BatchRules, Situation, form};
use super::{Batch, By};
use crate::model::{Host, HostId, Zone};

/// Hosts `a1`, `a2`, … for each `(zone, count)`.
pub(in crate::plan) fn fleet(zones: &[(&str, usize)]) -> Vec<Arc<Host>> {
    let mut hosts = Vec::new();
    for (zone, count) in zones {
        for number in 1..=*count {
            let name = format!("{zone}{number}");
            hosts.push(Arc::new(Host {
                id: HostId::new(format!("i-{name}")),
                zone: Some(Zone::new(*zone)),
                ..Host::named(name.as_str(), "10.0.0.1")
            }));
        }
    }
    hosts
}

/// Batches by the hosts' names: `[a1]/` the canary, `(a1)` one that is taken last.
fn shown(batches: &[Batch], hosts: &[Arc<Host>]) -> String {
    let one = |batch: &Batch| {
        let names = batch.hosts.iter().map(|&host| hosts[host].name.as_str());
        let names = names.collect::<Vec<_>>().join(" ");
        match (batch.canary, batch.last) {
            (true, _) => format!("[{names}]/"),
            (false, true) => format!("({names})"),
            (false, false) => format!("[{names}]"),
        }
    };
    batches.iter().map(one).collect::<Vec<_>>().join(" ")
}

fn rules(by: By, size: usize, hosts: &[Arc<Host>]) -> BatchRules {
    let zones: Vec<Zone> = hosts.iter().map(|host| host.zone()).collect();
    BatchRules::plain(by, size, &zones)
}

/// Marks the hosts of these names.
fn marks(hosts: &[Arc<Host>], names: &[&str]) -> Vec<bool> {
    let marked = hosts.iter().map(|host| names.contains(&host.name.as_str()));
    marked.collect()
}

#[test]
fn what_is_left_goes_on_as_planned() {
    let hosts = fleet(&[("a", 4), ("b", 3), ("c", 2)]);
    for by in [By::Az, By::Spread, By::Flat] {
        for size in 1..5 {
            let mut rules = rules(by, size, &hosts);
            rules.canary = size / 2;
            rules.zones[0].cap = 2;
            rules.zones[0].sizes = vec![size.min(2)];
            let whole = form(&rules, &Situation::default());
            let mut situation = Situation {
                out: vec![false; hosts.len()],
                ..Situation::default()
            };
            for batch in &whole {
                let rest = form(&rules, &situation);
                assert_eq!(rest, whole[batch.index..], "{by:?} {size}");
                for &host in &batch.hosts {
                    situation.out[host] = true;
                }
                situation.taken += 1;
                situation.canary_taken |= batch.canary;
            }
            assert_eq!(form(&rules, &situation), []);
        }
    }
}

#[test]
fn sick_hosts_come_first_within_their_zone() {
    let hosts = fleet(&[("a", 3), ("b", 3)]);
    let sick = Situation {
        sick: marks(&hosts, &["a3", "b2"]),
        ..Situation::default()
    };
    for (by, expected) in [
        (By::Az, "[a3 a1] [a2] [b2 b1] [b3]"),
        (By::Spread, "[a3 b2] [a1 b1] [a2 b3]"),
        (By::Flat, "[a3 a1] [a2 b2] [b1 b3]"),
    ] {
        assert_eq!(shown(&form(&rules(by, 2, &hosts), &sick), &hosts), expected);
    }
}

#[test]
fn sick_members_of_a_quorum_come_before_all_others_and_alone() {
    let hosts = fleet(&[("a", 3), ("b", 2)]);
    let mut rules = rules(By::Az, 2, &hosts);
    rules.is_quorum = true;
    let situation = Situation {
        sick: marks(&hosts, &["b2", "a2"]),
        last: Some(marks(&hosts, &["a1", "b2"])),
        ..Situation::default()
    };
    let batches = form(&rules, &situation);
    assert_eq!(shown(&batches, &hosts), "[a2] [b2] [a3] [b1] (a1)");
    rules.canary = 1;
    let batches = form(&rules, &situation);
    assert_eq!(shown(&batches, &hosts), "[a2] [b2] [a3]/ [b1] (a1)");
}

#[test]
fn hosts_that_are_last_go_alone_after_all_zones() {
    let hosts = fleet(&[("a", 3), ("b", 2)]);
    let mut rules = rules(By::Az, 2, &hosts);
    let mut situation = Situation {
        last: Some(marks(&hosts, &["b1", "a2"])),
        ..Situation::default()
    };
    let expected = "[a1 a3] [b2] (a2) (b1)";
    assert_eq!(shown(&form(&rules, &situation), &hosts), expected);
    // What the plan knew gives way to what the facts say.
    rules.last = marks(&hosts, &["a1"]);
    assert_eq!(shown(&form(&rules, &situation), &hosts), expected);
    situation.last = None;
    assert_eq!(
        shown(&form(&rules, &situation), &hosts),
        "[a2 a3] [b1 b2] (a1)"
    );
    // It is out already: nothing is left to defer.
    situation.out = marks(&hosts, &["a1"]);
    situation.taken = 1;
    let rest = form(&rules, &situation);
    assert_eq!(shown(&rest, &hosts), "[a2 a3] [b1 b2]");
    assert_eq!(rest[0].index, 1);
}

#[test]
fn the_first_of_hosts_that_are_all_last_is_the_canary() {
    let hosts = fleet(&[("a", 2)]);
    let mut rules = rules(By::Az, 1, &hosts);
    rules.canary = 1;
    let situation = Situation {
        last: Some(vec![true, true]),
        ..Situation::default()
    };
    let batches = form(&rules, &situation);
    assert_eq!(shown(&batches, &hosts), "[a1]/ (a2)");
    assert!(batches[0].last);
}

#[test]
fn sizes_go_on_across_zones_and_after_what_was_taken() {
    let hosts = fleet(&[("a", 4), ("b", 4)]);
    let mut rules = rules(By::Az, 1, &hosts);
    rules
        .zones
        .iter_mut()
        .for_each(|zone| zone.sizes = vec![1, 2, 4]);
    let shown_after = |taken, out: &[&str]| {
        let situation = Situation {
            out: marks(&hosts, out),
            taken,
            ..Situation::default()
        };
        shown(&form(&rules, &situation), &hosts)
    };
    assert_eq!(shown_after(0, &[]), "[a1] [a2 a3] [a4] [b1 b2 b3 b4]");
    assert_eq!(shown_after(1, &["a1"]), "[a2 a3] [a4] [b1 b2 b3 b4]");
}
