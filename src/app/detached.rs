//! What a run left on hosts of steps that go on by themselves: ended where the run is given up, and cleared away
//! where their end is known.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::journal::Writer;
use crate::model::{Diagnostic, Host, HostId};
use crate::report;
use crate::run::journal::{Fact, Journal as _};
use crate::run::progress::DetachedProgress;
use crate::transport::{
    ConnectError, DetachedEnding, DetachedFolder, DetachedState, Session as _, SshSession,
    SshTransport, Sudo, Transport as _,
};

use super::entry::Context;
use super::failure::Failure;
use super::lock::ordered;
use super::run::transport_settings;
use super::stored::Stored;

/// Steps by host.
type Steps = BTreeMap<HostId, Vec<DetachedProgress>>;

/// What came of a step: how it ended, where it was ended; the error says why it is still there.
type Gone = Result<Option<DetachedState>, String>;

/// Ends every step of the run that goes on by itself, removes what it left, and says both.
pub(super) async fn end(context: &Context, stored: &Stored, journal: &Writer) {
    let steps = of(stored, |_| true);
    let ids: Vec<HostId> = steps.keys().cloned().collect();
    if ids.is_empty() {
        return;
    }
    let found = match stored.hosts(context, &ids).await {
        Ok((again, hosts)) => cleared(&again, &hosts, (stored, &steps), Some(journal)).await,
        Err(failure) => Err(failure),
    };
    let said = match found {
        Ok(said) => said,
        Err(failure) => {
            let first = failure.diagnostics.first();
            let cause = first.map_or_else(String::new, |first| first.message.clone());
            let said = steps.values().flatten().map(|of| {
                let path = folder(stored, of).path();
                Err(format!("{}: {cause}; it is in {path} there", of.step.id))
            });
            said.collect()
        }
    };
    for line in said {
        match line {
            Ok(text) => context.console.note(&report::safe(&text)),
            Err(text) => context.console.warn(&report::safe(&text)),
        }
    }
}

/// Removes what steps left of which the end is in the journal; what cannot be removed stays for another time.
///
/// # Errors
/// The sudo password was not given.
pub(super) async fn clear(
    again: &Context,
    hosts: &[Arc<Host>],
    stored: &Stored,
) -> Result<(), Failure> {
    let steps = of(stored, |of| of.over);
    if !steps.is_empty() {
        let hosts: Vec<Host> = hosts.iter().map(|host| Host::clone(host)).collect();
        cleared(again, &hosts, (stored, &steps), None).await?;
    }
    Ok(())
}

/// Refuses to start over on hosts where a step of the run may still be at work.
///
/// # Errors
/// There is one.
pub(super) fn none_at_work(stored: &Stored, hosts: &[HostId]) -> Result<(), Diagnostic> {
    let open = of(stored, |of| !of.over);
    let mut open = open.iter().filter(|(id, _)| hosts.contains(id));
    let Some((id, steps)) = open.next() else {
        return Ok(());
    };
    let (run, step) = (&stored.run.id, &steps[0].step.id);
    // As the screen named them.
    let story = stored.run.told().ok();
    let told = story.as_ref().and_then(|story| story.hosts.get(id));
    let host = told.map_or(id.as_str(), |told| told.label.as_str());
    let step = told.map_or(&step[..], |told| told.step(step));
    let message = format!("step `{step}` of run {run} may still be at work on {host}, by itself");
    Err(Diagnostic::new(message)
        .hint(format!("`fab-rs resume {run}` waits for its end"))
        .hint(format!("`fab-rs abort {run}` ends it"))
        .hint("nothing was run"))
}

fn of(stored: &Stored, wanted: impl Fn(&DetachedProgress) -> bool) -> Steps {
    let hosts = stored.progress.hosts.iter();
    let hosts = hosts.map(|(id, host)| {
        let steps = host.detached.iter().filter(|of| wanted(of));
        (id.clone(), steps.cloned().collect::<Vec<_>>())
    });
    hosts.filter(|(_, steps)| !steps.is_empty()).collect()
}

fn folder(stored: &Stored, of: &DetachedProgress) -> DetachedFolder {
    DetachedFolder::new(stored.run.id.as_str(), &of.at.folder, &user(of))
}

/// As whom it runs there.
fn user(of: &DetachedProgress) -> Sudo {
    of.at.user.clone().map_or(Sudo::No, Sudo::User)
}

/// Ends and removes these steps on all their hosts at once; a line about each that was ended, or is still there.
async fn cleared(
    context: &Context,
    hosts: &[Host],
    (stored, steps): (&Stored, &Steps),
    journal: Option<&Writer>,
) -> Result<Vec<Result<String, String>>, Failure> {
    let transport = Arc::new(SshTransport::new(transport_settings(context)?));
    let attempts = context.settings.attempts;
    let mut asking = JoinSet::new();
    let mut said = Vec::new();
    for (id, steps) in steps {
        let Some(host) = hosts.iter().find(|host| host.id == *id).cloned() else {
            said.extend(steps.iter().map(|of| {
                let path = folder(stored, of).path();
                Err(format!(
                    "{id}: step `{}` may still run, in {path}: the host is not there any more",
                    of.step.id
                ))
            }));
            continue;
        };
        let places: Vec<_> = steps
            .iter()
            .map(|of| (of.clone(), folder(stored, of)))
            .collect();
        let transport = Arc::clone(&transport);
        asking.spawn(async move {
            let gone = on_host(&transport, &host, places, attempts).await;
            (host, gone)
        });
    }
    while let Some(joined) = asking.join_next().await {
        let (host, gone) = match joined {
            Ok(joined) => joined,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        };
        for (of, path, gone) in gone {
            let (label, step) = (&host.label, &of.step.id);
            match gone {
                Ok(state) => {
                    let (host, folder) = (host.id.clone(), Arc::clone(&of.at.folder));
                    if let Some(journal) = journal {
                        journal.note(Fact::DetachedGone { host, folder });
                    }
                    if let Some(state) = state {
                        said.push(Ok(format!("{label}: step `{step}` {}", words(state))));
                    }
                }
                Err(cause) => said.push(Err(format!(
                    "{label}: step `{step}` may still run, in {path}: {cause}"
                ))),
            }
        }
    }
    transport.shutdown().await;
    Ok(said)
}

/// Ends and removes the steps of one host.
async fn on_host(
    transport: &SshTransport,
    host: &Host,
    steps: Vec<(DetachedProgress, DetachedFolder)>,
    attempts: u32,
) -> Vec<(DetachedProgress, String, Gone)> {
    let never = CancellationToken::new();
    let connected = transport.connect(host, attempts.into(), &never).await;
    let session = connected.map_err(|error| match error {
        ConnectError::Unreachable { causes, .. } => causes.join(": "),
        error @ ConnectError::Cancelled => error.to_string(),
    });
    let mut ended = Vec::new();
    for (of, folder) in steps {
        let gone = match &session {
            Ok(session) => one(session, &of, &folder).await,
            Err(cause) => Err(cause.clone()),
        };
        ended.push((of, folder.path(), gone));
    }
    if let Ok(session) = session {
        session.close().await;
    }
    ended
}

/// Ends and removes a step; one that is over is only removed.
async fn one(session: &SshSession, of: &DetachedProgress, folder: &DetachedFolder) -> Gone {
    let sudo = user(of);
    let mut state = None;
    if !of.over {
        let said = ordered(session, &folder.end(&sudo)).await?;
        state = DetachedState::parse(said.as_bytes());
    }
    let said = ordered(session, &folder.remove(&sudo)).await?;
    match DetachedState::parse(said.as_bytes()) {
        Some(DetachedState::Absent) => Ok(state),
        _ => Err("its end could not be confirmed".to_owned()),
    }
}

/// What is said of a step that was ended or had ended.
fn words(state: DetachedState) -> String {
    match state {
        DetachedState::Ended(_, DetachedEnding::Asked { gone: true }) => "was ended".to_owned(),
        DetachedState::Ended(_, DetachedEnding::Asked { gone: false }) => {
            "was ended, and something that it started may still run".to_owned()
        }
        DetachedState::Ended(_, DetachedEnding::Limit { .. }) => {
            "had ended at its limit".to_owned()
        }
        DetachedState::Ended(code, _) => format!("had ended with exit {code}"),
        DetachedState::Void => "was never begun".to_owned(),
        DetachedState::Absent => "was never begun, or is gone".to_owned(),
        DetachedState::Rebooted => "ended with a restart of the host".to_owned(),
        _ => "had ended; how is not known".to_owned(),
    }
}
