//! What the command line says over a task's strategy. It may tighten freely; what protects the population
//! (`quorum`, `min_healthy`, `min_healthy_per_zone`) it loosens only where that was said twice.

use std::time::Duration;

use crate::model::{Amount, Diagnostic};
use crate::task::{
    By, Canary, GateAt, HostOrder, Mode, OnStop, Quorum, Strategy, WhenUnreachable, ZoneOrder,
};

/// Values that were typed; `None` leaves what the task says. The names are those of `strategy`'s keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// How batches are formed.
    pub by: Option<By>,
    /// Sizes in turn.
    pub batch: Option<Vec<Amount>>,
    /// When the next host may start.
    pub mode: Option<Mode>,
    /// How many hosts go first.
    pub canary: Option<Amount>,
    /// The order of zones.
    pub zone_order: Option<ZoneOrder>,
    /// The order of hosts within a zone.
    pub order: Option<HostOrder>,
    /// Whether the population is one consensus group, and how many of it may be out at once.
    pub quorum: Option<TypedQuorum>,
    /// The most hosts out at once.
    pub max_unavailable: Option<Amount>,
    /// Healthy hosts at least.
    pub min_healthy: Option<Amount>,
    /// The same within each zone.
    pub min_healthy_per_zone: Option<Amount>,
    /// Whether zones of one host are exempt from that.
    pub single_host_zones_allowed: Option<bool>,
    /// Tolerated failures.
    pub max_failures: Option<Amount>,
    /// The same within each zone.
    pub max_failures_per_zone: Option<Amount>,
    /// The same within each batch.
    pub max_failures_per_batch: Option<Amount>,
    /// What a host that cannot be reached means.
    pub unreachable: Option<WhenUnreachable>,
    /// The pause after each batch.
    pub bake: Option<Duration>,
    /// The pause after the canary, where there is one.
    pub canary_bake: Option<Duration>,
    /// The pause at a zone's end.
    pub zone_bake: Option<Duration>,
    /// The pause at the first zone's end.
    pub first_zone_bake: Option<Duration>,
    /// The pause after the last batch.
    pub final_bake: Option<Duration>,
    /// How long too few healthy hosts are waited for.
    pub health_wait: Option<Duration>,
    /// Where it asks.
    pub confirm: Option<Vec<GateAt>>,
    /// How long an answer is waited for.
    pub confirm_timeout: Option<Duration>,
    /// What happens to hosts at work when the rollout stops.
    pub on_stop: Option<OnStop>,
    /// The limit of all steps of one host together.
    pub host_timeout: Option<Duration>,
    /// What protects the population may be loosened (`--force`).
    pub force: bool,
    /// A consensus group that tolerates no loss may be touched (`--allow-quorum-loss`).
    pub allow_quorum_loss: bool,
}

/// What was typed about a consensus group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TypedQuorum {
    /// The population is none.
    Off,
    /// So many members may be out at once.
    AtOnce(u32),
}

impl Overrides {
    /// The strategy with what was typed in place of what it says; percentages are of `population` hosts.
    ///
    /// # Errors
    /// Something that protects the population would be loosened without `--force`.
    pub(super) fn over(
        &self,
        task: &Strategy,
        population: usize,
    ) -> Result<Strategy, Vec<Diagnostic>> {
        let errors = if self.force {
            Vec::new()
        } else {
            self.loosened(task, population)
        };
        if !errors.is_empty() {
            return Err(errors);
        }
        let mut made = task.clone();
        self.batches_over(&mut made);
        self.limits_over(&mut made);
        self.pace_over(&mut made);
        Ok(made)
    }

    /// `--batch 0` and the like; a task's file was checked when it was read.
    pub(super) fn impossible(&self) -> Vec<Diagnostic> {
        let batch = self.batch.iter().flatten();
        let batch = batch.map(|amount| ("batch", *amount));
        let others = [
            ("canary", self.canary),
            ("max-unavailable", self.max_unavailable),
        ];
        let others = others
            .into_iter()
            .filter_map(|(flag, amount)| Some((flag, amount?)));
        batch
            .chain(others)
            .filter(|(_, amount)| matches!(amount, Amount::Count(0) | Amount::Percent(0)))
            .map(|(flag, amount)| {
                Diagnostic::new(format!(
                    "`--{flag} {amount}` takes no host: it must be 1 or more"
                ))
            })
            .collect()
    }

    /// The flags by which a strategy may come to leave no host to be taken, as they were typed.
    pub(super) fn limiting(&self) -> Vec<String> {
        let amounts = [
            ("max-unavailable", self.max_unavailable),
            ("min-healthy", self.min_healthy),
            ("min-healthy-per-zone", self.min_healthy_per_zone),
        ];
        let amounts = amounts.into_iter();
        let amounts = amounts.filter_map(|(flag, amount)| Some(format!("`--{flag} {}`", amount?)));
        let quorum = match self.quorum {
            Some(TypedQuorum::AtOnce(at_once)) => Some(format!("`--quorum {at_once}`")),
            Some(TypedQuorum::Off) | None => None,
        };
        let zones = match &self.zone_order {
            Some(ZoneOrder::Listed(zones)) => Some(format!("`--zone-order {}`", zones.join(","))),
            _ => None,
        };
        amounts.chain(quorum).chain(zones).collect()
    }

    fn batches_over(&self, made: &mut Strategy) {
        made.by = self.by.or(made.by);
        if let Some(sizes) = &self.batch {
            made.batch.clone_from(sizes);
        } else if self.by.is_some() && made.batch.is_empty() {
            // Whoever names a way to go through the hosts does not mean all at once.
            made.batch = vec![Amount::Count(1)];
        }
        set(&mut made.mode, self.mode);
        if let Some(hosts) = self.canary {
            let before = made.canary.take();
            made.canary = Some(Canary {
                hosts,
                bake: before.as_ref().and_then(|canary| canary.bake),
                confirm: before.is_some_and(|canary| canary.confirm),
            });
        }
        set(&mut made.zone_order, self.zone_order.clone());
        set(&mut made.order, self.order);
        match self.quorum {
            Some(TypedQuorum::Off) => made.quorum = None,
            Some(TypedQuorum::AtOnce(at_once)) => made.quorum = Some(Quorum { at_once }),
            None => {}
        }
    }

    fn limits_over(&self, made: &mut Strategy) {
        made.max_unavailable = self.max_unavailable.or(made.max_unavailable);
        made.min_healthy = self.min_healthy.or(made.min_healthy);
        made.min_healthy_per_zone = self.min_healthy_per_zone.or(made.min_healthy_per_zone);
        let exempt = self.single_host_zones_allowed;
        set(&mut made.single_host_zones_allowed, exempt);
        set(&mut made.max_failures, self.max_failures);
        made.max_failures_per_zone = self.max_failures_per_zone.or(made.max_failures_per_zone);
        made.max_failures_per_batch = self.max_failures_per_batch.or(made.max_failures_per_batch);
        set(&mut made.unreachable, self.unreachable);
    }

    fn pace_over(&self, made: &mut Strategy) {
        let bakes = &mut made.bakes;
        bakes.batch = self.bake.or(bakes.batch);
        if let Some(canary) = &mut made.canary {
            canary.bake = self.canary_bake.or(canary.bake);
        }
        bakes.zone = self.zone_bake.or(bakes.zone);
        bakes.first_zone = self.first_zone_bake.or(bakes.first_zone);
        bakes.last = self.final_bake.or(bakes.last);
        set(&mut made.health_wait, self.health_wait);
        set(&mut made.confirm, self.confirm.clone());
        set(&mut made.confirm_timeout, self.confirm_timeout);
        set(&mut made.on_stop, self.on_stop);
        made.host_timeout = self.host_timeout.or(made.host_timeout);
    }

    /// What would protect the population less than the task has it.
    fn loosened(&self, task: &Strategy, population: usize) -> Vec<Diagnostic> {
        let mut errors = Vec::new();
        let mut less = |key: &str, typed: Option<Amount>, declared: Option<Amount>| {
            let (Some(typed), Some(declared)) = (typed, declared) else {
                return;
            };
            let (is, was) = (typed.ceil_of(population), declared.ceil_of(population));
            // A count and a percentage compare differently in each zone.
            let alike = match (typed, declared) {
                (Amount::Count(_), Amount::Count(_)) | (Amount::Percent(_), Amount::Percent(_)) => {
                    true
                }
                _ => key == "min_healthy",
            };
            if !alike {
                let flag = key.replace('_', "-");
                errors.push(forced(format!(
                    "`--{flag} {typed}` may be less than the task's `{key}: {declared}` in some zone"
                )));
            } else if is < was {
                let flag = key.replace('_', "-");
                errors.push(forced(format!(
                    "`--{flag} {typed}` is less than the task's `{key}: {declared}`: {is} instead of {was} of {population}"
                )));
            }
        };
        less("min_healthy", self.min_healthy, task.min_healthy);
        less(
            "min_healthy_per_zone",
            self.min_healthy_per_zone,
            task.min_healthy_per_zone,
        );
        let exempts = self.single_host_zones_allowed == Some(true);
        if exempts && !task.single_host_zones_allowed && task.min_healthy_per_zone.is_some() {
            errors.push(forced(
                "`--single-host-zones allow` exempts zones from the task's `min_healthy_per_zone`"
                    .to_owned(),
            ));
        }
        match (self.quorum, task.quorum) {
            (Some(TypedQuorum::Off), Some(_)) => errors.push(forced(
                "`--quorum off` takes the task's `quorum` away".to_owned(),
            )),
            (Some(TypedQuorum::AtOnce(typed)), Some(declared)) if typed > declared.at_once => {
                errors.push(forced(format!(
                    "`--quorum {typed}` is more than the task's `quorum: {{at_once: {}}}`",
                    declared.at_once
                )));
            }
            _ => {}
        }
        errors
    }
}

fn forced(message: String) -> Diagnostic {
    Diagnostic::new(message).hint("`--force` takes it all the same")
}

fn set<T>(place: &mut T, typed: Option<T>) {
    if let Some(typed) = typed {
        *place = typed;
    }
}
