//! `hosts`: who would be touched.

use std::collections::HashSet;
use std::sync::Arc;

use crate::cli::HostsArgs;
use crate::inventory::{self, Inventory, Selected};
use crate::model::{ExitStatus, Host, HostId, Source, SourceSpan, format_duration};
use crate::report::{self, FoldedHosts};
use crate::task::{Quoting, Scope, Template};

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
    let words = if nothing_named {
        vec!["all".to_owned()]
    } else {
        args.words.clone()
    };
    let typed = Typed::new(settings, &words)?;
    let fleet = fleet::load(settings, typed, &[], false).await?;
    fleet
        .inventory
        .notes
        .iter()
        .for_each(|note| context.console.remark(note));
    let selected = fleet.survey(settings)?;
    selected
        .warnings
        .iter()
        .for_each(|warning| context.console.warn(warning));
    let targets = targets(&selected);
    for problem in targets
        .iter()
        .filter_map(|host| fleet.inventory.problem(&host.id))
    {
        context.console.warn(&problem.message);
    }
    if args.count {
        context.console.data(&format!("{}\n", targets.len()));
    } else if args.fold {
        show_fold(context, &fleet.inventory, &targets);
    } else if let Some(template) = &args.format {
        context
            .console
            .data(&formatted(context, template, &targets)?);
    } else if settings.output.json {
        let rows = inventory::rows(targets.iter().copied());
        let value = serde_json::to_value(rows).expect("rows are plain data");
        context.console.json(&value);
    } else {
        let styles = context.console.data_styles();
        context
            .console
            .data(&report::hosts_table(targets.iter().copied(), styles));
        tell_sources(context, &fleet.inventory);
    }
    Ok(ExitStatus::Ok)
}

/// The hosts that would be touched.
fn targets(selected: &Selected) -> Vec<&Host> {
    let touched: HashSet<&HostId> = selected.targets.iter().collect();
    selected
        .population
        .iter()
        .filter(|host| touched.contains(&host.id))
        .collect()
}

fn show_fold(context: &Context, inventory: &Inventory, targets: &[&Host]) {
    let folds = inventory::fold(targets.iter().copied(), &inventory.tags);
    let groups = folds.iter().map(|fold| FoldedHosts {
        role: fold.role.as_deref(),
        zone: &fold.zone,
        hosts: &fold.hosts,
    });
    let styles = context.console.data_styles();
    context.console.data(&report::folded_table(groups, styles));
}

/// How old a kept answer is, so that nobody takes it for the present.
fn tell_sources(context: &Context, inventory: &Inventory) {
    for source in &inventory.sources {
        if let Some(age) = source.age {
            let age = format_duration(age);
            context.console.remark(&format!(
                "{}: answered {age} ago; `--refresh` asks again",
                source.name
            ));
        }
    }
}

/// `--format`: a template for each host, its lines ended.
fn formatted(context: &Context, template: &str, targets: &[&Host]) -> Result<String, Failure> {
    let source = Arc::new(Source {
        path: "--format".into(),
        text: template.to_owned(),
    });
    let span = SourceSpan::new(&source, 0..template.len());
    let template = Template {
        source: template.to_owned(),
        quoting: Quoting::Plain,
        span,
        registers: Vec::new(),
    };
    let engine = super::prepared::engine(&context.settings);
    let mut text = String::new();
    for (index, host) in targets.iter().enumerate() {
        let host = Arc::new(Host::clone(host));
        let scope = Scope::new(Arc::default()).with_host(&host, index);
        text.push_str(&engine.render(&template, &scope)?);
        text.push('\n');
    }
    Ok(text)
}
