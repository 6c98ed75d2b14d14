//! The doing around a run's lock: takes it, waits for it, lets its holder's heart beat, lets go of it or leaves it
//! with the word that the run is paused. When, and what follows, is [`super::course`]'s.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::lock::{self, Desk, Held, Hosts, Note, NoteState, Order, Place, Request, Taken, Token};
use crate::model::{Label, format_duration};
use crate::transport::Sudo;

use super::errand::LockEnd;
use super::journal::Fact;
use super::look::onlooker;
use super::message::{HostIndex, UnitMessage};
use super::shared::{Shared, World};
use super::stop::Heed;

/// Between two heartbeats.
const BEAT: Duration = Duration::from_secs(15);

/// Between two tries to take what somebody else still holds.
const POLL: Duration = Duration::from_secs(2);

/// How many hosts are named where there are many.
const NAMED: usize = 5;

/// A lock that the run holds.
pub(crate) struct Holding {
    held: Held,
    _desk: Option<Desk>,
    /// The heartbeat; ends with this value.
    beating: JoinSet<()>,
}

/// Hosts as a run asks them, over its own sessions. What is asked here is asked to its end, whatever stops the run.
struct OfRun<W: World> {
    shared: Arc<Shared<W>>,
    /// Whether it waits for a place among those at work.
    queues: bool,
}

impl<W: World> Hosts for OfRun<W> {
    async fn ask(&self, host: usize, order: &Order) -> Result<String, String> {
        let _permit = if self.queues {
            self.shared.permit().await
        } else {
            None
        };
        let mut work = onlooker(&self.shared, 0, host)?;
        work.heed(Heed {
            begin: CancellationToken::new(),
            end: CancellationToken::new(),
        });
        let due = (Instant::now() + lock::LIMIT, lock::LIMIT);
        let command = order.command(Sudo::No);
        // Boxed: what asks a host is deep, and stands here within what asks many.
        let asked = Box::pin(work.asked(&command, Some(due)));
        let asked = tokio::time::timeout_at(due.0, asked);
        let said = match asked.await {
            Err(_) => Err("it does not answer".to_owned()),
            Ok(Err(end)) => Err(end.cause()),
            Ok(Ok((0, said))) => Ok(String::from_utf8_lossy(&said.stdout).into_owned()),
            Ok(Ok((code, said))) => Err(last_line(&said.stderr, code)),
        };
        work.give_back().await;
        said
    }
}

fn last_line(stderr: &[u8], code: u8) -> String {
    let words = String::from_utf8_lossy(stderr);
    let last = words.lines().map(str::trim).rfind(|line| !line.is_empty());
    last.map_or_else(|| format!("its `sh` ended with {code}"), str::to_owned)
}

/// Takes the run's lock on these hosts, in this order, and tells what came of it. A stop gives up, and everything
/// back.
pub(crate) async fn take<W: World>(
    shared: Arc<Shared<W>>,
    hosts: Vec<HostIndex>,
) -> Option<Holding> {
    let stop = shared.stop.now().begin;
    let Some(request) = request(&shared, &hosts) else {
        let nobody = LockEnd::Nowhere(Vec::new());
        shared.wire.tell(UnitMessage::LockEnded(nobody)).await;
        return None;
    };
    let until = Instant::now() + shared.options.lock.wait;
    let mut told = false;
    let taken = loop {
        let (taken, desk) = once(&shared, &request, &stop).await;
        let Taken::Held(found) = &taken else {
            break (taken, desk);
        };
        if !found.is_live() || Instant::now() >= until || stop.is_cancelled() {
            break (taken, desk);
        }
        if !std::mem::replace(&mut told, true) {
            let waited = UnitMessage::LockWaited(found.clone());
            shared.wire.tell(waited).await;
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            () = sleep(POLL) => {}
        }
    };
    settled(&shared, taken).await
}

/// Tells what came of it; the lock, where it is ours.
async fn settled<W: World>(
    shared: &Arc<Shared<W>>,
    taken: (Taken, Option<Desk>),
) -> Option<Holding> {
    if !matches!(taken.0, Taken::Ours(_)) && shared.options.lock.adopt.is_none() {
        // What was taken on the way was given back: nothing is left for whoever takes the run up.
        shared.journal.note(Fact::LockReleased);
    }
    let (end, holding) = match taken {
        (Taken::Ours(held), desk) => {
            if !held.without.is_empty() {
                let text = format!(
                    "the lock could not be taken on {}; whoever reaches only those is not kept out",
                    named(&held.without)
                );
                tell(shared, text).await;
            }
            let end = LockEnd::Taken {
                anchor: held.anchor_label().clone(),
                hosts: held.count(),
                without: held.without.clone(),
            };
            let beating = beating(shared, &held);
            let holding = Holding {
                held: *held,
                _desk: desk,
                beating,
            };
            (end, Some(holding))
        }
        (Taken::Held(found), _) => (LockEnd::Held(found), None),
        (Taken::Nowhere(causes), _) => (LockEnd::Nowhere(causes), None),
        (Taken::Stopped, _) => return None,
    };
    shared.wire.tell(UnitMessage::LockEnded(end)).await;
    holding
}

/// One try: first on this machine, then on the hosts.
async fn once<W: World>(
    shared: &Arc<Shared<W>>,
    request: &Request,
    stop: &CancellationToken,
) -> (Taken, Option<Desk>) {
    let desk = match &shared.options.lock.folder {
        // What fails here costs nothing: the hosts' lock is what counts.
        Some(folder) => Desk::take(folder, &request.note).unwrap_or(Err(None)),
        None => Err(None),
    };
    let desk = match desk {
        Ok(desk) => Some(desk),
        Err(Some(found)) => return (Taken::Held(Box::new(found)), None),
        Err(None) => None,
    };
    let hosts = OfRun {
        shared: Arc::clone(shared),
        queues: true,
    };
    (lock::take(&hosts, request, stop).await, desk)
}

fn request<W: World>(shared: &Shared<W>, hosts: &[HostIndex]) -> Option<Request> {
    let keys = &shared.plan.lock.as_ref()?.keys;
    let places = hosts.iter().map(|&host| Place {
        host,
        label: shared.plan.population[host].label.clone(),
        key: keys[host].clone(),
    });
    let places: Vec<Place> = places.collect();
    let first = places.first()?;
    let options = &shared.options;
    Some(Request {
        note: Note {
            key: first.key.clone(),
            run: options.run.clone(),
            task: shared.plan.task.name.clone(),
            user: options.user.clone(),
            controller: options.lock.controller.clone(),
            pid: std::process::id(),
            started: shared.rendering.started_at,
            state: NoteState::Live,
            anchor: first.label.clone(),
            token: Token::of(options.lock.token),
        },
        adopt: options.lock.adopt.clone(),
        places,
    })
}

/// The heartbeat: says once what keeps it from being heard, and once that it is heard again.
fn beating<W: World>(shared: &Arc<Shared<W>>, held: &Held) -> JoinSet<()> {
    let hosts = OfRun {
        shared: Arc::clone(shared),
        queues: false,
    };
    let (anchor, order, label) = (held.anchor(), held.beat(), held.anchor_label().clone());
    let mut beating = JoinSet::new();
    beating.spawn(async move {
        let mut heard = Instant::now();
        let mut is_unheard = false;
        loop {
            sleep(BEAT).await;
            let said = hosts.ask(anchor, &order).await;
            let said = said.map(|said| lock::parse(&label, &said));
            let text = match said {
                Ok(Some(lock::Answer::Gone)) => {
                    let text = format!(
                        "the lock is gone from {label}: somebody released it, so another run may begin on these hosts"
                    );
                    tell(&hosts.shared, text).await;
                    return;
                }
                Ok(Some(lock::Answer::Ours)) => {
                    heard = Instant::now();
                    if !std::mem::take(&mut is_unheard) {
                        continue;
                    }
                    format!("the lock's heartbeat reaches {label} again")
                }
                _ if is_unheard || heard.elapsed() < lock::STALE => continue,
                said => {
                    is_unheard = true;
                    let cause = said.err();
                    let cause = cause.as_deref().unwrap_or("its answer is not understood");
                    let since = format_duration(heard.elapsed());
                    format!(
                        "the lock's heartbeat has not reached {label} for {since}: {cause}; other controllers see this \
                         run as stale from now on, and somebody may release its lock"
                    )
                }
            };
            tell(&hosts.shared, text).await;
        }
    });
    beating
}

/// Lets go of the lock, or leaves it there for whoever takes the run up.
pub(crate) async fn end<W: World>(shared: Arc<Shared<W>>, holding: Holding, keep: bool) {
    let Holding {
        held,
        _desk,
        mut beating,
    } = holding;
    // A heartbeat that is under way would find nothing any more.
    beating.shutdown().await;
    let hosts = OfRun {
        shared: Arc::clone(&shared),
        queues: true,
    };
    let run = &shared.options.run;
    if keep {
        let unmarked = lock::keep(&hosts, &held).await;
        let mut text = format!(
            "the run keeps its lock: `fab-rs resume {run}` takes it up again, `fab-rs abort {run}` lets go of it"
        );
        if !unmarked.is_empty() {
            text.push_str("; it is not shown as paused on ");
            text.push_str(&named(&unmarked));
        }
        tell(&shared, text).await;
        return;
    }
    // Where it could not be taken there is nothing to wonder about.
    let mut left = lock::release(&hosts, &held).await;
    left.retain(|(host, _)| !held.without.iter().any(|(without, _)| without == host));
    if left.is_empty() {
        shared.journal.note(Fact::LockReleased);
    }
    if !left.is_empty() {
        let text = format!(
            "the lock is left on {}; `fab-rs lock release --run {run} --force` releases it",
            named(&left)
        );
        tell(&shared, text).await;
    }
}

async fn tell<W: World>(shared: &Shared<W>, text: String) {
    let message = UnitMessage::Noted { host: None, text };
    shared.wire.tell(message).await;
}

/// Hosts with their causes, as many as are read.
fn named(hosts: &[(Label, String)]) -> String {
    let mut words: Vec<String> = hosts
        .iter()
        .take(NAMED)
        .map(|(host, cause)| format!("{host} ({cause})"))
        .collect();
    if hosts.len() > NAMED {
        words.push(format!("{} more", hosts.len() - NAMED));
    }
    words.join(", ")
}
