//! A run of an earlier process that goes on in this one: who came and went, whether somebody has to be asked, and its
//! record, which is touched last. How it is read is `stored`'s job, which command it is for `again`'s.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;

use crate::audit;
use crate::journal;
use crate::model::{Diagnostic, ExitStatus, HostId, HostOutcome, Label, Zone};
use crate::plan::{HostPlan, Plan};
use crate::report::{self, ScreenHandle, StoredRun};
use crate::run;
use crate::run::event::HostRef;
use crate::run::journal::{Fact, Journal as _, Mark, Part};
use crate::run::progress::{GoneHost, HostProgress, Progress, Told, ToldEnd, Urgency};
use crate::task::{Action, Kind, OnResume, Step};

use super::entry::Context;
use super::failure::Failure;
use super::gates::Questions;
use super::journal::{kept_on, this_process};
use super::prepared::Prepared;
use super::run::Going;
use super::stored::Stored;
use super::undo::is_to_undo;

/// A run that goes on. Nothing of its record was touched yet.
pub(super) struct Earlier {
    pub(super) stored: Stored,
    /// Hosts of it that are not there any more.
    pub(super) gone: Vec<HostId>,
    /// Hosts that it takes from here on, and did not before.
    pub(super) added: Vec<HostId>,
    /// Roll back, and nothing else.
    pub(super) undo: bool,
    /// What was asked for.
    pub(super) action: audit::Action,
}

impl Earlier {
    /// A run that goes on with this plan.
    pub(super) fn new(
        stored: Stored,
        prepared: &Prepared,
        (action, undo): (audit::Action, bool),
    ) -> Self {
        let targets = &prepared.plan.targets;
        let gone = stored.opening.targets.iter();
        let gone = gone.filter(|id| !targets.contains(id)).cloned().collect();
        let added = targets.iter();
        let added = added.filter(|id| !stored.opening.targets.contains(id));
        let added = added.cloned().collect();
        Self {
            stored,
            gone,
            added,
            undo,
            action,
        }
    }

    /// Says which hosts came and went.
    pub(super) fn say_drift(&self, context: &Context, prepared: &Prepared) {
        say_gone(context, &self.stored, &self.gone);
        let new: Vec<&str> = prepared
            .others
            .iter()
            .filter(|host| !self.added.contains(&host.id))
            .map(|host| host.label.as_str())
            .collect();
        if !new.is_empty() {
            let hosts = report::fold(new.iter().copied());
            let mut text = format!("new since the run began, and not touched: {hosts}");
            if !self.undo {
                text.push_str("; `--include-new` takes them last");
            }
            context.console.warn(&text);
        }
    }

    /// One line about what is left and what is not touched.
    pub(super) fn outline(&self) -> String {
        let hosts = self.stored.progress.hosts.iter();
        let hosts = hosts.filter(|(id, _)| !self.gone.contains(id));
        let (mut half, mut failed, mut left, mut done) = (0, 0, self.added.len(), 0);
        for (_, host) in hosts {
            match host.urgency() {
                Some(Urgency::Interrupted) => half += 1,
                // Cancelled: it goes on where it was cut off, as one that is half done does.
                Some(Urgency::Failed) if host.continues() => half += 1,
                Some(Urgency::Failed) => failed += 1,
                Some(Urgency::Pending) => left += 1,
                None => done += 1,
            }
        }
        let parts = [
            (half, "half done"),
            (failed, "failed"),
            (left, "not begun"),
            (done, "done already"),
        ];
        let parts = parts.iter().filter(|(count, _)| *count > 0);
        let parts: Vec<String> = parts
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        let id = &self.stored.run.id;
        let with = if self.undo { " with its rollback" } else { "" };
        format!("run {id} goes on{with}; of its hosts {}", parts.join(", "))
    }

    /// The plan with those hosts and phases alone that are not done, in the batches in which the run takes them.
    pub(super) fn left(&self, plan: &Arc<Plan>) -> Plan {
        let mut left = Plan::clone(plan);
        let (next, batches) = run::left(Arc::clone(plan), &self.stored.progress);
        if let Some(phase) = left.phases.get_mut(next) {
            phase.batches = batches;
        }
        let hosts = &self.stored.progress.hosts;
        let is_left = |id: &HostId, phase: usize| {
            hosts
                .get(id)
                .is_none_or(|host| host.urgency().is_some() && !host.passed.contains(&phase))
        };
        for (number, phase) in left.phases.iter_mut().enumerate() {
            let planned = &phase.hosts;
            for batch in &mut phase.batches {
                let is_left = |&host: &usize| is_left(&planned[host].host.id, number);
                batch.hosts.retain(is_left);
            }
            phase.batches.retain(|batch| !batch.hosts.is_empty());
        }
        left.phases.retain(|phase| !phase.batches.is_empty());
        let phases = left.phases.iter();
        let ids = phases.flat_map(|phase| phase.in_order().map(|planned| &planned.host.id));
        let ids: HashSet<&HostId> = ids.collect();
        left.targets.retain(|id| ids.contains(id));
        left
    }

    /// What is still asked.
    pub(super) fn questions(&self, plan: &Plan) -> Questions {
        if self.undo {
            Questions::of_rollback(plan)
        } else {
            Questions::of(plan).after(&self.stored.progress)
        }
    }

    /// Refuses a run of which somebody has to say how an interrupted step stands, where nobody can.
    ///
    /// # Errors
    /// There is no terminal, and a step that asks.
    pub(super) fn answerable(&self, prepared: &Prepared) -> Result<(), Failure> {
        if prepared.terminal {
            return Ok(());
        }
        let progress = &self.stored.progress;
        for (number, phase) in prepared.plan.phases.iter().enumerate() {
            for host in &phase.hosts {
                let lists = self.lists(host);
                let planned = |mark: &Mark| {
                    let id = mark.id.rsplit('/').next().unwrap_or(&mark.id);
                    lists.iter().find_map(|steps| find(steps, id))
                };
                let open = self.cut_off(&host.host.id, number);
                let asks = open.into_iter().find(|mark| {
                    planned(mark).is_none_or(|step| {
                        // One that goes on by itself is asked how it stands.
                        step.on_resume() == OnResume::Ask && !step.modifiers.detach
                    })
                });
                if let Some(mark) = asks {
                    let name = planned(mark).map(|step| step.name.shown());
                    let name = name.unwrap_or(&mark.id);
                    return Err(self.nobody(host.host.label.as_str(), name));
                }
            }
        }
        let comes = |mark: &Mark| !self.undo || matches!(mark.part, Part::Rollback(_));
        let mut shared = progress.shared.iter().filter(|(mark, _)| comes(mark));
        let asks = shared.find(|(mark, step)| {
            let found = of_all(&prepared.plan, &mark.id);
            !step.is_ended() && found.is_none_or(|step| step.on_resume() == OnResume::Ask)
        });
        match asks {
            Some((mark, _)) => Err(self.nobody("the controller, or one host for many", &mark.id)),
            None => Ok(()),
        }
    }

    /// The steps of a host that are gone on with.
    fn lists<'a>(&self, host: &'a HostPlan) -> Vec<&'a [Step]> {
        if self.undo {
            vec![&host.rollback]
        } else {
            vec![&host.steps, &host.rescue, &host.always]
        }
    }

    /// Steps of a host in a phase that were interrupted, and are come to again.
    fn cut_off(&self, id: &HostId, phase: usize) -> Vec<&Mark> {
        let progress = &self.stored.progress;
        let Some(of) = progress.hosts.get(id) else {
            return Vec::new();
        };
        let (part, is_open) = if self.undo {
            (Part::Rollback(phase), is_to_undo(progress, (id, of), phase))
        } else {
            let is_open = of.continues() && of.urgency() != Some(Urgency::Pending);
            (Part::Steps(phase), is_open)
        };
        of.interrupted(part).filter(|_| is_open).collect()
    }

    fn nobody(&self, on: &str, step: &str) -> Failure {
        let id = &self.stored.run.id;
        let message = format!(
            "step `{step}` on {on} was interrupted, and there is no terminal to ask whether it finished"
        );
        let error = Diagnostic::new(message)
            .hint(format!("`fab-rs resume {id}` at a terminal asks"))
            .hint("`resume: rerun`, or `resume: check` with a `check:`, on the step needs nobody")
            .hint("nothing was run");
        Failure {
            status: ExitStatus::Paused,
            diagnostics: vec![error],
        }
    }

    /// Takes the run over: from here on its record is this process's.
    ///
    /// # Errors
    /// The record cannot be read or written; nothing was run.
    pub(super) async fn go_on(
        self,
        kind: Kind,
        files: Option<PathBuf>,
        screen: &ScreenHandle,
    ) -> Result<Going, Failure> {
        let stored = self.stored;
        let mut progress = stored.progress;
        let told =
            told(&stored.run, (&self.gone, &progress)).context("cannot read the run's events")?;
        let first = stored.read.records.first().map(|record| record.time);
        progress.told = Told {
            started: told.started.or(first),
            ..told
        };
        let records = stored.read.records.len() as u64;
        let writer = kept_on(
            &stored.run.path.join(journal::FILE),
            (&stored.run.id, kind),
            (stored.read.whole, records),
        )?;
        writer.note(Fact::RunResumed {
            process: this_process(),
            gone: self.gone,
            added: self.added,
        });
        let kept = writer.settled().await;
        kept.map_err(|fault| anyhow::anyhow!("{fault}; nothing was run"))?;
        let screen = screen.clone();
        let folder = stored
            .folder
            .go_on(files, move |text| screen.note(text.to_owned()));
        Ok(Going {
            folder: folder.context("cannot write the run's record")?,
            journal: writer,
            progress: Some(Arc::new(progress)),
            undo: self.undo,
            action: self.action,
        })
    }
}

/// Says which hosts of a run are not there any more.
pub(super) fn say_gone(context: &Context, stored: &Stored, gone: &[HostId]) {
    if gone.is_empty() {
        return;
    }
    let known = stored.labels();
    let hosts = gone.iter().map(|id| {
        let shown = match known.get(id) {
            Some(label) if label != id.as_str() => format!("{label} ({id})"),
            _ => id.to_string(),
        };
        let of = stored.progress.hosts.get(id);
        let half = of.is_some_and(|of| of.gone() != HostOutcome::Gone);
        let note = if half { ", which was half done" } else { "" };
        format!("{shown}{note}")
    });
    let hosts: Vec<String> = hosts.collect();
    let text = format!("gone since the run began: {}", hosts.join(", "));
    context.console.warn(&text);
}

/// What was told of a run, its hosts that are gone among it.
fn told(run: &StoredRun, (gone, progress): (&[HostId], &Progress)) -> std::io::Result<Told> {
    let story = run.told()?;
    let named = |id: &HostId| {
        let host = story.hosts.get(id);
        let label = host.map_or_else(|| Label::new(id.as_str()), |host| host.label.clone());
        let zone = host.map_or_else(Zone::none, |host| host.zone.clone());
        let of = progress.hosts.get(id);
        let mut outcome = of.map_or(HostOutcome::Gone, HostProgress::gone);
        if let (HostOutcome::Unknown { step, .. }, Some(host)) = (&mut outcome, host) {
            *step = host.step(step).to_owned();
        }
        let id = id.clone();
        GoneHost {
            host: HostRef { host: label, id },
            zone,
            outcome,
        }
    };
    let gone = gone.iter().map(named).collect();
    let ends = story.hosts.into_iter().filter_map(|(id, host)| {
        let (duration, tail) = host.end?;
        Some((id, ToldEnd { duration, tail }))
    });
    Ok(Told {
        started: story.started,
        events: story.events,
        elapsed: story.elapsed,
        ends: ends.collect(),
        gone,
    })
}

/// The step of this id, wherever a plan has it.
fn of_all<'a>(plan: &'a Plan, id: &str) -> Option<&'a Step> {
    let phases = plan.phases.iter();
    let lists = phases.flat_map(|phase| {
        let hosts = phase.hosts.first().into_iter();
        let hosts =
            hosts.flat_map(|host| [&host.steps[..], &host.rescue, &host.always, &host.rollback]);
        hosts.chain([&phase.before[..], &phase.after])
    });
    let mut lists = lists.chain([&plan.before[..], &plan.after]);
    lists.find_map(|steps| find(steps, id))
}

/// The step of this id, inside others too.
fn find<'a>(steps: &'a [Step], id: &str) -> Option<&'a Step> {
    steps.iter().find_map(|step| {
        if step.id == id {
            return Some(step);
        }
        let group = match &step.action {
            Action::Group(group) => Some(group),
            Action::Task(sub) => sub.steps.as_ref(),
            _ => None,
        }?;
        let mut lists = [&group.steps, &group.rescue, &group.always].into_iter();
        lists.find_map(|steps| find(steps, id))
    })
}
