//! Watching what was done while nothing is taken: the `watch` checks of finished hosts, again and again.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{sleep, sleep_until};

use crate::task::{Action, Check};

use super::errand::{Finding, Found, Sleep};
use super::look::{of_answer, onlooker};
use super::message::{HostIndex, UnitMessage};
use super::shared::{Shared, World};

/// Waits; ends early where the run stops. A watched host that is no longer well is told, and the others are
/// watched on: whether that is one too many is not decided here.
pub(crate) async fn sleep_watching<W: World>(shared: Arc<Shared<W>>, errand: Sleep) {
    let over = tokio::time::Instant::now() + errand.length;
    let stop = shared.stop.forward().begin;
    let mut watchers = JoinSet::new();
    for host in errand.watch {
        watchers.spawn(watched(Arc::clone(&shared), errand.phase, host));
    }
    let watching = async {
        while let Some(ended) = watchers.join_next().await {
            // One that broke watches no more; the look that follows finds what is wrong with its host.
            let Ok(Some(finding)) = ended else { continue };
            shared.known.found(finding.host, false);
            shared.wire.tell(UnitMessage::Found(finding)).await;
        }
        std::future::pending::<Infallible>().await
    };
    tokio::select! {
        biased;
        () = stop.cancelled() => {}
        never = watching => match never {},
        () = sleep_until(over) => {}
    }
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
            let answer = work.asked_once([*check]).await;
            let state = work.hidden(of_answer(answer));
            *bad = if state == Found::Well { 0 } else { *bad + 1 };
            if *bad >= consecutive(check) {
                let last = None;
                return Some(Finding { host, state, last });
            }
        }
        // No more sessions are open than the run keeps, however many hosts are watched.
        work.give_back().await;
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
