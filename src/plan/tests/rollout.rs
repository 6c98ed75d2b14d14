//! Phases, checks, facts and hosts that are taken last: what a rollout's plan holds beside its numbers; and
//! whether a kept plan still holds.

use super::worked::batches;
use super::*;
use crate::plan::{Situation, drift, form_rest};

const STAGED: &str = "\
task: staged
kind: change
params:
  port: {type: int, default: 8080}
facts:
  - run: \"cat /mode-{{ host.name }}\"
    register: mode
before:
  - log: first
phases:
  - name: stage
    strategy: {by: flat, batch: 100%}
    steps:
      - run: \"stage {{ batch.index }}\"
  - name: activate
    strategy: {by: az, batch: 1, canary: 1, confirm: [start, zone], last: \"{{ host.facts.mode.stdout == 'leader' }}\"}
    health:
      - http: \"http://127.0.0.1:{{ params.port }}/health\"
        watch: true
    verify:
      - run: \"test {{ host.name }} = \\\"$(hostname)\\\"\"
    before:
      - log: activating
    steps:
      - run: activate
    rollback:
      - run: deactivate
";

#[test]
fn every_phase_is_planned_with_a_strategy_of_its_own() {
    let plan = Given::new(STAGED).planned();
    let names: Vec<&str> = plan
        .phases
        .iter()
        .map(|phase| phase.name.as_str())
        .collect();
    assert_eq!(names, ["stage", "activate"]);
    let sizes = |phase: usize| {
        let batches = plan.phases[phase].batches.iter();
        batches.map(|batch| batch.hosts.len()).collect::<Vec<_>>()
    };
    assert_eq!((sizes(0), sizes(1)), (vec![4], vec![1, 1, 1, 1]));
    let [stage, activate] = &plan.phases[..] else {
        panic!()
    };
    assert_eq!((stage.by, activate.by), (By::Flat, By::Az));
    assert_eq!((plan.before.len(), activate.before.len()), (1, 1));
    let host = &activate.hosts[1];
    assert_eq!(host.host.name, "a2");
    assert_eq!(
        (host.health.len(), host.verify.len(), host.rollback.len()),
        (1, 1, 1)
    );
    assert!(stage.hosts[1].health.is_empty() && stage.hosts[1].rollback.is_empty());
    // What only the run knows stays as it is.
    assert_eq!(runs(&plan, "a1"), ["run: stage {{ batch.index }}"]);
    // What is alike is shared.
    assert!(Arc::ptr_eq(
        &activate.hosts[0].health,
        &activate.hosts[3].health
    ));
    assert!(!Arc::ptr_eq(
        &activate.hosts[0].verify,
        &activate.hosts[3].verify
    ));
}

#[test]
fn every_host_of_the_population_is_asked_and_not_the_touched_ones_alone() {
    let mut given = Given::new(STAGED);
    given.targets = Some(vec![0]);
    let plan = given.planned();
    assert_eq!((plan.members.len(), plan.phases[0].hosts.len()), (4, 1));
    let member = &plan.members[2];
    assert_eq!(member.host.name, "b1");
    assert_eq!(step_texts(&member.facts)[0].text, "cat /mode-'b1'");
    let checks: Vec<usize> = member.health.iter().map(|health| health.len()).collect();
    assert_eq!(checks, [0, 1]);
    assert!(Arc::ptr_eq(
        &member.health[1],
        &plan.phases[1].hosts[0].health
    ));
    assert!(matches!(
        member.last[..],
        [None, Some(Condition::Expression(_))]
    ));
    let json = json(&plan);
    assert_eq!(
        json["phases"][1]["last"],
        "host.facts.mode.stdout == 'leader'"
    );
    let health = &json["phases"][1]["health"][0];
    assert_eq!(health["hosts"], json!(["a1", "a2", "b1", "b2"]));
    let check = &health["checks"][0];
    assert_eq!(
        (&check["text"], &check["watch"], &check["consecutive"]),
        (
            &json!("http://127.0.0.1:8080/health"),
            &json!(true),
            &json!(2)
        )
    );
    assert_eq!(json["facts"].as_array().unwrap().len(), 4);
}

#[test]
fn nothing_is_asked_where_nothing_is_to_be_known() {
    let plain = Given::new(RESTART).with("service", "x").planned();
    assert!(plain.members.is_empty());
    let reading = "kind: read\nfacts: [{run: id, register: who}]\nsteps: [{run: id}]\n";
    assert!(Given::new(reading).planned().members.is_empty());
}

#[test]
fn the_rest_is_formed_anew_by_what_the_facts_say() {
    let plan = Given::new(STAGED).planned();
    let zones = form_rest(&plan, 1, &Situation::default());
    assert_eq!(zones, plan.phases[1].batches);
    let leader = Situation {
        last: Some(vec![true, false, false, false]),
        ..Situation::default()
    };
    let rest = form_rest(&plan, 1, &leader);
    let hosts: Vec<usize> = rest.iter().flat_map(|batch| batch.hosts.clone()).collect();
    assert_eq!(hosts, [1, 2, 3, 0]);
    assert!(rest[0].canary && rest[3].last);
}

#[test]
fn vars_cannot_read_a_batch() {
    let text = "task: t\nkind: change\nstrategy: all\nvars: {n: \"{{ batch.index }}\"}\nsteps: [{run: id}]\n";
    let source = Arc::new(Source {
        path: "tasks/t.yml".into(),
        text: text.to_owned(),
    });
    let errors = match read(&source, None, &World) {
        Err(errors) => errors,
        Ok(_) => Given::new(text).plan().map(|_| ()).unwrap_err(),
    };
    assert!(errors[0].message.contains("batch"), "{errors:?}");
}

#[test]
fn a_plan_that_was_kept_holds_until_hosts_or_the_task_change() {
    let given = Given::new(RESTART).with("service", "api");
    let kept = json(&given.planned());
    assert_eq!(drift(&kept, &json(&given.planned())), [""; 0]);

    let mut hosts = fleet(&[("a", 2), ("b", 1), ("c", 1)]);
    hosts[1] = Arc::new(Host {
        zone: Some(crate::model::Zone::new("b")),
        ..Host::clone(&hosts[1])
    });
    let other = json(
        &Given::new(RESTART)
            .with("service", "api")
            .on(hosts)
            .planned(),
    );
    assert_eq!(
        drift(&kept, &other),
        [
            "moved: a2 (i-a2), from zone a to b",
            "gone: b2 (i-b2), of zone b",
            "new: c1 (i-c1), of zone c",
        ]
    );

    let mut limited = Given::new(RESTART).with("service", "api");
    limited.targets = Some(vec![0, 1, 2]);
    assert_eq!(
        drift(&kept, &json(&limited.planned())),
        ["b2 (i-b2) would not be touched now"]
    );

    let mut larger = Given::new(RESTART).with("service", "api");
    larger.overrides.batch = Some(vec!["2".parse().unwrap()]);
    assert_eq!(
        drift(&kept, &json(&larger.planned())),
        [
            "the batches of phase `main` are others",
            "the strategy's amounts of phase `main` are others",
        ]
    );

    let text = RESTART.replace("hostname", "uname");
    let changed = Given::new(&text).with("service", "web").planned();
    assert_eq!(
        drift(&kept, &json(&changed)),
        [
            "the task's file, or one that it takes in, has changed",
            "`service` was \"api\", and is \"web\" now",
            "the steps of phase `main` are others",
        ]
    );
    assert_eq!(batches(&kept), "[a1] [a2] [b1] [b2]");
}
