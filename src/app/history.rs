//! `runs`, `logs`, `report`: what earlier runs left.

use anyhow::Context as _;

use crate::cli::{LogsArgs, ReportArgs, RunsArgs};
use crate::model::ExitStatus;
use crate::report::{self, LogLook, RemoteColours, RunStore};

use super::entry::Context;
use super::failure::Failure;
use super::invocation;

/// Runs that are listed.
const LISTED: usize = 50;

/// Lists earlier runs, the newest first.
///
/// # Errors
/// The state folder cannot be read, or there is no such run.
pub(super) fn runs(context: &Context, args: &RunsArgs) -> Result<ExitStatus, Failure> {
    let store = RunStore::new(&context.settings.state_dir);
    let runs = match &args.run {
        Some(run) => vec![store.find(run)?],
        None => store
            .newest(LISTED)
            .context("cannot read the records of runs")?,
    };
    if context.settings.output.json {
        context.console.json(&report::runs_json(&runs));
    } else if runs.is_empty() {
        let folder = context.settings.state_dir.display();
        context.console.note(&format!(
            "no runs yet: no record below {}",
            report::safe(&folder.to_string())
        ));
    } else {
        context
            .console
            .data(&report::runs_table(&runs, context.console.data_styles()));
    }
    Ok(ExitStatus::Ok)
}

/// Says how a run ended.
///
/// # Errors
/// There is no such run, or its record cannot be read.
pub(super) fn report(context: &Context, args: &ReportArgs) -> Result<ExitStatus, Failure> {
    let run = RunStore::new(&context.settings.state_dir).find(&args.run)?;
    if context.settings.output.json {
        context
            .console
            .json(&report::report_json(&run).context("cannot read the run's record")?);
    } else {
        let width = context.console.streams().width;
        let reach = invocation::reach_of(&run, context);
        let text = report::report_text(&run, reach, context.console.data_styles(), width);
        context
            .console
            .data(&text.context("cannot read the run's record")?);
    }
    Ok(ExitStatus::Ok)
}

/// Prints a run's output, of every host or of one.
///
/// # Errors
/// There is no such run or host, or a log cannot be read.
pub(super) fn logs(context: &Context, args: &LogsArgs) -> Result<ExitStatus, Failure> {
    let run = RunStore::new(&context.settings.state_dir).find(&args.run)?;
    let look = LogLook {
        prefixed: !context.settings.output.no_prefix,
        remote_colours: if context.settings.output.remote_color {
            RemoteColours::Kept
        } else {
            RemoteColours::Removed
        },
        json: context.settings.output.json,
    };
    report::print_logs(&run, args.host.as_deref(), look, &context.console)?;
    Ok(ExitStatus::Ok)
}
