//! The laws of planning over random fleets and strategies. They hold for every plan that is not refused, and a
//! refusal is one that the numbers explain.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::model::{Amount, Zone};
use crate::plan::{Batch, Phase, Situation, form_rest};
use crate::task::{Canary, HostOrder, Quorum, Strategy as Rollout, TaskPhase, ZoneOrder};

/// Fleets that each law is tried on, at least; `PROPTEST_CASES=100000` tries as many as that.
const CASES: u32 = 400;

fn cases() -> ProptestConfig {
    let asked = ProptestConfig::default();
    ProptestConfig {
        cases: asked.cases.max(CASES),
        ..asked
    }
}

/// A fleet, a strategy, and who is touched.
#[derive(Debug, Clone)]
struct Case {
    zones: Vec<usize>,
    strategy: Rollout,
    is_target: Vec<bool>,
}

fn any_amount() -> impl Strategy<Value = Amount> {
    prop_oneof![
        (1_u32..9).prop_map(Amount::Count),
        (1_u8..=100).prop_map(Amount::Percent)
    ]
}

fn any_strategy() -> impl Strategy<Value = Rollout> {
    let by = prop::option::of(prop_oneof![Just(By::Az), Just(By::Spread), Just(By::Flat)]);
    let order = prop_oneof![Just(HostOrder::Name), Just(HostOrder::Random)];
    let zone_order = prop_oneof![
        Just(ZoneOrder::Auto),
        Just(ZoneOrder::Name),
        Just(ZoneOrder::Listed(
            ["d", "b", "c", "a"].map(str::to_owned).to_vec()
        ))
    ];
    let amounts = (
        prop::collection::vec(any_amount(), 0..4),
        prop::option::of(any_amount()),
        prop::option::weighted(0.3, any_amount()),
        prop::option::weighted(0.3, any_amount()),
        prop::option::weighted(0.3, any_amount()),
    );
    let quorum = prop::option::weighted(0.2, 1_u32..4);
    (by, order, zone_order, amounts, quorum, any::<bool>()).prop_map(
        |(by, order, zone_order, amounts, quorum, single)| {
            let (batch, canary, max_unavailable, min_healthy, per_zone) = amounts;
            Rollout {
                by,
                batch,
                canary: canary.map(|hosts| Canary {
                    hosts,
                    bake: None,
                    confirm: false,
                }),
                zone_order,
                order,
                quorum: quorum.map(|at_once| Quorum { at_once }),
                max_unavailable,
                min_healthy,
                min_healthy_per_zone: per_zone,
                single_host_zones_allowed: single,
                ..Rollout::all(Amount::Count(0), Vec::new())
            }
        },
    )
}

fn any_case() -> impl Strategy<Value = Case> {
    let zones = prop::collection::vec(0_usize..7, 1..5);
    (
        zones,
        any_strategy(),
        prop::collection::vec(prop::bool::weighted(0.8), 28),
    )
        .prop_map(|(zones, strategy, is_target)| Case {
            zones,
            strategy,
            is_target,
        })
}

impl Case {
    fn given(&self) -> Given {
        let named = ["a", "b", "c", "d"];
        let zones: Vec<(&str, usize)> = named.into_iter().zip(self.zones.iter().copied()).collect();
        let hosts = fleet(&zones);
        let mut given = Given::new("task: t\nkind: change\nstrategy: all\nsteps: [{run: id}]\n");
        let task = Arc::make_mut(&mut given.task);
        task.phases[0] = TaskPhase {
            strategy: self.strategy.clone(),
            ..task.phases[0].clone()
        };
        let targets = (0..hosts.len()).filter(|&host| self.is_target[host % self.is_target.len()]);
        given.targets = Some(targets.collect());
        given.on(hosts)
    }
}

/// `[a1]/ [b1 b2]`, by the hosts' names.
fn shown(phase: &Phase) -> Vec<Vec<String>> {
    let names = |batch: &Batch| {
        let hosts = phase.hosts_of(batch);
        hosts.map(|planned| planned.host.name.clone()).collect()
    };
    phase.batches.iter().map(names).collect()
}

fn zones_of(phase: &Phase, batch: &Batch) -> BTreeMap<Zone, usize> {
    let mut zones = BTreeMap::new();
    for planned in phase.hosts_of(batch) {
        *zones.entry(planned.host.zone()).or_insert(0) += 1;
    }
    zones
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn every_target_is_in_exactly_one_batch(case in any_case()) {
        let Ok(plan) = case.given().plan() else { return Ok(()) };
        let phase = &plan.phases[0];
        let mut seen: Vec<usize> = phase.batches.iter().flat_map(|batch| batch.hosts.clone()).collect();
        seen.sort_unstable();
        prop_assert_eq!(seen, (0..plan.targets.len()).collect::<Vec<_>>());
        prop_assert!(phase.batches.iter().all(|batch| !batch.hosts.is_empty()));
        let numbered = phase.batches.iter().map(|batch| batch.index);
        prop_assert_eq!(numbered.collect::<Vec<_>>(), (0..phase.batches.len()).collect::<Vec<_>>());
    }

    #[test]
    fn no_batch_exceeds_its_size_or_a_cap_and_none_crosses_a_zone(case in any_case()) {
        let given = case.given();
        let Ok(plan) = given.plan() else { return Ok(()) };
        let (phase, total) = (&plan.phases[0], plan.population.len());
        let sizes = super::super::fleet::zone_sizes(&plan.population);
        let strategy = &case.strategy;
        let mut sized = 0;
        for batch in &phase.batches {
            let (zones, size) = (zones_of(phase, batch), batch.hosts.len());
            if phase.by == By::Az {
                prop_assert_eq!(zones.len(), 1);
            }
            let base = match phase.by {
                By::Az => sizes[zones.keys().next().unwrap()],
                By::Spread | By::Flat => total,
            };
            if batch.canary {
                let canary = strategy.canary.as_ref().unwrap().hosts;
                prop_assert!(size <= canary.floor_of(total).max(1));
            } else {
                let amount = strategy.batch.get(sized).or(strategy.batch.last());
                if let Some(amount) = amount {
                    prop_assert!(size <= amount.floor_of(base).max(1));
                }
                sized += 1;
            }
            if let Some(most) = strategy.max_unavailable {
                prop_assert!(size <= most.floor_of(total).max(1));
            }
            if let Some(least) = strategy.min_healthy {
                prop_assert!(total - size >= least.ceil_of(total));
            }
            if let Some(quorum) = strategy.quorum {
                prop_assert!(size <= quorum.at_once as usize);
                prop_assert!(total - size > total / 2);
            }
            for (zone, out) in &zones {
                if let Some(least) = strategy.min_healthy_per_zone
                    && (sizes[zone] > 1 || !strategy.single_host_zones_allowed)
                {
                    prop_assert!(sizes[zone] - out >= least.ceil_of(sizes[zone]));
                }
            }
            prop_assert!(size <= phase.worst_out.overall);
        }
    }

    #[test]
    fn the_inventorys_order_does_not_matter(
        (case, order) in (any_case(), Just((0..28).collect::<Vec<usize>>()).prop_shuffle()),
    ) {
        let given = case.given();
        let mut shuffled = case.given();
        let wanted: BTreeSet<usize> = shuffled.targets.iter().flatten().copied().collect();
        let count = given.population.len();
        let order: Vec<usize> = order.into_iter().filter(|&host| host < count).collect();
        shuffled.population = order.iter().map(|&host| Arc::clone(&given.population[host])).collect();
        shuffled.targets = Some((0..count).filter(|&at| wanted.contains(&order[at])).collect());
        match (given.plan(), shuffled.plan()) {
            (Ok(one), Ok(other)) => prop_assert_eq!(shown(&one.phases[0]), shown(&other.phases[0])),
            (one, other) => prop_assert_eq!(one.is_err(), other.is_err()),
        }
    }

    #[test]
    fn the_canary_is_first_and_alone(case in any_case()) {
        let Ok(plan) = case.given().plan() else { return Ok(()) };
        let batches = &plan.phases[0].batches;
        let wanted = usize::from(case.strategy.canary.is_some() && !plan.targets.is_empty());
        prop_assert_eq!(batches.iter().take(1).filter(|batch| batch.canary).count(), wanted);
        prop_assert!(batches.iter().skip(1).all(|batch| !batch.canary));
    }

    #[test]
    fn what_is_left_is_whole_whoever_is_out_sick_or_last(
        case in any_case(),
        marks in prop::collection::vec((any::<bool>(), any::<bool>(), any::<bool>()), 28),
        taken in 0_usize..5,
    ) {
        let Ok(plan) = case.given().plan() else { return Ok(()) };
        let phase = &plan.phases[0];
        let situation = Situation {
            out: marks.iter().map(|marks| marks.0).collect(),
            sick: marks.iter().map(|marks| marks.1).collect(),
            last: Some(marks.iter().map(|marks| marks.2).collect()),
            canary_taken: taken > 0,
            taken,
        };
        let rest = form_rest(&plan, 0, &situation);
        let mut seen: Vec<usize> = rest.iter().flat_map(|batch| batch.hosts.clone()).collect();
        seen.sort_unstable();
        let left: Vec<usize> = (0..phase.hosts.len()).filter(|&host| !situation.out[host]).collect();
        prop_assert_eq!(seen, left);
        let mut any_last = false;
        for (at, batch) in rest.iter().enumerate() {
            prop_assert_eq!(batch.index, taken + at);
            any_last |= batch.last;
            prop_assert_eq!(any_last, batch.last);
            prop_assert!(!batch.last || batch.hosts.len() == 1);
            prop_assert!(batch.hosts.len() <= phase.resolved.cap.unwrap_or(usize::MAX));
            if phase.by == By::Az {
                prop_assert_eq!(zones_of(phase, batch).len(), 1);
            }
        }
        if case.strategy.quorum.is_some() {
            let sick = |batch: &Batch| batch.hosts.iter().any(|&host| situation.sick[host]);
            let healing = rest.iter().take_while(|batch| sick(batch));
            prop_assert!(healing.clone().all(|batch| batch.hosts.len() == 1));
            prop_assert!(!rest.iter().skip(healing.count()).any(sick));
        }
    }
}
