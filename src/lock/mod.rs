//! Locks on hosts: what keeps two operators from doing the same at the same time. A lock is a folder on every host
//! of the population; whoever makes it on the first one goes on.
//!
//! `note` is what a holder leaves there, `folder` how a key becomes a name, `answer` what a host says, `order` what is
//! sent to it, `gather` what they say together, `words` what people read: all pure. `taking` is the order of things, over whatever asks hosts
//! ([`Hosts`]); `desk` is the lock of this machine, which saves the way to a host. When a run takes its lock and
//! when it lets go is the run's business.

pub(crate) mod answer;
#[cfg(test)]
mod deaths;
mod desk;
mod folder;
pub(crate) mod gather;
pub(crate) mod note;
mod order;
mod taking;
#[cfg(test)]
mod tests;
pub(crate) mod words;

pub use answer::{Answer, Found, parse, parse_list};
pub use desk::Desk;
pub use folder::folder_name;
pub use gather::{Gathered, gather};
pub use note::{Note, NoteState, Token};
pub use order::{Order, Verb};
pub use taking::{Held, Hosts, LIMIT, Place, Request, Taken, keep, release, take};
pub use words::{describe, held};
