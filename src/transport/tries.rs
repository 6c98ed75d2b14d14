//! Tries at a connection: which failures deserve another, how long to wait, and what the last one means.
//! Starts no connection itself.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::ConnectError;
use super::bastion::{Gate, refused_channel};
use super::master::LaunchError;
use super::ssh_error::{classify, classify_channel, late};
use super::trouble::{Target, Trouble};
use crate::model::UnreachableKind;

/// How many tries may end with a server that took the connection and then hung: each costs the whole login
/// limit, and such a host answers a third one no better.
const HUNG: u32 = 2;

/// How often a connection is tried, and who hears of a try that failed while another follows.
#[derive(Clone, Copy)]
pub struct Attempts<'a> {
    /// Tries in all, 1 or more.
    pub most: u32,
    /// Told the try that failed, from 1, and why.
    pub failed: &'a (dyn Fn(u32, &str) + Send + Sync),
}

impl From<u32> for Attempts<'static> {
    fn from(most: u32) -> Self {
        Self {
            most,
            failed: &|_, _| {},
        }
    }
}

impl std::fmt::Debug for Attempts<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Attempts").field(&self.most).finish()
    }
}

/// How one try failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// A further try may help, if its trouble is transient.
    Try(Trouble),
    /// It cannot.
    Final(ConnectError),
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Self {
        Self::Final(error)
    }
}

/// The tries at one connection, with pauses between that grow and differ from host to host.
#[derive(Debug)]
pub(super) struct Tries<'a> {
    allowed: Attempts<'a>,
    done: u32,
    /// Tries that ended with a server that hangs.
    hung: u32,
}

impl<'a> Tries<'a> {
    /// So many tries at most; the first is always made.
    pub(super) fn new(allowed: Attempts<'a>) -> Self {
        Self {
            allowed,
            done: 0,
            hung: 0,
        }
    }

    /// Waits before the next try.
    ///
    /// # Errors
    /// No further try makes sense, there have been enough, or the run was cancelled.
    pub(super) async fn again(
        &mut self,
        failure: Failure,
        cancel: &CancellationToken,
    ) -> Result<(), ConnectError> {
        self.done += 1;
        let trouble = match failure {
            Failure::Final(error) => return Err(error),
            Failure::Try(trouble) => trouble,
        };
        self.hung += u32::from(matches!(
            trouble.kind,
            UnreachableKind::LoginTimeout | UnreachableKind::NoBanner
        ));
        if !trouble.transient || self.done >= self.allowed.most || self.hung >= HUNG {
            return Err(ConnectError::Unreachable {
                kind: trouble.kind,
                causes: trouble.causes(),
                hints: trouble.hints,
                attempts: self.done,
            });
        }
        (self.allowed.failed)(self.done, &trouble.sentence);
        tokio::select! {
            () = cancel.cancelled() => Err(ConnectError::Cancelled),
            () = tokio::time::sleep(backoff(self.done)) => Ok(()),
        }
    }
}

/// 0.5 s, 1 s, 2 s … up to 8 s, each by up to a half longer, so that a fleet does not come back as one.
fn backoff(tried: u32) -> Duration {
    use std::hash::{BuildHasher, Hasher, RandomState};
    let base = 500_u64 << (tried - 1).min(4);
    let random = RandomState::new().build_hasher().finish();
    Duration::from_millis(base + random % (base / 2))
}

/// What a master that did not come about means.
pub(super) async fn explain(
    error: LaunchError,
    target: Target<'_>,
    login: Duration,
    through: Option<&Gate>,
) -> Failure {
    let words = match error {
        LaunchError::Cancelled => return Failure::Final(ConnectError::Cancelled),
        LaunchError::Local(error) => return Failure::Final(local_trouble(&error.to_string())),
        LaunchError::Late(words) => {
            return Failure::Try(late(&words, target, login.as_secs()));
        }
        LaunchError::Ended(words) => words,
    };
    let Some(gate) = through else {
        return Failure::Try(classify(&words, target));
    };
    if !gate.master.runs() {
        let lost = format!("the connection to bastion {} was lost", gate.name);
        let trouble = classify(&words, target);
        return Failure::Try(Trouble {
            kind: UnreachableKind::Bastion,
            sentence: lost,
            transient: true,
            ..trouble
        });
    }
    if words.contains("orwarding request failed") || words.contains("orwarding failed") {
        // The master writes its reason a moment after it told its client.
        tokio::time::sleep(Duration::from_millis(50)).await;
        let log = gate.master.last_words();
        if let Some(reason) = refused_channel(&log, target.address, target.port) {
            return Failure::Try(classify_channel(reason, target));
        }
    }
    Failure::Try(classify(&words, target))
}

/// A bastion's trouble, as the hosts behind it see it.
pub(super) fn as_bastion(error: ConnectError, name: &str) -> ConnectError {
    match error {
        ConnectError::Unreachable {
            kind,
            causes,
            hints,
            attempts,
        } if kind != UnreachableKind::Bastion => {
            let mut all = vec![format!("bastion {name} cannot be reached")];
            all.extend(causes);
            ConnectError::Unreachable {
                kind: UnreachableKind::Bastion,
                causes: all,
                hints,
                attempts,
            }
        }
        error => error,
    }
}

/// Trouble on this machine.
pub(super) fn local_trouble(error: &str) -> ConnectError {
    ConnectError::Unreachable {
        kind: UnreachableKind::Local,
        causes: vec!["ssh could not be started here".to_owned(), error.to_owned()],
        hints: vec![
            "is OpenSSH's `ssh` installed, and the folder for sockets writable?".to_owned(),
        ],
        attempts: 0,
    }
}

/// A bastion that cannot be read.
pub(super) fn unreadable_hop(text: &str) -> ConnectError {
    ConnectError::Unreachable {
        kind: UnreachableKind::Configuration,
        causes: vec![format!("`{text}` is no bastion")],
        hints: vec!["a bastion is written `[user@]host[:port]`".to_owned()],
        attempts: 0,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// How many tries are made where each fails in this way, and what was told of them.
    async fn tried(most: u32, kind: UnreachableKind, transient: bool) -> (u32, Vec<u32>) {
        let told = Mutex::new(Vec::new());
        let failed = |attempt: u32, cause: &str| {
            assert_eq!(cause, "words");
            told.lock().unwrap().push(attempt);
        };
        let mut tries = Tries::new(Attempts {
            most,
            failed: &failed,
        });
        let cancel = CancellationToken::new();
        loop {
            let trouble = Trouble {
                transient,
                ..Trouble::new(kind, "words")
            };
            let again = tries.again(Failure::Try(trouble), &cancel).await;
            if let Err(ConnectError::Unreachable { attempts, .. }) = again {
                return (attempts, told.into_inner().unwrap());
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_may_pass_is_tried_as_often_as_allowed_and_each_failure_before_the_last_is_told() {
        for (most, kind, transient, tries) in [
            (3, UnreachableKind::Refused, true, 3),
            (1, UnreachableKind::Refused, true, 1),
            (3, UnreachableKind::Denied, false, 1),
            (3, UnreachableKind::LoginTimeout, true, 2),
            (9, UnreachableKind::NoBanner, true, 2),
        ] {
            let told: Vec<u32> = (1..tries).collect();
            assert_eq!(
                tried(most, kind, transient).await,
                (tries, told),
                "{kind:?}"
            );
        }
    }
}
