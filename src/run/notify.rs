//! `notify`: commands on the controller that tell others about the run. They change nothing in it: a failure
//! is noted, and at the end they are waited for only briefly.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::task::{Notice, Occasion};

use super::shared::{Shared, World};
use super::unit::voice;
use super::work::Work;

/// How long one command may take.
const LIMIT: Duration = Duration::from_secs(30);
/// How long those still at work are waited for at the end of the run.
const LAST_WAIT: Duration = Duration::from_secs(5);

/// The commands at work.
#[derive(Debug, Default)]
pub(crate) struct Notices(JoinSet<()>);

impl Notices {
    /// Runs the commands of an occasion, without waiting for them.
    pub(crate) fn send<W: World>(&mut self, shared: &Arc<Shared<W>>, occasion: Occasion) {
        for (index, notice) in shared.plan.task.notify.iter().enumerate() {
            if notice.events.contains(&occasion) {
                self.0.spawn(sent(Arc::clone(shared), index, occasion));
            }
        }
    }

    /// Waits for those at work, briefly; what is still running then is ended.
    pub(crate) async fn finish(mut self) {
        let all = async { while self.0.join_next().await.is_some() {} };
        let _late = timeout(LAST_WAIT, all).await;
    }
}

async fn sent<W: World>(shared: Arc<Shared<W>>, index: usize, occasion: Occasion) {
    let plan = Arc::clone(&shared.plan);
    let notice: &Notice = &plan.task.notify[index];
    // Where not even the controller's log can be written, the run itself says so.
    let Ok(teller) = voice(&shared, None, plan.params.values()) else {
        return;
    };
    let values = shared.values(shared.places.controller_scope(&plan, None));
    let mut work = Work::new(shared, None, values, teller);
    if let Err(cause) = work.notified(notice, occasion).await {
        let said = format!("`notify` for `{}` failed: {cause}", word(occasion));
        work.teller.note(&said).await;
    }
}

impl<W: World> Work<W> {
    async fn notified(&mut self, told: &Notice, occasion: Occasion) -> Result<(), String> {
        let program = self.values.program(&told.program, None)?;
        let mut command = crate::transport::RemoteCommand::new(program);
        command.env = self.values.environment();
        let run = self.shared.options.run.to_string();
        command.env.extend([
            ("FAB_EVENT".to_owned(), word(occasion).to_owned()),
            ("FAB_RUN".to_owned(), run.clone()),
            ("FAB_TASK".to_owned(), self.shared.plan.task.name.clone()),
        ]);
        let rendering = &self.shared.rendering;
        let summary = serde_json::json!({
            "event": word(occasion),
            "run": run,
            "task": self.shared.plan.task.name,
            "user": self.shared.options.user,
            "hosts": self.shared.plan.targets.len(),
            "ok": rendering.ok.load(Ordering::Relaxed),
            "failed": rendering.failed.load(Ordering::Relaxed),
            "record": rendering.dir,
        });
        command.stdin = Some(format!("{summary}\n").into_bytes());
        let due = (Instant::now() + LIMIT, LIMIT);
        match self.asked_here(&command, due).await {
            Ok((0, _)) => Ok(()),
            Ok((code, said)) => {
                let words = String::from_utf8_lossy(&said.stderr);
                let last = words.lines().rfind(|line| !line.trim().is_empty());
                Err(match last {
                    Some(last) => format!("exit {code}: {last}"),
                    None => format!("exit {code}"),
                })
            }
            Err(end) => Err(end.cause()),
        }
    }
}

fn word(occasion: Occasion) -> &'static str {
    match occasion {
        Occasion::Start => "start",
        Occasion::Gate => "gate",
        Occasion::Stop => "stop",
        Occasion::Done => "done",
        Occasion::Rollback => "rollback",
    }
}
