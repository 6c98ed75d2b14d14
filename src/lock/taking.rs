//! The order in which the hosts of a population are locked: the first that answers decides who goes on, then all
//! others at once. Whoever loses anywhere gives everything back, so that of several that share a host at most one
//! goes on.

use std::future::Future;
use std::time::Duration;

use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;

use crate::model::{Label, RunId};

use super::answer::{Answer, Found, parse};
use super::folder::folder_name;
use super::note::{Note, NoteState};
use super::order::{Order, Verb};

/// How long a host may take for one order.
pub const LIMIT: Duration = Duration::from_secs(20);

/// Sends orders to hosts.
pub trait Hosts: Sync {
    /// Has an order done on the host of this number, within [`LIMIT`]: what it printed, or one line saying why
    /// nothing came.
    fn ask(
        &self,
        host: usize,
        order: &Order,
    ) -> impl Future<Output = Result<String, String>> + Send;
}

/// A host to lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its number, for whoever asks it.
    pub host: usize,
    /// How people see it.
    pub label: Label,
    /// The key that is locked there.
    pub key: String,
}

/// Which lock is wanted, and by whom.
#[derive(Debug, Clone)]
pub struct Request {
    /// Who wants it; key and anchor are filled in.
    pub note: Note,
    /// Where, in the order of the hosts' ids, which is the same for everybody. At least one.
    pub places: Vec<Place>,
    /// A run whose process is over: what it holds is ours.
    pub adopt: Option<RunId>,
}

/// A lock that was taken. It is released where it is asked to be, not when this value goes.
#[derive(Debug, Clone)]
pub struct Held {
    note: Note,
    anchor: usize,
    places: Vec<Place>,
    /// Hosts on which it could not be taken, and why: they do not answer, or nothing can be written there.
    pub without: Vec<(Label, String)>,
}

/// What came of it.
#[derive(Debug, Clone)]
pub enum Taken {
    /// It is ours.
    Ours(Box<Held>),
    /// Another has it; nothing is ours.
    Held(Box<Found>),
    /// No host could be locked, for these reasons.
    Nowhere(Vec<(Label, String)>),
    /// The run stopped meanwhile; nothing is ours.
    Stopped,
}

impl Held {
    /// The number of the host to which the heartbeat goes.
    pub fn anchor(&self) -> usize {
        self.places[self.anchor].host
    }

    /// The label of that host.
    pub fn anchor_label(&self) -> &Label {
        &self.places[self.anchor].label
    }

    /// How many hosts hold it.
    pub fn count(&self) -> usize {
        self.places.len() - self.without.len()
    }

    /// The heartbeat.
    pub fn beat(&self) -> Order {
        let folder = folder_name(&self.places[self.anchor].key);
        Order::new(&folder, Verb::Beat(&self.note.token))
    }

    /// The same lock with its note for a place.
    fn note_at(&self, place: &Place) -> Note {
        Note {
            key: place.key.clone(),
            ..self.note.clone()
        }
    }

    fn others(&self) -> impl Iterator<Item = &Place> {
        let places = self.places.iter().enumerate();
        places
            .filter(|(number, _)| *number != self.anchor)
            .map(|(_, place)| place)
    }
}

/// Takes a lock, once: nobody is waited for. A stop has everything given back.
pub async fn take<H: Hosts>(hosts: &H, request: &Request, stop: &CancellationToken) -> Taken {
    let mut without = Vec::new();
    let mut held = Held {
        note: request.note.clone(),
        anchor: 0,
        places: request.places.clone(),
        without: Vec::new(),
    };
    loop {
        if stop.is_cancelled() {
            back_out(hosts, &held, request).await;
            return Taken::Stopped;
        }
        let Some(place) = held.places.get(held.anchor) else {
            back_out(hosts, &held, request).await;
            return Taken::Nowhere(without);
        };
        held.note.anchor = place.label.clone();
        match tried(hosts, &held, place, request.adopt.as_ref()).await {
            Ok(None) => break,
            Ok(Some(found)) => {
                back_out(hosts, &held, request).await;
                return Taken::Held(found);
            }
            Err(cause) => without.push((place.label.clone(), cause)),
        }
        held.anchor += 1;
    }
    if !stop.is_cancelled() {
        let after = held.places[held.anchor + 1..].iter();
        let tries = after.map(async |place| {
            (
                place,
                tried(hosts, &held, place, request.adopt.as_ref()).await,
            )
        });
        for (place, ended) in join_all(tries).await {
            match ended {
                Ok(None) => {}
                Ok(Some(found)) => {
                    back_out(hosts, &held, request).await;
                    return Taken::Held(found);
                }
                Err(cause) => without.push((place.label.clone(), cause)),
            }
        }
    }
    if stop.is_cancelled() {
        back_out(hosts, &held, request).await;
        return Taken::Stopped;
    }
    held.without = without;
    Taken::Ours(Box::new(held))
}

/// Tries one host: who has it, if not we.
async fn tried<H: Hosts>(
    hosts: &H,
    held: &Held,
    place: &Place,
    adopt: Option<&RunId>,
) -> Result<Option<Box<Found>>, String> {
    let note = held.note_at(place);
    let is_anchor = place.label == note.anchor;
    let verb = match adopt {
        Some(run) => Verb::Adopt(&note, is_anchor, run),
        None => Verb::Take(&note, is_anchor),
    };
    let order = Order::new(&folder_name(&place.key), verb);
    let said = hosts.ask(place.host, &order).await?;
    match parse(&place.label, &said) {
        Some(Answer::Ours) => Ok(None),
        Some(Answer::Held(found)) => Ok(Some(found)),
        Some(Answer::Gone) | None => {
            Err("what it said about the lock was not understood".to_owned())
        }
    }
}

/// What was tried is given back; what a run holds that is taken up stays, and is that run's.
async fn back_out<H: Hosts>(hosts: &H, held: &Held, request: &Request) {
    if let Some(run) = &request.adopt {
        let mut theirs = held.clone();
        theirs.note.run.clone_from(run);
        let _seen_as_stale = keep(hosts, &theirs).await;
    } else {
        give_back(hosts, held).await;
    }
}

/// What was tried is given back, also where no answer came; nobody can be told of what fails here, and it would
/// be seen as a lock without heartbeat.
async fn give_back<H: Hosts>(hosts: &H, held: &Held) {
    let tried = Held {
        anchor: held.anchor.min(held.places.len() - 1),
        ..held.clone()
    };
    let _seen_as_stale = release(hosts, &tried).await;
}

/// Lets go of a lock, last where others meet first. Hosts on which it could not be, and why.
pub async fn release<H: Hosts>(hosts: &H, held: &Held) -> Vec<(Label, String)> {
    let let_go = async |place: &Place| {
        let order = Order::new(
            &folder_name(&place.key),
            Verb::Release(Some(&held.note.token)),
        );
        ended(place, &hosts.ask(place.host, &order).await)
    };
    let mut trouble: Vec<_> = join_all(held.others().map(let_go)).await;
    trouble.push(let_go(&held.places[held.anchor]).await);
    trouble.into_iter().flatten().collect()
}

/// Says on every host that the holder stopped on the way and keeps it. Hosts on which it could not, and why.
pub async fn keep<H: Hosts>(hosts: &H, held: &Held) -> Vec<(Label, String)> {
    let mark = async |place: &Place| {
        let note = Note {
            state: NoteState::Paused,
            ..held.note_at(place)
        };
        let order = Order::new(&folder_name(&place.key), Verb::Mark(&note));
        ended(place, &hosts.ask(place.host, &order).await)
    };
    let trouble = join_all(held.places.iter().map(mark)).await;
    trouble.into_iter().flatten().collect()
}

fn ended(place: &Place, said: &Result<String, String>) -> Option<(Label, String)> {
    let cause = match said {
        Ok(said) if parse(&place.label, said).is_some() => return None,
        Ok(_) => "what it said about the lock was not understood",
        Err(cause) => cause,
    };
    Some((place.label.clone(), cause.to_owned()))
}
