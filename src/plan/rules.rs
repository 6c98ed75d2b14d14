//! From a strategy to whole numbers of hosts: what a batch may take, what must stay, what may fail; and the
//! refusal of what cannot be. What takes hosts away is rounded down, what must stay is rounded up.

use std::collections::BTreeMap;

use super::batch::{BatchRules, ZoneRules};
use super::fleet::Fleet;
use super::{Asked, By, Resolved, ResolvedQuorum};
use crate::model::{Amount, Diagnostic, Zone};
use crate::task::{HostOrder, Kind, Strategy, ZoneOrder};

/// A strategy's numbers for a fleet.
pub(super) struct Numbers {
    pub(super) by: By,
    pub(super) rules: BatchRules,
    pub(super) asked: Asked,
    /// `batch` and `canary` hold what the rules allow; what the batches take is found when they are formed.
    pub(super) resolved: Resolved,
    /// Batches would be this large, were it not for `quorum`; `None` where it changes nothing.
    pub(super) clamped_from: Option<usize>,
}

/// What a strategy is resolved against.
#[derive(Clone, Copy)]
pub(super) struct Resolving<'a> {
    pub(super) strategy: &'a Strategy,
    pub(super) fleet: &'a Fleet,
    pub(super) kind: Kind,
    pub(super) seed: u64,
    pub(super) allow_quorum_loss: bool,
}

impl Resolving<'_> {
    /// The numbers, without the hosts that are taken last.
    ///
    /// # Errors
    /// Every number that leaves no host to be taken, with its zone and what would help.
    pub(super) fn numbers(self) -> Result<Numbers, Vec<Diagnostic>> {
        let mut errors = self.impossible_amounts();
        let quorum = self.quorum().unwrap_or_else(|error| {
            errors.push(error);
            None
        });
        let min_healthy = self.strategy.min_healthy;
        let min_healthy = min_healthy.map(|amount| amount.ceil_of(self.total()));
        let free = self.free_cap(min_healthy).unwrap_or_else(|error| {
            errors.push(error);
            1
        });
        let zone_caps = self.zone_caps(&mut errors);
        let order = self.zones(&mut errors);
        if !errors.is_empty() {
            return Err(errors);
        }
        let cap = free.min(quorum.map_or(usize::MAX, |quorum| quorum.at_once));
        let rules = self.rules(cap, &zone_caps, order);
        let clamped_from = quorum.and_then(|_| {
            let unclamped = self.rules(free, &zone_caps, self.zones(&mut Vec::new()));
            let (would, is) = (largest(&unclamped), largest(&rules));
            (would > is).then_some(would)
        });
        Ok(Numbers {
            by: rules.by,
            resolved: self.resolved((cap, min_healthy, quorum), &rules),
            asked: self.asked(),
            rules,
            clamped_from,
        })
    }

    fn total(self) -> usize {
        self.fleet.population.len()
    }

    /// `--batch 0` and the like; a task's file was checked when it was read.
    fn impossible_amounts(self) -> Vec<Diagnostic> {
        let strategy = self.strategy;
        let canary = strategy.canary.as_ref().map(|canary| canary.hosts);
        let batch = strategy.batch.iter().map(|amount| ("batch", *amount));
        let others = [
            ("canary", canary),
            ("max_unavailable", strategy.max_unavailable),
        ];
        let others = others
            .into_iter()
            .filter_map(|(key, amount)| Some((key, amount?)));
        batch
            .chain(others)
            .filter(|(_, amount)| matches!(amount, Amount::Count(0) | Amount::Percent(0)))
            .map(|(key, amount)| {
                Diagnostic::new(format!(
                    "`{key}: {amount}` takes no host: it must be 1 or more"
                ))
            })
            .collect()
    }

    fn quorum(self) -> Result<Option<ResolvedQuorum>, Diagnostic> {
        let Some(asked) = self.strategy.quorum else {
            return Ok(None);
        };
        let voters = self.total();
        let majority = voters / 2 + 1;
        let tolerance = voters.saturating_sub(majority);
        let at_once = asked.at_once as usize;
        if tolerance == 0 && !self.allow_quorum_loss {
            let members = counted(voters, "member");
            return Err(Diagnostic::new(format!(
                "a consensus group of {members} cannot lose one: its majority is {majority}"
            ))
            .hint("`--allow-quorum-loss` goes on all the same: the group does not serve meanwhile")
            .hint("the selector must name all voting members; `--limit` narrows what is touched"));
        }
        if at_once == 0 || at_once > tolerance.max(1) {
            return Err(Diagnostic::new(format!(
                "`quorum: {{at_once: {at_once}}}` is not between 1 and {tolerance}: of {voters} members {majority} must stay"
            ))
            .hint(format!("`at_once: {}` is the most", tolerance.max(1))));
        }
        Ok(Some(ResolvedQuorum {
            voters,
            majority,
            tolerance,
            at_once,
        }))
    }

    /// How many hosts may be out at once, but for `quorum`.
    fn free_cap(self, min_healthy: Option<usize>) -> Result<usize, Diagnostic> {
        let total = self.total();
        let most = self.strategy.max_unavailable;
        let most = most.map_or(usize::MAX, |amount| amount.floor_of(total).max(1));
        let (Some(asked), Some(stay)) = (self.strategy.min_healthy, min_healthy) else {
            return Ok(most);
        };
        let free = total.saturating_sub(stay);
        if free == 0 && total > 0 {
            return Err(Diagnostic::new(format!(
                "no host may be out: `min_healthy: {asked}` keeps {stay} of {}",
                counted(total, "host")
            ))
            .hint(format!(
                "`min_healthy: {}` lets one host out at a time",
                total - 1
            )));
        }
        Ok(most.min(free.max(1)))
    }

    /// How many hosts of each zone may be out at once; zones that are exempt, or not touched, are absent.
    fn zone_caps(self, errors: &mut Vec<Diagnostic>) -> BTreeMap<Zone, usize> {
        let mut caps = BTreeMap::new();
        let Some(asked) = self.strategy.min_healthy_per_zone else {
            return caps;
        };
        for (zone, stay) in self.min_healthy_per_zone(asked) {
            let size = self.fleet.sizes[&zone];
            let is_touched = self.fleet.target_sizes.contains_key(&zone);
            match size.saturating_sub(stay) {
                0 if is_touched => errors.push(full_zone(&zone, (asked, stay), size)),
                0 => {}
                cap => {
                    caps.insert(zone, cap);
                }
            }
        }
        caps
    }

    fn min_healthy_per_zone(self, asked: Amount) -> BTreeMap<Zone, usize> {
        let sizes = self.fleet.sizes.iter();
        sizes
            .filter(|(_, size)| **size > 1 || !self.strategy.single_host_zones_allowed)
            .map(|(zone, size)| (zone.clone(), asked.ceil_of(*size)))
            .collect()
    }

    /// The targets' zones in their order.
    fn zones(self, errors: &mut Vec<Diagnostic>) -> Vec<Zone> {
        let touched = &self.fleet.target_sizes;
        match &self.strategy.zone_order {
            ZoneOrder::Auto => {
                let mut zones: Vec<(&Zone, usize)> = touched
                    .keys()
                    .map(|zone| (zone, self.fleet.sizes[zone]))
                    .collect();
                // A zone's only host is never risked on an unproven change; of the others the smallest risks least.
                zones.sort_by_key(|(zone, size)| (*size == 1, *size, *zone));
                zones.into_iter().map(|(zone, _)| zone.clone()).collect()
            }
            ZoneOrder::Name => touched.keys().cloned().collect(),
            ZoneOrder::Listed(listed) => {
                let missing = touched
                    .iter()
                    .filter(|(zone, _)| !listed.iter().any(|name| name == zone.as_str()));
                for (zone, count) in missing {
                    errors.push(unlisted(zone, *count, listed));
                }
                let mut order: Vec<Zone> = Vec::new();
                for zone in listed.iter().map(|name| Zone::new(name.as_str())) {
                    if touched.contains_key(&zone) && !order.contains(&zone) {
                        order.push(zone);
                    }
                }
                order
            }
        }
    }

    /// Zone by zone where there are several, unless all go at once.
    fn by(self) -> By {
        let several = self.fleet.target_sizes.len() > 1;
        let default = if several && !self.strategy.batch.is_empty() {
            By::Az
        } else {
            By::Flat
        };
        self.strategy.by.unwrap_or(default)
    }

    fn rules(self, cap: usize, zone_caps: &BTreeMap<Zone, usize>, order: Vec<Zone>) -> BatchRules {
        let (strategy, total) = (self.strategy, self.total());
        let sizes = |base: usize, cap: usize| -> Vec<usize> {
            let size = |amount: &Amount| amount.floor_of(base).clamp(1, cap);
            match strategy.batch.as_slice() {
                [] => vec![cap],
                amounts => amounts.iter().map(size).collect(),
            }
        };
        let numbers: BTreeMap<Zone, usize> = order.iter().cloned().zip(0..).collect();
        let canary = strategy.canary.as_ref();
        let targets = self.fleet.targets.iter();
        BatchRules {
            by: self.by(),
            sizes: sizes(total, cap),
            canary: canary.map_or(0, |canary| canary.hosts.floor_of(total).clamp(1, cap)),
            is_quorum: strategy.quorum.is_some(),
            names_zones: self.kind == Kind::Change || !strategy.batch.is_empty(),
            zone_of: targets
                .map(|host| numbers.get(&host.zone()).copied().unwrap_or_default())
                .collect(),
            zones: order
                .into_iter()
                .map(|name| {
                    let zone_cap = zone_caps.get(&name).copied().unwrap_or(usize::MAX);
                    ZoneRules {
                        sizes: sizes(self.fleet.sizes[&name], cap.min(zone_cap)),
                        cap: zone_cap,
                        name,
                    }
                })
                .collect(),
            order: self.fleet.host_order(strategy.order, self.seed),
            seed: (strategy.order == HostOrder::Random).then_some(self.seed),
            last: Vec::new(),
        }
    }

    fn asked(self) -> Asked {
        let strategy = self.strategy;
        Asked {
            batch: strategy.batch.clone(),
            canary: strategy.canary.as_ref().map(|canary| canary.hosts),
            max_unavailable: strategy.max_unavailable,
            min_healthy: strategy.min_healthy,
            min_healthy_per_zone: strategy.min_healthy_per_zone,
            max_failures: Some(strategy.max_failures),
            max_failures_per_zone: strategy.max_failures_per_zone,
            max_failures_per_batch: strategy.max_failures_per_batch,
        }
    }

    fn tolerates_all(self) -> bool {
        self.strategy.max_failures == Amount::Percent(100)
    }

    fn resolved(
        self,
        (cap, min_healthy, quorum): (usize, Option<usize>, Option<ResolvedQuorum>),
        rules: &BatchRules,
    ) -> Resolved {
        let strategy = self.strategy;
        let targets = self.fleet.targets.len();
        let per_zone = strategy.max_failures_per_zone.map(|amount| {
            let sizes = self.fleet.target_sizes.iter();
            sizes
                .map(|(zone, size)| (zone.clone(), amount.floor_of(*size)))
                .collect()
        });
        Resolved {
            batch: largest(rules),
            canary: rules.canary,
            max_failures: (!self.tolerates_all()).then(|| strategy.max_failures.floor_of(targets)),
            max_failures_per_zone: per_zone,
            max_failures_per_batch: strategy.max_failures_per_batch,
            cap: (cap < usize::MAX).then_some(cap),
            min_healthy,
            min_healthy_per_zone: strategy
                .min_healthy_per_zone
                .map(|asked| self.min_healthy_per_zone(asked)),
            quorum,
        }
    }
}

/// The largest batch that the rules form when nothing is known yet.
pub(super) fn largest(rules: &BatchRules) -> usize {
    let batches = super::batch::form(rules, &super::Situation::default());
    let sizes = batches.iter().map(|batch| batch.hosts.len());
    sizes.max().unwrap_or(0)
}

fn full_zone(zone: &Zone, (asked, stay): (Amount, usize), size: usize) -> Diagnostic {
    let error = Diagnostic::new(format!(
        "no host of zone {zone} may be out: `min_healthy_per_zone: {asked}` keeps {stay} of its {}",
        counted(size, "host")
    ));
    if size == 1 {
        return error.hint("`single_host_zones: allow` exempts zones of one host");
    }
    let fitting = (size - 1) * 100 / size;
    error.hint(format!(
        "`min_healthy_per_zone: {fitting}%` lets one of the {size} out at a time"
    ))
}

fn unlisted(zone: &Zone, count: usize, listed: &[String]) -> Diagnostic {
    let all = listed.iter().map(String::as_str);
    let all: Vec<&str> = all.chain([zone.as_str()]).collect();
    Diagnostic::new(format!(
        "`zone_order` does not list zone {zone}, which has {}",
        counted(count, "host")
    ))
    .hint(format!("`zone_order: [{}]`, or `auto`", all.join(", ")))
}

/// `1 host`, `2 hosts`.
pub(super) fn counted(count: usize, noun: &str) -> String {
    match count {
        1 => format!("1 {noun}"),
        _ => format!("{count} {noun}s"),
    }
}
