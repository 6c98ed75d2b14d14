//! What was typed for an earlier run, as this process is to do it again: its words and flags, in its working directory,
//! with the output of now. What the run has done since is `stored`'s.

use std::ffi::OsString;
use std::sync::Arc;

use crate::cli::{self, SelectionFlags, Typed};
use crate::inventory::InventoryRef;
use crate::model::Diagnostic;
use crate::report::{Reach, StoredRun};
use crate::run::journal::Opening;

use super::entry::Context;
use super::failure::Failure;
use super::kept_plan;
use super::settings::Settings;

/// Has what was typed relative to the working directory of then stay there, wherever this is typed.
fn anchor(settings: &mut Settings) {
    let cwd = &settings.environment.cwd;
    let paths = [
        &mut settings.run.params_file,
        &mut settings.run.file,
        &mut settings.ssh.flags.identity,
    ];
    for path in paths.into_iter().flatten() {
        *path = cwd.join(&*path);
    }
    if let Some(inventory) = &mut settings.inventory
        && let InventoryRef::Path(path) = InventoryRef::new(inventory)
    {
        *inventory = cwd.join(path).to_string_lossy().into_owned();
        if let Some(typed) = &mut settings.selection.inventory {
            typed.clone_from(inventory);
        }
    }
}

/// What a command needs to mean the hosts of this invocation: flags alone, as configuration and environment say the
/// same to the next one; and these terms.
pub(super) fn reach(settings: &Settings, terms: &[String]) -> Reach {
    let (selection, ssh) = (&settings.selection, &settings.ssh.flags);
    let identity = ssh.identity.as_ref().map(|path| path.to_string_lossy());
    let regions = selection.region.iter();
    let regions = regions.map(|region| ("--region", Some(region.as_str())));
    let first = [("-I", selection.inventory.as_deref())].into_iter();
    let flags = first.chain(regions).chain([
        ("--profile", selection.profile.as_deref()),
        ("-u", ssh.user.as_deref()),
        ("-i", identity.as_deref()),
        ("-J", ssh.jump.as_deref()),
    ]);
    let hosts = selection.hosts.iter().filter(|host| *host != "-");
    let hosts = hosts.flat_map(|host| ["-H", host]);
    let less = selection.exclude.iter().flat_map(|term| ["-x", term]);
    let words = terms.iter().map(String::as_str);
    Reach::new(flags).of_hosts(words.chain(hosts).chain(less))
}

/// What a command needs to mean the hosts of an earlier run, as far as its record says it.
pub(super) fn reach_of(run: &StoredRun, now: &Context) -> Reach {
    let opening = run.opening.as_ref();
    let then = opening.and_then(|opening| then(run, opening, now).ok());
    let Some((_, settings)) = then else {
        return Reach::default();
    };
    reach(&settings, &kept_plan::terms(&run.path))
}

/// The invocation of a run, as this one is to do it.
///
/// # Errors
/// What was typed is not in the journal, or not understood.
pub(super) fn again(run: &StoredRun, opening: &Opening, now: &Context) -> Result<Context, Failure> {
    let (typed, mut settings) = then(run, opening, now)?;
    let is_inventory = |word: &String| word.starts_with("-I") || word.starts_with("--inventory");
    if now.argv.iter().any(is_inventory) && now.settings.inventory != settings.inventory {
        let text = "the inventory is the one of the run: what is named now is not read";
        now.console.warn(text);
    }
    settings.output = now.settings.output.clone();
    settings.color = now.settings.color;
    settings.state_dir.clone_from(&now.settings.state_dir);
    settings.run.yes = now.settings.run.yes;
    settings.run.dry_run = now.settings.run.dry_run;
    settings.run.lock_wait = now.settings.run.lock_wait.or(settings.run.lock_wait);
    if settings.hosts_on_stdin() {
        // Whoever wrote them there has gone; the run knows who they were.
        let hosts = opening.population.iter();
        settings.selection.hosts = hosts.map(|id| id.as_str().to_owned()).collect();
    }
    if settings.run.strategy.plan.is_some() {
        settings.run.strategy.plan = Some(run.path.join("plan.json"));
    }
    settings.ask_sudo |= now.settings.ask_sudo;
    Ok(Context {
        settings,
        console: Arc::clone(&now.console),
        colours: now.colours,
        argv: typed.argv,
        command: Some(typed.cli.command),
    })
}

/// What was typed for a run, and what it means where that was typed.
fn then(run: &StoredRun, opening: &Opening, now: &Context) -> Result<(Typed, Settings), Failure> {
    let typed = &opening.typed;
    let argv = typed["argv"].as_array().into_iter().flatten();
    let argv: Vec<OsString> = argv
        .filter_map(|word| word.as_str().map(OsString::from))
        .collect();
    let cwd = typed["cwd"].as_str();
    let (Some(cwd), false) = (cwd, argv.is_empty()) else {
        let message = format!("the journal of run {} does not say what was typed", run.id);
        return Err(Diagnostic::new(message).into());
    };
    let words = std::iter::once(OsString::from("fab-rs")).chain(argv);
    let typed = cli::parse(words.collect()).map_err(|error| {
        anyhow::anyhow!(
            "what was typed for run {} is not understood: {error}",
            run.id
        )
    })?;
    let mut environment = now.settings.environment.clone();
    environment.cwd = cwd.into();
    let mut settings = Settings::new(environment, &typed.cli)?;
    anchor(&mut settings);
    Ok((typed, settings))
}

/// The invocation of a run, as one that names its hosts by their ids and says nothing else of them.
///
/// # Errors
/// As [`again`].
pub(super) fn by_host(
    run: &StoredRun,
    opening: &Opening,
    now: &Context,
) -> Result<Context, Failure> {
    let mut context = again(run, opening, now)?;
    let typed = std::mem::take(&mut context.settings.selection);
    let hosts = opening.population.iter();
    context.settings.selection = SelectionFlags {
        hosts: hosts.map(|id| id.as_str().to_owned()).collect(),
        inventory: typed.inventory,
        region: typed.region,
        profile: typed.profile,
        ..SelectionFlags::default()
    };
    context.settings.run.set.clear();
    Ok(context)
}
