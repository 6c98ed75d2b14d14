//! From the flags of a rollout to what they say over a task's strategy.

use crate::cli::{
    ByFlag, ConfirmFlag, ModeFlag, OnStopFlag, OrderFlag, QuorumFlag, StrategyFlags,
    UnreachableFlag, ZonesOfOneFlag,
};
use crate::model::Diagnostic;
use crate::plan::{Overrides, TypedQuorum};
use crate::task::{By, GateAt, HostOrder, Mode, OnStop, WhenUnreachable, ZoneOrder};

/// What was typed.
///
/// # Errors
/// `--confirm never` beside a gate.
pub(super) fn overrides(flags: &StrategyFlags) -> Result<Overrides, Diagnostic> {
    let typed = flags.clone();
    Ok(Overrides {
        by: typed.by.map(by),
        batch: typed.batch.map(|sizes| sizes.0),
        mode: typed.mode.map(|mode| match mode {
            ModeFlag::Batch => Mode::Batch,
            ModeFlag::Window => Mode::Window,
        }),
        canary: typed.canary,
        zone_order: zone_order(typed.zone_order),
        order: typed.order.map(|order| match order {
            OrderFlag::Name => HostOrder::Name,
            OrderFlag::Random => HostOrder::Random,
        }),
        quorum: typed.quorum.map(|quorum| match quorum {
            QuorumFlag::Off => TypedQuorum::Off,
            QuorumFlag::AtOnce(at_once) => TypedQuorum::AtOnce(at_once),
        }),
        max_unavailable: typed.max_unavailable,
        min_healthy: typed.min_healthy,
        min_healthy_per_zone: typed.min_healthy_per_zone,
        single_host_zones_allowed: typed
            .single_host_zones
            .map(|what| what == ZonesOfOneFlag::Allow),
        max_failures: typed.max_failures,
        max_failures_per_zone: typed.max_failures_per_zone,
        max_failures_per_batch: typed.max_failures_per_batch,
        unreachable: typed.unreachable.map(|what| match what {
            UnreachableFlag::Fail => WhenUnreachable::Fail,
            UnreachableFlag::Skip => WhenUnreachable::Skip,
        }),
        bake: typed.bake,
        canary_bake: typed.canary_bake,
        zone_bake: typed.zone_bake,
        first_zone_bake: typed.first_zone_bake,
        final_bake: typed.final_bake,
        health_wait: typed.health_wait,
        confirm: gates(&typed.confirm)?,
        confirm_timeout: typed.confirm_timeout,
        on_stop: typed.on_stop.map(|what| match what {
            OnStopFlag::Finish => OnStop::Finish,
            OnStopFlag::Cancel => OnStop::Cancel,
        }),
        host_timeout: typed.host_timeout,
        force: typed.force,
        allow_quorum_loss: typed.allow_quorum_loss,
    })
}

fn by(by: ByFlag) -> By {
    match by {
        ByFlag::Az => By::Az,
        ByFlag::Spread => By::Spread,
        ByFlag::Flat => By::Flat,
    }
}

fn zone_order(zones: Vec<String>) -> Option<ZoneOrder> {
    match zones.as_slice() {
        [] => None,
        [word] if word == "auto" => Some(ZoneOrder::Auto),
        [word] if word == "name" => Some(ZoneOrder::Name),
        _ => Some(ZoneOrder::Listed(zones)),
    }
}

fn gates(typed: &[ConfirmFlag]) -> Result<Option<Vec<GateAt>>, Diagnostic> {
    if typed.len() > 1 && typed.contains(&ConfirmFlag::Never) {
        let error = Diagnostic::new("`--confirm never` goes with no other gate");
        return Err(error.hint("nothing was run"));
    }
    let gate = |flag: &ConfirmFlag| match flag {
        ConfirmFlag::Never => None,
        ConfirmFlag::Start => Some(GateAt::Start),
        ConfirmFlag::Canary => Some(GateAt::Canary),
        ConfirmFlag::Zone => Some(GateAt::Zone),
        ConfirmFlag::Batch => Some(GateAt::Batch),
        ConfirmFlag::Phase => Some(GateAt::Phase),
    };
    let gates = typed.iter().filter_map(gate).collect();
    Ok((!typed.is_empty()).then_some(gates))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(line: &str) -> Result<Overrides, Diagnostic> {
        let args = ["fab-rs", "restart", "role=app"].into_iter();
        let args = args.chain(line.split_whitespace());
        let cli = crate::cli::parse(args.map(Into::into).collect())
            .unwrap_or_else(|error| panic!("{line}: {error}"))
            .cli;
        overrides(&cli.run.strategy)
    }

    #[test]
    fn flags_bear_the_names_of_a_strategys_keys() {
        let made = typed(
            "--by spread --batch 1,2,50% --canary 1 --max-failures 10% --confirm start,zone --zone-order b,a \
             --quorum off --order random --bake 90 --host-timeout 5m --single-host-zones allow --force",
        )
        .unwrap();
        let sizes = ["1", "2", "50%"].map(|text| text.parse().unwrap()).to_vec();
        assert_eq!(made.by, Some(By::Spread));
        assert_eq!(made.batch, Some(sizes));
        assert_eq!(made.max_failures, Some("10%".parse().unwrap()));
        assert_eq!(made.confirm, Some(vec![GateAt::Start, GateAt::Zone]));
        assert_eq!(
            made.zone_order,
            Some(ZoneOrder::Listed(vec!["b".to_owned(), "a".to_owned()]))
        );
        assert_eq!(made.quorum, Some(TypedQuorum::Off));
        assert_eq!(made.order, Some(HostOrder::Random));
        assert_eq!(made.bake, Some(std::time::Duration::from_secs(90)));
        assert_eq!(made.single_host_zones_allowed, Some(true));
        assert!(made.force && !made.allow_quorum_loss);
    }

    #[test]
    fn nothing_typed_says_nothing() {
        assert_eq!(typed(""), Ok(Overrides::default()));
        assert_eq!(typed("--confirm never").unwrap().confirm, Some(Vec::new()));
        assert!(typed("--confirm never,start").is_err());
    }
}
