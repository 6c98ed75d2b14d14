//! The schema against the files that `decode` accepts, and against some that it does not.

use std::sync::{Arc, LazyLock};

use proptest::prelude::*;

use super::*;
use crate::model::Source;
use crate::task::Files;
use crate::task::library::Library;

static VALIDATOR: LazyLock<jsonschema::Validator> =
    LazyLock::new(|| jsonschema::validator_for(&task_schema()).unwrap());

/// Every path is a file.
struct AnyFile;

impl Files for AnyFile {
    fn read(&self, _path: &str) -> Result<Arc<[u8]>, String> {
        Ok(Arc::from(&b"echo"[..]))
    }

    fn paths(&self) -> Vec<String> {
        Vec::new()
    }
}

fn decodes(text: &str) -> bool {
    let source = Arc::new(Source {
        path: "t.yml".into(),
        text: text.to_owned(),
    });
    crate::task::read(&source, None, &AnyFile).is_ok()
}

fn mistakes(text: &str) -> Vec<String> {
    let value: Value = serde_yaml::from_str(text).unwrap();
    VALIDATOR
        .iter_errors(&value)
        .map(|error| error.to_string())
        .collect()
}

#[test]
fn it_is_a_schema() {
    assert!(jsonschema::meta::is_valid(&task_schema()));
}

macro_rules! example {
    ($name:literal) => {
        include_str!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/fixtures/tasks/examples/",
            $name,
            ".yml"
        ))
    };
}

const EXAMPLES: [&str; 5] = [
    example!("es_rolling_restart"),
    example!("heapdump"),
    example!("hotfix"),
    example!("rolling_restart"),
    example!("zk_rolling_restart"),
];

#[test]
fn it_accepts_the_library_and_the_examples() {
    let library = Library::built_in();
    let tasks: Vec<_> = library.entries().filter_map(|entry| entry.task).collect();
    assert!(tasks.len() >= 6, "{}", tasks.len());
    for task in tasks {
        assert_eq!(mistakes(&task.source.text), [""; 0], "{}", task.name);
    }
    for text in EXAMPLES {
        assert_eq!(mistakes(text), [""; 0], "{text}");
    }
}

#[test]
fn it_accepts_every_form_that_decode_accepts() {
    for text in [
        "strategy: all\nsteps: [{run: 5}, {run: [a, 1, true]}, {script: a.sh}, {task: other}]\n",
        "strategy: {batch: [1, 50%], canary: 2, quorum: true, confirm: never, zone_order: [a, b]}\nsteps: [{log: x}]\n",
        "strategy: {canary: {hosts: 1, bake: 1h 30m}, quorum: {at_once: 2}, confirm: start}\nsteps: [{pause: 5s}]\n",
        "kind: read\nparams: {a: {type: list, items: int, default: [1, 2], max: 5}, b: {choices: [x, 1]}}\nsteps: [{fail: x, when: true}]\n",
        "kind: read\nsteps: [{run: x, shell: [bash, -lc], sudo: true, once: zone, ok_rc: [0, 3], register: a, retry: {until: a.ok}, loop: [a], as: b}]\n",
        "strategy: all\nsteps: [{wait_for: {tcp: 80, interval: 1s}}, {wait_for: {ssh: true}}, {confirm: {text: x, default: false}}]\n",
        "strategy: all\nsteps: [{aws: {elb: drain, target_groups: [a]}}, {aws: {alarm: [x]}}, {group: [{run: x}], rescue: [{run: y}], recovered: true}]\n",
        "strategy: {by: spread, last: true, mode: window, order: random, min_healthy_per_zone: 50%, single_host_zones: allow, on_stop: cancel}\nsteps: [{run: x, where: [role=db], barrier: true, once: batch}, {run: x, where: any_healthy}]\n",
        "strategy: {last: \"{{ host.facts.m.ok }}\", bake: 0s, quorum: false}\nfacts: [{run: x, register: m}]\nsteps: [{reboot: {timeout: 5m}}, {reboot: {}}]\nhealth: [{run: x, sudo: app, watch: true}]\nverify: [{ssh: true, timeout: 5s}]\nrollback: [{run: x}]\non_failure: rollback_zone\n",
        "phases: [{name: a, strategy: all, steps: [{run: x}]}]\nnotify: [{events: done, local: [a, b]}]\n",
    ] {
        assert_eq!(mistakes(text), [""; 0], "{text}");
        assert!(decodes(text), "{text}");
    }
}

#[test]
fn it_refuses_unknown_keys_at_every_level() {
    for text in [
        "tsak: a\nsteps: [{run: x}]\n",
        "steps: [{rnu: x}]\n",
        "steps: [{run: x, tiemout: 5s}]\n",
        "steps: [{run: x, retry: {attempt: 3}}]\n",
        "steps: [{script: {source: x}}]\n",
        "steps: [{upload: {src: a, dest: b, chmod: 1}}]\n",
        "steps: [{wait_for: {htp: x}}]\n",
        "steps: [{group: [{rnu: x}]}]\n",
        "steps: [{run: x}]\nstrategy: {max_failure: 1}\n",
        "steps: [{run: x}]\nstrategy: {canary: {host: 1}}\n",
        "steps: [{run: x}]\nparams: {a: {typ: int}}\n",
        "steps: [{run: x}]\ndefaults: {name: x}\n",
        "steps: [{run: x}]\nhealth: [{tcp: 80, wach: true}]\n",
        "phases: [{name: a, stepz: [{run: x}], steps: [{run: x}]}]\n",
    ] {
        assert_ne!(mistakes(text), [""; 0], "{text}");
        assert!(!decodes(text), "{text}");
    }
}

#[test]
fn it_refuses_what_is_plainly_wrong() {
    for text in [
        "desc: no steps\n",
        "steps: []\n",
        "steps: [{run: x, script: y}]\n",
        "steps: [{name: x}]\n",
        "steps: [{run: x, timeout: 5}]\n",
        "steps: [{run: x, quiet: yes}]\n",
        "steps: [{run: x, rescue: [{run: y}]}]\n",
        "steps: [{run: x}]\nkind: reed\n",
        "steps: [{run: x}]\nstrategy: {batch: many}\n",
        "version: 2\nsteps: [{run: x}]\n",
        "task: Bad-Name\nsteps: [{run: x}]\n",
    ] {
        assert_ne!(mistakes(text), [""; 0], "{text}");
        assert!(!decodes(text), "{text}");
    }
}

#[test]
fn it_has_the_keys_of_the_format() {
    let schema = task_schema();
    let keys = |value: &Value| -> Vec<String> {
        let properties = value["properties"].as_object().unwrap();
        properties.keys().cloned().collect()
    };
    assert_eq!(keys(&schema).len(), 27);
    let step = &schema["$defs"]["step"];
    // 19 actions, 27 modifiers, `rescue` and `always`.
    assert_eq!(keys(step).len(), 48);
    assert_eq!(step["oneOf"].as_array().unwrap().len(), 19);
    assert_eq!(keys(&schema["$defs"]["param"]).len(), 13);
    let strategy = &schema["$defs"]["strategy"]["anyOf"][1];
    assert_eq!(keys(strategy).len(), 25);
    for map in [strategy, &schema["$defs"]["phase"], &schema] {
        for (key, value) in map["properties"].as_object().unwrap() {
            assert!(value["description"].is_string(), "{key}");
        }
    }
}

const GOOD: &str = r#"
desc: x
params: {a: {type: int, default: 5, min: 1}, b: {type: list, default: [x, y]}, c: {type: size, default: 1MiB}}
vars: {v: "{{ params.a }}"}
strategy: {batch: 2, max_failures: 10%, canary: {hosts: 1, bake: 5s}, quorum: true, bake: 1m}
defaults: {timeout: 5m, ok_rc: [0, 1]}
health: [{tcp: 80, interval: 1s, consecutive: 2}]
steps:
  - run: echo {{ vars.v }}
    retry: {attempts: 3, delay: 5s, backoff: 1.5, until: attempt > 1}
    env: {A: b}
    once: true
    sudo: true
  - wait_for: {http: "http://127.0.0.1", status: [200, 204], match: ok}
  - upload: {src: a, dest: b, mode: 0644}
  - download: {src: a, max_size: 5MiB, missing: ok}
  - group: [{log: x}]
    rescue: [{pause: 5s}]
    recovered: true
  - aws: {elb: drain, target_groups: auto}
"#;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// A value swapped for any other: what decode accepts the schema accepts.
    #[test]
    fn it_accepts_what_decode_accepts(which in 0_usize..200, put in prop::sample::select(vec![
        "5", "0", "-1", "x", "true", "'true'", "~", "[]", "{}", "[a, b]", "5s", "1h 5m", "5MiB",
        "50%", "'3'", "1.5", "all", "0644", "{a: b}", "[1, 50%]", "\"{{ params.a }}\"", "start",
    ])) {
        // Every value of the file is one place: after a colon, up to a comma, a brace or the line's end.
        let starts: Vec<usize> = GOOD.match_indices(": ").map(|(at, _)| at + 2).collect();
        let start = starts[which % starts.len()];
        let end = GOOD[start..].find([',', '}', ']', '\n']).map_or(GOOD.len(), |found| start + found);
        let text = format!("{}{put}{}", &GOOD[..start], &GOOD[end..]);
        if decodes(&text) {
            prop_assert_eq!(mistakes(&text), [""; 0], "{}", text);
        }
    }
}

#[test]
fn the_file_that_is_mutated_is_good() {
    assert!(decodes(GOOD));
    assert_eq!(mistakes(GOOD), [""; 0]);
}
