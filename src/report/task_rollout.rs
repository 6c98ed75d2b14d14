//! How a task is rolled out, in the words of `show TASK` and as its JSON: strategy, checks, what is told and
//! what happens on failure. Pure. Steps are [`super::steps`]'s.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use crate::model::format_duration;
use crate::plan::step_texts;
use crate::task::{
    Action, By, Check, Condition, HostOrder, Mode, Notice, Occasion, OnFailure, OnStop, RunProgram,
    SpanOf, Step, Strategy, Task, Text, WhenUnreachable, ZoneOrder,
};

use super::plan::gate_words;
use super::sanitize::safe;
use super::style::{Role, Styles};

/// Appends a strategy: a line of the numbers, and a line each of what else it says.
pub(super) fn push_strategy(
    out: &mut String,
    lead: &str,
    (strategy, further): (&Strategy, &[String]),
    styles: Styles,
) {
    let lead = styles.paint(Role::Strong, format!("{}:", safe(lead)));
    let mut parts = pace(strategy);
    parts.extend_from_slice(further);
    let _ = writeln!(out, "\n{lead} {}", parts.join(", "));
    let lines = [
        ("first", first(strategy)),
        ("last", last(strategy)),
        ("order", order(strategy)),
        ("keeps", keeps(strategy)),
        ("watches", watches(strategy)),
        ("stops", stops(strategy)),
    ];
    for (lead, parts) in lines {
        if !parts.is_empty() {
            let _ = writeln!(out, "  {lead}: {}", safe(&parts.join(", ")));
        }
    }
}

fn pace(strategy: &Strategy) -> Vec<String> {
    let mut parts = Vec::new();
    parts.extend(strategy.by.map(|by| {
        match by {
            By::Az => "zone by zone",
            By::Spread => "even over the zones",
            By::Flat => "in order",
        }
        .to_owned()
    }));
    let sizes: Vec<String> = strategy.batch.iter().map(ToString::to_string).collect();
    parts.push(match sizes.as_slice() {
        [] => "all hosts at once".to_owned(),
        sizes => format!("{} at once", sizes.join(", then ")),
    });
    if strategy.mode == Mode::Window {
        parts.push("the next one as soon as one is done".to_owned());
    }
    let zone = strategy.max_failures_per_zone;
    let zone = zone.map(|amount| format!("{amount} in a zone"));
    let batch = strategy.max_failures_per_batch;
    let batch = batch.map(|amount| format!("{amount} in a batch"));
    let within: Vec<String> = zone.into_iter().chain(batch).collect();
    parts.push(match within.as_slice() {
        [] => format!("max failures {}", strategy.max_failures),
        within => format!(
            "max failures {} ({})",
            strategy.max_failures,
            within.join(", ")
        ),
    });
    let gates = strategy.confirm.iter();
    parts.extend(gates.map(|gate| format!("asks {}", gate_words(*gate))));
    parts
}

fn first(strategy: &Strategy) -> Vec<String> {
    let Some(canary) = &strategy.canary else {
        return Vec::new();
    };
    let mut parts = vec![format!("a canary of {}", canary.hosts)];
    parts.extend(
        canary
            .bake
            .map(|bake| format!("watched {}", format_duration(bake))),
    );
    parts.extend(canary.confirm.then(|| "asks after it".to_owned()));
    parts
}

fn last(strategy: &Strategy) -> Vec<String> {
    match &strategy.last {
        None | Some(Condition::Known(false)) => Vec::new(),
        Some(Condition::Known(true)) => vec!["every host, one at a time".to_owned()],
        Some(Condition::Expression(last)) => {
            vec![format!("hosts where {}, one at a time", last.source)]
        }
    }
}

fn order(strategy: &Strategy) -> Vec<String> {
    let mut parts = Vec::new();
    match &strategy.zone_order {
        ZoneOrder::Auto => {}
        ZoneOrder::Name => parts.push("zones by name".to_owned()),
        ZoneOrder::Listed(zones) => parts.push(format!("zones {}", zones.join(", then "))),
    }
    if strategy.order == HostOrder::Random {
        parts.push("hosts at random".to_owned());
    }
    parts
}

fn keeps(strategy: &Strategy) -> Vec<String> {
    let mut parts = Vec::new();
    let quorum = strategy.quorum;
    parts.extend(quorum.map(|quorum| format!("a quorum, {} out at once", quorum.at_once)));
    let least = strategy.min_healthy;
    parts.extend(least.map(|amount| format!("{amount} healthy")));
    let exempt = if strategy.single_host_zones_allowed {
        " of more than one host"
    } else {
        ""
    };
    let in_zone = strategy.min_healthy_per_zone;
    parts.extend(in_zone.map(|amount| format!("{amount} healthy in each zone{exempt}")));
    let most = strategy.max_unavailable;
    parts.extend(most.map(|amount| format!("at most {amount} out")));
    if !parts.is_empty() || strategy.health_wait != Strategy::HEALTH_WAIT {
        parts.push(format!(
            "waits {} for it",
            format_duration(strategy.health_wait)
        ));
    }
    parts
}

fn watches(strategy: &Strategy) -> Vec<String> {
    let bakes = &strategy.bakes;
    [
        (bakes.batch, "after each batch"),
        (bakes.first_zone, "after the first zone"),
        (bakes.zone, "after each zone"),
        (bakes.last, "at the end"),
    ]
    .into_iter()
    .filter_map(|(bake, when)| Some(format!("{} {when}", format_duration(bake?))))
    .collect()
}

fn stops(strategy: &Strategy) -> Vec<String> {
    let mut parts = Vec::new();
    let limit = strategy.host_timeout;
    parts.extend(limit.map(|limit| format!("a host after {}", format_duration(limit))));
    if strategy.unreachable == WhenUnreachable::Skip {
        parts.push("not for hosts that cannot be reached".to_owned());
    }
    if strategy.on_stop == OnStop::Cancel {
        parts.push("ending what is at work".to_owned());
    }
    if strategy.confirm_timeout != Strategy::CONFIRM_TIMEOUT {
        let limit = format_duration(strategy.confirm_timeout);
        parts.push(format!("asking after {limit}, and pauses"));
    }
    parts
}

/// Appends checks: what is asked, how often, and until when.
pub(super) fn push_checks(out: &mut String, title: &str, checks: &[Check], styles: Styles) {
    if checks.is_empty() {
        return;
    }
    let _ = writeln!(out, "\n{}", styles.paint(Role::Strong, format!("{title}:")));
    for (index, check) in checks.iter().enumerate() {
        for text in step_texts(std::slice::from_ref(&check.step)) {
            let mut notes = text.notes;
            notes.extend(manner(check));
            let name = styles.paint(Role::Strong, safe(&text.name));
            let notes = styles.paint(Role::Dim, format!("  [{}]", safe(&notes.join(", "))));
            let _ = writeln!(out, "  {}. {name}{notes}", index + 1);
            if !text.name.contains(text.text.trim_end()) {
                for line in text.text.trim_end().lines() {
                    let _ = writeln!(out, "     | {}", safe(line));
                }
            }
        }
    }
}

fn manner(check: &Check) -> Vec<String> {
    let mut parts = Vec::new();
    if let Action::WaitFor(wait) = &check.step.action {
        let pause = span(&check.step, SpanOf::Interval, wait.interval);
        parts.push(format!("every {pause}"));
    }
    let limit = check.step.modifiers.timeout;
    parts
        .extend(limit.map(|limit| format!("within {}", span(&check.step, SpanOf::Timeout, limit))));
    parts.extend(check.watch.then(|| "watched during bakes".to_owned()));
    parts
}

/// A duration of a step, or the template that it waits for.
fn span(step: &Step, of: SpanOf, known: Duration) -> String {
    let open = step.open.iter().find(|open| open.of == of);
    open.map_or_else(
        || format_duration(known),
        |open| open.text.shown().to_owned(),
    )
}

/// Appends what happens on failure, and who is told of what.
pub(super) fn push_ends(out: &mut String, task: &Task, styles: Styles) {
    let words = match task.on_failure {
        OnFailure::Stop => None,
        OnFailure::RollbackFailed => Some("rolls the failed hosts back"),
        OnFailure::RollbackBatch => Some("rolls the batch of the last failure back"),
        OnFailure::RollbackZone => Some("rolls the zone of the last failure back"),
        OnFailure::RollbackAll => Some("rolls every host back that was started"),
        OnFailure::Ask => Some("asks"),
    };
    if let Some(words) = words {
        let lead = styles.paint(Role::Strong, "once it stopped on failures:");
        let _ = writeln!(out, "\n{lead} {words}");
    }
    for notice in &task.notify {
        let lead = styles.paint(Role::Strong, "tells, here:");
        let events: Vec<&str> = notice.events.iter().copied().map(occasion).collect();
        let program = program(&notice.program);
        let _ = writeln!(out, "\n{lead} {} ({})", safe(&program), events.join(", "));
    }
}

fn occasion(occasion: Occasion) -> &'static str {
    match occasion {
        Occasion::Start => "start",
        Occasion::Gate => "gate",
        Occasion::Stop => "stop",
        Occasion::Done => "done",
        Occasion::Rollback => "rollback",
    }
}

fn program(program: &RunProgram) -> String {
    match program {
        RunProgram::Shell(text) => text.shown().trim_end().to_owned(),
        RunProgram::Argv(words) => {
            let words: Vec<&str> = words.iter().map(Text::shown).collect();
            words.join(" ")
        }
    }
}

/// A strategy as JSON; durations in seconds, what is not said as null.
pub(super) fn strategy_json(strategy: &Strategy) -> Value {
    let secs = |duration: Option<Duration>| duration.map(|duration| duration.as_secs_f64());
    let canary = strategy.canary.as_ref().map(|canary| {
        json!({"hosts": canary.hosts, "bake": secs(canary.bake), "confirm": canary.confirm})
    });
    let last = strategy.last.as_ref().map(|last| match last {
        Condition::Known(known) => json!(known),
        Condition::Expression(last) => json!(last.source),
    });
    json!({
        "by": strategy.by,
        "batch": strategy.batch,
        "mode": strategy.mode,
        "canary": canary,
        "zone_order": strategy.zone_order,
        "order": strategy.order,
        "last": last,
        "quorum": strategy.quorum.map(|quorum| json!({"at_once": quorum.at_once})),
        "max_unavailable": strategy.max_unavailable,
        "min_healthy": strategy.min_healthy,
        "min_healthy_per_zone": strategy.min_healthy_per_zone,
        "single_host_zones": if strategy.single_host_zones_allowed { "allow" } else { "refuse" },
        "max_failures": strategy.max_failures,
        "max_failures_per_zone": strategy.max_failures_per_zone,
        "max_failures_per_batch": strategy.max_failures_per_batch,
        "unreachable": strategy.unreachable,
        "bake": secs(strategy.bakes.batch),
        "zone_bake": secs(strategy.bakes.zone),
        "first_zone_bake": secs(strategy.bakes.first_zone),
        "final_bake": secs(strategy.bakes.last),
        "health_wait": strategy.health_wait.as_secs_f64(),
        "confirm": strategy.confirm,
        "confirm_timeout": strategy.confirm_timeout.as_secs_f64(),
        "on_stop": strategy.on_stop,
        "host_timeout": secs(strategy.host_timeout),
    })
}

/// Checks as JSON; durations in seconds, or the template that they wait for.
pub(super) fn checks_json(checks: &[Check]) -> Value {
    checks.iter().map(check_json).collect()
}

fn check_json(check: &Check) -> Value {
    let step = &check.step;
    let of = |of: SpanOf, known: Duration| {
        let open = step.open.iter().find(|open| open.of == of);
        open.map_or_else(
            || json!(known.as_secs_f64()),
            |open| json!(open.text.shown()),
        )
    };
    let (consecutive, interval, stable_for) = match &step.action {
        Action::WaitFor(wait) => (
            json!(wait.consecutive),
            of(SpanOf::Interval, wait.interval),
            of(SpanOf::StableFor, wait.stable_for),
        ),
        _ => (Value::Null, Value::Null, Value::Null),
    };
    let asked = step_texts(std::slice::from_ref(step)).into_iter().next();
    json!({
        "id": step.id,
        "name": step.name.shown(),
        "text": asked.map(|asked| asked.text),
        "consecutive": consecutive,
        "interval": interval,
        "stable_for": stable_for,
        "timeout": step.modifiers.timeout.map(|timeout| of(SpanOf::Timeout, timeout)),
        "watch": check.watch,
    })
}

/// `notify` as JSON.
pub(super) fn notify_json(notify: &[Notice]) -> Value {
    let notices = notify.iter();
    notices
        .map(|notice| json!({"events": notice.events, "local": program(&notice.program)}))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::model::Source;
    use crate::report::tasks::{task_json, task_text};
    use crate::task::{NoFiles, read};

    use super::*;

    const TASK: &str = r#"
desc: Restart it
params: {wait: {type: duration, default: 5m}}
targets: role=app
deadline: 2h
on_failure: rollback_batch
notify: [{events: [gate, stop], local: ./notify.sh}]
facts: [{run: cat /mode, register: mode}]
strategy:
  by: az
  batch: [1, 50%]
  canary: {hosts: 1, bake: 2m, confirm: true}
  last: "{{ host.facts.mode.stdout == 'leader' }}"
  min_healthy: 75%
  max_failures_per_zone: 1
  bake: 30s
  first_zone_bake: 5m
  unreachable: skip
  host_timeout: 20m
  confirm: [start, zone]
health:
  - {http: "http://127.0.0.1/health", interval: 3s, timeout: "{{ params.wait }}", watch: true}
verify: [{name: new, run: "cat /version", equals: "2"}]
steps: [{run: [systemctl, restart, app], barrier: true}, {pause: "{{ params.wait }}"}]
rollback: [{run: undo}]
"#;

    fn task(text: &str) -> Task {
        let source = Arc::new(Source {
            path: "roll.yml".into(),
            text: text.to_owned(),
        });
        read(&source, None, &NoFiles).expect("a good task")
    }

    #[test]
    fn a_rollout_is_shown_with_all_that_it_says() {
        insta::assert_snapshot!(task_text(&task(TASK), None, Styles::plain(), 80), @r#"
        roll (change)  Restart it
        from roll.yml

        fab-rs roll [role=app] [wait=…]

        param  type      default
        wait   duration  5m

        strategy: zone by zone, 1, then 50% at once, max failures 0 (1 in a zone), asks before the first host, asks after each zone, deadline 2 h
          first: a canary of 1, watched 2 m, asks after it
          last: hosts where host.facts.mode.stdout == 'leader', one at a time
          keeps: 75% healthy, waits 5 m for it
          watches: 30 s after each batch, 5 m after the first zone
          stops: a host after 20 m, not for hosts that cannot be reached

        facts, read from every host:
          1. run cat /mode

        steps on each host:
          1. run systemctl restart app  [waits for the batch]
          2. pause {{ params.wait }}

        a host is healthy where:
          1. http http://127.0.0.1/health  [2 in a row, every 3.0 s, within {{ params.wait }}, watched during bakes]

        the change took on a host where:
          1. new  [is 2, 2 in a row, every 2.0 s, within 2 m]
             | cat /version

        rollback, on each host that is undone:
          1. run undo

        once it stopped on failures: rolls the batch of the last failure back

        tells, here: ./notify.sh (gate, stop)
        "#);
    }

    #[test]
    fn phases_are_shown_one_after_the_other() {
        let text = "desc: Twice\nphases:\n  - {name: stage, strategy: all, steps: [{run: a}]}\n  - {name: go, strategy: {quorum: true}, steps: [{run: b}]}\n";
        insta::assert_snapshot!(task_text(&task(text), None, Styles::plain(), 80), @r#"
        roll (change)  Twice
        from roll.yml

        fab-rs roll SELECTOR
        warning: `quorum` without `health`: every host that answers counts as healthy

        phase stage: all hosts at once, max failures 0, asks before the first host

        steps on each host:
          1. run a

        phase go: 1 at once, max failures 0, asks before the first host
          keeps: a quorum, 1 out at once, waits 5 m for it

        steps on each host:
          1. run b
        "#);
    }

    #[test]
    fn the_json_has_every_part() {
        let value = task_json(&task(TASK), None);
        assert_eq!(
            value["strategy"]["canary"],
            json!({"hosts": 1, "bake": 120.0, "confirm": true})
        );
        assert_eq!(value["strategy"]["batch"], json!([1, "50%"]));
        assert_eq!(
            value["strategy"]["last"],
            "host.facts.mode.stdout == 'leader'"
        );
        assert_eq!(value["strategy"]["quorum"], Value::Null);
        assert_eq!(value["health"][0]["timeout"], "{{ params.wait }}");
        assert_eq!(value["health"][0]["interval"], 3.0);
        assert_eq!(value["verify"][0]["consecutive"], 2);
        assert_eq!(value["facts"][0]["id"], "mode");
        assert_eq!(value["rollback"][0]["text"], "undo");
        assert_eq!(value["on_failure"], "rollback_batch");
        assert_eq!(value["notify"][0]["events"], json!(["gate", "stop"]));
        assert_eq!(value["deadline"], 7200.0);
        assert_eq!(value["phases"][0]["name"], "main");
        assert_eq!(value["phases"][0]["steps"], value["steps"]);
    }
}
