//! What the keys of a rollout are decoded to: strategies, phases, facts, checks, rollback, and where and how
//! often steps run. Mistakes are cases of `errors.txt`.

use std::time::Duration;

use super::tests::{EXAMPLES, read_text, task, told, unsupported};
use crate::model::Amount;
use crate::task::{
    Action, By, Check, Condition, GateAt, HostOrder, Mode, Occasion, OnFailure, OnStop, OnceFor,
    ProbeKind, RunProgram, SpanOf, Step, StepPlace, Strategy, Task, Text, WaitFor, WhenUnreachable,
    WhereTo, ZoneOrder,
};

fn strategy(text: &str) -> Strategy {
    let task = task(&format!("strategy: {text}\nsteps: [{{run: x}}]\n"));
    assert_eq!(unsupported(&task), [""; 0], "{text}");
    task.phases.into_iter().next().expect("a phase").strategy
}

fn example(name: &str) -> Task {
    let (_, text) = EXAMPLES
        .iter()
        .find(|(known, _)| *known == name)
        .expect("an example");
    task(text)
}

fn wait(check: &Check) -> &WaitFor {
    let Action::WaitFor(wait) = &check.step.action else {
        panic!("a probe");
    };
    wait
}

const fn minutes(minutes: u64) -> Duration {
    Duration::from_mins(minutes)
}

/// What a strategy is, in full.
type Said = fn(&Strategy) -> bool;

/// Every form of every key of a strategy.
const STRATEGIES: [(&str, Said); 40] = [
    ("{batch: 50%}", |s| s.batch == [Amount::Percent(50)]),
    ("{batch: [1, 2, 100%]}", |s| {
        s.batch == [Amount::Count(1), Amount::Count(2), Amount::Percent(100)]
    }),
    ("{by: az}", |s| s.by == Some(By::Az)),
    ("{by: spread}", |s| s.by == Some(By::Spread)),
    ("{by: flat}", |s| s.by == Some(By::Flat)),
    ("{mode: window}", |s| s.mode == Mode::Window),
    ("{canary: 2}", |s| {
        s.canary.as_ref().is_some_and(|canary| {
            (canary.hosts, canary.bake, canary.confirm) == (Amount::Count(2), None, false)
        })
    }),
    ("{canary: {hosts: 10%, bake: 2m, confirm: true}}", |s| {
        s.canary.as_ref().is_some_and(|canary| {
            (canary.hosts, canary.bake, canary.confirm)
                == (Amount::Percent(10), Some(minutes(2)), true)
        })
    }),
    ("{zone_order: name}", |s| s.zone_order == ZoneOrder::Name),
    ("{zone_order: auto}", |s| s.zone_order == ZoneOrder::Auto),
    ("{zone_order: [b, a]}", |s| {
        s.zone_order == ZoneOrder::Listed(vec!["b".to_owned(), "a".to_owned()])
    }),
    ("{order: random}", |s| s.order == HostOrder::Random),
    ("{last: true}", |s| s.last == Some(Condition::Known(true))),
    ("{last: \"false\"}", |s| {
        s.last == Some(Condition::Known(false))
    }),
    ("{last: \"{{ host.label == 'a1' }}\"}", |s| {
        matches!(&s.last, Some(Condition::Expression(last))
                if last.source == "host.label == 'a1'" && last.registers.is_empty())
    }),
    ("{quorum: true}", |s| {
        s.quorum.map(|quorum| quorum.at_once) == Some(1)
    }),
    ("{quorum: false}", |s| s.quorum.is_none()),
    ("{quorum: {at_once: 2}}", |s| {
        s.quorum.map(|quorum| quorum.at_once) == Some(2)
    }),
    ("{max_unavailable: 25%}", |s| {
        s.max_unavailable == Some(Amount::Percent(25))
    }),
    ("{min_healthy: 0%}", |s| {
        s.min_healthy == Some(Amount::Percent(0))
    }),
    ("{min_healthy: 75%}", |s| {
        s.min_healthy == Some(Amount::Percent(75))
    }),
    ("{min_healthy_per_zone: 1}", |s| {
        s.min_healthy_per_zone == Some(Amount::Count(1))
    }),
    ("{min_healthy_per_zone: 1}", |s| {
        !s.single_host_zones_allowed
    }),
    ("{min_healthy_per_zone: 1, single_host_zones: allow}", |s| {
        s.single_host_zones_allowed
    }),
    ("{max_failures: 0}", |s| s.max_failures == Amount::Count(0)),
    ("{max_failures: 100%}", |s| {
        s.max_failures == Amount::Percent(100)
    }),
    ("{max_failures_per_zone: 0%}", |s| {
        s.max_failures_per_zone == Some(Amount::Percent(0))
    }),
    ("{max_failures_per_batch: 1}", |s| {
        s.max_failures_per_batch == Some(Amount::Count(1))
    }),
    ("{unreachable: skip}", |s| {
        s.unreachable == WhenUnreachable::Skip
    }),
    ("{bake: 30s}", |s| {
        s.bakes.batch == Some(Duration::from_secs(30))
    }),
    ("{zone_bake: 2m, first_zone_bake: 5m}", |s| {
        (s.bakes.zone, s.bakes.first_zone) == (Some(minutes(2)), Some(minutes(5)))
    }),
    ("{final_bake: 1m}", |s| s.bakes.last == Some(minutes(1))),
    ("{health_wait: 30m}", |s| s.health_wait == minutes(30)),
    ("{confirm: never}", |s| s.confirm.is_empty()),
    (
        "{canary: 1, confirm: [start, canary, zone, batch, phase, start]}",
        |s| {
            s.confirm
                == [
                    GateAt::Start,
                    GateAt::Canary,
                    GateAt::Zone,
                    GateAt::Batch,
                    GateAt::Phase,
                ]
        },
    ),
    ("{confirm_timeout: 10m}", |s| {
        s.confirm_timeout == minutes(10)
    }),
    ("{on_stop: cancel}", |s| s.on_stop == OnStop::Cancel),
    ("{host_timeout: 20m}", |s| {
        s.host_timeout == Some(minutes(20))
    }),
    ("{}", |s| {
        s.batch == [Amount::Count(1)]
            && s.confirm == [GateAt::Start]
            && s.max_failures == Amount::Count(0)
            && s.health_wait == Strategy::HEALTH_WAIT
            && s.confirm_timeout == Strategy::CONFIRM_TIMEOUT
    }),
    ("all", |s| {
        s.batch.is_empty() && s.confirm == [GateAt::Start]
    }),
];

#[test]
fn a_strategy_is_what_it_says() {
    for (text, holds) in STRATEGIES {
        assert!(holds(&strategy(text)), "{text}");
    }
    // None of them is what a strategy is anyway.
    let plain = strategy("{}");
    let same = STRATEGIES.iter().filter(|(_, holds)| holds(&plain));
    let same: Vec<&str> = same.map(|(text, _)| *text).collect();
    assert_eq!(
        same,
        [
            "{zone_order: auto}",
            "{quorum: false}",
            "{min_healthy_per_zone: 1}",
            "{max_failures: 0}",
            "{}"
        ]
    );
}

#[test]
fn last_waits_for_facts() {
    let task = example("zk_rolling_restart");
    let Some(Condition::Expression(last)) = &task.phases[0].strategy.last else {
        panic!("an expression");
    };
    assert_eq!(last.source, "host.facts.zk_mode.stdout == 'leader'");
    assert_eq!(last.registers, ["host.facts"]);
    assert_eq!(task.facts[0].id, "zk_mode");
    assert!(task.facts[0].modifiers.read_only);
}

#[test]
fn a_check_is_a_probe_with_a_limit() {
    let task = task(
        r#"
strategy: all
params: {port: {type: int, default: 80}}
defaults: {sudo: true, env: {A: b}}
health:
  - tcp: 80
  - {name: up, http: "http://127.0.0.1:{{ params.port }}/", consecutive: 5, interval: 1s, timeout: 10s, watch: true, from: controller}
verify:
  - {run: "curl x", shell: bash, sudo: app, env: {C: d}, until: result.rc == 0}
steps: [{run: x}]
"#,
    );
    let phase = &task.phases[0];
    let (first, second, run) = (&phase.health[0], &phase.health[1], &phase.verify[0]);
    let modifiers = &first.step.modifiers;
    assert_eq!(
        (first.step.id.as_str(), first.step.name.shown()),
        ("health-1", "tcp 80")
    );
    assert_eq!((modifiers.timeout, first.watch), (Some(minutes(2)), false));
    assert!(modifiers.read_only && modifiers.sudo.is_none() && modifiers.env.is_empty());
    assert_eq!(
        (wait(first).consecutive, wait(first).interval),
        (2, Duration::from_secs(2))
    );
    assert_eq!(wait(first).probe.from, WhereTo::Host);
    assert_eq!((second.step.name.shown(), second.watch), ("up", true));
    assert_eq!(
        (wait(second).consecutive, wait(second).interval),
        (5, Duration::from_secs(1))
    );
    assert_eq!(second.step.modifiers.timeout, Some(Duration::from_secs(10)));
    assert_eq!(wait(second).probe.from, WhereTo::Controller);
    assert!(matches!(
        &wait(second).probe.kind,
        ProbeKind::Http(Text::Template(_))
    ));
    let modifiers = &run.step.modifiers;
    assert_eq!(
        (run.step.id.as_str(), run.step.name.shown()),
        ("verify-1", "run curl x")
    );
    assert_eq!(modifiers.sudo.as_ref().map(Text::shown), Some("app"));
    assert_eq!(
        modifiers.shell.as_ref().map(|argv| argv[0].as_str()),
        Some("bash")
    );
    assert_eq!(modifiers.env.len(), 1);
    assert_eq!(modifiers.register.as_deref(), Some("result"));
}

#[test]
fn phases_have_everything_of_their_own() {
    let task = example("hotfix");
    let names: Vec<&str> = task
        .phases
        .iter()
        .map(|phase| phase.name.as_str())
        .collect();
    assert_eq!(names, ["stage", "activate"]);
    assert_eq!(task.before.len(), 1);
    assert_eq!(task.on_failure, OnFailure::RollbackBatch);
    assert_eq!(task.deadline, Some(Duration::from_hours(2)));
    let (stage, activate) = (&task.phases[0], &task.phases[1]);
    assert_eq!(stage.strategy.by, Some(By::Flat));
    assert_eq!(
        (stage.steps.len(), stage.rollback.len(), stage.health.len()),
        (2, 0, 0)
    );
    assert_eq!((activate.steps.len(), activate.rollback.len()), (2, 5));
    assert_eq!((activate.health.len(), activate.verify.len()), (1, 1));
    assert_eq!(activate.steps[0].id, "previous");
    assert_eq!(stage.steps[1].id, "phase-1-step-2");
    assert_eq!(activate.rollback[1].id, "phase-2-rollback-2");
    let Action::Run(RunProgram::Shell(Text::Template(text))) = &activate.rollback[1].action else {
        panic!("a shell text");
    };
    assert_eq!(text.registers, ["previous"]);
}

#[test]
fn a_task_without_phases_has_one_that_leaves_before_and_after_to_it() {
    let task = task("strategy: all\nbefore: [{log: x}]\nafter: [{log: y}]\nsteps: [{run: z}]\n");
    assert_eq!(
        (task.before.len(), task.after.len(), task.phases.len()),
        (1, 1, 1)
    );
    let phase = &task.phases[0];
    assert_eq!(phase.name, "main");
    assert!(phase.before.is_empty() && phase.after.is_empty());
}

#[test]
fn the_rollout_tells_and_rolls_back() {
    let text = r#"
strategy: all
params: {to: {default: x}}
notify:
  - {events: [gate, stop, gate], local: "./n.sh {{ params.to }} {{ rollout.id }}"}
  - {events: done, local: [./n.sh, done]}
on_failure: ON_FAILURE
steps: [{run: x, register: kept}]
rollback: [{run: "echo {{ kept.stdout }} {{ error.kind }}"}]
"#;
    for (word, found) in [
        ("stop", OnFailure::Stop),
        ("rollback_failed", OnFailure::RollbackFailed),
        ("rollback_batch", OnFailure::RollbackBatch),
        ("rollback_zone", OnFailure::RollbackZone),
        ("rollback_all", OnFailure::RollbackAll),
        ("ask", OnFailure::Ask),
    ] {
        assert_eq!(task(&text.replace("ON_FAILURE", word)).on_failure, found);
    }
    let task = task(&text.replace("ON_FAILURE", "ask"));
    assert_eq!(task.notify[0].events, [Occasion::Gate, Occasion::Stop]);
    assert!(matches!(
        &task.notify[0].program,
        RunProgram::Shell(Text::Template(_))
    ));
    assert_eq!(task.notify[1].events, [Occasion::Done]);
    assert!(matches!(&task.notify[1].program, RunProgram::Argv(words) if words.len() == 2));
    assert_eq!(task.phases[0].rollback[0].id, "rollback-1");
}

#[test]
fn steps_say_where_and_how_often() {
    let task = task(
        r#"
strategy: all
steps:
  - {run: a, once: zone}
  - {run: b, once: batch, barrier: true}
  - {run: c, where: any_healthy}
  - {run: d, where: controller}
  - {run: e, where: role=db env=prod}
  - {run: f, where: [role=db], register: f}
  - {log: "{{ results.f['a1'].stdout }}", barrier: true}
  - reboot: {}
  - reboot: {timeout: 5m}
  - {reboot: {}, timeout: 3m}
"#,
    );
    let steps = &task.phases[0].steps;
    let modifiers = |index: usize| &steps[index].modifiers;
    assert_eq!(
        (modifiers(0).once, modifiers(0).barrier),
        (Some(OnceFor::Zone), false)
    );
    assert_eq!(
        (modifiers(1).once, modifiers(1).barrier),
        (Some(OnceFor::Batch), true)
    );
    assert_eq!(modifiers(0).place, StepPlace::Host);
    assert_eq!(modifiers(2).place, StepPlace::AnyHealthy);
    assert_eq!(modifiers(3).place, StepPlace::Controller);
    for (index, count) in [(4, 2), (5, 1)] {
        let StepPlace::Selected(terms) = &modifiers(index).place else {
            panic!("selector words");
        };
        assert_eq!(
            (terms.len(), terms[0].to_string()),
            (count, "role=db".to_owned())
        );
    }
    assert!(
        steps[7..]
            .iter()
            .all(|step| matches!(step.action, Action::Reboot))
    );
    let limits = [7, 8, 9].map(|index| modifiers(index).timeout);
    assert_eq!(limits, [10, 5, 3].map(|limit| Some(minutes(limit))));
}

#[test]
fn durations_may_be_templates_over_params() {
    let task = task(
        r#"
strategy: all
params: {wait: {type: duration, default: 5m}}
health: [{tcp: 80, timeout: "{{ params.wait }}", interval: "{{ params.wait }}", stable_for: "{{ params.wait }}"}]
steps:
  - {run: a, timeout: "{{ params.wait }}", retry: {delay: "{{ params.wait }}"}}
  - pause: "{{ params.wait }}"
  - confirm: {text: x, timeout: "{{ params.wait }}"}
  - reboot: {timeout: "{{ params.wait }}"}
  - wait_for: {tcp: 80, interval: "{{ params.wait }}"}
"#,
    );
    let open = |step: &Step| step.open.iter().map(|open| open.of).collect::<Vec<_>>();
    let phase = &task.phases[0];
    let found: Vec<Vec<SpanOf>> = phase.steps.iter().map(open).collect();
    assert_eq!(
        found,
        [
            vec![SpanOf::Delay, SpanOf::Timeout],
            vec![SpanOf::Pause],
            vec![SpanOf::Answer],
            vec![SpanOf::Timeout],
            vec![SpanOf::Interval],
        ]
    );
    assert_eq!(
        open(&phase.health[0].step),
        [SpanOf::Timeout, SpanOf::StableFor, SpanOf::Interval]
    );
    assert_eq!(phase.steps[1].name.shown(), "pause {{ params.wait }}");
}

#[test]
fn limits_that_count_health_without_checks_are_warned_of() {
    let warnings = |text: &str| -> Vec<String> {
        let task = read_text("t.yml", text).unwrap();
        task.warnings.iter().map(told).collect()
    };
    assert_eq!(
        warnings("strategy: {min_healthy: 75%, quorum: false}\nsteps: [{run: x}]\n"),
        ["1:25 [75%] `min_healthy` without `health`: every host that answers counts as healthy"]
    );
    assert_eq!(
        warnings("strategy: {min_healthy: 75%}\nhealth: [{tcp: 80}]\nsteps: [{run: x}]\n"),
        [""; 0]
    );
    assert_eq!(
        warnings("phases: [{name: a, strategy: {quorum: true}, steps: [{run: x}]}]\n").len(),
        1
    );
}

#[test]
fn results_are_known_from_a_barrier_on() {
    let errors = |steps: &str| {
        let text = format!("strategy: all\nsteps: {steps}\n");
        read_text("t.yml", &text).err().unwrap_or_default().len()
    };
    let reads = "{log: \"{{ results.a }}\"}";
    assert_eq!(errors(&format!("[{reads}]")), 1);
    assert_eq!(errors(&format!("[{{run: a, barrier: true}}, {reads}]")), 0);
    assert_eq!(
        errors(&format!(
            "[{{group: [{{run: a, barrier: true}}]}}, {reads}]"
        )),
        0
    );
    assert_eq!(errors(&format!("[{{run: a}}]\nrollback: [{reads}]")), 1);
    assert_eq!(errors(&format!("[{{run: a}}]\nafter: [{reads}]")), 0);
}
