//! Steps of a plan: what is rendered, and what waits for the run.

use super::*;

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
    assert_eq!(plan.lock, None);
    assert_eq!(plan.phases[0].pace.confirm, []);
}

#[test]
fn a_known_loop_goes_over_the_same_elements_when_it_runs() {
    let plan = Given::new(FLOW).planned();
    let host = &plan.phases[0].hosts[0];
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
    let host = &plan.phases[0].hosts[0];
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

#[test]
fn keys_that_are_not_supported_yet_are_refused_all_at_once() {
    let text = "\
task: later
kind: change
strategy: {by: az, batch: 1}
lock: app
steps:
  - line: {path: /x, line: y}
  - aws: {elb: drain}
";
    let errors = Given::new(text).errors();
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert!(
        errors
            .iter()
            .all(|error| error.contains("not supported yet")),
        "{errors:?}"
    );
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
fn what_the_controller_registers_is_known_to_hosts_once_they_begin() {
    let text = "\
task: told
kind: change
strategy: {by: az, batch: 1}
before:
  - local: date
    register: told
  - set: {kept: \"{{ told.stdout }}\"}
steps:
  - run: echo {{ told.stdout }} {{ kept }}
";
    let plan = Given::new(text).planned();
    let host = &plan.phases[0].hosts[0];
    let shown = &step_texts(&host.steps)[0].text;
    assert_eq!(shown, "echo {{ told.stdout }} {{ kept }}");
}

#[test]
fn a_false_condition_is_known_and_a_true_one_too() {
    let plan = Given::new(FLOW).planned();
    let host = &plan.phases[0].hosts[0];
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
fn a_file_may_hold_a_secret_and_the_plan_does_not() {
    let text = "\
task: files
kind: change
strategy: all
params:
  port: {type: int, default: 80}
  conf: {type: path, default: secret.conf}
  token: {type: string, secret: true, from: \"env:TOKEN\"}
steps:
  - template: {src: secret.conf, dest: /etc/app.conf}
  - template: {src: \"{{ params.conf }}\", dest: /etc/app.conf}
";
    let plan = Given::new(text).planned();
    assert!(!format!("{plan:?}").contains("s3cr3t"));
    let host = &plan.phases[0].hosts[0];
    let scope = Scope::new(Arc::clone(&host.params)).with_host(&host.host, 0);
    for step in host.steps.iter() {
        let Action::Copy(copy) = &step.action else {
            panic!("{step:?}");
        };
        let content = engine().text(copy.text.as_ref().unwrap(), &scope);
        assert_eq!(content.as_deref(), Ok("token=s3cr3t-t0ken on a1\n"));
    }
}

#[test]
fn a_value_that_goes_unquoted_is_told() {
    let text = "\
task: raw
kind: read
params:
  flags: {type: string, default: -l}
steps:
  - name: list
    run: \"ls {{ params.flags | raw }} {{ host.name }}\"
";
    let plan = Given::new(text).planned();
    assert_eq!(runs(&plan, "a1"), ["run: ls -l 'a1'"]);
    assert_eq!(
        plan.warnings,
        ["step `list` puts a value unquoted into its shell text (`| raw`)"]
    );
}

const LATE: &str = "\
task: late
kind: change
params:
  wait: {type: duration, default: 90s}
strategy: {batch: 1}
facts: [{run: cat /mode, register: mode}]
steps:
  - run: \"echo {{ host.facts.mode.stdout }} {{ batch.index }}\"
    when: host.facts.mode.ok
    barrier: true
    timeout: \"{{ params.wait }}\"
  - log: \"{{ results['step-1'][host.label].stdout }}\"
  - pause: \"{{ params.wait }}\"
";

#[test]
fn durations_are_settled_and_what_hosts_tell_waits() {
    let plan = Given::new(LATE).planned();
    assert_eq!(
        runs(&plan, "a1"),
        [
            "run: echo {{ host.facts.mode.stdout }} {{ batch.index }} (when host.facts.mode.ok, waits for the batch)",
            "log: {{ results['step-1'][host.label].stdout }}",
            "pause: 1 m 30 s",
        ]
    );
    let step = &plan.phases[0].hosts[0].steps[0];
    assert_eq!(
        step.modifiers.timeout,
        Some(std::time::Duration::from_secs(90))
    );
    assert!(step.open.is_empty());
}

#[test]
fn a_duration_that_is_none_is_told_with_its_host() {
    let text = LATE.replace("{type: duration, default: 90s}", "{default: soon}");
    let errors = Given::new(&text).errors();
    assert!(
        errors[0].starts_with("`timeout`: `soon` is not a duration"),
        "{errors:?}"
    );
}

fn fetching(dest: &str, rest: &str) -> Given {
    Given::new(&format!(
        "task: t\nkind: read\nsteps:\n  - download: {{src: /tmp/x, dest: \"{dest}\"}}\n{rest}"
    ))
}

#[test]
fn files_of_several_hosts_are_not_brought_to_one_path() {
    for dest in ["out/x", "out/"] {
        let errors = fetching(dest, "").errors();
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(
            errors[0].starts_with(
                "`download` brings the files of 4 hosts to one path, `out/x`: a1, a2, b1, … | \
                 tasks/t.yml:4:5 | put `{{ host.label }}` into `dest`"
            ),
            "{}",
            errors[0]
        );
    }
    let inside =
        "task: t\nkind: read\nsteps:\n  - group:\n      - download: {src: /x, dest: out}\n";
    assert_eq!(Given::new(inside).errors().len(), 1);
}

#[test]
fn files_that_stay_apart_or_come_from_one_host_are_planned() {
    for (dest, rest) in [
        ("out/{{ host.label }}/", ""),
        ("out/{{ host.label }}.x", ""),
        ("out/x", "    once: true\n"),
        ("out/x", "    when: \"host.label == 'a0'\"\n"),
        ("", ""),
    ] {
        fetching(dest, rest).planned();
    }
    let one = Given {
        targets: Some(vec![0]),
        ..fetching("out/x", "")
    };
    one.planned();
}
