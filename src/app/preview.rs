//! `plan --probe`: asks the hosts of a plan how they are, and shows the plan as it would be taken now. Keeps no record,
//! and asks nobody anything.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::model::{CancelReason, ExitStatus, Host, HostOutcome, RunId};
use crate::report::{self, PreviewSink};
use crate::run::event::{GateAnswer, Trouble};
use crate::run::journal::Memory;
use crate::run::prompt::{Answer, GateQuestion, GateReply, Prompt};
use crate::run::record::Record;
use crate::run::{self, HostPreview, Parts, Preview};
use crate::signal::Signals;
use crate::transport::{Local, SshTransport};

use super::entry::Context;
use super::failure::Failure;
use super::kept_plan;
use super::prepared::Prepared;
use super::run::{options, random, screen_options, transport_settings};

/// Looks at the plan's hosts and shows what would come of it.
///
/// # Errors
/// No sudo password, or no signals.
pub(super) async fn probe(context: &Context, prepared: Prepared) -> Result<ExitStatus, Failure> {
    let Prepared {
        plan,
        selection,
        engine,
        ..
    } = prepared;
    let settings = transport_settings(context)?;
    let secrets = settings.sudo_password.clone().into_iter().collect();
    let (signals, received) = Signals::listen(CancellationToken::new(), || {}, || {})
        .context("cannot listen for signals")?;
    let parts = Parts {
        transport: SshTransport::new(settings),
        local: Local,
        engine,
        sink: PreviewSink::new(&context.console, screen_options(context)),
        record: Arc::new(NoRecord {
            folder: context.settings.state_dir.clone(),
        }),
        journal: Arc::new(Memory::default()),
        prompt: Nobody,
    };
    let now = jiff::Timestamp::now();
    let id = RunId::new(now, &plan.task.name, (random() & 0xffff) as u16);
    let options = options(context, id, plan.task.fanout, secrets);
    let preview = run::preview(plan, parts, options, received).await;
    drop(signals);
    if preview.stopped.is_none() {
        if context.settings.output.json {
            let mut json = kept_plan::json(&preview.plan, &selection);
            json["probe"] = found(&preview);
            context.console.json(&json);
        } else {
            let styles = context.console.data_styles();
            context
                .console
                .data(&report::plan_text(&preview.plan, styles));
        }
    }
    if preview.is_refused {
        context
            .console
            .note("exit 8: a run would end in its preflight; nothing was changed on any host");
    }
    Ok(status(&preview))
}

fn status(preview: &Preview) -> ExitStatus {
    let failed = |host: &HostPreview| {
        host.steps
            .as_ref()
            .is_some_and(|end| *end != HostOutcome::Ok)
    };
    match preview.stopped {
        Some(CancelReason::Hangup) => ExitStatus::Hangup,
        Some(CancelReason::Terminate) => ExitStatus::Terminate,
        Some(CancelReason::Deadline) => ExitStatus::Deadline,
        Some(_) => ExitStatus::Interrupt,
        None if preview.is_refused => ExitStatus::Preflight,
        None if preview.hosts.iter().any(failed) => ExitStatus::HostsFailed,
        None => ExitStatus::Ok,
    }
}

/// What was found, for programs.
fn found(preview: &Preview) -> Value {
    let hosts: Vec<Value> = preview.hosts.iter().map(of_host).collect();
    json!({ "refused": preview.is_refused, "hosts": hosts })
}

fn of_host(host: &HostPreview) -> Value {
    let none = Vec::new;
    let (state, check, causes, hints) = match host.trouble.clone() {
        None => ("well", None, none(), none()),
        Some(Trouble::Sick { check, cause }) => ("sick", Some(check), vec![cause], none()),
        Some(Trouble::Unfit { cause }) => ("unfit", None, vec![cause], none()),
        Some(Trouble::Silent { causes, hints, .. }) => ("silent", None, causes, hints),
    };
    json!({
        "label": host.host.host,
        "id": host.host.id,
        "target": host.is_target,
        "state": state,
        "check": check,
        "causes": causes,
        "hints": hints,
        "last": host.last,
        "steps": host.steps,
    })
}

/// Nothing is kept of a look.
struct NoRecord {
    /// The state's folder, which stands for a run's own.
    folder: PathBuf,
}

impl NoRecord {
    fn nowhere() -> io::Result<std::fs::File> {
        std::fs::OpenOptions::new().append(true).open("/dev/null")
    }
}

impl Record for NoRecord {
    fn host_log(&self, _host: &Host) -> io::Result<std::fs::File> {
        Self::nowhere()
    }

    fn controller_log(&self) -> io::Result<std::fs::File> {
        Self::nowhere()
    }

    fn files_of(&self, _host: &Host) -> io::Result<PathBuf> {
        Err(io::Error::other("a look brings no files"))
    }

    fn folder(&self) -> &Path {
        &self.folder
    }
}

/// Whom nothing is asked: steps that ask are not run.
struct Nobody;

impl Prompt for Nobody {
    async fn ask(&self, _: &str, _: Option<bool>, _: Option<Duration>) -> Answer {
        Answer {
            yes: false,
            by: "default",
        }
    }

    async fn gate(&self, _: &GateQuestion<'_>) -> GateReply {
        GateReply {
            answer: GateAnswer::Stop,
            by: "default",
        }
    }
}
