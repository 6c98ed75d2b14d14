//! A plan as text: `plan TASK`, and what is shown before the start gate. Pure.
//!
//! Steps that are the same for every host are shown once; where they differ, each form with the hosts that
//! it is for. Secrets have no form here: a [`ParamValue::Secret`](crate::task::ParamValue) prints `***`.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use indexmap::{IndexMap, IndexSet};

use crate::model::Label;
use crate::plan::{HostPlan, Phase, Plan, StepText, step_texts};
use crate::task::{Check, GateAt, Kind, ParamValue, Step};

use super::fold::fold;
use super::grammar::counted;
use super::plan_rollout::push_rollout;
use super::sanitize::safe;
use super::steps::{numbers, push_step};
use super::style::{Role, Styles};
use super::summary::quoted;
use super::task_rollout::push_ends;

/// Forms of one step that are shown; of more, the first stands for all.
const MAX_FORMS: usize = 4;

/// The plan; each line is ended.
pub fn plan_text(plan: &Plan, styles: Styles) -> String {
    let page = Page { styles };
    let mut out = String::new();
    page.head(&mut out, plan);
    page.controller_steps(&mut out, "before, here", &plan.before);
    let several = plan.phases.len() > 1;
    for number in 0..plan.phases.len() {
        page.phase(&mut out, (plan, number), several);
    }
    page.controller_steps(
        &mut out,
        "after, here, if everything succeeded",
        &plan.after,
    );
    push_ends(&mut out, &plan.task, styles);
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
        .flat_map(Phase::in_order)
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

struct Page {
    styles: Styles,
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
        let hosts = counted(plan.targets.len(), "host");
        let _ = writeln!(out, "{name} ({kind})  {hosts}{of}");
        if !plan.task.desc.is_empty() {
            let _ = writeln!(out, "  {}", safe(&plan.task.desc));
        }
        if !plan.params.is_empty() {
            let _ = writeln!(out, "  with {}", params_line(&plan.params));
        }
        push_differing_params(out, plan);
        if let Some(lock) = &plan.lock {
            let _ = writeln!(out, "  lock {}", safe(&lock.to_string()));
        }
        if plan.kind == Kind::Change {
            out.push_str("  a line in each host's syslog at its end (`logger -t fab-rs`)\n");
        }
    }

    fn controller_steps(&self, out: &mut String, title: &str, steps: &[Step]) {
        if steps.is_empty() {
            return;
        }
        self.title(out, title);
        let texts = step_texts(steps);
        for (number, text) in numbers(&texts).iter().zip(&texts) {
            push_step(out, number, text, "", self.styles);
        }
    }

    fn title(&self, out: &mut String, title: &str) {
        let title = self.styles.paint(Role::Strong, format!("{title}:"));
        let _ = writeln!(out, "\n{title}");
    }

    fn phase(&self, out: &mut String, (plan, number): (&Plan, usize), several: bool) {
        let phase = &plan.phases[number];
        if several {
            self.title(out, &format!("phase {}", safe(&phase.name)));
        } else {
            out.push('\n');
        }
        push_rollout(out, (plan, number), self.styles);
        self.controller_steps(out, "before its first batch, here", &phase.before);
        self.asked(out, plan, number);
        let hosts: Vec<&HostPlan> = phase.in_order().collect();
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
        self.checks(out, "then each host must show", &hosts, |host| &host.verify);
        self.host_steps(out, "to undo it", &hosts, |host| &host.rollback);
        self.controller_steps(out, "after its last batch, here", &phase.after);
    }

    /// What hosts are asked, touched or not.
    fn asked(&self, out: &mut String, plan: &Plan, number: usize) {
        let whom = match plan.members.len() {
            0 => "each host".to_owned(),
            1 => "the host".to_owned(),
            count => format!("all {}", counted(count, "host")),
        };
        if let Some(member) = plan.members.first().filter(|_| number == 0) {
            let title = format!("asked of {whom} before batches are made, and before each one");
            self.controller_steps(out, &title, &member.facts);
        }
        let hosts: Vec<&HostPlan> = plan.phases[number].in_order().collect();
        let title = match plan.members.len() {
            0 => format!("asked of {whom} after its steps (health)"),
            _ => format!("asked of {whom} before each batch, and of each after its steps (health)"),
        };
        self.checks(out, &title, &hosts, |host| &host.health);
    }

    fn checks(
        &self,
        out: &mut String,
        title: &str,
        hosts: &[&HostPlan],
        of: fn(&HostPlan) -> &Arc<[Check]>,
    ) {
        let mut made: HashMap<usize, Arc<[Step]>> = HashMap::new();
        for host in hosts {
            let checks = of(host);
            let steps = || checks.iter().map(|check| check.step.clone()).collect();
            made.entry(Arc::as_ptr(checks).addr()).or_insert_with(steps);
        }
        let forms = forms_of(hosts, |host| &made[&Arc::as_ptr(of(host)).addr()]);
        self.push_forms(out, title, (hosts.len(), &forms));
    }

    /// Steps that differ between hosts are shown in each of their forms.
    fn host_steps(
        &self,
        out: &mut String,
        title: &str,
        hosts: &[&HostPlan],
        of: fn(&HostPlan) -> &Arc<[Step]>,
    ) {
        self.push_forms(out, title, (hosts.len(), &forms_of(hosts, of)));
    }

    fn push_forms(&self, out: &mut String, title: &str, (all, forms): (usize, &[Vec<Form<'_>>])) {
        if forms.iter().all(Vec::is_empty) {
            return;
        }
        self.title(out, title);
        for forms in forms {
            let shown = if forms.len() > MAX_FORMS {
                1
            } else {
                MAX_FORMS
            };
            for form in forms.iter().take(shown) {
                let whom = if form.hosts.len() == all {
                    String::new()
                } else {
                    let labels = form.hosts.iter().map(|label| label.as_str());
                    format!("on {}", safe(&fold(labels)))
                };
                push_step(out, &form.number, &form.text, &whom, self.styles);
            }
            if let Some(rest) = forms.get(shown..).filter(|rest| !rest.is_empty()) {
                let hosts: usize = rest.iter().map(|form| form.hosts.len()).sum();
                let forms = counted(rest.len(), "other form");
                let _ = writeln!(
                    out,
                    "     and {forms} on {}: `plan --json` has them",
                    counted(hosts, "host")
                );
            }
        }
    }

    fn gates(&self, out: &mut String, plan: &Plan) {
        let gates: IndexSet<GateAt> = plan
            .phases
            .iter()
            .flat_map(|phase| phase.pace.confirm.iter().copied())
            .collect();
        if gates.is_empty() {
            return;
        }
        let places: Vec<&str> = gates.into_iter().map(gate_words).collect();
        let lead = self.styles.paint(Role::Strong, "asks");
        let _ = writeln!(out, "\n{lead} {}", places.join(", "));
    }
}

/// Params that are resolved per host, by their values.
fn push_differing_params(out: &mut String, plan: &Plan) {
    let mut values: IndexMap<String, Vec<&str>> = IndexMap::new();
    for host in plan.phases.iter().take(1).flat_map(Phase::in_order) {
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
        let whom = if hosts.len() == plan.targets.len() {
            String::new()
        } else {
            format!(" on {}", safe(&fold(hosts)))
        };
        let _ = writeln!(out, "  with {line}{whom}");
    }
}

/// One form of a step, and the hosts that it is for.
struct Form<'a> {
    number: String,
    text: StepText,
    hosts: Vec<&'a Label>,
}

/// The forms of each step, in the order of the steps; of one step, in the order of its first hosts.
fn forms_of<'a, 's>(
    hosts: &[&'a HostPlan],
    of: impl Fn(&'a HostPlan) -> &'s Arc<[Step]>,
) -> Vec<Vec<Form<'a>>> {
    // Hosts with the very same steps are put into words once.
    let mut groups: IndexMap<usize, (Vec<StepText>, Vec<&'a Label>)> = IndexMap::new();
    for host in hosts {
        let steps = of(host);
        let group = groups.entry(Arc::as_ptr(steps).addr());
        let (_, labels) = group.or_insert_with(|| (step_texts(steps), Vec::new()));
        labels.push(&host.host.label);
    }
    let mut forms: Vec<Vec<Form<'a>>> = Vec::new();
    for (texts, labels) in groups.into_values() {
        let numbers = numbers(&texts);
        for (index, (text, number)) in texts.into_iter().zip(numbers).enumerate() {
            if forms.len() <= index {
                forms.push(Vec::new());
            }
            match forms[index].iter_mut().find(|form| form.text == text) {
                Some(form) => form.hosts.extend(&labels),
                None => forms[index].push(Form {
                    number,
                    text,
                    hosts: labels.clone(),
                }),
            }
        }
    }
    forms
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
    let shown = |value: &ParamValue| match value {
        ParamValue::Secret(secret) => secret.to_string(),
        value => quoted(&value.text()),
    };
    let params: Vec<String> = params
        .iter()
        .map(|(name, value)| format!("{name}={}", safe(&shown(value))))
        .collect();
    params.join(" ")
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    #[test]
    fn a_plan_shows_everything_that_will_happen() {
        let text = plan_text(&samples::plan(), Styles::plain());
        insta::assert_snapshot!(text, @r#"
        deploy (change)  3 hosts of 4
          Put a version live
          with version='1.4.2 beta' token=***
          with port=9090
          a line in each host's syslog at its end (`logger -t fab-rs`)

        before, here:
          1. local git fetch

        zone by zone, 2 at once (50%), stops at the first failure; at most 2 hosts out at once (us-west-2a 2, us-west-2b 1)
          batch       1  2
          us-west-2a  2  ·
          us-west-2b  ·  1
          batch 1  us-west-2a  app-[1-2] (2)  (canary)
          batch 2  us-west-2b  app-3 (1)
          worst case: 2 hosts failed when it stops; a pause may find more

        steps on each host:
          1. unpack  [sudo]
             run:
             | tar xf /tmp/app.tar
             | ln -sfn app live
          2. restart  [on app-[1-2]]
          2. run rm -f /tmp/app.tar  [errors ignored, on app-3]
            2.1. run systemctl restart api  [up to 3 attempts, on app-[1-2]]
            2.2. wait_for tcp 8080  [2 in a row, on app-[1-2]]

        at the end of each host, whatever happened:
          1. run rm -f /tmp/app.tar  [errors ignored]

        asks before the first host
        warning: us-west-2b has one host
        "#);
        assert!(!text.contains("hunter22"));
    }

    #[test]
    fn a_plan_that_looks_takes_no_host_out() {
        let mut plan = samples::plan();
        plan.kind = Kind::Read;
        plan.phases[0].batches.truncate(1);
        plan.phases[0].resolved.max_failures = None;
        plan.phases[0].pace.confirm.clear();
        let text = plan_text(&plan, Styles::plain());
        assert!(
            text.contains("all at once, any number of failures tolerated\n"),
            "{text}"
        );
        assert!(
            !text.contains("out at once (") && !text.contains("asks"),
            "{text}"
        );
    }

    #[test]
    fn the_gate_asks_in_one_line() {
        assert_eq!(
            plan_line(&samples::plan()),
            "deploy on 3 hosts in 2 zones, 2 at a time"
        );
    }
}
