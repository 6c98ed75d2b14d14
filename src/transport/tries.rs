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
pub(super) struct Tries {
    allowed: u32,
    done: u32,
}

impl Tries {
    /// So many tries at most; the first is always made.
    pub(super) fn new(allowed: u32) -> Self {
        Self { allowed, done: 0 }
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
        if !trouble.transient || self.done >= self.allowed {
            return Err(ConnectError::Unreachable {
                kind: trouble.kind,
                causes: trouble.causes(),
                hints: trouble.hints,
                attempts: self.done,
            });
        }
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
