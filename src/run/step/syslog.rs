//! The line that a changed host gets in its own syslog, so that whoever looks at it there knows who was at work. It
//! comes last, and whether it came changes nothing.

use std::time::Duration;

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::model::HostOutcome;
use crate::run::event::RollbackResult;
use crate::run::shared::World;
use crate::run::work::Work;
use crate::task::Kind;
use crate::transport::{Exit, Program, RemoteCommand, Session as _};

use super::output::KeptOutput;
use super::remote_file::last_words;

/// How long the host may take.
const LIMIT: Duration = Duration::from_secs(3);

/// Characters of one value: a syslog line is cut at 1 KiB.
const LONGEST: usize = 120;

impl<W: World> Work<W> {
    /// Says in the host's syslog how its part of a phase ended.
    pub(crate) async fn log_outcome(&mut self, outcome: &HostOutcome) {
        let step = match outcome {
            HostOutcome::Failed { step, .. }
            | HostOutcome::TimedOut { step, .. }
            | HostOutcome::Unknown { step, .. } => Some(step.as_str()),
            HostOutcome::Unhealthy { check, .. } => Some(check.as_str()),
            HostOutcome::Cancelled { step, .. } => step.as_deref(),
            _ => None,
        };
        self.log_there(("outcome", outcome.word()), step).await;
    }

    /// Says in the host's syslog how its rollback ended.
    pub(crate) async fn log_rollback(&mut self, result: &RollbackResult) {
        self.log_there(("rollback", result.word()), None).await;
    }

    async fn log_there(&mut self, end: (&str, &str), step: Option<&str>) {
        let (plan, options) = (&self.shared.plan, &self.shared.options);
        let Some(controller) = &options.syslog else {
            return;
        };
        if plan.kind != Kind::Change || !self.touched || self.unheard {
            return;
        }
        let Some(session) = self.session.clone() else {
            self.teller
                .hint("the host's syslog has no line: there is no connection");
            return;
        };
        let phase = self.site.as_ref().and_then(|site| site.batch.as_ref());
        let phase = phase.filter(|_| plan.phases.len() > 1);
        let phase = phase.map(|batch| plan.phases[batch.phase].name.as_str());
        let line = line(&[
            ("user", Some(&options.user)),
            ("controller", Some(controller)),
            ("run", Some(options.run.as_str())),
            ("task", Some(&plan.task.name)),
            ("phase", phase),
            (end.0, Some(end.1)),
            ("step", step),
        ]);
        let line = self.teller.mask.text(&line);
        let words = ["logger", "-t", "fab-rs", &line].map(str::to_owned);
        let command = RemoteCommand::new(Program::Argv(words.to_vec()));
        let (never, mut said) = (CancellationToken::new(), KeptOutput::default());
        let sent = timeout(LIMIT, session.exec(&command, &mut said, &never)).await;
        let trouble = match sent.map(|report| report.exit) {
            Ok(Exit::Code(0)) => return,
            Ok(Exit::Code(127)) => "there is no `logger`".to_owned(),
            Ok(Exit::Code(code)) => format!("exit {code}: {}", last_words(&said.stderr)),
            Ok(Exit::Lost) => "the connection was lost".to_owned(),
            Err(_) => "no answer in time".to_owned(),
        };
        self.teller
            .hint(&format!("the host's syslog has no line: {trouble}"));
    }
}

/// `key=value` of those that there are, on one line.
fn line(values: &[(&str, Option<&str>)]) -> String {
    let given = values
        .iter()
        .filter_map(|(key, value)| Some((key, (*value)?)));
    let words: Vec<String> = given
        .map(|(key, value)| format!("{key}={}", quoted(value)))
        .collect();
    words.join(" ")
}

/// A value that can be told from what stands beside it, whoever chose it.
fn quoted(value: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || "._@:/+-".contains(c);
    if !value.is_empty() && value.chars().count() <= LONGEST && value.chars().all(is_bare) {
        return value.to_owned();
    }
    let mut out = String::from("\"");
    for c in value.chars().take(LONGEST) {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_stays_one_value_on_one_line() {
        let given = line(&[
            ("user", Some("ann")),
            ("controller", Some("ann's \"laptop\"")),
            ("phase", None),
            ("task", Some("x\nuser=root\u{1b}[31m")),
            ("step", Some("")),
        ]);
        assert_eq!(
            given,
            r#"user=ann controller="ann's \"laptop\"" task="x user=root [31m" step="""#
        );
        assert_eq!(quoted(&"ä".repeat(500)).chars().count(), LONGEST + 2);
    }
}
