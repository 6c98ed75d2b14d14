//! The tasks that come with the program, planned as they are.

use super::*;
use crate::task::library::Library;

struct Embedded;

impl TaskFiles for Embedded {
    fn read(&self, task: &Task, path: &str) -> Result<Arc<[u8]>, String> {
        Library::read_file(task, path)
    }
}

/// Every task of the library, with nothing typed but its hosts and what it requires: the examples of its params.
#[test]
fn every_task_plans_with_a_selector_and_what_it_requires() {
    let library = Library::built_in();
    let engine = engine();
    let population = tagged(&fleet(&[("a", 2), ("b", 1)]), &[("service", "api")]);
    let targets: Vec<_> = population.iter().map(|host| host.id.clone()).collect();
    let mut planned = 0;
    for name in library.entries().map(|entry| entry.name.to_owned()) {
        let task = library
            .get(&name)
            .unwrap_or_else(|errors| panic!("{errors:#?}"));
        let required = task.params.values().filter(|param| param.required);
        let given = GivenParams {
            typed: required
                .map(|param| (param.name.clone(), param.example.clone().unwrap()))
                .collect(),
            ..GivenParams::default()
        };
        let params = CommonParams::resolve(&task, &given, &World, &engine).unwrap();
        let plan = build(&PlanRequest {
            task: &task,
            library: &|name| library.find(name),
            files: &Embedded,
            population: population.clone(),
            targets: &targets,
            params: &params,
            overrides: &Overrides::default(),
            engine: &engine,
            fanout: 32,
            now: jiff::Timestamp::UNIX_EPOCH,
            seed: 0,
            last_population: None,
        });
        let plan = plan.unwrap_or_else(|errors| {
            panic!("{name}: {:#?}", errors.iter().map(said).collect::<Vec<_>>())
        });
        let hosts: usize = plan.phases[0]
            .batches
            .iter()
            .map(|batch| batch.hosts.len())
            .sum();
        assert_eq!(hosts, 3, "{name}");
        planned += 1;
    }
    assert!(planned >= 6, "{planned} tasks");
}
