//! Hosts that are not there any more when a run goes on: nobody waits for them, and no more than before is risked.

use std::sync::Arc;

use crate::journal::replay;
use crate::model::{HostId, HostOutcome, Zone};
use crate::plan::{Batch, Plan};
use crate::run::event::StopCause;
use crate::run::journal::{Fact, FormedBatch};
use crate::run::left;
use crate::run::progress::Progress;

use super::course_cases::{end, healthy, stop};
use super::crashes::laws::opening;
use super::fleet::{Fleet, Played, hosts, plan};

const SIX: [(&str, usize); 3] = [("a", 2), ("b", 2), ("c", 2)];

/// A run over hosts of these zones that was cut off, and goes on without one of them.
struct Cut {
    text: String,
    zones: Vec<(&'static str, usize)>,
    /// Its batches, of which the first two were taken.
    batches: Vec<&'static str>,
    done: &'static str,
    half_done: Vec<&'static str>,
    gone: &'static str,
    /// Hosts that were not healthy at the start.
    uncounted: Vec<&'static str>,
    sick: Vec<&'static str>,
}

fn ids(labels: &str) -> Vec<HostId> {
    let labels = labels.split(' ');
    labels
        .map(|label| HostId::new(format!("i-{label}")))
        .collect()
}

/// What a run that goes on says that it would take.
fn shown(plan: &Arc<Plan>, progress: &Progress) -> Vec<String> {
    let (_, batches) = left(Arc::clone(plan), progress);
    let label = |target: &usize| plan.phases[0].hosts[*target].host.label.to_string();
    let labels = |batch: &Batch| batch.hosts.iter().map(label).collect::<Vec<_>>().join(" ");
    let batches = batches.iter().map(labels);
    batches.map(|labels| format!("[{labels}]")).collect()
}

impl Cut {
    /// Two batches of six hosts in three zones were taken; the host of the second one was half done.
    fn of(strategy: &str) -> Self {
        Self {
            text: healthy(strategy),
            zones: SIX.to_vec(),
            batches: vec!["a1", "a2", "b1 b2", "c1 c2"],
            done: "a1",
            half_done: vec!["a2"],
            gone: "a2",
            uncounted: Vec::new(),
            sick: Vec::new(),
        }
    }

    fn facts(&self) -> Vec<Fact> {
        let began = plan(&self.text, hosts(&self.zones), |_| true).unwrap();
        let by_zone = self.zones.len() > 1;
        let batch = |(index, labels): (usize, &&str)| FormedBatch {
            index,
            zone: by_zone.then(|| Zone::new(&labels[..1])),
            canary: false,
            last: false,
            hosts: ids(labels),
        };
        let batches: Vec<FormedBatch> = self.batches.iter().enumerate().map(batch).collect();
        let uncounted: Vec<HostId> = self.uncounted.iter().flat_map(|host| ids(host)).collect();
        let started = |host: HostId| Fact::HostStarted {
            host,
            phase: 0,
            afresh: true,
        };
        let phase = 0;
        let mut facts = vec![
            opening(&began),
            Fact::PhaseStarted {
                phase,
                baseline: Some(began.population.len() - uncounted.len()),
                uncounted,
            },
            Fact::BatchesFormed {
                phase,
                batches: batches.clone(),
            },
        ];
        for batch in batches.into_iter().take(2) {
            facts.push(Fact::BatchStarted { phase, batch });
        }
        for host in ids(self.done) {
            facts.push(started(host.clone()));
            facts.push(Fact::HostFinished {
                host,
                outcome: HostOutcome::Ok,
            });
        }
        facts.extend(
            self.half_done
                .iter()
                .flat_map(|host| ids(host))
                .map(started),
        );
        facts
    }

    fn goes_on(self) -> Played {
        let mut there = hosts(&self.zones);
        there.retain(|host| host.label.as_str() != self.gone);
        let left = plan(&self.text, there, |_| true).unwrap();
        let mut fleet = Fleet::new(left);
        let progress = Arc::new(replay(&self.facts()));
        fleet.progress = Some(Arc::clone(&progress));
        fleet.sick = self.sick.iter().map(|host| (*host).to_owned()).collect();
        let shown = shown(&fleet.plan, &progress);
        let played = fleet.play();
        if end(&played) == (0, "done") {
            assert_eq!(played.taken, shown, "what is shown is what is taken");
        }
        played
    }
}

#[test]
fn a_run_goes_on_without_a_healthy_host_that_is_gone() {
    let played = Cut::of("by: az, batch: [1, 2], health_wait: 1m").goes_on();
    assert_eq!(end(&played), (0, "done"));
    assert_eq!(played.taken.join(" "), "[b1 b2] [c1 c2]");
    assert_eq!(played.took, 2, "nobody is waited for");
}

/// Nobody who is there may have fallen ill: that one is gone makes up for none.
#[test]
fn a_host_that_fell_ill_is_not_made_up_for_by_one_that_is_gone() {
    let cut = Cut {
        sick: vec!["c1"],
        ..Cut::of("by: az, batch: [1, 2], health_wait: 1m")
    };
    let played = cut.goes_on();
    assert_eq!(end(&played), (4, "failed"));
    assert!(played.taken.is_empty(), "{:?}", played.taken);
    assert!(matches!(stop(&played), Some(StopCause::Health { .. })));
}

/// It was not healthy at the start: without it as many are healthy as before.
#[test]
fn a_host_that_is_gone_and_was_ill_at_the_start_lowers_nothing() {
    let cut = |sick: &[&'static str]| Cut {
        uncounted: vec!["a2"],
        sick: sick.to_vec(),
        ..Cut::of("by: az, batch: [1, 2], health_wait: 1m")
    };
    assert_eq!(end(&cut(&["c1"]).goes_on()), (4, "failed"));
    assert_eq!(end(&cut(&[]).goes_on()), (0, "done"));
}

/// What the task states holds, however few are there: fewer are taken at once then.
#[test]
fn a_stated_minimum_stays_where_a_host_is_gone() {
    let played = Cut::of("by: az, batch: [1, 2], min_healthy: 4, health_wait: 1m").goes_on();
    assert_eq!(end(&played), (0, "done"));
    assert_eq!(played.taken.join(" "), "[b1] [b2] [c1] [c2]");
}

/// Half of six are three, half of five two: neither those that were begun nor those that are left are taken in
/// larger numbers than the plan of those that are there has.
#[test]
fn batches_shrink_with_the_hosts_that_are_there() {
    let taken = |batches: &[&'static str], done, half_done: &[&'static str]| {
        let cut = Cut {
            zones: vec![("a", 6)],
            batches: batches.to_vec(),
            half_done: half_done.to_vec(),
            done,
            gone: "a3",
            ..Cut::of("by: flat, batch: 50%, health_wait: 1m")
        };
        let played = cut.goes_on();
        assert_eq!(end(&played), (0, "done"));
        played.taken.join(" ")
    };
    let left = taken(&["a1", "a2 a3", "a4 a5 a6"], "a1", &["a2", "a3"]);
    assert_eq!(left, "[a2] [a4 a5] [a6]");
    let begun = taken(&["a1 a2 a3", "a4 a5 a6"], "a1 a2", &["a4", "a5", "a6"]);
    assert_eq!(begun, "[a4 a5] [a6]");
}
