//! `hosts`: who would be touched.

use crate::cli::HostsArgs;
use crate::inventory::{self, Selected};
use crate::model::{Diagnostic, ExitStatus, Host};
use crate::report;

use super::entry::Context;
use super::failure::Failure;
use super::fleet::{self, Typed};

/// Shows the hosts that a selection names.
///
/// # Errors
/// The inventory gave no answer, or no host matches.
pub(super) async fn hosts(context: &Context, args: HostsArgs) -> Result<ExitStatus, Failure> {
    let settings = &context.settings;
    let nothing_named = args.words.is_empty()
        && settings.selection.hosts.is_empty()
        && settings.selection.role.is_empty()
        && settings.selection.select.is_empty();
    // Looking touches nothing, so here alone no selector means everyone.
    let words = if nothing_named { vec!["all".to_owned()] } else { args.words.clone() };
    let typed = Typed::new(settings, &words)?;
    let fleet = fleet::load(settings, typed, &[], false).await?;
    fleet.inventory.notes.iter().for_each(|note| context.console.remark(note));
    let selected = fleet.select(settings, Vec::new())?;
    selected.warnings.iter().for_each(|warning| context.console.warn(warning));
    let targets = targets(&selected);
    if args.count {
        context.console.data(&format!("{}\n", targets.len()));
    } else if args.fold {
        show_fold(context, &fleet.inventory, &targets);
    } else if let Some(template) = &args.format {
        context.console.data(&formatted(template, &targets)?);
    } else if settings.output.json {
        let rows = inventory::rows(targets.iter().copied());
        let value = serde_json::to_value(rows).expect("rows are plain data");
        context.console.json(&value);
    } else {
        let rows = inventory::rows(targets.iter().copied());
        context.console.data(&report::hosts_table(&rows, context.console.data_styles()));
        show_sources(context, &fleet.inventory, &selected);
    }
    Ok(ExitStatus::Ok)
}
