//! Watching what was done while nothing is taken: the `watch` checks of finished hosts, again and again.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{sleep, sleep_until};

use crate::task::{Action, Check};

use super::errand::{Finding, Found, Sleep};
use super::look::{of_answer, onlooker};
use super::message::{HostIndex, UnitMessage};
use super::shared::{Shared, World};

/// Waits; ends early where a watched host is no longer well, which is told, or the run stops.
pub(crate) async fn sleep_watching<W: World>(shared: Arc<Shared<W>>, errand: Sleep) {
    let over = tokio::time::Instant::now() + errand.length;
    let stop = shared.stop.now().begin;
    let mut watchers = JoinSet::new();
    for host in errand.watch {
        watchers.spawn(watched(Arc::clone(&shared), errand.phase, host));
    }
    let sick = async {
        loop {
            match watchers.join_next().await {
                Some(Ok(Some(state))) => return state,
                // One that broke watches no more; the look that follows finds what is wrong with its host.
                Some(Ok(None) | Err(_)) => {}
                None => std::future::pending().await,
            }
        }
    };
    let finding: Finding = tokio::select! {
        biased;
        () = stop.cancelled() => return,
        finding = sick => finding,
        () = sleep_until(over) => return,
    };
    shared.known.found(finding.host, false);
    shared.wire.tell(UnitMessage::Found(finding)).await;
}

/// Asks a host's `watch` checks until one of them has failed often enough; nothing where it has none.
async fn watched<W: World>(
    shared: Arc<Shared<W>>,
    phase: usize,
    host: HostIndex,
) -> Option<Finding> {
    let plan = Arc::clone(&shared.plan);
    let member = plan.members.get(host)?;
    let checks = member.health.get(phase)?;
    let checks: Vec<&Check> = checks.iter().filter(|check| check.watch).collect();
    if checks.is_empty() {
        return None;
    }
    let mut work = onlooker(&shared, phase, host).ok()?;
    let mut bad = vec![0; checks.len()];
    loop {
        sleep(interval(&checks)).await;
        let _permit = shared.permit().await;
        for (check, bad) in checks.iter().zip(&mut bad) {
            let state = of_answer(work.asked_once([*check]).await);
            *bad = if state == Found::Well { 0 } else { *bad + 1 };
            if *bad >= consecutive(check) {
                let last = None;
                return Some(Finding { host, state, last });
            }
        }
    }
}

/// How often a check must fail in a row.
fn consecutive(check: &Check) -> u32 {
    match &check.step.action {
        Action::WaitFor(wait) => wait.consecutive.max(1),
        _ => 1,
    }
}

/// Between two rounds of questions: the shortest that a check asks for, a second at least.
fn interval(checks: &[&Check]) -> Duration {
    let of = |check: &&Check| match &check.step.action {
        Action::WaitFor(wait) => Some(wait.interval),
        _ => None,
    };
    let shortest = checks.iter().filter_map(of).min();
    shortest.unwrap_or_default().max(Duration::from_secs(1))
}
