//! A plan as text: `plan TASK`, and what is shown before the start gate. Pure.
//!
//! Steps that are the same for every host are shown once; where they differ, each form with the hosts that
//! it is for. Secrets have no form here: a [`ParamValue::Secret`](crate::task::ParamValue) prints `***`.

use std::fmt::Write as _;
use std::sync::Arc;

use indexmap::IndexMap;

use crate::model::Label;
use crate::plan::{Batch, By, HostPlan, Phase, Plan, WorstOut};
use crate::task::{GateAt, Kind, ParamValue, Step};

use super::fold::fold_within;
use super::grammar::counted;
use super::sanitize::safe;
use super::steps::{StepText, step_texts};
use super::style::{Role, Styles};
use super::summary::quoted;

/// Forms of one step that are shown; the others are counted.
const MAX_FORMS: usize = 4;

/// The plan; each line is ended.
pub fn plan_text(plan: &Plan, styles: Styles, width: usize) -> String {
    let page = Page { styles, width };
    let mut out = String::new();
    page.head(&mut out, plan);
    page.controller_steps(&mut out, "before, here", &plan.before);
    let several = plan.phases.len() > 1;
    for phase in &plan.phases {
        page.phase(&mut out, phase, several);
    }
    page.controller_steps(
        &mut out,
        "after, here, if everything succeeded",
        &plan.after,
    );
    page.gates(&mut out, plan);
    for warning in &plan.warnings {
        let lead = styles.paint(Role::Warning, "warning:");
        let _ = writeln!(out, "{lead} {}", safe(warning));
    }
    out
}

/// One line for the start gate: `restart on 12 hosts in 3 zones, 2 at a time`.
pub fn plan_line(plan: &Plan) -> String {
    let zones: std::collections::BTreeSet<String> = plan
        .phases
        .iter()
        .flat_map(hosts_of)
        .map(|host| host.host.zone().to_string())
        .collect();
    let most = plan
        .phases
        .iter()
        .map(|phase| phase.worst_out.overall)
        .max()
        .unwrap_or(0);
    let at_once = if most < plan.targets.len() {
        format!(", {most} at a time")
    } else {
        String::new()
    };
    format!(
        "{} on {} in {}{at_once}",
        safe(&plan.task.name),
        counted(plan.targets.len(), "host"),
        counted(zones.len(), "zone")
    )
}

fn hosts_of(phase: &Phase) -> impl Iterator<Item = &HostPlan> {
    phase.batches.iter().flat_map(|batch| &batch.hosts)
}

struct Page {
    styles: Styles,
    width: usize,
}

impl Page {
    fn head(&self, out: &mut String, plan: &Plan) {
        let name = self.styles.paint(Role::Strong, safe(&plan.task.name));
        let kind = match plan.kind {
            Kind::Read => "read",
            Kind::Change => "change",
        };
        let of = match plan.population.len() {
            all if all == plan.targets.len() => String::new(),
            all => format!(" of {all}"),
        };
        let lock = plan
            .lock
            .as_ref()
            .map(|lock| format!(", lock {}", safe(lock)));
        let hosts = counted(plan.targets.len(), "host");
        let _ = writeln!(
            out,
            "{name} ({kind})  {hosts}{of}{}",
            lock.unwrap_or_default()
        );
        if !plan.task.desc.is_empty() {
            let _ = writeln!(out, "  {}", safe(&plan.task.desc));
        }
        if !plan.params.is_empty() {
            let _ = writeln!(out, "  with {}", params_line(&plan.params));
        }
        self.differing_params(out, plan);
    }

    /// Params that are resolved per host, by their values.
    fn differing_params(&self, out: &mut String, plan: &Plan) {
        let mut values: IndexMap<String, Vec<&str>> = IndexMap::new();
        for host in plan.phases.iter().take(1).flat_map(hosts_of) {
            let own: IndexMap<String, ParamValue> = host
                .params
                .iter()
                .filter(|(name, value)| plan.params.get(*name) != Some(value))
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect();
            if !own.is_empty() {
                values
                    .entry(params_line(&own))
                    .or_default()
                    .push(host.host.label.as_str());
            }
        }
        for (line, hosts) in values {
            let hosts = fold_within(hosts, self.width / 2);
            let _ = writeln!(out, "  with {line} on {}", safe(&hosts));
        }
    }

    fn controller_steps(&self, out: &mut String, title: &str, steps: &[Step]) {
        if steps.is_empty() {
            return;
        }
        self.title(out, title);
        for text in step_texts(steps) {
            self.step(out, &text, "");
        }
    }

    fn title(&self, out: &mut String, title: &str) {
        let title = self.styles.paint(Role::Strong, format!("{title}:"));
        let _ = writeln!(out, "\n{title}");
    }

    fn phase(&self, out: &mut String, phase: &Phase, several: bool) {
        if several {
            self.title(out, &format!("phase {}", safe(&phase.name)));
        } else {
            out.push('\n');
        }
        let _ = writeln!(out, "{}", strategy_line(phase));
        for batch in &phase.batches {
            self.batch(out, batch, phase.batches.len());
        }
        let hosts: Vec<&HostPlan> = hosts_of(phase).collect();
        self.host_steps(out, "steps on each host", &hosts, |host| &host.steps);
        self.host_steps(out, "on a host where one fails", &hosts, |host| {
            &host.rescue
        });
        self.host_steps(
            out,
            "at the end of each host, whatever happened",
            &hosts,
            |host| &host.always,
        );
    }

    fn batch(&self, out: &mut String, batch: &Batch, count: usize) {
        let labels = batch.hosts.iter().map(|host| host.host.label.as_str());
        let hosts = fold_within(labels, self.width.saturating_sub(30).max(30));
        let zone = match &batch.zone {
            Some(zone) => format!("{}  ", safe(zone.as_str())),
            None => String::new(),
        };
        let canary = if batch.canary { "  (canary)" } else { "" };
        let number = if count > 1 {
            format!("batch {}  ", batch.index + 1)
        } else {
            String::new()
        };
        let size = batch.hosts.len();
        let _ = writeln!(out, "  {number}{zone}{} ({size}){canary}", safe(&hosts));
    }

    /// Steps that differ between hosts are shown in each of their forms.
    fn host_steps(
        &self,
        out: &mut String,
        title: &str,
        hosts: &[&HostPlan],
        of: fn(&HostPlan) -> &Arc<[Step]>,
    ) {
        let mut known: Vec<(&Arc<[Step]>, Vec<StepText>)> = Vec::new();
        let mut forms: IndexMap<(usize, StepText), Vec<&Label>> = IndexMap::new();
        for host in hosts {
            let steps = of(host);
            let texts = match known.iter().find(|(same, _)| Arc::ptr_eq(same, steps)) {
                Some((_, texts)) => texts.clone(),
                None => {
                    known.push((steps, step_texts(steps)));
                    known[known.len() - 1].1.clone()
                }
            };
            for (index, text) in texts.into_iter().enumerate() {
                forms
                    .entry((index, text))
                    .or_default()
                    .push(&host.host.label);
            }
        }
        if forms.is_empty() {
            return;
        }
        self.title(out, title);
        forms.sort_by(|(left, _), _, (right, _), _| left.cmp(right));
        let mut shown = (usize::MAX, 0);
        for ((index, text), labels) in &forms {
            shown = if shown.0 == *index {
                (*index, shown.1 + 1)
            } else {
                (*index, 1)
            };
            if shown.1 > MAX_FORMS {
                continue;
            }
            let whom = if labels.len() == hosts.len() {
                String::new()
            } else {
                let folded = fold_within(labels.iter().map(|label| label.as_str()), self.width / 2);
                format!("on {}", safe(&folded))
            };
            self.step(out, text, &whom);
            let all = forms.keys().filter(|(other, _)| other == index).count();
            if shown.1 == MAX_FORMS && all > MAX_FORMS {
                let rest = counted(all - MAX_FORMS, "other form");
                let _ = writeln!(out, "     and {rest}: `plan --json` has them");
            }
        }
    }

    fn step(&self, out: &mut String, text: &StepText, whom: &str) {
        let name = self.styles.paint(Role::Strong, &text.name);
        let mut how = text.how.clone();
        if !whom.is_empty() {
            how.push(whom.to_owned());
        }
        let how = match how.len() {
            0 => String::new(),
            _ => self
                .styles
                .paint(Role::Dim, format!("  [{}]", how.join(", ")))
                .to_string(),
        };
        let _ = writeln!(out, "  {}. {name}{how}", text.number);
        for line in &text.lines {
            let _ = writeln!(out, "     {line}");
        }
    }

    fn gates(&self, out: &mut String, plan: &Plan) {
        if plan.confirm.is_empty() {
            return;
        }
        let places: Vec<&str> = plan.confirm.iter().map(|gate| gate_words(*gate)).collect();
        let lead = self.styles.paint(Role::Strong, "asks");
        let _ = writeln!(out, "\n{lead} {}", places.join(", "));
    }
}

/// Where a gate asks.
pub(crate) fn gate_words(gate: GateAt) -> &'static str {
    match gate {
        GateAt::Start => "before the first host",
        GateAt::Canary => "after the canary",
        GateAt::Zone => "after each zone",
        GateAt::Batch => "after each batch",
        GateAt::Phase => "after each phase",
    }
}

fn params_line(params: &IndexMap<String, ParamValue>) -> String {
    let params: Vec<String> = params
        .iter()
        .map(|(name, value)| format!("{name}={}", safe(&quoted(&value.text()))))
        .collect();
    params.join(" ")
}

/// `by zone, 2 at once (50%), 0 failures tolerated; at most 2 hosts out at once: us-west-2a 2, us-west-2b 1`.
fn strategy_line(phase: &Phase) -> String {
    let by = match phase.by {
        By::Az => "zone by zone",
        By::Spread => "spread over the zones",
        By::Flat => "in order",
    };
    let total: usize = phase.batches.iter().map(|batch| batch.hosts.len()).sum();
    let size = match phase.asked.batch {
        _ if phase.batches.len() <= 1 => "all at once".to_owned(),
        Some(asked @ crate::model::Amount::Percent(_)) => {
            format!("{by}, {} at once ({asked})", phase.resolved.batch)
        }
        _ => format!("{by}, {} at once", phase.resolved.batch),
    };
    let failures = match phase.resolved.max_failures {
        None => "any number of failures tolerated".to_owned(),
        Some(0) => "stops at the first failure".to_owned(),
        Some(most) if most >= total => "any number of failures tolerated".to_owned(),
        Some(most) => format!("{} tolerated", counted(most, "failure")),
    };
    format!("{size}, {failures}; {}", worst_line(&phase.worst_out))
}

fn worst_line(worst: &WorstOut) -> String {
    let overall = counted(worst.overall, "host");
    let zones: Vec<String> = worst
        .per_zone
        .iter()
        .filter(|(_, count)| **count > 0)
        .map(|(zone, count)| format!("{} {count}", safe(zone.as_str())))
        .collect();
    if zones.len() < 2 {
        format!("at most {overall} out at once")
    } else {
        format!("at most {overall} out at once ({})", zones.join(", "))
    }
}
