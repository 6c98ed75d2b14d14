//! `docs/lab.md` says what is so: its sample fleet is one, and it names every fault.

use lab::{ALL_FAULTS, FleetSpec, place};

fn page() -> String {
    std::fs::read_to_string(place::repository().join("docs/lab.md")).unwrap()
}

#[test]
fn the_sample_fleet_is_read() {
    let page = page();
    let (_, rest) = page.split_once("```json\n").unwrap();
    let (sample, _) = rest.split_once("```").unwrap();
    let fleet: FleetSpec = serde_json::from_str(sample).unwrap();
    assert_eq!(fleet.hosts.len(), 6);
    assert_eq!(fleet.hosts[1].faults.len(), 2);
}

#[test]
fn every_fault_is_explained() {
    let page = page();
    for fault in ALL_FAULTS {
        let named = [format!("`{}`", fault.name()), format!("`{}:", fault.name())];
        assert!(
            named.iter().any(|name| page.contains(name)),
            "{fault} is not in docs/lab.md"
        );
    }
}
