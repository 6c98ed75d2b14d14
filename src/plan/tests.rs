//! From the text of a task to its plan.

use std::collections::HashMap;
use std::sync::Arc;

use indexmap::IndexMap;
use serde_json::json;

use super::batch::tests::fleet;
use super::{By, Overrides, Plan, PlanRequest, TaskFiles, build, json, step_texts};
use crate::model::{Diagnostic, Host, Source, Tags};
use crate::task::{
    Action, CommonParams, Condition, CopyContent, Engine, Fab, Files, GivenParams, Outside, Param,
    ParamSource, ParamValue, RegisterValue, Scope, Task, read,
};

struct World;

impl Outside for World {
    fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::UNIX_EPOCH
    }

    fn file_sha256(&self, path: &str) -> Result<String, String> {
        Ok(format!("digest-of-{path}"))
    }
}

impl ParamSource for World {
    fn read(&self, _param: &Param, from: &str) -> Result<Option<String>, String> {
        match from {
            "env:TOKEN" => Ok(Some("s3cr3t-t0ken".to_owned())),
            "env:NONE" => Ok(None),
            _ => Err("no such file".to_owned()),
        }
    }

    fn ask(&self, param: &Param) -> Option<String> {
        (param.name == "asked").then(|| "answer".to_owned())
    }
}

/// Files that tasks name.
const FILES: [(&str, &str); 3] = [
    ("lib/a.sh", "echo a"),
    ("app.conf", "port={{ params.port }}\nname={{ host.name }}\n"),
    ("bad.conf", "port={{ params.prot }}\n"),
];

fn file(path: &str) -> Result<Arc<[u8]>, String> {
    let found = FILES.iter().find(|(name, _)| *name == path);
    let (_, text) = found.ok_or("no such file")?;
    Ok(Arc::from(text.as_bytes()))
}

impl TaskFiles for World {
    fn read(&self, _task: &Task, path: &str) -> Result<Arc<[u8]>, String> {
        file(path)
    }
}

impl Files for World {
    fn read(&self, path: &str) -> Result<Arc<[u8]>, String> {
        file(path)
    }

    fn paths(&self) -> Vec<String> {
        Vec::new()
    }
}

fn task(name: &str, text: &str) -> Arc<Task> {
    let source = Arc::new(Source {
        path: format!("tasks/{name}.yml").into(),
        text: text.to_owned(),
    });
    Arc::new(read(&source, None, &World).unwrap_or_else(|errors| panic!("{errors:#?}")))
}

/// A plan in the making: a task by its text, further tasks, hosts, and what was typed.
struct Given {
    task: Arc<Task>,
    library: HashMap<String, Arc<Task>>,
    population: Vec<Arc<Host>>,
    targets: Option<Vec<usize>>,
    params: GivenParams,
    overrides: Overrides,
    now: jiff::Timestamp,
}

impl Given {
    fn new(text: &str) -> Self {
        Self {
            task: task("t", text),
            library: HashMap::new(),
            population: fleet(&[("a", 2), ("b", 2)]),
            targets: None,
            params: GivenParams::default(),
            overrides: Overrides::default(),
            now: jiff::Timestamp::UNIX_EPOCH,
        }
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.params.typed.insert(name.to_owned(), value.to_owned());
        self
    }

    fn calling(mut self, name: &str, text: &str) -> Self {
        self.library.insert(name.to_owned(), task(name, text));
        self
    }

    fn on(mut self, population: Vec<Arc<Host>>) -> Self {
        self.population = population;
        self
    }

    fn plan(&self) -> Result<Plan, Vec<Diagnostic>> {
        let engine = engine();
        let params = CommonParams::resolve(&self.task, &self.params, &World, &engine)?;
        let all = 0..self.population.len();
        let targets = self.targets.clone().unwrap_or_else(|| all.collect());
        let targets: Vec<_> = targets
            .into_iter()
            .map(|index| self.population[index].id.clone())
            .collect();
        build(&PlanRequest {
            task: &self.task,
            library: &|name| self.library.get(name).cloned(),
            files: &World,
            population: self.population.clone(),
            targets: &targets,
            params: &params,
            overrides: &self.overrides,
            engine: &engine,
            fanout: 32,
            now: self.now,
        })
    }

    fn planned(&self) -> Plan {
        self.plan().unwrap_or_else(|errors| panic!("{errors:#?}"))
    }

    fn errors(&self) -> Vec<String> {
        let errors = self.plan().map(|_| ()).unwrap_err();
        errors.iter().map(said).collect()
    }
}

fn engine() -> Engine {
    let world: Arc<dyn Outside> = Arc::new(World);
    Engine::new(&world, Fab::default())
}

/// An error as one line: message, place, context, hints.
fn said(error: &Diagnostic) -> String {
    let place = error.span.as_ref().map(crate::model::SourceSpan::place);
    let parts = [Some(error.message.clone()), place, error.context.clone()];
    let parts = parts.into_iter().flatten();
    parts
        .chain(error.hints.clone())
        .collect::<Vec<_>>()
        .join(" | ")
}

/// What one host runs: `action: text (notes)` a line.
fn runs(plan: &Plan, label: &str) -> Vec<String> {
    let hosts = plan.phases[0].batches.iter().flat_map(|batch| &batch.hosts);
    let host = hosts
        .into_iter()
        .find(|planned| planned.host.label.as_str() == label)
        .unwrap();
    let steps = step_texts(&host.steps).into_iter();
    steps
        .map(|step| {
            let notes = if step.notes.is_empty() {
                String::new()
            } else {
                format!(" ({})", step.notes.join(", "))
            };
            format!("{}: {}{notes}", step.action, step.text)
        })
        .collect()
}

fn tagged(hosts: &[Arc<Host>], tags: &[(&str, &str)]) -> Vec<Arc<Host>> {
    let tag = |host: &Arc<Host>| {
        Arc::new(Host {
            tags: Tags::from_iter(tags.iter().copied()),
            ..Host::clone(host)
        })
    };
    hosts.iter().map(tag).collect()
}

const RESTART: &str = "\
task: restart
kind: change
params:
  service: {type: string, default: \"{{ host.tags.service }}\", pattern: \"[a-z]+\"}
  port: {type: int, default: 8080}
vars:
  unit: \"{{ params.service }}.service\"
strategy: {batch: 1, confirm: [start]}
steps:
  - run: [systemctl, restart, \"{{ vars.unit }}\"]
    sudo: true
  - run: \"echo {{ params.service }} > /tmp/x\"
  - run: hostname
";

#[test]
fn params_and_vars_are_rendered_per_host() {
    let mut hosts = tagged(&fleet(&[("a", 2)]), &[("service", "api")]);
    hosts.extend(tagged(&fleet(&[("b", 1)]), &[("service", "web")]));
    let plan = Given::new(RESTART).on(hosts).planned();
    assert_eq!(
        runs(&plan, "a1"),
        [
            "run: systemctl restart api.service (sudo)",
            "run: echo 'api' > /tmp/x",
            "run: hostname"
        ]
    );
    assert_eq!(
        runs(&plan, "b1")[0],
        "run: systemctl restart web.service (sudo)"
    );
    assert_eq!(plan.lock.as_deref(), Some("restart/api/-,restart/web/-"));
    assert!(!plan.params.contains_key("service"));
    assert_eq!(plan.params["port"], ParamValue::Int(8080));
}

#[test]
fn hosts_that_look_alike_share_their_steps() {
    let hosts = tagged(&fleet(&[("a", 2)]), &[("service", "api")]);
    let plan = Given::new(RESTART).on(hosts).planned();
    let planned: Vec<_> = plan.phases[0]
        .batches
        .iter()
        .flat_map(|batch| &batch.hosts)
        .collect();
    assert!(Arc::ptr_eq(&planned[0].steps, &planned[1].steps));
    assert!(Arc::ptr_eq(&planned[0].params, &planned[1].params));
}

#[test]
fn a_missing_tag_is_an_error_that_names_its_hosts() {
    let mut hosts = tagged(&fleet(&[("a", 1)]), &[("service", "api")]);
    hosts.extend(tagged(&fleet(&[("b", 3)]), &[("servce", "web")]));
    assert_eq!(
        Given::new(RESTART).on(hosts).errors(),
        [
            "host b1 has no tag `service` | tasks/t.yml:4:40 | default of param `service`, rendered for host b1 | did you mean `host.tags.servce`? | the same for b2, b3"
        ]
    );
}

#[test]
fn a_default_that_does_not_fit_names_the_host() {
    let hosts = tagged(&fleet(&[("a", 1)]), &[("service", "x; rm -rf /")]);
    let errors = Given::new(RESTART).on(hosts).errors();
    assert_eq!(
        errors,
        [
            "param `service`: `x; rm -rf /` does not match `[a-z]+` | tasks/t.yml:4:3 | rendered for host a1"
        ]
    );
}

#[test]
fn typed_params_win_over_defaults() {
    let plan = Given::new(RESTART).with("service", "db").planned();
    assert_eq!(
        runs(&plan, "b2")[0],
        "run: systemctl restart db.service (sudo)"
    );
    assert_eq!(plan.params["service"], ParamValue::String("db".to_owned()));
}

#[test]
fn wrong_params_are_all_named() {
    let errors = Given::new(RESTART)
        .with("servic", "x")
        .with("port", "abc")
        .errors();
    assert_eq!(
        errors,
        [
            "task `restart` has no param `servic` | did you mean `service`?",
            "param `port`: `abc` is not a whole number",
        ]
    );
}

const SECRETS: &str = "\
task: secrets
kind: read
params:
  token: {type: string, secret: true, from: \"env:TOKEN\"}
  none: {type: string, secret: true, from: \"env:NONE\"}
  asked: {type: string, required: true}
  old: {type: string, default: x, deprecated: use new}
steps:
  - run: \"echo $FAB_PARAM_ASKED\"
";

#[test]
fn params_come_from_the_environment_and_from_people() {
    let plan = Given::new(SECRETS).with("old", "y").planned();
    assert_eq!(
        plan.params["asked"],
        ParamValue::String("answer".to_owned())
    );
    assert_eq!(
        json(&plan)["params"],
        json!({"token": "***", "asked": "answer", "old": "y"})
    );
    assert_eq!(plan.warnings, ["param `old` is deprecated: use new"]);
    let scope = Scope::new(Arc::new(plan.params.clone()));
    let names: Vec<String> = scope
        .environment()
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(names, ["FAB_PARAM_ASKED", "FAB_PARAM_OLD"]);
    let (name, secret) = &scope.secrets()[0];
    assert_eq!((name.as_str(), secret.expose()), ("TOKEN", "s3cr3t-t0ken"));
    assert!(!json(&plan).to_string().contains("s3cr3t"));
}

#[test]
fn a_secret_is_not_taken_from_a_command_line() {
    assert_eq!(
        Given::new(SECRETS).with("token", "hunter22").errors(),
        [
            "param `token` is a secret and cannot be given on a command line | every user of this machine can read command lines | leave it out to be asked for it, or put it into a file for `--params-file`"
        ]
    );
}

#[test]
fn a_params_file_gives_what_was_not_typed() {
    let mut given = Given::new(RESTART).with("port", "1");
    given.params.file = IndexMap::from([
        ("port".to_owned(), json!(2)),
        ("service".to_owned(), json!("db")),
    ]);
    let plan = given.planned();
    assert_eq!(plan.params["port"], ParamValue::Int(1));
    assert_eq!(plan.params["service"], ParamValue::String("db".to_owned()));
}

const FLOW: &str = "\
task: flow
kind: read
params:
  deep: {type: bool, default: false}
  names: {type: list, items: string, default: [a, \"b c\"]}
steps:
  - run: \"cat {{ host.tags.missing }}\"
    when: params.deep
  - id: found
    run: [cat, /etc/hostname]
    register: found
  - run: \"echo {{ found.stdout }} {{ host.name }}\"
    when: found.ok
  - run: \"touch {{ item }}\"
    loop: params.names
  - group:
      - run: \"echo {{ params.names }}\"
    rescue:
      - log: \"{{ error.step }} failed\"
  - set: {count: \"{{ found.stdout }}\"}
  - log: \"{{ count }}\"
";

#[test]
fn what_is_known_is_rendered_and_the_rest_waits() {
    let plan = Given::new(FLOW).planned();
    assert_eq!(
        runs(&plan, "a1"),
        [
            "run: cat {{ host.tags.missing }} (skipped)",
            "run: cat /etc/hostname",
            "run: echo {{ found.stdout }} {{ host.name }} (when found.ok)",
            "run: touch {{ item }} (for each item of [\"a\", \"b c\"])",
            "group: ",
            "run: echo 'a' 'b c'",
            "log: {{ error.step }} failed (rescue)",
            "set: count = {{ found.stdout }}",
            "log: {{ count }}",
        ]
    );
    assert_eq!(plan.phases[0].batches.len(), 1);
    assert_eq!(plan.phases[0].batches[0].zone, None);
    assert_eq!(plan.phases[0].resolved.max_failures, None);
    assert_eq!((plan.lock, plan.confirm), (None, vec![]));
}

#[test]
fn a_known_loop_goes_over_the_same_elements_when_it_runs() {
    let plan = Given::new(FLOW).planned();
    let host = &plan.phases[0].batches[0].hosts[0];
    let over = host.steps[3].modifiers.loop_over.as_ref().unwrap();
    let elements = engine().elements(over, &Scope::new(Arc::default()));
    assert_eq!(elements, Ok(vec![json!("a"), json!("b c")]));
}

#[test]
fn names_of_what_waits_are_checked() {
    let text = "\
task: late
kind: read
params:
  token: {type: string, secret: true, from: \"env:TOKEN\"}
steps:
  - run: id
    register: r
  - run: \"echo {{ r.stdout }} {{ host.tags.none }}\"
  - run: \"echo {{ r.stdout }} {{ host.tags.none | default('x') }}\"
";
    assert_eq!(
        Given::new(text).errors(),
        [
            "host a1 has no tag `none` | tasks/t.yml:8:34 | step `run echo {{ r.stdout }} {{ host.tags.none }}`, rendered for host a1 | `host.tags.none | default(\"…\")` allows for hosts without it | the same for a2, b1, b2"
        ]
    );
}

#[test]
fn files_are_read_and_templates_rendered() {
    let text = "\
task: files
kind: change
strategy: all
params:
  port: {type: int, default: 80}
  conf: {type: path, default: app.conf}
steps:
  - script: {src: lib/a.sh, args: [\"{{ host.name }}\"]}
  - template: {src: app.conf, dest: /etc/app.conf}
  - template: {src: \"{{ params.conf }}\", dest: /etc/app.conf}
";
    let plan = Given::new(text).planned();
    let host = &plan.phases[0].batches[0].hosts[0];
    for step in &host.steps[1..] {
        let Action::Copy(copy) = &step.action else {
            panic!("{step:?}");
        };
        assert_eq!(copy.content, CopyContent::Rendered);
        assert_eq!(copy.text.as_ref().unwrap().shown(), "port=80\nname=a1\n");
    }
    assert_eq!(runs(&plan, "a1")[0], "script: lib/a.sh a1");
    let errors = Given::new(text).with("conf", "bad.conf").errors();
    assert!(
        errors[0].starts_with("variable `params.prot` is not defined | bad.conf:1:9 |"),
        "{errors:?}"
    );
    assert!(
        errors[0].contains("did you mean `params.port`?"),
        "{errors:?}"
    );
    let errors = Given::new(text).with("conf", "none.conf").errors();
    assert!(
        errors[0].starts_with("cannot read `none.conf`"),
        "{errors:?}"
    );
}

const CALLED: &str = "\
task: fetch
kind: read
params:
  file: {type: path, required: true}
  suffix: {type: string, default: gz}
  token: {type: string, secret: true}
vars:
  target: \"{{ params.file }}.{{ params.suffix }}\"
steps:
  - id: show
    run: [cat, \"{{ vars.target }}\", \"{{ host.name }}\", \"{{ params.suffix }}\"]
";

#[test]
fn a_called_tasks_steps_see_their_own_params() {
    let text = "\
task: caller
kind: read
params:
  file: {type: path, default: /outer}
steps:
  - id: first
    task: {name: fetch, params: {file: \"/x/{{ host.name }}\"}}
  - run: \"echo {{ params.file }}\"
";
    let plan = Given::new(text).calling("fetch", CALLED).planned();
    assert_eq!(
        runs(&plan, "b1"),
        [
            "task: fetch file=/x/b1",
            "run: cat /x/b1.gz b1 gz",
            "run: echo '/outer'"
        ]
    );
    let host = &plan.phases[0].batches[0].hosts[0];
    let ids: Vec<String> = step_texts(&host.steps)
        .into_iter()
        .map(|step| step.id)
        .collect();
    assert_eq!(ids[..2], ["first", "first.show"]);
}

#[test]
fn a_called_tasks_param_may_wait_for_a_register() {
    let text = "\
task: caller
kind: read
steps:
  - run: mktemp
    register: made
  - task: {name: fetch, params: {file: \"{{ made.stdout }}\"}}
";
    let plan = Given::new(text).calling("fetch", CALLED).planned();
    assert_eq!(
        runs(&plan, "a2")[1..],
        [
            "task: fetch file={{ made.stdout }}",
            "run: cat {{ vars.target }} a2 gz"
        ]
    );
    let host = &plan.phases[0].batches[0].hosts[0];
    let Action::Task(sub) = &host.steps[1].action else {
        panic!("a task step");
    };
    let mut scope = Scope::new(Arc::default()).with_host(&host.host, 0);
    let made = RegisterValue {
        stdout: "/tmp/f\n".to_owned(),
        ..RegisterValue::default()
    };
    scope.set_register("made", made);
    let inner = engine().enter(sub, &scope).unwrap();
    assert_eq!(inner.vars()["target"], json!("/tmp/f.gz"));
    assert_eq!(
        inner.params()["file"],
        ParamValue::String("/tmp/f".to_owned())
    );
}

#[test]
fn calls_that_cannot_be_are_refused() {
    let call = |params: &str| {
        format!(
            "task: caller\nkind: read\nsteps:\n  - task: {{name: fetch, params: {{{params}}}}}\n"
        )
    };
    for (params, expected) in [
        ("", "task `fetch` requires the param `file`"),
        ("file: a, sufix: b", "task `fetch` has no param `sufix`"),
    ] {
        let errors = Given::new(&call(params)).calling("fetch", CALLED).errors();
        assert!(errors[0].starts_with(expected), "{errors:?}");
    }
    let errors = Given::new(&call("")).errors();
    assert!(errors[0].starts_with("no task named `fetch`"), "{errors:?}");
    let again = "task: fetch\nkind: read\nsteps:\n  - task: fetch\n";
    let errors = Given::new(&call("")).calling("fetch", again).errors();
    assert!(
        errors[0].starts_with("task `fetch` calls itself: caller → fetch → fetch"),
        "{errors:?}"
    );
    let change = "task: fetch\nkind: change\nstrategy: all\nsteps:\n  - run: id\n";
    let errors = Given::new(&call("")).calling("fetch", change).errors();
    assert!(
        errors[0].starts_with("task `caller` only reads, but `fetch` changes hosts"),
        "{errors:?}"
    );
}

#[test]
fn a_secret_can_be_handed_to_a_called_task() {
    let text = "\
task: caller
kind: read
params:
  token: {type: string, secret: true, from: \"env:TOKEN\"}
steps:
  - task: {name: fetch, params: {file: a, token: \"{{ params.token }}\"}}
";
    let plan = Given::new(text).calling("fetch", CALLED).planned();
    let Action::Task(sub) = &plan.phases[0].batches[0].hosts[0].steps[0].action else {
        panic!("a task step");
    };
    assert_eq!(sub.params["token"].shown(), "***");
}

#[test]
fn keys_that_are_not_supported_yet_are_refused_all_at_once() {
    let text = "\
task: later
kind: change
strategy: {by: az, batch: 1}
deadline: 1h
steps:
  - run: id
    detach: true
";
    let errors = Given::new(text).errors();
    assert_eq!(errors.len(), 3, "{errors:?}");
    assert!(
        errors
            .iter()
            .all(|error| error.contains("not supported yet")),
        "{errors:?}"
    );
}

#[test]
fn batches_go_zone_by_zone_and_never_cross_one() {
    let shown = |given: &Given| {
        let plan = given.planned();
        let batches = plan.phases[0].batches.iter().map(|batch| {
            let names: Vec<&str> = batch
                .hosts
                .iter()
                .map(|planned| planned.host.label.as_str())
                .collect();
            let zone = batch.zone.as_ref().map_or("-", |zone| zone.as_str());
            format!("{zone}: {}", names.join(" "))
        });
        batches.collect::<Vec<_>>()
    };
    let restart = |batch| {
        let mut given = Given::new(RESTART)
            .with("service", "x")
            .on(fleet(&[("a", 3), ("b", 2)]));
        given.overrides.batch = batch;
        given
    };
    let two = restart(Some("2".parse().unwrap()));
    assert_eq!(shown(&two), ["b: b1 b2", "a: a1 a2", "a: a3"]);
    assert_eq!(two.planned().phases[0].by, By::Az);
    let mut spread = restart(Some("2".parse().unwrap()));
    spread.overrides.by = Some(By::Spread);
    assert_eq!(shown(&spread), ["-: a1 b1", "-: a2 b2", "a: a3"]);
    let mut limited = restart(Some("50%".parse().unwrap()));
    limited.targets = Some(vec![2, 3]);
    assert_eq!(shown(&limited), ["b: b1", "a: a3"]);
    let plan = limited.planned();
    assert_eq!((plan.population.len(), plan.targets.len()), (5, 2));
    assert_eq!(shown(&restart(None)).len(), 5);
}

#[test]
fn warnings_say_what_an_operator_should_know() {
    let mut hosts = fleet(&[("a", 2), ("b", 1)]);
    hosts[0] = Arc::new(Host {
        launch_time: Some("2026-01-01T00:00:00Z".to_owned()),
        ..Host::clone(&hosts[0])
    });
    let mut given = Given::new(RESTART).with("service", "x").on(hosts);
    given.overrides.batch = Some("40".parse().unwrap());
    given.now = "2026-01-01T00:05:00Z".parse().unwrap();
    assert_eq!(
        given.planned().warnings,
        [
            "zone a drops to 0 in service: all its 2 hosts are out at once",
            "zone b has one host: nothing is in service there while it is out",
            "a1 may still be starting: launched 5 m ago",
        ]
    );
    let mut many = Given::new(RESTART)
        .with("service", "x")
        .on(fleet(&[("a", 41)]));
    many.overrides.batch = Some("40".parse().unwrap());
    assert_eq!(
        many.planned().warnings,
        [
            "a batch of 40 is larger than the fan-out of 32: no more than 32 hosts are at work at once"
        ]
    );
}

#[test]
fn the_json_has_its_stable_shape() {
    let plan = Given::new(RESTART).with("service", "api").planned();
    let mut value = json(&plan);
    let hash = value["task_hash"].take();
    assert_eq!(hash.as_str().map(str::len), Some(64));
    assert_eq!(
        value,
        json!({
            "task": "restart",
            "kind": "change",
            "params": {"service": "api", "port": 8080},
            "population": 4,
            "targets": 4,
            "zones": [{"name": "a", "hosts": ["a1", "a2"]}, {"name": "b", "hosts": ["b1", "b2"]}],
            "phases": [{
                "name": "main",
                "by": "az",
                "resolved": {"batch": 1, "max_failures": 0, "min_healthy": null},
                "asked": {"batch": 1, "max_failures": 0},
                "batches": [
                    {"index": 0, "zone": "a", "canary": false, "hosts": ["a1"]},
                    {"index": 1, "zone": "a", "canary": false, "hosts": ["a2"]},
                    {"index": 2, "zone": "b", "canary": false, "hosts": ["b1"]},
                    {"index": 3, "zone": "b", "canary": false, "hosts": ["b2"]},
                ],
                "worst_out": {"overall": 1, "per_zone": {"a": 1, "b": 1}},
                "steps": [{
                    "hosts": ["a1", "a2", "b1", "b2"],
                    "steps": [
                        {"id": value["phases"][0]["steps"][0]["steps"][0]["id"], "name": value["phases"][0]["steps"][0]["steps"][0]["name"], "action": "run", "text": "systemctl restart api.service", "notes": ["sudo"], "depth": 0},
                        {"id": value["phases"][0]["steps"][0]["steps"][1]["id"], "name": value["phases"][0]["steps"][0]["steps"][1]["name"], "action": "run", "text": "echo 'api' > /tmp/x", "notes": [], "depth": 0},
                        {"id": value["phases"][0]["steps"][0]["steps"][2]["id"], "name": value["phases"][0]["steps"][0]["steps"][2]["name"], "action": "run", "text": "hostname", "notes": [], "depth": 0},
                    ],
                    "rescue": [],
                    "always": [],
                }],
            }],
            "warnings": [],
            "lock": "restart/-/-",
            "task_hash": null,
            "confirm": ["start"],
            "before": [],
            "after": [],
        })
    );
}

#[test]
fn the_hash_is_that_of_everything_taken_in() {
    let hash = |text: &str| Given::new(text).planned().task_hash;
    let one = "task: t\nkind: read\nsteps:\n  - script: {src: lib/a.sh}\n";
    assert_eq!(hash(one), hash(one));
    assert_ne!(hash(one), hash(&one.replace("lib/a.sh", "app.conf")));
    let call = "task: caller\nkind: read\nsteps:\n  - task: {name: fetch, params: {file: a}}\n";
    let given = |called: &str| {
        Given::new(call)
            .calling("fetch", called)
            .planned()
            .task_hash
    };
    assert_ne!(given(CALLED), given(&CALLED.replace("gz", "xz")));
}

#[test]
fn before_and_after_see_no_host() {
    let text = "\
task: around
kind: read
params:
  jar: {type: path, default: a.jar}
before:
  - log: \"{{ params.jar }} is {{ file_sha256(params.jar) }}\"
steps:
  - run: id
after:
  - log: done
";
    let plan = Given::new(text).planned();
    assert_eq!(step_texts(&plan.before)[0].text, "a.jar is digest-of-a.jar");
    assert_eq!(step_texts(&plan.after)[0].text, "done");
}

#[test]
fn targets_are_one_for_all_hosts() {
    let text = "\
task: zk
kind: read
params:
  ensemble: {type: string, required: true}
targets: \"zk_ensemble={{ params.ensemble }}\"
steps:
  - run: id
";
    let engine = engine();
    let given = GivenParams {
        typed: IndexMap::from([("ensemble".to_owned(), "z1".to_owned())]),
        ..GivenParams::default()
    };
    let task = task("zk", text);
    let params = CommonParams::resolve(&task, &given, &World, &engine).unwrap();
    assert_eq!(
        params.targets(&task, &engine),
        Ok(vec!["zk_ensemble=z1".to_owned()])
    );
    let varying = super::tests::task(
        "zk",
        &text.replace("required: true", "default: \"{{ host.tags.e }}\""),
    );
    let params = CommonParams::resolve(&varying, &GivenParams::default(), &World, &engine).unwrap();
    let errors = params.targets(&varying, &engine).unwrap_err();
    assert_eq!(
        said(&errors[0]),
        "`targets` reads `params.ensemble`, whose default differs between hosts | tasks/zk.yml:5:26 | give it: `ensemble=VALUE`"
    );
}

#[test]
fn a_false_condition_is_known_and_a_true_one_too() {
    let plan = Given::new(FLOW).planned();
    let host = &plan.phases[0].batches[0].hosts[0];
    assert_eq!(host.steps[0].modifiers.when, Some(Condition::Known(false)));
    assert!(matches!(
        host.steps[2].modifiers.when,
        Some(Condition::Expression(_))
    ));
}

#[test]
fn files_of_a_host_go_into_a_folder_that_its_label_cannot_leave() {
    let mut hosts = fleet(&[("a", 1)]);
    hosts[0] = Arc::new(Host {
        label: crate::model::Label::new("../../etc"),
        ..Host::clone(&hosts[0])
    });
    let mut given = Given::new(RESTART).on(hosts);
    let paths = ["/var/log/x".to_owned()];
    let manner = crate::task::adhoc::AdHocManner::default();
    given.task = Arc::new(crate::task::adhoc::get(&paths, Some("out {{ x }}"), &manner).unwrap());
    assert_eq!(
        runs(&given.planned(), "../../etc"),
        ["download: /var/log/x → out {{ x }}/%2E.%2F..%2Fetc/"]
    );
}

#[test]
fn a_thousand_hosts_that_all_differ_are_planned() {
    let fleet = fleet(&[("a", 340), ("b", 330), ("c", 330)]);
    let hosts: Vec<Arc<Host>> = fleet
        .iter()
        .map(|host| Arc::clone(&tagged(&[Arc::clone(host)], &[("service", "api")])[0]))
        .collect();
    let text = RESTART.replace(
        "run: hostname",
        "run: \"echo {{ host.name }} {{ zone.name }}\"",
    );
    let plan = Given::new(&text).on(hosts).planned();
    let phase = &plan.phases[0];
    assert_eq!(phase.batches.len(), 1000);
    assert_eq!(runs(&plan, "c330")[2], "run: echo 'c330' 'c'");
    assert_eq!(phase.worst_out.overall, 1);
}
