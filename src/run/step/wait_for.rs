//! `wait_for`: a question asked again and again until its answer is right often enough, for long enough, or
//! the step's limit passes.

use std::time::Duration;

use tokio::time::Instant;

use crate::model::format_duration;
use crate::run::shared::World;
use crate::run::work::Work;
use crate::task::{Step, WaitFor};

use super::attempt::Running;
use super::end::{Done, End};
use super::probe::Said;

/// The limit of a wait where neither the step nor the run sets one.
const LONGEST: Duration = Duration::from_hours(1);

/// Good answers so far.
#[derive(Debug, Default)]
struct Streak {
    count: u32,
    since: Option<Instant>,
}

impl Streak {
    /// Takes an answer in; whether the wait is over.
    fn enough(&mut self, said: &Said, wait: &WaitFor, now: Instant) -> bool {
        if !said.good {
            *self = Self::default();
            return false;
        }
        self.count += 1;
        let since = *self.since.get_or_insert(now);
        self.count >= wait.consecutive.max(1) && now - since >= wait.stable_for
    }
}

impl<W: World> Work<W> {
    /// The whole step. Its register holds the last answer.
    pub(crate) async fn wait_for(
        &mut self,
        step: &Step,
        running: &Running,
        wait: &WaitFor,
    ) -> Done {
        let mut body = Vec::new();
        let end = self.waited(step, running, wait, &mut body).await;
        Done {
            end,
            stdout: body,
            stderr: Vec::new(),
        }
    }

    async fn waited(
        &mut self,
        step: &Step,
        running: &Running,
        wait: &WaitFor,
        body: &mut Vec<u8>,
    ) -> End {
        let wanted = match self.wanted(&wait.probe) {
            Ok(wanted) => wanted,
            Err(cause) => return End::failed(cause),
        };
        let limit = running.command_limit.unwrap_or(LONGEST);
        let due = Instant::now() + limit;
        let mut streak = Streak::default();
        let mut last = None;
        while Instant::now() < due {
            let question = (step, &wait.probe);
            match self.probed(question, running, &wanted, (due, limit)).await {
                Ok(said) => {
                    said.body.as_bytes().clone_into(body);
                    if streak.enough(&said, wait, Instant::now()) {
                        return End::passed();
                    }
                    last = Some(said.text);
                }
                // The limit cut this one short; what came before says more.
                Err(End::TimedOut { ended: true, .. }) if last.is_none() => {
                    last = Some("no answer before the limit".to_owned());
                }
                Err(End::TimedOut { ended: true, .. }) => {}
                Err(end @ (End::Unreachable { .. } | End::Lost)) if self.checking => {
                    streak = Streak::default();
                    last = Some(end.cause());
                    self.disconnect().await;
                }
                Err(end) => return end,
            }
            let pause = wait.interval.min(due - Instant::now().min(due));
            if !self.slept(pause).await {
                return End::Cancelled { ended: true };
            }
        }
        let last = self.teller.mask.text(last.as_deref().unwrap_or("nothing"));
        let limit = format_duration(limit);
        End::failed(match streak.count {
            0 => format!("not so within {limit}; the last answer was: {last}"),
            count => format!(
                "not so for long enough within {limit}; the last answer was: {last}, good {count} times in a row"
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::task::{Probe, ProbeKind, WhereTo};

    use super::*;

    #[test]
    fn a_bad_answer_starts_the_count_anew() {
        let wait = WaitFor {
            probe: Probe {
                kind: ProbeKind::Ssh,
                from: WhereTo::Controller,
                status: Vec::new(),
                matches: None,
                equals: None,
                until: None,
            },
            interval: Duration::from_secs(1),
            consecutive: 2,
            stable_for: Duration::from_secs(5),
        };
        let said = |good| Said {
            good,
            text: String::new(),
            body: String::new(),
        };
        let start = Instant::now();
        let mut streak = Streak::default();
        let mut at =
            |good, seconds| streak.enough(&said(good), &wait, start + Duration::from_secs(seconds));
        assert!(!at(true, 0));
        assert!(!at(true, 4));
        assert!(!at(false, 5));
        assert!(!at(true, 6));
        assert!(!at(true, 10));
        assert!(at(true, 11));
    }
}
