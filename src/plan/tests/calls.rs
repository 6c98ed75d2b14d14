//! Steps of `task:` steps.

use super::*;

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
    let host = &plan.phases[0].hosts[0];
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
    let host = &plan.phases[0].hosts[0];
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
    let Action::Task(sub) = &plan.phases[0].hosts[0].steps[0].action else {
        panic!("a task step");
    };
    assert_eq!(sub.params["token"].shown(), "***");
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
