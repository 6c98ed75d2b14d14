//! The way in: parses what was typed, reads the settings, hands over to a subcommand, returns its status.

use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::Arc;

use crate::cli::{self, ColorChoice, Command, ConfigArgs, Typed};
use crate::model::ExitStatus;
use crate::report::{self, ColourChoice, Console};

use super::environment::Environment;
use super::failure::Failure;
use super::settings::Settings;
use super::{adhoc, again, audit, doctor, history, hosts, lock, one_host, open_files, tasks};

/// What every subcommand is given.
pub(super) struct Context {
    /// What was typed and configured.
    pub(super) settings: Settings,
    /// Where texts go.
    pub(super) console: Arc<Console>,
    /// Our own colours.
    pub(super) colours: ColourChoice,
    /// The arguments, without the program's name.
    pub(super) argv: Vec<String>,
    /// What an earlier invocation was to do, where this one goes on with it.
    pub(super) command: Option<Command>,
}

/// What a thread's stack may grow to, bytes: groups and tasks within each other lie on it, in a debug build with some
/// 600 KiB each. Pages that are not touched cost nothing.
const STACK: usize = 16 << 20;

/// Runs fab-rs with these arguments, the program's name first.
pub fn main(args: Vec<OsString>) -> ExitCode {
    let typed = match cli::parse(args) {
        Ok(typed) => typed,
        Err(error) => return usage(&error),
    };
    ExitCode::from(enter(typed).code())
}

/// Help and version go to stdout with status 0, usage errors to stderr with 2.
fn usage(error: &clap::Error) -> ExitCode {
    // A reader that has had enough, as with `--help | head`, is no mistake of whoever asked.
    let printed = match error.print() {
        Err(error) => error.kind() == std::io::ErrorKind::BrokenPipe,
        Ok(()) => true,
    };
    let ok = !error.use_stderr() && printed;
    ExitCode::from(
        if ok {
            ExitStatus::Ok
        } else {
            ExitStatus::Refused
        }
        .code(),
    )
}

fn enter(typed: Typed) -> ExitStatus {
    let environment = match Environment::read() {
        Ok(environment) => environment,
        Err(error) => return end(&Console::new(ColourChoice::Never), &Failure::from(error)),
    };
    let no_color = environment.no_color;
    let settings = match Settings::new(environment, &typed.cli) {
        Ok(settings) => settings,
        Err(errors) => return end(&Console::new(ColourChoice::Auto), &Failure::refused(errors)),
    };
    let colours = match settings.color {
        ColorChoice::Always => ColourChoice::Always,
        ColorChoice::Auto if !no_color => ColourChoice::Auto,
        ColorChoice::Auto | ColorChoice::Never => ColourChoice::Never,
    };
    let console = Arc::new(Console::new(colours));
    typed.notes.iter().for_each(|note| console.remark(note));
    open_files::allow_many();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_stack_size(STACK)
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            return end(
                &console,
                &Failure::from(anyhow::Error::new(error).context("cannot start")),
            );
        }
    };
    let context = Context {
        settings,
        console: Arc::clone(&console),
        colours,
        argv: typed.argv,
        command: None,
    };
    let status = match runtime.block_on(dispatch(context, typed.cli.command)) {
        Ok(status) => status,
        Err(failure) => end(&console, &failure),
    };
    // A question that timed out still waits for a key in a blocking thread.
    runtime.shutdown_background();
    status
}

fn end(console: &Console, failure: &Failure) -> ExitStatus {
    if !failure.diagnostics.is_empty() {
        console.error(&failure.diagnostics);
    }
    failure.status
}

async fn dispatch(context: Context, command: Command) -> Result<ExitStatus, Failure> {
    match command {
        Command::Task(args) => Box::pin(adhoc::task(&context, args)).await,
        Command::Run(args) => adhoc::run(&context, args).await,
        Command::Plan(args) => adhoc::plan(&context, args).await,
        Command::Put(args) => adhoc::put(&context, args).await,
        Command::Get(args) => adhoc::get(&context, args).await,
        Command::Hosts(args) => hosts::hosts(&context, args).await,
        Command::List(args) => tasks::list(&context, &args),
        Command::Show(args) => tasks::show(&context, &args),
        Command::Check(args) => tasks::check(&context, &args),
        Command::Schema(args) => Ok(tasks::schema(&context, &args)),
        Command::Config(args) => Ok(config(&context, &args)),
        Command::Resume(args) => Box::pin(again::resume(&context, args)).await,
        Command::Retry(args) => Box::pin(again::retry(&context, args)).await,
        Command::Rollback(args) => Box::pin(again::rollback(&context, args)).await,
        Command::Abort(args) => Box::pin(audit::abort(&context, args)).await,
        Command::Runs(args) => history::runs(&context, &args),
        Command::Logs(args) => history::logs(&context, &args),
        Command::Report(args) => history::report(&context, &args),
        Command::Ssh(args) => one_host::ssh(&context, args).await,
        Command::Lock(command) => lock::lock(&context, command).await,
        Command::Doctor(args) => doctor::doctor(&context, args).await,
    }
}

/// Shows every value and where it comes from.
fn config(context: &Context, args: &ConfigArgs) -> ExitStatus {
    if context.settings.output.json {
        let values = context.settings.config.explain();
        let values = values.filter(|(_, value)| value.is_some() || args.explain);
        let row = |(key, value): (&str, Option<&super::config::Value>)| {
            serde_json::json!({
                "key": key,
                "value": value.map(|value| &value.text),
                "origin": value.map(|value| value.origin.to_string()),
            })
        };
        context.console.json(&values.map(row).collect());
        return ExitStatus::Ok;
    }
    for (key, value) in context.settings.config.explain() {
        match value {
            Some(value) => {
                let (text, origin) = (report::safe(&value.text), &value.origin);
                context
                    .console
                    .data(&format!("{key} = {text}  ({origin})\n"));
            }
            None if args.explain => context.console.data(&format!("{key} is not set\n")),
            None => {}
        }
    }
    ExitStatus::Ok
}
