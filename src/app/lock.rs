//! `lock status` and `lock release`: who holds what on these hosts, and letting go of what nobody needs any more.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::cli::{LockCommand, LockReleaseArgs, LockStatusArgs};
use crate::lock::{self, Found, Gathered, Order, Verb};
use crate::model::{Diagnostic, ExitStatus, Host, RunId, Stream};
use crate::report::{self, RunState, RunStore};
use crate::transport::{
    ConnectError, Exit, Output, RemoteCommand, Session as _, SshSession, SshTransport, Sudo,
    Transport as _,
};

use super::entry::Context;
use super::failure::Failure;
use super::fleet::{self, Typed};
use super::invocation;
use super::one_host;

/// Shows or releases locks.
///
/// # Errors
/// The inventory gave no answer, no host matches, or it is not clear which lock is meant.
pub(super) async fn lock(context: &Context, command: LockCommand) -> Result<ExitStatus, Failure> {
    let words = match &command {
        LockCommand::Status(args) => &args.words,
        LockCommand::Release(args) => &args.words,
    };
    let of_run = of_run(context, &command)?;
    let (context, words) = match &of_run {
        Some(of_run) => (of_run, &[][..]),
        None => (context, &words[..]),
    };
    let hosts = hosts(context, words).await?;
    let transport = Arc::new(one_host::transport(context)?);
    let asked = asked(context, &transport, hosts).await;
    let ended = match &command {
        LockCommand::Status(args) => Ok(status(context, &asked, args)),
        LockCommand::Release(args) => release(context, &asked, args).await,
    };
    close(asked).await;
    transport.shutdown().await;
    ended
}

/// Where a run is named and no host: the invocation of that run, for its own hosts, if its record is here.
///
/// # Errors
/// What was typed for it is not understood any more.
fn of_run(context: &Context, command: &LockCommand) -> Result<Option<Context>, Failure> {
    let LockCommand::Release(args) = command else {
        return Ok(None);
    };
    let settings = &context.settings;
    let Some(word) = &args.run else {
        return Ok(None);
    };
    if !fleet::names_no_host(settings, &args.words, &[]) {
        return Ok(None);
    }
    let run = RunStore::new(&settings.state_dir).find(word)?;
    let Some(opening) = &run.opening else {
        let message = format!(
            "the record of run {} does not say which hosts it had",
            run.id
        );
        let error = Diagnostic::new(message).hint(format!(
            "name them: `fab-rs lock release SELECTOR… --run {}`",
            run.id
        ));
        return Err(error.hint("nothing was released").into());
    };
    invocation::by_host(&run, opening, context).map(Some)
}

/// Lets go of whatever locks a run has on these hosts; whether every host answered and none is left.
///
/// # Errors
/// Hosts cannot be asked at all.
pub(super) async fn let_go(
    context: &Context,
    hosts: Vec<Host>,
    run: &RunId,
) -> Result<bool, Failure> {
    let transport = Arc::new(one_host::transport(context)?);
    let asked = asked(context, &transport, hosts).await;
    let (mut locks, mut all_gone) = locks(context, &asked, None);
    locks.retain(|lock| {
        let note = lock.best.note.as_ref();
        note.is_some_and(|note| note.run == *run)
    });
    for found in locks.iter().flat_map(|lock| &lock.found) {
        all_gone &= release_one(context, &asked, found, false).await;
    }
    close(asked).await;
    transport.shutdown().await;
    Ok(all_gone)
}

async fn close(asked: Vec<Asked>) {
    for asked in asked {
        if let Ok((session, _)) = asked.answer {
            session.close().await;
        }
    }
}

/// The hosts that are meant.
async fn hosts(context: &Context, words: &[String]) -> Result<Vec<Host>, Failure> {
    let settings = &context.settings;
    let typed = Typed::new(settings, words)?;
    let fleet = fleet::load(settings, typed, &[], false).await?;
    for note in &fleet.inventory.notes {
        context.console.remark(note);
    }
    let selected = fleet.select(settings, Vec::new())?;
    for warning in &selected.warnings {
        context.console.warn(warning);
    }
    let targets = selected.targets;
    let mut hosts = selected.population;
    hosts.retain(|host| targets.contains(&host.id));
    Ok(hosts)
}

/// A host and its locks, or why it does not tell.
struct Asked {
    host: Host,
    answer: Result<(SshSession, Vec<Found>), String>,
}

/// Asks every host, in their order.
async fn asked(context: &Context, transport: &Arc<SshTransport>, hosts: Vec<Host>) -> Vec<Asked> {
    let attempts = context.settings.attempts;
    let places = Arc::new(Semaphore::new(context.settings.fanout(None).get()));
    let mut asking = JoinSet::new();
    for (number, host) in hosts.into_iter().enumerate() {
        let (transport, places) = (Arc::clone(transport), Arc::clone(&places));
        asking.spawn(async move {
            let _place = places.acquire_owned().await;
            let answer = ask(&transport, &host, attempts).await;
            (number, Asked { host, answer })
        });
    }
    let mut asked = Vec::new();
    while let Some(joined) = asking.join_next().await {
        match joined {
            Ok(one) => asked.push(one),
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
    asked.sort_by_key(|(number, _)| *number);
    asked.into_iter().map(|(_, asked)| asked).collect()
}

async fn ask(
    transport: &SshTransport,
    host: &Host,
    attempts: u32,
) -> Result<(SshSession, Vec<Found>), String> {
    let never = CancellationToken::new();
    let connected = transport.connect(host, attempts.into(), &never).await;
    let session = connected.map_err(|error| match error {
        ConnectError::Unreachable { causes, .. } => causes.join(": "),
        error @ ConnectError::Cancelled => error.to_string(),
    })?;
    let said = ordered(&session, &Order::list().command(Sudo::No)).await?;
    let found = lock::parse_list(&host.label, &said);
    Ok((session, found))
}

/// What a host said to an order, or why nothing came of it.
pub(super) async fn ordered(
    session: &SshSession,
    command: &RemoteCommand,
) -> Result<String, String> {
    let mut said = Said::default();
    let stop = CancellationToken::new();
    let report = tokio::time::timeout(lock::LIMIT, session.exec(command, &mut said, &stop)).await;
    let report = report.map_err(|_| "it does not answer".to_owned())?;
    if let Some(words) = report.sudo_refused {
        return Err(format!("sudo refuses: {words}"));
    }
    match report.exit {
        Exit::Code(0) => Ok(String::from_utf8_lossy(&said.stdout).into_owned()),
        Exit::Code(code) => {
            let words = String::from_utf8_lossy(&said.stderr);
            let last = words.lines().rfind(|line| !line.trim().is_empty());
            Err(last.map_or_else(|| format!("its `sh` ended with {code}"), str::to_owned))
        }
        Exit::Lost => Err("the connection was lost".to_owned()),
    }
}

/// What an order printed.
#[derive(Default)]
struct Said {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl Output for Said {
    async fn chunk(&mut self, stream: Stream, bytes: &[u8]) {
        match stream {
            Stream::Stdout => self.stdout.extend_from_slice(bytes),
            Stream::Stderr => self.stderr.extend_from_slice(bytes),
        }
    }
}

/// The locks that were found, those of a key alone where one is named; hosts that do not tell are warned of.
fn locks(context: &Context, asked: &[Asked], key: Option<&str>) -> (Vec<Gathered>, bool) {
    let mut found = Vec::new();
    let mut all_told = true;
    for Asked { host, answer } in asked {
        match answer {
            Ok((_, locks)) => found.extend(locks.iter().cloned()),
            Err(cause) => {
                all_told = false;
                let text = format!("{}: its locks are not known: {cause}", host.label);
                context.console.warn(&report::safe(&text));
            }
        }
    }
    let mut locks = lock::gather(found);
    locks.retain(|lock| key.is_none_or(|key| lock.key() == key));
    (locks, all_told)
}

fn status(context: &Context, asked: &[Asked], args: &LockStatusArgs) -> ExitStatus {
    let (locks, all_told) = locks(context, asked, args.key.as_deref());
    if context.settings.output.json {
        let locks = locks.iter().map(Gathered::to_json);
        context
            .console
            .json(&serde_json::Value::Array(locks.collect()));
    } else if locks.is_empty() && !all_told {
        context
            .console
            .note("no lock is known; not every host could be asked");
    } else if locks.is_empty() {
        context.console.note("no lock is held there");
    } else {
        let styles = context.console.data_styles();
        context.console.data(&report::locks_text(&locks, styles));
    }
    if all_told {
        ExitStatus::Ok
    } else {
        ExitStatus::Unreachable
    }
}

async fn release(
    context: &Context,
    asked: &[Asked],
    args: &LockReleaseArgs,
) -> Result<ExitStatus, Failure> {
    let (mut locks, all_told) = locks(context, asked, args.key.as_deref());
    if let Some(run) = &args.run {
        // `last` is the newest of this machine.
        let last = (run == "last").then(|| RunStore::new(&context.settings.state_dir).find(run));
        let last = last.transpose()?.map(|last| last.id.to_string());
        let run = last.as_ref().unwrap_or(run);
        let is_of = |lock: &Gathered| {
            let note = lock.best.note.as_ref();
            note.is_some_and(|note| {
                let id = note.run.as_str();
                let end = id.rsplit('-').next();
                id == run || id.starts_with(run.as_str()) && !run.is_empty() || end == Some(run)
            })
        };
        locks.retain(is_of);
    }
    if locks.is_empty() {
        context.console.note("no such lock is held there");
        return Ok(if all_told {
            ExitStatus::Ok
        } else {
            ExitStatus::Unreachable
        });
    }
    may_release(context, &locks, args)?;
    let mut all_gone = all_told;
    for lock in &locks {
        for found in &lock.found {
            all_gone &= release_one(context, asked, found, args.force).await;
        }
    }
    Ok(if all_gone {
        ExitStatus::Ok
    } else {
        ExitStatus::HostsFailed
    })
}

/// Whether these may be released as asked for.
fn may_release(
    context: &Context,
    locks: &[Gathered],
    args: &LockReleaseArgs,
) -> Result<(), Failure> {
    let refused = |message: String, hints: &[String]| {
        let error = Diagnostic::new(message);
        let error = hints
            .iter()
            .fold(error, |error, hint| error.hint(hint.clone()));
        Failure {
            status: ExitStatus::Locked,
            diagnostics: vec![error.hint("nothing was released")],
        }
    };
    if locks.len() > 1 && args.run.is_none() && args.key.is_none() {
        let which: Vec<String> = locks.iter().map(|lock| lock::held(&lock.best)).collect();
        return Err(refused(
            format!("{} locks are held there: which one is meant?", locks.len()),
            &[
                which,
                vec!["`--run RUN` or `--key KEY` names it".to_owned()],
            ]
            .concat(),
        ));
    }
    if args.force {
        return Ok(());
    }
    let user = &context.settings.environment.user;
    for lock in locks {
        let held = lock::held(&lock.best);
        let of_other = lock
            .best
            .note
            .as_ref()
            .is_none_or(|note| note.user != *user);
        if of_other {
            let hint = "it is not yours: `--force` releases it, through sudo where the host's user is another";
            return Err(refused(held, &[hint.to_owned()]));
        }
        if !lock.is_left() && !is_over_here(context, lock) {
            let hint = "its run is at work, as far as can be seen here: `--force` releases it all the same, and another run may \
                        begin beside it";
            return Err(refused(held, &[hint.to_owned()]));
        }
    }
    Ok(())
}

/// Whether the holder's record is on this machine, and says that no process of it lives: whatever its heartbeat says,
/// and also where the host that heard it is not asked.
fn is_over_here(context: &Context, lock: &Gathered) -> bool {
    let Some(note) = &lock.best.note else {
        return false;
    };
    let run = RunStore::new(&context.settings.state_dir).find(note.run.as_str());
    run.is_ok_and(|run| run.id == note.run && run.state != RunState::Running)
}

/// Releases a lock on one host; whether it is gone.
async fn release_one(context: &Context, asked: &[Asked], found: &Found, force: bool) -> bool {
    let session = asked.iter().find_map(|asked| match &asked.answer {
        Ok((session, _)) if asked.host.label == found.host => Some(session),
        _ => None,
    });
    let Some(session) = session else {
        return false;
    };
    let token = found.note.as_ref().map(|note| &note.token);
    let order = Order::new(&found.folder, Verb::Release(token));
    let mut said = ordered(session, &order.command(Sudo::No)).await;
    let mut how = "";
    if let Err(cause) = &said
        && force
    {
        let root = Sudo::User("root".to_owned());
        let by_root = ordered(session, &order.command(root)).await;
        said = by_root.map_err(|refusal| format!("{cause}; through sudo: {refusal}"));
        how = ", through sudo: the lock is another user's there";
    }
    let (text, gone) = match said {
        Ok(said) if said.starts_with("released") => (format!("released{how}"), true),
        Ok(_) => ("was not there any more".to_owned(), true),
        Err(cause) => (format!("cannot be released: {cause}"), false),
    };
    let key = found.note.as_ref().map_or(&found.folder, |note| &note.key);
    let line = format!("{}: `{key}` {text}", found.host);
    if gone {
        context.console.note(&report::safe(&line));
    } else {
        context.console.warn(&report::safe(&line));
    }
    gone
}
