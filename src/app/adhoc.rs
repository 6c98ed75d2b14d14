//! `TASK`, `plan`, and the ad-hoc commands `run`, `put` and `get`, which are tasks made on the spot.

use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;

use crate::cli::{AdhocArgs, Command, PlanArgs, TaskArgs, TransferArgs};
use crate::model::{Diagnostic, ExitStatus};
use crate::report;
use crate::task::Task;
use crate::task::adhoc::{self, AdHocManner};

use super::entry::Context;
use super::failure::Failure;
use super::fleet;
use super::kept_plan::Kept;
use super::library::TaskSource;
use super::prepared::{self, Prepared, Work};
use super::preview;
use super::run;

/// Runs a task of the library.
///
/// # Errors
/// There is no such task, or it was refused.
pub(super) async fn task(context: &Context, args: TaskArgs) -> Result<ExitStatus, Failure> {
    let source = TaskSource::load(&context.settings)?;
    let task = source.library.get(&args.name)?;
    let context = &with_kept_words(context, &task, &args.words)?;
    let work = Work {
        task,
        source: &source,
        words: &args.words,
        stdin_taken: false,
    };
    let prepared = prepared::prepare(context, work).await?;
    finish(context, prepared).await
}

/// The context with the selectors of `--plan FILE`, where none were typed.
pub(super) fn with_kept_words(
    context: &Context,
    task: &Task,
    words: &[String],
) -> Result<Context, Failure> {
    let mut settings = context.settings.clone();
    let params: Vec<&str> = task.params.keys().map(String::as_str).collect();
    if let Some(path) = &context.settings.run.strategy.plan
        && fleet::names_no_host(&settings, words, &params)
    {
        let kept = Kept::read(path)?.selectors();
        if !kept.is_empty() {
            let place = path.display();
            let words = kept.join(" ");
            let text = format!("the hosts are those of the plan `{place}`: {words}");
            context.console.remark(&text);
        }
        settings.selection.select = kept;
    }
    Ok(Context {
        settings,
        console: Arc::clone(&context.console),
        colours: context.colours,
        argv: context.argv.clone(),
        command: None,
    })
}

pub(super) async fn finish(context: &Context, prepared: Prepared) -> Result<ExitStatus, Failure> {
    if context.settings.run.dry_run {
        show(context, &prepared);
        return Ok(ExitStatus::Ok);
    }
    Box::pin(run::execute(context, prepared, None)).await
}

pub(super) fn show(context: &Context, prepared: &Prepared) {
    if context.settings.output.json {
        context.console.json(&prepared.json());
    } else {
        context.console.data(&report::plan_text(
            &prepared.plan,
            context.console.data_styles(),
        ));
    }
}

/// Shows what a task would do.
///
/// # Errors
/// There is no such task, it was refused, or the file cannot be written.
pub(super) async fn plan(context: &Context, args: PlanArgs) -> Result<ExitStatus, Failure> {
    let source = TaskSource::load(&context.settings)?;
    let task = source.library.get(&args.name)?;
    let work = Work {
        task,
        source: &source,
        words: &args.words,
        stdin_taken: false,
    };
    let prepared = prepared::prepare(context, work).await?;
    if args.probe {
        return preview::probe(context, prepared).await;
    }
    if let Some(path) = &args.out {
        let json = format!("{:#}\n", prepared.json());
        std::fs::write(path, json)
            .with_context(|| format!("cannot write the plan to `{}`", path.display()))?;
        context
            .console
            .remark(&format!("the plan is in `{}`", path.display()));
        return Ok(ExitStatus::Ok);
    }
    show(context, &prepared);
    Ok(ExitStatus::Ok)
}

/// Runs an ad-hoc command.
///
/// # Errors
/// There is no command, or it was refused.
pub(super) async fn run(context: &Context, args: AdhocArgs) -> Result<ExitStatus, Failure> {
    let is_script = args.command.as_slice() == ["-"];
    if is_script && context.settings.hosts_on_stdin() {
        let error = Diagnostic::new("`-H -` and `-- -` both read stdin, which can be read once");
        return Err(error
            .hint("give the hosts as `-H a,b`, or the script as a file: `fab-rs run … -- \"$(cat FILE)\"`")
            .hint("nothing was run")
            .into());
    }
    let manner = manner(context);
    let task = if is_script {
        adhoc::script(&read_script()?, &manner)?
    } else {
        adhoc::command(&args.command, &manner)?
    };
    go(context, task, &args.words, is_script).await
}

/// The task of what was typed without one, and its selectors; `None` for any other command. A script that came from
/// stdin is not there any more.
///
/// # Errors
/// As the commands themselves.
pub(super) fn typed<'a>(
    context: &Context,
    command: &'a Command,
) -> Result<Option<(Task, &'a [String])>, Failure> {
    let manner = manner(context);
    Ok(match command {
        Command::Run(args) => Some((adhoc::command(&args.command, &manner)?, &args.words)),
        Command::Put(args) => {
            readable(&context.settings.environment.cwd, &args.paths)?;
            Some((adhoc::put(&args.paths, &manner)?, &args.words))
        }
        Command::Get(args) => Some((adhoc::get(&args.paths, None, &manner)?, &args.words)),
        _ => None,
    })
}

/// `--sudo`, and whether batches make it a change.
fn manner(context: &Context) -> AdHocManner {
    let flags = &context.settings.run;
    AdHocManner {
        is_change: flags.strategy.batch.is_some() || flags.strategy.by.is_some(),
        sudo: flags.sudo.then(|| "root".to_owned()),
    }
}

fn read_script() -> Result<Vec<u8>, Failure> {
    let mut text = Vec::new();
    std::io::stdin()
        .lock()
        .read_to_end(&mut text)
        .context("cannot read the script from stdin")?;
    Ok(text)
}

async fn go(
    context: &Context,
    task: Task,
    words: &[String],
    stdin_taken: bool,
) -> Result<ExitStatus, Failure> {
    let source = TaskSource::load(&context.settings)?;
    let work = Work {
        task: Arc::new(task),
        source: &source,
        words,
        stdin_taken,
    };
    let prepared = prepared::prepare(context, work).await?;
    finish(context, prepared).await
}

/// Copies files to hosts.
///
/// # Errors
/// There is no destination, a file is not there, or it was refused.
pub(super) async fn put(context: &Context, args: TransferArgs) -> Result<ExitStatus, Failure> {
    let task = adhoc::put(&args.paths, &manner(context))?;
    readable(&context.settings.environment.cwd, &args.paths)?;
    go(context, task, &args.words, false).await
}

/// That all sources of a `put` are there, before any host is asked: each would only say the same.
fn readable(cwd: &Path, paths: &[String]) -> Result<(), Diagnostic> {
    let sources = paths.split_last().map_or(paths, |(_, sources)| sources);
    for source in sources {
        if let Err(error) = std::fs::metadata(cwd.join(source)) {
            return Err(Diagnostic::new(format!("cannot read `{source}`: {error}"))
                .hint("nothing was sent to any host"));
        }
    }
    Ok(())
}

/// Copies files from hosts.
///
/// # Errors
/// It was refused.
pub(super) async fn get(context: &Context, args: TransferArgs) -> Result<ExitStatus, Failure> {
    let task = adhoc::get(&args.paths, None, &manner(context))?;
    go(context, task, &args.words, false).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_put_names_the_source_that_is_not_there() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a"), "x").unwrap();
        let put = |paths: &[&str]| {
            let paths: Vec<String> = paths.iter().map(|&path| path.to_owned()).collect();
            readable(folder.path(), &paths)
        };
        assert!(
            put(&["a", "/etc/not-here"]).is_ok(),
            "the last is the host's"
        );
        let error = put(&["a", "b", "/tmp/"]).unwrap_err();
        assert!(
            error.message.starts_with("cannot read `b`: "),
            "{}",
            error.message
        );
    }
}
