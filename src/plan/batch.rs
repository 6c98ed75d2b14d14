//! Puts targets into batches: hosts that may be out at the same time. Pure integers; what the numbers are is
//! `rules`', what a batch's hosts do is `build`'s, and whether the next one may start is the run's.
//!
//! The rules are those of rolling updates over availability zones: a batch never crosses a zone under
//! `by: az`, small zones go first but a zone's only host last, and remainders stay small.

use std::cmp::Ordering;
use std::collections::VecDeque;

use crate::model::Zone;

use super::{Batch, By, Plan};

/// How batches are formed: every amount is a number of hosts, every host its number among the targets.
#[derive(Debug, Clone)]
pub struct BatchRules {
    /// Zone by zone, proportionally, or in order.
    pub(crate) by: By,
    /// Where batches are not of single zones: the size of each in turn, the last one repeating; no more than
    /// may be out at once.
    pub(crate) sizes: Vec<usize>,
    /// How many hosts go first and alone; 0 without a canary.
    pub(crate) canary: usize,
    /// The targets are members of one consensus group: sick ones are taken before all others.
    pub(crate) is_quorum: bool,
    /// Whether batches are named after their zones.
    pub(crate) names_zones: bool,
    /// The zones of the targets, in the order in which they are taken.
    pub(crate) zones: Vec<ZoneRules>,
    /// Each target's zone, by its number in `zones`.
    pub(crate) zone_of: Vec<usize>,
    /// The targets in the order in which they are taken within a zone.
    pub(crate) order: Vec<usize>,
    /// What that order was drawn from; `None` where it is by name.
    pub(crate) seed: Option<u64>,
    /// The targets that are taken last, known before any fact is read.
    pub(crate) last: Vec<bool>,
}

/// What concerns one zone.
#[derive(Debug, Clone)]
pub(crate) struct ZoneRules {
    /// Its name.
    pub(crate) name: Zone,
    /// The size of each batch in turn if batches are of single zones, the last one repeating; no more than may
    /// be out at once.
    pub(crate) sizes: Vec<usize>,
    /// The most of its hosts that may be out at once, 1 or more.
    pub(crate) cap: usize,
}

#[cfg(test)]
impl BatchRules {
    /// Batches of one size and nothing else, for hosts of these zones in their order; zones go by name.
    pub(crate) fn plain(by: By, size: usize, zones: &[Zone]) -> Self {
        let names: std::collections::BTreeSet<&Zone> = zones.iter().collect();
        let number = |zone| names.iter().position(|name| *name == zone);
        Self {
            by,
            sizes: vec![size],
            canary: 0,
            is_quorum: false,
            names_zones: true,
            zone_of: zones.iter().filter_map(number).collect(),
            order: (0..zones.len()).collect(),
            seed: None,
            last: Vec::new(),
            zones: names
                .iter()
                .map(|name| ZoneRules {
                    name: (*name).clone(),
                    sizes: vec![size],
                    cap: usize::MAX,
                })
                .collect(),
        }
    }
}

/// How a phase stands when its batches are formed. A host is its number in [`Phase::hosts`](super::Phase::hosts);
/// a list that is shorter than those means `false` for the hosts it lacks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Situation {
    /// Hosts that are not put into a batch any more: at work, ended, or passed over.
    pub out: Vec<bool>,
    /// Hosts that do not serve: they come first within their zone, and before all others in a consensus group.
    pub sick: Vec<bool>,
    /// Hosts that are taken last, as the facts say it; `None` where none were read, and the plan's own answer
    /// holds.
    pub last: Option<Vec<bool>>,
    /// Whether the canary is behind us.
    pub canary_taken: bool,
    /// Batches taken before, the canary among them: the next one bears this number, and a list of sizes goes on
    /// from there.
    pub taken: usize,
}

/// Forms the batches of the hosts that are left. With nothing special it gives the phase's own batches.
///
/// Cheap enough to be called whenever something changed: no host is copied.
pub fn form_rest(plan: &Plan, phase: usize, situation: &Situation) -> Vec<Batch> {
    form(&plan.phases[phase].rules, situation)
}

/// Forms batches.
pub(crate) fn form(rules: &BatchRules, situation: &Situation) -> Vec<Batch> {
    let mut forming = Forming::new(rules, situation);
    if rules.is_quorum {
        forming.sick_members();
    }
    let mut sequence = forming.sequence();
    forming.canary(&mut sequence);
    match rules.by {
        By::Az => forming.zone_by_zone(),
        By::Spread | By::Flat => forming.in_sequence(sequence),
    }
    forming.last_ones();
    forming.batches
}

struct Forming<'a> {
    rules: &'a BatchRules,
    situation: &'a Situation,
    /// Each zone's hosts that are left, in order; without those that are taken last.
    queues: Vec<VecDeque<usize>>,
    /// How many hosts of each zone were taken before, or were never to be.
    taken: Vec<usize>,
    /// Hosts that are taken last, in order.
    last: Vec<usize>,
    /// Whether the canary is behind us, or among the batches.
    has_canary: bool,
    batches: Vec<Batch>,
}

fn marked(marks: &[bool], host: usize) -> bool {
    marks.get(host).copied().unwrap_or(false)
}

impl<'a> Forming<'a> {
    fn new(rules: &'a BatchRules, situation: &'a Situation) -> Self {
        let zones = rules.zones.len();
        let mut forming = Self {
            rules,
            situation,
            queues: vec![VecDeque::new(); zones],
            taken: vec![0; zones],
            last: Vec::new(),
            has_canary: situation.canary_taken,
            batches: Vec::new(),
        };
        // Sick hosts first, each group in its order.
        for sick in [true, false] {
            for &host in &rules.order {
                if marked(&situation.sick, host) == sick {
                    forming.place(host, sick);
                }
            }
        }
        // Zone by zone, as the others.
        forming.last.sort_by_key(|&host| rules.zone_of[host]);
        forming
    }

    fn place(&mut self, host: usize, sick: bool) {
        let zone = self.rules.zone_of[host];
        let last = self.situation.last.as_ref().unwrap_or(&self.rules.last);
        if marked(&self.situation.out, host) {
            self.taken[zone] += 1;
        } else if marked(last, host) && !(sick && self.rules.is_quorum) {
            self.last.push(host);
        } else {
            self.queues[zone].push_back(host);
        }
    }

    /// Sick members of a consensus group, one at a time.
    fn sick_members(&mut self) {
        for zone in 0..self.queues.len() {
            while let Some(&host) = self.queues[zone].front() {
                if !marked(&self.situation.sick, host) {
                    break;
                }
                self.queues[zone].pop_front();
                self.taken[zone] += 1;
                self.push(vec![host], false, false);
            }
        }
    }

    /// The zones of the next hosts in turn, one entry a host.
    fn sequence(&self) -> VecDeque<usize> {
        match self.rules.by {
            By::Az => VecDeque::new(),
            By::Spread => self.interleaved(),
            By::Flat => {
                let mut left: Vec<usize> = self.queues.iter().flatten().copied().collect();
                let mut place = vec![0; self.rules.order.len()];
                for (at, &host) in self.rules.order.iter().enumerate() {
                    place[host] = at;
                }
                left.sort_unstable_by_key(|&host| place[host]);
                let zones = left.into_iter().map(|host| self.rules.zone_of[host]);
                zones.collect()
            }
        }
    }

    /// An order of which every slice is proportional to the zones: host *i* of a zone with *n* targets has the
    /// position (2i+1)/2n. Ties go by zone order. Hosts that were taken keep their positions.
    fn interleaved(&self) -> VecDeque<usize> {
        let mut placed: Vec<(usize, usize, usize)> = Vec::new();
        for (zone, queue) in self.queues.iter().enumerate() {
            let taken = self.taken[zone];
            let all = taken + queue.len();
            placed.extend((taken..all).map(|i| (2 * i + 1, 2 * all, zone)));
        }
        placed.sort_by(|a, b| {
            let position: Ordering = (a.0 * b.1).cmp(&(b.0 * a.1));
            position.then(a.2.cmp(&b.2)).then(a.0.cmp(&b.0))
        });
        placed.into_iter().map(|(.., zone)| zone).collect()
    }

    /// The first hosts of the first zone; under `flat` the first hosts.
    fn canary(&mut self, sequence: &mut VecDeque<usize>) {
        let wanted = self.rules.canary;
        let Some(first) = self.queues.iter().position(|queue| !queue.is_empty()) else {
            return;
        };
        if wanted == 0 || self.has_canary {
            return;
        }
        let hosts = if self.rules.by == By::Flat {
            self.slice(sequence, wanted)
        } else {
            let queue = &mut self.queues[first];
            let size = wanted.min(self.rules.zones[first].cap).min(queue.len());
            for _ in 0..size {
                if let Some(at) = sequence.iter().position(|&zone| zone == first) {
                    sequence.remove(at);
                }
            }
            queue.drain(..size).collect()
        };
        self.push(hosts, true, false);
    }

    /// The size of the next batch, of a zone's sizes or of all.
    fn size(&self, sizes: &[usize]) -> usize {
        let before = self.situation.taken + self.batches.len();
        let index = before.saturating_sub(usize::from(self.has_canary));
        let size = sizes.get(index).or(sizes.last());
        size.copied().unwrap_or(usize::MAX)
    }

    fn zone_by_zone(&mut self) {
        for zone in 0..self.queues.len() {
            while !self.queues[zone].is_empty() {
                let size = self.size(&self.rules.zones[zone].sizes);
                let size = size.min(self.queues[zone].len());
                let hosts = self.queues[zone].drain(..size).collect();
                self.push(hosts, false, false);
            }
        }
    }

    fn in_sequence(&mut self, mut sequence: VecDeque<usize>) {
        while !sequence.is_empty() {
            let size = self.size(&self.rules.sizes);
            let hosts = self.slice(&mut sequence, size);
            self.push(hosts, false, false);
        }
    }

    /// The next hosts of a sequence; where a zone is full, the next host of another zone is taken.
    fn slice(&mut self, sequence: &mut VecDeque<usize>, size: usize) -> Vec<usize> {
        let mut counts = vec![0; self.rules.zones.len()];
        let (mut hosts, mut passed) = (Vec::new(), Vec::new());
        while hosts.len() < size
            && let Some(zone) = sequence.pop_front()
        {
            if counts[zone] < self.rules.zones[zone].cap {
                counts[zone] += 1;
                hosts.extend(self.queues[zone].pop_front());
            } else {
                passed.push(zone);
            }
        }
        while let Some(zone) = passed.pop() {
            sequence.push_front(zone);
        }
        hosts
    }

    /// Batches of one, after all others. Where no other host was left to be the canary, the first of them is.
    fn last_ones(&mut self) {
        for host in std::mem::take(&mut self.last) {
            let canary = self.rules.canary > 0 && !self.has_canary;
            self.push(vec![host], canary, true);
        }
    }

    fn push(&mut self, hosts: Vec<usize>, canary: bool, last: bool) {
        let mut zones = hosts.iter().map(|&host| self.rules.zone_of[host]);
        let only = zones
            .next()
            .filter(|&first| zones.all(|zone| zone == first));
        let only = only.filter(|_| self.rules.names_zones);
        self.has_canary |= canary;
        self.batches.push(Batch {
            index: self.situation.taken + self.batches.len(),
            zone: only.map(|zone| self.rules.zones[zone].name.clone()),
            canary,
            last,
            hosts,
        });
    }
}
