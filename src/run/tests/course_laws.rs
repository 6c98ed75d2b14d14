//! The laws of a rollout over random fleets and strategies: hosts that fail, are slow, fall silent, fall ill and
//! recover by themselves; leaders that move; people who answer anything, and signals at any time.

use std::collections::HashMap;

use crate::model::HostOutcome;
use crate::run::cancel::Signal;
use crate::run::errand::{GateAnswer, Section};
use crate::run::event::{EventKind, RollbackResult, RolloutFact};

use super::fleet::{Fleet, Played, failed, hosts, plan, unhealthy, unreachable};

/// A sequence of numbers that a seed determines: a case that fails is named by it.
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// True once in so many.
    fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        let place = usize::try_from(self.next() % all.len() as u64).expect("a place in memory");
        &all[place]
    }

    fn count(&mut self, bound: u64) -> usize {
        usize::try_from(self.below(bound)).expect("a small number")
    }
}

/// A task's text, and the hosts it is for.
struct Drawn {
    text: String,
    zones: Vec<(&'static str, usize)>,
    leads: bool,
}

/// Keys of a strategy: some of their values, and once in how many tasks they are there.
const KEYS: [(&[&str], u64); 14] = [
    (&["quorum: true", "quorum: {at_once: 2}"], 4),
    (&["by: az", "by: spread", "by: flat"], 1),
    (
        &[
            "batch: 1",
            "batch: 2",
            "batch: 50%",
            "batch: 100%",
            "batch: [1, 2, 100%]",
        ],
        1,
    ),
    (&["mode: window"], 3),
    (
        &[
            "canary: 1",
            "canary: {hosts: 2, bake: 5s}",
            "canary: {hosts: 1, confirm: true}",
        ],
        3,
    ),
    (
        &[
            "max_failures: 1",
            "max_failures: 3",
            "max_failures: 40%",
            "max_failures: 0",
        ],
        1,
    ),
    (
        &["max_failures_per_zone: 0", "max_failures_per_zone: 50%"],
        4,
    ),
    (
        &["max_failures_per_batch: 0", "max_failures_per_batch: 50%"],
        4,
    ),
    (
        &["min_healthy: 50%", "min_healthy: 1", "min_healthy: 75%"],
        4,
    ),
    (&["min_healthy_per_zone: 50%, single_host_zones: allow"], 5),
    (&["max_unavailable: 2", "max_unavailable: 30%"], 5),
    (&["unreachable: skip"], 3),
    (
        &[
            "bake: 3s",
            "bake: 1s, zone_bake: 9s",
            "first_zone_bake: 20s, final_bake: 4s",
        ],
        2,
    ),
    (&["on_stop: cancel"], 5),
];

const GATES: [&str; 5] = [
    "never",
    "[start]",
    "[start, zone]",
    "[canary, batch]",
    "[zone, batch, phase]",
];

const SCOPES: [&str; 6] = [
    "stop",
    "rollback_failed",
    "rollback_batch",
    "rollback_zone",
    "rollback_all",
    "ask",
];

fn strategy(draw: &mut Draw, leads: bool) -> String {
    let mut keys = vec!["health_wait: 20s".to_owned()];
    for (values, times) in KEYS {
        if draw.once_in(times) {
            keys.push((*draw.of(values)).to_owned());
        }
    }
    if leads {
        keys.push("last: \"{{ host.facts.mode.stdout == 'leader' }}\"".to_owned());
    }
    keys.push(format!("confirm: {}", draw.of(&GATES)));
    keys.join(", ")
}

fn drawn(draw: &mut Draw) -> Drawn {
    let zones = ["a", "b", "c"].into_iter().take(1 + draw.count(3));
    let zones = zones.map(|zone| (zone, 1 + draw.count(5))).collect();
    let leads = draw.once_in(4);
    let strategy = strategy(draw, leads);
    let mut lines = vec!["task: t".to_owned(), "kind: change".to_owned()];
    let mut of_phase = vec![
        format!("strategy: {{{strategy}}}"),
        "steps: [{run: x}]".to_owned(),
    ];
    if draw.below(4) > 0 {
        of_phase.push("health: [{name: up, tcp: 80, watch: true}]".to_owned());
    }
    if draw.once_in(2) {
        lines.push(format!("on_failure: {}", draw.of(&SCOPES)));
        of_phase.push("rollback: [{run: y}]".to_owned());
    }
    if leads {
        lines.push("facts: [{run: mode, register: mode}]".to_owned());
    }
    if draw.once_in(4) {
        lines.push("phases:".to_owned());
        for name in ["stage", "switch"] {
            lines.push(format!("  - name: {name}"));
            lines.extend(of_phase.iter().map(|line| format!("    {line}")));
        }
    } else {
        lines.push("before: [{local: z}]".to_owned());
        lines.extend(of_phase);
    }
    Drawn {
        text: lines.join("\n") + "\n",
        zones,
        leads,
    }
}

/// What befalls one host.
fn befall(fleet: &mut Fleet, name: &str, draw: &mut Draw, calm: bool) {
    let name = || name.to_owned();
    if draw.once_in(12) && !calm {
        fleet.sick.insert(name());
    }
    if draw.once_in(60) {
        fleet.silent.insert(name());
    }
    if draw.once_in(200) {
        fleet.unfit.insert(name());
    }
    fleet.takes.insert(name(), 1 + draw.below(9));
    if draw.once_in(8) && !calm {
        let lost = HostOutcome::Unknown {
            step: "work".to_owned(),
            doubt: crate::model::Doubt::Lost,
        };
        let ends = [failed(), unhealthy(), unreachable(), lost];
        let end = draw.of(&ends).clone();
        fleet.ends.entry(name()).or_default().push_back(end);
    }
    if draw.once_in(8) && !calm {
        let at = draw.below(60);
        fleet.turns.push((at, name(), true));
        if draw.below(3) > 0 {
            fleet.turns.push((at + 1 + draw.below(40), name(), false));
        }
    }
    if draw.once_in(10) {
        let cause = "no answer".to_owned();
        let pending = RollbackResult::Pending { cause };
        fleet.undone.insert(name(), pending);
    }
}

/// Who leads, what people answer, which signals come.
fn surround(fleet: &mut Fleet, names: &[String], draw: &mut Draw, leads: bool) {
    use GateAnswer::{All, Go, Pause, Retry, Rollback, Stop};
    if leads && draw.below(8) > 0 {
        fleet.leader = Some(draw.of(names).clone());
        for _ in 0..draw.below(3) {
            let next = draw.below(5) > 0;
            let next = next.then(|| draw.of(names).clone());
            fleet.elections.push((draw.below(50), next));
        }
        fleet.elections.sort();
    }
    let answers = [Go, Go, Go, All, Retry, Stop, Rollback, Pause];
    fleet.answers = (0..6).map(|_| *draw.of(&answers)).collect();
    if draw.once_in(6) {
        let kinds = [Signal::Interrupt, Signal::Terminate, Signal::Hangup];
        let signals = 0..=draw.below(2);
        let signals = signals.map(|_| (draw.below(80), *draw.of(&kinds)));
        fleet.signals = signals.collect();
        fleet.signals.sort_by_key(|(at, _)| *at);
    }
    if draw.once_in(20) {
        fleet.broken = Some(Section::Before);
    }
}

/// A fleet and everything that befalls it; `None` where the plan is refused.
fn fleet(seed: u64) -> Option<(Fleet, String)> {
    let draw = &mut Draw(seed);
    let drawn = drawn(draw);
    let narrows = draw.once_in(4);
    let skipped = draw.below(3);
    let touched = |name: &str| !narrows || u64::from(name.as_bytes()[1]) % 3 != skipped;
    let all = hosts(&drawn.zones);
    let names: Vec<String> = all.iter().map(|host| host.label.to_string()).collect();
    let plan = plan(&drawn.text, all, touched)?;
    if plan.targets.is_empty() {
        return None;
    }
    let mut fleet = Fleet::new(plan);
    fleet.fanout = 1 + draw.count(6);
    let calm = draw.once_in(5);
    for name in &names {
        befall(&mut fleet, name, draw, calm);
    }
    fleet.turns.sort();
    surround(&mut fleet, &names, draw, drawn.leads);
    Some((fleet, drawn.text))
}

/// Every target has one last word, and the summary is what was told.
fn last_words(played: &Played, targets: usize) -> Result<(), String> {
    let mut words: HashMap<String, String> = HashMap::new();
    for event in &played.events {
        match event {
            EventKind::HostFinished { host, outcome, .. } => {
                let label = host.host.to_string();
                if words
                    .insert(label.clone(), outcome.word().to_owned())
                    .is_some()
                {
                    return Err(format!("{label} ended twice"));
                }
            }
            EventKind::Rollout(RolloutFact::HostReopened { host }) => {
                let ended = words.remove(host.host.as_str());
                let unended = || format!("{} was reopened and had not ended", host.host);
                ended.ok_or_else(unended)?;
            }
            EventKind::Rollout(RolloutFact::HostTurned { host, .. }) => {
                words.insert(host.host.to_string(), "unhealthy".to_owned());
            }
            EventKind::HostStarted { host } => {
                let undoes = |event: &EventKind| {
                    matches!(
                        event,
                        EventKind::Rollout(RolloutFact::RollbackStarted { hosts })
                            if hosts.contains(&host.host)
                    )
                };
                let ended = words.contains_key(host.host.as_str());
                if ended && !played.events.iter().any(undoes) {
                    return Err(format!("{} began after its end", host.host));
                }
            }
            _ => {}
        }
    }
    if words.len() != targets {
        return Err(format!("{} of {targets} ended", words.len()));
    }
    for (label, host) in &played.summary.hosts {
        if words[label.as_str()] != host.outcome {
            return Err(format!(
                "{label}: {} and {}",
                words[label.as_str()],
                host.outcome
            ));
        }
    }
    Ok(())
}

fn check(seed: u64) -> Option<Result<(), String>> {
    let (fleet, text) = fleet(seed)?;
    let plan = std::sync::Arc::clone(&fleet.plan);
    let retries = fleet.answers.contains(&GateAnswer::Retry);
    let played = fleet.play();
    let told = || format!("seed {seed}\n{text}{}\n", played.taken.join(" "));
    if !played.faults.is_empty() {
        return Some(Err(format!("{}{:?}", told(), played.faults)));
    }
    if let Err(fault) = last_words(&played, plan.targets.len()) {
        return Some(Err(told() + &fault));
    }
    // Failures while running, without those that turned later; a retry forgives.
    let fact = |event: &EventKind, turned: bool| match event {
        EventKind::HostFinished { outcome, .. } => !turned && outcome.counts_as_failure(),
        EventKind::Rollout(RolloutFact::HostTurned { .. }) => turned,
        _ => false,
    };
    let failures = played
        .events
        .iter()
        .filter(|event| fact(event, false))
        .count();
    let resolved = &plan.phases[0].resolved;
    let largest = resolved.batch.max(resolved.canary);
    let skips = plan.phases[0].pace.unreachable == crate::task::WhenUnreachable::Skip;
    if let Some(most) = resolved.max_failures
        && failures > most + largest
        && !retries
        && !skips
        && played.summary.exit != 8
    {
        let fault = format!("{failures} failed, {most} + {largest} may");
        return Some(Err(told() + &fault));
    }
    let is_fine = played
        .summary
        .hosts
        .values()
        .all(|host| host.outcome == "ok");
    let is_zero = played.summary.exit == 0;
    if is_zero && !is_fine {
        return Some(Err(told() + "exit 0 with hosts that are not ok"));
    }
    Some(Ok(()))
}

/// Checks fleets until so many were played; how many were.
fn play(first: u64, count: usize) {
    let mut played = 0;
    let mut seed = first;
    while played < count {
        if let Some(outcome) = check(seed) {
            outcome.unwrap_or_else(|fault| panic!("{fault}"));
            played += 1;
        }
        seed += 1;
    }
}

#[test]
fn the_laws_hold_over_random_fleets() {
    play(0, 500);
}

#[test]
#[ignore = "takes minutes: run it by name for a thorough proof"]
fn the_laws_hold_over_a_hundred_thousand_random_fleets() {
    play(1_000_000, 100_000);
}
