//! Puts targets into batches: hosts that may be out at the same time. Pure integers; what a batch's hosts do
//! is `build`'s, and whether the next one may start is the run's.
//!
//! The rules are those of rolling updates over availability zones: a batch never crosses a zone under
//! `by: az`, small zones go first but a zone's only host last, and remainders stay small.

use std::cmp::Ordering;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::model::{Amount, Host, Zone};

use super::By;

/// How batches are formed. Hosts are those of the targets; percentages are of the population.
#[derive(Debug, Clone)]
pub struct BatchRules {
    /// Zone by zone, proportionally, or in order.
    pub(crate) by: By,
    /// The size of each batch in turn, the last one repeating; empty means all there are.
    pub(crate) sizes: Vec<Amount>,
    /// How many hosts go first and alone.
    pub(crate) canary: Option<Amount>,
    /// The most hosts that may be out at once; 1 or more.
    pub(crate) cap: Option<usize>,
    /// The same for single zones.
    pub(crate) zone_caps: BTreeMap<Zone, usize>,
}

impl BatchRules {
    /// Batches of one size and nothing else.
    pub(crate) fn plain(by: By, sizes: Vec<Amount>) -> Self {
        Self {
            by,
            sizes,
            canary: None,
            cap: None,
            zone_caps: BTreeMap::new(),
        }
    }

    /// The size of a batch: of `base` hosts, rounded down, one at least.
    fn size(&self, index: usize, base: usize) -> usize {
        let entry = self.sizes.get(index).or(self.sizes.last()).copied();
        let size = match entry {
            Some(amount) => amount.floor_of(base).max(1),
            None => usize::MAX,
        };
        size.min(self.cap.unwrap_or(usize::MAX)).max(1)
    }

    fn zone_cap(&self, zone: &Zone) -> usize {
        self.zone_caps
            .get(zone)
            .map_or(usize::MAX, |cap| (*cap).max(1))
    }
}

/// A batch: indexes into the targets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FormedBatch {
    /// Whether it is the canary.
    pub(crate) canary: bool,
    /// Its hosts, in order.
    pub(crate) hosts: Vec<usize>,
}

/// How many hosts each zone has.
pub(crate) fn zone_sizes<'a>(
    hosts: impl IntoIterator<Item = &'a Arc<Host>>,
) -> BTreeMap<Zone, usize> {
    let mut sizes = BTreeMap::new();
    for host in hosts {
        *sizes.entry(host.zone()).or_insert(0) += 1;
    }
    sizes
}

/// The order in which zones are taken: a zone's only host is never risked on an unproven change, so zones of
/// one come last; the others by size, so that little is lost at first; then by name.
pub(crate) fn zone_order(population: &BTreeMap<Zone, usize>) -> Vec<Zone> {
    let mut zones: Vec<(&Zone, usize)> = population
        .iter()
        .map(|(zone, size)| (zone, *size))
        .collect();
    zones.sort_by_key(|(zone, size)| (*size == 1, *size, *zone));
    zones.into_iter().map(|(zone, _)| zone.clone()).collect()
}

/// Forms the batches. `population` has the sizes of all zones, narrowed by nothing; the targets' order in
/// the inventory does not matter.
pub(crate) fn form(
    targets: &[Arc<Host>],
    population: &BTreeMap<Zone, usize>,
    rules: &BatchRules,
) -> Vec<FormedBatch> {
    let mut ordered: Vec<usize> = (0..targets.len()).collect();
    ordered.sort_by_key(|&index| (&targets[index].name, &targets[index].id));
    let mut zones: Vec<ZoneQueue> = zone_order(population)
        .into_iter()
        .map(|zone| ZoneQueue {
            size: population[&zone],
            hosts: VecDeque::new(),
            zone,
        })
        .collect();
    for &index in &ordered {
        let zone = targets[index].zone();
        let queue = zones.iter_mut().find(|queue| queue.zone == zone);
        if let Some(queue) = queue {
            queue.hosts.push_back(index);
        }
    }
    zones.retain(|queue| !queue.hosts.is_empty());
    let total: usize = population.values().sum();
    match rules.by {
        By::Az => by_zone(zones, total, rules),
        By::Spread => {
            let sequence = interleaved(&zones);
            let canary = canary(&zones, total, rules);
            in_sequence(targets, sequence, canary, (total, rules))
        }
        By::Flat => {
            let canary = rules
                .canary
                .map_or(0, |amount| amount.floor_of(total).max(1));
            let canary = ordered
                .iter()
                .copied()
                .take(canary.min(rules.size_cap()))
                .collect();
            in_sequence(targets, ordered, canary, (total, rules))
        }
    }
}

impl BatchRules {
    fn size_cap(&self) -> usize {
        self.cap.unwrap_or(usize::MAX).max(1)
    }
}

/// A zone's targets, in order, and the size of the whole zone.
struct ZoneQueue {
    zone: Zone,
    size: usize,
    hosts: VecDeque<usize>,
}

/// The canary's hosts: the first ones of the first zone.
fn canary(zones: &[ZoneQueue], total: usize, rules: &BatchRules) -> Vec<usize> {
    let (Some(amount), Some(first)) = (rules.canary, zones.first()) else {
        return Vec::new();
    };
    let size = amount.floor_of(total).max(1).min(rules.size_cap());
    let size = size.min(rules.zone_cap(&first.zone));
    first.hosts.iter().copied().take(size).collect()
}

fn by_zone(mut zones: Vec<ZoneQueue>, total: usize, rules: &BatchRules) -> Vec<FormedBatch> {
    let mut batches = Vec::new();
    let canary = canary(&zones, total, rules);
    if let Some(first) = zones.first_mut() {
        first.hosts.drain(..canary.len());
    }
    if !canary.is_empty() {
        batches.push(FormedBatch {
            canary: true,
            hosts: canary,
        });
    }
    let mut index = 0;
    for queue in &mut zones {
        while !queue.hosts.is_empty() {
            let size = rules
                .size(index, queue.size)
                .min(rules.zone_cap(&queue.zone));
            let size = size.min(queue.hosts.len());
            batches.push(FormedBatch {
                canary: false,
                hosts: queue.hosts.drain(..size).collect(),
            });
            index += 1;
        }
    }
    batches
}

/// Hosts in an order of which every slice is proportional to the zones: host *i* of a zone with *n* targets
/// has the position (2i+1)/2n. Ties go by zone order.
fn interleaved(zones: &[ZoneQueue]) -> Vec<usize> {
    let mut placed: Vec<(usize, usize, usize, usize)> = Vec::new();
    for (order, queue) in zones.iter().enumerate() {
        let count = queue.hosts.len();
        let hosts = queue.hosts.iter().enumerate();
        placed.extend(hosts.map(|(i, &host)| (2 * i + 1, 2 * count, order, host)));
    }
    placed.sort_by(|a, b| {
        let position: Ordering = (a.0 * b.1).cmp(&(b.0 * a.1));
        position.then(a.2.cmp(&b.2)).then(a.0.cmp(&b.0))
    });
    placed.into_iter().map(|(.., host)| host).collect()
}

/// Slices a sequence; where a zone is full in a batch, the next host of another zone is taken.
fn in_sequence(
    targets: &[Arc<Host>],
    sequence: Vec<usize>,
    canary: Vec<usize>,
    (total, rules): (usize, &BatchRules),
) -> Vec<FormedBatch> {
    let mut rest: VecDeque<usize> = sequence
        .into_iter()
        .filter(|host| !canary.contains(host))
        .collect();
    let mut batches = Vec::new();
    if !canary.is_empty() {
        batches.push(FormedBatch {
            canary: true,
            hosts: canary,
        });
    }
    let mut index = 0;
    while !rest.is_empty() {
        let size = rules.size(index, total);
        let mut taken: BTreeMap<Zone, usize> = BTreeMap::new();
        let (mut hosts, mut passed) = (Vec::new(), VecDeque::new());
        while let Some(host) = rest.pop_front() {
            if hosts.len() == size {
                rest.push_front(host);
                break;
            }
            let zone = targets[host].zone();
            let count = taken.entry(zone).or_insert(0);
            if *count < rules.zone_cap(&targets[host].zone()) {
                *count += 1;
                hosts.push(host);
            } else {
                passed.push_back(host);
            }
        }
        passed.append(&mut rest);
        rest = passed;
        batches.push(FormedBatch {
            canary: false,
            hosts,
        });
        index += 1;
    }
    batches
}

#[cfg(test)]
pub(in crate::plan) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::HostId;

    /// Hosts `a1`, `a2`, … for each `(zone, count)`.
    pub(in crate::plan) fn fleet(zones: &[(&str, usize)]) -> Vec<Arc<Host>> {
        let mut hosts = Vec::new();
        for (zone, count) in zones {
            for number in 1..=*count {
                let name = format!("{zone}{number}");
                hosts.push(Arc::new(Host {
                    id: HostId::new(format!("i-{name}")),
                    zone: Some(Zone::new(*zone)),
                    ..Host::named(name.as_str(), "10.0.0.1")
                }));
            }
        }
        hosts
    }

    fn amount(text: &str) -> Amount {
        text.parse().unwrap()
    }

    fn rules(by: By, sizes: &[&str]) -> BatchRules {
        BatchRules {
            sizes: sizes.iter().map(|size| amount(size)).collect(),
            ..BatchRules::plain(by, Vec::new())
        }
    }

    fn shown(targets: &[Arc<Host>], population: &[Arc<Host>], rules: &BatchRules) -> String {
        let batches = form(targets, &zone_sizes(population), rules);
        let batches = batches.iter().map(|batch| {
            let names: Vec<&str> = batch
                .hosts
                .iter()
                .map(|&host| targets[host].name.as_str())
                .collect();
            format!(
                "[{}]{}",
                names.join(" "),
                if batch.canary { "/" } else { "" }
            )
        });
        batches.collect::<Vec<_>>().join(" ")
    }

    const EVEN: [(&str, usize); 3] = [("a", 4), ("b", 4), ("c", 4)];
    const SEVEN: [(&str, usize); 2] = [("a", 4), ("b", 3)];
    const UNEVEN: [(&str, usize); 3] = [("a", 6), ("b", 5), ("c", 1)];

    #[test]
    fn worked_examples_by_zone() {
        let canary = |mut rules: BatchRules| {
            rules.canary = Some(Amount::Count(1));
            rules
        };
        let capped = |cap| BatchRules {
            cap: Some(cap),
            ..rules(By::Az, &["100%"])
        };
        for (zones, rules, expected) in [
            (
                &EVEN[..],
                canary(rules(By::Az, &["50%"])),
                "[a1]/ [a2 a3] [a4] [b1 b2] [b3 b4] [c1 c2] [c3 c4]",
            ),
            (
                &EVEN,
                rules(By::Az, &["100%"]),
                "[a1 a2 a3 a4] [b1 b2 b3 b4] [c1 c2 c3 c4]",
            ),
            (
                &EVEN,
                rules(By::Az, &["1", "2", "100%"]),
                "[a1] [a2 a3] [a4] [b1 b2 b3 b4] [c1 c2 c3 c4]",
            ),
            (
                &SEVEN,
                canary(rules(By::Az, &["50%"])),
                "[b1]/ [b2] [b3] [a1 a2] [a3 a4]",
            ),
            (&SEVEN, capped(3), "[b1 b2 b3] [a1 a2 a3] [a4]"),
            (&SEVEN, capped(2), "[b1 b2] [b3] [a1 a2] [a3 a4]"),
            (
                &UNEVEN,
                canary(rules(By::Az, &["50%"])),
                "[b1]/ [b2 b3] [b4 b5] [a1 a2 a3] [a4 a5 a6] [c1]",
            ),
            (
                &[("a", 1), ("b", 1), ("c", 1)],
                rules(By::Az, &["100%"]),
                "[a1] [b1] [c1]",
            ),
            (
                &[("a", 7)],
                rules(By::Az, &["3"]),
                "[a1 a2 a3] [a4 a5 a6] [a7]",
            ),
        ] {
            let hosts = fleet(zones);
            assert_eq!(shown(&hosts, &hosts, &rules), expected);
        }
    }

    #[test]
    fn worked_examples_spread_and_flat() {
        let spread = |size: &str| rules(By::Spread, &[size]);
        let canary = BatchRules {
            canary: Some(Amount::Count(1)),
            ..spread("25%")
        };
        let capped = BatchRules {
            cap: Some(3),
            ..spread("40%")
        };
        let one_a_zone = BatchRules {
            zone_caps: ["a", "b", "c"]
                .into_iter()
                .map(|zone| (Zone::new(zone), 1))
                .collect(),
            ..spread("6")
        };
        let quarter = "[a1 b1 c1] [a2 b2 c2] [a3 b3 c3] [a4 b4 c4]";
        for (zones, rules, expected) in [
            (&EVEN[..], spread("25%"), quarter),
            (
                &EVEN,
                canary,
                "[a1]/ [b1 c1 a2] [b2 c2 a3] [b3 c3 a4] [b4 c4]",
            ),
            (&EVEN, capped, quarter),
            (&EVEN, one_a_zone, quarter),
            (
                &EVEN,
                rules(By::Flat, &["30%"]),
                "[a1 a2 a3] [a4 b1 b2] [b3 b4 c1] [c2 c3 c4]",
            ),
            (&SEVEN, spread("25%"), "[a1] [b1] [a2] [b2] [a3] [b3] [a4]"),
            (&SEVEN, spread("2"), "[a1 b1] [a2 b2] [a3 b3] [a4]"),
            (&SEVEN, spread("50%"), "[a1 b1 a2] [b2 a3 b3] [a4]"),
            (
                &UNEVEN,
                spread("25%"),
                "[a1 b1 a2] [b2 a3 b3] [c1 a4 b4] [a5 b5 a6]",
            ),
        ] {
            let hosts = fleet(zones);
            assert_eq!(shown(&hosts, &hosts, &rules), expected);
        }
    }

    #[test]
    fn a_limit_narrows_what_is_touched_and_not_what_is_counted() {
        let population = fleet(&EVEN);
        let targets: Vec<Arc<Host>> = [2, 4].map(|index| Arc::clone(&population[index])).to_vec();
        assert_eq!(
            shown(&targets, &population, &rules(By::Az, &["50%"])),
            "[a3] [b1]"
        );
    }

    #[test]
    fn all_at_once_is_one_batch() {
        let hosts = fleet(&UNEVEN);
        let batches = form(
            &hosts,
            &zone_sizes(&hosts),
            &BatchRules::plain(By::Flat, Vec::new()),
        );
        assert_eq!(batches.len(), 1);
        assert_eq!(batches[0].hosts.len(), 12);
    }

    fn any_by() -> impl Strategy<Value = By> {
        prop_oneof![Just(By::Az), Just(By::Spread), Just(By::Flat)]
    }

    fn any_amount() -> impl Strategy<Value = Amount> {
        prop_oneof![
            (1_u32..9).prop_map(Amount::Count),
            (1_u8..=100).prop_map(Amount::Percent)
        ]
    }

    fn any_rules() -> impl Strategy<Value = BatchRules> {
        let caps = prop::collection::btree_map(
            prop::sample::select(vec!["a", "b", "c", "d"]).prop_map(Zone::new),
            1_usize..4,
            0..4,
        );
        (
            any_by(),
            prop::collection::vec(any_amount(), 0..4),
            prop::option::of(any_amount()),
            prop::option::of(1_usize..6),
            caps,
        )
            .prop_map(|(by, sizes, canary, cap, zone_caps)| BatchRules {
                by,
                sizes,
                canary,
                cap,
                zone_caps,
            })
    }

    fn any_population() -> impl Strategy<Value = Vec<Arc<Host>>> {
        prop::collection::vec(0_usize..7, 1..5).prop_map(|counts| {
            let zones: Vec<(&str, usize)> = ["a", "b", "c", "d"].into_iter().zip(counts).collect();
            fleet(&zones)
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

        #[test]
        fn every_target_is_in_exactly_one_batch(population in any_population(), rules in any_rules()) {
            let batches = form(&population, &zone_sizes(&population), &rules);
            let mut seen: Vec<usize> = batches.iter().flat_map(|batch| batch.hosts.clone()).collect();
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..population.len()).collect::<Vec<_>>());
            prop_assert!(batches.iter().all(|batch| !batch.hosts.is_empty()));
        }

        #[test]
        fn no_batch_exceeds_its_size_or_a_cap(population in any_population(), rules in any_rules()) {
            let sizes = zone_sizes(&population);
            let batches = form(&population, &sizes, &rules);
            let plain = batches.iter().filter(|batch| !batch.canary);
            for (index, batch) in plain.enumerate() {
                let base = match rules.by {
                    By::Az => sizes[&population[batch.hosts[0]].zone()],
                    By::Spread | By::Flat => population.len(),
                };
                let entry = rules.sizes.get(index).or(rules.sizes.last()).copied();
                if let Some(amount) = entry {
                    prop_assert!(batch.hosts.len() <= amount.floor_of(base).max(1));
                }
            }
            for batch in &batches {
                prop_assert!(batch.hosts.len() <= rules.cap.unwrap_or(usize::MAX));
                if rules.by == By::Flat && batch.canary {
                    continue;
                }
                let zones = zone_sizes(batch.hosts.iter().map(|&host| &population[host]));
                for (zone, count) in zones {
                    prop_assert!(count <= rules.zone_caps.get(&zone).copied().unwrap_or(usize::MAX));
                }
            }
        }

        #[test]
        fn a_batch_by_zone_has_one_zone(population in any_population(), rules in any_rules()) {
            let rules = BatchRules { by: By::Az, ..rules };
            for batch in form(&population, &zone_sizes(&population), &rules) {
                let zones = zone_sizes(batch.hosts.iter().map(|&host| &population[host]));
                prop_assert_eq!(zones.len(), 1);
            }
        }

        #[test]
        fn the_inventorys_order_does_not_matter(
            (population, shuffled) in any_population()
                .prop_flat_map(|hosts| (Just(hosts.clone()), Just(hosts).prop_shuffle())),
            rules in any_rules(),
        ) {
            prop_assert_eq!(
                shown(&population, &population, &rules),
                shown(&shuffled, &shuffled, &rules)
            );
        }

        #[test]
        fn a_canary_comes_first_and_alone(population in any_population(), rules in any_rules()) {
            let batches = form(&population, &zone_sizes(&population), &rules);
            let canaries = batches.iter().filter(|batch| batch.canary).count();
            let wanted = usize::from(rules.canary.is_some() && !population.is_empty());
            prop_assert_eq!(canaries, wanted);
            prop_assert!(batches.iter().skip(1).all(|batch| !batch.canary));
        }
    }
}
